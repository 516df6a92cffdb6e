/**
 * The header of the PROXY protocol, version 2: what a TCP load balancer writes before the first byte of a
 * connection, to say where that really comes from
 * (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt). Version 1, which is text, is not read.
 *
 * @module
 */
import { formatIp } from "./address_range.ts";

/** Longest header that is read, what follows the addresses in it included. */
export const MAX_PROXY_HEADER_BYTES = 1024;

/** What the bytes so far are. */
export type ProxyHeader =
  /** The beginning of a header. */
  | { readonly kind: "more" }
  /** No header, or one that we do not take. */
  | { readonly kind: "bad"; readonly why: string }
  | {
    readonly kind: "whole";
    /** Bytes of the header; what follows is the connection's own. */
    readonly length: number;
    /** Whence it comes; null if the balancer speaks for itself (LOCAL), as to ask whether we live. */
    readonly source: { readonly host: string; readonly port: number } | null;
  };

const SIGNATURE = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10);
const FIXED_BYTES = 16;
const COMMAND_AT = 12;
const FAMILY_AT = 13;
const LENGTH_AT = 14;
const LOCAL = 0x20;
const PROXY = 0x21;
/** By family and transport: bytes of one address. */
const TCP_ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([[0x11, 4], [0x21, 16]]);

/**
 * Reads a header. Give it all bytes that came, from the first on, each time there are more.
 *
 * ```ts
 * import { readProxyHeader } from "./proxy_protocol.ts";
 * import assert from "node:assert/strict";
 *
 * const header = Uint8Array.fromHex(
 *   "0d0a0d0a000d0a515549540a" + "21" + "11" + "000c" + "cb007107" + "0a000001" + "d431" + "1388",
 * );
 * assert.deepEqual(readProxyHeader(header), {
 *   kind: "whole",
 *   length: 28,
 *   source: { host: "203.0.113.7", port: 54321 },
 * });
 * ```
 */
export function readProxyHeader(bytes: Uint8Array): ProxyHeader {
  const known = Math.min(bytes.length, SIGNATURE.length);
  for (let i = 0; i < known; i++) {
    if (bytes[i] !== SIGNATURE[i]) return bad("it does not begin as one");
  }
  const command = bytes[COMMAND_AT];
  if (command !== undefined && command !== LOCAL && command !== PROXY) {
    return bad("its version or command is not known");
  }
  const family = bytes[FAMILY_AT] ?? 0;
  const addressBytes = TCP_ADDRESS_BYTES.get(family);
  // LOCAL: the family is to be passed over, whatever it is.
  if (bytes.length > FAMILY_AT && command === PROXY && addressBytes === undefined) {
    return bad("it names no TCP address");
  }
  if (bytes.length < FIXED_BYTES) return { kind: "more" };

  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = FIXED_BYTES + view.getUint16(LENGTH_AT);
  if (length > MAX_PROXY_HEADER_BYTES) return bad(`it is over ${MAX_PROXY_HEADER_BYTES} bytes`);
  const portAt = FIXED_BYTES + 2 * (addressBytes ?? 0);
  if (command === PROXY && length < portAt + 4) return bad("it is too short for its addresses");
  if (bytes.length < length) return { kind: "more" };
  if (command === LOCAL || addressBytes === undefined) {
    return { kind: "whole", length, source: null };
  }
  const address = bytes.subarray(FIXED_BYTES, FIXED_BYTES + addressBytes);
  // An IPv4 address in IPv6's clothes is the IPv4 address: bans and limits know it as that.
  const host = address.length === 4 ? address.join(".") : formatIp(address);
  return { kind: "whole", length, source: { host, port: view.getUint16(portAt) } };
}

function bad(why: string): ProxyHeader {
  return { kind: "bad", why };
}
