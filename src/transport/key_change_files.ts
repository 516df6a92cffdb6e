/**
 * A planned change of the relay's key, in the folder of the key: the key that is to come, and the statements
 * by which clients follow. A change takes these steps, each whole or not at all, so that a relay that is
 * killed between any two of them starts with one key and all it has promised:
 *
 * 1. the key to come is written beside the one there is;
 * 2. the statement about it, signed by the one there is, is written: from here on the change will be;
 * 3. at its time the certificate is removed, and
 * 4. the key to come takes the place of the other, which is gone.
 *
 * @module
 */

import { join } from "node:path";
import { decode, encode, WireError } from "../wire/codec.ts";
import { type RelayKey, relayKey, signature } from "../wire/ids.ts";
import {
  KEY_CHANGE_BODY,
  KEY_CHANGES,
  type KeyChange,
  type KeyChangeStatement,
} from "../wire/key_change.ts";
import { MAX_KEY_CHANGES } from "../wire/limits.ts";
import { signatureInput, signedOf } from "../wire/signed.ts";
import { sameBytes } from "./certificate.ts";
import {
  CERTIFICATE_FILE,
  KEY_FILE,
  makeRelayKeyPem,
  readPem,
  relayKeyOf,
  sayCause,
  ServerKeyError,
  signWithRelayKey,
  unwritable,
  type WriteFile,
} from "./server_key.ts";

/** Name of the file of the key to come: PKCS #8 in PEM, mode 0600. */
export const NEXT_KEY_FILE = "relay.next.key.pem";

/** Name of the file of the statements, KEY_CHANGES of PROTOCOL.md §2.1 as it is sent. */
export const KEY_CHANGES_FILE = "relay.key-changes";

/** What a folder says of its key's changes. */
export interface PlannedChanges {
  /** What clients are told, oldest first; none that has expired. */
  readonly statements: readonly KeyChangeStatement[];
  /** The change that is still to come. */
  readonly pending: KeyChange | null;
}

/**
 * Reads the statements in a folder.
 *
 * @param current the key that is there
 * @param nowS seconds since 1970
 * @throws {ServerKeyError} `unreadable`; `damaged` also if they do not concern the key
 */
export async function readKeyChanges(
  dir: string,
  current: Uint8Array,
  nowS: number,
): Promise<PlannedChanges> {
  const path = join(dir, KEY_CHANGES_FILE);
  const all = await readStatements(path);
  const last = all.at(-1)?.value;
  if (last === undefined) return { statements: [], pending: null };
  const pending = sameBytes(last.old, current);
  if (!pending && !sameBytes(last.next, current)) {
    throw new ServerKeyError(
      "damaged",
      path,
      `${path} is about another key than ${KEY_FILE} beside it. Bring both back from one backup, or ` +
        `delete it: then only who knows the key of now finds this relay`,
    );
  }
  const expired = all.findLastIndex(({ value }) => value.until < nowS);
  return { statements: all.slice(expired + 1), pending: pending ? last : null };
}

async function readStatements(path: string): Promise<readonly KeyChangeStatement[]> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return [];
    throw new ServerKeyError("unreadable", path, `cannot read ${path}: ${sayCause(cause)}`, {
      cause,
    });
  }
  try {
    return decode(KEY_CHANGES, bytes, "key changes");
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    throw new ServerKeyError(
      "damaged",
      path,
      `${path} is damaged (${cause.message}). Bring it back from a backup; it was left as it is`,
      { cause },
    );
  }
}

/** Why there is no plan. */
export type NotPlanned = "no-key" | "pending" | "too-many";

/**
 * Makes the key to come and says so in a statement (steps 1 and 2).
 *
 * @param fromS when it comes, in seconds since 1970
 * @param untilS until when those who hear of it may follow
 * @throws {ServerKeyError}
 */
export async function planKeyChange(
  dir: string,
  writeFile: WriteFile,
  { nowS, fromS, untilS }: {
    readonly nowS: number;
    readonly fromS: number;
    readonly untilS: number;
  },
): Promise<KeyChange | NotPlanned> {
  const keyPem = await readPem(join(dir, KEY_FILE));
  const current = keyPem === null ? null : await relayKeyOf(keyPem);
  if (keyPem === null || current === null) return "no-key";
  const { statements, pending } = await readKeyChanges(dir, current, nowS);
  if (pending !== null) return "pending";
  if (statements.length >= MAX_KEY_CHANGES) return "too-many";

  const nextPem = await makeRelayKeyPem();
  const next = await relayKeyOf(nextPem);
  if (next === null) throw new TypeError("a fresh key is none");
  await write(writeFile, join(dir, NEXT_KEY_FILE), new TextEncoder().encode(nextPem), 0o600);
  const change = { old: relayKey(current), next: relayKey(next), from: fromS, until: untilS };
  const input = signatureInput("key-change", encode(KEY_CHANGE_BODY, change));
  const signed = signature(await signWithRelayKey(keyPem, input));
  const all = [...statements, signedOf(KEY_CHANGE_BODY, change, signed)];
  await write(writeFile, join(dir, KEY_CHANGES_FILE), encode(KEY_CHANGES, all), 0o644);
  return change;
}

/**
 * Carries out a change whose time has come (steps 3 and 4).
 *
 * @returns whether there was one
 * @throws {ServerKeyError} also if the key to come is gone, or is another than was promised
 */
export async function carryOutKeyChange(dir: string, nowS: number): Promise<boolean> {
  const keyPath = join(dir, KEY_FILE);
  const keyPem = await readPem(keyPath);
  const current = keyPem === null ? null : await relayKeyOf(keyPem);
  if (current === null) return false; // there is none, or a damaged one: who loads it says so
  const { pending } = await readKeyChanges(dir, current, nowS);
  if (pending === null || pending.from > nowS) return false;

  const path = join(dir, NEXT_KEY_FILE);
  const next = await readPem(path);
  const made: RelayKey | Uint8Array | null = next === null ? null : await relayKeyOf(next);
  if (made === null || !sameBytes(made, pending.next)) {
    throw new ServerKeyError(
      next === null ? "key-missing" : "damaged",
      path,
      `${path} is not the key that was announced. Bring it back from a backup: clients that heard of ` +
        `it expect it. Without it, delete ${KEY_CHANGES_FILE}, and those clients need a new link`,
    );
  }
  try {
    await Deno.remove(join(dir, CERTIFICATE_FILE));
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw unwritable(keyPath, cause);
  }
  try {
    await Deno.rename(path, keyPath);
  } catch (cause) {
    throw unwritable(keyPath, cause);
  }
  return true;
}

async function write(
  writeFile: WriteFile,
  path: string,
  bytes: Uint8Array,
  mode: number,
): Promise<void> {
  try {
    await writeFile(path, bytes, mode);
  } catch (cause) {
    throw unwritable(path, cause);
  }
}
