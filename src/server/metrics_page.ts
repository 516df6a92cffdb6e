/**
 * The relay's numbers in Prometheus' text format, version 0.0.4. No label has a value that a peer
 * chose, so their number is bounded and they name nobody.
 *
 * @module
 */
import type { RelayCounters } from "./relay.ts";

/** What the page is made from. */
export interface Measurements {
  /** Of the program. */
  readonly version: string;
  /** Seconds since 1970 at which the relay was ready. */
  readonly startedS: number;
  /** Whether it takes new people. */
  readonly ready: boolean;
  /** See {@link RelayCounters}. */
  readonly counters: RelayCounters;
  /** Sockets open now, handshakes included. */
  readonly sockets: number;
  /** Connections that never became one, by why. */
  readonly turnedAway: Readonly<Partial<Record<string, number>>>;
  /** Resident memory in bytes. */
  readonly residentBytes: number;
  /** By how much the last tick was late, in milliseconds: how long others wait for the event loop. */
  readonly tickDelayMs: number;
}

/** The content type of the page. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

type Samples = readonly (readonly [labels: string, value: number])[];

/** The page. */
export function metricsPage(m: Measurements): string {
  const { counters } = m;
  const one = (value: number): Samples => [["", value]];
  const by = (label: string, counts: Readonly<Partial<Record<string, number>>>): Samples =>
    Object.entries(counts).map(([value, count]) => [`{${label}="${value}"}`, count ?? 0]);
  return [
    metric("stm_info", "gauge", "Constant 1; the version is a label.", [
      [`{version="${m.version}"}`, 1],
    ]),
    metric("stm_ready", "gauge", "1 while new people are taken.", one(m.ready ? 1 : 0)),
    metric(
      "stm_start_time_seconds",
      "gauge",
      "When the relay was ready, in seconds since 1970.",
      one(m.startedS),
    ),
    metric("stm_connections", "gauge", "Connections now.", one(counters.connections)),
    metric("stm_sockets", "gauge", "Sockets now, handshakes included.", one(m.sockets)),
    metric("stm_rooms", "gauge", "Rooms with somebody in them.", one(counters.rooms)),
    metric(
      "stm_connections_total",
      "counter",
      "Connections since the start.",
      one(counters.connectionsTotal),
    ),
    metric("stm_frames_in_total", "counter", "Frames taken in.", one(counters.framesIn)),
    metric("stm_bytes_in_total", "counter", "Bytes taken in.", one(counters.bytesIn)),
    metric(
      "stm_held_bytes",
      "gauge",
      "Bytes that wait for those who have not read them, at the last tick.",
      one(counters.heldBytes),
    ),
    metric("stm_bytes_out_total", "counter", "Bytes given out.", one(counters.bytesOut)),
    metric(
      "stm_unknown_frames_total",
      "counter",
      "Frames of a type that this version does not know.",
      one(counters.unknownFrames),
    ),
    metric(
      "stm_logins_begun_total",
      "counter",
      "Logins that were begun; who has guessed wrong finds out alone, and ends it.",
      one(counters.loginsBegun),
    ),
    metric("stm_logins_total", "counter", "Logins that succeeded.", one(counters.logins)),
    metric(
      "stm_logins_refused_total",
      "counter",
      "Logins and registrations that were refused (LOGIN_REFUSED).",
      by("code", counters.loginsRefused),
    ),
    metric(
      "stm_refused_total",
      "counter",
      "Requests that were refused (REFUSED).",
      by("code", counters.refused),
    ),
    metric(
      "stm_closed_total",
      "counter",
      "Connections that the relay ended (CLOSING).",
      by("code", counters.closed),
    ),
    metric(
      "stm_turned_away_total",
      "counter",
      "Connections that never became one.",
      by("code", m.turnedAway),
    ),
    metric(
      "stm_tick_delay_seconds",
      "gauge",
      "By how much the last tick was late.",
      one(m.tickDelayMs / 1000),
    ),
    metric(
      "process_resident_memory_bytes",
      "gauge",
      "Resident memory size in bytes.",
      one(m.residentBytes),
    ),
  ].join("");
}

function metric(name: string, type: "gauge" | "counter", help: string, samples: Samples): string {
  const lines = samples.map(([labels, value]) => `${name}${labels} ${value}`);
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ""].join("\n");
}
