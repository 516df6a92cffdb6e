/**
 * Two ends of a link without a socket: what one writes the other is given in a later microtask, in
 * pieces as they were written. An end that is paused, or told to `stall`, holds the writer back as
 * TCP would: the writer's `done` waits.
 */
import type { Link, LinkEnd, LinkHandlers } from "../../src/transport/link.ts";

interface Pending {
  readonly bytes: Uint8Array;
  readonly done: ((error: Error | null) => void) | undefined;
}

/** One end. */
export class MemoryLink implements Link {
  readonly remoteAddress: string = "192.0.2.1:1";
  /** Whether this end was closed or destroyed, and how. */
  ended: LinkEnd | null = null;
  /** Whether `pause` is in force. */
  paused = false;
  /** Bytes of the greatest write that this end was given. */
  largestWrite = 0;
  /** Writes in flight at once at most, to check the caller's discipline. */
  mostInFlight = 0;
  #peer: MemoryLink | null = null;
  #handlers: LinkHandlers | null = null;
  #inbox: Pending[] = [];
  #inFlight = 0;
  #closing = false;
  #scheduled = false;

  /** Ties two ends together. */
  static pair(): [MemoryLink, MemoryLink] {
    const a = new MemoryLink();
    const b = new MemoryLink();
    a.#peer = b;
    b.#peer = a;
    return [a, b];
  }

  start(handlers: LinkHandlers): void {
    this.#handlers = handlers;
    this.#schedule();
  }

  write(bytes: Uint8Array, done?: (error: Error | null) => void): void {
    const peer = this.#peer;
    if (this.ended !== null || peer === null) {
      queueMicrotask(() => done?.(new Error("the link has ended")));
      return;
    }
    this.largestWrite = Math.max(this.largestWrite, bytes.length);
    this.mostInFlight = Math.max(this.mostInFlight, ++this.#inFlight);
    // A copy, taken now; of a Buffer slice() would be a view.
    peer.#inbox.push({
      bytes: new Uint8Array(bytes),
      done: (error) => {
        this.#inFlight--;
        done?.(error);
        if (this.#closing && this.#inFlight === 0) this.#bothEnd();
      },
    });
    peer.#schedule();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.#schedule();
  }

  close(): void {
    this.#closing = true;
    if (this.#inFlight === 0) this.#bothEnd();
  }

  destroy(): void {
    this.#bothEnd();
  }

  #bothEnd(): void {
    const peer = this.#peer;
    this.#end({ code: "closed-by-us", message: "closed" });
    if (peer !== null) peer.#end({ code: "closed-by-peer", message: "closed" });
  }

  #end(end: LinkEnd): void {
    if (this.ended !== null) return;
    this.ended = end;
    for (const { done } of this.#inbox.splice(0)) done?.(new Error("the link has ended"));
    queueMicrotask(() => this.#handlers?.onEnd(end));
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    if (this.paused || this.#handlers === null || this.ended !== null) return;
    const next = this.#inbox.shift();
    if (next === undefined) return;
    this.#handlers.onData(next.bytes);
    next.done?.(null);
    if (this.#inbox.length > 0) this.#schedule();
  }
}

/** Lets everything that is under way over memory links arrive. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise<void>((resolve) => setImmediateLike(resolve));
}

function setImmediateLike(call: () => void): void {
  const channel = new MessageChannel();
  channel.port1.onmessage = () => {
    channel.port1.close();
    channel.port2.close();
    call();
  };
  channel.port2.postMessage(null);
}
