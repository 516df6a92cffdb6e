/**
 * Sealing and opening texts. Two ways each, on the program's own path: the keys alone, and with the session's
 * step, the relay's frame and the inbound stage around them, which is all that a participant does but the socket
 * and the screen.
 */
import { generateKeyPairSync } from "node:crypto";
import { KeyRing } from "../src/crypto/key_ring.ts";
import type { MemberKeys } from "../src/crypto/member_keys.ts";
import { Inbound } from "../src/driver/inbound.ts";
import type { EventBody } from "../src/session/event.ts";
import { initialState, type SessionState } from "../src/session/state.ts";
import { step } from "../src/session/step.ts";
import { fromHex, handle, messageId } from "../src/wire/ids.ts";
import { decodeRelayMessage, frameRelayMessage } from "../src/wire/relay_message.ts";
import type { Person } from "../tests/support/room_story.ts";
import { BenchRoom } from "./crypto_room.ts";
import { messagePrimitives } from "./crypto_primitives.ts";
import { type Cost, cost, medianCost } from "./measure.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Microseconds a message. */
export interface MessageFigures {
  readonly members: number;
  readonly textBytes: number;
  readonly seal: { readonly keys: number; readonly session: number; readonly primitives: number };
  readonly open: { readonly keys: number; readonly session: number; readonly primitives: number };
}

/** A member with its session: what the driver carries out is carried out here, but for socket and screen. */
class Participant {
  #state: SessionState;
  readonly #ring = new KeyRing();
  readonly #inbound: Inbound;
  /** Frames that it would send. */
  frames: Bytes[] = [];
  /** Texts that it would show. */
  shown = 0;
  #ids = 0;

  constructor(readonly person: Person) {
    this.#state = initialState({
      name: person.name,
      identity: person.identity.publicKey.toHex(),
    });
    this.#ring.add(person.keys);
    this.#inbound = new Inbound(this.#ring, Date.now);
    const room = person.keys.room.toHex();
    this.takes({ kind: "room-prepared", room, name: "bench" });
    this.takes({ kind: "connected", host: "", port: 0, pin: "" });
    this.takes({
      kind: "entered",
      room,
      handle: person.handle.toHex(),
      role: "member",
      ownerPresent: true,
    });
  }

  takes(event: EventBody): void {
    const { state, effects } = step(this.#state, { ...event, at: 1_700_000_000_000 });
    this.#state = state;
    for (const effect of effects) {
      if (effect.kind === "notice" && effect.notice.type === "message") this.shown++;
      if (effect.kind !== "seal-and-send") continue;
      const { keys, handle: from } = this.person;
      const message = effect.message.kind === "text"
        ? { ...effect.message, id: messageId(fromHex(effect.message.id)) }
        : effect.message;
      const payload = keys.sealMessage(effect.epoch, effect.n, message);
      this.frames.push(frameRelayMessage({ kind: "broadcast", room: keys.room, from, payload }));
    }
  }

  says(text: string): void {
    const id = (++this.#ids).toString(16).padStart(32, "0");
    this.takes({ kind: "intent", intent: { kind: "say", text }, id });
  }

  /** A frame as the connection hands it on: without its length. */
  async hears(body: Uint8Array): Promise<void> {
    const message = decodeRelayMessage(body);
    for (const event of await this.#inbound.take(message)) this.takes(event);
  }

  async hearsPayload(payload: Bytes, broadcast: boolean): Promise<void> {
    const from = handle(new Uint8Array(16).fill(1));
    const { room } = this.person.keys;
    const frame = frameRelayMessage(
      broadcast
        ? { kind: "broadcast", room, from, payload }
        : { kind: "direct", room, from, to: this.person.handle, payload },
    );
    await this.hears(frame.subarray(4));
  }
}

/** A room of so many members: a pair of them talks with its sessions, another pair by its keys alone. */
export class TalkingRoom {
  private constructor(
    readonly members: number,
    private readonly speaker: Participant,
    private readonly listener: Participant,
    private readonly sealer: MemberKeys,
    private readonly opener: MemberKeys,
  ) {}

  /** @param members the admin and at least four */
  static async open(members: number): Promise<TalkingRoom> {
    const room = await BenchRoom.found();
    await room.growTo(members - 4);
    const persons: Person[] = [];
    for (const name of ["speaker", "listener", "sealer", "opener"]) {
      persons.push(await room.story.person(name));
    }
    const published = await room.admit(persons);
    const all: Participant[] = [];
    for (const person of persons) {
      const one = new Participant(person);
      await one.hearsPayload(room.payloadFor(published, person), false);
      all.push(one);
    }
    const [speaker, listener, sealer, opener] = all;
    if (!speaker || !listener || !sealer || !opener) throw new Error("nobody came");
    const talking = new TalkingRoom(
      members,
      speaker,
      listener,
      sealer.person.keys,
      opener.person.keys,
    );
    await talking.#delivered();
    return talking;
  }

  /** What the speaker has said reaches the listener; its frames are gone then. */
  async #delivered(): Promise<void> {
    for (const frame of this.speaker.frames) await this.listener.hears(frame.subarray(4));
    this.speaker.frames = [];
  }

  /** Medians of rounds, each of so many messages; what is compared takes turns. */
  async measure(textBytes: number, count: number, rounds: number): Promise<MessageFigures> {
    const text = "x".repeat(textBytes);
    const floor = messagePrimitives(
      textBytes,
      Math.min(count, 500),
      generateKeyPairSync("ed25519"),
    );
    const floorCount = Math.min(count, 500);
    const seal: Cost[] = [], open: Cost[] = [], say: Cost[] = [], hear: Cost[] = [];
    const sealFloor: Cost[] = [], openFloor: Cost[] = [];
    // The first round warms up.
    for (let round = 0; round <= rounds; round++) {
      const payloads: Bytes[] = [];
      seal.push(await cost(() => this.#seals(text, count, payloads)));
      open.push(await cost(() => this.#opens(payloads)));
      say.push(
        await cost(() => {
          for (let i = 0; i < count; i++) this.speaker.says(text);
        }),
      );
      const before = this.listener.shown;
      hear.push(await cost(() => this.#delivered()));
      if (this.listener.shown !== before + count) throw new Error("not every text was shown");
      sealFloor.push(await cost(floor.seal));
      openFloor.push(await cost(floor.open));
    }
    const us = (list: readonly Cost[], n: number): number =>
      medianCost(list.slice(1)).ms / n * 1000;
    return {
      members: this.members,
      textBytes,
      seal: {
        keys: us(seal, count),
        session: us(say, count),
        primitives: us(sealFloor, floorCount),
      },
      open: {
        keys: us(open, count),
        session: us(hear, count),
        primitives: us(openFloor, floorCount),
      },
    };
  }

  #seals(text: string, count: number, payloads: Bytes[]): void {
    const { current } = this.sealer;
    if (current === null) throw new Error("the sealer is in no epoch");
    for (let i = 0; i < count; i++) {
      payloads.push(
        this.sealer.sealMessage(current.place.epoch, current.sent.count, {
          kind: "text",
          id: messageId(crypto.getRandomValues(new Uint8Array(16))),
          sentAt: 1_700_000_000_000,
          text,
        }),
      );
    }
  }

  #opens(payloads: readonly Bytes[]): void {
    for (const payload of payloads) {
      const opened = this.opener.open(payload);
      if (opened.kind !== "message") throw new Error(`opened as ${opened.kind}`);
      const result = this.opener.openMessage(opened.header, opened.body, payload);
      if (result.kind !== "opened") throw new Error(`the message was ${result.kind}`);
    }
  }
}
