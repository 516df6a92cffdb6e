/**
 * What members say to each other, inside of a message's box: the table of PROTOCOL §8.
 *
 * The signature covers `messageSignedBody(messageAad(…), type, content)`, see contexts.ts.
 *
 * @see docs/PROTOCOL.md §8
 * @module
 */
import {
  b32,
  type Bytes,
  type Codec,
  decode,
  encode,
  literal,
  Reader,
  readLength,
  restText,
  struct,
  u64,
  u8,
} from "./codec.ts";
import {
  EPOCH,
  type Epoch,
  HASH,
  type Hash,
  MESSAGE_ID,
  type MessageId,
  SIGNATURE,
  type Signature,
} from "./ids.ts";
import { MAX_FRAME_BYTES, MAX_TEXT_BYTES } from "./limits.ts";
import { encodePadded, endPadded } from "./padding.ts";

/** What is in the box of a message, before the type is looked at. */
export interface SignedContent {
  /** The type byte. */
  readonly type: number;
  /** Read by {@link decodeRoomMessage}. */
  readonly content: Bytes;
  /** Kind `msg`, by the sender's session key. */
  readonly signature: Signature;
}

/** The same as it was read: views of the plaintext. */
export interface ReadContent {
  /** The type byte. */
  readonly type: number;
  /** Read by {@link decodeRoomMessage}. */
  readonly content: Uint8Array;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

const PLAINTEXT = struct<SignedContent>({
  type: u8,
  content: b32(MAX_FRAME_BYTES),
  signature: SIGNATURE,
});

const SIGNATURE_BYTES = 64;
/** Type, length and signature. */
const AROUND_CONTENT_BYTES = 1 + 4 + SIGNATURE_BYTES;

/** The padded plaintext of a message. @throws {RangeError} if a field is out of its range */
export function encodeMessagePlaintext(message: SignedContent): Bytes {
  return encodePadded(PLAINTEXT, message, message.content.length + AROUND_CONTENT_BYTES);
}

/**
 * Reads the plaintext of a message. It may only be trusted, or counted, once the signature holds.
 *
 * @returns content and signature are views of the plaintext: whoever wipes that has used them
 * @throws {WireError} if the bytes or the padding are wrong
 */
export function decodeMessagePlaintext(plaintext: Uint8Array): ReadContent {
  const r = new Reader(plaintext, "room message");
  const type = r.uint(1);
  const content = r.view(readLength(r, 4, 0, MAX_FRAME_BYTES));
  const signature = r.view(SIGNATURE_BYTES);
  endPadded(r);
  return { type, content, signature };
}

/** 0x81, something said. */
export interface TextMessage {
  /** TEXT */
  readonly kind: "text";
  /** Random; a text is shown once for each identity and id. */
  readonly id: MessageId;
  /** Milliseconds since 1970 by the sender's clock. */
  readonly sentAt: number;
  /** Foreign text. */
  readonly text: string;
}

/** 0x82, the sender's last word on an epoch before. */
export interface CloseMessage {
  /** CLOSE */
  readonly kind: "close";
  /** The one in which the sender last sent anything but this. */
  readonly epoch: Epoch;
  /** Messages sent in it. */
  readonly count: number;
  /** Their rolling hash. */
  readonly hash: Hash;
}

/** 0x03, how far the sender is, and what it has seen. */
export interface HeartbeatMessage {
  /** HEARTBEAT */
  readonly kind: "heartbeat";
  /** The sender's own messages of this epoch before this one. */
  readonly count: number;
  /** Their rolling hash. */
  readonly hash: Hash;
  /** SHA-256 of `digestInput`. */
  readonly digest: Hash;
}

/** 0x84, the sender goes. */
export interface LeaveMessage {
  /** LEAVE */
  readonly kind: "leave";
}

/** The messages by their kind. */
export interface RoomMessages {
  /** 0x81 */
  readonly "text": TextMessage;
  /** 0x82 */
  readonly "close": CloseMessage;
  /** 0x03 */
  readonly "heartbeat": HeartbeatMessage;
  /** 0x84 */
  readonly "leave": LeaveMessage;
}

/** Names of the messages. */
export type RoomMessageKind = keyof RoomMessages;

/** A message between members. */
export type RoomMessage = RoomMessages[RoomMessageKind];

/** A message of a type that this version does not know: verified and counted all the same. */
export interface UnknownRoomMessage {
  /** No known type. */
  readonly kind: "unknown";
  /** The type byte. */
  readonly type: number;
  /** 0x80 and above: the room ends with `unsupported`; below: passed over. */
  readonly critical: boolean;
}

/** One row of the table. */
export interface RoomMessageRow<T> {
  /** The type byte; the highest bit says critical. */
  readonly type: number;
  /** Of the content. */
  readonly codec: Codec<T>;
}

/** The table of §8, one row a type. */
export const ROOM_MESSAGES: { readonly [K in RoomMessageKind]: RoomMessageRow<RoomMessages[K]> } = {
  "text": {
    type: 0x81,
    codec: struct<TextMessage>({
      kind: literal("text"),
      id: MESSAGE_ID,
      sentAt: u64,
      text: restText(MAX_TEXT_BYTES),
    }),
  },
  "close": {
    type: 0x82,
    codec: struct<CloseMessage>({
      kind: literal("close"),
      epoch: EPOCH,
      count: u64,
      hash: HASH,
    }),
  },
  "heartbeat": {
    type: 0x03,
    codec: struct<HeartbeatMessage>({
      kind: literal("heartbeat"),
      count: u64,
      hash: HASH,
      digest: HASH,
    }),
  },
  "leave": { type: 0x84, codec: struct<LeaveMessage>({ kind: literal("leave") }) },
};

const KIND_BY_TYPE = new Map<number, RoomMessageKind>();
for (const kind in ROOM_MESSAGES) {
  if (isKind(kind)) KIND_BY_TYPE.set(ROOM_MESSAGES[kind].type, kind);
}

function isKind(kind: string): kind is RoomMessageKind {
  return Object.hasOwn(ROOM_MESSAGES, kind);
}

/** Id and time. */
const BEFORE_TEXT_BYTES = 16 + 8;

/** Generic, so that each kind meets the codec of its own row. */
function contentBytes<K extends RoomMessageKind>(kind: K, message: RoomMessages[K]): Bytes {
  const hint = message.kind === "text" ? BEFORE_TEXT_BYTES + message.text.length : undefined;
  return encode(ROOM_MESSAGES[kind].codec, message, hint);
}

/** Type and content of a message, ready to be signed. */
export interface UnsignedContent {
  /** The type byte. */
  readonly type: number;
  /** The content. */
  readonly content: Bytes;
}

/** Encodes a content. @throws {RangeError} for a field out of range, such as too long a text */
export function encodeRoomMessage(message: RoomMessage): UnsignedContent {
  return {
    type: ROOM_MESSAGES[message.kind].type,
    content: contentBytes(message.kind, message),
  };
}

/**
 * Reads a verified message's content.
 *
 * @returns the message, or its type if this version does not know it
 * @throws {WireError} if the content is not what its type says: the sender signed nonsense
 */
export function decodeRoomMessage(
  type: number,
  content: Uint8Array,
): RoomMessage | UnknownRoomMessage {
  const kind = KIND_BY_TYPE.get(type);
  if (kind === undefined) return { kind: "unknown", type, critical: type >= 0x80 };
  const codec: Codec<RoomMessage> = ROOM_MESSAGES[kind].codec;
  return decode(codec, content, `room message ${kind}`);
}
