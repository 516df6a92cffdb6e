import assert from "node:assert/strict";
import { type DemoShow, lineShow } from "../../src/demo_show.ts";
import type { ColorDepth } from "../../src/ui/colors.ts";

const identity = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29";
const inRoom = { room: "book club", roomId: "5f8c1a0e9b7d4432a6e1c0d9f8b7a655" };

function shown(depth: ColorDepth, columns: number, play: (show: DemoShow) => void): string {
  let out = "";
  play(lineShow((text) => out += text, { columns, depth }));
  return out;
}

function play(show: DemoShow): void {
  const message = {
    type: "message",
    ...inRoom,
    id: "9d3c5e7f1a2b4c6d8e9fa0b1c2d3e4f5",
    from: "barn owl",
    identity,
    text: "a long text that does not fit into one line of any terminal that has forty columns",
    sentAt: "2026-05-01T10:00:00.000Z",
  } as const;
  show.begins("0.1.0");
  show.scene("they talk");
  show.heard("bat", message, "");
  show.heard("fox", message, "");
  show.settled(["fox", "bat"]);
  show.ends(
    {
      problem: "it took longer than 1 seconds",
      waitingFor: ["fox: the room"],
      ms: 1000,
      relayBytes: 0,
      framesIn: 0,
      framesOut: 0,
      searchedFor: 0,
      foundAtRelay: [],
      foundAtMembers: 0,
    },
    [],
    1,
  );
}

Deno.test("the demo reads the same with colours and without", () => {
  const plain = shown("none", 80, play);
  const coloured = shown("256", 80, play);
  assert.notEqual(coloured, plain);
  // deno-lint-ignore no-control-regex -- the sequences that set colours
  assert.equal(coloured.replaceAll(/\x1b\[[\d;]*m/g, ""), plain);
});

Deno.test("the demo fits a narrow terminal, and never takes more than 80 columns", () => {
  for (const [columns, widest] of [[40, 40], [200, 80]] as const) {
    const rows = shown("none", columns, play).split("\n");
    assert.deepEqual(rows.filter((row) => row.length > widest), []);
  }
});

Deno.test("people are shown in the order that was asked for, however their events came", () => {
  const labels = [...shown("none", 80, play).matchAll(/^ {2}(\w+) │ /gm)].map((row) => row[1]);
  assert.deepEqual(labels, ["fox", "bat"]);
});

Deno.test("a demo that failed says why and what it waited for", () => {
  const text = shown("none", 80, play);
  assert.match(
    text,
    /^! the demo did not succeed \(exit code 1\): it took longer than 1 seconds$/m,
  );
  assert.match(text, /^ {2}it waited for fox: the room$/m);
});
