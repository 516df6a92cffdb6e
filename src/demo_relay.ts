/**
 * The demo's relay: the real one on a real TLS socket, with a tap between both. What goes through
 * the tap is all that the relay gets and gives, after TLS was taken off.
 */
import { fingerprintOf } from "./crypto/join.ts";
import { concat, sha256 } from "./crypto/primitives.ts";
import { Relay, TICK_MS } from "./server/relay.ts";
import { DEFAULT_RELAY_LIMITS } from "./server/relay_limits.ts";
import { writeFileAtomic } from "./store/atomic.ts";
import type { Link } from "./transport/link.ts";
import { listen } from "./transport/listen.ts";
import { loadOrCreateServerKey, type ServerKey } from "./transport/server_key.ts";
import { WireError } from "./wire/codec.ts";
import { FRAME_HEADER_BYTES, FrameDecoder } from "./wire/frame.ts";
import { formatFingerprint, relayKey, toHex } from "./wire/ids.ts";
import type { ServerLink } from "./wire/link_url.ts";
import {
  decodeRelayMessage,
  type RelayMessage,
  type UnknownRelayMessage,
} from "./wire/relay_message.ts";

/** Bytes of a frame's content that are kept as its `head`. */
const HEAD_BYTES = 16;

/** One frame as the relay can see it. Ids and bytes in hex, lower case. */
export interface RelayFrame {
  /** Milliseconds since the tap was made. */
  readonly ms: number;
  /** Connections are numbered from 1, as they came. */
  readonly connection: number;
  /** Seen from the relay. */
  readonly direction: "in" | "out";
  /** The type of relay message, `unknown` if it has none. */
  readonly kind: string;
  /** With its length. */
  readonly bytes: number;
  readonly roomId: string | null;
  readonly fromHandle: string | null;
  readonly toHandle: string | null;
  /** The first 16 bytes of the payload; of the fields where there is no payload. */
  readonly head: string;
  /** The same for frames of the same bytes. */
  readonly same: string;
}

/** Records all bytes of the links that are led through it, and cuts them into frames. */
export class Tap {
  /** In the order in which they passed. */
  readonly frames: RelayFrame[] = [];
  readonly #streams: Uint8Array[][] = [];
  readonly #began = performance.now();
  #connections = 0;

  /** @param onFrame hears of every frame, before the relay or the participant does */
  constructor(private readonly onFrame: (frame: RelayFrame) => void = () => {}) {}

  /** A link that does what `link` does, recorded from now on. */
  wrap(link: Link): Link {
    const connection = ++this.#connections;
    const takeIn = this.#recorder(connection, "in");
    const takeOut = this.#recorder(connection, "out");
    return {
      remoteAddress: link.remoteAddress,
      start: (handlers) =>
        link.start({
          onData: (bytes) => {
            takeIn(bytes);
            handlers.onData(bytes);
          },
          onEnd: (end) => handlers.onEnd(end),
        }),
      write: (bytes, done) => {
        takeOut(bytes);
        link.write(bytes, done);
      },
      pause: () => link.pause(),
      resume: () => link.resume(),
      close: () => link.close(),
      destroy: () => link.destroy(),
    };
  }

  /** All bytes so far: one array for each direction of each connection. */
  recorded(): Uint8Array[] {
    return this.#streams.map((parts) => concat(...parts));
  }

  #recorder(connection: number, direction: RelayFrame["direction"]): (bytes: Uint8Array) => void {
    const stream: Uint8Array[] = [];
    this.#streams.push(stream);
    const decoder = new FrameDecoder();
    let lost = false;
    return (bytes) => {
      // The relay uses its buffers again, and the decoder wants its chunk for itself.
      const copy = bytes.slice();
      stream.push(copy);
      if (lost) return;
      try {
        for (const body of decoder.push(copy)) this.#frame(connection, direction, body);
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        lost = true; // The relay closes such a link; the bytes stay recorded.
      }
    };
  }

  #frame(connection: number, direction: RelayFrame["direction"], body: Uint8Array): void {
    const message = decoded(body);
    const content = message !== null && "payload" in message ? message.payload : body.subarray(1);
    const frame: RelayFrame = {
      ms: Math.round(performance.now() - this.#began),
      connection,
      direction,
      kind: message?.kind ?? "unknown",
      bytes: FRAME_HEADER_BYTES + body.length,
      roomId: message !== null && "room" in message ? toHex(message.room) : null,
      fromHandle: message !== null && "from" in message ? toHex(message.from) : null,
      toHandle: message !== null && "to" in message ? toHex(message.to) : null,
      head: toHex(content.subarray(0, HEAD_BYTES)),
      same: toHex(sha256(body.slice())),
    };
    this.frames.push(frame);
    this.onFrame(frame);
  }
}

function decoded(body: Uint8Array): RelayMessage | UnknownRelayMessage | null {
  try {
    return decodeRelayMessage(body);
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
}

/** A relay that runs. */
export interface DemoRelay {
  /** For the admin. */
  readonly link: ServerLink;
  /** Of the relay's key, for people. */
  readonly fingerprint: string;
  /** Ends every connection and frees the port. */
  close(): Promise<void>;
}

/**
 * Starts the relay on 127.0.0.1, at a port that the system chooses, with a key of its own that is
 * in memory only when this resolves.
 *
 * @throws {ListenError} {@link ServerKeyError} if this machine does not let it
 */
export async function startDemoRelay(tap: Tap): Promise<DemoRelay> {
  const { publicKey, keyPem, certPem } = await temporaryKey();
  const key = relayKey(publicKey);
  const relay = new Relay(key, DEFAULT_RELAY_LIMITS);
  const host = "127.0.0.1";
  const listener = await listen({
    addresses: [{ host, port: 0 }],
    keyPem,
    certPem,
    onLink: (link) => relay.accept(tap.wrap(link)),
  });
  const ticker = setInterval(() => relay.tick(), TICK_MS);
  const { port } = listener;
  return {
    link: { kind: "server", host, port, relayKey: key },
    fingerprint: formatFingerprint(fingerprintOf(key)),
    async close() {
      clearInterval(ticker);
      await listener.close();
    },
  };
}

async function temporaryKey(): Promise<ServerKey> {
  const folder = await Deno.makeTempDir({ prefix: "stm-demo-" });
  try {
    return await loadOrCreateServerKey(folder, writeFileAtomic);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
