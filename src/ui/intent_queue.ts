import type { UserIntent } from "../session/intent.ts";

/** Intents from where they arise to the one loop that takes them, in order. */
export class IntentQueue implements AsyncIterable<UserIntent> {
  #waiting: UserIntent[] = [];
  #ended = false;
  #wake: (() => void) | null = null;

  /** Adds an intent; nothing follows `end`, which also ends the sequence. */
  push(intent: UserIntent): void {
    if (this.#ended) return;
    this.#waiting.push(intent);
    if (intent.kind === "end") this.#ended = true;
    this.#wake?.();
  }

  /** Ends the sequence after what is queued. */
  close(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** How many wait; a face stops reading its input while they are many. */
  get length(): number {
    return this.#waiting.length;
  }

  /** The intents, each once; for one reader. */
  async *[Symbol.asyncIterator](): AsyncGenerator<UserIntent, void, void> {
    while (true) {
      const next = this.#waiting.shift();
      if (next !== undefined) {
        this.#taken?.();
        yield next;
      } else if (this.#ended) {
        return;
      } else {
        await new Promise<void>((resolve) => this.#wake = resolve);
        this.#wake = null;
      }
    }
  }

  #taken: (() => void) | null = null;

  /** Settles when fewer than `count` intents wait. */
  async below(count: number): Promise<void> {
    while (this.#waiting.length >= count && !this.#ended) {
      await new Promise<void>((resolve) => this.#taken = resolve);
      this.#taken = null;
    }
  }
}
