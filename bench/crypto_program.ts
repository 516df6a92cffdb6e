/**
 * Talking by the program itself: a relay, an admin and two clients, each a process as a person starts it. Whoever is
 * not measured is stopped meanwhile, so that sending and opening are measured apart.
 */
import { Stage } from "../tests/support/stm_process.ts";
import { type Cost, medianCost } from "./measure.ts";

/** What one text of so many bytes costs a client's process. */
export interface ProgramFigures {
  /** From a line on its standard input to a frame at the relay. */
  readonly send: Cost;
  /** From a frame at the relay to a line on its standard output. */
  readonly open: Cost;
}

/** Texts a round: what waits for a stopped client is far below what the relay keeps for it. */
const TEXTS = 5000;

/** A client; of its output only the lines are counted. */
class Talker {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #counts = new Map<string, number>();
  #look = (): void => {};

  constructor(stage: Stage, invite: string, name: string) {
    const { args, env } = stage.command(["client", "-", "--name", name, "--ui", "json"]);
    this.#child = new Deno.Command(Deno.execPath(), {
      args,
      env,
      cwd: stage.folder,
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    void this.#read();
    this.write(`${invite}\n`);
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#count(line);
      this.#look();
    }
  }

  #count(line: string): void {
    const type = /^{"type":"([a-z-]+)"/.exec(line)?.[1] ?? "";
    this.#counts.set(type, (this.#counts.get(type) ?? 0) + 1);
  }

  write(text: string): void {
    void this.#input.write(new TextEncoder().encode(text));
  }

  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Waits for so many lines of a type in all. */
  async has(type: string, count: number): Promise<void> {
    while ((this.#counts.get(type) ?? 0) < count) {
      await new Promise<void>((resolve) => this.#look = resolve);
    }
  }

  /** Milliseconds so far: processor time of all its threads, and how long its main one waited for a processor. */
  async #times(): Promise<{ cpuMs: number; waitedMs: number }> {
    let cpuMs = 0;
    let waitedMs = 0;
    for await (const { name } of Deno.readDir(`/proc/${this.#child.pid}/task`)) {
      const schedstat = await Deno.readTextFile(`/proc/${this.#child.pid}/task/${name}/schedstat`);
      const [ran = 0, waited = 0] = schedstat.split(" ").map((ns) => Number(ns) / 1e6);
      cpuMs += ran;
      if (Number(name) === this.#child.pid) waitedMs = waited;
    }
    return { cpuMs, waitedMs };
  }

  /** By the clock, but for the time that others had the processor. */
  async cost(act: () => Promise<void>): Promise<Cost> {
    const before = await this.#times();
    const start = performance.now();
    await act();
    const ms = performance.now() - start;
    const after = await this.#times();
    return {
      ms: ms - (after.waitedMs - before.waitedMs),
      cpuMs: after.cpuMs - before.cpuMs,
    };
  }

  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }
}

/** Medians of rounds. Linux only, as are the signals. */
export async function measureProgram(textBytes: number, rounds: number): Promise<ProgramFigures> {
  await using stage = await Stage.open();
  const relay = await stage.relay([
    "--frames-per-second",
    "0",
    "--bytes-per-second",
    "0",
    "--metrics",
    "0",
  ]);
  const { metrics } = await relay.process.event("ready");
  const framesAtRelay = async (): Promise<number> => {
    const page = await (await fetch(`http://${metrics}/metrics`)).text();
    return Number(/^stm_frames_in_total (\d+)$/m.exec(page)?.[1]);
  };
  const { owl, invite } = await stage.admin(relay, ["--uses", "2"]);
  const sender = new Talker(stage, invite, "sender");
  const listener = new Talker(stage, invite, "listener");
  await Promise.all([sender.has("joined", 1), listener.has("joined", 1)]);
  await owl.until("two members", () => owl.every("member-joined").length === 2 || undefined);
  const line = JSON.stringify({ type: "say", text: "x".repeat(textBytes) }) + "\n";
  const send: Cost[] = [], open: Cost[] = [];
  // The first round warms up.
  for (let round = 1; round <= rounds + 1; round++) {
    for (const other of [owl, listener]) other.signal("SIGSTOP");
    const sent = await framesAtRelay() + TEXTS;
    send.push(
      await sender.cost(async () => {
        sender.write(line.repeat(TEXTS));
        await sender.has("sent", round * TEXTS);
        while (await framesAtRelay() < sent);
      }),
    );
    sender.signal("SIGSTOP");
    open.push(
      await listener.cost(() => {
        listener.signal("SIGCONT");
        return listener.has("message", round * TEXTS);
      }),
    );
    for (const other of [owl, sender]) other.signal("SIGCONT");
    await owl.until(
      "all texts",
      () => owl.textsOf("sender").length === round * TEXTS || undefined,
    );
  }
  await Promise.all([sender.end(), listener.end()]);
  const one = ({ ms, cpuMs }: Cost): Cost => ({ ms: ms / TEXTS, cpuMs: cpuMs / TEXTS });
  return {
    send: one(medianCost(send.slice(1))),
    open: one(medianCost(open.slice(1))),
  };
}
