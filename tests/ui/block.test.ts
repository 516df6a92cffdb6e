import assert from "node:assert/strict";
import fc from "fast-check";
import { line, rowsOf } from "../../src/ui/block.ts";

Deno.test("rowsOf() breaks between words, and loses none of the blanks between them", () => {
  const word = fc.string({
    unit: fc.constantFrom("a", "b", ",", "é", "馬"),
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(fc.property(
    fc.array(word, { minLength: 1, maxLength: 40 }),
    fc.integer({ min: 20, max: 40 }),
    (words, columns) => {
      const rows = rowsOf({ lines: [line([words.join(" ")])] }, columns, "none");
      assert.equal(rows.map((row) => row.trim()).join(" "), words.join(" "));
      for (const row of rows.slice(1)) assert.match(row, /^ {2}\S/);
    },
  ));
});
