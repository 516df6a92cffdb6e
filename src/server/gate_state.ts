/**
 * What the gate remembers, all of it in memory: which connection is in which room, as what.
 *
 * Rooms and handles are keyed by their hex. The state is changed in place by `gate.ts` alone: a
 * room of two thousand is not copied because one of them leaves.
 *
 * @module
 */
import {
  type Challenge,
  challenge,
  fromHex,
  type Handle,
  handle,
  type RelayKey,
  type RoomId,
  type RoomKey,
  type Signature,
} from "../wire/ids.ts";
import type { RelayMessage } from "../wire/relay_message.ts";
import type { ClosingCode } from "../wire/relay_message.ts";
import type { SignatureKind } from "../wire/signed.ts";
import type { Role } from "../wire/ticket.ts";
import { type Bucket, fullBucket, type Rate } from "./rate.ts";
import type { LoginMessage } from "./login_desk.ts";
import type { RelayLimits } from "./relay_limits.ts";

/** A number that the relay gave a connection, never used twice. */
export type ConnectionId = number;

/** The two clocks that a decision may look at. */
export interface Now {
  /** Milliseconds of a clock that does not go back: for rates and graces. */
  readonly ms: number;
  /** Seconds since 1970: for tickets. */
  readonly unixS: number;
}

/** What the gate asks of the world; all of it synchronous, none of it changes anything. */
export interface GatePorts {
  /** The limits in force. */
  readonly limits: RelayLimits;
  /** Whether a connection has to log in before anything else. */
  readonly needsLogin: boolean;
  /** Strict Ed25519 over `"stm/1 " ‖ kind ‖ 0x00 ‖ body` (PROTOCOL §1). */
  readonly verify: (
    key: Uint8Array,
    kind: SignatureKind,
    body: Uint8Array,
    signature: Signature,
  ) => boolean;
  /** The id of the keyed room that this key governs. */
  readonly keyedRoomId: (key: RoomKey) => RoomId;
  /** Sixteen random bytes. */
  readonly newHandle: () => Handle;
}

/**
 * One connection in one room. What is kept for each of thousands is hex, as the keys of the maps
 * are: a small array of bytes takes four times as much.
 */
export interface Seat {
  /** Whose. */
  readonly connection: GateConnection;
  /** Where. */
  readonly room: GateRoom;
  /** Its handle in hex. */
  readonly handleHex: string;
  /** A knocker may become a member or an owner; nothing else changes. */
  role: Role;
  /** Hex of the ticket's gate key, of a member. */
  gateKey: string | null;
  /** The ticket's epoch, of a member. */
  ticketEpoch: number;
  /** The ticket's end in seconds since 1970, of a member. */
  expires: number;
  /** When a ticket below the lowest epoch ends the seat, in ms of {@link Now}. */
  graceEndsMs: number | null;
  /** What a knocker may still send; null before the first. */
  knocks: Bucket | null;
  /** Whether it has sent the owners anything: else they do not know its handle. */
  knocked: boolean;
}

/** One room with somebody in it. */
export interface GateRoom {
  /** Its id. */
  readonly id: RoomId;
  /** The same in hex. */
  readonly hex: string;
  /** The key that governs it, once somebody brought it. */
  roomKey: RoomKey | null;
  /** Tickets below are refused. */
  minTicketEpoch: number;
  /** Hex of gate keys that are refused. */
  readonly barredKeys: Set<string>;
  /** Everybody by the hex of the handle. */
  readonly seats: Map<string, Seat>;
  /** Members by the hex of their gate key: a key has one seat. */
  readonly byGateKey: Map<string, Seat>;
  /** Its owners; usually one. */
  readonly owners: Set<Seat>;
  /** How many members. */
  members: number;
  /** How many knockers. */
  knockers: number;
  /** What all knockers together may still send. */
  readonly knocks: Bucket;
}

/** One connection that has sent its START, or not yet. */
export interface GateConnection {
  /** Its number. */
  readonly id: ConnectionId;
  /** The nonce of its CHALLENGE in hex. */
  readonly nonceHex: string;
  /** The key that the relay has shown on it, which an ENTER's signature has to name. */
  readonly relayKey: RelayKey;
  /** Whether START has come. */
  started: boolean;
  /** Whether it may enter rooms: at once, or after its login. */
  authorized: boolean;
  /** Where it is, by the hex of the room id; null before it was anywhere. */
  seats: Map<string, Seat> | null;
  /** Rooms out of which it was barred as a knocker; null while there are none. */
  barredFrom: WeakSet<GateRoom> | null;
  /** How often it may still enter. */
  readonly entries: Bucket;
  /** How many tickets may still be verified for it in a room; null before the first. */
  tickets: Bucket | null;
}

/** All of it. */
export interface GateState {
  /** Connections by number. */
  readonly connections: Map<ConnectionId, GateConnection>;
  /** Rooms by the hex of their id. */
  readonly rooms: Map<string, GateRoom>;
}

/** What the shell has to do, in this order. */
export type GateEffect =
  /** To a connection, outside of any room's order. */
  | { readonly do: "send"; readonly to: GateConnection; readonly message: RelayMessage }
  /** A message of a login, for the desk; `authorized` may follow. */
  | { readonly do: "log-in"; readonly from: GateConnection; readonly message: LoginMessage }
  /** To one seat, behind what it is already due. */
  | { readonly do: "tell"; readonly to: Seat; readonly message: RelayMessage }
  /** To every member and owner, in the room's order. */
  | { readonly do: "tell-room"; readonly room: GateRoom; readonly message: RelayMessage }
  /** A new seat; it receives what it is told. */
  | { readonly do: "seat"; readonly seat: Seat }
  /** From this place on the seat receives what the room is told. */
  | { readonly do: "listen"; readonly seat: Seat }
  /** Nothing after this place is for the seat. */
  | { readonly do: "unseat"; readonly seat: Seat }
  /** The room is empty and no longer remembered. */
  | { readonly do: "forget"; readonly room: GateRoom }
  /** The connection ends with CLOSING. */
  | {
    readonly do: "close";
    readonly connection: GateConnection;
    readonly code: ClosingCode;
    readonly message: string;
  };

/** Entering costs two signatures, 0.1 ms. */
export const ENTRY_RATE: Rate = { burst: 64, perSecond: 4 };
/** RENEW and ADMIT cost one; a busy room has a new epoch several times a second. */
export const TICKET_RATE: Rate = { burst: 512, perSecond: 50 };
/** Joining takes two frames, KNOCK and BUNDLE. */
export const KNOCK_RATE: Rate = { burst: 8, perSecond: 0.5 };
/** All knockers of a room together, whatever their number: what its owners have to read. */
export const ROOM_KNOCK_RATE: Rate = { burst: 1000, perSecond: 50 };
/** Bars of a room; beyond it the oldest is forgotten (SET_MIN has made its tickets worthless). */
export const MAX_BARS = 4096;

/** The handle of a seat. */
export function handleOf({ handleHex }: Seat): Handle {
  return handle(fromHex(handleHex));
}

/** The nonce that a connection has to sign. */
export function challengeOf({ nonceHex }: GateConnection): Challenge {
  return challenge(fromHex(nonceHex));
}

/** Nobody there yet. */
export function emptyGate(): GateState {
  return { connections: new Map(), rooms: new Map() };
}

/** A room that somebody is about to enter. */
export function newRoom(id: RoomId, hex: string, now: Now): GateRoom {
  return {
    id,
    hex,
    roomKey: null,
    minTicketEpoch: 0,
    barredKeys: new Set(),
    seats: new Map(),
    byGateKey: new Map(),
    owners: new Set(),
    members: 0,
    knockers: 0,
    knocks: fullBucket(ROOM_KNOCK_RATE, now.ms),
  };
}
