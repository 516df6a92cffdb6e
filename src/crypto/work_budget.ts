/**
 * A bound on work that a stranger can have us do before anything of his can be checked. Only what proved false is
 * counted, so honest work costs nothing.
 */
export class WorkBudget {
  #left: number;
  #at = 0;

  /**
   * @param atOnce units after a quiet time
   * @param perSecond units that come back each second
   */
  constructor(private readonly atOnce: number, private readonly perSecond: number) {
    this.#left = atOnce;
  }

  /** Whether there is anything left. @param now milliseconds of any clock; one that goes back gives nothing back */
  has(now: number): boolean {
    const gained = Math.max(0, now - this.#at) / 1000 * this.perSecond;
    this.#left = Math.min(this.atOnce, this.#left + gained);
    this.#at = now;
    return this.#left > 0;
  }

  /** It was for nothing. @param units of it; what is left may fall below zero */
  wasted(units: number): void {
    this.#left -= units;
  }
}
