/**
 * Who may be a member or an owner: the judgement of tickets and credentials. Nothing here changes
 * anything. Cheap checks stand before the signatures, so that nonsense costs the relay little.
 *
 * @see docs/PROTOCOL.md §3.1, §3.2 "Entering"
 * @module
 */
import { WireError } from "../wire/codec.ts";
import { type RoomId, type RoomKey, sameBytes, type TicketBytes, toHex } from "../wire/ids.ts";
import { isOpenRoom } from "../wire/room_id.ts";
import { MAX_TICKET_LIFE_S, TICKET_CLOCK_SKEW_S } from "../wire/limits.ts";
import type { Enter, RefusedCode } from "../wire/relay_message.ts";
import {
  type Credential,
  decodeCredential,
  decodeTicket,
  enterBody,
  type MemberCredential,
  type Ticket,
} from "../wire/ticket.ts";
import {
  challengeOf,
  type GateConnection,
  type GatePorts,
  type GateRoom,
  type Now,
} from "./gate_state.ts";

/** The gate says no, with words for the person. */
export interface Refusal {
  /** No. */
  readonly ok: false;
  /** For programs. */
  readonly code: RefusedCode;
  /** For people; names nobody. */
  readonly message: string;
}

/** The gate says yes; with what the seat has to remember. */
export type Judgement =
  | Refusal
  | { readonly ok: true; readonly role: "knocker" }
  | { readonly ok: true; readonly role: "owner"; readonly roomKey: RoomKey }
  | {
    readonly ok: true;
    readonly role: "member";
    readonly roomKey: RoomKey;
    readonly ticket: Ticket;
    readonly gateKey: string;
  };

/** Makes a {@link Refusal}. */
export function refusal(code: RefusedCode, message: string): Refusal {
  return { ok: false, code, message };
}

/**
 * Whether this key governs the room: by the id of a keyed room, by what was there first in an open
 * one. An open room of which no key is remembered takes the first that proves itself, an owner's or
 * a member's: else nobody could come back before the admin after the relay was restarted.
 */
function governs(
  ports: GatePorts,
  id: RoomId,
  room: GateRoom | undefined,
  key: RoomKey,
): boolean {
  const known = room?.roomKey ?? null;
  if (known !== null) return sameBytes(known, key);
  return isOpenRoom(id) || sameBytes(ports.keyedRoomId(key), id);
}

/**
 * Judges a ticket, but for whose hands it is in.
 *
 * @param room as the gate knows it; undefined if nobody is there
 */
export function judgeTicket(
  ports: GatePorts,
  id: RoomId,
  room: GateRoom | undefined,
  roomKey: RoomKey,
  bytes: TicketBytes,
  now: Now,
): Refusal | { readonly ok: true; readonly ticket: Ticket; readonly gateKey: string } {
  let signed;
  try {
    signed = decodeTicket(bytes);
  } catch (error) {
    if (error instanceof WireError) return refusal("bad-credential", "this is no ticket");
    throw error;
  }
  const ticket = signed.value;
  if (!sameBytes(ticket.room, id)) {
    return refusal("bad-credential", "the ticket is for another room");
  }
  if (ticket.expires <= now.unixS) return refusal("ticket-expired", "the ticket has expired");
  if (ticket.expires > now.unixS + MAX_TICKET_LIFE_S + TICKET_CLOCK_SKEW_S) {
    return refusal("bad-credential", "the ticket is good for longer than a ticket may be");
  }
  if (room !== undefined && ticket.ticketEpoch < room.minTicketEpoch) {
    return refusal("ticket-revoked", "the ticket is older than the room accepts");
  }
  const gateKey = toHex(ticket.gateKey);
  if (room?.barredKeys.has(gateKey)) return refusal("barred", "this member was barred");
  if (!ports.verify(roomKey, "ticket", signed.body, signed.signature)) {
    return refusal("bad-credential", "the ticket's signature does not hold");
  }
  return { ok: true, ticket, gateKey };
}

/**
 * Judges an ENTER by its credential; limits are `gate.ts`'s.
 *
 * @param room as the gate knows it; undefined if nobody is there
 */
export function judgeEnter(
  ports: GatePorts,
  connection: GateConnection,
  room: GateRoom | undefined,
  enter: Enter,
  now: Now,
): Judgement {
  let credential: Credential;
  try {
    credential = decodeCredential(enter.role, enter.credential);
  } catch (error) {
    if (error instanceof WireError) {
      return refusal("bad-credential", `the credential is not a ${enter.role}'s`);
    }
    throw error;
  }
  if (credential.role === "knocker") return { ok: true, role: "knocker" };
  if (!governs(ports, enter.room, room, credential.roomKey)) {
    return refusal("bad-credential", "the room key is not this room's");
  }
  if (credential.role === "member") {
    return judgeMember(ports, connection, room, enter, credential, now);
  }
  if (!proves(ports, connection, enter, credential.roomKey, credential.signature)) {
    return refusal("bad-credential", "the signature does not hold");
  }
  return { ok: true, role: "owner", roomKey: credential.roomKey };
}

function judgeMember(
  ports: GatePorts,
  connection: GateConnection,
  room: GateRoom | undefined,
  enter: Enter,
  credential: MemberCredential,
  now: Now,
): Judgement {
  const { roomKey, signature } = credential;
  const judged = judgeTicket(ports, enter.room, room, roomKey, credential.ticket, now);
  if (!judged.ok) return judged;
  if (!proves(ports, connection, enter, judged.ticket.gateKey, signature)) {
    return refusal("bad-credential", "the signature does not hold");
  }
  return { role: "member", roomKey, ...judged };
}

/**
 * Whether the signature is by this key over this connection's challenge and this relay's key. The
 * relay key in it is what a hostile relay, passing on our challenge as its own, cannot get signed.
 */
function proves(
  ports: GatePorts,
  connection: GateConnection,
  enter: Enter,
  key: Uint8Array,
  signature: MemberCredential["signature"],
): boolean {
  const { room, role } = enter;
  const nonce = challengeOf(connection);
  const body = enterBody({ nonce, relayKey: connection.relayKey, room, role });
  return ports.verify(key, "enter", body, signature);
}
