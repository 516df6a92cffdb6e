/**
 * Whole participants over memory links: the real driver, keys and relay; no socket, a clock that the test moves,
 * and links that deliver when a seeded die says so.
 */
import { nextGeneration } from "../../src/crypto/join.ts";
import {
  addAdminRoom,
  adminRole,
  DEFAULT_ADMIN_OPTIONS,
  initialAdminState,
} from "../../src/admin/role.ts";
import { KeyRing } from "../../src/crypto/key_ring.ts";
import { sha256, systemRandom } from "../../src/crypto/primitives.ts";
import { generateSigningKey } from "../../src/crypto/session_keys.ts";
import { type Clock, noStore, type Ports, type SessionStore } from "../../src/driver/ports.ts";
import { prepareAdministered, prepareInvited, type RoomMaker } from "../../src/driver/rooms.ts";
import { runRole } from "../../src/driver/run_role.ts";
import { initialState } from "../../src/session/state.ts";
import type { Link, LinkHandlers } from "../../src/transport/link.ts";
import type { Face } from "../../src/ui/face.ts";
import type { EventFields } from "../../src/ui/json_schema.ts";
import { IntentQueue } from "../../src/ui/intent_queue.ts";
import { parseLink } from "../../src/wire/link_url.ts";
import { Chronicle } from "./chronicle.ts";
import { TEST_RELAY_KEY } from "./gate_people.ts";
import { pooledSessionKeys } from "./session_pool.ts";

/** A die: whole numbers from 0 to below `sides`, the same ones for the same seed. */
export function seededDie(seed: number): (sides: number) => number {
  let state = seed >>> 0;
  return (sides) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

/** Lets a number of turns of the event loop go by. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const channel = new MessageChannel();
    await new Promise<void>((resolve) => {
      channel.port1.onmessage = () => resolve();
      channel.port2.postMessage(null);
    });
    channel.port1.close();
    channel.port2.close();
  }
}

/** A clock that stands still until the test moves it. It begins at the machine's time, which tickets are held to. */
export class TestClock implements Clock {
  #ms = Date.now();
  readonly #timers = new Set<{ every: number; at: number; call: () => void }>();

  now = () => this.#ms;

  every(ms: number, call: () => void): () => void {
    const timer = { every: ms, at: this.#ms + ms, call };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  after(ms: number, call: () => void): () => void {
    const stop = this.every(ms, () => {
      stop();
      call();
    });
    return stop;
  }

  /** Time goes by, and whoever waits for it is called. */
  pass(ms: number): void {
    this.#ms += ms;
    for (const timer of [...this.#timers]) {
      if (timer.at > this.#ms) continue;
      timer.at = this.#ms + timer.every;
      timer.call();
    }
  }

  /** Timers that somebody has not given back. */
  get timers(): number {
    return this.#timers.size;
  }
}

/** A link whose bytes come in pieces of any size, after any number of turns, in order. */
export function shaken(link: Link, die: (sides: number) => number): Link {
  let last: Promise<void> = Promise.resolve();
  const later = (act: () => void) => {
    last = last.then(() => turns(die(4))).then(act);
  };
  return {
    remoteAddress: link.remoteAddress,
    start(handlers: LinkHandlers) {
      link.start({
        onData(bytes) {
          for (let at = 0; at < bytes.length;) {
            const part = bytes.subarray(at, at += 1 + die(4096));
            later(() => handlers.onData(part));
          }
        },
        onEnd: (end) => later(() => handlers.onEnd(end)),
      });
    },
    write: (bytes, done) => link.write(bytes, done),
    pause: () => link.pause(),
    resume: () => link.resume(),
    close: () => link.close(),
    destroy: () => link.destroy(),
  };
}

/** How a session is made. */
export interface ScriptOptions {
  readonly link: Link;
  readonly clock?: TestClock;
  readonly store?: SessionStore;
  /** Hears every event as it is told, within the step that tells it. */
  readonly onEvent?: (event: EventFields, session: ScriptedSession) => void;
}

/** One participant. */
export class ScriptedSession extends Chronicle {
  readonly ring = new KeyRing();
  readonly clock: TestClock;
  readonly #intents = new IntentQueue();
  #refs = 0;
  #exit: Promise<number> | null = null;

  private constructor(readonly name: string, private readonly options: ScriptOptions) {
    super(name);
    this.clock = options.clock ?? new TestClock();
  }

  /** An admin of rooms of these names. */
  static async admin(
    name: string,
    rooms: readonly string[],
    options: ScriptOptions,
  ): Promise<ScriptedSession> {
    const session = new ScriptedSession(name, options);
    const maker = await session.#maker();
    let initial = initialAdminState(initialState(session.#me(maker)));
    const prepared = [];
    for (const room of rooms) {
      const made = await prepareAdministered(maker, room, false, SERVER);
      initial = addAdminRoom(initial, made.id, {
        ...DEFAULT_ADMIN_OPTIONS,
        firstInvite: { uses: 9, lifeMs: 3600_000 },
      }, made.kept);
      prepared.push(made);
    }
    session.#run({ role: adminRole, initial, rooms: prepared }, maker);
    return session;
  }

  /** A client with invites. */
  static async client(
    name: string,
    invites: readonly string[],
    options: ScriptOptions,
  ): Promise<ScriptedSession> {
    const session = new ScriptedSession(name, options);
    const maker = await session.#maker();
    const rooms = [];
    for (const url of invites) rooms.push(await prepareInvited(maker, inviteOf(url)));
    session.#run({
      role: adminRole,
      initial: initialAdminState(initialState(session.#me(maker))),
      rooms,
    }, maker);
    return session;
  }

  async #maker(): Promise<RoomMaker> {
    const [session] = await pooledSessionKeys(1);
    if (session === undefined) throw new RangeError("no session keys");
    return {
      ring: this.ring,
      own: { identity: await generateSigningKey(), session, name: this.name },
      relay: TEST_RELAY_KEY,
      random: systemRandom,
      generation: nextGeneration(0, Date.now()),
    };
  }

  #me(maker: RoomMaker): { name: string; identity: string } {
    return { name: this.name, identity: maker.own.identity.publicKey.toHex() };
  }

  #run<S>(start: Pick<Ports<S>, "role" | "initial" | "rooms">, maker: RoomMaker): void {
    const face: Face = {
      notice: (notice) => {
        this.add(notice);
        this.options.onEvent?.(notice, this);
        this.look();
      },
      view: () => {},
      intents: () => this.#intents,
      close: () => Promise.resolve(),
    };
    this.#exit = runRole({
      ...start,
      ring: this.ring,
      relay: { host: SERVER.host, port: SERVER.port, key: TEST_RELAY_KEY },
      dial: () => Promise.resolve(this.options.link),
      face,
      prepareJoin: (url) => prepareInvited(maker, inviteOf(url)),
      store: this.options.store ?? noStore,
      clock: this.clock,
      random: systemRandom,
      retryMs: 0,
      onSignal: () => () => {},
    }).finally(() => {
      this.#intents.close();
      this.end();
    });
  }

  /** Settles with the exit code. */
  get exit(): Promise<number> {
    return this.#exit ?? Promise.reject(new Error("it has not begun"));
  }

  say(text: string, room?: string): void {
    this.#intents.push({ kind: "say", text, ...(room === undefined ? {} : { room }) });
  }

  /** Gives a slash command and does not wait. */
  wants(line: string, room?: string): string {
    const ref = `${this.name}-${++this.#refs}`;
    this.#intents.push({ kind: "command", line, ref, ...(room === undefined ? {} : { room }) });
    return ref;
  }

  /** Gives a slash command and waits for its answer: "ok" or the error's code. */
  async command(line: string, room?: string): Promise<string> {
    const ref = this.wants(line, room);
    return await this.until(line, () => {
      if (this.every("ok").some((e) => e.ref === ref)) return "ok";
      return this.every("error").find((e) => e.ref === ref)?.code;
    });
  }

  /** Ends its input. */
  endInput(): void {
    this.#intents.push({ kind: "end" });
  }

  /** The newest epoch of a room that it told. */
  epochOf(room: string): number {
    return Math.max(
      0,
      ...[...this.every("joined"), ...this.every("epoch")]
        .filter((e) => e.room === room).map((e) => e.epoch),
    );
  }

  /** Warnings, and messages that never came. */
  get complaints(): string[] {
    return [...this.every("warning"), ...this.every("missing"), ...this.every("error")].map((e) =>
      JSON.stringify(e)
    );
  }
}

const SERVER = { host: "127.0.0.1", port: 5000, pin: TEST_RELAY_KEY.toHex() };

function inviteOf(url: string) {
  const link = parseLink(url, sha256);
  if (link.kind !== "invite") throw new RangeError("not an invite");
  return link;
}
