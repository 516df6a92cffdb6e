/** Rooms that broke an invariant once, as the shortest script that did: seeds of the long run. */
import assert from "node:assert/strict";
import { withFolder } from "../support/temporary_folder.ts";
import { toyHouse } from "./find.ts";
import { type Act, type ActName, ACTS } from "./script.ts";
import { simulate } from "./simulation.ts";

/** Its seed, what it is about, and the acts: name, who, to, n. */
const FOUND: readonly (readonly [number, string, ...string[]])[] = [
  [
    1973,
    "a hand-over whose admin is killed before it hears that it was taken",
    "hold 2 3 543",
    "hand-over 4 6 354",
    "hold 4 5 759",
    "restart 0 1 821",
  ],
  [
    5834,
    "a hand-over whose admin hears of it when it has made the next epoch itself",
    "hold 0 3 27",
    "hand-over 5 7 790",
    "away 1 2 938",
    "restart 1 7 308",
  ],
  [
    6427,
    "a deputy that came in anew, and a member that missed that it was named",
    "join 1 0 796",
    "away 5 0 343",
    "wait 0 7 408",
    "stale-claim 6 3 796",
    "late-kick 5 1 370",
    "lose 7 5 174",
    "hand-over 5 1 623",
    "wait 5 5 672",
    "wait 7 0 265",
    "restart-relay 7 6 26",
    "away 6 0 440",
    "admin-away 0 3 625",
  ],
  [
    6546,
    "a welcome without a place at the relay, of an admin that did not know its successor",
    "say 1 0 190",
    "away 0 0 616",
    "join 7 1 349",
    "hand-over 6 0 624",
    "cut 3 0 30",
    "deputy 1 2 984",
    "admin-away 3 1 794",
    "admin-away 2 6 680",
    "leave 6 6 163",
    "restart 0 4 886",
  ],
  [
    6620,
    "a member that missed a kick before the deputy took over",
    "restart-relay 2 7 258",
    "lose 4 2 8",
    "join 7 3 740",
    "stale-claim 3 0 298",
    "kick 3 6 750",
    "admin-away 1 2 865",
  ],
  [
    3781,
    "a deputy that takes over while its person's admin means to take that from it",
    "deputy 4 3 385",
    "away 6 0 199",
    "no-deputy 4 1 329",
    "admin-away 0 4 431",
  ],
  [
    8572,
    "an admin whose last epoch reached nobody, and that was started again before it heard of the claim",
    "join 4 5 944",
    "away 0 6 140",
    "stale-claim 6 3 520",
    "kick 0 3 699",
    "hand-over 4 2 400",
    "rekey 5 6 636",
    "admin-away 1 6 620",
    "restart 3 7 737",
  ],
  [
    8795,
    "a deputy that says yes while it has no connection",
    "join 0 3 863",
    "stale-claim 3 1 244",
    "stale-claim 1 2 476",
    "restart-relay 4 5 638",
    "hand-over 5 7 548",
  ],
  [
    4599,
    "an admin that kicks the deputy which has taken over, before it knows",
    "deputy 1 1 450",
    "join 4 5 50",
    "away 0 3 9",
    "kick 6 1 116",
    "admin-away 7 4 68",
  ],
  [
    11766,
    "two deputies who say yes at once",
    "join 6 5 408",
    "deputy 5 7 549",
    "deputy 6 7 464",
    "admin-away 0 4 836",
  ],
  [
    1422,
    "a kick typed without a connection, by an admin that lacks what its member said meanwhile",
    "cut 7 2 60",
    "join 5 7 876",
    "cut 0 6 517",
    "say 3 3 15",
    "kick 2 5 198",
    "say 1 3 199",
    "restart-relay 6 6 779",
  ],
  [
    8193,
    "a kick typed without a connection, of a member that says something at that moment",
    "say 0 1 914",
    "join 0 3 597",
    "restart 1 4 479",
    "say 7 5 796",
    "restart-relay 2 5 243",
    "kick 2 3 834",
  ],
  [
    5751,
    "a member that asks for what it missed while no admin is there",
    "say 4 3 639",
    "cut 7 3 811",
    "restart 6 5 438",
    "say 5 6 438",
    "cut 2 5 234",
    "say 4 6 788",
    "join 4 1 279",
    "restart 3 4 97",
    "say 6 3 560",
    "say 1 1 672",
    "rekey 2 2 124",
    "cut 7 5 122",
    "cut 4 1 921",
    "say 1 5 892",
    "admin-away 1 3 702",
  ],
  [
    7035,
    "a kick that is typed while everybody comes back from a restarted relay",
    "cut 4 3 571",
    "wait 7 2 413",
    "say 3 2 678",
    "say 3 0 364",
    "kick 4 1 770",
    "say 3 2 302",
    "say 7 7 366",
    "say 4 4 187",
    "join 1 6 620",
    "restart-relay 4 5 544",
    "kick 2 3 555",
  ],
  [
    7765,
    "a member that is removed when the epoch of its last words, which one lacks, is dropped",
    "join 6 7 182",
    "skip-epoch 7 3 336",
    "say 1 3 800",
    "withhold 2 1 981",
    "away 5 2 423",
    "leave 5 5 457",
    "admin-away 5 4 804",
  ],
  [
    11367,
    "somebody whose invite a kick revokes, and that asks again before the commit that lets it in",
    "deputy 7 5 954",
    "restart-relay 5 0 375",
    "join 3 0 153",
    "kick 5 6 53",
    "restart-relay 6 5 162",
  ],
  [
    5400,
    "a CLOSE and no more in an epoch that one was away in, of somebody who comes in anew when it is dropped",
    "join 2 1 847",
    "away 3 3 902",
    "rekey 5 5 903",
    "join 2 5 622",
    "admin-away 6 5 668",
    "wait 4 4 569",
    "restart 1 2 735",
  ],
];

function actOf(line: string): Act {
  const [act = "", ...numbers] = line.split(" ");
  if (!(act in ACTS)) throw new RangeError(`there is no act ${act}`);
  const [who = NaN, to = NaN, n = NaN] = numbers.map(Number);
  return { act: act as ActName, who, to, n };
}

Deno.test("rooms that broke an invariant hold every one now", async () => {
  await withFolder(async (folder) => {
    const house = await toyHouse(folder, "sound");
    for (const [seed, what, ...script] of FOUND) {
      const failure = await simulate(house, { seed, script: script.map(actOf) });
      assert.ok(failure === null, `${what} (${seed}): ${failure?.rule} (${failure?.detail})`);
    }
  });
});
