/**
 * Accounts for a relay that asks for a login: the two files, the worker that OPAQUE runs in, and the
 * desk. Loaded only with `--access account` or `code`.
 *
 * @module
 */
import { join } from "node:path";
import { OpaqueWorker } from "../auth/opaque_worker.ts";
import { createSetup, ServerHalf } from "../auth/server_half.ts";
import { Accounts, ACCOUNTS_FILE } from "../store/accounts.ts";
import { type OpaqueSetup, openSetup, SETUP_FILE } from "../store/opaque_setup.ts";
import { fromHex } from "../wire/ids.ts";
import type { Access } from "../wire/relay_message.ts";
import { AccountBook, type LoggedInAccount } from "./account_book.ts";
import type { Guard } from "./guard.ts";
import { LoginDesk } from "./login_desk.ts";
import { LoginLimits } from "./login_limits.ts";

/** What a relay with accounts is made of. */
export interface AccountsParts {
  /** The folder of the relay's key. */
  readonly certs: string;
  /** Whether codes for new accounts count. */
  readonly access: Exclude<Access, "open">;
  /** Knows bans, and which addresses are exempt. */
  readonly guard: Guard;
  /** Hears of our own failures. */
  readonly failed: (error: unknown) => void;
}

/** A relay's accounts, open. */
export interface OpenAccounts {
  /** Whether a login is wanted, and by whom accounts are made. */
  readonly access: Exclude<Access, "open">;
  /** Answers. */
  readonly desk: LoginDesk;
  /** How many have a password. */
  readonly count: () => number;
  /** Whether who logged in so may stay. */
  readonly mayStay: (account: LoggedInAccount) => boolean;
  /** Reads the file anew; what it gives back puts that into force. */
  readonly reread: () => Promise<() => void>;
  /** Ends the worker. */
  readonly close: () => void;
}

/**
 * Opens the accounts of a folder; makes the setup where there is none and none is missed.
 *
 * @throws {StoreError} for a file that is not right, or a setup that is lost: a relay that lets nobody
 *   in, and does not say why, is worse than one that does not start
 */
export async function openAccounts(parts: AccountsParts): Promise<OpenAccounts> {
  const { certs, access, guard, failed } = parts;
  const accounts = new Accounts(join(certs, ACCOUNTS_FILE));
  const saved = await accounts.read();
  const worker = new OpaqueWorker();
  let setup: OpaqueSetup;
  try {
    setup = await openSetup(join(certs, SETUP_FILE), saved.setup, () => createSetup(worker));
  } catch (error) {
    worker.close();
    throw error;
  }
  const book = new AccountBook(saved);
  const inviting = access === "code";
  let registrations = 0;
  const desk = new LoginDesk({
    half: new ServerHalf(worker, fromHex(setup.setup)),
    waiting: () => worker.waiting,
    book,
    register: async (name, hash, record) => {
      const [verdict, file] = await accounts.register(name, hash, record, setup.id, inviting);
      registrations++;
      book.adopt(file);
      return verdict;
    },
    inviting,
    limits: new LoginLimits(),
    sourceOf: (address) => guard.sourceOf(address),
    isBanned: (name) => guard.isAccountBanned(name),
    nowMs: () => performance.now(),
    now: () => new Date(),
    failed,
  });
  return {
    access,
    desk,
    count: () => book.size,
    mayStay: (account) => book.judge(account) === "good" && !guard.isAccountBanned(account.name),
    reread: async () => {
      const before = registrations;
      const file = await accounts.read();
      return () => {
        // A registration meanwhile has read the file after us.
        if (before === registrations) book.adopt(file);
      };
    },
    close: () => worker.close(),
  };
}
