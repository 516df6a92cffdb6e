/**
 * What is to be written is written once a turn of the event loop, after everything that came with
 * one read has been taken in. Measured against timers, this batches as well under load and adds
 * nothing when it is quiet (ARCHITECTURE, "The relay's hot path").
 */

/** Something that collects work until the end of the turn. */
export interface Flushable {
  /** Whether it waits for its flush already; {@link Turn} sets it. */
  queued: boolean;
  /** Does the work that was collected. */
  flush(): void;
}

/** The list of those who have something to do at the end of this turn. */
export class Turn {
  #due: Flushable[] = [];
  #scheduled = false;

  /** Has `work.flush()` called once at the end of the turn, however often it is added before. */
  add(work: Flushable): void {
    if (work.queued) return;
    work.queued = true;
    this.#due.push(work);
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(this.#run);
  }

  #run = (): void => {
    this.#scheduled = false;
    const due = this.#due;
    this.#due = [];
    for (const work of due) {
      work.queued = false;
      work.flush();
    }
  };
}
