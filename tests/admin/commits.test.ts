import assert from "node:assert/strict";
import { DEFAULT_ADMIN_OPTIONS } from "../../src/admin/role.ts";
import { AdminStage } from "../support/admin_stage.ts";
import { orders, outline, said } from "../support/pure_step.ts";
import {
  CODE,
  entry,
  handleOf,
  identityOf,
  MY_HANDLE,
  OTHER_ROOM,
  ROOM,
} from "../support/session_stage.ts";

const GRACE_MS = DEFAULT_ADMIN_OPTIONS.graceMs;

Deno.test("the first commit founds the room when the relay has let us in as owner", () => {
  const stage = new AdminStage({ firstInvite: { uses: 3, lifeMs: 7200_000 } });
  stage.take({ kind: "connected", host: "h", port: 1, pin: "07".repeat(32) });
  assert.deepEqual(outline(stage.take({ kind: "room-prepared", room: ROOM, name: "den" })), [
    "enter",
  ]);
  const owner = { room: ROOM, handle: handleOf(1), role: "owner", ownerPresent: true } as const;
  assert.deepEqual(stage.take({ kind: "entered", ...owner }), [
    { kind: "make-commit", room: ROOM, reason: "founded", adds: [], removes: [], deputies: [] },
  ]);
  assert.deepEqual(outline(stage.made()), ["save-commit"]);
  assert.deepEqual(outline(stage.saved()), ["publish-commit"]);
  const effects = stage.published();
  assert.deepEqual(outline(effects), ["joined", "make-invite"]);
  assert.deepEqual(orders(effects, "make-invite"), [
    { kind: "make-invite", room: ROOM, uses: 3, expiresAt: stage.at + 7200_000 },
  ]);
  // Later epochs make no invite, and entering again founds nothing.
  stage.commands("/rekey");
  assert.equal(orders(stage.finish(), "make-invite").length, 0);
  assert.deepEqual(outline(stage.take({ kind: "entered", ...owner })), ["ask-owners"]);
});

Deno.test("an invite that was made is told and saved, with those that are good still", () => {
  const stage = AdminStage.founded();
  const old = stage.invites(1, 1000);
  stage.after(1000);
  const effects = stage.take({
    kind: "invite-made",
    room: ROOM,
    invite: "12".repeat(8),
    url: "stm://x/#y",
    uses: 2,
    expiresAt: stage.at + 5000,
    ref: "i",
  });
  assert.deepEqual(outline(effects), ["save-invites", "invite", "ok"]);
  const [save] = orders(effects, "save-invites");
  assert.deepEqual(save?.invites, [{
    id: "12".repeat(8),
    usesLeft: 2,
    shared: true,
    expiresAt: stage.at + 5000,
    revoked: false,
  }]);
  assert.ok(stage.admin.invites.every((i) => i.id !== old));
  assert.deepEqual(said(effects, "invite")[0], {
    type: "invite",
    room: "den",
    roomId: ROOM,
    invite: "12".repeat(8),
    url: "stm://x/#y",
    uses: 2,
    expires: new Date(stage.at + 5000).toISOString(),
  });
});

Deno.test("/rekey and /invite with more behind them than they take do nothing", () => {
  for (const line of ["/rekey fox", "/invite 5 48 fox"]) {
    const effects = AdminStage.founded().commands(line, { ref: "c" });
    assert.deepEqual(said(effects, "error").map((e) => [e.code, e.ref]), [["usage", "c"]]);
    assert.equal(effects.length, 1);
  }
});

Deno.test("/invite takes uses and hours; what is no number of either is refused with an example", () => {
  const stage = AdminStage.founded();
  const [plain] = orders(stage.commands("/invite", { ref: "i" }), "make-invite");
  assert.deepEqual([plain?.uses, plain?.expiresAt, plain?.ref], [1, stage.at + 24 * 3600_000, "i"]);
  const [five] = orders(stage.commands("/invite 5 0.5"), "make-invite");
  assert.deepEqual([five?.uses, five?.expiresAt], [5, stage.at + 1800_000]);
  assert.equal(orders(stage.commands("/invite 1000 8784"), "make-invite").length, 1);
  for (const line of ["0", "-1", "1.5", "x", "1001", '""', "1 0", "1 -5", "1 x", "1 8785"]) {
    const effects = stage.commands(`/invite ${line}`, { ref: "i" });
    assert.deepEqual(outline(effects), ["error"], line);
    const [error] = said(effects, "error");
    assert.deepEqual([error?.code, error?.ref], ["usage", "i"]);
    assert.match(error?.message ?? "", /\/invite 5/);
  }
});

Deno.test("those who are admitted while a commit is made share the next one", () => {
  const stage = AdminStage.founded();
  const invite = stage.invites(9);
  stage.asks("fox", { invite });
  for (const name of ["elk", "bat", "cat"]) {
    assert.deepEqual(orders(stage.asks(name, { invite }), "make-commit"), []);
  }
  assert.deepEqual(stage.made().filter((e) => e.kind === "make-commit"), []);
  assert.deepEqual(stage.saved().filter((e) => e.kind === "make-commit"), []);
  const [next] = orders(stage.published(), "make-commit");
  assert.deepEqual(next?.adds.map((a) => a.request), ["r2", "r3", "r4"]);
  stage.finishAll();
  assert.deepEqual(stage.names, ["owl", "fox", "elk", "bat", "cat"]);
  assert.equal(stage.room.epoch, 3);
});

Deno.test("a change of any kind that comes during a commit goes into the next, together", () => {
  const stage = AdminStage.founded();
  const invite = stage.invites(9);
  stage.admits("fox", "elk", "bat");
  stage.commands("/rekey");
  const before = stage.leafOf("elk");
  stage.hears(before, "leave");
  stage.commands("/kick fox");
  // The kick revoked the shared invite before cat came with it.
  assert.equal(orders(stage.asks("cat", { invite }), "deny")[0]?.code, "invite-invalid");
  stage.asks("dog");
  stage.commands("/admit dog");
  assert.deepEqual(orders(stage.finish(), "make-commit"), [{
    kind: "make-commit",
    room: ROOM,
    reason: "kick",
    adds: [{ request: stage.lastRequest, via: "approved" }],
    removes: [{ leaf: before, reason: "left" }, { leaf: 1, reason: "kicked" }],
    deputies: [],
  }]);
  stage.finishAll();
  assert.deepEqual(stage.names, ["owl", "bat", "dog"]);
});

Deno.test("no commit holds more than 200 newcomers; the others are in the next", () => {
  const stage = AdminStage.founded();
  const invite = stage.invites(500);
  stage.asks("first", { invite });
  for (let i = 0; i < 201; i++) stage.asks(`m${i}`, { invite });
  const [second] = orders(stage.finish(), "make-commit");
  assert.equal(second?.adds.length, 200);
  const [third] = orders(stage.finish(), "make-commit");
  assert.deepEqual(third?.adds.map((a) => a.request), ["r202"]);
  stage.finishAll();
  assert.equal(stage.names.length, 203);
});

Deno.test("a kick bars, revokes the invite that was used and all shared ones, and makes a commit", () => {
  const stage = AdminStage.founded();
  const [single, shared, other] = [stage.invites(1), stage.invites(5), stage.invites(1)];
  stage.asks("fox", { invite: single });
  stage.finishAll();
  const effects = stage.commands("/kick fox", { ref: "k" });
  assert.deepEqual(orders(effects, "make-commit"), [{
    kind: "make-commit",
    room: ROOM,
    reason: "kick",
    adds: [],
    removes: [{ leaf: 1, reason: "kicked" }],
    deputies: [],
  }]);
  assert.deepEqual(said(effects, "ok"), [{ type: "ok", ref: "k" }]);
  assert.deepEqual(
    stage.admin.invites.map((i) => [i.id, i.revoked]),
    [[single, true], [shared, true], [other, false]],
  );
  const [save] = orders(stage.made(), "save-commit");
  assert.deepEqual([save?.barred, save?.known], [[identityOf("fox")], []]);
  assert.deepEqual(save?.invites.map((i) => i.revoked), [true, true, false]);
  // A revoked invite admits nobody any more, a good one does.
  const deny = (invite: string, name: string) =>
    orders(stage.asks(name, { invite }), "deny").map((d) => d.code);
  assert.deepEqual(deny(shared, "elk"), ["invite-invalid"]);
  assert.deepEqual(deny(other, "bat"), []);
});

Deno.test("oneself cannot be kicked, nor somebody who is not there", () => {
  const stage = AdminStage.founded();
  const codes = (line: string) =>
    said(stage.commands(line, { ref: "k" }), "error").map((e) => [e.code, e.ref]);
  assert.deepEqual(codes("/kick owl"), [["usage", "k"]]);
  assert.deepEqual(codes("/kick fax"), [["no-such-member", "k"]]);
  assert.deepEqual(codes("/kick"), [["usage", "k"]]);
  assert.equal(stage.making, null);
});

Deno.test("a kick of somebody who is on the way in again keeps them out", () => {
  const stage = AdminStage.founded();
  stage.admits("fox");
  stage.commands("/rekey");
  stage.asks("fox");
  assert.equal(stage.admin.adds.length, 1);
  const effects = stage.commands("/kick fox");
  assert.deepEqual(orders(effects, "deny").map((d) => [d.request, d.code]), [["r2", "denied"]]);
  assert.deepEqual(stage.admin.adds, []);
  stage.finishAll();
  assert.deepEqual(stage.names, ["owl"]);
  assert.deepEqual(stage.admin.known, []);
});

Deno.test("a kick of somebody whose return is being committed removes the new leaf too", () => {
  const stage = AdminStage.founded();
  stage.admits("fox");
  stage.asks("fox");
  stage.commands("/kick fox");
  stage.finishAll();
  assert.deepEqual(stage.names, ["owl"]);
  assert.deepEqual(stage.admin.known, []);
  const reasons = orders(stage.all, "make-commit").map((m) => m.reason);
  assert.equal(reasons.at(-1), "kick", "a kick brings a new room secret");
});

Deno.test("a kick without a connection says that it waits, and is made with the next one", () => {
  const stage = AdminStage.founded();
  stage.admits("fox");
  stage.take({ kind: "link-ended", code: "reset", message: "it broke" });
  const [told] = said(stage.commands("/kick fox"), "info");
  assert.match(told?.text ?? "", /^fox is in den until you are connected again/);
  assert.deepEqual(orders(stage.all, "make-commit").map(({ reason }) => reason), [
    "founded",
    "join",
  ]);
  stage.take({ kind: "entered", room: ROOM, handle: MY_HANDLE, role: "owner", ownerPresent: true });
  const [kick] = orders(stage.ticks(5_000), "make-commit");
  assert.deepEqual([kick?.reason, kick?.removes], ["kick", [{ leaf: 1, reason: "kicked" }]]);
});

Deno.test("by which invite somebody came is known as long as the invite is", () => {
  const stage = AdminStage.founded();
  const invite = stage.invites(1);
  stage.asks("fox", { invite });
  stage.finishAll();
  assert.deepEqual(stage.admin.cameBy, { [identityOf("fox")]: invite });
  stage.invites(1);
  assert.deepEqual(stage.admin.cameBy, { [identityOf("fox")]: invite });
  stage.ticks(25 * 3600_000);
  stage.invites(1);
  assert.deepEqual(stage.admin.cameBy, {});
});

Deno.test("a kick of somebody who was about to be removed as gone is a kick", () => {
  const stage = AdminStage.founded();
  stage.admits("fox");
  stage.hears(1);
  stage.commands("/rekey");
  stage.vanishes(1);
  stage.ticks(GRACE_MS);
  assert.deepEqual(stage.admin.removes, [{ leaf: 1, reason: "gone" }]);
  stage.commands("/kick fox");
  const [next] = orders(stage.finish(), "make-commit");
  assert.deepEqual([next?.reason, next?.removes], ["kick", [{ leaf: 1, reason: "kicked" }]]);
});

Deno.test("somebody who was kicked is asked about even before the kick's commit is out", () => {
  const stage = AdminStage.founded();
  stage.admits("fox");
  stage.commands("/kick fox");
  assert.deepEqual(outline(stage.asks("fox")), ["say-pending", "join-request"]);
  stage.finishAll();
  assert.deepEqual(stage.names, ["owl"]);
});

Deno.test("a LEAVE of somebody removed already, or of ourselves, makes no commit", () => {
  const stage = AdminStage.founded();
  stage.admits("fox");
  stage.commands("/kick fox");
  stage.finishAll();
  for (const leaf of [1, 0]) {
    assert.deepEqual(orders(stage.hears(leaf, "leave"), "make-commit"), []);
    stage.ticks(GRACE_MS);
    assert.equal(stage.making, null);
    assert.deepEqual(stage.admin.removes, []);
  }
});

Deno.test("somebody who says LEAVE is removed by a commit of that reason, once", () => {
  const stage = AdminStage.founded();
  stage.admits("fox", "elk");
  const effects = stage.hears(1, "leave");
  assert.deepEqual(orders(effects, "make-commit").map((m) => [m.reason, m.removes]), [
    ["leave", [{ leaf: 1, reason: "left" }]],
  ]);
  stage.ticks();
  stage.finishAll();
  assert.deepEqual(orders(stage.all, "make-commit").filter((m) => m.removes.length > 0).length, 1);
  assert.deepEqual(stage.names, ["owl", "elk"]);
});

Deno.test("somebody who is away is removed after the grace, not before, and not if they came back", () => {
  const stage = AdminStage.founded();
  stage.admits("fox", "elk");
  for (const leaf of [1, 2]) stage.hears(leaf);
  for (const leaf of [1, 2]) stage.vanishes(leaf);
  stage.ticks(GRACE_MS - 1);
  assert.equal(stage.making, null);
  stage.hears(2, "heartbeat", handleOf(99));
  stage.ticks(1);
  assert.deepEqual(stage.admin.making?.removes, [{ leaf: 1, reason: "gone" }]);
  assert.equal(orders(stage.all, "make-commit").at(-1)?.reason, "gone");
  stage.finishAll();
  assert.deepEqual(stage.names, ["owl", "elk"]);
});

Deno.test("a removal of somebody whom the commit before removed already makes no commit", () => {
  const stage = AdminStage.founded();
  stage.admits("fox");
  stage.hears(1);
  // A newer bundle replaces leaf 1; while that commit is made, leaf 1 says LEAVE, and is away for long.
  stage.asks("fox");
  stage.hears(1, "leave");
  stage.ticks(GRACE_MS);
  assert.deepEqual(orders(stage.finish(), "make-commit"), []);
  assert.deepEqual(stage.names, ["owl", "fox"]);
  assert.deepEqual(stage.admin.removes, []);
});

Deno.test("the key is changed when its time has come, and /rekey changes it at once", () => {
  const stage = AdminStage.founded({ rekeyEveryMs: 3600_000 });
  stage.ticks(3600_000 - 1);
  assert.equal(stage.making, null);
  const [timed] = orders(stage.ticks(1), "make-commit");
  assert.deepEqual([timed?.reason, timed?.adds, timed?.removes], ["rekey", [], []]);
  stage.ticks(3600_000);
  stage.finishAll();
  assert.equal(stage.room.epoch, 2, "one timer made one commit");
  // Any epoch begins the time anew.
  stage.after(3600_000 - 1).commands("/rekey", { ref: "k" });
  stage.finishAll();
  assert.equal(stage.room.epoch, 3);
  stage.ticks(1);
  assert.equal(stage.making, null);
});

Deno.test("a member's fresh key is acknowledged", () => {
  const stage = AdminStage.founded();
  assert.deepEqual(
    stage.take({ kind: "kem-updated", room: ROOM, leaf: 1, handle: handleOf(1) }),
    [{ kind: "ack-kem", room: ROOM, leaf: 1, handle: handleOf(1) }],
  );
});

/** An admin that is also a member of somebody else's room. */
function withGuestRoom(): AdminStage {
  const stage = AdminStage.founded();
  stage.take({ kind: "room-prepared", room: OTHER_ROOM, name: "loft" });
  stage.take({
    kind: "joined",
    room: OTHER_ROOM,
    roomName: "loft",
    epoch: 3,
    myLeaf: 1,
    adminLeaf: 0,
    deputies: [],
    roster: [entry(0, "elk"), entry(1, "owl")],
    safetyCode: CODE,
  });
  return stage;
}

Deno.test("the admin's commands are refused in a room that it does not administer", () => {
  const stage = withGuestRoom();
  for (const name of ["invite", "admit", "deny", "kick", "rekey"]) {
    const effects = stage.commands(`/${name} elk`, { room: "loft", ref: "c" });
    assert.deepEqual(said(effects, "error").map((e) => [e.code, e.ref]), [["not-admin", "c"]]);
    assert.equal(effects.length, 1);
  }
  assert.equal(said(stage.commands("/kick elk", { room: "attic", ref: "c" }), "error").length, 1);
  assert.equal(orders(stage.commands("/invite", { room: "den" }), "make-invite").length, 1);
});

Deno.test("an admin's guest room takes the same step as anybody's, and makes no commits", () => {
  const stage = withGuestRoom();
  stage.take({
    kind: "message",
    room: OTHER_ROOM,
    handle: handleOf(0),
    leaf: 0,
    epoch: 3,
    n: 0,
    gaps: [],
    content: { kind: "leave" },
    skipped: 0,
    lost: 0,
    late: false,
    fork: false,
  });
  stage.ticks(10 * GRACE_MS);
  assert.equal(stage.making, null);
  assert.equal(said(stage.all, "member-left").length, 1);
});

Deno.test("what still comes of a room that the admin has left orders nothing", () => {
  const stage = withGuestRoom();
  stage.asks("fox");
  stage.commands("/admit fox");
  stage.made();
  stage.commands("/leave", { room: "den" });
  const late = [
    stage.take({ kind: "commit-saved", room: ROOM, epoch: 2 }),
    stage.take({ kind: "commit-made", room: ROOM, epoch: 2 }),
    stage.take({ kind: "knocked", room: ROOM, handle: handleOf(7) }),
    stage.take({ kind: "kem-updated", room: ROOM, leaf: 1, handle: handleOf(7) }),
    stage.asks("elk"),
    stage.ticks(100 * GRACE_MS),
  ];
  const ofRoom = late.flat().filter((e) => "room" in e && e.room === ROOM);
  assert.deepEqual(ofRoom, []);
});

Deno.test("nothing is decided after stop", () => {
  const stage = AdminStage.founded();
  stage.commands("/quit");
  const { state } = stage;
  assert.deepEqual(stage.asks("fox"), []);
  assert.deepEqual(stage.commands("/rekey"), []);
  assert.equal(stage.state, state);
});

Deno.test("who comes back within the grace brings a new room key, once it could name a new key of its own", () => {
  const stage = AdminStage.founded();
  stage.admits("ant", "bat");
  for (const leaf of [1, 2]) stage.hears(leaf);
  stage.ticks(120_000);
  stage.hears(1);
  const { epoch } = stage.room;
  for (const leaf of [1, 2]) stage.vanishes(leaf);
  stage.ticks(GRACE_MS - 20_000);
  for (const leaf of [1, 2]) stage.hears(leaf, "heartbeat", handleOf(70 + leaf));
  assert.deepEqual(orders(stage.ticks(9_000), "make-commit"), []);
  assert.deepEqual(orders(stage.ticks(), "make-commit").map((m) => m.reason), ["rekey"]);
  stage.finish();
  // Both came back by then: one new key for both.
  stage.ticks(30_000);
  assert.deepEqual([stage.making, stage.room.epoch], [null, epoch + 1]);
});

Deno.test("somebody who comes and goes all the time brings one new key a minute at most", () => {
  const stage = AdminStage.founded();
  stage.admits("ant");
  stage.hears(1);
  stage.ticks(60_000);
  const { epoch } = stage.room;
  for (let i = 0; i < 36; i++) {
    stage.vanishes(1);
    stage.ticks(5_000);
    stage.hears(1, "heartbeat", handleOf(70 + i));
    stage.ticks(5_000);
    stage.finishAll();
  }
  // Six minutes: the first return is answered after ten seconds.
  assert.deepEqual(stage.room.epoch - epoch, 6);
});

Deno.test("while the admin is away itself nobody's grace runs out", () => {
  const stage = AdminStage.founded();
  stage.admits("fox");
  stage.hears(1);
  stage.vanishes(1);
  stage.take({ kind: "link-ended", code: "reset", message: "it broke" });
  stage.ticks(GRACE_MS);
  assert.deepEqual(stage.admin.removes, []);
  // Here it does.
  const there = AdminStage.founded();
  there.admits("fox");
  there.hears(1);
  there.vanishes(1);
  assert.equal(orders(there.ticks(GRACE_MS), "make-commit").length, 1);
});

Deno.test("a name is named as it is spoken: in several words, in any case, with or without quotes", () => {
  for (const typed of ["Anna Maria", "anna maria", '"Anna Maria"', "ANNA MARIA"]) {
    const stage = AdminStage.founded();
    stage.asks("Anna Maria");
    assert.deepEqual(said(stage.commands(`/admit ${typed}`, { ref: "a" }), "error"), []);
    stage.finishAll();
    stage.leafOf("Anna Maria");
    for (const line of [`/deputy ${typed}`, `/deputy ${typed} off`, `/kick ${typed}`]) {
      assert.deepEqual(said(stage.commands(line, { ref: "n" }), "error"), [], line);
    }
    stage.finishAll();
    assert.throws(() => stage.leafOf("Anna Maria"), RangeError);
  }
});

Deno.test("a commit waits for what somebody said before it left, for so long; a kick waits for nothing", () => {
  const leaves = () => {
    const stage = AdminStage.founded();
    stage.admits("ada", "bob");
    const gaps = [{ epoch: stage.room.epoch, numbers: [0] }];
    assert.equal(orders(stage.hears(1, "leave", handleOf(1), gaps), "make-commit").length, 0);
    return stage;
  };
  const mended = leaves().hears(1);
  assert.equal(orders(mended, "make-commit").length, 1);
  const waits = leaves();
  assert.equal(orders(waits.ticks(34_000), "make-commit").length, 0);
  assert.equal(orders(waits.ticks(2_000), "make-commit").length, 1);
  assert.equal(orders(leaves().commands("/kick ada"), "make-commit").length, 1);
});

Deno.test("a kick that was typed without a connection waits until its member has shown what it said, for so long", () => {
  const kicks = () => {
    const stage = AdminStage.founded();
    stage.admits("ada", "bob");
    stage.hears(1);
    stage.take({ kind: "link-ended", code: "reset", message: "it broke" });
    stage.commands("/kick ada");
    stage.take({ kind: "connected", host: "127.0.0.1", port: 5000, pin: "07".repeat(32) });
    const back = { handle: MY_HANDLE, role: "owner", ownerPresent: false } as const;
    stage.take({ kind: "entered", room: ROOM, ...back });
    const alone = { kind: "gone", handle: "00".repeat(16), reason: "closed" } as const;
    assert.deepEqual(orders(stage.take({ ...alone, room: ROOM }), "make-commit"), []);
    return stage;
  };
  assert.equal(orders(kicks().hears(1, "heartbeat", handleOf(51)), "make-commit").length, 1);
  const silent = kicks();
  assert.equal(orders(silent.ticks(2_000), "make-commit").length, 0);
  assert.equal(orders(silent.ticks(1_000), "make-commit").length, 1);
  // No epoch is made without it, and none at once: what is said meanwhile would be lost to everybody.
  const rekeys = kicks();
  assert.deepEqual(orders(rekeys.commands("/rekey"), "make-commit"), []);
  const commit = orders(rekeys.hears(1, "heartbeat", handleOf(51)), "make-commit");
  assert.deepEqual(commit.map(({ reason }) => reason), ["kick"]);
  const owes = kicks();
  const gaps = [{ epoch: owes.room.epoch, numbers: [0] }];
  assert.equal(orders(owes.hears(1, "heartbeat", handleOf(51), gaps), "make-commit").length, 0);
  assert.equal(orders(owes.hears(1, "heartbeat", handleOf(51)), "make-commit").length, 1);
});
