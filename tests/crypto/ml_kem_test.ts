import assert from "node:assert/strict";
import { shake128 } from "@noble/hashes/sha3.js";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import {
  checkKemKey,
  generateKemKeyPair,
  kemDecapsulate,
  kemEncapsulate,
} from "../../src/crypto/ml_kem.ts";
import { CryptoError, sha256, systemRandom } from "../../src/crypto/primitives.ts";
import { importKemSeed } from "../support/deterministic.ts";
import { kemCiphertext, type KemKey, kemKey } from "../../src/wire/ids.ts";

Deno.test("a key pair decapsulates what @noble/post-quantum encapsulated to it", async () => {
  const pair = await generateKemKeyPair();
  for (let i = 0; i < 3; i++) {
    const { cipherText, sharedSecret } = ml_kem768.encapsulate(pair.publicKey);
    const shared = await kemDecapsulate(pair.privateKey, kemCiphertext(cipherText));
    assert.deepEqual(shared, new Uint8Array(sharedSecret));
  }
});

Deno.test("kemEncapsulate() makes what @noble/post-quantum decapsulates", async () => {
  const theirs = ml_kem768.keygen();
  for (let i = 0; i < 3; i++) {
    const { ciphertext, shared } = await kemEncapsulate(kemKey(theirs.publicKey));
    assert.deepEqual(new Uint8Array(ml_kem768.decapsulate(ciphertext, theirs.secretKey)), shared);
  }
});

// The accumulated vectors of C2SP/CCTV "ML-KEM", made with the reference implementation: seeds, coins and wrong
// ciphertexts come from SHAKE-128 of nothing; keys, ciphertexts and secrets go into a second one.
Deno.test("the runtime's decapsulation, rejections included, gives the accumulated answer of C2SP/CCTV", async () => {
  const source = shake128.create();
  const accumulator = shake128.create();
  for (let i = 0; i < 100; i++) {
    const seed = source.xof(64);
    const { publicKey } = ml_kem768.keygen(seed);
    accumulator.update(publicKey);
    const { cipherText } = ml_kem768.encapsulate(publicKey, source.xof(32));
    accumulator.update(cipherText);
    const own = await importKemSeed(seed);
    accumulator.update(await kemDecapsulate(own, kemCiphertext(cipherText)));
    accumulator.update(await kemDecapsulate(own, kemCiphertext(source.xof(1088))));
  }
  assert.equal(
    accumulator.xof(32).toHex(),
    "1114b1b6699ed191734fa339376afa7e285c9e6acf6ff0177d346696ce564415",
  );
});

Deno.test("a wrong ciphertext gives a secret of its own, always the same: implicit rejection", async () => {
  const pair = await generateKemKeyPair();
  const { ciphertext, shared } = await kemEncapsulate(pair.publicKey);
  for (const i of [0, 500, 959, 960, 1087]) {
    const wrong = kemCiphertext(ciphertext.with(i, (ciphertext[i] ?? 0) ^ 1));
    const rejected = await kemDecapsulate(pair.privateKey, wrong);
    assert.equal(rejected.length, 32);
    assert.notDeepEqual(rejected, shared);
    assert.deepEqual(await kemDecapsulate(pair.privateKey, wrong), rejected);
  }
  const noise = kemCiphertext(systemRandom(1088));
  assert.notDeepEqual(await kemDecapsulate(pair.privateKey, noise), shared);
});

Deno.test("the private key cannot be exported", async () => {
  const { privateKey } = await generateKemKeyPair();
  assert.equal(privateKey.extractable, false);
  for (const format of ["pkcs8", "jwk"] as const) {
    await assert.rejects(
      format === "jwk"
        ? crypto.subtle.exportKey("jwk", privateKey)
        : crypto.subtle.exportKey("pkcs8", privateKey),
    );
  }
});

/** The key with one of its 768 coefficients set to `value`. */
function withCoefficient(key: KemKey, i: number, value: number): KemKey {
  const changed = kemKey(key);
  const at = 3 * (i >> 1);
  const [a = 0, b = 0, c = 0] = changed.subarray(at, at + 3);
  changed.set(
    i % 2 === 0
      ? [value & 0xff, (b & 0xf0) | (value >> 8), c]
      : [a, (b & 0x0f) | ((value & 0x0f) << 4), value >> 4],
    at,
  );
  return changed;
}

Deno.test("checkKemKey() and kemEncapsulate() refuse a coefficient of 3329 and more, whichever it is", async () => {
  const { publicKey } = await generateKemKeyPair();
  checkKemKey(publicKey);
  const badKey = (e: unknown): boolean => e instanceof CryptoError && e.code === "bad-key";
  for (let i = 0; i < 768; i++) {
    for (const value of [3329, 4095]) {
      assert.throws(() => checkKemKey(withCoefficient(publicKey, i, value)), badKey);
    }
    checkKemKey(withCoefficient(publicKey, i, 3328));
  }
  await assert.rejects(kemEncapsulate(withCoefficient(publicKey, 767, 3329)), badKey);
  await assert.rejects(kemEncapsulate(kemKey(new Uint8Array(1184).fill(0xff))), badKey);
  assert.throws(() => ml_kem768.encapsulate(withCoefficient(publicKey, 767, 3329)));
});

Deno.test("two encapsulations to one key differ", async () => {
  const { publicKey } = await generateKemKeyPair();
  const [a, b] = await Promise.all([kemEncapsulate(publicKey), kemEncapsulate(publicKey)]);
  assert.notDeepEqual(sha256(a.ciphertext), sha256(b.ciphertext));
  assert.notDeepEqual(a.shared, b.shared);
});
