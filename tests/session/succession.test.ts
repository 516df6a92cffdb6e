/** Whoever follows a new admin tells the one before (PROTOCOL §7.1). */
import assert from "node:assert/strict";
import { orders, said } from "../support/pure_step.ts";
import { entry, handleOf, ROOM, SessionStage } from "../support/session_stage.ts";

function asks(stage: SessionStage, from: number): string[] {
  const nonce = "ab".repeat(32);
  const effects = stage.take({ kind: "owner-asked", room: ROOM, handle: handleOf(from), nonce });
  return orders(effects, "show-line").map(({ to }) => to);
}

Deno.test("an owner that asks, and an admin of before that goes on, are shown the line", () => {
  const stage = SessionStage.talking();
  assert.deepEqual(asks(stage, 77), [handleOf(77)]);
  const effects = stage.take({ kind: "former-admin", room: ROOM, handle: handleOf(78) });
  assert.deepEqual(orders(effects, "show-line").map(({ to }) => to), [handleOf(78)]);
});

Deno.test("the line is shown to 16 in ten seconds, once to each: nobody has us send without end", () => {
  const stage = SessionStage.talking();
  const shown = [];
  for (let i = 0; i < 3; i++) for (let n = 0; n < 40; n++) shown.push(...asks(stage, 100 + n));
  assert.equal(shown.length, 16);
  assert.equal(new Set(shown).size, 16);
  stage.ticks(10_000);
  assert.deepEqual(asks(stage, 100), [handleOf(100)]);
});

Deno.test("who is outside has nothing to show", () => {
  const stage = new SessionStage();
  stage.knocking();
  assert.deepEqual(asks(stage, 77), []);
});

Deno.test("the room key that comes once more to a deputy is told once", () => {
  const stage = SessionStage.talking();
  stage.epoch({ deputies: [1] });
  const granted = { kind: "granted", room: ROOM, purpose: "deputy" } as const;
  assert.equal(said(stage.take(granted), "info").length, 1);
  assert.equal(said(stage.take(granted), "info").length, 0);
  assert.deepEqual(stage.room().granted, ["deputy"]);
});

/** elk and we are in the room; we are a deputy, and the admin has been silent for long enough. */
function asked(): SessionStage {
  const stage = SessionStage.talking();
  stage.epoch({ deputies: [1] });
  stage.take({ kind: "granted", room: ROOM, purpose: "deputy" });
  stage.hears(2);
  assert.equal(said(stage.ticks(90_000), "ask").some(({ ref }) => ref.startsWith("take")), true);
  return stage;
}

Deno.test("the question whether to take over is withdrawn when the admin is heard, by /claim and by a hand-over", () => {
  const ref = `take-over-${ROOM}`;
  const refs = (effects: ReturnType<SessionStage["take"]>) =>
    said(effects, "withdrawn").map((w) => w.ref).filter((r) => r === ref);
  assert.deepEqual(refs(asked().hears(0)), [ref]);
  assert.deepEqual(refs(asked().commands("/claim")), [ref]);
  assert.deepEqual(refs(asked().wants({ kind: "answer", ref, choice: "take" })), []);
  const handed = asked();
  const effects = handed.take({ kind: "granted", room: ROOM, purpose: "hand-over" });
  assert.deepEqual(refs(effects), [ref]);
  assert.deepEqual(said(effects, "ask").map((a) => a.ref), [ref]);
});

const LOST = { kind: "link-ended", code: "reset", message: "it broke" } as const;

Deno.test("who has no connection takes nothing over: it is the one that is away, perhaps", () => {
  const stage = asked();
  stage.take(LOST);
  const answer = { kind: "answer", ref: `take-over-${ROOM}`, choice: "take" } as const;
  for (const intent of [answer, { kind: "command", line: "/claim" } as const]) {
    const effects = stage.wants(intent);
    assert.deepEqual(said(effects, "error").map(({ code }) => code), ["not-connected"]);
    assert.deepEqual(orders(effects, "claim"), []);
  }
});

Deno.test("a claim whose connection breaks before anybody could follow is given up", () => {
  const stage = asked();
  assert.equal(orders(stage.commands("/claim"), "claim").length, 1);
  stage.take(LOST);
  stage.take({ kind: "connected", host: "h", port: 1, pin: "07".repeat(32) });
  stage.take({
    kind: "entered",
    room: ROOM,
    handle: handleOf(99),
    role: "member",
    ownerPresent: true,
  });
  assert.deepEqual(orders(stage.ticks(5_000), "succeed"), []);
  assert.equal(stage.room().claiming, null);
});

/** We are a deputy, with others in this order, and claim the room. */
function claiming(deputies: readonly number[]): SessionStage {
  const stage = asked();
  stage.epoch({ deputies: [...deputies] });
  stage.take({ kind: "granted", room: ROOM, purpose: "deputy" });
  stage.ticks(120_000);
  assert.equal(orders(stage.commands("/claim"), "claim").length, 1);
  return stage;
}

const ofElk = { kind: "succession", room: ROOM, leaf: 2, purpose: "deputy" } as const;

Deno.test("of two deputies who claim at once the one of the better rank goes first, and the other follows it", () => {
  const second = claiming([2, 1]);
  const gives = second.take(ofElk);
  assert.equal(orders(gives, "give-up-claim").length, 1);
  assert.deepEqual(orders(gives, "accept-succession").map(({ leaf }) => leaf), [2]);
  assert.equal(second.room().claiming, null);
  const first = claiming([1, 2]);
  assert.deepEqual(first.take(ofElk), []);
  assert.notEqual(first.room().claiming, null);
});

Deno.test("whoever follows a deputy waits ten seconds for it, and follows none of a worse rank meanwhile", () => {
  const stage = SessionStage.talking();
  stage.epoch({
    deputies: [2, 3],
    added: [entry(3, "bat")],
  });
  stage.ticks(90_000);
  const ofBat = { ...ofElk, leaf: 3 };
  const follows = (event: typeof ofElk | typeof ofBat) =>
    orders(stage.take(event), "accept-succession").map(({ leaf }) => leaf);
  assert.deepEqual(follows(ofBat), [3]);
  assert.deepEqual(follows(ofElk), [2]);
  assert.deepEqual(follows(ofBat), []);
  stage.ticks(9_000);
  // To say it again does not make it longer.
  assert.deepEqual(follows(ofElk), [2]);
  stage.ticks(1_000);
  assert.deepEqual(follows(ofBat), [3]);
});
