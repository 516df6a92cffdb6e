/**
 * What every participant does, whatever its role: pure, no clock, no random numbers, no keys. The way of
 * a message out of here (ARCHITECTURE, "flow of a participant"):
 *
 * 1. an intent arrives with a fresh id and the time;
 * 2. the step gives the message its number in the epoch (`sent`) and orders `seal-and-send`;
 * 3. the driver seals and sends it before the next event is taken.
 *
 * So numbers and keys cannot get out of step, and an epoch changes only between two events.
 */
import type { EpochReason } from "./notice.ts";
import type { EventBody, RosterEntry, SessionEvent } from "./event.ts";
import type { Step } from "./effect.ts";
import type { UserIntent } from "./intent.ts";
import { COMMANDS, parseCommand } from "./commands.ts";
import {
  enteringRoom,
  KNOCK_AGAIN_MS,
  MAX_PAST_EPOCHS,
  MAX_PENDING_TEXTS,
  type Member,
  memberByLeaf,
  roomByName,
  type RoomState,
  type SessionState,
  withMember,
} from "./state.ts";
import { authorOf, inRoomOf, isoTime, membersOf, Turn } from "./turn.ts";
import { deliver, mendTick, newGaps, release, repairAsked } from "./gaps.ts";
import { CHAIN_LIFE_MS, HEARTBEAT_MS, MAX_TEXT_BYTES, STALE_AFTER_MS } from "../wire/limits.ts";

/** Exit codes, docs/JSON.md. */
export const EXIT = {
  left: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  wrongKey: 4,
  loginRefused: 5,
  notAdmitted: 6,
  protocolViolated: 7,
} as const;

/** One event in, the next state and the orders out. Nothing happens after `stop`. */
export function step(state: SessionState, event: SessionEvent): Step<SessionState> {
  const turn = new Turn(state, event.at);
  if (!state.stopped) {
    take(turn, event);
    endIfDone(turn);
  }
  return turn.done();
}

function take(turn: Turn, event: EventBody): void {
  switch (event.kind) {
    case "connected":
      return connected(turn, event);
    case "link-ended":
      return linkEnded(turn, event);
    case "reconnect-scheduled":
      return turn.say({ type: "reconnecting", attempt: event.attempt, inMs: event.inMs });
    case "reconnect-given-up":
      return turn.stop(EXIT.unreachable, "the relay could not be reached again");
    case "dial-failed":
      if (event.wrongKey) return turn.stop(EXIT.wrongKey, event.message);
      return turn.do({ kind: "reconnect", attempt: event.attempt + 1 });
    case "caught-up":
      return inRoom(turn, event.room, (room) => {
        for (const { leaf, gaps } of event.gaps) newGaps(turn, room.id, leaf, gaps);
        resumed(turn, room.id);
      });
    case "fell-behind":
      return inRoom(turn, event.room, (room) => askToCatchUp(turn, room));
    case "repair-asked":
      return inRoom(turn, event.room, (room) => repairAsked(turn, room, event));
    case "room-prepared":
      return prepared(turn, event);
    case "join-refused":
      return turn.fail("usage", event.message, event.ref);
    case "entered":
      return entered(turn, event);
    case "refused":
      return refused(turn, event);
    case "gone":
      return gone(turn, event);
    case "owner":
      return ownerChanged(turn, event);
    case "greeted":
      return greeted(turn, event);
    case "pending":
      return inRoom(turn, event.room, (room) => {
        turn.say({ type: "waiting", reason: "asked", room: room.name, roomId: room.id });
      });
    case "denied":
      return closeRoom(
        turn,
        event.room,
        EXIT.notAdmitted,
        event.code,
        DENIALS[event.code] ?? event.code,
      );
    case "joined":
      return joined(turn, event);
    case "epoch-began":
      return epochBegan(turn, event);
    case "removed":
      return removed(turn, event.room, event.restarted);
    case "commit-refused":
      return inRoom(turn, event.room, (room) => {
        turn.warn(event.code, event.message, room);
        if (event.fatal) {
          closeRoom(turn, room.id, EXIT.protocolViolated, event.code, event.message);
        }
      });
    case "message":
      return message(turn, event);
    case "message-refused":
      return messageRefused(turn, event);
    case "chains-dropped":
      return inRoom(turn, event.room, (room) => {
        for (const { leaf, count } of event.missing) {
          turn.say({ type: "missing", ...inRoomOf(room), ...authorOf(room, leaf), count });
        }
      });
    case "intent":
      return intent(turn, event.intent, event.id);
    case "tick":
      return tick(turn);
    case "failed":
      turn.fail(event.what, event.message);
      return turn.stop(EXIT.failed, event.message);
    // The admin's own, see admin/role.ts.
    case "knocked":
    case "bundle-opened":
    case "bundle-refused":
    case "kem-updated":
    case "catch-up-asked":
    case "commit-made":
    case "commit-saved":
    case "invite-made":
      return;
  }
}

const DENIALS: Record<string, string> = {
  "denied": "the admin did not let you in",
  "invite-invalid":
    "this invite is unknown, expired, used up or revoked: ask the admin for a new one",
  "barred": "the admin removed you from this room before: ask the admin",
  "name-taken": "somebody in the room has that name: choose another with --name",
  "room-full": "the room is full",
  "bad-request": "the admin could not verify our request: try again, with the newest stm",
  "unsupported": "the admin's stm and this one have no protocol version in common: update",
};

type Of<K extends EventBody["kind"]> = Extract<EventBody, { kind: K }>;

function inRoom(turn: Turn, id: string, act: (room: RoomState) => void): void {
  const room = turn.room(id);
  if (room !== undefined && room.phase !== "closed") act(room);
}

// ---- entering

function prepared(turn: Turn, event: Of<"room-prepared">): void {
  if (turn.room(event.room)?.phase === "closed") {
    turn.state = { ...turn.state, rooms: turn.state.rooms.filter((r) => r.id !== event.room) };
  }
  if (turn.room(event.room) !== undefined) {
    return turn.fail("already-there", "you are in that room already", event.ref);
  }
  turn.state = {
    ...turn.state,
    rooms: [...turn.state.rooms, enteringRoom(event.room, freeName(turn, event.name, event.room))],
    front: turn.state.front ?? event.room,
  };
  if (turn.state.connection === "connected") turn.do({ kind: "enter", room: event.room });
  turn.ok(event.ref);
}

/** A local name that no other room has. */
function freeName(turn: Turn, wanted: string, id: string): string {
  let name = wanted;
  const taken = (): boolean => (roomByName(turn.state, name)?.id ?? id) !== id;
  for (let i = 2; taken(); i++) name = `${wanted}-${i}`;
  return name;
}

/** How long we wait for the admin to send what we missed before we join anew (PROTOCOL §7). */
const CATCH_UP_MS = 10_000;
/** Our own texts that may not have arrived are kept so long, to be sealed anew after a rejoin (§9). */
const RECENT_MS = 120_000;
const MAX_RECENT_TEXTS = 256;

function connected(turn: Turn, event: Of<"connected">): void {
  const again = turn.state.connection === "reconnecting";
  turn.state = { ...turn.state, connection: "connected" };
  if (again) turn.say({ type: "reconnected" });
  else turn.say({ type: "connected", host: event.host, port: event.port, pin: event.pin });
  for (const room of turn.state.rooms) {
    if (room.phase !== "closed") turn.do({ kind: "enter", room: room.id });
  }
}

/** The first connection must hold until we are somewhere; after that we come back by ourselves. */
function linkEnded(turn: Turn, event: Of<"link-ended">): void {
  turn.say({ type: "disconnected", code: event.code, message: event.message });
  if (turn.state.connection === "connecting") {
    turn.state = { ...turn.state, connection: "closed" };
    return turn.stop(EXIT.unreachable, `the connection to the relay ended: ${event.message}`);
  }
  turn.state = {
    ...turn.state,
    connection: "reconnecting",
    rooms: turn.state.rooms.map((room) => ({
      ...room,
      handle: null,
      seat: "none",
      resumeBy: 0,
      awaySince: room.awaySince || turn.at,
      // Handles are a connection's; whoever is not heard of again is gone.
      members: room.members.map((m) => ({ ...m, handle: null })),
    })),
  };
  turn.do({ kind: "reconnect", attempt: 1 });
}

function entered(turn: Turn, event: Of<"entered">): void {
  inRoom(turn, event.room, (room) => {
    // We never knock at a room that we are in: a relay that says so would have us wait outside it.
    if (event.role === "knocker" && room.phase === "joined" && room.awaySince === 0) return;
    turn.change(room.id, (r) => ({ ...r, handle: event.handle, seat: event.role }));
    if (room.phase === "joined") return seated(turn, room, event);
    if (event.role !== "knocker") return;
    turn.change(room.id, (r) => ({ ...r, phase: "waiting", nextKnockAt: Infinity }));
    if (event.ownerPresent) knock(turn, room.id);
    else turn.say({ type: "waiting", reason: "no-admin", ...inRoomOf(room) });
  });
}

/** Back in a room whose keys we have: first we learn what we missed, then we speak (§9). */
function seated(turn: Turn, room: RoomState, event: Of<"entered">): void {
  const now = turn.room(room.id);
  // ADMIT after our WELCOME, or a seat that we never lost.
  if (now === undefined || room.awaySince === 0) return;
  if (event.role === "owner") {
    turn.do({ kind: "reclaim", room: room.id });
    const goneAt = turn.at + 2 * heartbeatPeriodMs(room.members.length, false);
    turn.change(room.id, (r) => ({
      ...r,
      members: r.members.map((m) => m.leaf === r.myLeaf || m.goneAt > 0 ? m : { ...m, goneAt }),
    }));
    return resumed(turn, room.id);
  }
  if (event.ownerPresent) return askToCatchUp(turn, now);
  // Without an admin nothing can have changed since it left; a knocker has to wait for it.
  if (event.role === "member") resumed(turn, room.id);
}

function askToCatchUp(turn: Turn, room: RoomState): void {
  if (room.phase !== "joined" || room.myLeaf === room.adminLeaf || room.seat === "none") return;
  if (room.resumeBy > 0) return;
  turn.change(room.id, (r) => ({ ...r, resumeBy: turn.at + CATCH_UP_MS }));
  turn.do({ kind: "catch-up", room: room.id });
}

/** We are where the others are. */
function resumed(turn: Turn, id: string): void {
  const room = turn.room(id);
  if (room?.phase !== "joined") return;
  turn.change(id, (r) => ({ ...r, resumeBy: 0 }));
  // What we missed had a newer ticket in it.
  if (room.seat === "knocker") return turn.do({ kind: "enter", room: id });
  if (room.awaySince > 0) {
    turn.change(id, (r) => ({ ...r, awaySince: 0 }));
    turn.send(id, { kind: "heartbeat" });
  }
  flushPending(turn, id);
}

/** The admin's newest epoch is not for us. If we were away, that is why, and we ask to come in again. */
function removed(turn: Turn, id: string, restarted: boolean): void {
  inRoom(turn, id, (room) => {
    if (!restarted && room.awaySince === 0 && room.resumeBy === 0) {
      return closeRoom(
        turn,
        id,
        EXIT.notAdmitted,
        "removed",
        "the admin removed you from the room",
      );
    }
    rejoin(turn, room);
  });
}

function rejoin(turn: Turn, room: RoomState): void {
  const unsure = room.recent.filter(({ at }) => at >= room.awaySince - RECENT_MS);
  turn.change(room.id, (r) => ({
    ...r,
    phase: "entering",
    seat: "none",
    resumeBy: 0,
    awaySince: 0,
    members: [],
    gaps: [],
    recent: [],
    // The others know these by their ids, if they have come.
    pending: [...unsure.map(({ id, text }) => ({ id, text, again: true })), ...r.pending],
  }));
  turn.do({ kind: "rejoin", room: room.id });
}

function knock(turn: Turn, id: string): void {
  turn.change(id, (r) => ({ ...r, nextKnockAt: turn.at + KNOCK_AGAIN_MS }));
  turn.do({ kind: "knock", room: id });
}

function ownerChanged(turn: Turn, event: Of<"owner">): void {
  inRoom(turn, event.room, (room) => {
    if (room.seat === "knocker" && room.phase === "joined" && event.present) {
      return askToCatchUp(turn, room);
    }
    if (room.phase !== "waiting") return;
    if (event.present) return knock(turn, room.id);
    turn.change(room.id, (r) => ({ ...r, nextKnockAt: Infinity }));
    turn.say({ type: "waiting", reason: "no-admin", ...inRoomOf(room) });
  });
}

function greeted(turn: Turn, event: Of<"greeted">): void {
  inRoom(turn, event.room, (room) => {
    if (room.phase !== "waiting") return;
    turn.change(room.id, (r) => ({ ...r, nextKnockAt: Infinity }));
    if (!event.pinned) {
      turn.warn(
        "unverified-admin",
        `nobody vouches for this room's admin (fingerprint ${event.fingerprint}): compare the safety code before you trust it`,
        room,
        { identity: event.admin },
      );
    }
    turn.do({ kind: "send-bundle", room: room.id });
  });
}

function refused(turn: Turn, event: Of<"refused">): void {
  inRoom(turn, event.room, (room) => {
    if (room.phase === "joined" && room.seat === "none" && STALE_TICKET.has(event.code)) {
      // Somebody was removed while we were away: the admin has a newer ticket for us.
      return turn.do({ kind: "enter-as-knocker", room: room.id });
    }
    if (room.phase === "joined") {
      return turn.fail(event.code, `the relay refused: ${event.message}`);
    }
    closeRoom(
      turn,
      room.id,
      EXIT.notAdmitted,
      event.code,
      `the relay did not let us into the room: ${event.message}`,
    );
  });
}

const STALE_TICKET: ReadonlySet<string> = new Set([
  "ticket-expired",
  "ticket-revoked",
  "bad-credential",
]);

/** Ends one room; with the last one, the session. */
function closeRoom(turn: Turn, id: string, exitCode: number, code: string, why: string): void {
  inRoom(turn, id, (room) => {
    turn.fail(code, `${room.name}: ${why}`);
    forgetRoom(turn, id);
    if (turn.state.rooms.every((r) => r.phase === "closed")) turn.stop(exitCode, why);
  });
}

function forgetRoom(turn: Turn, id: string): void {
  const room = turn.room(id);
  if (room !== undefined) turn.drop(room);
  turn.change(id, (r) => ({ ...r, phase: "closed", members: [], handle: null }));
  turn.do({ kind: "leave-room", room: id });
  turn.do({ kind: "forget-room", room: id });
  const open = turn.state.rooms.find((r) => r.phase !== "closed");
  if (turn.state.front === id) toFront(turn, open?.id ?? null);
}

function toFront(turn: Turn, id: string | null): void {
  turn.state = { ...turn.state, front: id };
  if (id !== null) turn.change(id, (r) => ({ ...r, unread: 0 }));
}

// ---- epochs

function memberOf(turn: Turn, entry: RosterEntry): Member {
  return {
    ...entry,
    verified: entry.identity === turn.state.me.identity ||
      turn.state.verified.includes(entry.identity),
    handle: null,
    present: true,
    left: false,
    goneAt: 0,
  };
}

function joined(turn: Turn, event: Of<"joined">): void {
  inRoom(turn, event.room, () => {
    turn.change(event.room, (r) => ({
      ...r,
      name: freeName(turn, event.roomName, r.id),
      phase: "joined",
      epoch: event.epoch,
      safetyCode: event.safetyCode,
      myLeaf: event.myLeaf,
      adminLeaf: event.adminLeaf,
      members: event.roster.map((entry) => memberOf(turn, entry)),
      sent: 0,
      seat: event.myLeaf === event.adminLeaf ? "owner" : "member",
      gaps: [],
      adminHeardAt: turn.at,
      nextHeartbeatAt: turn.at + heartbeatPeriodMs(event.roster.length, false),
    }));
    const room = turn.room(event.room);
    if (room === undefined) return;
    turn.say({
      type: "joined",
      ...inRoomOf(room),
      me: turn.state.me,
      members: membersOf(room),
      epoch: room.epoch,
      safetyCode: room.safetyCode,
    });
    if (event.myLeaf !== event.adminLeaf) {
      // The first message tells everybody which handle is ours (§9).
      turn.send(room.id, { kind: "heartbeat" });
      turn.do({ kind: "update-kem", room: room.id });
    }
    flushPending(turn, room.id);
  });
}

function epochBegan(turn: Turn, event: Of<"epoch-began">): void {
  inRoom(turn, event.room, (room) => {
    // We have given those keys up and knock again: it came of a commit that was on its way.
    if (room.phase !== "joined") return;
    for (const removal of event.removed) {
      const member = memberByLeaf(room, removal.leaf);
      if (member === undefined) continue;
      const person = { name: member.name, identity: member.identity };
      if (removal.missing > 0) {
        turn.say({
          type: "missing",
          ...inRoomOf(room),
          from: member.name,
          identity: member.identity,
          count: removal.missing,
        });
      }
      if (!member.left) {
        turn.say({ type: "member-left", ...inRoomOf(room), ...person, reason: removal.reason });
      }
    }
    const gone = new Set(event.removed.map((r) => r.leaf));
    const hadSent = room.sent > 0;
    turn.change(room.id, (r) => ({
      ...r,
      epoch: event.epoch,
      safetyCode: event.safetyCode,
      adminLeaf: event.adminLeaf,
      members: [
        ...r.members.filter((m) => !gone.has(m.leaf)),
        ...event.added.map((entry) => memberOf(turn, entry)),
      ],
      sent: 0,
      adminHeardAt: turn.at,
      stale: "no",
      dropPreviousAt: [...r.dropPreviousAt, turn.at + CHAIN_LIFE_MS],
    }));
    for (const entry of event.added) {
      turn.say({
        type: "member-joined",
        ...inRoomOf(room),
        name: entry.name,
        identity: entry.identity,
        via: entry.via,
        fingerprint: entry.fingerprint,
      });
    }
    sayEpoch(turn, room.id, event.reason);
    dropPrevious(turn, room.id, (_at, kept) => kept > MAX_PAST_EPOCHS);
    // §8: whoever sent in the epoch before closes it with its first message of this one.
    if (hadSent) turn.send(room.id, { kind: "close" });
    if (room.myLeaf !== event.adminLeaf) {
      if (room.seat === "member") turn.do({ kind: "renew-ticket", room: room.id });
      turn.do({ kind: "update-kem", room: room.id });
    }
    flushPending(turn, room.id);
  });
}

function sayEpoch(turn: Turn, id: string, reason: EpochReason): void {
  const room = turn.room(id);
  if (room === undefined) return;
  turn.say({
    type: "epoch",
    ...inRoomOf(room),
    epoch: room.epoch,
    reason,
    members: membersOf(room),
    safetyCode: room.safetyCode,
  });
}

/** How often a heartbeat is sent (PROTOCOL §8). */
export function heartbeatPeriodMs(members: number, admin: boolean): number {
  return admin ? HEARTBEAT_MS : Math.max(HEARTBEAT_MS, members * 200);
}

// ---- messages

function message(turn: Turn, event: Of<"message">): void {
  inRoom(turn, event.room, (room) => {
    const member = memberByLeaf(room, event.leaf);
    if (member === undefined) return;
    const from = { from: member.name, identity: member.identity };
    if (event.handle !== null) heard(turn, room, member, event.handle);
    if (event.skipped > 0) {
      turn.warn("gap", `${event.skipped} message(s) of ${member.name} have not come`, room, {
        ...from,
        count: event.skipped,
      });
    }
    if (event.lost > 0) {
      turn.say({ type: "missing", ...inRoomOf(room), ...from, count: event.lost });
    }
    newGaps(turn, room.id, event.leaf, event.gaps);
    content(turn, room, member, event);
    release(turn, room.id, event.leaf);
  });
}

function heard(turn: Turn, room: RoomState, member: Member, handle: string): void {
  if (member.leaf === room.adminLeaf) {
    turn.change(room.id, (r) => ({ ...r, adminHeardAt: turn.at, stale: "no" }));
    if (room.stale !== "no") flushPending(turn, room.id);
  }
  // What comes late of somebody who said goodbye does not bring them back.
  if (member.left || (member.handle === handle && member.present)) return;
  turn.change(
    room.id,
    (r) => withMember(r, member.leaf, (m) => ({ ...m, handle, present: true, goneAt: 0 })),
  );
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
      return deliver(turn, room.id, member, event.epoch, event.n, content);
    case "close":
      if (content.missing > 0) {
        turn.warn("gap", `${content.missing} message(s) of ${member.name} have not come`, room, {
          ...from,
          count: content.missing,
        });
      }
      if (content.fork) sayFork(turn, room, member);
      return;
    case "heartbeat":
      if (content.fork) sayFork(turn, room, member);
      return;
    case "leave":
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
            `${member.name} was the admin: the room talks on, but nobody can join it or be removed`,
        });
      }
      return;
    case "other":
      return;
  }
}

function sayFork(turn: Turn, room: RoomState, member: Member): void {
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
  "bad-message": "a message that does not open was dropped: it was damaged or forged",
  "unknown-sender": "a message of nobody in this room was dropped",
  "unsupported": "a message needs a newer stm: update to read on",
};

function messageRefused(turn: Turn, event: Of<"message-refused">): void {
  inRoom(turn, event.room, (room) => {
    const named = event.leaf === null ? undefined : memberByLeaf(room, event.leaf);
    const more = named === undefined ? {} : { from: named.name, identity: named.identity };
    turn.warn(event.code, REFUSALS[event.code], room, more);
    if (event.code === "unsupported") {
      closeRoom(turn, room.id, EXIT.protocolViolated, "unsupported", REFUSALS.unsupported);
    }
  });
}

function gone(turn: Turn, event: Of<"gone">): void {
  inRoom(turn, event.room, (room) => {
    if (event.handle === room.handle && room.phase === "joined" && event.reason !== "evicted") {
      // Our ticket was too old, or another connection of ours took the seat: come in again.
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

// ---- time

function tick(turn: Turn): void {
  for (const { id } of turn.state.rooms) {
    inRoom(turn, id, (room) => {
      if (room.phase === "waiting" && turn.at >= room.nextKnockAt) knock(turn, id);
      if (room.phase !== "joined") return;
      const admin = room.myLeaf === room.adminLeaf;
      if (room.resumeBy > 0 && turn.at >= room.resumeBy) return rejoin(turn, room);
      mendTick(turn, room.id);
      if (turn.at >= room.nextHeartbeatAt && speaks(room)) {
        turn.send(id, { kind: "heartbeat" });
        turn.change(id, (r) => ({
          ...r,
          nextHeartbeatAt: turn.at + heartbeatPeriodMs(r.members.length, admin),
        }));
      }
      dropPrevious(turn, id, (at) => turn.at >= at);
      if (
        !admin && speaks(room) && room.stale === "no" &&
        turn.at - room.adminHeardAt >= STALE_AFTER_MS
      ) {
        turn.change(id, (r) => ({ ...r, stale: "asked" }));
        turn.warn(
          "stale-membership",
          "nothing has been heard of the admin for 90 seconds: membership may be stale, somebody may have been removed",
          room,
        );
        turn.say({
          type: "ask",
          ref: staleRef(id),
          question: `${room.name}: send messages although membership may be stale?`,
          choices: ["send", "wait"],
        });
      }
    });
  }
}

/** Drops epochs before this one, oldest first, as long as the next is due. */
function dropPrevious(turn: Turn, id: string, due: (at: number, kept: number) => boolean): void {
  const times = turn.room(id)?.dropPreviousAt ?? [];
  let dropped = 0;
  for (const at of times) {
    if (!due(at, times.length - dropped)) break;
    turn.do({ kind: "drop-previous-epoch", room: id });
    dropped++;
  }
  if (dropped === 0) return;
  turn.change(id, (r) => ({ ...r, dropPreviousAt: r.dropPreviousAt.slice(dropped) }));
}

const staleRef = (room: string): string => `stale-${room}`;

// ---- what the person wants

function intent(turn: Turn, intent: UserIntent, id: string): void {
  switch (intent.kind) {
    case "say":
      return say(turn, intent, id);
    case "command":
      return command(turn, intent);
    case "answer":
      return answer(turn, intent);
    case "invalid":
      return turn.fail("invalid-input", intent.message, intent.ref);
    case "end":
      turn.state = { ...turn.state, ending: true };
      return;
    case "interrupt":
      return leaveAll(turn, "interrupted");
  }
}

/** The room that an intent means: by name, else the one in front; says so if there is none. */
export function roomMeant(
  turn: Turn,
  intent: { readonly room?: string; readonly ref?: string },
): RoomState | undefined {
  const room = intent.room === undefined
    ? turn.state.rooms.find((r) => r.id === turn.state.front)
    : roomByName(turn.state, intent.room);
  if (room === undefined) {
    turn.fail(
      "no-such-room",
      intent.room === undefined
        ? "you are in no room yet"
        : `you are in no room named ${intent.room}`,
      intent.ref,
    );
  }
  return room;
}

function say(turn: Turn, intent: Extract<UserIntent, { kind: "say" }>, id: string): void {
  if (intent.text === "") return turn.fail("empty-text", "there is no text to send", intent.ref);
  const bytes = new TextEncoder().encode(intent.text).length;
  if (bytes > MAX_TEXT_BYTES) {
    return turn.fail(
      "too-long",
      `the text has ${bytes} bytes, over ${MAX_TEXT_BYTES}: send it in parts`,
      intent.ref,
    );
  }
  const room = roomMeant(turn, intent);
  if (room === undefined) return;
  if (room.pending.length >= MAX_PENDING_TEXTS) {
    return turn.fail(
      "too-many-waiting",
      "too many texts wait to be sent: this one was not taken",
      intent.ref,
    );
  }
  const text = { id, text: intent.text, ...(intent.ref === undefined ? {} : { ref: intent.ref }) };
  turn.change(room.id, (r) => ({ ...r, pending: [...r.pending, text] }));
  flushPending(turn, room.id);
}

/** Whether we are in the room at the relay and know that we have missed nothing. */
function speaks(room: RoomState): boolean {
  return room.handle !== null && room.seat !== "knocker" && room.resumeBy === 0 &&
    room.awaySince === 0;
}

/** Sends what waits, if the room has a key and its membership is not in doubt. */
function flushPending(turn: Turn, id: string): void {
  const room = turn.room(id);
  if (room?.phase !== "joined" || room.stale === "asked" || !speaks(room)) return;
  if (room.pending.length === 0) return;
  const recent = [
    ...room.recent,
    ...room.pending.map(({ id, text }) => ({ id, text, at: turn.at })),
  ]
    .filter(({ at }) => turn.at - at < RECENT_MS).slice(-MAX_RECENT_TEXTS);
  turn.change(id, (r) => ({ ...r, pending: [], recent }));
  for (const { id: messageId, text, ref, again } of room.pending) {
    turn.send(id, { kind: "text", id: messageId, sentAt: turn.at, text });
    if (again === true) continue;
    turn.say({
      type: "sent",
      ...inRoomOf(room),
      id: messageId,
      text,
      sentAt: isoTime(turn.at),
      ...(ref === undefined ? {} : { ref }),
    });
    turn.ok(ref);
  }
}

function answer(turn: Turn, intent: Extract<UserIntent, { kind: "answer" }>): void {
  const room = turn.state.rooms.find((r) => staleRef(r.id) === intent.ref && r.stale === "asked");
  if (room === undefined) {
    return turn.fail("no-such-question", "nothing was asked under that name", intent.ref);
  }
  if (intent.choice === "send") {
    turn.change(room.id, (r) => ({ ...r, stale: "agreed" }));
    flushPending(turn, room.id);
  } else if (intent.choice !== "wait") {
    return turn.fail("no-such-choice", "answer send or wait", intent.ref);
  }
  turn.ok(intent.ref);
}

function command(turn: Turn, intent: Extract<UserIntent, { kind: "command" }>): void {
  const { name, args } = parseCommand(intent.line);
  switch (name) {
    case "who":
    case "verify": {
      const room = roomMeant(turn, intent);
      if (room === undefined) return;
      if (room.phase !== "joined") {
        return turn.fail("not-joined", "you are not in the room yet", intent.ref);
      }
      if (name === "verify" && args[0] === "ok") return verifyOk(turn, room, intent.ref);
      turn.say({
        type: "members",
        ...inRoomOf(room),
        epoch: room.epoch,
        members: membersOf(room),
        safetyCode: room.safetyCode,
      });
      return turn.ok(intent.ref);
    }
    case "room":
      return frontRoom(turn, args[0], intent.ref);
    case "join":
      if (args[0] === undefined) {
        return turn.fail("usage", "give an invite: /join stm://…", intent.ref);
      }
      return turn.do({
        kind: "prepare-join",
        invite: args[0],
        ...(intent.ref === undefined ? {} : { ref: intent.ref }),
      });
    case "leave": {
      const room = roomMeant(turn, intent);
      if (room === undefined) return;
      turn.ok(intent.ref);
      leave(turn, room);
      if (turn.state.rooms.every((r) => r.phase === "closed")) turn.stop(EXIT.left, "left");
      return;
    }
    case "quit":
      turn.ok(intent.ref);
      return leaveAll(turn, "left");
    case "help":
      return help(turn, args[0], intent.ref);
    default: {
      const known = COMMANDS.find((c) => c.name === name);
      if (known !== undefined) {
        return turn.fail("not-admin", `only the room's admin can /${name}`, intent.ref);
      }
      return turn.fail(
        "no-such-command",
        `there is no /${name}: /help lists what there is`,
        intent.ref,
      );
    }
  }
}

function verifyOk(turn: Turn, room: RoomState, ref?: string): void {
  const identities = room.members.map((m) => m.identity);
  turn.state = {
    ...turn.state,
    verified: [...new Set([...turn.state.verified, ...identities])],
    rooms: turn.state.rooms.map((r) => ({
      ...r,
      members: r.members.map((m) => identities.includes(m.identity) ? { ...m, verified: true } : m),
    })),
  };
  turn.do({ kind: "remember-verified", identities });
  turn.say({
    type: "verified",
    ...inRoomOf(room),
    members: room.members.map((m) => ({ name: m.name, identity: m.identity })),
  });
  turn.ok(ref);
}

function frontRoom(turn: Turn, name: string | undefined, ref?: string): void {
  if (name === undefined) {
    const rooms = turn.state.rooms.filter((r) => r.phase !== "closed").map((r) => r.name);
    turn.say({ type: "info", text: `your rooms: ${rooms.join(", ") || "none"}` });
    return turn.ok(ref);
  }
  const room = roomByName(turn.state, name);
  if (room === undefined) return turn.fail("no-such-room", `you are in no room named ${name}`, ref);
  toFront(turn, room.id);
  turn.ok(ref);
}

function help(turn: Turn, name: string | undefined, ref?: string): void {
  const commands = COMMANDS.filter((c) => name === undefined || c.name === name.replace(/^\//, ""));
  if (commands.length === 0) return turn.fail("no-such-command", `there is no /${name}`, ref);
  for (const c of commands) {
    const usage = `/${c.name}${c.args === "" ? "" : ` ${c.args}`}`;
    turn.say({
      type: "info",
      text: `${usage.padEnd(24)} ${c.help}${c.role === "admin" ? " (admin)" : ""}`,
    });
  }
  turn.ok(ref);
}

function leave(turn: Turn, room: RoomState): void {
  turn.send(room.id, { kind: "leave" });
  forgetRoom(turn, room.id);
}

function leaveAll(turn: Turn, reason: string): void {
  for (const room of turn.state.rooms) if (room.phase !== "closed") leave(turn, room);
  turn.stop(turn.state.connection === "reconnecting" ? EXIT.unreachable : EXIT.left, reason);
}

/** The end of input ends the session once nothing waits to be sent. */
function endIfDone(turn: Turn): void {
  if (!turn.state.ending || turn.state.stopped) return;
  if (turn.state.rooms.every((r) => r.pending.length === 0)) leaveAll(turn, "left");
}
