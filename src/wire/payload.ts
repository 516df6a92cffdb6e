/**
 * What BROADCAST and DIRECT carry between members: a masked header, and a body.
 *
 * Masking needs a key and is done elsewhere; here the header is in the clear.
 *
 * @see docs/PROTOCOL.md §5
 * @module
 */
import {
  type Bytes,
  Reader,
  readU32,
  readU64,
  WireError,
  Writer,
  writeU32,
  writeU64,
} from "./codec.ts";
import { type Epoch, epoch as epochOf, type Leaf, leaf as leafOf } from "./ids.ts";

/** Bytes of the header. */
export const PAYLOAD_HEADER_BYTES = 24;
/** Bytes of the shortest body; its first 16 bytes mask the header. */
export const MIN_PAYLOAD_BODY_BYTES = 32;
/** Bytes of the salt in front of something sealed. */
export const SEALED_SALT_BYTES = 32;

/** What the header's first byte says the body is. §5 */
export const PAYLOAD_KINDS = { message: 1, sealed: 2 } as const;

/** The header in the clear. */
export type PayloadHeader =
  | {
    /** The body is a room message. §8 */
    readonly kind: "message";
    /** In whose keys it is sealed. */
    readonly epoch: Epoch;
    /** Its sender. */
    readonly leaf: Leaf;
    /** Its number in the sender's chain, from 0. */
    readonly n: number;
  }
  | {
    /** The body is sealed with the room secret. §5 */
    readonly kind: "sealed";
  };

/** Where the header's fields are; between type and epoch are three zeros. */
const AT = { epoch: 4, leaf: 12, n: 16 } as const;

/**
 * The 24 bytes to mask.
 *
 * @param out where to put them, of that length; a new array if not given
 * @throws {RangeError} if a number is out of its range
 */
export function encodePayloadHeader(
  header: PayloadHeader,
  out: Bytes = new Uint8Array(PAYLOAD_HEADER_BYTES),
): Bytes {
  if (out.length !== PAYLOAD_HEADER_BYTES) throw new RangeError(`${out.length} bytes, not 24`);
  const { epoch, leaf, n } = header.kind === "message" ? header : SEALED_PLACE;
  writeU64(out, AT.epoch, epoch);
  writeU32(out, AT.leaf, leaf);
  writeU64(out, AT.n, n);
  out[0] = PAYLOAD_KINDS[header.kind];
  for (let i = 1; i < AT.epoch; i++) out[i] = 0;
  return out;
}

const SEALED_PLACE = { epoch: 0, leaf: 0, n: 0 };

/**
 * Reads an unmasked header.
 *
 * @returns undefined for a header that is passed over: most of all one that was unmasked with the
 *   wrong room secret and is noise, so this is no error
 * @throws {WireError} only if there are not 24 bytes
 */
export function decodePayloadHeader(bytes: Uint8Array): PayloadHeader | undefined {
  if (bytes.length !== PAYLOAD_HEADER_BYTES) {
    throw new WireError("truncated", "payload header", bytes.length, "needs 24 bytes");
  }
  for (let i = 1; i < AT.epoch; i++) if (bytes[i] !== 0) return undefined;
  const [type] = bytes;
  const epoch = readU64(bytes, AT.epoch);
  const leaf = readU32(bytes, AT.leaf);
  const n = readU64(bytes, AT.n);
  if (epoch === undefined || n === undefined) return undefined;
  if (type === PAYLOAD_KINDS.message) {
    return { kind: "message", epoch: epochOf(epoch), leaf: leafOf(leaf), n };
  }
  const blank = epoch === 0 && leaf === 0 && n === 0;
  return type === PAYLOAD_KINDS.sealed && blank ? { kind: "sealed" } : undefined;
}

/** A payload in its two parts. */
export interface Payload {
  /** 24 bytes, still masked; a view. */
  readonly maskedHeader: Bytes;
  /** At least 32 bytes; a view. */
  readonly body: Bytes;
}

/** Cuts a payload in two: views of it. @throws {WireError} `truncated` if it lacks the shortest body */
export function splitPayload(payload: Bytes): Payload {
  new Reader(payload, "payload").need(PAYLOAD_HEADER_BYTES + MIN_PAYLOAD_BODY_BYTES);
  return {
    maskedHeader: payload.subarray(0, PAYLOAD_HEADER_BYTES),
    body: payload.subarray(PAYLOAD_HEADER_BYTES),
  };
}

/** The payload of a masked header and its body. @throws {RangeError} for a wrong length */
export function joinPayload(maskedHeader: Uint8Array, body: Uint8Array): Bytes {
  if (maskedHeader.length !== PAYLOAD_HEADER_BYTES || body.length < MIN_PAYLOAD_BODY_BYTES) {
    throw new RangeError(`header of ${maskedHeader.length} bytes, body of ${body.length}`);
  }
  const w = new Writer(maskedHeader.length + body.length);
  w.raw(maskedHeader);
  w.raw(body);
  return w.finish();
}
