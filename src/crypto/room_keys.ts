/**
 * The keys of one room at one participant: the room secret, the gate key, the epochs. What only a joiner or
 * only an admin does is in `member_keys.ts` and `admin_keys.ts`.
 */
import type { Bytes } from "../wire/codec.ts";
import type { Direction } from "../wire/contexts.ts";
import { enterBody, type Role } from "../wire/ticket.ts";
import {
  type Challenge,
  type Epoch,
  type EpochHash,
  type GateKey,
  gateKey,
  hash,
  type Leaf,
  type MessageId,
  type RelayKey,
  type RoomId,
  type RoomSecret,
  sameBytes,
  type Signature,
  signature,
} from "../wire/ids.ts";
import { type PayloadHeader, splitPayload } from "../wire/payload.ts";
import type { RoomMessage, UnknownRoomMessage } from "../wire/room_message.ts";
import type {
  SealedContents,
  SealedKind,
  SealedMessage,
  UnknownSealedMessage,
} from "../wire/sealed_message.ts";
import { CryptoError, type RandomSource, sign } from "./primitives.ts";
import { EpochKeys } from "./epoch_keys.ts";
import { OuterSeal } from "./outer_seal.ts";
import type { Roster } from "./roster.ts";
import type { SessionKeys, SigningKey } from "./session_keys.ts";

/** Who we are in this run. */
export interface OwnKeys {
  readonly identity: SigningKey;
  readonly session: SessionKeys;
  /** How we are called. */
  readonly name: string;
}

/** A message to be sealed; counts and hashes are filled in here. */
export type Outgoing =
  | {
    readonly kind: "text";
    readonly id: MessageId;
    readonly sentAt: number;
    readonly text: string;
  }
  | { readonly kind: "close" }
  | { readonly kind: "heartbeat" }
  | { readonly kind: "leave" };

/** What a payload turned out to be. */
export type OpenedPayload =
  | { readonly kind: "message"; readonly header: MessageHeader; readonly body: Bytes }
  | {
    readonly kind: "sealed";
    readonly message: SealedMessage | UnknownSealedMessage;
    /** The room secret that it was sealed with: an answer takes the same. */
    readonly seal: OuterSeal;
  }
  /** Masked or sealed with a secret that is not ours: a stranger's, or an old one. */
  | { readonly kind: "unreadable" };

type MessageHeader = Extract<PayloadHeader, { kind: "message" }>;

/** What became of a message. */
export type MessageResult =
  | {
    readonly kind: "opened";
    readonly leaf: Leaf;
    readonly epoch: Epoch;
    readonly message: RoomMessage | UnknownRoomMessage;
    readonly skipped: number;
    readonly lost: number;
    readonly late: boolean;
    /** For CLOSE: messages of the epoch before that it counts and we miss. */
    readonly missing: number;
    /** The author's hash of its own messages is not ours. */
    readonly fork: boolean;
  }
  | {
    readonly kind: "refused";
    readonly code: "replay" | "too-far" | "bad-signature" | "bad-message" | "unknown-sender";
    readonly leaf: Leaf;
  }
  /** Of the next epoch, whose commit has not come: give it again after that. */
  | { readonly kind: "early" }
  /** A duplicate, or from before our time. */
  | { readonly kind: "nothing" };

/** The keys of one room. */
export abstract class RoomKeys {
  readonly room: RoomId;
  readonly own: OwnKeys;
  readonly gate: SigningKey;
  protected readonly random: RandomSource;
  protected outer: OuterSeal;
  #current: EpochKeys | null = null;
  /**
   * Epochs before this one, oldest first, with the seal of their time: epochs may follow each other faster than
   * messages arrive, and a message of any of them may still be on its way.
   */
  #past: { readonly keys: EpochKeys; readonly outer: OuterSeal }[] = [];
  /** The first epoch that we have keys of. */
  #firstEpoch = 0;

  constructor(
    room: RoomId,
    secret: RoomSecret,
    own: OwnKeys,
    gate: SigningKey,
    random: RandomSource,
  ) {
    this.room = room;
    this.own = own;
    this.gate = gate;
    this.random = random;
    this.outer = new OuterSeal(room, secret);
  }

  /** The epoch that we are in; `null` before the first. */
  get current(): EpochKeys | null {
    return this.#current;
  }

  /** The room secret as it is now, for the profile. */
  get secret(): RoomSecret {
    return this.outer.secret;
  }

  get gateKey(): GateKey {
    return gateKey(this.gate.publicKey);
  }

  /** Which directions of §5 concern us. */
  protected abstract readonly directions: readonly Direction[];

  /** Other room secrets that may have sealed something for us. */
  protected otherSeals(): readonly OuterSeal[] {
    const seals = new Set(this.#past.map(({ outer }) => outer));
    seals.delete(this.outer);
    return [...seals].reverse();
  }

  /** The signature of ENTER by which we enter with `key` (§3.2). */
  protected enterSignature(
    key: SigningKey,
    role: Role,
    nonce: Challenge,
    relay: RelayKey,
  ): Signature {
    const body = enterBody({ nonce, relayKey: relay, room: this.room, role });
    return signature(sign(key.privateKey, "enter", body));
  }

  /** Seals a message of the handshake or the epochs. */
  protected seal<K extends SealedKind>(kind: K, content: SealedContents[K]): Bytes {
    return this.outer.seal(kind, content, this.random);
  }

  /**
   * Unmasks a payload, and opens it if it is sealed with the room secret.
   *
   * @throws {WireError} if what was sealed breaks PROTOCOL §5
   */
  open(payload: Uint8Array): OpenedPayload {
    const { maskedHeader, body } = splitPayload(payload);
    for (const outer of [this.outer, ...this.otherSeals()]) {
      const header = outer.unmask(maskedHeader, body);
      if (header === undefined) continue;
      if (header.kind === "message") return { kind: "message", header, body };
      for (const direction of this.directions) {
        try {
          return { kind: "sealed", message: outer.open(body, direction), seal: outer };
        } catch (error) {
          // Not this direction, or not this secret: the next may fit.
          if (!(error instanceof CryptoError)) throw error;
        }
      }
    }
    return { kind: "unreadable" };
  }

  /** The epoch before this one. */
  get #previous(): EpochKeys | undefined {
    return this.#past.at(-1)?.keys;
  }

  /** Begins an epoch: those before stay open for what is on its way, each until {@linkcode dropPrevious}. */
  protected beginEpoch(
    epoch: Epoch,
    h: EpochHash,
    roster: Roster,
    myLeaf: Leaf,
    secret: Bytes,
    newRoomSecret: RoomSecret | undefined,
  ): EpochKeys {
    if (this.#current === null) this.#firstEpoch = epoch;
    else this.#past.push({ keys: this.#current, outer: this.outer });
    this.#current = new EpochKeys({ room: this.room, epoch, h }, roster, myLeaf, secret);
    if (newRoomSecret !== undefined && !sameBytes(newRoomSecret, this.outer.secret)) {
      this.outer = new OuterSeal(this.room, newRoomSecret);
    }
    return this.#current;
  }

  /** Wipes the oldest of the epochs before this one and tells, by leaf, what of it never came. */
  dropPrevious(): { leaf: Leaf; count: number }[] {
    const oldest = this.#past.shift()?.keys;
    if (oldest === undefined) return [];
    const missing = oldest.roster.flatMap(({ leaf }) => {
      const count = oldest.missing(leaf);
      return count > 0 ? [{ leaf, count }] : [];
    });
    oldest.wipe();
    return missing;
  }

  /** After a commit removed a leaf: how many of the messages that count have not come. */
  protected limitPrevious(leaf: Leaf, count: number): number {
    // The commit counts the epoch that it ended. In those before, what it sent came before that.
    for (const { keys } of this.#past) keys.limit(leaf, keys.chain(leaf)?.next ?? 0);
    return this.#previous?.limit(leaf, count) ?? 0;
  }

  /**
   * Seals message `n` of `epoch` into a payload. Until the session has taken notice of a new epoch it goes on
   * in the one before; with the first message of the new one that ends.
   *
   * @throws {RangeError} if we are not in that epoch, or `n` is not the next number
   */
  sealMessage(epoch: number, n: number, outgoing: Outgoing): Bytes {
    const current = this.#epochKeys(epoch);
    if (current === undefined) throw new RangeError(`epoch ${epoch} is not the one we are in`);
    const { header, body } = current.seal(
      n,
      this.#fillIn(current, outgoing),
      this.own.session.signing.privateKey,
    );
    if (current === this.#current) { for (const { keys } of this.#past) keys.stopSending(); }
    return this.outer.payload(header, body);
  }

  #epochKeys(epoch: number): EpochKeys | undefined {
    if (this.#current?.place.epoch === epoch) return this.#current;
    return this.#past.find(({ keys }) => keys.place.epoch === epoch)?.keys;
  }

  #fillIn(current: EpochKeys, outgoing: Outgoing): RoomMessage {
    switch (outgoing.kind) {
      case "close": {
        const previous = this.#previous;
        if (previous === undefined) throw new RangeError("there is no epoch to close");
        const { count, hash: rolling } = previous.sent;
        return { kind: "close", epoch: previous.place.epoch, count, hash: hash(rolling) };
      }
      case "heartbeat": {
        const { count, hash: rolling } = current.sent;
        return { kind: "heartbeat", count, hash: hash(rolling), digest: current.digest() };
      }
      default:
        return outgoing;
    }
  }

  /** Opens a message of the epoch that we are in, or of one before that is not dropped. */
  openMessage(header: MessageHeader, body: Bytes): MessageResult {
    const { epoch, leaf } = header;
    const current = this.#current;
    if (current === null || epoch < this.#firstEpoch) return { kind: "nothing" };
    if (epoch === current.place.epoch + 1) return { kind: "early" };
    const keys = this.#epochKeys(epoch);
    if (keys === undefined || leaf === keys.myLeaf) {
      return { kind: "refused", code: "replay", leaf };
    }
    const before = keys.chain(leaf)?.position;
    try {
      const result = keys.open(header, body);
      if (result.kind === "duplicate") return { kind: "nothing" };
      if (result.kind !== "opened") return { kind: "refused", code: result.kind, leaf };
      const { value: message, skipped, lost, late } = result;
      const opened = { kind: "opened" as const, leaf, epoch, message, skipped, lost, late };
      const closed = message.kind === "close" && message.epoch < epoch
        ? this.#epochKeys(message.epoch)
        : undefined;
      if (message.kind === "close" && closed !== undefined) {
        return { ...opened, ...closed.close(leaf, message.count, message.hash) };
      }
      const fork = message.kind === "heartbeat" &&
        (message.count !== header.n ||
          (before?.count === message.count && !sameBytes(before.hash, message.hash)));
      return { ...opened, missing: 0, fork };
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error;
      return { kind: "refused", code: REFUSAL[error.code], leaf };
    }
  }

  /** Wipes everything. */
  wipe(): void {
    while (this.#past.length > 0) this.dropPrevious();
    this.#current?.wipe();
    this.#current = null;
  }
}

const REFUSAL: Record<CryptoError["code"], Extract<MessageResult, { kind: "refused" }>["code"]> = {
  "no-key": "unknown-sender",
  "bad-signature": "bad-signature",
  "open-failed": "bad-message",
  "bad-structure": "bad-message",
  "bad-key": "bad-message",
};
