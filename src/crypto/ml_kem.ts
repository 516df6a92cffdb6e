/** ML-KEM-768 (FIPS 203) by WebCrypto, which the type library does not know yet. */
import { type KemCiphertext, kemCiphertext, type KemKey, kemKey } from "../wire/ids.ts";
import { type Bytes, CryptoError } from "./primitives.ts";

const ML_KEM = { name: "ML-KEM-768" };

/** The part of the Modern Algorithms draft that we use. */
interface KemCrypto {
  generateKey(
    algorithm: typeof ML_KEM,
    extractable: boolean,
    usages: string[],
  ): Promise<CryptoKeyPair>;
  importKey(
    format: "raw-public",
    key: Uint8Array<ArrayBuffer>,
    algorithm: typeof ML_KEM,
    extractable: boolean,
    usages: string[],
  ): Promise<CryptoKey>;
  exportKey(format: "raw-public", key: CryptoKey): Promise<ArrayBuffer>;
  encapsulateBits(
    algorithm: typeof ML_KEM,
    key: CryptoKey,
  ): Promise<{ ciphertext: ArrayBuffer; sharedKey: ArrayBuffer }>;
  decapsulateBits(
    algorithm: typeof ML_KEM,
    key: CryptoKey,
    ciphertext: Uint8Array<ArrayBuffer>,
  ): Promise<ArrayBuffer>;
}

// The one place where the runtime is taken at more than its types say; tests/crypto holds it to FIPS 203.
const subtle: KemCrypto = crypto.subtle as unknown as KemCrypto;

/** An ML-KEM key pair; the private half is non-extractable and gone when nothing refers to it. */
export interface KemKeyPair {
  readonly publicKey: KemKey;
  readonly privateKey: CryptoKey;
}

/** A fresh key pair. */
export async function generateKemKeyPair(): Promise<KemKeyPair> {
  const pair = await subtle.generateKey(ML_KEM, false, ["encapsulateBits", "decapsulateBits"]);
  const publicKey = new Uint8Array(await subtle.exportKey("raw-public", pair.publicKey));
  return { publicKey: kemKey(publicKey), privateKey: pair.privateKey };
}

const FIELD_PRIME = 3329;
/** 3 polynomials of 256 coefficients of 12 bits; the 32 bytes after them are a seed. */
const COEFFICIENT_BYTES = 1152;

/**
 * The modulus check of FIPS 203, 7.2. The runtime makes it only when it encapsulates: too late, since
 * one member's key would then spoil a commit that is for all.
 *
 * @throws {CryptoError} `bad-key` for a coefficient of 3329 or more
 */
export function checkKemKey(key: KemKey): void {
  // Two coefficients lie in three bytes. By destructuring of views this took half as long as the encapsulation.
  for (let i = 0; i < COEFFICIENT_BYTES; i += 3) {
    const middle = key[i + 1] ?? 0;
    const first = (key[i] ?? 0) | ((middle & 0x0f) << 8);
    const second = (middle >> 4) | ((key[i + 2] ?? 0) << 4);
    if (first >= FIELD_PRIME || second >= FIELD_PRIME) {
      throw new CryptoError("bad-key", "the ML-KEM key is not valid");
    }
  }
}

/**
 * Encapsulates to a public key.
 *
 * @returns ciphertext (1088 B) and shared secret (32 B)
 * @throws {CryptoError} `bad-key` as {@linkcode checkKemKey}
 */
export async function kemEncapsulate(
  key: KemKey,
): Promise<{ ciphertext: KemCiphertext; shared: Bytes }> {
  checkKemKey(key);
  const imported = await subtle.importKey("raw-public", key, ML_KEM, false, ["encapsulateBits"]);
  const { ciphertext, sharedKey } = await subtle.encapsulateBits(ML_KEM, imported);
  return {
    ciphertext: kemCiphertext(new Uint8Array(ciphertext)),
    shared: new Uint8Array(sharedKey),
  };
}

/** The shared secret, 32 bytes; a wrong ciphertext gives a random one (implicit rejection). */
export async function kemDecapsulate(key: CryptoKey, ciphertext: KemCiphertext): Promise<Bytes> {
  return new Uint8Array(await subtle.decapsulateBits(ML_KEM, key, ciphertext));
}
