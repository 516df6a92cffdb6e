/**
 * `users.json` beside the relay's key: the accounts, and the codes with which people may make one. No
 * password is in it, nor anything that one could be tried against without `opaque-setup.json`
 * (`opaque_setup.ts`). Of a code only the hash is kept.
 *
 * The relay writes it when somebody registers, and the operator's commands while the relay runs: each
 * change rereads the file under a lock.
 */
import * as v from "valibot";
import { type AccountName, isAccountName } from "../wire/account_name.ts";
import { lockFile } from "./disk.ts";
import { countField, hexField, timeField } from "./fields.ts";
import { type JsonFormat, readJsonFile, writeJsonFile } from "./json_file.ts";
import { setupId } from "./opaque_setup.ts";

/** Name of the file. */
export const ACCOUNTS_FILE = "users.json";
/** Accounts that are kept: the file stays well below what we read. */
export const MAX_ACCOUNTS = 20_000;
/** Codes for new accounts that are kept. */
const MAX_CODES = 1000;

/** A code that somebody was given for one account. */
export interface PendingCode {
  /** SHA-256 of the code, 64 hex digits. */
  readonly hash: string;
  /** ISO 8601. */
  readonly expires: string;
}

/** A code with which new accounts can be made. */
export interface InvitingCode extends PendingCode {
  /** How many more. */
  readonly usesLeft: number;
}

/** One account. */
export interface SavedAccount {
  /** How it logs in. */
  readonly name: AccountName;
  /** RFC 9807's RegistrationRecord in hex; not there until the person has chosen a password. */
  readonly record?: string;
  /** The code with which the person chooses one. */
  readonly code?: PendingCode;
  /** It may not log in. */
  readonly disabled?: boolean;
  /** When it was made, ISO 8601. */
  readonly since: string;
}

/** The file. */
export interface SavedAccounts {
  /** 1. */
  readonly version: number;
  /** Which `opaque-setup.json` the records belong to; not there until there is a record. */
  readonly setup?: string;
  /** By the order in which they were made. */
  readonly users: readonly SavedAccount[];
  /** For accounts that there are not yet. */
  readonly codes: readonly InvitingCode[];
}

const CODE = { hash: hexField(32), expires: timeField };

// Fields that we do not know are kept when the file is written: see `profile.ts`.
const FORMAT: JsonFormat<SavedAccounts> = {
  version: 1,
  schema: v.pipe(
    v.looseObject({
      version: countField,
      setup: v.exactOptional(setupId),
      users: v.pipe(
        v.array(v.looseObject({
          name: v.pipe(v.string(), v.guard(isAccountName)),
          record: v.exactOptional(hexField(192)),
          code: v.exactOptional(v.looseObject(CODE)),
          disabled: v.exactOptional(v.boolean()),
          since: timeField,
        })),
        v.maxLength(MAX_ACCOUNTS),
        // Which of two records is the right one must not depend on their order.
        v.check((users) => new Set(users.map(({ name }) => name)).size === users.length),
      ),
      codes: v.pipe(
        v.array(v.looseObject({ ...CODE, usesLeft: countField })),
        v.maxLength(MAX_CODES),
      ),
    }),
    // Else another setup would be made where that is lost too, and the records be worthless unsaid.
    v.forward(
      v.check(({ setup, users }) =>
        setup !== undefined || users.every(({ record }) => record === undefined)
      ),
      ["setup"],
    ),
  ),
};

/** What came of trying to use a code. */
export type CodeVerdict = "good" | "wrong-code" | "name-taken" | "accounts-full";

/**
 * Whether a registration may be made.
 *
 * @param hash of the code
 * @param inviting whether codes for new accounts count
 * @param now ISO 8601
 */
export function judgeCode(
  { users, codes }: Pick<SavedAccounts, "users" | "codes">,
  name: AccountName,
  hash: string,
  inviting: boolean,
  now: string,
): CodeVerdict {
  const account = users.find((user) => user.name === name);
  if (account?.code?.hash === hash && account.code.expires > now) return "good";
  const code = inviting ? codes.find((one) => one.hash === hash) : undefined;
  if (code === undefined || code.expires <= now || code.usesLeft === 0) return "wrong-code";
  if (account !== undefined) return "name-taken";
  return users.length < MAX_ACCOUNTS ? "good" : "accounts-full";
}

/** The accounts of a folder. Every method throws `StoreError` for a file that is not right. */
export class Accounts {
  readonly #path: string;
  readonly #now: () => Date;

  /** @param path of `users.json`, made by the first change */
  constructor(path: string, now: () => Date = () => new Date()) {
    this.#path = path;
    this.#now = now;
  }

  /** The file as it is now. */
  async read(): Promise<SavedAccounts> {
    return await readJsonFile(this.#path, FORMAT) ?? { version: 1, users: [], codes: [] };
  }

  /** Makes an account without a password. @returns whether it could be made */
  async add(name: AccountName, code: PendingCode): Promise<"added" | "exists" | "full"> {
    return await this.#change((file) => {
      if (file.users.some((user) => user.name === name)) return [null, "exists"];
      if (file.users.length >= MAX_ACCOUNTS) return [null, "full"];
      const account = { name, code, since: this.#now().toISOString() };
      return [{ ...file, users: [...file.users, account] }, "added"];
    });
  }

  /** Takes the password of an account away; the code is for choosing another. @returns false if there is none */
  async reset(name: AccountName, code: PendingCode): Promise<boolean> {
    return await this.#changeAccount(name, ({ record: _, ...account }) => ({ ...account, code }));
  }

  /** Says whether an account may log in. @returns false if there is none */
  async setDisabled(name: AccountName, disabled: boolean): Promise<boolean> {
    return await this.#changeAccount(
      name,
      ({ disabled: _, ...account }) => disabled ? { ...account, disabled } : account,
    );
  }

  /** Removes an account. @returns false if there was none */
  async remove(name: AccountName): Promise<boolean> {
    return await this.#changeAccount(name, () => null);
  }

  /** Adds a code for new accounts; those that are used up or expired go. @returns false if there are too many */
  async addCode(code: InvitingCode): Promise<boolean> {
    return await this.#change((file) => {
      const now = this.#now().toISOString();
      const codes = file.codes.filter((one) => one.usesLeft > 0 && one.expires > now);
      if (codes.length >= MAX_CODES) return [null, false];
      return [{ ...file, codes: [...codes, code] }, true];
    });
  }

  /**
   * Keeps what somebody registered, and uses the code up, in one.
   *
   * @param record 384 hex digits
   * @param setup which setup the record belongs to
   * @param inviting whether codes for new accounts count
   * @returns the verdict on the code, and the file as it is now
   */
  async register(
    name: AccountName,
    hash: string,
    record: string,
    setup: string,
    inviting: boolean,
  ): Promise<[CodeVerdict, SavedAccounts]> {
    return await this.#change<[CodeVerdict, SavedAccounts]>((file) => {
      const now = this.#now().toISOString();
      const verdict = judgeCode(file, name, hash, inviting, now);
      if (verdict !== "good") return [null, [verdict, file]];
      const known = file.users.find((user) => user.name === name);
      const changed = known === undefined
        ? {
          ...file,
          setup,
          users: [...file.users, { name, record, since: now }],
          codes: file.codes.map((code) =>
            code.hash === hash ? { ...code, usesLeft: code.usesLeft - 1 } : code
          ),
        }
        : {
          ...file,
          setup,
          users: file.users.map((user) => user === known ? registered(user, record) : user),
        };
      return [changed, [verdict, changed]];
    });
  }

  async #changeAccount(
    name: AccountName,
    change: (account: SavedAccount) => SavedAccount | null,
  ): Promise<boolean> {
    return await this.#change((file) => {
      if (!file.users.some((user) => user.name === name)) return [null, false];
      const users = file.users.flatMap((user) => user.name === name ? change(user) ?? [] : user);
      return [{ ...file, users }, true];
    });
  }

  /** @param change gives the new file, or null to leave it, and what to return */
  async #change<T>(change: (file: SavedAccounts) => [SavedAccounts | null, T]): Promise<T> {
    const lock = await lockFile(this.#path, true);
    try {
      const [changed, result] = change(await this.read());
      if (changed !== null) await writeJsonFile(this.#path, changed);
      return result;
    } finally {
      lock?.release();
    }
  }
}

function registered({ code: _, ...account }: SavedAccount, record: string): SavedAccount {
  return { ...account, record };
}
