/**
 * docs/PROTOCOL.md and src/wire say the same: every table of the page against the code, both ways.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { COMMIT_REASONS, REMOVAL_REASONS, VIAS } from "../../src/wire/commit.ts";
import { DIRECTIONS } from "../../src/wire/contexts.ts";
import { DENIED_CODES, PENDING_REASONS } from "../../src/wire/handshake.ts";
import * as limits from "../../src/wire/limits.ts";
import { PAYLOAD_KINDS } from "../../src/wire/payload.ts";
import {
  ACCESS,
  CLOSING_CODES,
  decodeRelayMessage,
  encodeRelayMessage,
  GONE_REASONS,
  LOGIN_REFUSED_CODES,
  REFUSED_CODES,
  RELAY_MESSAGES,
} from "../../src/wire/relay_message.ts";
import { decodeRoomMessage, ROOM_MESSAGES } from "../../src/wire/room_message.ts";
import { SEALED_TYPES } from "../../src/wire/sealed_message.ts";
import { SIGNATURE_KINDS } from "../../src/wire/signed.ts";
import { ROLES } from "../../src/wire/ticket.ts";
import { anyRelayMessage, SAMPLES } from "./samples.ts";

const PAGE = await Deno.readTextFile(new URL("../../docs/PROTOCOL.md", import.meta.url));

/** The page with each paragraph on one line, wherever the formatter broke it. */
const PROSE = PAGE.split("\n\n")
  .map((part) => part.startsWith("|") ? part : part.replaceAll(/\n\s*(?!\s*(?:[-*]|\d+\.) )/g, " "))
  .join("\n\n");

interface Table {
  readonly section: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

function tablesOf(page: string): Table[] {
  const tables: Table[] = [];
  let section = "";
  let open: { section: string; head: string[]; rows: string[][] } | undefined;
  for (const line of page.split("\n")) {
    if (line.startsWith("#")) section = line.replace(/^#+ /, "").split(" ")[0] ?? "";
    if (!line.startsWith("|")) {
      open = undefined;
      continue;
    }
    const cells = line.split("|").slice(1, -1).map((cell) => cell.trim());
    if (open === undefined) tables.push(open = { section, head: cells, rows: [] });
    else if (!cells.every((cell) => /^-+$/.test(cell))) open.rows.push(cells);
  }
  return tables;
}

const TABLES = tablesOf(PAGE);

/** Rows of the one table whose head begins with `head`, in a section that begins with `section`. */
function rowsOf(section: string, ...head: string[]): (readonly string[])[] {
  const found = TABLES.filter((table) =>
    table.section.startsWith(section) && head.every((cell, i) => table.head[i] === cell)
  );
  assert.equal(found.length, 1, `${found.length} tables "${head.join(" | ")}" in §${section}`);
  return [...(found[0]?.rows ?? [])];
}

/** Two columns as an object: names and their numbers. */
function numbered(rows: (readonly string[])[], name: number, value: number) {
  return Object.fromEntries(rows.map((row) => [row[name], Number(row[value])]));
}

const upper = (kind: string): string => kind.toUpperCase().replaceAll("-", "_");
const camel = (words: string): string => words.replace(/ (\w)/g, (_, c: string) => c.toUpperCase());

Deno.test("limits.ts has the limits of the page, with their values, and no others", () => {
  const rows = TABLES.filter((table) => table.head[0] === "limit").flatMap((table) => table.rows);
  assert.ok(rows.length > 15);
  assert.deepEqual({ ...limits }, numbered(rows, 0, 1));
});

Deno.test("the roles are those of §3", () => {
  assert.deepEqual({ ...ROLES }, numbered(rowsOf("3.", "role", "value"), 0, 1));
});

Deno.test("the kinds of access are those of §3.3", () => {
  assert.deepEqual({ ...ACCESS }, numbered(rowsOf("3.3", "access", "value"), 0, 1));
});

Deno.test("the codes of REFUSED, CLOSING, LOGIN_REFUSED and DENIED are those of the page", () => {
  const columns = ["code", "name"];
  assert.deepEqual(
    { ...REFUSED_CODES },
    numbered(rowsOf("3.2", ...columns, "of REFUSED"), 1, 0),
  );
  assert.deepEqual(
    { ...CLOSING_CODES },
    numbered(rowsOf("3.2", ...columns, "of CLOSING"), 1, 0),
  );
  assert.deepEqual(
    { ...LOGIN_REFUSED_CODES },
    numbered(rowsOf("3.3", ...columns, "of LOGIN_REFUSED"), 1, 0),
  );
  assert.deepEqual({ ...DENIED_CODES }, numbered(rowsOf("6", ...columns, "of DENIED"), 1, 0));
});

Deno.test("the relay's messages have the types and senders of §3.2", () => {
  const page = rowsOf("3.2", "type", "name", "from").map(([type, name, from]) =>
    `${type} ${name} ${from}`
  );
  const code = Object.entries(RELAY_MESSAGES).map(([kind, row]) =>
    `0x${row.type.toString(16).padStart(2, "0")} ${upper(kind)} ${row.from}`
  );
  assert.deepEqual(code.sort(), page.sort());
});

/** Fields as a table writes them: "room bytes[16], min version u8, payload rest". */
function fieldsOf(cell: string): { name: string; type: string }[] {
  if (cell === "nothing") return [];
  return cell.split(", ").map((field) => {
    const [, name = "", type = ""] = /^(.*) (\S+)$/.exec(field) ?? [];
    return { name, type };
  });
}

/** Cuts "a u8 ‖ list32<b u8 ‖ c u8> ‖ …" at its outermost bars. */
function structureOf(text: string): string[] {
  const fields: string[] = [];
  let depth = 0;
  for (const part of text.split(" ‖ ")) {
    if (depth === 0) fields.push(part);
    else fields.push(`${fields.pop()} ‖ ${part}`);
    depth += part.split(/[<(]/).length - part.split(/[>)]/).length;
  }
  return fields.map((field) => {
    if (field.startsWith("Sign(")) return "bytes[64]";
    const type = /(list(?:16|32)<.*>|bytes\[\d+\]|u\d+|b16|b32|str)(?: = 1| zero)?$/.exec(field)
      ?.[1];
    assert.ok(type, `no type in "${field}"`);
    return type;
  });
}

/** Walks over bytes by the types of the page alone; returns how many bytes they take. */
function walk(types: readonly string[], bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  for (const type of types) {
    const [, bitsOfCount, element = ""] = /^list(16|32)<(.*)>$/.exec(type) ?? [];
    if (bitsOfCount !== undefined) {
      const count = bitsOfCount === "16" ? view.getUint16(at) : view.getUint32(at);
      at += Number(bitsOfCount) / 8;
      for (let i = 0; i < count; i++) at += walk(structureOf(element), bytes.subarray(at));
      continue;
    }
    const fixed = /^bytes\[(\d+)\]$/.exec(type)?.[1];
    const bits = /^u(\d+)$/.exec(type)?.[1];
    if (fixed !== undefined) at += Number(fixed);
    else if (bits !== undefined) at += Number(bits) / 8;
    else if (type === "b16" || type === "str") at += 2 + view.getUint16(at);
    else if (type === "b32") at += 4 + view.getUint32(at);
    else if (type === "rest") at = bytes.length;
    else assert.fail(`no such type: ${type}`);
  }
  return at;
}

Deno.test("each message of the relay has the fields of §3.2, by name and by layout", () => {
  const cells = new Map(
    rowsOf("3.2", "type", "name", "from").map((row) => [row[1], row[3] ?? ""]),
  );
  const seen = new Set<string>();
  fc.assert(
    fc.property(anyRelayMessage, (message) => {
      seen.add(message.kind);
      const fields = fieldsOf(cells.get(upper(message.kind)) ?? "");
      const body = encodeRelayMessage(message);
      assert.equal(1 + walk(fields.map((field) => field.type), body.subarray(1)), body.length);
      const decoded = decodeRelayMessage(body);
      assert.deepEqual(Object.keys(decoded), ["kind", ...fields.map((f) => camel(f.name))]);
    }),
    { numRuns: 500 },
  );
  assert.equal(seen.size, cells.size);
});

Deno.test("the payload kinds are those of §5", () => {
  assert.deepEqual({ ...PAYLOAD_KINDS }, numbered(rowsOf("5", "kind", "value"), 0, 1));
});

Deno.test("the sealed types have the numbers, directions and ways of §5", () => {
  const ways = { "direct-to-owners": "DIRECT to owners", direct: "DIRECT", broadcast: "BROADCAST" };
  const page = rowsOf("5", "type", "name", "direction", "sent as").map((row) =>
    `${row[0]} ${row[1]} ${row[2]} ${row[3]?.replace(/ \(.*\)/, "")}`
  );
  const code = Object.entries(SEALED_TYPES).map(([kind, { type, direction, sentAs }]) =>
    `0x${type.toString(16).padStart(2, "0")} ${upper(kind)} ${DIRECTIONS[direction]} ${
      ways[sentAs]
    }`
  );
  assert.deepEqual(code.sort(), page.sort());
});

Deno.test("the room's messages have the types and fields of §8", () => {
  const rows = rowsOf("8", "type", "name", "content");
  const page = rows.map((row) => `${row[0]} ${row[1]}`);
  const code = Object.entries(ROOM_MESSAGES).map(([kind, { type }]) =>
    `0x${type.toString(16).padStart(2, "0")} ${upper(kind)}`
  );
  assert.deepEqual(code.sort(), page.sort());
  for (const row of rows) {
    const fields = fieldsOf(row[2] ?? "");
    const sample = SAMPLES.find(({ name }) => name === `room message ${row[1]?.toLowerCase()}`);
    assert.ok(sample);
    fc.assert(
      fc.property(sample.encoded, (content) => {
        assert.equal(walk(fields.map((field) => field.type), content), content.length);
        const decoded = decodeRoomMessage(Number(row[0]), content);
        assert.deepEqual(Object.keys(decoded), ["kind", ...fields.map((f) => camel(f.name))]);
      }),
      { numRuns: 20 },
    );
  }
});

Deno.test("each structure of §6 and §7 has the layout that the page writes", () => {
  const cases: [string, RegExp][] = [
    ["ticket", /TICKET is 184 bytes: `(room .*?zero) ‖/],
    ["member credential", /of a member `(.*?)`/],
    ["owner credential", /of an owner `(.*?)`/],
    ["knock", /sends KNOCK: `(.*?)`/],
    ["hello", /answers HELLO: `(.*?)`/],
    ["bundle", /sends BUNDLE: `(.*?)`/],
    ["bundle inner", /inner `(cert.*?)`/],
    ["cert", /^CERT: `(.*?)`/m],
    ["pending", /PENDING: `(.*?)`/],
    ["denied", /DENIED: `(.*?)`/],
    ["commit", /^COMMIT: `(.*?)`/m],
    ["change", /^CHANGE: `(.*?)`/m],
    ["roster", /ROSTER `(.*?)`/],
    ["wrap", /gets WRAP: `(.*?)`/],
    ["welcome", /gets WELCOME: `(.*?)`/],
    ["kem update", /sends KEM_UPDATE: `(.*?)`/],
    ["kem ack", /answers KEM_ACK: `(.*?)`/],
    ["catch up", /CATCH_UP\*\* `(.*?)`/],
    ["caught up", /then CAUGHT_UP: `(.*?)`/],
    ["repair request", /with REPAIR_REQUEST `(.*?)`/],
    ["view request", /with VIEW_REQUEST `(.*?)`/],
    ["view", /answered with VIEW `(.*?)`/],
  ];
  for (const [name, pattern] of cases) {
    const text = pattern.exec(PROSE)?.[1];
    assert.ok(text, `no layout of ${name}`);
    const types = structureOf(text);
    const sample = SAMPLES.find((candidate) => candidate.name === name);
    assert.ok(sample, name);
    fc.assert(
      fc.property(sample.encoded, (bytes) => assert.equal(walk(types, bytes), bytes.length, name)),
      { numRuns: 20 },
    );
  }
});

/** An enumeration written as a sentence: "0 closed, 1 left, …" after `lead`, by first words. */
function enumerated(lead: RegExp): Record<string, number> {
  const sentence = lead.exec(PROSE)?.[1];
  assert.ok(sentence, `no sentence for ${lead}`);
  return Object.fromEntries(
    sentence.split(", ").map((item) => {
      const [, value, name = ""] = /^(\d+) (?:a )?([a-z]+)/.exec(item) ?? [];
      return [name, Number(value)];
    }),
  );
}

/** Names of the code cut to their first word, as {@link enumerated} gives them. */
function firstWords(names: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(names).map(([name, value]) => [name.split("-")[0] ?? "", value]),
  );
}

Deno.test("the enumerations that the page writes as sentences are those of the code", () => {
  const cases: [Readonly<Record<string, number>>, RegExp][] = [
    [GONE_REASONS, /owners only\): (0 closed[^.]+)\./],
    [VIAS, /`via`: (0 founder[^.]+)\./],
    [COMMIT_REASONS, /Reason of the commit: (0 founded[^.]+)\./],
    [REMOVAL_REASONS, /Reason of a removal: (1 left[^.]+)\./],
  ];
  for (const [names, lead] of cases) assert.deepEqual(firstWords(names), enumerated(lead));
  assert.match(PROSE, /`reason u8`, 1 a person is asked/);
  assert.deepEqual({ ...PENDING_REASONS }, { asking: 1 });
  assert.match(PROSE, /direction 0 to the admin, 1 from the admin, 2 between members/);
  assert.deepEqual({ ...DIRECTIONS }, { "to-admin": 0, "from-admin": 1, "between-members": 2 });
});

Deno.test("the kinds of signatures are those of §1", () => {
  const line = /^Kinds of signatures: (.*?)\.$/m.exec(PROSE)?.[1] ?? "";
  const kinds = [...line.matchAll(/`([a-z-]+)`/g)].map(([, kind]) => kind);
  assert.deepEqual([...SIGNATURE_KINDS].sort(), kinds.sort());
});

Deno.test("src/wire, src/auth and the page have the same labels", async () => {
  const labels = (text: string): string[] =>
    [...text.matchAll(/"(stm\/1 [a-z0-9 ]*[a-z0-9])"/g)].map(([, label]) => label ?? "");
  const inCode = new Set<string>();
  for (const folder of ["../../src/wire/", "../../src/auth/"]) {
    for await (const { name } of Deno.readDir(new URL(folder, import.meta.url))) {
      const code = await Deno.readTextFile(new URL(folder + name, import.meta.url));
      for (const label of labels(code)) inCode.add(label);
    }
  }
  assert.deepEqual([...inCode].sort(), [...new Set(labels(PAGE))].sort());
});

Deno.test("a TICKET has the size that the page says", () => {
  const size = Number(/TICKET is (\d+) bytes/.exec(PROSE)?.[1]);
  const ticket = SAMPLES.find(({ name }) => name === "ticket");
  assert.ok(ticket);
  const [body] = fc.sample(ticket.encoded, 1);
  assert.equal((body?.length ?? 0) + 64, size);
});
