/**
 * The keys of a person and of a run (PROTOCOL §6): the long-term identity, and the session's
 * signature and RSA keys, fresh at each start. All are made by WebCrypto as non-extractable; the
 * signing keys are then used through `node:crypto`, which is synchronous.
 */
import { KeyObject } from "node:crypto";
import { type Bytes, concat, CryptoError } from "./primitives.ts";

/** An Ed25519 key pair: the private half as a handle, the public as 32 bytes. */
export interface SigningKey {
  readonly privateKey: KeyObject;
  readonly publicKey: Bytes;
}

/** What a run of stm makes at its start and forgets at its end. ML-KEM keys belong to rooms, see `room_keys.ts`. */
export interface SessionKeys {
  readonly signing: SigningKey;
  readonly rsaPrivate: CryptoKey;
  /** X.509 SubjectPublicKeyInfo, 422 bytes. */
  readonly rsaSpki: Bytes;
}

const RSA = { name: "RSA-OAEP", hash: "SHA-256" };
const RSA_MODULUS_BITS = 3072;

/** A fresh, non-extractable Ed25519 key pair. */
export async function generateSigningKey(): Promise<SigningKey> {
  const pair = await crypto.subtle.generateKey({ name: "Ed25519" }, false, ["sign", "verify"]);
  if (!("privateKey" in pair)) throw new TypeError("Ed25519 generation gave no key pair");
  return {
    privateKey: KeyObject.from(pair.privateKey),
    publicKey: new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)),
  };
}

const ED25519_PKCS8_PREFIX = Uint8Array.fromHex("302e020100300506032b657004220420");

/**
 * The signing key of a stored seed (identity, room key), imported as non-extractable.
 *
 * @param seed 32 bytes, RFC 8032's private key; the caller wipes it
 */
export async function importSigningKey(seed: Uint8Array): Promise<SigningKey> {
  const pkcs8 = concat(ED25519_PKCS8_PREFIX, seed);
  // The public half is not to be had from a non-extractable key: import twice, export the copy's.
  const copy = await crypto.subtle.importKey("pkcs8", pkcs8, { name: "Ed25519" }, true, ["sign"]);
  const jwk = await crypto.subtle.exportKey("jwk", copy);
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, { name: "Ed25519" }, false, ["sign"]);
  pkcs8.fill(0);
  if (jwk.x === undefined) throw new TypeError("the runtime exported no public key");
  return {
    privateKey: KeyObject.from(key),
    publicKey: Uint8Array.fromBase64(jwk.x, { alphabet: "base64url" }),
  };
}

/** Fresh session keys. RSA-3072 takes 0.2 to 1.4 s, off the main thread: begin at launch. */
export async function generateSessionKeys(): Promise<SessionKeys> {
  const [signing, rsa] = await Promise.all([
    generateSigningKey(),
    crypto.subtle.generateKey(
      { ...RSA, modulusLength: RSA_MODULUS_BITS, publicExponent: new Uint8Array([1, 0, 1]) },
      false,
      ["encrypt", "decrypt"],
    ),
  ]);
  const rsaSpki = new Uint8Array(await crypto.subtle.exportKey("spki", rsa.publicKey));
  return { signing, rsaPrivate: rsa.privateKey, rsaSpki };
}

// DER of an SPKI whose modulus has exactly 3072 bits and whose exponent is 65537 differs in nothing
// but the modulus: comparing the frame is stricter than parsing it, and cannot be fooled by BER.
const SPKI_HEAD = Uint8Array.fromHex(
  "308201a2300d06092a864886f70d01010105000382018f003082018a0282018100",
);
const SPKI_TAIL = Uint8Array.fromHex("0203010001");
const MODULUS_BYTES = RSA_MODULUS_BITS / 8;
/** Length of every RSA SubjectPublicKeyInfo that we accept. */
export const RSA_SPKI_BYTES = SPKI_HEAD.length + MODULUS_BYTES + SPKI_TAIL.length;

/**
 * A member's RSA key, checked: WebCrypto itself imports 1024 bits and e = 3.
 *
 * @throws {CryptoError} `bad-key` unless it is RSA-3072 with e = 65537 in DER
 */
export async function importRsaPublicKey(spki: Uint8Array): Promise<CryptoKey> {
  const modulus = spki.subarray(SPKI_HEAD.length, SPKI_HEAD.length + MODULUS_BYTES);
  const wellFormed = spki.length === RSA_SPKI_BYTES &&
    SPKI_HEAD.every((byte, i) => spki[i] === byte) &&
    SPKI_TAIL.every((byte, i) => spki[spki.length - SPKI_TAIL.length + i] === byte) &&
    (modulus[0] ?? 0) >= 0x80 && (modulus[MODULUS_BYTES - 1] ?? 0) % 2 === 1;
  if (!wellFormed) throw new CryptoError("bad-key", "the RSA key is not 3072 bits with e = 65537");
  return await crypto.subtle.importKey("spki", new Uint8Array(spki), RSA, false, ["encrypt"]);
}

/**
 * The OAEP label for a wrap's context: its hex digits in ASCII (PROTOCOL §7). Deno up to 2.9 reads a label as UTF-8
 * and puts U+FFFD for what is none: random bytes would be another label than RFC 8017's, and many contexts one.
 */
function oaepParams(ctx: Uint8Array): { name: string; label: Bytes } {
  return { name: RSA.name, label: new TextEncoder().encode(ctx.toHex()) };
}

/**
 * Seals to a member's RSA key, PROTOCOL's ctR: 384 bytes.
 *
 * @param ctx goes into the label
 */
export async function rsaEncrypt(key: CryptoKey, ctx: Bytes, secret: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.encrypt(oaepParams(ctx), key, secret));
}

/**
 * Opens ctR.
 *
 * The runtime's RSA is not constant-time: call it only with a ciphertext whose hash is in a commit
 * that the admin signed.
 *
 * @throws {CryptoError} `open-failed`
 */
export async function rsaDecrypt(key: CryptoKey, ctx: Bytes, sealed: Bytes): Promise<Bytes> {
  try {
    return new Uint8Array(await crypto.subtle.decrypt(oaepParams(ctx), key, sealed));
  } catch (cause) {
    throw new CryptoError("open-failed", "RSA-OAEP did not open", { cause });
  }
}
