/**
 * Who may connect at all: bans, and the limits of each address. Asked for every connection before
 * its handshake, so that a stranger costs as little as can be.
 *
 * @module
 */
import {
  type AddressRange,
  ipOf,
  isIn,
  isInAny,
  neighbourhoodOf,
} from "../transport/address_range.ts";
import type { Admission, NotAdmitted } from "../transport/listen.ts";
import { type Allowance, Allowances, sourceRates } from "./allowance.ts";
import type { RelayLimits } from "./relay_limits.ts";

/** The bans in force, as the relay needs them. */
export interface BanList {
  /** Of addresses. */
  readonly ranges: readonly BannedRange[];
  /** Of accounts, by name: until when, in ms since 1970; Infinity for ever. */
  readonly accounts: ReadonlyMap<string, number>;
}

/** Nobody is banned. */
export const NO_BANS: BanList = { ranges: [], accounts: new Map() };

/** One ban of addresses. */
export interface BannedRange {
  /** Who. */
  readonly range: AddressRange;
  /** Until when, in ms since 1970; Infinity for ever. */
  readonly untilMs: number;
}

/** See the module. */
export class Guard implements Admission {
  readonly #allowances: Allowances;
  readonly #monotonicMs: () => number;
  readonly #wallMs: () => number;
  #exempt: readonly AddressRange[];
  #bans: BanList;

  /**
   * @param exempt addresses to which the limits of one source do not apply; bans do
   * @param monotonicMs a clock that does not go back
   * @param wallMs ms since 1970
   */
  constructor(
    limits: RelayLimits,
    exempt: readonly AddressRange[],
    bans: BanList = NO_BANS,
    monotonicMs: () => number = () => performance.now(),
    wallMs: () => number = () => Date.now(),
  ) {
    this.#allowances = new Allowances(sourceRates(limits));
    this.#exempt = exempt;
    this.#bans = bans;
    this.#monotonicMs = monotonicMs;
    this.#wallMs = wallMs;
  }

  /** Other limits and bans from now on. Who is in already is for `Relay.dismiss`. */
  adopt(limits: RelayLimits, exempt: readonly AddressRange[], bans: BanList): void {
    this.#allowances.adopt(sourceRates(limits));
    this.#exempt = exempt;
    this.#bans = bans;
  }

  /**
   * Counts a connection that begins, if it may; {@link gone} is to be called for it then.
   *
   * @param remoteAddress `host:port`
   * @returns why it may not; null if it may
   */
  admit(remoteAddress: string): NotAdmitted | null {
    if (this.isBanned(remoteAddress)) return "banned";
    const source = sourceName(remoteAddress);
    if (source === null) return null;
    const nowMs = this.#monotonicMs();
    const allowance = this.#allowances.of(source, nowMs);
    if (!this.#isExempt(remoteAddress)) return allowance.arrive(nowMs);
    // Counted all the same: it may be exempt no longer when it goes.
    allowance.open++;
    return null;
  }

  /** A connection that was admitted has ended. */
  gone(remoteAddress: string): void {
    const source = sourceName(remoteAddress);
    if (source !== null) this.#allowances.of(source, this.#monotonicMs()).open--;
  }

  /** Whether a ban is in force for it now. */
  isBanned(remoteAddress: string): boolean {
    const { ranges } = this.#bans;
    const ip = ranges.length === 0 ? null : ipOf(remoteAddress);
    if (ip === null) return false;
    const now = this.#wallMs();
    return ranges.some(({ range, untilMs }) => untilMs > now && isIn(ip, range));
  }

  /** Whether a ban is in force for an account now. */
  isAccountBanned(name: string): boolean {
    return (this.#bans.accounts.get(name) ?? -Infinity) > this.#wallMs();
  }

  /** What names its address to every limit; null if it is exempt, or no address of the internet. */
  sourceOf(remoteAddress: string): string | null {
    return this.#isExempt(remoteAddress) ? null : sourceName(remoteAddress);
  }

  /** The buckets of its address; null if it is exempt, or no address of the internet. */
  allowanceOf(remoteAddress: string): Allowance | null {
    const source = this.sourceOf(remoteAddress);
    return source === null ? null : this.#allowances.of(source, this.#monotonicMs());
  }

  /** The buckets of an account, for whoever has logged in with it. */
  allowanceOfAccount(name: string): Allowance {
    return this.#allowances.of(`account ${name}`, this.#monotonicMs());
  }

  #isExempt(remoteAddress: string): boolean {
    return isInAny(remoteAddress, this.#exempt);
  }
}

/** What one source of addresses is called, exempt or not; null for what is no address of the internet. */
function sourceName(remoteAddress: string): string | null {
  const name = neighbourhoodOf(remoteAddress);
  return name === null ? null : `address ${name}`;
}
