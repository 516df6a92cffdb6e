import type { RandomSource } from "../crypto/primitives.ts";
import type { KeyRing } from "../crypto/key_ring.ts";
import type { InviteRecord, Step } from "../session/effect.ts";
import type { SessionEvent } from "../session/event.ts";
import type { SessionView } from "../session/view.ts";
import type { Link } from "../transport/link.ts";
import type { Face } from "../ui/face.ts";
import type { RelayKey } from "../wire/ids.ts";

/** The clock of a session; tests have their own. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls back about that often until the returned function is called. */
  every(ms: number, callback: () => void): () => void;
}

/** The clock on the wall. */
export const systemClock: Clock = {
  now: () => Date.now(),
  every(ms, callback) {
    const timer = setInterval(callback, ms);
    return () => clearInterval(timer);
  },
};

/** What a session keeps between runs. Every call resolves when it is durable. */
export interface SessionStore {
  /** The highest epoch of a room and its hash, hex; the admin's before the first byte of a commit leaves. */
  saveEpoch(room: string, epoch: number, h: string): Promise<void>;
  saveInvites(
    room: string,
    invites: readonly InviteRecord[],
    barred: readonly string[] | null,
  ): Promise<void>;
  saveVerified(identities: readonly string[]): Promise<void>;
}

/** The store of a session without a profile: nothing outlives the run. */
export const noStore: SessionStore = {
  saveEpoch: () => Promise.resolve(),
  saveInvites: () => Promise.resolve(),
  saveVerified: () => Promise.resolve(),
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
  /** Connects to the relay and verifies it. */
  readonly dial: () => Promise<Link>;
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
  readonly random: RandomSource;
  /** Calls back when the process is told to end, until the returned function is called. */
  readonly onSignal: (callback: () => void) => () => void;
}
