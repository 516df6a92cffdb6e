import type { Bytes } from "../wire/codec.ts";
import { systemRandom } from "./primitives.ts";

const AUTHOR_BYTES = 32;
const ID_BYTES = 16;
const ENTRY_BYTES = AUTHOR_BYTES + ID_BYTES;
const ID_WORDS = ID_BYTES / 4;
const FIRST_ENTRIES = 64;

/**
 * The texts that were shown last, by their author's identity and their id. They lie in one buffer with a table over
 * it (open addressing): a string for each would live just long enough to be moved by the garbage collector.
 */
export class ShownTexts {
  /** Entries in turn, begun anew at the front when it is full. */
  #entries: Bytes = new Uint8Array(0);
  /** By hash: 1 + the number of an entry, 0 for none; twice as many as there are entries. */
  #table = new Int32Array(0);
  #oldest = 0;
  #size = 0;
  /** Ids are chosen by others: without these they could choose them to fall on one place. */
  readonly #factors = new Int32Array(systemRandom(4 * (ID_WORDS + 1)).buffer);

  /** @param capacity texts that are remembered: a power of two, at least 64 */
  constructor(private readonly capacity: number) {}

  /** How many are remembered. */
  get size(): number {
    return this.#size;
  }

  /**
   * Remembers a text, instead of the oldest if there are too many.
   *
   * @param author 32 bytes
   * @param id 16 bytes
   * @returns false if it was remembered already
   */
  add(author: Uint8Array, id: Uint8Array): boolean {
    if (author.length !== AUTHOR_BYTES || id.length !== ID_BYTES) {
      throw new RangeError(`an author of ${author.length} bytes, an id of ${id.length}`);
    }
    if (this.#size > 0 && this.#find(author, id)) return false;
    if (this.#size === this.capacity) this.#dropOldest();
    else if (this.#size * ENTRY_BYTES === this.#entries.length) this.#grow();
    const entry = (this.#oldest + this.#size++) % this.#length;
    const at = entry * ENTRY_BYTES;
    for (let i = 0; i < AUTHOR_BYTES; i++) this.#entries[at + i] = author[i] ?? 0;
    for (let i = 0; i < ID_BYTES; i++) this.#entries[at + AUTHOR_BYTES + i] = id[i] ?? 0;
    this.#enter(entry);
    return true;
  }

  /** Remembers all that another one does. */
  addAll(other: ShownTexts): void {
    for (let i = 0; i < other.#size; i++) {
      const at = (other.#oldest + i) % other.#length * ENTRY_BYTES;
      const idAt = at + AUTHOR_BYTES;
      this.add(
        other.#entries.subarray(at, idAt),
        other.#entries.subarray(idAt, idAt + ID_BYTES),
      );
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.#entries = new Uint8Array(0);
    this.#table = new Int32Array(0);
    this.#oldest = 0;
    this.#size = 0;
  }

  /** How many entries there is room for. */
  get #length(): number {
    return this.#entries.length / ENTRY_BYTES;
  }

  /** Only while the oldest is the first: before it is full. */
  #grow(): void {
    const length = Math.max(FIRST_ENTRIES, 2 * this.#length);
    const longer = new Uint8Array(length * ENTRY_BYTES);
    longer.set(this.#entries);
    this.#entries = longer;
    this.#table = new Int32Array(2 * length);
    for (let entry = 0; entry < this.#size; entry++) this.#enter(entry);
  }

  /** Where a text belongs in the table, by an id that begins at `at`. */
  #place(bytes: Uint8Array, at: number): number {
    let hash = this.#factors[ID_WORDS] ?? 0;
    for (let i = 0, j = at; i < ID_WORDS; i++, j += 4) {
      const word = (bytes[j] ?? 0) << 24 | (bytes[j + 1] ?? 0) << 16 | (bytes[j + 2] ?? 0) << 8 |
        (bytes[j + 3] ?? 0);
      hash = Math.imul(hash ^ word, (this.#factors[i] ?? 0) | 1);
      hash ^= hash >>> 15;
    }
    return hash & this.#table.length - 1;
  }

  #placeOf(entry: number): number {
    return this.#place(this.#entries, entry * ENTRY_BYTES + AUTHOR_BYTES);
  }

  #find(author: Uint8Array, id: Uint8Array): boolean {
    const mask = this.#table.length - 1;
    for (let i = this.#place(id, 0);; i = i + 1 & mask) {
      const entry = (this.#table[i] ?? 0) - 1;
      if (entry < 0) return false;
      if (this.#is(entry, author, id)) return true;
    }
  }

  #is(entry: number, author: Uint8Array, id: Uint8Array): boolean {
    const at = entry * ENTRY_BYTES;
    for (let i = 0; i < ID_BYTES; i++) {
      if (this.#entries[at + AUTHOR_BYTES + i] !== id[i]) return false;
    }
    for (let i = 0; i < AUTHOR_BYTES; i++) if (this.#entries[at + i] !== author[i]) return false;
    return true;
  }

  #enter(entry: number): void {
    const mask = this.#table.length - 1;
    let i = this.#placeOf(entry);
    while (this.#table[i] !== 0) i = i + 1 & mask;
    this.#table[i] = entry + 1;
  }

  #dropOldest(): void {
    const mask = this.#table.length - 1;
    let hole = this.#placeOf(this.#oldest);
    while (this.#table[hole] !== this.#oldest + 1) hole = hole + 1 & mask;
    // What stands behind moves up, where the way to it would lead over the hole.
    for (let i = hole + 1 & mask;; i = i + 1 & mask) {
      const entry = (this.#table[i] ?? 0) - 1;
      if (entry < 0) break;
      const way = i - this.#placeOf(entry) & mask;
      if (way < (i - hole & mask)) continue;
      this.#table[hole] = entry + 1;
      hole = i;
    }
    this.#table[hole] = 0;
    this.#oldest = (this.#oldest + 1) % this.#length;
    this.#size--;
  }
}
