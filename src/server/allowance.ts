/**
 * What one source may do: one address (of IPv6, one network), or one account. However many
 * connections it has, they draw on the same buckets.
 *
 * @module
 */
import { type Bucket, charge, fullBucket, left, type Rate, take, trafficRate } from "./rate.ts";
import type { RelayLimits } from "./relay_limits.ts";

/** Sources that are remembered; beyond it those that have no connection are forgotten first. */
export const MAX_SOURCES = 65_536;

/** How often each thing may happen. */
export interface SourceRates {
  /** Connections open at once; 0 for no limit. */
  readonly open: number;
  /** Connections that begin, with their handshakes. */
  readonly arrivals: Rate;
  /** ENTERs. */
  readonly joins: Rate;
  /** Frames of knockers. */
  readonly knocks: Rate;
  /** Frames. */
  readonly frames: Rate;
  /** Bytes. */
  readonly bytes: Rate;
}

/** What a source may send at once, whatever its rates are. */
const LEAST_BURST = { bytes: 1_048_576, frames: 2000 };

/** The rates of {@link RelayLimits}: what is rare has bursts of 20 seconds. */
export function sourceRates(limits: RelayLimits): SourceRates {
  const rare = (perSecond: number): Rate => ({ burst: 20 * perSecond, perSecond });
  return {
    open: limits.sourceConnections,
    arrivals: rare(limits.sourceArrivals),
    joins: rare(limits.sourceJoins),
    knocks: rare(limits.sourceKnocks),
    frames: trafficRate(limits.sourceFrames, LEAST_BURST.frames),
    bytes: trafficRate(limits.sourceBytes, LEAST_BURST.bytes),
  };
}

/** One source's buckets. */
export class Allowance {
  /** Connections open now. */
  open = 0;
  #rates: SourceRates;
  readonly #arrivals: Bucket;
  readonly #joins: Bucket;
  readonly #knocks: Bucket;
  readonly #frames: Bucket;
  readonly #bytes: Bucket;

  /** @param nowMs of a clock that does not go back */
  constructor(rates: SourceRates, nowMs: number) {
    this.#rates = rates;
    this.#arrivals = fullBucket(rates.arrivals, nowMs);
    this.#joins = fullBucket(rates.joins, nowMs);
    this.#knocks = fullBucket(rates.knocks, nowMs);
    this.#frames = fullBucket(rates.frames, nowMs);
    this.#bytes = fullBucket(rates.bytes, nowMs);
  }

  /** Other rates from now on. */
  adopt(rates: SourceRates): void {
    this.#rates = rates;
  }

  /** Counts a connection that begins, if it may. @returns why it may not; null if it may */
  arrive(nowMs: number): "source-full" | "source-rate" | null {
    const { open, arrivals } = this.#rates;
    if (open > 0 && this.open >= open) return "source-full";
    if (!take(this.#arrivals, arrivals, nowMs)) return "source-rate";
    this.open++;
    return null;
  }

  /** Counts an ENTER. @returns whether it may be looked at */
  join(nowMs: number): boolean {
    return take(this.#joins, this.#rates.joins, nowMs);
  }

  /** Counts a frame of a knocker. @returns whether it may be passed on */
  knock(nowMs: number): boolean {
    return take(this.#knocks, this.#rates.knocks, nowMs);
  }

  /** What it may still send now. */
  leftBytes(nowMs: number): number {
    return left(this.#bytes, this.#rates.bytes, nowMs);
  }

  /** Likewise, in frames. */
  leftFrames(nowMs: number): number {
    return left(this.#frames, this.#rates.frames, nowMs);
  }

  /** Accounts for what came. @returns for how many ms this connection should not be read from */
  charge(bytes: number, frames: number, nowMs: number): number {
    return Math.max(
      charge(this.#bytes, this.#rates.bytes, nowMs, bytes),
      charge(this.#frames, this.#rates.frames, nowMs, frames),
    );
  }
}

/** All sources by name. */
export class Allowances {
  #rates: SourceRates;
  /** In the order in which they were last asked for. */
  readonly #sources = new Map<string, Allowance>();

  /** @param rates of each source */
  constructor(rates: SourceRates) {
    this.#rates = rates;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#sources.size;
  }

  /** The source of this name, with full buckets if it is not remembered. */
  of(name: string, nowMs: number): Allowance {
    const known = this.#sources.get(name);
    const source = known ?? new Allowance(this.#rates, nowMs);
    if (known !== undefined) this.#sources.delete(name);
    else if (this.#sources.size >= MAX_SOURCES) this.#forgetOne();
    this.#sources.set(name, source);
    return source;
  }

  /** Other rates from now on, for all. */
  adopt(rates: SourceRates): void {
    this.#rates = rates;
    for (const source of this.#sources.values()) source.adopt(rates);
  }

  // Whoever holds a connection keeps its buckets, so forgetting gives nobody a fresh start for free.
  #forgetOne(): void {
    for (const [name, { open }] of this.#sources) {
      if (open > 0) continue;
      this.#sources.delete(name);
      return;
    }
  }
}
