import assert from "node:assert/strict";
import fc from "fast-check";
import * as v from "valibot";
import type { UserIntent } from "../../src/session/intent.ts";
import { jsonFace, type JsonFaceOptions, MAX_JSON_LINE_BYTES } from "../../src/ui/json.ts";
import { JsonEvent } from "../../src/ui/json_schema.ts";
import { FakeTerminal, settle } from "../support/fake_terminal.ts";

const NOW = new Date("2026-05-01T10:00:00.000Z");

function open(options: Partial<JsonFaceOptions> = {}) {
  const terminal = new FakeTerminal({ isTerminal: false });
  const face = jsonFace({ input: terminal, output: terminal, now: () => NOW, ...options });
  return { terminal, face };
}

/** All intents of an input that ends. */
async function intentsOf(chunks: (string | Uint8Array)[]): Promise<UserIntent[]> {
  const { terminal, face } = open();
  for (const chunk of chunks) terminal.type(chunk);
  terminal.endInput();
  const intents = await Array.fromAsync(face.intents());
  await face.close();
  return intents;
}

const linesOf = (text: string): unknown[] =>
  text.split("\n").filter((line) => line !== "").map((line): unknown => JSON.parse(line));

Deno.test("a notice is one line with its time", async () => {
  const { terminal, face } = open();
  face.notice({ type: "hello", schema: 1, version: "0.1.0", role: "client" });
  face.notice({ type: "info", text: "two\nlines" });
  await face.close();
  assert.equal(
    terminal.written,
    '{"type":"hello","at":"2026-05-01T10:00:00.000Z","schema":1,"version":"0.1.0","role":"client"}\n' +
      '{"type":"info","at":"2026-05-01T10:00:00.000Z","text":"two\\nlines"}\n',
  );
  for (const event of linesOf(terminal.written)) v.parse(JsonEvent, event);
});

Deno.test("foreign text comes through unchanged and steers no terminal", async () => {
  await fc.assert(fc.asyncProperty(fc.string({ unit: "binary" }), async (text) => {
    const { terminal, face } = open();
    face.notice({ type: "info", text });
    await face.close();
    assert.ok(!/[^\P{Cc}\n]|[\u202A-\u202E\u2066-\u2069]/u.test(terminal.written));
    assert.deepEqual(linesOf(terminal.written), [{ type: "info", at: NOW.toISOString(), text }]);
  }));
});

const script = [
  ['{"type":"say","text":"hi 👋","room":"book club","ref":"1","later":true}', {
    kind: "say",
    text: "hi 👋",
    room: "book club",
    ref: "1",
  }],
  ['{"type":"say","text":"two\\nlines"}\r', { kind: "say", text: "two\nlines" }],
  ["  \r", null],
  ['{"type":"command","line":"/kick fox"}', { kind: "command", line: "/kick fox" }],
  ['{"type":"answer","ref":"q1","choice":"yes"}', { kind: "answer", ref: "q1", choice: "yes" }],
] as const;
const scriptBytes = new TextEncoder().encode(script.map(([line]) => line).join("\n"));
const scriptIntents = [...script.flatMap(([, intent]) => intent ?? []), { kind: "end" }];

Deno.test("stdin gives the same intents whole and byte by byte", async () => {
  assert.deepEqual(await intentsOf([scriptBytes]), scriptIntents);
  assert.deepEqual(
    await intentsOf([...scriptBytes].map((byte) => Uint8Array.of(byte))),
    scriptIntents,
  );
});

const malformed: Record<string, [line: string, ref: string | undefined, about: RegExp]> = {
  "no JSON": ["{", undefined, /not JSON/],
  "no object": ["[1]", undefined, /type/],
  "null": ["null", undefined, /known `type`/],
  "an unknown type": ['{"type":"shout","ref":"9"}', "9", /type/],
  "a missing field": ['{"type":"say","ref":"9"}', "9", /text/],
  "a field of the wrong type": ['{"type":"say","text":7}', undefined, /text/],
  "a ref that is none": ['{"type":"say","text":"x","ref":7}', undefined, /ref/],
  "a command without a slash": ['{"type":"command","line":"quit","ref":"9"}', "9", /line/],
};
for (const [what, [line, ref, about]] of Object.entries(malformed)) {
  Deno.test(`stdin with ${what} is invalid, with a ref if there is one`, async () => {
    const [first, second] = await intentsOf([line + "\n"]);
    assert.equal(first?.kind, "invalid");
    assert.ok(first.kind === "invalid");
    assert.equal(first.ref, ref);
    assert.match(first.message, about);
    assert.deepEqual(second, { kind: "end" });
  });
}

Deno.test("bytes that are not UTF-8 are invalid", async () => {
  const [first] = await intentsOf([Uint8Array.of(0x22, 0xff, 0x22, 0x0a)]);
  assert.deepEqual(first, {
    kind: "invalid",
    message: "cannot read this line of stdin: not UTF-8",
  });
});

Deno.test("a line over 256 KiB is refused once, before it ends, and the next one is read", async () => {
  const { terminal, face } = open();
  const intents = face.intents()[Symbol.asyncIterator]();
  const chunk = new Uint8Array(100 * 1024).fill(0x20);
  for (let i = 0; i < 40; i++) terminal.type(chunk);
  const first = (await intents.next()).value;
  assert.equal(first?.kind, "invalid");
  terminal.type('\n{"type":"say","text":"next"}\n');
  assert.deepEqual((await intents.next()).value, { kind: "say", text: "next" });
  await face.close();
});

Deno.test("a line of exactly 256 KiB is read, with CRLF too, and one byte more is not", async () => {
  const frame = '{"type":"say","text":""}';
  const text = "x".repeat(MAX_JSON_LINE_BYTES - frame.length);
  const line = `{"type":"say","text":"${text}"}`;
  const longer = `{"type":"say","text":"${text}y"}`;
  const intents = await intentsOf([`${line}\r\n${line}\n${longer}\r\n${longer}\n`, line]);
  assert.deepEqual(intents.map((intent) => intent.kind), [
    "say",
    "say",
    "invalid",
    "invalid",
    "say",
    "end",
  ]);
});

Deno.test("with `listen` the end of stdin ends nothing", async () => {
  const { terminal, face } = open({ listen: true });
  terminal.type('{"type":"say","text":"hi"}');
  terminal.endInput();
  const intents = face.intents()[Symbol.asyncIterator]();
  assert.deepEqual((await intents.next()).value, { kind: "say", text: "hi" });
  const next = intents.next();
  await settle();
  await face.close();
  assert.equal((await next).done, true);
});

Deno.test("when nobody reads stdout any more, the face wants to end and closes", async () => {
  const { terminal, face } = open();
  terminal.broken = true;
  face.notice({ type: "reconnected" });
  assert.deepEqual(await Array.fromAsync(face.intents()), [{ kind: "end" }]);
  face.notice({ type: "reconnected" });
  await face.close();
  assert.equal(terminal.written, "");
});

Deno.test("a slow reader bounds what waits, is told of what was left out, and gets the end", async () => {
  const { terminal, face } = open({ maxWaitingBytes: 1000 });
  const reading = Promise.withResolvers<void>();
  terminal.beforeWrite = () => reading.promise;
  for (let i = 0; i < 100; i++) face.notice({ type: "info", text: `event ${i}` });
  face.notice({ type: "bye", reason: "left", exitCode: 0 });
  const closed = face.close();
  reading.resolve();
  await closed;
  const events = linesOf(terminal.written).map((event) => v.parse(JsonEvent, event));
  const infos = events.filter((event) => event.type === "info").length;
  assert.ok(infos > 0 && infos < 100);
  const [told, bye] = events.slice(-2);
  assert.ok(told?.type === "error" && told.code === "output-full");
  assert.match(told.message, new RegExp(`^${100 - infos} events`));
  assert.equal(bye?.type, "bye");
});

Deno.test("a program that writes faster than its commands are taken is not read on", async () => {
  const { terminal, face } = open();
  for (let i = 0; i < 2000; i++) terminal.type(`{"type":"say","text":"${i}"}\n`);
  terminal.endInput();
  const intents = face.intents()[Symbol.asyncIterator]();
  await settle();
  assert.ok(terminal.unreadChunks > 1000);
  for (let i = 0; i < 2000; i++) {
    assert.deepEqual((await intents.next()).value, { kind: "say", text: String(i) });
  }
  assert.deepEqual((await intents.next()).value, { kind: "end" });
  await face.close();
});
