/**
 * The operator's commands about accounts: `stm server user …` and `stm server code`. None of them ever
 * sees a password: they print a code, with which the person chooses one.
 *
 * @module
 */
import { join } from "node:path";
import { Accounts, ACCOUNTS_FILE, MAX_ACCOUNTS, type SavedAccount } from "../store/accounts.ts";
import { StoreError } from "../store/store_error.ts";
import { type AccountName, isAccountName } from "../wire/account_name.ts";
import { CODE_SEED_BYTES, formatCode, hashCode } from "./registration_code.ts";
import {
  type CommandOptions,
  type CommandOutput,
  foreignTo,
  putIntoForce,
  tell,
} from "./shell_commands.ts";

/** `stm server user add`. @returns the exit code: 2 for a name that is none, 1 if it could not be made */
export async function addUser(
  options: CommandOptions,
  name: string,
  lifeMs: number,
  output: CommandOutput,
): Promise<number> {
  return await onAccount(options, name, output, async (accounts, account) => {
    const { code, hash, expires } = newCode(lifeMs);
    const added = await accounts.add(account, { hash, expires });
    if (added !== "added") {
      output.err(
        added === "exists"
          ? `there is an account ${account} already; stm server user reset ${account} makes a new code`
          : `there are ${MAX_ACCOUNTS} accounts already: remove some`,
      );
      return 1;
    }
    showCode(options, output, account, code, expires, `account ${account} is made`);
    return await putIntoForce(options, output, true);
  });
}

/** `stm server user reset`. @returns the exit code: 1 if there is no such account */
export async function resetUser(
  options: CommandOptions,
  name: string,
  lifeMs: number,
  output: CommandOutput,
): Promise<number> {
  return await onAccount(options, name, output, async (accounts, account) => {
    const { code, hash, expires } = newCode(lifeMs);
    if (!await accounts.reset(account, { hash, expires })) return unknown(account, output);
    showCode(
      options,
      output,
      account,
      code,
      expires,
      `the password of ${account} is no longer good`,
    );
    return await putIntoForce(options, output, true);
  });
}

/** `stm server user disable` and `enable`. @returns the exit code: 1 if there is no such account */
export async function disableUser(
  options: CommandOptions,
  name: string,
  disabled: boolean,
  output: CommandOutput,
): Promise<number> {
  return await onAccount(options, name, output, async (accounts, account) => {
    if (!await accounts.setDisabled(account, disabled)) return unknown(account, output);
    const line = `${account} may ${disabled ? "no longer" : "again"} log in`;
    tell(options, output, { user: account, disabled }, line);
    return await putIntoForce(options, output, true);
  });
}

/** `stm server user remove`. @returns the exit code: 1 if there was no such account */
export async function removeUser(
  options: CommandOptions,
  name: string,
  output: CommandOutput,
): Promise<number> {
  return await onAccount(options, name, output, async (accounts, account) => {
    if (!await accounts.remove(account)) return unknown(account, output);
    tell(options, output, { removed: account }, `removed: ${account}`);
    return await putIntoForce(options, output, true);
  });
}

/** `stm server user list`. @returns the exit code */
export async function listUsers(options: CommandOptions, output: CommandOutput): Promise<number> {
  return await onFile(options, output, async (accounts) => {
    const { users, codes } = await accounts.read();
    const now = new Date().toISOString();
    for (const user of users) {
      const state = stateOf(user, now);
      const json = { user: user.name, state, since: user.since };
      tell(options, output, json, `${user.name.padEnd(16)}  ${state}  since ${user.since}`);
    }
    for (const { usesLeft, expires } of codes) {
      if (usesLeft === 0 || expires <= now) continue;
      const line = `a code for ${usesLeft} more accounts, until ${expires}`;
      tell(options, output, { codeUses: usesLeft, expires }, line);
    }
    if (users.length === 0 && options.ui === "line") {
      output.out("nobody has an account; for example: stm server user add fox");
    }
    return 0;
  }, false);
}

/** `stm server code`. @returns the exit code */
export async function makeCode(
  options: CommandOptions,
  uses: number,
  lifeMs: number,
  output: CommandOutput,
): Promise<number> {
  return await onFile(options, output, async (accounts) => {
    const { code, hash, expires } = newCode(lifeMs);
    if (!await accounts.addCode({ hash, expires, usesLeft: uses })) {
      output.err("there are too many codes that are still good: let some expire");
      return 1;
    }
    tell(options, output, { code, uses, expires }, `for ${uses} new accounts, until ${expires}:`);
    if (options.ui === "line") {
      output.out(`  ${code}`);
      output.out("  (for stm client --user NAME, where the relay runs with --access code)");
    }
    return await putIntoForce(options, output, true);
  });
}

function newCode(lifeMs: number): { code: string; hash: string; expires: string } {
  const code = formatCode(crypto.getRandomValues(new Uint8Array(CODE_SEED_BYTES)));
  return { code, hash: hashCode(code), expires: new Date(Date.now() + lifeMs).toISOString() };
}

function showCode(
  options: CommandOptions,
  output: CommandOutput,
  user: AccountName,
  code: string,
  expires: string,
  what: string,
): void {
  tell(options, output, { user, code, expires }, `${what}; registration code, until ${expires}:`);
  if (options.ui !== "line") return;
  output.out(`  ${code}`);
  output.out(`  (it is good once: the person gives it to stm client --user ${user})`);
}

function stateOf({ record, code, disabled }: SavedAccount, now: string): string {
  if (disabled === true) return "disabled";
  if (record !== undefined) return "active";
  return code !== undefined && code.expires > now ? "not registered" : "code expired";
}

function unknown(account: AccountName, output: CommandOutput): number {
  output.err(`there is no account ${account}; stm server user list shows which there are`);
  return 1;
}

async function onAccount(
  options: CommandOptions,
  name: string,
  output: CommandOutput,
  work: (accounts: Accounts, account: AccountName) => Promise<number>,
): Promise<number> {
  if (isAccountName(name)) {
    return await onFile(options, output, (accounts) => work(accounts, name));
  }
  output.err(
    `"${name}" cannot be an account's name: 1 to 32 of a-z, 0-9, ., - and _; for example fox`,
  );
  return 2;
}

async function onFile(
  { certs }: CommandOptions,
  output: CommandOutput,
  work: (accounts: Accounts) => Promise<number>,
  changes = true,
): Promise<number> {
  const foreign = changes ? await foreignTo(certs) : null;
  if (foreign !== null) {
    output.err(foreign);
    return 1;
  }
  try {
    return await work(new Accounts(join(certs, ACCOUNTS_FILE)));
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    output.err(error.message);
    return 1;
  }
}
