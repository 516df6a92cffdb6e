/**
 * How a member takes over from the admin, or follows somebody who does (PROTOCOL §7.1).
 *
 * 1. the admin's grant comes; with a hand-over the person is asked at once, as a deputy once the admin is silent;
 * 2. the person says yes: everybody is told, and those who follow give their keys;
 * 3. when all have, or after a while, the driver turns our keys into an admin's, and the admin's step commits.
 *
 * A member follows a hand-over at once, and a deputy only when it has heard nothing of the admin itself for long
 * enough: the relay can keep the admin from the deputy, but not make it silent for everybody unnoticed.
 */
import { STALE_AFTER_MS } from "../wire/limits.ts";
import type { SuccessionPurpose } from "./event.ts";
import type { UserIntent } from "./intent.ts";
import { administers, inRoom, type Of, speaks } from "./room_turn.ts";
import { type Member, memberByLeaf, type RoomState } from "./state.ts";
import type { Turn } from "./turn.ts";

/** How long the others may take to give their keys. */
const KEYS_MS = 5_000;
/** How much later each deputy is asked than the one before it. */
const RANK_MS = 30_000;

/** For so long a deputy of a better rank goes before another: by then it has made its epoch. */
const FIRST_MS = 2 * KEYS_MS;

/** How soon the same handle is shown again how the admin became it, and how many are meanwhile. */
const SHOW_AGAIN_MS = 10_000;
const MAX_SHOWN = 16;

/** How the question to take over is named. */
export const successionRef = (room: string): string => `take-over-${room}`;

/** The same without the reason. */
export const takeOverQuestion = (room: string): string => `${room}: run it from now on?`;

/** Whether the admin has left, or has been silent for longer than any admin that is there. */
export function adminIsSilent(room: RoomState, at: number, moreMs = 0): boolean {
  const admin = memberByLeaf(room, room.adminLeaf);
  if (admin?.left === true) return at - admin.goneAt >= moreMs;
  return at - room.adminHeardAt >= STALE_AFTER_MS + moreMs;
}

/** The room key has come. */
export function granted(turn: Turn, event: Of<"granted">): void {
  inRoom(turn, event.room, (room) => {
    const { purpose } = event;
    // The admin gives it once more whenever we are back.
    if (purpose === "deputy" && room.granted.includes(purpose)) return;
    turn.change(room.id, (r) => ({
      ...r,
      granted: [...r.granted.filter((p) => p !== purpose), purpose],
    }));
    if (purpose === "hand-over") return ask(turn, room, purpose);
    turn.say({
      type: "info",
      text:
        `${room.name}: you are a deputy; if the admin is not heard of, you will be asked to take over`,
    });
  });
}

function ask(turn: Turn, room: RoomState, purpose: SuccessionPurpose): void {
  const admin = memberByLeaf(room, room.adminLeaf);
  const name = admin?.name ?? "the admin";
  const why = purpose === "hand-over"
    ? `${name} hands you the room`
    : admin?.left === true
    ? `${name} has left, and you are a deputy`
    : `${name} has not been heard of for ${
      Math.round((turn.at - room.adminHeardAt) / 1000)
    } seconds, and you are a deputy`;
  const ref = successionRef(room.id);
  // A deputy that thinks about it is handed the room.
  if (room.asked !== null) {
    turn.say({ type: "withdrawn", ref, question: takeOverQuestion(room.name) });
  }
  turn.change(room.id, (r) => ({ ...r, asked: purpose }));
  turn.say({
    type: "ask",
    ref,
    question: `${room.name}: ${why}. Run it from now on?`,
    choices: ["take", "wait"],
  });
}

/** The person's answer to the question; false if nothing of that name was asked. */
export function answerSuccession(
  turn: Turn,
  intent: Extract<UserIntent, { kind: "answer" }>,
): boolean {
  const room = turn.state.rooms.find((r) => successionRef(r.id) === intent.ref && r.asked !== null);
  if (room === undefined || room.asked === null) return false;
  if (intent.choice !== "take" && intent.choice !== "wait") {
    turn.fail("no-such-choice", "answer take or wait", intent.ref);
    return true;
  }
  if (intent.choice === "take") {
    if (!isHere(turn, room, intent.ref)) return true;
    takeOver(turn, room, room.asked);
  } else {
    turn.change(room.id, (r) => ({ ...r, asked: null, waited: true }));
    turn.say({ type: "info", text: `${room.name}: /claim takes it over later` });
  }
  turn.ok(intent.ref);
  return true;
}

/** `/claim`: the person takes over without being asked. */
export function claim(turn: Turn, room: RoomState, ref?: string): void {
  const purpose = room.granted.includes("hand-over")
    ? "hand-over"
    : room.granted.includes("deputy")
    ? "deputy"
    : null;
  if (purpose === null) {
    return turn.fail("not-deputy", `the admin has not named you a deputy of ${room.name}`, ref);
  }
  if (purpose === "deputy" && !adminIsSilent(room, turn.at)) {
    const seconds = Math.ceil((STALE_AFTER_MS - (turn.at - room.adminHeardAt)) / 1000);
    return turn.fail(
      "admin-is-there",
      `the admin was heard of lately: in ${seconds} seconds of silence you may take over`,
      ref,
    );
  }
  if (room.claiming !== null) return turn.fail("already-claiming", "that is on its way", ref);
  if (!isHere(turn, room, ref)) return;
  takeOver(turn, room, purpose);
  turn.ok(ref);
}

/** Whether anybody can hear a claim; it is we who may be in a tunnel, and not the admin. */
function isHere(turn: Turn, room: RoomState, ref?: string): boolean {
  if (speaks({ ...room, unled: "no" })) return true;
  turn.fail(
    "not-connected",
    `${room.name}: nobody hears you just now; take it over when you are back, if the admin is silent then`,
    ref,
  );
  return false;
}

function takeOver(turn: Turn, room: RoomState, purpose: SuccessionPurpose): void {
  turn.change(room.id, (r) => ({
    ...r,
    asked: null,
    offer: null,
    resumeBy: 0,
    claiming: { purpose, until: turn.at + KEYS_MS, given: [], done: false },
  }));
  turn.do({ kind: "claim", room: room.id, purpose });
  succeedIfAll(turn, room.id);
}

/** Somebody follows us. */
export function keysGiven(turn: Turn, event: Of<"keys-given">): void {
  inRoom(turn, event.room, (room) => {
    if (room.claiming === null || room.claiming.given.includes(event.leaf)) return;
    const claiming = { ...room.claiming, given: [...room.claiming.given, event.leaf] };
    turn.change(room.id, (r) => ({ ...r, claiming }));
    succeedIfAll(turn, room.id);
  });
}

/** Goes on once everybody who is there has given its keys, or has had the time to. */
function succeedIfAll(turn: Turn, id: string): void {
  const room = turn.room(id);
  const claiming = room?.claiming;
  if (room === undefined || claiming === undefined || claiming === null || claiming.done) return;
  const isAwaited = (m: Member): boolean =>
    m.leaf !== room.myLeaf && m.leaf !== room.adminLeaf && m.present && !m.left &&
    !claiming.given.includes(m.leaf);
  if (turn.at < claiming.until && room.members.some(isAwaited)) return;
  turn.change(id, (r) => ({ ...r, claiming: { ...claiming, done: true } }));
  turn.do({ kind: "succeed", room: id });
}

/** Somebody else takes over: a hand-over is the admin's word, a claim waits for the admin's silence. */
export function succession(turn: Turn, event: Of<"succession">): void {
  inRoom(turn, event.room, (room) => {
    const { leaf, purpose } = event;
    if (purpose === "deputy" && !goesFirst(turn, room, leaf)) return;
    const at = room.offer?.leaf === leaf ? room.offer.at : turn.at;
    turn.change(room.id, (r) => ({ ...r, offer: { leaf, purpose, accepted: false, at } }));
    if (purpose === "deputy" && !adminIsSilent(room, turn.at)) {
      const name = memberByLeaf(room, leaf)?.name ?? `leaf ${leaf}`;
      turn.warn(
        "bad-claim",
        `${name} wants to take over, but the admin was heard of lately: not followed while it is there`,
        room,
        { from: name, identity: memberByLeaf(room, leaf)?.identity ?? "" },
      );
    }
    follow(turn, room.id);
  });
}

/**
 * Two deputies may claim at once, each of whom would be followed by some. The one of the better rank goes first: the
 * other gives its claim up as long as it has made no epoch, and the members wait for it for a moment.
 */
function goesFirst(turn: Turn, room: RoomState, leaf: number): boolean {
  const rank = room.deputies.indexOf(leaf);
  const { claiming, offer } = room;
  if (claiming?.purpose === "deputy" && !claiming.done) {
    if (room.deputies.indexOf(room.myLeaf) < rank) return false;
    turn.change(room.id, (r) => ({ ...r, claiming: null }));
    turn.do({ kind: "give-up-claim", room: room.id });
    return true;
  }
  return offer?.accepted !== true || offer.purpose !== "deputy" ||
    room.deputies.indexOf(offer.leaf) >= rank || turn.at - offer.at >= FIRST_MS;
}

function follow(turn: Turn, id: string): void {
  const room = turn.room(id);
  const offer = room?.offer;
  if (room === undefined || offer === undefined || offer === null || offer.accepted) return;
  if (offer.purpose === "deputy" && !adminIsSilent(room, turn.at)) return;
  if (room.claiming !== null) return;
  turn.change(id, (r) => ({ ...r, asked: null, offer: { ...offer, accepted: true } }));
  turn.do({ kind: "accept-succession", room: id, leaf: offer.leaf });
}

/**
 * An admin of before is back and may not know that another took over: whoever follows that one shows it. An owner
 * that asks is told by all who are in the room: the new admin may be away just then.
 */
export function showLine(turn: Turn, event: Of<"owner-asked" | "former-admin">): void {
  inRoom(turn, event.room, (room) => {
    // Who administers answers an owner for itself.
    if (room.phase !== "joined" || (event.kind === "owner-asked" && administers(room))) return;
    if (!mayBeShown(turn, room, event.handle)) return;
    turn.do({ kind: "show-line", room: room.id, to: event.handle });
  });
}

/** Whether a handle may be shown how the admin became it: then it is, and not again for a while. */
export function mayBeShown(turn: Turn, room: RoomState, to: string): boolean {
  const lately = room.lineShown.filter(({ at }) => turn.at - at < SHOW_AGAIN_MS);
  if (lately.length >= MAX_SHOWN || lately.some((shown) => shown.to === to)) return false;
  turn.change(room.id, (r) => ({ ...r, lineShown: [...lately, { to, at: turn.at }] }));
  return true;
}

/** The admin was heard of: nobody takes its place against its will. */
export function adminHeard(turn: Turn, id: string): void {
  const room = turn.room(id);
  if (room === undefined) return;
  const isClaim = room.offer?.purpose === "deputy" && !room.offer.accepted;
  const asked = room.asked === "deputy" ? null : room.asked;
  if (isClaim || asked !== room.asked || room.waited) {
    turn.change(id, (r) => ({ ...r, asked, offer: isClaim ? null : r.offer, waited: false }));
  }
}

/** What time brings: a deputy is asked, a claim is followed, keys that did not come are done without. */
export function successionTick(turn: Turn, id: string): void {
  const room = turn.room(id);
  if (room?.phase !== "joined" || administers(room)) return;
  follow(turn, id);
  succeedIfAll(turn, id);
  const rank = room.deputies.indexOf(room.myLeaf);
  const isAsked = room.asked !== null || room.claiming !== null || room.offer !== null ||
    room.waited;
  if (rank < 0 || isAsked || !room.granted.includes("deputy") || !speaks(room)) return;
  if (adminIsSilent(room, turn.at, rank * RANK_MS)) ask(turn, room, "deputy");
}
