/**
 * Somebody in the demo: the real `stm admin` or `stm client`, run as a program would run it, by
 * docs/JSON.md: events come out, commands go in, and the script waits for events, never for time.
 */
import * as v from "valibot";
import type { ParticipantPorts } from "./driver/participant.ts";
import { generateSessionKeys } from "./crypto/session_keys.ts";
import type { Notice } from "./session/notice.ts";
import { LineCutter } from "./ui/input_lines.ts";
import { JsonEvent } from "./ui/json_schema.ts";
import { byteInput, type Terminal } from "./ui/terminal.ts";

/** A notice of one type. */
export type NoticeOf<T extends Notice["type"]> = Extract<Notice, { type: T }>;

/** What the stage hears of a person. */
export interface Audience {
  /**
   * An event was told.
   *
   * @param line as the program printed it, without the line feed
   */
  heard(label: string, notice: Notice, line: string): void;
  /** Something happened that may not happen. */
  failed(problem: string): void;
}

interface Waiter {
  readonly what: string;
  readonly take: (notice: Notice) => boolean;
}

const EVENT_LINE = v.pipe(v.string(), v.parseJson(), JsonEvent);
const MAX_LINE_BYTES = 1024 * 1024;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A participant and the script's hold on it. */
export class DemoPerson {
  /** All that was told, in order. */
  readonly notices: Notice[] = [];
  /** Settles when the run's keys are made. */
  readonly keysMade: Promise<void>;
  readonly #keysMade = Promise.withResolvers<void>();
  readonly #waiters = new Set<Waiter>();
  readonly #input: Uint8Array[] = [];
  readonly #output: Uint8Array[] = [];
  readonly #interrupts = new Set<() => void>();
  readonly #cutter = new LineCutter(MAX_LINE_BYTES);
  #wakeInput: (() => void) | null = null;
  #exit: Promise<number> | null = null;

  /** @param label what the demo calls this person */
  constructor(readonly label: string, private readonly audience: Audience) {
    this.keysMade = this.#keysMade.promise;
  }

  /** Starts the program. */
  start(program: (ports: ParticipantPorts) => Promise<number>): void {
    const exit = program(this.#ports());
    this.#exit = exit;
    exit.then(
      (code) => {
        if (code !== 0) this.#fail(`ended with exit code ${code}`);
        else if (this.#waiters.size > 0) this.#fail("ended too early");
      },
      (error) => this.#fail(error instanceof Error ? error.message : String(error)),
    );
  }

  /** The exit code, once the program has ended. */
  get exit(): Promise<number> {
    return this.#exit ?? Promise.reject(new Error(`${this.label} was not started`));
  }

  /** A line for standard input. */
  type(line: string): void {
    this.#input.push(encoder.encode(line + "\n"));
    this.#wakeInput?.();
  }

  /** Says something in the room. */
  say(text: string): void {
    this.type(JSON.stringify({ type: "say", text }));
  }

  /** Gives a slash command. */
  command(line: string): void {
    this.type(JSON.stringify({ type: "command", line }));
  }

  /** What ^C does. */
  interrupt(): void {
    for (const callback of this.#interrupts) callback();
  }

  /** The first notice of that type that passes, told already or to come. */
  until<T extends Notice["type"]>(
    what: string,
    type: T,
    passes: (notice: NoticeOf<T>) => boolean = () => true,
  ): Promise<NoticeOf<T>> {
    const fits = (notice: Notice): notice is NoticeOf<T> => isOf(notice, type) && passes(notice);
    const past = this.notices.find(fits);
    if (past !== undefined) return Promise.resolve(past);
    return new Promise((resolve) => {
      this.#waiters.add({
        what,
        take(notice) {
          if (!fits(notice)) return false;
          resolve(notice);
          return true;
        },
      });
    });
  }

  /** What the script waits for, for people. */
  waitingFor(): string[] {
    return [...this.#waiters].map(({ what }) => `${this.label}: ${what}`);
  }

  /** All that the program printed. */
  printed(): readonly Uint8Array[] {
    return this.#output;
  }

  #fail(what: string): void {
    this.audience.failed(`${this.label} ${what}`);
  }

  #hear(line: string): void {
    const event = v.safeParse(EVENT_LINE, line);
    if (!event.success) return this.#fail(`printed what docs/JSON.md does not have: ${line}`);
    const notice: Notice = event.output;
    this.notices.push(notice);
    this.audience.heard(this.label, notice, line);
    for (const waiter of this.#waiters) {
      if (waiter.take(notice)) this.#waiters.delete(waiter);
    }
    if (notice.type === "warning" || notice.type === "error") {
      this.#fail(`met a problem (${notice.code}): ${notice.message}`);
    }
  }

  #ports(): ParticipantPorts {
    return {
      terminal: this.#terminal(),
      env: { get: () => undefined },
      // Links hold the relay's key, so nothing has to be remembered.
      folder: () => {
        throw new Error("the demo remembers nothing");
      },
      sessionKeys: async () => {
        const keys = await generateSessionKeys();
        this.#keysMade.resolve();
        return keys;
      },
      onSignal: (callback) => {
        this.#interrupts.add(callback);
        return () => this.#interrupts.delete(callback);
      },
    };
  }

  #terminal(): Terminal {
    return {
      ...byteInput(() => this.#nextInput()),
      write: (bytes) => {
        this.#output.push(bytes.slice());
        for (const line of this.#cutter.push(bytes)) {
          if (line.kind === "line") this.#hear(decoder.decode(line.bytes));
          else this.#fail("printed a line that is too long");
        }
        return Promise.resolve();
      },
      isTerminal: false,
      hasEscapes: false,
      size: () => ({ columns: 80, rows: 24 }),
      setRaw: () => {},
      writeNow: () => {},
      onResize: () => () => {},
      onExit: () => () => {},
    };
  }

  async #nextInput(): Promise<Uint8Array> {
    for (;;) {
      const next = this.#input.shift();
      if (next !== undefined) return next;
      await new Promise<void>((resolve) => this.#wakeInput = resolve);
    }
  }
}

function isOf<T extends Notice["type"]>(notice: Notice, type: T): notice is NoticeOf<T> {
  return notice.type === type;
}
