import type { EpochReason, ForkEvidence, Via } from "./notice.ts";
import type { UserIntent } from "./intent.ts";
import type { MissingNumbers } from "./state.ts";

/** A member as a verified roster names it. */
export interface RosterEntry {
  readonly leaf: number;
  readonly name: string;
  /** 64 hex digits. */
  readonly identity: string;
  readonly fingerprint: string;
  readonly via: Via;
}

/** What a leaf that a commit removed leaves behind. */
export interface Removal {
  readonly leaf: number;
  readonly reason: "left" | "kicked" | "gone" | "replaced";
  /** How many of its messages count in the epoch that ended. */
  readonly count: number;
  /** Messages of it that the admin has and we do not, and that can still be opened if somebody has them. */
  readonly gaps: readonly MissingNumbers[];
  /** Those that cannot. */
  readonly missing: number;
  /** The admin has others than we, and nothing is missing. */
  readonly fork: boolean;
}

/** The contents of a verified room message. */
export type MessageContent =
  | {
    readonly kind: "text";
    readonly id: string;
    readonly sentAt: number;
    readonly text: string;
    /** Opened before under another number: it counts, but is not shown again. */
    readonly repeated: boolean;
  }
  | {
    readonly kind: "close";
    readonly epoch: number;
    /** Of the messages it sent in that epoch, how many we miss. */
    readonly missing: number;
  }
  | {
    readonly kind: "heartbeat";
    /** Its author has heard of everybody what we had heard; absent where that cannot be said. */
    readonly agrees?: boolean;
  }
  | { readonly kind: "leave" }
  /** A type that we do not know and need not. */
  | { readonly kind: "other" };

/** By which right somebody takes over: the admin handed the room to it, or named it a deputy. */
export type SuccessionPurpose = "hand-over" | "deputy";

/** Why a frame of a room was refused. Words of PROTOCOL §8. */
export type MessageRefusal =
  | "replay"
  | "too-far"
  | "bad-signature"
  | "bad-message"
  | "unknown-sender"
  | "unsupported";

/**
 * What has happened, in the past tense. `room` is a room id in hex, `handle` a relay handle in hex, `at`
 * milliseconds since 1970. Everything in here is verified as PROTOCOL says, unless its name says otherwise.
 */
export type SessionEvent = { readonly at: number } & EventBody;

/** An event without its time. */
export type EventBody =
  | {
    readonly kind: "connected";
    readonly host: string;
    readonly port: number;
    readonly pin: string;
  }
  | {
    readonly kind: "link-ended";
    readonly code: string;
    readonly message: string;
    /** Since when nothing had come over it, if it died before it was found out; milliseconds since 1970. */
    readonly deadSince?: number;
  }
  | { readonly kind: "reconnect-scheduled"; readonly attempt: number; readonly inMs: number }
  | { readonly kind: "reconnect-given-up" }
  | {
    readonly kind: "dial-failed";
    readonly attempt: number;
    readonly message: string;
    /** Somebody else than the pinned relay answered. */
    readonly wrongKey: boolean;
  }
  | { readonly kind: "tick" }
  /** `id` is a fresh random message id, in case the intent becomes a message. */
  | { readonly kind: "intent"; readonly intent: UserIntent; readonly id: string }
  /** A room that we want to be in has been prepared in the key ring. */
  | {
    readonly kind: "room-prepared";
    readonly room: string;
    readonly name: string;
    readonly ref?: string;
  }
  | { readonly kind: "join-refused"; readonly message: string; readonly ref?: string }
  // What the relay says.
  | {
    readonly kind: "entered";
    readonly room: string;
    readonly handle: string;
    readonly role: "knocker" | "member" | "owner";
    readonly ownerPresent: boolean;
  }
  | {
    readonly kind: "refused";
    readonly room: string;
    readonly code: string;
    readonly message: string;
  }
  | {
    readonly kind: "gone";
    readonly room: string;
    readonly handle: string;
    readonly reason: string;
  }
  | { readonly kind: "owner"; readonly room: string; readonly present: boolean }
  // A joiner's way in.
  | {
    readonly kind: "greeted";
    readonly room: string;
    /** The admin's identity and its fingerprint. */
    readonly admin: string;
    readonly fingerprint: string;
    /** False in an open room whose admin we meet for the first time. */
    readonly pinned: boolean;
  }
  | { readonly kind: "pending"; readonly room: string }
  | { readonly kind: "denied"; readonly room: string; readonly code: string }
  // Epochs.
  | {
    readonly kind: "joined";
    readonly room: string;
    readonly roomName: string;
    readonly epoch: number;
    readonly myLeaf: number;
    readonly adminLeaf: number;
    /** In their rank. */
    readonly deputies: readonly number[];
    readonly roster: readonly RosterEntry[];
    readonly safetyCode: string;
  }
  | {
    readonly kind: "epoch-began";
    readonly room: string;
    readonly epoch: number;
    readonly reason: EpochReason;
    readonly adminLeaf: number;
    /** In their rank. */
    readonly deputies: readonly number[];
    readonly added: readonly RosterEntry[];
    readonly removed: readonly Removal[];
    readonly safetyCode: string;
  }
  | {
    readonly kind: "removed";
    readonly room: string;
    /** The admin has started anew, with nobody in its roster yet. */
    readonly restarted: boolean;
  }
  | {
    readonly kind: "commit-refused";
    readonly room: string;
    /** `unverified-admin`: a greeting by somebody else than the admin that was pinned. */
    readonly code:
      | "bad-commit"
      | "bad-claim"
      | "fork"
      | "rollback"
      | "two-devices"
      | "unverified-admin";
    readonly message: string;
    /** The admin signed it: this room cannot go on. */
    readonly fatal: boolean;
    /** Of a `fork`, if both commits are at hand. */
    readonly evidence?: ForkEvidence;
    /** The admin signed it for an epoch after the next: those between have not come. */
    readonly ahead?: true;
  }
  // Another admin (PROTOCOL §7.1).
  /** The admin gave us the room key, to take over now or as its deputy. */
  | { readonly kind: "granted"; readonly room: string; readonly purpose: SuccessionPurpose }
  /** We are outside, and have been shown that another runs the room than we knew. */
  | { readonly kind: "admin-changed"; readonly room: string }
  /** A member says that it takes over, with a warrant that fits where we are. */
  | {
    readonly kind: "succession";
    readonly room: string;
    readonly leaf: number;
    readonly purpose: SuccessionPurpose;
  }
  /** A member follows us and gave its keys. */
  | { readonly kind: "keys-given"; readonly room: string; readonly leaf: number }
  /** To an admin: somebody says that it has taken over. */
  | {
    readonly kind: "succeeded";
    readonly room: string;
    /** 64 hex digits. */
    readonly identity: string;
    readonly fingerprint: string;
    readonly purpose: SuccessionPurpose;
    /** The epoch that it goes on from. */
    readonly from: number;
    /** It was a deputy in that epoch of ours, and has followed us to none after it; or we handed it the room. */
    readonly valid: boolean;
  }
  /** An admin of before goes on though another took over. */
  | { readonly kind: "former-admin"; readonly room: string; readonly handle: string }
  /** An owner asks who else is there, and how that came. */
  | {
    readonly kind: "owner-asked";
    readonly room: string;
    readonly handle: string;
    readonly nonce: string;
  }
  // Messages.
  | {
    readonly kind: "message";
    readonly room: string;
    /** Its author's; `null` if it came by repair, from somebody else. */
    readonly handle: string | null;
    readonly leaf: number;
    readonly epoch: number;
    readonly n: number;
    /** What of this author we now know to be missing and could still get. */
    readonly gaps: readonly MissingNumbers[];
    readonly content: MessageContent;
    readonly skipped: number;
    readonly lost: number;
    readonly late: boolean;
    /** With it we have as much of its author as somebody tells by a hash, and have otherwise. */
    readonly fork: boolean;
    /** It has been shown as missing, and comes after all. */
    readonly givenUp?: true;
  }
  | {
    readonly kind: "message-refused";
    readonly room: string;
    readonly code: MessageRefusal;
    /** The leaf that the frame names; known to be its author only for `bad-signature` never. */
    readonly leaf: number | null;
    /** Nothing that we have opens it: it may be for who knows what we lack. */
    readonly unreadable?: true;
  }
  // Agreement (PROTOCOL §9).
  /** A member asks what we have heard of everybody. */
  | {
    readonly kind: "view-asked";
    readonly room: string;
    readonly handle: string;
    readonly requester: number;
    readonly nonce: string;
  }
  /** A member that we asked has shown what it has heard: its word, compared with ours. */
  | {
    readonly kind: "view-came";
    readonly room: string;
    readonly epoch: number;
    readonly leaf: number;
    /** Authors of whom it has heard something else. */
    readonly differs: readonly number[];
    /** Authors of whom it says to have `count` messages, where we know of `from`. */
    readonly ahead: readonly {
      readonly leaf: number;
      readonly from: number;
      readonly count: number;
    }[];
    /** It lacks something that we had when we asked. */
    readonly behind: boolean;
  }
  /** A message of a later epoch came than the commits we have. */
  | {
    readonly kind: "fell-behind";
    readonly room: string;
    /** The admin's own signature says so; else anybody can have made what we cannot read. */
    readonly sure: boolean;
  }
  /** The admin has sent all commits that we lacked, or tells what there was in an epoch before. */
  | {
    readonly kind: "caught-up" | "gaps-told";
    readonly room: string;
    readonly gaps: readonly { readonly leaf: number; readonly gaps: readonly MissingNumbers[] }[];
  }
  | {
    readonly kind: "repair-asked";
    readonly room: string;
    readonly handle: string;
    readonly requester: number;
    readonly epoch: number;
    readonly leaf: number;
    readonly numbers: readonly number[];
  }
  /** The chains of the epoch before were dropped; per leaf what never came. */
  | {
    readonly kind: "chains-dropped";
    readonly room: string;
    readonly missing: readonly {
      readonly leaf: number;
      readonly count: number;
      /** What of that leaf is missing still. */
      readonly gaps: readonly MissingNumbers[];
    }[];
  }
  // The admin's.
  | { readonly kind: "knocked"; readonly room: string; readonly handle: string }
  | {
    readonly kind: "bundle-opened";
    readonly room: string;
    readonly handle: string;
    /** How this process names the request. */
    readonly request: string;
    readonly name: string;
    readonly identity: string;
    readonly fingerprint: string;
    /** The invite whose MAC held, 16 hex digits; `null` without one; "unknown" for one that is not ours, or no more. */
    readonly invite: string | null;
  }
  | {
    readonly kind: "bundle-refused";
    readonly room: string;
    readonly handle: string;
    /** The greeting that it answered. */
    readonly na: string;
    readonly code: "invite-invalid" | "bad-request";
    readonly why: string;
  }
  | {
    readonly kind: "kem-updated";
    readonly room: string;
    readonly leaf: number;
    readonly handle: string;
  }
  /** A member may have missed commits; `answer` is how this process names what it is to get. */
  | {
    readonly kind: "catch-up-asked";
    readonly room: string;
    readonly handle: string;
    readonly answer: string;
  }
  | { readonly kind: "commit-made"; readonly room: string; readonly epoch: number }
  | { readonly kind: "commit-saved"; readonly room: string; readonly epoch: number }
  | {
    readonly kind: "invite-made";
    readonly room: string;
    readonly invite: string;
    readonly url: string;
    readonly uses: number;
    readonly expiresAt: number;
    readonly ref?: string;
  }
  /** Something of ours failed: disk, runtime. */
  | { readonly kind: "failed"; readonly what: string; readonly message: string };
