/**
 * A room in memory: real keys, no driver and no relay. Payloads pass from hand to hand; every one is recorded as
 * a relay would see it. The program can be a copy of src/ with a check taken out, see `patched_copy.ts`.
 */
import { pathToFileURL } from "node:url";
import type { AdminKeys, PublishedCommit, RosterPlan } from "../../src/crypto/admin_keys.ts";
import type { MemberKeys, RoomPins } from "../../src/crypto/member_keys.ts";
import type { MessageResult, OpenedPayload, Outgoing } from "../../src/crypto/room_keys.ts";
import type { EpochKeys } from "../../src/crypto/epoch_keys.ts";
import type { RandomSource } from "../../src/crypto/primitives.ts";
import { importRoomKey, type RoomKeyPair } from "../../src/crypto/succession.ts";
import type { SessionKeys, SigningKey } from "../../src/crypto/session_keys.ts";
import type { Via } from "../../src/wire/commit.ts";
import type { SealedMessage } from "../../src/wire/sealed_message.ts";
import {
  generation,
  type Handle,
  handle,
  type InviteSecret,
  type KemKey,
  messageId,
  type RelayKey,
  relayKey,
  type RoomId,
  type RoomKey,
  type RoomSecret,
  roomSecret,
} from "../../src/wire/ids.ts";
import { keyedRoomId, openRoomId, openRoomIdInput } from "../../src/wire/room_id.ts";
import { openSecretInfo, openSecretMaterial } from "../../src/wire/contexts.ts";
import { pooledSessionKeys } from "./session_pool.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** The parts of src/crypto that a story is played with. */
export type Program =
  & typeof import("../../src/crypto/admin_keys.ts")
  & typeof import("../../src/crypto/member_keys.ts")
  & typeof import("../../src/crypto/outer_seal.ts")
  & typeof import("../../src/crypto/primitives.ts")
  & typeof import("../../src/crypto/join.ts")
  & typeof import("../../src/crypto/wrap.ts")
  & typeof import("../../src/crypto/roster.ts")
  & typeof import("../../src/crypto/session_keys.ts");

/**
 * The program in src/, or a copy of it.
 *
 * @param folder of a copy; without it the program as it is
 */
export async function loadProgram(folder?: string): Promise<Program> {
  const base = folder === undefined
    ? new URL("../..", import.meta.url).href
    : `${pathToFileURL(folder).href}/`;
  const files = [
    "admin_keys",
    "member_keys",
    "outer_seal",
    "primitives",
    "join",
    "wrap",
    "roster",
    "session_keys",
  ];
  const modules: unknown[] = await Promise.all(
    files.map((file) => import(`${base}src/crypto/${file}.ts`)),
  );
  // Modules are looked up by name; the list above is the type's.
  return Object.assign({}, ...modules.map(Object)) as Program;
}

/** Somebody who has joined or is about to. */
export interface Person {
  readonly name: string;
  readonly keys: MemberKeys;
  readonly handle: Handle;
  readonly session: SessionKeys;
  readonly identity: SigningKey;
  readonly generation: number;
}

/** A payload on its way; `to` is null for a broadcast. */
export interface Sent {
  readonly from: Handle;
  readonly to: Handle | null;
  readonly payload: Bytes;
  /** For people: what it is. */
  readonly what: string;
}

/** How a story begins; everything has a default. */
export interface StoryOptions {
  readonly program?: Program;
  readonly random?: RandomSource;
  /** An open room, of this name. */
  readonly open?: string;
  readonly sessions?: (n: number) => Promise<SessionKeys[]>;
  readonly signingKey?: () => Promise<SigningKey>;
}

/** The members' clock, milliseconds since 1970. */
const BEGIN_MS = 1_700_000_000_000;

/** What came of a payload at whom it was given. */
export type Taken =
  | { readonly kind: "message"; readonly result: MessageResult }
  | { readonly kind: SealedMessage["kind"]; readonly value: unknown }
  | { readonly kind: "unreadable" | "unknown" };

/** A room and everybody in it. */
export class Story {
  readonly people = new Map<string, Person>();
  /** All payloads in their order. */
  readonly sent: Sent[] = [];
  /** What each has made of the messages that came, by name; the admin is "admin". */
  readonly heard = new Map<string, MessageResult[]>();
  /** The ML-KEM keys of the bundles that were taken, by the hex of the handle. */
  readonly kemKeys = new Map<string, KemKey>();
  nowMs = BEGIN_MS;
  #handles = 0;
  #generation = BEGIN_MS;

  private constructor(
    readonly program: Program,
    readonly admin: AdminKeys,
    readonly adminHandle: Handle,
    readonly relayKey: RelayKey,
    readonly roomKey: RoomKeyPair,
    readonly secret: RoomSecret,
    /** Every byte string of 32 that was drawn: S is among them. */
    readonly drawn: readonly Bytes[],
    readonly random: RandomSource,
    private readonly options: StoryOptions,
  ) {}

  /** A room with its admin in epoch 1. */
  static async found(options: StoryOptions = {}): Promise<Story> {
    const program = options.program ?? await loadProgram();
    const sessions = options.sessions ?? pooledSessionKeys;
    const signingKey = options.signingKey ?? (() => program.generateSigningKey());
    const source = options.random ?? program.systemRandom;
    const drawn: Bytes[] = [];
    const random: RandomSource = (length) => {
      const bytes = source(length);
      if (length === 32) drawn.push(bytes.slice());
      return bytes;
    };
    const relay = relayKey((await signingKey()).publicKey);
    // A room whose keys are fixed grants its key to nobody.
    const roomKey = options.signingKey === undefined
      ? await importRoomKey(program.systemRandom(32))
      : { ...await signingKey(), seed: new Uint8Array(32) };
    const room = options.open === undefined
      ? keyedRoomId(program.sha256(roomKey.publicKey))
      : openRoomId(program.sha256(openRoomIdInput(relay, options.open)));
    const secret = roomSecret(
      options.open === undefined
        ? random(32)
        : program.derive(openSecretMaterial(relay, room), openSecretInfo(), 32),
    );
    const [session] = await sessions(1);
    if (session === undefined) throw new RangeError("no session keys");
    const identity = await signingKey();
    const admin = new program.AdminKeys(
      room,
      secret,
      { identity, session, name: "admin" },
      await signingKey(),
      random,
      { name: "the room", roomKey, generation: generation(BEGIN_MS), from: null },
    );
    const adminHandle = handle(random(16));
    const story = new Story(
      program,
      admin,
      adminHandle,
      relay,
      roomKey,
      secret,
      drawn,
      random,
      options,
    );
    await story.commit({ reason: "founded", adds: [], removes: [] });
    return story;
  }

  get room(): RoomId {
    return this.admin.room;
  }

  /** Somebody who has not yet knocked. */
  async person(
    name: string,
    options: {
      readonly invite?: { readonly secret: InviteSecret; readonly roomSecret: RoomSecret };
      readonly pins?: Partial<RoomPins>;
      readonly identity?: SigningKey;
      readonly session?: SessionKeys;
      readonly roomKey?: RoomKey;
    } = {},
  ): Promise<Person> {
    const sessions = this.options.sessions ?? pooledSessionKeys;
    const signingKey = this.options.signingKey ?? (() => this.program.generateSigningKey());
    const [fresh] = options.session === undefined ? await sessions(1) : [options.session];
    if (fresh === undefined) throw new RangeError("no session keys");
    const identity = options.identity ?? await signingKey();
    const g = ++this.#generation;
    const keys = new this.program.MemberKeys(
      this.room,
      { identity, session: fresh, name },
      await signingKey(),
      this.random,
      {
        secret: options.invite?.roomSecret ?? this.secret,
        admin: this.options.open === undefined
          ? this.program.fingerprintOf(this.admin.own.identity.publicKey)
          : null,
        invite: options.invite?.secret ?? null,
        roomKey: null,
        highestEpoch: 0,
        ...options.pins,
      },
      generation(g),
    );
    this.#handles++;
    const at = handle(this.random(16));
    return { name, keys, handle: at, session: fresh, identity, generation: g };
  }

  /** Records a payload as the relay would carry it. */
  post(from: Handle, to: Handle | null, payload: Bytes, what: string): Bytes {
    this.sent.push({ from, to, payload, what });
    return payload;
  }

  /** The admin's half of one payload. */
  async adminTakes(from: Handle, payload: Bytes): Promise<Taken> {
    const opened = this.admin.open(payload);
    if (opened.kind !== "sealed") return this.#message("admin", this.admin, opened, payload);
    this.admin.spokeWith(from, opened.seal);
    const { message } = opened;
    switch (message.kind) {
      case "knock": {
        const hello = await this.admin.greet(from, this.nowMs);
        return { kind: "knock", value: this.post(this.adminHandle, from, hello, "HELLO") };
      }
      case "bundle": {
        const value = await this.admin.takeBundle(from, message.content, this.nowMs);
        this.kemKeys.set(from.toHex(), value.opened.wrapKeys.kem);
        return { kind: "bundle", value };
      }
      case "kem-update":
        return { kind: "kem-update", value: this.admin.takeKemUpdate(message.content, this.nowMs) };
      case "unknown":
        return { kind: "unknown" };
      default:
        return { kind: message.kind, value: message.content };
    }
  }

  /** A member's half of one payload. */
  async takes(person: Person, payload: Bytes): Promise<Taken> {
    const opened = person.keys.open(payload);
    if (opened.kind !== "sealed") return this.#message(person.name, person.keys, opened, payload);
    const { message } = opened;
    switch (message.kind) {
      case "hello":
        return { kind: "hello", value: person.keys.takeHello(message.content) };
      case "denied":
        return { kind: "denied", value: person.keys.takeDenied(message.content) };
      case "welcome":
        return { kind: "welcome", value: await person.keys.takeWelcome(message.content) };
      case "commit":
        return { kind: "commit", value: await person.keys.takeCommit(message.content) };
      case "wrap":
        return { kind: "wrap", value: person.keys.takeWrap(message.content, this.adminHandle) };
      case "kem-ack":
        return { kind: "kem-ack", value: person.keys.takeKemAck(message.content) };
      case "unknown":
        return { kind: "unknown" };
      default:
        return { kind: message.kind, value: message.content };
    }
  }

  #message(
    name: string,
    keys: AdminKeys | MemberKeys,
    opened: OpenedPayload,
    payload: Bytes,
  ): Taken {
    if (opened.kind !== "message") return { kind: "unreadable" };
    const result = keys.openMessage(opened.header, opened.body, payload);
    this.heard.set(name, [...this.heard.get(name) ?? [], result]);
    return { kind: "message", result };
  }

  /** KNOCK, HELLO, BUNDLE: the admin has checked the bundle, and names the request. */
  async knocks(person: Person): Promise<string> {
    await this.greets(person);
    const bundle = await person.keys.makeBundle(this.nowMs);
    if (bundle === null) throw new Error("this greeting was answered");
    this.post(person.handle, this.adminHandle, bundle, "BUNDLE");
    const taken = await this.adminTakes(person.handle, bundle);
    return requestOf(taken);
  }

  /** KNOCK and HELLO. */
  async greets(person: Person): Promise<void> {
    const knock = this.post(person.handle, this.adminHandle, person.keys.knock(), "KNOCK");
    const taken = await this.adminTakes(person.handle, knock);
    if (!("value" in taken) || !(taken.value instanceof Uint8Array)) {
      throw new Error("the admin did not greet");
    }
    await this.takes(person, new Uint8Array(taken.value));
  }

  /** Makes a commit, hands everything to whom it is for, and those who are admitted are in. */
  async commit(plan: RosterPlan, newcomers: readonly Person[] = []): Promise<PublishedCommit> {
    const nowS = Math.floor(this.nowMs / 1000);
    await this.admin.make(plan, nowS);
    const published = this.admin.publish(nowS);
    const everybody = [...this.people.values(), ...newcomers];
    const given = [
      ...published.direct.map((wrap) => ({ ...wrap, what: "WRAP" })),
      ...published.welcomes.flatMap(({ to, seal }) =>
        seal().map((payload, i) => ({ to, payload, what: i === 0 ? "WELCOME" : "CAUGHT_UP" }))
      ),
    ];
    for (const { to, payload, what } of given) {
      this.post(this.adminHandle, to, payload, what);
      const person = everybody.find((p) => p.handle.toHex() === to.toHex());
      if (person !== undefined) await this.takes(person, payload);
    }
    this.post(this.adminHandle, null, published.broadcast, "COMMIT");
    for (const person of everybody) {
      if (newcomers.includes(person)) this.people.set(person.name, person);
      await this.#orRemoved(person, published.broadcast);
    }
    return published;
  }

  /** Who was removed learns it from the commit, and is no longer among the people. */
  async #orRemoved(person: Person, payload: Bytes): Promise<void> {
    try {
      await this.takes(person, payload);
    } catch (error) {
      if (codeOf(error) !== "removed") throw error;
      this.people.delete(person.name);
    }
  }

  /** Joins people in one commit. */
  async join(names: readonly string[], via: Via = "approved"): Promise<Person[]> {
    const persons: Person[] = [];
    for (const name of names) persons.push(await this.person(name));
    await this.admits(persons, via);
    return persons;
  }

  /** Knocks and joins people who were made already. */
  async admits(persons: readonly Person[], via: Via = "approved"): Promise<void> {
    const adds: { request: string; via: Via }[] = [];
    for (const person of persons) adds.push({ request: await this.knocks(person), via });
    await this.commit({ reason: "join", adds, removes: [] }, persons);
  }

  /** Removes people by name. */
  async remove(reason: "left" | "kicked" | "gone", ...names: string[]): Promise<PublishedCommit> {
    const removes = names.map((name) => ({ leaf: this.leafOf(name), reason }));
    const why = ({ left: "leave", kicked: "kick", gone: "gone" } as const)[reason];
    return await this.commit({ reason: why, adds: [], removes });
  }

  /** A new epoch without a change. */
  async rekey(): Promise<void> {
    await this.commit({ reason: "rekey", adds: [], removes: [] });
  }

  /** The keys of somebody; the admin's under "admin". */
  keysOf(name: string): AdminKeys | MemberKeys {
    if (name === "admin") return this.admin;
    const person = this.people.get(name);
    if (person === undefined) throw new RangeError(`${name} is not in the room`);
    return person.keys;
  }

  epochOf(name: string): EpochKeys {
    const current = this.keysOf(name).current;
    if (current === null) throw new RangeError(`${name} is in no epoch`);
    return current;
  }

  leafOf(name: string): number {
    return this.epochOf(name).myLeaf;
  }

  /** Seals the next message of somebody. */
  seals(name: string, outgoing: Outgoing): Bytes {
    const keys = this.keysOf(name);
    const current = this.epochOf(name);
    const payload = keys.sealMessage(current.place.epoch, current.sent.count, outgoing);
    const from = this.people.get(name)?.handle ?? this.adminHandle;
    return this.post(from, null, payload, outgoing.kind.toUpperCase());
  }

  text(text: string): Outgoing {
    return { kind: "text", id: messageId(this.random(16)), sentAt: this.nowMs, text };
  }

  /** Gives a payload to everybody but its author; what each made of it, by name. */
  async broadcast(from: string, payload: Bytes): Promise<Map<string, Taken>> {
    const results = new Map<string, Taken>();
    if (from !== "admin") {
      results.set("admin", await this.adminTakes(this.#handleOf(from), payload));
    }
    for (const person of [...this.people.values()]) {
      if (person.name !== from) results.set(person.name, await this.takes(person, payload));
    }
    return results;
  }

  #handleOf(name: string): Handle {
    return this.people.get(name)?.handle ?? this.adminHandle;
  }

  /** Says something; the texts as everybody else read them, by name. */
  async says(name: string, outgoing: Outgoing | string): Promise<Map<string, string>> {
    const message = typeof outgoing === "string" ? this.text(outgoing) : outgoing;
    const results = await this.broadcast(name, this.seals(name, message));
    return new Map([...results].map(([reader, taken]) => [reader, textOf(taken)]));
  }
}

/** What was read, in short. */
export function textOf(taken: Taken): string {
  if (taken.kind !== "message" || !("result" in taken)) return taken.kind;
  const { result } = taken;
  if (result.kind === "refused") return `refused: ${result.code}`;
  if (result.kind !== "opened") return result.kind;
  return result.message.kind === "text" ? result.message.text : `(${result.message.kind})`;
}

/** The request that a bundle became. */
export function requestOf(taken: Taken): string {
  const value = "value" in taken ? taken.value : undefined;
  if (typeof value === "object" && value !== null && "request" in value) {
    return String(value.request);
  }
  throw new Error("no bundle was taken");
}

/** The code of an error of any copy of the program; its message if it has none. */
export function codeOf(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") {
    return error.code;
  }
  return String(error);
}
