/** When an admin yields to somebody who says that it has taken over (PROTOCOL §7.1). */
import assert from "node:assert/strict";
import type { Effect } from "../../src/session/effect.ts";
import type { EventBody } from "../../src/session/event.ts";
import { AdminStage } from "../support/admin_stage.ts";
import { orders, outline, said } from "../support/pure_step.ts";
import { CODE, entry, handleOf, identityOf, MY_HANDLE, ROOM } from "../support/session_stage.ts";

/** owl runs the room with ada, a deputy. */
function withDeputy(): AdminStage {
  const stage = AdminStage.founded();
  stage.asks("ada");
  stage.commands(`/admit ${stage.lastRequest}`);
  stage.finish();
  stage.commands("/deputy ada");
  stage.finish();
  return stage;
}

function loses(stage: AdminStage, forMs: number, deadSince = stage.at): void {
  stage.take({ kind: "link-ended", code: "reset", message: "it broke", deadSince });
  stage.after(forMs);
  stage.take({ kind: "connected", host: "h", port: 1, pin: "07".repeat(32) });
  stage.take({ kind: "entered", room: ROOM, handle: MY_HANDLE, role: "owner", ownerPresent: true });
}

function claims(
  stage: AdminStage,
  more: Partial<Extract<EventBody, { kind: "succeeded" }>> = {},
): string {
  const effects = stage.take({
    kind: "succeeded",
    room: ROOM,
    identity: identityOf("ada"),
    fingerprint: "f",
    purpose: "deputy",
    from: stage.room.epoch,
    valid: true,
    ...more,
  });
  const [warning] = said(effects, "warning");
  return warning?.code ?? (outline(effects).includes("step-down") ? "yields" : "nothing");
}

const grants = (effects: readonly Effect[]) => orders(effects, "grant").map(({ leaf }) => leaf);

Deno.test("a deputy is given the room key when it is heard, and once more whenever it is back", () => {
  const stage = AdminStage.founded();
  stage.admits("ada");
  const leaf = stage.leafOf("ada");
  stage.hears(leaf);
  stage.vanishes(leaf);
  stage.commands("/deputy ada");
  assert.deepEqual(grants(stage.finish()), []);
  assert.deepEqual(grants(stage.hears(leaf, "heartbeat", handleOf(77))), [leaf]);
  assert.deepEqual(grants(stage.hears(leaf, "heartbeat", handleOf(77))), []);
  stage.commands("/rekey");
  assert.deepEqual(grants(stage.finish()), []);
  stage.take({ kind: "gone", room: ROOM, handle: handleOf(77), reason: "closed" });
  assert.deepEqual(grants(stage.hears(leaf, "heartbeat", handleOf(78))), [leaf]);
});

Deno.test("/deputy says what it has done, on and off", () => {
  const stage = AdminStage.founded();
  stage.admits("ada");
  const told = (line: string) => said(stage.commands(line), "info").map(({ text }) => text);
  assert.match(told("/deputy ada").join(), /^ada may take over den/);
  assert.match(told("/deputy ada off").join(), /^ada is no deputy of den any more/);
});

Deno.test("a deputy that comes in anew is named by an epoch before it is given the room key again", () => {
  const stage = withDeputy();
  stage.hears(stage.leafOf("ada"));
  stage.asks("ada");
  const into = stage.finish();
  const leaf = stage.leafOf("ada");
  assert.deepEqual(stage.room.deputies, []);
  // The epoch that lets it in cannot name it: the next does, at once.
  assert.deepEqual(grants([...into, ...stage.hears(leaf)]), []);
  assert.deepEqual(stage.making?.deputies, [leaf]);
  assert.deepEqual(grants(stage.finish()), [leaf]);
  assert.equal(stage.making, null);
});

Deno.test("an admin that was away for long yields to its deputy, however much later it hears of it", () => {
  for (const laterMs of [0, 31_000, 600_000]) {
    const stage = withDeputy();
    const from = stage.room.epoch;
    loses(stage, 60_000);
    stage.ticks(2000);
    stage.after(laterMs);
    stage.commands("/rekey");
    if (stage.making !== null) stage.finish();
    assert.equal(claims(stage, { from }), "yields");
    assert.deepEqual(stage.state.rooms, []);
  }
});

Deno.test("an admin whose machine slept counts from when the connection died, not from when it found out", () => {
  for (const [deadForMs, answer] of [[59_000, "fork"], [60_000, "yields"]] as const) {
    const stage = withDeputy();
    const from = stage.room.epoch;
    stage.after(deadForMs);
    loses(stage, 0, stage.at - deadForMs);
    stage.ticks(2000);
    assert.equal(claims(stage, { from }), answer);
  }
});

Deno.test("an admin that was there, or away for a moment, yields to no deputy", () => {
  assert.equal(claims(withDeputy()), "fork");
  const stage = withDeputy();
  loses(stage, 59_000);
  assert.equal(claims(stage), "fork");
});

Deno.test("a claim from an epoch that began after the absence is refused", () => {
  const stage = withDeputy();
  loses(stage, 60_000);
  stage.ticks(2000);
  stage.commands("/rekey");
  stage.finish();
  assert.equal(claims(stage), "fork");
  assert.equal(claims(stage, { from: stage.room.epoch - 1 }), "yields");
});

Deno.test("who is no deputy any more, or has gone on with the admin, is refused", () => {
  const stage = withDeputy();
  const from = stage.room.epoch;
  loses(stage, 60_000);
  stage.ticks(2000);
  assert.equal(claims(stage, { from, valid: false }), "fork");
  stage.commands("/deputy ada off");
  stage.finish();
  assert.equal(claims(stage, { from }), "fork");
});

Deno.test("to take a deputy off counts once an epoch says so: an admin yields before, and says it; a kick counts at once", () => {
  for (const [line, answer] of [["/deputy ada off", "yields"], ["/kick ada", "fork"]] as const) {
    const stage = withDeputy();
    const from = stage.room.epoch;
    stage.take({ kind: "link-ended", code: "reset", message: "it broke" });
    stage.commands(line);
    loses(stage, 60_000);
    assert.equal(claims(stage, { from }), answer);
    const told = said(stage.all, "info").some(({ text }) => text.includes("do not want it"));
    assert.equal(told, answer === "yields");
  }
});

Deno.test("an admin yields while its own next epoch is made: that one is not published", () => {
  const stage = withDeputy();
  loses(stage, 60_000);
  stage.ticks(2000);
  stage.commands("/rekey");
  assert.ok(stage.making !== null);
  assert.equal(claims(stage), "yields");
  assert.deepEqual(outline(stage.made()), []);
  assert.deepEqual(outline(stage.saved()), []);
});

Deno.test("a hand-over is the admin's own word, but not to whom it kicked", () => {
  const stage = withDeputy();
  assert.equal(claims(stage, { purpose: "hand-over" }), "yields");
  const other = withDeputy();
  other.commands("/kick ada");
  assert.equal(claims(other, { purpose: "hand-over" }), "fork");
});

Deno.test("an admin with deputies asks all members who is there; one without asks the owners", () => {
  const deputies = withDeputy();
  deputies.take({ kind: "link-ended", code: "reset", message: "it broke" });
  const entered = { kind: "entered", room: ROOM, handle: MY_HANDLE, role: "owner" } as const;
  const asked = deputies.take({ ...entered, ownerPresent: true });
  assert.deepEqual(orders(asked, "ask-owners").map(({ all }) => all), [true]);
  const alone = AdminStage.founded();
  alone.take({ kind: "link-ended", code: "reset", message: "it broke" });
  const again = alone.take({ ...entered, ownerPresent: true });
  assert.deepEqual(orders(again, "ask-owners").map(({ all }) => all), [false]);
});

Deno.test("an admin whose tickets the relay does not take any more asks whom the members follow", () => {
  const stage = AdminStage.founded();
  const refused = { kind: "refused", room: ROOM, code: "ticket-revoked", message: "old" } as const;
  assert.deepEqual(orders(stage.take(refused), "ask-owners").map(({ all }) => all), [true]);
  assert.deepEqual(orders(stage.take({ ...refused, code: "room-full" }), "ask-owners"), []);
});

Deno.test("an admin that meets later epochs than its own asks whom the members follow, twice a minute", () => {
  const stage = AdminStage.founded();
  const meets = (): number =>
    orders(stage.take({ kind: "fell-behind", room: ROOM, sure: false }), "ask-owners").length;
  assert.deepEqual([meets(), meets(), meets()], [1, 0, 0]);
  stage.ticks(30_000);
  assert.deepEqual([meets(), meets()], [1, 0]);
});

Deno.test("an admin of before asks for what it is told of its own epochs, and names who is not there any more", () => {
  const stage = withDeputy();
  stage.admits("bob");
  const bob = stage.leafOf("bob");
  const { epoch } = stage.room;
  loses(stage, 100_000);
  assert.equal(claims(stage), "yields");
  stage.take({
    kind: "joined",
    room: ROOM,
    roomName: "den",
    epoch: epoch + 64,
    myLeaf: 9,
    adminLeaf: 1,
    deputies: [],
    roster: [entry(1, "ada"), entry(9, "owl")],
    safetyCode: CODE,
  });
  const gaps = [{ epoch, numbers: [0] }];
  const told = stage.take({ kind: "gaps-told", room: ROOM, gaps: [{ leaf: bob, gaps }] });
  assert.deepEqual(outline(told), ["request-repair"]);
  stage.ticks(60_000);
  assert.deepEqual(said(stage.all, "missing").map(({ from, count }) => [from, count]), [[
    "bob",
    1,
  ]]);
});
