/**
 * A room full of people in one process: the real driver and the real steps over memory links, a relay with an
 * enemy at every link, a clock that stands still. Everybody's keys leak (see leak.ts), so anybody can turn out to
 * be the enemy.
 */
import assert from "node:assert/strict";
import type { AdminKeys } from "../../src/crypto/admin_keys.ts";
import type { MemberKeys } from "../../src/crypto/member_keys.ts";
import { derive, type RandomSource, sha256, systemRandom } from "../../src/crypto/primitives.ts";
import type { OwnKeys } from "../../src/crypto/room_keys.ts";
import { generateSigningKey, type SigningKey } from "../../src/crypto/session_keys.ts";
import { importRoomKey } from "../../src/crypto/succession.ts";
import {
  noStore,
  type PreparedRoom,
  type Role,
  type SessionStore,
} from "../../src/driver/ports.ts";
import type { RoomMaker } from "../../src/driver/rooms.ts";
import type { SessionProfile } from "../../src/driver/session_profile.ts";
import type { SavedRoom } from "../../src/store/profile.ts";
import type { Link } from "../../src/transport/link.ts";
import { DEFAULT_RELAY_LIMITS, type RelayLimits } from "../../src/server/relay_limits.ts";
import type { Notice } from "../../src/session/notice.ts";
import { initialState } from "../../src/session/state.ts";
import type { Face } from "../../src/ui/face.ts";
import { IntentQueue } from "../../src/ui/intent_queue.ts";
import { openSecretInfo, openSecretMaterial } from "../../src/wire/contexts.ts";
import {
  type Generation,
  generation,
  type Handle,
  inviteSecret,
  relayKey,
  type RoomId,
  roomSecret,
} from "../../src/wire/ids.ts";
import { parseLink } from "../../src/wire/link_url.ts";
import { keyedRoomId, openRoomId, openRoomIdInput } from "../../src/wire/room_id.ts";
import { Chronicle, type EventOf } from "../support/chronicle.ts";
import { memoryProfile } from "../support/memory_profile.ts";
import { settled } from "../support/memory_link.ts";
import { pooledSessionKeys } from "../support/session_pool.ts";
import { FakeClock } from "./fake_clock.ts";
import { HostileRelay } from "./hostile_relay.ts";
import type { House } from "./house.ts";
import { type Leaking, type LeakingAdmin, leakyAdmin, leakyMember } from "./leak.ts";

/** How long anything may take before a test fails. */
const BOUND_MS = 20_000;
const RELAY_KEY = relayKey(new Uint8Array(32).fill(7));
const HOST = "127.0.0.1";
const PORT = 5000;
const SERVER = { host: HOST, port: PORT, pin: RELAY_KEY.toHex() };

/** What a joiner may bring besides an invite. */
export interface Joiner {
  /** The identity of an earlier run. */
  readonly identity?: SigningKey;
  /** The highest epoch that its profile remembers. */
  readonly highestEpoch?: number;
  /** It knows the room secret and has no invite. */
  readonly withoutInvite?: boolean;
  /** An old copy of its profile: a generation that was used before. */
  readonly generation?: number;
  /** Its invite's secret is not the right one. */
  readonly spoilInvite?: boolean;
  /** It forgets nothing when it is removed. */
  readonly keeps?: boolean;
}

/** Somebody with the program, and all that it said. */
export class Actor<K extends (MemberKeys | AdminKeys) & Leaking> extends Chronicle {
  readonly #intents = new IntentQueue();
  #ring: InstanceType<House["KeyRing"]> | null = null;
  #refs = 0;
  #mark = 0;
  /** When each type of notice came last. */
  readonly #toldAt = new Map<string, number>();
  readonly #firstToldAt = new Map<string, number>();
  readonly #times = new WeakMap<Notice, number>();
  /** When it was without a connection, by the clock. */
  readonly away: { readonly from: number; readonly to: number }[] = [];
  /** Settles with the exit code, or says why the program broke. */
  exit: Promise<number> = Promise.resolve(-1);

  constructor(readonly name: string, readonly keys: K, private readonly world: World) {
    super(name);
  }

  /** The keys of the room as its program has them now; it makes new ones when it joins anew or takes over. */
  get keysNow(): MemberKeys | AdminKeys | undefined {
    return this.#ring?.get(this.keys.room);
  }

  /** Runs the program. */
  run<S>(role: Role<S>, initial: S, roomName: string, store: SessionStore = noStore): void {
    const { house, clock, relay } = this.world;
    const ring = new house.KeyRing();
    this.#ring = ring;
    ring.add(this.keys);
    const face: Face = {
      notice: (notice) => {
        if (notice.type === "reconnected") {
          const from = this.toldAt("disconnected") ?? clock.now();
          this.away.push({ from, to: clock.now() });
        }
        this.#times.set(notice, clock.now());
        this.#toldAt.set(notice.type, clock.now());
        if (!this.#firstToldAt.has(notice.type)) this.#firstToldAt.set(notice.type, clock.now());
        this.world.told(this.name, notice);
        this.add(notice);
        this.look();
      },
      view: () => {},
      intents: () => this.#intents,
      close: () => Promise.resolve(),
    };
    this.exit = house.runRole({
      role,
      initial,
      ring,
      relay: { host: HOST, port: PORT, key: RELAY_KEY },
      dial: () =>
        this.world.offline.has(this.name)
          ? Promise.reject(new house.DialError("unreachable", "the tunnel is long"))
          : Promise.resolve(this.world.wire(relay.connect(this.name))),
      face,
      rooms: [{ id: this.keys.room.toHex(), name: roomName }],
      prepareJoin: () => Promise.reject(new Error("one room is enough here")),
      store,
      clock,
      random: this.world.random,
      retryMs: this.world.retryMs,
      onSignal: () => () => {},
    });
    this.exit.catch((error) => {
      // A program that breaks is seen by whoever waits for something of it.
      this.add({ type: "error", code: "broken", message: `${error?.stack ?? error}` });
    }).then(() => {
      this.#intents.close();
      this.end();
    });
  }

  say(text: string): void {
    this.#intents.push({ kind: "say", text });
  }

  /** Gives a command and waits for its answer; what it was. */
  async command(line: string): Promise<string> {
    const ref = `hostile-${++this.#refs}`;
    this.#intents.push({ kind: "command", line, ref });
    const answer = await this.until(
      line,
      () => this.events.find((e) => (e.type === "ok" || e.type === "error") && e.ref === ref),
      BOUND_MS,
    );
    return answer.type === "error" ? answer.code : "ok";
  }

  /** When it told something of that type first, by the clock; `null` if never. */
  firstToldAt(type: Chronicle["events"][number]["type"]): number | null {
    return this.#firstToldAt.get(type) ?? null;
  }

  /** When it told that, by the clock. */
  timeOf(notice: Notice): number {
    return this.#times.get(notice) ?? 0;
  }

  /** When it told something of that type last, by the clock; `null` if never. */
  toldAt(type: Chronicle["events"][number]["type"]): number | null {
    return this.#toldAt.get(type) ?? null;
  }

  /** Gives a command and does not wait. */
  commands(line: string): void {
    this.#intents.push({ kind: "command", line });
  }

  /** Answers a question and does not wait. */
  choose(ref: string, choice: string): void {
    this.#intents.push({ kind: "answer", ref, choice });
  }

  /** Answers a question, and waits until that is taken. */
  async answers(ref: string, choice: string): Promise<void> {
    const mine = `hostile-${++this.#refs}`;
    this.#intents.push({ kind: "answer", ref, choice });
    this.#intents.push({ kind: "command", line: "/room", ref: mine });
    await this.event("ok", (e) => e.ref === mine, BOUND_MS);
  }

  /** Waits until a text has come. */
  async hears(text: string): Promise<void> {
    await this.until(`"${text}"`, () => this.hasHeard(text) || undefined, BOUND_MS);
  }

  /** Waits for an event. */
  sees<T extends EventOf<"bye">["type"] | Chronicle["events"][number]["type"]>(
    type: T,
    fits: (event: EventOf<T>) => boolean = () => true,
  ): Promise<EventOf<T>> {
    return this.event(type, fits, BOUND_MS);
  }

  /** Waits until it has the room key as a deputy: the admin makes the grant after the epoch that names it. */
  async isDeputy(): Promise<void> {
    await this.sees("info", (e) => e.text.includes("you are a deputy"));
  }

  /** What is told from here on is `told`. */
  mark(): void {
    this.#mark = this.events.length;
  }

  /** What it told since the mark, in short; what matters to nobody is left out. */
  get told(): string[] {
    return this.events.slice(this.#mark).flatMap((e) => {
      switch (e.type) {
        case "warning":
          return [`warning ${e.code}`];
        case "message":
          return [`${e.from}: ${e.text}`];
        case "missing":
          return [`missing ${e.count} of ${e.from}`];
        case "repaired":
          return [`late from ${e.from}`];
        case "joined":
          return [`joined ${e.members.map((m) => m.name).join("+")}`];
        case "member-joined":
          return [`${e.name} joined`];
        case "member-left":
          return [`${e.name} ${e.reason}`];
        case "join-request":
          return [`${e.name} asks`];
        case "error":
          return [`error ${e.code}`];
        case "ask":
          return ["asks its person"];
        case "sent":
          return [`sent ${e.text}`];
        case "bye":
          return [`bye ${e.exitCode}`];
        default:
          return [];
      }
    });
  }

  /** The names in the room, as its program sees them. */
  get members(): string {
    const last = this.events.findLast((e) => e.type === "joined" || e.type === "epoch");
    if (last?.type !== "joined" && last?.type !== "epoch") return "";
    return last.members.map((m) => m.name).join("+");
  }

  /** The safety code that its program shows. */
  get safetyCode(): string {
    const last = this.events.findLast((e) => e.type === "joined" || e.type === "epoch");
    return last?.type === "joined" || last?.type === "epoch" ? last.safetyCode : "";
  }

  /** The epoch that its program shows. */
  get epoch(): number {
    const last = this.events.findLast((e) => e.type === "joined" || e.type === "epoch");
    return last?.type === "joined" || last?.type === "epoch" ? last.epoch : 0;
  }

  /** Waits for an epoch. */
  async reaches(epoch: number): Promise<void> {
    await this.until(`epoch ${epoch}`, () => this.epoch >= epoch || undefined, BOUND_MS);
  }

  /** Our handle at the relay. */
  get handle(): Handle {
    return this.world.relay.handleOf(this.name);
  }

  /** As hex; empty while the relay has given us none. */
  get handleOrNone(): string {
    try {
      return this.handle.toHex();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return "";
    }
  }

  /** Ends its program, if it has not ended. */
  async leaves(): Promise<void> {
    this.#intents.push({ kind: "interrupt" });
    await this.exit.catch(() => {});
  }
}

/** A member or joiner. */
export type MemberActor = Actor<MemberKeys & Leaking>;
/** An admin. */
export type AdminActor = Actor<AdminKeys & LeakingAdmin>;

/** A relay, its enemy, and everybody. `await using` ends them. */
export class World implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly relay: HostileRelay;
  /** Who cannot reach the relay. */
  readonly offline = new Set<string>();
  /** Ids of messages, and how long a program waits before it tries again. */
  random: RandomSource = systemRandom;
  /** For how long a lost relay is looked for. */
  retryMs = 0;
  /** Hears everything that any program tells, in its order. */
  told: (who: string, notice: Notice) => void = () => {};
  /** What lies between a program and the relay. */
  wire: (link: Link) => Link = (link) => link;
  /** People's programs keep a profile, by their names, and can be started again. */
  readonly profiles: Map<string, SessionProfile> | null;
  readonly #actors: { leaves(): Promise<void> }[] = [];
  #generation = this.clock.now();
  #flushes = 0;

  constructor(
    readonly house: House,
    private readonly limits: Partial<RelayLimits> = {},
    { profiles = false }: { readonly profiles?: boolean } = {},
  ) {
    this.profiles = profiles ? new Map() : null;
    this.relay = new HostileRelay(house, this.#newRelay());
  }

  #newRelay(): InstanceType<House["Relay"]> {
    const limits = { ...DEFAULT_RELAY_LIMITS, ...this.limits };
    return new this.house.Relay(RELAY_KEY, limits, this.clock.relayPorts);
  }

  /** The relay dies and another takes its place. */
  restartRelay(): void {
    this.relay.restart(this.#newRelay());
  }

  async #own(name: string, identity?: SigningKey): Promise<OwnKeys> {
    const [session] = await pooledSessionKeys(1);
    assert.ok(session !== undefined);
    return { identity: identity ?? await generateSigningKey(), session, name };
  }

  /**
   * Somebody runs a room, and gives its first invite.
   *
   * @param uses of that invite
   * @param open name of an open room
   */
  async founds(
    name: string,
    { uses = 1000, open }: { uses?: number; open?: string } = {},
  ): Promise<{ owl: AdminActor; invite: string }> {
    const { house } = this;
    const own = await this.#own(name);
    const seed = systemRandom(32);
    const roomKey = await importRoomKey(seed);
    const room = open === undefined
      ? keyedRoomId(sha256(roomKey.publicKey))
      : openRoomId(sha256(openRoomIdInput(RELAY_KEY, open)));
    const secret = open === undefined ? roomSecret(systemRandom(32)) : openSecret(room);
    const keys = leakyAdmin(house, [
      room,
      secret,
      own,
      await generateSigningKey(),
      systemRandom,
      { name: open ?? "club", roomKey, generation: this.#nextGeneration(), from: null },
    ]);
    const owl = new Actor(name, keys, this);
    const state = house.initialAdminState(
      initialState({ name, identity: own.identity.publicKey.toHex() }),
    );
    owl.run(
      house.adminRole,
      house.addAdminRoom(state, room.toHex(), {
        ...house.DEFAULT_ADMIN_OPTIONS,
        firstInvite: open === undefined ? { uses, lifeMs: 24 * 3600_000 } : null,
      }),
      "club",
      this.#storeOf(name, own.identity, [{
        role: "admin",
        name: open ?? "club",
        roomId: room.toHex(),
        server: SERVER,
        adminIdentity: own.identity.publicKey.toHex(),
        roomSecret: secret.toHex(),
        highestEpoch: 0,
        highestHash: new Uint8Array(32).toHex(),
        roomKeySeed: seed.toHex(),
        invites: [],
        barred: [],
        known: [],
      }]),
    );
    this.#actors.push(owl);
    this.relay.lens(new house.OuterSeal(room, secret));
    if (open !== undefined) {
      await owl.sees("joined");
      return { owl, invite: "" };
    }
    return { owl, invite: (await owl.sees("invite")).url };
  }

  /** Asks the admin for one more invite. */
  async invite(owl: AdminActor, line = "/invite 1"): Promise<string> {
    const before = owl.every("invite").length;
    assert.equal(await owl.command(line), "ok");
    return await owl.until("an invite", () => owl.every("invite")[before]?.url, BOUND_MS);
  }

  /** Somebody starts the program with an invite. */
  async knocks(name: string, invite: string, joiner: Joiner = {}): Promise<MemberActor> {
    const link = parseLink(invite, sha256);
    assert.ok(link.kind === "invite");
    return await this.#begins(name, link.room, {
      secret: link.roomSecret,
      admin: link.adminFingerprint,
      invite: joiner.withoutInvite
        ? null
        : joiner.spoilInvite
        ? inviteSecret(systemRandom(16))
        : link.inviteSecret,
      roomKey: null,
      highestEpoch: joiner.highestEpoch ?? 0,
    }, joiner);
  }

  /** Somebody starts the program at an open room. */
  async knocksOpen(name: string, open: string, joiner: Joiner = {}): Promise<MemberActor> {
    const room = openRoomId(sha256(openRoomIdInput(RELAY_KEY, open)));
    return await this.#begins(name, room, {
      secret: openSecret(room),
      admin: null,
      invite: null,
      roomKey: null,
      highestEpoch: joiner.highestEpoch ?? 0,
    }, joiner);
  }

  async #begins(
    name: string,
    room: RoomId,
    pins: ConstructorParameters<House["MemberKeys"]>[4],
    { identity, keeps, generation: old }: Joiner,
  ): Promise<MemberActor> {
    const { house } = this;
    const own = await this.#own(name, identity);
    const keys = leakyMember(house, [
      room,
      own,
      await generateSigningKey(),
      systemRandom,
      pins,
      old === undefined ? this.#nextGeneration() : generation(old),
    ], keeps ?? false);
    if (old !== undefined) {
      // A copy whose clock is right has a new generation, and comes in with its identity key (SECURITY, the later thief).
      const make = keys.makeBundle.bind(keys);
      keys.makeBundle = () => make(old);
    }
    const actor = new Actor(name, keys, this);
    this.#actors.push(actor);
    actor.run(
      house.adminRole,
      house.initialAdminState(initialState({ name, identity: own.identity.publicKey.toHex() })),
      "club",
      this.#storeOf(name, own.identity),
    );
    return actor;
  }

  #storeOf(
    name: string,
    identity: SigningKey,
    rooms: readonly SavedRoom[] = [],
  ): SessionStore {
    if (this.profiles === null) return noStore;
    const profile = memoryProfile(name, identity, rooms);
    this.profiles.set(name, profile);
    return this.house.profileSessionStore(profile.store, () => SERVER);
  }

  /**
   * Somebody's program, which has ended, is started again with its profile.
   *
   * @returns `null` if it keeps no room
   */
  async startsAgain(name: string): Promise<MemberActor | null> {
    const { house } = this;
    const profile = this.profiles?.get(name);
    const [saved] = profile?.store.profile.rooms ?? [];
    if (profile === undefined || saved === undefined) return null;
    const ring = new house.KeyRing();
    const maker: RoomMaker = {
      ring,
      own: await this.#own(name, profile.identity),
      relay: RELAY_KEY,
      random: systemRandom,
      generation: this.#nextGeneration(),
      profile,
    };
    const me = { name, identity: profile.identity.publicKey.toHex() };
    let initial = house.initialAdminState(initialState(me));
    let room: PreparedRoom;
    if (saved.role === "admin") {
      const administered = await house.prepareAdministered(maker, saved.name, false, SERVER);
      const options = { ...house.DEFAULT_ADMIN_OPTIONS, firstInvite: null };
      initial = house.addAdminRoom(initial, administered.id, options, administered.kept);
      room = administered;
    } else room = await house.prepareReturn(maker, saved);
    // Its keys do not leak by themselves; see `leakAll`.
    const actor = new Actor(name, ring.get(room.id) as MemberKeys & Leaking, this);
    this.#actors.push(actor);
    actor.run(
      house.adminRole,
      initial,
      room.name,
      house.profileSessionStore(profile.store, () => SERVER),
    );
    return actor;
  }

  /** Programs take the clock's time for theirs when they join anew. */
  #nextGeneration(): Generation {
    return generation(this.#generation = Math.max(this.#generation, this.clock.now()) + 1);
  }

  /** Somebody joins, and everybody who is named has seen it. */
  async joins(
    name: string,
    invite: string,
    others: readonly (MemberActor | AdminActor)[],
    joiner: Joiner = {},
  ): Promise<MemberActor> {
    const actor = await this.knocks(name, invite, joiner);
    await actor.sees("joined");
    for (const other of others) await other.reaches(actor.epoch);
    // Its first message tells where it is.
    for (const other of others) await this.settle(other);
    return actor;
  }

  /** Everything that is on its way to somebody has been dealt with. */
  async settle(actor: MemberActor | AdminActor): Promise<void> {
    // What others have sent is through the relay first: links of memory take no time but turns.
    await settled();
    const token = ++this.#flushes + 1_000_000;
    const over = actor.exit.then(() => undefined, () => undefined);
    const pong = this.relay.passed((c) =>
      c.direction === "up" && c.who === actor.name && c.message.kind === "pong" &&
      c.message.token === token
    );
    this.relay.inject(actor.name, { kind: "ping", token });
    await Promise.race([pong, over]);
    const last = actor.events.at(-1);
    if (last?.type === "bye") return;
    await Promise.race([actor.command("/room"), over]);
  }

  /** As `settle`, for several, twice: what one did because of another is dealt with too, new keys among it. */
  async settleAll(...actors: (MemberActor | AdminActor)[]): Promise<void> {
    for (const actor of actors) await this.settle(actor);
    // Keys that were started again do not leak.
    await Promise.all(actors.flatMap(({ keys }) => "leak" in keys ? keys.leak.newKeys : []));
    for (const actor of actors) await this.settle(actor);
  }

  /** Time goes by for everybody. */
  async pass(ms: number, ...actors: (MemberActor | AdminActor)[]): Promise<void> {
    await this.clock.pass(ms, async () => {
      for (const actor of actors) await this.settle(actor);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const actor of this.#actors) await actor.leaves();
  }
}

function openSecret(room: RoomId) {
  return roomSecret(derive(openSecretMaterial(RELAY_KEY, room), openSecretInfo(), 32));
}
