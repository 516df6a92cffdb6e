/** Somebody who speaks the gate's protocol by hand, with whatever credential it has or makes up. */
import type { MemberKeys } from "../../src/crypto/member_keys.ts";
import { sign, systemRandom } from "../../src/crypto/primitives.ts";
import { generateSigningKey, type SigningKey } from "../../src/crypto/session_keys.ts";
import type { Link } from "../../src/transport/link.ts";
import { encode } from "../../src/wire/codec.ts";
import { FrameDecoder } from "../../src/wire/frame.ts";
import {
  type Challenge,
  gateKey,
  type Handle,
  relayKey,
  type RoomId,
  type RoomKey,
  signature,
  ticketEpoch,
} from "../../src/wire/ids.ts";
import {
  decodeRelayMessage,
  frameRelayMessage,
  type RelayMessage,
  type RelayMessageKind,
  type RelayMessages,
} from "../../src/wire/relay_message.ts";
import { encodeCredential, encodeTicket, enterBody, TICKET_BODY } from "../../src/wire/ticket.ts";

const RELAY_KEY = relayKey(new Uint8Array(32).fill(7));

/** A connection without a program behind it. */
export class Stranger {
  /** What the relay answered, in short. */
  readonly told: string[] = [];
  /** Frames of a room that it was given. */
  frames = 0;
  readonly #got: RelayMessage[] = [];
  /** How many of them were looked at. */
  #read = 0;
  #wake: (() => void) | null = null;

  constructor(private readonly link: Link) {
    const decoder = new FrameDecoder();
    link.start({
      onData: (bytes) => {
        for (const body of decoder.push(bytes)) {
          const message = decodeRelayMessage(body);
          if (message.kind === "unknown") continue;
          this.#got.push(message);
          if (message.kind === "broadcast" || message.kind === "direct") this.frames++;
          if (message.kind === "entered") this.told.push(`entered as ${message.role}`);
          if (message.kind === "refused") this.told.push(`refused ${message.code}`);
        }
        this.#wake?.();
      },
      onEnd: () => this.#wake?.(),
    });
  }

  send(message: RelayMessage): void {
    this.link.write(frameRelayMessage(message));
  }

  async #next<K extends RelayMessageKind>(...kinds: K[]): Promise<RelayMessages[K]> {
    const fits = (m: RelayMessage): m is RelayMessages[K] => kinds.some((kind) => kind === m.kind);
    for (;;) {
      while (this.#read < this.#got.length) {
        const message = this.#got[this.#read++];
        if (message !== undefined && fits(message)) return message;
      }
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  async #start(): Promise<Challenge> {
    const { nonce } = await this.#next("challenge");
    this.send({ kind: "start", version: 1 });
    return nonce;
  }

  /** Enters with the right that these keys have. */
  async enters(keys: MemberKeys): Promise<void> {
    const nonce = await this.#start();
    this.send({ kind: "enter", room: keys.room, ...keys.enter(nonce, RELAY_KEY) });
    await this.#next("entered", "refused");
  }

  /** Enters with a ticket that is signed by somebody else than the room. */
  async entersForged(room: RoomId, roomKey: RoomKey, signer: SigningKey): Promise<void> {
    const nonce = await this.#start();
    const gate = await generateSigningKey();
    const body = encode(TICKET_BODY, {
      room,
      ticketEpoch: ticketEpoch(1000),
      expires: Math.floor(Date.now() / 1000) + 3600,
      gateKey: gateKey(gate.publicKey),
    });
    const ticket = encodeTicket(body, signature(sign(signer.privateKey, "ticket", body)));
    const enter = enterBody({ nonce, relayKey: RELAY_KEY, room, role: "member" });
    const credential = encodeCredential({
      role: "member",
      roomKey,
      ticket,
      signature: signature(sign(gate.privateKey, "enter", enter)),
    });
    this.send({ kind: "enter", room, role: "member", credential });
    await this.#next("entered", "refused");
  }

  /** Enters as knocker. */
  async knocksAt(room: RoomId): Promise<void> {
    await this.#start();
    const credential = encodeCredential({ role: "knocker" });
    this.send({ kind: "enter", room, role: "knocker", credential });
    await this.#next("entered", "refused");
  }

  /** Writes to one handle, and waits until the relay has dealt with it. */
  async whispers(room: RoomId, to: Handle, payload: Uint8Array<ArrayBuffer>): Promise<void> {
    const entered = this.#got.findLast((m) => m.kind === "entered");
    if (entered?.kind !== "entered") throw new RangeError("not entered");
    this.send({ kind: "direct", room, from: entered.handle, to, payload });
    this.send({ kind: "ping", token: systemRandom(4)[0] ?? 0 });
    await this.#next("pong");
  }
}
