/**
 * The relay's long-term key and its certificate, in a folder of two files. The key is what every
 * invite pins, so nothing here ever replaces one; the certificate can be written anew at any time.
 */

import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  X509Certificate,
} from "node:crypto";
import { join } from "node:path";
import { RELAY_KEY_BYTES, relayCertificate, sameBytes, signedPart, toPem } from "./certificate.ts";

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
  override readonly name = "ServerKeyError";

  /**
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
      throw new ServerKeyError("unwritable", path, `cannot write ${path}: ${say(cause)}`, {
        cause,
      });
    }
  };

  const [storedKey, storedCert] = await Promise.all([read(keyPath), read(certPath)]);
  if (storedKey === null && storedCert !== null) {
    throw new ServerKeyError(
      "key-missing",
      keyPath,
      `${certPath} is there but its key ${keyPath} is not. Bring the key back from a backup, or ` +
        `delete the certificate to start as a new relay; invites to the old one end with it`,
    );
  }

  const privateKey = storedKey === null
    ? generateKeyPairSync("ed25519").privateKey
    : parseKey(keyPath, storedKey);
  const keyPem = storedKey ??
    toPem("PRIVATE KEY", privateKey.export({ format: "der", type: "pkcs8" }));
  const publicKey = rawPublicKey(createPublicKey(privateKey));
  if (storedKey === null) await write(keyPath, keyPem, 0o600);

  // Ed25519 has one signature per key and text (RFC 8032 §5.1.6): the key decides every byte.
  const expected = relayCertificate(publicKey, sign(null, signedPart(publicKey), privateKey));
  if (
    storedCert !== null && sameBytes(parseCertificate(certPath, storedCert, publicKey), expected)
  ) {
    return { publicKey, keyPem, certPem: storedCert };
  }
  const certPem = toPem("CERTIFICATE", expected);
  await write(certPath, certPem, 0o644);
  return { publicKey, keyPem, certPem };
}

async function read(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return null;
    throw new ServerKeyError("unreadable", path, `cannot read ${path}: ${say(cause)}`, { cause });
  }
}

function parseKey(path: string, pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw new ServerKeyError(
      "damaged",
      path,
      `${path} is not a private key in PEM. Bring it back from a backup; it was left as it is`,
      { cause },
    );
  }
  if (key.asymmetricKeyType !== "ed25519") {
    const kind = key.asymmetricKeyType;
    throw new ServerKeyError(
      "damaged",
      path,
      `${path} holds a key of type ${kind}, not Ed25519. It was left as it is`,
    );
  }
  return key;
}

/** The DER of a stored certificate, once it is known to belong to our key. */
function parseCertificate(path: string, pem: string, publicKey: Uint8Array): Uint8Array {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch (cause) {
    throw new ServerKeyError(
      "damaged",
      path,
      `${path} is not a certificate in PEM. Delete it and it is made again from the key`,
      { cause },
    );
  }
  if (!sameBytes(rawPublicKey(certificate.publicKey), publicKey)) {
    throw new ServerKeyError(
      "damaged",
      path,
      `${path} belongs to another key than ${KEY_FILE} beside it. Delete it and it is made again ` +
        `from the key, or bring both back from one backup`,
    );
  }
  return certificate.raw;
}

function rawPublicKey(key: KeyObject): Uint8Array {
  return Uint8Array.from(key.export({ format: "der", type: "spki" }).subarray(-RELAY_KEY_BYTES));
}

function say(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
