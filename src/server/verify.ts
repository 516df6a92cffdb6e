/**
 * The only cryptography of the relay: it verifies Ed25519 and hashes room keys. It has no code that
 * could open a message; `src/crypto` is not reachable from here.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash, createPublicKey, type KeyObject, verify as verifyWith } from "node:crypto";
import { isPublicKeyForm, isSignatureForm } from "../wire/ed25519_form.ts";
import type { RoomId, RoomKey, Signature } from "../wire/ids.ts";
import { keyedRoomId as fromHash } from "../wire/room_id.ts";
import { signatureInput, type SignatureKind } from "../wire/signed.ts";

/** SubjectPublicKeyInfo of an Ed25519 key up to its 32 bytes (RFC 8410 §4). */
const SPKI_PREFIX = Uint8Array.fromHex("302a300506032b6570032100");

/** Keys of rooms as the runtime wants them, those used last behind; what they verified is not kept. */
const roomKeys = new Map<string, KeyObject>();
const MAX_ROOM_KEYS = 64;

/**
 * Verifies `Sign(key, kind, body)` strictly: keys and commitments that are not canonical, keys of
 * small order, and an S that is not reduced are refused before the runtime is asked, because it
 * would let some of them pass. About 60 µs.
 *
 * @param key 32 bytes
 * @returns false for whatever is wrong; it does not throw on a peer's bytes
 * @see docs/PROTOCOL.md §1
 */
export function verifySignature(
  key: Uint8Array,
  kind: SignatureKind,
  body: Uint8Array,
  signature: Signature,
): boolean {
  if (!isPublicKeyForm(key) || !isSignatureForm(signature)) return false;
  try {
    const publicKey = kind === "ticket" ? roomKeyObject(key) : keyObject(key);
    return verifyWith(null, signatureInput(kind, body), publicKey, signature);
  } catch {
    // A well-formed y that is on no point of the curve: the runtime throws, we say no.
    return false;
  }
}

function keyObject(key: Uint8Array): KeyObject {
  const spki = new Uint8Array(SPKI_PREFIX.length + key.length);
  spki.set(SPKI_PREFIX);
  spki.set(key, SPKI_PREFIX.length);
  return createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
}

/** A room's key comes with the ticket of each of its members, and costs 20 µs to read. */
function roomKeyObject(key: Uint8Array): KeyObject {
  const name = key.toHex();
  const known = roomKeys.get(name) ?? keyObject(key);
  roomKeys.delete(name);
  roomKeys.set(name, known);
  const [oldest] = roomKeys.keys();
  if (roomKeys.size > MAX_ROOM_KEYS && oldest !== undefined) roomKeys.delete(oldest);
  return known;
}

/**
 * The id of the keyed room that this key governs.
 *
 * @see docs/PROTOCOL.md §3.1
 */
export function keyedRoomId(key: RoomKey): RoomId {
  return fromHash(sha256(key));
}

/** SHA-256, at once and not in a promise. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}
