/**
 * OPAQUE (RFC 9807) by `@serenity-kit/opaque`, in a worker. Its WebAssembly is synchronous: 0.2 to
 * 0.4 s for the client's key stretching, 2 ms for each step of the relay, which under a flood of
 * logins would hold up everybody's messages.
 *
 * The worker is made from the package's text: a worker from a file would need the right to read that
 * file, which the packaged program does not have, and in a bundle there is no such file.
 *
 * @module
 */
import type { client, server } from "@serenity-kit/opaque";
import source from "@serenity-kit/opaque/source" with { type: "text" };

/** Bytes with memory of their own. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Where the package's functions are, by half. */
export interface Halves {
  /** The participant's. */
  readonly client: typeof client;
  /** The relay's. */
  readonly server: typeof server;
}

/** What a function of the library takes and gives. */
export type Call<F> = F extends (params: infer P) => infer R ? { params: P; result: R } : never;

const HANDLER = `
onmessage = async ({ data: { id, half, name, params } }) => {
  try {
    await ready;
    postMessage({ id, result: ({ client, server })[half][name](params) });
  } catch (error) {
    const trap = error instanceof WebAssembly.RuntimeError;
    postMessage({ id, trap, error: String(error?.message ?? error) });
  }
};`;

/** Arguments that the library does not take: bytes of the other side that are no message of OPAQUE. */
export class OpaqueError extends Error {
  /** `OpaqueError`. */
  override readonly name = "OpaqueError";
}

/** The library came to an end, which says nothing about its arguments: it gets no memory, it seems. */
export class OpaqueTrap extends Error {
  /** `OpaqueTrap`. */
  override readonly name = "OpaqueTrap";
}

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
  readonly trap?: boolean;
}

/** A worker that has the library. It starts with the first call, which takes 0.1 s longer. */
export class OpaqueWorker {
  #worker: Worker | null = null;
  #lastId = 0;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();

  /** How many calls have not been answered. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Calls a function of the library.
   *
   * @throws {OpaqueError} if it does not take its arguments
   * @throws {OpaqueTrap} if it got no memory; as with all other errors the next call starts anew
   * @throws {Error} if the worker has come to an end; the next call starts another
   */
  async call<H extends keyof Halves, N extends keyof Halves[H] & string>(
    half: H,
    name: N,
    params: Call<Halves[H][N]>["params"],
  ): Promise<Call<Halves[H][N]>["result"]> {
    const id = ++this.#lastId;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    this.#started().postMessage({ id, half, name, params });
    // The worker hands back what the function of that type returned.
    return await waiting.promise as Call<Halves[H][N]>["result"];
  }

  /** Ends the worker; calls that wait fail. */
  close(): void {
    this.#worker?.terminate();
    this.#fail(new Error("the worker was closed"));
  }

  #started(): Worker {
    if (this.#worker !== null) return this.#worker;
    const url = URL.createObjectURL(new Blob([source, HANDLER], { type: "text/javascript" }));
    const worker = new Worker(url, { type: "module" });
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      URL.revokeObjectURL(url);
      if (data.trap === true) {
        // Whatever its memory holds now, nothing more is asked of it.
        worker.terminate();
        return this.#fail(new OpaqueTrap(`the library of the login has failed: ${data.error}`));
      }
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (data.error === undefined) waiting?.resolve(data.result);
      else waiting?.reject(new OpaqueError(data.error));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      worker.terminate();
      this.#fail(new Error(`the worker of the login has failed: ${event.message}`));
    };
    return worker;
  }

  #fail(error: Error): void {
    this.#worker = null;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

/** Bytes as the library takes them: base64url without padding. */
export function toText(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** What the library gives, as bytes. */
export function toBytes(text: string): Bytes {
  return Uint8Array.fromBase64(text, { alphabet: "base64url" });
}

/** The other side's nonsense is an answer; what fails otherwise is thrown. */
export async function orNull<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof OpaqueError) return null;
    throw error;
  }
}
