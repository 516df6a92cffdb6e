/**
 * The one form of a relay's certificate: 250 bytes of DER of which all but the key and the
 * signature are constant. Whoever has the 32-byte relay key can therefore write down the
 * certificate to expect, and compare the one shown byte for byte.
 *
 * Comparing the key alone would not do. Deno 2.9's node:tls takes certificates that webpki cannot
 * parse (X.509 v1, odd DER) on the word of their issuer's name, and then does not check
 * CertificateVerify either: a copied public key in a v1 certificate passes for its owner. A
 * certificate of exactly this form always parses, so its handshake signature is always checked
 * (docs/decisions/2026-11-22-tls-by-node-tls.md).
 */

/** Bytes of a relay key: an Ed25519 public key as RFC 8032 writes it. */
export const RELAY_KEY_BYTES = 32;

/** Bytes of a relay's certificate. */
export const CERTIFICATE_BYTES = 250;

/**
 * The certificate's only name, an address in the discard-only block 100::/64 (RFC 6666): nobody
 * can hold it, and a client that checks the name of an address puts nothing into SNI.
 */
export const RESERVED_ADDRESS = "100::73:746d";

const SIGNATURE_BYTES = 64;
const CERTIFICATE_HEADER_BYTES = 3;

// RFC 5280 §4.1. Dates say nothing about a key that is its own authority, and a machine without a
// clock starts in 1970: so it is valid from then until the date that stands for "no end"
// (§4.1.2.5). BasicConstraints is absent, because webpki takes no CA for a server.
const BEFORE_KEY = Uint8Array.fromHex(
  [
    "3081f7", //                                     Certificate
    "3081aa", //                                       TBSCertificate
    "a003020102", //                                     version 3
    "020101", //                                         serial number 1
    "300506032b6570", //                                 signature: Ed25519
    "30143112301006035504031309" + "73746d2072656c6179", // issuer: CN=stm relay
    "3020" + "170d3730303130313030303030305a", //        not before 1970-01-01
    "180f39393939313233313233353935395a", //             not after 9999-12-31
    "30143112301006035504031309" + "73746d2072656c6179", // subject: CN=stm relay
    "302a300506032b6570032100", //                       Ed25519 key, 32 bytes follow
  ].join(""),
);
const AFTER_KEY = Uint8Array.fromHex(
  [
    "a31f301d301b0603551d1104143012", //                 one extension: subjectAltName
    "8710" + "0100000000000000000000000073746d", //        iPAddress 100::73:746d
    "300506032b6570", //                               signatureAlgorithm: Ed25519
    "034100", //                                       signature, 64 bytes follow
  ].join(""),
);
const TBS_END = BEFORE_KEY.length + RELAY_KEY_BYTES + 33;

/**
 * Writes the certificate of a relay key.
 *
 * @param key the relay key, 32 bytes
 * @param signature the key's Ed25519 signature over `signedPart(key)`, 64 bytes. Left out it is
 *   zeros, which makes a trust anchor: nobody checks an anchor's own signature (RFC 5280 §6.1).
 * @returns 250 bytes of DER
 * @throws {RangeError} if the key is not 32 or the signature not 64 bytes
 * @see docs/PROTOCOL.md §2
 */
export function relayCertificate(
  key: Uint8Array,
  signature: Uint8Array = new Uint8Array(SIGNATURE_BYTES),
): Uint8Array<ArrayBuffer> {
  if (key.length !== RELAY_KEY_BYTES) {
    throw new RangeError(`a relay key has ${RELAY_KEY_BYTES} bytes, not ${key.length}`);
  }
  if (signature.length !== SIGNATURE_BYTES) {
    throw new RangeError(`an Ed25519 signature has 64 bytes, not ${signature.length}`);
  }
  const der = new Uint8Array(CERTIFICATE_BYTES);
  der.set(BEFORE_KEY);
  der.set(key, BEFORE_KEY.length);
  der.set(AFTER_KEY, BEFORE_KEY.length + RELAY_KEY_BYTES);
  der.set(signature, CERTIFICATE_BYTES - SIGNATURE_BYTES);
  return der;
}

/**
 * The part of a relay's certificate that its key signs (TBSCertificate).
 *
 * @param key the relay key, 32 bytes
 */
export function signedPart(key: Uint8Array): Uint8Array<ArrayBuffer> {
  return relayCertificate(key).subarray(CERTIFICATE_HEADER_BYTES, TBS_END);
}

/**
 * Reads the relay key out of a certificate, if that has the one form; its signature is not looked
 * at. This says which key is claimed, not that somebody has it.
 *
 * @param der a certificate as the peer showed it
 * @returns the key, 32 bytes of its own, or null for a certificate of any other form
 */
export function relayKeyIn(der: Uint8Array): Uint8Array<ArrayBuffer> | null {
  if (der.length !== CERTIFICATE_BYTES) return null;
  const key = new Uint8Array(RELAY_KEY_BYTES);
  key.set(der.subarray(BEFORE_KEY.length, BEFORE_KEY.length + RELAY_KEY_BYTES));
  const signature = der.subarray(CERTIFICATE_BYTES - SIGNATURE_BYTES);
  return sameBytes(relayCertificate(key, signature), der) ? key : null;
}

/** Whether two arrays hold the same bytes. For public values: it stops at the first difference. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Wraps DER as PEM (RFC 7468), as files and node:tls want it. */
export function toPem(label: "CERTIFICATE" | "PRIVATE KEY", der: Uint8Array): string {
  const lines = der.toBase64().match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/**
 * Reads one block of PEM (RFC 7468, lax about white space).
 *
 * @returns the DER, or null if the text is not exactly one block of that label
 */
export function fromPem(
  label: "CERTIFICATE" | "PRIVATE KEY",
  text: string,
): Uint8Array<ArrayBuffer> | null {
  const head = `-----BEGIN ${label}-----`;
  const tail = `-----END ${label}-----`;
  const block = text.trim();
  if (!block.startsWith(head) || !block.endsWith(tail)) return null;
  try {
    return Uint8Array.fromBase64(block.slice(head.length, -tail.length));
  } catch {
    return null; // the only reason to throw is text that is not base64
  }
}
