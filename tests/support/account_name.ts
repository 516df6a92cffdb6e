import { type AccountName, isAccountName } from "../../src/wire/account_name.ts";

/** The name of an account. @throws {Error} if it is none */
export function account(text: string): AccountName {
  if (!isAccountName(text)) throw new Error(`"${text}" is no account's name`);
  return text;
}
