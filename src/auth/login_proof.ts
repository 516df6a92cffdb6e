/**
 * What binds a login to one relay and one connection.
 *
 * @module
 */
import type { Challenge, RelayKey } from "../wire/ids.ts";

const LABEL = new TextEncoder().encode("stm/1 login");

/**
 * `HMAC(session key, "stm/1 login" ‖ nonce ‖ relay key)`.
 *
 * @param sessionKey of OPAQUE, 64 bytes
 * @param nonce of this connection's CHALLENGE
 * @param relayKey the relay's: to the participant the one that it has pinned
 * @returns 32 bytes
 * @see docs/PROTOCOL.md §3.3
 */
export async function loginProof(
  sessionKey: Uint8Array<ArrayBuffer>,
  nonce: Challenge,
  relayKey: RelayKey,
): Promise<Uint8Array<ArrayBuffer>> {
  const key = await hmacKey(sessionKey, "sign");
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, input(nonce, relayKey)));
}

/** Whether this is that proof; takes the same time whatever differs. */
export async function isLoginProof(
  proof: Uint8Array<ArrayBuffer>,
  sessionKey: Uint8Array<ArrayBuffer>,
  nonce: Challenge,
  relayKey: RelayKey,
): Promise<boolean> {
  const key = await hmacKey(sessionKey, "verify");
  return await crypto.subtle.verify("HMAC", key, proof, input(nonce, relayKey));
}

function hmacKey(bytes: Uint8Array<ArrayBuffer>, use: KeyUsage): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, [use]);
}

function input(nonce: Challenge, relayKey: RelayKey): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(LABEL.length + nonce.length + relayKey.length);
  bytes.set(LABEL);
  bytes.set(nonce, LABEL.length);
  bytes.set(relayKey, LABEL.length + nonce.length);
  return bytes;
}
