import assert from "node:assert/strict";
import fc from "fast-check";
import { cleanLine, cleanName, cleanText, graphemes } from "../../src/ui/clean.ts";

/** Strings full of what an attacker would use, beside ordinary ones. */
const nasty = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      ..."\x1b\x07\x00\x9b\x9d\r\n\t\v\f\x7f\u0085\u2028\u2029\u202e\u2066\u2069\u200e\u200b\u200c\u200d\ufe0f\ufe0e\u2060\ufeff\u00ad\u034f\u3164\u2800\u0301\u0308\u180b\ud800\udc00\uffff[mA界ب क्",
      ...["👨", "👩", "🏽", "🇩", "🏴", "\u{E0067}", "\u{E007F}", "\u{E0100}", "❤", "\u20E3", "1"],
    ),
    fc.integer({ min: 0, max: 0x10ffff }).map((code) =>
      code >= 0xd800 && code <= 0xdfff ? String.fromCharCode(code) : String.fromCodePoint(code)
    ),
  ),
  maxLength: 60,
});

/** What must never reach a terminal; a line break is allowed where `lines` is. */
function assertSafe(text: string, lines: boolean) {
  assert.ok(text.isWellFormed());
  for (const point of text) {
    const code = point.codePointAt(0) ?? 0;
    if (lines && point === "\n") continue;
    assert.ok(code >= 0x20 && code !== 0x7f && !(code >= 0x80 && code < 0xa0), code.toString(16));
    assert.ok(
      !/[\u202A-\u202E\u2066-\u206F\u200E\u200F\u061C\u2028\u2029\u200B\u2060\uFEFF]/u.test(point),
    );
  }
}

Deno.test("cleanText() leaves no control, C1, bidi control or stray zero-width character", () => {
  fc.assert(fc.property(nasty, (text) => {
    assertSafe(cleanText(text), true);
    assertSafe(cleanLine(text), false);
    assertSafe(cleanName(text), false);
  }));
});

Deno.test("cleaning twice is cleaning once", () => {
  fc.assert(
    fc.property(nasty, (text) => {
      assert.equal(cleanText(cleanText(text)), cleanText(text));
      assert.equal(cleanLine(cleanLine(text)), cleanLine(text));
      assert.equal(cleanName(cleanName(text)), cleanName(text));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("no byte of cleaned text is below 0x20 but the line break", () => {
  fc.assert(fc.property(nasty, (text) => {
    for (const byte of new TextEncoder().encode(cleanText(text))) {
      assert.ok(byte >= 0x20 || byte === 0x0a);
    }
  }));
});

Deno.test("printable ASCII stays as it is", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme-ascii" }), (text) => {
    assert.equal(cleanText(text), text);
  }));
});

const kept = {
  "a family": "👨‍👩‍👧‍👦",
  "a skin tone": "👩🏽‍🚀",
  "a flag": "🇩🇪",
  "the flag of Wales": "🏴󠁧󠁢󠁷󠁬󠁳󠁿",
  "the rainbow flag": "🏳️‍🌈",
  "a heart shown as emoji": "❤️",
  "a key cap": "1️⃣",
  "Chinese, Japanese and Korean": "界 かな 한국어",
  "Arabic": "مرحبا",
  "Persian with a ZWNJ": "می‌خواهم",
  "Hindi with a ZWJ": "क्‍ष",
  "Thai with marks": "ก็ดี",
  "Hebrew with points": "שָׁלוֹם",
  "a decomposed letter": "e\u0301",
  "an ideographic variant": "葛\u{E0100}",
};
for (const [what, text] of Object.entries(kept)) {
  Deno.test(`cleanText() and cleanName() keep ${what}`, () => {
    assert.equal(cleanText(text), text);
    assert.equal(cleanName(text), text);
  });
}

const changed: Record<string, [from: string, text: string, name: string]> = {
  "an escape sequence": ["a\x1b[2Jb", "a␛[2Jb", "a␛[2Jb"],
  "a title through C1": ["\x9d0;x\x07", "�0;x␇", "�0;x␇"],
  "an override": ["abc\u202etxt.exe", "abc�txt.exe", "abc�txt.exe"],
  "an isolate": ["a\u2067b\u2069", "a�b�", "a�b�"],
  "a left-to-right mark": ["a\u200eb", "ab", "a�b"],
  "a zero-width space": ["fo\u200bx", "fox", "fo�x"],
  "a joiner between Latin letters": ["fo\u200dx", "fox", "fo�x"],
  "a tag that hides text": ["a\u{E0068}\u{E0069}", "a", "a��"],
  "a flag with other tags": ["🏴\u{E0068}\u{E007F}", "🏴", "🏴��"],
  "an unpaired surrogate": ["a\ud83d", "a�", "a�"],
  "line breaks of all kinds": ["a\r\nb\rc\u2028d\x85e", "a\nb\nc\nd\ne", "a⏎b⏎c⏎d⏎e"],
  "a Hangul filler": ["a\u3164", "a ", "a"],
  "blanks": ["  a \u00a0\u2003 b ", "  a \u00a0\u2003 b ", "a b"],
  "nothing": ["", "", "�"],
  "a leading mark": ["\u0301a", "◌\u0301a", "◌\u0301a"],
};
for (const [what, [from, text, name]] of Object.entries(changed)) {
  Deno.test(`cleaning changes ${what}`, () => {
    assert.equal(cleanText(from), text);
    assert.equal(cleanName(from), name);
  });
}

Deno.test("a pile of combining marks is cut", () => {
  assert.equal(cleanText("a" + "\u0301".repeat(500)), "a" + "\u0301".repeat(6));
});

Deno.test("a long name is cut between graphemes", () => {
  const name = cleanName("👨‍👩‍👧‍👦".repeat(100));
  assert.equal(graphemes(name).length, 40);
  assert.ok(name.endsWith("👨‍👩‍👧‍👦…"));
});
