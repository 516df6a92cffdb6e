/**
 * What has not come: shown at once, asked for, and mended in its place. An author's later texts wait behind
 * its gap, so that they are shown in the author's order; everybody else's go on. After a bound the gap is
 * shown as missing and what waited is shown.
 */
import { MAX_REPAIR_NUMBERS } from "../wire/limits.ts";
import { lacks } from "./agreement.ts";
import type { EventBody, MessageContent } from "./event.ts";
import { administers, heartbeatPeriodMs, mayBeBehind, OWNERS } from "./room_turn.ts";
import {
  authorByLeaf,
  type GapState,
  type HeldText,
  type Member,
  memberByLeaf,
  type MissingNumbers,
  type RepairBudget,
  type RoomState,
} from "./state.ts";
import { authorOf, inRoomOf, isoTime, type Turn } from "./turn.ts";

/** How often somebody is asked. */
const ASK_AGAIN_MS = 2_000;
/** How long after everybody who is there must have shown where it is a gap is given up. */
const GIVE_UP_MS = 15_000;
/** Texts that wait behind one gap at the most. */
const MAX_HELD = 4096;
/** What one member may ask of us: messages at once, and a second. */
const REPAIR_BURST = 512;
const REPAIRS_PER_S = 64;

/** The key ring's truth about an author's gaps after something came of it. */
export function newGaps(
  turn: Turn,
  id: string,
  leaf: number,
  missing: readonly MissingNumbers[],
): void {
  const room = turn.room(id);
  // What was opened with keys that we have given up since is no gap of ours.
  if (room?.phase !== "joined") return;
  const before = room.gaps.find((gap) => gap.leaf === leaf);
  if (before === undefined && missing.length === 0) return;
  const gap: GapState = before === undefined
    ? { leaf, missing, held: [], since: turn.at, asked: 0, nextAskAt: turn.at, repaired: 0 }
    : { ...before, missing, repaired: before.repaired + mended(before.missing, missing) };
  const more = before === undefined ? [] : without(missing, before.missing);
  if (before === undefined || more.length === 0) setGap(turn, id, gap);
  else {
    // A CLOSE that was mended tells of what came before it: that has its time too.
    const tells = Math.min(...more.map(({ epoch }) => epoch)) <
      Math.max(0, ...before.missing.map(({ epoch }) => epoch));
    const since = tells ? turn.at : gap.since;
    setGap(turn, id, { ...gap, since, asked: 0, nextAskAt: turn.at });
  }
  if (missing.length > 0) ask(turn, id, leaf, more.length === 0 ? missing : more);
}

/** What of some numbers is not among others. */
function without(
  some: readonly MissingNumbers[],
  others: readonly MissingNumbers[],
): MissingNumbers[] {
  return some.flatMap(({ epoch, numbers }) => {
    const known = new Set(others.find((o) => o.epoch === epoch)?.numbers);
    const rest = numbers.filter((n) => !known.has(n));
    return rest.length === 0 ? [] : [{ epoch, numbers: rest }];
  });
}

function numberOf(missing: readonly MissingNumbers[]): number {
  return missing.reduce((sum, { numbers }) => sum + numbers.length, 0);
}

function mended(before: readonly MissingNumbers[], now: readonly MissingNumbers[]): number {
  return numberOf(without(before, now));
}

function setGap(turn: Turn, id: string, gap: GapState): void {
  turn.change(id, (r) => ({ ...r, gaps: [...r.gaps.filter((g) => g.leaf !== gap.leaf), gap] }));
}

/** Shows a text, or holds it behind its author's gap. */
export function deliver(
  turn: Turn,
  id: string,
  member: Member,
  { epoch, n, givenUp }: Extract<EventBody, { kind: "message" }>,
  content: Extract<MessageContent, { kind: "text" }>,
): void {
  const { leaf } = member;
  if (content.repeated) return stands(turn, id, content.id, { leaf, epoch, n });
  hold(turn, id, member, {
    leaf,
    epoch,
    n,
    id: content.id,
    sentAt: content.sentAt,
    text: content.text,
    ...(givenUp && { givenUp }),
  });
}

/** A text that waits was said again: it stands behind what its author said again before it. */
function stands(
  turn: Turn,
  id: string,
  text: string,
  place: Pick<HeldText, "leaf" | "epoch" | "n">,
): void {
  for (const gap of turn.room(id)?.gaps ?? []) {
    if (!gap.held.some((held) => held.id === text)) continue;
    const held = gap.held.map((held) => held.id === text ? { ...held, ...place } : held);
    setGap(turn, id, { ...gap, held });
  }
}

function hold(turn: Turn, id: string, member: Member, text: HeldText): void {
  const gap = gapBefore(turn.room(id), member);
  if (gap === undefined) return show(turn, id, member.leaf, text);
  const held = [...gap.held, text];
  setGap(turn, id, { ...gap, held });
  release(turn, id, gap.leaf);
  if (held.length > MAX_HELD) giveUp(turn, id, gap.leaf);
}

/** What an author's texts wait for: who came in anew has another leaf, and is the same author. */
function gapBefore(room: RoomState | undefined, member: Member): GapState | undefined {
  if (room === undefined) return undefined;
  const [oldest] = room.gaps.filter((gap) =>
    gap.leaf === member.leaf ||
    (gap.leaf < member.leaf && authorByLeaf(room, gap.leaf)?.identity === member.identity)
  ).sort((a, b) => a.leaf - b.leaf);
  return oldest;
}

function show(turn: Turn, id: string, leaf: number, text: HeldText): void {
  const room = turn.room(id);
  if (room === undefined) return;
  if (turn.state.front !== id) turn.change(id, (r) => ({ ...r, unread: r.unread + 1 }));
  const author = authorOf(room, leaf);
  const isHere = memberByLeaf(room, leaf) !== undefined ||
    room.members.some(({ identity }) => identity === author.identity);
  turn.say({
    type: "message",
    ...inRoomOf(room),
    id: text.id,
    ...author,
    text: text.text,
    sentAt: isoTime(text.sentAt),
    ...(text.givenUp && { late: text.givenUp }),
    ...(!isHere && { authorGone: true }),
  });
}

/** Shows what no gap stands before any more. */
export function release(turn: Turn, id: string, leaf: number): void {
  const room = turn.room(id);
  const gap = room?.gaps.find((g) => g.leaf === leaf);
  if (room === undefined || gap === undefined) return;
  const [first] = [...gap.missing].sort((a, b) => a.epoch - b.epoch);
  const isFree = (t: HeldText): boolean =>
    first === undefined || (t.leaf === leaf && (t.epoch < first.epoch ||
      (t.epoch === first.epoch && t.n < (first.numbers[0] ?? Infinity))));
  const inOrder = [...gap.held].sort((a, b) => a.leaf - b.leaf || a.epoch - b.epoch || a.n - b.n);
  if (first === undefined) {
    turn.change(id, (r) => ({ ...r, gaps: r.gaps.filter((g) => g.leaf !== leaf) }));
    if (gap.repaired > 0) {
      turn.say({
        type: "repaired",
        ...inRoomOf(room),
        ...authorOf(room, leaf),
        count: gap.repaired,
      });
    }
  } else setGap(turn, id, { ...gap, held: inOrder.filter((t) => !isFree(t)) });
  for (const text of inOrder) {
    if (!isFree(text)) continue;
    const later = text.leaf === leaf ? undefined : memberByLeaf(room, text.leaf);
    if (later === undefined) show(turn, id, text.leaf, text);
    else hold(turn, id, later, text);
  }
}

/** An author is there, at a handle that we did not know: it is the first to ask for what it owes us. */
export function authorIsThere(turn: Turn, id: string, leaf: number): void {
  const gap = turn.room(id)?.gaps.find((g) => g.leaf === leaf);
  if (gap !== undefined) setGap(turn, id, { ...gap, asked: 0, nextAskAt: turn.at });
}

/** Asks the author, and by turns the others who are there, if the time has come. */
function ask(
  turn: Turn,
  id: string,
  leaf: number,
  wanted?: readonly MissingNumbers[],
): void {
  const room = turn.room(id);
  const gap = room?.gaps.find((g) => g.leaf === leaf);
  if (room === undefined || gap === undefined || turn.at < gap.nextAskAt) return;
  if (room.handle === null || room.seat === "knocker") return;
  const reachable = room.members.filter((m) =>
    m.leaf !== room.myLeaf && m.handle !== null && m.present
  );
  // Back from somewhere we know nobody's handle before its next message; the admin is found without one.
  const found = room.myLeaf === room.adminLeaf ||
    reachable.some((m) => m.leaf === room.adminLeaf);
  const whom = [
    ...reachable.filter((m) => m.leaf === leaf).map((m) => m.handle),
    ...(found ? [] : [OWNERS]),
    ...reachable.filter((m) => m.leaf !== leaf).map((m) => m.handle),
  ];
  const to = whom[gap.asked % Math.max(1, whom.length)];
  setGap(turn, id, { ...gap, asked: gap.asked + 1, nextAskAt: turn.at + ASK_AGAIN_MS });
  if (to === undefined || to === null) return;
  for (const { epoch, numbers } of wanted ?? gap.missing) {
    turn.do({
      kind: "request-repair",
      room: id,
      to,
      epoch,
      leaf,
      numbers: numbers.slice(0, MAX_REPAIR_NUMBERS),
    });
  }
}

function giveUp(turn: Turn, id: string, leaf: number): void {
  const room = turn.room(id);
  const gap = room?.gaps.find((g) => g.leaf === leaf);
  if (room === undefined || gap === undefined) return;
  const count = numberOf(gap.missing);
  turn.do({ kind: "give-up", room: id, leaf, missing: gap.missing });
  turn.say({ type: "missing", ...inRoomOf(room), ...authorOf(room, leaf), count });
  for (const { epoch } of gap.missing) lacks(turn, id, epoch);
  setGap(turn, id, { ...gap, missing: [] });
  release(turn, id, leaf);
}

/**
 * A commit removed an author: of the epoch that it ended nothing counts beyond what the admin has without a gap. Nobody
 * is asked for that: it is missing. What has come of it stands behind the rest, as with those who had no gap; the admin
 * alone shows nothing more, since whoever lacks it is told nothing.
 */
export function endsAt(
  turn: Turn,
  id: string,
  leaf: number,
  end: { readonly epoch: number; readonly count: number },
): void {
  const room = turn.room(id);
  const gap = room?.gaps.find((g) => g.leaf === leaf);
  if (room === undefined || gap === undefined) return;
  const counts = (epoch: number, n: number): boolean => epoch !== end.epoch || n < end.count;
  const missing = gap.missing.flatMap(({ epoch, numbers }) => {
    const left = numbers.filter((n) => counts(epoch, n));
    return left.length === 0 ? [] : [{ epoch, numbers: left }];
  });
  const held = administers(room)
    ? gap.held.filter((text) => text.leaf !== leaf || counts(text.epoch, text.n))
    : gap.held;
  const count = numberOf(gap.missing) - numberOf(missing) + gap.held.length - held.length;
  if (count === 0) return;
  turn.say({ type: "missing", ...inRoomOf(room), ...authorOf(room, leaf), count });
  setGap(turn, id, { ...gap, missing, held });
}

/** The keys of an epoch are gone: what it lacked has been shown as missing, and nothing waits for it any more. */
export function gapsLeft(
  turn: Turn,
  id: string,
  leaf: number,
  missing: readonly MissingNumbers[],
): void {
  const gap = turn.room(id)?.gaps.find((g) => g.leaf === leaf);
  if (gap === undefined) return;
  setGap(turn, id, { ...gap, missing });
  release(turn, id, leaf);
}

/** Asks again, and gives up what has been asked for long enough. Time away, or behind without an admin, does not count. */
export function mendTick(turn: Turn, id: string): void {
  for (const { leaf } of turn.room(id)?.gaps ?? []) {
    const room = turn.room(id);
    const gap = room?.gaps.find((g) => g.leaf === leaf);
    if (room === undefined || gap === undefined) continue;
    if (gap.missing.length === 0) release(turn, id, leaf);
    else if (room.awaySince > 0 || mayBeBehind(room)) setGap(turn, id, { ...gap, since: turn.at });
    else if (turn.at - gap.since >= heartbeatPeriodMs(room.members.length, false) + GIVE_UP_MS) {
      giveUp(turn, id, leaf);
    } else ask(turn, id, leaf);
  }
}

/** Somebody lacks messages: it gets what we have, to itself alone, at a bounded rate. */
export function repairAsked(
  turn: Turn,
  room: RoomState,
  event: Extract<EventBody, { kind: "repair-asked" }>,
): void {
  if (memberByLeaf(room, event.requester) === undefined) return;
  const before = room.repairBudget.find((b) => b.leaf === event.requester) ??
    { leaf: event.requester, tokens: REPAIR_BURST, at: turn.at };
  const refilled = before.tokens + (turn.at - before.at) / 1000 * REPAIRS_PER_S;
  const tokens = Math.min(REPAIR_BURST, refilled);
  const numbers = event.numbers.slice(0, Math.floor(tokens));
  const budget: RepairBudget = {
    leaf: event.requester,
    tokens: tokens - numbers.length,
    at: turn.at,
  };
  turn.change(room.id, (r) => ({
    ...r,
    repairBudget: [...r.repairBudget.filter((b) => b.leaf !== event.requester), budget],
  }));
  if (numbers.length === 0) return;
  const { epoch, leaf } = event;
  turn.do({ kind: "repair", room: room.id, to: event.handle, epoch, leaf, numbers });
}
