import assert from "node:assert/strict";
import type { Notice } from "../../src/session/notice.ts";
import { lineFace, type LineFaceOptions } from "../../src/ui/line.ts";
import { NOTICE_SCHEMAS } from "../../src/ui/json_schema.ts";
import { FakeTerminal, settle } from "../support/fake_terminal.ts";
import {
  CODE,
  HEN,
  IN_ROOM,
  MEMBERS,
  message,
  NOON,
  OWL,
  roomView,
  sessionView,
} from "../support/line_stage.ts";

const PIN = "ab".repeat(32);
const AT = NOON.toISOString();
const FOX = { name: "fox", identity: "bb".repeat(32) };

/** Every kind of notice, in plain words. */
const told: [Notice, string][] = [
  [{ type: "hello", schema: 1, version: "0.1.0", role: "client" }, "stm 0.1.0, client"],
  [
    {
      type: "ready",
      host: "::",
      port: 5000,
      listening: ["[::]:5000", "10.0.0.1:5001"],
      link: "stm://h:5000#x",
      pin: PIN,
      fingerprint: "1f3a",
    },
    "relay ready on [::]:5000 and 10.0.0.1:5001 server link: stm://h:5000#x fingerprint: 1f3a",
  ],
  [{ type: "stopping", reason: "SIGTERM" }, "stopping: SIGTERM"],
  [{ type: "info", text: "one\ntwo" }, "one\ntwo"],
  [{ type: "connected", host: "h", port: 1, pin: PIN }, "connected to h:1"],
  [
    { type: "disconnected", code: "closed", message: "the relay is gone" },
    "! disconnected: the relay is gone",
  ],
  [{ type: "reconnecting", attempt: 2, inMs: 500 }, "connecting again in 0.5 s (attempt 2)"],
  [{ type: "reconnected" }, "connected again"],
  [
    { type: "invite", ...IN_ROOM, invite: "a1", url: "stm://h:1/#x", uses: 3, expires: AT },
    "invite for 3 people, until 2026-05-01 12:34: stm://h:1/#x",
  ],
  [
    {
      type: "join-request",
      ...IN_ROOM,
      request: "r1",
      name: "red fox",
      identity: PIN,
      fingerprint: "1f3a",
    },
    '? red fox asks to join, fingerprint 1f3a /admit "red fox" or /deny "red fox"',
  ],
  [
    {
      type: "join-request",
      ...IN_ROOM,
      request: "r1",
      name: "f\u200box",
      identity: PIN,
      fingerprint: "1f3a",
    },
    "? f�ox asks to join, fingerprint 1f3a /admit r1 or /deny r1",
  ],
  [{ type: "waiting", ...IN_ROOM, reason: "no-admin" }, "waiting: no admin is there yet"],
  [
    { type: "waiting", ...IN_ROOM, reason: "no-answer" },
    "waiting: the admin is there and does not answer: the invite may be too old, ask for a new one",
  ],
  [
    { type: "waiting", ...IN_ROOM, reason: "asked" },
    "waiting: the admin has been asked to let you in",
  ],
  [
    { type: "joined", ...IN_ROOM, me: FOX, members: MEMBERS, epoch: 4, safetyCode: CODE },
    `[book club] 3 members: owl (admin), fox (you), hen · epoch 4 safety code: ${CODE}`,
  ],
  [
    { type: "member-joined", ...IN_ROOM, ...HEN, via: "shared-link", fingerprint: "1f3a" },
    "hen joined, by shared link; fingerprint 1f3a",
  ],
  [{ type: "member-left", ...IN_ROOM, ...HEN, reason: "left" }, "hen left"],
  [{ type: "member-left", ...IN_ROOM, ...HEN, reason: "kicked" }, "hen was removed by the admin"],
  [{ type: "presence", ...IN_ROOM, ...HEN, present: false }, "hen is away"],
  [{ type: "presence", ...IN_ROOM, ...HEN, present: true }, "hen is back"],
  [
    { type: "epoch", ...IN_ROOM, epoch: 5, reason: "kick", members: MEMBERS, safetyCode: CODE },
    "new room key: epoch 5, somebody was removed",
  ],
  [
    { type: "members", ...IN_ROOM, epoch: 5, members: MEMBERS, safetyCode: CODE },
    "[book club] 3 members · epoch 5\n" +
    "owl: admin, verified, opened the room; 1f3a 9c20\n" +
    "fox: you, by invite; c4e0 11d7\n" +
    "hen: not verified, known from before, away; 77be 04d1\n" +
    `safety code: ${CODE.replace(" absorb", "\nabsorb")}`,
  ],
  [message("hi\nthere"), "owl: hi ⏎ there"],
  [
    {
      type: "message",
      ...IN_ROOM,
      id: PIN,
      from: "owl",
      identity: OWL.identity,
      text: "late",
      sentAt: new Date(2026, 3, 30, 9, 5).toISOString(),
    },
    "owl (sent 2026-04-30 09:05): late",
  ],
  [
    {
      type: "message",
      ...IN_ROOM,
      id: PIN,
      from: "owl",
      identity: OWL.identity,
      text: "hm",
      sentAt: AT,
      late: true,
      authorGone: true,
    },
    "owl (came late) (came after they were gone): hm",
  ],
  [{ type: "sent", ...IN_ROOM, id: PIN, text: "hi", sentAt: AT }, "fox: hi"],
  [{ type: "pending", ...IN_ROOM, id: PIN, text: "hi\nyou" }, "fox (not sent yet): hi ⏎ you"],
  [{ type: "verified", ...IN_ROOM, members: [OWL, HEN] }, "verified: owl, hen"],
  [
    { type: "warning", code: "fork", message: "two conversations" },
    "! two conversations (fork)",
  ],
  [
    { type: "repaired", ...IN_ROOM, from: "owl", identity: OWL.identity, count: 1 },
    "1 message of owl came late; nothing of it is missing now",
  ],
  [
    { type: "missing", ...IN_ROOM, from: "owl", identity: OWL.identity, count: 2 },
    "! 2 messages of owl cannot be had any more",
  ],
  [
    { type: "missing", ...IN_ROOM, from: "owl", identity: OWL.identity, count: 65_536 },
    "! 65536 messages or more of owl cannot be had any more",
  ],
  [
    { type: "agreement", ...IN_ROOM, agree: 3, of: 3, differ: [], behind: [], silent: [] },
    "3/3 see the same conversation",
  ],
  [
    { type: "agreement", ...IN_ROOM, agree: 2, of: 3, differ: [HEN], behind: [], silent: [] },
    "! only 2/3 see the same conversation; another one: hen",
  ],
  [
    { type: "agreement", ...IN_ROOM, agree: 1, of: 4, differ: [], behind: [HEN], silent: [OWL] },
    "! only 1/4 see the same conversation; messages are missing at: hen; not heard of lately: owl; 1 not compared yet",
  ],
  [
    { type: "agreement", ...IN_ROOM, agree: 1, of: 3, differ: [], behind: [], silent: [] },
    "1/3 see the same conversation; 2 not compared yet",
  ],
  [{ type: "ask", ref: "q", question: "sure?", choices: ["yes", "no"] }, "? sure? [yes/no]"],
  [
    { type: "server-key", state: "announced", pin: PIN, fingerprint: "5665 de0f", from: AT },
    `the relay will have a new key on ${
      AT.slice(0, 10)
    }, as it says under its key of now; stm will follow; its fingerprint will be 5665 de0f`,
  ],
  [
    { type: "server-key", state: "changed", pin: PIN, fingerprint: "5665 de0f" },
    "the relay has a new key, as it announced under its old one; its fingerprint is 5665 de0f",
  ],
  [
    { type: "withdrawn", ref: "q", question: "sure?" },
    "no answer is needed any more: sure?",
  ],
  [{ type: "ok", ref: "1" }, ""],
  [{ type: "error", code: "no-such-member", message: "no fax here" }, "! no fax here"],
  [{ type: "bye", reason: "you left", exitCode: 0 }, "bye: you left"],
  [{ type: "bye", reason: "removed", exitCode: 6 }, "! removed"],
];

function open(options: Partial<LineFaceOptions> = {}) {
  const terminal = new FakeTerminal({ isTerminal: false });
  const face = lineFace({ terminal, now: () => NOON, ...options });
  face.view(sessionView());
  return { terminal, face };
}

for (const [notice, line] of told) {
  Deno.test(`into a pipe, ${notice.type} reads: ${line}`, async () => {
    const { terminal, face } = open();
    face.notice(notice);
    await face.close();
    assert.equal(terminal.written, line === "" ? "" : line + "\n");
  });
}

Deno.test("a reason that was just told as a failure is not told again with the goodbye", async () => {
  const { terminal, face } = open();
  const failed = { type: "error", code: "unreachable", message: "nothing listens there" } as const;
  face.notice(failed);
  face.notice({ type: "bye", reason: failed.message, exitCode: 3 });
  await face.close();
  assert.equal(terminal.written, "! nothing listens there\n");
  const refused = open();
  refused.face.notice({ type: "disconnected", code: "login-refused", message: "wrong password" });
  refused.face.notice({ type: "bye", reason: "wrong password", exitCode: 5 });
  await refused.face.close();
  assert.equal(refused.terminal.written, "! disconnected: wrong password\n");
  const room = open();
  room.face.notice({ type: "error", code: "name-taken", message: "den: choose another name" });
  room.face.notice({ type: "bye", reason: "choose another name", exitCode: 6 });
  await room.face.close();
  assert.equal(room.terminal.written, "! den: choose another name\n");
  const other = open();
  other.face.notice(failed);
  other.face.notice({ type: "bye", reason: "removed", exitCode: 6 });
  await other.face.close();
  assert.equal(other.terminal.written, "! nothing listens there\n! removed\n");
});

Deno.test("every kind of notice has its words", () => {
  const types = new Set(told.map(([notice]) => notice.type));
  assert.deepEqual([...types].sort(), Object.keys(NOTICE_SCHEMAS).sort());
});

Deno.test("into a pipe no escape sequence is written, whatever the names and the environment", async () => {
  const { terminal, face } = open({ color: true, env: { TERM: "xterm-256color" } });
  face.view(sessionView({ rooms: [roomView(), roomView("l\x1bab")] }));
  for (const [notice] of told) face.notice(notice);
  face.notice(message("\x1b[31mred", { name: "\x9bA", identity: OWL.identity }));
  await face.close();
  assert.ok(!/[^\P{Cc}\n]/u.test(terminal.written));
});

Deno.test("lines of a pipe are said, commands and answers given, and the end leaves", async () => {
  const { terminal, face } = open();
  const intents = face.intents()[Symbol.asyncIterator]();
  terminal.type("hello\r\n\n/kick fox\n//shrug\n");
  assert.deepEqual((await intents.next()).value, { kind: "say", text: "hello" });
  assert.deepEqual((await intents.next()).value, { kind: "command", line: "/kick fox" });
  assert.deepEqual((await intents.next()).value, { kind: "say", text: "/shrug" });
  face.notice({ type: "ask", ref: "q1", question: "sure?", choices: ["yes", "no"] });
  terminal.type("perhaps\ny\nlast words");
  terminal.endInput();
  assert.deepEqual((await intents.next()).value, { kind: "answer", ref: "q1", choice: "yes" });
  assert.deepEqual((await intents.next()).value, { kind: "say", text: "last words" });
  assert.deepEqual((await intents.next()).value, { kind: "end" });
  assert.equal((await intents.next()).done, true);
  await face.close();
  assert.equal(terminal.written, "? sure? [yes/no]\n! please answer yes or no\n");
});

Deno.test("texts of a pipe wait while 500 before them are not sent, and are taken then", async () => {
  const { terminal, face } = open();
  const crowded = { ...roomView(), pending: 500 };
  face.view(sessionView({ rooms: [roomView("lab"), crowded] }));
  const taken: unknown[] = [];
  const all = (async () => {
    for await (const intent of face.intents()) taken.push(intent);
  })();
  terminal.type("/who\none\ntwo\n");
  terminal.endInput();
  await settle();
  assert.deepEqual(taken, [{ kind: "command", line: "/who" }]);
  face.view(sessionView({ rooms: [roomView("lab"), { ...crowded, pending: 499 }] }));
  await all;
  assert.deepEqual(taken.slice(1), [
    { kind: "say", text: "one" },
    { kind: "say", text: "two" },
    { kind: "end" },
  ]);
});

Deno.test("a line after a question that was withdrawn is said", async () => {
  const { terminal, face } = open();
  face.notice({ type: "ask", ref: "q1", question: "sure?", choices: ["yes", "no"] });
  face.notice({ type: "withdrawn", ref: "q1", question: "sure?" });
  terminal.type("hello\n");
  terminal.endInput();
  assert.deepEqual(await Array.fromAsync(face.intents()), [
    { kind: "say", text: "hello" },
    { kind: "end" },
  ]);
});

Deno.test("a line that is too long is not said, and the person hears of it", async () => {
  const { terminal, face } = open();
  terminal.type("x".repeat(300_000) + "\nnext\n");
  terminal.endInput();
  assert.deepEqual(await Array.fromAsync(face.intents()), [
    { kind: "say", text: "next" },
    { kind: "end" },
  ]);
  await face.close();
  assert.equal(terminal.written, "! a line over 262144 bytes was not sent\n");
});

Deno.test("with `listen` the end of a pipe ends nothing", async () => {
  const { terminal, face } = open({ listen: true });
  terminal.endInput();
  const next = face.intents()[Symbol.asyncIterator]().next();
  await settle();
  await face.close();
  assert.equal((await next).done, true);
});

Deno.test("when nobody reads any more the line face wants to end", async () => {
  const { terminal, face } = open({ listen: true });
  terminal.broken = true;
  face.notice({ type: "reconnected" });
  assert.deepEqual(await Array.fromAsync(face.intents()), [{ kind: "end" }]);
  await face.close();
});

Deno.test("an agreement is told again only when it has changed", async () => {
  const { terminal, face } = open();
  const tell = (agree: number, of: number): void =>
    face.notice({
      type: "agreement",
      ...IN_ROOM,
      agree,
      of,
      differ: [],
      behind: [],
      silent: agree === of ? [] : [HEN],
    });
  // That all agree is the same news, whoever comes or goes.
  for (const [agree, of] of [[3, 3], [4, 4], [3, 4], [3, 4], [4, 4]] as const) tell(agree, of);
  await face.close();
  assert.equal(terminal.written.split("\n").length - 1, 3);
});

Deno.test("a relay on a terminal prints in colour and leaves the keyboard alone", async () => {
  const terminal = new FakeTerminal();
  const face = lineFace({
    terminal,
    input: false,
    env: { TERM: "xterm-256color" },
    now: () => NOON,
  });
  const intents = Array.fromAsync(face.intents());
  face.notice({
    type: "ready",
    host: "0.0.0.0",
    port: 5000,
    listening: ["0.0.0.0:5000"],
    link: "stm://h:5000#x",
    pin: PIN,
    fingerprint: "1f3a",
  });
  await face.close();
  assert.deepEqual(await intents, []);
  assert.equal(terminal.raw, false);
  assert.equal(
    terminal.written,
    "relay ready on 0.0.0.0:5000\nserver link: \x1b[1mstm://h:5000#x\x1b[0m\nfingerprint: 1f3a\n",
  );
});

Deno.test("on a dumb terminal there is no escape sequence and the keyboard stays as it is", async () => {
  const terminal = new FakeTerminal({ hasEscapes: false });
  const face = lineFace({ terminal, env: { TERM: "dumb" }, now: () => NOON });
  terminal.type("hello\n");
  terminal.endInput();
  assert.deepEqual(await Array.fromAsync(face.intents()), [
    { kind: "say", text: "hello" },
    { kind: "end" },
  ]);
  face.notice(message("hi"));
  await face.close();
  assert.equal(terminal.raw, false);
  assert.equal(terminal.written, "owl: hi\n");
});
