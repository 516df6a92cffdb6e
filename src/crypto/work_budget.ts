/** A bound on work that others can have us do: what it is and whose it is, the caller decides. */
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

  /** It was done. @param units of it; what is left may fall below zero */
  spend(units: number): void {
    this.#left -= units;
  }
}
