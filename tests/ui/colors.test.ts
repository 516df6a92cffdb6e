import assert from "node:assert/strict";
import fc from "fast-check";
import { colorDepth, identityColor, luminance, paint } from "../../src/ui/colors.ts";

Deno.test("a person's colour is the same each time and readable on black and on white", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme-ascii" }), (identity) => {
    const color = identityColor(identity);
    assert.equal(identityColor(identity), color);
    const light = luminance(color);
    // WCAG 2's contrast; 3 is what it asks of large text and of controls.
    assert.ok((light + 0.05) / 0.05 >= 3.3 && 1.05 / (light + 0.05) >= 3.3);
  }));
});

Deno.test("people have many different colours", () => {
  const colors = new Set(Array.from({ length: 200 }, (_, i) => identityColor(`person ${i}`)));
  assert.ok(colors.size >= 20, String(colors.size));
});

Deno.test("NO_COLOR, --no-color and TERM=dumb take the colours away, an empty NO_COLOR does not", () => {
  assert.equal(colorDepth({ NO_COLOR: "1", TERM: "xterm-256color" }), "none");
  assert.equal(colorDepth({ TERM: "xterm-256color" }, false), "none");
  assert.equal(colorDepth({ TERM: "dumb" }), "none");
  assert.equal(colorDepth({ NO_COLOR: "", TERM: "xterm-256color" }), "256");
  assert.equal(colorDepth({ TERM: "linux" }), "16");
  assert.equal(colorDepth({}), "256");
});

Deno.test("painted text ends its own style", () => {
  assert.equal(paint("x", "warn", "16"), "\x1b[1;31mx\x1b[0m");
  assert.equal(paint("x", { of: "a" }, "none"), "x");
  assert.match(paint("x", { of: "a" }, "16").slice(1), /^\[3[12456]mx/);
});
