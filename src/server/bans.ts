/**
 * `bans.json` beside the relay's key: ranges of addresses and accounts, each until a time or for
 * good. Written whole or not at all, 0600, by `stm server ban`; read by the relay at its start and
 * whenever it is told to reload.
 *
 * @module
 */
import { join } from "node:path";
import * as v from "valibot";
import { lockFile } from "../store/disk.ts";
import { countField, textField, timeField } from "../store/fields.ts";
import { type JsonFormat, readJsonFile, writeJsonFile } from "../store/json_file.ts";
import { formatRange, parseRange } from "../transport/address_range.ts";
import type { BanList } from "./guard.ts";

/** Name of the file. */
export const BANS_FILE = "bans.json";

/** Bans that are kept; each is looked at for every connection. */
export const MAX_BANS = 10_000;

/** What stands before the name of an account. */
export const ACCOUNT = "account:";

/** One ban as it is kept. */
export interface Ban {
  /** A range of addresses in its one form, or `account:NAME`. */
  readonly who: string;
  /** When it was made, ISO 8601. */
  readonly since: string;
  /** When it ends; for good if it is not there. */
  readonly until?: string | undefined;
  /** The operator's own words. */
  readonly note?: string | undefined;
}

const BANS = v.looseObject({
  version: countField,
  bans: v.pipe(
    v.array(v.looseObject({
      who: v.pipe(textField, v.check((who) => canonical(who) === who)),
      since: timeField,
      until: v.exactOptional(timeField),
      note: v.exactOptional(v.string()),
    })),
    v.maxLength(MAX_BANS),
  ),
});

const FORMAT: JsonFormat<v.InferOutput<typeof BANS>> = { version: 1, schema: BANS };

/** The one form of a range or `account:NAME`; null if it is neither. */
export function canonical(who: string): string | null {
  if (who.startsWith(ACCOUNT)) return who.length > ACCOUNT.length ? who : null;
  const range = parseRange(who);
  return range === null ? null : formatRange(range);
}

/** The bans of a folder of keys. Every method throws `StoreError` for a file that is not right. */
export class Bans {
  readonly #path: string;
  readonly #now: () => Date;

  /** @param certs the folder */
  constructor(certs: string, now: () => Date = () => new Date()) {
    this.#path = join(certs, BANS_FILE);
    this.#now = now;
  }

  /** Those in force, in the order in which they were made. */
  async list(): Promise<readonly Ban[]> {
    return this.#inForce((await this.#read()).bans);
  }

  /**
   * Adds a ban, or changes the one that there is for the same.
   *
   * @param who in its one form
   * @param lifeMs Infinity for good
   * @returns the ban; null if there are {@link MAX_BANS} already
   */
  async add(who: string, lifeMs: number, note?: string): Promise<Ban | null> {
    const now = this.#now();
    const ban = {
      who,
      since: now.toISOString(),
      ...(lifeMs === Infinity ? {} : { until: new Date(now.getTime() + lifeMs).toISOString() }),
      ...(note === undefined ? {} : { note }),
    };
    return await this.#change((bans) => {
      const others = bans.filter((other) => other.who !== who);
      return others.length >= MAX_BANS ? [bans, null] : [[...others, ban], ban];
    });
  }

  /** Ends a ban. @returns false if there was none */
  async remove(who: string): Promise<boolean> {
    return await this.#change((bans) => {
      const others = bans.filter((other) => other.who !== who);
      return [others, others.length < bans.length];
    });
  }

  async #read(): Promise<v.InferOutput<typeof BANS>> {
    return await readJsonFile(this.#path, FORMAT) ?? { version: 1, bans: [] };
  }

  #inForce<T extends Ban>(bans: readonly T[]): T[] {
    const now = this.#now().toISOString();
    return bans.filter(({ until }) => until === undefined || until > now);
  }

  async #change<T>(change: (bans: readonly Ban[]) => [readonly Ban[], T]): Promise<T> {
    const lock = await lockFile(this.#path, true);
    try {
      const file = await this.#read();
      const [bans, result] = change(this.#inForce(file.bans));
      await writeJsonFile(this.#path, { ...file, bans });
      return result;
    } finally {
      lock?.release();
    }
  }
}

/** The bans as the relay needs them. */
export function banList(bans: readonly Ban[]): BanList {
  const untilMs = ({ until }: Ban) => until === undefined ? Infinity : Date.parse(until);
  return {
    ranges: bans.flatMap((ban) => {
      const range = parseRange(ban.who);
      return range === null ? [] : [{ range, untilMs: untilMs(ban) }];
    }),
    accounts: new Map(
      bans.filter(({ who }) => who.startsWith(ACCOUNT)).map((ban) => [
        ban.who.slice(ACCOUNT.length),
        untilMs(ban),
      ]),
    ),
  };
}
