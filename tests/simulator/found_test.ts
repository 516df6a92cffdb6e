/** Rooms that broke an invariant once, as the shortest script that did: seeds of the long run. */
import assert from "node:assert/strict";
import { withFolder } from "../support/temporary_folder.ts";
import { toyHouse } from "./find.ts";
import type { Act, ActName } from "./script.ts";
import { simulate } from "./simulation.ts";

/** Act, who, to, n. */
type Line = readonly [ActName, number, number, number];

interface Found {
  readonly seed: number;
  readonly what: string;
  readonly script: readonly Line[];
}

const FOUND: readonly Found[] = [
  {
    seed: 1973,
    what: "a hand-over whose admin is killed before it hears that it was taken",
    script: [["hold", 2, 3, 543], ["hand-over", 4, 6, 354], ["hold", 4, 5, 759], [
      "restart",
      0,
      1,
      821,
    ]],
  },
  {
    seed: 5834,
    what: "a hand-over whose admin hears of it when it has made the next epoch itself",
    script: [["hold", 0, 3, 27], ["hand-over", 5, 7, 790], ["away", 1, 2, 938], [
      "restart",
      1,
      7,
      308,
    ]],
  },
  {
    seed: 6427,
    what: "a deputy that came in anew, and a member that missed that it was named",
    script: [
      ["join", 1, 0, 796],
      ["away", 5, 0, 343],
      ["wait", 0, 7, 408],
      ["stale-claim", 6, 3, 796],
      ["late-kick", 5, 1, 370],
      ["lose", 7, 5, 174],
      ["hand-over", 5, 1, 623],
      ["wait", 5, 5, 672],
      ["wait", 7, 0, 265],
      ["restart-relay", 7, 6, 26],
      ["away", 6, 0, 440],
      ["admin-away", 0, 3, 625],
    ],
  },
  {
    seed: 6546,
    what: "a welcome without a place at the relay, of an admin that did not know its successor",
    script: [
      ["say", 1, 0, 190],
      ["away", 0, 0, 616],
      ["join", 7, 1, 349],
      ["hand-over", 6, 0, 624],
      ["cut", 3, 0, 30],
      ["deputy", 1, 2, 984],
      ["admin-away", 3, 1, 794],
      ["admin-away", 2, 6, 680],
      ["leave", 6, 6, 163],
      ["restart", 0, 4, 886],
    ],
  },
  {
    seed: 6620,
    what: "a member that missed a kick before the deputy took over",
    script: [
      ["restart-relay", 2, 7, 258],
      ["lose", 4, 2, 8],
      ["join", 7, 3, 740],
      ["stale-claim", 3, 0, 298],
      ["kick", 3, 6, 750],
      ["admin-away", 1, 2, 865],
    ],
  },
  {
    seed: 3781,
    what: "a deputy that takes over while its person's admin means to take that from it",
    script: [["deputy", 4, 3, 385], ["away", 6, 0, 199], ["no-deputy", 4, 1, 329], [
      "admin-away",
      0,
      4,
      431,
    ]],
  },
  {
    seed: 8572,
    what:
      "an admin whose last epoch reached nobody, and that was started again before it heard of the claim",
    script: [
      ["join", 4, 5, 944],
      ["away", 0, 6, 140],
      ["stale-claim", 6, 3, 520],
      ["kick", 0, 3, 699],
      ["hand-over", 4, 2, 400],
      ["rekey", 5, 6, 636],
      ["admin-away", 1, 6, 620],
      ["restart", 3, 7, 737],
    ],
  },
  {
    seed: 8795,
    what: "a deputy that says yes while it has no connection",
    script: [["join", 0, 3, 863], ["stale-claim", 3, 1, 244], ["stale-claim", 1, 2, 476], [
      "restart-relay",
      4,
      5,
      638,
    ], ["hand-over", 5, 7, 548]],
  },
  {
    seed: 4599,
    what: "an admin that kicks the deputy which has taken over, before it knows",
    script: [["deputy", 1, 1, 450], ["join", 4, 5, 50], ["away", 0, 3, 9], ["kick", 6, 1, 116], [
      "admin-away",
      7,
      4,
      68,
    ]],
  },
  {
    seed: 11766,
    what: "two deputies who say yes at once",
    script: [["join", 6, 5, 408], ["deputy", 5, 7, 549], ["deputy", 6, 7, 464], [
      "admin-away",
      0,
      4,
      836,
    ]],
  },
];

Deno.test("rooms that broke an invariant hold every one now", async () => {
  await withFolder(async (folder) => {
    const house = await toyHouse(folder, "sound");
    for (const { seed, what, script } of FOUND) {
      const acts = script.map(([act, who, to, n]): Act => ({ act, who, to, n }));
      const failure = await simulate(house, { seed, script: acts });
      assert.ok(failure === null, `${what} (${seed}): ${failure?.rule} (${failure?.detail})`);
    }
  });
});
