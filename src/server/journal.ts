/**
 * The relay's log: one line an event, for people or as JSON. What could name somebody is a field of
 * its own that is left out unless the operator asked for it; room ids, names and what people send
 * are not among the fields at all.
 *
 * @module
 */
import { LOG_LEVELS, type LogLevel, type LogOptions } from "./operation.ts";
import { type Bucket, fullBucket, type Rate, take } from "./rate.ts";

/** What happened, in words that do not change: docs/OPERATIONS.md explains each. */
export type LogEvent =
  | "ready"
  | "metrics-ready"
  | "stopping"
  | "stopped"
  | "opened"
  | "closed"
  | "turned-away"
  | "traffic"
  | "reloaded"
  | "key-changed"
  | "no-control"
  | "failed";

/** Facts that name nobody. */
export type LogFields = Readonly<Record<string, string | number | boolean>>;

/** Events of one kind that may be written, so that a flood does not fill the disk. */
const LOG_RATE: Rate = { burst: 50, perSecond: 2 };

/** Writes log lines. */
export class Journal {
  #options: LogOptions;
  readonly #write: (line: string) => void;
  readonly #now: () => Date;
  readonly #rates = new Map<LogEvent, { bucket: Bucket; left: number }>();

  /** @param write gets lines without their line feed */
  constructor(options: LogOptions, write: (line: string) => void, now = () => new Date()) {
    this.#options = options;
    this.#write = write;
    this.#now = now;
  }

  /** Other options from now on. */
  adopt(options: LogOptions): void {
    this.#options = options;
  }

  /** Whether this level is written at all; saves making fields that nobody reads. */
  writes(level: LogLevel): boolean {
    const { format } = this.#options;
    return format !== "off" &&
      LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(this.#options.level);
  }

  /**
   * Writes an event, unless there were too many of its kind: then the next one that is written says
   * in `unwritten` how many were not.
   *
   * @param address of somebody else, `host:port`; only for `--log-addresses`
   */
  log(level: LogLevel, event: LogEvent, fields: LogFields = {}, address?: string): void {
    if (!this.writes(level)) return;
    const now = this.#now();
    const unwritten = this.#unwritten(event, now.getTime());
    if (unwritten === null) return;
    const all: LogFields = {
      ...fields,
      ...(address !== undefined && this.#options.addresses ? { address } : {}),
      ...(unwritten > 0 ? { unwritten } : {}),
    };
    const at = now.toISOString();
    this.#write(
      this.#options.format === "json"
        ? JSON.stringify({ at, level, event, ...all })
        : [at, level.padEnd(5), event, ...Object.entries(all).map(pair)].join(" "),
    );
  }

  /** @returns how many were left out since the last; null if this one is left out too */
  #unwritten(event: LogEvent, nowMs: number): number | null {
    let rate = this.#rates.get(event);
    if (rate === undefined) {
      this.#rates.set(event, rate = { bucket: fullBucket(LOG_RATE, nowMs), left: 0 });
    }
    if (!take(rate.bucket, LOG_RATE, nowMs)) {
      rate.left++;
      return null;
    }
    const { left } = rate;
    rate.left = 0;
    return left;
  }
}

/** `name=value`; a value with anything but plain characters as JSON, so that no line can be forged. */
function pair([name, value]: [string, string | number | boolean]): string {
  return `${name}=${/^[\w.:/+[\]-]+$/.test(String(value)) ? value : JSON.stringify(value)}`;
}
