import type { Bytes } from "../wire/codec.ts";
import { sameBytes } from "../wire/ids.ts";

const HASH_BYTES = 32;
const FIRST_HASHES = 8;

/**
 * The hashes of the messages that came last, by number. They lie in one buffer: an array each would live just long
 * enough to be moved by the garbage collector. Looked through one by one, since only a frame that comes twice asks.
 */
export class SeenHashes {
  /** One after the other, begun anew at the front when it is full. */
  #hashes: Bytes = new Uint8Array(0);
  readonly #numbers: number[] = [];
  #count = 0;

  /** @param capacity messages that are remembered */
  constructor(private readonly capacity: number) {}

  /** Remembers a message instead of the one that came first of those that are. @param hash 32 bytes */
  put(n: number, hash: Uint8Array): void {
    const slot = this.#count++ % this.capacity;
    const at = slot * HASH_BYTES;
    if (at >= this.#hashes.length) {
      const most = this.capacity * HASH_BYTES;
      const wanted = Math.max(FIRST_HASHES * HASH_BYTES, 2 * this.#hashes.length);
      const longer = new Uint8Array(Math.min(wanted, most));
      longer.set(this.#hashes);
      this.#hashes = longer;
    }
    this.#numbers[slot] = n;
    this.#hashes.set(hash, at);
  }

  /** Whether the message of that number is remembered, with that hash. */
  has(n: number, hash: Uint8Array): boolean {
    const at = this.#numbers.indexOf(n) * HASH_BYTES;
    return at >= 0 && sameBytes(this.#hashes.subarray(at, at + HASH_BYTES), hash);
  }
}
