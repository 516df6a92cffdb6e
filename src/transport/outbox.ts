import type { Link } from "./link.ts";

/** More than this waiting for a relay that does not read means that the link is dead. */
export const MAX_OUTBOX_BYTES = 16 * 1024 * 1024;
/** While more than this waits, whoever can wait does: see {@linkcode Outbox.room}. */
export const ENOUGH_OUTBOX_BYTES = 1024 * 1024;
/** What waits is joined into writes of about this size. */
const WRITE_BYTES = 64 * 1024;

/**
 * What a participant sends: an ordered, bounded queue over one link with one write in flight. Small
 * frames that wait together leave together.
 */
export class Outbox {
  #waiting: Uint8Array[] = [];
  #bytes = 0;
  #writing = false;
  #failed = false;
  #idle: (() => void)[] = [];
  #wantsRoom: (() => void)[] = [];

  /**
   * @param link started, or about to be
   * @param onFull called once when the bound is passed; the link should then be destroyed
   */
  constructor(private readonly link: Link, private readonly onFull: () => void) {}

  /** Queues bytes; after a failed write or an overflow they go nowhere, as does the link. */
  send(bytes: Uint8Array): void {
    if (this.#failed) return;
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes > MAX_OUTBOX_BYTES) {
      this.#fail();
      return this.onFull();
    }
    if (!this.#writing) this.#write();
  }

  /** Resolves when all that was queued has been taken by the runtime, or can no longer be. */
  flushed(): Promise<void> {
    if (this.#failed || !this.#writing) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Resolves when at most {@linkcode ENOUGH_OUTBOX_BYTES} wait, or can no longer be sent; undefined if so now. */
  room(): Promise<void> | undefined {
    if (this.#failed || this.#bytes <= ENOUGH_OUTBOX_BYTES) return undefined;
    return new Promise((resolve) => this.#wantsRoom.push(resolve));
  }

  #write(): void {
    const batch = this.#take();
    if (batch === undefined) {
      this.#writing = false;
      return this.#settle();
    }
    this.#writing = true;
    this.link.write(batch, (error) => {
      this.#bytes -= batch.length;
      if (error !== null) return this.#fail();
      if (this.#bytes <= ENOUGH_OUTBOX_BYTES) this.#letIn();
      this.#write();
    });
  }

  #take(): Uint8Array | undefined {
    const first = this.#waiting[0];
    if (first === undefined) return undefined;
    let count = 1;
    let length = first.length;
    for (let next = this.#waiting[count]; next !== undefined; next = this.#waiting[count]) {
      if (length + next.length > WRITE_BYTES) break;
      length += next.length;
      count++;
    }
    const parts = this.#waiting.splice(0, count);
    if (count === 1) return first;
    const batch = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      batch.set(part, at);
      at += part.length;
    }
    return batch;
  }

  #fail(): void {
    this.#failed = true;
    this.#writing = false;
    this.#waiting = [];
    this.#letIn();
    this.#settle();
  }

  #letIn(): void {
    const waiting = this.#wantsRoom;
    this.#wantsRoom = [];
    for (const resolve of waiting) resolve();
  }

  #settle(): void {
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }
}
