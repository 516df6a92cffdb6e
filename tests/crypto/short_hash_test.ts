import assert from "node:assert/strict";
import { createHash, hkdfSync } from "node:crypto";
import fc from "fast-check";
import { hkdf as nobleHkdf } from "@noble/hashes/hkdf.js";
import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js";
import { type Bytes, concat, systemRandom } from "../../src/crypto/primitives.ts";
import {
  isShort,
  MAX_SHORT_BYTES,
  sha256OfPair,
  sha256OfParts,
  shortDerive,
} from "../../src/crypto/short_hash.ts";
import { assertProperty } from "../support/property.ts";

const NO_SALT = new Uint8Array(0);

/** Every length that `shortDerive` takes. */
function* lengths(): Generator<{ info: number; length: number }> {
  for (let length = 0; length <= 96; length++) {
    for (let info = 0; info <= 54; info++) {
      if (isShort(new Uint8Array(32), new Uint8Array(info), length)) yield { info, length };
    }
  }
}

async function byWebCrypto(ikm: Bytes, info: Bytes, length: number): Promise<Bytes> {
  const key = await crypto.subtle.importKey("raw", ikm, "HKDF", false, ["deriveBits"]);
  const algorithm = { name: "HKDF", hash: "SHA-256", salt: NO_SALT, info };
  return new Uint8Array(await crypto.subtle.deriveBits(algorithm, key, length * 8));
}

Deno.test("shortDerive() agrees with node:crypto and @noble/hashes for every length that it takes", () => {
  for (const { info: infoBytes, length } of lengths()) {
    const ikm = systemRandom(32);
    const info = systemRandom(infoBytes);
    const ours = shortDerive(ikm, info, length);
    assert.deepEqual(ours, new Uint8Array(hkdfSync("sha256", ikm, NO_SALT, info, length)));
    if (length > 0) assert.deepEqual(ours, nobleHkdf(nobleSha256, ikm, NO_SALT, info, length));
  }
});

Deno.test("shortDerive() agrees with WebCrypto for what the ratchet derives, and at the bounds", async () => {
  for (const [infoBytes, length] of [[17, 76], [48, 32], [54, 32], [22, 96], [0, 1]] as const) {
    for (const ikm of [systemRandom(32), new Uint8Array(32), new Uint8Array(32).fill(0xff)]) {
      const info = systemRandom(infoBytes);
      assert.deepEqual(shortDerive(ikm, info, length), await byWebCrypto(ikm, info, length));
    }
  }
});

Deno.test("sha256OfPair() agrees with WebCrypto, node:crypto and @noble/hashes", async () => {
  const half = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((a) => new Uint8Array(a));
  await fc.assert(
    fc.asyncProperty(half, half, async (a, b) => {
      const ours = sha256OfPair(a, b);
      const whole = concat(a, b);
      assert.deepEqual(ours, new Uint8Array(await crypto.subtle.digest("SHA-256", whole)));
      assert.deepEqual(ours, new Uint8Array(createHash("sha256").update(whole).digest()));
      assert.deepEqual(ours, nobleSha256(whole));
    }),
    { numRuns: 50 },
  );
});

Deno.test("sha256OfParts() agrees with node:crypto and @noble/hashes for every length, and refuses longer", async () => {
  for (let length = 0; length <= MAX_SHORT_BYTES; length++) {
    const whole = systemRandom(length);
    const split = length % 41;
    const ours = sha256OfParts(whole.subarray(0, split), whole.subarray(split));
    assert.deepEqual(ours, new Uint8Array(createHash("sha256").update(whole).digest()));
    assert.deepEqual(ours, nobleSha256(whole));
    if (length % 50 !== 0) continue;
    assert.deepEqual(ours, new Uint8Array(await crypto.subtle.digest("SHA-256", whole)));
  }
  assert.throws(() => sha256OfParts(systemRandom(24), systemRandom(MAX_SHORT_BYTES)), RangeError);
});

Deno.test("no call leaves anything for the next: the order of calls changes no result", () => {
  const call = fc.record({
    ikm: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    info: fc.uint8Array({ maxLength: 22 }),
    length: fc.integer({ min: 1, max: 96 }),
    how: fc.constantFrom("derive", "pair", "parts"),
  });
  assertProperty(fc.property(fc.array(call, { maxLength: 6 }), (calls) => {
    for (const { ikm, info, length, how } of calls) {
      const [ours, theirs] = how === "pair"
        ? [sha256OfPair(ikm, ikm), nobleSha256(concat(ikm, ikm))]
        : how === "parts"
        ? [sha256OfParts(ikm, info), nobleSha256(concat(ikm, info))]
        : [shortDerive(ikm, info, length), nobleHkdf(nobleSha256, ikm, NO_SALT, info, length)];
      assert.deepEqual(ours, theirs);
    }
  }));
});

Deno.test("what is longer is refused, and nothing is derived of it in part", () => {
  const ikm = systemRandom(32);
  assert.throws(() => shortDerive(ikm, systemRandom(55), 32), RangeError);
  assert.throws(() => shortDerive(ikm, systemRandom(23), 33), RangeError);
  assert.throws(() => shortDerive(ikm, systemRandom(10), 97), RangeError);
  assert.throws(() => shortDerive(systemRandom(31), systemRandom(10), 32), RangeError);
  assert.throws(() => sha256OfPair(systemRandom(31), systemRandom(33)), RangeError);
});
