import type { Bytes } from "../wire/codec.ts";

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
  /** By place: the number of its slot. */
  readonly #slots = new Map<string, number>();
  /** Slots are taken in turn; the oldest is `#oldest`. */
  readonly #places: string[] = [];
  readonly #starts: number[] = [];
  readonly #lengths: number[] = [];
  #oldest = 0;

  /** Begins empty. */
  constructor(private readonly bounds: KeptBounds) {}

  /** All places with a copy of what is there, oldest first. */
  *entries(): Generator<[string, Bytes], void, void> {
    for (let i = 0, count = this.#slots.size; i < count; i++) {
      const place = this.#places[(this.#oldest + i) % this.bounds.payloads] ?? "";
      const payload = this.get(place);
      if (payload !== undefined) yield [place, payload];
    }
  }

  /** A copy of what is kept of a place. */
  get(place: string): Bytes | undefined {
    const slot = this.#slots.get(place);
    if (slot === undefined) return undefined;
    const start = this.#starts[slot] ?? 0;
    return this.#buffer.slice(start, start + (this.#lengths[slot] ?? 0));
  }

  /** Keeps a copy, unless there is one of that place; the oldest make room for it. */
  put(place: string, payload: Uint8Array): void {
    const { length } = payload;
    if (length > this.bounds.bytes || this.#slots.has(place)) return;
    if (this.#slots.size === this.bounds.payloads) this.#dropOldest();
    const start = this.#reserve(length);
    this.#buffer.set(payload, start);
    this.#end = start + length;
    const slot = (this.#oldest + this.#slots.size) % this.bounds.payloads;
    this.#places[slot] = place;
    this.#starts[slot] = start;
    this.#lengths[slot] = length;
    this.#slots.set(place, slot);
  }

  /** Forgets everything. */
  clear(): void {
    this.#buffer = new Uint8Array(0);
    this.#end = 0;
    this.#slots.clear();
    this.#oldest = 0;
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
      while (this.#slots.size > 0 && this.#oldestStart >= start) this.#dropOldest();
      start = 0;
    }
    while (this.#slots.size > 0) {
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
    this.#slots.delete(this.#places[this.#oldest] ?? "");
    this.#oldest = (this.#oldest + 1) % this.bounds.payloads;
  }
}
