/**
 * A profile sealed under a passphrase. The file, numbers big-endian:
 *
 *     0   8  "stm-seal"
 *     8   1  version, 1
 *     9   4  Argon2id memory in KiB
 *     13  4  Argon2id passes
 *     17  4  Argon2id parallelism
 *     21  16 Argon2id salt
 *     37  16 salt of this save
 *     53  12 nonce of this save
 *     65  32 check
 *     97  .. AES-256-GCM(key, nonce, aad = the 97 bytes above, padded), tag included
 *
 *     root   = Argon2id(passphrase in NFC and UTF-8, Argon2id salt), 32 bytes
 *     key    = HKDF-SHA256(root, salt of this save, "stm/1 profile key")
 *     check  = HKDF-SHA256(root, salt of this save, "stm/1 profile check")
 *     padded = u32 length ‖ content ‖ zeros up to a multiple of 4096
 *
 * The root is derived once for a file and process; every save has a fresh salt and nonce, so a fresh
 * key. An admin saves before each commit: with Argon2id each time that took 0.25 s, so it takes 1 ms.
 * A thief of several versions gains nothing, since he who guesses the passphrase of one has them all either way.
 *
 * The check tells a wrong passphrase from a damaged body, and binds the file to one passphrase, which
 * GCM alone does not. What no seal can tell is an old copy put back.
 */
import { type Argon2Cost, argon2id } from "./argon2id.ts";
import { type Bytes, concat, type RandomSource, sameSecret, systemRandom } from "./primitives.ts";

/** What came of opening; same words as the port in `store/sealer.ts`, which this folder may not import. */
export type Unsealed =
  | { readonly kind: "opened"; readonly plaintext: Bytes }
  | {
    readonly kind: "refused";
    readonly code:
      | "not-sealed"
      | "newer-version"
      | "bad-parameters"
      | "wrong-passphrase-or-damaged"
      | "damaged";
  };

/** Seals and opens the bytes of one file. */
export interface PassphraseSealer {
  /** The file for `plaintext`, under a key of its own. */
  seal(plaintext: Uint8Array): Promise<Bytes>;
  /** The content of a file, or why it is refused. */
  open(file: Uint8Array): Promise<Unsealed>;
}

const MAGIC = new TextEncoder().encode("stm-seal");
const VERSION = 1;
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const CHECK_BYTES = 32;
const TAG_BYTES = 16;
const AT = {
  version: 8,
  memory: 9,
  passes: 13,
  parallelism: 17,
  salt: 21,
  save: 37,
  nonce: 53,
  check: 65,
};
/** Length of the header, all of it authenticated. */
export const SEAL_HEADER_BYTES = AT.check + CHECK_BYTES;
/** The content is padded to multiples of this, so that a file tells little about it. */
export const SEAL_BLOCK_BYTES = 4096;

/** What new files cost: RFC 9106's second recommended choice, with one lane. */
export const SEAL_COST: Argon2Cost = { memoryKiB: 65536, passes: 3, parallelism: 1 };
// Never less: a file made cheap to guess must not live on because we go by its word. And not more than
// some seconds' work, or a hostile file could ask for all the memory there is.
const MIN_COST: Argon2Cost = { memoryKiB: 65536, passes: 3, parallelism: 1 };
const MAX_COST: Argon2Cost = { memoryKiB: 262_144, passes: 10, parallelism: 4 };

const KEY_INFO = new TextEncoder().encode("stm/1 profile key");
const CHECK_INFO = new TextEncoder().encode("stm/1 profile check");

/** Argon2id's result for one salt and cost; the key is a non-extractable HKDF key. */
interface Root {
  readonly cost: Argon2Cost;
  readonly salt: Bytes;
  readonly key: CryptoKey;
}

/**
 * A sealer for one profile. The first `seal` or `open` takes 0.25 s, off the main thread.
 *
 * @param passphrase as typed: composed and decomposed accents are the same (NFC)
 * @param random for salts and nonces
 * @throws {RangeError} for an empty passphrase: that would only look sealed
 */
export function passphraseSealer(
  passphrase: string,
  random: RandomSource = systemRandom,
): PassphraseSealer {
  if (passphrase === "") throw new RangeError("an empty passphrase seals nothing");
  const secret = new TextEncoder().encode(passphrase.normalize("NFC"));
  let root: Root | undefined;

  const rootFor = async (salt: Bytes, cost: Argon2Cost): Promise<Root> => {
    if (root !== undefined && sameSecret(root.salt, salt) && sameCost(root.cost, cost)) return root;
    const bits = await argon2id(secret, salt, cost, 32);
    const key = await crypto.subtle.importKey("raw", bits, "HKDF", false, [
      "deriveBits",
      "deriveKey",
    ]);
    bits.fill(0);
    return { cost, salt, key };
  };

  return {
    async seal(plaintext) {
      root ??= await rootFor(random(SALT_BYTES), SEAL_COST);
      return await sealUnder(root, random, plaintext);
    },
    async open(file) {
      const header = readHeader(file);
      if ("refused" in header) return { kind: "refused", code: header.refused };
      const candidate = await rootFor(header.salt, header.cost);
      const result = await openUnder(candidate, header, file);
      // Only what opened is saved under again: a stranger's file chooses neither our salt nor our cost.
      if (result.kind === "opened") root = candidate;
      return result;
    },
  };
}

function sameCost(a: Argon2Cost, b: Argon2Cost): boolean {
  return a.memoryKiB === b.memoryKiB && a.passes === b.passes && a.parallelism === b.parallelism;
}

async function sealUnder(
  root: Root,
  random: RandomSource,
  plaintext: Uint8Array,
): Promise<Bytes> {
  const save = random(SALT_BYTES);
  const nonce = random(NONCE_BYTES);
  const numbers = new DataView(new ArrayBuffer(13));
  numbers.setUint8(0, VERSION);
  numbers.setUint32(1, root.cost.memoryKiB);
  numbers.setUint32(5, root.cost.passes);
  numbers.setUint32(9, root.cost.parallelism);
  const { key, check } = await keysOf(root, save);
  const header = concat(MAGIC, new Uint8Array(numbers.buffer), root.salt, save, nonce, check);
  const padded = pad(plaintext);
  const body = await crypto.subtle.encrypt(
    { name: "AES-GCM", iv: nonce, additionalData: header },
    key,
    padded,
  );
  padded.fill(0);
  return concat(header, new Uint8Array(body));
}

async function openUnder(root: Root, header: Header, file: Uint8Array): Promise<Unsealed> {
  const { key, check } = await keysOf(root, header.save);
  if (!sameSecret(check, header.check)) {
    return { kind: "refused", code: "wrong-passphrase-or-damaged" };
  }
  let padded: Bytes;
  try {
    padded = new Uint8Array(
      await crypto.subtle.decrypt(
        { name: "AES-GCM", iv: header.nonce, additionalData: file.slice(0, SEAL_HEADER_BYTES) },
        key,
        file.slice(SEAL_HEADER_BYTES),
      ),
    );
  } catch {
    return { kind: "refused", code: "damaged" };
  }
  const plaintext = unpad(padded);
  padded.fill(0);
  return plaintext === undefined
    ? { kind: "refused", code: "damaged" }
    : { kind: "opened", plaintext };
}

async function keysOf(root: Root, save: Bytes): Promise<{ key: CryptoKey; check: Bytes }> {
  const hkdf = (info: Bytes) => ({ name: "HKDF", hash: "SHA-256", salt: save, info });
  const [key, check] = await Promise.all([
    crypto.subtle.deriveKey(hkdf(KEY_INFO), root.key, { name: "AES-GCM", length: 256 }, false, [
      "encrypt",
      "decrypt",
    ]),
    crypto.subtle.deriveBits(hkdf(CHECK_INFO), root.key, CHECK_BYTES * 8),
  ]);
  return { key, check: new Uint8Array(check) };
}

interface Header {
  readonly cost: Argon2Cost;
  readonly salt: Bytes;
  readonly save: Bytes;
  readonly nonce: Bytes;
  readonly check: Bytes;
}

/** Everything that can be refused before a derivation is paid for. */
function readHeader(
  file: Uint8Array,
): Header | { refused: "not-sealed" | "newer-version" | "bad-parameters" | "damaged" } {
  if (!MAGIC.every((byte, i) => file[i] === byte)) return { refused: "not-sealed" };
  const version = file[AT.version];
  if (version !== undefined && version > VERSION) return { refused: "newer-version" };
  const body = file.length - SEAL_HEADER_BYTES - TAG_BYTES;
  if (version !== VERSION || body < SEAL_BLOCK_BYTES || body % SEAL_BLOCK_BYTES !== 0) {
    return { refused: "damaged" };
  }
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const cost: Argon2Cost = {
    memoryKiB: view.getUint32(AT.memory),
    passes: view.getUint32(AT.passes),
    parallelism: view.getUint32(AT.parallelism),
  };
  if (!isAcceptable(cost)) return { refused: "bad-parameters" };
  return {
    cost,
    salt: file.slice(AT.salt, AT.save),
    save: file.slice(AT.save, AT.nonce),
    nonce: file.slice(AT.nonce, AT.check),
    check: file.slice(AT.check, SEAL_HEADER_BYTES),
  };
}

function isAcceptable(cost: Argon2Cost): boolean {
  const within = (what: keyof Argon2Cost): boolean =>
    cost[what] >= MIN_COST[what] && cost[what] <= MAX_COST[what];
  return within("memoryKiB") && within("passes") && within("parallelism");
}

function pad(plaintext: Uint8Array): Bytes {
  const blocks = Math.ceil((4 + plaintext.length) / SEAL_BLOCK_BYTES);
  const padded = new Uint8Array(blocks * SEAL_BLOCK_BYTES);
  new DataView(padded.buffer).setUint32(0, plaintext.length);
  padded.set(plaintext, 4);
  return padded;
}

/** `undefined` unless it is exactly what {@linkcode pad} makes. */
function unpad(padded: Bytes): Bytes | undefined {
  const length = new DataView(padded.buffer).getUint32(0);
  const zeros = padded.length - 4 - length;
  if (zeros < 0 || zeros >= SEAL_BLOCK_BYTES) return undefined;
  if (padded.subarray(4 + length).some((byte) => byte !== 0)) return undefined;
  return padded.slice(4, 4 + length);
}
