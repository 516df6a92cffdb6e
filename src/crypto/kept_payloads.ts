import type { Bytes } from "../wire/codec.ts";

/** Which message a payload is. */
export interface KeptPlace {
  readonly epoch: number;
  readonly leaf: number;
  readonly n: number;
}

/** Slots by number, of one chain. */
interface ChainSlots {
  readonly epoch: number;
  readonly leaf: number;
  readonly slots: Map<number, number>;
}

/** How much is kept. */
export interface KeptBounds {
  readonly payloads: number;
  readonly bytes: number;
}

const FIRST_BYTES = 16 * 1024;

/**
 * The newest payloads by their place, in one buffer that is begun anew at its front when it is full. As an array each
 * they would live just long enough to be the garbage collector's dearest: a tenth of what opening a text costs.
 */
export class KeptPayloads {
  #buffer: Bytes = new Uint8Array(0);
  /** Where the next one goes. */
  #end = 0;
  /** By epoch and leaf. */
  readonly #chains = new Map<string, ChainSlots>();
  /** The one that was asked for last: most often the next is of the same. */
  #last: ChainSlots | null = null;
  /** Slots are taken in turn; the oldest is `#oldest`. */
  #count = 0;
  #oldest = 0;
  readonly #of: ChainSlots[] = [];
  readonly #numbers: number[] = [];
  readonly #starts: number[] = [];
  readonly #lengths: number[] = [];

  /** Begins empty. */
  constructor(private readonly bounds: KeptBounds) {}

  /** All places with a copy of what is there, oldest first. */
  *entries(): Generator<[KeptPlace, Bytes], void, void> {
    for (let i = 0, count = this.#count; i < count; i++) {
      const slot = (this.#oldest + i) % this.bounds.payloads;
      const of = this.#of[slot];
      if (of === undefined) continue;
      yield [{ epoch: of.epoch, leaf: of.leaf, n: this.#numbers[slot] ?? 0 }, this.#copy(slot)];
    }
  }

  /** A copy of what is kept of a place. */
  get({ epoch, leaf, n }: KeptPlace): Bytes | undefined {
    const slot = this.#chain(epoch, leaf)?.slots.get(n);
    return slot === undefined ? undefined : this.#copy(slot);
  }

  #copy(slot: number): Bytes {
    const start = this.#starts[slot] ?? 0;
    return this.#buffer.slice(start, start + (this.#lengths[slot] ?? 0));
  }

  /** Keeps a copy, unless there is one of that place; the oldest make room for it. */
  put({ epoch, leaf, n }: KeptPlace, payload: Uint8Array): void {
    const { length } = payload;
    if (length > this.bounds.bytes) return;
    if (this.#chain(epoch, leaf)?.slots.has(n) === true) return;
    if (this.#count === this.bounds.payloads) this.#dropOldest();
    const start = this.#reserve(length);
    this.#buffer.set(payload, start);
    this.#end = start + length;
    const slot = (this.#oldest + this.#count++) % this.bounds.payloads;
    // What made room may have been the last of its chain.
    const chain = this.#chain(epoch, leaf) ?? this.#newChain(epoch, leaf);
    chain.slots.set(n, slot);
    this.#of[slot] = chain;
    this.#numbers[slot] = n;
    this.#starts[slot] = start;
    this.#lengths[slot] = length;
  }

  /** Forgets everything. */
  clear(): void {
    this.#buffer = new Uint8Array(0);
    this.#end = 0;
    this.#chains.clear();
    this.#last = null;
    this.#of.length = 0;
    this.#count = 0;
    this.#oldest = 0;
  }

  #chain(epoch: number, leaf: number): ChainSlots | undefined {
    const last = this.#last;
    if (last !== null && last.epoch === epoch && last.leaf === leaf) return last;
    const chain = this.#chains.get(`${epoch}/${leaf}`);
    if (chain !== undefined) this.#last = chain;
    return chain;
  }

  #newChain(epoch: number, leaf: number): ChainSlots {
    const chain = { epoch, leaf, slots: new Map<number, number>() };
    this.#chains.set(`${epoch}/${leaf}`, chain);
    return this.#last = chain;
  }

  /** Where so many bytes may be written. */
  #reserve(length: number): number {
    let start = this.#end;
    if (start + length > this.#buffer.length && this.#buffer.length < this.bounds.bytes) {
      const wanted = Math.max(FIRST_BYTES, start + length, 2 * this.#buffer.length);
      const larger = new Uint8Array(Math.min(wanted, this.bounds.bytes));
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    if (start + length > this.#buffer.length) {
      // What lies behind is the oldest there is.
      while (this.#count > 0 && this.#oldestStart >= start) this.#dropOldest();
      start = 0;
    }
    while (this.#count > 0) {
      const at = this.#oldestStart;
      // An empty one that lies just where we write may have others behind it there.
      if (at >= start + length || (at < start && at + this.#oldestLength <= start)) break;
      this.#dropOldest();
    }
    return start;
  }

  get #oldestStart(): number {
    return this.#starts[this.#oldest] ?? 0;
  }

  get #oldestLength(): number {
    return this.#lengths[this.#oldest] ?? 0;
  }

  #dropOldest(): void {
    const chain = this.#of[this.#oldest];
    chain?.slots.delete(this.#numbers[this.#oldest] ?? 0);
    if (chain?.slots.size === 0) {
      this.#chains.delete(`${chain.epoch}/${chain.leaf}`);
      if (this.#last === chain) this.#last = null;
    }
    this.#oldest = (this.#oldest + 1) % this.bounds.payloads;
    this.#count--;
  }
}
