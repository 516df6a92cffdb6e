/**
 * The sealed file of `src/crypto/sealer.ts` made and opened by other people's code, from the layout in
 * its first comment: what both agree on is the layout, and a hostile file can be made to measure.
 */
import { gcm } from "@noble/ciphers/aes.js";
import { argon2id } from "@noble/hashes/argon2.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";

/** What a sealed file is made of; everything can be bent. */
export interface ForeignSeal {
  readonly passphrase: string;
  readonly memoryKiB: number;
  readonly passes: number;
  readonly parallelism: number;
  readonly salt: Uint8Array;
  readonly save: Uint8Array;
  readonly nonce: Uint8Array;
  /** Length field, content and padding, as they are. */
  readonly padded: Uint8Array;
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The file. */
export function foreignSeal(seal: ForeignSeal): Uint8Array<ArrayBuffer> {
  const keys = foreignKeys(seal);
  const numbers = [seal.memoryKiB, seal.passes, seal.parallelism].flatMap((n) => [
    (n >>> 24) & 255,
    (n >>> 16) & 255,
    (n >>> 8) & 255,
    n & 255,
  ]);
  const header = Uint8Array.from([
    ...utf8("stm-seal"),
    1,
    ...numbers,
    ...seal.salt,
    ...seal.save,
    ...seal.nonce,
    ...keys.check,
  ]);
  const body = gcm(keys.key, seal.nonce, header).encrypt(seal.padded);
  return Uint8Array.from([...header, ...body]);
}

/** Length field, content and padding of a file; throws if its tag does not hold. */
export function foreignOpen(passphrase: string, file: Uint8Array): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const { key } = foreignKeys({
    passphrase,
    memoryKiB: view.getUint32(9),
    passes: view.getUint32(13),
    parallelism: view.getUint32(17),
    salt: file.subarray(21, 37),
    save: file.subarray(37, 53),
  });
  return gcm(key, file.subarray(53, 65), file.subarray(0, 97)).decrypt(file.subarray(97));
}

// One derivation in JavaScript takes a second; many files differ in what comes after it alone.
const roots = new Map<string, Uint8Array>();

function foreignKeys(seal: Omit<ForeignSeal, "nonce" | "padded">) {
  const { passphrase, salt, memoryKiB: m, passes: t, parallelism: p } = seal;
  const name = [passphrase, salt.toHex(), m, t, p].join(" ");
  const root = roots.get(name) ?? argon2id(utf8(passphrase), salt, { m, t, p, dkLen: 32 });
  roots.set(name, root);
  const derive = (info: string) => hkdf(sha256, root, seal.save, utf8(info), 32);
  return { key: derive("stm/1 profile key"), check: derive("stm/1 profile check") };
}
