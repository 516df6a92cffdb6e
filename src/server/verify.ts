/**
 * The only cryptography of the relay: it verifies Ed25519 and hashes room keys. It has no code that
 * could open a message; `src/crypto` is not reachable from here.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash, createPublicKey, verify as verifyWith } from "node:crypto";
import { isPublicKeyForm, isSignatureForm } from "../wire/ed25519_form.ts";
import type { RoomId, RoomKey, Signature } from "../wire/ids.ts";
import { keyedRoomId as fromHash } from "../wire/room_id.ts";
import { signatureInput, type SignatureKind } from "../wire/signed.ts";

/** SubjectPublicKeyInfo of an Ed25519 key up to its 32 bytes (RFC 8410 §4). */
const SPKI_PREFIX = Uint8Array.fromHex("302a300506032b6570032100");

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
  const spki = new Uint8Array(SPKI_PREFIX.length + key.length);
  spki.set(SPKI_PREFIX);
  spki.set(key, SPKI_PREFIX.length);
  try {
    const publicKey = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
    return verifyWith(null, signatureInput(kind, body), publicKey, signature);
  } catch {
    // A well-formed y that is on no point of the curve: the runtime throws, we say no.
    return false;
  }
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
