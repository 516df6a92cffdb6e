/** The way into a room, and back into it after a lost connection (PROTOCOL §6, §9). */
import { CHAIN_LIFE_MS, HEARTBEAT_MS, NONCE_LIFE_MS, STALE_AFTER_MS } from "../wire/limits.ts";
import { listenAnew } from "./agreement.ts";
import { EXIT } from "./exit_code.ts";
import {
  administers,
  askWhetherStale,
  closeRoom,
  flushPending,
  freeName,
  heartbeatPeriodMs,
  inRoom,
  knock,
  mayBeBehind,
  type Of,
  RECENT_MS,
  speaks,
} from "./room_turn.ts";
import {
  enteringRoom,
  type PendingText,
  type RecentText,
  type RoomState,
  withFormer,
} from "./state.ts";
import { inRoomOf, type Turn } from "./turn.ts";

/** A room's keys are in the ring: it is ours to enter. */
export function prepared(turn: Turn, event: Of<"room-prepared">): void {
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

/** The relay is there: enter what we want to be in, for the first time or again. */
export function connected(turn: Turn, event: Of<"connected">): void {
  const again = turn.state.connection === "reconnecting";
  turn.state = { ...turn.state, connection: "connected" };
  if (again) turn.say({ type: "reconnected" });
  else turn.say({ type: "connected", host: event.host, port: event.port, pin: event.pin });
  for (const room of turn.state.rooms) {
    if (room.phase !== "closed") turn.do({ kind: "enter", room: room.id });
  }
}

/** Ends after which another attempt would end the same. */
const LOGIN_ENDS: ReadonlySet<string> = new Set(["login-needed", "login-refused", "logged-out"]);
/** Ends that may be other later: who was in already comes back. */
const LOGIN_WAITS: ReadonlySet<string> = new Set(["login-later", "login-required"]);

/** The first connection must hold until we are somewhere; after that we come back by ourselves. */
export function linkEnded(turn: Turn, event: Of<"link-ended">): void {
  turn.say({ type: "disconnected", code: event.code, message: event.message });
  const connecting = turn.state.connection === "connecting";
  if (LOGIN_ENDS.has(event.code) || connecting && LOGIN_WAITS.has(event.code)) {
    turn.state = { ...turn.state, connection: "closed" };
    return turn.stop(EXIT.loginRefused, event.message);
  }
  if (connecting) {
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
      awaySince: room.awaySince || (event.deadSince ?? turn.at),
      // Who would have followed us did not reach us, and the admin may be where they are.
      claiming: room.claiming?.done === true ? room.claiming : null,
      kemIsOld: true,
      // Handles are a connection's; whoever is not heard of again is gone.
      members: room.members.map((m) => ({ ...m, handle: null })),
    })),
  };
  turn.do({ kind: "reconnect", attempt: 1 });
}

/** The relay has given us a place in a room. */
export function entered(turn: Turn, event: Of<"entered">): void {
  inRoom(turn, event.room, (room) => {
    // We never knock at a room that we are in: a relay that says so would have us wait outside it.
    if (event.role === "knocker" && room.phase === "joined" && room.awaySince === 0) return;
    turn.change(room.id, (r) => ({ ...r, handle: event.handle, seat: event.role }));
    if (room.phase === "joined") return seated(turn, room, event);
    if (event.role !== "knocker") return;
    turn.change(room.id, (r) => ({ ...r, phase: "waiting", nextKnockAt: Infinity, knocks: 0 }));
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
      // Whoever was gone before we were may be back since: nobody's absence counts while we are not there to see it.
      members: r.members.map((m) => m.leaf === r.myLeaf ? m : { ...m, goneAt }),
    }));
    // A deputy may have taken over: then we are no member of the others' epoch.
    const mayBeSucceeded = room.deputies.length > 0 || mayHaveBeenSilent(turn, room.awaySince);
    if (!mayBeSucceeded) return resumed(turn, room.id);
    turn.change(room.id, (r) => ({ ...r, resumeBy: turn.at + OWNERS_MS }));
    return;
  }
  if (event.ownerPresent) return askToCatchUp(turn, now);
  // A knocker has to wait for the admin.
  if (event.role === "member") resumedAlone(turn, room.id);
}

/** A heartbeat may be this much late. */
const SLACK_MS = 5_000;
/** For so long an epoch is surely not closed to those who have gone on. */
const SURELY_OPEN_MS = CHAIN_LIFE_MS / 2;

/**
 * No admin is there to tell us what we missed. Who lost nothing goes on; who was away may be in an epoch that the
 * others have left: it says where it is as long as they can open that, and nothing more before it has heard one of
 * them in its own (P1).
 */
function resumedAlone(turn: Turn, id: string): void {
  const room = turn.room(id);
  if (room?.phase !== "joined" || administers(room) || room.awaySince === 0) {
    return resumed(turn, id);
  }
  const isOpen = turn.at - room.awaySince < SURELY_OPEN_MS && room.unled !== "behind";
  turn.change(id, (r) => ({
    ...r,
    resumeBy: 0,
    awaySince: 0,
    unled: r.unled === "behind" ? "behind" : "unsure",
    unsureUntil: turn.at + heartbeatPeriodMs(r.members.length, false) + SLACK_MS,
  }));
  listenAnew(turn, id);
  if (!isOpen) return;
  turn.do({ kind: "send-held", room: id });
  turn.send(id, { kind: "heartbeat" });
}

/** Somebody is in our epoch, or nobody else is there; the admin's word is the last. */
export function sureOfEpoch(turn: Turn, id: string, unled: "no" | "alone"): void {
  const room = turn.room(id);
  if (room?.phase !== "joined" || room.unled === "no" || room.unled === unled) return;
  if (room.unled === "behind" && unled === "alone") return;
  const wasSilent = mayBeBehind(room) && speaksAt(room);
  turn.change(id, (r) => ({ ...r, unled }));
  if (wasSilent) announce(turn, id);
}

/** Whether we have a member's place and wait for no answer. */
function speaksAt(room: RoomState): boolean {
  return speaks({ ...room, unled: "no" });
}

/** What we sealed meanwhile, where we are, and what waits. */
function announce(turn: Turn, id: string): void {
  turn.do({ kind: "send-held", room: id });
  turn.send(id, { kind: "heartbeat" });
  flushPending(turn, id);
}

/** Nobody was heard in time. */
export function unsureTick(turn: Turn, id: string): void {
  const room = turn.room(id);
  if (room?.unled === "unsure" && room.awaySince === 0 && turn.at >= room.unsureUntil) {
    sureOfEpoch(turn, id, "alone");
  }
}

/**
 * Whether an admin that lost its connection then may have been silent to the members for so long that they follow a
 * deputy: they count from its last heartbeat.
 */
export function mayHaveBeenSilent(turn: { readonly at: number }, since: number): boolean {
  return turn.at - since >= STALE_AFTER_MS - HEARTBEAT_MS;
}

/** How long another owner may take to answer before an admin goes on. */
export const OWNERS_MS = 2_000;

/** How long we wait for the admin to send what we missed before we join anew (PROTOCOL §7). */
export const CATCH_UP_MS = 10_000;

/** Asks the admin for what we may have missed; once at a time. */
export function askToCatchUp(turn: Turn, room: RoomState): void {
  if (room.phase !== "joined" || administers(room) || room.seat === "none") return;
  if (room.resumeBy > 0) return;
  const until = turn.at + CATCH_UP_MS;
  turn.change(room.id, (r) => ({ ...r, resumeBy: until, nextCatchUpAt: until, behind: false }));
  turn.do({ kind: "catch-up", room: room.id });
}

/** What the admin itself has shown to be ahead is asked for so soon after the last time, and an admin that was not there. */
const SURE_CATCH_UP_MS = 1_000;

/**
 * Something came that we cannot read: the others may be ahead. Anybody can send such a thing, so the admin is not
 * asked each time, and not while it answers; but when that is over we are not left behind.
 */
export function fellBehind(turn: Turn, room: RoomState, sure: boolean): void {
  if (administers(room)) return;
  const { nextCatchUpAt, nextSureCatchUpAt } = room;
  const next = Math.max(
    turn.at,
    sure ? Math.min(nextCatchUpAt, nextSureCatchUpAt) : nextCatchUpAt,
  );
  turn.change(room.id, (r) => ({
    ...r,
    behind: true,
    nextCatchUpAt: next,
    nextSureCatchUpAt: sure ? next + SURE_CATCH_UP_MS : r.nextSureCatchUpAt,
  }));
  if (room.unled === "unsure" || room.unled === "alone") leftBehind(turn, room);
  catchUpTick(turn, room.id);
}

/** The relay says that no admin is there: nobody answers, and as soon as one may be there it is asked. */
export function notAnswered(turn: Turn, id: string): void {
  turn.change(id, (r) => ({ ...r, nextCatchUpAt: turn.at + SURE_CATCH_UP_MS }));
  resumedAlone(turn, id);
}

/** The others are ahead, and no admin is there to take us along. */
function leftBehind(turn: Turn, room: RoomState): void {
  turn.change(room.id, (r) => ({ ...r, unled: "behind" }));
  if (room.stale !== "no") return;
  askWhetherStale(
    turn,
    room,
    "the room seems to have gone on while you were away, and its admin is not there: membership may be stale, " +
      "somebody may have been removed, and the others may not be able to read what you send",
  );
}

/** Asks the admin for what we lack, if the time has come. */
export function catchUpTick(turn: Turn, id: string): void {
  const room = turn.room(id);
  if (room?.behind === true && turn.at >= room.nextCatchUpAt) askToCatchUp(turn, room);
}

/** We are where the others are. */
export function resumed(turn: Turn, id: string): void {
  const room = turn.room(id);
  if (room?.phase !== "joined") return;
  turn.change(id, (r) => ({ ...r, resumeBy: 0 }));
  tellUnreadable(turn, id);
  // What we missed had a newer ticket in it.
  if (room.seat === "knocker") return turn.do({ kind: "enter", room: id });
  turn.do({ kind: "send-held", room: id });
  if (room.awaySince > 0) {
    turn.change(id, (r) => ({ ...r, awaySince: 0 }));
    listenAnew(turn, id);
    turn.send(id, { kind: "heartbeat" });
  }
  flushPending(turn, id);
}

export const UNREADABLE = "a message that does not open was dropped: it was damaged or forged";

/** We are where the admin is, or nobody is there who knows: what did not open was not for want of a key (P5). */
function tellUnreadable(turn: Turn, id: string): void {
  const room = turn.room(id);
  if (room === undefined || room.unreadableIn === 0) return;
  turn.change(id, (r) => ({ ...r, unreadableIn: 0 }));
  if (room.unreadableIn !== room.epoch) return;
  const before = turn.at - room.joinedAt < CHAIN_LIFE_MS ? ", or sent before we came" : "";
  turn.warn("bad-message", UNREADABLE + before, room);
}

/** The admin has sent all that we lacked. */
export function caughtUp(turn: Turn, id: string): void {
  const room = turn.room(id);
  const wasSilent = room !== undefined && mayBeBehind(room) && room.awaySince === 0;
  turn.change(id, (r) => ({ ...r, unled: "no" }));
  if (wasSilent && room.seat !== "knocker") {
    turn.change(id, (r) => ({ ...r, resumeBy: 0, stale: "no" }));
    tellUnreadable(turn, id);
    return announce(turn, id);
  }
  resumed(turn, id);
}

/** The admin's newest epoch is not for us. If we were away, that is why, and we ask to come in again. */
export function removed(turn: Turn, id: string, restarted: boolean): void {
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

/** Asks to be let in anew, with new keys; what may have been lost of ours is said again. */
export function rejoin(turn: Turn, room: RoomState): void {
  const unsure = room.recent.filter(({ at }) => at >= room.awaySince - RECENT_MS);
  turn.change(room.id, (r) => ({
    ...r,
    phase: "entering",
    // What the relay still says of the place that we had is nothing to us.
    handle: null,
    seat: "none",
    behind: false,
    unreadableIn: 0,
    unled: "no",
    resumeBy: 0,
    awaySince: 0,
    members: [],
    former: [],
    gaps: [],
    recent: [],
    // Of epochs that the new keys have not: they would drop newer ones before their time.
    dropPreviousAt: [],
    // The others know these by their ids, if they have come.
    pending: [...unsure.map(again), ...r.pending],
  }));
  turn.do({ kind: "rejoin", room: room.id });
}

function again({ id, text, saidTo, sentAt }: RecentText): PendingText {
  return { id, text, saidTo, sentAt };
}

/**
 * Somebody else administers the room: we come in anew, from where we are. Until its welcome what is typed waits,
 * and what comes is kept.
 */
export function stepDown(turn: Turn, room: RoomState): void {
  turn.change(room.id, (r) => ({
    ...r,
    phase: "waiting",
    unled: "no",
    resumeBy: 0,
    awaySince: 0,
    members: [],
    // Of what they said something may still come, or be mended.
    former: withFormer(r, r.members),
    gaps: [],
    recent: [],
    pending: [...r.recent.map(again), ...r.pending],
    nextKnockAt: turn.at,
    dropPreviousAt: [...r.dropPreviousAt, turn.at + CHAIN_LIFE_MS],
  }));
  turn.do({ kind: "step-down", room: room.id });
}

/** An owner came or went: somebody who waits can knock, or has to wait on. */
export function ownerChanged(turn: Turn, event: Of<"owner">): void {
  inRoom(turn, event.room, (room) => {
    if (room.seat === "knocker" && room.phase === "joined" && event.present) {
      return askToCatchUp(turn, room);
    }
    if (room.phase !== "waiting") return;
    if (event.present) return knock(turn, room.id);
    turn.change(room.id, (r) => ({ ...r, nextKnockAt: Infinity, knocks: 0 }));
    turn.say({ type: "waiting", reason: "no-admin", ...inRoomOf(room) });
  });
}

/** Whoever is asked about us has given the room to somebody who knows nothing of it. */
export function adminChanged(turn: Turn, event: Of<"admin-changed">): void {
  inRoom(turn, event.room, (room) => {
    const isAsked = room.phase === "waiting" && room.seat === "knocker" &&
      room.nextKnockAt === Infinity;
    if (isAsked) knock(turn, room.id);
  });
}

/** The admin has greeted us: we answer with our bundle. */
export function greeted(turn: Turn, event: Of<"greeted">): void {
  inRoom(turn, event.room, (room) => {
    if (room.phase !== "waiting") return;
    // Who greeted us may administer no more, and its successor knows nothing of our bundle.
    turn.change(room.id, (r) => ({ ...r, nextKnockAt: turn.at + NONCE_LIFE_MS, knocks: 0 }));
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

/** What the relay says to something that was sent, not to who enters. */
const NOT_SENT: ReadonlySet<string> = new Set(["not-allowed", "not-in-room"]);

const STALE_TICKET: ReadonlySet<string> = new Set([
  "ticket-expired",
  "ticket-revoked",
  "bad-credential",
]);

/** The relay refused something about a room. */
export function refused(turn: Turn, event: Of<"refused">): void {
  inRoom(turn, event.room, (room) => {
    if (room.phase === "joined" && room.seat === "none" && STALE_TICKET.has(event.code)) {
      // Somebody was removed while we were away: the admin has a newer ticket for us.
      return turn.do({ kind: "enter-as-knocker", room: room.id });
    }
    // Somebody was removed since the admin answered us, perhaps we: it has more to say.
    if (room.phase === "joined" && room.seat === "knocker" && STALE_TICKET.has(event.code)) {
      return fellBehind(turn, room, false);
    }
    if (room.phase === "joined" && !(room.seat === "none" && event.code === "barred")) {
      return turn.fail(event.code, `the relay refused: ${event.message}`);
    }
    // We come in anew, and this is an answer to the keys before: a knocker has no ticket.
    if (event.code === "ticket-expired" || event.code === "ticket-revoked") return;
    if (NOT_SENT.has(event.code)) {
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
