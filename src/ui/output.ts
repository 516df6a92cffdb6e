import type { ByteOutput } from "./terminal.ts";

/**
 * What may wait for a slow reader before lines are left out. Chosen: minutes of a busy room. Texts are counted by
 * their length before they are encoded, a letter a byte.
 */
export const MAX_WAITING_BYTES = 8 * 1024 * 1024;

const encoder = new TextEncoder();

/**
 * Takes text at once and writes it in order, one write in flight, as much as is there each time.
 * Bounded: a reader that has stopped cannot make the process grow.
 */
export class OutputQueue {
  #output: ByteOutput;
  #maxWaitingBytes: number;
  #onGone: () => void;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #leftOut = 0;
  #gone = false;
  #writer: Promise<void> | null = null;

  /**
   * Begins empty.
   *
   * @param onGone called once when writing has failed: nobody reads any more
   * @param maxWaitingBytes beyond it only what is `needed` is taken
   */
  constructor(output: ByteOutput, onGone: () => void, maxWaitingBytes = MAX_WAITING_BYTES) {
    this.#output = output;
    this.#onGone = onGone;
    this.#maxWaitingBytes = maxWaitingBytes;
  }

  /** How many texts were left out since the last call; they are forgotten by it. */
  takeLeftOut(): number {
    const count = this.#leftOut;
    this.#leftOut = 0;
    return count;
  }

  /** Counts a text that its owner did not even make because there is no room. */
  leaveOut(): void {
    this.#leftOut++;
  }

  /** True while a text of that length would be taken. */
  hasRoom(length = 0): boolean {
    return this.#waitingBytes + length <= this.#maxWaitingBytes;
  }

  /**
   * Queues text. Never throws.
   *
   * @param needed is taken even where the queue is full: a farewell, an answer
   * @returns false if it was left out
   */
  push(text: string, needed = false): boolean {
    if (this.#gone) return false;
    if (!needed && !this.hasRoom(text.length)) {
      this.#leftOut++;
      return false;
    }
    this.#waiting.push(text);
    this.#waitingBytes += text.length;
    this.#writer ??= this.#write();
    return true;
  }

  /** Settles once everything queued has been written, or nobody reads any more. */
  async drained(): Promise<void> {
    while (this.#writer !== null) await this.#writer;
  }

  async #write(): Promise<void> {
    // A turn later, so that what is said in one turn leaves in one write.
    await Promise.resolve();
    try {
      while (this.#waiting.length > 0) {
        const batch = this.#waiting.join("");
        this.#waiting = [];
        await this.#output.write(encoder.encode(batch));
        this.#waitingBytes -= batch.length;
      }
    } catch {
      // Whatever the reason, there is nobody to tell: this was the way to tell it.
      this.#gone = true;
      this.#waiting = [];
      this.#waitingBytes = 0;
      this.#onGone();
    } finally {
      this.#writer = null;
    }
  }
}
