/**
 * A worker for slow effects: one job at a time, in order, over a bounded queue. A job that throws
 * ends in `onError`, and the next goes on.
 */
export class Worker {
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  /**
   * @param capacity jobs that may wait
   * @param onError told of every job that threw, and of one that found the queue full
   */
  constructor(
    private readonly capacity: number,
    private readonly onError: (what: string, error: unknown) => void,
  ) {}

  /** Queues a job. */
  run(what: string, job: () => Promise<void> | void): void {
    if (this.#waiting >= this.capacity) {
      return this.onError(what, new Error(`more than ${this.capacity} jobs wait`));
    }
    this.#waiting++;
    this.#last = this.#last.then(async () => {
      try {
        await job();
      } catch (error) {
        this.onError(what, error);
      } finally {
        this.#waiting--;
      }
    });
  }

  /** Resolves when all jobs queued so far are done. */
  idle(): Promise<void> {
    return this.#last;
  }
}
