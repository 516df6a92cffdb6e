import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { constants, createPublicKey, KeyObject, privateDecrypt } from "node:crypto";
import { CryptoError, systemRandom } from "../../src/crypto/primitives.ts";
import {
  importRsaPublicKey,
  importSigningKey,
  RSA_SPKI_BYTES,
  rsaDecrypt,
  rsaEncrypt,
} from "../../src/crypto/session_keys.ts";
import type { Bytes } from "../../src/wire/codec.ts";
import { oaepEncryptWith } from "../support/deterministic.ts";
import { pooledSessionKeys } from "../support/session_pool.ts";

const [keys, others] = await pooledSessionKeys(2);
if (keys === undefined || others === undefined) throw new Error("the pool gave no keys");

const hex = (text: string): Bytes => Uint8Array.fromHex(text.replaceAll(/\s/g, ""));

/** An SPKI of that form; its modulus is no product of primes, which nobody looks at. */
function spkiOf(bits: number, e: string): Bytes {
  const base64 = { alphabet: "base64url", omitPadding: true } as const;
  const n = systemRandom(bits / 8).with(0, 0xc1).with(bits / 8 - 1, 1).toBase64(base64);
  const key = createPublicKey({ key: { kty: "RSA", n, e }, format: "jwk" });
  return new Uint8Array(key.export({ format: "der", type: "spki" }));
}

/** Whether WebCrypto by itself would import it. */
async function runtimeImports(spki: Bytes): Promise<boolean> {
  try {
    const rsa = { name: "RSA-OAEP", hash: "SHA-256" };
    await crypto.subtle.importKey("spki", spki, rsa, false, ["encrypt"]);
    return true;
  } catch {
    return false;
  }
}

async function refused(spki: Uint8Array): Promise<void> {
  await assert.rejects(
    importRsaPublicKey(spki),
    (e) => e instanceof CryptoError && e.code === "bad-key",
  );
}

Deno.test("session keys: RSA-3072 with e = 65537 in an SPKI that our own check takes", async () => {
  assert.equal(keys.rsaSpki.length, RSA_SPKI_BYTES);
  const imported = await importRsaPublicKey(keys.rsaSpki);
  assert.deepEqual(Object(imported.algorithm).modulusLength, 3072);
  assert.equal(imported.extractable, false);
});

Deno.test("session keys: the private RSA key cannot be exported", async () => {
  assert.equal(keys.rsaPrivate.extractable, false);
  await assert.rejects(crypto.subtle.exportKey("pkcs8", keys.rsaPrivate));
});

Deno.test("node's KeyObject exports a key that WebCrypto holds non-extractable: a known limit", async () => {
  const { privateKey } = await importSigningKey(systemRandom(32));
  // When this throws, signing keys are as closed as RSA's: say so in session_keys.ts.
  assert.match(String(privateKey.export({ format: "pem", type: "pkcs8" })), /PRIVATE KEY/);
});

Deno.test("importRsaPublicKey() refuses other sizes and exponents, which the runtime imports", async () => {
  for (const [bits, e] of [[1024, "AQAB"], [2048, "AQAB"], [4096, "AQAB"], [3072, "Aw"]] as const) {
    const spki = spkiOf(bits, e);
    assert.ok(await runtimeImports(spki), `the runtime refuses ${bits} bits, e = ${e} by now`);
    await refused(spki);
  }
});

Deno.test("importRsaPublicKey() refuses BER, a cut, a tail and another algorithm", async () => {
  const good = keys.rsaSpki;
  const modulus = good.subarray(33, 33 + 384);
  const variants: Record<string, Uint8Array> = {
    "a byte more": Buffer.concat([good, hex("00")]),
    "a byte less": good.subarray(0, -1),
    "nothing": new Uint8Array(0),
    // The same key with a length in three bytes where two do.
    "a long length": Buffer.concat([hex("30830001a3"), good.subarray(4)]),
    "indefinite length": Buffer.concat([hex("3080"), good.subarray(4), hex("0000")]),
    "no NULL parameters": Buffer.concat([
      hex("308201a0300b06092a864886f70d01010103820 18f003082018a0282018100"),
      modulus,
      hex("0203010001"),
    ]),
    "unused bits": good.with(23, 1),
    "RSA-PSS": Buffer.concat([good.subarray(0, 16), hex("0a"), good.subarray(17)]),
    "e = 65539": good.with(good.length - 1, 3),
    "a zero in front of e": Buffer.concat([good.subarray(0, -5), hex("020400010001")]),
    "PKCS #1": good.subarray(24),
    "an even modulus": good.with(33 + 383, 0xf6),
    "a modulus of 3071 bits": good.with(33, 0x7f),
  };
  for (const [name, spki] of Object.entries(variants)) {
    await assert.doesNotReject(refused(spki), name);
  }
});

Deno.test("importRsaPublicKey() refuses every flipped bit outside of the modulus", async () => {
  for (let i = 0; i < RSA_SPKI_BYTES; i++) {
    if (i >= 33 && i < 33 + 384) continue;
    const bad = keys.rsaSpki.slice();
    bad[i] = (bad[i] ?? 0) ^ (1 << (i % 8));
    await refused(bad);
  }
});

Deno.test("importRsaPublicKey() takes a modulus that is no product of primes: it must only never throw", async () => {
  for (const fill of [0xff, 0x81]) {
    const spki = keys.rsaSpki.slice();
    spki.fill(fill, 33, 33 + 384);
    const key = await importRsaPublicKey(spki);
    assert.equal((await rsaEncrypt(key, systemRandom(32), systemRandom(32))).length, 384);
  }
});

Deno.test("rsaEncrypt() is RFC 8017's OAEP with the context's hex digits for a label", async () => {
  const ctx = systemRandom(32);
  const secret = systemRandom(32);
  const label = new TextEncoder().encode(ctx.toHex());
  const byHand = oaepEncryptWith(keys.rsaSpki, label, secret, systemRandom(32));
  assert.deepEqual(await rsaDecrypt(keys.rsaPrivate, ctx, byHand), secret);
  const sealed = await rsaEncrypt(await importRsaPublicKey(keys.rsaSpki), ctx, secret);
  const byNode = privateDecrypt({
    key: KeyObject.from(keys.rsaPrivate),
    padding: constants.RSA_PKCS1_OAEP_PADDING,
    oaepHash: "sha256",
    oaepLabel: Buffer.from(label),
  }, Buffer.from(sealed));
  assert.deepEqual(new Uint8Array(byNode), secret);
});

Deno.test("the runtime reads a label as UTF-8, so that two can be one: a known limit", async () => {
  const key = await importRsaPublicKey(keys.rsaSpki);
  const name = "RSA-OAEP";
  const label = new Uint8Array(32).fill(0x80);
  const sealed = await crypto.subtle.encrypt({ name, label }, key, systemRandom(32));
  // When this throws, labels may be bytes; the protocol's stay hex all the same.
  const other = new Uint8Array(32).fill(0xfe);
  assert.ok(await crypto.subtle.decrypt({ name, label: other }, keys.rsaPrivate, sealed));
});

Deno.test("RSA-OAEP opens with its key and label only", async () => {
  const key = await importRsaPublicKey(keys.rsaSpki);
  const label = systemRandom(32);
  const secret = systemRandom(32);
  const sealed = await rsaEncrypt(key, label, secret);
  assert.equal(sealed.length, 384);
  assert.deepEqual(await rsaDecrypt(keys.rsaPrivate, label, sealed), secret);
  const closed = (attempt: Promise<unknown>): Promise<void> =>
    assert.rejects(attempt, (e) => e instanceof CryptoError && e.code === "open-failed");
  await closed(rsaDecrypt(keys.rsaPrivate, systemRandom(32), sealed));
  await closed(rsaDecrypt(others.rsaPrivate, label, sealed));
  await closed(rsaDecrypt(keys.rsaPrivate, label, sealed.with(100, (sealed[100] ?? 0) ^ 1)));
  await closed(rsaDecrypt(keys.rsaPrivate, label, sealed.slice(0, 383)));
  await closed(rsaDecrypt(keys.rsaPrivate, label, new Uint8Array(384).fill(0xff)));
});
