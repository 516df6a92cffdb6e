/**
 * Plays one script in a room in memory: the real driver and steps over an unreliable, sometimes hostile relay and a
 * clock that goes when it is told to. Afterwards everything is mended as far as it can be, and what each person was
 * shown and what passed the relay is held against the invariants (invariants.ts).
 */
import type { AdminKeys } from "../../src/crypto/admin_keys.ts";
import type { MemberKeys } from "../../src/crypto/member_keys.ts";
import { systemRandom } from "../../src/crypto/primitives.ts";
import { generateSigningKey, type SigningKey } from "../../src/crypto/session_keys.ts";
import { makeSuccession } from "../../src/crypto/succession.ts";
import { leaf as leafOf, sameBytes } from "../../src/wire/ids.ts";
import type { Notice } from "../../src/session/notice.ts";
import type { RelayMessage } from "../../src/wire/relay_message.ts";
import { asMember, certOf, forgeCommit, sendsCommit } from "../hostile/hostile_admin.ts";
import { broadcasts, leafOf as leafNamed, sealAs } from "../hostile/hostile_insider.ts";
import type { Carried } from "../hostile/hostile_relay.ts";
import type { House } from "../hostile/house.ts";
import { type Leak, leakAll } from "../hostile/leak.ts";
import { type AdminActor, type MemberActor, World } from "../hostile/world.ts";
import { deterministicRandom } from "../support/deterministic.ts";
import { check, type Violation } from "./invariants.ts";
import { Reached } from "./reached.ts";
import { type Act, randomOf } from "./script.ts";
import { SlowLink } from "./slow_link.ts";
import { timeCrypto, Turns } from "./turns.ts";

/** One run of somebody's program. */
export type Program = MemberActor | AdminActor;

/** Somebody. */
export interface Person {
  readonly name: string;
  /** The program as it runs now, or ran last. */
  program: Program;
  /** Those that ran before, and ended without a goodbye. */
  readonly before: Program[];
  /** What it said, in order, with the time. */
  readonly said: { readonly text: string; readonly at: number; readonly by: Program }[];
  /** The admin has been told to kick it; it may take a while. */
  unwanted: boolean;
  /** It left or was kicked: nothing more is expected of it. */
  gone: boolean;
}

/** What there is to be judged at the end. */
export interface Played {
  readonly world: World;
  readonly people: readonly Person[];
  /** What a device ever held, by its identity. */
  readonly leaks: WeakMap<SigningKey, Leak>;
  /** Which messages anybody has opened. */
  readonly reached: Reached;
  /** Frames were lost or kept: what cannot be mended is then only shown. */
  readonly lossy: boolean;
  /** Somebody sent what no honest program sends: then warnings are right. */
  readonly attacked: boolean;
  /** The admin signed what no admin signs: members may end their session. */
  readonly lied: boolean;
  /** Names under which old copies of profiles knocked. */
  readonly oldCopies: readonly string[];
  /** Payloads that no program sealed. */
  readonly forged: ReadonlySet<string>;
  /** Who was there when it was kicked, and was not told. */
  readonly unaware: readonly string[];
  /** Who gave its keys to somebody who claimed the room and may not. */
  readonly followed: readonly string[];
}

/** A violation, and what each person was told. */
export interface Failure extends Violation {
  readonly story: string;
}

/** What a simulation is made from. */
export interface Plan {
  /** How long everything takes, and who is asked first. */
  readonly seed: number;
  readonly script: readonly Act[];
}

/** People at the most; in every sixteenth room more. */
const MAX_PEOPLE = 6;
const MAX_CROWD = 12;

/**
 * Plays a script. `null`: every invariant holds.
 *
 * @param counts what happened is added to these
 * @param told is given what everybody was told
 */
export async function simulate(
  house: House,
  plan: Plan,
  counts: Counts = newCounts(),
  told: (story: string) => void = () => {},
): Promise<Failure | null> {
  const turns = new Turns(randomOf(plan.seed));
  timeCrypto(turns);
  try {
    await using simulation = await Simulation.begin(house, plan, turns);
    for (const act of plan.script) await simulation.do(act);
    await simulation.mend();
    simulation.count(counts);
    const violation = check(simulation);
    told(simulation.story());
    return violation === null ? null : { ...violation, story: simulation.story() };
  } finally {
    timeCrypto(null);
  }
}

/** What happened in all runs together: a simulator in which nothing happens holds every invariant. */
export interface Counts {
  said: number;
  heard: number;
  epochs: number;
  removed: number;
  repaired: number;
  missing: number;
  reconnects: number;
  restarts: number;
  takeovers: number;
}

/** Nothing yet. */
export function newCounts(): Counts {
  return {
    said: 0,
    heard: 0,
    epochs: 0,
    removed: 0,
    repaired: 0,
    missing: 0,
    reconnects: 0,
    restarts: 0,
    takeovers: 0,
  };
}

class Simulation implements AsyncDisposable, Played {
  readonly people: Person[] = [];
  readonly leaks: WeakMap<SigningKey, Leak>;
  readonly reached: Reached;
  #names = 0;
  #words = 0;
  lossy = false;
  attacked = false;
  lied = false;
  readonly oldCopies: string[] = [];
  readonly forged = new Set<string>();
  readonly unaware: string[] = [];
  readonly followed: string[] = [];
  /** Requests that the admin's person has answered. */
  readonly #answered = new Set<string>();
  readonly #story: string[] = [];
  readonly #start: number;

  private constructor(
    readonly world: World,
    private readonly invite: string,
    private readonly plan: Plan,
    private readonly turns: Turns,
  ) {
    this.leaks = leakAll(world.house);
    this.reached = Reached.in(world.house);
    this.#start = world.clock.now();
    world.told = (who, notice) => {
      const line = inShort(notice);
      if (line !== null) this.#tell(who, line);
    };
  }

  static async begin(house: House, plan: Plan, turns: Turns): Promise<Simulation> {
    leakAll(house);
    Reached.in(house).forget();
    const world = new World(house, {}, { profiles: true });
    world.retryMs = Infinity;
    world.random = deterministicRandom(`simulation ${plan.seed}`);
    world.wire = (link) => new SlowLink(link, turns);
    const { owl, invite } = await world.founds("owl");
    const simulation = new Simulation(world, invite, plan, turns);
    simulation.#add("owl", owl);
    for (let i = 0; i < 2; i++) await simulation.#join();
    return simulation;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.world.offline.clear();
    await this.world[Symbol.asyncDispose]();
    // What is still on its way would take its turns from the next simulation.
    await this.turns.settle();
  }

  #add(name: string, program: Program): void {
    this.people.push({ name, program, before: [], said: [], unwanted: false, gone: false });
  }

  /** Those whose program runs. */
  get #live(): Person[] {
    return this.people.filter(isThere);
  }

  #pick(index: number): Person | undefined {
    const live = this.#live;
    return live[index % Math.max(1, live.length)];
  }

  /** Who runs the room. */
  get #admin(): Person | undefined {
    return adminAmong(this.people);
  }

  /** Lets what is on its way arrive. */
  async #quiet(): Promise<void> {
    await this.turns.settle();
  }

  async #pass(seconds: number): Promise<void> {
    await this.world.clock.pass(seconds * 1000, () => {
      this.#admitWhoAsks();
      return this.turns.settle();
    });
  }

  async #join(): Promise<void> {
    const most = this.plan.seed % 16 === 0 ? MAX_CROWD : MAX_PEOPLE;
    if (this.#live.length >= most) return;
    const name = `p${++this.#names}`;
    this.#add(name, await this.world.knocks(name, await this.#invite()));
    await this.#quiet();
    await this.#pass(1);
  }

  /** A kick revokes the invites before it, and all end with their admin. */
  async #invite(): Promise<string> {
    const program = (this.#admin ?? this.people[0])?.program;
    if (program?.toldAt("invite") === null) {
      program.commands("/invite 1000");
      await this.#quiet();
    }
    return program?.every("invite").at(-1)?.url ?? this.invite;
  }

  /** The admin's person knows everybody but those whom it kicked, and old copies. */
  #admitWhoAsks(): void {
    const admin = this.#admin;
    for (const { request, name } of admin?.program.every("join-request") ?? []) {
      const person = this.people.find((p) => p.name === name);
      if (
        person === undefined || person.unwanted || this.#answered.has(`${admin?.name} ${request}`)
      ) {
        continue;
      }
      this.#answered.add(`${admin?.name} ${request}`);
      this.#order(admin, `/admit ${request}`);
    }
  }

  #say(person: Person, count: number): void {
    for (let i = 0; i < count; i++) {
      const text = `${person.name} says ${++this.#words}`;
      const { program } = person;
      person.said.push({ text, at: this.world.clock.now(), by: program });
      program.say(text);
    }
  }

  /** Gives a command without waiting: its program may be in a tunnel. */
  #order(person: Person | undefined, line: string): void {
    if (person !== undefined) person.program.commands(line);
  }

  async do({ act, who, to, n }: Act): Promise<void> {
    const person = this.#pick(who);
    const other = this.#pick(to);
    if (person === undefined || other === undefined) return;
    const { relay } = this.world;
    const isBetween = person !== other;
    this.#tell("", `-- ${act} ${person.name} ${other.name} ${n}`);
    switch (act) {
      case "say":
        this.#say(person, 1 + n % 3);
        // Half of the time the next thing happens while it is on its way.
        if (n % 2 === 0) return;
        break;
      case "join":
        await this.#join();
        break;
      case "leave":
        if (person === this.#admin || this.#live.length < 3) return;
        this.#order(person, "/quit");
        person.gone = true;
        break;
      case "kick":
        await this.#kick(other);
        break;
      case "rekey":
        this.#order(this.#admin, "/rekey");
        if (n % 2 === 0) return;
        break;
      case "cut":
        relay.cut(person.name);
        break;
      case "away":
        await this.#tunnel(person, n % 80);
        break;
      case "restart":
        await this.#restart(person);
        break;
      case "restart-relay":
        this.world.restartRelay();
        break;
      case "wait":
        await this.#pass(1 + n % 15);
        break;
      case "deputy":
        this.#order(this.#admin, `/deputy ${person.name}`);
        break;
      case "no-deputy":
        this.#order(this.#admin, `/deputy ${person.name} off`);
        break;
      case "hand-over":
        this.#order(this.#admin, `/handover ${person.name}`);
        await this.#quiet();
        await this.#whoIsAskedTakes();
        break;
      case "admin-away": {
        const admin = this.#admin;
        if (admin === undefined) return;
        await this.#tunnel(admin, 95 + n % 30, true);
        break;
      }
      case "lose":
        this.lossy = true;
        relay.drop(counted(1 + n % 3, carries(person.name, n % 2 === 0 ? "up" : "down")));
        break;
      case "withhold":
        if (!isBetween) return;
        this.lossy = true;
        relay.withhold(person.name, from(other.program));
        await this.#pass(n % 20);
        relay.off("withhold");
        break;
      case "hold":
        this.lossy = true;
        relay.delay(carries(person.name, n % 2 === 0 ? "up" : "down"));
        break;
      case "release":
        relay.release();
        break;
      case "double":
        this.attacked = true;
        relay.replay((c) => c.direction === "down" && isPayload(c));
        break;
      case "replay":
        this.#replay(person, n);
        break;
      case "forge":
        if (isBetween) this.#forge(person, other);
        break;
      case "old-copy":
        await this.#oldCopy(person);
        break;
      case "stale-claim":
        await this.#staleClaim(person, n);
        break;
      case "lie":
        await this.#lie(other);
        break;
      case "late-kick":
        await this.#lateKick(person);
        break;
      case "lose-and-rekey":
        if (person === this.#admin) return;
        await this.#quiet();
        this.lossy = true;
        // One hears nothing of the last words.
        if (isBetween) relay.withhold(other.name, from(person.program, "message"));
        this.#say(person, 1);
        await this.#quiet();
        relay.off("withhold");
        this.#order(this.#admin, "/rekey");
        break;
      case "lose-and-kick":
        if (person === this.#admin || !isBetween) return;
        await this.#quiet();
        this.lossy = true;
        relay.withhold(other.name, from(person.program));
        this.#say(person, 1);
        await this.#quiet();
        await this.#kick(person);
        await this.#quiet();
        relay.off("withhold");
        break;
      case "skip-epoch":
        await this.#skipEpoch(person);
        break;
    }
    await this.#quiet();
  }

  async #kick(person: Person): Promise<void> {
    const admin = this.#admin;
    if (admin === undefined || person === admin || this.#live.length < 4) return;
    if (!admin.program.members.split("+").includes(person.name)) return;
    const isHere = !this.lossy && !this.attacked && adminOf(person.program) === admin.name &&
      person.program.epoch === admin.program.epoch &&
      admin.program.events.findLast((e) => e.type === "presence" && e.name === person.name)
          ?.type !== "presence" &&
      // The admin need not have been told: it may have come back itself and know nobody's place yet.
      person.program.events.findLast((e) => e.type === "disconnected" || e.type === "reconnected")
          ?.type !== "disconnected";
    this.#order(admin, `/kick ${person.name}`);
    person.unwanted = true;
    await this.#quiet();
    const isOut = !admin.program.members.split("+").includes(person.name);
    if (isHere && isOut && !hasEnded(person.program)) this.unaware.push(person.name);
    this.#order(admin, "/invite 1000");
    this.#whoWentIsGone();
  }

  /** Whoever is kicked while it is behind takes that for its absence, and asks to come in again: it is out too. */
  #whoWentIsGone(): void {
    const members = this.#admin?.program.members.split("+") ?? [];
    for (const person of this.people) {
      const isOut = hasEnded(person.program) || !members.includes(person.name);
      person.gone ||= person.unwanted && isOut;
    }
  }

  async #tunnel({ name }: Person, seconds: number, deputiesTake = false): Promise<void> {
    this.world.offline.add(name);
    this.world.relay.cut(name);
    await this.#pass(seconds);
    if (deputiesTake) await this.#whoIsAskedTakes();
    this.world.offline.delete(name);
  }

  /** A program is killed, and started again with its profile. */
  async #restart(person: Person): Promise<void> {
    const { name, program } = person;
    if (program.toldAt("joined") === null) return;
    // A kick that has not become an epoch is gone with the program that was told to.
    if (person === this.#admin) {
      for (const other of this.people) other.unwanted &&= other.gone || hasEnded(other.program);
    }
    this.world.offline.add(name);
    this.world.relay.cut(name);
    await this.#quiet();
    await program.leaves();
    this.world.offline.delete(name);
    const again = await this.world.startsAgain(name);
    if (again === null) throw new RangeError(`${name} was in the room and kept nothing of it`);
    person.before.push(program);
    person.program = again;
    await this.#quiet();
    await this.#pass(3);
  }

  async #whoIsAskedTakes(): Promise<void> {
    for (const { program } of this.#live) {
      const asked = program.events.findLast((e) =>
        e.type === "ask" && e.ref.startsWith("take-over")
      );
      if (asked?.type === "ask") program.choose(asked.ref, "take");
    }
    await this.#quiet();
    await this.#pass(6);
  }

  // ---- what the enemies do

  /** Somebody is given a payload that somebody was given before. */
  #replay({ name }: Person, n: number): void {
    this.attacked = true;
    const { record } = this.world.relay;
    const past = record.filter((c) => c.direction === "down" && isPayload(c));
    const again = past[n % Math.max(1, past.length)];
    // What was meant for this one is the most dangerous.
    const own = past.filter((c) => c.who === name);
    const pick = n % 2 === 0 ? own[n % Math.max(1, own.length)] : again;
    if (pick !== undefined) this.world.relay.inject(name, pick.message);
  }

  #broadcast(who: Person, payload: Uint8Array<ArrayBuffer>): void {
    this.attacked = true;
    this.forged.add(payload.toHex());
    broadcasts(this.world, who.program, payload);
  }

  #forge(insider: Person, victim: Person): void {
    const { house } = this.world;
    const mine = keysOf(insider);
    const theirs = keysOf(victim);
    const leak = this.leakOf(insider);
    if (mine === undefined || theirs === undefined || leak === undefined) return;
    const { epoch } = mine.current.place;
    if (leak.last.epoch !== epoch || theirs.current.place.epoch !== epoch) return;
    try {
      const at = { leaf: leafNamed({ leak }, victim.name), n: theirs.current.sent.count };
      const signer = mine.keys.own.session.signing;
      this.#broadcast(insider, sealAs(house, mine.keys.room, { leak }, at, "a forgery", signer));
    } catch (error) {
      // It is not in the enemy's roster, or neither is in the room.
      if (!(error instanceof RangeError)) throw error;
    }
  }

  /** What somebody's devices ever held. */
  leakOf({ name }: Person): Leak | undefined {
    const identity = this.world.profiles?.get(name)?.identity;
    return identity === undefined ? undefined : this.leaks.get(identity);
  }

  /** Another device with an old copy of somebody's profile asks to be let in. */
  async #oldCopy(person: Person): Promise<void> {
    if (person === this.#admin || person.name === "owl" || this.oldCopies.length > 0) return;
    // Whoever was never there has no newer copy.
    if (person.program.toldAt("joined") === null) return;
    const name = `${person.name}-old`;
    this.oldCopies.push(name);
    this.attacked = true;
    const { identity } = person.program.keys.own;
    await this.world.knocks(name, this.invite, { identity, generation: 1 });
    await this.#quiet();
    await this.#pass(1);
  }

  /** Somebody claims the room that may not: a deputy while the admin is there, or who was one while it is silent. */
  async #staleClaim(person: Person, n: number): Promise<void> {
    const admin = this.#admin;
    if (admin === undefined || person === admin || n % 3 === 0) return await this.#claim(person);
    this.#order(admin, `/deputy ${person.name}`);
    await this.#quiet();
    if (n % 3 === 1) return await this.#claim(person);
    this.#order(admin, `/deputy ${person.name} off`);
    await this.#quiet();
    this.world.offline.add(admin.name);
    this.world.relay.cut(admin.name);
    await this.#pass(95);
    await this.#claim(person);
    this.world.offline.delete(admin.name);
  }

  /** Says that it takes over, with the last warrant that it has. */
  async #claim(person: Person): Promise<void> {
    const { relay, house } = this.world;
    const { name, program } = person;
    const mine = keysOf(person);
    const leak = this.leakOf(person);
    if (mine === undefined || leak === undefined || adminOf(program) === name) return;
    const warrant = relay.record.filter((c) => c.direction === "down" && c.who === name)
      .map((c) => relay.look(c))
      .findLast((seen) =>
        seen.kind === "grant" && seen.content.value.warrant.value.purpose === "deputy"
      );
    if (warrant?.kind !== "grant") return;
    const { warrant: signed } = warrant.content.value;
    const { privateKey } = mine.keys.own.identity;
    const { epoch, h } = mine.current.place;
    const succession = makeSuccession(privateKey, signed, epoch, h);
    const admin = this.#admin;
    const isThere = admin !== undefined && !this.world.offline.has(admin.name) &&
      admin.program.epoch === epoch &&
      this.world.clock.now() - (program.toldAt("epoch") ?? 0) < 60_000;
    const last = program.events.findLast((e) => e.type === "joined" || e.type === "epoch");
    const isDeputy = last?.type === "joined" || last?.type === "epoch"
      ? last.members.some((m) => m.name === name && m.deputy)
      : true;
    const seal = new house.OuterSeal(mine.keys.room, leak.roomSecret);
    const before = relay.record.length;
    this.#broadcast(person, seal.seal("succession", succession, systemRandom));
    await this.#quiet();
    if (!isThere && isDeputy) return;
    const follows = relay.record.slice(before).find((c) => {
      const seen = c.direction === "up" && c.message.kind === "direct" ? relay.look(c) : null;
      return seen?.kind === "keys" &&
        sameBytes(seen.content.value.successor, mine.keys.own.identity.publicKey);
    });
    if (follows !== undefined) this.followed.push(follows.who);
  }

  /** The founder, while it is the admin, confirms one roster and shows another. */
  async #lie(victim: Person): Promise<void> {
    const [owl] = this.people;
    const { house } = this.world;
    if (owl === undefined || this.#admin !== owl || victim === owl || this.lied) return;
    const admin = owl.program;
    const theirs = keysOf(victim);
    if (!("wrapKeysOf" in admin.keys) || admin.keysNow !== admin.keys) return;
    if (theirs === undefined || theirs.keys instanceof house.AdminKeys) return;
    if (theirs.current.place.epoch !== admin.keys.current?.place.epoch) return;
    this.lied = true;
    this.attacked = true;
    const cert = await certOf(house, admin.keys.room, admin.keys.own.identity.publicKey, {
      name: "ghost",
      identity: await generateSigningKey(),
    });
    const ghost = { leaf: leafOf(500), via: "invite" as const, cert };
    const roster = [...admin.keys.leak.last.roster, asMember(ghost)];
    // The CHANGE adds nobody; the confirmation is of a roster with one more.
    const made = await forgeCommit(house, admin as AdminActor, { roster });
    if (victim.program.keysNow !== victim.program.keys) return;
    sendsCommit(this.world, admin as AdminActor, victim.program as MemberActor, made);
    await this.#quiet();
  }

  /** Words of somebody who is kicked arrive after it has been removed. */
  async #lateKick(person: Person): Promise<void> {
    const admin = this.#admin;
    if (admin === undefined || person === admin || this.#live.length < 4) return;
    const { relay } = this.world;
    await this.#quiet();
    this.lossy = true;
    this.attacked = true;
    relay.delay((c) => c.direction === "up" && c.who === person.name && isPayload(c));
    this.#say(person, 1);
    await this.#quiet();
    // What the relay held it gives out itself, after the removal.
    const late = relay.record.filter((c) =>
      c.direction === "up" && c.who === person.name && isPayload(c)
    ).at(-1);
    await this.#kick(person);
    relay.off("delay");
    if (late !== undefined) {
      for (const { name } of this.#live) relay.inject(name, late.message);
    }
  }

  /** One member does not get a commit, and its catching up neither; the next commit reaches it. */
  async #skipEpoch({ name }: Person): Promise<void> {
    const admin = this.#admin;
    if (admin === undefined || name === admin.name) return;
    const { relay } = this.world;
    this.lossy = true;
    relay.drop((c) => c.direction === "down" && c.who === name && relay.look(c).kind === "commit");
    this.#order(admin, "/rekey");
    await this.#quiet();
    relay.off("drop");
    this.#order(admin, "/rekey");
    await this.#quiet();
  }

  // ---- the end

  /** Everything hostile ends, everybody is back, and time enough goes by. */
  async mend(): Promise<void> {
    const { relay } = this.world;
    this.#tell("", "-- the end");
    for (const name of ["drop", "withhold", "replay"] as const) relay.off(name);
    relay.release();
    this.world.offline.clear();
    await this.#pass(75);
    for (const person of this.#live) this.#say(person, 1);
    await this.#quiet();
    await this.#pass(75);
    this.#whoWentIsGone();
  }

  /** What happened and what each person was told, a line each, with the seconds since the beginning. */
  story(): string {
    return this.#story.join("\n");
  }

  #tell(who: string, what: string): void {
    const seconds = Math.round((this.world.clock.now() - this.#start) / 1000);
    this.#story.push(`${`${seconds}`.padStart(5)} ${who.padEnd(8)} ${what}`);
  }

  /** Adds what happened. */
  count(counts: Counts): void {
    const programs = this.people.flatMap(({ program, before }) => [...before, program]);
    for (const program of programs) {
      counts.heard += program.every("message").length;
      counts.repaired += program.every("repaired").reduce((n, e) => n + e.count, 0);
      counts.missing += program.every("missing").reduce((n, e) => n + e.count, 0);
      counts.reconnects += program.every("reconnected").length;
    }
    counts.said += this.people.reduce((n, { said }) => n + said.length, 0);
    counts.restarts += this.people.reduce((n, { before }) => n + before.length, 0);
    counts.epochs += Math.max(...programs.map(({ epoch }) => epoch));
    const takeovers = programs.flatMap((program) =>
      program.every("epoch").filter((e) => e.reason === "claim" || e.reason === "hand-over")
    );
    counts.takeovers += new Set(takeovers.map((e) => e.epoch)).size;
    counts.removed += this.people.filter(({ gone, unwanted }) => gone && unwanted).length;
  }
}

/** A notice in a line; `null` for what matters to nobody. */
function inShort(notice: Notice): string | null {
  switch (notice.type) {
    case "ok":
    case "info":
    case "connected":
    case "verified":
    case "members":
      return null;
    case "joined":
    case "epoch": {
      const members = notice.members.map((m) => `${m.name}${m.admin ? "*" : m.deputy ? "'" : ""}`);
      const why = notice.type === "epoch" ? notice.reason : "";
      return `${notice.type} ${notice.epoch} ${why} ${members.join("+")}`;
    }
    case "agreement":
      return `${notice.agree} of ${notice.of} agree, not ${
        [...notice.differ, ...notice.behind, ...notice.silent].map((m) => m.name).join("+")
      }`;
    default: {
      const { type, ...rest } = notice;
      const fields = Object.entries(rest).filter(([key]) =>
        !["room", "roomId", "identity", "fingerprint", "id", "sentAt", "url"].includes(key)
      );
      return `${type} ${fields.map(([, value]) => JSON.stringify(value)).join(" ")}`;
    }
  }
}

/** Whether somebody's program runs, and is to go on. */
export function isThere({ program, gone }: Person): boolean {
  return !gone && !hasEnded(program);
}

/** Whether a program has ended. */
export function hasEnded(program: Program): boolean {
  return program.events.some((e) => e.type === "bye");
}

/** The admin by a program's newest roster. */
export function adminOf(program: Program): string | undefined {
  const last = program.events.findLast((e) => e.type === "joined" || e.type === "epoch");
  if (last?.type !== "joined" && last?.type !== "epoch") return undefined;
  return last.members.find((m) => m.admin)?.name;
}

/** Who runs the room, as its own program has it; one that was succeeded while it was away may not know. */
export function adminAmong(people: readonly Person[]): Person | undefined {
  return people.filter((person) => isThere(person) && adminOf(person.program) === person.name)
    .sort((a, b) => b.program.epoch - a.program.epoch)[0];
}

/** The keys with which somebody is in an epoch. */
function keysOf(
  { program }: Person,
):
  | {
    keys: MemberKeys | AdminKeys;
    current: NonNullable<MemberKeys["current"]>;
  }
  | undefined {
  const keys = program.keysNow;
  return keys === undefined || keys.current === null ? undefined : { keys, current: keys.current };
}

function isPayload({ message }: { message: RelayMessage }): boolean {
  return message.kind === "broadcast" || message.kind === "direct";
}

function carries(who: string, direction: Carried["direction"]): (c: Carried) => boolean {
  return (c) => c.direction === direction && c.who === who && isPayload(c);
}

function from(author: Program, only?: "message"): (c: Carried) => boolean {
  return (c) => {
    const { message } = c;
    if (message.kind !== "broadcast" && message.kind !== "direct") return false;
    if (only === "message" && message.kind !== "broadcast") return false;
    return message.from.toHex() === author.handleOrNone;
  };
}

/** Holds for the first `count` that fit. */
function counted(count: number, fits: (c: Carried) => boolean): (c: Carried) => boolean {
  let left = count;
  return (c) => left > 0 && fits(c) && left-- > 0;
}
