/** Which account a session logs in with, and the password for it: asked for, or from where the person says. */
import { EXIT } from "../session/exit_code.ts";
import { askSecret } from "../ui/prompt.ts";
import type { Terminal } from "../ui/terminal.ts";
import { type AccountName, isAccountName } from "../wire/account_name.ts";
import { firstLineOfFile, nextLine } from "./secret_input.ts";
import { StartError } from "./start_error.ts";

/** What the command line says about a login. */
export interface LoginOptions {
  /** `--user`; without it, the account that the profile remembers for this relay. */
  readonly user: string | undefined;
  /** `--password-file`, `-` for standard input; else `$STM_PASSWORD_FILE`. */
  readonly passwordFile: string | undefined;
  /** `--code-file`, `-` for standard input: makes the account. */
  readonly codeFile: string | undefined;
}

/** Who can be asked, and where things are read from. */
export interface CredentialSources {
  readonly terminal: Terminal;
  readonly env: { get(name: string): string | undefined };
  /** Whether there is a person to ask. */
  readonly asksPerson: boolean;
  /** `HOST:PORT`, for the question. */
  readonly relay: string;
  /** The account that was used there before. */
  readonly remembered: string | undefined;
  /** Says a sentence to the person. */
  readonly say: (text: string) => void;
}

/** A password that somebody chooses. Shorter ones fall to who has stolen both files of the relay. */
export const MIN_PASSWORD_LENGTH = 8;

/** What a login needs. */
export interface GivenCredentials {
  readonly account: AccountName;
  readonly password: string;
  readonly code: string | null;
}

/**
 * The credentials, asked for if need be.
 *
 * @returns null if none were given: most relays want none
 * @throws {StartError} exit code 2 for what is wrong on the command line, 5 if there is no password to be had
 */
export async function givenCredentials(
  options: LoginOptions,
  sources: CredentialSources,
): Promise<GivenCredentials | null> {
  const account = options.user ?? sources.remembered;
  if (account === undefined) return null;
  if (!isAccountName(account)) {
    throw new StartError(
      "usage",
      EXIT.usage,
      `--user takes an account's name, 1 to 32 of a-z, 0-9, ., - and _, not "${account}"; for example --user fox`,
    );
  }
  const { terminal, asksPerson } = sources;
  const { codeFile } = options;
  const passwordFile = options.passwordFile ?? (sources.env.get("STM_PASSWORD_FILE") || undefined);
  const read = (file: string, what: string) =>
    file === "-" ? nextLine(terminal) : firstLineOfFile(file, what);
  const code = codeFile === undefined ? null : (await read(codeFile, "the code file")).trim();
  if (passwordFile !== undefined) {
    const password = await read(passwordFile, "the password file");
    return { account, code, password: checked(password, passwordFile, code !== null) };
  }
  if (!asksPerson) {
    throw new StartError(
      "login-needed",
      EXIT.loginRefused,
      `the password of the account ${account} cannot be asked for here: give --password-file FILE (its first ` +
        "line), - for the next line of standard input, or STM_PASSWORD_FILE",
    );
  }
  if (code !== null) return { account, code, password: await chosenPassword(account, sources) };
  const password = await askSecret(
    `Password of ${account} at ${sources.relay} (nothing, if you have a registration code)`,
    terminal,
  );
  if (password !== "") return { account, code, password };
  const typed = await askSecret("Registration code", terminal);
  return { account, code: typed.trim(), password: await chosenPassword(account, sources) };
}

function checked(password: string, file: string, isNew: boolean): string {
  const from = file === "-" ? "the line of standard input" : `the first line of ${file}`;
  if (password === "") throw new StartError("usage", EXIT.usage, `${from} is empty, no password`);
  if (!isNew || password.length >= MIN_PASSWORD_LENGTH) return password;
  throw new StartError(
    "usage",
    EXIT.usage,
    `${from} is too short for a new password: it takes ${MIN_PASSWORD_LENGTH} characters or more`,
  );
}

async function chosenPassword(account: AccountName, sources: CredentialSources): Promise<string> {
  for (;;) {
    const password = await askSecret(`New password of ${account}`, sources.terminal);
    if (password.length < MIN_PASSWORD_LENGTH) {
      sources.say(`a password takes ${MIN_PASSWORD_LENGTH} characters or more`);
    } else if (await askSecret("The same once more", sources.terminal) === password) {
      return password;
    } else sources.say("these were two different ones");
  }
}
