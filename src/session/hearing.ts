/** What comes from the others, and what the relay says of them (PROTOCOL §8, §9). */
import { heartbeatHeard, lacks, tellAgreement } from "./agreement.ts";
import { CATCH_UP_MS, notAnswered, sureOfEpoch, UNREADABLE } from "./entering.ts";
import { EXIT } from "./exit_code.ts";
import { authorIsThere, deliver, newGaps, release } from "./gaps.ts";
import { messages } from "./how_many.ts";
import {
  administers,
  catchesUp,
  closeRoom,
  flushPending,
  inRoom,
  type Of,
  OWNERS,
  renewKem,
} from "./room_turn.ts";
import { authorByLeaf, type Member, memberByLeaf, type RoomState, withMember } from "./state.ts";
import { adminHeard } from "./succession.ts";
import { inRoomOf, type Turn } from "./turn.ts";
import { askForViews, claimHeard } from "./viewing.ts";

/** A verified message of a member. */
export function message(turn: Turn, event: Of<"message">): void {
  inRoom(turn, event.room, (room) => {
    const member = authorByLeaf(room, event.leaf);
    if (member === undefined) return;
    const from = { from: member.name, identity: member.identity };
    if (event.handle !== null) {
      if (event.epoch === room.epoch) {
        sureOfEpoch(turn, room.id, member.leaf === room.adminLeaf ? "no" : "alone");
      }
      heard(turn, room, member, event.handle);
    }
    if (event.skipped > 0) {
      turn.warn("gap", `${messages(event.skipped)} of ${member.name} did not come`, room, {
        ...from,
        count: event.skipped,
      });
    }
    if (event.lost > 0) {
      lacks(turn, room.id, event.epoch);
      turn.say({ type: "missing", ...inRoomOf(room), ...from, count: event.lost });
    }
    if (event.fork) sayFork(turn, room, member);
    // It has come to another epoch: what it was asked under a newer room secret than its own it could not read.
    if (event.content.kind === "close" && event.n === 0 && event.handle !== null) {
      authorIsThere(turn, room.id, event.leaf);
    }
    newGaps(turn, room.id, event.leaf, event.gaps);
    content(turn, room, member, event);
    release(turn, room.id, event.leaf);
    claimHeard(turn, room.id, event);
    if (event.content.kind !== "heartbeat") return;
    askForViews(turn, room.id);
    tellAgreement(turn, room.id);
  });
}

function heard(turn: Turn, room: RoomState, member: Member, handle: string): void {
  if (member.leaf === room.adminLeaf) {
    turn.change(room.id, (r) => ({ ...r, adminHeardAt: turn.at, stale: "no" }));
    adminHeard(turn, room.id);
    if (room.stale !== "no") flushPending(turn, room.id);
    renewKem(turn, room.id);
  }
  // What comes late of somebody who said goodbye does not bring them back.
  if (member.left || (member.handle === handle && member.present)) return;
  turn.change(
    room.id,
    (r) => withMember(r, member.leaf, (m) => ({ ...m, handle, present: true, goneAt: 0 })),
  );
  authorIsThere(turn, room.id, member.leaf);
  if (!member.present) {
    turn.say({
      type: "presence",
      ...inRoomOf(room),
      name: member.name,
      identity: member.identity,
      present: true,
    });
  }
}

function content(turn: Turn, room: RoomState, member: Member, event: Of<"message">): void {
  const { content } = event;
  const from = { from: member.name, identity: member.identity };
  switch (content.kind) {
    case "text":
      return deliver(turn, room.id, member, event, content);
    case "close":
      if (content.missing > 0) {
        turn.warn("gap", `${messages(content.missing)} of ${member.name} did not come`, room, {
          ...from,
          count: content.missing,
        });
      }
      return;
    case "heartbeat":
      // By repair it is an old one, and no sign that its author reaches us.
      if (event.handle !== null) heartbeatHeard(turn, room, event, content.agrees);
      return;
    case "leave":
      if (memberByLeaf(room, member.leaf) === undefined) return;
      turn.change(
        room.id,
        (r) =>
          withMember(
            r,
            member.leaf,
            (m) => ({ ...m, left: true, present: false, goneAt: turn.at }),
          ),
      );
      turn.say({
        type: "member-left",
        ...inRoomOf(room),
        name: member.name,
        identity: member.identity,
        reason: "left",
      });
      if (member.leaf === room.adminLeaf) {
        turn.say({
          type: "info",
          text:
            `${member.name} was the admin: the room talks on, but nobody can join it or be removed` +
            (room.deputies.length === 0 ? "" : " until a deputy takes over"),
        });
      }
      return;
    case "other":
      return;
  }
}

/** Others have heard something else of a member than we. */
export function sayFork(turn: Turn, room: RoomState, member: Member): void {
  turn.warn("fork", `${member.name} did not send the same messages to everybody`, room, {
    from: member.name,
    identity: member.identity,
  });
}

const REFUSALS: Record<Of<"message-refused">["code"], string> = {
  "replay": "a message was sent again with other bytes, and was dropped",
  "too-far": "a message numbered far ahead was dropped",
  "bad-signature":
    "a message with somebody else's signature was dropped: a member tried to write in another's name",
  "bad-message": UNREADABLE,
  "unknown-sender": "a message of nobody in this room was dropped",
  "unsupported": "a message needs a newer stm: update to read on",
};

/** A frame that was no message for us: shown, never silent (P5). */
export function messageRefused(turn: Turn, event: Of<"message-refused">): void {
  inRoom(turn, event.room, (room) => {
    const named = event.leaf === null ? undefined : memberByLeaf(room, event.leaf);
    const more = named === undefined ? {} : { from: named.name, identity: named.identity };
    if (event.unreadable) return unreadable(turn, room);
    turn.warn(event.code, REFUSALS[event.code], room, more);
    if (event.code === "unsupported") {
      closeRoom(turn, room.id, EXIT.protocolViolated, "unsupported", REFUSALS.unsupported);
    }
  });
}

/**
 * A frame that does not open: damaged or forged, or of an epoch whose commit did not reach us. A member hears from the
 * admin which; an admin has nobody to ask.
 */
function unreadable(turn: Turn, room: RoomState): void {
  // While we catch up that is no sign of anything; what is lost of it shows as a gap.
  if (catchesUp(room)) return;
  if (!administers(room)) {
    return turn.change(room.id, (r) => ({ ...r, unreadableIn: r.epoch }));
  }
  // Whoever was a deputy may have left this roster since.
  if (turn.at < room.nextCatchUpAt) return;
  turn.change(room.id, (r) => ({ ...r, nextCatchUpAt: turn.at + CATCH_UP_MS }));
  turn.warn("bad-message", `${UNREADABLE}, or a deputy runs this room now`, room);
}

/** The relay says that a handle is gone: a hint, no proof (§9). */
export function gone(turn: Turn, event: Of<"gone">): void {
  inRoom(turn, event.room, (room) => {
    if (event.handle === OWNERS) {
      if (room.resumeBy > 0) notAnswered(turn, room.id);
      return;
    }
    if (event.handle === room.handle && room.phase === "joined") {
      // Our ticket was too old, another connection of ours took the seat, or an owner had us evicted: that proves
      // nothing about the room. We come in again; whoever was removed learns it from the commit.
      turn.change(room.id, (r) => ({ ...r, handle: null, seat: "none", awaySince: turn.at }));
      return turn.do({ kind: "enter", room: room.id });
    }
    if (event.handle === room.handle) {
      return closeRoom(
        turn,
        room.id,
        EXIT.notAdmitted,
        event.reason,
        `the relay ended our place in the room (${event.reason})`,
      );
    }
    const member = room.members.find((m) => m.handle === event.handle && m.present);
    if (member === undefined) return;
    turn.change(
      room.id,
      (r) => withMember(r, member.leaf, (m) => ({ ...m, present: false, goneAt: turn.at })),
    );
    turn.say({
      type: "presence",
      ...inRoomOf(room),
      name: member.name,
      identity: member.identity,
      present: false,
    });
  });
}
