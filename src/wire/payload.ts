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
  type Codec,
  decode,
  Reader,
  struct,
  u64,
  u8,
  WireError,
  Writer,
} from "./codec.ts";
import { EPOCH, type Epoch, LEAF, type Leaf } from "./ids.ts";

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

const HEADER = struct<{ type: number; zero: Bytes; epoch: Epoch; leaf: Leaf; n: number }>({
  type: u8,
  zero: zeroBytes(3),
  epoch: EPOCH,
  leaf: LEAF,
  n: u64,
});

function zeroBytes(count: number): Codec<Bytes> {
  return {
    encode: (w) => w.zeros(count),
    decode(r) {
      r.zeros(count);
      return new Uint8Array(count);
    },
  };
}

/**
 * The 24 bytes to mask.
 *
 * @throws {RangeError} if a number is out of its range
 */
export function encodePayloadHeader(header: PayloadHeader): Bytes {
  const w = new Writer(PAYLOAD_HEADER_BYTES);
  w.uint(PAYLOAD_KINDS[header.kind], 1);
  w.zeros(3);
  if (header.kind === "message") {
    w.uint(header.epoch, 8);
    w.uint(header.leaf, 4);
    w.uint(header.n, 8);
  } else {
    w.zeros(20);
  }
  return w.finish();
}

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
  let header;
  try {
    header = decode(HEADER, bytes, "payload header");
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
  const { type, epoch, leaf, n } = header;
  if (type === PAYLOAD_KINDS.message) return { kind: "message", epoch, leaf, n };
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
