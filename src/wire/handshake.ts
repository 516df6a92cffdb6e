/**
 * The structures by which somebody joins a room.
 *
 * Each signed structure has a codec of its body, which is what is signed, and one of the whole.
 *
 * @see docs/PROTOCOL.md §6
 * @module
 */
import { b16, b32, type Bytes, type Codec, encode, enumeration, struct, u8 } from "./codec.ts";
import {
  GATE_KEY,
  type GateKey,
  GENERATION,
  type Generation,
  HASH,
  type Hash,
  IDENTITY_KEY,
  type IdentityKey,
  INVITE_ID,
  type InviteId,
  JOIN_NONCE,
  type JoinNonce,
  KEM_CIPHERTEXT,
  KEM_KEY,
  type KemCiphertext,
  type KemKey,
  ROOM_ID,
  type RoomId,
  RUN_ID,
  type RunId,
  SESSION_KEY,
  type SessionKey,
  SIGNATURE,
  type Signature,
} from "./ids.ts";
import { NAME } from "./name.ts";
import { decodeSigned, type Signed, signed } from "./signed.ts";

/** Bytes of the longest CERT: all fields, a name of 64 bytes, and the signature. */
export const MAX_CERT_BYTES = 348;
/** Bytes of the SPKI of an RSA key of 3072 bits with e = 65537: there is no other length. */
export const RSA_SPKI_BYTES = 422;
/** Bytes of the longest box of a BUNDLE: the longest inner, and a tag. */
export const MAX_BUNDLE_BOX_BYTES: number = 2 + MAX_CERT_BYTES + 2 + RSA_SPKI_BYTES + 1184 + 8 +
  32 + 16;

/** A CERT as it travels: its body and signature. */
export const CERT_BYTES: Codec<Bytes> = b16(MAX_CERT_BYTES);

/** KNOCK: which versions of the room layer the joiner speaks. */
export interface Knock {
  /** Lowest. */
  readonly minVersion: number;
  /** Highest. */
  readonly maxVersion: number;
}

/** Codec of {@link Knock}. */
export const KNOCK: Codec<Knock> = struct<Knock>({ minVersion: u8, maxVersion: u8 });

/** HELLO: who administers, and what a BUNDLE is to be made of. */
export interface Hello {
  /** Lowest version that the admin speaks. */
  readonly minVersion: number;
  /** Highest version that the admin speaks. */
  readonly maxVersion: number;
  /** Which room. */
  readonly room: RoomId;
  /** Who signs. */
  readonly admin: IdentityKey;
  /** Of this start of the admin. */
  readonly runId: RunId;
  /** For this handle and one BUNDLE. */
  readonly na: JoinNonce;
  /** One-use ML-KEM key that the BUNDLE is sealed to. */
  readonly kemKey: KemKey;
}

/** What the admin signs, kind `hello`. */
export const HELLO_BODY: Codec<Hello> = struct<Hello>({
  minVersion: u8,
  maxVersion: u8,
  room: ROOM_ID,
  admin: IDENTITY_KEY,
  runId: RUN_ID,
  na: JOIN_NONCE,
  kemKey: KEM_KEY,
});

/** Codec of a whole HELLO. */
export const HELLO: Codec<Signed<Hello>> = signed(HELLO_BODY);

/** CERT: a session's keys, vouched for by an identity. */
export interface Cert {
  /** Lowest version that the joiner speaks. */
  readonly minVersion: number;
  /** Highest version that the joiner speaks. */
  readonly maxVersion: number;
  /** The only room it is good for. */
  readonly room: RoomId;
  /** The only admin it is good for. */
  readonly admin: IdentityKey;
  /** The admin's nonce that it answers. */
  readonly na: JoinNonce;
  /** Who signs. */
  readonly identity: IdentityKey;
  /** Above every one before of this identity. */
  readonly generation: Generation;
  /** Verifies this session's messages. */
  readonly sessionKey: SessionKey;
  /** Goes into the ticket. */
  readonly gateKey: GateKey;
  /** SHA-256 of the keys that S is wrapped to, see `wrapKeysInput`. */
  readonly wrapHash: Hash;
  /** How the person is called in this room; foreign text. */
  readonly name: string;
}

/** What the joiner's identity signs, kind `cert`. */
export const CERT_BODY: Codec<Cert> = struct<Cert>({
  minVersion: u8,
  maxVersion: u8,
  room: ROOM_ID,
  admin: IDENTITY_KEY,
  na: JOIN_NONCE,
  identity: IDENTITY_KEY,
  generation: GENERATION,
  sessionKey: SESSION_KEY,
  gateKey: GATE_KEY,
  wrapHash: HASH,
  name: NAME,
});

/** Codec of a whole CERT. */
export const CERT: Codec<Signed<Cert>> = signed(CERT_BODY);

/** Reads a CERT. @throws {WireError} if it is none; the signature is not looked at */
export function decodeCert(bytes: Uint8Array): Signed<Cert> {
  return decodeSigned(CERT_BODY, bytes, "cert");
}

/** BUNDLE: what the joiner asks to be admitted with. */
export interface Bundle {
  /** The HELLO's. */
  readonly na: JoinNonce;
  /** Encapsulated to the HELLO's one-use key. */
  readonly ciphertext: KemCiphertext;
  /** A sealed {@link BundleInner}. */
  readonly box: Bytes;
}

/** Codec of {@link Bundle}. */
export const BUNDLE: Codec<Bundle> = struct<Bundle>({
  na: JOIN_NONCE,
  ciphertext: KEM_CIPHERTEXT,
  box: b32(MAX_BUNDLE_BOX_BYTES),
});

/** What is in a BUNDLE's box. */
export interface BundleInner {
  /** CERT and signature; `decodeCert` reads it. */
  readonly cert: Bytes;
  /** DER; to be checked before it is imported. */
  readonly rsaSpki: Bytes;
  /** The first key that S is wrapped to. */
  readonly kemKey: KemKey;
  /** `NO_INVITE` for none. */
  readonly inviteId: InviteId;
  /** Under the invite's MAC key over `inviteMacInput(cert)`. */
  readonly mac: Bytes;
}

/** Codec of {@link BundleInner}. */
export const BUNDLE_INNER: Codec<BundleInner> = struct<BundleInner>({
  cert: CERT_BYTES,
  rsaSpki: b16(RSA_SPKI_BYTES),
  kemKey: KEM_KEY,
  inviteId: INVITE_ID,
  mac: HASH,
});

/** What a joiner waits for, with its number. §6 */
export const PENDING_REASONS = { "asking": 1 } as const;

/** PENDING: the answer will take a person's time. */
export interface Pending {
  /** `asking`: a person is asked. */
  readonly reason: keyof typeof PENDING_REASONS;
}

/** Codec of {@link Pending}. */
export const PENDING: Codec<Pending> = struct<Pending>({ reason: enumeration(PENDING_REASONS) });

/** The codes of DENIED with their numbers. §6 */
export const DENIED_CODES = {
  "denied": 1,
  "invite-invalid": 2,
  "barred": 3,
  "name-taken": 4,
  "room-full": 5,
  "bad-request": 6,
  "unsupported": 7,
} as const;

/** Why somebody was not admitted. */
export type DeniedCode = keyof typeof DENIED_CODES;

const DENIED_CODE = enumeration(DENIED_CODES);

/** DENIED: not admitted. Its signature covers {@link deniedBody}, most of which does not travel. */
export interface Denied {
  /** Why. */
  readonly code: DeniedCode;
  /** Kind `deny`, by the admin. */
  readonly signature: Signature;
}

/** Codec of {@link Denied}. */
export const DENIED: Codec<Denied> = struct<Denied>({ code: DENIED_CODE, signature: SIGNATURE });

const DENIED_BODY = struct<{ room: RoomId; na: JoinNonce; code: DeniedCode }>({
  room: ROOM_ID,
  na: JOIN_NONCE,
  code: DENIED_CODE,
});

/** What the admin signs, kind `deny`: `room ‖ na ‖ code`. */
export function deniedBody(room: RoomId, na: JoinNonce, code: DeniedCode): Bytes {
  return encode(DENIED_BODY, { room, na, code });
}
