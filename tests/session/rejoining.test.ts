/** What was on its way when a room's keys were given up. */
import assert from "node:assert/strict";
import { outline } from "../support/pure_step.ts";
import { handleOf, ROOM, SessionStage } from "../support/session_stage.ts";

Deno.test("what is due for the keys that were given up is not done to the new ones", () => {
  const stage = SessionStage.talking();
  stage.epoch();
  stage.ticks(60_000);
  stage.take({ kind: "link-ended", code: "reset", message: "it broke" });
  stage.take({ kind: "connected", host: "127.0.0.1", port: 5000, pin: "07".repeat(32) });
  stage.take({ kind: "removed", room: ROOM, restarted: false });
  stage.take({
    kind: "entered",
    room: ROOM,
    handle: handleOf(99),
    role: "knocker",
    ownerPresent: true,
  });
  stage.joins({ epoch: 8 });
  stage.epoch();
  assert.deepEqual(outline(stage.ticks(60_000)).filter((o) => o.startsWith("drop-previous")), []);
  assert.equal(
    outline(stage.ticks(60_000)).filter((o) => o.startsWith("drop-previous")).length,
    1,
  );
});

Deno.test("an epoch of the keys that were given up begins nothing while we ask to come in again", () => {
  const stage = SessionStage.talking();
  stage.take({ kind: "link-ended", code: "reset", message: "it broke" });
  stage.take({ kind: "connected", host: "127.0.0.1", port: 5000, pin: "07".repeat(32) });
  stage.take({
    kind: "entered",
    room: ROOM,
    handle: handleOf(99),
    role: "member",
    ownerPresent: true,
  });
  assert.deepEqual(outline(stage.take({ kind: "removed", room: ROOM, restarted: false })), [
    "rejoin",
  ]);
  const late = stage.epoch();
  assert.deepEqual(outline(late), []);
  // Nor is a gap of those keys asked for with the new ones.
  const gaps = [{ leaf: 2, gaps: [{ epoch: 4, numbers: [0, 1] }] }];
  assert.deepEqual(outline(stage.take({ kind: "caught-up", room: ROOM, gaps })), []);
});
