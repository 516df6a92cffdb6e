/** A TCP tunnel to a relay that can be closed and opened, as a train enters one: for tests of reconnecting. */
export class Tunnel implements AsyncDisposable {
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.TcpConn>();
  readonly #pumps = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;
  #state: "open" | "refusing" | "silent" = "open";

  /** @param target port on loopback */
  constructor(private readonly target: number) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#accepting = this.#accept();
  }

  /** Where the tunnel begins. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** Everything in it ends at once, and nothing goes in. */
  close(): void {
    this.#state = "refusing";
    for (const conn of this.#open) hangUp(conn);
  }

  /** Everything in it stays, and nothing arrives any more: nobody is told. */
  blackOut(): void {
    this.#state = "silent";
  }

  /** It is passable again; what was in it when the light went out is lost. */
  open(): void {
    if (this.#state === "silent") { for (const conn of this.#open) hangUp(conn); }
    this.#state = "open";
  }

  async #accept(): Promise<void> {
    for await (const conn of this.#listener) {
      if (this.#state === "refusing") hangUp(conn);
      else this.#begin(conn);
    }
  }

  #begin(conn: Deno.TcpConn): void {
    this.#open.add(conn);
    const pump = this.#through(conn).finally(() => {
      this.#open.delete(conn);
      hangUp(conn);
      this.#pumps.delete(pump);
    });
    this.#pumps.add(pump);
  }

  async #through(conn: Deno.TcpConn): Promise<void> {
    let onward: Deno.TcpConn;
    try {
      onward = await Deno.connect({ hostname: "127.0.0.1", port: this.target });
    } catch {
      // The relay is not there: for whoever dialled it is as without a tunnel.
      return;
    }
    this.#open.add(onward);
    await Promise.all([this.#copy(conn, onward), this.#copy(onward, conn)]);
    this.#open.delete(onward);
  }

  /** Until either side ends, or the tunnel is closed; then both end. */
  async #copy(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(65_536);
    try {
      for (;;) {
        const count = await from.read(buffer);
        if (count === null) break;
        if (this.#state === "silent") continue;
        for (let at = 0; at < count;) at += await to.write(buffer.subarray(at, count));
      }
    } catch {
      // Broken off, which is what a tunnel is for.
    }
    hangUp(from);
    hangUp(to);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    this.#listener.close();
    await this.#accepting;
    await Promise.all(this.#pumps);
  }
}

function hangUp(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch (error) {
    // Both directions end it.
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
