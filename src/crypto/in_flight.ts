import type { Leaf } from "../wire/ids.ts";

/** How long a message may be on its way to somebody else. Chosen. */
export const IN_FLIGHT_MS = 3_000;
/** How many are remembered. */
const MAX_RECENT = 64;

/** Whose messages came or were sent a moment ago: somebody else may not have them yet. */
export class InFlight {
  /** Begun anew at their front when there are so many. */
  readonly #leaves: Leaf[] = [];
  readonly #times: number[] = [];
  #count = 0;

  /** A message more of a leaf. @param at milliseconds since 1970 */
  note(leaf: Leaf, at: number): void {
    const slot = this.#count++ % MAX_RECENT;
    this.#leaves[slot] = leaf;
    this.#times[slot] = at;
  }

  /** Whose messages are so young, the newest first. */
  at(now: number): Leaf[] {
    const young: Leaf[] = [];
    const oldest = Math.max(0, this.#count - MAX_RECENT);
    for (let i = this.#count - 1; i >= oldest; i--) {
      const leaf = this.#leaves[i % MAX_RECENT];
      if (leaf !== undefined && now - (this.#times[i % MAX_RECENT] ?? 0) < IN_FLIGHT_MS) {
        young.push(leaf);
      }
    }
    return young;
  }
}
