/**
 * What a participant's session tells the world: the one event stream behind every face. These
 * objects are the NDJSON of docs/JSON.md; `--ui json` prints them as they are, after adding `at`.
 * Fields are only ever added.
 */

/** A person wherever one appears in full. `identity` is the Ed25519 public key, 64 hex digits. */
export interface Person {
  readonly name: string;
  readonly identity: string;
}

/** How a member came to be in the room. */
export type Via = "founder" | "invite" | "shared-link" | "approved" | "known";

/** A member as `joined`, `epoch` and `members` list it. */
export interface MemberNotice extends Person {
  /** Short form of the identity for people to compare, see `wire/ids.ts`. */
  readonly fingerprint: string;
  readonly via: Via;
  /** True once a safety code of an epoch with this identity was confirmed. */
  readonly verified: boolean;
  readonly admin: boolean;
  /** May take over from the admin. */
  readonly deputy: boolean;
  /** False while the relay says that its connection is gone. */
  readonly present: boolean;
}

/** Things that an enemy or a broken network did, never silent (P5, P9). */
export type WarningCode =
  | "gap"
  | "replay"
  | "too-far"
  | "fork"
  | "rollback"
  | "bad-signature"
  | "bad-message"
  | "unknown-sender"
  | "bad-commit"
  | "stale-membership"
  | "two-devices"
  | "unsupported"
  | "unverified-admin"
  | "bad-claim"
  | "disagreement"
  | "invite-on-command-line";

/** Two commits that an admin signed and of which only one can be: anybody can check both signatures (P9). */
export interface ForkEvidence {
  /** Its identity, 64 hex digits. */
  readonly admin: string;
  /** PROTOCOL's COMMITs in base64, the one that was accepted here first. */
  readonly commits: readonly [accepted: string, other: string];
}

/** Fields that every event about a room has. */
interface InRoom {
  /** The room's local name. */
  readonly room: string;
  /** 32 hex digits. */
  readonly roomId: string;
}

/** Who of a room sees the same conversation. */
export interface AgreementView {
  /** How many do, oneself among them. */
  readonly agree: number;
  /** Of how many. */
  readonly of: number;
  /** Who has heard something else than we. */
  readonly differ: readonly Person[];
  /** Who lacks messages; oneself too. */
  readonly behind: readonly Person[];
  /** Who has not shown for two heartbeats what it has heard. */
  readonly silent: readonly Person[];
}

/** Everything that a session says, by `type`. */
export type Notice =
  | { readonly type: "hello"; readonly schema: 1; readonly version: string; readonly role: string }
  | {
    readonly type: "ready";
    readonly host: string;
    readonly port: number;
    /** `host:port` of all that it listens on. */
    readonly listening: readonly string[];
    readonly link: string;
    /** The relay's public key, 64 hex digits. */
    readonly pin: string;
    readonly fingerprint: string;
    /** `host:port` of the metrics page. */
    readonly metrics?: string;
  }
  | { readonly type: "stopping"; readonly reason: string }
  | {
    readonly type: "server-key";
    /** `announced`: it will change; `changed`: it has. */
    readonly state: "announced" | "changed";
    /** The new key, 64 hex digits. */
    readonly pin: string;
    readonly fingerprint: string;
    /** ISO 8601; of an announced one. */
    readonly from?: string;
    /** The new server link; of a relay's own. */
    readonly link?: string;
  }
  | { readonly type: "info"; readonly text: string }
  | {
    readonly type: "connected";
    readonly host: string;
    readonly port: number;
    readonly pin: string;
  }
  | { readonly type: "disconnected"; readonly code: string; readonly message: string }
  | { readonly type: "reconnecting"; readonly attempt: number; readonly inMs: number }
  | { readonly type: "reconnected" }
  | ({
    readonly type: "invite";
    readonly invite: string;
    readonly url: string;
    readonly uses: number;
    /** ISO 8601. */
    readonly expires: string;
  } & InRoom)
  | ({
    readonly type: "join-request";
    /** What `/admit` and `/deny` take, besides the name. */
    readonly request: string;
    readonly name: string;
    readonly identity: string;
    readonly fingerprint: string;
  } & InRoom)
  /** The admin has been asked about us, or is not there yet. */
  | ({ readonly type: "waiting"; readonly reason: "no-admin" | "no-answer" | "asked" } & InRoom)
  | ({
    readonly type: "joined";
    readonly me: Person;
    readonly members: readonly MemberNotice[];
    readonly epoch: number;
    readonly safetyCode: string;
  } & InRoom)
  | (
    & { readonly type: "member-joined"; readonly via: Via; readonly fingerprint: string }
    & Person
    & InRoom
  )
  | (
    & {
      readonly type: "member-left";
      readonly reason: "left" | "kicked" | "gone" | "replaced";
    }
    & Person
    & InRoom
  )
  | ({ readonly type: "presence"; readonly present: boolean } & Person & InRoom)
  | ({
    readonly type: "epoch";
    readonly epoch: number;
    readonly reason: EpochReason;
    readonly members: readonly MemberNotice[];
    readonly safetyCode: string;
  } & InRoom)
  | ({
    readonly type: "members";
    readonly epoch: number;
    readonly members: readonly MemberNotice[];
    readonly safetyCode: string;
  } & InRoom)
  | ({
    readonly type: "message";
    /** 32 hex digits. */
    readonly id: string;
    readonly from: string;
    readonly identity: string;
    readonly text: string;
    /** ISO 8601, the sender's clock. */
    readonly sentAt: string;
    /** It was shown as missing before, and its sender's later ones have been shown. */
    readonly late?: boolean;
    /** Its author was not in the room any more when it came: when it was written, only its author's word tells. */
    readonly authorGone?: boolean;
  } & InRoom)
  | ({
    readonly type: "sent";
    readonly id: string;
    readonly text: string;
    readonly sentAt: string;
    readonly ref?: string;
  } & InRoom)
  /** One's own text waits; `sent` follows once it could be sent, an `error` if it never will be. */
  | ({
    readonly type: "pending";
    readonly id: string;
    readonly text: string;
    readonly ref?: string;
  } & InRoom)
  | ({ readonly type: "verified"; readonly members: readonly Person[] } & InRoom)
  | {
    readonly type: "warning";
    readonly code: WarningCode;
    readonly message: string;
    readonly room?: string;
    readonly roomId?: string;
    readonly from?: string;
    readonly identity?: string;
    readonly count?: number;
    /** Of whom the member named in `from` has heard something else. */
    readonly author?: Person;
    /** Of a fork, if both are at hand: the COMMITs of {@linkcode ForkEvidence}; `identity` is the admin. */
    readonly evidence?: readonly string[];
  }
  | ({
    readonly type: "repaired";
    readonly from: string;
    readonly identity: string;
    readonly count: number;
  } & InRoom)
  | ({
    readonly type: "missing";
    readonly from: string;
    readonly identity: string;
    readonly count: number;
  } & InRoom)
  | ({ readonly type: "agreement" } & AgreementView & InRoom)
  /** A question to the person; answered by an `answer` intent. `ref` names it. */
  | {
    readonly type: "ask";
    readonly ref: string;
    readonly question: string;
    readonly choices: readonly string[];
  }
  /** Nothing depends on the answer to that question any more, and it is not taken. */
  | { readonly type: "withdrawn"; readonly ref: string; readonly question: string }
  | { readonly type: "ok"; readonly ref: string }
  | {
    readonly type: "error";
    readonly code: string;
    readonly message: string;
    readonly ref?: string;
  }
  | { readonly type: "bye"; readonly reason: string; readonly exitCode: number };

/** Why an epoch began. */
export type EpochReason =
  | "founded"
  | "join"
  | "leave"
  | "kick"
  | "gone"
  | "rekey"
  | "hand-over"
  | "claim";
