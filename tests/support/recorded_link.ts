/** Listens to a link and lets a test wait for what it hears. */

import type { Link, LinkEnd } from "../../src/transport/link.ts";

/** A started link and everything it delivered. */
export class RecordedLink {
  readonly ended: Promise<LinkEnd>;
  received = 0;
  readonly #chunks: Uint8Array[] = [];
  #wanted: { bytes: number; resolve: () => void } | null = null;

  constructor(readonly link: Link) {
    this.ended = new Promise((resolve) => {
      link.start({
        onData: (bytes) => {
          this.received += bytes.length;
          this.#chunks.push(bytes);
          if (this.#wanted !== null && this.received >= this.#wanted.bytes) this.#wanted.resolve();
        },
        onEnd: resolve,
      });
    });
  }

  /** All that arrived so far, joined. */
  bytes(): Uint8Array {
    const all = new Uint8Array(this.received);
    let at = 0;
    for (const chunk of this.#chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }

  /** Resolves once at least so many bytes have arrived. */
  async atLeast(bytes: number): Promise<void> {
    if (this.received >= bytes) return;
    await new Promise<void>((resolve) => this.#wanted = { bytes, resolve });
  }

  /** Writes and waits until the runtime has taken the bytes. */
  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) =>
      this.link.write(bytes, (error) => error === null ? resolve() : reject(error))
    );
  }
}
