/**
 * Views (PROTOCOL §9): whom we ask what it has heard, whom we answer, and what we make of an answer. An answer is
 * one member's word. Where it has heard something else, both are named; where it says to have more, that is asked
 * for, and only what comes is believed.
 */
import { changeAgreement, changeStanding, sameNow } from "./agreement.ts";
import { messages } from "./how_many.ts";
import { type Of, OWNERS, speaks } from "./room_turn.ts";
import {
  type Member,
  memberByLeaf,
  type RoomState,
  type Standing,
  type ViewClaim,
} from "./state.ts";
import { authorOf, inRoomOf, type Turn } from "./turn.ts";
import { MAX_REPAIR_NUMBERS } from "../wire/limits.ts";

/** Heartbeats in a row with another digest until we ask: at one, something may be on its way. */
const ODD_HEARTBEATS = 2;
/** Between two questions in a room, at least this, and this for each member: an answer names them all. */
const ASK_EVERY_MS = 5_000;
const ASK_EVERY_MS_PER_MEMBER = 50;
/** Between two questions to one member, and to one of whom we know already that it differs. */
const ASK_ONE_EVERY_MS = 30_000;
const ASK_KNOWN_EVERY_MS = 300_000;
/** Between two answers to one member. */
const ANSWER_ONE_EVERY_MS = 10_000;
/** What is answered to all askers together, in lines of a view: at once, and a second. */
const ANSWER_BURST = 65_536;
const ANSWERS_PER_S = 4_096;
/** A view has at least as much around it as so many lines. */
const LEAST_LINES = 16;
/** Claims that are followed at a time. */
const MAX_CLAIMS = 16;
/** How often somebody is asked for what is claimed, and how long. */
const CLAIM_ASK_MS = 2_000;
const CLAIM_GIVE_UP_MS = 20_000;
/** Authors that a warning names. */
const MAX_NAMED = 3;

/** Asks one member for its view, if the time has come and somebody has to be asked. */
export function askForViews(turn: Turn, id: string): void {
  const room = turn.room(id);
  if (room?.phase !== "joined" || !speaks(room) || turn.at < room.agreement.nextAskAt) return;
  const [standing] = room.agreement.standings
    .filter((s) => isDue(turn, room, s))
    // Not everybody asks the same one first.
    .sort((a, b) => a.askedAt - b.askedAt || distance(room, a) - distance(room, b));
  if (standing === undefined) return;
  const to = memberByLeaf(room, standing.leaf)?.handle ?? null;
  if (to === null) return;
  const pause = Math.max(ASK_EVERY_MS, room.members.length * ASK_EVERY_MS_PER_MEMBER);
  changeAgreement(turn, id, (a) => ({ ...a, nextAskAt: turn.at + pause }));
  changeStanding(turn, id, standing.leaf, (s) => ({
    ...s,
    askedAt: turn.at,
    unanswered: s.unanswered + 1,
  }));
  turn.do({ kind: "request-view", room: id, to, leaf: standing.leaf });
}

function isDue(turn: Turn, room: RoomState, standing: Standing): boolean {
  if (standing.odd < ODD_HEARTBEATS && !standing.short) return false;
  const known = standing.verdict === "differs" || room.agreement.lacking;
  const pause = known ? ASK_KNOWN_EVERY_MS : ASK_ONE_EVERY_MS;
  if (standing.askedAt > 0 && turn.at - standing.askedAt < pause) return false;
  const member = memberByLeaf(room, standing.leaf);
  return member !== undefined && member.present && !member.left && member.handle !== null;
}

/** Asked then, somebody may be asked again as soon as it answers again. */
function soon(turn: Turn): number {
  return turn.at + ANSWER_ONE_EVERY_MS + 1000 - ASK_ONE_EVERY_MS;
}

function distance(room: RoomState, { leaf }: Standing): number {
  return leaf > room.myLeaf ? leaf - room.myLeaf : leaf - room.myLeaf + 2 ** 32;
}

/** A member wants to know what we have heard: it alone gets it, and not often. */
export function viewAsked(turn: Turn, room: RoomState, event: Of<"view-asked">): void {
  const asker = memberByLeaf(room, event.requester);
  if (room.phase !== "joined" || asker === undefined) return;
  const { answered, budget } = room.agreement;
  const last = answered.find(({ leaf }) => leaf === event.requester);
  if (last !== undefined && turn.at - last.at < ANSWER_ONE_EVERY_MS) return;
  const refilled = budget.tokens + (turn.at - budget.at) / 1000 * ANSWERS_PER_S;
  const tokens = Math.min(ANSWER_BURST, refilled);
  const cost = Math.max(LEAST_LINES, room.members.length);
  if (tokens < cost) return;
  changeAgreement(turn, room.id, (a) => ({
    ...a,
    budget: { tokens: tokens - cost, at: turn.at },
    answered: [
      ...a.answered.filter(({ leaf, at }) =>
        leaf !== event.requester && turn.at - at < ANSWER_ONE_EVERY_MS
      ),
      { leaf: event.requester, at: turn.at },
    ],
  }));
  turn.do({ kind: "show-view", room: room.id, to: event.handle, nonce: event.nonce });
}

/** A member has shown us what it has heard. */
export function viewCame(turn: Turn, room: RoomState, event: Of<"view-came">): void {
  const member = memberByLeaf(room, event.leaf);
  if (room.phase !== "joined" || event.epoch !== room.epoch || member === undefined) return;
  changeStanding(turn, room.id, event.leaf, (s) => ({ ...s, unanswered: 0 }));
  if (event.differs.length > 0) return heardOtherwise(turn, room, member, event.differs);
  for (const { leaf, from, count } of event.ahead) {
    claimed(turn, room.id, { leaf, by: event.leaf, from, count });
  }
  changeStanding(turn, room.id, event.leaf, (s) => {
    if (event.behind) {
      return {
        ...s,
        short: true,
        verdict: s.short && s.verdict !== "differs" ? "behind" : s.verdict,
      };
    }
    // Before we have what it has, its next digest is not ours either: then it is asked again.
    return event.ahead.length > 0 ? { ...s, odd: ODD_HEARTBEATS - 1 } : sameNow(s);
  });
}

/** It has heard something else of somebody, or says so: shown once of each author, until the epoch ends. */
function heardOtherwise(
  turn: Turn,
  room: RoomState,
  member: Member,
  authors: readonly number[],
): void {
  const known = room.agreement.standings.find((s) => s.leaf === member.leaf)?.about ?? [];
  const fresh = authors.filter((leaf) => !known.includes(leaf));
  changeStanding(turn, room.id, member.leaf, (s) => ({
    ...s,
    verdict: "differs",
    about: [...known, ...fresh],
  }));
  const [first] = fresh;
  if (first === undefined) return;
  const named = fresh.slice(0, MAX_NAMED).map((leaf) =>
    leaf === room.myLeaf ? "you" : authorOf(room, leaf).from
  );
  const others = fresh.length - named.length;
  const whom = `${named.join(", ")}${others > 0 ? ` and ${others} more` : ""}`;
  turn.warn(
    "disagreement",
    first === room.myLeaf
      ? `${member.name} says to have heard something of ${whom} that you did not send`
      : `${member.name} and you have not heard the same of ${whom}: who wrote it sent you different messages, ` +
        `or ${member.name} does not tell the truth`,
    room,
    { from: member.name, identity: member.identity, author: personOf(room, first) },
  );
}

function personOf(room: RoomState, leaf: number): { name: string; identity: string } {
  const { from, identity } = authorOf(room, leaf);
  return { name: from, identity };
}

// ---- what somebody says to have

function claimed(
  turn: Turn,
  id: string,
  { leaf, by, from, count }: Pick<ViewClaim, "leaf" | "by" | "from" | "count">,
): void {
  const room = turn.room(id);
  if (room === undefined) return;
  const { claims, standings } = room.agreement;
  // Nobody had it when it was said before.
  if (standings.find((s) => s.leaf === by)?.about.includes(leaf) === true) return;
  if (claims.length >= MAX_CLAIMS || claims.some((claim) => claim.leaf === leaf)) return;
  const claim = { leaf, by, from, count, repaired: 0, since: turn.at, asked: 0, nextAskAt: 0 };
  changeAgreement(turn, id, (a) => ({ ...a, claims: [...a.claims, claim] }));
  const author = authorOf(room, leaf);
  turn.warn(
    "gap",
    `${messages(count - from)} of ${author.from} did not come, by what ${
      authorOf(room, by).from
    } has heard`,
    room,
    { ...author, count: count - from },
  );
  askForClaim(turn, id, leaf);
}

/** Asks who says so, then the author, and by turns the others. */
function askForClaim(turn: Turn, id: string, leaf: number): void {
  const room = turn.room(id);
  const claim = room?.agreement.claims.find((c) => c.leaf === leaf);
  if (room === undefined || claim === undefined || turn.at < claim.nextAskAt) return;
  if (!speaks(room)) return;
  const rank = (m: Member): number => m.leaf === claim.by ? 0 : m.leaf === leaf ? 1 : 2;
  const whom = room.members
    .filter((m) => m.leaf !== room.myLeaf && m.handle !== null && m.present)
    .sort((a, b) => rank(a) - rank(b));
  const owners = room.myLeaf === room.adminLeaf ? undefined : OWNERS;
  const to = whom.length === 0 ? owners : whom[claim.asked % whom.length]?.handle;
  setClaim(turn, id, { ...claim, asked: claim.asked + 1, nextAskAt: turn.at + CLAIM_ASK_MS });
  if (to === undefined || to === null) return;
  const length = Math.min(MAX_REPAIR_NUMBERS, claim.count - claim.from);
  const numbers = Array.from({ length }, (_, i) => claim.from + i);
  turn.do({ kind: "request-repair", room: id, to, epoch: room.epoch, leaf, numbers });
}

function setClaim(turn: Turn, id: string, claim: ViewClaim): void {
  changeAgreement(turn, id, (a) => ({
    ...a,
    claims: a.claims.map((c) => c.leaf === claim.leaf ? claim : c),
  }));
}

function dropClaim(turn: Turn, id: string, leaf: number): void {
  changeAgreement(turn, id, (a) => ({ ...a, claims: a.claims.filter((c) => c.leaf !== leaf) }));
}

/** Something of an author has come: perhaps what somebody said to have. */
export function claimHeard(turn: Turn, id: string, event: Of<"message">): void {
  const room = turn.room(id);
  const claim = room?.agreement.claims.find((c) => c.leaf === event.leaf);
  if (room === undefined || claim === undefined) return;
  if (event.epoch !== room.epoch || event.n < claim.from) return;
  // What lies between is a gap like any other now.
  const came = { ...claim, from: event.n + 1, repaired: claim.repaired + 1, since: turn.at };
  if (came.from < claim.count) return setClaim(turn, id, came);
  dropClaim(turn, id, claim.leaf);
  // Whether we have heard the same now, it can show.
  changeStanding(turn, id, claim.by, (s) => ({ ...s, odd: ODD_HEARTBEATS, askedAt: soon(turn) }));
  turn.say({
    type: "repaired",
    ...inRoomOf(room),
    ...authorOf(room, claim.leaf),
    count: came.repaired,
  });
}

/** Asks again, and gives up what nobody has: then it is the word of one. Time in which we ask nobody does not count. */
export function viewTick(turn: Turn, id: string): void {
  for (const claim of turn.room(id)?.agreement.claims ?? []) {
    const room = turn.room(id);
    if (room === undefined) return;
    if (!speaks(room)) setClaim(turn, id, { ...claim, since: turn.at });
    else if (turn.at - claim.since < CLAIM_GIVE_UP_MS) askForClaim(turn, id, claim.leaf);
    else {
      dropClaim(turn, id, claim.leaf);
      const member = memberByLeaf(room, claim.by);
      if (member !== undefined) unproven(turn, room, member, claim);
    }
  }
  askForViews(turn, id);
}

function unproven(turn: Turn, room: RoomState, member: Member, claim: ViewClaim): void {
  const author = authorOf(room, claim.leaf);
  changeStanding(turn, room.id, member.leaf, (s) => ({
    ...s,
    verdict: "differs",
    about: [...s.about, claim.leaf],
  }));
  turn.warn(
    "disagreement",
    `${member.name} says to have heard ${
      messages(claim.count - claim.from)
    } of ${author.from} that nobody could show`,
    room,
    {
      from: member.name,
      identity: member.identity,
      author: { name: author.from, identity: author.identity },
      count: claim.count - claim.from,
    },
  );
}
