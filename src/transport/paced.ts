/**
 * What is done a little of at a time, so that others are heard between. By a timer: under Deno 2.9
 * all that `setImmediate` has is done before anything is read.
 *
 * @module
 */

/** Calls that come one by one are made at once; of many in one moment, all but a few wait. */
export class Paced<T> {
  readonly #waiting: T[] = [];
  #begunMs = -Infinity;
  #made = 0;

  /**
   * @param call what is called with each that was added
   * @param atOnce how many calls are made in a row, asked again for each row
   * @param restMs how long it is, from the first of them, until the next are
   */
  constructor(
    private readonly call: (of: T) => void,
    private readonly atOnce: () => number,
    private readonly restMs: number,
  ) {}

  /** Makes the call, now or later; in the order in which they were added. */
  add(of: T): void {
    if (this.#waiting.length === 0 && this.#mayGo()) return this.call(of);
    if (this.#waiting.push(of) === 1) setTimeout(this.#run, this.restMs);
  }

  #mayGo(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#begunMs >= this.restMs) {
      this.#begunMs = nowMs;
      this.#made = 0;
    }
    return this.#made++ < this.atOnce();
  }

  readonly #run = (): void => {
    this.#begunMs = performance.now();
    const due = this.#waiting.splice(0, this.atOnce());
    this.#made = due.length;
    if (this.#waiting.length > 0) setTimeout(this.#run, this.restMs);
    for (const of of due) this.call(of);
  };
}
