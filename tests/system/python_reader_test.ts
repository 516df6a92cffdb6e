/**
 * A reader that was written in another language from docs/PROTOCOL.md alone, by somebody who had
 * not seen the code: what it cannot read, the page does not say.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as v from "valibot";
import { withFolder } from "../support/temporary_folder.ts";

const VECTORS = fileURLToPath(new URL("../vectors/", import.meta.url));
const READER = fileURLToPath(new URL("./python/stm_reader.py", import.meta.url));
// Debian's own: python3-cryptography is for this one, whatever else is on the PATH.
const PYTHON = "/usr/bin/python3";

const vectorFile = v.object({
  vectors: v.array(v.looseObject({
    name: v.string(),
    operation: v.string(),
    input: v.record(v.string(), v.unknown()),
    negative: v.array(v.looseObject({ name: v.string(), refusal: v.string() })),
  })),
});
const keyFile = v.looseObject({ keys: v.array(v.string()) });
const sessionFile = v.looseObject({
  frames: v.array(v.looseObject({ what: v.string(), frame: v.string() })),
  epochs: v.array(v.unknown()),
  messages: v.array(v.unknown()),
});
const anyFile = v.union([vectorFile, keyFile, sessionFile]);
type AnyFile = v.InferOutput<typeof anyFile>;

/** The files of tests/vectors, by name. */
async function readVectors(): Promise<[string, AnyFile][]> {
  const names = (await Array.fromAsync(Deno.readDir(VECTORS))).map(({ name }) => name).sort();
  return await Promise.all(names.map(async (name): Promise<[string, AnyFile]> => {
    const content: unknown = JSON.parse(await Deno.readTextFile(join(VECTORS, name)));
    return [name.replace(/\.json$/, ""), v.parse(anyFile, content)];
  }));
}

/** Runs the reader over a folder; a machine without python3 or its package fails, by name. */
async function read(
  folder: string,
  { python = PYTHON, options = [] }: { python?: string; options?: readonly string[] } = {},
): Promise<{ code: number; lines: string[] }> {
  const run = new Deno.Command(python, {
    args: ["-B", ...options, READER, folder],
    stdin: "null",
    signal: AbortSignal.timeout(60_000),
  });
  let output: Deno.CommandOutput;
  try {
    output = await run.output();
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    const message = `${python} is missing, as root: apt-get install python3-cryptography`;
    throw new Error(message, { cause });
  }
  const text = new TextDecoder();
  const error = text.decode(output.stderr);
  assert.equal(error, "", error);
  return { code: output.code, lines: text.decode(output.stdout).trimEnd().split("\n") };
}

/** Reads files that a test has changed. */
async function readChanged(files: readonly [string, AnyFile][]) {
  let answer = { code: 0, lines: [""] };
  await withFolder(async (folder) => {
    for (const [name, content] of files) {
      await Deno.writeTextFile(join(folder, `${name}.json`), JSON.stringify(content));
    }
    answer = await read(folder);
  });
  return answer;
}

/** How much there is of a file: to open, to refuse. */
function counts(file: AnyFile): [number, number] {
  if (v.is(keyFile, file)) return [file.keys.length, 0];
  if (v.is(sessionFile, file)) {
    return [file.frames.length + file.epochs.length + file.messages.length, 0];
  }
  const negatives = file.vectors.map(({ negative }) => negative.length);
  return [file.vectors.length, negatives.reduce((sum, count) => sum + count, 0)];
}

/** The hex of other bytes: one bit of one byte is another. */
function flip(hex: string, at: number): string {
  const byte = Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16) ^ 1;
  return hex.slice(0, 2 * at) + byte.toString(16).padStart(2, "0") + hex.slice(2 * at + 2);
}

/** The input with a bit of its last byte string flipped; one without any gets another digit. */
function spoil(input: Record<string, unknown>): Record<string, unknown> {
  const text = JSON.stringify(input);
  const last = [...text.matchAll(/"((?:[0-9a-f]{2}){8,})"/g)].at(-1)?.[1];
  const spoilt = last === undefined
    ? text.replace(/\d(?=\D*$)/, (digit) => `${(Number(digit) + 1) % 10}`)
    : text.replace(last, flip(last, 0));
  assert.notEqual(spoilt, text);
  return v.parse(v.record(v.string(), v.unknown()), JSON.parse(spoilt));
}

Deno.test("a reader written from PROTOCOL.md alone opens and refuses what the vectors say", async () => {
  const wanted = (await readVectors()).map(([name, file]) => {
    const [opened, refused] = counts(file);
    assert.ok(opened > 0, name);
    return `${name}: ${opened} opened, ${refused} refused`;
  });
  assert.ok(wanted.length > 0);
  assert.deepEqual(await read(VECTORS), { code: 0, lines: wanted });
});

Deno.test("the reader names every vector in which a bit is flipped, and each such file", async () => {
  const named: string[] = [];
  const spoilt = (await readVectors()).map(([name, file]): [string, AnyFile] => {
    if (v.is(keyFile, file)) {
      named.push(...file.keys.map((_, i) => `${name}: key ${i}: `));
      return [name, { ...file, keys: file.keys.map((key) => flip(key, 900)) }];
    }
    if (v.is(sessionFile, file)) {
      const at = file.frames.findIndex(({ what }) => what === "WELCOME");
      named.push(`${name}: frame ${at}, WELCOME: `);
      const frames = file.frames.map((entry, i) =>
        i === at ? { ...entry, frame: flip(entry.frame, 1000) } : entry
      );
      return [name, { ...file, frames }];
    }
    const vectors = file.vectors.map((vector) => {
      named.push(`${name}: ${vector.operation}, ${vector.name}: `);
      return { ...vector, input: spoil(vector.input), negative: [] };
    });
    return [name, { vectors }];
  });
  const { code, lines } = await readChanged(spoilt);
  assert.equal(code, 1);
  for (const start of named) {
    assert.ok(lines.some((line) => line.startsWith(start)), `${start}not in\n${lines.join("\n")}`);
  }
});

Deno.test("the reader names every negative vector that is to be taken after all", async () => {
  const named: string[] = [];
  const harmless = (await readVectors()).flatMap(([name, file]): [string, AnyFile][] => {
    if (!v.is(vectorFile, file)) return [];
    const vectors = file.vectors.map((vector) => {
      const negative = vector.negative.map((one) => {
        named.push(
          `${name}: ${vector.operation}, ${vector.name}, ${one.name}: taken, ${one.refusal} wanted`,
        );
        return { ...one, replace: {} };
      });
      return { ...vector, negative };
    });
    return [[name, { vectors }]];
  });
  const { code, lines } = await readChanged(harmless);
  assert.equal(code, 1);
  assert.deepEqual(lines.filter((line) => line.includes("taken")), named);
});

Deno.test("without python3 or its python3-cryptography the reader's test fails with what to install", async () => {
  const install = /apt-get install python3-cryptography/;
  await assert.rejects(read(VECTORS, { python: "/nowhere/python3" }), install);
  // -S leaves out where Debian puts its packages.
  await assert.rejects(read(VECTORS, { options: ["-S"] }), install);
});
