import assert from "node:assert/strict";
import fc from "fast-check";
import { KeptPayloads, type KeptPlace } from "../../src/crypto/kept_payloads.ts";
import { assertProperty } from "../support/property.ts";

/** Three chains, so that they come and go. */
const placeOf = (i: number): KeptPlace => ({ epoch: i % 3 === 0 ? 1 : 2, leaf: i % 3, n: i });
const filled = (length: number, n: number) => new Uint8Array(length).fill(n);

Deno.test("KeptPayloads keeps the newest whole and as they were, however they lie in its buffer", () => {
  const payload = fc.record({ place: fc.nat(40), length: fc.nat(130) });
  assertProperty(fc.property(
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 1, max: 300 }),
    fc.array(payload, { maxLength: 80 }),
    (payloads, bytes, puts) => {
      const kept = new KeptPayloads({ payloads, bytes });
      /** What was put and not passed over, oldest first. */
      let model: { place: KeptPlace; bytes: Uint8Array }[] = [];
      for (const [n, { place, length }] of puts.entries()) {
        const name = placeOf(place);
        const passed = length > bytes || kept.get(name) !== undefined;
        kept.put(name, filled(length, n));
        if (!passed) model = [...model, { place: name, bytes: filled(length, n) }];
        const all = [...kept.entries()];
        // Always the newest, in their order, without a hole.
        const newest = all.length === 0 ? [] : model.slice(-all.length);
        assert.deepEqual(all, newest.map((one) => [one.place, one.bytes]));
        for (const one of newest) assert.deepEqual(kept.get(one.place), one.bytes);
        assert.ok(all.length <= payloads);
        assert.ok(all.reduce((sum, [, b]) => sum + b.length, 0) <= bytes);
        if (!passed) assert.deepEqual(all.at(-1)?.[0], name);
      }
    },
  ));
});

Deno.test("KeptPayloads overwrites nothing behind an empty payload", () => {
  const kept = new KeptPayloads({ payloads: 3, bytes: 3 });
  for (const [place, length] of [[0, 0], [1, 3], [2, 1]] as const) {
    kept.put(placeOf(place), filled(length, 1 + place));
  }
  assert.deepEqual([...kept.entries()], [[placeOf(2), filled(1, 3)]]);
});

Deno.test("KeptPayloads lets go of no more than what comes needs, and what it gives is a copy", () => {
  const kept = new KeptPayloads({ payloads: 100, bytes: 1000 });
  for (let n = 0; n < 10; n++) kept.put(placeOf(n), filled(100, n));
  assert.equal([...kept.entries()].length, 10);
  kept.put(placeOf(10), filled(150, 10));
  assert.deepEqual([...kept.entries()].map(([{ n }]) => n), [2, 3, 4, 5, 6, 7, 8, 9, 10]);
  kept.get(placeOf(5))?.fill(0);
  assert.deepEqual(kept.get(placeOf(5)), filled(100, 5));
  kept.clear();
  assert.equal(kept.get(placeOf(5)), undefined);
  kept.put(placeOf(5), filled(3, 1));
  assert.deepEqual([...kept.entries()], [[placeOf(5), filled(3, 1)]]);
});
