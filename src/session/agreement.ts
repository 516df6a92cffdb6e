/**
 * Agreement (PROTOCOL §9): who has heard what we have heard. Heartbeats show most of it; whose digest differs twice
 * is asked for its view (`viewing.ts`). What is told is what lasts: a difference while something is on its way is
 * none, and good news of an epoch waits until it has settled.
 */
import { heartbeatPeriodMs, type Of, speaks } from "./room_turn.ts";
import type { Agreement, AgreementState, Member, RoomState, Standing } from "./state.ts";
import { agreementOf, inRoomOf, type Turn } from "./turn.ts";

/** A heartbeat may be this much late. */
const SLACK_MS = 5_000;
/** How long an answer may take. */
const ANSWER_MS = 10_000;
/** Questions without an answer until that is shown. */
const MAX_UNANSWERED = 2;
/** Good news is told when an epoch is so old: epochs follow each other quickly while people come. */
const SETTLED_MS = 5_000;

/** How the agreement begins in another epoch: whoever agreed still does, until something else is heard of it. */
export function agreementAfter(
  before: AgreementState,
  members: readonly Member[],
  myLeaf: number,
  at: number,
): AgreementState {
  const earlier = new Map(before.standings.map((s) => [s.leaf, s]));
  const standings = members.filter(({ leaf }) => leaf !== myLeaf).map(({ leaf }): Standing => {
    const known = earlier.get(leaf);
    return {
      leaf,
      verdict: known?.verdict === "same" ? "same" : "open",
      heardAt: known?.heardAt ?? at,
      odd: 0,
      short: false,
      askedAt: known?.askedAt ?? 0,
      // An answer about the epoch before is none about this one; who was silent is, until it answers.
      unanswered: (known?.unanswered ?? 0) >= MAX_UNANSWERED ? MAX_UNANSWERED : 0,
      about: [],
    };
  });
  return { ...before, standings, since: at, lacking: false, claims: [] };
}

/** Changes how a member stands; nothing, if it is nobody's leaf. */
export function changeStanding(
  turn: Turn,
  id: string,
  leaf: number,
  change: (standing: Standing) => Standing,
): void {
  changeAgreement(turn, id, (a) => ({
    ...a,
    standings: a.standings.map((s) => s.leaf === leaf ? change(s) : s),
  }));
}

/** Changes the agreement of a room. */
export function changeAgreement(
  turn: Turn,
  id: string,
  change: (agreement: AgreementState) => AgreementState,
): void {
  turn.change(id, (r) => ({ ...r, agreement: change(r.agreement) }));
}

/** A member's heartbeat: when it was, and whether its digest is ours. */
export function heartbeatHeard(
  turn: Turn,
  room: RoomState,
  event: Of<"message">,
  agrees: boolean | undefined,
): void {
  changeStanding(turn, room.id, event.leaf, (s) => {
    const heard = { ...s, heardAt: turn.at };
    if (agrees === undefined || event.epoch !== room.epoch) return heard;
    return agrees ? sameNow(heard) : { ...heard, odd: s.odd + 1 };
  });
  // Who has all that we have, and a digest that is ours, shows that we have all that it has.
  if (agrees === true) changeAgreement(turn, room.id, (a) => ({ ...a, lacking: false }));
}

/** It has heard what we have heard. That it heard something else before, in this epoch, is not undone by that. */
export function sameNow(standing: Standing): Standing {
  return {
    ...standing,
    verdict: standing.verdict === "differs" ? "differs" : "same",
    odd: 0,
    short: false,
    unanswered: 0,
  };
}

/** Messages of an epoch have been shown as missing. */
export function lacks(turn: Turn, id: string, epoch: number): void {
  if (turn.room(id)?.epoch !== epoch) return;
  changeAgreement(turn, id, (a) => ({ ...a, lacking: true }));
}

/** We were away: what nobody could tell us is nobody's silence. */
export function listenAnew(turn: Turn, id: string): void {
  changeAgreement(turn, id, (a) => ({
    ...a,
    standings: a.standings.map((s) => ({ ...s, heardAt: turn.at, unanswered: 0 })),
  }));
}

/** How it is now; `null` if nobody else is there. */
export function agreementNow(room: RoomState, at: number): Agreement | null {
  const { standings, lacking } = room.agreement;
  // Who said LEAVE takes no part any more; the commit follows.
  const left = new Set(room.members.filter((m) => m.left).map(({ leaf }) => leaf));
  const now = {
    agree: lacking ? 0 : 1,
    of: 1,
    differ: [] as number[],
    behind: lacking ? [room.myLeaf] : [],
    silent: [] as number[],
    open: 0,
  };
  for (const standing of standings) {
    if (left.has(standing.leaf)) continue;
    now.of++;
    if (standing.verdict === "differs") now.differ.push(standing.leaf);
    else if (isSilent(room, standing, at)) now.silent.push(standing.leaf);
    else if (standing.verdict === "behind") now.behind.push(standing.leaf);
    else if (standing.verdict === "same") now.agree++;
    else now.open++;
  }
  return now.of === 1 ? null : now;
}

function isSilent(room: RoomState, standing: Standing, at: number): boolean {
  const period = heartbeatPeriodMs(room.members.length, standing.leaf === room.adminLeaf);
  // The last question may still be answered.
  const unanswered = standing.unanswered - (at - standing.askedAt > ANSWER_MS ? 0 : 1);
  return at - standing.heardAt > 2 * period + SLACK_MS || unanswered >= MAX_UNANSWERED;
}

/** Works out how it is, and tells it if it is settled and another than what was told. */
export function tellAgreement(turn: Turn, id: string): void {
  const room = turn.room(id);
  // Without a place in the room nothing can be heard: it stays as it was.
  if (room?.phase !== "joined" || !speaks(room)) return;
  const now = agreementNow(room, turn.at);
  const { told, now: before, since } = room.agreement;
  if (JSON.stringify(now) !== JSON.stringify(before)) {
    changeAgreement(turn, id, (a) => ({ ...a, now }));
  }
  if (now === null || isTold(now, told)) return;
  const settled = now.open === 0 && turn.at - since >= SETTLED_MS;
  if (!settled && !isWorse(now, told)) return;
  changeAgreement(turn, id, (a) => ({ ...a, told: now }));
  turn.say({ type: "agreement", ...inRoomOf(room), ...agreementOf(room, now) });
}

const TROUBLES = ["differ", "behind", "silent"] as const;

function isTold(now: Agreement, told: Agreement | null): boolean {
  return told !== null && now.agree === told.agree && now.of === told.of &&
    TROUBLES.every((kind) => now[kind].join() === told[kind].join());
}

/** Somebody is in trouble who was not. */
function isWorse(now: Agreement, told: Agreement | null): boolean {
  return TROUBLES.some((kind) => now[kind].some((leaf) => !(told?.[kind].includes(leaf) ?? false)));
}
