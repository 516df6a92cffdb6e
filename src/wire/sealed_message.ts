/**
 * What is inside of a sealed payload: the table of PROTOCOL §5.
 *
 * @see docs/PROTOCOL.md §5
 * @module
 */
import { VIEW, type View, VIEW_REQUEST, type ViewRequest } from "./agreement.ts";
import {
  b32,
  type Bytes,
  type Codec,
  decode,
  encode,
  literal,
  struct,
  u8,
  WireError,
} from "./codec.ts";
import {
  CATCH_UP,
  type CatchUp,
  CAUGHT_UP,
  type CaughtUp,
  COMMIT,
  type Commit,
  KEM_ACK,
  KEM_UPDATE,
  type KemAck,
  type KemUpdate,
  WELCOME,
  type Welcome,
  WRAP,
  type WrapMessage,
} from "./commit.ts";
import { type Direction, DIRECTIONS } from "./contexts.ts";
import {
  BUNDLE,
  type Bundle,
  DENIED,
  type Denied,
  HELLO,
  type Hello,
  KNOCK,
  type Knock,
  PENDING,
  type Pending,
} from "./handshake.ts";
import { MAX_FRAME_BYTES } from "./limits.ts";
import { decodePadded, encodePadded } from "./padding.ts";
import { REPAIR, type Repair, REPAIR_REQUEST, type RepairRequest } from "./repair.ts";
import type { Signed } from "./signed.ts";
import {
  GRANT,
  type Grant,
  KEYS,
  type MemberWrapKeys,
  OWNER_ASK,
  OWNER_HERE,
  type OwnerAsk,
  type OwnerHere,
  SUCCESSION,
  type Succession,
} from "./succession.ts";

/** The contents of sealed payloads by their kind. */
export interface SealedContents {
  /** 0x01 */
  readonly "knock": Knock;
  /** 0x02 */
  readonly "hello": Signed<Hello>;
  /** 0x03 */
  readonly "bundle": Bundle;
  /** 0x04 */
  readonly "pending": Pending;
  /** 0x05 */
  readonly "denied": Denied;
  /** 0x06 */
  readonly "welcome": Welcome;
  /** 0x07 */
  readonly "commit": Signed<Commit>;
  /** 0x08 */
  readonly "wrap": WrapMessage;
  /** 0x09 */
  readonly "kem-update": Signed<KemUpdate>;
  /** 0x0a */
  readonly "kem-ack": Signed<KemAck>;
  /** 0x0b */
  readonly "catch-up": Signed<CatchUp>;
  /** 0x0c */
  readonly "caught-up": Signed<CaughtUp>;
  /** 0x0d */
  readonly "repair-request": Signed<RepairRequest>;
  /** 0x0e */
  readonly "repair": Repair;
  /** 0x0f */
  readonly "succession": Signed<Succession>;
  /** 0x10 */
  readonly "grant": Signed<Grant>;
  /** 0x11 */
  readonly "keys": Signed<MemberWrapKeys>;
  /** 0x12 */
  readonly "view-request": Signed<ViewRequest>;
  /** 0x13 */
  readonly "view": Signed<View>;
  /** 0x14 */
  readonly "owner-ask": OwnerAsk;
  /** 0x15 */
  readonly "owner-here": Signed<OwnerHere>;
}

/** Names of the sealed types. */
export type SealedKind = keyof SealedContents;

/** One sealed message of kind K. */
export interface SealedMessageOf<K extends SealedKind> {
  /** Which type. */
  readonly kind: K;
  /** Its structure; nothing in it has been verified. */
  readonly content: SealedContents[K];
}

/** A sealed message. */
export type SealedMessage = { [K in SealedKind]: SealedMessageOf<K> }[SealedKind];

/** A sealed message of a type that this version does not know. */
export interface UnknownSealedMessage {
  /** No known type. */
  readonly kind: "unknown";
  /** The type byte. */
  readonly type: number;
  /** 0x80 and above: the room ends with `unsupported`; below: passed over. */
  readonly critical: boolean;
}

/** One row of the table. */
export interface SealedRow<K extends SealedKind> {
  /** First byte of the plaintext. */
  readonly type: number;
  /** Which key seals it. */
  readonly direction: Direction;
  /** How it travels. */
  readonly sentAs: "direct-to-owners" | "direct" | "broadcast";
  /** Of the content. */
  readonly codec: Codec<SealedMessageOf<K>>;
}

function toAdmin<K extends SealedKind>(
  kind: K,
  type: number,
  content: Codec<SealedContents[K]>,
): SealedRow<K> {
  const codec = struct<SealedMessageOf<K>>({ kind: literal(kind), content });
  return { type, direction: "to-admin", sentAs: "direct-to-owners", codec };
}

function fromAdmin<K extends SealedKind>(
  kind: K,
  type: number,
  content: Codec<SealedContents[K]>,
  sentAs: "direct" | "broadcast" = "direct",
): SealedRow<K> {
  const codec = struct<SealedMessageOf<K>>({ kind: literal(kind), content });
  return { type, direction: "from-admin", sentAs, codec };
}

function betweenMembers<K extends SealedKind>(
  kind: K,
  type: number,
  content: Codec<SealedContents[K]>,
  sentAs: "direct" | "broadcast" = "direct",
): SealedRow<K> {
  const codec = struct<SealedMessageOf<K>>({ kind: literal(kind), content });
  return { type, direction: "between-members", sentAs, codec };
}

/** The table of §5, one row a type. */
export const SEALED_TYPES: { readonly [K in SealedKind]: SealedRow<K> } = {
  "knock": toAdmin("knock", 0x01, KNOCK),
  "hello": fromAdmin("hello", 0x02, HELLO),
  "bundle": toAdmin("bundle", 0x03, BUNDLE),
  "pending": fromAdmin("pending", 0x04, PENDING),
  "denied": fromAdmin("denied", 0x05, DENIED),
  "welcome": fromAdmin("welcome", 0x06, WELCOME),
  "commit": fromAdmin("commit", 0x07, COMMIT, "broadcast"),
  "wrap": fromAdmin("wrap", 0x08, WRAP),
  "kem-update": toAdmin("kem-update", 0x09, KEM_UPDATE),
  "kem-ack": fromAdmin("kem-ack", 0x0a, KEM_ACK),
  "catch-up": toAdmin("catch-up", 0x0b, CATCH_UP),
  "caught-up": fromAdmin("caught-up", 0x0c, CAUGHT_UP),
  "repair-request": betweenMembers("repair-request", 0x0d, REPAIR_REQUEST),
  "repair": betweenMembers("repair", 0x0e, REPAIR),
  "succession": betweenMembers("succession", 0x0f, SUCCESSION, "broadcast"),
  "grant": fromAdmin("grant", 0x10, GRANT),
  "keys": betweenMembers("keys", 0x11, KEYS),
  "view-request": betweenMembers("view-request", 0x12, VIEW_REQUEST),
  "view": betweenMembers("view", 0x13, VIEW),
  "owner-ask": betweenMembers("owner-ask", 0x14, OWNER_ASK, "broadcast"),
  "owner-here": fromAdmin("owner-here", 0x15, OWNER_HERE),
};

const KIND_BY_TYPE = new Map<number, SealedKind>();
for (const kind in SEALED_TYPES) {
  if (isKind(kind)) KIND_BY_TYPE.set(SEALED_TYPES[kind].type, kind);
}

function isKind(kind: string): kind is SealedKind {
  return Object.hasOwn(SEALED_TYPES, kind);
}

/** A WRAP is shorter; there are a thousand of them at once. */
const USUAL_BYTES = 2048;

const PLAINTEXT = struct<{ type: number; content: Bytes }>({
  type: u8,
  content: b32(MAX_FRAME_BYTES),
});

/**
 * The padded plaintext of a sealed payload.
 *
 * @throws {RangeError} if a field is out of its range
 */
export function encodeSealedMessage<K extends SealedKind>(
  kind: K,
  content: SealedContents[K],
): Bytes {
  const row = SEALED_TYPES[kind];
  const encoded = encode(row.codec, { kind, content }, USUAL_BYTES);
  return encodePadded(PLAINTEXT, { type: row.type, content: encoded }, 5 + encoded.length);
}

/**
 * Reads the plaintext of a sealed payload.
 *
 * @param direction the one whose key opened it: a type that goes another way is refused
 * @throws {WireError} if the bytes or the padding are not what the type says
 */
export function decodeSealedMessage(
  plaintext: Uint8Array,
  direction: Direction,
): SealedMessage | UnknownSealedMessage {
  const { type, content } = decodePadded(PLAINTEXT, plaintext, "sealed message");
  const kind = KIND_BY_TYPE.get(type);
  if (kind === undefined) return { kind: "unknown", type, critical: type >= 0x80 };
  const row = SEALED_TYPES[kind];
  if (row.direction !== direction) {
    const detail = `${kind} does not go in direction ${DIRECTIONS[direction]}`;
    throw new WireError("bad-value", "sealed message", 0, detail);
  }
  const codec: Codec<SealedMessage> = row.codec;
  return decode(codec, content, kind);
}
