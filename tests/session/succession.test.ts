/** Whoever follows a new admin tells the one before (PROTOCOL §7.1). */
import assert from "node:assert/strict";
import { orders } from "../support/pure_step.ts";
import { handleOf, ROOM, SessionStage } from "../support/session_stage.ts";

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
