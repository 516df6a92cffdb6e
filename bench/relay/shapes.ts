/**
 * What is measured, and what of it is promised.
 *
 * @module
 */
import { NOBODY_EXEMPT, UNTHROTTLED } from "./servers.ts";

/** One kind of load. */
export interface Shape {
  /** On the command line. */
  readonly name: string;
  /** In tables. */
  readonly title: string;
  /** Options of load.c. */
  readonly load: Readonly<Record<string, string | number>>;
  /** Options of `stm server`. */
  readonly relayOptions: readonly string[];
  /** Which columns say something. */
  readonly columns: "saturated" | "rate" | "idle";
  /** Servers that a quick run measures; all others only in a full one. */
  readonly quick: readonly string[];
  /** Whether it belongs to 1→N and N→N as fast as it goes. */
  readonly grid: boolean;
  /** Servers that would take minutes. */
  readonly slow?: readonly string[];
}

const PEERS = ["nats-server", "mosquitto"];

function saturated(
  name: string,
  title: string,
  load: Record<string, number>,
  quick: readonly string[] = [],
): Shape {
  const relayOptions = UNTHROTTLED;
  return {
    name,
    title,
    load: { shape: "throughput", ...load },
    relayOptions,
    columns: "saturated",
    quick,
    grid: (load["window"] ?? 0) > 1 && load["aside"] === undefined,
  };
}

/** Within all limits as they are by default, those of one source included, while they let so many in. */
function rate(
  name: string,
  title: string,
  load: Record<string, number>,
  quick: readonly string[] = [],
): Shape {
  const few = (load["members"] ?? 0) <= 100;
  const relayOptions = few ? NOBODY_EXEMPT : [];
  return {
    name,
    title,
    load: { shape: "rate", warm: 10, ...load },
    relayOptions,
    columns: "rate",
    quick,
    grid: false,
  };
}

/** Counted from the thousand-and-first on, when every server is warm. */
function idle(name: string, title: string): Shape {
  const load = { shape: name, members: 4000, first: 1000, seconds: 3 };
  const quick = ["stm", ...PEERS, "bare node:tls"];
  return {
    name,
    title,
    load,
    relayOptions: [],
    columns: "idle",
    quick,
    grid: false,
    slow: ["inspircd", "ngircd"],
  };
}

const BIG = 16_384;
const STALLING = { members: 20, aside: 5 };

/** All shapes, in the order in which they are printed. */
export const SHAPES: readonly Shape[] = [
  saturated("1x2", "1→2", { members: 2, window: 128 }),
  saturated("1x10", "1→10", { members: 10, window: 512 }),
  saturated("1x100", "1→100", { members: 100, window: 256 }, ["stm", ...PEERS, "C loop"]),
  saturated("1x1000", "1→1000", { members: 1000, window: 64 }, ["stm", "nats-server"]),
  saturated("2x2", "2→2", { members: 2, senders: 2, window: 128 }),
  saturated("10x10", "10→10", { members: 10, senders: 10, window: 512 }),
  saturated("100x100", "100→100", { members: 100, senders: 100, window: 256 }, [
    ...["stm", "nats-server", "C loop"],
  ]),
  saturated("1000x1000", "1000→1000", { members: 1000, senders: 1000, window: 64, warm: 3 }),
  saturated("one-1x10", "1→10, one in flight", { members: 10, window: 1 }),
  saturated("one-1x100", "1→100, one in flight", { members: 100, window: 1 }, [
    ...["stm", "nats-server", "bare node:tls"],
  ]),
  saturated("one-1x1000", "1→1000, one in flight", { members: 1000, window: 1 }),
  saturated("big-1x2", "1→2, 16 KiB", { members: 2, payload: BIG, window: 64 }),
  saturated("big-1x10", "1→10, 16 KiB", { members: 10, payload: BIG, window: 64 }),
  saturated("big-1x100", "1→100, 16 KiB", { members: 100, payload: BIG, window: 16 }, [
    ...["stm", ...PEERS, "bare node:tls"],
  ]),
  saturated("big-1x1000", "1→1000, 16 KiB", { members: 1000, payload: BIG, window: 4 }),
  ...[2, 10, 100].map((members) =>
    saturated(`big-${members}x${members}`, `${members}→${members}, 16 KiB`, {
      ...{ members, senders: members, payload: BIG, window: members < 100 ? 64 : 16 },
    })
  ),
  rate("rate-1x2", "1→2 at 1,000/s", { members: 2, rate: 1000 }),
  rate("rate-1x100", "1→100 at 200/s", { members: 100, rate: 200 }),
  rate("rate-1x1000", "1→1000 at 20/s", { members: 1000, rate: 20 }),
  rate("rate-10x10", "10→10 at 1,000/s", { members: 10, senders: 10, rate: 1000 }, [
    ...["stm", "nats-server"],
  ]),
  rate("rate-100x100", "100→100 at 200/s", { members: 100, senders: 100, rate: 200 }, [
    ...["stm", "nats-server"],
  ]),
  rate("rate-1000x1000", "1000→1000 at 20/s", { members: 1000, senders: 1000, rate: 20 }),
  rate("rate-big-1x100", "1→100 at 20/s, 16 KiB", { members: 100, payload: BIG, rate: 20 }),
  idle("handshakes", "a greeting each"),
  idle("idle", "idle members"),
  saturated("reading", "20, all reading", { ...STALLING, window: 256 }, ["stm"]),
  saturated("stalled", "20, five stopped", { ...STALLING, "aside-read": 0, window: 256 }, ["stm"]),
  rate("rate-reading", "20 at 1,000/s, all reading", { ...STALLING, senders: 15, rate: 1000 }, [
    "stm",
  ]),
  rate("rate-stalled", "20 at 1,000/s, five stopped", {
    ...{ ...STALLING, "aside-read": 0, senders: 15, rate: 1000 },
  }, ["stm"]),
];

/** Medians: of a field, of a server, in a shape; NaN where nothing was measured. */
export type Figure = (server: string, shape: string, field: string) => number;

/** What docs/PERFORMANCE.md promises. */
export interface Promised {
  /** In words. */
  readonly text: string;
  /** The shapes that it is about. */
  readonly shapes: readonly string[];
  /** What was measured, in the unit of the bound. */
  readonly measured: (of: Figure) => number;
  /** Its bound. */
  readonly bound: number;
  /** Whether the bound is the least or the most. */
  readonly at: "least" | "most";
  /** Behind the numbers. */
  readonly unit: string;
}

function ratio(
  at: "least" | "most",
  bound: number,
  what: string,
  field: string,
  shape: string,
  other: string,
): Promised {
  return {
    text: `${what} of ${shape}, to ${other}`,
    shapes: [shape],
    measured: (of) => of("stm", shape, field) / of(other, shape, field),
    bound,
    at,
    unit: "×",
  };
}

const cpu = (most: number, shape: string, other: string): Promised =>
  ratio("most", most, "CPU a delivery", "cpu_us", shape, other);
const throughput = (least: number, shape: string, other: string): Promised =>
  ratio("least", least, "throughput", "deliveries_per_s", shape, other);

/** All of it, in the order of issue and page. */
export const PROMISES: readonly Promised[] = [
  cpu(0.65, "1x100", "nats-server"),
  cpu(0.1, "1x100", "mosquitto"),
  cpu(0.35, "100x100", "nats-server"),
  cpu(0.6, "1x1000", "nats-server"),
  throughput(1.3, "1x100", "nats-server"),
  throughput(2.5, "100x100", "nats-server"),
  throughput(0.55, "1x100", "C loop"),
  throughput(0.8, "100x100", "C loop"),
  cpu(1, "one-1x100", "nats-server"),
  {
    text: "CPU a delivery of big-1x100, to the best peer",
    shapes: ["big-1x100"],
    measured: (of) =>
      of("stm", "big-1x100", "cpu_us") /
      Math.min(...PEERS.map((peer) => of(peer, "big-1x100", "cpu_us"))),
    bound: 0.95,
    at: "most",
    unit: "×",
  },
  ...["rate-10x10", "rate-100x100"].flatMap((shape): Promised[] => [
    ratio("most", 1.3, "p50", "p50_us", shape, "nats-server"),
    ratio("most", 1.5, "p99", "p99_us", shape, "nats-server"),
    {
      text: `p99 of ${shape}: no plateau of delayed acknowledgements`,
      shapes: [shape],
      measured: (of) => of("stm", shape, "p99_us") / 1000,
      bound: 30,
      at: "most",
      unit: "ms",
    },
  ]),
  {
    text: "memory of an idle connection",
    shapes: ["idle"],
    measured: (of) => of("stm", "idle", "kb_per_link"),
    bound: 35,
    at: "most",
    unit: "KB",
  },
  ratio("most", 1, "CPU a greeting", "setup_cpu_us", "handshakes", "mosquitto"),
  {
    text: "throughput of the others when five of twenty stop reading",
    shapes: ["reading", "stalled"],
    measured: (of) =>
      of("stm", "stalled", "messages_per_s") / of("stm", "reading", "messages_per_s"),
    bound: 0.95,
    at: "least",
    unit: "×",
  },
  {
    text: "p99 of the others when five of twenty stop reading",
    shapes: ["rate-reading", "rate-stalled"],
    measured: (of) => of("stm", "rate-stalled", "p99_us") / of("stm", "rate-reading", "p99_us"),
    bound: 1.05,
    at: "most",
    unit: "×",
  },
  {
    text: "memory more when five of twenty stop reading",
    shapes: ["reading", "stalled"],
    measured: (of) => (of("stm", "stalled", "peak_kb") - of("stm", "reading", "peak_kb")) / 1024,
    bound: 64,
    at: "most",
    unit: "MiB",
  },
];
