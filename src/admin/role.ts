/**
 * What an admin does on top of a participant: it greets who knocks, decides who comes in, and makes
 * epochs. Pure. Every participant has this role: whoever administers no room has none listed here, a deputy that
 * takes over gets one, and an admin that is succeeded loses it.
 *
 * The way of a change of the roster, one at a time for each room:
 *
 * 1. a decision adds to `adds` or `removes`; changes that arrive meanwhile are gathered;
 * 2. `make-commit`: the key ring makes S, the wraps and the commit (slow);
 * 3. `save-commit`: epoch, hash and spent invites are on disk before anything leaves;
 * 4. `publish-commit`: wraps, welcomes, ADMIT, commit; we move to the epoch; then 1 again.
 */
import { isName, nameKey } from "../wire/name.ts";
import { MAX_LEAVES } from "../wire/limits.ts";
import type { SessionEvent } from "../session/event.ts";
import type { InviteRecord, Step } from "../session/effect.ts";
import type { UserIntent } from "../session/intent.ts";
import { nameIn, parseCommand, superfluous } from "../session/commands.ts";
import { mayHaveBeenSilent, OWNERS_MS, stepDown } from "../session/entering.ts";
import { heartbeatPeriodMs, OWNERS, speaks } from "../session/room_turn.ts";
import { roomMeant } from "../session/intents.ts";
import { step } from "../session/step.ts";
import { mayBeShown } from "../session/succession.ts";
import { inRoomOf, Turn } from "../session/turn.ts";
import { memberByLeaf, type RoomState, type SessionState } from "../session/state.ts";
import { viewOf } from "../session/view_of.ts";
import type { SessionView } from "../session/view.ts";

/** What an admin knows: what every participant does, and its rooms. */
export interface AdminState {
  readonly session: SessionState;
  readonly rooms: readonly AdminRoom[];
}

/** Settings of a room that the admin opened. */
export interface AdminOptions {
  /** Uses and life of the invite that is made at the start; `null` for none (an open room). */
  readonly firstInvite: { readonly uses: number; readonly lifeMs: number } | null;
  /** How long a member may be away before it is removed. */
  readonly graceMs: number;
  readonly rekeyEveryMs: number;
}

export const DEFAULT_ADMIN_OPTIONS: AdminOptions = {
  firstInvite: { uses: 1, lifeMs: 24 * 3600_000 },
  graceMs: 60_000,
  rekeyEveryMs: 24 * 3600_000,
};

/** What the admin knows of one room beyond what every member knows. */
export interface AdminRoom {
  readonly id: string;
  readonly options: AdminOptions;
  readonly founded: boolean;
  readonly invites: readonly InviteRecord[];
  /** Identities that no invite admits: they were kicked. */
  readonly barred: readonly string[];
  /** Identities that are admitted without a question. */
  readonly known: readonly string[];
  /** By which invite an identity came, of those that are in `invites`. */
  readonly cameBy: Readonly<Record<string, string>>;
  readonly requests: readonly JoinRequest[];
  /** Refusals since one was told last, and when they are: anybody with the room secret can ask without end. */
  readonly refused: { readonly more: number; readonly tellAt: number };
  readonly adds: readonly Add[];
  readonly removes: readonly Remove[];
  readonly rekey: boolean;
  readonly nextRekeyAt: number;
  /** When the epoch began. */
  readonly epochAt: number;
  /** Identities that may take over, in their rank. */
  readonly deputies: readonly string[];
  /** Leaves that were sent the room key as deputies, and the handle at which. */
  readonly granted: readonly { readonly leaf: number; readonly handle: string }[];
  /** Whom we have handed the room to, until it takes it or the time is over. */
  readonly handing: { readonly leaf: number; readonly until: number } | null;
  /** We have taken over, and our first commit waits for the admin before to come in as a member. */
  readonly succeeding: {
    readonly reason: "hand-over" | "claim";
    readonly until: number;
    /** Leaves whose keys we have. */
    readonly given: readonly number[];
  } | null;
  /** Until then another owner may answer: another device of ours, or who took over meanwhile. */
  readonly askedOwnersUntil: number;
  /** From when on the members may be asked once more whom they follow. */
  readonly nextAskAt: number;
  /** When we lost the connection; 0 while we are there. */
  readonly awaySince: number;
  /** When we came back last. */
  readonly backAt: number;
  /** The epoch that we were in at the end of our last long absence: a deputy may have taken over up to there. */
  readonly absentIn: number;
  /** The room was administered before this run. */
  readonly resumed: boolean;
  /** The commit on its way; `null` when none is. */
  readonly making: {
    readonly adds: readonly Add[];
    readonly removes: readonly Remove[];
  } | null;
}

/** Somebody whose bundle was verified and who is not decided upon. */
export interface JoinRequest {
  readonly request: string;
  readonly name: string;
  readonly identity: string;
  readonly fingerprint: string;
  readonly handle: string;
  readonly expiresAt: number;
}

interface Add {
  readonly request: string;
  readonly name: string;
  readonly identity: string;
  readonly via: "invite" | "shared-link" | "approved" | "known";
}

interface Remove {
  readonly leaf: number;
  readonly reason: "left" | "kicked" | "gone" | "replaced";
}

/** A commit with its newcomers' CERTs has to fit in one frame, and the relay admits so many at a time. */
const MAX_ADDS_PER_COMMIT = 200;
const MAX_REQUESTS = 64;
/** How often the person is told whom the room did not let in. */
const TELL_REFUSED_MS = 10_000;
/** A commit waits for what somebody said before it went until everybody has shown where it is, and for so long more. */
const MEND_BEFORE_MS = 5_000;
/** How long a kick waits for that if the admin is just back: until its member was heard, asked, and one more. */
const KICK_MENDS_MS = 3_000;
const REQUEST_LIFE_MS = 10 * 60_000;
const MAX_INVITE_USES = 1000;
const MAX_INVITE_HOURS = 24 * 366;
const MAX_DEPUTIES = 16;
/** How long a member may think about whether it takes the room. */
const HAND_OVER_MS = 60_000;
/** How long a successor waits for the admin before to come in as a member. */
const SUCCEED_MS = 5_000;
/** How often the members are asked whom they follow while somebody sends what looks like a later epoch. */
const ASK_EVERY_MS = 30_000;
/** How long after somebody's return the room heals: by then a new ML-KEM key of it has come. */
const HEAL_AFTER_MS = 10_000;
/** How long an epoch lasts at least before a return ends it. */
const HEAL_EVERY_MS = 60_000;

/** The state of an admin before its first event. Rooms are added by `addAdminRoom`. */
export function initialAdminState(session: SessionState): AdminState {
  return { session, rooms: [] };
}

/** Adds a room to run, known from before by what its profile kept. */
export function addAdminRoom(
  state: AdminState,
  id: string,
  options: AdminOptions,
  kept: {
    readonly invites: readonly InviteRecord[];
    readonly barred: readonly string[];
    readonly known: readonly string[];
    readonly deputies?: readonly string[];
    /** False for a room that has never had an epoch. */
    readonly resumed?: boolean;
  } = { invites: [], barred: [], known: [] },
): AdminState {
  const room: AdminRoom = {
    id,
    options,
    founded: false,
    invites: kept.invites,
    barred: kept.barred,
    known: kept.known,
    deputies: kept.deputies ?? [],
    granted: [],
    handing: null,
    succeeding: null,
    askedOwnersUntil: 0,
    nextAskAt: 0,
    awaySince: 0,
    backAt: -Infinity,
    absentIn: kept.resumed === true ? Infinity : -1,
    resumed: kept.resumed ?? false,
    cameBy: {},
    requests: [],
    refused: { more: 0, tellAt: 0 },
    adds: [],
    removes: [],
    rekey: false,
    nextRekeyAt: Infinity,
    epochAt: 0,
    making: null,
  };
  return { ...state, rooms: [...state.rooms, room] };
}

/** The admin's role: the session's step first, then the admin's own. */
export const adminRole = {
  step(state: AdminState, event: SessionEvent): Step<AdminState> {
    if (state.session.stopped) return { state, effects: [] };
    const own = event.kind === "intent" && isAdminCommand(event.intent) && state.rooms.length > 0;
    const common = own ? { state: state.session, effects: [] } : step(state.session, event);
    const turn = new AdminTurn({ ...state, session: common.state }, event.at);
    turn.effects.push(...common.effects);
    if (!common.state.stopped) {
      take(turn, event);
      if (event.kind === "message") heal(turn, event.room, state.session);
      takeUpClaimed(turn);
      for (const room of turn.rooms) commitNext(turn, room.id);
    }
    return turn.done();
  },
  view(state: AdminState): SessionView {
    return viewOf(
      state.session,
      state.rooms.length > 0 ? "admin" : "client",
      new Map(state.rooms.map((r) => [
        r.id,
        r.requests.map(({ request, name }) => ({ request, name })),
      ])),
    );
  },
};

/** A turn that also carries the admin's rooms. */
class AdminTurn {
  readonly session: Turn;
  rooms: readonly AdminRoom[];
  constructor(state: AdminState, readonly at: number) {
    this.session = new Turn(state.session, at);
    this.rooms = state.rooms;
  }

  get effects(): Turn["effects"] {
    return this.session.effects;
  }

  room(id: string): AdminRoom | undefined {
    return this.rooms.find((r) => r.id === id);
  }

  change(id: string, change: (room: AdminRoom) => AdminRoom): void {
    this.rooms = this.rooms.map((r) => r.id === id ? change(r) : r);
  }

  done(): Step<AdminState> {
    return { state: { session: this.session.state, rooms: this.rooms }, effects: this.effects };
  }
}

const ADMIN_COMMANDS = ["invite", "admit", "deny", "kick", "rekey", "deputy", "handover"];

function isAdminCommand(intent: UserIntent): boolean {
  return intent.kind === "command" && ADMIN_COMMANDS.includes(parseCommand(intent.line).name);
}

function take(turn: AdminTurn, event: SessionEvent): void {
  switch (event.kind) {
    case "entered":
      if (event.role === "owner") enteredAsOwner(turn, event.room);
      return;
    case "knocked":
      return inRoom(turn, event.room, (admin) => {
        turn.session.do({ kind: "greet", room: admin.id, handle: event.handle });
      });
    case "bundle-opened":
      return decide(turn, event);
    case "bundle-refused":
      return inRoom(turn, event.room, (_, room) => {
        turn.session.do({
          kind: "refuse-bundle",
          room: room.id,
          handle: event.handle,
          na: event.na,
          code: event.code,
        });
        tellRefused(turn, event.room, `a request to join ${room.name} was refused: ${event.why}`);
      });
    case "catch-up-asked":
      return inRoom(turn, event.room, (admin) => {
        const { handle, answer } = event;
        turn.session.do({ kind: "send-missed", room: admin.id, handle, answer });
      });
    case "owner-asked":
      return inRoom(turn, event.room, (admin, room) => {
        const { handle, nonce } = event;
        if (!mayBeShown(turn.session, room, handle)) return;
        turn.session.do({ kind: "answer-owner", room: admin.id, handle, nonce });
      });
    case "kem-updated":
      return inRoom(turn, event.room, (admin) => {
        turn.session.do({
          kind: "ack-kem",
          room: admin.id,
          leaf: event.leaf,
          handle: event.handle,
        });
      });
    case "commit-made":
      return inRoom(turn, event.room, (admin) => {
        turn.session.do({
          kind: "save-commit",
          room: admin.id,
          epoch: event.epoch,
          invites: admin.invites,
          barred: admin.barred,
          known: knownWith(admin, admin.making),
          deputies: admin.deputies,
        });
      });
    case "commit-saved":
      return inRoom(turn, event.room, (admin) => {
        turn.session.do({ kind: "publish-commit", room: admin.id, epoch: event.epoch });
      });
    case "joined":
    case "epoch-began":
      return epochIsOn(turn, event.room);
    case "invite-made":
      return inviteMade(turn, event);
    case "message":
      if (event.content.kind === "leave") remove(turn, event.room, event.leaf, "left");
      if (turn.session.room(event.room)?.deputies.includes(event.leaf) === true) {
        grantDeputies(turn, event.room);
      }
      return;
    case "link-ended":
      turn.rooms = turn.rooms.map((r) => ({
        ...r,
        awaySince: r.awaySince || (event.deadSince ?? turn.at),
      }));
      return;
    case "succeeded":
      return succeeded(turn, event);
    case "fell-behind":
      return othersAreAhead(turn, event.room);
    case "refused":
      // Somebody else has raised the lowest ticket epoch: an owner, as we are.
      if (event.code === "ticket-revoked") othersAreAhead(turn, event.room);
      return;
    case "gone":
      return turn.change(event.room, (r) => ({
        ...r,
        // Nobody else is at the owners' place.
        askedOwnersUntil: event.handle === OWNERS ? 0 : r.askedOwnersUntil,
        requests: r.requests.filter((q) => q.handle !== event.handle),
      }));
    case "tick":
      return tick(turn);
    case "intent":
      if (event.intent.kind === "command" && turn.rooms.length > 0) command(turn, event.intent);
      return;
    default:
      return;
  }
}

function inRoom(
  turn: AdminTurn,
  id: string,
  act: (admin: AdminRoom, room: RoomState) => void,
): void {
  const admin = turn.room(id);
  const room = turn.session.room(id);
  if (admin !== undefined && room !== undefined && room.phase !== "closed") act(admin, room);
}

// ---- who comes in (P3)

function decide(
  turn: AdminTurn,
  event: Extract<SessionEvent, { kind: "bundle-opened" }>,
): void {
  inRoom(turn, event.room, (admin, room) => {
    const deny = (code: keyof typeof REFUSED): void => {
      turn.session.do({ kind: "deny", room: admin.id, request: event.request, code });
      const who = isName(event.name) ? event.name : event.fingerprint;
      tellRefused(turn, admin.id, `${who} was not let into ${room.name}: ${REFUSED[code]}`);
    };
    const add = (via: Add["via"]): void => admitted(turn, admin.id, { ...event, via });

    // Our own identity, run elsewhere: it would take our own leaf's place.
    if (event.identity === turn.session.state.me.identity) return deny("denied");
    if (!isName(event.name) || nameTaken(admin, room, event.name, event.identity)) {
      return deny("name-taken");
    }
    if (isFull(admin, room)) return deny("room-full");
    const barred = admin.barred.includes(event.identity);
    // Before the invite: who comes back with the link that let them in the first time spends nothing.
    const member = room.members.some((m) => m.identity === event.identity && !m.left);
    if (!barred && (member || admin.known.includes(event.identity))) return add("known");
    // It asks again before the commit that lets it in.
    const coming = [...admin.adds, ...(admin.making?.adds ?? [])]
      .find((a) => a.identity === event.identity);
    if (!barred && coming !== undefined) return add(coming.via);
    if (event.invite !== null && (!barred || event.invite === "unknown")) {
      const invite = admin.invites.find((i) => i.id === event.invite);
      if (invite === undefined || !isUsable(invite, turn.at)) return deny("invite-invalid");
      turn.change(admin.id, (r) => ({
        ...r,
        invites: r.invites.map((i) => i.id === invite.id ? { ...i, usesLeft: i.usesLeft - 1 } : i),
        cameBy: { ...r.cameBy, [event.identity]: invite.id },
      }));
      return add(invite.shared ? "shared-link" : "invite");
    }
    ask(turn, admin, room, event);
  });
}

const REFUSED = {
  "denied": "it has your own identity",
  "invite-invalid": "its invite is unknown, expired, used up or revoked; /invite makes a new one",
  "name-taken": "somebody here has that name",
  "room-full": "the room is full",
} as const;

/** Says whom the room did not let in; in a flood how many. */
function tellRefused(turn: AdminTurn, id: string, text: string): void {
  const refused = turn.room(id)?.refused;
  if (refused === undefined) return;
  const isQuiet = refused.more === 0 && turn.at >= refused.tellAt;
  const next = isQuiet
    ? { more: 0, tellAt: turn.at + TELL_REFUSED_MS }
    : { ...refused, more: refused.more + 1 };
  turn.change(id, (r) => ({ ...r, refused: next }));
  if (isQuiet) turn.session.say({ type: "info", text });
}

function refusedTick(turn: AdminTurn, { id, refused }: AdminRoom, room: RoomState): void {
  const { more, tellAt } = refused;
  if (more === 0 || turn.at < tellAt) return;
  turn.change(id, (r) => ({ ...r, refused: { more: 0, tellAt: turn.at + TELL_REFUSED_MS } }));
  const requests = more === 1 ? "1 more request" : `${more} more requests`;
  turn.session.say({ type: "info", text: `${requests} to join ${room.name} refused since` });
}

function isUsable(invite: InviteRecord, at: number): boolean {
  return !invite.revoked && invite.usesLeft > 0 && at < invite.expiresAt;
}

function nameTaken(admin: AdminRoom, room: RoomState, name: string, identity: string): boolean {
  const key = nameKey(name);
  const others = [...room.members, ...admin.adds, ...(admin.making?.adds ?? [])];
  return others.some((other) => other.identity !== identity && nameKey(other.name) === key);
}

function isFull(admin: AdminRoom, room: RoomState): boolean {
  const coming = admin.adds.length + (admin.making?.adds.length ?? 0);
  return room.members.length + coming >= MAX_LEAVES;
}

function ask(
  turn: AdminTurn,
  admin: AdminRoom,
  room: RoomState,
  event: Extract<SessionEvent, { kind: "bundle-opened" }>,
): void {
  const others = admin.requests.filter((q) => q.identity !== event.identity);
  if (others.length >= MAX_REQUESTS) {
    turn.session.do({ kind: "deny", room: admin.id, request: event.request, code: "room-full" });
    const why = `${MAX_REQUESTS} wait for your answer already`;
    return tellRefused(turn, admin.id, `${event.name} was not let into ${room.name}: ${why}`);
  }
  const request: JoinRequest = {
    request: event.request,
    name: event.name,
    identity: event.identity,
    fingerprint: event.fingerprint,
    handle: event.handle,
    expiresAt: turn.at + REQUEST_LIFE_MS,
  };
  turn.change(admin.id, (r) => ({ ...r, requests: [...others, request] }));
  turn.session.do({ kind: "say-pending", room: admin.id, request: event.request });
  turn.session.say({
    type: "join-request",
    ...inRoomOf(room),
    request: event.request,
    name: event.name,
    identity: event.identity,
    fingerprint: event.fingerprint,
  });
}

/** Puts somebody on the list for the next commit; a newer bundle of an identity replaces its leaf. */
function admitted(turn: AdminTurn, id: string, add: Add & { readonly handle?: string }): void {
  const { request, name, identity, via } = add;
  turn.change(id, (r) => ({
    ...r,
    adds: [...r.adds.filter((a) => a.identity !== identity), { request, name, identity, via }],
    requests: r.requests.filter((q) => q.identity !== identity),
  }));
}

function remove(turn: AdminTurn, id: string, leaf: number, reason: Remove["reason"]): void {
  inRoom(turn, id, (admin, room) => {
    if (leaf === room.myLeaf || admin.making?.removes.some((r) => r.leaf === leaf)) return;
    const listed = admin.removes.find((r) => r.leaf === leaf);
    // A kick weighs more than any other reason: it brings a new room secret.
    if (listed !== undefined && reason !== "kicked") return;
    const others = admin.removes.filter((r) => r !== listed);
    turn.change(id, (r) => ({ ...r, removes: [...others, { leaf, reason }] }));
  });
}

// ---- epochs

/** Starts the next commit if there is cause and none is on its way. */
function commitNext(turn: AdminTurn, id: string): void {
  inRoom(turn, id, (admin, room) => {
    const cause = admin.rekey || admin.adds.length > 0 || admin.removes.length > 0;
    if (!cause || admin.making !== null || room.handle === null) return;
    if (admin.handing !== null || turn.at < admin.askedOwnersUntil) return;
    const { succeeding } = admin;
    if (
      succeeding?.reason === "hand-over" && admin.adds.length === 0 && turn.at < succeeding.until
    ) {
      return;
    }
    const present = new Set(room.members.map((m) => m.leaf));
    const listed = admin.removes.filter((r) => present.has(r.leaf));
    const waiting = listed.filter((r) => mayBeMended(turn, room, admin, r));
    // Without the kick no epoch is made: its member would be in it.
    if (waiting.some(({ reason }) => reason === "kicked")) return;
    const removes = listed.filter((r) => !waiting.includes(r));
    if (waiting.length > 0 && removes.length === 0 && admin.adds.length === 0 && !admin.rekey) {
      return;
    }
    const adds = admin.adds.slice(0, MAX_ADDS_PER_COMMIT);
    for (const add of adds) {
      const old = room.members.find((m) => m.identity === add.identity);
      if (old !== undefined && !removes.some((r) => r.leaf === old.leaf)) {
        removes.push({ leaf: old.leaf, reason: "replaced" });
      }
    }
    for (const remove of succeeding === null ? [] : whoDidNotFollow(room, succeeding.given)) {
      if (!removes.some((r) => r.leaf === remove.leaf)) removes.push(remove);
    }
    if (admin.founded && !admin.rekey && admin.adds.length === 0 && removes.length === 0) {
      return turn.change(id, (r) => ({ ...r, removes: [] }));
    }
    turn.change(id, (r) => ({
      ...r,
      making: { adds, removes },
      adds: admin.adds.slice(MAX_ADDS_PER_COMMIT),
      removes: waiting.filter((r) => !removes.some(({ leaf }) => leaf === r.leaf)),
      rekey: false,
    }));
    const gone = new Set(removes.map((r) => r.leaf));
    const reason = succeeding !== null
      ? succeeding.reason
      : !admin.founded
      ? "founded"
      : removes.some((r) => r.reason === "kicked")
      ? "kick"
      : adds.length > 0
      ? "join"
      : removes.some((r) => r.reason === "left")
      ? "leave"
      : removes.length > 0
      ? "gone"
      : "rekey";
    turn.session.do({
      kind: "make-commit",
      room: id,
      reason,
      adds: adds.map(({ request, via }) => ({ request, via })),
      removes,
      deputies: deputyLeaves(admin, room).filter((leaf) => !gone.has(leaf)),
    });
  });
}

/**
 * The commit counts what we have of somebody without a gap, and nothing beyond that is shown to anybody any more. Where
 * something of it has not come and the others may have it, there is no hurry to remove who went by itself. A kick waits
 * for nothing, but where we are just back: it was typed before that, and what its member said meanwhile has yet to show.
 */
function mayBeMended(
  turn: AdminTurn,
  room: RoomState,
  admin: AdminRoom,
  { leaf, reason }: Remove,
): boolean {
  const gap = room.gaps.find((g) => g.leaf === leaf && g.missing.length > 0);
  if (reason === "kicked") {
    const isHeard = memberByLeaf(room, leaf)?.handle !== null;
    return turn.at - admin.backAt < KICK_MENDS_MS && (gap !== undefined || !isHeard);
  }
  const mostMs = heartbeatPeriodMs(room.members.length, false) + MEND_BEFORE_MS;
  return gap !== undefined && turn.at - gap.since < mostMs;
}

/** Somebody is back within the grace: whoever had its device meanwhile is shut out by a new epoch (P7). */
function heal(turn: AdminTurn, id: string, before: SessionState): void {
  inRoom(turn, id, (admin, room) => {
    const away = before.rooms.find((r) => r.id === id)?.members.filter((m) => m.goneAt > 0) ?? [];
    if (!away.some(({ leaf }) => memberByLeaf(room, leaf)?.goneAt === 0)) return;
    const at = Math.max(turn.at + HEAL_AFTER_MS, admin.epochAt + HEAL_EVERY_MS);
    turn.change(id, (r) => ({ ...r, nextRekeyAt: Math.min(r.nextRekeyAt, at) }));
  });
}

/** The leaves of the deputies who are in the room, in their rank. */
function deputyLeaves(admin: AdminRoom, room: RoomState): number[] {
  return admin.deputies.flatMap((identity) =>
    room.members.filter((m) => m.identity === identity && m.leaf !== room.myLeaf).map((m) => m.leaf)
  );
}

/** Whoever was admitted once is admitted again without a question, until a kick. */
function knownWith(admin: AdminRoom, making: AdminRoom["making"]): readonly string[] {
  const added = (making?.adds ?? []).map((a) => a.identity);
  return [...new Set([...admin.known, ...added])].filter((i) => !admin.barred.includes(i));
}

function epochIsOn(turn: AdminTurn, id: string): void {
  inRoom(turn, id, (admin, room) => {
    const first = !admin.founded;
    turn.change(id, (r) => ({
      ...r,
      founded: true,
      absentIn: first ? Math.min(r.absentIn, room.epoch - 1) : r.absentIn,
      known: knownWith(r, r.making),
      making: null,
      succeeding: null,
      nextRekeyAt: turn.at + r.options.rekeyEveryMs,
      epochAt: turn.at,
    }));
    nameDeputies(turn, id);
    grantDeputies(turn, id);
    // Kicked while the commit that let them in again was on its way.
    for (const member of room.members) {
      if (admin.barred.includes(member.identity)) remove(turn, id, member.leaf, "kicked");
    }
    if (admin.succeeding !== null) {
      turn.session.say({
        type: "info",
        text:
          `you run ${room.name} now; no invite of before admits anybody: /invite makes a new one`,
      });
    }
    const invite = admin.options.firstInvite;
    if (first && invite !== null) {
      turn.session.do({
        kind: "make-invite",
        room: id,
        uses: invite.uses,
        expiresAt: turn.at + invite.lifeMs,
      });
    }
  });
}

function inviteMade(turn: AdminTurn, event: Extract<SessionEvent, { kind: "invite-made" }>): void {
  inRoom(turn, event.room, (admin, room) => {
    const record: InviteRecord = {
      id: event.invite,
      usesLeft: event.uses,
      shared: event.uses > 1,
      expiresAt: event.expiresAt,
      revoked: false,
    };
    // A spent one stays until it expires: somebody known may come back with it.
    const live = admin.invites.filter((i) => !i.revoked && turn.at < i.expiresAt);
    const ids = new Set(live.map(({ id }) => id));
    const cameBy = Object.entries(admin.cameBy).filter(([, invite]) => ids.has(invite));
    turn.change(admin.id, (r) => ({
      ...r,
      invites: [...live, record],
      cameBy: Object.fromEntries(cameBy),
    }));
    turn.session.do({ kind: "save-invites", room: admin.id, invites: [...live, record] });
    turn.session.say({
      type: "invite",
      ...inRoomOf(room),
      invite: event.invite,
      url: event.url,
      uses: event.uses,
      expires: new Date(event.expiresAt).toISOString(),
    });
    turn.session.ok(event.ref);
  });
}

function tick(turn: AdminTurn): void {
  for (const { id } of turn.rooms) {
    inRoom(turn, id, (admin, room) => {
      for (const member of room.members) {
        if (member.left) remove(turn, id, member.leaf, "left");
        // While we are not there ourselves we cannot see who is.
        else if (!speaks(room)) continue;
        else if (member.goneAt > 0 && turn.at - member.goneAt >= admin.options.graceMs) {
          remove(turn, id, member.leaf, "gone");
        }
      }
      for (const request of admin.requests) {
        if (turn.at < request.expiresAt) continue;
        refuse(turn, admin.id, request);
        const minutes = REQUEST_LIFE_MS / 60_000;
        turn.session.say({
          type: "info",
          text:
            `${request.name} had no answer for ${minutes} minutes and was not let into ${room.name}`,
        });
      }
      refusedTick(turn, admin, room);
      if (admin.handing !== null && turn.at >= admin.handing.until) {
        const name = room.members.find((m) => m.leaf === admin.handing?.leaf)?.name ?? "nobody";
        turn.change(id, (r) => ({ ...r, handing: null }));
        turn.session.say({
          type: "info",
          text: `${name} did not take ${room.name}: it is still yours`,
        });
      }
      if (turn.at >= admin.nextRekeyAt) {
        turn.change(id, (r) => ({ ...r, rekey: true, nextRekeyAt: Infinity }));
      }
    });
  }
}

function refuse(
  turn: AdminTurn,
  id: string,
  request: JoinRequest,
  code: "denied" | "name-taken" | "room-full" = "denied",
): void {
  turn.change(id, (r) => ({
    ...r,
    requests: r.requests.filter((q) => q.request !== request.request),
  }));
  turn.session.do({ kind: "deny", room: id, request: request.request, code });
}

// ---- who else may run the room (PROTOCOL §7.1)

/** Somebody else may be there: a room that was run before goes on once nobody has answered. */
function enteredAsOwner(turn: AdminTurn, id: string): void {
  const admin = turn.room(id);
  if (admin === undefined) return;
  if (admin.founded || admin.resumed) {
    turn.session.do({ kind: "ask-owners", room: id, all: admin.deputies.length > 0 });
  }
  const first = !admin.founded && admin.making === null;
  const wasGone = admin.founded
    ? admin.awaySince > 0 && mayHaveBeenSilent(turn, admin.awaySince)
    : admin.resumed;
  turn.change(id, (r) => ({
    ...r,
    rekey: r.rekey || !r.founded,
    askedOwnersUntil: (first && r.resumed) || r.founded ? turn.at + OWNERS_MS : 0,
    awaySince: 0,
    backAt: r.founded ? turn.at : r.backAt,
    absentIn: wasGone && admin.founded ? turn.session.room(id)?.epoch ?? -1 : r.absentIn,
  }));
}

/** Messages or tickets of epochs that we have not made: if somebody has taken over and we did not hear of it, we do now. */
function othersAreAhead(turn: AdminTurn, id: string): void {
  inRoom(turn, id, (admin, room) => {
    if (!admin.founded || !speaks(room) || turn.at < admin.nextAskAt) return;
    turn.change(id, (r) => ({ ...r, nextAskAt: turn.at + ASK_EVERY_MS }));
    turn.session.do({ kind: "ask-owners", room: id, all: true });
  });
}

/** A deputy that has come in anew has another leaf, which the epoch that let it in cannot name. */
function nameDeputies(turn: AdminTurn, id: string): void {
  inRoom(turn, id, (admin, room) => {
    if (deputyLeaves(admin, room).every((leaf) => room.deputies.includes(leaf))) return;
    turn.change(id, (r) => ({ ...r, rekey: true }));
  });
}

/**
 * Gives the room key to the deputies that this epoch names, as soon as they are heard, and again when they are back:
 * what was sent to somebody whose connection breaks may not have come. Its WARRANT must not be of an epoch before the
 * one that names them: who missed that one goes by the number (PROTOCOL §7.1).
 */
function grantDeputies(turn: AdminTurn, id: string): void {
  inRoom(turn, id, (admin, room) => {
    const granted = room.deputies.flatMap((leaf) => {
      const before = admin.granted.find((g) => g.leaf === leaf);
      const { handle, present } = memberByLeaf(room, leaf) ?? { handle: null, present: false };
      if (handle === null || !present || handle === before?.handle) return before ?? [];
      turn.session.do({ kind: "grant", room: id, leaf, purpose: "deputy" });
      return { leaf, handle };
    });
    turn.change(id, (r) => ({ ...r, granted }));
  });
}

function deputy(
  turn: AdminTurn,
  admin: AdminRoom,
  room: RoomState,
  args: readonly string[],
  ref?: string,
): void {
  const off = args.length > 1 && args.at(-1) === "off";
  const who = nameIn(off ? args.slice(0, -1) : args);
  if (who === undefined) {
    const names = deputyLeaves(admin, room).map((leaf) =>
      room.members.find((m) => m.leaf === leaf)?.name
    );
    turn.session.say({
      type: "info",
      text: `deputies of ${room.name}, in their rank: ${names.join(", ") || "none"}`,
    });
    return turn.session.ok(ref);
  }
  const member = otherMember(turn, room, who, ref);
  if (member === undefined) return;
  const isNamed = admin.deputies.includes(member.identity);
  if (off !== isNamed) {
    const what = isNamed ? "is a deputy already" : "is no deputy";
    return turn.session.fail("nothing-to-do", `${member.name} ${what}`, ref);
  }
  if (!isNamed && admin.deputies.length >= MAX_DEPUTIES) {
    return turn.session.fail("too-many", `a room has at most ${MAX_DEPUTIES} deputies`, ref);
  }
  turn.session.say({
    type: "info",
    text: isNamed
      ? `${member.name} is no deputy of ${room.name} any more, from the next epoch on`
      : `${member.name} may take over ${room.name} when you are gone, from the next epoch on`,
  });
  // The next commit names them to everybody.
  turn.change(room.id, (r) => ({
    ...r,
    rekey: true,
    deputies: isNamed
      ? r.deputies.filter((identity) => identity !== member.identity)
      : [...r.deputies, member.identity],
  }));
  turn.session.ok(ref);
}

function handOver(
  turn: AdminTurn,
  admin: AdminRoom,
  room: RoomState,
  who: string | undefined,
  ref?: string,
): void {
  const member = otherMember(turn, room, who, ref);
  if (member === undefined) return;
  if (admin.requests.length > 0) {
    return turn.session.fail("requests-wait", "/admit or /deny those who ask first", ref);
  }
  if (admin.handing !== null || admin.making !== null || admin.adds.length > 0) {
    return turn.session.fail("busy", "the room is just changing: try again in a moment", ref);
  }
  if (!member.present || member.handle === null) {
    return turn.session.fail("not-there", `${member.name} is not connected`, ref);
  }
  turn.change(room.id, (r) => ({
    ...r,
    handing: { leaf: member.leaf, until: turn.at + HAND_OVER_MS },
  }));
  turn.session.do({ kind: "grant", room: room.id, leaf: member.leaf, purpose: "hand-over" });
  turn.session.say({
    type: "info",
    text:
      `${member.name} is asked to take ${room.name}: until then, for a minute at most, nobody comes or goes`,
  });
  turn.session.ok(ref);
}

function otherMember(
  turn: AdminTurn,
  room: RoomState,
  who: string | undefined,
  ref?: string,
): RoomState["members"][number] | undefined {
  const member = room.members.find((m) => isCalled(m, who) && !m.left);
  if (member !== undefined && member.leaf !== room.myLeaf) return member;
  if (member === undefined) noSuchMember(turn, room, who, ref);
  else turn.session.fail("usage", "that is you: name somebody else", ref);
  return undefined;
}

/** Names in a room differ in more than case and marks, so those need not be typed. */
function isCalled({ name }: { readonly name: string }, who: string | undefined): boolean {
  return who !== undefined && nameKey(name) === nameKey(who);
}

function noSuchMember(
  turn: AdminTurn,
  room: RoomState,
  who: string | undefined,
  ref?: string,
): void {
  if (who === undefined) return turn.session.fail("usage", "whom? /who lists the members", ref);
  turn.session.fail("no-such-member", `nobody named ${who} is in ${room.name}`, ref);
}

/** Somebody has taken over from us, or says so. */
function succeeded(turn: AdminTurn, event: Extract<SessionEvent, { kind: "succeeded" }>): void {
  inRoom(turn, event.room, (admin, room) => {
    const member = room.members.find((m) => m.identity === event.identity);
    const name = member?.name ?? event.fingerprint;
    const isListed = admin.deputies.includes(event.identity);
    // Until an epoch takes it off the list, the room follows it by right: alone we would run a room of one.
    const isNamed = !admin.barred.includes(event.identity) &&
      (event.purpose === "hand-over" || isListed ||
        (member !== undefined && room.deputies.includes(member.leaf)));
    // Nobody takes the room from an admin that has been there all the time.
    const mayBe = event.purpose === "hand-over" || event.from <= admin.absentIn;
    if (!event.valid || !isNamed || !mayBe) {
      const why = event.valid && isNamed
        ? "though you have been there: whoever follows it has left you"
        : "you did not name it, or the room has gone on with you";
      return turn.session.warn("fork", `${name} says that it runs ${room.name}: ${why}`, room, {
        from: name,
        identity: event.identity,
      });
    }
    const how = event.purpose === "hand-over"
      ? "has taken over"
      : isListed
      ? "took over while you were away"
      : "took over before the room heard that you do not want it as a deputy any more";
    turn.session.say({
      type: "info",
      text: `${name} ${how}: it runs ${room.name} now, and you come in as a member`,
    });
    // Who waits for our person's answer has to ask the successor's.
    for (const { handle } of admin.requests) {
      turn.session.do({ kind: "show-line", room: room.id, to: handle, yielding: true });
    }
    turn.rooms = turn.rooms.filter((r) => r.id !== room.id);
    stepDown(turn.session, room);
  });
}

/** Rooms that we have claimed: their keys are an admin's from here on. */
function takeUpClaimed(turn: AdminTurn): void {
  for (const room of turn.session.state.rooms) {
    if (room.claiming?.done !== true || turn.room(room.id) !== undefined) continue;
    const handedOver = room.claiming.purpose === "hand-over";
    const admin = room.members.find((m) => m.leaf === room.adminLeaf);
    const state = addAdminRoom(
      { session: turn.session.state, rooms: turn.rooms },
      room.id,
      { ...DEFAULT_ADMIN_OPTIONS, firstInvite: null },
      { invites: [], barred: [], known: room.members.map((m) => m.identity) },
    );
    turn.rooms = state.rooms;
    turn.change(room.id, (r) => ({
      ...r,
      founded: true,
      rekey: true,
      deputies: room.deputies.filter((leaf) => leaf !== room.myLeaf).flatMap((leaf) =>
        room.members.filter((m) => m.leaf === leaf).map((m) => m.identity)
      ),
      succeeding: {
        reason: handedOver ? "hand-over" : "claim",
        until: turn.at + SUCCEED_MS,
        given: room.claiming?.given ?? [],
      },
    }));
    // It is waiting for our greeting.
    if (handedOver && admin !== undefined && admin.handle !== null) {
      turn.session.do({ kind: "greet", room: room.id, handle: admin.handle });
    }
  }
}

/** Who gave us no keys cannot be in our first epoch: the admin before, and who was away or did not agree. */
function whoDidNotFollow(room: RoomState, given: readonly number[]): Remove[] {
  return room.members
    .filter((m) => m.leaf !== room.myLeaf && !given.includes(m.leaf))
    .map((m): Remove => ({ leaf: m.leaf, reason: m.left ? "left" : "gone" }));
}

// ---- what the admin's person wants

function command(turn: AdminTurn, intent: Extract<UserIntent, { kind: "command" }>): void {
  const parsed = parseCommand(intent.line);
  const { name, args } = parsed;
  if (!ADMIN_COMMANDS.includes(name)) return;
  const room = roomMeant(turn.session, intent);
  if (room === undefined) return;
  const admin = turn.room(room.id);
  if (admin === undefined || room.phase !== "joined") {
    return turn.session.fail("not-admin", `you are not the admin of ${room.name}`, intent.ref);
  }
  const wrong = superfluous(parsed, "admin");
  if (wrong !== null) return turn.session.fail("usage", wrong, intent.ref);
  switch (name) {
    case "invite":
      return invite(turn, room, args, intent.ref);
    case "admit":
    case "deny":
      return answer(turn, admin, room, name, nameIn(args), intent.ref);
    case "kick":
      return kick(turn, admin, room, nameIn(args), intent.ref);
    case "deputy":
      return deputy(turn, admin, room, args, intent.ref);
    case "handover":
      return handOver(turn, admin, room, nameIn(args), intent.ref);
    case "rekey":
      turn.change(room.id, (r) => ({ ...r, rekey: true }));
      return turn.session.ok(intent.ref);
  }
}

function invite(turn: AdminTurn, room: RoomState, args: readonly string[], ref?: string): void {
  const uses = Number(args[0] ?? 1);
  const hours = Number(args[1] ?? 24);
  if (!Number.isInteger(uses) || uses < 1 || uses > MAX_INVITE_USES) {
    return turn.session.fail(
      "usage",
      `the number of uses is a number from 1 to ${MAX_INVITE_USES}: /invite 5`,
      ref,
    );
  }
  if (!(hours > 0 && hours <= MAX_INVITE_HOURS)) {
    return turn.session.fail("usage", "give the hours that it is good for: /invite 5 48", ref);
  }
  turn.session.do({
    kind: "make-invite",
    room: room.id,
    uses,
    expiresAt: turn.at + Math.round(hours * 3600_000),
    ...(ref === undefined ? {} : { ref }),
  });
}

function answer(
  turn: AdminTurn,
  admin: AdminRoom,
  room: RoomState,
  name: "admit" | "deny",
  who: string | undefined,
  ref?: string,
): void {
  const fitting = who === undefined && admin.requests.length === 1
    ? admin.requests
    : admin.requests.filter((q) => q.request === who || isCalled(q, who));
  const [request] = fitting;
  if (request === undefined || fitting.length > 1) {
    const waiting = admin.requests.map((q) => `${q.name} (${q.request})`).join(", ");
    // Only these tell people apart who ask under one name.
    const numbers = fitting.map((q) => `${q.request} (fingerprint ${q.fingerprint})`).join(", ");
    return turn.session.fail(
      "no-such-request",
      fitting.length > 1
        ? `more than one ${who} waits: use the number, ${numbers}`
        : `nobody of that name waits${waiting === "" ? "" : `; waiting: ${waiting}`}`,
      ref,
    );
  }
  if (name === "admit") {
    // Much may have happened since the question.
    const obstacle = nameTaken(admin, room, request.name, request.identity)
      ? "name-taken"
      : isFull(admin, room)
      ? "room-full"
      : null;
    if (obstacle !== null) {
      refuse(turn, admin.id, request, obstacle);
      const why = obstacle === "room-full" ? "the room is full" : "that name is taken by now";
      return turn.session.fail(obstacle, `${request.name} was not admitted: ${why}`, ref);
    }
    turn.change(admin.id, (r) => ({
      ...r,
      barred: r.barred.filter((identity) => identity !== request.identity),
    }));
    admitted(turn, admin.id, { ...request, via: "approved" });
  } else {
    refuse(turn, admin.id, request);
    turn.session.say({ type: "info", text: `${request.name} was turned away` });
  }
  turn.session.ok(ref);
}

/** A kick revokes the invite that was used and all shared ones, and bars the identity. */
function kick(
  turn: AdminTurn,
  admin: AdminRoom,
  room: RoomState,
  who: string | undefined,
  ref?: string,
): void {
  const member = room.members.find((m) => isCalled(m, who));
  if (member === undefined) return noSuchMember(turn, room, who, ref);
  if (member.leaf === room.myLeaf) {
    return turn.session.fail("usage", "you cannot kick yourself: /leave leaves the room", ref);
  }
  // On their way in once more: not any longer.
  for (const { request } of admin.adds.filter((a) => a.identity === member.identity)) {
    turn.session.do({ kind: "deny", room: admin.id, request, code: "denied" });
  }
  const used = admin.cameBy[member.identity];
  turn.change(admin.id, (r) => ({
    ...r,
    invites: r.invites.map((i) => i.id === used || i.shared ? { ...i, revoked: true } : i),
    barred: [...new Set([...r.barred, member.identity])],
    known: r.known.filter((identity) => identity !== member.identity),
    deputies: r.deputies.filter((identity) => identity !== member.identity),
    adds: r.adds.filter((a) => a.identity !== member.identity),
  }));
  remove(turn, admin.id, member.leaf, "kicked");
  if (room.handle === null) {
    turn.session.say({
      type: "info",
      text: `${member.name} is in ${room.name} until you are connected again; ` +
        "if this program ends before that, nobody is removed: then kick them once more",
    });
  }
  turn.session.ok(ref);
}
