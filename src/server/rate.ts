/**
 * Token buckets as plain data. The time is an argument, in milliseconds of any clock that does not
 * go back.
 *
 * @module
 */

/** How fast something may happen. */
export interface Rate {
  /** How many at once after a quiet time. */
  readonly burst: number;
  /** How many a second for ever; 0 means without a limit. */
  readonly perSecond: number;
}

/** What is left, and when that was true. */
export interface Bucket {
  /** May be below zero after {@link charge}. */
  tokens: number;
  /** When `tokens` was right, in ms. */
  atMs: number;
}

/** A full bucket. */
export function fullBucket(rate: Rate, nowMs: number): Bucket {
  return { tokens: rate.burst, atMs: nowMs };
}

function refill(bucket: Bucket, rate: Rate, nowMs: number): void {
  const gained = Math.max(0, nowMs - bucket.atMs) * rate.perSecond / 1000;
  bucket.tokens = Math.min(rate.burst, bucket.tokens + gained);
  bucket.atMs = Math.max(bucket.atMs, nowMs);
}

/**
 * The rate of a connection's traffic: at once a quarter of a second of it, since what comes at once
 * makes the others wait; but never less than `least`, unless that is more than two seconds of it.
 */
export function trafficRate(perSecond: number, least: number): Rate {
  return { burst: Math.min(2 * perSecond, Math.max(perSecond / 4, least)), perSecond };
}

/** How many tokens there are; Infinity without a limit. */
export function left(bucket: Bucket, rate: Rate, nowMs: number): number {
  if (rate.perSecond === 0) return Infinity;
  refill(bucket, rate, nowMs);
  return bucket.tokens;
}

/** Takes one token if there is one. @returns whether there was */
export function take(bucket: Bucket, rate: Rate, nowMs: number): boolean {
  if (rate.perSecond === 0) return true;
  refill(bucket, rate, nowMs);
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

/**
 * Takes `cost` tokens of something that has happened already.
 *
 * @returns for how many ms nothing more should happen; 0 while the bucket is not overdrawn
 */
export function charge(bucket: Bucket, rate: Rate, nowMs: number, cost: number): number {
  if (rate.perSecond === 0) return 0;
  refill(bucket, rate, nowMs);
  bucket.tokens -= cost;
  return bucket.tokens >= 0 ? 0 : -bucket.tokens * 1000 / rate.perSecond;
}
