/**
 * The structures that make an epoch, and those by which members keep up with it.
 *
 * What is hashed or signed around them is in contexts.ts and signed.ts.
 *
 * @see docs/PROTOCOL.md §7
 * @module
 */
import {
  b32,
  type Bytes,
  type Codec,
  constant,
  enumeration,
  flag,
  list16,
  list32,
  struct,
  u64,
} from "./codec.ts";
import { CERT_BYTES } from "./handshake.ts";
import {
  EPOCH,
  type Epoch,
  EPOCH_HASH,
  type EpochHash,
  HASH,
  type Hash,
  KEM_KEY,
  type KemKey,
  LEAF,
  type Leaf,
  ROOM_ID,
  ROOM_KEY,
  ROOM_SECRET,
  type RoomId,
  type RoomKey,
  type RoomSecret,
  RUN_ID,
  type RunId,
  TICKET_BYTES,
  type TicketBytes,
  type Wrap,
  WRAP_BYTES,
  WRAP_TAG,
  type WrapTag,
} from "./ids.ts";
import { MAX_EARLIER_EPOCHS, MAX_FRAME_BYTES, MAX_LEAVES } from "./limits.ts";
import { NAME } from "./name.ts";
import { type Signed, signed } from "./signed.ts";

/** The only suite: RSA-3072-OAEP with ML-KEM-768, AES-256-GCM, HKDF-SHA-256, Ed25519. §7 */
export const SUITE = 1;

/** How a leaf came into the roster, with its number. §7 */
export const VIAS = {
  "founder": 0,
  "invite": 1,
  "shared-link": 2,
  "approved": 3,
  "known": 4,
} as const;
/** How a leaf came into the roster. */
export type Via = keyof typeof VIAS;

/** Why there is a new epoch, with its number. §7 */
export const COMMIT_REASONS = {
  "founded": 0,
  "join": 1,
  "leave": 2,
  "kick": 3,
  "gone": 4,
  "rekey": 5,
  "hand-over": 6,
  "claim": 7,
} as const;
/** Why there is a new epoch. */
export type CommitReason = keyof typeof COMMIT_REASONS;

/** Why a leaf was removed, with its number. §7 */
export const REMOVAL_REASONS = { "left": 1, "kicked": 2, "gone": 3, "replaced": 4 } as const;
/** Why a leaf was removed. */
export type RemovalReason = keyof typeof REMOVAL_REASONS;

/** A list that has an order of its own: another order is refused, and so is an equal neighbour. */
export function rising<T>(
  list: Codec<readonly T[]>,
  isBelow: (a: T, b: T) => boolean,
): Codec<readonly T[]> {
  const inOrder = (values: readonly T[]): boolean =>
    values.every((value, i) => {
      const before = values[i - 1];
      return i === 0 || before === undefined || isBelow(before, value);
    });
  return {
    encode(w, values) {
      if (!inOrder(values)) throw new RangeError("list is not in rising order");
      list.encode(w, values);
    },
    decode(r) {
      const start = r.offset;
      const values = list.decode(r);
      if (!inOrder(values)) throw r.error("bad-value", "list is not in rising order", start);
      return values;
    },
  };
}

/** Compares as big-endian numbers of one length: the order of the wraps. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** For which member a wrap is, and which bytes it has. */
export interface WrapEntry {
  /** Says only to its member whose it is. */
  readonly tag: WrapTag;
  /** SHA-256 of the wrap. */
  readonly wrapHash: Hash;
}

/** COMMIT: a new epoch. */
export interface Commit {
  /** {@link SUITE} */
  readonly suite: typeof SUITE;
  /** Which room. */
  readonly room: RoomId;
  /** The new epoch; the first is 1. */
  readonly epoch: Epoch;
  /** h of the epoch before. */
  readonly prev: EpochHash;
  /** Of this start of the admin. */
  readonly runId: RunId;
  /** Confirms S. */
  readonly kc: Hash;
  /** Confirms the roster after the change. */
  readonly rosterKc: Hash;
  /** One for each leaf but the admin's, in rising order of the tag. */
  readonly wraps: readonly WrapEntry[];
  /** A sealed and padded {@link Change}. */
  readonly rosterBox: Bytes;
}

/** What the admin signs, kind `commit`, and what h(e) runs over. */
export const COMMIT_BODY: Codec<Commit> = struct<Commit>({
  suite: constant(SUITE),
  room: ROOM_ID,
  epoch: EPOCH,
  prev: EPOCH_HASH,
  runId: RUN_ID,
  kc: HASH,
  rosterKc: HASH,
  wraps: rising(
    list32(struct<WrapEntry>({ tag: WRAP_TAG, wrapHash: HASH }), MAX_LEAVES),
    (a, b) => compareBytes(a.tag, b.tag) < 0,
  ),
  rosterBox: b32(MAX_FRAME_BYTES),
});

/** Codec of a whole COMMIT. */
export const COMMIT: Codec<Signed<Commit>> = signed(COMMIT_BODY);

/** A leaf of the roster. */
export interface RosterLeaf {
  /** Its number. */
  readonly leaf: Leaf;
  /** How it came in. */
  readonly via: Via;
  /** CERT and signature; `decodeCert` reads it. */
  readonly cert: Bytes;
}

const ROSTER_LEAVES = rising(
  list32(struct<RosterLeaf>({ leaf: LEAF, via: enumeration(VIAS), cert: CERT_BYTES }), MAX_LEAVES),
  (a, b) => a.leaf < b.leaf,
);

/** A leaf that is no longer in the roster. */
export interface Removal {
  /** Its number. */
  readonly leaf: Leaf;
  /** Why. */
  readonly reason: RemovalReason;
  /** Messages of it that the admin accepts in the epoch before. */
  readonly count: number;
  /** Their rolling hash. */
  readonly hash: Hash;
  /** Of the newest epochs before that one in which something of it has come, in rising order. */
  readonly earlier: readonly EarlierEpoch[];
}

/** What the admin has of a leaf of an epoch that others may have heard less of. */
export interface EarlierEpoch {
  /** Its number. */
  readonly epoch: Epoch;
  /** Messages up to the newest that has come. */
  readonly count: number;
  /** Their rolling hash; zeros if some of them are missing. */
  readonly hash: Hash;
}

/** CHANGE: what a commit does to the room. */
export interface Change {
  /** Why. */
  readonly reason: CommitReason;
  /** The admin's leaf. */
  readonly adminLeaf: Leaf;
  /** In their rank. */
  readonly deputies: readonly Leaf[];
  /** How the room is called; foreign text. */
  readonly roomName: string;
  /** Takes the room secret's place from this epoch on; undefined if it stays. */
  readonly newRoomSecret: RoomSecret | undefined;
  /** In rising order of the leaf. */
  readonly added: readonly RosterLeaf[];
  /** No longer there. */
  readonly removed: readonly Removal[];
}

/** `new secret u8 ‖ room secret bytes[32]`, zero if there is none. */
const NEW_ROOM_SECRET: Codec<RoomSecret | undefined> = {
  encode(w, secret) {
    flag.encode(w, secret !== undefined);
    if (secret === undefined) w.zeros(32);
    else ROOM_SECRET.encode(w, secret);
  },
  decode(r) {
    if (flag.decode(r)) return ROOM_SECRET.decode(r);
    r.zeros(32);
    return undefined;
  },
};

/** Codec of {@link Change}; padded in its box, see padding.ts. */
export const CHANGE: Codec<Change> = struct<Change>({
  reason: enumeration(COMMIT_REASONS),
  adminLeaf: LEAF,
  deputies: list16(LEAF, MAX_LEAVES),
  roomName: NAME,
  newRoomSecret: NEW_ROOM_SECRET,
  added: ROSTER_LEAVES,
  removed: list32(
    struct<Removal>({
      leaf: LEAF,
      reason: enumeration(REMOVAL_REASONS),
      count: u64,
      hash: HASH,
      earlier: rising(
        list16(
          struct<EarlierEpoch>({ epoch: EPOCH, count: u64, hash: HASH }),
          MAX_EARLIER_EPOCHS,
        ),
        (a, b) => a.epoch < b.epoch,
      ),
    }),
    MAX_LEAVES,
  ),
});

/** ROSTER: all that a newcomer has to know of the room. */
export interface Roster {
  /** After the change. */
  readonly roomSecret: RoomSecret;
  /** In rising order of the leaf. */
  readonly leaves: readonly RosterLeaf[];
}

/** Codec of {@link Roster}; padded in its box, see padding.ts. */
export const ROSTER: Codec<Roster> = struct<Roster>({
  roomSecret: ROOM_SECRET,
  leaves: ROSTER_LEAVES,
});

/** WRAP: the epoch's S for one member, and its ticket. */
export interface WrapMessage {
  /** Of the commit that follows. */
  readonly epoch: Epoch;
  /** Opened only once the commit lists its hash. */
  readonly wrap: Wrap;
  /** Good from this epoch on. */
  readonly ticket: TicketBytes;
}

/** Codec of {@link WrapMessage}. */
export const WRAP: Codec<WrapMessage> = struct<WrapMessage>({
  epoch: EPOCH,
  wrap: WRAP_BYTES,
  ticket: TICKET_BYTES,
});

/** WELCOME: all that a newcomer needs to be a member. */
export interface Welcome {
  /** A whole COMMIT; `decodeSigned(COMMIT_BODY, …)` reads it. */
  readonly commit: Bytes;
  /** The newcomer's. */
  readonly wrap: Wrap;
  /** The newcomer's. */
  readonly ticket: TicketBytes;
  /** Needed to enter as member. */
  readonly roomKey: RoomKey;
  /** A sealed and padded {@link Roster}. */
  readonly rosterBox: Bytes;
}

/** Codec of {@link Welcome}. */
export const WELCOME: Codec<Welcome> = struct<Welcome>({
  commit: b32(MAX_FRAME_BYTES),
  wrap: WRAP_BYTES,
  ticket: TICKET_BYTES,
  roomKey: ROOM_KEY,
  rosterBox: b32(MAX_FRAME_BYTES),
});

/** KEM_UPDATE: the ML-KEM key to wrap the next epoch with. */
export interface KemUpdate {
  /** Which room. */
  readonly room: RoomId;
  /** Whose key. */
  readonly leaf: Leaf;
  /** h of the epoch that the member has accepted. */
  readonly h: EpochHash;
  /** The new key. */
  readonly kemKey: KemKey;
}

/** What the member's session key signs, kind `kem`. */
export const KEM_UPDATE_BODY: Codec<KemUpdate> = struct<KemUpdate>({
  room: ROOM_ID,
  leaf: LEAF,
  h: EPOCH_HASH,
  kemKey: KEM_KEY,
});

/** Codec of a whole KEM_UPDATE. */
export const KEM_UPDATE: Codec<Signed<KemUpdate>> = signed(KEM_UPDATE_BODY);

/** KEM_ACK: the admin will use that key; the one before can be erased. */
export interface KemAck {
  /** Which room. */
  readonly room: RoomId;
  /** Whose key. */
  readonly leaf: Leaf;
  /** The KEM_UPDATE's. */
  readonly h: EpochHash;
  /** SHA-256 of the new key. */
  readonly kemKeyHash: Hash;
}

/** What the admin signs, kind `kem-ack`. */
export const KEM_ACK_BODY: Codec<KemAck> = struct<KemAck>({
  room: ROOM_ID,
  leaf: LEAF,
  h: EPOCH_HASH,
  kemKeyHash: HASH,
});

/** Codec of a whole KEM_ACK. */
export const KEM_ACK: Codec<Signed<KemAck>> = signed(KEM_ACK_BODY);

/** CATCH_UP: asks for the commits after an epoch. */
export interface CatchUp {
  /** Which room. */
  readonly room: RoomId;
  /** Who asks. */
  readonly leaf: Leaf;
  /** The last epoch that it accepted. */
  readonly epoch: Epoch;
  /** h of that epoch. */
  readonly h: EpochHash;
}

/** What the member's session key signs, kind `catch-up`. */
export const CATCH_UP_BODY: Codec<CatchUp> = struct<CatchUp>({
  room: ROOM_ID,
  leaf: LEAF,
  epoch: EPOCH,
  h: EPOCH_HASH,
});

/** Codec of a whole CATCH_UP. */
export const CATCH_UP: Codec<Signed<CatchUp>> = signed(CATCH_UP_BODY);

/** How many messages of a leaf the admin has. */
export interface LeafCount {
  /** Whose. */
  readonly leaf: Leaf;
  /** Received of it in this epoch without a gap. */
  readonly count: number;
}

/** CAUGHT_UP: that was all; what the admin has of each leaf. */
export interface CaughtUp {
  /** Which room. */
  readonly room: RoomId;
  /** Who asked. */
  readonly leaf: Leaf;
  /** The admin's epoch. */
  readonly epoch: Epoch;
  /** Its hash. */
  readonly h: EpochHash;
  /** In rising order of the leaf. */
  readonly counts: readonly LeafCount[];
}

/** What the admin signs, kind `caught-up`. */
export const CAUGHT_UP_BODY: Codec<CaughtUp> = struct<CaughtUp>({
  room: ROOM_ID,
  leaf: LEAF,
  epoch: EPOCH,
  h: EPOCH_HASH,
  counts: rising(
    list32(struct<LeafCount>({ leaf: LEAF, count: u64 }), MAX_LEAVES),
    (a, b) => a.leaf < b.leaf,
  ),
});

/** Codec of a whole CAUGHT_UP. */
export const CAUGHT_UP: Codec<Signed<CaughtUp>> = signed(CAUGHT_UP_BODY);
