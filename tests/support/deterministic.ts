/** Random bytes that are the same each time: for vectors and for failures that can be repeated. */
import { createHash } from "node:crypto";
import type { RandomSource } from "../../src/crypto/primitives.ts";
import { importSigningKey, type SigningKey } from "../../src/crypto/session_keys.ts";

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
