/**
 * How a room gets another admin: deputies, hand-over and claims.
 *
 * @see docs/PROTOCOL.md §7.1
 * @module
 */
import { b16, type Bytes, bytes, type Codec, enumeration, struct } from "./codec.ts";
import { RSA_SPKI_BYTES } from "./handshake.ts";
import {
  EPOCH,
  type Epoch,
  EPOCH_HASH,
  type EpochHash,
  IDENTITY_KEY,
  type IdentityKey,
  KEM_KEY,
  type KemKey,
  LEAF,
  type Leaf,
  ROOM_ID,
  type RoomId,
  RUN_ID,
  type RunId,
  type Wrap,
  WRAP_BYTES,
  WRAP_TAG,
  type WrapTag,
} from "./ids.ts";
import { type Signed, signed } from "./signed.ts";

/** What a WARRANT is good for, with its number. §7.1 */
export const WARRANT_PURPOSES = { "hand-over": 0, "deputy": 1 } as const;
/** What a WARRANT is good for. */
export type WarrantPurpose = keyof typeof WARRANT_PURPOSES;

/** WARRANT: an admin names who may follow it. */
export interface Warrant {
  /** Which room. */
  readonly room: RoomId;
  /** Who signs: the admin. */
  readonly admin: IdentityKey;
  /** Who may follow. */
  readonly successor: IdentityKey;
  /** The epoch in which it was signed. */
  readonly epoch: Epoch;
  /** h of that epoch. */
  readonly h: EpochHash;
  /** `hand-over`: to make the epoch after this one. `deputy`: to make one while commits name it. */
  readonly purpose: WarrantPurpose;
}

/** What the admin's identity signs, kind `transfer`. */
export const WARRANT_BODY: Codec<Warrant> = struct<Warrant>({
  room: ROOM_ID,
  admin: IDENTITY_KEY,
  successor: IDENTITY_KEY,
  epoch: EPOCH,
  h: EPOCH_HASH,
  purpose: enumeration(WARRANT_PURPOSES),
});

/** Codec of a whole WARRANT. */
export const WARRANT: Codec<Signed<Warrant>> = signed(WARRANT_BODY);

/** GRANT: a WARRANT, and the room key for its bearer alone. */
export interface Grant {
  /** For whom and what. */
  readonly warrant: Signed<Warrant>;
  /** Which of the bearer's ML-KEM keys the wrap was made with. */
  readonly tag: WrapTag;
  /** Holds the seed of the room key, 32 bytes. */
  readonly wrap: Wrap;
}

/** What the admin's identity signs, kind `grant`. */
export const GRANT_BODY: Codec<Grant> = struct<Grant>({
  warrant: WARRANT,
  tag: WRAP_TAG,
  wrap: WRAP_BYTES,
});

/** Codec of a whole GRANT. */
export const GRANT: Codec<Signed<Grant>> = signed(GRANT_BODY);

/** SUCCESSION: the bearer of a WARRANT makes the next epoch. */
export interface Succession {
  /** By the admin before. */
  readonly warrant: Signed<Warrant>;
  /** The epoch that it will make. */
  readonly epoch: Epoch;
  /** h of the epoch before that. */
  readonly prev: EpochHash;
}

/** What the successor's identity signs, kind `claim`. */
export const SUCCESSION_BODY: Codec<Succession> = struct<Succession>({
  warrant: WARRANT,
  epoch: EPOCH,
  prev: EPOCH_HASH,
});

/** Codec of a whole SUCCESSION. */
export const SUCCESSION: Codec<Signed<Succession>> = signed(SUCCESSION_BODY);

/** KEYS: a member gives the successor what S is to be wrapped with. */
export interface MemberWrapKeys {
  /** Which room. */
  readonly room: RoomId;
  /** Whose keys. */
  readonly leaf: Leaf;
  /** h of the epoch that the member is in. */
  readonly h: EpochHash;
  /** To whom. */
  readonly successor: IdentityKey;
  /** DER; to be checked before it is imported. */
  readonly rsaSpki: Bytes;
  /** Fresh. */
  readonly kemKey: KemKey;
}

/** What the member's session key signs, kind `keys`. */
export const KEYS_BODY: Codec<MemberWrapKeys> = struct<MemberWrapKeys>({
  room: ROOM_ID,
  leaf: LEAF,
  h: EPOCH_HASH,
  successor: IDENTITY_KEY,
  rsaSpki: b16(RSA_SPKI_BYTES),
  kemKey: KEM_KEY,
});

/** Codec of a whole KEYS. */
export const KEYS: Codec<Signed<MemberWrapKeys>> = signed(KEYS_BODY);

/** Bytes of the nonce of OWNER_ASK. */
const OWNER_NONCE_BYTES = 32;

/** OWNER_ASK: who else is at the owners' place? */
export interface OwnerAsk {
  /** Random. */
  readonly nonce: Bytes;
}

/** Codec of {@link OwnerAsk}. */
export const OWNER_ASK: Codec<OwnerAsk> = struct<OwnerAsk>({ nonce: bytes(OWNER_NONCE_BYTES) });

/** OWNER_HERE: an admin is. */
export interface OwnerHere {
  /** Which room. */
  readonly room: RoomId;
  /** Who signs. */
  readonly admin: IdentityKey;
  /** Of this start of it. */
  readonly runId: RunId;
  /** The question's: nobody can answer with an old one. */
  readonly nonce: Bytes;
}

/** What the admin's identity signs, kind `owner`. */
export const OWNER_HERE_BODY: Codec<OwnerHere> = struct<OwnerHere>({
  room: ROOM_ID,
  admin: IDENTITY_KEY,
  runId: RUN_ID,
  nonce: bytes(OWNER_NONCE_BYTES),
});

/** Codec of a whole OWNER_HERE. */
export const OWNER_HERE: Codec<Signed<OwnerHere>> = signed(OWNER_HERE_BODY);
