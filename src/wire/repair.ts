/**
 * Repair: what members ask of each other for messages that have not come.
 *
 * @see docs/PROTOCOL.md §9
 * @module
 */
import { type Bytes, type Codec, list16, rest, struct, u64 } from "./codec.ts";
import { rising } from "./commit.ts";
import { EPOCH, type Epoch, LEAF, type Leaf, ROOM_ID, type RoomId } from "./ids.ts";
import { MAX_REPAIR_NUMBERS, MAX_TEXT_BYTES } from "./limits.ts";
import { MIN_PAYLOAD_BODY_BYTES, PAYLOAD_HEADER_BYTES } from "./payload.ts";
import { type Signed, signed } from "./signed.ts";

/** REPAIR_REQUEST: asks for messages of one leaf. */
export interface RepairRequest {
  /** Which room. */
  readonly room: RoomId;
  /** Who asks. */
  readonly requester: Leaf;
  /** Of which epoch. */
  readonly epoch: Epoch;
  /** Whose messages. */
  readonly leaf: Leaf;
  /** Their numbers, in rising order. */
  readonly numbers: readonly number[];
}

/** What the requester's session key signs, kind `repair`. */
export const REPAIR_REQUEST_BODY: Codec<RepairRequest> = struct<RepairRequest>({
  room: ROOM_ID,
  requester: LEAF,
  epoch: EPOCH,
  leaf: LEAF,
  numbers: rising(list16(u64, MAX_REPAIR_NUMBERS), (a, b) => a < b),
});

/** Codec of a whole REPAIR_REQUEST. */
export const REPAIR_REQUEST: Codec<Signed<RepairRequest>> = signed(REPAIR_REQUEST_BODY);

/** REPAIR: one payload as it was first sent. */
export interface Repair {
  /** Masked header and body; opened as if it had come from the relay. */
  readonly payload: Bytes;
}

/** The longest text with all that goes around it. */
const MAX_MESSAGE_PAYLOAD_BYTES = 2 * MAX_TEXT_BYTES;

/** Codec of {@link Repair}. */
export const REPAIR: Codec<Repair> = struct<Repair>({
  payload: rest(PAYLOAD_HEADER_BYTES + MIN_PAYLOAD_BODY_BYTES, MAX_MESSAGE_PAYLOAD_BYTES),
});
