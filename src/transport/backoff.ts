/** When to try again: exponential with jitter, so that a restarted relay is not stormed. */

/** The longest wait before the first try, in milliseconds; it doubles from try to try. */
export const BACKOFF_FIRST_MS = 500;

/** The ceiling of a wait, in milliseconds: well within the grace, so that a short outage costs no membership. */
export const BACKOFF_MAX_MS = 10_000;

/**
 * How long to wait before a try to reconnect.
 *
 * @param attempt tries that failed since the last link, from 0
 * @param random01 a random number in [0, 1)
 * @returns milliseconds, between half of the try's ceiling and the ceiling
 */
export function backoffMs(attempt: number, random01: number): number {
  const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(attempt, 16));
  return Math.round(ceiling * (0.5 + random01 / 2));
}
