import type { Clock } from "../../src/driver/ports.ts";
import type { RelayPorts } from "../../src/server/relay.ts";

/** The one clock of a hostile story: it stands still unless told to go on. */
export class FakeClock implements Clock {
  readonly #startMs = Date.now();
  #ms = this.#startMs;
  #timers: { everyMs: number; nextMs: number; once: boolean; call: () => void }[] = [];

  // The program hands these about without the clock.
  readonly now = (): number => this.#ms;

  readonly every = (ms: number, call: () => void): () => void => this.#add(ms, call, false);

  readonly after = (ms: number, call: () => void): () => void => this.#add(ms, call, true);

  #add(everyMs: number, call: () => void, once: boolean): () => void {
    const timer = { everyMs, nextMs: this.#ms + everyMs, once, call };
    this.#timers.push(timer);
    return () => this.#timers = this.#timers.filter((t) => t !== timer);
  }

  /** The relay's view of this clock. */
  get relayPorts(): RelayPorts {
    return {
      now: () => ({ ms: this.#ms - this.#startMs, unixS: this.#ms / 1000 }),
      nowMs: () => this.#ms - this.#startMs,
      random: (count) => crypto.getRandomValues(new Uint8Array(count)),
      later: (ms, call) => this.#add(ms, call, true),
    };
  }

  /** Time goes by, a second at a time; `between` lets what that caused happen. */
  async pass(ms: number, between: () => Promise<void>): Promise<void> {
    const end = this.#ms + ms;
    while (this.#ms < end) {
      this.#ms = Math.min(end, this.#ms + 1000);
      for (const timer of this.#timers.filter((t) => t.nextMs <= this.#ms)) {
        timer.nextMs = this.#ms + timer.everyMs;
        if (timer.once) this.#timers = this.#timers.filter((t) => t !== timer);
        timer.call();
      }
      await between();
    }
  }
}
