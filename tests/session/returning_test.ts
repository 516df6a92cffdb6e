/**
 * What happens when several things happen at once on the way into a room or back: each of these was found by the
 * simulator (tests/simulator).
 */
import assert from "node:assert/strict";
import { OWNERS } from "../../src/session/room_turn.ts";
import { CHAIN_LIFE_MS } from "../../src/wire/limits.ts";
import { orders, outline, said } from "../support/pure_step.ts";
import { entry, handleOf, ROOM, SessionStage } from "../support/session_stage.ts";

const AWAY = { kind: "link-ended", code: "reset", message: "it broke" } as const;
const BACK = { kind: "connected", host: "127.0.0.1", port: 5000, pin: "07".repeat(32) } as const;
const CAUGHT_UP = { kind: "caught-up", room: ROOM, gaps: [] } as const;

function enters(stage: SessionStage, role: "knocker" | "member" | "owner", ownerPresent = true) {
  return stage.take({ kind: "entered", room: ROOM, handle: handleOf(99), role, ownerPresent });
}

function textsSent(effects: Parameters<typeof orders>[0]): string[] {
  return orders(effects, "seal-and-send").map(({ message, held }) =>
    `${message.kind === "text" ? message.text : message.kind}${held ? " (held)" : ""}`
  );
}

Deno.test("a connection that was lost while we waited does not keep us from speaking once we are in", () => {
  const stage = new SessionStage();
  stage.knocking();
  stage.take(AWAY);
  stage.take(BACK);
  enters(stage, "knocker");
  assert.deepEqual(textsSent(stage.joins()), ["heartbeat"]);
  assert.deepEqual(textsSent(stage.says("hi")), ["hi"]);
});

Deno.test("who is welcomed while its connection is gone speaks when it is back", () => {
  const stage = new SessionStage();
  stage.knocking();
  stage.take(AWAY);
  assert.deepEqual(textsSent(stage.joins()), ["heartbeat (held)"]);
  assert.deepEqual(textsSent(stage.says("hi")), []);
  stage.take(BACK);
  enters(stage, "member");
  assert.deepEqual(textsSent(stage.take(CAUGHT_UP)), ["heartbeat", "hi"]);
});

Deno.test("the CLOSE of an epoch that passes while we have no place waits for it", () => {
  const stage = SessionStage.talking();
  stage.says("before");
  stage.take(AWAY);
  stage.take(BACK);
  stage.take({ kind: "refused", room: ROOM, code: "ticket-revoked", message: "old" });
  enters(stage, "knocker");
  assert.deepEqual(textsSent(stage.epoch()), ["close (held)"]);
  assert.deepEqual(outline(stage.take(CAUGHT_UP)).filter((o) => o === "send-held"), []);
  enters(stage, "member");
  assert.deepEqual(outline(stage.take(CAUGHT_UP)).slice(0, 2), ["send-held", "send heartbeat 5/1"]);
});

Deno.test("what the relay says of the place that we had does not end the room that we come into anew", () => {
  const stage = SessionStage.talking();
  const before = stage.room().handle ?? "";
  stage.take(AWAY);
  stage.take(BACK);
  stage.take({ kind: "removed", room: ROOM, restarted: false });
  for (const code of ["ticket-revoked", "ticket-expired", "not-allowed", "not-in-room"] as const) {
    stage.take({ kind: "refused", room: ROOM, code, message: "to the keys before" });
  }
  stage.take({ kind: "gone", room: ROOM, handle: before, reason: "evicted" });
  assert.equal(stage.room().phase, "entering");
  assert.deepEqual(outline(enters(stage, "knocker")), ["knock"]);
  // A bar is meant for us.
  stage.take({ kind: "refused", room: ROOM, code: "barred", message: "barred" });
  assert.equal(stage.room().phase, "closed");
});

Deno.test("a commit that we cannot open while the admin answers is asked for as soon as it has", () => {
  const stage = SessionStage.talking();
  stage.take(AWAY);
  stage.take(BACK);
  enters(stage, "member");
  stage.take({ kind: "fell-behind", room: ROOM, sure: true });
  assert.deepEqual(orders(stage.take(CAUGHT_UP), "catch-up"), []);
  assert.equal(orders(stage.ticks(1000), "catch-up").length, 1);
  stage.take(CAUGHT_UP);
  assert.deepEqual(orders(stage.ticks(1000), "catch-up"), []);
});

Deno.test("what the admin shows to be ahead is asked for at once after its answer, and then once a second", () => {
  const stage = SessionStage.talking();
  const ahead = { kind: "fell-behind", room: ROOM, sure: true } as const;
  const asks = () => {
    const asked = orders(stage.take(ahead), "catch-up").length;
    stage.take(CAUGHT_UP);
    return asked;
  };
  stage.take(AWAY);
  stage.take(BACK);
  enters(stage, "member");
  stage.take(CAUGHT_UP);
  assert.deepEqual([asks(), asks(), asks()], [1, 0, 0]);
  assert.equal(orders(stage.ticks(1_000), "catch-up").length, 1);
});

Deno.test("whoever asked while no admin was there asks again a second later", () => {
  const stage = SessionStage.talking();
  const behind = { kind: "fell-behind", room: ROOM, sure: false } as const;
  assert.equal(orders(stage.take(behind), "catch-up").length, 1);
  stage.take({ kind: "gone", room: ROOM, handle: "00".repeat(16), reason: "closed" });
  assert.deepEqual(orders(stage.take(behind), "catch-up"), []);
  assert.equal(orders(stage.ticks(1_000), "catch-up").length, 1);
});

Deno.test("what anybody can make us fail to read has us ask once in ten seconds, and not forget it", () => {
  const stage = SessionStage.talking();
  const behind = { kind: "fell-behind", room: ROOM, sure: false } as const;
  assert.equal(orders(stage.take(behind), "catch-up").length, 1);
  stage.take(CAUGHT_UP);
  assert.deepEqual(orders(stage.take(behind), "catch-up"), []);
  assert.deepEqual(orders(stage.ticks(9_000), "catch-up"), []);
  assert.equal(orders(stage.ticks(1_000), "catch-up").length, 1);
});

Deno.test("commits that overtake those that we ask for are no alarm, others are", () => {
  const stage = SessionStage.talking();
  const ahead = {
    kind: "commit-refused",
    room: ROOM,
    code: "rollback",
    message: "the commit is for epoch 6, we are in 4",
    fatal: false,
    ahead: true,
  } as const;
  assert.equal(said(stage.take(ahead), "warning").length, 1);
  stage.take({ kind: "fell-behind", room: ROOM, sure: true });
  stage.take(CAUGHT_UP);
  stage.take({ kind: "fell-behind", room: ROOM, sure: true });
  assert.deepEqual(said(stage.take(ahead), "warning"), []);
  stage.ticks(1000);
  stage.take(CAUGHT_UP);
  assert.equal(said(stage.take(ahead), "warning").length, 1);
  stage.take(AWAY);
  stage.take(BACK);
  enters(stage, "member");
  assert.deepEqual(said(stage.take(ahead), "warning"), []);
});

const UNREADABLE = {
  kind: "message-refused",
  room: ROOM,
  code: "bad-message",
  leaf: null,
  unreadable: true,
} as const;

/** Something comes that nothing opens; the warnings of then. */
function unreadableComes(stage: SessionStage) {
  const warnings = said(stage.take(UNREADABLE), "warning");
  stage.take({ kind: "fell-behind", room: ROOM, sure: false });
  return warnings;
}

Deno.test("what nothing opens is an alarm once the admin has said that we lack no key, and once for all of it", () => {
  const stage = SessionStage.talking();
  assert.deepEqual(unreadableComes(stage), []);
  assert.deepEqual(unreadableComes(stage), []);
  // What somebody sealed on purpose is another matter.
  const { unreadable: _, ...sealed } = UNREADABLE;
  assert.equal(said(stage.take(sealed), "warning").length, 1);
  assert.equal(said(stage.take(CAUGHT_UP), "warning").length, 1);
  stage.ticks(10_000);
  assert.deepEqual(said(stage.take(CAUGHT_UP), "warning"), []);
  stage.take(AWAY);
  stage.take(BACK);
  enters(stage, "member");
  assert.deepEqual(unreadableComes(stage), []);
});

Deno.test("what nothing opened before the commit that we had missed is no alarm", () => {
  const stage = SessionStage.talking();
  unreadableComes(stage);
  stage.epoch();
  assert.deepEqual(said(stage.take(CAUGHT_UP), "warning"), []);
  stage.ticks(10_000);
  unreadableComes(stage);
  assert.equal(said(stage.take(CAUGHT_UP), "warning").length, 1);
});

Deno.test("what nothing opens is an alarm too where no admin is there to ask", () => {
  const stage = SessionStage.talking();
  unreadableComes(stage);
  const alone = stage.take({ kind: "gone", room: ROOM, handle: OWNERS, reason: "not-here" });
  assert.equal(said(alone, "warning").length, 1);
});

Deno.test("a newcomer is told that what it cannot open may be of before it came, and later not", () => {
  const stage = SessionStage.talking();
  unreadableComes(stage);
  assert.match(said(stage.take(CAUGHT_UP), "warning")[0]?.message ?? "", /or sent before we came$/);
  stage.ticks(CHAIN_LIFE_MS);
  unreadableComes(stage);
  assert.match(said(stage.take(CAUGHT_UP), "warning")[0]?.message ?? "", /damaged or forged$/);
});

Deno.test("an admin has nobody to ask, and is told of what does not open once in 10 s", () => {
  const stage = new SessionStage();
  stage.founds(["elk"]);
  assert.match(unreadableComes(stage)[0]?.message ?? "", /or a deputy runs this room now$/);
  assert.deepEqual(unreadableComes(stage), []);
  stage.ticks(10_000);
  assert.equal(unreadableComes(stage).length, 1);
});

/** Comes back after so long, where the admin is gone too. */
function backAlone(ms: number): SessionStage {
  const stage = SessionStage.talking();
  stage.take(AWAY);
  stage.ticks(ms);
  stage.take(BACK);
  enters(stage, "member", false);
  return stage;
}

Deno.test("who is back while the admin is gone tells where it is, and speaks once another is heard in its epoch", () => {
  const stage = SessionStage.talking();
  stage.take(AWAY);
  stage.take(BACK);
  assert.deepEqual(textsSent(enters(stage, "member", false)), ["heartbeat"]);
  assert.deepEqual(textsSent(stage.says("hi")), []);
  // By repair, or of an epoch before, it is no sign.
  assert.deepEqual(textsSent(stage.hears(2, undefined, { handle: null })), []);
  assert.deepEqual(textsSent(stage.hears(2, undefined, { epoch: 3 })), []);
  assert.deepEqual(textsSent(stage.hears(2)), ["heartbeat", "hi"]);
});

Deno.test("who is back alone speaks when everybody who is there would have been heard", () => {
  const stage = backAlone(1000);
  stage.says("hi");
  assert.deepEqual(textsSent(stage.ticks(34_000)), []);
  assert.deepEqual(textsSent(stage.ticks(1_000)), ["heartbeat", "hi"]);
});

Deno.test("who was away so long that its epoch may be closed to all says nothing before it knows", () => {
  const stage = backAlone(100_000);
  assert.deepEqual(textsSent(stage.says("hi")), []);
  assert.deepEqual(textsSent(stage.ticks(30_000)), []);
  assert.deepEqual(textsSent(stage.hears(2)), ["heartbeat", "hi"]);
});

Deno.test("who is back alone and sees that the others are ahead waits for the admin, or for its person", () => {
  const behind = { kind: "fell-behind", room: ROOM, sure: false } as const;
  const waits = (): SessionStage => {
    const stage = backAlone(1000);
    stage.says("hi");
    const told = stage.take(behind);
    assert.deepEqual(said(told, "warning").map(({ code }) => code), ["stale-membership"]);
    assert.equal(said(told, "ask").length, 1);
    // The admin is asked in vain.
    stage.take({ kind: "gone", room: ROOM, handle: "00".repeat(16), reason: "closed" });
    assert.deepEqual(textsSent(stage.hears(2)), []);
    assert.deepEqual(textsSent(stage.ticks(60_000)), []);
    return stage;
  };
  assert.deepEqual(textsSent(waits().take(CAUGHT_UP)), ["heartbeat", "hi"]);
  assert.deepEqual(textsSent(waits().hears(0)), ["heartbeat", "hi"]);
  const agreed = waits().wants({ kind: "answer", ref: `stale-${ROOM}`, choice: "send" });
  assert.deepEqual(textsSent(agreed), ["hi"]);
  // Who was there all the time is not silenced by what it cannot read.
  const there = SessionStage.talking();
  there.take(behind);
  there.take({ kind: "gone", room: ROOM, handle: "00".repeat(16), reason: "closed" });
  assert.deepEqual(textsSent(there.says("hi")), ["hi"]);
});

Deno.test("what is missing of somebody who was removed is asked for, and shown under its name", () => {
  const stage = SessionStage.talking();
  stage.hears(0);
  const effects = stage.epoch({
    removed: [{
      leaf: 2,
      reason: "left",
      gaps: [{ epoch: 4, numbers: [0] }],
      missing: 0,
      count: 1,
      fork: false,
    }],
  });
  assert.deepEqual(said(effects, "missing"), []);
  assert.deepEqual(
    orders(effects, "request-repair").map(({ epoch, leaf, numbers }) => [epoch, leaf, numbers]),
    [[4, 2, [0]]],
  );
  const text = {
    kind: "text",
    id: "ab".repeat(16),
    sentAt: 0,
    text: "last",
    repeated: false,
  } as const;
  const came = stage.hears(2, text, { epoch: 4, n: 0, handle: null, gaps: [] });
  assert.deepEqual(said(came, "message").map((m) => [m.from, m.text]), [["elk", "last"]]);
});

Deno.test("who comes in anew speaks after what is missing of its leaf before, in its order", () => {
  const stage = SessionStage.talking();
  stage.hears(0);
  stage.epoch({
    reason: "join",
    added: [entry(3, "elk", "known")],
    removed: [{
      leaf: 2,
      reason: "replaced",
      gaps: [{ epoch: 4, numbers: [0] }],
      missing: 0,
      count: 1,
      fork: false,
    }],
  });
  const text = (text: string) =>
    ({ kind: "text", id: text.padEnd(32, "0"), sentAt: 0, text, repeated: false }) as const;
  assert.deepEqual(said(stage.hears(3, text("2"), { epoch: 5, n: 0, gaps: [] }), "message"), []);
  const came = stage.hears(2, text("1"), { epoch: 4, n: 0, handle: null, gaps: [] });
  assert.deepEqual(said(came, "message").map((m) => m.text), ["1", "2"]);
});

Deno.test("an admin that comes back gives those their time whom it had seen go before", () => {
  const stage = new SessionStage([], "owl");
  stage.founds(["fox"]);
  stage.hears(1, undefined, { epoch: 1 });
  stage.take({ kind: "gone", room: ROOM, handle: handleOf(1), reason: "closed" });
  assert.ok(stage.member(1).goneAt > 0);
  stage.take(AWAY);
  stage.ticks(80_000);
  stage.take(BACK);
  enters(stage, "owner");
  assert.ok(stage.member(1).goneAt > stage.at);
});
