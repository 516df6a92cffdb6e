import type { ForkEvidence, Notice } from "./notice.ts";
import type { SuccessionPurpose } from "./event.ts";
import type { MissingNumbers } from "./state.ts";

/** A room message that the step has numbered and the driver seals. */
export type OutgoingMessage =
  | { readonly kind: "text"; readonly id: string; readonly sentAt: number; readonly text: string }
  /** Closes the epoch before; count and hash are the key ring's. */
  /** Of which epoch. */
  | { readonly kind: "close"; readonly epoch: number }
  | { readonly kind: "heartbeat" }
  | { readonly kind: "leave" };

/**
 * Orders to the driver. None holds a key. They are carried out in order; the slow ones on workers whose
 * results come back as events.
 */
export type Effect =
  /** Enters the room at the relay with the best right that the key ring has. */
  | { readonly kind: "enter"; readonly room: string }
  /** The relay takes our ticket no more: as knocker we can still ask the admin. */
  | { readonly kind: "enter-as-knocker"; readonly room: string }
  /** Connects again after a while; answered by `reconnect-scheduled`, then `connected` or `dial-failed`. */
  | { readonly kind: "reconnect"; readonly attempt: number }
  | { readonly kind: "catch-up"; readonly room: string }
  /** Prepares new keys for a room that removed us while we were away, and enters it. */
  | { readonly kind: "rejoin"; readonly room: string }
  | {
    readonly kind: "request-repair";
    readonly room: string;
    readonly to: string;
    readonly epoch: number;
    readonly leaf: number;
    readonly numbers: readonly number[];
  }
  | {
    readonly kind: "repair";
    readonly room: string;
    readonly to: string;
    readonly epoch: number;
    readonly leaf: number;
    readonly numbers: readonly number[];
  }
  /** These were shown as missing: they are no gap any more. */
  | {
    readonly kind: "give-up";
    readonly room: string;
    readonly leaf: number;
    readonly missing: readonly MissingNumbers[];
  }
  /** Asks a member what it has heard of everybody; answered by `view-came`. */
  | {
    readonly kind: "request-view";
    readonly room: string;
    readonly to: string;
    readonly leaf: number;
  }
  /** Answers `view-asked`. */
  | {
    readonly kind: "show-view";
    readonly room: string;
    readonly to: string;
    readonly nonce: string;
  }
  | { readonly kind: "leave-room"; readonly room: string }
  | { readonly kind: "knock"; readonly room: string }
  /** Answers the admin's HELLO with our BUNDLE. */
  | { readonly kind: "send-bundle"; readonly room: string }
  | {
    readonly kind: "seal-and-send";
    readonly room: string;
    readonly epoch: number;
    readonly n: number;
    readonly message: OutgoingMessage;
    /** We have no member's place at the relay, or catch up: it is sealed now, and sent at `send-held`. */
    readonly held?: true;
  }
  /** Sends what was held, in its order. */
  | { readonly kind: "send-held"; readonly room: string }
  | { readonly kind: "update-kem"; readonly room: string }
  | { readonly kind: "save-fork"; readonly room: string; readonly evidence: ForkEvidence }
  | { readonly kind: "renew-ticket"; readonly room: string }
  | { readonly kind: "drop-previous-epoch"; readonly room: string }
  /** Wipes all keys of the room. */
  | { readonly kind: "forget-room"; readonly room: string }
  | { readonly kind: "prepare-join"; readonly invite: string; readonly ref?: string }
  | { readonly kind: "remember-verified"; readonly identities: readonly string[] }
  // Another admin (PROTOCOL §7.1).
  /** Enters as owner and tells everybody that we take over; answered by `keys-given`. */
  | { readonly kind: "claim"; readonly room: string; readonly purpose: SuccessionPurpose }
  /** Gives whoever takes over what it needs to have us in its first epoch. */
  | { readonly kind: "accept-succession"; readonly room: string; readonly leaf: number }
  /** We claim the room no more, and are a member at the relay again. */
  | { readonly kind: "give-up-claim"; readonly room: string }
  /** Turns a member's keys into an admin's, durably: commits can be made from here on. */
  | { readonly kind: "succeed"; readonly room: string }
  /** Shows somebody at a handle how the admin that we follow became it, or how we did. */
  | {
    readonly kind: "show-line";
    readonly room: string;
    readonly to: string;
    /** Whoever follows us as well: we are about to step down. */
    readonly yielding?: true;
  }
  // The admin's.
  /** Turns an admin's keys into those of a joiner: somebody else administers the room. */
  | { readonly kind: "step-down"; readonly room: string }
  /** Asks whether another owner is there; where there are deputies all members, who may follow one. */
  | { readonly kind: "ask-owners"; readonly room: string; readonly all: boolean }
  | {
    readonly kind: "answer-owner";
    readonly room: string;
    readonly handle: string;
    readonly nonce: string;
  }
  /** Gives a member the room key. */
  | {
    readonly kind: "grant";
    readonly room: string;
    readonly leaf: number;
    readonly purpose: SuccessionPurpose;
  }
  /** Tells a relay that forgot it who may no longer enter. */
  | { readonly kind: "reclaim"; readonly room: string }
  | {
    readonly kind: "send-missed";
    readonly room: string;
    readonly handle: string;
    readonly answer: string;
  }
  | { readonly kind: "greet"; readonly room: string; readonly handle: string }
  | { readonly kind: "say-pending"; readonly room: string; readonly request: string }
  | {
    readonly kind: "deny";
    readonly room: string;
    readonly request: string;
    readonly code: "denied" | "invite-invalid" | "name-taken" | "room-full";
  }
  | {
    readonly kind: "refuse-bundle";
    readonly room: string;
    readonly handle: string;
    readonly na: string;
    readonly code: "invite-invalid" | "bad-request";
  }
  | {
    readonly kind: "ack-kem";
    readonly room: string;
    readonly leaf: number;
    readonly handle: string;
  }
  | {
    readonly kind: "make-invite";
    readonly room: string;
    readonly uses: number;
    readonly expiresAt: number;
    readonly ref?: string;
  }
  | {
    readonly kind: "save-invites";
    readonly room: string;
    readonly invites: readonly InviteRecord[];
  }
  | {
    readonly kind: "make-commit";
    readonly room: string;
    readonly reason:
      | "founded"
      | "join"
      | "leave"
      | "kick"
      | "gone"
      | "rekey"
      | "hand-over"
      | "claim";
    readonly adds: readonly {
      readonly request: string;
      readonly via: "invite" | "shared-link" | "approved" | "known";
    }[];
    readonly removes: readonly {
      readonly leaf: number;
      readonly reason: "left" | "kicked" | "gone" | "replaced";
    }[];
    /** Leaves, in their rank. */
    readonly deputies: readonly number[];
  }
  /** Stores (epoch, h) and the invites that it spends, durably; answered by `commit-saved`. */
  | {
    readonly kind: "save-commit";
    readonly room: string;
    readonly epoch: number;
    readonly invites: readonly InviteRecord[];
    readonly barred: readonly string[];
    /** Identities that are admitted without a question, those that this commit adds included. */
    readonly known: readonly string[];
    /** Identities of the deputies, in their rank. */
    readonly deputies: readonly string[];
  }
  /** Sends wraps, welcomes and the commit, and moves to its epoch; answered by `epoch-began` or, for the founder, `joined`. */
  | {
    readonly kind: "publish-commit";
    readonly room: string;
    readonly epoch: number;
  }
  | { readonly kind: "notice"; readonly notice: Notice }
  /** Flushes what is queued, closes, and ends the process with this code. */
  | { readonly kind: "stop"; readonly exitCode: number; readonly reason: string };

/** An invite in the admin's own record. The secret is in the key ring. */
export interface InviteRecord {
  /** 16 hex digits. */
  readonly id: string;
  readonly usesLeft: number;
  readonly shared: boolean;
  readonly expiresAt: number;
  readonly revoked: boolean;
}

/** What a step gives back. */
export interface Step<S> {
  readonly state: S;
  readonly effects: readonly Effect[];
}
