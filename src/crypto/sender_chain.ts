/**
 * Sender chains (PROTOCOL §8): one hash ratchet for each leaf and epoch. A message key opens once; what
 * lies before the chain's head cannot be derived from it (P6).
 */
import { type Bytes, writeU64 } from "../wire/codec.ts";
import { messageKeyInfo } from "../wire/contexts.ts";
import { MAX_AHEAD, MAX_SKIPPED_KEYS } from "../wire/limits.ts";
import { HashHistory } from "./hash_history.ts";
import { SeenHashes } from "./seen_hashes.ts";
import { sha256OfPair, shortDerive } from "./short_hash.ts";

/** What one message is sealed with. */
export interface MessageKey {
  readonly key: Bytes;
  readonly nonce: Bytes;
}

/** Hashes of opened messages that a chain remembers, to tell a duplicate from a replay. */
const REMEMBERED_HASHES = 1024;

/**
 * Hashes that wait behind a gap. Who has said so much since a message that has not come is not going to be mended:
 * everybody's payloads of it have made room for newer ones.
 */
const MAX_WAITING_HASHES = 8192;

/** A chain key is kept so often, of those that were derived for a number far ahead. */
const CHECKPOINT_EVERY = 256;

/** The info of a step, whose last eight bytes are the number. */
const info = messageKeyInfo(0);
/** What a step derives: one place for all chains, where arrays for each message would be keys left behind. */
const derived = new Uint8Array(76);
const stepped = {
  message: { key: derived.subarray(0, 32), nonce: derived.subarray(32, 44) },
  next: derived.subarray(44),
};

/** One step: the key of message `n` and the chain key after it. They are there until the next step, or `wipeStep`. */
function step(chainKey: Bytes, n: number): { message: MessageKey; next: Bytes } {
  writeU64(info, 9, n);
  shortDerive(chainKey, info, derived.length, derived);
  return stepped;
}

function wipeStep(): void {
  for (let i = 0; i < derived.length; i++) derived[i] = 0;
}

/** Puts the chain key after a step in the place of the one before it. */
function put(chainKey: Bytes, next: Bytes): void {
  for (let i = 0; i < 32; i++) chainKey[i] = next[i] ?? 0;
}

function copyOf({ key, nonce }: MessageKey): MessageKey {
  return { key: key.slice(), nonce: nonce.slice() };
}

/** `H(n+1) = SHA-256(H(n) ‖ SHA-256(header ‖ body))`, begun with 32 zero bytes. */
function roll(hash: Bytes, frameHash: Bytes): Bytes {
  return sha256OfPair(hash, frameHash);
}

/** Number of messages and rolling hash over them. */
export interface ChainPosition {
  readonly count: number;
  readonly hash: Bytes;
}

/** The chain that we send on. */
export class SendingChain {
  readonly #chainKey: Bytes;
  #count = 0;
  #hash: Bytes = new Uint8Array(32);
  readonly #hashes = new HashHistory();

  /** @param chainKey CK(leaf, 0); wiped */
  constructor(chainKey: Bytes) {
    this.#chainKey = chainKey.slice();
    chainKey.fill(0);
  }

  get position(): ChainPosition {
    return { count: this.#count, hash: this.#hash };
  }

  /**
   * Lends the key of message `n`, which must be the next: a nonce never repeats, whatever the caller believes. The key
   * is wiped afterwards, and spent also if `seal` throws.
   *
   * @throws {RangeError} if `n` is not the number of messages sent
   */
  use<T>(n: number, seal: (key: MessageKey) => T): T {
    if (n !== this.#count) throw new RangeError(`message ${n} is not the next, ${this.#count}`);
    const { message, next } = step(this.#chainKey, n);
    put(this.#chainKey, next);
    this.#count++;
    try {
      return seal(message);
    } finally {
      wipeStep();
    }
  }

  /** Adds a sealed message's hash to the rolling hash; once after each {@linkcode use}. */
  sealed(frameHash: Bytes): void {
    this.#hash = roll(this.#hash, frameHash);
    this.#hashes.push(this.#hash);
  }

  /** The rolling hash over the first `count` messages; `undefined` if it is not kept. */
  hashAt(count: number): Bytes | undefined {
    return this.#hashes.at(count);
  }

  wipe(): void {
    this.#chainKey.fill(0);
  }
}

/** What became of a message that a chain was given. */
export type ChainResult<T> =
  | {
    readonly kind: "opened";
    readonly value: T;
    /** Numbers passed over by this message: a gap to be shown, keys of the newest are kept. */
    readonly skipped: number;
    /** Of those, and of older ones, how many can no longer be opened. */
    readonly lost: number;
    /** It was behind the head: a gap has become smaller. */
    readonly late: boolean;
    /** It had been given up, and shown as missing. */
    readonly givenUp?: true;
  }
  | { readonly kind: "duplicate" | "replay" | "too-far" };

/** Before a chain's first message. */
const NOTHING_HEARD: Bytes = new Uint8Array(32);

/** What a chain keeps of what came. */
class Heard {
  /** Keys of numbers that were passed over. */
  readonly skipped = new Map<number, MessageKey>();
  readonly seen = new SeenHashes(REMEMBERED_HASHES);
  readonly hashes = new HashHistory();
  /** Messages that have been shown as missing, and that we could still open, by number. */
  readonly forgiven = new Set<number>();
  /** Hashes of messages beyond a gap, until the gap is mended; `null` once there were too many to wait for that. */
  waiting: Map<number, Bytes> | null = new Map();
  /**
   * Chain keys ahead, in rising order of their number: whoever has the room secret can name any number, again and
   * again, and only the first time may cost all the steps up to it. What is before them cannot be derived from them.
   */
  readonly ahead = new Map<number, Bytes>();
}

/** The chain of another member that we receive on. */
export class ReceivingChain {
  readonly #chainKey: Bytes;
  #next = 0;
  /** Messages 0 … contiguous−1 are all here; `#hash` covers them. */
  #contiguous = 0;
  #hash: Bytes = NOTHING_HEARD;
  /** How many others have come. */
  #beyond = 0;
  /** Messages that will not come any more with their keys, and have been shown as missing. */
  #lost = 0;
  /** Made with the first message: of a thousand members few speak in an epoch. */
  #made: Heard | null = null;

  /** @param chainKey CK(leaf, 0); wiped */
  constructor(chainKey: Bytes) {
    this.#chainKey = chainKey.slice();
    chainKey.fill(0);
  }

  get #heard(): Heard {
    return this.#made ??= new Heard();
  }

  /** The number that the next message in order has. */
  get next(): number {
    return this.#next;
  }

  /** Count and hash of the messages received without a gap from the beginning. */
  get position(): ChainPosition {
    return { count: this.#contiguous, hash: this.#hash };
  }

  /** How many messages there are up to the newest that has come, and their hash; zeros if some of them are missing. */
  get end(): ChainPosition {
    const hash = this.#contiguous === this.#next ? this.#hash : NOTHING_HEARD;
    return { count: this.#next, hash };
  }

  /** The rolling hash over the first `count` messages; `undefined` if it is not kept, or they have not all come. */
  hashAt(count: number): Bytes | undefined {
    return count === 0 ? NOTHING_HEARD : this.#made?.hashes.at(count);
  }

  /** How many messages have come in all. */
  get received(): number {
    return this.#contiguous + this.#beyond;
  }

  /** The numbers below `count` that have not come and can still be opened, in rising order, the first `most`. */
  missingBelow(count: number, most: number): number[] {
    const numbers = [...this.#made?.skipped.keys() ?? []].sort((a, b) => a - b)
      .filter((n) => n < count && this.#made?.forgiven.has(n) !== true).slice(0, most);
    // What somebody says to have sent may be any number.
    const end = Math.min(count, this.#next + MAX_AHEAD);
    for (let n = this.#next; n < end && numbers.length < most; n++) {
      if (this.#made?.forgiven.has(n) !== true) numbers.push(n);
    }
    return numbers;
  }

  /**
   * How many of the first `count` messages have not come and have not been given up; of those that are not, as many as
   * could be opened.
   */
  missingOf(count: number): number {
    let forgiven = this.#lost;
    for (const n of this.#made?.forgiven ?? []) if (n < count) forgiven++;
    return Math.max(0, Math.min(count, this.#next + MAX_AHEAD) - this.received - forgiven);
  }

  /** These will not come any more; should they come all the same, they are opened as far as there are keys. */
  giveUp(numbers: readonly number[]): void {
    for (const n of numbers) {
      if (n >= this.#next || this.#heard.skipped.has(n)) this.#heard.forgiven.add(n);
    }
  }

  /**
   * Opens message `n`.
   *
   * @param frameHash SHA-256(header ‖ body)
   * @param open opens and verifies with the key; if it throws, nothing here has changed: an insider can
   *   make valid boxes with bad signatures, and those must not move the chain
   */
  open<T>(n: number, frameHash: Bytes, open: (key: MessageKey) => T): ChainResult<T> {
    if (n < this.#next) return this.#openBehind(n, frameHash, open);
    if (n - this.#next >= MAX_AHEAD) return { kind: "too-far" };
    const gap = n - this.#next;
    const chainKey = this.#walk(n);
    const { message, next } = step(chainKey, n);
    if (chainKey !== this.#chainKey) chainKey.fill(0);
    let skipped: [number, MessageKey][] = [];
    let value: T;
    try {
      value = open(message);
      if (gap === 0) put(this.#chainKey, next);
      else {
        const after = next.slice();
        // Only now: of a number that somebody made up they would be made for nothing, each time.
        skipped = this.#skippedBefore(n);
        put(this.#chainKey, after);
        after.fill(0);
      }
    } finally {
      wipeStep();
    }

    const lost = gap === 0 ? 0 : this.#passOver(n, skipped);
    this.#next = n + 1;
    for (const [i, key] of this.#heard.ahead) {
      if (i > n) break;
      key.fill(0);
      this.#heard.ahead.delete(i);
    }
    const givenUp = this.#heard.forgiven.has(n);
    this.#remember(n, frameHash);
    const opened = { kind: "opened" as const, value, skipped: gap, lost, late: false };
    return givenUp ? { ...opened, givenUp } : opened;
  }

  /** Keeps the newest keys of what comes before `n`. @returns how many messages are lost that were not shown as missing */
  #passOver(n: number, keys: readonly [number, MessageKey][]): number {
    const { skipped, forgiven } = this.#heard;
    for (const [i, key] of keys) skipped.set(i, key);
    let without = n - this.#next - keys.length;
    for (const [i, { key }] of skipped) {
      if (skipped.size <= MAX_SKIPPED_KEYS) break;
      key.fill(0);
      skipped.delete(i);
      without++;
    }
    this.#lost += without;
    let told = 0;
    for (const i of forgiven) if (i < n && !skipped.has(i) && forgiven.delete(i)) told++;
    return without - told;
  }

  /** How many steps {@linkcode open} takes before it can look whether message `n` is any. */
  stepsTo(n: number): number {
    return n < this.#next || n - this.#next >= MAX_AHEAD ? 0 : n - this.#nearest(n);
  }

  /** The greatest number, at most this or the next that is due, whose chain key we have. */
  #nearest(atMost: number): number {
    let n = atMost - atMost % CHECKPOINT_EVERY;
    while (n > this.#next && this.#made?.ahead.has(n) !== true) n -= CHECKPOINT_EVERY;
    return Math.max(n, this.#next);
  }

  /** CK(leaf, n): a key of its own, or the chain's where that is the next. @param keep given each message key on the way */
  #walk(n: number, from = this.#nearest(n), keep?: (i: number, key: MessageKey) => void): Bytes {
    const ahead = this.#made?.ahead.get(from);
    if (from === n && ahead === undefined) return this.#chainKey;
    const chainKey = (ahead ?? this.#chainKey).slice();
    for (let i = from; i < n; i++) {
      if (i % CHECKPOINT_EVERY === 0 && i > this.#next && !this.#heard.ahead.has(i)) {
        this.#heard.ahead.set(i, chainKey.slice());
      }
      const { message, next } = step(chainKey, i);
      put(chainKey, next);
      keep?.(i, message);
    }
    return chainKey;
  }

  /** The newest keys of the numbers from the next to the one before `n`. */
  #skippedBefore(n: number): [number, MessageKey][] {
    const skipped: [number, MessageKey][] = [];
    const keepFrom = Math.max(this.#next, n - MAX_SKIPPED_KEYS);
    const last = this.#walk(n, this.#nearest(keepFrom), (i, key) => {
      if (i >= keepFrom) skipped.push([i, copyOf(key)]);
    });
    last.fill(0);
    return skipped;
  }

  #openBehind<T>(n: number, frameHash: Bytes, open: (key: MessageKey) => T): ChainResult<T> {
    const key = this.#heard.skipped.get(n);
    if (key === undefined) {
      return { kind: this.#heard.seen.has(n, frameHash) ? "duplicate" : "replay" };
    }
    const value = open(key);
    key.key.fill(0);
    this.#heard.skipped.delete(n);
    const givenUp = this.#heard.forgiven.has(n);
    this.#remember(n, frameHash);
    const late = { kind: "opened" as const, value, skipped: 0, lost: 0, late: true };
    return givenUp ? { ...late, givenUp } : late;
  }

  #remember(n: number, frameHash: Bytes): void {
    this.#heard.forgiven.delete(n);
    this.#heard.seen.put(n, frameHash);
    const { waiting, hashes } = this.#heard;
    if (n !== this.#contiguous || waiting === null) {
      this.#beyond++;
      waiting?.set(n, frameHash);
      if (this.#beyond > MAX_WAITING_HASHES) this.#heard.waiting = null;
      return;
    }
    for (let hash: Bytes | undefined = frameHash; hash !== undefined;) {
      this.#hash = roll(this.#hash, hash);
      hashes.push(this.#hash);
      this.#contiguous++;
      if (this.#beyond === 0) break;
      hash = waiting.get(this.#contiguous);
      if (waiting.delete(this.#contiguous)) this.#beyond--;
    }
  }

  wipe(): void {
    this.#chainKey.fill(0);
    for (const { key } of this.#made?.skipped.values() ?? []) key.fill(0);
    for (const key of this.#made?.ahead.values() ?? []) key.fill(0);
    this.#made = null;
  }
}
