/**
 * How long work may go on before sockets, keys and timers have their turn. Chosen: nobody notices it, and a turn of
 * the event loop for nothing takes 4 µs.
 */
export const MAX_WORK_MS = 8;

/**
 * Work that waits for nothing but other work never lets the event loop go round, however often it says `await`:
 * while texts flow in, nothing is sent, and nobody can type. Whoever has much to do asks here.
 */
export class Breath {
  /** When the work began in this turn of the event loop; `null` before it has. */
  #since: number | null = null;

  /** Waits for the next turn of the event loop if this one has taken too long. */
  taken(): Promise<void> | undefined {
    const now = performance.now();
    if (this.#since === null) {
      this.#since = now;
      setImmediate(() => this.#since = null);
    } else if (now - this.#since >= MAX_WORK_MS) {
      return new Promise((resolve) => setImmediate(resolve));
    }
    return undefined;
  }
}
