import assert from "node:assert/strict";
import { MAX_LEAVES } from "../../src/wire/limits.ts";
import { AdminStage } from "../support/admin_stage.ts";
import type { Effect } from "../../src/session/effect.ts";
import { orders, outline, said } from "../support/pure_step.ts";
import { entry, handleOf, identityOf, ROOM } from "../support/session_stage.ts";

const denials = (effects: Parameters<typeof orders>[0]) =>
  orders(effects, "deny").map((d) => d.code);

Deno.test("whoever knocks is greeted", () => {
  const stage = AdminStage.founded();
  const handle = handleOf(7);
  assert.deepEqual(stage.take({ kind: "knocked", room: ROOM, handle }), [
    { kind: "greet", room: ROOM, handle },
  ]);
});

Deno.test("an invite admits, is spent before the commit is made, and what is left is saved with it", () => {
  const stage = AdminStage.founded();
  const invite = stage.invites(2);
  const effects = stage.asks("fox", { invite });
  assert.deepEqual(orders(effects, "make-commit"), [{
    kind: "make-commit",
    room: ROOM,
    reason: "join",
    adds: [{ request: "r1", via: "shared-link" }],
    removes: [],
    deputies: [],
  }]);
  assert.equal(stage.admin.invites[0]?.usesLeft, 1);
  const [save] = orders(stage.made(), "save-commit");
  assert.equal(save?.epoch, 2);
  assert.deepEqual(save?.invites.map((i) => [i.id, i.usesLeft]), [[invite, 1]]);
  assert.deepEqual(save?.known, [identityOf("fox")]);
  assert.deepEqual(stage.saved(), [{ kind: "publish-commit", room: ROOM, epoch: 2 }]);
});

Deno.test("a single invite admits one, the second of the same moment is refused", () => {
  const stage = AdminStage.founded();
  const invite = stage.invites(1);
  assert.equal(orders(stage.asks("fox", { invite }), "make-commit")[0]?.adds[0]?.via, "invite");
  assert.deepEqual(denials(stage.asks("elk", { invite })), ["invite-invalid"]);
  assert.equal(stage.admin.invites[0]?.usesLeft, 0);
  stage.finishAll();
  assert.deepEqual(stage.names, ["owl", "fox"]);
});

Deno.test("who asks again before the commit that lets it in spends the invite once", () => {
  const stage = AdminStage.founded();
  const invite = stage.invites(1);
  stage.asks("fox", { invite });
  const again = stage.asks("fox", { invite });
  assert.deepEqual(denials(again), []);
  stage.finishAll();
  assert.deepEqual(stage.names, ["owl", "fox"]);
  assert.equal(stage.admin.invites[0]?.usesLeft, 0);
});

Deno.test("who is let in or was is let in again when its invite is revoked, and nobody else", () => {
  const stage = AdminStage.founded();
  const invite = stage.invites(5);
  stage.asks("fox", { invite });
  assert.deepEqual(denials(stage.asks("fox", { invite: "unknown" })), []);
  stage.finishAll();
  assert.deepEqual(denials(stage.asks("fox", { invite: "unknown" })), []);
  assert.deepEqual(denials(stage.asks("elk", { invite: "unknown" })), ["invite-invalid"]);
  stage.finishAll();
  stage.commands("/kick fox");
  stage.finishAll();
  assert.deepEqual(denials(stage.asks("fox", { invite: "unknown" })), ["invite-invalid"]);
});

Deno.test("an invite is good until its last millisecond", () => {
  const early = AdminStage.founded();
  const good = early.invites(1, 1000);
  assert.deepEqual(denials(early.after(999).asks("fox", { invite: good })), []);
  const late = AdminStage.founded();
  const expired = late.invites(1, 1000);
  assert.deepEqual(denials(late.after(1000).asks("fox", { invite: expired })), ["invite-invalid"]);
});

Deno.test("an invite that the record does not have is refused", () => {
  const stage = AdminStage.founded();
  assert.deepEqual(denials(stage.asks("fox", { invite: "ab".repeat(8) })), ["invite-invalid"]);
});

Deno.test("whom the room does not let in is told, in a flood one in ten seconds and how many more", () => {
  const stage = AdminStage.founded();
  const told = (effects: readonly Effect[]) => said(effects, "info").map(({ text }) => text);
  const [first = "", ...more] = told(stage.asks("fox", { invite: "unknown" }));
  assert.deepEqual(more, []);
  assert.match(first, /^fox was not let into den: its invite is unknown.*\/invite/);
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(told(stage.asks(`elk${i}`, { invite: "unknown" })), []);
  }
  assert.deepEqual(told(stage.ticks(9_000)), []);
  assert.deepEqual(told(stage.ticks(1_000)), ["3 more requests to join den refused since"]);
  assert.deepEqual(told(stage.ticks(10_000)), []);
  assert.match(
    told(stage.asks("owl", { invite: "unknown" }))[0] ?? "",
    /^owl was not let .* own identity/,
  );
});

Deno.test("a request that nobody answers for ten minutes is refused, and the person told", () => {
  const stage = AdminStage.founded();
  stage.asks("fox");
  const effects = stage.ticks(10 * 60_000);
  assert.deepEqual(denials(effects), ["denied"]);
  assert.match(said(effects, "info")[0]?.text ?? "", /^fox had no answer for 10 minutes/);
});

Deno.test("a bundle that did not verify is answered at its greeting and told", () => {
  const stage = AdminStage.founded();
  const refused = { room: ROOM, handle: handleOf(7), na: "cd".repeat(32), code: "bad-request" };
  const effects = stage.take({
    kind: "bundle-refused",
    ...refused,
    code: "bad-request",
    why: "the box does not open",
  });
  assert.deepEqual(outline(effects), ["refuse-bundle", "info"]);
  assert.deepEqual(effects[0], { kind: "refuse-bundle", ...refused });
});

Deno.test("somebody without an invite is asked about, and told so", () => {
  const stage = AdminStage.founded();
  const effects = stage.asks("fox");
  assert.deepEqual(outline(effects), ["say-pending", "join-request"]);
  assert.deepEqual(said(effects, "join-request"), [{
    type: "join-request",
    room: "den",
    roomId: ROOM,
    request: "r1",
    name: "fox",
    identity: identityOf("fox"),
    fingerprint: identityOf("fox").slice(0, 32),
  }]);
});

Deno.test("/admit by name, by number, or of the only one; the via is approved", () => {
  for (const line of ["/admit fox", "/admit r1", "/admit"]) {
    const stage = AdminStage.founded();
    stage.asks("fox");
    const effects = stage.commands(line, { ref: "a" });
    assert.deepEqual(orders(effects, "make-commit")[0]?.adds, [{ request: "r1", via: "approved" }]);
    assert.deepEqual(said(effects, "ok"), [{ type: "ok", ref: "a" }]);
    assert.deepEqual(stage.admin.requests, []);
  }
});

Deno.test("/deny refuses, and the request is gone", () => {
  const stage = AdminStage.founded();
  stage.asks("fox");
  assert.deepEqual(outline(stage.commands("/deny fox", { ref: "d" })), ["deny", "info", "ok"]);
  const [error] = said(stage.commands("/admit fox", { ref: "e" }), "error");
  assert.deepEqual([error?.code, error?.ref], ["no-such-request", "e"]);
});

Deno.test("/admit of nobody, or of one name of two, says who waits", () => {
  const stage = AdminStage.founded();
  stage.asks("fox");
  stage.asks("fox", { identity: identityOf("fox2") });
  const message = (line: string) => said(stage.commands(line), "error")[0]?.message ?? "";
  assert.match(message("/admit elk"), /nobody of that name waits; waiting: fox \(r1\), fox \(r2\)/);
  const shown = [...stage.asked.values()].map(({ identity }) => identity.slice(0, 32));
  assert.equal(
    message("/admit fox"),
    "more than one fox waits: use the number, " +
      `r1 (fingerprint ${shown[0]}), r2 (fingerprint ${shown[1]})`,
  );
  assert.match(message("/admit"), /r1/);
  assert.equal(stage.making, null);
});

Deno.test("of two of one name the second cannot be admitted any more, and learns why", () => {
  const stage = AdminStage.founded();
  stage.asks("fox");
  stage.asks("FÖX", { identity: identityOf("fox2") });
  stage.commands("/admit r1");
  const effects = stage.commands("/admit r2", { ref: "a" });
  assert.deepEqual(denials(effects), ["name-taken"]);
  assert.deepEqual(said(effects, "error").map((e) => [e.code, e.ref]), [["name-taken", "a"]]);
  stage.finishAll();
  assert.deepEqual(stage.names, ["owl", "fox"]);
});

for (const [name, why] of [["FOX", "case"], ["fóx", "marks"], ["ｆｏｘ", "width"]] as const) {
  Deno.test(`a name that differs by ${why} alone is refused: ${name}`, () => {
    const stage = AdminStage.founded();
    const invite = stage.invites(9);
    stage.admits("fox");
    assert.deepEqual(denials(stage.asks(name, { invite })), ["name-taken"]);
    assert.equal(stage.admin.invites[0]?.usesLeft, 9);
  });
}

Deno.test("a name of the commit on its way is taken, and one of the commit after it", () => {
  const stage = AdminStage.founded();
  const invite = stage.invites(9);
  stage.asks("fox", { invite });
  stage.asks("elk", { invite });
  assert.equal(stage.admin.adds.length, 1);
  for (const name of ["Fox", "Elk", "Owl"]) {
    assert.deepEqual(denials(stage.asks(name, { invite, identity: "77".repeat(32) })), [
      "name-taken",
    ]);
  }
});

Deno.test("a member may come back under its name", () => {
  const stage = AdminStage.founded();
  stage.admits("fox");
  const effects = stage.asks("Fox", { identity: identityOf("fox") });
  assert.deepEqual(orders(effects, "make-commit"), [{
    kind: "make-commit",
    room: ROOM,
    reason: "join",
    adds: [{ request: "r2", via: "known" }],
    removes: [{ leaf: 1, reason: "replaced" }],
    deputies: [],
  }]);
  stage.finishAll();
  assert.deepEqual(stage.room.members.map((m) => [m.name, m.leaf]), [["owl", 0], ["Fox", 2]]);
});

Deno.test("a newer bundle of somebody on the way in takes the place of the one before", () => {
  const stage = AdminStage.founded();
  stage.asks("bat");
  stage.commands("/admit bat");
  stage.asks("fox");
  stage.commands("/admit fox");
  stage.asks("fox");
  stage.commands("/admit fox");
  assert.deepEqual(stage.admin.adds.map((a) => a.request), ["r3"]);
  stage.finishAll();
  assert.deepEqual(stage.names, ["owl", "bat", "fox"]);
});

Deno.test("somebody known is admitted without a question, with an invite or not, and spends none", () => {
  const kept = { invites: [], barred: [], known: [identityOf("fox")] };
  const stage = AdminStage.founded({}, kept);
  const invite = stage.invites(1);
  assert.equal(orders(stage.asks("fox"), "make-commit")[0]?.adds[0]?.via, "known");
  stage.finishAll();
  stage.hears(1, "leave");
  stage.finishAll();
  assert.equal(orders(stage.asks("fox", { invite }), "make-commit")[0]?.adds[0]?.via, "known");
  assert.equal(stage.admin.invites[0]?.usesLeft, 1);
});

Deno.test("a barred identity is not admitted by an invite nor as known, but by /admit", () => {
  const stage = AdminStage.founded();
  const first = stage.invites(5);
  stage.asks("fox", { invite: first });
  stage.finishAll();
  stage.commands("/kick fox");
  stage.finishAll();
  const second = stage.invites(1);
  assert.deepEqual(outline(stage.asks("fox", { invite: second })), ["say-pending", "join-request"]);
  assert.equal(stage.admin.invites.at(-1)?.usesLeft, 1);
  assert.deepEqual(outline(stage.asks("fox")), ["say-pending", "join-request"]);
  assert.deepEqual(stage.admin.barred, [identityOf("fox")]);
  stage.commands("/admit fox");
  assert.deepEqual(stage.admin.barred, []);
  stage.finishAll();
  assert.deepEqual(stage.names, ["owl", "fox"]);
  assert.deepEqual(stage.admin.known, [identityOf("fox")]);
});

Deno.test("our own identity is not admitted from elsewhere: it would take our own leaf's place", () => {
  const stage = AdminStage.founded();
  const invite = stage.invites(5);
  for (const more of [{}, { invite }]) {
    assert.deepEqual(denials(stage.asks("owl2", { ...more, identity: identityOf("owl") })), [
      "denied",
    ]);
  }
  assert.equal(stage.making, null);
});

Deno.test("64 requests wait at most, one more is told that the room is full", () => {
  const stage = AdminStage.founded();
  for (let i = 0; i < 64; i++) assert.deepEqual(denials(stage.asks(`m${i}`)), []);
  assert.deepEqual(denials(stage.asks("one more")), ["room-full"]);
  // A newer bundle of one who waits takes its own place.
  assert.deepEqual(denials(stage.asks("m0")), []);
  assert.equal(stage.admin.requests.length, 64);
  assert.equal(stage.admin.requests.at(-1)?.request, "r66");
  assert.ok(stage.admin.requests.every((r) => r.request !== "r1"));
});

Deno.test("a request is denied after ten minutes, and not before", () => {
  const stage = AdminStage.founded();
  stage.asks("fox");
  assert.deepEqual(orders(stage.ticks(10 * 60_000 - 1), "deny"), []);
  assert.deepEqual(denials(stage.ticks(1)), ["denied"]);
  assert.deepEqual(stage.admin.requests, []);
  assert.deepEqual(orders(stage.ticks(1), "deny"), []);
});

Deno.test("a request of somebody who went away is forgotten", () => {
  const stage = AdminStage.founded();
  stage.asks("fox", { handle: handleOf(50) });
  stage.asks("elk", { handle: handleOf(51) });
  stage.take({ kind: "gone", room: ROOM, handle: handleOf(50), reason: "closed" });
  assert.deepEqual(stage.admin.requests.map((r) => r.name), ["elk"]);
});

Deno.test("MAX_LEAVES people are let in, those on their way counted", () => {
  const stage = AdminStage.founded();
  const more = stage.invites(1000);
  const inTheRoom = MAX_LEAVES - 3;
  stage.take({
    kind: "epoch-began",
    room: ROOM,
    epoch: 2,
    reason: "join",
    adminLeaf: 0,
    deputies: [],
    added: Array.from({ length: inTheRoom - 1 }, (_, i) => entry(10_000 + i, `m${i}`)),
    removed: [],
    safetyCode: "x",
  });
  assert.equal(stage.room.members.length, inTheRoom);
  stage.asks("late 1", { invite: more });
  stage.asks("late 2", { invite: more });
  assert.deepEqual([stage.admin.making?.adds.length, stage.admin.adds.length], [1, 1]);
  stage.asks("waits");
  assert.deepEqual(denials(stage.asks("late 3", { invite: more })), []);
  assert.deepEqual(denials(stage.asks("late 4", { invite: more })), ["room-full"]);
  const effects = stage.commands("/admit waits", { ref: "a" });
  assert.deepEqual(denials(effects), ["room-full"]);
  assert.deepEqual(said(effects, "error").map((e) => [e.code, e.ref]), [["room-full", "a"]]);
  stage.finishAll();
  assert.equal(stage.room.members.length, MAX_LEAVES);
});

Deno.test("who waits is shown to the faces", async () => {
  const { adminRole } = await import("../../src/admin/role.ts");
  const stage = AdminStage.founded();
  stage.asks("fox");
  const view = adminRole.view(stage.state);
  assert.equal(view.role, "admin");
  assert.deepEqual(view.rooms[0]?.requests, [{ request: "r1", name: "fox" }]);
});
