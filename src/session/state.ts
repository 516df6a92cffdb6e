import { KEPT_COMMITS } from "../wire/limits.ts";
import type { SuccessionPurpose } from "./event.ts";
import type { Person, Via } from "./notice.ts";

/**
 * What a participant knows, as plain data: no key, no socket, no clock. It can be printed, frozen,
 * compared and replayed. Steps return a new state that shares what did not change.
 */
export interface SessionState {
  readonly me: Person;
  readonly connection: "connecting" | "connected" | "reconnecting" | "closed";
  /** In the order in which they were entered. */
  readonly rooms: readonly RoomState[];
  /** Id of the room that typed text goes to. */
  readonly front: string | null;
  /** Identities whose safety code was confirmed, hex. */
  readonly verified: readonly string[];
  /** The person wants to end: text that waits is sent first, then the rooms are left. */
  readonly ending: boolean;
  /** Set once; nothing happens after it. */
  readonly stopped: boolean;
}

/** One room, by its id. */
export interface RoomState {
  /** 32 hex digits. */
  readonly id: string;
  /** Local name, unique in this session. */
  readonly name: string;
  readonly phase: "entering" | "waiting" | "joined" | "closed";
  /** Our handle at the relay, 32 hex digits, while we are in the room. */
  readonly handle: string | null;
  /** What we are there to the relay. */
  readonly seat: "none" | "knocker" | "member" | "owner";
  /** When we lost the connection, until we are back and caught up; 0 otherwise. */
  readonly awaySince: number;
  /** Before that a message that we cannot read is no reason to ask the admin again, nor for an admin to say so. */
  readonly nextCatchUpAt: number;
  /** The same where the admin itself has shown that we are behind. */
  readonly nextSureCatchUpAt: number;
  /** We are to ask as soon as that time has come. */
  readonly behind: boolean;
  /**
   * In which epoch something came that does not open, until it is known whether we only lacked its key: then the
   * admin takes us to another. 0 if nothing did.
   */
  readonly unreadableIn: number;
  /** When our WELCOME came: of what was said before it, something may still be on its way, and is not for us. */
  readonly joinedAt: number;
  /**
   * Back while no admin is there, so nobody can tell what we missed: `unsure` until somebody is heard in our epoch or
   * everybody would have been (`alone`); `behind` once something comes that we cannot read. Over when the admin is heard.
   */
  readonly unled: "no" | "unsure" | "alone" | "behind";
  /** Until when we are unsure. */
  readonly unsureUntil: number;
  /** Until then we wait for the admin to send what we missed; 0 if we do not. */
  readonly resumeBy: number;
  readonly epoch: number;
  readonly safetyCode: string;
  readonly myLeaf: number;
  readonly adminLeaf: number;
  /** Leaves that may take over from the admin, in their rank. */
  readonly deputies: readonly number[];
  readonly members: readonly Member[];
  /** Who was removed lately: of what they said before, something may still come, or be mended. */
  readonly former: readonly Member[];
  /** Messages that we sent in this epoch: the number of the next. */
  readonly sent: number;
  /** The newest epoch in which we sent anything but a CLOSE; 0 if there is none. */
  readonly spokeIn: number;
  /** Text typed before there was a key to seal it with. */
  readonly pending: readonly PendingText[];
  /** What we said lately, in case we have to say it again (PROTOCOL §9). */
  readonly recent: readonly RecentText[];
  /** Identities of those whom the messages of this epoch are for. */
  readonly audience: readonly string[];
  readonly gaps: readonly GapState[];
  /** How much repair each leaf may still ask of us. */
  readonly repairBudget: readonly RepairBudget[];
  /** Who has heard what we have heard. */
  readonly agreement: AgreementState;
  readonly unread: number;
  /** When the admin's last authenticated message or commit came. */
  readonly adminHeardAt: number;
  /**
   * Membership may be stale (P1): text is held back until the person agrees or the admin is heard. Who said to wait
   * (`held`) is asked again with the next text.
   */
  readonly stale: "no" | "asked" | "held" | "agreed";
  /** Our ML-KEM key is from before an absence. */
  readonly kemIsOld: boolean;
  readonly nextHeartbeatAt: number;
  readonly nextKnockAt: number;
  /** Knocks in a row that nobody has answered. */
  readonly knocks: number;
  /** What the admin gave us the room key for. */
  readonly granted: readonly SuccessionPurpose[];
  /** By which right our person was asked to take over, and has not answered. */
  readonly asked: SuccessionPurpose | null;
  /** Our person would rather wait. */
  readonly waited: boolean;
  /** To which handles we have shown how the admin became it, and when. */
  readonly lineShown: readonly { readonly to: string; readonly at: number }[];
  /** We take over: the others' keys are coming in. */
  readonly claiming: Claiming | null;
  /** Somebody else takes over. */
  readonly offer: Offer | null;
  /** When the receiving chains of each epoch before this one are dropped, oldest first. */
  readonly dropPreviousAt: readonly number[];
}

/** A claim of ours on its way. */
export interface Claiming {
  readonly purpose: SuccessionPurpose;
  /** When we go on with those who have answered. */
  readonly until: number;
  /** Leaves that follow us. */
  readonly given: readonly number[];
  /** The keys are an admin's now; the first commit follows. */
  readonly done: boolean;
}

/** Somebody else's. */
export interface Offer {
  readonly leaf: number;
  readonly purpose: SuccessionPurpose;
  readonly accepted: boolean;
  /** When it was said first. */
  readonly at: number;
}

/** A member of the roster. */
export interface Member extends Person {
  readonly leaf: number;
  readonly fingerprint: string;
  readonly via: Via;
  readonly verified: boolean;
  /** Where it is at the relay, as its last verified message showed; `null` before that. */
  readonly handle: string | null;
  readonly present: boolean;
  /** It said LEAVE; the admin's commit follows. */
  readonly left: boolean;
  /** When the relay said that it is gone; 0 while present. */
  readonly goneAt: number;
}

/** A text that waits to be sealed. */
export interface PendingText {
  readonly id: string;
  readonly text: string;
  readonly ref?: string;
  /** Said before, and perhaps lost: for whom it was then, and nobody else may read it (P1). */
  readonly saidTo?: readonly string[];
  /** When that was. */
  readonly sentAt?: number;
}

/** A text that we said. */
export interface RecentText {
  readonly id: string;
  readonly text: string;
  /** When it was said last. */
  readonly at: number;
  /** When it was said first. */
  readonly sentAt: number;
  /** Identities of those whom it was for. */
  readonly saidTo: readonly string[];
}

/** Messages of one epoch of one leaf. */
export interface MissingNumbers {
  readonly epoch: number;
  readonly numbers: readonly number[];
}

/** What one author owes us, and what waits behind it so that it is shown in the author's order. */
export interface GapState {
  readonly leaf: number;
  readonly missing: readonly MissingNumbers[];
  readonly held: readonly HeldText[];
  readonly since: number;
  readonly asked: number;
  readonly nextAskAt: number;
  readonly repaired: number;
}

/** A text behind a gap. */
export interface HeldText {
  /** Its author's leaf: somebody who came in anew has another than its gap. */
  readonly leaf: number;
  readonly epoch: number;
  readonly n: number;
  readonly id: string;
  readonly sentAt: number;
  readonly text: string;
  /** It has been shown as missing. */
  readonly givenUp?: true;
}

/** What we know of who has heard the same (PROTOCOL §9), in this epoch. */
export interface AgreementState {
  /** The other members. */
  readonly standings: readonly Standing[];
  /** When the epoch began for us. */
  readonly since: number;
  /** Some messages of this epoch have been shown as missing: then we are who is behind. */
  readonly lacking: boolean;
  /** What members say to have, and we do not. */
  readonly claims: readonly ViewClaim[];
  /** Before that nobody is asked for its view. */
  readonly nextAskAt: number;
  /** When each asker was answered last. */
  readonly answered: readonly { readonly leaf: number; readonly at: number }[];
  /** What may still be answered, all askers together. */
  readonly budget: { readonly tokens: number; readonly at: number };
  /** As it is now; `null` while there is nothing to compare. */
  readonly now: Agreement | null;
  /** What was told last. */
  readonly told: Agreement | null;
}

/** Who of a room sees the same conversation, by leaf. */
export interface Agreement {
  /** How many do, we ourselves among them. */
  readonly agree: number;
  /** Of how many. */
  readonly of: number;
  /** Whose conversation is another. */
  readonly differ: readonly number[];
  /** Who lacks messages. */
  readonly behind: readonly number[];
  /** Who has not shown lately what it has heard. */
  readonly silent: readonly number[];
  /** How many have not been compared yet. */
  readonly open: number;
}

/** How another member stands to us. */
export interface Standing {
  readonly leaf: number;
  /** What the last comparison showed. */
  readonly verdict: "open" | "same" | "behind" | "differs";
  /** When its last heartbeat came, or we began to listen. */
  readonly heardAt: number;
  /** Heartbeats in a row whose digest was not ours. */
  readonly odd: number;
  /** Its last view lacked something: once may be chance. */
  readonly short: boolean;
  /** When it was asked for its view last; 0 for never. */
  readonly askedAt: number;
  /** Questions in a row without an answer. */
  readonly unanswered: number;
  /** Authors of whom it has heard something else. */
  readonly about: readonly number[];
}

/** A member says to have more of an author than has come to us. */
export interface ViewClaim {
  /** The author. */
  readonly leaf: number;
  /** Who says so. */
  readonly by: number;
  /** The number of the first that we lack. */
  readonly from: number;
  readonly count: number;
  /** How many have come since it was said. */
  readonly repaired: number;
  readonly since: number;
  readonly asked: number;
  readonly nextAskAt: number;
}

/** A token bucket. */
export interface RepairBudget {
  readonly leaf: number;
  readonly tokens: number;
  readonly at: number;
}

/** PROTOCOL §5 and §9 fix some of these; the others are ours. */
export const MAX_PENDING_TEXTS = 1000;
/**
 * Epochs before the current one that can still be read, however quickly they follow: as many as the admin keeps
 * commits of (§7). While a hundred people join, dozens can pass within one round trip.
 */
export const MAX_PAST_EPOCHS = KEPT_COMMITS;
/** How often a knock is repeated while nobody answers. */
export const KNOCK_AGAIN_MS = 20_000;
/** After so many of them it is said that nobody does. */
export const MANY_KNOCKS = 3;

/** With every epoch it is decided who makes the next. */
export const NO_SUCCESSION = {
  granted: [],
  asked: null,
  waited: false,
  lineShown: [],
  claiming: null,
  offer: null,
} as const;

/** Former members that are remembered by name. */
const MAX_FORMER = 256;

/** Before our first epoch. */
export const NO_AGREEMENT: AgreementState = {
  standings: [],
  since: 0,
  lacking: false,
  claims: [],
  nextAskAt: 0,
  answered: [],
  budget: { tokens: 0, at: 0 },
  now: null,
  told: null,
};

/** The state of a session before its first event. */
export function initialState(me: Person, verified: readonly string[] = []): SessionState {
  return {
    me,
    connection: "connecting",
    rooms: [],
    front: null,
    verified,
    ending: false,
    stopped: false,
  };
}

/** A room that is about to be entered. */
export function enteringRoom(id: string, name: string): RoomState {
  return {
    id,
    name,
    phase: "entering",
    handle: null,
    seat: "none",
    awaySince: 0,
    resumeBy: 0,
    nextCatchUpAt: 0,
    nextSureCatchUpAt: 0,
    behind: false,
    unreadableIn: 0,
    joinedAt: 0,
    unled: "no",
    unsureUntil: 0,
    epoch: 0,
    safetyCode: "",
    myLeaf: -1,
    adminLeaf: -1,
    deputies: [],
    members: [],
    former: [],
    sent: 0,
    spokeIn: 0,
    pending: [],
    recent: [],
    audience: [],
    gaps: [],
    repairBudget: [],
    agreement: NO_AGREEMENT,
    unread: 0,
    adminHeardAt: 0,
    stale: "no",
    kemIsOld: false,
    nextHeartbeatAt: 0,
    nextKnockAt: 0,
    knocks: 0,
    ...NO_SUCCESSION,
    dropPreviousAt: [],
  };
}

/** The room of that id, if we are or were in it. */
export function roomById(state: SessionState, id: string): RoomState | undefined {
  return state.rooms.find((room) => room.id === id);
}

/** The open room of that local name. */
export function roomByName(state: SessionState, name: string): RoomState | undefined {
  return state.rooms.find((room) => room.name === name && room.phase !== "closed");
}

/** The member of that leaf. */
export function memberByLeaf(room: RoomState, leaf: number): Member | undefined {
  const { members } = room;
  let byLeaf = BY_LEAF.get(members);
  if (byLeaf === undefined) {
    byLeaf = new Map(members.map((member) => [member.leaf, member]));
    BY_LEAF.set(members, byLeaf);
  }
  return byLeaf.get(leaf);
}

/** A message asks for its sender thrice; there may be thousands, and they seldom change. */
const BY_LEAF = new WeakMap<readonly Member[], ReadonlyMap<number, Member>>();

/** Whose messages those of a leaf are, also of one that was removed lately. */
export function authorByLeaf(room: RoomState, leaf: number): Member | undefined {
  return memberByLeaf(room, leaf) ?? room.former.find((member) => member.leaf === leaf);
}

/** Those who were removed lately, and these. */
export function withFormer({ former }: RoomState, removed: readonly Member[]): readonly Member[] {
  const away = removed.map((m) => ({ ...m, handle: null, present: false, left: true }));
  return [...former, ...away].slice(-MAX_FORMER);
}

/** Replaces a room by what `change` makes of it; the state itself if there is no such room. */
export function withRoom(
  state: SessionState,
  id: string,
  change: (room: RoomState) => RoomState,
): SessionState {
  return { ...state, rooms: state.rooms.map((room) => room.id === id ? change(room) : room) };
}

/** Changes the member of that leaf. */
export function withMember(
  room: RoomState,
  leaf: number,
  change: (member: Member) => Member,
): RoomState {
  return {
    ...room,
    members: room.members.map((member) => member.leaf === leaf ? change(member) : member),
  };
}
