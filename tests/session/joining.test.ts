import assert from "node:assert/strict";
import { KNOCK_AGAIN_MS } from "../../src/session/state.ts";
import { NONCE_LIFE_MS } from "../../src/wire/limits.ts";
import { EXIT } from "../../src/session/exit_code.ts";
import { notices, orders, outline, said } from "../support/pure_step.ts";
import {
  entry,
  handleOf,
  identityOf,
  MY_HANDLE,
  OTHER_ROOM,
  ROOM,
  SessionStage,
} from "../support/session_stage.ts";

const CONNECTED = {
  kind: "connected",
  host: "127.0.0.1",
  port: 5000,
  pin: "07".repeat(32),
} as const;

Deno.test("a room that was prepared before the connection is entered when it is there, once", () => {
  const stage = new SessionStage();
  assert.deepEqual(stage.take({ kind: "room-prepared", room: ROOM, name: "den" }), []);
  assert.deepEqual(outline(stage.take(CONNECTED)), ["connected", "enter"]);
  assert.equal(stage.state.connection, "connected");
  assert.equal(stage.state.front, ROOM);
});

Deno.test("a knocker knocks at once while an admin is there", () => {
  const stage = new SessionStage();
  assert.deepEqual(outline(stage.knocking()), ["knock"]);
  assert.equal(stage.room().phase, "waiting");
});

Deno.test("a knock is repeated after KNOCK_AGAIN_MS, after a greeting later, until the admin's person is asked", () => {
  const stage = new SessionStage();
  stage.knocking();
  assert.deepEqual(stage.ticks(KNOCK_AGAIN_MS - 1), []);
  assert.deepEqual(outline(stage.ticks(1)), ["knock"]);
  assert.deepEqual(stage.ticks(KNOCK_AGAIN_MS - 1), []);
  assert.deepEqual(outline(stage.ticks(1)), ["knock"]);
  const greeting = { kind: "greeted", room: ROOM, admin: identityOf("owl"), fingerprint: "f" };
  assert.deepEqual(
    outline(stage.take({ ...greeting, kind: "greeted", pinned: true })),
    ["send-bundle"],
  );
  // Who greeted us may have handed the room on.
  assert.deepEqual(stage.ticks(NONCE_LIFE_MS - 1), []);
  assert.deepEqual(outline(stage.ticks(1)), ["knock"]);
  stage.take({ ...greeting, kind: "greeted", pinned: true });
  stage.take({ kind: "pending", room: ROOM });
  assert.deepEqual(stage.ticks(10 * KNOCK_AGAIN_MS), []);
});

Deno.test("an admin that is there and does not answer is told of once, after a minute", () => {
  const stage = new SessionStage();
  stage.knocking();
  const after = [1, 2, 3, 4, 5].map(() =>
    said(stage.ticks(KNOCK_AGAIN_MS), "waiting").map(({ reason }) => reason)
  );
  assert.deepEqual(after, [[], [], ["no-answer"], [], []]);
});

Deno.test("without an admin nobody knocks: it is said, and the knock follows when one comes", () => {
  const stage = new SessionStage();
  assert.deepEqual(notices(stage.knocking({ ownerPresent: false })), [
    { type: "waiting", reason: "no-admin", room: "den", roomId: ROOM },
  ]);
  assert.deepEqual(stage.ticks(10 * KNOCK_AGAIN_MS), []);
  const comes = stage.take({ kind: "owner", room: ROOM, present: true });
  assert.deepEqual(outline(comes), ["knock"]);
  const goes = stage.take({ kind: "owner", room: ROOM, present: false });
  assert.deepEqual(said(goes, "waiting").map((w) => w.reason), ["no-admin"]);
  assert.deepEqual(stage.ticks(10 * KNOCK_AGAIN_MS), []);
});

Deno.test("a member does not knock when an admin comes or goes", () => {
  const stage = SessionStage.talking();
  assert.deepEqual(stage.take({ kind: "owner", room: ROOM, present: false }), []);
  assert.deepEqual(stage.take({ kind: "owner", room: ROOM, present: true }), []);
  assert.deepEqual(outline(stage.ticks(KNOCK_AGAIN_MS)), []);
});

Deno.test("an admin that nobody vouches for is shown with its fingerprint, a pinned one is not", () => {
  const greeting = { room: ROOM, admin: identityOf("owl"), fingerprint: "1f3a 9c20" };
  const open = new SessionStage();
  open.knocking();
  const effects = open.take({ kind: "greeted", ...greeting, pinned: false });
  assert.deepEqual(outline(effects), ["warning", "send-bundle"]);
  const [warning] = said(effects, "warning");
  assert.deepEqual([warning?.code, warning?.identity, warning?.roomId], [
    "unverified-admin",
    identityOf("owl"),
    ROOM,
  ]);
  assert.match(warning?.message ?? "", /1f3a 9c20/);
});

Deno.test("a greeting to somebody who is in the room already is passed over", () => {
  const stage = SessionStage.talking();
  const greeting = { room: ROOM, admin: identityOf("owl"), fingerprint: "f", pinned: false };
  assert.deepEqual(stage.take({ kind: "greeted", ...greeting }), []);
});

Deno.test("a person who is asked about us is told as waiting", () => {
  const stage = new SessionStage();
  stage.knocking();
  assert.deepEqual(notices(stage.take({ kind: "pending", room: ROOM })), [
    { type: "waiting", reason: "asked", room: "den", roomId: ROOM },
  ]);
});

for (
  const [code, advice] of [
    ["denied", /did not let you in/],
    ["invite-invalid", /ask the admin for a new one/],
    ["barred", /removed you from this room before/],
    ["name-taken", /--name; if that is you .* come again/],
    ["room-full", /full/],
    ["bad-request", /newest stm/],
    ["unsupported", /update/],
  ] as const
) {
  Deno.test(`being refused with ${code} ends with exit code 6 and says what to do`, () => {
    const stage = new SessionStage();
    stage.knocking();
    const effects = stage.take({ kind: "denied", room: ROOM, code });
    assert.deepEqual(outline(effects), ["error", "leave-room", "forget-room", "bye", "stop"]);
    assert.equal(said(effects, "error")[0]?.code, code);
    assert.match(said(effects, "error")[0]?.message ?? "", advice);
    assert.equal(orders(effects, "stop")[0]?.exitCode, EXIT.notAdmitted);
    assert.equal(said(effects, "bye")[0]?.exitCode, 6);
  });
}

Deno.test("a relay that refuses the room ends with exit code 6; of a joined room it is only told", () => {
  const stage = new SessionStage();
  stage.knocking();
  const refusal = { kind: "refused", room: ROOM, code: "room-full", message: "50 wait" } as const;
  assert.equal(orders(stage.take(refusal), "stop")[0]?.exitCode, EXIT.notAdmitted);

  const inside = SessionStage.talking();
  assert.deepEqual(outline(inside.take({ ...refusal, code: "rate-limited" })), ["error"]);
  assert.equal(inside.room().phase, "joined");
});

Deno.test("one room of two that is closed leaves the session running, and the other in front", () => {
  const stage = SessionStage.talking();
  stage.knocking({ room: OTHER_ROOM, name: "loft" });
  const effects = stage.take({ kind: "removed", room: ROOM, restarted: false });
  assert.deepEqual(outline(effects), ["error", "leave-room", "forget-room"]);
  assert.equal(stage.state.front, OTHER_ROOM);
  assert.deepEqual(stage.room().members, []);
  const last = stage.take({ kind: "denied", room: OTHER_ROOM, code: "denied" });
  assert.equal(orders(last, "stop")[0]?.exitCode, EXIT.notAdmitted);
});

Deno.test("being removed ends with exit code 6", () => {
  const effects = SessionStage.talking().take({ kind: "removed", room: ROOM, restarted: false });
  assert.equal(orders(effects, "stop")[0]?.exitCode, EXIT.notAdmitted);
  assert.match(said(effects, "error")[0]?.message ?? "", /removed you/);
});

Deno.test("a commit that breaks the protocol ends with exit code 7 if the admin signed it, else is shown", () => {
  for (const code of ["bad-commit", "fork", "rollback", "two-devices"] as const) {
    const refused = { kind: "commit-refused", room: ROOM, code, message: "why" } as const;
    const mild = SessionStage.talking();
    assert.deepEqual(notices(mild.take({ ...refused, fatal: false })), [
      { type: "warning", code, message: "why", room: "den", roomId: ROOM },
    ]);
    const fatal = SessionStage.talking().take({ ...refused, fatal: true });
    assert.deepEqual(outline(fatal).slice(0, 2), ["warning", "error"]);
    assert.equal(orders(fatal, "stop")[0]?.exitCode, EXIT.protocolViolated);
  }
});

Deno.test("the end of the connection is told, and we connect again", () => {
  const stage = SessionStage.talking();
  const effects = stage.take({ kind: "link-ended", code: "reset", message: "it broke" });
  assert.deepEqual(outline(effects), ["disconnected", "reconnect"]);
  assert.equal(stage.state.connection, "reconnecting");
  assert.equal(orders(stage.take(dialFailed(1, false)), "reconnect")[0]?.attempt, 2);
  const wrong = stage.take(dialFailed(2, true));
  assert.equal(orders(wrong, "stop")[0]?.exitCode, EXIT.wrongKey);
});

Deno.test("a connection that ends before it began ends the session with exit code 3", () => {
  const stage = new SessionStage();
  const effects = stage.take({ kind: "link-ended", code: "reset", message: "it broke" });
  assert.deepEqual(outline(effects), ["disconnected", "bye", "stop"]);
  assert.equal(orders(effects, "stop")[0]?.exitCode, EXIT.unreachable);
});

function dialFailed(attempt: number, wrongKey: boolean) {
  return { kind: "dial-failed", attempt, message: "no", wrongKey } as const;
}

Deno.test("a failure of ours ends with exit code 1", () => {
  const stage = SessionStage.talking();
  const effects = stage.take({ kind: "failed", what: "saving", message: "the disk is full" });
  assert.deepEqual(said(effects, "error").map((e) => [e.code, e.message]), [
    ["saving", "the disk is full"],
  ]);
  assert.equal(orders(effects, "stop")[0]?.exitCode, EXIT.failed);
});

Deno.test("being welcomed is told with everybody in the room, and makes our handle known", () => {
  const stage = new SessionStage([identityOf("elk")]);
  stage.knocking();
  const [joined] = said(stage.joins(), "joined");
  assert.deepEqual(joined?.me, { name: "fox", identity: identityOf("fox") });
  assert.deepEqual(
    joined?.members.map((m) => [m.name, m.verified, m.admin, m.present]),
    // We vouch for ourselves, and for elk, whose code was compared before.
    [["owl", false, true, true], ["fox", true, false, true], ["elk", true, false, true]],
  );
  assert.deepEqual(stage.room().phase, "joined");
});

Deno.test("a relay cannot turn a member into a knocker by saying so", () => {
  const stage = SessionStage.talking();
  const { state } = stage;
  const knocker = { room: ROOM, handle: handleOf(9), role: "knocker", ownerPresent: true } as const;
  assert.deepEqual(stage.take({ kind: "entered", ...knocker }), []);
  assert.deepEqual(stage.state, state);
});

Deno.test("who was evicted comes in again, and only a bar keeps it out", () => {
  const stage = SessionStage.talking();
  assert.deepEqual(
    stage.take({ kind: "gone", room: ROOM, handle: handleOf(9), reason: "left" }),
    [],
  );
  const effects = stage.take({ kind: "gone", room: ROOM, handle: MY_HANDLE, reason: "evicted" });
  assert.deepEqual(outline(effects), ["enter"]);
  const barred = stage.take({ kind: "refused", room: ROOM, code: "barred", message: "barred" });
  assert.deepEqual(said(barred, "error").map((e) => e.code), ["barred"]);
  assert.equal(orders(barred, "stop")[0]?.exitCode, EXIT.notAdmitted);
});

Deno.test("events of a closed room, and of one that was never ours, do nothing", () => {
  const stage = SessionStage.talking();
  stage.knocking({ room: OTHER_ROOM, name: "loft" });
  stage.commands("/leave", { room: "den" });
  const { state } = stage;
  for (const room of [ROOM, "33".repeat(16)]) {
    stage.take({ kind: "removed", room, restarted: false });
    stage.take({ kind: "pending", room });
    stage.take({ kind: "gone", room, handle: MY_HANDLE, reason: "left" });
    stage.take({ kind: "message-refused", room, code: "unsupported", leaf: null });
    stage.take({ kind: "chains-dropped", room, missing: [{ leaf: 2, count: 1, gaps: [] }] });
    stage.hearsText(2, "hi", room);
    stage.joins({ room });
  }
  assert.deepEqual(stage.state, state);
  assert.equal(said(stage.all, "message").length, 0);
  assert.equal(said(stage.all, "joined").length, 1);
  assert.equal(entry(0, "owl").via, "founder");
});
