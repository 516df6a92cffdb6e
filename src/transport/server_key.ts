/**
 * The relay's long-term key and its certificate, in a folder of two files. The key is what every
 * invite pins, so nothing here ever replaces one (`key_change_files.ts` does, at a planned change); the
 * certificate can be written anew at any time.
 */

import { join } from "node:path";
import {
  fromPem,
  RELAY_KEY_BYTES,
  relayCertificate,
  sameBytes,
  signedPart,
  toPem,
} from "./certificate.ts";

/** Name of the key's file: PKCS #8 in PEM, mode 0600. */
export const KEY_FILE = "relay.key.pem";

/** Name of the certificate's file: PEM, mode 0644. */
export const CERTIFICATE_FILE = "relay.cert.pem";

/** Writes a whole file or nothing: temporary file, sync, rename. The store has one. */
export type WriteFile = (path: string, bytes: Uint8Array, mode: number) => Promise<void>;

/** What a relay needs in order to be known again. */
export interface ServerKey {
  /** The relay key, 32 bytes: the pin of invites and server links. */
  readonly publicKey: Uint8Array;
  /** The private key, PKCS #8 in PEM. */
  readonly keyPem: string;
  /** The certificate of the one form (PROTOCOL.md §2), in PEM. */
  readonly certPem: string;
}

/** Why a key folder cannot be used. The file named in it was left as it was. */
export class ServerKeyError extends Error {
  /** Always "ServerKeyError". */
  override readonly name = "ServerKeyError";

  /**
   * Makes one.
   *
   * @param code `unreadable`, `unwritable`: the disk said no, see `cause`; `damaged`: the content
   *   is not what the file's name says; `key-missing`: a certificate without its key
   * @param path the file or folder meant
   * @param message what happened and what to do, for the person
   */
  constructor(
    readonly code: "unreadable" | "unwritable" | "damaged" | "key-missing",
    readonly path: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * Reads the relay's key and certificate, or makes them on the first start. A certificate that is
 * gone, has expired or has another form is written anew under the same key.
 *
 * @param dir the folder, made (0700) if it is not there
 * @param writeFile how to write a file whole or not at all
 * @throws {ServerKeyError} see its codes
 * @see docs/PROTOCOL.md §2
 */
export async function loadOrCreateServerKey(dir: string, writeFile: WriteFile): Promise<ServerKey> {
  const keyPath = join(dir, KEY_FILE);
  const certPath = join(dir, CERTIFICATE_FILE);
  const write = async (path: string, text: string, mode: number) => {
    try {
      await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
      await writeFile(path, new TextEncoder().encode(text), mode);
    } catch (cause) {
      throw unwritable(path, cause);
    }
  };

  const [storedKey, storedCert] = await Promise.all([readPem(keyPath), readPem(certPath)]);
  if (storedKey === null && storedCert !== null) {
    throw new ServerKeyError(
      "key-missing",
      keyPath,
      `${certPath} is there but its key ${keyPath} is not. Bring the key back from a backup, or ` +
        `delete the certificate to start as a new relay; invites to the old one end with it`,
    );
  }

  const key = storedKey === null ? await generate() : await parseKey(keyPath, storedKey);
  const publicKey = await publicHalf(key);
  const keyPem = storedKey ?? await pemOf(key);
  if (storedKey === null) await write(keyPath, keyPem, 0o600);

  // Ed25519 has one signature per key and text (RFC 8032 §5.1.6): the key decides every byte.
  const signature = await crypto.subtle.sign("Ed25519", key, signedPart(publicKey));
  const expected = relayCertificate(publicKey, new Uint8Array(signature));
  if (storedCert !== null) {
    const stored = fromPem("CERTIFICATE", storedCert);
    if (stored !== null && sameBytes(stored, expected)) {
      return { publicKey, keyPem, certPem: storedCert };
    }
    await checkOwner(certPath, storedCert, publicKey);
  }
  const certPem = toPem("CERTIFICATE", expected);
  await write(certPath, certPem, 0o644);
  return { publicKey, keyPem, certPem };
}

/**
 * The relay key of a private key.
 *
 * @param keyPem PKCS #8 in PEM
 * @returns 32 bytes, or null if it is no Ed25519 key
 */
export async function relayKeyOf(keyPem: string): Promise<Uint8Array | null> {
  const key = await importKey(keyPem);
  return key === null ? null : await publicHalf(key);
}

/** A fresh private key, PKCS #8 in PEM. */
export async function makeRelayKeyPem(): Promise<string> {
  return await pemOf(await generate());
}

/**
 * Signs with a relay's private key.
 *
 * @param keyPem PKCS #8 in PEM
 * @returns 64 bytes
 * @throws {TypeError} if it is no Ed25519 key
 */
export async function signWithRelayKey(
  keyPem: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const key = await importKey(keyPem);
  if (key === null) throw new TypeError("not an Ed25519 key");
  return new Uint8Array(await crypto.subtle.sign("Ed25519", key, bytes));
}

async function pemOf(key: CryptoKey): Promise<string> {
  return toPem("PRIVATE KEY", new Uint8Array(await crypto.subtle.exportKey("pkcs8", key)));
}

/** The text of a file, or null if there is none. @throws {ServerKeyError} `unreadable` */
export async function readPem(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return null;
    throw new ServerKeyError("unreadable", path, `cannot read ${path}: ${sayCause(cause)}`, {
      cause,
    });
  }
}

async function parseKey(path: string, pem: string): Promise<CryptoKey> {
  const key = await importKey(pem);
  if (key !== null) return key;
  throw new ServerKeyError(
    "damaged",
    path,
    `${path} is not an Ed25519 private key in PEM. Bring it back from a backup; it was left as it is`,
  );
}

async function generate(): Promise<CryptoKey> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  if (!("privateKey" in pair)) throw new TypeError("Ed25519 keys come in pairs");
  return pair.privateKey;
}

/** Imports a private key; null for whatever is none. */
async function importKey(pem: string): Promise<CryptoKey | null> {
  const der = fromPem("PRIVATE KEY", pem);
  if (der === null) return null;
  try {
    return await crypto.subtle.importKey("pkcs8", der, "Ed25519", true, ["sign"]);
  } catch {
    return null; // a DataError: another kind of key, or bytes that are none
  }
}

async function publicHalf(key: CryptoKey): Promise<Uint8Array> {
  const { x } = await crypto.subtle.exportKey("jwk", key);
  const bytes = Uint8Array.fromBase64(x ?? "", { alphabet: "base64url" });
  if (bytes.length !== RELAY_KEY_BYTES) throw new TypeError("not an Ed25519 key");
  return bytes;
}

/** Refuses to write over a certificate unless it is one, and of this key. */
async function checkOwner(path: string, pem: string, publicKey: Uint8Array): Promise<void> {
  const { X509Certificate } = await import("node:crypto");
  let shown: Uint8Array;
  try {
    const spki = new X509Certificate(pem).publicKey.export({ format: "der", type: "spki" });
    shown = spki.subarray(-RELAY_KEY_BYTES);
  } catch (cause) {
    throw new ServerKeyError(
      "damaged",
      path,
      `${path} is not a certificate in PEM. Delete it and it is made again from the key`,
      { cause },
    );
  }
  if (!sameBytes(shown, publicKey)) {
    throw new ServerKeyError(
      "damaged",
      path,
      `${path} belongs to another key than ${KEY_FILE} beside it. Delete it and it is made again ` +
        `from the key, or bring both back from one backup`,
    );
  }
}

/** Says that a file could not be written; who wrote may have named it already. */
export function unwritable(path: string, cause: unknown): ServerKeyError {
  const why = sayCause(cause);
  const message = why.startsWith(`${path}: `) ? why : `cannot write ${path}: ${why}`;
  return new ServerKeyError("unwritable", path, message, { cause });
}

/** Why a file could not be used, in a person's words. */
export function sayCause(cause: unknown): string {
  // The runtime's advice is for those who start it themselves.
  if (cause instanceof Deno.errors.NotCapable) return "stm was started without the right to";
  return cause instanceof Error ? cause.message : String(cause);
}
