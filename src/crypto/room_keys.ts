/**
 * The keys of one room at one participant: the room secret, the gate key, the epochs. What only a joiner or
 * only an admin does is in `member_keys.ts` and `admin_keys.ts`.
 */
import type { View, ViewRequest } from "../wire/agreement.ts";
import { type Bytes, encode } from "../wire/codec.ts";
import type { EarlierEpoch, Removal } from "../wire/commit.ts";
import type { Direction } from "../wire/contexts.ts";
import { enterBody, type Role } from "../wire/ticket.ts";
import {
  type Challenge,
  type Epoch,
  epoch as epochOf,
  type EpochHash,
  type GateKey,
  gateKey,
  hash,
  type Leaf,
  leaf as leafOf,
  type MessageId,
  type RelayKey,
  type RoomId,
  type RoomSecret,
  sameBytes,
  type Signature,
  signature,
} from "../wire/ids.ts";
import { type PayloadHeader, splitPayload } from "../wire/payload.ts";
import type { CloseMessage, RoomMessage, UnknownRoomMessage } from "../wire/room_message.ts";
import type {
  SealedContents,
  SealedKind,
  SealedMessage,
  UnknownSealedMessage,
} from "../wire/sealed_message.ts";
import { MAX_AHEAD, MAX_REPAIR_NUMBERS } from "../wire/limits.ts";
import { REPAIR_REQUEST_BODY, type RepairRequest } from "../wire/repair.ts";
import { type Signed, signedOf } from "../wire/signed.ts";
import { CryptoError, type RandomSource, sign, verify } from "./primitives.ts";
import type { ChainPosition } from "./sender_chain.ts";
import { checkViewRequest, type Compared, Views } from "./views.ts";
import { EpochKeys } from "./epoch_keys.ts";
import { KeptPayloads } from "./kept_payloads.ts";
import { OuterSeal } from "./outer_seal.ts";
import type { Roster } from "./roster.ts";
import type { SessionKeys, SigningKey } from "./session_keys.ts";
import { ShownTexts } from "./shown_texts.ts";
import { WorkBudget } from "./work_budget.ts";

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
  /** Of which epoch before this one. */
  | { readonly kind: "close"; readonly epoch: number }
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
    /** It had been given up, and shown as missing. */
    readonly givenUp?: true;
    /** Its number in its epoch. */
    readonly n: number;
    /** What of this leaf we now know to be missing and could still open. */
    readonly gaps: readonly Gap[];
    /** A TEXT that was opened before under another number (§8). */
    readonly repeated: boolean;
    /** For CLOSE: messages of the epoch before that it counts and we miss. */
    readonly missing: number;
    /** The author's hash of its own messages is not ours, or the admin's of one who was removed. */
    readonly fork: boolean;
    /** For a HEARTBEAT of the epoch that we are in: its author has heard what we had heard before it. */
    readonly agrees?: boolean;
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

/** Messages of a leaf that have not come. */
export interface Gap {
  readonly epoch: Epoch;
  /** In rising order. */
  readonly numbers: readonly number[];
}

/** Room secrets before this one by which somebody who missed that many kicks is still understood. */
export const MAX_FORMER_SECRETS = 8;
/** Payloads kept to mend other members' gaps. */
const MAX_KEPT_PAYLOADS = 8192;
const MAX_KEPT_BYTES = 8 * 1024 * 1024;
/** Texts remembered, to tell one that was sealed anew. */
const MAX_SHOWN_TEXTS = 8192;
/** Epochs whose keys are gone of which it is remembered how many messages came. */
const MAX_DROPPED_EPOCHS = 64;

/**
 * Steps of chains before a box can be looked into: at once a second of one core, and after that a fifth of it. All boxes
 * that prove false have one budget, since anybody can make them; who writes far ahead of itself has one of its own.
 */
const STEPS_AT_ONCE = 2 * MAX_AHEAD;
const STEPS_PER_S = 0.4 * MAX_AHEAD;

/** The keys of one room. */
export abstract class RoomKeys {
  readonly room: RoomId;
  readonly own: OwnKeys;
  readonly gate: SigningKey;
  readonly random: RandomSource;
  protected outer: OuterSeal;
  /** Leaves that may take over from the admin, in their rank. */
  deputies: readonly Leaf[] = [];
  #current: EpochKeys | null = null;
  /**
   * Epochs before this one, oldest first, with the seal of their time: epochs may follow each other faster than
   * messages arrive, and a message of any of them may still be on its way.
   */
  #past: { readonly keys: EpochKeys; readonly outer: OuterSeal }[] = [];
  /** The first epoch that we have keys of. */
  #firstEpoch = 0;
  /** Of epochs that were dropped lately: how many messages of each leaf have come or were told as missing. */
  #dropped = new Map<number, Map<Leaf, number>>();
  /** What was sent and received lately, by place. */
  readonly #kept = new KeptPayloads({ payloads: MAX_KEPT_PAYLOADS, bytes: MAX_KEPT_BYTES });
  readonly #shown = new ShownTexts(MAX_SHOWN_TEXTS);
  readonly #views = new Views();
  readonly #forgedAhead = new WorkBudget(STEPS_AT_ONCE, STEPS_PER_S);
  /** Of leaves that have written ahead. */
  readonly #ahead = new Map<Leaf, WorkBudget>();
  /** The last CLOSE that we sent. */
  #close: CloseMessage | null = null;

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
  open(payload: Bytes): OpenedPayload {
    const { maskedHeader, body } = splitPayload(payload);
    const opened = this.#openWith(this.outer, maskedHeader, body);
    if (opened !== undefined) return opened;
    for (const outer of this.otherSeals()) {
      const other = this.#openWith(outer, maskedHeader, body);
      if (other !== undefined) return other;
    }
    return { kind: "unreadable" };
  }

  #openWith(outer: OuterSeal, maskedHeader: Bytes, body: Bytes): OpenedPayload | undefined {
    const header = outer.unmask(maskedHeader, body);
    if (header === undefined) return undefined;
    if (header.kind === "message") return { kind: "message", header, body };
    for (const direction of this.directions) {
      try {
        return { kind: "sealed", message: outer.open(body, direction), seal: outer };
      } catch (error) {
        // Not this direction, or not this secret: the next may fit.
        if (!(error instanceof CryptoError)) throw error;
      }
    }
    return undefined;
  }

  /**
   * Takes over what other keys of the same room know: epochs, the room secret, what was sent and received. Those
   * are empty afterwards.
   *
   * @param asPast the epoch that they were in is behind us: we come in anew
   */
  protected adopt(other: RoomKeys, asPast: boolean): void {
    this.outer = other.outer;
    this.#firstEpoch = other.#firstEpoch;
    this.#past = other.#past;
    other.#past = [];
    this.#dropped = other.#dropped;
    this.#close = other.#close;
    if (!asPast) this.#current = other.#current;
    else if (other.#current !== null) this.#past.push({ keys: other.#current, outer: other.outer });
    other.#current = null;
    for (const [place, payload] of other.#kept.entries()) {
      this.#kept.put(place, payload);
      this.spoken(place.epoch, leafOf(place.leaf), place.n);
    }
    this.rememberShown(other);
  }

  /** What other keys of the room have shown is not shown again, when its author seals it anew under its id (§9). */
  protected rememberShown(other: RoomKeys): void {
    this.#shown.addAll(other.#shown);
  }

  /** The deputies' identities in hex, for whoever comes back when one of them has taken over. */
  get deputyIdentities(): readonly string[] {
    return this.deputies.flatMap((leaf) => {
      const member = this.current?.roster.find((m) => m.leaf === leaf);
      return member === undefined ? [] : [member.value.identity.toHex()];
    });
  }

  /** Number of the epoch before this one, while it is kept. */
  get epochBefore(): number | null {
    return this.#previous?.place.epoch ?? null;
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
    if (this.#current === null && this.#past.length === 0) this.#firstEpoch = epoch;
    if (this.#current !== null) this.#past.push({ keys: this.#current, outer: this.outer });
    this.#current = new EpochKeys({ room: this.room, epoch, h }, roster, myLeaf, secret);
    for (const leaf of this.#ahead.keys()) {
      if (this.#current.member(leaf) === undefined) this.#ahead.delete(leaf);
    }
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
    this.#dropped.set(oldest.place.epoch, oldest.knownOfAll());
    this.dropping(oldest);
    for (const epoch of this.#dropped.keys()) {
      if (this.#dropped.size <= MAX_DROPPED_EPOCHS) break;
      this.#dropped.delete(epoch);
    }
    oldest.wipe();
    return missing;
  }

  /** How many messages of an epoch that is dropped are counted and we never knew of, once; as many as could be opened. */
  #neverCame(leaf: Leaf, epoch: number, count: number): number {
    const known = this.#dropped.get(epoch);
    const unknown = known === undefined ? 0 : Math.max(0, count - (known.get(leaf) ?? 0));
    if (unknown > 0) known?.set(leaf, count);
    return Math.min(unknown, MAX_AHEAD);
  }

  /** The keys of an epoch before this one are about to be wiped. */
  protected dropping(_oldest: EpochKeys): void {}

  /** What has come of a leaf in the epochs before this one that are kept, where anything has. */
  protected earlierOf(leaf: Leaf): EarlierEpoch[] {
    return this.#past.flatMap(({ keys }) => earlierIn(keys, leaf));
  }

  /** After a commit removed a leaf: what of its messages we lack, or have otherwise than the admin. */
  protected limitPrevious(
    { leaf, count, hash, earlier }: Removal,
  ): { missing: number; fork: boolean } {
    // The commit counts the epoch that it ended. In those before, what it sent came before that: it counts as far as it
    // has come, as its CLOSE says that came, and as the admin has it.
    for (const { keys } of this.#past) keys.limitToCome(leaf, keys.known(leaf));
    let [missing, fork] = [0, false];
    for (const { epoch, count, hash } of earlier) {
      const keys = this.#past.find(({ keys }) => keys.place.epoch === epoch)?.keys;
      if (keys === undefined) missing += this.#neverCame(leaf, epoch, count);
      else if (keys.atLeast(leaf, count, hash)) fork = true;
    }
    const last = this.#previous?.limit(leaf, count, hash);
    return { missing: missing + (last?.missing ?? 0), fork: fork || last?.fork === true };
  }

  /**
   * Seals message `n` of `epoch` into a payload. Until the session has taken notice of a new epoch it goes on
   * in the one before; with the first message of the new one that ends.
   *
   * @param now milliseconds since 1970
   * @throws {RangeError} if we are not in that epoch, or `n` is not the next number
   */
  sealMessage(epoch: number, n: number, outgoing: Outgoing, now?: number): Bytes {
    const current = this.epochKeys(epoch);
    if (current === undefined) throw new RangeError(`epoch ${epoch} is not the one we are in`);
    const { header, payload } = current.seal(
      n,
      this.#fillIn(current, outgoing),
      this.own.session.signing.privateKey,
    );
    if (current === this.#current) { for (const { keys } of this.#past) keys.stopSending(); }
    if (now !== undefined) current.note(current.myLeaf, now);
    this.outer.mask(payload, header);
    this.#keep(header, payload);
    return payload;
  }

  /** A message has been sealed or opened, and its payload is kept. */
  protected spoken(_epoch: number, _leaf: Leaf, _n: number): void {}

  #keep(header: MessageHeader, payload: Bytes): void {
    this.spoken(header.epoch, header.leaf, header.n);
    this.#kept.put(header, payload);
  }

  /** A message of ours that was sealed a while ago, under the room secret of now: who came since knows no other. */
  maskedAnew(payload: Bytes): Bytes {
    const opened = this.open(payload);
    return opened.kind === "message" ? this.outer.payload(opened.header, opened.body) : payload;
  }

  /** The epoch that we are in, or one before that is not dropped. */
  protected epochKeys(epoch: number): EpochKeys | undefined {
    if (this.#current?.place.epoch === epoch) return this.#current;
    return this.#past.find(({ keys }) => keys.place.epoch === epoch)?.keys;
  }

  #fillIn(current: EpochKeys, outgoing: Outgoing): RoomMessage {
    switch (outgoing.kind) {
      case "close": {
        const closed = this.#past.find(({ keys }) => keys.place.epoch === outgoing.epoch)?.keys;
        if (closed !== undefined) {
          const { count, hash: rolling } = closed.sent;
          this.#close = {
            kind: "close",
            epoch: closed.place.epoch,
            count,
            hash: hash(rolling),
          };
        }
        // Of one that is dropped it is sent as it was.
        if (this.#close?.epoch !== outgoing.epoch) {
          throw new RangeError(`there is no epoch ${outgoing.epoch} to close`);
        }
        return this.#close;
      }
      case "heartbeat": {
        const { count, hash: rolling } = current.sent;
        return { kind: "heartbeat", count, hash: hash(rolling), digest: current.digest() };
      }
      default:
        return outgoing;
    }
  }

  /**
   * Opens a message of the epoch that we are in, or of one before that is not dropped.
   *
   * @param now milliseconds since 1970
   */
  openMessage(header: MessageHeader, body: Bytes, payload: Bytes, now?: number): MessageResult {
    const { epoch, leaf } = header;
    const current = this.#current;
    if (current === null || epoch < this.#firstEpoch) return { kind: "nothing" };
    if (epoch > current.place.epoch) return { kind: "early" };
    const keys = this.epochKeys(epoch);
    if (keys === undefined || leaf === keys.myLeaf) {
      return { kind: "refused", code: "replay", leaf };
    }
    const steps = keys.stepsTo(header);
    if (steps > 0 && now !== undefined) {
      const ofAuthor = this.#ahead.get(leaf)?.has(now) ?? true;
      if (!ofAuthor || !this.#forgedAhead.has(now)) {
        return { kind: "refused", code: "too-far", leaf };
      }
    }
    const before = keys.chain(leaf)?.position;
    try {
      const result = keys.open(header, body);
      if (result.kind === "duplicate") return { kind: "nothing" };
      if (result.kind !== "opened") return { kind: "refused", code: result.kind, leaf };
      const { value: message, skipped, lost, late, givenUp } = result;
      if (steps > 0) this.#wroteAhead(leaf, steps);
      this.#keep(header, payload);
      const repeated = message.kind === "text" && this.#isRepeated(keys, leaf, message.id);
      const place = { leaf, epoch, n: header.n };
      const fork = keys.isOtherwise(leaf);
      const opened = {
        kind: "opened" as const,
        ...place,
        message,
        skipped,
        lost,
        late,
        repeated,
        fork,
        ...(givenUp && { givenUp }),
      };
      const closed = message.kind === "close" && message.epoch < epoch
        ? this.epochKeys(message.epoch)
        : undefined;
      if (message.kind === "close" && closed !== undefined) {
        const told = closed.close(leaf, message.count, message.hash);
        const { missing } = told;
        return { ...opened, gaps: this.gapsOf(leaf), missing, fork: fork || told.fork };
      }
      if (message.kind === "close") {
        const never = this.#neverCame(leaf, message.epoch, message.count);
        return { ...opened, lost: lost + never, gaps: this.gapsOf(leaf), missing: 0 };
      }
      const misnumbered = message.kind === "heartbeat" &&
        (message.count !== header.n ||
          (before?.count === message.count && !sameBytes(before.hash, message.hash)));
      if (now !== undefined) keys.note(leaf, now);
      const agrees = this.#agrees(keys, leaf, result, before, now);
      const gaps = this.gapsOf(leaf);
      return { ...opened, gaps, missing: 0, fork: fork || misnumbered, ...agrees };
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error;
      this.#forgedAhead.spend(steps);
      return { kind: "refused", code: REFUSAL[error.code], leaf };
    }
  }

  /** A leaf has passed over so many of its own numbers. */
  #wroteAhead(leaf: Leaf, steps: number): void {
    const budget = this.#ahead.get(leaf) ?? new WorkBudget(STEPS_AT_ONCE, STEPS_PER_S);
    this.#ahead.set(leaf, budget);
    budget.spend(steps);
  }

  /** One that came late tells what its author had heard then: that is nothing to compare with now. */
  #agrees(
    keys: EpochKeys,
    leaf: Leaf,
    { value, late }: { readonly value: RoomMessage | UnknownRoomMessage; readonly late: boolean },
    position: ChainPosition | undefined,
    now: number | undefined,
  ): { agrees?: boolean } {
    if (value.kind !== "heartbeat" || late || keys !== this.#current) return {};
    if (position === undefined) return {};
    return { agrees: keys.isOurs(value.digest, leaf, position, now) };
  }

  #isRepeated(keys: EpochKeys, leaf: Leaf, id: MessageId): boolean {
    const author = keys.member(leaf)?.value.identity;
    return author !== undefined && !this.#shown.add(author, id);
  }

  /** What of a leaf we know to be missing and could still open, oldest epoch first. */
  gapsOf(leaf: Leaf): Gap[] {
    const gaps: Gap[] = [];
    for (const { keys } of this.#past) pushGap(gaps, keys, leaf);
    if (this.#current !== null) pushGap(gaps, this.#current, leaf);
    return gaps;
  }

  /** These messages of a leaf have been shown as missing: they are no gap any more. */
  giveUp(leaf: number, gaps: readonly { epoch: number; numbers: readonly number[] }[]): void {
    for (const { epoch, numbers } of gaps) {
      this.epochKeys(epoch)?.chain(leafOf(leaf))?.giveUp(numbers);
    }
  }

  /** How many messages of each leaf of an epoch we know of; `undefined` if we were not in it, or long ago. */
  protected countsIn(epoch: number): ReadonlyMap<Leaf, number> | undefined {
    return this.epochKeys(epoch)?.knownOfAll() ?? this.#dropped.get(epoch);
  }

  /** Asks for messages of a leaf; at most `MAX_REPAIR_NUMBERS` numbers. */
  repairRequest(epoch: number, leaf: number, numbers: readonly number[]): Bytes {
    if (this.#current === null) throw new RangeError("we are in no epoch");
    const value: RepairRequest = {
      room: this.room,
      requester: this.#current.myLeaf,
      epoch: epochOf(epoch),
      leaf: leafOf(leaf),
      numbers: numbers.slice(0, MAX_REPAIR_NUMBERS),
    };
    const body = encode(REPAIR_REQUEST_BODY, value);
    const signed = signature(sign(this.own.session.signing.privateKey, "repair", body));
    return this.seal("repair-request", signedOf(REPAIR_REQUEST_BODY, value, signed));
  }

  /**
   * Checks a member's request for repair.
   *
   * @throws {CryptoError} `no-key` if nobody of that leaf is here, `bad-signature`
   */
  takeRepairRequest({ value, body, signature }: Signed<RepairRequest>): RepairRequest {
    const member = this.#current?.member(value.requester);
    if (member === undefined || !sameBytes(value.room, this.room)) {
      throw new CryptoError("no-key", "a request for repair is of nobody here");
    }
    if (!verify(member.verifyKey, "repair", body, signature)) {
      throw new CryptoError("bad-signature", "a request for repair is not its member's");
    }
    return value;
  }

  /** Answers to a request, for each number that we have the payload of. */
  repairs(
    epoch: number,
    leaf: number,
    numbers: readonly number[],
    seal: OuterSeal = this.outer,
  ): Bytes[] {
    return numbers.flatMap((n) => {
      const payload = this.#kept.get({ epoch, leaf, n });
      return payload === undefined ? [] : [seal.seal("repair", { payload }, this.random)];
    });
  }

  /** Asks a member what it has heard of everybody. */
  viewRequest(leaf: number): Bytes {
    const { signing } = this.own.session;
    return this.seal(
      "view-request",
      this.#views.ask(this.#joined, leaf, signing, this.random),
    );
  }

  /** Checks a member's question. @throws {CryptoError} as `checkViewRequest` */
  takeViewRequest(signed: Signed<ViewRequest>): ViewRequest {
    return checkViewRequest(this.#joined, signed);
  }

  /** Our own view, for whoever asked with that nonce. */
  view(nonce: Bytes): Bytes {
    return this.seal("view", this.#views.answer(this.#joined, nonce, this.own.session.signing));
  }

  /** Compares an answer with what we have heard. @throws {CryptoError} as `Views.take` */
  takeView(signed: Signed<View>): Compared | null {
    return this.#views.take(this.#joined, signed);
  }

  /** @throws {CryptoError} `no-key` before our first epoch */
  get #joined(): EpochKeys {
    if (this.#current === null) throw new CryptoError("no-key", "we are in no epoch");
    return this.#current;
  }

  /** Wipes everything. */
  wipe(): void {
    this.#views.forget();
    this.#kept.clear();
    this.#shown.clear();
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

/** What has come of a leaf in an epoch; nothing if nothing has. */
export function earlierIn(keys: EpochKeys, leaf: Leaf): EarlierEpoch[] {
  const end = keys.chain(leaf)?.end;
  if (end === undefined || end.count === 0) return [];
  return [{ epoch: keys.place.epoch, count: end.count, hash: hash(end.hash) }];
}

function pushGap(gaps: Gap[], keys: EpochKeys, leaf: Leaf): void {
  if (keys.missing(leaf) === 0) return;
  const numbers = keys.missingNumbers(leaf, MAX_REPAIR_NUMBERS);
  if (numbers.length > 0) gaps.push({ epoch: keys.place.epoch, numbers });
}
