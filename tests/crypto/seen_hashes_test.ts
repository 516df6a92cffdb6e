import assert from "node:assert/strict";
import fc from "fast-check";
import { SeenHashes } from "../../src/crypto/seen_hashes.ts";
import { assertProperty } from "../support/property.ts";

const hashOf = (variant: number) => new Uint8Array(32).fill(variant);

Deno.test("SeenHashes knows the newest by number and hash, and nothing else", () => {
  const capacity = fc.integer({ min: 1, max: 20 });
  // A number comes once: a chain opens it once.
  const puts = fc.uniqueArray(fc.nat(200), { maxLength: 60 });
  assertProperty(fc.property(capacity, puts, (capacity, numbers) => {
    const seen = new SeenHashes(capacity);
    numbers.forEach((n, i) => {
      seen.put(n, hashOf(n));
      const newest = numbers.slice(Math.max(0, i + 1 - capacity), i + 1);
      for (let m = 0; m <= 200; m++) {
        assert.equal(seen.has(m, hashOf(m)), newest.includes(m));
        assert.equal(seen.has(m, hashOf(m + 1)), false);
      }
    });
  }));
});
