import type { RandomSource } from "../crypto/primitives.ts";
import type { KeyRing } from "../crypto/key_ring.ts";
import type { InviteRecord, Step } from "../session/effect.ts";
import type { SessionEvent } from "../session/event.ts";
import type { ForkEvidence } from "../session/notice.ts";
import type { SessionView } from "../session/view.ts";
import type { Link } from "../transport/link.ts";
import type { Face } from "../ui/face.ts";
import type { KeyChangeStatement } from "../wire/key_change.ts";
import type { RelayKey } from "../wire/ids.ts";
import type { Login } from "./login.ts";

/** The clock of a session; tests have their own. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls back about that often until the returned function is called. */
  every(ms: number, callback: () => void): () => void;
  /** Calls back once after that time, unless the returned function is called before. */
  after(ms: number, callback: () => void): () => void;
}

/** The clock on the wall. */
export const systemClock: Clock = {
  now: () => Date.now(),
  every(ms, callback) {
    const timer = setInterval(callback, ms);
    return () => clearInterval(timer);
  },
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** An invite with its secrets, as the admin's profile keeps it. */
export interface KeptInvite extends InviteRecord {
  /** Secret, 32 hex digits. */
  readonly secret: string;
  /** The room secret that the link carries. Secret, 64 hex digits. */
  readonly roomSecret: string;
}

/** Where a member stands after it accepted an epoch. All keys in hex. */
export interface KeptMembership {
  readonly room: string;
  /** Its local name. */
  readonly name: string;
  readonly epoch: number;
  readonly h: string;
  readonly admin: string;
  readonly roomKey: string;
  /** Secret. */
  readonly roomSecret: string;
  /** Identities that its admin has named deputies. */
  readonly deputies: readonly string[];
}

/** What a member stores when it becomes the admin. All keys in hex. */
export interface KeptSuccession {
  readonly room: string;
  readonly name: string;
  /** The epoch that it is in. */
  readonly epoch: number;
  readonly h: string;
  /** Our own identity. */
  readonly admin: string;
  readonly roomKey: string;
  /** Secret. */
  readonly roomKeySeed: string;
  /** Secret. */
  readonly roomSecret: string;
  /** SUCCESSIONs up to us, oldest first. */
  readonly lineage: readonly string[];
}

/** What an admin stores before a commit leaves. */
export interface KeptCommit {
  readonly room: string;
  readonly epoch: number;
  /** 64 hex digits. */
  readonly h: string;
  /** From this epoch on; a kick replaces it. Secret, 64 hex digits. */
  readonly roomSecret: string;
  /** Those before it, newest first: for who missed a kick. Secret. */
  readonly formerSecrets: readonly string[];
  /** This epoch and some before it, oldest first, with their deputies' identities: the newest may reach nobody. */
  readonly ownEpochs: readonly {
    readonly epoch: number;
    readonly h: string;
    readonly deputies: readonly string[] | null;
  }[];
  /** When this commit replaced the room secret, in milliseconds since 1970; `null` if it did not. */
  readonly secretReplacedAt: number | null;
  /** The greatest g that was accepted, by identity. */
  readonly generations: Readonly<Record<string, number>>;
  readonly invites: readonly KeptInvite[];
  readonly barred: readonly string[];
  /** Who is admitted without a question, those whom this commit adds included. */
  readonly known: readonly string[];
  /** Identities that may take over, in their rank. */
  readonly deputies: readonly string[];
}

/** What a session keeps between runs. Every call resolves when it is durable. */
export interface SessionStore {
  /** A member's place: what a returner needs, and what tells a rollback. */
  saveMembership(membership: KeptMembership): Promise<void>;
  /** A member is the admin from here on. */
  saveSuccession(succession: KeptSuccession): Promise<void>;
  /** All of a commit in one: before the first byte of it leaves, and never for an epoch that was stored before. */
  saveCommit(commit: KeptCommit): Promise<void>;
  saveInvites(room: string, invites: readonly KeptInvite[]): Promise<void>;
  saveVerified(identities: readonly string[]): Promise<void>;
  /** What proves that the room's admin signed two commits for one place. */
  saveFork(room: string, evidence: ForkEvidence): Promise<void>;
}

/** The store of a session without a profile: nothing outlives the run. */
export const noStore: SessionStore = {
  saveMembership: () => Promise.resolve(),
  saveSuccession: () => Promise.resolve(),
  saveCommit: () => Promise.resolve(),
  saveInvites: () => Promise.resolve(),
  saveVerified: () => Promise.resolve(),
  saveFork: () => Promise.resolve(),
};

/** A room whose keys are in the ring. */
export interface PreparedRoom {
  /** 32 hex digits. */
  readonly id: string;
  readonly name: string;
}

/** A role: a pure step and what faces may draw of its state. */
export interface Role<S> {
  step(state: S, event: SessionEvent): Step<S>;
  view(state: S): SessionView;
}

/** All that a session needs from outside. */
export interface Ports<S> {
  readonly role: Role<S>;
  readonly initial: S;
  readonly ring: KeyRing;
  readonly relay: { readonly host: string; readonly port: number; readonly key: RelayKey };
  /** Connects to the relay and verifies it. It may have another key then. */
  readonly dial: () => Promise<Link>;
  /** How to log in where the relay wants that. */
  readonly login?: Login;
  /** Takes what the relay says of changes of its key; without it they are passed over. */
  readonly hearKeyChanges?: (statements: readonly KeyChangeStatement[]) => Promise<void>;
  readonly face: Face;
  readonly rooms: readonly PreparedRoom[];
  /**
   * Prepares one more room.
   *
   * @throws {Error} with a message for the person, if the invite is none or of another relay
   */
  readonly prepareJoin: (invite: string) => Promise<PreparedRoom>;
  readonly store: SessionStore;
  readonly clock: Clock;
  /** For how long a lost relay is looked for; Infinity for as long as it takes. */
  readonly retryMs: number;
  readonly random: RandomSource;
  /** Calls back when the process is told to end, until the returned function is called. */
  readonly onSignal: (callback: () => void) => () => void;
}
