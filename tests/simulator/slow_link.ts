import type { Link, LinkHandlers } from "../../src/transport/link.ts";
import type { Turns } from "./turns.ts";

/** Turns that a run of bytes is on its way at most. */
const MAX_TURNS = 3;

/** A link on which everything takes some turns, in its order both ways. */
export class SlowLink implements Link {
  readonly remoteAddress: string;
  readonly #up: Lane;
  readonly #down: Lane;

  constructor(private readonly link: Link, turns: Turns) {
    this.remoteAddress = link.remoteAddress;
    this.#up = new Lane(turns);
    this.#down = new Lane(turns);
  }

  start(handlers: LinkHandlers): void {
    this.link.start({
      onData: (bytes) => this.#down.later(() => handlers.onData(bytes)),
      onEnd: (end) => this.#down.later(() => handlers.onEnd(end)),
    });
  }

  write(bytes: Uint8Array, done?: (error: Error | null) => void): void {
    const taken = new Uint8Array(bytes); // a Buffer's slice() would share its memory
    this.#up.later(() => this.link.write(taken, done));
  }

  pause(): void {
    this.link.pause();
  }

  resume(): void {
    this.link.resume();
  }

  close(): void {
    this.#up.later(() => this.link.close());
  }

  destroy(): void {
    this.link.destroy();
  }
}

/** One direction: first come, first served. */
class Lane {
  readonly #waiting: (() => void)[] = [];

  constructor(private readonly turns: Turns) {}

  later(act: () => void): void {
    this.#waiting.push(act);
    if (this.#waiting.length === 1) void this.#go();
  }

  async #go(): Promise<void> {
    for (let act = this.#waiting[0]; act !== undefined; act = this.#waiting[0]) {
      await this.turns.some(MAX_TURNS);
      act();
      this.#waiting.shift();
    }
  }
}
