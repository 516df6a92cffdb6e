/**
 * The accounts as the relay looks at them for every login: by name, in memory.
 *
 * @module
 */
import { type CodeVerdict, judgeCode, type SavedAccounts } from "../store/accounts.ts";
import type { AccountName } from "../wire/account_name.ts";

/** An account that somebody has logged in with: its name, and which password that was. */
export interface LoggedInAccount {
  /** See {@link AccountName}. */
  readonly name: AccountName;
  /** Its record in hex: another one is another password. */
  readonly record: string;
}

/** One account that has a password. */
interface Known {
  readonly record: string;
  readonly disabled: boolean;
}

/** See the module. */
export class AccountBook {
  #saved: SavedAccounts;
  #known: ReadonlyMap<string, Known>;

  /** @param saved the file */
  constructor(saved: SavedAccounts) {
    this.#saved = saved;
    this.#known = index(saved);
  }

  /** Another state of the file from now on. */
  adopt(saved: SavedAccounts): void {
    this.#saved = saved;
    this.#known = index(saved);
  }

  /** How many have a password. */
  get size(): number {
    return this.#known.size;
  }

  /** The record of an account in hex; null if there is none, or no password yet. */
  recordOf(name: AccountName): string | null {
    return this.#known.get(name)?.record ?? null;
  }

  /** Whether this account and password may be used now. */
  judge({ name, record }: LoggedInAccount): "good" | "wrong" | "disabled" {
    const known = this.#known.get(name);
    if (known === undefined || known.record !== record) return "wrong";
    return known.disabled ? "disabled" : "good";
  }

  /** See `judgeCode`. */
  judgeCode(name: AccountName, hash: string, inviting: boolean, now: Date): CodeVerdict {
    return judgeCode(this.#saved, name, hash, inviting, now.toISOString());
  }
}

function index({ users }: SavedAccounts): ReadonlyMap<string, Known> {
  return new Map(
    users.flatMap(({ name, record, disabled = false }) =>
      record === undefined ? [] : [[name, { record, disabled }]]
    ),
  );
}
