/**
 * The options of `stm server`, as a table: the command line is parsed, and its help written, from
 * it. It imports nothing that costs time to load.
 *
 * @module
 */
import { formatAddress, LinkError, parseAddress } from "../wire/link_url.ts";
import { MAX_FRAME_BYTES, MAX_LEAVES } from "../wire/limits.ts";
import type { ListenAddress } from "../transport/listen.ts";
import { OPERATION_OPTIONS, type OperationOptions, type OptionReader } from "./operation.ts";
import { DEFAULT_RELAY_LIMITS, type RelayLimits } from "./relay_limits.ts";

/** One `--option` of the relay. */
export interface ServerOptionSpec {
  /** Without the dashes. */
  readonly name: string;
  /** What stands for the value in help; without it the option is a switch. */
  readonly value?: string;
  /** A line of help. */
  readonly help: string;
  /** Shown in help. */
  readonly default?: string;
  /** A right value. */
  readonly example?: string;
  /** It may be given several times. */
  readonly list?: true;
}

/** What `runServer` needs. */
export interface ServerOptions {
  /** Where it listens; at least one. */
  readonly listen: readonly ListenAddress[];
  /** Folder of key and certificate. */
  readonly certs: string;
  /** `HOST` or `HOST:PORT` that others can dial, for the server link; null if not given. */
  readonly public: string | null;
  /** How to print. */
  readonly ui: "line" | "json";
  /** What it bears. */
  readonly limits: RelayLimits;
  /** See `operation.ts`. */
  readonly operation: OperationOptions;
}

/** One limit that is also an option. */
export interface LimitOption {
  /** Field of {@link RelayLimits}. */
  readonly limit: keyof RelayLimits;
  /** The option, without the dashes. */
  readonly name: string;
  /** What stands for the value in help. */
  readonly value: string;
  /** A line of help. */
  readonly help: string;
  /** Least value. */
  readonly min: number;
  /** Greatest value. */
  readonly max: number;
}

const MAX_COUNT = 1_000_000;
const MAX_RATE = 1_000_000_000;
const MAX_HELD_BYTES = 2 ** 40;

/** The limits as options, in the order of help. */
export const LIMIT_OPTIONS: readonly LimitOption[] = [
  {
    limit: "maxConnections",
    name: "max-connections",
    value: "N",
    help: "connections open at once",
    min: 1,
    max: MAX_COUNT,
  },
  {
    limit: "maxRooms",
    name: "max-rooms",
    value: "N",
    help: "rooms with somebody in them",
    min: 1,
    max: MAX_COUNT,
  },
  {
    limit: "maxMembersPerRoom",
    name: "max-members",
    value: "N",
    help: "members of one room",
    min: 1,
    max: MAX_LEAVES,
  },
  {
    limit: "maxKnockersPerRoom",
    name: "max-knockers",
    value: "N",
    help: "people waiting at one room to be admitted",
    min: 1,
    max: MAX_COUNT,
  },
  {
    limit: "maxRoomsPerConnection",
    name: "max-rooms-per-connection",
    value: "N",
    help: "rooms that one connection may be in",
    min: 1,
    max: 10_000,
  },
  {
    limit: "maxFrameBytes",
    name: "max-frame-bytes",
    value: "BYTES",
    help: "largest frame of a member",
    min: 65_536,
    max: MAX_FRAME_BYTES,
  },
  {
    limit: "maxLagBytes",
    name: "max-lag-bytes",
    value: "BYTES",
    help: "what may wait for a slow reader before it is dropped",
    min: 65_536,
    max: MAX_RATE,
  },
  {
    limit: "maxHeldBytes",
    name: "max-held-bytes",
    value: "BYTES",
    help: "what may wait for all slow readers together before the slowest are dropped",
    min: 1_048_576,
    max: MAX_HELD_BYTES,
  },
  {
    limit: "handshakeMs",
    name: "handshake-ms",
    value: "MS",
    help: "time for the TLS handshake, and again for the first message",
    min: 100,
    max: 600_000,
  },
  {
    limit: "loginMs",
    name: "login-ms",
    value: "MS",
    help: "time for the login, where one is wanted",
    min: 1000,
    max: 600_000,
  },
  {
    limit: "idleMs",
    name: "idle-ms",
    value: "MS",
    help: "time that a connection may be in no room",
    min: 1000,
    max: 86_400_000,
  },
  {
    limit: "bytesPerSecond",
    name: "bytes-per-second",
    value: "BYTES",
    help: "what one connection may send a second, an owner 8 times that; 0 for no limit",
    min: 0,
    max: MAX_RATE,
  },
  {
    limit: "framesPerSecond",
    name: "frames-per-second",
    value: "N",
    help: "likewise in frames",
    min: 0,
    max: MAX_RATE,
  },
  {
    limit: "sourceConnections",
    name: "source-connections",
    value: "N",
    help: "connections open at once from one address, or of one account; 0 for no limit",
    min: 0,
    max: MAX_COUNT,
  },
  {
    limit: "sourceArrivals",
    name: "source-arrivals",
    value: "N",
    help: "connections a second that it may begin; 20 times that at once",
    min: 0,
    max: MAX_COUNT,
  },
  {
    limit: "sourceJoins",
    name: "source-joins",
    value: "N",
    help: "attempts a second to enter a room; 20 times that at once",
    min: 0,
    max: MAX_COUNT,
  },
  {
    limit: "sourceKnocks",
    name: "source-knocks",
    value: "N",
    help: "frames a second while waiting to be admitted; 20 times that at once",
    min: 0,
    max: MAX_COUNT,
  },
  {
    limit: "sourceFrames",
    name: "source-frames",
    value: "N",
    help: "frames a second; above it the relay reads that source more slowly",
    min: 0,
    max: MAX_RATE,
  },
  {
    limit: "sourceBytes",
    name: "source-bytes",
    value: "BYTES",
    help: "likewise in bytes, an owner's an eighth",
    min: 0,
    max: MAX_RATE,
  },
];

/** Port that is listened on unless another is asked for. */
export const DEFAULT_PORT = 5000;
/** Addresses that are listened on unless others are asked for: all of the machine's. */
export const DEFAULT_HOSTS = "0.0.0.0,::";
/** Folder of key and certificate unless another is asked for. */
export const DEFAULT_CERTS = "certs";

/** All options of `stm server`. */
export const SERVER_OPTIONS: readonly ServerOptionSpec[] = [
  {
    name: "port",
    value: "PORT",
    help: "port to listen on; 0 lets the system choose",
    default: String(DEFAULT_PORT),
    example: "5000",
  },
  {
    name: "host",
    value: "HOST[:PORT]",
    help: "address to listen on; several, if repeated or with commas",
    default: DEFAULT_HOSTS,
    example: "127.0.0.1",
    list: true,
  },
  {
    name: "certs",
    value: "DIR",
    help: "folder of the relay's key and certificate, made on the first start",
    default: DEFAULT_CERTS,
    example: "certs",
  },
  {
    name: "public",
    value: "HOST[:PORT]",
    help: "address that others can dial, for the server link",
    example: "relay.example.org:5000",
  },
  {
    name: "ui",
    value: "line|json",
    help: "print for people, or one JSON object a line",
    default: "line",
    example: "json",
  },
  {
    name: "config",
    value: "FILE",
    help: "read options from a JSON file; variables (STM_PORT) and the command line go before it",
    example: "stm.json",
  },
  { name: "print-config", help: "print all options as they are now, as such a file, and end" },
  ...OPERATION_OPTIONS,
  ...LIMIT_OPTIONS.map(({ limit, name, value, help }) => ({
    name,
    value,
    help,
    default: String(DEFAULT_RELAY_LIMITS[limit]),
    example: String(DEFAULT_RELAY_LIMITS[limit]),
  })),
];

/**
 * Where to listen, as given.
 *
 * @throws {Error} of the reader, for a value that is none
 */
export function readListenAddresses(given: OptionReader): readonly ListenAddress[] {
  const port = given.number("port", DEFAULT_PORT, 0, 65_535);
  return (given.text("host") ?? DEFAULT_HOSTS).split(",").map((item) => {
    const text = item.trim();
    try {
      // Two colons without brackets are an IPv6 address alone.
      const alone = !text.includes(":") || text.endsWith("]") || /^[^[]*:.*:/.test(text);
      if (!alone) return parseAddress(text);
      const bare = text.replace(/^\[(.*)\]$/, "$1");
      return { host: parseAddress(formatAddress(bare, 1)).host, port };
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      throw given.wrong("host", `takes an address of this machine, not "${text}"`);
    }
  });
}

/**
 * The limits as given.
 *
 * @param number reads a whole number from the arguments, or gives the second argument back; throws
 *   in its own way what is not from the third to the fourth
 */
export function readLimits(
  number: (name: string, fallback: number, min: number, max: number) => number,
): RelayLimits {
  const given: { -readonly [K in keyof RelayLimits]: number } = { ...DEFAULT_RELAY_LIMITS };
  for (const { limit, name, min, max } of LIMIT_OPTIONS) {
    given[limit] = number(name, given[limit], min, max);
  }
  return given;
}

/**
 * Names of the options that a relay which runs has otherwise than they are read now, and takes over
 * only when it is started again.
 */
export function waitingForStart(running: ServerOptions, read: ServerOptions): string[] {
  const forGood = ({ listen, certs, public: shown, operation }: ServerOptions) => ({
    host: listen.map(({ host }) => host).join(),
    port: listen.map(({ port }) => port).join(),
    certs,
    public: shown,
    access: operation.access,
    metrics: operation.metrics && formatAddress(operation.metrics.host, operation.metrics.port),
  });
  const has = new Map<string, string | null>(Object.entries(forGood(running)));
  return Object.entries(forGood(read)).filter(([name, value]) => has.get(name) !== value)
    .map(([name]) => name);
}
