/**
 * How far the relay's clock is from ours, found by asking. The protocol has no time of day in it, but a relay
 * judges by its clock whether a ticket has expired: one that expires at `now + k` of ours is good exactly if the
 * relay is less than `k` ahead. So a search over `k` reads its clock, to a second, within a few questions.
 */

/** What is known: the relay is at least `atLeast` and less than `below` seconds ahead (behind, if negative). */
export interface OffsetBounds {
  readonly atLeast: number;
  readonly below: number;
}

/** Nothing is known yet. */
export const UNKNOWN_OFFSET: OffsetBounds = { atLeast: -Infinity, below: Infinity };

/** Nobody needs it closer than this, seconds. */
const CLOSE_S = 5;
/** Farther off than any clock that starts in 1970. */
const FARTHEST_S = 2 ** 33;
/** How much farther out the next question goes. */
const STRIDE = 8;
/** How closely a large offset is told: a part of itself. */
const RELATIVE = 1 / 32;

/**
 * The next question.
 *
 * @returns `k` in seconds; `null` if it is known closely enough, or cannot be found
 */
export function nextOffset({ atLeast, below }: OffsetBounds): number | null {
  if (below === Infinity) return atLeast === -Infinity ? CLOSE_S : outwards(atLeast);
  if (atLeast === -Infinity) return below === CLOSE_S ? -CLOSE_S : outwards(below);
  const size = Math.min(Math.abs(atLeast), Math.abs(below));
  const closely = atLeast === -CLOSE_S && below === CLOSE_S
    ? Infinity
    : Math.max(1, Math.floor(size * RELATIVE));
  return below - atLeast <= closely ? null : Math.floor((atLeast + below) / 2);
}

function outwards(bound: number): number | null {
  const next = bound * STRIDE;
  return Math.abs(next) > FARTHEST_S ? null : next;
}

/** What is known after an answer. @param expired whether a ticket of `k` had expired for the relay */
export function narrowed(bounds: OffsetBounds, k: number, expired: boolean): OffsetBounds {
  return expired ? { ...bounds, atLeast: k } : { ...bounds, below: k };
}

/** The middle of what is known, in whole seconds; `null` if one side is not known. */
export function offsetOf({ atLeast, below }: OffsetBounds): number | null {
  if (atLeast === -Infinity || below === Infinity) return null;
  return Math.round((atLeast + below) / 2);
}
