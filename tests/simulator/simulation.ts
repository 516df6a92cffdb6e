/**
 * Plays one script in a room in memory: the real driver and steps over an unreliable, sometimes hostile relay and a
 * clock that goes when it is told to. Afterwards everything is mended as far as it can be, and the invariants are
 * held against what each person was shown and what passed the relay.
 */
import { makeSuccession } from "../../src/crypto/succession.ts";
import type { RelayMessage } from "../../src/wire/relay_message.ts";
import { epoch as epochOf } from "../../src/wire/ids.ts";
import { asMember, certOf, forgeCommit, sendsCommit } from "../hostile/hostile_admin.ts";
import {
  broadcasts,
  leafOf as leafNamed,
  sealAs,
  sealed,
  sentBy,
} from "../hostile/hostile_insider.ts";
import type { House } from "../hostile/house.ts";
import type { Carried } from "../hostile/hostile_relay.ts";
import { opensTexts, recordedPayloads } from "../hostile/opener.ts";
import { type AdminActor, type MemberActor, World } from "../hostile/world.ts";
import { generateSigningKey } from "../../src/crypto/session_keys.ts";
import { leaf as leafOf } from "../../src/wire/ids.ts";
import { deterministicRandom } from "../support/deterministic.ts";
import type { Act } from "./script.ts";

type Anybody = MemberActor | AdminActor;

/** An invariant that does not hold. */
export interface Violation {
  readonly rule: string;
  readonly detail: string;
}

/** A violation, and what each person was told. */
export interface Failure extends Violation {
  readonly story: string;
}

interface Person {
  readonly actor: Anybody;
  /** What it said, in order, with the time. */
  readonly said: { readonly text: string; readonly at: number }[];
  /** It left or was kicked: nothing more is expected of it. */
  gone: boolean;
  kicked: boolean;
}

/** People at the most. */
const MAX_PEOPLE = 6;

/** Plays a script. `null`: every invariant holds. */
export async function simulate(
  house: House,
  script: readonly Act[],
  counts: Counts = newCounts(),
): Promise<Failure | null> {
  using turns = new Turns();
  await using simulation = await Simulation.begin(house, (count) => turns.take(count));
  for (const act of script) await simulation.do(act);
  await simulation.mend();
  simulation.count(counts);
  const violation = simulation.check();
  return violation === null ? null : { ...violation, story: simulation.story() };
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
    takeovers: 0,
  };
}

class Simulation implements AsyncDisposable {
  readonly #people: Person[] = [];
  #names = 0;
  #words = 0;
  /** The relay loses or keeps single frames, or gives old ones: what cannot be mended is then only shown. */
  #hostile = false;
  /** The admin signs what no admin signs: members may end their session. */
  #lied = false;
  readonly #barredCopies: string[] = [];

  private constructor(
    readonly world: World,
    readonly invite: string,
    private readonly turns: (count: number) => Promise<void>,
  ) {}

  static async begin(house: House, turns: (count: number) => Promise<void>): Promise<Simulation> {
    const world = new World(house);
    world.retryMs = Infinity;
    world.random = deterministicRandom("simulation");
    const { owl, invite } = await world.founds("owl");
    const simulation = new Simulation(world, invite, turns);
    simulation.#people.push({ actor: owl, said: [], gone: false, kicked: false });
    for (let i = 0; i < 2; i++) await simulation.#join();
    return simulation;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { actor } of this.#people) this.world.offline.delete(actor.name);
    await this.world[Symbol.asyncDispose]();
  }

  /** Those whose program runs. */
  get #live(): Person[] {
    return this.#people.filter(({ actor, gone }) => !gone && !hasEnded(actor));
  }

  #pick(index: number): Person | undefined {
    const live = this.#live;
    return live[index % Math.max(1, live.length)];
  }

  /** Who runs the room, as its own program has it. */
  get #admin(): Person | undefined {
    return this.#live.find(({ actor }) => adminOf(actor) === actor.name);
  }

  /** Lets what is on its way arrive. */
  async #quiet(): Promise<void> {
    await this.turns(30);
  }

  async #pass(seconds: number): Promise<void> {
    await this.world.clock.pass(seconds * 1000, () => this.turns(3));
  }

  async #join(): Promise<void> {
    if (this.#live.length >= MAX_PEOPLE) return;
    const name = `p${++this.#names}`;
    const actor = await this.world.knocks(name, this.invite, { keeps: true });
    this.#people.push({ actor, said: [], gone: false, kicked: false });
    await this.#quiet();
    await this.#pass(1);
  }

  #say(person: Person, count: number): void {
    for (let i = 0; i < count; i++) {
      const text = `${person.actor.name} says ${++this.#words}`;
      person.said.push({ text, at: this.world.clock.now() });
      person.actor.say(text);
    }
  }

  /** Gives a command without waiting: its program may be in a tunnel. */
  #order(person: Person | undefined, line: string): void {
    if (person !== undefined) person.actor.commands(line);
  }

  async do({ act, who, to, n }: Act): Promise<void> {
    const person = this.#pick(who);
    const other = this.#pick(to);
    if (person === undefined || other === undefined) return;
    const { relay } = this.world;
    const isBetween = person !== other;
    switch (act) {
      case "say":
        this.#say(person, 1 + n % 3);
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
        break;
      case "cut":
        relay.cut(person.actor.name);
        break;
      case "away":
        await this.#tunnel(person, n % 80);
        break;
      case "restart-relay":
        this.world.restartRelay();
        break;
      case "wait":
        await this.#pass(1 + n % 15);
        break;
      case "deputy":
        this.#order(this.#admin, `/deputy ${person.actor.name}`);
        break;
      case "no-deputy":
        this.#order(this.#admin, `/deputy ${person.actor.name} off`);
        break;
      case "hand-over":
        this.#order(this.#admin, `/handover ${person.actor.name}`);
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
        this.#hostile = true;
        relay.drop(counted(1 + n % 3, carries(person.actor.name, n % 2 === 0 ? "up" : "down")));
        break;
      case "withhold":
        if (!isBetween) return;
        this.#hostile = true;
        relay.withhold(person.actor.name, from(other.actor));
        await this.#pass(n % 20);
        relay.off("withhold");
        break;
      case "hold":
        this.#hostile = true;
        relay.delay(carries(person.actor.name, n % 2 === 0 ? "up" : "down"));
        break;
      case "release":
        relay.release();
        break;
      case "double":
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
        this.#staleClaim(person);
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
        this.#hostile = true;
        // One hears nothing of the last words.
        if (isBetween) relay.withhold(other.actor.name, from(person.actor, "message"));
        this.#say(person, 1);
        await this.#quiet();
        relay.off("withhold");
        this.#order(this.#admin, "/rekey");
        break;
      case "lose-and-kick":
        if (person === this.#admin || !isBetween) return;
        await this.#quiet();
        this.#hostile = true;
        relay.withhold(other.actor.name, from(person.actor));
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
    this.#order(admin, `/kick ${person.actor.name}`);
    await this.#quiet();
    if (hasEnded(person.actor)) {
      person.gone = true;
      person.kicked = true;
    }
  }

  async #tunnel(person: Person, seconds: number, deputiesTake = false): Promise<void> {
    const { name } = person.actor;
    this.world.offline.add(name);
    this.world.relay.cut(name);
    await this.#pass(seconds);
    if (deputiesTake) await this.#whoIsAskedTakes();
    this.world.offline.delete(name);
  }

  async #whoIsAskedTakes(): Promise<void> {
    for (const { actor } of this.#live) {
      const asked = actor.events.findLast((e) => e.type === "ask" && e.ref.startsWith("take-over"));
      if (asked?.type === "ask") actor.choose(asked.ref, "take");
    }
    await this.#quiet();
    await this.#pass(6);
  }

  /** Somebody is given a payload that somebody was given before. */
  #replay({ actor }: Person, n: number): void {
    const { record } = this.world.relay;
    const past = record.filter((c) => c.direction === "down" && isPayload(c));
    const again = past[n % Math.max(1, past.length)];
    // What was meant for this one is the most dangerous.
    const own = past.filter((c) => c.who === actor.name);
    const pick = n % 2 === 0 ? own[n % Math.max(1, own.length)] : again;
    if (pick !== undefined) this.world.relay.inject(actor.name, pick.message);
  }

  #forge(insider: Person, victim: Person): void {
    const { house } = this.world;
    const { keys } = insider.actor;
    if (keys.current === null || victim.actor.keys.current === null) return;
    if (keys.leak.epochs.length === 0 || keys.leak.last.epoch !== keys.current.place.epoch) return;
    if (victim.actor.keys.current.place.epoch !== keys.current.place.epoch) return;
    try {
      const at = { leaf: leafNamed(keys, victim.actor.name), n: sentBy(victim.actor) };
      const signer = keys.own.session.signing;
      const payload = sealAs(house, keys.room, keys, at, "a forgery", signer);
      broadcasts(this.world, insider.actor, payload);
    } catch (error) {
      // It is not in the enemy's roster, or neither is in the room.
      if (!(error instanceof RangeError)) throw error;
    }
  }

  /** Another device with an old copy of somebody's profile asks to be let in. */
  async #oldCopy(person: Person): Promise<void> {
    if (person === this.#admin || this.#people[0] === person || this.#barredCopies.length > 0) {
      return;
    }
    const name = `${person.actor.name}-old`;
    this.#barredCopies.push(name);
    const { identity } = person.actor.keys.own;
    await this.world.knocks(name, this.invite, { identity, generation: 1 });
    await this.#quiet();
    await this.#pass(1);
  }

  /** Whoever was a deputy says that it takes over, with the warrant of then. */
  #staleClaim({ actor }: Person): void {
    const { relay, house } = this.world;
    const { current } = actor.keys;
    if (current === null || adminOf(actor) === actor.name) return;
    const warrant = relay.record.filter((c) => c.direction === "down" && c.who === actor.name)
      .map((c) => relay.look(c))
      .findLast((seen) =>
        seen.kind === "grant" && seen.content.value.warrant.value.purpose === "deputy"
      );
    if (warrant?.kind !== "grant") return;
    const { warrant: signed } = warrant.content.value;
    const { privateKey } = actor.keys.own.identity;
    const { epoch, h } = current.place;
    const succession = makeSuccession(privateKey, signed, epochOf(epoch + 1), h);
    broadcasts(this.world, actor, sealed(house, actor, "succession", succession));
  }

  /** The founder, while it is the admin, confirms one roster and shows another. */
  async #lie(victim: Person): Promise<void> {
    const owl = this.#people[0];
    const { house } = this.world;
    if (owl === undefined || this.#admin !== owl || victim === owl || this.#lied) return;
    const admin = owl.actor;
    if (!("wrapKeysOf" in admin.keys) || victim.actor.keys.current === null) return;
    if (victim.actor.keys instanceof house.AdminKeys) return;
    if (victim.actor.keys.current.place.epoch !== admin.keys.current?.place.epoch) return;
    this.#lied = true;
    const cert = await certOf(house, admin.keys.room, admin.keys.own.identity.publicKey, {
      name: "ghost",
      identity: await generateSigningKey(),
    });
    const ghost = { leaf: leafOf(500), via: "invite" as const, cert };
    const roster = [...admin.keys.leak.last.roster, asMember(ghost)];
    // The CHANGE adds nobody; the confirmation is of a roster with one more.
    const made = await forgeCommit(house, admin as AdminActor, { roster });
    sendsCommit(this.world, admin as AdminActor, victim.actor as MemberActor, made);
    await this.#quiet();
  }

  /** Words of somebody who is kicked arrive after it has been removed. */
  async #lateKick(person: Person): Promise<void> {
    const admin = this.#admin;
    if (admin === undefined || person === admin || this.#live.length < 4) return;
    const { relay } = this.world;
    await this.#quiet();
    this.#hostile = true;
    relay.delay((c) => c.direction === "up" && c.who === person.actor.name && isPayload(c));
    this.#say(person, 1);
    await this.#quiet();
    // What the relay held it gives out itself, after the removal.
    const late = relay.record.filter((c) =>
      c.direction === "up" && c.who === person.actor.name && isPayload(c)
    ).at(-1);
    await this.#kick(person);
    relay.off("delay");
    if (late !== undefined) {
      for (const { actor } of this.#live) relay.inject(actor.name, late.message);
    }
  }

  /** One member does not get a commit, and its catching up neither; the next commit reaches it. */
  async #skipEpoch(person: Person): Promise<void> {
    const admin = this.#admin;
    if (admin === undefined || person === admin) return;
    const { relay } = this.world;
    const { name } = person.actor;
    this.#hostile = true;
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
    for (const name of ["drop", "withhold", "replay", "delay"] as const) {
      if (name === "delay") relay.release();
      else relay.off(name);
    }
    this.world.offline.clear();
    await this.#pass(75);
    for (const person of this.#live) this.#say(person, 1);
    await this.#quiet();
    await this.#pass(75);
  }

  /** What each person was told, but for answers and its own words. */
  story(): string {
    return this.#people.map(({ actor, gone, kicked }) => {
      const told = actor.events.filter((e) => !["ok", "sent", "info"].includes(e.type));
      const state = kicked ? " (kicked)" : gone ? " (left)" : "";
      return `== ${actor.name}${state}\n${
        told.map((e) => JSON.stringify(e).slice(0, 300)).join("\n")
      }`;
    }).join("\n");
  }

  /** Adds what happened. */
  count(counts: Counts): void {
    for (const { actor, said } of this.#people) {
      counts.said += said.length;
      counts.heard += actor.every("message").length;
      counts.repaired += actor.every("repaired").reduce((n, e) => n + e.count, 0);
      counts.missing += actor.every("missing").reduce((n, e) => n + e.count, 0);
      counts.reconnects += actor.every("reconnected").length;
    }
    const epochs = this.#people.map(({ actor }) => actor.epoch);
    counts.epochs += Math.max(...epochs);
    const seen = new Set<string>();
    for (const { actor } of this.#people) {
      for (const e of actor.every("epoch")) {
        if (e.reason === "claim" || e.reason === "hand-over") seen.add(`${e.epoch}`);
      }
    }
    counts.takeovers += seen.size;
    counts.removed += this.#people.filter(({ kicked }) => kicked).length;
  }

  check(): Violation | null {
    return this.#ends() ?? this.#once() ?? this.#ordered() ?? this.#onePlace() ??
      this.#nothingLost() ?? this.#removedOut() ?? this.#noNonceTwice() ?? this.#repairToOne() ??
      this.#oldCopiesOut();
  }

  /** Nobody's program ends but by its person's will or the admin's. */
  #ends(): Violation | null {
    for (const { actor, gone } of this.#people) {
      const bye = actor.events.findLast((e) => e.type === "bye");
      if (bye?.type !== "bye" || gone || bye.exitCode === 6) continue;
      if (this.#lied && bye.exitCode === 7) continue;
      return {
        rule: "nobody is thrown out",
        detail: `${actor.name}: ${bye.exitCode} ${bye.reason}`,
      };
    }
    return null;
  }

  #once(): Violation | null {
    for (const { actor } of this.#people) {
      const seen = new Set<string>();
      for (const { text } of actor.every("message")) {
        if (seen.has(text)) return { rule: "no text twice", detail: `${actor.name}: ${text}` };
        seen.add(text);
      }
    }
    return null;
  }

  #ordered(): Violation | null {
    for (const { actor } of this.#people) {
      for (const author of this.#people) {
        const places = actor.textsOf(author.actor.name)
          .map((text) => author.said.findIndex((s) => s.text === text));
        if (places.includes(-1)) {
          return {
            rule: "nothing that nobody said",
            detail: `${actor.name} of ${author.actor.name}`,
          };
        }
        if (places.some((place, i) => i > 0 && place < (places[i - 1] ?? 0))) {
          return {
            rule: "each author's order",
            detail: `${actor.name} of ${author.actor.name}: ${places.join()}`,
          };
        }
      }
    }
    return null;
  }

  /** All who are in see one epoch, one roster and one admin; an epoch is the same for all who were in it. */
  #onePlace(): Violation | null {
    const places = new Map<number, { code: string; members: string; who: string }>();
    for (const { actor } of this.#people) {
      for (const e of actor.events) {
        if (e.type !== "joined" && e.type !== "epoch") continue;
        const members = e.members.map((m) => `${m.name}${m.admin ? "*" : ""}`).sort().join("+");
        const known = places.get(e.epoch);
        if (known === undefined) {
          places.set(e.epoch, { code: e.safetyCode, members, who: actor.name });
        } else if (known.code !== e.safetyCode || known.members !== members) {
          return {
            rule: "one epoch, one roster, one admin",
            detail: `epoch ${e.epoch}: ${known.who} has ${known.members}, ${actor.name} ${members}`,
          };
        }
      }
    }
    const live = this.#live;
    const newest = Math.max(...live.map(({ actor }) => actor.epoch));
    for (const { actor } of live) {
      if (!actor.events.some((e) => e.type === "joined")) continue;
      if (actor.epoch !== newest) {
        return { rule: "all in one epoch", detail: `${actor.name} ${actor.epoch} of ${newest}` };
      }
    }
    return null;
  }

  /** Each has each other's texts, or was told how many it lacks. */
  #nothingLost(): Violation | null {
    for (const reader of this.#live) {
      const since = joinedAt(reader.actor);
      if (since === null) continue;
      for (const author of this.#people) {
        if (author === reader) continue;
        const lacking = this.#expected(reader, author, since)
          .filter((text) => !reader.actor.hasHeard(text)).length;
        const told = reader.actor.every("missing").filter((e) => e.from === author.actor.name)
          .reduce((sum, e) => sum + e.count, 0);
        if (lacking > (this.#hostile ? told : 0)) {
          return {
            rule: this.#hostile ? "lost texts are shown as missing" : "nothing is lost",
            detail: `${reader.actor.name} lacks ${lacking} of ${author.actor.name}, told ${told}`,
          };
        }
      }
    }
    return null;
  }

  /** What a reader has to have of an author, who is there or was removed. */
  #expected(reader: Person, author: Person, since: number): string[] {
    const authorSince = joinedAt(author.actor);
    if (authorSince === null) return [];
    const from = Math.max(since, authorSince);
    const after = author.said.filter((s) => s.at > from).map((s) => s.text);
    if (this.#live.includes(author)) {
      const sent = new Set(author.actor.every("sent").map((e) => e.text));
      return after.filter((text) => sent.has(text));
    }
    // Of one who was removed, what the admin has: where it ends is the admin's word.
    const admin = this.#admin;
    if (admin === undefined || admin === reader) return [];
    return after.filter((text) => admin.actor.hasHeard(text));
  }

  /** With all that the kicked ever held, nothing opens of what was said after. */
  #removedOut(): Violation | null {
    for (const person of this.#people.filter(({ kicked }) => kicked)) {
      const { keys } = person.actor;
      const end = person.actor.events.findLast((e) => e.type === "joined" || e.type === "epoch");
      if (end?.type !== "joined" && end?.type !== "epoch") continue;
      const opened = opensTexts(keys.room, keys.leak, recordedPayloads(this.world.relay.record));
      const last = this.#live.map(({ said }) => said.at(-1)?.text);
      const read = opened.find((text) => last.includes(text));
      if (read !== undefined) {
        return { rule: "the removed read nothing", detail: `${person.actor.name}: ${read}` };
      }
    }
    return null;
  }

  /** No sender seals two messages at one place: the key and the nonce would be the same. */
  #noNonceTwice(): Violation | null {
    const { relay } = this.world;
    const bodies = new Map<string, string>();
    for (const carried of relay.record) {
      if (carried.direction !== "up" || carried.message.kind !== "broadcast") continue;
      const seen = relay.look(carried);
      if (seen.kind !== "message") continue;
      // Forgeries stand at their victim's place.
      const author = this.#people.find(({ actor }) => actor.name === carried.who);
      if (
        author?.actor.keys.leak.epochs.every((e) =>
          e.epoch !== seen.epoch || e.myLeaf !== seen.leaf
        )
      ) {
        continue;
      }
      const place = `${carried.who} ${seen.epoch}/${seen.leaf}/${seen.n}`;
      const body = carried.message.payload.toHex();
      const before = bodies.get(place);
      if (before !== undefined && before !== body) {
        return { rule: "no nonce twice", detail: place };
      }
      bodies.set(place, body);
    }
    return null;
  }

  #repairToOne(): Violation | null {
    const { relay } = this.world;
    for (const carried of relay.record) {
      if (carried.direction !== "up" || carried.message.kind !== "broadcast") continue;
      if (relay.look(carried).kind === "repair") {
        return { rule: "repair goes to one", detail: `${carried.who} sends it to all` };
      }
    }
    return null;
  }

  #oldCopiesOut(): Violation | null {
    for (const name of this.#barredCopies) {
      const seen = this.#people.some(({ actor }) =>
        actor.events.some((e) => e.type === "member-joined" && e.name === name)
      );
      if (seen) return { rule: "no old copy comes in", detail: name };
    }
    return null;
  }
}

/** Turns of the event loop: in each, everything that waits for nothing but its turn is done. */
class Turns implements Disposable {
  readonly #channel = new MessageChannel();
  readonly #waiting: (() => void)[] = [];

  constructor() {
    this.#channel.port1.onmessage = () => this.#waiting.shift()?.();
  }

  async take(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        this.#channel.port2.postMessage(null);
      });
    }
  }

  [Symbol.dispose](): void {
    this.#channel.port1.close();
    this.#channel.port2.close();
  }
}

function hasEnded(actor: Anybody): boolean {
  return actor.events.at(-1)?.type === "bye" || actor.events.some((e) => e.type === "bye");
}

function adminOf(actor: Anybody): string | undefined {
  const last = actor.events.findLast((e) => e.type === "joined" || e.type === "epoch");
  if (last?.type !== "joined" && last?.type !== "epoch") return undefined;
  return last.members.find((m) => m.admin)?.name;
}

/** When somebody came in the last time, by the clock of the simulation; `null` if it is not in. */
function joinedAt(actor: Anybody): number | null {
  return actor.toldAt("joined");
}

function isPayload({ message }: { message: RelayMessage }): boolean {
  return message.kind === "broadcast" || message.kind === "direct";
}

function carries(who: string, direction: Carried["direction"]): (c: Carried) => boolean {
  return (c) => c.direction === direction && c.who === who && isPayload(c);
}

function from(author: Anybody, only?: "message"): (c: Carried) => boolean {
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
