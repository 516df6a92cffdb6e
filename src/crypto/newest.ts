/**
 * The newest of what was put in, by key; what is oldest goes first. A Map alone has that order too, but to find its
 * oldest entry it walks over all that were deleted before it: for thousands of entries that takes longer than a hash.
 */
export class Newest<K, V> {
  readonly #values = new Map<K, V>();
  /** Keys in the order in which they came, begun anew at the front when it is full. */
  readonly #keys: K[] = [];
  #oldest = 0;

  /** @param capacity entries that are kept */
  constructor(private readonly capacity: number) {}

  /** How many there are. */
  get size(): number {
    return this.#values.size;
  }

  /** All, in no promised order. */
  get entries(): Iterable<[K, V]> {
    return this.#values;
  }

  /** The value of a key, while it is kept. */
  get(key: K): V | undefined {
    return this.#values.get(key);
  }

  /** Whether a key is kept. */
  has(key: K): boolean {
    return this.#values.has(key);
  }

  /** Keeps a value, as a key's first or instead of its last. Gives what is not kept any more. */
  put(key: K, value: V): V | undefined {
    const before = this.#values.get(key);
    const isNew = before === undefined && !this.#values.has(key);
    const gone = isNew && this.size === this.capacity ? this.dropOldest() : before;
    this.#values.set(key, value);
    if (isNew) this.#keys[(this.#oldest + this.size - 1) % this.capacity] = key;
    return gone;
  }

  /** Forgets the oldest, and gives it; `undefined` if there is none. */
  dropOldest(): V | undefined {
    const key = this.#keys[this.#oldest];
    if (this.size === 0 || key === undefined) return undefined;
    const value = this.#values.get(key);
    this.#values.delete(key);
    this.#oldest = (this.#oldest + 1) % this.capacity;
    return value;
  }

  /** Forgets everything. */
  clear(): void {
    this.#values.clear();
    this.#keys.length = 0;
    this.#oldest = 0;
  }
}
