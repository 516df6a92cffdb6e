import type { Leaf } from "../wire/ids.ts";

/** How long a message may be on its way to somebody else. Chosen. */
export const IN_FLIGHT_MS = 3_000;
/** How many are remembered. */
const MAX_RECENT = 64;

/** Whose messages came or were sent a moment ago: somebody else may not have them yet. */
export class InFlight {
  /** Oldest first. */
  #recent: { readonly leaf: Leaf; readonly at: number }[] = [];

  /** A message more of a leaf. @param at milliseconds since 1970 */
  note(leaf: Leaf, at: number): void {
    this.#recent.push({ leaf, at });
    if (this.#recent.length > MAX_RECENT) this.#recent.shift();
  }

  /** Whose messages are so young, the newest first. */
  at(now: number): Leaf[] {
    return this.#recent.filter(({ at }) => now - at < IN_FLIGHT_MS).map(({ leaf }) => leaf)
      .reverse();
  }
}
