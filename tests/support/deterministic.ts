/** Random bytes that are the same each time: for vectors and for failures that can be repeated. */
import { createHash } from "node:crypto";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import type { Bytes, RandomSource } from "../../src/crypto/primitives.ts";
import { importSigningKey, type SigningKey } from "../../src/crypto/session_keys.ts";
import { type KemCiphertext, kemCiphertext, type KemKey, kemKey } from "../../src/wire/ids.ts";

/**
 * A random source that gives SHA-256(seed ‖ counter u32) after one another. For tests only: whoever knows
 * the seed knows all.
 *
 * @param seed any text; another text, other bytes
 */
export function deterministicRandom(seed: string): RandomSource {
  let counter = 0;
  return (length) => {
    const out = new Uint8Array(length);
    for (let at = 0; at < length; at += 32) {
      const block = createHash("sha256").update(`${seed}\0${counter++}`).digest();
      out.set(block.subarray(0, Math.min(32, length - at)), at);
    }
    return out;
  };
}

/** An Ed25519 key pair whose seed is `random(32)`, and that seed. */
export async function deterministicSigningKey(
  random: RandomSource,
): Promise<SigningKey & { readonly seed: Uint8Array<ArrayBuffer> }> {
  const seed = random(32);
  return { ...await importSigningKey(seed), seed };
}

/** What the type library does not know yet, see src/crypto/ml_kem.ts. */
interface SeedImport {
  importKey(
    format: "raw-seed",
    seed: Uint8Array,
    algorithm: { name: "ML-KEM-768" },
    extractable: boolean,
    usages: string[],
  ): Promise<CryptoKey>;
}

/**
 * The runtime's private ML-KEM-768 key of a seed. Our own keys are never imported, so src/ has no such door.
 *
 * @param seed 64 bytes, d ‖ z of FIPS 203
 */
export async function importKemSeed(seed: Uint8Array): Promise<CryptoKey> {
  const subtle = crypto.subtle as unknown as SeedImport;
  return await subtle.importKey("raw-seed", seed, { name: "ML-KEM-768" }, false, [
    "decapsulateBits",
  ]);
}

/** The ML-KEM-768 public key of a seed (64 bytes, d ‖ z), by @noble/post-quantum. */
export function kemPublicKey(seed: Uint8Array): KemKey {
  return kemKey(ml_kem768.keygen(seed).publicKey);
}

/** ML-KEM.Encaps with given coins (m, 32 bytes), which no runtime lets one choose. */
export function kemEncapsulateWith(
  key: KemKey,
  coins: Uint8Array,
): { readonly ciphertext: KemCiphertext; readonly shared: Bytes } {
  const { cipherText, sharedSecret } = ml_kem768.encapsulate(key, coins);
  return { ciphertext: kemCiphertext(cipherText), shared: new Uint8Array(sharedSecret) };
}

const MODULUS_BYTES = 384;

function mgf1(seed: Uint8Array, length: number): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (let i = 0; i * 32 < length; i++) {
    blocks.push(createHash("sha256").update(seed).update(new Uint8Array([0, 0, 0, i])).digest());
  }
  return new Uint8Array(blocks.flatMap((block) => [...block])).subarray(0, length);
}

function xor(a: Uint8Array, b: Uint8Array): Bytes {
  return Uint8Array.from(a, (byte, i) => byte ^ (b[i] ?? 0));
}

/**
 * RSA-OAEP (RFC 8017, 7.1.1) of PROTOCOL §1 with a given seed.
 *
 * @param spki 422 bytes: 3072 bits, e = 65537
 * @param seed 32 bytes
 * @returns 384 bytes
 */
export function oaepEncryptWith(
  spki: Uint8Array,
  label: Uint8Array,
  message: Uint8Array,
  seed: Uint8Array,
): Bytes {
  const db = new Uint8Array(MODULUS_BYTES - 33);
  db.set(createHash("sha256").update(label).digest());
  db[db.length - message.length - 1] = 1;
  db.set(message, db.length - message.length);
  const maskedDb = xor(db, mgf1(seed, db.length));
  const maskedSeed = xor(seed, mgf1(maskedDb, 32));
  const modulus = BigInt(`0x${spki.slice(33, 33 + MODULUS_BYTES).toHex()}`);
  const m = BigInt(`0x${new Uint8Array([...maskedSeed, ...maskedDb]).toHex()}`);
  let power = m;
  for (let i = 0; i < 16; i++) power = power * power % modulus;
  const c = power * m % modulus;
  return Uint8Array.fromHex(c.toString(16).padStart(2 * MODULUS_BYTES, "0"));
}
