/**
 * The cryptographic operations of PROTOCOL §1 as the runtime gives them, called as directly as it can be
 * done: the floor under what src/crypto makes of them.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPublicKey,
  hkdfSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { Buffer } from "node:buffer";
import { paddedSize } from "../src/wire/padding.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const random = (length: number): Bytes => {
  const bytes = new Uint8Array(length);
  // The runtime gives at most 64 KiB at once.
  for (let at = 0; at < length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return bytes;
};

const NO_SALT = new Uint8Array(0);
/** `label ‖ number`, `label ‖ h(e) ‖ leaf` and AAD of §8. */
const MESSAGE_INFO = random(17);
const CHAIN_INFO = random(48);
const AAD = random(77);
/** Type, length of the content, signature; id and time before the text (§8). */
const AROUND_CONTENT = 1 + 4 + 64;
const AROUND_TEXT = 16 + 8;

/** HKDF for one chain: what a member does for each other at the beginning of an epoch. */
export function deriveChain(secret: Bytes): void {
  hkdfSync("sha256", secret, NO_SALT, CHAIN_INFO, 32);
}

function ratchet(chainKey: Bytes): Bytes {
  return new Uint8Array(hkdfSync("sha256", chainKey, NO_SALT, MESSAGE_INFO, 76));
}

function mask(key: Bytes, body: Uint8Array): void {
  const cipher = createCipheriv("aes-256-ctr", key, body.subarray(0, 16));
  cipher.update(AAD.subarray(0, 24));
  cipher.final();
}

function hashes(body: Uint8Array): void {
  createHash("sha256").update(AAD.subarray(0, 24)).update(body).digest();
  createHash("sha256").update(AAD.subarray(0, 32)).update(AAD.subarray(32, 64)).digest();
}

/**
 * What sealing one text takes: a step of the ratchet, a signature, AES-GCM, the two hashes of the rolling hash,
 * the mask of the header.
 *
 * @param textBytes length of the text
 * @param count how many different messages
 */
export function messagePrimitives(
  textBytes: number,
  count: number,
  keys: { readonly privateKey: KeyObject; readonly publicKey: KeyObject },
): { readonly seal: () => void; readonly open: () => void } {
  const signed = AAD.length + 1 + AROUND_TEXT + textBytes;
  const messages = Array.from({ length: count }, () => {
    const body = random(signed);
    const plaintext = random(paddedSize(AROUND_CONTENT + AROUND_TEXT + textBytes));
    const chainKey = random(32);
    const key = ratchet(chainKey);
    const sealed = gcmSeal(key, plaintext);
    return { body, plaintext, chainKey, sealed, signature: sign(null, body, keys.privateKey) };
  });
  const headerKey = random(32);
  return {
    seal: () => {
      for (const { chainKey, body, plaintext } of messages) {
        const key = ratchet(chainKey);
        sign(null, body, keys.privateKey);
        const sealed = gcmSeal(key, plaintext);
        hashes(sealed);
        mask(headerKey, sealed);
      }
    },
    open: () => {
      for (const { chainKey, body, sealed, signature } of messages) {
        mask(headerKey, sealed);
        hashes(sealed);
        const key = ratchet(chainKey);
        gcmOpen(key, sealed);
        if (!verify(null, body, keys.publicKey, signature)) throw new Error("does not verify");
      }
    },
  };
}

function gcmSeal(key: Bytes, plaintext: Uint8Array): Bytes {
  const cipher = createCipheriv("aes-256-gcm", key.subarray(0, 32), key.subarray(32, 44));
  cipher.setAAD(AAD);
  const out = new Uint8Array(plaintext.length + 16);
  out.set(cipher.update(plaintext));
  cipher.final();
  out.set(cipher.getAuthTag(), plaintext.length);
  return out;
}

function gcmOpen(key: Bytes, sealed: Uint8Array): void {
  const decipher = createDecipheriv("aes-256-gcm", key.subarray(0, 32), key.subarray(32, 44));
  decipher.setAAD(AAD);
  decipher.setAuthTag(sealed.subarray(sealed.length - 16));
  decipher.update(sealed.subarray(0, sealed.length - 16));
  decipher.final();
}

/** Signs as often as it is told, over 200 bytes. */
export function signTimes(key: KeyObject, times: number): void {
  const body = random(200);
  for (let i = 0; i < times; i++) sign(null, body, key);
}

/** Takes a raw key and verifies with it, as often as it is told, over 350 bytes: a CERT each. */
export function verifyTimes(key: KeyObject, publicKey: Uint8Array, times: number): void {
  const body = random(350);
  const signature = sign(null, body, key);
  for (let i = 0; i < times; i++) {
    if (!verify(null, body, importEd25519(publicKey), signature)) throw new Error("no signature");
  }
}

/** A raw Ed25519 key as the runtime's. */
export function importEd25519(raw: Uint8Array): KeyObject {
  const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw]);
  return createPublicKey({ key: spki, format: "der", type: "spki" });
}

const RSA = { name: "RSA-OAEP", label: random(64) };
const KEM = { name: "ML-KEM-768" };
/** As many at a time as a commit has under way. */
const AT_ONCE = 4 * navigator.hardwareConcurrency;

/** The part of the Modern Algorithms draft that the type library does not know. */
interface KemCrypto {
  generateKey(
    algorithm: typeof KEM,
    extractable: boolean,
    usages: string[],
  ): Promise<CryptoKeyPair>;
  exportKey(format: "raw-public", key: CryptoKey): Promise<ArrayBuffer>;
  importKey(
    format: "raw-public",
    key: Bytes,
    algorithm: typeof KEM,
    extractable: boolean,
    usages: string[],
  ): Promise<CryptoKey>;
  encapsulateBits(
    algorithm: typeof KEM,
    key: CryptoKey,
  ): Promise<{ ciphertext: ArrayBuffer; sharedKey: ArrayBuffer }>;
  decapsulateBits(
    algorithm: typeof KEM,
    key: CryptoKey,
    ciphertext: ArrayBuffer,
  ): Promise<ArrayBuffer>;
}
const kem = crypto.subtle as unknown as KemCrypto;

/** An RSA and an ML-KEM key pair to measure with. */
export interface WrapPairs {
  readonly rsa: CryptoKeyPair;
  readonly kem: CryptoKeyPair;
  /** As a member sends it. */
  readonly kemPublic: Bytes;
}

/** Makes them; RSA-3072 takes a moment. */
export async function makeWrapPairs(): Promise<WrapPairs> {
  const rsa = await crypto.subtle.generateKey(
    {
      name: "RSA-OAEP",
      hash: "SHA-256",
      modulusLength: 3072,
      publicExponent: new Uint8Array([1, 0, 1]),
    },
    false,
    ["encrypt", "decrypt"],
  );
  const pair = await makeKemPair();
  return {
    rsa,
    kem: pair,
    kemPublic: new Uint8Array(await kem.exportKey("raw-public", pair.publicKey)),
  };
}

/** A fresh ML-KEM-768 pair. */
export async function makeKemPair(): Promise<CryptoKeyPair> {
  return await kem.generateKey(KEM, false, ["encapsulateBits", "decapsulateBits"]);
}

async function manyAtOnce(times: number, act: () => Promise<unknown>): Promise<void> {
  let left = times;
  const oneByOne = async (): Promise<void> => {
    while (left-- > 0) await act();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, oneByOne));
}

/** RSA-OAEP to a member's key, as often as it is told. */
export async function rsaTimes({ rsa }: WrapPairs, times: number): Promise<void> {
  const secret = random(32);
  await manyAtOnce(times, () => crypto.subtle.encrypt(RSA, rsa.publicKey, secret));
}

/** ML-KEM to a member's key as it comes: a fresh one each epoch, so it is imported each time. */
export async function kemTimes({ kemPublic }: WrapPairs, times: number): Promise<void> {
  await manyAtOnce(times, async () => {
    const key = await kem.importKey("raw-public", kemPublic, KEM, false, ["encapsulateBits"]);
    await kem.encapsulateBits(KEM, key);
  });
}

/** Ciphertexts to be opened again and again: of a wrap both, of a bundle only ML-KEM's. */
export async function openings(pairs: WrapPairs): Promise<{
  readonly wrap: () => Promise<void>;
  readonly bundle: () => Promise<void>;
}> {
  const sealed = await crypto.subtle.encrypt(RSA, pairs.rsa.publicKey, random(32));
  const { ciphertext } = await kem.encapsulateBits(KEM, pairs.kem.publicKey);
  const bundle = async (): Promise<void> => {
    await kem.decapsulateBits(KEM, pairs.kem.privateKey, ciphertext);
  };
  const wrap = async (): Promise<void> => {
    await Promise.all([crypto.subtle.decrypt(RSA, pairs.rsa.privateKey, sealed), bundle()]);
  };
  return { wrap, bundle };
}
