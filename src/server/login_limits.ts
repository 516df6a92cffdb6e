/**
 * How often a password may be guessed: for each address and each account, whether there is such an
 * account or not. An attempt that ends in a login does not count, so who comes back often is not held
 * up.
 *
 * @module
 */
import { type Bucket, charge, fullBucket, type Rate } from "./rate.ts";

/** Attempts of one address: 20 at once, then one every ten seconds. */
export const ADDRESS_LOGIN_RATE: Rate = { burst: 20, perSecond: 0.1 };
/** Attempts at one account from everywhere: 10 at once, then one a minute. */
export const ACCOUNT_LOGIN_RATE: Rate = { burst: 10, perSecond: 1 / 60 };
/** Buckets and pairs that are remembered; beyond it the one that was used longest ago goes. */
const MAX_REMEMBERED = 65_536;

/** See the module. */
export class LoginLimits {
  readonly #buckets = new Map<string, Bucket>();
  /** Accounts with the addresses that they have logged in from. */
  readonly #proven = new Map<string, true>();

  /**
   * Counts an attempt, if it may be made.
   *
   * @param source its address, as the guard names it; null if limits do not apply to it
   * @returns 0 if it may; else for how many ms none may
   */
  attempt(account: string, source: string | null, nowMs: number): number {
    const charged: Bucket[] = [];
    for (const [bucket, rate] of this.#drawnOn(account, source, nowMs)) {
      const waitMs = wait(bucket, rate);
      // What stands behind is not even looked up: who may not try names would fill the memory with them.
      if (waitMs > 0) return waitMs;
      charged.push(bucket);
    }
    for (const bucket of charged) bucket.tokens -= 1;
    return 0;
  }

  /** The attempt has ended in a login. */
  succeeded(account: string, source: string | null, nowMs: number): void {
    for (const [bucket, { burst }] of this.#drawnOn(account, source, nowMs)) {
      bucket.tokens = Math.min(burst, bucket.tokens + 1);
    }
    if (source !== null) remember(this.#proven, `${account} ${source}`, true);
  }

  /**
   * Where somebody has logged in from before, others' guesses at the account hold nobody up: else a
   * stranger could keep everybody out of their accounts.
   */
  *#drawnOn(account: string, source: string | null, nowMs: number): Generator<[Bucket, Rate]> {
    if (source !== null) yield this.#bucket(source, ADDRESS_LOGIN_RATE, nowMs);
    if (source === null || !this.#proven.has(`${account} ${source}`)) {
      yield this.#bucket(`account ${account}`, ACCOUNT_LOGIN_RATE, nowMs);
    }
  }

  #bucket(name: string, rate: Rate, nowMs: number): [Bucket, Rate] {
    const bucket = this.#buckets.get(name) ?? fullBucket(rate, nowMs);
    remember(this.#buckets, name, bucket);
    charge(bucket, rate, nowMs, 0);
    return [bucket, rate];
  }
}

function wait({ tokens }: Bucket, { perSecond }: Rate): number {
  return tokens >= 1 ? 0 : Math.ceil((1 - tokens) * 1000 / perSecond);
}

/** Puts it behind all others, of which the first goes if there are too many. */
function remember<T>(map: Map<string, T>, name: string, value: T): void {
  map.delete(name);
  map.set(name, value);
  if (map.size <= MAX_REMEMBERED) return;
  const [first] = map.keys();
  if (first !== undefined) map.delete(first);
}
