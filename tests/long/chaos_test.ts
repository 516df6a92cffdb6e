/**
 * Issue 3, "done when" 1: processes under steady traffic, a relay that is killed and started again, and members who
 * are cut off from outside. `CHAOS_RUNS` says how often (default 1), `CHAOS_SEED` with what it begins.
 */
import assert from "node:assert/strict";
import { sha256 } from "../../src/crypto/primitives.ts";
import { formatLink, parseLink } from "../../src/wire/link_url.ts";
import { type Relay, Stage, type StmProcess } from "../support/stm_process.ts";
import { agree } from "../support/talk.ts";
import { Tunnel } from "../support/tunnel.ts";

const RUNS = Number(Deno.env.get("CHAOS_RUNS") ?? 1);
const FIRST_SEED = Number(Deno.env.get("CHAOS_SEED") ?? 1);
const CLIENTS = 20;
const CUT = 5;
const KILLS = 3;
const TRAFFIC_MS = 75_000;
/** How long everybody may take to have everything afterwards. */
const SETTLE_MS = 120_000;
const EVERY_MS = 400;

/** A random number in [0, 1) for each call, the same for each seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The same invite, by way of another port. */
function through(invite: string, port: number): string {
  const link = parseLink(invite, sha256);
  assert.ok(link.kind === "invite");
  return formatLink({ ...link, port }, sha256);
}

/** The relay of a stage that can be killed and comes back at the same place, with the same key. */
class Phoenix {
  private constructor(readonly stage: Stage, public relay: Relay) {}

  static async rise(stage: Stage): Promise<Phoenix> {
    return new Phoenix(stage, await stage.relay());
  }

  async dieAndRise(): Promise<void> {
    await this.relay.process.kill();
    this.relay = await this.stage.relay(["--port", String(this.relay.port)]);
  }
}

/** Starts a client that looks for its relay for as long as it takes. */
function client(stage: Stage, invite: string, name: string): StmProcess {
  const process = stage.start(["client", "-", "--name", name, "--ui", "json"]);
  process.write(`${invite}\n`);
  return process;
}

/** What came of a run, for people to read. */
interface Counts {
  readonly seed: number;
  readonly said: number;
  readonly deliveries: number;
  readonly missing: number;
  readonly doubled: number;
  readonly repaired: number;
  readonly reconnects: number;
}

/** Waits until everybody has the last text of everybody else, then compares all. */
async function compare(
  seed: number,
  people: readonly StmProcess[],
  said: ReadonlyMap<string, readonly string[]>,
): Promise<Counts> {
  for (const person of people) {
    for (const speaker of people) {
      const last = said.get(speaker.name)?.at(-1);
      if (speaker === person || last === undefined) continue;
      await person.until(`"${last}"`, () => person.hasHeard(last) || undefined, SETTLE_MS);
    }
  }
  let deliveries = 0;
  let missing = 0;
  let doubled = 0;
  for (const person of people) {
    for (const speaker of people) {
      if (speaker === person) continue;
      const heard = person.textsOf(speaker.name);
      const expected = said.get(speaker.name) ?? [];
      deliveries += heard.length;
      doubled += heard.length - new Set(heard).size;
      missing += expected.filter((text) => !person.hasHeard(text)).length;
      assert.deepEqual(heard, expected, `seed ${seed}: ${person.name} heard ${speaker.name}`);
    }
    const given = person.every("missing");
    assert.deepEqual(given, [], `seed ${seed}: ${person.name} was shown something as missing`);
  }
  const sum = (type: "repaired" | "reconnected") =>
    people.reduce(
      (n, person) =>
        n + (type === "repaired"
          ? person.every("repaired").reduce((m, e) => m + e.count, 0)
          : person.every("reconnected").length),
      0,
    );
  return {
    seed,
    said: [...said.values()].reduce((n, texts) => n + texts.length, 0),
    deliveries,
    missing,
    doubled,
    repaired: sum("repaired"),
    reconnects: sum("reconnected"),
  };
}

for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
  Deno.test(`${CLIENTS} clients, ${KILLS} deaths of the relay, ${CUT} clients cut off: everybody has everything once, in order (seed ${seed})`, async () => {
    const random = randomOf(seed);
    await using stage = await Stage.open();
    const phoenix = await Phoenix.rise(stage);
    const owl = stage.start([
      "admin",
      phoenix.relay.link,
      "--room",
      "R",
      "--name",
      "owl",
      "--uses",
      String(CLIENTS),
      "--ui",
      "json",
    ]);
    const invite = (await owl.event("invite")).url;
    await using tunnels = new AsyncDisposableStack();
    const people = [owl];
    const cut: Tunnel[] = [];
    for (let i = 0; i < CLIENTS; i++) {
      let way = invite;
      if (i < CUT) {
        const tunnel = tunnels.use(new Tunnel(phoenix.relay.port));
        cut.push(tunnel);
        way = through(invite, tunnel.port);
      }
      people.push(client(stage, way, `c${i}`));
    }
    await agree(people);

    const said = new Map<string, string[]>(people.map(({ name }) => [name, []]));
    const end = Date.now() + TRAFFIC_MS;
    const talking = people.map(async (person) => {
      await sleep(random() * EVERY_MS);
      while (Date.now() < end) {
        const texts = said.get(person.name) ?? [];
        const text = `${person.name} ${texts.length}`;
        texts.push(text);
        person.say(text);
        await sleep(EVERY_MS);
      }
    });
    const cutting = cut.map(async (tunnel, i) => {
      await sleep(random() * (TRAFFIC_MS - 35_000));
      // One of them goes dark: no end of a connection tells anybody.
      if (i === 0) tunnel.blackOut();
      else tunnel.close();
      await sleep(5_000 + random() * 25_000);
      tunnel.open();
    });
    for (let i = 0; i < KILLS; i++) {
      await sleep((TRAFFIC_MS - 20_000) / KILLS * (0.5 + random() / 2));
      await phoenix.dieAndRise();
    }
    await Promise.all([...talking, ...cutting]);
    console.log(await compare(seed, people, said));
  });
}

/** What every member keeps for the others (PROTOCOL §9: "lately"); src/crypto/room_keys.ts. */
const RING_BYTES = 8 * 1024 * 1024;
const TEXT_BYTES = 60_000;
/** Of a text of that length: padded to a multiple of 4096, its tag, its header. */
const PAYLOAD_BYTES = 61_440 + 16 + 24;
const BIG_TEXTS = 200;

Deno.test("who was away for longer than the others' memory is shown exactly what they no longer have", async () => {
  await using stage = await Stage.open();
  const phoenix = await Phoenix.rise(stage);
  const { owl, invite } = await stage.admin(phoenix.relay, ["--uses", "3"]);
  await using tunnel = new Tunnel(phoenix.relay.port);
  const [ant, bat] = ["ant", "bat"].map((name) => client(stage, invite, name));
  const fox = client(stage, through(invite, tunnel.port), "fox");
  assert.ok(ant !== undefined && bat !== undefined);
  const people = [owl, ant, bat, fox];
  await agree(people);
  ant.say("before");
  await fox.until("before", () => fox.hasHeard("before") || undefined);
  tunnel.close();
  await fox.event("disconnected");
  const texts = Array.from({ length: BIG_TEXTS }, (_, i) => `${i} `.padEnd(TEXT_BYTES, "x"));
  for (const text of texts) ant.say(text);
  const lastText = texts.at(-1) ?? "";
  for (const person of [owl, bat]) {
    await person.until("all of it", () => person.hasHeard(lastText) || undefined, SETTLE_MS);
  }
  tunnel.open();
  await fox.until("what is left of it", () => fox.hasHeard(lastText) || undefined, SETTLE_MS);
  const missing = await fox.event("missing", () => true, SETTLE_MS);
  ant.say("after");
  for (const person of [owl, bat, fox]) {
    await person.until("after", () => person.hasHeard("after") || undefined);
  }
  const heard = fox.textsOf("ant").filter((text) => text.length === TEXT_BYTES);
  // Heartbeats take a place in the ring too.
  const most = Math.floor(RING_BYTES / PAYLOAD_BYTES);
  console.log({ said: BIG_TEXTS, had: heard.length, missing: missing.count, ringHolds: most });
  assert.ok(heard.length === most || heard.length === most - 1, `${heard.length} of ${most}`);
  assert.deepEqual(heard, texts.slice(-heard.length));
  assert.equal(fox.every("missing").reduce((n, e) => n + e.count, 0), BIG_TEXTS - heard.length);
  assert.equal(missing.from, "ant");
  for (const person of [owl, bat]) {
    assert.deepEqual(person.textsOf("ant"), ["before", ...texts, "after"]);
    assert.deepEqual(person.every("missing"), []);
  }
});
