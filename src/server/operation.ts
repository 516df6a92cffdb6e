/**
 * What an operator may set beside the limits: logs, metrics, how the relay stops. A table, as the
 * other options are, and a reader that takes what was given, wherever it was.
 *
 * @module
 */
import { type AddressRange, parseRange } from "../transport/address_range.ts";
import type { ListenAddress } from "../transport/listen.ts";
import { LinkError, parseAddress } from "../wire/link_url.ts";
import type { Access } from "../wire/relay_message.ts";
import type { ServerOptionSpec } from "./options.ts";

/** How much a log says. Each level includes those after it. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;

/** One of {@link LOG_LEVELS}. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** How the relay logs. */
export interface LogOptions {
  /** Lines for people, JSON objects, or nothing. */
  readonly format: "off" | "text" | "json";
  /** The least level that is written. */
  readonly level: LogLevel;
  /** Whether addresses of other people are written. */
  readonly addresses: boolean;
}

/** See the module. */
export interface OperationOptions {
  /** Who may use the relay. */
  readonly access: Access;
  /** See {@link LogOptions}. */
  readonly log: LogOptions;
  /** Where metrics and health are served; null for nowhere. */
  readonly metrics: ListenAddress | null;
  /** Milliseconds between "not ready" and the end of the connections. */
  readonly drainMs: number;
  /** Addresses to which the limits of one source do not apply. */
  readonly exempt: readonly AddressRange[];
  /** Addresses of load balancers that speak the PROXY protocol. */
  readonly balancers: readonly AddressRange[];
}

/** Who is at the relay's own machine, or comes through a tunnel that ends there. */
const LOOPBACK_RANGES = "127.0.0.0/8,::1";

/** What is so unless asked for otherwise. */
export const DEFAULT_OPERATION: OperationOptions = {
  access: "open",
  log: { format: "off", level: "info", addresses: false },
  metrics: null,
  drainMs: 0,
  exempt: rangesIn(LOOPBACK_RANGES) ?? [],
  balancers: [],
};

/** Longest wait before a stop. */
const MAX_DRAIN_MS = 600_000;
const LOOPBACK = "127.0.0.1";

/** The options, in the order of help. */
export const OPERATION_OPTIONS: readonly ServerOptionSpec[] = [
  {
    name: "access",
    value: "open|account|code",
    help: "who may enter: everybody, people with an account (stm server user add), or also who " +
      "has a code to make one (stm server code)",
    default: DEFAULT_OPERATION.access,
    example: "account",
  },
  {
    name: "log",
    value: "off|text|json",
    help: "log to standard error, for people or one JSON object a line",
    default: DEFAULT_OPERATION.log.format,
    example: "json",
  },
  {
    name: "log-level",
    value: LOG_LEVELS.join("|"),
    help: "the least level that is logged",
    default: DEFAULT_OPERATION.log.level,
    example: "debug",
  },
  { name: "log-addresses", help: "log people's addresses too; rooms and names never are" },
  {
    name: "metrics",
    value: "[HOST:]PORT",
    help: "serve /metrics, /healthz and /readyz over HTTP; on 127.0.0.1 if no HOST is given",
    example: "9100",
  },
  {
    name: "drain-ms",
    value: "MS",
    help: "time from /readyz saying no until the connections are ended, at a stop",
    default: String(DEFAULT_OPERATION.drainMs),
    example: "5000",
  },
  {
    name: "exempt",
    value: "RANGE[,RANGE]",
    help: "addresses without the limits of one source, as an office behind one address",
    default: LOOPBACK_RANGES,
    example: "203.0.113.7",
    list: true,
  },
  {
    name: "proxy-protocol",
    value: "RANGE[,RANGE]",
    help: "load balancers that say by PROXY protocol v2 whom they bring; they must then",
    example: "10.0.0.0/24",
    list: true,
  },
];

/** Options as they were given, on the command line or elsewhere. */
export interface OptionReader {
  /** Whether a switch is on. */
  has(name: string): boolean;
  /** The value; undefined if there is none. */
  text(name: string): string | undefined;
  /** A whole number within bounds; throws in its own way. */
  number(name: string, fallback: number, min: number, max: number): number;
  /** One of some words; throws in its own way. */
  choice<T extends string>(name: string, choices: readonly T[], fallback: T): T;
  /** What to throw for a wrong value. */
  wrong(name: string, what: string): Error;
}

/**
 * Reads the options of {@link OPERATION_OPTIONS}.
 *
 * @throws {Error} of the reader, for a value that is none
 */
export function readOperation(given: OptionReader): OperationOptions {
  const { log } = DEFAULT_OPERATION;
  return {
    access: given.choice("access", ["open", "account", "code"], DEFAULT_OPERATION.access),
    log: {
      format: given.choice("log", ["off", "text", "json"], log.format),
      level: given.choice("log-level", LOG_LEVELS, log.level),
      addresses: given.has("log-addresses"),
    },
    metrics: metricsAddress(given),
    drainMs: given.number("drain-ms", DEFAULT_OPERATION.drainMs, 0, MAX_DRAIN_MS),
    exempt: readRanges(given, "exempt") ?? DEFAULT_OPERATION.exempt,
    balancers: readRanges(given, "proxy-protocol") ?? DEFAULT_OPERATION.balancers,
  };
}

function readRanges(given: OptionReader, name: string): readonly AddressRange[] | undefined {
  const text = given.text(name);
  if (text === undefined) return undefined;
  const ranges = rangesIn(text);
  if (ranges !== null) return ranges;
  throw given.wrong(name, `takes addresses or ranges as 203.0.113.0/24, not "${text}"`);
}

/** @returns null if one of them is no range */
function rangesIn(text: string): AddressRange[] | null {
  const ranges: AddressRange[] = [];
  for (const part of text.split(",")) {
    const range = parseRange(part);
    if (range === null) return null;
    ranges.push(range);
  }
  return ranges;
}

function metricsAddress(given: OptionReader): ListenAddress | null {
  const text = given.text("metrics");
  if (text === undefined) return null;
  // The port 0 is no address that can be dialled, and here it is wanted in tests.
  const bare = /^(?:([^:]*|\[[^\]]*\]):)?0$/.exec(text);
  if (bare !== null) return { host: bare[1]?.replace(/^\[|\]$/g, "") || LOOPBACK, port: 0 };
  try {
    return parseAddress(/^\d+$/.test(text) ? `${LOOPBACK}:${text}` : text);
  } catch (error) {
    if (!(error instanceof LinkError)) throw error;
    throw given.wrong("metrics", `takes a port, or an address and a port, not "${text}"`);
  }
}
