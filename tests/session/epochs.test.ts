import assert from "node:assert/strict";
import { notices, orders, outline, said } from "../support/pure_step.ts";
import {
  entry,
  handleOf,
  identityOf,
  OTHER_ROOM,
  ROOM,
  SessionStage,
} from "../support/session_stage.ts";

Deno.test("a newcomer is told before the epoch, with how it came, and is not verified", () => {
  const stage = SessionStage.talking();
  stage.commands("/verify ok");
  const effects = stage.epoch({ reason: "join", added: [entry(3, "bat", "shared-link")] });
  assert.deepEqual(outline(effects).slice(0, 2), ["member-joined", "epoch"]);
  const [joined] = said(effects, "member-joined");
  assert.deepEqual([joined?.name, joined?.via, joined?.identity], [
    "bat",
    "shared-link",
    identityOf("bat"),
  ]);
  assert.deepEqual(said(effects, "epoch")[0]?.members.map((m) => [m.name, m.verified]), [
    ["owl", true],
    ["fox", true],
    ["elk", true],
    ["bat", false],
  ]);
});

Deno.test("/verify ok marks the identities of this epoch in every room, keeps them, and no others", () => {
  const stage = SessionStage.talking();
  stage.knocking({ room: OTHER_ROOM, name: "2" });
  stage.joins({ room: OTHER_ROOM, roomName: "loft", others: ["elk", "bat"] });
  const effects = stage.commands("/verify ok", { room: "den", ref: "v" });
  const identities = ["owl", "fox", "elk"].map(identityOf);
  assert.deepEqual(orders(effects, "remember-verified"), [
    { kind: "remember-verified", identities },
  ]);
  assert.deepEqual(said(effects, "verified")[0]?.members.map((m) => m.name), ["owl", "fox", "elk"]);
  assert.deepEqual(said(effects, "ok"), [{ type: "ok", ref: "v" }]);
  assert.deepEqual(stage.state.verified, identities);
  const verified = (room: string) =>
    stage.room(room).members.filter((m) => m.verified).map((m) => m.name);
  assert.deepEqual(verified(ROOM), ["owl", "fox", "elk"]);
  assert.deepEqual(verified(OTHER_ROOM), ["owl", "fox", "elk"]);
});

Deno.test("/verify without ok shows the code and marks nobody", () => {
  const stage = SessionStage.talking();
  const effects = stage.commands("/verify", { ref: "v" });
  assert.deepEqual(outline(effects), ["members", "ok"]);
  assert.equal(said(effects, "members")[0]?.safetyCode, stage.room().safetyCode);
  assert.deepEqual(stage.state.verified, []);
});

Deno.test("a verified identity that comes back is verified still", () => {
  const stage = SessionStage.talking();
  stage.commands("/verify ok");
  stage.epoch({
    removed: [{ leaf: 2, reason: "gone", missing: 0, gaps: [], count: 0, fork: false }],
  });
  stage.epoch({ added: [entry(3, "elk", "known")] });
  assert.equal(stage.member(3).verified, true);
  // Another identity of that name is not.
  stage.epoch({
    removed: [{ leaf: 3, reason: "gone", missing: 0, gaps: [], count: 0, fork: false }],
    added: [{ ...entry(4, "elk"), identity: identityOf("elk2") }],
  });
  assert.equal(stage.member(4).verified, false);
});

Deno.test("a removed member is told with the reason, and what never came of it", () => {
  const stage = SessionStage.talking();
  const effects = stage.epoch({
    reason: "kick",
    removed: [{ leaf: 2, reason: "kicked", missing: 2, gaps: [], count: 0, fork: false }, {
      leaf: 8,
      reason: "gone",
      missing: 1,
      gaps: [],
      count: 0,
      fork: false,
    }],
  });
  assert.deepEqual(notices(effects).slice(0, 2), [
    {
      type: "missing",
      room: "den",
      roomId: ROOM,
      from: "elk",
      identity: identityOf("elk"),
      count: 2,
    },
    {
      type: "member-left",
      room: "den",
      roomId: ROOM,
      name: "elk",
      identity: identityOf("elk"),
      reason: "kicked",
    },
  ]);
  assert.deepEqual(said(effects, "epoch")[0]?.members.map((m) => m.name), ["owl", "fox"]);
  assert.equal(said(effects, "member-left").length, 1);
});

Deno.test("member-left is said once of one who said LEAVE and is then removed", () => {
  const stage = SessionStage.talking();
  const left = stage.hears(2, { kind: "leave" });
  assert.deepEqual(said(left, "member-left").map((n) => [n.name, n.reason]), [["elk", "left"]]);
  assert.deepEqual(
    [stage.member(2).left, stage.member(2).present, stage.member(2).goneAt],
    [true, false, stage.at],
  );
  const effects = stage.epoch({
    removed: [{ leaf: 2, reason: "left", missing: 0, gaps: [], count: 0, fork: false }],
  });
  assert.equal(said(effects, "member-left").length, 0);
  assert.equal(said(stage.all, "member-left").length, 1);
});

Deno.test("the relay's word that a handle is gone says nothing new of one who left", () => {
  const stage = SessionStage.talking();
  stage.hears(2);
  stage.hears(2, { kind: "leave" });
  assert.deepEqual(
    stage.take({ kind: "gone", room: ROOM, handle: handleOf(2), reason: "left" }),
    [],
  );
});

Deno.test("what comes late of one who left does not bring it back", () => {
  const stage = SessionStage.talking();
  stage.hears(2, { kind: "leave" });
  assert.deepEqual(outline(stage.hears(2)), []);
  assert.equal(stage.member(2).present, false);
});

Deno.test("an admin that leaves is told as the end of joining and removing", () => {
  const effects = SessionStage.talking().hears(0, { kind: "leave" });
  assert.deepEqual(outline(effects), ["member-left", "info"]);
});

Deno.test("a replaced member is told as left and joined, and its place at the relay is open", () => {
  const stage = SessionStage.talking();
  stage.hears(2);
  const effects = stage.epoch({
    reason: "join",
    added: [entry(3, "elk", "known")],
    removed: [{ leaf: 2, reason: "replaced", missing: 0, gaps: [], count: 0, fork: false }],
  });
  assert.deepEqual(outline(effects).slice(0, 3), ["member-left", "member-joined", "epoch"]);
  assert.equal(stage.member(3).handle, null);
});

Deno.test("after an epoch a member renews its ticket and its key, an admin does neither", () => {
  const member = SessionStage.talking();
  assert.deepEqual(outline(member.epoch()).slice(-2), ["renew-ticket", "update-kem"]);
  const admin = new SessionStage([], "owl");
  const first = admin.founds();
  const second = admin.epoch();
  for (const effects of [first, second]) {
    assert.equal(orders(effects, "renew-ticket").length + orders(effects, "update-kem").length, 0);
  }
});
