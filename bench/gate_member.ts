/**
 * A participant of the gate's protocol and nothing above it, light enough for thousands of them in
 * one process: real TLS, real tickets, payloads that no key ever sealed.
 *
 * @module
 */
import type { Link } from "../src/transport/link.ts";
import { FrameDecoder } from "../src/wire/frame.ts";
import { type Handle, type RelayKey, toHex } from "../src/wire/ids.ts";
import {
  decodeRelayMessage,
  frameRelayMessage,
  PROTOCOL_VERSION,
  RELAY_MESSAGES,
  type RelayMessage,
} from "../src/wire/relay_message.ts";
import type { Role } from "../src/wire/ticket.ts";
import { credential, Signer, type TestRoom } from "../tests/support/gate_people.ts";

const TICKET_LIFE_S = 7200;

/** What a member tells its owner. */
export interface MemberPorts {
  /** A BROADCAST came; a view of its body, good during the call. */
  broadcast?(body: Uint8Array): void;
  /** The link has ended; `closing` is the code of the CLOSING before it. */
  ended?(closing: string | null): void;
}

/** One connection of the bench. */
export class GateMember {
  /** Its link, for who wants to pause it. */
  readonly link: Link;
  /** Settles when START is out. */
  readonly started: Promise<void>;
  /** Bytes that came. */
  bytesIn = 0;
  readonly #relay: RelayKey;
  readonly #ports: MemberPorts;
  readonly #decoder = new FrameDecoder();
  readonly #start = Promise.withResolvers<void>();
  readonly #entering = new Map<string, PromiseWithResolvers<Handle>>();
  #nonce: Parameters<typeof credential>[1]["nonce"] | null = null;
  #closing: string | null = null;

  /** @param relay whom it believes to speak with */
  constructor(link: Link, relay: RelayKey, ports: MemberPorts = {}) {
    this.link = link;
    this.#relay = relay;
    this.#ports = ports;
    this.started = this.#start.promise;
    link.start({
      onData: (bytes) => this.#take(bytes),
      onEnd: (end) => {
        const error = new Error(`the link ended: ${this.#closing ?? end.code}`);
        this.#start.reject(error);
        // Whoever does not wait for it hears of it by `ended`.
        this.started.catch(() => {});
        for (const { reject } of this.#entering.values()) reject(error);
        ports.ended?.(this.#closing);
      },
    });
  }

  /** Enters a room and waits until it is in. */
  async enter(room: TestRoom, role: Role, gate: Signer = new Signer()): Promise<Handle> {
    await this.started;
    if (this.#nonce === null) throw new Error("no CHALLENGE came");
    const expires = Math.floor(Date.now() / 1000) + TICKET_LIFE_S;
    const made = credential(role, {
      room,
      nonce: this.#nonce,
      relayKey: this.#relay,
      gate,
      ticket: room.ticket(gate, expires),
    });
    const entered = Promise.withResolvers<Handle>();
    this.#entering.set(toHex(room.id), entered);
    this.send({ kind: "enter", room: room.id, role, credential: made });
    return await entered.promise;
  }

  /** Sends a message. */
  send(message: RelayMessage): void {
    this.link.write(frameRelayMessage(message));
  }

  #take(bytes: Uint8Array): void {
    this.bytesIn += bytes.length;
    for (const body of this.#decoder.push(bytes)) this.#hear(body);
  }

  #hear(body: Uint8Array): void {
    if (body[0] === RELAY_MESSAGES.broadcast.type) return this.#ports.broadcast?.(body);
    const message = decodeRelayMessage(body);
    switch (message.kind) {
      case "challenge":
        this.#nonce = message.nonce;
        this.send({ kind: "start", version: PROTOCOL_VERSION });
        return this.#start.resolve();
      case "entered":
        return this.#entering.get(toHex(message.room))?.resolve(message.handle);
      case "refused":
        return this.#entering.get(toHex(message.room))?.reject(new Error(message.code));
      case "ping":
        return this.send({ kind: "pong", token: message.token });
      case "closing":
        this.#closing = message.code;
    }
  }
}
