/**
 * The program itself, as processes: started through main.ts in a folder of its own, its events read
 * as docs/JSON.md describes them, everything ended and removed in the end.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as v from "valibot";
import { privilegesOf } from "../../src/privileges.ts";
import { type EventFields, JsonEvent } from "../../src/ui/json_schema.ts";
import { Chronicle, type EventOf } from "./chronicle.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));

/** One event of the NDJSON. */
export type Told = EventFields & { at: string };

/** The answer to a command. */
export type Answer = EventOf<"ok", Told> | EventOf<"error", Told>;

/** What a process is started with beside its arguments. */
export interface StmOptions {
  /** Name of the machine: those that have the same share STM_HOME. Each its own if not said. */
  readonly machine?: string;
  readonly env?: Record<string, string>;
  /** `null`: standard input has ended from the start. */
  readonly stdin?: "piped" | "null";
  /** What a shell does about it before `exec "$@"`, and behind that: `ulimit -n 100`, `2>/dev/full`. */
  readonly shell?: readonly [before: string, behind: string];
  /** Do not read standard output before `readOutput()`. */
  readonly unread?: boolean;
}

/** What a relay announced. */
export interface Relay {
  readonly process: StmProcess;
  readonly port: number;
  readonly link: string;
  readonly pin: string;
  readonly fingerprint: string;
}

/** A folder and the processes that were started in it; `await using` ends and removes them all. */
export class Stage implements AsyncDisposable {
  readonly #processes: StmProcess[] = [];
  #machines = 0;

  private constructor(
    /** The working directory of every process. */
    readonly folder: string,
    private readonly denoDir: string,
  ) {}

  /** Makes the folder. */
  static async open(): Promise<Stage> {
    return new Stage(await Deno.makeTempDir({ prefix: "stm-e2e-" }), await denoDirOf());
  }

  /** The STM_HOME of a machine; made by the program, if at all. */
  home(machine: string): string {
    return join(this.folder, machine, "stm");
  }

  /** How the program is started, for a test that starts it itself. */
  command(args: readonly string[], machine = `machine-${++this.#machines}`): {
    args: string[];
    env: Record<string, string>;
  } {
    const home = join(this.folder, machine);
    return {
      args: [
        ...["run", "-A", "--no-check", "--no-lock", "--quiet", "--config", CONFIG],
        ...privilegesOf(args[0]).runtime,
        ...[MAIN, ...args],
      ],
      env: {
        HOME: home,
        APPDATA: home,
        STM_HOME: this.home(machine),
        DENO_DIR: this.denoDir,
        DENO_NO_UPDATE_CHECK: "1",
        NO_COLOR: "1",
      },
    };
  }

  /** Starts `stm ARGS`. */
  start(args: readonly string[], options: StmOptions = {}): StmProcess {
    const command = this.command(args, options.machine);
    const { shell } = options;
    const [program, ...before] = shell === undefined
      ? [Deno.execPath()]
      : ["sh", "-c", `${shell[0]}\nexec "$@" ${shell[1]}`, "sh", Deno.execPath()];
    const child = new Deno.Command(program, {
      args: [...before, ...command.args],
      env: { ...command.env, ...options.env },
      cwd: this.folder,
      stdin: options.stdin ?? "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const name = args[args.indexOf("--name") + 1] ?? "";
    const process = new StmProcess(name, child, options);
    this.#processes.push(process);
    return process;
  }

  /** Runs `stm ARGS` without input to its end. */
  async run(args: readonly string[], options: StmOptions = {}): Promise<StmProcess> {
    const process = this.start(args, { stdin: "null", ...options });
    await process.exit;
    return process;
  }

  /** Starts a relay on a free port of loopback, and waits until it is ready. */
  async relay(args: readonly string[] = []): Promise<Relay> {
    const certs = join(this.folder, "certs");
    const process = this.start([
      "server",
      "--host",
      "127.0.0.1",
      ...(args.includes("--port") ? [] : ["--port", "0"]),
      ...(args.includes("--certs") ? [] : ["--certs", certs]),
      "--ui",
      "json",
      ...args,
    ]);
    const { port, link, pin, fingerprint } = await process.event("ready");
    return { process, port, link, pin, fingerprint };
  }

  /** Starts an admin of a room of invited people, and waits for its first invite. */
  async admin(
    relay: Relay,
    args: readonly string[] = [],
  ): Promise<{ owl: StmProcess; invite: string }> {
    const owl = this.start(
      [
        "admin",
        relay.link,
        "--room",
        "R",
        "--name",
        "owl",
        "--ui",
        "json",
        "--retry",
        "0",
        ...args,
      ],
    );
    return { owl, invite: (await owl.event("invite")).url };
  }

  /** Starts a client with an invite from its standard input, and does not wait. */
  client(invite: string, name: string, options: StmOptions = {}): StmProcess {
    const client = this.start(
      ["client", "-", "--name", name, "--ui", "json", "--retry", "0"],
      options,
    );
    client.write(`${invite}\n`);
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.kill()));
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** One running `stm`; its chronicle is what it prints with `--ui json`. */
export class StmProcess extends Chronicle<Told> {
  /** Settles with the exit code, 128 + n after a signal, once all its output is here. */
  readonly exit: Promise<number>;
  stdout = "";
  stderr = "";
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array> | null;
  readonly #output: ReadableStreamDefaultReader<Uint8Array>;
  readonly #reading = Promise.withResolvers<void>();
  #gone = false;
  #line = "";
  #refs = 0;

  /** @param name of the person; of the command where there is none */
  constructor(readonly name: string, child: Deno.ChildProcess, options: StmOptions) {
    super(
      `stm ${name}`,
      () => `--- stdout\n${shortened(this.stdout)}\n--- stderr\n${shortened(this.stderr)}\n---`,
    );
    this.#child = child;
    this.#input = options.stdin === "null" ? null : child.stdin.getWriter();
    if (!(options.unread ?? false)) this.#reading.resolve();
    this.#output = child.stdout.getReader();
    const out = this.#reading.promise.then(() => this.#read(this.#output, (t) => this.#out(t)));
    const err = this.#read(child.stderr.getReader(), (text) => this.stderr += text);
    this.exit = Promise.all([child.status, out, err]).then(([status]) => {
      this.#gone = true;
      this.end();
      // A reader that has gone makes the last write fail; nobody waits for it.
      this.#input?.close().catch(() => {});
      return status.code;
    });
  }

  async #read(
    reader: ReadableStreamDefaultReader<Uint8Array>,
    take: (text: string) => void,
  ): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        take(decoder.decode(value, { stream: true }));
        this.look();
      }
    } catch (error) {
      // closeOutput() ends the reading.
      if (!(error instanceof Deno.errors.BadResource || error instanceof TypeError)) throw error;
    }
  }

  #out(text: string): void {
    this.stdout += text;
    const lines = (this.#line + text).split("\n");
    this.#line = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith('{"type":')) this.add(v.parse(JsonEvent, JSON.parse(line)));
    }
  }

  /** Begins to read the output of a process that was started `unread`. */
  readOutput(): void {
    this.#reading.resolve();
  }

  /** Closes our end of its standard output, as `head` does. */
  async closeOutput(): Promise<void> {
    await this.#output.cancel();
    this.#reading.resolve();
  }

  /** Of the process. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Waits for a piece of standard output. */
  shows(pattern: RegExp): Promise<RegExpExecArray> {
    return this.until(`${pattern}`, () => pattern.exec(this.stdout) ?? undefined);
  }

  /** Writes to standard input as it is. */
  write(text: string): void {
    // A process that has ended reads no more; the test sees that from its exit.
    this.#input?.write(new TextEncoder().encode(text)).catch(() => {});
  }

  /** Gives one NDJSON command. */
  send(command: Record<string, unknown>): void {
    this.write(`${JSON.stringify(command)}\n`);
  }

  /** Says something, without waiting. */
  say(text: string, room?: string): void {
    this.send({ type: "say", text, ...(room === undefined ? {} : { room }) });
  }

  /** Gives a slash command and waits for its answer. */
  async command(line: string, room?: string): Promise<Answer> {
    const ref = `e2e-${++this.#refs}`;
    this.send({ type: "command", line, ref, ...(room === undefined ? {} : { room }) });
    return await this.until(
      line,
      () =>
        this.events.find((event): event is Answer =>
          (event.type === "ok" || event.type === "error") && event.ref === ref
        ),
    );
  }

  /** Ends its standard input. */
  endInput(): void {
    this.#input?.close().catch(() => {});
  }

  /** Sends a signal. */
  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Ends it, if it has not ended, and waits for that. */
  async kill(): Promise<void> {
    this.readOutput();
    if (!this.#gone) {
      try {
        this.#child.kill("SIGKILL");
      } catch (error) {
        // It has just ended by itself.
        if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    await this.exit;
  }
}

/** The end of an output, without the end of long lines. */
function shortened(output: string): string {
  return output.split("\n").slice(-100).map((line) => line.slice(0, 300)).join("\n");
}

let denoDir: Promise<string> | undefined;

/** Where this runtime keeps its packages: HOME is another one for the processes. */
function denoDirOf(): Promise<string> {
  return denoDir ??= (async () => {
    const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] })
      .output();
    const schema = v.object({ denoDir: v.string() });
    return v.parse(schema, JSON.parse(new TextDecoder().decode(stdout))).denoDir;
  })();
}
