/**
 * Names for byte strings and numbers that look alike, so that the compiler tells them apart.
 *
 * @module
 */
import { type Bytes, bytesAs, type Codec, numberAs, u32, u64 } from "./codec.ts";

/** Exists for the compiler only. */
declare const brand: unique symbol;

/** `T` that was given the name `K` after its size was checked; the name costs nothing at run time. */
export type Branded<T, K extends string> = T & {
  /** Exists for the compiler only. */
  readonly [brand]: K;
};

/** 16 bytes: which room. §3.1 */
export type RoomId = Branded<Bytes, "RoomId">;
/** 16 random bytes that the relay gave one connection in one room. §3 */
export type Handle = Branded<Bytes, "Handle">;
/** 32 bytes: the relay's long-term Ed25519 public key, the pin. §2 */
export type RelayKey = Branded<Bytes, "RelayKey">;
/** 32 bytes: the Ed25519 public key that governs a room's gate. §3.1 */
export type RoomKey = Branded<Bytes, "RoomKey">;
/** 32 bytes: the Ed25519 public key that a ticket names, one for each room and run. §3.1 */
export type GateKey = Branded<Bytes, "GateKey">;
/** 32 bytes: a person's long-term Ed25519 public key. §6 */
export type IdentityKey = Branded<Bytes, "IdentityKey">;
/** 32 bytes: the Ed25519 public key that signs the messages of one run. §6 */
export type SessionKey = Branded<Bytes, "SessionKey">;
/** 16 bytes: the shortened hash of an Ed25519 key that people compare. §4 */
export type Fingerprint = Branded<Bytes, "Fingerprint">;
/** 64 bytes of Ed25519. §1 */
export type Signature = Branded<Bytes, "Signature">;
/** 184 bytes: a TICKET as signed; `decodeTicket` reads it. §3.1 */
export type TicketBytes = Branded<Bytes, "TicketBytes">;
/** 32 bytes of the relay's CHALLENGE. §3.2 */
export type Challenge = Branded<Bytes, "Challenge">;
/** 16 random bytes, made at each start of the admin. §6 */
export type RunId = Branded<Bytes, "RunId">;
/** 32 bytes: `na`, the admin's nonce for one handle and one BUNDLE. §6 */
export type JoinNonce = Branded<Bytes, "JoinNonce">;
/** 8 bytes derived from the invite secret; zero for none. §4 */
export type InviteId = Branded<Bytes, "InviteId">;
/** 16 random bytes of an invite. §4 */
export type InviteSecret = Branded<Bytes, "InviteSecret">;
/** 32 bytes that everybody with the invite has. §4 */
export type RoomSecret = Branded<Bytes, "RoomSecret">;
/** 1184 bytes: an ML-KEM-768 public key. §1 */
export type KemKey = Branded<Bytes, "KemKey">;
/** 1088 bytes: an ML-KEM-768 ciphertext. §1 */
export type KemCiphertext = Branded<Bytes, "KemCiphertext">;
/** 1520 bytes: the epoch's S for one member. §7 */
export type Wrap = Branded<Bytes, "Wrap">;
/** 16 bytes that name the member a wrap is for. §7 */
export type WrapTag = Branded<Bytes, "WrapTag">;
/** 32 bytes of SHA-256. */
export type Hash = Branded<Bytes, "Hash">;
/** 32 bytes: h(e), the chain of commits up to an epoch. §7 */
export type EpochHash = Branded<Bytes, "EpochHash">;
/** 16 random bytes of a TEXT. §8 */
export type MessageId = Branded<Bytes, "MessageId">;

/** Number of a leaf in the roster; 0 is the founder, and none is used twice. §7 */
export type Leaf = Branded<number, "Leaf">;
/** Number of an epoch; the first commit is 1. §7 */
export type Epoch = Branded<number, "Epoch">;
/** The epoch that a ticket came with; what SET_MIN raises. §3.1 */
export type TicketEpoch = Branded<number, "TicketEpoch">;
/** `g` of a CERT: only grows for one identity. §6 */
export type Generation = Branded<number, "Generation">;

/** Codec of a {@link RoomId}. */
export const ROOM_ID: Codec<RoomId> = bytesAs(16);
/** Codec of a {@link Handle}. */
export const HANDLE: Codec<Handle> = bytesAs(16);
/** Codec of a {@link RelayKey}. */
export const RELAY_KEY: Codec<RelayKey> = bytesAs(32);
/** Codec of a {@link RoomKey}. */
export const ROOM_KEY: Codec<RoomKey> = bytesAs(32);
/** Codec of a {@link GateKey}. */
export const GATE_KEY: Codec<GateKey> = bytesAs(32);
/** Codec of an {@link IdentityKey}. */
export const IDENTITY_KEY: Codec<IdentityKey> = bytesAs(32);
/** Codec of a {@link SessionKey}. */
export const SESSION_KEY: Codec<SessionKey> = bytesAs(32);
/** Codec of a {@link Fingerprint}. */
export const FINGERPRINT: Codec<Fingerprint> = bytesAs(16);
/** Codec of a {@link Signature}. */
export const SIGNATURE: Codec<Signature> = bytesAs(64);
/** Codec of {@link TicketBytes}. */
export const TICKET_BYTES: Codec<TicketBytes> = bytesAs(184);
/** Codec of a {@link Challenge}. */
export const CHALLENGE: Codec<Challenge> = bytesAs(32);
/** Codec of a {@link RunId}. */
export const RUN_ID: Codec<RunId> = bytesAs(16);
/** Codec of a {@link JoinNonce}. */
export const JOIN_NONCE: Codec<JoinNonce> = bytesAs(32);
/** Codec of an {@link InviteId}. */
export const INVITE_ID: Codec<InviteId> = bytesAs(8);
/** Codec of an {@link InviteSecret}. */
export const INVITE_SECRET: Codec<InviteSecret> = bytesAs(16);
/** Codec of a {@link RoomSecret}. */
export const ROOM_SECRET: Codec<RoomSecret> = bytesAs(32);
/** Codec of a {@link KemKey}. */
export const KEM_KEY: Codec<KemKey> = bytesAs(1184);
/** Codec of a {@link KemCiphertext}. */
export const KEM_CIPHERTEXT: Codec<KemCiphertext> = bytesAs(1088);
/** Codec of a {@link Wrap}. */
export const WRAP_BYTES: Codec<Wrap> = bytesAs(1520);
/** Codec of a {@link WrapTag}. */
export const WRAP_TAG: Codec<WrapTag> = bytesAs(16);
/** Codec of a {@link Hash}. */
export const HASH: Codec<Hash> = bytesAs(32);
/** Codec of an {@link EpochHash}. */
export const EPOCH_HASH: Codec<EpochHash> = bytesAs(32);
/** Codec of a {@link MessageId}. */
export const MESSAGE_ID: Codec<MessageId> = bytesAs(16);
/** Codec of a {@link Leaf}. */
export const LEAF: Codec<Leaf> = numberAs(u32);
/** Codec of an {@link Epoch}. */
export const EPOCH: Codec<Epoch> = numberAs(u64);
/** Codec of a {@link TicketEpoch}. */
export const TICKET_EPOCH: Codec<TicketEpoch> = numberAs(u64);
/** Codec of a {@link Generation}. */
export const GENERATION: Codec<Generation> = numberAs(u64);

function named<T extends Bytes>(what: string, size: number): (bytes: Uint8Array) => T {
  return (bytes) => {
    if (bytes.length !== size) {
      throw new RangeError(`${what} has ${bytes.length} bytes, not ${size}`);
    }
    // The brand states the size that was just checked.
    return new Uint8Array(bytes) as T;
  };
}

/** Names 16 bytes (copied) a {@link RoomId}. @throws {RangeError} for another length */
export const roomId: (bytes: Uint8Array) => RoomId = named("room id", 16);
/** Names 16 bytes (copied) a {@link Handle}. @throws {RangeError} for another length */
export const handle: (bytes: Uint8Array) => Handle = named("handle", 16);
/** Names 32 bytes (copied) a {@link RelayKey}. @throws {RangeError} for another length */
export const relayKey: (bytes: Uint8Array) => RelayKey = named("relay key", 32);
/** Names 32 bytes (copied) a {@link RoomKey}. @throws {RangeError} for another length */
export const roomKey: (bytes: Uint8Array) => RoomKey = named("room key", 32);
/** Names 32 bytes (copied) a {@link GateKey}. @throws {RangeError} for another length */
export const gateKey: (bytes: Uint8Array) => GateKey = named("gate key", 32);
/** Names 32 bytes (copied) an {@link IdentityKey}. @throws {RangeError} for another length */
export const identityKey: (bytes: Uint8Array) => IdentityKey = named("identity key", 32);
/** Names 32 bytes (copied) a {@link SessionKey}. @throws {RangeError} for another length */
export const sessionKey: (bytes: Uint8Array) => SessionKey = named("session key", 32);
/** Names 16 bytes (copied) a {@link Fingerprint}. @throws {RangeError} for another length */
export const fingerprint: (bytes: Uint8Array) => Fingerprint = named("fingerprint", 16);
/** Names 64 bytes (copied) a {@link Signature}. @throws {RangeError} for another length */
export const signature: (bytes: Uint8Array) => Signature = named("signature", 64);
/** Names 184 bytes (copied) {@link TicketBytes}. @throws {RangeError} for another length */
export const ticketBytes: (bytes: Uint8Array) => TicketBytes = named("ticket", 184);
/** Names 32 bytes (copied) a {@link Challenge}. @throws {RangeError} for another length */
export const challenge: (bytes: Uint8Array) => Challenge = named("challenge", 32);
/** Names 16 bytes (copied) a {@link RunId}. @throws {RangeError} for another length */
export const runId: (bytes: Uint8Array) => RunId = named("run id", 16);
/** Names 32 bytes (copied) a {@link JoinNonce}. @throws {RangeError} for another length */
export const joinNonce: (bytes: Uint8Array) => JoinNonce = named("join nonce", 32);
/** Names 8 bytes (copied) an {@link InviteId}. @throws {RangeError} for another length */
export const inviteId: (bytes: Uint8Array) => InviteId = named("invite id", 8);
/** Names 16 bytes (copied) an {@link InviteSecret}. @throws {RangeError} for another length */
export const inviteSecret: (bytes: Uint8Array) => InviteSecret = named("invite secret", 16);
/** Names 32 bytes (copied) a {@link RoomSecret}. @throws {RangeError} for another length */
export const roomSecret: (bytes: Uint8Array) => RoomSecret = named("room secret", 32);
/** Names 1184 bytes (copied) a {@link KemKey}. @throws {RangeError} for another length */
export const kemKey: (bytes: Uint8Array) => KemKey = named("ML-KEM key", 1184);
/** Names 1088 bytes (copied) a {@link KemCiphertext}. @throws {RangeError} for another length */
export const kemCiphertext: (bytes: Uint8Array) => KemCiphertext = named("ciphertext", 1088);
/** Names 1520 bytes (copied) a {@link Wrap}. @throws {RangeError} for another length */
export const wrapBytes: (bytes: Uint8Array) => Wrap = named("wrap", 1520);
/** Names 16 bytes (copied) a {@link WrapTag}. @throws {RangeError} for another length */
export const wrapTag: (bytes: Uint8Array) => WrapTag = named("wrap tag", 16);
/** Names 32 bytes (copied) a {@link Hash}. @throws {RangeError} for another length */
export const hash: (bytes: Uint8Array) => Hash = named("hash", 32);
/** Names 32 bytes (copied) an {@link EpochHash}. @throws {RangeError} for another length */
export const epochHash: (bytes: Uint8Array) => EpochHash = named("epoch hash", 32);
/** Names 16 bytes (copied) a {@link MessageId}. @throws {RangeError} for another length */
export const messageId: (bytes: Uint8Array) => MessageId = named("message id", 16);

function numbered<T extends number>(what: string, max: number): (value: number) => T {
  return (value) => {
    if (!Number.isSafeInteger(value) || value < 0 || value > max) {
      throw new RangeError(`${value} is no ${what}`);
    }
    return value as T;
  };
}

/** Names a number a {@link Leaf}. @throws {RangeError} if it is no u32 */
export const leaf: (value: number) => Leaf = numbered("leaf", 0xffffffff);
/** Names a number an {@link Epoch}. @throws {RangeError} if it is not 0 to 2^53 - 1 */
export const epoch: (value: number) => Epoch = numbered("epoch", Number.MAX_SAFE_INTEGER);
/** Names a number a {@link TicketEpoch}. @throws {RangeError} if it is not 0 to 2^53 - 1 */
export const ticketEpoch: (value: number) => TicketEpoch = numbered(
  "ticket epoch",
  Number.MAX_SAFE_INTEGER,
);
/** Names a number a {@link Generation}. @throws {RangeError} if it is not 0 to 2^53 - 1 */
export const generation: (value: number) => Generation = numbered(
  "generation",
  Number.MAX_SAFE_INTEGER,
);

/** The `to` of a DIRECT that every owner receives: sixteen zero bytes. §3.2 */
export const BROADCAST_TO_OWNERS: Handle = handle(new Uint8Array(16));

/** The invite id of a BUNDLE that comes without an invite: eight zero bytes. §6 */
export const NO_INVITE: InviteId = inviteId(new Uint8Array(8));

/** Lower-case hex, two digits a byte: a key for maps, and for people. */
export function toHex(bytes: Uint8Array): string {
  return bytes.toHex();
}

/**
 * Reads hex of either case.
 *
 * @throws {SyntaxError} for an odd number of digits or anything that is no digit
 */
export function fromHex(text: string): Bytes {
  return Uint8Array.fromHex(text);
}

/**
 * Whether two byte strings are equal. It stops at the first difference: for ids and hashes, never
 * for MACs or secrets.
 */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return false;
  }
  return true;
}

/**
 * The fingerprint as people compare it: eight groups of four hex digits.
 *
 * ```ts
 * import { fingerprint, formatFingerprint } from "./ids.ts";
 * import assert from "node:assert/strict";
 *
 * assert.equal(
 *   formatFingerprint(fingerprint(new Uint8Array(16).fill(0xab))),
 *   "abab abab abab abab abab abab abab abab",
 * );
 * ```
 *
 * @see docs/PROTOCOL.md §4
 */
export function formatFingerprint(value: Fingerprint): string {
  const hex = toHex(value);
  const groups: string[] = [];
  for (let i = 0; i < hex.length; i += 4) groups.push(hex.slice(i, i + 4));
  return groups.join(" ");
}
