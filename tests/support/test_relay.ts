/** A listener on 127.0.0.1 that hands its links to the test in the order in which they come. */

import {
  listen,
  type Listener,
  type ListenOptions,
  type Refusal,
} from "../../src/transport/listen.ts";
import type { Link } from "../../src/transport/link.ts";
import { makeRelayKey, type TestRelayKey } from "./relay_key.ts";

/** A listening test relay; `await using` closes it. */
export class TestRelay implements AsyncDisposable {
  readonly refusals = new Queue<Refusal>();
  readonly links = new Queue<Link>();
  #listener: Listener | null = null;

  private constructor(readonly key: TestRelayKey) {}

  /** Listens on a free port with a fresh key, unless told otherwise. */
  static async start(
    options: Partial<ListenOptions> & { host?: string; port?: number } = {},
    key: TestRelayKey = makeRelayKey(),
  ): Promise<TestRelay> {
    const relay = new TestRelay(key);
    const { host = "127.0.0.1", port = 0, ...others } = options;
    relay.#listener = await listen({
      addresses: [{ host, port }],
      keyPem: key.keyPem,
      certPem: key.certPem,
      onLink: (link) => relay.links.push(link),
      onRefused: (refusal) => relay.refusals.push(refusal),
      ...others,
    });
    return relay;
  }

  get listener(): Listener {
    if (this.#listener === null) throw new Error("not listening");
    return this.#listener;
  }

  /** What `dial` needs to reach it. */
  get address(): { host: string; port: number; pin: Uint8Array } {
    return { host: "127.0.0.1", port: this.listener.port, pin: this.key.pin };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.listener.close();
  }
}

/** First in, first out; `next()` waits for what has not come yet. */
export class Queue<T> {
  readonly #items: T[] = [];
  readonly #waiters: ((item: T) => void)[] = [];

  push(item: T): void {
    const waiter = this.#waiters.shift();
    if (waiter) waiter(item);
    else this.#items.push(item);
  }

  next(): Promise<T> {
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve(item);
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  get length(): number {
    return this.#items.length;
  }
}
