import assert from "node:assert/strict";
import fc from "fast-check";
import { graphemes } from "../../src/ui/clean.ts";
import type { Key, KeyName } from "../../src/ui/key_parser.ts";
import { edit, type EditorState, EMPTY_EDITOR, MAX_LINE_CHARS } from "../../src/ui/line_editor.ts";

/** Applies keys; a string is text, `|` in the result is the cursor. */
function after(...keys: (KeyName | { text: string })[]): string {
  const state = keys.reduce<EditorState>(
    (state, key) =>
      apply(state, typeof key === "string" ? { kind: key } : { kind: "text", ...key }),
    EMPTY_EDITOR,
  );
  return state.text.slice(0, state.cursor) + "|" + state.text.slice(state.cursor);
}

function apply(state: EditorState, key: Key): EditorState {
  return edit(state, key, () => ({ from: 0, candidates: ["alpha ", "beta "] })).state;
}

const text = { text: "one two-three 👨‍👩‍👧é" };
const cases: [what: string, result: string, expected: string][] = [
  ["left goes over whole graphemes", after(text, "left", "left"), "one two-three |👨‍👩‍👧é"],
  ["backspace removes a whole grapheme", after(text, "left", "backspace"), "one two-three |é"],
  ["delete removes a whole grapheme", after(text, "left", "left", "delete"), "one two-three |é"],
  [
    "word-left goes to the beginning of a word",
    after(text, "word-left", "word-left"),
    "one two-|three 👨‍👩‍👧é",
  ],
  ["word-right goes to the end of a word", after(text, "home", "word-right"), "one| two-three 👨‍👩‍👧é"],
  [
    "kill-word-left takes all up to a blank",
    after({ text: "one two-three " }, "kill-word-left"),
    "one |",
  ],
  ["kill-word-right takes a word", after(text, "home", "kill-word-right"), "| two-three 👨‍👩‍👧é"],
  ["kill-to-start", after({ text: "ab cd" }, "left", "kill-to-start"), "|d"],
  ["kill-to-end", after({ text: "ab cd" }, "home", "right", "kill-to-end"), "a|"],
  ["yank gives back what was cut", after({ text: "ab" }, "kill-to-start", "yank", "yank"), "abab|"],
  ["new-line", after({ text: "a" }, "new-line", { text: "b" }), "a\nb|"],
  [
    "a mark typed after its letter joins it",
    after({ text: "e" }, { text: "\u0301" }, "left"),
    "|e\u0301",
  ],
  [
    "Tab goes round and Escape goes back",
    after({ text: "x" }, "tab", "tab", "tab", "escape"),
    "x|",
  ],
  [
    "what Tab writes is joined by what follows",
    after({ text: "\u200d" }, "left", "tab"),
    "alpha \u200d|",
  ],
  ["back-tab goes round the other way", after("back-tab"), "beta |"],
  ["up on an empty history", after({ text: "a" }, "up", "down"), "a|"],
];
for (const [what, result, expected] of cases) {
  Deno.test(`editor: ${what}`, () => assert.equal(result, expected));
}

Deno.test("editor: history is bounded and has no repetition", () => {
  let state = EMPTY_EDITOR;
  for (let i = 0; i < 1000; i++) {
    for (let twice = 0; twice < 2; twice++) {
      state = apply(apply(state, { kind: "text", text: `${i}` }), { kind: "enter" });
    }
  }
  assert.equal(state.history.length, 200);
  assert.equal(new Set(state.history).size, 200);
});

Deno.test("editor: a line has an end", () => {
  const huge: Key = { kind: "paste", text: "x".repeat(MAX_LINE_CHARS + 1), cut: false };
  const { state, outcome } = edit(EMPTY_EDITOR, huge, () => null);
  assert.equal(state.text.length, MAX_LINE_CHARS);
  assert.equal(outcome.kind, "too-long");
  assert.equal(
    edit(state, { kind: "text", text: "y" }, () => null).state.text.length,
    MAX_LINE_CHARS,
  );
});

Deno.test("editor: whatever the keys, the cursor is between graphemes", () => {
  const key = fc.oneof(
    fc.constantFrom<KeyName>(
      ...["left", "right", "up", "down", "home", "end", "word-left", "word-right"] as const,
      ...["backspace", "delete", "kill-word-left", "kill-to-end", "yank", "enter", "tab"] as const,
    ).map((kind): Key => ({ kind })),
    fc.string({
      unit: fc.constantFrom("a", " ", "\u0301", "👩", "\u200d", "🇩", "界", "\ud83d"),
      maxLength: 4,
    })
      .map((typed): Key => ({ kind: "text", text: typed })),
  );
  fc.assert(fc.property(fc.array(key, { maxLength: 40 }), (keys) => {
    const state = keys.reduce(apply, EMPTY_EDITOR);
    const boundaries = graphemes(state.text).reduce(
      (ends, part) => [...ends, (ends.at(-1) ?? 0) + part.length],
      [0],
    );
    assert.ok(boundaries.includes(state.cursor));
    assert.ok(state.text.isWellFormed());
  }));
});
