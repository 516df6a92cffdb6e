import assert from "node:assert/strict";
import { createPublicKey, type KeyObject, verify as runtimeVerify } from "node:crypto";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { ctr as nobleCtr, gcm as nobleGcm } from "@noble/ciphers/aes.js";
import { ed25519 } from "@noble/curves/ed25519.js";
import { hkdf as nobleHkdf } from "@noble/hashes/hkdf.js";
import { hmac as nobleHmac } from "@noble/hashes/hmac.js";
import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js";
import {
  type Bytes,
  concat,
  CryptoError,
  derive,
  gcmOpen,
  gcmSeal,
  hkdf,
  hmac,
  importVerifyKey,
  sameSecret,
  sha256,
  ShortCtr,
  sign,
  systemRandom,
  verify,
  verifyRaw,
} from "../../src/crypto/primitives.ts";
import { importSigningKey } from "../../src/crypto/session_keys.ts";
import { SIGNATURE_KINDS, signatureInput } from "../../src/wire/signed.ts";
import { assertProperty } from "../support/property.ts";

const hex = (text: string): Bytes => Uint8Array.fromHex(text.replaceAll(/\s/g, ""));

const bytes = (maxLength = 300): fc.Arbitrary<Bytes> =>
  fc.uint8Array({ maxLength }).map((a) => new Uint8Array(a));
const exactly = (length: number): fc.Arbitrary<Bytes> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((a) => new Uint8Array(a));

/** Properties that ask WebCrypto are asynchronous. */
async function assertAsync<T>(property: fc.IAsyncProperty<T>, runs = 25): Promise<void> {
  await fc.assert(property, { numRuns: Deno.env.get("SLOW") === "1" ? runs * 200 : runs });
}

Deno.test("sha256() and hmac() agree with WebCrypto and @noble/hashes, in however many parts", async () => {
  await assertAsync(fc.asyncProperty(bytes(80), bytes(), bytes(), async (key, a, b) => {
    const whole = concat(a, b);
    const ours = sha256(a, b);
    assert.deepEqual(ours, new Uint8Array(await crypto.subtle.digest("SHA-256", whole)));
    assert.deepEqual(ours, nobleSha256(whole));
    const tag = hmac(key, a, b);
    assert.deepEqual(tag, nobleHmac(nobleSha256, key, whole));
    if (key.length === 0) return; // WebCrypto imports no empty HMAC key
    const theirs = await crypto.subtle.importKey(
      "raw",
      key,
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["sign"],
    );
    assert.deepEqual(tag, new Uint8Array(await crypto.subtle.sign("HMAC", theirs, whole)));
  }));
});

Deno.test("hkdf() agrees with WebCrypto and @noble/hashes; derive() is hkdf() without a salt", async () => {
  const arbitrary = [bytes(64), bytes(64), bytes(100), fc.integer({ min: 1, max: 300 })] as const;
  await assertAsync(fc.asyncProperty(...arbitrary, async (ikm, salt, info, length) => {
    const ours = hkdf(ikm, salt, info, length);
    assert.deepEqual(ours, nobleHkdf(nobleSha256, ikm, salt, info, length));
    const key = await crypto.subtle.importKey("raw", ikm, "HKDF", false, ["deriveBits"]);
    const theirs = await crypto.subtle.deriveBits(
      { name: "HKDF", hash: "SHA-256", salt, info },
      key,
      length * 8,
    );
    assert.deepEqual(ours, new Uint8Array(theirs));
    assert.deepEqual(derive(ikm, info, length), hkdf(ikm, new Uint8Array(0), info, length));
    assert.deepEqual(derive(ikm, info, length), hkdf(ikm, new Uint8Array(32), info, length));
  }));
});

// RFC 5869, A.1 to A.3.
const RFC_5869 = [
  {
    ikm: "0b".repeat(22),
    salt: "000102030405060708090a0b0c",
    info: "f0f1f2f3f4f5f6f7f8f9",
    okm: "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
  },
  {
    ikm: Array.from({ length: 80 }, (_, i) => i.toString(16).padStart(2, "0")).join(""),
    salt: Array.from({ length: 80 }, (_, i) => (0x60 + i).toString(16)).join(""),
    info: Array.from({ length: 80 }, (_, i) => (0xb0 + i).toString(16)).join(""),
    okm: `b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e
      590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87`,
  },
  {
    ikm: "0b".repeat(22),
    salt: "",
    info: "",
    okm: "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
  },
];

Deno.test("hkdf() gives the keys of RFC 5869, appendix A", () => {
  for (const { ikm, salt, info, okm } of RFC_5869) {
    const expected = hex(okm);
    assert.deepEqual(hkdf(hex(ikm), hex(salt), hex(info), expected.length), expected);
  }
});

Deno.test("gcmSeal() and gcmOpen() agree with WebCrypto and @noble/ciphers", async () => {
  const arbitrary = [exactly(32), exactly(12), bytes(60), bytes(600)] as const;
  await assertAsync(fc.asyncProperty(...arbitrary, async (key, nonce, aad, plaintext) => {
    const ours = gcmSeal(key, aad, plaintext, nonce);
    assert.deepEqual(ours, nobleGcm(key, nonce, aad).encrypt(plaintext));
    const imported = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt"]);
    const theirs = await crypto.subtle.encrypt(
      { name: "AES-GCM", iv: nonce, additionalData: aad },
      imported,
      plaintext,
    );
    assert.deepEqual(ours, new Uint8Array(theirs));
    assert.deepEqual(gcmOpen(key, aad, ours, nonce), plaintext);
  }));
});

// McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 to 16 (AES-256).
const GCM_CASES = [
  {
    key: "00".repeat(32),
    nonce: "00".repeat(12),
    aad: "",
    plaintext: "",
    sealed: "530f8afbc74536b9a963b4f1c4cb738b",
  },
  {
    key: "00".repeat(32),
    nonce: "00".repeat(12),
    aad: "",
    plaintext: "00".repeat(16),
    sealed: "cea7403d4d606b6e074ec5d3baf39d18 d0d1c8a799996bf0265b98b5d48ab919",
  },
  {
    key: "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
    nonce: "cafebabefacedbaddecaf888",
    aad: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
    plaintext: `d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
      1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39`,
    sealed: `522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
      8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662
      76fc6ece0f4e1768cddf8853bb2d551b`,
  },
];

Deno.test("gcmSeal() gives the published answers for AES-256-GCM", () => {
  for (const { key, nonce, aad, plaintext, sealed } of GCM_CASES) {
    assert.deepEqual(gcmSeal(hex(key), hex(aad), hex(plaintext), hex(nonce)), hex(sealed));
  }
});

Deno.test("gcmOpen() refuses every flipped bit, a short tag and another key, nonce or context", () => {
  const key = systemRandom(32);
  const aad = systemRandom(16);
  const sealed = gcmSeal(key, aad, systemRandom(50));
  const refused = (open: () => unknown): void =>
    assert.throws(open, (e) => e instanceof CryptoError && e.code === "open-failed");
  for (let i = 0; i < sealed.length; i++) {
    const bad = sealed.slice();
    bad[i] = (bad[i] ?? 0) ^ (1 << (i % 8));
    refused(() => gcmOpen(key, aad, bad));
  }
  for (const length of [0, 15, 16, 49, 65]) {
    refused(() => gcmOpen(key, aad, sealed.subarray(0, length)));
  }
  refused(() => gcmOpen(systemRandom(32), aad, sealed));
  refused(() => gcmOpen(key, systemRandom(16), sealed));
  refused(() => gcmOpen(key, aad, sealed, new Uint8Array(12).fill(1)));
});

Deno.test("ShortCtr agrees with WebCrypto and @noble/ciphers, also where the counter wraps", async () => {
  const wraps = fc.tuple(exactly(16), fc.integer({ min: 0, max: 16 })).map(([c, n]) =>
    new Uint8Array(c.fill(0xff, n))
  );
  const counter = fc.oneof(exactly(16), wraps);
  await assertAsync(fc.asyncProperty(exactly(32), counter, bytes(32), async (key, c, data) => {
    const cipher = new ShortCtr(key);
    const ours = cipher.apply(c, data);
    assert.deepEqual(ours, nobleCtr(key, c).encrypt(data));
    const imported = await crypto.subtle.importKey("raw", key, "AES-CTR", false, ["encrypt"]);
    const theirs = await crypto.subtle.encrypt(
      { name: "AES-CTR", counter: c, length: 128 },
      imported,
      data,
    );
    assert.deepEqual(ours, new Uint8Array(theirs));
    assert.deepEqual(cipher.apply(c, ours), data);
  }));
});

Deno.test("ShortCtr refuses more than two blocks, and a counter of another length", () => {
  const cipher = new ShortCtr(systemRandom(32));
  assert.throws(() => cipher.apply(systemRandom(16), systemRandom(33)), RangeError);
  assert.throws(() => cipher.apply(systemRandom(15), systemRandom(24)), RangeError);
});

Deno.test("sameSecret() is equality of bytes", () => {
  assertProperty(fc.property(bytes(40), bytes(40), (a, b) => {
    assert.equal(sameSecret(a, a.slice()), true);
    assert.equal(sameSecret(a, b), a.toHex() === b.toHex());
  }));
});

Deno.test("what the primitives return is memory of its own", () => {
  const input = systemRandom(40);
  const results = [sha256(input), hmac(input, input), derive(input, input, 32)];
  const key = systemRandom(32);
  const masked = new ShortCtr(key).apply(input.subarray(0, 16), input.subarray(0, 24));
  results.push(gcmSeal(key, input, input), masked);
  results.push(gcmOpen(key, input, gcmSeal(key, input, input)));
  for (const result of results) assert.equal(result.buffer.byteLength, result.length);
});

// RFC 8032, 7.1.
const RFC_8032 = [
  {
    seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    publicKey: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    message: "",
    signature: `e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac
      c61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b`,
  },
  {
    seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    publicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    message: "72",
    signature: `92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e
      458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00`,
  },
  {
    seed: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    publicKey: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    message: "af82",
    signature: `6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290
      ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a`,
  },
];

Deno.test("importSigningKey() and the runtime's Ed25519 give the keys and signatures of RFC 8032", async () => {
  const { sign: plainSign } = await import("node:crypto");
  for (const { seed, publicKey, message, signature } of RFC_8032) {
    const key = await importSigningKey(hex(seed));
    assert.deepEqual(key.publicKey, hex(publicKey));
    assert.deepEqual(new Uint8Array(plainSign(null, hex(message), key.privateKey)), hex(signature));
    assert.ok(runtimeVerify(null, hex(message), importVerifyKey(hex(publicKey)), hex(signature)));
  }
});

Deno.test("sign() and verify() agree with @noble/curves for every kind, and kinds do not mix", async () => {
  await assertAsync(
    fc.asyncProperty(
      exactly(32),
      fc.constantFrom(...SIGNATURE_KINDS),
      bytes(),
      async (seed, kind, body) => {
        const key = await importSigningKey(seed);
        const signature = sign(key.privateKey, kind, body);
        assert.deepEqual(key.publicKey, ed25519.getPublicKey(seed));
        assert.deepEqual(signature, ed25519.sign(signatureInput(kind, body), seed));
        for (const other of SIGNATURE_KINDS) {
          const holds = verifyRaw(key.publicKey, other, body, signature);
          assert.equal(holds, other === kind);
          assert.equal(verify(importVerifyKey(key.publicKey), other, body, signature), holds);
        }
        assert.equal(verifyRaw(key.publicKey, kind, concat(body, hex("00")), signature), false);
      },
    ),
    8,
  );
});

// ---- strict verification (PROTOCOL §1)

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;

function littleEndian(value: bigint): Bytes {
  return Uint8Array.fromHex(value.toString(16).padStart(64, "0")).reverse();
}

/** Every encoding that decodes to a small-order point: canonical ones, y + p, and x = 0 with a sign. */
function smallOrderEncodings(): Bytes[] {
  const order8 = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
  const ys = [0n, 1n, P - 1n, order8, P - order8, P, P + 1n];
  return ys.flatMap((y) => [littleEndian(y), littleEndian(y | (1n << 255n))]);
}

/** What the runtime takes by itself. */
function runtimeTakes(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    const der = Buffer.from(concat(hex("302a300506032b6570032100"), key));
    const imported: KeyObject = createPublicKey({ key: der, format: "der", type: "spki" });
    return runtimeVerify(null, message, imported, signature);
  } catch {
    return false;
  }
}

Deno.test("small-order keys are refused, under which the runtime itself takes one signature for everything", () => {
  let taken = 0;
  // R = identity, S = 0: [S]B = R + [k]A holds for A = identity whatever was signed.
  const forged = concat(littleEndian(1n), littleEndian(0n));
  for (const key of smallOrderEncodings()) {
    assert.throws(
      () => importVerifyKey(key),
      (e) => e instanceof CryptoError && e.code === "bad-key",
    );
    for (let i = 0; i < 16; i++) {
      const body = new Uint8Array([i]);
      assert.equal(verifyRaw(key, "msg", body, forged), false);
      if (runtimeTakes(key, signatureInput("msg", body), forged)) taken++;
    }
  }
  assert.ok(
    taken >= 16,
    `the runtime takes none of them any more (${taken}): say so in PROTOCOL §1`,
  );
});

Deno.test("keys with y of p and above, and keys on no point, are refused", () => {
  for (let y = P; y < 2n ** 255n; y++) {
    for (const sign of [0n, 1n << 255n]) {
      const key = littleEndian(y | sign);
      assert.throws(() => importVerifyKey(key), CryptoError);
      assert.equal(verifyRaw(key, "msg", new Uint8Array(0), new Uint8Array(64)), false);
    }
  }
  let offCurve = 0;
  for (let y = 2n; y < 40n; y++) {
    const key = littleEndian(y);
    try {
      importVerifyKey(key);
    } catch (error) {
      assert.ok(error instanceof CryptoError && error.code === "bad-key");
      offCurve++;
    }
    assert.equal(verifyRaw(key, "msg", new Uint8Array(0), new Uint8Array(64)), false);
  }
  assert.ok(offCurve > 5);
  for (const length of [0, 31, 33, 64]) {
    assert.throws(() => importVerifyKey(new Uint8Array(length).fill(9)), CryptoError);
    assert.equal(
      verifyRaw(new Uint8Array(length).fill(9), "msg", hex("00"), new Uint8Array(64)),
      false,
    );
  }
});

Deno.test("a signature with S + L, or an R that is not canonical, is refused", async () => {
  const key = await importSigningKey(systemRandom(32));
  const body = systemRandom(10);
  const good = sign(key.privateKey, "cert", body);
  const s = BigInt(`0x${good.slice(32).reverse().toHex()}`);
  const multiples = [1n, 2n, 7n].map((i) => s + i * L).filter((x) => x < 2n ** 256n);
  for (const higher of multiples) {
    const bad = concat(good.subarray(0, 32), littleEndian(higher));
    assert.equal(verifyRaw(key.publicKey, "cert", body, bad), false);
  }
  for (const r of [...smallOrderEncodings().slice(-4), littleEndian((1n << 255n) | 1n)]) {
    assert.equal(verifyRaw(key.publicKey, "cert", body, concat(r, good.subarray(32))), false);
  }
  for (const length of [0, 63, 65]) {
    assert.equal(
      verifyRaw(key.publicKey, "cert", body, concat(good, hex("00")).slice(0, length)),
      false,
    );
  }
});

Deno.test("verify() refuses every flipped bit of a signature", async () => {
  const key = await importSigningKey(systemRandom(32));
  const body = systemRandom(10);
  const good = sign(key.privateKey, "msg", body);
  assert.equal(verifyRaw(key.publicKey, "msg", body, good), true);
  for (let i = 0; i < 512; i += 3) {
    const bad = good.slice();
    bad[i >> 3] = (bad[i >> 3] ?? 0) ^ (1 << (i & 7));
    assert.equal(verifyRaw(key.publicKey, "msg", body, bad), false);
  }
});
