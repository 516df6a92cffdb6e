import assert from "node:assert/strict";
import fc from "fast-check";
import { systemRandom } from "../../src/crypto/primitives.ts";
import { ShownTexts } from "../../src/crypto/shown_texts.ts";
import { assertProperty } from "../support/property.ts";

const author = (n: number) => new Uint8Array(32).fill(n);
/** Many that differ in one byte alone, wherever that is. */
const idOf = (n: number) => {
  const id = new Uint8Array(16);
  id[n % 16] = n >> 4;
  return id;
};

Deno.test("ShownTexts remembers the newest of each author, as a Map that forgets its oldest does", () => {
  const text = fc.record({ by: fc.nat(2), id: fc.nat(150) });
  assertProperty(fc.property(fc.array(text, { maxLength: 600, size: "max" }), (texts) => {
    const shown = new ShownTexts(64);
    const model = new Set<string>();
    for (const { by, id } of texts) {
      const key = `${by} ${idOf(id).toHex()}`;
      assert.equal(shown.add(author(by), idOf(id)), !model.has(key));
      model.add(key);
      for (const oldest of model) {
        if (model.size <= 64) break;
        model.delete(oldest);
      }
      assert.equal(shown.size, model.size);
    }
    const copy = new ShownTexts(64);
    copy.addAll(shown);
    for (const key of model) {
      const [by, id = ""] = key.split(" ");
      assert.equal(copy.add(author(Number(by)), Uint8Array.fromHex(id)), false);
    }
    assert.equal(copy.size, model.size);
    shown.clear();
    for (const key of model) {
      const [by, id = ""] = key.split(" ");
      assert.equal(shown.add(author(Number(by)), Uint8Array.fromHex(id)), true);
    }
  }));
});

Deno.test("ShownTexts holds 8,192 random texts over and over", () => {
  const shown = new ShownTexts(8192);
  const ids = Array.from({ length: 30_000 }, () => systemRandom(16));
  ids.forEach((id, i) => {
    assert.ok(shown.add(author(1), id));
    const before = ids[Math.max(0, i - 8191)] ?? id;
    assert.ok(!shown.add(author(1), before), `the one of 8,191 before ${i} is forgotten`);
  });
  assert.equal(shown.size, 8192);
  assert.ok(shown.add(author(1), ids[0] ?? systemRandom(16)));
});

Deno.test("ShownTexts takes identities and ids of their length alone", () => {
  const shown = new ShownTexts(64);
  assert.throws(() => shown.add(new Uint8Array(31), new Uint8Array(16)), RangeError);
  assert.throws(() => shown.add(new Uint8Array(32), new Uint8Array(17)), RangeError);
});
