import type { Bytes } from "../wire/codec.ts";

/**
 * Rolling hashes of a chain that can still be compared with what another member has. Chosen: 32 KiB of a busy
 * chain, and further behind than this nobody is who talks.
 */
export const KEPT_HASHES = 1024;
const HASH_BYTES = 32;
const FIRST_BYTES = 8 * HASH_BYTES;

/** The newest values of one rolling hash, by the count of messages that each covers. */
export class HashHistory {
  /** One after the other, begun anew at the front when it is full. */
  #kept: Bytes = new Uint8Array(0);
  #count = 0;

  /** Adds the hash over one message more. */
  push(hash: Bytes): void {
    const at = this.#count % KEPT_HASHES * HASH_BYTES;
    if (at >= this.#kept.length) {
      const longer = new Uint8Array(Math.max(FIRST_BYTES, 2 * this.#kept.length));
      longer.set(this.#kept);
      this.#kept = longer;
    }
    this.#kept.set(hash, at);
    this.#count++;
  }

  /** The hash over the first `count` messages; `undefined` if it is not known (any more). */
  at(count: number): Bytes | undefined {
    if (count === 0) return new Uint8Array(HASH_BYTES);
    if (count < 0 || count > this.#count || count <= this.#count - KEPT_HASHES) return undefined;
    const at = (count - 1) % KEPT_HASHES * HASH_BYTES;
    return this.#kept.slice(at, at + HASH_BYTES);
  }
}
