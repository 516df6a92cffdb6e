/** What every part of the step does with a room: find it, speak in it, leave it. */
import { HEARTBEAT_MS } from "../wire/limits.ts";
import type { EventBody } from "./event.ts";
import {
  KNOCK_AGAIN_MS,
  MANY_KNOCKS,
  type PendingText,
  type RecentText,
  roomByName,
  type RoomState,
} from "./state.ts";
import { inRoomOf, isoTime, type Turn } from "./turn.ts";

/** The event of a kind. */
export type Of<K extends EventBody["kind"]> = Extract<EventBody, { kind: K }>;

/** Stands for all owners in what is sent; in the relay's answer, that there is none (PROTOCOL §3.2). */
export const OWNERS = "0".repeat(32);

/** Whether the keys of a room are an admin's: as soon as we take over, before our first commit. */
export function administers(room: RoomState): boolean {
  return room.myLeaf === room.adminLeaf || room.claiming?.done === true;
}

/** Acts on a room that is not closed; otherwise nothing happens. */
export function inRoom(turn: Turn, id: string, act: (room: RoomState) => void): void {
  const room = turn.room(id);
  if (room !== undefined && room.phase !== "closed") act(room);
}

/** Ends one room; with the last one, the session. */
export function closeRoom(
  turn: Turn,
  id: string,
  exitCode: number,
  code: string,
  why: string,
): void {
  inRoom(turn, id, (room) => {
    turn.fail(code, `${room.name}: ${why}`);
    forgetRoom(turn, id);
    if (turn.state.rooms.every((r) => r.phase === "closed")) turn.stop(exitCode, why);
  });
}

/** Closes a room and has its keys wiped. */
export function forgetRoom(turn: Turn, id: string): void {
  const room = turn.room(id);
  if (room !== undefined) turn.drop(room);
  turn.change(id, (r) => ({ ...r, phase: "closed", members: [], handle: null }));
  turn.do({ kind: "leave-room", room: id });
  turn.do({ kind: "forget-room", room: id });
  const open = turn.state.rooms.find((r) => r.phase !== "closed");
  if (turn.state.front === id) toFront(turn, open?.id ?? null);
}

/** Puts a room in front, with nothing unread in it. */
export function toFront(turn: Turn, id: string | null): void {
  turn.state = { ...turn.state, front: id };
  if (id !== null) turn.change(id, (r) => ({ ...r, unread: 0 }));
}

/** A local name that no other room has. */
export function freeName(turn: Turn, wanted: string, id: string): string {
  let name = wanted;
  const taken = (): boolean => (roomByName(turn.state, name)?.id ?? id) !== id;
  for (let i = 2; taken(); i++) name = `${wanted}-${i}`;
  return name;
}

/** How often a heartbeat is sent (PROTOCOL §8). */
export function heartbeatPeriodMs(members: number, admin: boolean): number {
  return admin ? HEARTBEAT_MS : Math.max(HEARTBEAT_MS, members * 200);
}

/** Our own texts that may not have arrived are kept so long, to be sealed anew after a rejoin (§9). */
export const RECENT_MS = 120_000;

const MAX_RECENT_TEXTS = 256;

/** Whether we are in the room at the relay and know that we have missed nothing, or our person says so. */
export function speaks(room: RoomState): boolean {
  return room.handle !== null && room.seat !== "knocker" && room.resumeBy === 0 &&
    room.awaySince === 0 && (!mayBeBehind(room) || room.stale === "agreed");
}

/** Whether we are back without an admin, and the others may be in a later epoch. */
export function mayBeBehind({ unled }: RoomState): boolean {
  return unled === "unsure" || unled === "behind";
}

/** Whether we know that we may lack what the others have, and have asked for it or are about to. */
export function catchesUp(room: RoomState): boolean {
  return room.awaySince > 0 || room.resumeBy > 0 || room.behind || mayBeBehind(room);
}

/** Sends what waits, if the room has a key and its membership is not in doubt. */
export function flushPending(turn: Turn, id: string): void {
  const room = turn.room(id);
  if (room?.phase !== "joined" || isHeld(room) || !speaks(room)) return;
  const pending = withoutNewcomers(turn, room);
  if (pending.length === 0) return;
  const recent = stillRecent(room.recent, pending.length, turn.at);
  for (const text of pending.slice(-MAX_RECENT_TEXTS)) {
    const { saidTo = room.audience, sentAt = turn.at } = text;
    recent.push({ id: text.id, text: text.text, at: turn.at, sentAt, saidTo });
  }
  turn.change(id, (r) => ({ ...r, pending: [], recent }));
  for (const { id: messageId, text, ref, saidTo, sentAt = turn.at } of pending) {
    turn.send(id, { kind: "text", id: messageId, sentAt, text });
    if (saidTo !== undefined) continue;
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

/**
 * What waits, without what was said before to others than those who are here: whoever came since is not to read it
 * (P1), so it stays unsaid, and its author is told.
 */
function withoutNewcomers(turn: Turn, room: RoomState): readonly PendingText[] {
  const kept = room.pending.filter(({ saidTo }) => isWithin(room.audience, saidTo));
  const unsaid = room.pending.length - kept.length;
  if (unsaid === 0) return kept;
  turn.change(room.id, (r) => ({ ...r, pending: kept }));
  const texts = unsaid === 1 ? "1 text" : `${unsaid} texts`;
  turn.fail(
    "not-repeated",
    `${room.name}: ${texts} that you sent just before you came in anew may not have reached everybody; ` +
      "somebody has joined since, so nothing is sent again",
  );
  return kept;
}

function isWithin(audience: readonly string[], saidTo: readonly string[] | undefined): boolean {
  if (saidTo === undefined || saidTo === audience) return true;
  const heard = new Set(saidTo);
  return audience.every((identity) => heard.has(identity));
}

/** Of texts in their order those that are young enough, with room for `more`: an array of the caller's own. */
function stillRecent(
  texts: RoomState["recent"],
  more: number,
  at: number,
): RecentText[] {
  let from = Math.max(0, texts.length + more - MAX_RECENT_TEXTS);
  while (at - (texts[from]?.at ?? at) >= RECENT_MS) from++;
  return texts.slice(from);
}

/** Drops epochs before this one, oldest first, as long as the next is due. */
export function dropPrevious(
  turn: Turn,
  id: string,
  due: (at: number, kept: number) => boolean,
): void {
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

export const staleRef = (room: string): string => `stale-${room}`;

export const staleQuestion = (room: string): string =>
  `${room}: send messages although membership may be stale?`;

/** Whether text is held back until the person agrees, or the admin is heard (P1). */
export function isHeld({ stale }: RoomState): boolean {
  return stale === "asked" || stale === "held";
}

/** From now on text is held back. */
export function askWhetherStale(turn: Turn, room: RoomState, why: string): void {
  turn.warn("stale-membership", why, room);
  askToSend(turn, room);
}

/** Asks whether what is held back is to be sent. */
export function askToSend(turn: Turn, room: RoomState): void {
  turn.change(room.id, (r) => ({ ...r, stale: "asked" }));
  turn.say({
    type: "ask",
    ref: staleRef(room.id),
    question: staleQuestion(room.name),
    choices: ["send", "wait"],
  });
}

/**
 * Knocks at a room, and again after a while if nobody answers. An admin that cannot read a knock says nothing to it: it
 * may come with a room secret of so long ago that the admin has forgotten it.
 */
export function knock(turn: Turn, id: string): void {
  const room = turn.room(id);
  if (room?.knocks === MANY_KNOCKS) {
    turn.say({ type: "waiting", reason: "no-answer", ...inRoomOf(room) });
  }
  turn.change(id, (r) => ({
    ...r,
    nextKnockAt: turn.at + KNOCK_AGAIN_MS,
    knocks: r.knocks + 1,
  }));
  turn.do({ kind: "knock", room: id });
}

/** A fresh ML-KEM key of ours for the next epoch. */
export function updateKem(turn: Turn, id: string): void {
  turn.change(id, (r) => ({ ...r, kemIsOld: false }));
  turn.do({ kind: "update-kem", room: id });
}

/** We were away: whoever copied our memory before is not to open the epoch that follows our return (P7). */
export function renewKem(turn: Turn, id: string): void {
  const room = turn.room(id);
  if (room?.kemIsOld !== true || room.seat !== "member" || administers(room) || room.resumeBy > 0) {
    return;
  }
  updateKem(turn, id);
}
