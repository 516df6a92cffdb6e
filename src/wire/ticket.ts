/**
 * Tickets and the credentials of ENTER: what the gate asks of somebody who enters a room.
 *
 * @see docs/PROTOCOL.md §3.1, §3.2
 * @module
 */
import { type Bytes, type Codec, decode, encode, struct, thenZeros, u64, u8 } from "./codec.ts";
import {
  CHALLENGE,
  type Challenge,
  GATE_KEY,
  type GateKey,
  RELAY_KEY,
  type RelayKey,
  ROOM_ID,
  ROOM_KEY,
  type RoomId,
  type RoomKey,
  SIGNATURE,
  type Signature,
  TICKET_BYTES,
  TICKET_EPOCH,
  type TicketBytes,
  ticketBytes,
  type TicketEpoch,
} from "./ids.ts";
import { decodeSigned, encodeSigned, type Signed } from "./signed.ts";

/** The roles of a connection in a room, with their numbers. §3 */
export const ROLES = { knocker: 0, member: 1, owner: 2 } as const;

/** What a connection is in a room. §3 */
export type Role = keyof typeof ROLES;

/** What a ticket says; the room key signs it. */
export interface Ticket {
  /** The only room it is good for. */
  readonly room: RoomId;
  /** Epoch of the commit that came with it. */
  readonly ticketEpoch: TicketEpoch;
  /** Seconds since 1970. */
  readonly expires: number;
  /** The member's key that signs the relay's challenge. */
  readonly gateKey: GateKey;
}

/** The 120 bytes of a TICKET that are signed, kind `ticket`. */
export const TICKET_BODY: Codec<Ticket> = thenZeros(
  struct<Ticket>({ room: ROOM_ID, ticketEpoch: TICKET_EPOCH, expires: u64, gateKey: GATE_KEY }),
  56,
);

/** Reads a ticket. @throws {WireError} if it is none; the signature is not looked at */
export function decodeTicket(bytes: TicketBytes): Signed<Ticket> {
  return decodeSigned(TICKET_BODY, bytes, "ticket");
}

/** The 184 bytes of a ticket, from its encoded body and the room key's signature over it. */
export function encodeTicket(body: Uint8Array, signature: Signature): TicketBytes {
  return ticketBytes(encodeSigned(body, signature));
}

/** Credential of a member, 280 bytes. */
export interface MemberCredential {
  /** The room's public key, which has to fit the room id. */
  readonly roomKey: RoomKey;
  /** Signed by that key. */
  readonly ticket: TicketBytes;
  /** Kind `enter`, by the ticket's gate key. */
  readonly signature: Signature;
}

/** Credential of an owner, 96 bytes. */
export interface OwnerCredential {
  /** The room's public key, which has to fit the room id. */
  readonly roomKey: RoomKey;
  /** Kind `enter`, by the room key. */
  readonly signature: Signature;
}

/** Codec of {@link MemberCredential}. */
export const MEMBER_CREDENTIAL: Codec<MemberCredential> = struct<MemberCredential>({
  roomKey: ROOM_KEY,
  ticket: TICKET_BYTES,
  signature: SIGNATURE,
});

/** Codec of {@link OwnerCredential}. */
export const OWNER_CREDENTIAL: Codec<OwnerCredential> = struct<OwnerCredential>({
  roomKey: ROOM_KEY,
  signature: SIGNATURE,
});

/** Bytes of the longest credential, a member's. */
export const MAX_CREDENTIAL_BYTES = 280;

/** What ENTER brings, read by its role. */
export type Credential =
  | { /** Nothing is asked. */ readonly role: "knocker" }
  | ({ /** A ticket. */ readonly role: "member" } & MemberCredential)
  | ({ /** The room key. */ readonly role: "owner" } & OwnerCredential);

/**
 * Reads the credential of an ENTER.
 *
 * @throws {WireError} if it is not of the role's form: a refusal, `bad-credential`
 */
export function decodeCredential(role: Role, credential: Uint8Array): Credential {
  switch (role) {
    case "knocker":
      decode(struct({}), credential, "knocker credential");
      return { role };
    case "member":
      return { role, ...decode(MEMBER_CREDENTIAL, credential, "member credential") };
    case "owner":
      return { role, ...decode(OWNER_CREDENTIAL, credential, "owner credential") };
  }
}

/** The bytes for ENTER's `credential`. */
export function encodeCredential(credential: Credential): Bytes {
  switch (credential.role) {
    case "knocker":
      return new Uint8Array(0);
    case "member":
      return encode(MEMBER_CREDENTIAL, credential);
    case "owner":
      return encode(OWNER_CREDENTIAL, credential);
  }
}

/** What somebody who enters signs, kind `enter`. */
export interface EnterProof {
  /** The relay's challenge on this connection. */
  readonly nonce: Challenge;
  /** The relay that we believe to speak with: its TLS key. */
  readonly relayKey: RelayKey;
  /** The room to enter. */
  readonly room: RoomId;
  /** The role to enter with. */
  readonly role: Role;
}

const ENTER_PROOF = struct({ nonce: CHALLENGE, relayKey: RELAY_KEY, room: ROOM_ID, role: u8 });

/** The body that ENTER's signature covers: `nonce ‖ relay key ‖ room ‖ role u8`. */
export function enterBody(proof: EnterProof): Bytes {
  return encode(ENTER_PROOF, { ...proof, role: ROLES[proof.role] });
}
