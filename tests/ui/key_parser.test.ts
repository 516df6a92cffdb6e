import assert from "node:assert/strict";
import fc from "fast-check";
import { type Key, KeyParser, MAX_PASTE_CHARS } from "../../src/ui/key_parser.ts";

const encode = (text: string) => new TextEncoder().encode(text);

function keysOf(chunks: Iterable<Uint8Array>): Key[] {
  const parser = new KeyParser();
  const keys: Key[] = [];
  for (const chunk of chunks) {
    for (const key of parser.push(chunk, 0)) {
      const last = keys.at(-1);
      if (key.kind === "text" && last?.kind === "text") {
        keys[keys.length - 1] = { kind: "text", text: last.text + key.text };
      } else keys.push(key);
    }
  }
  return keys;
}

const bytewise = (bytes: Uint8Array) => [...bytes].map((byte) => Uint8Array.of(byte));

const named: [sequences: string[], kind: Key["kind"]][] = [
  [["\x1b[A", "\x1bOA", "\x10"], "up"],
  [["\x1b[B", "\x1bOB", "\x0e"], "down"],
  [["\x1b[D", "\x1bOD", "\x02"], "left"],
  [["\x1b[C", "\x1bOC", "\x06"], "right"],
  [["\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~", "\x01"], "home"],
  [["\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~", "\x05"], "end"],
  [["\x1b[3~"], "delete"],
  [["\x7f", "\x08"], "backspace"],
  [["\x1bb", "\x1b[1;5D", "\x1b[1;3D"], "word-left"],
  [["\x1bf", "\x1b[1;5C", "\x1b[1;3C"], "word-right"],
  [["\x17", "\x1b\x7f"], "kill-word-left"],
  [["\x1bd", "\x1b[3;5~"], "kill-word-right"],
  [["\x15"], "kill-to-start"],
  [["\x0b"], "kill-to-end"],
  [["\x19"], "yank"],
  [["\x0c"], "redraw"],
  [["\r", "\n"], "enter"],
  [["\x1b\r"], "new-line"],
  [["\t"], "tab"],
  [["\x1b[Z"], "back-tab"],
  [["\x03"], "interrupt"],
  [["\x04"], "end-of-input"],
];
for (const [sequences, kind] of named) {
  Deno.test(`${sequences.map((text) => JSON.stringify(text)).join(", ")} is ${kind}`, () => {
    for (const sequence of sequences) {
      const expected = [{ kind }, { kind: "text", text: "x" }];
      assert.deepEqual(keysOf([encode(sequence + "x")]), expected);
      assert.deepEqual(keysOf(bytewise(encode(sequence + "x"))), expected);
    }
  });
}

Deno.test("sequences that nobody knows do nothing", () => {
  for (
    const sequence of [
      "\x1b[200;1R",
      "\x1b[I",
      "\x1b[<0;1;1M",
      "\x1bOz",
      "\x1bq",
      "\x00",
      "\x1b[1;2P",
    ]
  ) {
    assert.deepEqual(keysOf([encode(sequence + "x")]), [{ kind: "text", text: "x" }]);
  }
});

Deno.test("keys are the same whole and byte by byte, whatever the bytes", () => {
  const input = fc.array(
    fc.oneof(
      fc.constantFrom(
        ...[
          "\x1b",
          "[",
          "O",
          "A",
          "200~",
          "201~",
          "\x1b[200~",
          "\x1b[201~",
          ";5",
          "D",
          "\r",
          "\n",
          "é",
          "界",
          "👋",
        ],
      ),
      fc.string({ unit: "binary", maxLength: 3 }),
    ),
    { maxLength: 20 },
  ).map((parts) => encode(parts.join("")));
  fc.assert(fc.property(input, (bytes) => {
    assert.deepEqual(keysOf(bytewise(bytes)), keysOf([bytes]));
  }));
});

Deno.test("a paste is one text, its line breaks made one kind", () => {
  const paste = encode("\x1b[200~one\r\ntwo\rthree\n\x1b[A\x03\x1b[201~x");
  const expected = [
    { kind: "paste", text: "one\ntwo\nthree\n\x1b[A\x03", cut: false },
    { kind: "text", text: "x" },
  ];
  assert.deepEqual(keysOf([paste]), expected);
  assert.deepEqual(keysOf(bytewise(paste)), expected);
});

Deno.test("an endless paste is kept only up to its limit", () => {
  const chunk = encode("x".repeat(10_000));
  const keys = keysOf([encode("\x1b[200~"), ...Array(20).fill(chunk), encode("\x1b[201~")]);
  assert.deepEqual(keys, [{ kind: "paste", text: "x".repeat(MAX_PASTE_CHARS), cut: true }]);
});

Deno.test("an Escape key that nothing follows for a while is no prefix", () => {
  const parser = new KeyParser();
  assert.deepEqual(parser.push(encode("\x1b"), 0), []);
  assert.deepEqual(parser.push(encode("b"), 1000), [{ kind: "escape" }, {
    kind: "text",
    text: "b",
  }]);
});

Deno.test("a slow line does not break an arrow key", () => {
  const parser = new KeyParser();
  assert.deepEqual(parser.push(encode("\x1b"), 0), []);
  assert.deepEqual(parser.push(encode("[A"), 5000), [{ kind: "up" }]);
});
