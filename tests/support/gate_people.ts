/**
 * Keys, tickets and credentials as a participant would make them, with the runtime's own Ed25519,
 * and a participant that speaks the gate's protocol over any link.
 */
import { Buffer } from "node:buffer";
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from "node:crypto";
import type { Link } from "../../src/transport/link.ts";
import { encode } from "../../src/wire/codec.ts";
import { FrameDecoder } from "../../src/wire/frame.ts";
import {
  type Challenge,
  gateKey,
  type Handle,
  handle,
  type RelayKey,
  relayKey,
  type RoomId,
  roomId,
  type RoomKey,
  roomKey,
  sameBytes,
  type Signature,
  signature,
  type TicketBytes,
  ticketEpoch,
} from "../../src/wire/ids.ts";
import {
  decodeRelayMessage,
  frameRelayMessage,
  type RelayMessage,
  type RelayMessageKind,
  type RelayMessages,
} from "../../src/wire/relay_message.ts";
import { signatureInput, type SignatureKind } from "../../src/wire/signed.ts";
import {
  encodeCredential,
  encodeTicket,
  enterBody,
  type Role,
  type Ticket,
  TICKET_BODY,
} from "../../src/wire/ticket.ts";

/** An Ed25519 key pair. */
export class Signer {
  readonly publicKey: Uint8Array;
  readonly #secret: KeyObject;

  /** @param pem of another one, to be the same; else it is a fresh one */
  constructor(pem?: string) {
    this.#secret = pem === undefined
      ? generateKeyPairSync("ed25519").privateKey
      : createPrivateKey(pem);
    const spki = createPublicKey(this.#secret).export({ format: "der", type: "spki" });
    this.publicKey = new Uint8Array(spki.subarray(-32));
  }

  /** The secret, for another process. */
  get pem(): string {
    return this.#secret.export({ format: "pem", type: "pkcs8" }).toString();
  }

  /** `Sign(key, kind, body)` of PROTOCOL §1. */
  sign(kind: SignatureKind, body: Uint8Array): Signature {
    return signature(new Uint8Array(sign(null, signatureInput(kind, body), this.#secret)));
  }
}

/** A room and the key that governs it. */
export class TestRoom {
  readonly signer: Signer;
  readonly key: RoomKey;
  readonly id: RoomId;

  /** @param open makes an open room's id, which no key is in */
  constructor(open = false, signer: Signer = new Signer()) {
    this.signer = signer;
    this.key = roomKey(this.signer.publicKey);
    const seed = open ? crypto.getRandomValues(new Uint8Array(32)) : this.key;
    const id = new Uint8Array(createHash("sha256").update(Buffer.from(seed)).digest()).slice(0, 16);
    const first = id[0] ?? 0;
    id[0] = open ? first | 0x80 : first & 0x7f;
    this.id = roomId(id);
  }

  /** A ticket of this room. */
  ticket(to: Signer, expires: number, epoch = 1, changed: Partial<Ticket> = {}): TicketBytes {
    const body = encode(TICKET_BODY, {
      room: this.id,
      ticketEpoch: ticketEpoch(epoch),
      expires,
      gateKey: gateKey(to.publicKey),
      ...changed,
    });
    return encodeTicket(body, this.signer.sign("ticket", body));
  }
}

/** What an ENTER of this role signs and brings. */
export function credential(
  role: Role,
  facts: {
    readonly room: TestRoom;
    readonly nonce: Challenge;
    readonly relayKey: RelayKey;
    readonly gate?: Signer;
    readonly ticket?: TicketBytes;
    /** Signs for this room id instead. */
    readonly signedRoom?: RoomId;
  },
): Uint8Array<ArrayBuffer> {
  const { room, nonce } = facts;
  const body = enterBody({
    nonce,
    relayKey: facts.relayKey,
    room: facts.signedRoom ?? room.id,
    role,
  });
  if (role === "owner") {
    return encodeCredential({
      role,
      roomKey: room.key,
      signature: room.signer.sign("enter", body),
    });
  }
  if (role === "knocker" || facts.gate === undefined || facts.ticket === undefined) {
    return encodeCredential({ role: "knocker" });
  }
  return encodeCredential({
    role,
    roomKey: room.key,
    ticket: facts.ticket,
    signature: facts.gate.sign("enter", body),
  });
}

/** A relay key for tests that have no TLS. */
export const TEST_RELAY_KEY: RelayKey = relayKey(new Uint8Array(32).fill(7));

/** A participant that keeps every message it got. */
export class Person {
  readonly link: Link;
  readonly gate: Signer = new Signer();
  /** Everything, in order. */
  readonly got: RelayMessage[] = [];
  /** Its handles by the hex of the room. */
  readonly handles: Map<string, Handle> = new Map();
  /** Whether the link has ended. */
  ended = false;
  /** Of the CHALLENGE. */
  nonce: Challenge | null = null;
  readonly #decoder = new FrameDecoder();
  readonly #relayKey: RelayKey;
  readonly #waiting: (() => void)[] = [];

  /** @param relay whom it believes to speak with */
  constructor(link: Link, relay: RelayKey = TEST_RELAY_KEY) {
    this.link = link;
    this.#relayKey = relay;
    link.start({
      onData: (bytes) => {
        for (const body of this.#decoder.push(bytes)) this.#hear(body);
        for (const wake of this.#waiting.splice(0)) wake();
      },
      onEnd: () => {
        this.ended = true;
        for (const wake of this.#waiting.splice(0)) wake();
      },
    });
  }

  #hear(body: Uint8Array): void {
    const message = decodeRelayMessage(body);
    if (message.kind === "unknown") return;
    this.got.push(message);
    if (message.kind === "challenge") {
      this.nonce = message.nonce;
      this.send({ kind: "start", version: 1 });
    }
    if (message.kind === "entered") this.handles.set(message.room.toHex(), message.handle);
  }

  send(message: RelayMessage): void {
    this.link.write(frameRelayMessage(message));
  }

  /** Sends bytes as they are. */
  raw(bytes: Uint8Array): void {
    this.link.write(bytes);
  }

  /** Asks to enter; `facts` spoil the credential. */
  enter(
    room: TestRoom,
    role: Role,
    facts: Partial<Parameters<typeof credential>[1]> = {},
  ): void {
    if (this.nonce === null) throw new Error("no CHALLENGE yet");
    const expires = Math.floor(Date.now() / 1000) + 3600;
    const made = credential(role, {
      room,
      nonce: this.nonce,
      relayKey: this.#relayKey,
      gate: this.gate,
      ticket: room.ticket(this.gate, expires),
      ...facts,
    });
    this.send({ kind: "enter", room: room.id, role, credential: made });
  }

  /** Its handle in a room that it is in. */
  in(room: TestRoom): Handle {
    const own = this.handles.get(room.id.toHex());
    if (own === undefined) throw new Error("not in that room");
    return own;
  }

  say(room: TestRoom, text: string): void {
    this.send({ kind: "broadcast", room: room.id, from: this.in(room), payload: utf8(text) });
  }

  whisper(room: TestRoom, to: Handle, text: string): void {
    this.send({ kind: "direct", room: room.id, from: this.in(room), to, payload: utf8(text) });
  }

  /** The messages of one kind. */
  all<K extends RelayMessageKind>(kind: K): RelayMessages[K][] {
    return this.got.filter((m): m is RelayMessages[K] => m.kind === kind);
  }

  /** Codes of the REFUSED that came. */
  get refused(): string[] {
    return this.all("refused").map((m) => m.code);
  }

  /** Code of the CLOSING that came. */
  get closing(): string | undefined {
    return this.all("closing")[0]?.code;
  }

  /** Texts that came, broadcast and direct, in order. */
  texts(room?: TestRoom): string[] {
    const texts: string[] = [];
    for (const m of this.got) {
      if (m.kind !== "broadcast" && m.kind !== "direct") continue;
      if (room === undefined || sameBytes(m.room, room.id)) {
        texts.push(new TextDecoder().decode(m.payload));
      }
    }
    return texts;
  }

  /** Waits until something holds, looking again at whatever arrives. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.ended) throw new Error("the link ended before it held");
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}

/** The text as bytes. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** The handle that stands for the owners. */
export const OWNERS: Handle = handle(new Uint8Array(16));
