/**
 * What runs beside a relay for the one who operates it: the log's lines, the metrics page, the clock
 * that the relay's graces hang on.
 *
 * @module
 */
import type { Listener } from "../transport/listen.ts";
import type { Journal } from "./journal.ts";
import { metricsPage } from "./metrics_page.ts";
import type { OperationOptions } from "./operation.ts";
import { Relay, type RelayCounters, SYSTEM_PORTS, TICK_MS } from "./relay.ts";
import type { RelayLimits } from "./relay_limits.ts";
import type { RelayKey } from "../wire/ids.ts";

/** How often the log says what went through, if anything did. */
const TRAFFIC_EVERY_MS = 60_000;

/** Connections that never became one, by why. */
export type TurnedAway = Record<string, number>;

/** What an operation is made of. */
export interface OperationParts {
  /** Of the program. */
  readonly version: string;
  /** See {@link OperationOptions}. */
  readonly options: OperationOptions;
  /** The log. */
  readonly journal: Journal;
  /** Where the links come from. */
  readonly listener: Listener;
  /** Counted by the listener's owner. */
  readonly turnedAway: TurnedAway;
}

/** See the module. */
export class Operation {
  /** The relay, to which links may be given. */
  readonly relay: Relay;
  readonly #parts: OperationParts;
  readonly #startedS = Date.now() / 1000;
  readonly #ticker: ReturnType<typeof setInterval>;
  #ready = true;
  #dueMs = performance.now() + TICK_MS;
  #tickDelayMs = 0;
  #toldMs = performance.now();
  #told: RelayCounters | null = null;

  /** Makes the relay and looks after it until {@link close}. */
  constructor(key: RelayKey, limits: RelayLimits, parts: OperationParts) {
    const { journal } = parts;
    this.#parts = parts;
    this.relay = new Relay(key, limits, {
      ...SYSTEM_PORTS,
      closed: (code, address) => {
        // At the end everybody is closed, which one line says.
        if (code !== "shutting-down") journal.log("info", "closed", { code }, address);
      },
    });
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Whether new people are taken. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Says "not ready" from now on, waits as long as was asked for, and empties the relay. */
  async stop(reason: string, hurry: Promise<unknown>): Promise<void> {
    this.#ready = false;
    const { options, journal } = this.#parts;
    const { connections } = this.relay.counters;
    journal.log("info", "stopping", { reason, connections });
    if (options.drainMs > 0) await within(options.drainMs, hurry);
    await this.relay.shutDown();
    journal.log("info", "stopped");
  }

  /** Ends the clock. */
  close(): void {
    this.#ready = false;
    clearInterval(this.#ticker);
  }

  /** The metrics page as of now. */
  page(): string {
    return metricsPage({
      version: this.#parts.version,
      startedS: this.#startedS,
      ready: this.#ready,
      counters: this.relay.counters,
      sockets: this.#parts.listener.connections(),
      turnedAway: this.#parts.turnedAway,
      residentBytes: Deno.memoryUsage().rss,
      tickDelayMs: this.#tickDelayMs,
    });
  }

  #tick(): void {
    const { relay } = this;
    const nowMs = performance.now();
    this.#tickDelayMs = Math.max(0, nowMs - this.#dueMs);
    this.#dueMs = nowMs + TICK_MS;
    relay.tick();
    if (nowMs - this.#toldMs >= TRAFFIC_EVERY_MS) {
      this.#toldMs = nowMs;
      this.#tellTraffic(relay.counters);
    }
  }

  #tellTraffic(counters: RelayCounters): void {
    const before = this.#told;
    this.#told = { ...counters };
    const moved = (name: "framesIn" | "bytesIn" | "bytesOut" | "connectionsTotal") =>
      counters[name] - (before?.[name] ?? 0);
    if (moved("framesIn") === 0 && moved("connectionsTotal") === 0) return;
    this.#parts.journal.log("info", "traffic", {
      connections: counters.connections,
      rooms: counters.rooms,
      arrived: moved("connectionsTotal"),
      frames: moved("framesIn"),
      bytesIn: moved("bytesIn"),
      bytesOut: moved("bytesOut"),
    });
  }
}

/** Waits that long, or until something else is settled. */
async function within(ms: number, other: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const waited = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([waited, other]);
  clearTimeout(timer);
}
