/**
 * One room of real processes through which a number of messages goes, and the memory of each while
 * it does; see `bench/memory.ts`.
 *
 * @module
 */
import { Stage } from "../tests/support/stm_process.ts";
import { linesOf, residentBytes } from "./relay_process.ts";

/** Messages that may be on their way: whoever listens has all but the last so many. */
const WINDOW = 2_000;
/** The slow one runs for so long, and stands still for so long, by turns. */
const SLOW_RUNS_MS = 200;
const SLOW_STANDS_MS = 200;
/** How often the slow one may be put out for being late, and come again as somebody else. */
const MOST_SLOW = 200;
/** How often memory is looked at. */
const SAMPLES = 100;
/** A bound for failure only: nothing was heard for so long. */
const SILENCE_MS = 120_000;

/** What is known of one process. */
export interface Course {
  /** Who it is. */
  readonly who: string;
  /** Bytes at each hundredth of the messages. */
  readonly bytes: number[];
}

/** What a run showed. */
export interface MemoryRun {
  /** Of each process, the relay first. */
  readonly courses: readonly Course[];
  /** Texts that the listening client has opened. */
  readonly heard: number;
  /** Messages that somebody was shown as missing. */
  readonly missing: number;
  /** Connections that the relay ended as too slow. */
  readonly tooSlow: number;
  /** How often the slow one was put out of the room, and came again. */
  readonly slowGone: number;
  readonly ms: number;
}

/** A participant of which only counts are kept: what it says would fill the memory of the bench. */
class Counted {
  readonly counts: Map<string, number> = new Map();
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  readonly #waiting = new Set<() => void>();
  /** The first line of each type. */
  readonly #first = new Map<string, string>();
  #ended = false;

  constructor(stage: Stage, args: readonly string[]) {
    const command = stage.command([...args, "--ui", "json"]);
    this.#child = new Deno.Command(Deno.execPath(), {
      ...command,
      cwd: stage.folder,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#reading = this.#read();
  }

  async #read(): Promise<void> {
    for await (const line of linesOf(this.#child.stdout)) {
      const type = /^\{"type":"(\w+)"/.exec(line)?.[1] ?? "";
      this.counts.set(type, (this.counts.get(type) ?? 0) + 1);
      if (!this.#first.has(type)) this.#first.set(type, line);
      this.#look();
    }
    this.#ended = true;
    this.#look();
  }

  #look(): void {
    for (const look of this.#waiting) look();
  }

  get ended(): boolean {
    return this.#ended;
  }

  get pid(): number {
    return this.#child.pid;
  }

  count(type: string): number {
    return this.counts.get(type) ?? 0;
  }

  /** The first event of a type, told already or to come. */
  async first(type: string): Promise<string> {
    await this.until(type, () => this.#first.has(type));
    return this.#first.get(type) ?? "";
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(new Error(`never came: ${what}`)), SILENCE_MS);
    const look = (): void => {
      if (holds()) resolve();
      else if (this.#ended) reject(new Error(`it ended before: ${what}`));
    };
    this.#waiting.add(look);
    look();
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(look);
    }
  }

  write(text: string): Promise<void> {
    return this.#input.write(new TextEncoder().encode(text));
  }

  signal(signal: Deno.Signal): void {
    if (!this.#ended) this.#child.kill(signal);
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    this.#input.close().catch(() => {});
    await Promise.all([this.#reading, this.#child.status]);
  }
}

/** Has one client say `messages` texts to an admin, a listener, one that is slow and one that stopped. */
export async function runMemory(
  messages: number,
  progress: (percent: number) => void = () => {},
): Promise<MemoryRun> {
  await using stage = await Stage.open();
  await using stack = new AsyncDisposableStack();
  const start = (args: readonly string[]): Counted =>
    stack.adopt(new Counted(stage, args), (person) => person.kill());
  const relay = await stage.relay();
  const owl = start([
    "admin",
    relay.link,
    "--room",
    "R",
    "--name",
    "owl",
    "--uses",
    String(MOST_SLOW),
  ]);
  const invite = String(JSON.parse(await owl.first("invite")).url);
  const join = async (name: string): Promise<Counted> => {
    const person = start(["client", "-", "--name", name]);
    await person.write(`${invite}\n`);
    await person.first("joined");
    return person;
  };
  const speaker = await join("ant");
  const listener = await join("bat");
  let slow = await join("fox");
  let slowGone = 0;
  const dead = await join("emu");
  dead.signal("SIGSTOP");
  const step = (): void => {
    slow.signal("SIGCONT");
    timer = setTimeout(() => {
      slow.signal("SIGSTOP");
      timer = setTimeout(step, SLOW_STANDS_MS);
    }, SLOW_RUNS_MS);
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  step();
  stack.defer(() => clearTimeout(timer));

  const processes = {
    relay: relay.process.pid,
    admin: owl.pid,
    speaker: speaker.pid,
    listener: listener.pid,
  };
  const courses = [...Object.keys(processes), "slow reader"].map((who): Course => ({
    who,
    bytes: [],
  }));
  const pids = (): number[] => [...Object.values(processes), slow.pid];
  const began = performance.now();
  const perSample = Math.ceil(messages / SAMPLES);
  for (let said = 0; said < messages;) {
    const batch = Math.min(perSample, messages - said);
    for (let i = 0; i < batch; i += WINDOW / 4) {
      const some = Math.min(WINDOW / 4, batch - i);
      const lines = Array.from(
        { length: some },
        (_, k) => `{"type":"say","text":"message ${said + i + k} of a long conversation"}\n`,
      );
      await speaker.write(lines.join(""));
      const due = said + i + some - WINDOW;
      for (const ear of [listener, owl]) {
        await ear.until(`${due} messages`, () => ear.count("message") >= due);
      }
    }
    said += batch;
    if (slow.ended) slow = await join(`fox${++slowGone}`);
    pids().forEach((pid, i) => courses[i]?.bytes.push(residentBytes(pid)));
    progress(Math.round(said / messages * 100));
  }
  await listener.until("all messages", () => listener.count("message") >= messages);
  const status = await stage.run(["server", "status", "--ui", "json", "--certs", "certs"]);
  const closed = JSON.parse(status.stdout).closed ?? {};
  const missing = [owl, listener].reduce((sum, person) => sum + person.count("missing"), 0);
  return {
    courses,
    heard: listener.count("message"),
    missing,
    tooSlow: closed["too-slow"] ?? 0,
    slowGone,
    ms: performance.now() - began,
  };
}

/** How much more a process took at most in the last quarter than in the second. */
export function growth({ bytes }: Course): number {
  const quarter = bytes.length / 4;
  return Math.max(...bytes.slice(3 * quarter)) / Math.max(...bytes.slice(quarter, 2 * quarter));
}
