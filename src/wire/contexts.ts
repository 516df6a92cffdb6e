/**
 * Every byte string that a participant hashes, or gives to HKDF or GCM as context: all labels of
 * the room layer in one place, so that no two of them can be mixed up unseen.
 *
 * Names end in `Input` for what is hashed (or MACed), in `Info` for HKDF's info.
 *
 * @see docs/PROTOCOL.md §4 to §8
 * @module
 */
import { type Bytes, Writer } from "./codec.ts";
import type {
  Epoch,
  EpochHash,
  Hash,
  IdentityKey,
  JoinNonce,
  KemKey,
  Leaf,
  RelayKey,
  RoomId,
} from "./ids.ts";

const ASCII = new TextEncoder();

/** Labels that were encoded once: a message has four. They are constants of this file, and so few. */
const LABELS = new Map<string, Bytes>();

/** Starts a context with its label, ASCII without a terminator. */
function labelled(label: string, sizeHint = 192): Writer {
  let bytes = LABELS.get(label);
  if (bytes === undefined) LABELS.set(label, bytes = ASCII.encode(label));
  const w = new Writer(sizeHint);
  w.raw(bytes);
  return w;
}

function joined(label: string, ...parts: readonly Uint8Array[]): Bytes {
  const w = labelled(label);
  for (const part of parts) w.raw(part);
  return w.finish();
}

function roomAndEpoch(label: string, room: RoomId, epoch: Epoch): Bytes {
  const w = labelled(label);
  w.raw(room);
  w.uint(epoch, 8);
  return w.finish();
}

/** Writes `b16`, which ties the length of a field to it. */
function sized(w: Writer, bytes: Uint8Array): void {
  w.uint(bytes.length, 2);
  w.raw(bytes);
}

/** Info of the invite id, 8 bytes out of the invite secret. §4 */
export function inviteIdInfo(): Bytes {
  return joined("stm/1 inv id");
}

/** Info of the invite MAC key, 32 bytes out of the invite secret. §4 */
export function inviteMacKeyInfo(): Bytes {
  return joined("stm/1 inv mac");
}

/** Key material of an open room's secret: `relay key ‖ room id`. §4 */
export function openSecretMaterial(relay: RelayKey, room: RoomId): Bytes {
  return joined("", relay, room);
}

/** Info of an open room's secret, 32 bytes. §4 */
export function openSecretInfo(): Bytes {
  return joined("stm/1 open secret");
}

/** Info of the key that masks payload headers, 32 bytes out of the room secret. §5 */
export function headerKeyInfo(room: RoomId): Bytes {
  return joined("stm/1 header", room);
}

/** Which way something sealed goes, with its number. §5 */
export const DIRECTIONS = { "to-admin": 0, "from-admin": 1, "between-members": 2 } as const;

/** Which way something sealed goes. */
export type Direction = keyof typeof DIRECTIONS;

/** Info of the key of something sealed, 32 bytes out of the room secret. §5 */
export function outerKeyInfo(direction: Direction): Bytes {
  const w = labelled("stm/1 outer");
  w.uint(DIRECTIONS[direction], 1);
  return w.finish();
}

/** Info of the key of BUNDLE's box. §6 */
export function bundleKeyInfo(room: RoomId, na: JoinNonce): Bytes {
  return joined("stm/1 bundle", room, na);
}

/** What the invite's MAC covers. §6 */
export function inviteMacInput(cert: Uint8Array): Bytes {
  return joined("stm/1 inv", cert);
}

/** What CERT's wrap hash is the SHA-256 of. §6 */
export function wrapKeysInput(rsaSpki: Uint8Array, kemKey: KemKey): Bytes {
  const w = labelled("stm/1 wrap keys", 2048);
  sized(w, rsaSpki);
  w.raw(kemKey);
  return w.finish();
}

/** What a leaf adds to the roster hash. */
export interface RosterHashLeaf {
  /** Its number. */
  readonly leaf: Leaf;
  /** `VIAS[via]`: how it came in. */
  readonly via: number;
  /** Whose it is. */
  readonly identity: IdentityKey;
  /** SHA-256 of the CERT, signature included. */
  readonly certHash: Hash;
}

/**
 * What rosterHash is the SHA-256 of. §7
 *
 * @param leaves in rising order of their number
 * @throws {RangeError} if they are not
 */
export function rosterHashInput(leaves: readonly RosterHashLeaf[]): Bytes {
  const w = labelled("stm/1 roster", 16 + leaves.length * 69);
  w.uint(leaves.length, 4);
  let before = -1;
  for (const { leaf, via, identity, certHash } of leaves) {
    if (leaf <= before) throw new RangeError("leaves are not in rising order");
    before = leaf;
    w.uint(leaf, 4);
    w.uint(via, 1);
    w.raw(identity);
    w.raw(certHash);
  }
  return w.finish();
}

/** What h(0) is the SHA-256 of. §7 */
export function firstEpochHashInput(room: RoomId, admin: IdentityKey): Bytes {
  return joined("stm/1 th0", room, admin);
}

/** What h(e+1) is the SHA-256 of: h(e) and the commit's body, without its signature. §7 */
export function epochHashInput(prev: EpochHash, commitBody: Uint8Array): Bytes {
  return joined("stm/1 th", prev, commitBody);
}

/** Info of `kc`, 32 bytes out of S. §7 */
export function keyConfirmationInfo(room: RoomId, epoch: Epoch): Bytes {
  return roomAndEpoch("stm/1 kc", room, epoch);
}

/** Info of `rosterKc`, 32 bytes out of S. §7 */
export function rosterConfirmationInfo(rosterHash: Hash): Bytes {
  return joined("stm/1 rkc", rosterHash);
}

/** Info of the key of a commit's roster box. §7 */
export function rosterKeyInfo(room: RoomId, epoch: Epoch): Bytes {
  return roomAndEpoch("stm/1 roster key", room, epoch);
}

/** Info of the key of a WELCOME's roster box. §7 */
export function welcomeKeyInfo(room: RoomId, epoch: Epoch): Bytes {
  return roomAndEpoch("stm/1 welcome key", room, epoch);
}

/** For whom and for which epoch a wrap is. */
export interface WrapContext {
  /** The commit's suite. */
  readonly suite: number;
  /** Which room. */
  readonly room: RoomId;
  /** The epoch whose S is wrapped. */
  readonly epoch: Epoch;
  /** Who wraps. */
  readonly admin: IdentityKey;
  /** For whom. */
  readonly identity: IdentityKey;
  /** SHA-256 of the member's CERT, signature included. */
  readonly certHash: Hash;
  /** The member's current ML-KEM key. */
  readonly kemKey: KemKey;
}

/** What `ctx` is the SHA-256 of. §7 */
export function wrapContextInput(context: WrapContext): Bytes {
  return contextInput("stm/1 ctx", context);
}

/** What the context of a GRANT's wrap is the SHA-256 of: a wrap of S is none of the room key. §7.1 */
export function grantContextInput(context: WrapContext): Bytes {
  return contextInput("stm/1 grant", context);
}

function contextInput(label: string, context: WrapContext): Bytes {
  const w = labelled(label, 2048);
  w.uint(context.suite, 1);
  w.raw(context.room);
  w.uint(context.epoch, 8);
  w.raw(context.admin);
  w.raw(context.identity);
  w.raw(context.certHash);
  sized(w, context.kemKey);
  return w.finish();
}

/** What a wrap's tag is the first half of the SHA-256 of. §7 */
export function wrapTagInput(ctx: Hash): Bytes {
  return joined("stm/1 tag", ctx);
}

/** Info of the key that encrypts S for one member. §7 */
export function wrapKeyInfo(ctx: Hash): Bytes {
  return joined("stm/1 wrap", ctx);
}

/** Info of ES, 32 bytes out of S with h(e) as salt. §8 */
export function epochSecretInfo(): Bytes {
  return joined("stm/1 epoch");
}

/** Info of CK(leaf, 0), 32 bytes out of ES. §8 */
export function senderChainInfo(h: EpochHash, leaf: Leaf): Bytes {
  const w = labelled("stm/1 sender");
  w.raw(h);
  w.uint(leaf, 4);
  return w.finish();
}

/** Info of key, nonce and next chain key, 76 bytes out of CK(leaf, n). §8 */
export function messageKeyInfo(n: number): Bytes {
  const w = labelled("stm/1 msg", 17);
  w.uint(n, 8);
  return w.finish();
}

/** Where a message stands. */
export interface MessagePlace {
  /** Which room. */
  readonly room: RoomId;
  /** h(e) of its epoch. */
  readonly h: EpochHash;
  /** Its epoch. */
  readonly epoch: Epoch;
  /** Its sender. */
  readonly leaf: Leaf;
  /** Its number in the sender's chain, from 0. */
  readonly n: number;
}

/** The associated data of a message. §8 */
export function messageAad(place: MessagePlace): Bytes {
  const w = labelled("stm/1 aad", 77);
  w.raw(place.room);
  w.raw(place.h);
  w.uint(place.epoch, 8);
  w.uint(place.leaf, 4);
  w.uint(place.n, 8);
  return w.finish();
}

/** The body of a message's signature: `AAD ‖ type u8 ‖ content`. §8 */
export function messageSignedBody(aad: Uint8Array, type: number, content: Uint8Array): Bytes {
  const w = new Writer(aad.length + 1 + content.length);
  w.raw(aad);
  w.uint(type, 1);
  w.raw(content);
  return w.finish();
}

/** What a leaf adds to a heartbeat's digest. */
export interface DigestLeaf {
  /** Its number. */
  readonly leaf: Leaf;
  /** Messages received of it in this epoch. */
  readonly count: number;
  /** Their rolling hash. */
  readonly hash: Hash;
}

/**
 * What a heartbeat's digest is the SHA-256 of. §8
 *
 * @param leaves in rising order of their number
 * @throws {RangeError} if they are not
 */
export function digestInput(leaves: readonly DigestLeaf[]): Bytes {
  const w = labelled("stm/1 digest", 16 + leaves.length * 44);
  let before = -1;
  for (const { leaf, count, hash } of leaves) {
    if (leaf <= before) throw new RangeError("leaves are not in rising order");
    before = leaf;
    w.uint(leaf, 4);
    w.uint(count, 8);
    w.raw(hash);
  }
  return w.finish();
}

/** Info of the safety code, 17 bytes out of ES. §8 */
export function safetyCodeInfo(rosterHash: Hash): Bytes {
  return joined("stm/1 auth", rosterHash);
}

/** What a link's check bytes are the first four of the SHA-256 of. §4 */
export function linkCheckInput(address: string, data: Uint8Array): Bytes {
  const w = labelled("stm/1 link");
  sized(w, ASCII.encode(address));
  w.raw(data);
  return w.finish();
}
