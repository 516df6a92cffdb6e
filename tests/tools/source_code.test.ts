import assert from "node:assert/strict";
import fc from "fast-check";
import { blankNonCode } from "../../tools/source_code.ts";

Deno.test("blankNonCode() blanks comments, literals and template text, and nothing else", () => {
  const cases: [string, string][] = [
    ["a // b", "a     "],
    ["a /* b\nc */ d", "a     \n     d"],
    [`x("it's") + y`, `x("    ") + y`],
    [`'a\\'b' c`, `'    ' c`],
    ["a / b / c", "a / b / c"],
    ["x = /[/]\\/b/g.test(y)", "x =         g.test(y)"],
    ["return /b/", "return    "],
    ["(a) / b / c", "(a) / b / c"],
    ["`a${b}c`", "` ${b} `"],
    ["`a${{ b: `c${d}` }}e` f", "` ${{ b: ` ${d}` }} ` f"],
    ["{ `a` } b", "{ ` ` } b"],
  ];
  for (const [source, expected] of cases) assert.equal(blankNonCode(source), expected);
});

Deno.test("blankNonCode() keeps the length and the lines of any text", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."ab \n/*'\"`\\${}[]().") }), (text) => {
      const blanked = blankNonCode(text);
      assert.equal(blanked.length, text.length);
      assert.equal(blanked.split("\n").length, text.split("\n").length);
    }),
  );
});
