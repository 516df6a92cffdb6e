import { type IPty, spawn } from "@lydell/node-pty";
import { Screen } from "./screen.ts";

/** How long a test waits for a screen before it fails. No test passes by waiting. */
const PATIENCE_MS = 30_000;

/** A program on a real pseudo-terminal, drawn by an emulator. POSIX only. */
export class Pty {
  readonly screen: Screen;
  /** Settles with the exit code. */
  readonly exited: Promise<number>;
  #pty: IPty;
  #drawn: Promise<void> = Promise.resolve();
  #waiting = new Set<() => void>();

  constructor(command: string, args: string[], options: {
    columns?: number;
    rows?: number;
    env?: Record<string, string>;
  } = {}) {
    const { columns = 80, rows = 24 } = options;
    this.screen = new Screen(columns, rows);
    this.#pty = spawn(command, args, {
      cols: columns,
      rows,
      name: "xterm-256color",
      env: { ...Deno.env.toObject(), TERM: "xterm-256color", ...options.env },
    });
    this.#pty.onData((text) => {
      this.#drawn = this.#drawn.then(() => this.screen.write(text)).then(() => {
        for (const look of this.#waiting) look();
      });
    });
    this.exited = new Promise((resolve) => this.#pty.onExit(({ exitCode }) => resolve(exitCode)));
  }

  /** Of the program itself. */
  get pid(): number {
    return this.#pty.pid;
  }

  /** Types. */
  write(keys: string): void {
    this.#pty.write(keys);
  }

  /** The window first, then the kernel's signal to the program. */
  resize(columns: number, rows: number): void {
    this.screen.resize(columns, rows);
    this.#pty.resize(columns, rows);
  }

  /**
   * Settles as soon as the screen is as wanted.
   *
   * @throws with the screen as it is, if it never gets there
   */
  async shows(wanted: (rows: string[]) => boolean): Promise<string[]> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = () => {
      if (wanted(this.screen.rows)) resolve();
    };
    const timer = setTimeout(
      () => reject(new Error(`the screen never became as wanted:\n${this.screen.rows.join("\n")}`)),
      PATIENCE_MS,
    );
    this.#waiting.add(look);
    look();
    try {
      await promise;
      return this.screen.rows;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(look);
    }
  }

  /** Ends the program, if it has not ended, and waits until all is drawn. */
  async close(): Promise<void> {
    this.#pty.kill("SIGKILL");
    await this.exited;
    await this.#drawn;
    this.screen.close();
  }
}
