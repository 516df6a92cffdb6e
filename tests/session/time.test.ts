import assert from "node:assert/strict";
import { CHAIN_LIFE_MS, HEARTBEAT_MS, STALE_AFTER_MS } from "../../src/wire/limits.ts";
import { MAX_PAST_EPOCHS } from "../../src/session/state.ts";
import { heartbeatPeriodMs } from "../../src/session/room_turn.ts";
import type { Effect } from "../../src/session/effect.ts";
import { notices, orders, outline, said } from "../support/pure_step.ts";
import { handleOf, identityOf, ROOM, SessionStage } from "../support/session_stage.ts";

const ASK = `stale-${ROOM}`;

/** In a room whose admin has been silent for 90 s. */
function stale(): SessionStage {
  const stage = SessionStage.talking();
  stage.ticks(STALE_AFTER_MS);
  return stage;
}

Deno.test("an admin's heartbeat comes every 30 s, a member's every N/5 s but no oftener", () => {
  assert.equal(heartbeatPeriodMs(2000, true), 30_000);
  assert.equal(heartbeatPeriodMs(2, false), 30_000);
  assert.equal(heartbeatPeriodMs(150, false), 30_000);
  assert.equal(heartbeatPeriodMs(151, false), 30_200);
  assert.equal(heartbeatPeriodMs(2000, false), 400_000);
});

Deno.test("a heartbeat is sent when its time has come and not before", () => {
  const stage = SessionStage.talking();
  stage.ticks(HEARTBEAT_MS - 1);
  assert.equal(orders(stage.all, "seal-and-send").length, 1);
  assert.deepEqual(outline(stage.ticks(1)), ["send heartbeat 4/1"]);
  assert.deepEqual(outline(stage.ticks(HEARTBEAT_MS - 1)), []);
  assert.deepEqual(outline(stage.ticks(1)), ["send heartbeat 4/2"]);
});

Deno.test("a member of a large room takes longer between heartbeats", () => {
  const stage = new SessionStage();
  stage.knocking();
  stage.joins({ others: Array.from({ length: 298 }, (_, i) => `m${i}`) });
  stage.hears(0);
  const before = (ms: number) => orders(stage.ticks(ms), "seal-and-send").length;
  assert.equal(before(59_999), 0);
  assert.equal(before(1), 1);
  stage.hears(0);
  assert.equal(before(59_999), 0);
  assert.equal(before(1), 1);
});

Deno.test("the keys of an epoch are dropped CHAIN_LIFE_MS after the next began, each once", () => {
  const stage = SessionStage.talking();
  const dropped = (ms: number) => orders(stage.ticks(ms), "drop-previous-epoch").length;
  stage.epoch();
  stage.after(1000).epoch();
  assert.equal(dropped(CHAIN_LIFE_MS - 1001), 0);
  assert.equal(dropped(1), 1);
  assert.equal(dropped(999), 0);
  assert.equal(dropped(1), 1);
  assert.equal(dropped(CHAIN_LIFE_MS), 0);
});

Deno.test("epochs that follow quickly push the oldest out: MAX_PAST_EPOCHS are kept", () => {
  const stage = SessionStage.talking();
  const drops = () => orders(stage.all, "drop-previous-epoch").length;
  for (let i = 0; i < MAX_PAST_EPOCHS; i++) stage.epoch();
  assert.equal(drops(), 0);
  stage.epoch();
  assert.equal(drops(), 1);
  stage.epoch();
  assert.equal(drops(), 2);
  assert.equal(orders(stage.ticks(CHAIN_LIFE_MS), "drop-previous-epoch").length, MAX_PAST_EPOCHS);
});

Deno.test("what the dropped chains never got is told by its author, also of one who is gone", () => {
  const stage = SessionStage.talking();
  stage.epoch();
  const effects = stage.take({
    kind: "chains-dropped",
    room: ROOM,
    missing: [{ leaf: 2, count: 3, gaps: [] }, { leaf: 9, count: 1, gaps: [] }],
  });
  assert.deepEqual(said(effects, "missing").map((m) => [m.from, m.identity, m.count]), [
    ["elk", identityOf("elk"), 3],
    ["leaf 9", "", 1],
  ]);
});

Deno.test("membership may be stale 90 s after the admin was heard last, not before, and is asked once", () => {
  const stage = SessionStage.talking();
  stage.after(10_000).hears(0);
  assert.equal(said(stage.ticks(STALE_AFTER_MS - 1), "ask").length, 0);
  const effects = stage.ticks(1);
  assert.deepEqual(said(effects, "warning").map((w) => [w.code, w.roomId]), [
    ["stale-membership", ROOM],
  ]);
  const [ask] = said(effects, "ask");
  assert.deepEqual([ask?.ref, ask?.choices], [ASK, ["send", "wait"]]);
  assert.equal(said(stage.ticks(STALE_AFTER_MS), "ask").length, 0);
});

Deno.test("another member's messages do not vouch for the membership", () => {
  const stage = SessionStage.talking();
  stage.after(STALE_AFTER_MS - 1).hears(2);
  assert.equal(said(stage.ticks(1), "ask").length, 1);
});

Deno.test("a commit vouches for the membership", () => {
  const stage = SessionStage.talking();
  stage.after(STALE_AFTER_MS - 1).epoch();
  assert.equal(said(stage.ticks(STALE_AFTER_MS - 1), "ask").length, 0);
  assert.equal(said(stage.ticks(1), "ask").length, 1);
});

Deno.test("an admin does not wait for itself", () => {
  const stage = new SessionStage([], "owl");
  stage.founds();
  assert.deepEqual(outline(stage.ticks(10 * STALE_AFTER_MS)), ["send heartbeat 1/0"]);
});

Deno.test("while it is asked text waits; send lets it go, and it is not asked again", () => {
  const stage = stale();
  assert.deepEqual(outline(stage.says("one")), ["pending"]);
  const answered = stage.wants({ kind: "answer", ref: ASK, choice: "send" });
  assert.deepEqual(outline(answered), ["send text 4/2", "sent", "ok"]);
  assert.deepEqual(said(stage.says("two"), "sent").length, 1);
  assert.equal(said(stage.ticks(STALE_AFTER_MS), "ask").length, 0);
});

Deno.test("while it is asked text waits; wait keeps it until the admin is heard, in order", () => {
  const stage = stale();
  stage.says("one");
  const waits = outline(stage.wants({ kind: "answer", ref: ASK, choice: "wait" }));
  assert.deepEqual(waits, ["info", "ok"]);
  stage.says("two");
  assert.equal(stage.room().pending.length, 2);
  assert.deepEqual(outline(stage.hears(2)), []);
  const effects = stage.hears(0);
  assert.deepEqual(said(effects, "sent").map((s) => s.text), ["one", "two"]);
  // And from here on it may be asked again.
  assert.equal(said(stage.ticks(STALE_AFTER_MS), "ask").length, 1);
});

Deno.test("who says to wait is asked again with the next text, and can say send then", () => {
  const stage = stale();
  stage.wants({ kind: "answer", ref: ASK, choice: "wait" });
  const [again, ...more] = said(stage.says("one"), "ask");
  assert.equal(again?.ref, ASK);
  assert.deepEqual([more, said(stage.says("two"), "ask")], [[], []]);
  const effects = stage.wants({ kind: "answer", ref: ASK, choice: "send" });
  assert.deepEqual(said(effects, "sent").map((s) => s.text), ["one", "two"]);
});

Deno.test("the question is withdrawn when the admin is heard, and when an epoch comes, not by its answer", () => {
  const withdrawn = (effects: readonly Effect[]) => said(effects, "withdrawn").map((w) => w.ref);
  assert.deepEqual(withdrawn(stale().hears(0)), [ASK]);
  assert.deepEqual(withdrawn(stale().epoch()), [ASK]);
  assert.deepEqual(withdrawn(stale().hears(2)), []);
  for (const choice of ["send", "wait"]) {
    const stage = stale();
    assert.deepEqual(withdrawn(stage.wants({ kind: "answer", ref: ASK, choice })), []);
    assert.deepEqual(withdrawn(stage.hears(0)), []);
  }
  assert.equal(outline(stale().commands("/quit")).at(-1), "stop");
  assert.deepEqual(withdrawn(stale().commands("/quit")), []);
});

Deno.test("an answer to no question, and one that is no choice, are refused", () => {
  const stage = stale();
  const code = (ref: string, choice: string) =>
    said(stage.wants({ kind: "answer", ref, choice }), "error").map((e) => [e.code, e.ref]);
  assert.deepEqual(code("stale-x", "send"), [["no-such-question", "stale-x"]]);
  assert.deepEqual(code(ASK, "maybe"), [["no-such-choice", ASK]]);
  assert.equal(stage.room().stale, "asked");
  stage.hears(0);
  assert.deepEqual(code(ASK, "send"), [["no-such-question", ASK]]);
});

Deno.test("the end of input waits for the text that is held back", () => {
  const stage = stale();
  stage.says("one");
  assert.deepEqual(stage.wants({ kind: "end" }), []);
  assert.equal(outline(stage.hears(0)).at(-1), "stop");
});

Deno.test("a member whose connection is gone is away, until it is heard again by another handle", () => {
  const stage = SessionStage.talking();
  stage.hears(2);
  assert.equal(stage.member(2).handle, handleOf(2));
  const gone = { kind: "gone", room: ROOM, handle: handleOf(2), reason: "closed" } as const;
  const who = { room: "den", roomId: ROOM, name: "elk", identity: identityOf("elk") };
  assert.deepEqual(notices(stage.take(gone)), [{ type: "presence", ...who, present: false }]);
  assert.equal(stage.member(2).goneAt, stage.at);
  assert.deepEqual(stage.take(gone), []);
  const back = stage.hears(2, { kind: "heartbeat" }, { handle: handleOf(77) });
  assert.deepEqual(notices(back), [{ type: "presence", ...who, present: true }]);
  assert.deepEqual([stage.member(2).handle, stage.member(2).goneAt], [handleOf(77), 0]);
  assert.deepEqual(stage.take(gone), [], "the handle before is nobody's");
});
