/**
 * The primitives of PROTOCOL §1 that run synchronously, on `node:crypto`. A sealed message costs four of
 * them in a row; through WebCrypto's promises that took 0.4 to 0.6 ms, here about 0.07. Tests hold
 * every one against WebCrypto byte for byte. Keys that can be non-extractable are WebCrypto's, see
 * `session_keys.ts`; what the ratchet derives is made in `short_hash.ts`.
 */
import { Buffer } from "node:buffer";
import {
  type Cipheriv,
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  hkdfSync,
  type KeyObject,
  sign as signWith,
  timingSafeEqual,
  verify as verifyWith,
} from "node:crypto";
import type { Bytes } from "../wire/codec.ts";
import { signatureInput, type SignatureKind } from "../wire/signed.ts";
import { isPublicKeyForm, isSignatureForm } from "../wire/ed25519_form.ts";
import { isShort, shortDerive } from "./short_hash.ts";

export type { Bytes };

/** Where random bytes come from; tests inject their own to freeze vectors. */
export type RandomSource = (length: number) => Bytes;

/** The system's random numbers. */
export const systemRandom: RandomSource = (length) =>
  crypto.getRandomValues(new Uint8Array(length));

/**
 * A failed cryptographic check. Code branches on `code`; the message never says more than the code
 * to anybody but the person at the screen.
 */
export class CryptoError extends Error {
  readonly code: CryptoErrorCode;
  constructor(code: CryptoErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CryptoError";
    this.code = code;
  }
}

/** What a {@linkcode CryptoError} is about. */
export type CryptoErrorCode =
  /** A tag, a MAC or a commitment does not hold. */
  | "open-failed"
  | "bad-signature"
  /** A key that PROTOCOL §1 refuses. */
  | "bad-key"
  | "no-key"
  /** A structure that breaks PROTOCOL, though it was authentic. */
  | "bad-structure";

const NONCE_ZERO = new Uint8Array(12);
const NO_SALT = new Uint8Array(0);

/** Joins byte strings, the `‖` of PROTOCOL. */
export function concat(...parts: readonly Uint8Array[]): Bytes {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** SHA-256 of the parts joined, 32 bytes. */
export function sha256(...parts: readonly Uint8Array[]): Bytes {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return own(hash.digest());
}

/** HMAC-SHA-256, 32 bytes. */
export function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Bytes {
  const mac = createHmac("sha256", key);
  for (const part of parts) mac.update(part);
  return own(mac.digest());
}

/** HKDF-SHA-256 with both steps, `length` bytes. `salt` may be empty. */
export function hkdf(ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Bytes {
  return new Uint8Array(hkdfSync("sha256", ikm, salt, info, length));
}

/** HKDF with an empty salt, the common case of PROTOCOL. */
export function derive(ikm: Uint8Array, info: Uint8Array, length: number): Bytes {
  return isShort(ikm, info, length)
    ? shortDerive(ikm, info, length)
    : hkdf(ikm, NO_SALT, info, length);
}

/**
 * AES-256-GCM.
 *
 * @param nonce 12 bytes; without it nonce 0, for keys that seal once
 * @param before so many zero bytes in front, for what the caller puts there
 * @returns ciphertext || tag (16 B)
 */
export function gcmSeal(
  key: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
  nonce: Uint8Array = NONCE_ZERO,
  before = 0,
): Bytes {
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(aad);
  const out = new Uint8Array(before + plaintext.length + 16);
  out.set(cipher.update(plaintext), before);
  cipher.final();
  out.set(cipher.getAuthTag(), before + plaintext.length);
  return out;
}

/**
 * Opens what {@linkcode gcmSeal} sealed.
 *
 * @throws {CryptoError} `open-failed` if the tag does not hold
 */
export function gcmOpen(
  key: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
  nonce: Uint8Array = NONCE_ZERO,
): Bytes {
  const opened = gcmOpenToRead(key, aad, sealed, nonce);
  const plaintext = opened.slice();
  opened.fill(0);
  return plaintext;
}

/**
 * As {@linkcode gcmOpen}, for whoever reads what was sealed at once.
 *
 * @returns memory of the runtime, beside which others' may lie: to be overwritten with zeros after it was read
 * @throws {CryptoError} `open-failed` if the tag does not hold
 */
export function gcmOpenToRead(
  key: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
  nonce: Uint8Array = NONCE_ZERO,
): Uint8Array {
  if (sealed.length < 16) {
    throw new CryptoError("open-failed", "sealed bytes are shorter than a tag");
  }
  const split = sealed.length - 16;
  const decipher = createDecipheriv("aes-256-gcm", key, nonce);
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(split));
  const plaintext = decipher.update(sealed.subarray(0, split));
  try {
    decipher.final();
  } catch (cause) {
    throw new CryptoError("open-failed", "the authentication tag does not hold", { cause });
  }
  // No Buffer, whose slice() shares memory where an array's copies.
  return new Uint8Array(plaintext.buffer, plaintext.byteOffset, plaintext.length);
}

const BLOCK_BYTES = 16;

/**
 * AES-256-CTR over at most 32 bytes, again and again with one key. Setting a cipher up takes ten times as long as
 * two blocks do; so this one is set up once, and counts by itself.
 */
export class ShortCtr {
  readonly #cipher: Cipheriv;
  /** The two counters, which are no secret. */
  readonly #blocks = new Uint8Array(2 * BLOCK_BYTES);

  /** @param key 32 bytes */
  constructor(key: Uint8Array) {
    this.#cipher = createCipheriv("aes-256-ecb", key, null);
    this.#cipher.setAutoPadding(false);
  }

  /**
   * The keystream over `data`; its own inverse.
   *
   * @param counter 16 bytes, the first of the counter
   * @throws {RangeError} for more than 32 bytes, or another counter
   */
  apply(counter: Uint8Array, data: Uint8Array): Bytes {
    if (counter.length !== BLOCK_BYTES || data.length > 2 * BLOCK_BYTES) {
      throw new RangeError(`a counter of ${counter.length} bytes, ${data.length} bytes of data`);
    }
    const blocks = this.#blocks;
    blocks.set(counter);
    blocks.set(counter, BLOCK_BYTES);
    // The second counter is one more, over all 128 bits.
    for (let i = 2 * BLOCK_BYTES - 1; i >= BLOCK_BYTES; i--) {
      blocks[i] = ((blocks[i] ?? 0) + 1) & 0xff;
      if (blocks[i] !== 0) break;
    }
    const stream = this.#cipher.update(blocks);
    const out = new Uint8Array(data.length);
    for (let i = 0; i < out.length; i++) out[i] = (data[i] ?? 0) ^ (stream[i] ?? 0);
    return out;
  }
}

/** Constant-time comparison; false for different lengths. */
export function sameSecret(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Ed25519 of RFC 8032, 64 bytes. What is signed begins with its kind: {@linkcode sign}, or `MessageInput`. */
export function ed25519Sign(key: KeyObject, input: Uint8Array): Bytes {
  return own(signWith(null, input, key));
}

/** Strict Ed25519 verification (PROTOCOL §1). */
export function ed25519Verify(key: KeyObject, input: Uint8Array, signature: Uint8Array): boolean {
  return isSignatureForm(signature) && verifyWith(null, input, key, signature);
}

/** PROTOCOL's `Sign(key, kind, body)`, 64 bytes. */
export function sign(key: KeyObject, kind: SignatureKind, body: Uint8Array): Bytes {
  return ed25519Sign(key, signatureInput(kind, body));
}

/**
 * A public key ready to verify with.
 *
 * @param raw 32 bytes of a stranger
 * @throws {CryptoError} `bad-key` if it is not canonical or of small order
 */
export function importVerifyKey(raw: Uint8Array): KeyObject {
  if (!isPublicKeyForm(raw)) {
    throw new CryptoError("bad-key", "the Ed25519 key is not canonical or of small order");
  }
  try {
    return createPublicKey({
      key: Buffer.from(concat(ED25519_SPKI_PREFIX, raw)),
      format: "der",
      type: "spki",
    });
  } catch (cause) {
    throw new CryptoError("bad-key", "the Ed25519 key is not a point", { cause });
  }
}

/** Whether a signature is `Sign(key, kind, body)`. */
export function verify(
  key: KeyObject,
  kind: SignatureKind,
  body: Uint8Array,
  signature: Uint8Array,
): boolean {
  return ed25519Verify(key, signatureInput(kind, body), signature);
}

/** As {@linkcode verify}, from the raw key; false for a key that we refuse. */
export function verifyRaw(
  key: Uint8Array,
  kind: SignatureKind,
  body: Uint8Array,
  signature: Uint8Array,
): boolean {
  let imported: KeyObject;
  try {
    imported = importVerifyKey(key);
  } catch (error) {
    if (error instanceof CryptoError) return false;
    throw error;
  }
  return verify(imported, kind, body, signature);
}

const ED25519_SPKI_PREFIX = Uint8Array.fromHex("302a300506032b6570032100");

/**
 * Node's Buffers may be views of a shared pool, which would keep secrets alive, and share memory where arrays copy:
 * hand out own memory as a plain array.
 */
function own(bytes: Uint8Array): Bytes {
  const { buffer } = bytes;
  if (bytes.length === buffer.byteLength && buffer instanceof ArrayBuffer) {
    return new Uint8Array(buffer);
  }
  const out = new Uint8Array(bytes.length);
  out.set(bytes);
  return out;
}
