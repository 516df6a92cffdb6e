/**
 * One arbitrary for each structure of src/wire, for the properties that hold for all of them.
 */
import fc from "fast-check";
import { isAccountName } from "../../src/wire/account_name.ts";
import * as agreement from "../../src/wire/agreement.ts";
import { type Bytes, type Codec, decode, encode } from "../../src/wire/codec.ts";
import * as commit from "../../src/wire/commit.ts";
import * as handshake from "../../src/wire/handshake.ts";
import * as ids from "../../src/wire/ids.ts";
import * as keyChange from "../../src/wire/key_change.ts";
import { MAX_CODE_BYTES, MAX_KEY_CHANGES, MAX_REASON_BYTES } from "../../src/wire/limits.ts";
import { isName } from "../../src/wire/name.ts";
import { decodePadded, encodePadded } from "../../src/wire/padding.ts";
import * as relay from "../../src/wire/relay_message.ts";
import * as repair from "../../src/wire/repair.ts";
import * as room from "../../src/wire/room_message.ts";
import * as sealed from "../../src/wire/sealed_message.ts";
import { type Signed, signedOf } from "../../src/wire/signed.ts";
import * as succession from "../../src/wire/succession.ts";
import * as ticket from "../../src/wire/ticket.ts";

/** A structure, and how to make, write and read one. */
export interface Sample {
  readonly name: string;
  /** Encoded values. */
  readonly encoded: fc.Arbitrary<Bytes>;
  /** Reads bytes; what it returns encodes again, or undefined for a type that is not known. */
  readonly read: (bytes: Uint8Array) => (() => Bytes) | undefined;
  /** Checks that a value survives. */
  readonly roundTrip: fc.Arbitrary<{ readonly before: unknown; readonly after: unknown }>;
  /** Whether it ends in `rest`, so that a shorter or longer one can be valid too. */
  readonly open: boolean;
}

function sample<T>(
  name: string,
  values: fc.Arbitrary<T>,
  write: (value: T) => Bytes,
  read: (bytes: Uint8Array) => T | undefined,
  open = false,
): Sample {
  return {
    name,
    encoded: values.map(write),
    read(bytes) {
      const value = read(bytes);
      return value === undefined ? undefined : () => write(value);
    },
    roundTrip: values.map((before) => ({ before, after: read(write(before)) })),
    open,
  };
}

function ofCodec<T>(name: string, codec: Codec<T>, values: fc.Arbitrary<T>): Sample {
  return sample(name, values, (v) => encode(codec, v), (b) => decode(codec, b, name));
}

// Without the option objects come without a prototype, and strict equality looks at it.
function record<T extends object>(
  model: { readonly [K in keyof T]: fc.Arbitrary<T[K]> },
): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true });
}

/** Exactly `length` bytes. */
export function bytesOf(length: number): fc.Arbitrary<Bytes> {
  return bytesUpTo(length, length);
}

/** `min` to `max` bytes. */
export function bytesUpTo(max: number, min = 0): fc.Arbitrary<Bytes> {
  return fc.uint8Array({ minLength: min, maxLength: max }).map((bytes) => new Uint8Array(bytes));
}

const u8 = fc.nat({ max: 255 });
const u32 = fc.nat({ max: 0xffffffff });
const u64 = fc.maxSafeNat();
const relayKey = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((b) => ids.relayKey(b));
const text = fc.string({ unit: "grapheme", maxLength: 40 });
const roomId = bytesOf(16).map(ids.roomId);
const handle = bytesOf(16).map(ids.handle);
const signature = bytesOf(64).map(ids.signature);
const hash = bytesOf(32).map(ids.hash);
const h = bytesOf(32).map(ids.epochHash);
const identity = bytesOf(32).map(ids.identityKey);
const gateKey = bytesOf(32).map(ids.gateKey);
const roomKey = bytesOf(32).map(ids.roomKey);
const na = bytesOf(32).map(ids.joinNonce);
const runId = bytesOf(16).map(ids.runId);
// Long random strings are slow to make, and their content changes nothing.
const kemKey = u8.map((fill) => ids.kemKey(new Uint8Array(1184).fill(fill)));
const wrap = u8.map((fill) => ids.wrapBytes(new Uint8Array(1520).fill(fill)));
const ticketBytes = u8.map((fill) => ids.ticketBytes(new Uint8Array(184).fill(fill)));
const leaf = u32.map(ids.leaf);
const epoch = u64.map(ids.epoch);
const ticketEpoch = u64.map(ids.ticketEpoch);
/** Names of persons and rooms. */
export const names: fc.Arbitrary<string> = fc.string({
  unit: "grapheme",
  minLength: 1,
  maxLength: 12,
}).map((s) => s.normalize("NFKC").trim()).filter(isName);

function keysOf<T extends object>(object: T): fc.Arbitrary<keyof T & string> {
  const keys: (keyof T & string)[] = [];
  for (const key in object) keys.push(key);
  return fc.constantFrom(...keys);
}

function ofSigned<T>(body: Codec<T>, values: fc.Arbitrary<T>): fc.Arbitrary<Signed<T>> {
  return fc.tuple(values, signature).map(([value, sig]) => signedOf(body, value, sig));
}

const versions = { minVersion: u8, maxVersion: u8 };
const hello = ofSigned(
  handshake.HELLO_BODY,
  record({ ...versions, room: roomId, admin: identity, runId, na, kemKey }),
);
const cert = ofSigned(
  handshake.CERT_BODY,
  record({
    ...versions,
    room: roomId,
    admin: identity,
    na,
    identity,
    generation: u64.map(ids.generation),
    sessionKey: bytesOf(32).map(ids.sessionKey),
    gateKey,
    wrapHash: hash,
    name: names,
  }),
);
const bundle = record({
  na,
  ciphertext: u8.map((fill) => ids.kemCiphertext(new Uint8Array(1088).fill(fill))),
  box: bytesUpTo(80),
});
const bundleInner = record({
  cert: bytesUpTo(60),
  rsaSpki: bytesUpTo(60),
  kemKey,
  inviteId: bytesOf(8).map(ids.inviteId),
  mac: bytesOf(32),
});
const knock = record(versions);
const pending = record({ reason: keysOf(handshake.PENDING_REASONS) });
const denied = record({ code: keysOf(handshake.DENIED_CODES), signature });
const leaves = fc.uniqueArray(
  record({ leaf, via: keysOf(commit.VIAS), cert: bytesUpTo(20) }),
  { selector: (entry) => entry.leaf, maxLength: 4 },
).map((list) => list.sort((a, b) => a.leaf - b.leaf));
const commits = ofSigned(
  commit.COMMIT_BODY,
  record({
    suite: fc.constant(commit.SUITE),
    room: roomId,
    epoch,
    prev: h,
    runId,
    kc: hash,
    rosterKc: hash,
    wraps: fc.uniqueArray(
      record({ tag: bytesOf(16).map(ids.wrapTag), wrapHash: hash }),
      { selector: (entry) => ids.toHex(entry.tag), maxLength: 4 },
    ).map((list) => list.sort((a, b) => commit.compareBytes(a.tag, b.tag))),
    rosterBox: bytesUpTo(60),
  }),
);
const change = record<commit.Change>({
  reason: keysOf(commit.COMMIT_REASONS),
  adminLeaf: leaf,
  deputies: fc.array(leaf, { maxLength: 3 }),
  roomName: names,
  newRoomSecret: fc.option(bytesOf(32).map(ids.roomSecret), { nil: undefined }),
  added: leaves,
  removed: fc.array(
    record({
      leaf,
      reason: keysOf(commit.REMOVAL_REASONS),
      count: u64,
      hash,
      earlier: fc.uniqueArray(record({ epoch, count: u64, hash }), {
        selector: (of) => of.epoch,
        maxLength: 3,
      }).map((list) => list.sort((a, b) => a.epoch - b.epoch)),
    }),
    { maxLength: 3 },
  ),
});
const roster = record({ roomSecret: bytesOf(32).map(ids.roomSecret), leaves });
const wrapMessage = record({ epoch, wrap, ticket: ticketBytes });
const welcome = record({
  commit: bytesUpTo(40),
  wrap,
  ticket: ticketBytes,
  roomKey,
  rosterBox: bytesUpTo(40),
});
const kemUpdate = ofSigned(
  commit.KEM_UPDATE_BODY,
  record({ room: roomId, leaf, h, kemKey }),
);
const kemAck = ofSigned(
  commit.KEM_ACK_BODY,
  record({ room: roomId, leaf, h, kemKeyHash: hash }),
);
const catchUp = ofSigned(commit.CATCH_UP_BODY, record({ room: roomId, leaf, epoch, h }));

const caughtUp = ofSigned(
  commit.CAUGHT_UP_BODY,
  record({
    room: roomId,
    leaf,
    epoch,
    h,
    counts: fc.uniqueArray(record({ leaf, count: u64 }), { maxLength: 5, selector: (c) => c.leaf })
      .map((counts) => counts.sort((a, b) => a.leaf - b.leaf)),
  }),
);
const repairRequest = ofSigned(
  repair.REPAIR_REQUEST_BODY,
  record({
    room: roomId,
    requester: leaf,
    epoch,
    leaf,
    numbers: fc.uniqueArray(u64, { maxLength: 5 }).map((ns) => ns.sort((a, b) => a - b)),
  }),
);
const warrant = ofSigned(
  succession.WARRANT_BODY,
  record({
    room: roomId,
    admin: identity,
    successor: identity,
    epoch,
    h,
    purpose: keysOf(succession.WARRANT_PURPOSES),
  }),
);
const grant = ofSigned(
  succession.GRANT_BODY,
  record({ warrant, tag: bytesOf(16).map(ids.wrapTag), wrap }),
);
const successions = ofSigned(succession.SUCCESSION_BODY, record({ warrant, epoch, prev: h }));
const memberKeys = ofSigned(
  succession.KEYS_BODY,
  record({ room: roomId, leaf, h, successor: identity, rsaSpki: bytesUpTo(60), kemKey }),
);
const viewRequest = ofSigned(
  agreement.VIEW_REQUEST_BODY,
  record({ room: roomId, requester: leaf, h, nonce: bytesOf(32) }),
);
const view = ofSigned(
  agreement.VIEW_BODY,
  record({
    room: roomId,
    leaf,
    h,
    nonce: bytesOf(32),
    heard: fc.uniqueArray(record({ leaf, count: u64, hash }), {
      maxLength: 5,
      selector: (position) => position.leaf,
    }).map((heard) => heard.sort((a, b) => a.leaf - b.leaf)),
  }),
);
const ownerAsk = record({ nonce: bytesOf(32) });
const ownerHere = ofSigned(
  succession.OWNER_HERE_BODY,
  record({ room: roomId, admin: identity, runId, nonce: bytesOf(32) }),
);

const account = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,31}$/).map((name) => {
  if (!isAccountName(name)) throw new Error(`"${name}" is no account's name`);
  return name;
});

const relayMessages: {
  readonly [K in relay.RelayMessageKind]: fc.Arbitrary<relay.RelayMessages[K]>;
} = {
  "broadcast": record({
    kind: fc.constant("broadcast"),
    room: roomId,
    from: handle,
    payload: bytesUpTo(40, 1),
  }),
  "direct": record({
    kind: fc.constant("direct"),
    room: roomId,
    from: handle,
    to: handle,
    payload: bytesUpTo(40, 1),
  }),
  "challenge": record({
    kind: fc.constant("challenge"),
    ...versions,
    nonce: bytesOf(32).map(ids.challenge),
    maxFrame: u32,
    access: u8,
  }),
  "start": record({ kind: fc.constant("start"), version: u8 }),
  "enter": record({
    kind: fc.constant("enter"),
    room: roomId,
    role: keysOf(ticket.ROLES),
    credential: bytesUpTo(ticket.MAX_CREDENTIAL_BYTES),
  }),
  "entered": record({
    kind: fc.constant("entered"),
    room: roomId,
    handle,
    role: keysOf(ticket.ROLES),
    ownerPresent: fc.boolean(),
  }),
  "leave": record({ kind: fc.constant("leave"), room: roomId }),
  "gone": record({
    kind: fc.constant("gone"),
    room: roomId,
    handle,
    reason: keysOf(relay.GONE_REASONS),
  }),
  "owner": record({ kind: fc.constant("owner"), room: roomId, present: fc.boolean() }),
  "evict": record({ kind: fc.constant("evict"), room: roomId, handle, bar: fc.boolean() }),
  "set-min": record({ kind: fc.constant("set-min"), room: roomId, ticketEpoch }),
  "renew": record({ kind: fc.constant("renew"), ticket: ticketBytes }),
  "ping": record({ kind: fc.constant("ping"), token: u64 }),
  "pong": record({ kind: fc.constant("pong"), token: u64 }),
  "refused": record({
    kind: fc.constant("refused"),
    room: roomId,
    code: keysOf(relay.REFUSED_CODES),
    message: text.filter((s) => new TextEncoder().encode(s).length <= MAX_REASON_BYTES),
  }),
  "closing": record({
    kind: fc.constant("closing"),
    code: keysOf(relay.CLOSING_CODES),
    message: text.filter((s) => new TextEncoder().encode(s).length <= MAX_REASON_BYTES),
  }),
  "admit": record({ kind: fc.constant("admit"), room: roomId, handle, ticket: ticketBytes }),
  "key-changes": record({
    kind: fc.constant("key-changes"),
    statements: fc.array(
      ofSigned(
        keyChange.KEY_CHANGE_BODY,
        record({ old: relayKey, next: relayKey, from: u64, until: u64 }),
      ),
      { maxLength: MAX_KEY_CHANGES },
    ),
  }),
  "login-start": record({ kind: fc.constant("login-start"), account, ke1: bytesOf(96) }),
  "login-answer": record({ kind: fc.constant("login-answer"), ke2: bytesOf(320) }),
  "login-finish": record({
    kind: fc.constant("login-finish"),
    ke3: bytesOf(64),
    proof: bytesOf(32),
  }),
  "logged-in": record({ kind: fc.constant("logged-in") }),
  "register-start": record({
    kind: fc.constant("register-start"),
    account,
    code: text.filter((s) => new TextEncoder().encode(s).length <= MAX_CODE_BYTES),
    request: bytesOf(32),
  }),
  "register-answer": record({ kind: fc.constant("register-answer"), response: bytesOf(64) }),
  "register-finish": record({ kind: fc.constant("register-finish"), record: bytesOf(192) }),
  "registered": record({ kind: fc.constant("registered") }),
  "login-refused": record({
    kind: fc.constant("login-refused"),
    code: keysOf(relay.LOGIN_REFUSED_CODES),
    waitMs: u32,
    message: text.filter((s) => new TextEncoder().encode(s).length <= MAX_REASON_BYTES),
  }),
};

/** Any message between participant and relay. */
export const anyRelayMessage: fc.Arbitrary<relay.RelayMessage> = fc.oneof(
  ...Object.values(relayMessages),
);

const sealedContents: {
  readonly [K in sealed.SealedKind]: fc.Arbitrary<sealed.SealedContents[K]>;
} = {
  "knock": knock,
  "hello": hello,
  "bundle": bundle,
  "pending": pending,
  "denied": denied,
  "welcome": welcome,
  "commit": commits,
  "wrap": wrapMessage,
  "kem-update": kemUpdate,
  "kem-ack": kemAck,
  "catch-up": catchUp,
  "caught-up": caughtUp,
  "repair-request": repairRequest,
  "repair": record({
    payload: fc.uint8Array({ minLength: 56, maxLength: 300 }).map((b) => new Uint8Array(b)),
  }),
  "succession": successions,
  "grant": grant,
  "keys": memberKeys,
  "view-request": viewRequest,
  "view": view,
  "owner-ask": ownerAsk,
  "owner-here": ownerHere,
};

function sealedSample<K extends sealed.SealedKind>(kind: K): Sample {
  const { direction, codec } = sealed.SEALED_TYPES[kind];
  return {
    name: `sealed ${kind}`,
    encoded: sealedContents[kind].map((content) => sealed.encodeSealedMessage(kind, content)),
    read(bytes) {
      const message = sealed.decodeSealedMessage(bytes, direction);
      if (message.kind === "unknown") return undefined;
      return () => sealed.encodeSealedMessage(message.kind, message.content);
    },
    roundTrip: sealedContents[kind].map((content) => {
      const plaintext = sealed.encodeSealedMessage(kind, content);
      const again = decode(codec, encode(codec, { kind, content }));
      return { before: again, after: sealed.decodeSealedMessage(plaintext, direction) };
    }),
    open: false,
  };
}

const roomMessages: {
  readonly [K in room.RoomMessageKind]: fc.Arbitrary<room.RoomMessages[K]>;
} = {
  "text": record({
    kind: fc.constant("text"),
    id: bytesOf(16).map(ids.messageId),
    sentAt: u64,
    text,
  }),
  "close": record({ kind: fc.constant("close"), epoch, count: u64, hash }),
  "heartbeat": record({ kind: fc.constant("heartbeat"), count: u64, hash, digest: hash }),
  "leave": record({ kind: fc.constant("leave") }),
};

function relaySample<K extends relay.RelayMessageKind>(kind: K): Sample {
  return sample<relay.RelayMessage>(
    `relay message ${kind}`,
    relayMessages[kind],
    relay.encodeRelayMessage,
    (bytes) => {
      const message = relay.decodeRelayMessage(bytes);
      return message.kind === "unknown" ? undefined : message;
    },
    kind === "broadcast" || kind === "direct",
  );
}

function roomSample<K extends room.RoomMessageKind>(kind: K): Sample {
  return sample<room.RoomMessage>(
    `room message ${kind}`,
    roomMessages[kind],
    (message) => room.encodeRoomMessage(message).content,
    (bytes) => {
      const message = room.decodeRoomMessage(room.ROOM_MESSAGES[kind].type, bytes);
      return message.kind === "unknown" ? undefined : message;
    },
    kind === "text",
  );
}

function kinds<T extends object>(table: T): (keyof T & string)[] {
  const all: (keyof T & string)[] = [];
  for (const kind in table) all.push(kind);
  return all;
}

/** Every structure of the protocol. */
export const SAMPLES: readonly Sample[] = [
  ...kinds(relay.RELAY_MESSAGES).map(relaySample),
  ofCodec(
    "ticket",
    ticket.TICKET_BODY,
    record({
      room: roomId,
      ticketEpoch,
      expires: u64,
      gateKey,
    }),
  ),
  ofCodec(
    "member credential",
    ticket.MEMBER_CREDENTIAL,
    record({
      roomKey,
      ticket: ticketBytes,
      signature,
    }),
  ),
  ofCodec("owner credential", ticket.OWNER_CREDENTIAL, record({ roomKey, signature })),
  ofCodec("knock", handshake.KNOCK, knock),
  ofCodec("hello", handshake.HELLO, hello),
  ofCodec("bundle", handshake.BUNDLE, bundle),
  ofCodec("bundle inner", handshake.BUNDLE_INNER, bundleInner),
  ofCodec("cert", handshake.CERT, cert),
  ofCodec("pending", handshake.PENDING, pending),
  ofCodec("denied", handshake.DENIED, denied),
  ofCodec("commit", commit.COMMIT, commits),
  ofCodec("change", commit.CHANGE, change),
  sample(
    "padded change",
    change,
    (v) => encodePadded(commit.CHANGE, v),
    (b) => decodePadded(commit.CHANGE, b),
  ),
  ofCodec("roster", commit.ROSTER, roster),
  ofCodec("welcome", commit.WELCOME, welcome),
  ofCodec("wrap", commit.WRAP, wrapMessage),
  ofCodec("kem update", commit.KEM_UPDATE, kemUpdate),
  ofCodec("kem ack", commit.KEM_ACK, kemAck),
  ofCodec("catch up", commit.CATCH_UP, catchUp),
  ofCodec("caught up", commit.CAUGHT_UP, caughtUp),
  ofCodec("repair request", repair.REPAIR_REQUEST, repairRequest),
  ofCodec("warrant", succession.WARRANT, warrant),
  ofCodec("grant", succession.GRANT, grant),
  ofCodec("succession", succession.SUCCESSION, successions),
  ofCodec("keys", succession.KEYS, memberKeys),
  ofCodec("view request", agreement.VIEW_REQUEST, viewRequest),
  ofCodec("view", agreement.VIEW, view),
  ofCodec("owner ask", succession.OWNER_ASK, ownerAsk),
  ofCodec("owner here", succession.OWNER_HERE, ownerHere),
  ...kinds(sealed.SEALED_TYPES).map(sealedSample),
  sample(
    "message plaintext",
    record({ type: u8, content: bytesUpTo(300), signature }),
    room.encodeMessagePlaintext,
    (bytes) => {
      // Views, for once: whoever decodes it reads it at once.
      const { type, content, signature } = room.decodeMessagePlaintext(bytes);
      return { type, content: new Uint8Array(content), signature: ids.signature(signature) };
    },
  ),
  ...kinds(room.ROOM_MESSAGES).map(roomSample),
];
