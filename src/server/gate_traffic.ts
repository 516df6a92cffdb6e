/**
 * Who may send what to whom: the judgement of BROADCAST and DIRECT, by ids in hex, since the relay
 * does not decode what it only passes on.
 *
 * @see docs/PROTOCOL.md §3.2 "Sending"
 * @module
 */
import { BROADCAST_TO_OWNERS, toHex } from "../wire/ids.ts";
import { MAX_GUEST_FRAME_BYTES } from "../wire/limits.ts";
import { type Refusal, refusal } from "./gate_entry.ts";
import {
  type GateConnection,
  KNOCK_RATE,
  type Now,
  ROOM_KNOCK_RATE,
  type Seat,
} from "./gate_state.ts";
import { fullBucket, take } from "./rate.ts";

const OWNERS = toHex(BROADCAST_TO_OWNERS);

/** Where a DIRECT goes. */
export type Route =
  | Refusal
  | { readonly ok: true; readonly to: Iterable<Seat> }
  /** Nobody has that handle: the sender gets GONE. */
  | { readonly ok: true; readonly to: null; readonly from: Seat };

/** The sender's seat, if it names itself truly. */
function senderOf(
  connection: GateConnection,
  room: string,
  from: string,
): Refusal | { readonly ok: true; readonly seat: Seat } {
  const seat = connection.seats?.get(room);
  if (seat === undefined) return refusal("not-in-room", "not in this room");
  if (seat.handleHex !== from) return refusal("not-allowed", "`from` is not your handle");
  return { ok: true, seat };
}

/**
 * Judges a BROADCAST.
 *
 * @param room hex of the room id in the frame
 * @param from hex of the handle that it names as its sender
 */
export function judgeBroadcast(
  connection: GateConnection,
  room: string,
  from: string,
): Refusal | { readonly ok: true; readonly seat: Seat } {
  const sender = senderOf(connection, room, from);
  if (sender.ok && sender.seat.role === "knocker") {
    return refusal("not-allowed", "a knocker may write to the owners only");
  }
  return sender;
}

/**
 * Judges a DIRECT; a knocker's costs it a token.
 *
 * @param to hex of the receiver's handle; sixteen zero bytes are the owners
 * @param bodyBytes size of the frame's body
 */
export function routeDirect(
  connection: GateConnection,
  room: string,
  from: string,
  to: string,
  bodyBytes: number,
  now: Now,
): Route {
  const sender = senderOf(connection, room, from);
  if (!sender.ok) return sender;
  const { seat } = sender;
  const receiver = to === OWNERS ? null : seat.room.seats.get(to);
  if (seat.role === "knocker") {
    // The same answer for a member's handle and for none: a stranger finds out nothing.
    if (receiver !== null && receiver?.role !== "owner") {
      return refusal("not-allowed", "a knocker may write to the owners only");
    }
    // Its connection may send larger frames as a member of some other room.
    if (bodyBytes > MAX_GUEST_FRAME_BYTES) return refusal("not-allowed", "too large for a knock");
    seat.knocks ??= fullBucket(KNOCK_RATE, now.ms);
    if (
      !take(seat.knocks, KNOCK_RATE, now.ms) || !take(seat.room.knocks, ROOM_KNOCK_RATE, now.ms)
    ) {
      return refusal("rate-limited", "too many knocks");
    }
    seat.knocked = true;
  }
  if (receiver === undefined) return { ok: true, to: null, from: seat };
  if (receiver === null) {
    // An owner that writes to the owners means the others.
    const { owners } = seat.room;
    const others = seat.role === "owner" ? owners.size - 1 : owners.size;
    if (others === 0) return { ok: true, to: null, from: seat };
    return { ok: true, to: seat.role === "owner" ? withoutSelf(owners, seat) : owners };
  }
  if (receiver.role === "knocker" && seat.role !== "owner") {
    return refusal("not-allowed", "only an owner may write to a knocker");
  }
  return { ok: true, to: [receiver] };
}

function withoutSelf(owners: Iterable<Seat>, self: Seat): Seat[] {
  return [...owners].filter((owner) => owner !== self);
}
