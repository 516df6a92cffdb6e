import type { UserIntent } from "../session/intent.ts";

/** Intents from where they arise to the one loop that takes them, in order. */
export class IntentQueue implements AsyncIterable<UserIntent> {
  #waiting: UserIntent[] = [];
  #ended = false;
  #wakeReader: (() => void) | null = null;
  #wakeWriter: (() => void) | null = null;

  /** Adds an intent; nothing follows `end`, which also ends the sequence. */
  push(intent: UserIntent): void {
    if (this.#ended) return;
    this.#waiting.push(intent);
    if (intent.kind === "end") this.#ended = true;
    this.#wakeReader?.();
  }

  /** Ends the sequence after what is queued. */
  close(): void {
    this.#ended = true;
    this.#wakeReader?.();
    this.#wakeWriter?.();
  }

  /** True after `end` or `close`. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Settles when fewer than `count` intents wait or the sequence has ended; undefined if so now. For one writer: it
   * stops reading its input meanwhile, so that a fast program on stdin cannot fill the memory.
   */
  below(count: number): Promise<void> | undefined {
    return this.#waiting.length < count || this.#ended ? undefined : this.#fallsBelow(count);
  }

  async #fallsBelow(count: number): Promise<void> {
    while (this.#waiting.length >= count && !this.#ended) {
      await new Promise<void>((resolve) => this.#wakeWriter = resolve);
      this.#wakeWriter = null;
    }
  }

  /** The intents, each once; for one reader. No generator: each of its values would cost three turns of promises. */
  [Symbol.asyncIterator](): AsyncIterator<UserIntent, void, void> {
    return { next: () => this.#next() };
  }

  async #next(): Promise<IteratorResult<UserIntent, void>> {
    while (true) {
      const value = this.#waiting.shift();
      if (value !== undefined) {
        this.#wakeWriter?.();
        return { value, done: false };
      }
      if (this.#ended) return { value: undefined, done: true };
      await new Promise<void>((resolve) => this.#wakeReader = resolve);
      this.#wakeReader = null;
    }
  }
}
