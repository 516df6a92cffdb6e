/**
 * What people who mean harm cost the others: a room of members who talk, and beside them, one after
 * the other and all together, strangers who never finish the handshake, who send a byte a second,
 * who speak nonsense, who all come at once, and a member who floods the very room.
 *
 *     deno task bench:flood [ROUNDS [ATTACK+ATTACK]]
 *
 * Each attack is measured against a quiet time right before it, by turns, 3 rounds if not said (10
 * minutes); figures are medians of the rounds. First the attackers come from an address with the
 * limits of one source; then those whom these limits stop come from one that is exempt, so that a
 * thousand are there.
 *
 * The others' p99 is held to 3 times that of the quiet time, and the relay's memory to a bound; exits
 * with 1 if not. That is for what was promised: strangers who never finish or send a byte a second,
 * garbage, and a flood by one member. What is marked "beyond" is measured and not judged: many who
 * come at once; all together from an address that the operator has freed of its limits, and so
 * answers for; and a control whose process only takes the processor.
 *
 * Ten members are in the room. Two of them talk by turns, 200 messages a second in all, and measure
 * what they hear of each other: one entered first and one last, so that what waits for the copies to
 * the others is in their figures, as is their own reception of a flood. The other eight are a process
 * of their own, for a real member has a machine of its own: in one process with those who measure,
 * what is measured is how long ten copies of 60,000 bytes take one core to decrypt.
 *
 * The relay has the first core; those who measure have the second, and with the lowest priority
 * audience and attackers, so that these take no processor but the relay's. On a machine that does
 * anything else the quiet p99 is many times what it is, and ratios say nothing: look at it first
 * (0.5 ms on a quiet one). Linux only, loopback only.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { relayKey } from "../src/wire/ids.ts";
import { frameRelayMessage, OFFSET_BROADCAST_PAYLOAD } from "../src/wire/relay_message.ts";
import { TestRoom } from "../tests/support/gate_people.ts";
import { gateDial } from "./gate_dial.ts";
import { GateMember } from "./gate_member.ts";
import { median, printTable } from "./measure.ts";
import {
  linesOf,
  type MeasuredRelay,
  measuredRelay,
  megabytes,
  processorMs,
  residentBytes,
  sleep,
} from "./relay_process.ts";

/** Those who talk, and measure what they hear of each other; and the other members of the room. */
const TALKERS = 2;
const AUDIENCE = 8;
/** One message of somebody, each so many milliseconds. */
const EVERY_MS = 5;
const PAYLOAD_BYTES = 200;
const WINDOW_MS = 5_000;
/** After an attack, until the relay is quiet again. */
const REST_MS = 1_000;
const SAMPLE_MS = 200;
const MOST_TIMES_QUIET = 3;
const MOST_BYTES = 400e6;
/** First byte of a payload that is measured. */
const MARK = 0x6d;

const cores = navigator.hardwareConcurrency;
const pinned = cores >= 2;
const ROUNDS = Number(Deno.args[0] ?? 3);
const ONLY = Deno.args[1]?.split("+");
const ATTACKERS = scriptAt("flood_attackers.ts");
const AUDIENCE_SCRIPT = scriptAt("flood_audience.ts");
const STRANGERS = ["silent", "slow", "nonsense", "stampede", "all"];
const FLOODS = [
  "flood, small",
  "flood, large",
  "flood, largest",
  "flood, to nobody",
  "flood, pings",
];
/** The attackers' process takes the processor, and does nothing to the relay. */
const CONTROL = "control";
/** Where the attackers come from, what they do from there, and of what of it nothing was promised. */
const SOURCES = [
  {
    name: "limited",
    exempt: "127.0.0.1",
    attacks: [...STRANGERS, ...FLOODS, CONTROL],
    beyond: ["stampede", CONTROL],
  },
  // One member's flood is held back as one connection, wherever it comes from.
  { name: "exempt", exempt: "127.0.0.0/8", attacks: STRANGERS, beyond: ["stampede", "all"] },
] as const;
const ATTACKERS_ADDRESS = "127.0.0.2";

/** What a window showed. */
interface Window {
  readonly p50: number;
  readonly p99: number;
  readonly deliveries: number;
  /** Part of its core that the relay took. */
  readonly busy: number;
  readonly bytes: number;
}

function scriptAt(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

async function isPossible(command: string, ...args: string[]): Promise<boolean> {
  const silent = { stdout: "null", stderr: "null" } as const;
  const { success } = await new Deno.Command(command, { args, ...silent }).output();
  return success;
}

/** How a process is started that runs only while nobody else wants to. */
const LOWEST = await isPossible("chrt", "--idle", "0", "true")
  ? ["chrt", "--idle", "0"]
  : ["nice", "-n", "19"];

async function run(command: string, ...args: string[]): Promise<void> {
  const { success } = await new Deno.Command(command, { args, stdout: "null" }).output();
  if (!success) throw new Error(`${command} ${args.join(" ")} failed`);
}

/** A process beside those who measure, that takes the processor when they do not want it. */
class Beside implements AsyncDisposable {
  readonly lines: AsyncGenerator<string>;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;

  constructor(script: string, args: readonly string[], roomPem: string) {
    const deno = [Deno.execPath(), "run", "-A", "--no-check", script, ...args];
    const [command = "", ...rest] = [...pinned ? ["taskset", "-c", "1"] : [], ...LOWEST, ...deno];
    this.#child = new Deno.Command(command, {
      args: rest,
      env: { ROOM_PEM: roomPem },
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.lines = linesOf(this.#child.stdout);
  }

  /** Waits until it says something. */
  async expect(what: string): Promise<void> {
    const { value } = await this.lines.next();
    if (value !== what) throw new Error(`a process said ${value}, and not ${what}`);
  }

  /** Has the attackers do something, and waits until it is under way. */
  async do(what: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${what}\n`));
    await this.expect(what);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }
}

/** Members who talk in one room, and the latency of what they hear. */
class Talkers implements AsyncDisposable {
  readonly room = new TestRoom();
  #audience: Beside | undefined;
  #latencies: number[] = [];
  #members: { member: GateMember; frame: Uint8Array<ArrayBuffer> }[] = [];
  #turn = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #gone = 0;

  /** Enters, one of them before the others of the room and one after: who is written to last is heard too. */
  async enter(relay: MeasuredRelay): Promise<void> {
    const { port, pin } = relay;
    for (let i = 0; i < TALKERS; i++) {
      const member = new GateMember(await gateDial(port), relayKey(Uint8Array.fromHex(pin)), {
        broadcast: (body) => this.#heard(body),
        ended: () => this.#gone++,
      });
      const from = await member.enter(this.room, "member");
      const payload = new Uint8Array(PAYLOAD_BYTES);
      payload[0] = MARK;
      const frame = frameRelayMessage({ kind: "broadcast", room: this.room.id, from, payload });
      this.#members.push({ member, frame });
      if (i === 0) await this.#seatAudience(relay);
    }
    this.#timer = setInterval(() => this.#say(), EVERY_MS);
  }

  async #seatAudience({ port, pin }: MeasuredRelay): Promise<void> {
    const { pem } = this.room.signer;
    const audience = new Beside(AUDIENCE_SCRIPT, [`${port}`, pin, `${AUDIENCE}`], pem);
    this.#audience = audience;
    await audience.expect("in");
    void (async () => {
      for await (const _ of audience.lines) this.#gone++;
    })();
  }

  #say(): void {
    const who = this.#members[this.#turn++ % this.#members.length];
    if (who === undefined) return;
    const frame = who.frame.slice();
    const at = frame.length - PAYLOAD_BYTES + 1;
    new DataView(frame.buffer).setFloat64(at, performance.now());
    who.member.link.write(frame);
  }

  #heard(body: Uint8Array): void {
    if (body[OFFSET_BROADCAST_PAYLOAD] !== MARK) return;
    const view = new DataView(body.buffer, body.byteOffset + OFFSET_BROADCAST_PAYLOAD + 1);
    this.#latencies.push(performance.now() - view.getFloat64(0));
  }

  /** Listens for a while. */
  async window(pid: number): Promise<Window> {
    this.#latencies = [];
    const began = performance.now();
    const before = processorMs(pid);
    let bytes = 0;
    while (performance.now() - began < WINDOW_MS) {
      await sleep(SAMPLE_MS);
      bytes = Math.max(bytes, residentBytes(pid));
    }
    const busy = (processorMs(pid) - before) / (performance.now() - began);
    const sorted = Float64Array.from(this.#latencies).sort();
    const part = (p: number): number => sorted[Math.floor(sorted.length * p)] ?? Infinity;
    return { p50: part(0.5), p99: part(0.99), deliveries: sorted.length, busy, bytes };
  }

  /** How many have lost their connection. */
  get gone(): number {
    return this.#gone;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    for (const { member } of this.#members) member.link.destroy();
    await this.#audience?.[Symbol.asyncDispose]();
  }
}

/** One line of the table. */
interface Row {
  readonly attack: string;
  readonly quiet: Window[];
  readonly loaded: Window[];
}

async function measure(
  { exempt, attacks }: (typeof SOURCES)[number],
): Promise<[Row[], number]> {
  await using relay = await measuredRelay(["--exempt", exempt]);
  if (pinned) await run("taskset", "-a", "-p", "-c", "0", String(relay.pid));
  await using talkers = new Talkers();
  await talkers.enter(relay);
  const from = [`${relay.port}`, relay.pin, ATTACKERS_ADDRESS];
  await using attackers = new Beside(ATTACKERS, from, talkers.room.signer.pem);
  const rows: Row[] = attacks
    .filter((attack) => ONLY?.includes(attack) ?? true)
    .map((attack) => ({ attack, quiet: [], loaded: [] }));
  await talkers.window(relay.pid); // the compilers' time
  for (let round = 0; round < ROUNDS; round++) {
    for (const { attack, quiet, loaded } of rows) {
      quiet.push(await talkers.window(relay.pid));
      await attackers.do(attack);
      loaded.push(await talkers.window(relay.pid));
      await attackers.do("stop");
      await sleep(REST_MS);
    }
  }
  return [rows, talkers.gone];
}

if (pinned) await run("taskset", "-a", "-p", "-c", "1", String(Deno.pid));
console.log(
  `flood: ${cores} cores; ` +
    (pinned
      ? `the relay on the first, talkers and (${LOWEST[0]}) audience and attackers on the second`
      : "relay, members and attackers share one"),
);
let good = true;
for (const source of SOURCES) {
  const { name } = source;
  const beyond: readonly string[] = source.beyond;
  const [rows, gone] = await measure(source);
  good &&= gone === 0;
  const table = rows.map(({ attack, quiet, loaded }) => {
    const of = (windows: Window[], field: keyof Window) => median(windows.map((w) => w[field]));
    const ratios = loaded.map((w, i) => w.p99 / (quiet[i]?.p99 ?? NaN));
    const ratio = median(ratios);
    const most = Math.max(...loaded.map((w) => w.bytes));
    const within = ratio <= MOST_TIMES_QUIET && most <= MOST_BYTES;
    const judged = !beyond.includes(attack);
    if (judged) good &&= within;
    return [
      attack,
      of(quiet, "p50").toFixed(2),
      of(loaded, "p50").toFixed(2),
      of(quiet, "p99").toFixed(2),
      of(loaded, "p99").toFixed(2),
      ratio.toFixed(2),
      `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`,
      `${Math.round(of(quiet, "busy") * 100)} %`,
      `${Math.round(of(loaded, "busy") * 100)} %`,
      megabytes(most),
      judged ? within ? "yes" : "NO" : "beyond",
    ];
  });
  printTable(
    [
      name,
      "p50 quiet",
      "p50",
      "p99 quiet",
      "p99 ms",
      "times",
      "of each round",
      "CPU quiet",
      "CPU",
      "relay",
      "",
    ],
    table,
  );
  console.log(`${name}: ${gone} of the ${TALKERS + AUDIENCE} members lost their connection\n`);
}
console.log(
  `flood: ${good ? "within" : "over"} ${MOST_TIMES_QUIET} × the quiet p99 and ${
    megabytes(MOST_BYTES)
  }`,
);
if (!good) Deno.exit(1);
