import type { KeyObject } from "node:crypto";
import {
  digestInput,
  type DigestLeaf,
  epochSecretInfo,
  senderChainInfo,
} from "../wire/contexts.ts";
import {
  type Epoch,
  type EpochHash,
  type Hash,
  hash,
  type Leaf,
  type RoomId,
  sameBytes,
  signature,
} from "../wire/ids.ts";
import { MessageInput } from "../wire/message_input.ts";
import { encodePayloadHeader, PAYLOAD_HEADER_BYTES, type PayloadHeader } from "../wire/payload.ts";
import {
  decodeMessagePlaintext,
  decodeRoomMessage,
  encodeMessagePlaintext,
  encodeRoomMessage,
  type RoomMessage,
  type UnknownRoomMessage,
} from "../wire/room_message.ts";
import {
  type Bytes,
  CryptoError,
  derive,
  ed25519Sign,
  ed25519Verify,
  gcmOpenToRead,
  gcmSeal,
  hkdf,
  sha256,
} from "./primitives.ts";
import { InFlight } from "./in_flight.ts";
import { type MemberLeaf, type Roster, rosterHash } from "./roster.ts";
import { MAX_SHORT_BYTES, sha256OfParts } from "./short_hash.ts";
import { safetyCode } from "./safety_code.ts";
import {
  type ChainPosition,
  type ChainResult,
  ReceivingChain,
  SendingChain,
} from "./sender_chain.ts";

/** What is hashed at the most to tell whether a digest is ours, in leaves: a millisecond's work. */
const MAX_COMPARED_LINES = 16_384;

/** Where an epoch is in its room. */
export interface EpochPlace {
  readonly room: RoomId;
  readonly epoch: Epoch;
  /** h(epoch) */
  readonly h: EpochHash;
}

type MessageHeader = Extract<PayloadHeader, { kind: "message" }>;

/** A message of ours, sealed. */
export interface SealedRoomMessage {
  readonly header: MessageHeader;
  /** A view of the payload. */
  readonly body: Bytes;
  /** The place of the masked header, for `OuterSeal.mask`, and the body behind it. */
  readonly payload: Bytes;
}

/** What we know of a leaf that we receive from. */
interface Receiving {
  readonly chain: ReceivingChain;
  readonly verifyKey: KeyObject;
  /** Something else than a CLOSE has come. */
  spoke: boolean;
}

/**
 * The keys of one epoch (PROTOCOL §8). All chains are derived here, in the constructor; S and ES are gone
 * when it returns.
 */
export class EpochKeys {
  readonly place: EpochPlace;
  readonly roster: Roster;
  readonly myLeaf: Leaf;
  readonly safetyCode: string;
  readonly #sending: SendingChain;
  readonly #members: ReadonlyMap<Leaf, MemberLeaf>;
  readonly #receiving = new Map<Leaf, Receiving>();
  /** Of leaves that the next commit removed: how many messages of them count. */
  readonly #limits = new Map<Leaf, number>();
  /**
   * What a leaf has sent in all: by its own CLOSE, and by the commit that removed it. What comes by repair is held
   * against it once as much has come.
   */
  readonly #closes = new Map<Leaf, ChainPosition>();
  readonly #removals = new Map<Leaf, ChainPosition>();
  readonly #compared = new Set<ChainPosition>();
  readonly #inFlight = new InFlight();
  readonly #input: MessageInput;
  /** How many messages a leaf has sent at the least, by its CLOSE or by what the admin has of it. */
  readonly #known = new Map<Leaf, number>();

  /** @param secret S, 32 bytes; wiped */
  constructor(place: EpochPlace, roster: Roster, myLeaf: Leaf, secret: Bytes) {
    this.place = place;
    this.#input = new MessageInput(place);
    this.roster = roster;
    this.myLeaf = myLeaf;
    const es = hkdf(secret, place.h, epochSecretInfo(), 32);
    secret.fill(0);
    this.safetyCode = safetyCode(es, rosterHash(roster));
    const first = (leaf: Leaf): Bytes => derive(es, senderChainInfo(place.h, leaf), 32);
    this.#sending = new SendingChain(first(myLeaf));
    this.#members = new Map(roster.map((member) => [member.leaf, member]));
    for (const { leaf, verifyKey } of roster) {
      if (leaf === myLeaf) continue;
      this.#receiving.set(leaf, {
        chain: new ReceivingChain(first(leaf)),
        verifyKey,
        spoke: false,
      });
    }
    es.fill(0);
  }

  /** What we have sent. */
  get sent(): ChainPosition {
    return this.#sending.position;
  }

  /** Who is at a leaf; `undefined` for nobody. */
  member(leaf: Leaf): MemberLeaf | undefined {
    return this.#members.get(leaf);
  }

  /** What has come of a leaf; `undefined` for our own and for strangers. */
  chain(leaf: Leaf): ReceivingChain | undefined {
    return this.#receiving.get(leaf)?.chain;
  }

  /** Whether a leaf has sent more than a CLOSE, which no other closes: an epoch with no more has nothing that is missed. */
  spoke(leaf: Leaf): boolean {
    const from = this.#receiving.get(leaf);
    return from !== undefined && (from.spoke || from.chain.next > 1);
  }

  /** What has come of everybody without a gap, our own included, in rising order of the leaf. */
  #positions(): DigestLeaf[] {
    return this.roster.map(({ leaf }) => {
      const { count, hash: rolling } = this.chain(leaf)?.position ?? this.sent;
      return { leaf, count, hash: hash(rolling) };
    });
  }

  /** The same, of those of whom something has come (VIEW). */
  heard(): DigestLeaf[] {
    return this.#positions().filter(({ count }) => count > 0);
  }

  /** SHA-256 over what has come of all, our own included (HEARTBEAT's digest). */
  digest(): Hash {
    return digestOf(this.#positions());
  }

  /**
   * Whether a digest is ours, but for what may be on its way to its sender: the newest of what came, and of what
   * we sent ourselves.
   *
   * @param position where the sender's chain was before the message that brought the digest
   * @param now milliseconds since 1970; without it nothing is on its way
   */
  isOurs(digest: Hash, sender: Leaf, position: ChainPosition, now?: number): boolean {
    const ours = this.#positions().map((p) =>
      p.leaf === sender ? { leaf: sender, count: position.count, hash: hash(position.hash) } : p
    );
    const young = now === undefined ? [] : this.#inFlight.at(now).filter((l) => l !== sender);
    const mine = young.filter((leaf) => leaf === this.myLeaf).length;
    const others = young.filter((leaf) => leaf !== this.myLeaf);
    let tries = Math.max(1, Math.floor(MAX_COMPARED_LINES / ours.length));
    for (let unheard = 0; unheard <= mine; unheard++) {
      const theirs = [...ours];
      if (unheard > 0 && !this.#stepBack(theirs, this.myLeaf, unheard)) break;
      for (const leaf of [null, ...others]) {
        if (leaf !== null && !this.#stepBack(theirs, leaf, 1)) break;
        if (tries-- === 0) return false;
        if (sameBytes(digestOf(theirs), digest)) return true;
      }
    }
    return false;
  }

  /** Takes the newest messages of a leaf out of a list of positions; false if we do not know how it was then. */
  #stepBack(positions: DigestLeaf[], leaf: Leaf, by: number): boolean {
    const at = positions.findIndex((position) => position.leaf === leaf);
    const count = (positions[at]?.count ?? 0) - by;
    const before = this.hashAt(leaf, count);
    if (before === undefined) return false;
    positions[at] = { leaf, count, hash: hash(before) };
    return true;
  }

  /** A message of a leaf has come in its order, or was sent. */
  note(leaf: Leaf, at: number): void {
    this.#inFlight.note(leaf, at);
  }

  /** The rolling hash over the first `count` messages of a leaf, ours too; `undefined` if it is not kept. */
  hashAt(leaf: Leaf, count: number): Bytes | undefined {
    return leaf === this.myLeaf ? this.#sending.hashAt(count) : this.chain(leaf)?.hashAt(count);
  }

  /** How many messages of a leaf we know of, whether they have come or not; of ourselves, how many we sent. */
  known(leaf: Leaf): number {
    const chain = this.chain(leaf);
    return chain === undefined ? this.sent.count : this.#countOf(leaf, chain);
  }

  /**
   * Seals message `n`, which must be the next.
   *
   * @throws {RangeError} if it is not, or if the message is out of its range
   */
  seal(n: number, message: RoomMessage, signing: KeyObject): SealedRoomMessage {
    const { type, content } = encodeRoomMessage(message);
    return this.sealContent(n, type, content, signing);
  }

  /** As {@linkcode seal}, from type and content. */
  sealContent(n: number, type: number, content: Bytes, signing: KeyObject): SealedRoomMessage {
    const input = this.#input;
    input.choose(this.myLeaf, n);
    const payload = this.#sending.use(n, ({ key, nonce }) => {
      const signed = signature(ed25519Sign(signing, input.signed(type, content)));
      input.wipe();
      const plaintext = encodeMessagePlaintext({ type, content, signature: signed });
      return gcmSeal(key, input.aad, plaintext, nonce, PAYLOAD_HEADER_BYTES);
    });
    const body = payload.subarray(PAYLOAD_HEADER_BYTES);
    const header: MessageHeader = {
      kind: "message",
      epoch: this.place.epoch,
      leaf: this.myLeaf,
      n,
    };
    this.#sending.sealed(frameHash(header, body));
    return { header, body, payload };
  }

  /**
   * Opens a message. Nothing moves unless tag and signature hold.
   *
   * @throws {CryptoError} `no-key` for a leaf that is not here or a number beyond what counts of a removed one;
   *   `open-failed`; `bad-signature`; `bad-structure` if the author broke PROTOCOL §8
   */
  open(
    header: MessageHeader,
    body: Bytes,
  ): ChainResult<RoomMessage | UnknownRoomMessage> {
    const { leaf, n } = header;
    const from = this.#receiving.get(leaf);
    if (from === undefined || n >= (this.#limits.get(leaf) ?? Infinity)) {
      throw new CryptoError("no-key", "there is no key for this message");
    }
    const input = this.#input;
    input.choose(leaf, n);
    const result = from.chain.open(n, frameHash(header, body), ({ key, nonce }) => {
      const plaintext = gcmOpenToRead(key, input.aad, body, nonce);
      try {
        const { type, content, signature } = decodeMessagePlaintext(plaintext);
        const signed = input.signed(type, content);
        if (!ed25519Verify(from.verifyKey, signed, signature)) {
          throw new CryptoError("bad-signature", "the message is not signed by its sender");
        }
        return decodeRoomMessage(type, content);
      } catch (cause) {
        if (cause instanceof CryptoError) throw cause;
        throw new CryptoError("bad-structure", "the message breaks the protocol", { cause });
      } finally {
        plaintext.fill(0);
        input.wipe();
      }
    });
    if (result.kind === "opened" && result.value.kind !== "close") from.spoke = true;
    return result;
  }

  /** How many chain keys have to be made before it can be looked whether such a message is any. */
  stepsTo({ leaf, n }: MessageHeader): number {
    return this.chain(leaf)?.stepsTo(n) ?? 0;
  }

  /** A leaf's own last word on this epoch (CLOSE): what is missing, and whether its hash is another than ours. */
  close(leaf: Leaf, count: number, rolling: Hash): { missing: number; fork: boolean } {
    const chain = this.chain(leaf);
    if (chain === undefined) return { missing: 0, fork: false };
    this.expect(leaf, count);
    // Of one who was removed meanwhile its own last word counts as well: that it was said before shows its number.
    const limit = this.#limits.get(leaf);
    if (limit !== undefined) this.#limits.set(leaf, Math.max(limit, count));
    const first = this.#closes.get(leaf);
    // It may come again in the epoch after, and tells nothing new then.
    if (first?.count === count && sameBytes(first.hash, rolling)) {
      return { missing: 0, fork: false };
    }
    const fork = chain.next > count;
    if (first === undefined) this.#closes.set(leaf, { count, hash: rolling });
    return { missing: chain.missingOf(count), fork: this.isOtherwise(leaf) || fork };
  }

  /** Whether a leaf's messages turn out to be others than its CLOSE or its removal says; each is told once. */
  isOtherwise(leaf: Leaf): boolean {
    let otherwise = false;
    for (const told of [this.#closes, this.#removals]) {
      const position = told.get(leaf);
      const ours = position === undefined ? undefined : this.chain(leaf)?.hashAt(position.count);
      if (position === undefined || ours === undefined || this.#compared.has(position)) continue;
      this.#compared.add(position);
      if (!sameBytes(ours, position.hash)) otherwise = true;
    }
    return otherwise;
  }

  /** Somebody whom we believe says that a leaf has sent `count` messages. */
  expect(leaf: Leaf, count: number): void {
    this.#known.set(leaf, Math.max(count, this.#known.get(leaf) ?? 0));
  }

  /** How many messages of a leaf we know to exist and have not got. */
  missing(leaf: Leaf): number {
    const chain = this.chain(leaf);
    return chain === undefined ? 0 : chain.missingOf(this.#countOf(leaf, chain));
  }

  /** The numbers of those that can still be opened, at most `most`. */
  missingNumbers(leaf: Leaf, most: number): number[] {
    const chain = this.chain(leaf);
    return chain === undefined ? [] : chain.missingBelow(this.#countOf(leaf, chain), most);
  }

  /** How many messages of each leaf we know of, our own included, of those of which we know any. */
  knownOfAll(): Map<Leaf, number> {
    const known = new Map<Leaf, number>();
    for (const { leaf } of this.roster) {
      const count = this.known(leaf);
      if (count > 0) known.set(leaf, count);
    }
    return known;
  }

  #countOf(leaf: Leaf, chain: ReceivingChain): number {
    return this.#limits.get(leaf) ?? Math.max(chain.next, this.#known.get(leaf) ?? 0);
  }

  /**
   * After a commit removed a leaf: nothing beyond its `count` counts.
   *
   * @returns how many of those have not come, and whether those that the admin has are others than ours
   */
  limit(leaf: Leaf, count: number, rolling: Hash): { missing: number; fork: boolean } {
    this.limitToCome(leaf, count);
    const chain = this.chain(leaf);
    if (chain === undefined) return { missing: 0, fork: false };
    this.#removals.set(leaf, { count, hash: rolling });
    return { missing: chain.missingOf(count), fork: this.isOtherwise(leaf) };
  }

  /**
   * Of a leaf that is limited: the admin knows of so many.
   *
   * @param rolling zeros if it lacks some of them
   * @returns whether those are others than ours
   */
  atLeast(leaf: Leaf, count: number, rolling: Hash): boolean {
    this.limitToCome(leaf, Math.max(count, this.#limits.get(leaf) ?? 0));
    if (rolling.some((byte) => byte !== 0)) this.#removals.set(leaf, { count, hash: rolling });
    return this.isOtherwise(leaf);
  }

  /** Nothing of a leaf beyond `count` is opened from here on. */
  limitToCome(leaf: Leaf, count: number): void {
    this.#limits.set(leaf, count);
  }

  wipe(): void {
    this.#sending.wipe();
    for (const { chain } of this.#receiving.values()) chain.wipe();
    this.#receiving.clear();
  }

  /** Forgets the chain that we send on: the epoch is over for us, not yet for what is on its way. */
  stopSending(): void {
    this.#sending.wipe();
  }
}

function digestOf(positions: readonly DigestLeaf[]): Hash {
  return hash(sha256(digestInput(positions)));
}

/** The header that is hashed: no array for each. */
const hashed: Bytes = new Uint8Array(PAYLOAD_HEADER_BYTES);

function frameHash(header: MessageHeader, body: Bytes): Bytes {
  const encoded = encodePayloadHeader(header, hashed);
  return encoded.length + body.length > MAX_SHORT_BYTES
    ? sha256(encoded, body)
    : sha256OfParts(encoded, body);
}
