/** Coming back and mending, in the pure step (PROTOCOL §9). */
import assert from "node:assert/strict";
import type { MissingNumbers } from "../../src/session/state.ts";
import { orders, outline, said } from "../support/pure_step.ts";
import { entry, handleOf, ROOM, SessionStage } from "../support/session_stage.ts";

const AWAY = { kind: "link-ended", code: "reset", message: "it broke" } as const;
const BACK = { kind: "connected", host: "127.0.0.1", port: 5000, pin: "07".repeat(32) } as const;

function enters(stage: SessionStage, role: "knocker" | "member" | "owner", ownerPresent = true) {
  return stage.take({ kind: "entered", room: ROOM, handle: handleOf(99), role, ownerPresent });
}

function missing(...numbers: number[]): MissingNumbers[] {
  return [{ epoch: 4, numbers }];
}

function text(stage: SessionStage, n: number, gaps: MissingNumbers[], more = {}) {
  const content = {
    kind: "text",
    id: n.toString(16).padStart(32, "0"),
    sentAt: 0,
    text: `t${n}`,
    repeated: false,
  } as const;
  return stage.hears(2, content, { n, gaps, ...more });
}

const shown = (effects: ReturnType<SessionStage["take"]>) =>
  said(effects, "message").map((m) => m.text);

Deno.test("what is typed while away waits, and is sent once after we have caught up", () => {
  const stage = SessionStage.talking();
  stage.take(AWAY);
  assert.deepEqual(orders(stage.says("later"), "seal-and-send"), []);
  assert.deepEqual(outline(stage.take(BACK)), ["reconnected", "enter"]);
  assert.deepEqual(outline(enters(stage, "member")), ["catch-up"]);
  assert.deepEqual(orders(stage.says("too"), "seal-and-send"), []);
  const caughtUp = stage.take({ kind: "caught-up", room: ROOM, gaps: [] });
  const sent = orders(caughtUp, "seal-and-send").map(({ message }) =>
    message.kind === "text" ? message.text : message.kind
  );
  assert.deepEqual(sent, ["heartbeat", "later", "too"]);
  assert.deepEqual(orders(stage.ticks(1000), "seal-and-send"), []);
});

Deno.test("whose new ticket is too old by the time it has caught up asks the admin once more", () => {
  const stage = SessionStage.talking();
  const refused = { kind: "refused", room: ROOM, code: "ticket-revoked", message: "old" } as const;
  stage.take(AWAY);
  stage.take(BACK);
  stage.take(refused);
  enters(stage, "knocker");
  assert.deepEqual(outline(stage.take({ kind: "caught-up", room: ROOM, gaps: [] })), ["enter"]);
  // Meanwhile it was removed, say.
  assert.deepEqual(outline(stage.take(refused)), []);
  assert.deepEqual(outline(stage.ticks(10_000)), ["catch-up"]);
  assert.deepEqual(outline(stage.take({ kind: "removed", room: ROOM, restarted: false })), [
    "rejoin",
  ]);
});

Deno.test("who is welcome and has no place at the relay enters with its ticket, and speaks when it has one", () => {
  const stage = new SessionStage();
  stage.knocking();
  const welcome = outline(stage.take({
    kind: "joined",
    room: ROOM,
    roomName: "den",
    epoch: 4,
    myLeaf: 1,
    adminLeaf: 0,
    deputies: [],
    roster: [entry(0, "owl"), entry(1, "fox")],
    safetyCode: "x",
  }));
  assert.ok(welcome.includes("enter"), welcome.join());
  assert.equal(stage.says("now").some((e) => e.kind === "seal-and-send"), false);
  assert.deepEqual(outline(enters(stage, "member")), ["catch-up"]);
  const inRoom = stage.take({ kind: "caught-up", room: ROOM, gaps: [] });
  assert.deepEqual(outline(inRoom).slice(0, 2), ["send-held", "send heartbeat 4/1"]);
  assert.deepEqual(said(inRoom, "sent").map(({ text }) => text), ["now"]);
});

Deno.test("without an admin there is nothing to catch up with", () => {
  const stage = SessionStage.talking();
  stage.take(AWAY);
  stage.take(BACK);
  assert.deepEqual(outline(enters(stage, "member", false)), [
    "send-held",
    "send heartbeat 4/1",
  ]);
});

Deno.test("after an absence the admin is given a new ML-KEM key once: when it has caught us up, or is heard", () => {
  const stage = SessionStage.talking();
  assert.equal(orders(stage.hears(0), "update-kem").length, 0);
  stage.take(AWAY);
  stage.take(BACK);
  assert.equal(orders(enters(stage, "member"), "update-kem").length, 0);
  const caughtUp = stage.take({ kind: "caught-up", room: ROOM, gaps: [] });
  assert.equal(orders(caughtUp, "update-kem").length, 1);
  assert.equal(orders(stage.hears(0), "update-kem").length, 0);
  stage.take(AWAY);
  stage.take(BACK);
  assert.equal(orders(enters(stage, "member", false), "update-kem").length, 0);
  assert.equal(orders(stage.hears(0), "update-kem").length, 1);
  assert.equal(orders(stage.hears(0), "update-kem").length, 0);
});

Deno.test("a ticket that is too old leads over the knocker's seat to the admin, then back in", () => {
  const stage = SessionStage.talking();
  stage.take(AWAY);
  stage.take(BACK);
  const refused = { kind: "refused", room: ROOM, code: "ticket-revoked", message: "old" } as const;
  assert.deepEqual(outline(stage.take(refused)), ["enter-as-knocker"]);
  assert.deepEqual(outline(enters(stage, "knocker")), ["catch-up"]);
  assert.deepEqual(outline(stage.take({ kind: "caught-up", room: ROOM, gaps: [] })), ["enter"]);
  assert.deepEqual(outline(enters(stage, "member")), ["catch-up"]);
});

Deno.test("an admin that does not answer within ten seconds makes us join anew", () => {
  const stage = SessionStage.talking();
  const saidAt = stage.at;
  stage.says("unsure");
  stage.take(AWAY);
  stage.take(BACK);
  enters(stage, "member");
  assert.deepEqual(orders(stage.ticks(9_999), "rejoin"), []);
  assert.equal(orders(stage.ticks(1), "rejoin").length, 1);
  assert.deepEqual(outline(enters(stage, "knocker")), ["knock"]);
  // What may have been lost is sealed anew under its id, and not told as sent a second time.
  const again = stage.joins();
  assert.deepEqual(said(again, "sent"), []);
  const texts = orders(again, "seal-and-send").flatMap(({ message }) =>
    message.kind === "text" ? [[message.text, message.sentAt]] : []
  );
  assert.deepEqual(texts, [["unsure", saidAt]]);
});

Deno.test("what was said before is not said again where somebody has joined since, and its author is told", () => {
  const stage = SessionStage.talking();
  stage.says("for owl and elk");
  stage.take(AWAY);
  stage.says("typed since");
  stage.take(BACK);
  enters(stage, "member");
  stage.take({ kind: "removed", room: ROOM, restarted: false });
  enters(stage, "knocker");
  const texts = (effects: ReturnType<SessionStage["take"]>) =>
    orders(effects, "seal-and-send").flatMap(({ message }) =>
      message.kind === "text" ? [message.text] : []
    );
  const joined = stage.joins({ epoch: 9, others: ["elk", "new"] });
  assert.deepEqual(texts(joined), ["typed since"]);
  assert.deepEqual(said(joined, "error").map(({ code }) => code), ["not-repeated"]);
  // Fewer than then are no newcomers.
  stage.take(AWAY);
  stage.take(BACK);
  enters(stage, "member");
  stage.take({ kind: "removed", room: ROOM, restarted: false });
  enters(stage, "knocker");
  const again = stage.joins({ epoch: 10, others: ["new"] });
  assert.deepEqual(texts(again), ["typed since"]);
  assert.deepEqual(said(again, "error"), []);
});

Deno.test("to be removed while away means to ask again, to be removed while here means to go", () => {
  const away = SessionStage.talking();
  away.take(AWAY);
  away.take(BACK);
  enters(away, "member");
  assert.equal(
    orders(away.take({ kind: "removed", room: ROOM, restarted: false }), "rejoin").length,
    1,
  );
  const here = SessionStage.talking();
  assert.equal(
    orders(here.take({ kind: "removed", room: ROOM, restarted: false }), "stop").length,
    1,
  );
});

Deno.test("an author's texts wait behind its gap and are shown in its order; others go on", () => {
  const stage = SessionStage.talking();
  stage.hears(2);
  assert.deepEqual(shown(text(stage, 2, missing(0, 1), { skipped: 2 })), []);
  const other = stage.hears(0, {
    kind: "text",
    id: "ff".repeat(16),
    sentAt: 0,
    text: "other",
    repeated: false,
  });
  assert.deepEqual(shown(other), ["other"]);
  assert.deepEqual(shown(text(stage, 1, missing(0), { late: true, handle: null })), []);
  const last = text(stage, 0, [], { late: true, handle: null });
  assert.deepEqual(shown(last), ["t0", "t1", "t2"]);
  assert.deepEqual(said(last, "repaired").map(({ count }) => count), [2]);
  assert.deepEqual(stage.room().gaps, []);
});

Deno.test("the author is asked first, then the others by turns, each two seconds", () => {
  const stage = SessionStage.talking();
  stage.hears(0);
  const first = orders(text(stage, 1, missing(0), { skipped: 1 }), "request-repair");
  assert.deepEqual(first.map(({ to, numbers }) => [to, numbers]), [[handleOf(2), [0]]]);
  assert.deepEqual(orders(stage.ticks(1999), "request-repair"), []);
  assert.deepEqual(orders(stage.ticks(1), "request-repair").map(({ to }) => to), [handleOf(0)]);
  assert.deepEqual(orders(stage.ticks(2000), "request-repair").map(({ to }) => to), [handleOf(2)]);
});

Deno.test("what does not come in time is told as missing, and what waited is shown", () => {
  const stage = SessionStage.talking();
  text(stage, 2, missing(0, 1), { skipped: 2 });
  assert.deepEqual(said(stage.ticks(44_999), "missing"), []);
  const given = stage.ticks(1);
  assert.deepEqual(said(given, "missing").map(({ from, count }) => [from, count]), [["elk", 2]]);
  assert.deepEqual(shown(given), ["t2"]);
  assert.deepEqual(orders(given, "give-up").map(({ leaf, missing }) => [leaf, missing]), [
    [2, missing(0, 1)],
  ]);
});

Deno.test("what comes after it was told as missing says so: it is behind what its author said later", () => {
  const stage = SessionStage.talking();
  text(stage, 1, missing(0), { skipped: 1 });
  stage.ticks(45_000);
  const late = text(stage, 0, [], { late: true, givenUp: true, handle: null });
  assert.deepEqual(said(late, "message").map(({ text, late }) => [text, late]), [["t0", true]]);
  assert.deepEqual(said(stage.all, "message").map(({ late }) => late), [undefined, true]);
});

Deno.test("what the dropped keys never got is no gap any more: what waited is shown, and nothing is called repaired", () => {
  const stage = SessionStage.talking();
  text(stage, 2, missing(0, 1), { skipped: 2 });
  const dropped = stage.take({
    kind: "chains-dropped",
    room: ROOM,
    missing: [{ leaf: 2, count: 2, gaps: [] }],
  });
  assert.deepEqual(said(dropped, "missing").map(({ count }) => count), [2]);
  assert.deepEqual(shown(dropped), ["t2"]);
  stage.epoch({
    removed: [{ leaf: 2, reason: "replaced", missing: 0, fork: false, gaps: [], count: 2 }],
  });
  assert.deepEqual(said(stage.all, "repaired"), []);
  assert.deepEqual(said(stage.all, "missing").length, 1);
});

Deno.test("an author that came in anew says again what was lost, and what waited behind that is in its order", () => {
  const stage = SessionStage.talking();
  text(stage, 1, missing(0), { skipped: 1 });
  const gaps = missing(0);
  stage.epoch({
    removed: [{ leaf: 2, reason: "replaced", missing: 0, fork: false, gaps, count: 2 }],
    added: [entry(3, "elk")],
  });
  const again = (n: number, repeated: boolean) =>
    stage.hears(3, {
      kind: "text",
      id: n.toString(16).padStart(32, "0"),
      sentAt: 0,
      text: `t${n}`,
      repeated,
    }, { n, epoch: 5 });
  assert.deepEqual(shown(again(0, false)), []);
  assert.deepEqual(shown(again(1, true)), []);
  assert.deepEqual(shown(stage.ticks(45_000)), ["t0", "t1"]);
});

Deno.test("a text that was opened before under another number is not shown again", () => {
  const stage = SessionStage.talking();
  const again = stage.hears(2, {
    kind: "text",
    id: "ab".repeat(16),
    sentAt: 0,
    text: "twice",
    repeated: true,
  });
  assert.deepEqual(shown(again), []);
});

Deno.test("nobody gets more repair of us than 512 messages at once and 64 a second", () => {
  const stage = SessionStage.talking();
  const asks = (count: number, requester = 2) =>
    orders(
      stage.take({
        kind: "repair-asked",
        room: ROOM,
        handle: handleOf(requester),
        requester,
        epoch: 4,
        leaf: 0,
        numbers: Array.from({ length: count }, (_, n) => n),
      }),
      "repair",
    ).map(({ numbers }) => numbers.length);
  assert.deepEqual(asks(256), [256]);
  assert.deepEqual(asks(256), [256]);
  assert.deepEqual(asks(256), []);
  assert.deepEqual(asks(256, 0), [256]);
  stage.ticks(1000);
  assert.deepEqual(asks(256), [64]);
  assert.deepEqual(asks(1, 77), [], "a stranger gets nothing");
});

Deno.test("what a member has had of repair is forgotten when it is out, and not before", () => {
  const stage = SessionStage.talking();
  const asks = (requester: number) => {
    const numbers = Array.from({ length: 256 }, (_, n) => n);
    const asked = { requester, handle: handleOf(requester), epoch: 4, leaf: 0, numbers };
    return orders(stage.take({ kind: "repair-asked", room: ROOM, ...asked }), "repair").length;
  };
  assert.deepEqual([asks(2), asks(2), asks(2), asks(0)], [1, 1, 0, 1]);
  stage.epoch();
  assert.equal(asks(2), 0);
  stage.epoch({
    removed: [{ leaf: 2, reason: "left", count: 0, missing: 0, gaps: [], fork: false }],
  });
  assert.deepEqual(stage.room().repairBudget.map(({ leaf }) => leaf), [0]);
});

Deno.test("an owner that comes back tells the relay who may not enter, and waits for signs of life", () => {
  const stage = new SessionStage([], "owl");
  stage.founds(["fox"]);
  stage.take(AWAY);
  stage.take(BACK);
  assert.deepEqual(outline(enters(stage, "owner")), [
    "reclaim",
    "send-held",
    "send heartbeat 1/0",
  ]);
  assert.ok(stage.member(1).present);
  assert.ok(stage.member(1).goneAt > stage.at);
  assert.deepEqual(said(stage.hears(1, undefined, { epoch: 1 }), "presence"), []);
  assert.equal(stage.member(1).goneAt, 0);
});

Deno.test("of an author that is removed the admin shows nothing beyond what counts, and that is told", () => {
  const stage = new SessionStage();
  stage.founds(["owl", "elk"]);
  const gaps = [{ epoch: 1, numbers: [1, 2] }];
  text(stage, 0, [], { epoch: 1 });
  text(stage, 3, gaps, { epoch: 1, skipped: 2 });
  const effects = stage.epoch({
    removed: [{ leaf: 2, reason: "kicked", count: 1, missing: 0, gaps: [], fork: false }],
  });
  assert.deepEqual(said(effects, "missing").map(({ count }) => count), [3]);
  stage.ticks(60_000);
  assert.deepEqual(shown(stage.all), ["t0"]);
  assert.deepEqual(said(stage.all, "repaired"), []);
});

Deno.test("of an author that is removed a member shows all that has come, in its place", () => {
  const stage = SessionStage.talking();
  text(stage, 3, missing(0, 1, 2), { skipped: 3 });
  const removed = { leaf: 2, reason: "kicked", count: 1, missing: 0, fork: false } as const;
  const effects = stage.epoch({ removed: [{ ...removed, gaps: missing(0) }] });
  assert.deepEqual(said(effects, "missing").map(({ count }) => count), [2]);
  text(stage, 0, [], { late: true, handle: null });
  stage.ticks(1000);
  assert.deepEqual(shown(stage.all), ["t0", "t3"]);
});

Deno.test("what comes of an author that is gone says so, unless it came in anew", () => {
  const out = (added: ReturnType<typeof entry>[]) => {
    const stage = SessionStage.talking();
    const gaps = missing(0);
    const removed = [{ leaf: 2, reason: "left", missing: 0, fork: false, gaps, count: 2 }] as const;
    stage.epoch({ removed: [...removed], added });
    const came = said(text(stage, 0, [], { late: true, handle: null }), "message");
    return came.map((m) => [m.text, m.authorGone]);
  };
  assert.deepEqual(out([]), [["t0", true]]);
  assert.deepEqual(out([entry(3, "elk")]), [["t0", undefined]]);
});

Deno.test("an author that is heard at a new handle is asked at once for what it owes", () => {
  const stage = SessionStage.talking();
  text(stage, 1, missing(0), { skipped: 1 });
  const asked = () => orders(stage.all, "request-repair").length;
  const before = asked();
  stage.hears(2, { kind: "heartbeat" }, { n: 2, gaps: missing(0) });
  assert.equal(asked(), before);
  const back = { n: 3, gaps: missing(0), handle: handleOf(77) };
  const effects = stage.hears(2, { kind: "heartbeat" }, back);
  assert.deepEqual(orders(effects, "request-repair").map(({ to }) => to), [handleOf(77)]);
});

Deno.test("an author is asked at once when it comes to another epoch: it may not have read us before", () => {
  const stage = SessionStage.talking();
  text(stage, 1, missing(0), { skipped: 1 });
  const epoch = stage.room().epoch + 1;
  stage.epoch();
  const close = { kind: "close", epoch: epoch - 1, missing: 0 } as const;
  const asked = (more: { n: number; handle?: null }) =>
    orders(stage.hears(2, close, { epoch, gaps: missing(0), ...more }), "request-repair").length;
  assert.equal(asked({ n: 0, handle: null }), 0);
  assert.equal(asked({ n: 0 }), 1);
  // No more than once for each epoch.
  assert.equal(asked({ n: 1 }), 0);
});
