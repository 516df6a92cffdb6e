/**
 * Agreement: how members compare what they have heard of everybody, when the digests of their
 * heartbeats differ.
 *
 * @see docs/PROTOCOL.md §9
 * @module
 */
import { type Bytes, bytes, type Codec, list16, struct, u64 } from "./codec.ts";
import { rising } from "./commit.ts";
import type { DigestLeaf } from "./contexts.ts";
import { EPOCH_HASH, type EpochHash, HASH, LEAF, type Leaf, ROOM_ID, type RoomId } from "./ids.ts";
import { MAX_LEAVES } from "./limits.ts";
import { type Signed, signed } from "./signed.ts";

/** Bytes of the nonce of VIEW_REQUEST. */
const VIEW_NONCE_BYTES = 32;

/** VIEW_REQUEST: what have you heard of everybody? */
export interface ViewRequest {
  /** Which room. */
  readonly room: RoomId;
  /** Who asks. */
  readonly requester: Leaf;
  /** h of the epoch that it asks about. */
  readonly h: EpochHash;
  /** Random. */
  readonly nonce: Bytes;
}

/** What the requester's session key signs, kind `view-request`. */
export const VIEW_REQUEST_BODY: Codec<ViewRequest> = struct<ViewRequest>({
  room: ROOM_ID,
  requester: LEAF,
  h: EPOCH_HASH,
  nonce: bytes(VIEW_NONCE_BYTES),
});

/** Codec of a whole VIEW_REQUEST. */
export const VIEW_REQUEST: Codec<Signed<ViewRequest>> = signed(VIEW_REQUEST_BODY);

const POSITION = struct<DigestLeaf>({ leaf: LEAF, count: u64, hash: HASH });

/** VIEW: what a member has heard of everybody, to one who asked. */
export interface View {
  /** Which room. */
  readonly room: RoomId;
  /** Who has heard it. */
  readonly leaf: Leaf;
  /** h of the epoch that it is about. */
  readonly h: EpochHash;
  /** The request's: nobody can answer with an old one. */
  readonly nonce: Bytes;
  /** In rising order of the leaf; of a leaf that is not listed nothing has come. */
  readonly heard: readonly DigestLeaf[];
}

/** What the answering member's session key signs, kind `view`. */
export const VIEW_BODY: Codec<View> = struct<View>({
  room: ROOM_ID,
  leaf: LEAF,
  h: EPOCH_HASH,
  nonce: bytes(VIEW_NONCE_BYTES),
  heard: rising(list16(POSITION, MAX_LEAVES), (a, b) => a.leaf < b.leaf),
});

/** Codec of a whole VIEW. */
export const VIEW: Codec<Signed<View>> = signed(VIEW_BODY);
