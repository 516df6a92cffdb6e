/**
 * What a participant and the relay say to each other: the table of PROTOCOL §3.2.
 *
 * The payload of BROADCAST and DIRECT is opaque here. Nothing in this file, or in a file that it
 * imports, knows what is inside.
 *
 * @see docs/PROTOCOL.md §3.2
 * @module
 */
import { ACCOUNT_NAME, type AccountName } from "./account_name.ts";
import {
  b16,
  type Bytes,
  bytes,
  type Codec,
  enumeration,
  flag,
  literal,
  Reader,
  rest,
  str,
  struct,
  u16,
  u32,
  u64,
  u8,
  WireError,
  Writer,
} from "./codec.ts";
import { FRAME_HEADER_BYTES } from "./frame.ts";
import {
  CHALLENGE,
  type Challenge as ChallengeBytes,
  HANDLE,
  type Handle,
  ROOM_ID,
  type RoomId,
  TICKET_BYTES,
  TICKET_EPOCH,
  type TicketBytes,
  type TicketEpoch,
} from "./ids.ts";
import { KEY_CHANGES, type KeyChangeStatement } from "./key_change.ts";
import { MAX_CODE_BYTES, MAX_FRAME_BYTES, MAX_REASON_BYTES } from "./limits.ts";
import { MAX_CREDENTIAL_BYTES, type Role, ROLES } from "./ticket.ts";

/** The version of the protocol that this code speaks. §3.2 */
export const PROTOCOL_VERSION = 1;

/** Where `nonce` begins in the body of CHALLENGE. */
export const OFFSET_NONCE = 3;
/** Where `room` begins in the body of BROADCAST and DIRECT. */
export const OFFSET_ROOM = 1;
/** Where `from` begins in the body of BROADCAST and DIRECT. */
export const OFFSET_FROM = 17;
/** Where `to` begins in the body of DIRECT. */
export const OFFSET_TO = 33;
/** Where the payload begins in the body of BROADCAST. */
export const OFFSET_BROADCAST_PAYLOAD = 33;
/** Where the payload begins in the body of DIRECT. */
export const OFFSET_DIRECT_PAYLOAD = 49;

/** Why a handle is gone, with its number. §3.2 */
export const GONE_REASONS = { closed: 0, left: 1, evicted: 2, "ticket-invalid": 3 } as const;
/** Why a handle is gone. */
export type GoneReason = keyof typeof GONE_REASONS;

/** The codes of REFUSED with their numbers. §3.2 */
export const REFUSED_CODES = {
  "bad-credential": 1,
  "ticket-expired": 2,
  "ticket-revoked": 3,
  "barred": 4,
  "room-full": 5,
  "too-many-rooms": 6,
  "relay-full": 7,
  "not-allowed": 8,
  "not-in-room": 9,
  "rate-limited": 10,
  "already-entered": 11,
} as const;
/** Why the relay did not do what was asked. */
export type RefusedCode = keyof typeof REFUSED_CODES;

/** The codes of CLOSING with their numbers. §3.2 */
export const CLOSING_CODES = {
  "malformed": 1,
  "too-large": 2,
  "idle": 3,
  "too-slow": 4,
  "shutting-down": 5,
  "unsupported": 6,
  "flood": 7,
  "login-required": 8,
  "logged-out": 9,
} as const;
/** Why the relay ends the connection. */
export type ClosingCode = keyof typeof CLOSING_CODES;

/** Who may use a relay, with the number in its CHALLENGE. §3.2 */
export const ACCESS = { open: 0, account: 1, code: 2 } as const;
/** Who may use a relay: everybody, who has an account, or also who has a code to make one. */
export type Access = keyof typeof ACCESS;

/** The codes of LOGIN_REFUSED with their numbers. §3.3 */
export const LOGIN_REFUSED_CODES = {
  "wrong-login": 1,
  "wrong-code": 2,
  "name-taken": 3,
  "disabled": 4,
  "rate-limited": 5,
  "busy": 6,
  "accounts-full": 7,
} as const;
/** Why the relay let nobody in. */
export type LoginRefusedCode = keyof typeof LOGIN_REFUSED_CODES;

/** 0x01, to every other member and owner of a room. */
export interface Broadcast {
  /** BROADCAST */
  readonly kind: "broadcast";
  /** Which room. */
  readonly room: RoomId;
  /** The sender's own handle there. */
  readonly from: Handle;
  /** At least one byte. */
  readonly payload: Bytes;
}

/** 0x02, to one handle, or to the owners. */
export interface Direct {
  /** DIRECT */
  readonly kind: "direct";
  /** Which room. */
  readonly room: RoomId;
  /** The sender's own handle there. */
  readonly from: Handle;
  /** The receiver's handle; `BROADCAST_TO_OWNERS` for every owner. */
  readonly to: Handle;
  /** At least one byte. */
  readonly payload: Bytes;
}

/** 0x10, the relay's first words. */
export interface Challenge {
  /** CHALLENGE */
  readonly kind: "challenge";
  /** Lowest version that the relay speaks. */
  readonly minVersion: number;
  /** Highest version that the relay speaks. */
  readonly maxVersion: number;
  /** What an ENTER has to sign. */
  readonly nonce: ChallengeBytes;
  /** The relay's limit for the body of a member's frame. */
  readonly maxFrame: number;
  /** Of {@link ACCESS}: whether it wants a login first. Other values are a later version's. */
  readonly access: number;
}

/** 0x11, the participant's first words. */
export interface Start {
  /** START */
  readonly kind: "start";
  /** The version to speak. */
  readonly version: number;
}

/** 0x12, asks for a role in a room. */
export interface Enter {
  /** ENTER */
  readonly kind: "enter";
  /** Which room. */
  readonly room: RoomId;
  /** As what. */
  readonly role: Role;
  /** Read by `decodeCredential`. */
  readonly credential: Bytes;
}

/** 0x13, the role is granted. */
export interface Entered {
  /** ENTERED */
  readonly kind: "entered";
  /** Which room. */
  readonly room: RoomId;
  /** The connection's handle in it. */
  readonly handle: Handle;
  /** As what. */
  readonly role: Role;
  /** Whether an owner is in the room. */
  readonly ownerPresent: boolean;
}

/** 0x14, leaves a room. */
export interface Leave {
  /** LEAVE */
  readonly kind: "leave";
  /** Which room. */
  readonly room: RoomId;
}

/** 0x15, a handle is no longer there; the relay's word only. */
export interface Gone {
  /** GONE */
  readonly kind: "gone";
  /** Which room. */
  readonly room: RoomId;
  /** Whose. */
  readonly handle: Handle;
  /** Why, as the relay says. */
  readonly reason: GoneReason;
}

/** 0x16, whether an owner is in the room has changed. */
export interface Owner {
  /** OWNER */
  readonly kind: "owner";
  /** Which room. */
  readonly room: RoomId;
  /** Whether one is there now. */
  readonly present: boolean;
}

/** 0x17, an owner removes a handle. */
export interface Evict {
  /** EVICT */
  readonly kind: "evict";
  /** Which room. */
  readonly room: RoomId;
  /** Whom. */
  readonly handle: Handle;
  /** Whether its gate key (of a knocker: its connection) stays refused. */
  readonly bar: boolean;
}

/** 0x18, an owner raises the lowest ticket epoch. */
export interface SetMin {
  /** SET_MIN */
  readonly kind: "set-min";
  /** Which room. */
  readonly room: RoomId;
  /** The lowest that is good from now on. */
  readonly ticketEpoch: TicketEpoch;
}

/** 0x19, a newer ticket for the same gate key. */
export interface Renew {
  /** RENEW */
  readonly kind: "renew";
  /** Names its room. */
  readonly ticket: TicketBytes;
}

/** 0x1a, asks for a PONG. */
export interface Ping {
  /** PING */
  readonly kind: "ping";
  /** Comes back in the PONG. */
  readonly token: number;
}

/** 0x1b, answers a PING. */
export interface Pong {
  /** PONG */
  readonly kind: "pong";
  /** The PING's. */
  readonly token: number;
}

/** 0x1c, something asked was not done. */
export interface Refused {
  /** REFUSED */
  readonly kind: "refused";
  /** In which room. */
  readonly room: RoomId;
  /** Why. */
  readonly code: RefusedCode;
  /** For people; foreign text. */
  readonly message: string;
}

/** 0x1d, the relay's last words. */
export interface Closing {
  /** CLOSING */
  readonly kind: "closing";
  /** Why. */
  readonly code: ClosingCode;
  /** For people; foreign text. */
  readonly message: string;
}

/** 0x1e, an owner makes a knocker a member, at this place in the room's order. */
export interface Admit {
  /** ADMIT */
  readonly kind: "admit";
  /** Which room. */
  readonly room: RoomId;
  /** The knocker. */
  readonly handle: Handle;
  /** What it is a member with. */
  readonly ticket: TicketBytes;
}

/** 0x30, begins a login. */
export interface LoginStart {
  /** LOGIN_START */
  readonly kind: "login-start";
  /** Whose. */
  readonly account: AccountName;
  /** KE1 of RFC 9807. */
  readonly ke1: Bytes;
}

/** 0x31, the answer to LOGIN_START, whether there is such an account or not. */
export interface LoginAnswer {
  /** LOGIN_ANSWER */
  readonly kind: "login-answer";
  /** KE2 of RFC 9807. */
  readonly ke2: Bytes;
}

/** 0x32, proves the password, to this relay and no other. */
export interface LoginFinish {
  /** LOGIN_FINISH */
  readonly kind: "login-finish";
  /** KE3 of RFC 9807. */
  readonly ke3: Bytes;
  /** Over this connection's nonce and the relay's key. §3.3 */
  readonly proof: Bytes;
}

/** 0x33, the connection may enter rooms. */
export interface LoggedIn {
  /** LOGGED_IN */
  readonly kind: "logged-in";
}

/** 0x34, begins a registration. */
export interface RegisterStart {
  /** REGISTER_START */
  readonly kind: "register-start";
  /** For whom. */
  readonly account: AccountName;
  /** The registration code as it was typed. */
  readonly code: string;
  /** RegistrationRequest of RFC 9807. */
  readonly request: Bytes;
}

/** 0x35, the answer to REGISTER_START. */
export interface RegisterAnswer {
  /** REGISTER_ANSWER */
  readonly kind: "register-answer";
  /** RegistrationResponse of RFC 9807. */
  readonly response: Bytes;
}

/** 0x36, what the relay keeps of the account. */
export interface RegisterFinish {
  /** REGISTER_FINISH */
  readonly kind: "register-finish";
  /** RegistrationRecord of RFC 9807. */
  readonly record: Bytes;
}

/** 0x37, the account is kept; a login may follow. */
export interface Registered {
  /** REGISTERED */
  readonly kind: "registered";
}

/** 0x38, a login or registration came to nothing. */
export interface LoginRefused {
  /** LOGIN_REFUSED */
  readonly kind: "login-refused";
  /** Why. */
  readonly code: LoginRefusedCode;
  /** When another attempt may be made, in ms from now; 0 for at once. */
  readonly waitMs: number;
  /** For people; foreign text. */
  readonly message: string;
}

/** 0x40, the relay's key has changed, or will. §2.1 */
export interface KeyChanges {
  /** KEY_CHANGES */
  readonly kind: "key-changes";
  /** Oldest first. */
  readonly statements: readonly KeyChangeStatement[];
}

/** The messages by their kind. */
export interface RelayMessages {
  /** 0x01 */
  readonly "broadcast": Broadcast;
  /** 0x02 */
  readonly "direct": Direct;
  /** 0x10 */
  readonly "challenge": Challenge;
  /** 0x11 */
  readonly "start": Start;
  /** 0x12 */
  readonly "enter": Enter;
  /** 0x13 */
  readonly "entered": Entered;
  /** 0x14 */
  readonly "leave": Leave;
  /** 0x15 */
  readonly "gone": Gone;
  /** 0x16 */
  readonly "owner": Owner;
  /** 0x17 */
  readonly "evict": Evict;
  /** 0x18 */
  readonly "set-min": SetMin;
  /** 0x19 */
  readonly "renew": Renew;
  /** 0x1a */
  readonly "ping": Ping;
  /** 0x1b */
  readonly "pong": Pong;
  /** 0x1c */
  readonly "refused": Refused;
  /** 0x1d */
  readonly "closing": Closing;
  /** 0x1e */
  readonly "admit": Admit;
  /** 0x30 */
  readonly "login-start": LoginStart;
  /** 0x31 */
  readonly "login-answer": LoginAnswer;
  /** 0x32 */
  readonly "login-finish": LoginFinish;
  /** 0x33 */
  readonly "logged-in": LoggedIn;
  /** 0x34 */
  readonly "register-start": RegisterStart;
  /** 0x35 */
  readonly "register-answer": RegisterAnswer;
  /** 0x36 */
  readonly "register-finish": RegisterFinish;
  /** 0x37 */
  readonly "registered": Registered;
  /** 0x38 */
  readonly "login-refused": LoginRefused;
  /** 0x40 */
  readonly "key-changes": KeyChanges;
}

/** Names of the messages. */
export type RelayMessageKind = keyof RelayMessages;

/** A message between participant and relay. */
export type RelayMessage = RelayMessages[RelayMessageKind];

/** A message of a type that this version does not know. */
export interface UnknownRelayMessage {
  /** No known type. */
  readonly kind: "unknown";
  /** First byte of the body. */
  readonly type: number;
  /** 0x80 and above: the connection ends with `unsupported`; below: passed over. */
  readonly critical: boolean;
}

/** One row of the table. */
export interface RelayMessageRow<T> {
  /** First byte of the body. */
  readonly type: number;
  /** Who may send it: the participant (C), the relay (R), or both. */
  readonly from: "C" | "R" | "C, R";
  /** All after the type. */
  readonly body: Codec<T>;
}

const ROLE = enumeration(ROLES);
const PAYLOAD = (offset: number): Codec<Bytes> => rest(1, MAX_FRAME_BYTES - offset);
const MESSAGE = str(MAX_REASON_BYTES);

/** The table of §3.2, one row a message. */
export const RELAY_MESSAGES: {
  readonly [K in RelayMessageKind]: RelayMessageRow<RelayMessages[K]>;
} = {
  "broadcast": {
    type: 0x01,
    from: "C, R",
    body: struct<Broadcast>({
      kind: literal("broadcast"),
      room: ROOM_ID,
      from: HANDLE,
      payload: PAYLOAD(OFFSET_BROADCAST_PAYLOAD),
    }),
  },
  "direct": {
    type: 0x02,
    from: "C, R",
    body: struct<Direct>({
      kind: literal("direct"),
      room: ROOM_ID,
      from: HANDLE,
      to: HANDLE,
      payload: PAYLOAD(OFFSET_DIRECT_PAYLOAD),
    }),
  },
  "challenge": {
    type: 0x10,
    from: "R",
    body: struct<Challenge>({
      kind: literal("challenge"),
      minVersion: u8,
      maxVersion: u8,
      nonce: CHALLENGE,
      maxFrame: u32,
      access: u8,
    }),
  },
  "start": {
    type: 0x11,
    from: "C",
    body: struct<Start>({ kind: literal("start"), version: u8 }),
  },
  "enter": {
    type: 0x12,
    from: "C",
    body: struct<Enter>({
      kind: literal("enter"),
      room: ROOM_ID,
      role: ROLE,
      credential: b16(MAX_CREDENTIAL_BYTES),
    }),
  },
  "entered": {
    type: 0x13,
    from: "R",
    body: struct<Entered>({
      kind: literal("entered"),
      room: ROOM_ID,
      handle: HANDLE,
      role: ROLE,
      ownerPresent: flag,
    }),
  },
  "leave": {
    type: 0x14,
    from: "C",
    body: struct<Leave>({ kind: literal("leave"), room: ROOM_ID }),
  },
  "gone": {
    type: 0x15,
    from: "R",
    body: struct<Gone>({
      kind: literal("gone"),
      room: ROOM_ID,
      handle: HANDLE,
      reason: enumeration(GONE_REASONS),
    }),
  },
  "owner": {
    type: 0x16,
    from: "R",
    body: struct<Owner>({ kind: literal("owner"), room: ROOM_ID, present: flag }),
  },
  "evict": {
    type: 0x17,
    from: "C",
    body: struct<Evict>({ kind: literal("evict"), room: ROOM_ID, handle: HANDLE, bar: flag }),
  },
  "set-min": {
    type: 0x18,
    from: "C",
    body: struct<SetMin>({ kind: literal("set-min"), room: ROOM_ID, ticketEpoch: TICKET_EPOCH }),
  },
  "renew": {
    type: 0x19,
    from: "C",
    body: struct<Renew>({ kind: literal("renew"), ticket: TICKET_BYTES }),
  },
  "ping": {
    type: 0x1a,
    from: "C, R",
    body: struct<Ping>({ kind: literal("ping"), token: u64 }),
  },
  "pong": {
    type: 0x1b,
    from: "C, R",
    body: struct<Pong>({ kind: literal("pong"), token: u64 }),
  },
  "refused": {
    type: 0x1c,
    from: "R",
    body: struct<Refused>({
      kind: literal("refused"),
      room: ROOM_ID,
      code: enumeration(REFUSED_CODES, u16),
      message: MESSAGE,
    }),
  },
  "closing": {
    type: 0x1d,
    from: "R",
    body: struct<Closing>({
      kind: literal("closing"),
      code: enumeration(CLOSING_CODES, u16),
      message: MESSAGE,
    }),
  },
  "admit": {
    type: 0x1e,
    from: "C",
    body: struct<Admit>({
      kind: literal("admit"),
      room: ROOM_ID,
      handle: HANDLE,
      ticket: TICKET_BYTES,
    }),
  },
  "login-start": {
    type: 0x30,
    from: "C",
    body: struct<LoginStart>({
      kind: literal("login-start"),
      account: ACCOUNT_NAME,
      ke1: bytes(96),
    }),
  },
  "login-answer": {
    type: 0x31,
    from: "R",
    body: struct<LoginAnswer>({ kind: literal("login-answer"), ke2: bytes(320) }),
  },
  "login-finish": {
    type: 0x32,
    from: "C",
    body: struct<LoginFinish>({ kind: literal("login-finish"), ke3: bytes(64), proof: bytes(32) }),
  },
  "logged-in": {
    type: 0x33,
    from: "R",
    body: struct<LoggedIn>({ kind: literal("logged-in") }),
  },
  "register-start": {
    type: 0x34,
    from: "C",
    body: struct<RegisterStart>({
      kind: literal("register-start"),
      account: ACCOUNT_NAME,
      code: str(MAX_CODE_BYTES),
      request: bytes(32),
    }),
  },
  "register-answer": {
    type: 0x35,
    from: "R",
    body: struct<RegisterAnswer>({ kind: literal("register-answer"), response: bytes(64) }),
  },
  "register-finish": {
    type: 0x36,
    from: "C",
    body: struct<RegisterFinish>({ kind: literal("register-finish"), record: bytes(192) }),
  },
  "registered": {
    type: 0x37,
    from: "R",
    body: struct<Registered>({ kind: literal("registered") }),
  },
  "login-refused": {
    type: 0x38,
    from: "R",
    body: struct<LoginRefused>({
      kind: literal("login-refused"),
      code: enumeration(LOGIN_REFUSED_CODES, u16),
      waitMs: u32,
      message: MESSAGE,
    }),
  },
  "key-changes": {
    type: 0x40,
    from: "R",
    body: struct<KeyChanges>({ kind: literal("key-changes"), statements: KEY_CHANGES }),
  },
};

const KIND_BY_TYPE = new Map<number, RelayMessageKind>();
for (const kind in RELAY_MESSAGES) {
  if (isKind(kind)) KIND_BY_TYPE.set(RELAY_MESSAGES[kind].type, kind);
}

function isKind(kind: string): kind is RelayMessageKind {
  return Object.hasOwn(RELAY_MESSAGES, kind);
}

/** For error messages: made once. */
const NAMES: Readonly<Record<string, string>> = Object.fromEntries(
  [...KIND_BY_TYPE.values()].map((kind) => [kind, `relay message ${kind}`]),
);

/** Writes type and fields; generic so that each kind meets the codec of its own row. */
function write<K extends RelayMessageKind>(w: Writer, kind: K, message: RelayMessages[K]): void {
  const row = RELAY_MESSAGES[kind];
  w.uint(row.type, 1);
  row.body.encode(w, message);
}

function sizeHint(message: RelayMessage): number {
  // Exact for what is frequent, or the payload would be copied once more at the end.
  if (message.kind === "broadcast") return OFFSET_BROADCAST_PAYLOAD + message.payload.length;
  if (message.kind === "direct") return OFFSET_DIRECT_PAYLOAD + message.payload.length;
  return 128;
}

/**
 * The body of a frame: type and fields.
 *
 * @throws {RangeError} if a field is out of its range
 */
export function encodeRelayMessage(message: RelayMessage): Bytes {
  const w = new Writer(sizeHint(message));
  write(w, message.kind, message);
  return w.finish();
}

/**
 * The whole frame, length included, written in one go.
 *
 * @throws {RangeError} if a field is out of its range
 */
export function frameRelayMessage(message: RelayMessage): Bytes {
  const w = new Writer(sizeHint(message) + FRAME_HEADER_BYTES);
  w.zeros(FRAME_HEADER_BYTES);
  write(w, message.kind, message);
  w.patchU32(0, w.length - FRAME_HEADER_BYTES);
  return w.finish();
}

/**
 * Reads the body of one frame. Every field is a copy: the frame's buffer may be used again.
 *
 * Who may send the message is for the caller to check, by the row's `from`.
 *
 * @param lends the payload of BROADCAST and DIRECT is a view of the body: for a caller whose bodies are never written
 *   to again, and who copies what is to be kept
 * @returns the message, or its type if this version does not know it
 * @throws {WireError} if the body is not what its type says
 */
export function decodeRelayMessage(
  body: Uint8Array,
  lends = false,
): RelayMessage | UnknownRelayMessage {
  const type = body[0];
  if (type === undefined) throw new WireError("truncated", "relay message", 0, "no type");
  const kind = KIND_BY_TYPE.get(type);
  if (kind === undefined) return { kind: "unknown", type, critical: type >= 0x80 };
  const isPayload = kind === "broadcast" || kind === "direct";
  const r = new Reader(body, NAMES[kind], lends && isPayload);
  r.uint(1);
  const message = RELAY_MESSAGES[kind].body.decode(r);
  r.end();
  return message;
}
