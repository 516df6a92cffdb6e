/**
 * The commands that an operator gives beside the running relay: `stm server ban`, `status` and
 * `reload`.
 *
 * @module
 */
import { join } from "node:path";
import { writeFileAtomic } from "../store/atomic.ts";
import { ownerOfWhatWeWrite } from "../store/disk.ts";
import { StoreError } from "../store/store_error.ts";
import { ACCOUNT, type Ban, Bans, canonical, MAX_BANS } from "./bans.ts";
import { type NotPlanned, planKeyChange } from "../transport/key_change_files.ts";
import { KEY_FILE, ServerKeyError } from "../transport/server_key.ts";
import { isAccountName } from "../wire/account_name.ts";
import { fingerprint, formatFingerprint, toHex } from "../wire/ids.ts";
import type { KeyChange } from "../wire/key_change.ts";
import { MAX_KEY_CHANGES } from "../wire/limits.ts";
import { fingerprintInput } from "../wire/room_id.ts";
import { askRelay, type ControlAnswer, ControlError } from "./shell_control.ts";
import { sha256 } from "./verify.ts";

/** Where the words of a command go. */
export interface CommandOutput {
  /** A line on standard output. */
  out(line: string): void;
  /** A line on standard error. */
  err(line: string): void;
}

/** What each of these commands needs. */
export interface CommandOptions {
  /** The folder of the relay's key. */
  readonly certs: string;
  /** For people or for programs. */
  readonly ui: "line" | "json";
}

/**
 * `stm server ban add`.
 *
 * @param lifeMs Infinity for good
 * @returns the exit code: 2 if `who` is neither a range nor an account, 1 if it could not be kept
 */
export async function addBan(
  options: CommandOptions,
  who: string,
  lifeMs: number,
  note: string | undefined,
  output: CommandOutput,
): Promise<number> {
  const form = canonicalOr(who, output);
  if (form === null) return 2;
  if (form.startsWith(ACCOUNT) && !isAccountName(form.slice(ACCOUNT.length))) {
    output.err(`"${who}" bans nobody: the name of an account is 1 to 32 of a-z, 0-9, ., - and _`);
    return 2;
  }
  return await onFile(options, output, async (bans) => {
    const ban = await bans.add(form, lifeMs, note);
    if (ban === null) {
      output.err(`there are ${MAX_BANS} bans already: remove some, or ban a range that has them`);
      return 1;
    }
    tell(options, output, ban, `banned ${describe(ban)}`);
    return await putIntoForce(options, output);
  });
}

/** `stm server ban remove`. @returns the exit code: 1 if there was no such ban */
export async function removeBan(
  options: CommandOptions,
  who: string,
  output: CommandOutput,
): Promise<number> {
  const form = canonicalOr(who, output);
  if (form === null) return 2;
  return await onFile(options, output, async (bans) => {
    if (!await bans.remove(form)) {
      output.err(`${form} is not banned; stm server ban list shows who is`);
      return 1;
    }
    tell(options, output, { removed: form }, `no longer banned: ${form}`);
    return await putIntoForce(options, output);
  });
}

/** `stm server ban list`. @returns the exit code */
export async function listBans(options: CommandOptions, output: CommandOutput): Promise<number> {
  return await onFile(options, output, async (bans) => {
    const all = await bans.list();
    for (const ban of all) tell(options, output, ban, describe(ban));
    if (all.length === 0 && options.ui === "line") output.out("nobody is banned");
    return 0;
  }, false);
}

/** `stm server status`. @returns the exit code: 3 if no relay runs with this folder */
export async function showStatus(options: CommandOptions, output: CommandOutput): Promise<number> {
  const status = await ask(options, "status");
  if (status === null) return notRunning(options, output);
  if ("error" in status) {
    output.err(String(status.error));
    return 3;
  }
  if (options.ui === "json") output.out(JSON.stringify(status));
  else for (const line of statusLines(status)) output.out(line);
  return 0;
}

/** `stm server reload`. @returns the exit code: 3 if no relay runs, 1 if it found something wrong */
export async function reloadRelay(options: CommandOptions, output: CommandOutput): Promise<number> {
  const answer = await ask(options, "reload");
  if (answer === null) return notRunning(options, output);
  if ("error" in answer) {
    output.err(`the relay goes on as before: ${answer.error}`);
    return 1;
  }
  const { dismissed, waitingForStart } = answer;
  tell(
    options,
    output,
    { reloaded: true, dismissed, waitingForStart },
    `reloaded; connections ended: ${dismissed}`,
  );
  if (Array.isArray(waitingForStart) && waitingForStart.length > 0) {
    const names = waitingForStart.map((name) => `--${name}`).join(", ");
    output.err(`as before until the relay is started again: ${names}`);
  }
  return 0;
}

/**
 * `stm server rotate-key`.
 *
 * @param times how long until the change, and how long after it clients can follow, in ms
 * @returns the exit code: 1 if there is no key yet, or a change is planned already
 */
export async function rotateKey(
  options: CommandOptions,
  output: CommandOutput,
  times: { readonly afterMs: number; readonly followMs: number },
): Promise<number> {
  const nowS = Math.floor(Date.now() / 1000);
  const fromS = nowS + Math.floor(times.afterMs / 1000);
  const untilS = fromS + Math.floor(times.followMs / 1000);
  const foreign = await foreignTo(options.certs);
  if (foreign !== null) {
    output.err(foreign);
    return 1;
  }
  let change: KeyChange | NotPlanned;
  try {
    change = await planKeyChange(options.certs, writeFileAtomic, { nowS, fromS, untilS });
  } catch (error) {
    if (!(error instanceof ServerKeyError)) throw error;
    output.err(error.message);
    return 1;
  }
  if (typeof change === "string") {
    output.err(
      {
        "no-key": `there is no relay's key in ${options.certs}: name its folder with --certs`,
        "pending": "a change is planned already: another can follow when it is done",
        "too-many":
          `${MAX_KEY_CHANGES} changes can still be followed: wait until the first has expired`,
      }[change],
    );
    return 1;
  }
  const pin = toHex(change.next);
  const shown = formatFingerprint(fingerprint(sha256(fingerprintInput(change.next)).slice(0, 16)));
  const [from, until] = [fromS, untilS].map((s) => new Date(s * 1000).toISOString());
  tell(
    options,
    output,
    { pin, fingerprint: shown, from, until },
    `the relay has the key with the fingerprint ${shown} from ${from}; clients can follow until ${until}`,
  );
  return await putIntoForce(options, output);
}

function statusLines(status: ControlAnswer): string[] {
  const {
    version,
    pid,
    ready,
    host: _host,
    port: _port,
    listening,
    upS,
    residentBytes,
    refused,
    closed,
    turnedAway,
    loginsRefused,
    ...numbers
  } = status;
  const counts = (name: string, value: unknown): string[] =>
    typeof value !== "object" || value === null ? [] : Object.entries(value).map(
      ([code, count]) => `  ${name} ${code}: ${count}`,
    );
  return [
    `stm ${version}, process ${pid}, on ${listening}`,
    `${ready === true ? "takes new people" : "takes nobody"}; up for ${upS} s; ` +
    `${Math.round(Number(residentBytes) / 1024 / 1024)} MiB`,
    ...Object.entries(numbers).map(([name, value]) => `  ${name}: ${value}`),
    ...counts("refused", refused),
    ...counts("closed", closed),
    ...counts("login refused", loginsRefused),
    ...counts("turned away", turnedAway),
  ];
}

/**
 * A running relay learns of it at once; one that does not run, at its start.
 *
 * @param accounts whether it is about accounts, which an open relay does not look at
 * @returns the exit code
 */
export async function putIntoForce(
  options: CommandOptions,
  output: CommandOutput,
  accounts = false,
): Promise<number> {
  const answer = await ask(options, "reload");
  if (answer === null) {
    if (options.ui === "line") {
      output.out("no relay runs with this folder: it counts from its start");
    }
    return 0;
  }
  if (!("error" in answer)) {
    if (accounts && answer.access === "open") {
      output.err("the relay that runs lets everybody in: start it with --access account or code");
    }
    return 0;
  }
  output.err(`it is kept, but the relay that runs goes on as before: ${answer.error}`);
  return 1;
}

async function ask(
  options: CommandOptions,
  request: "status" | "reload",
): Promise<ControlAnswer | null> {
  try {
    return await askRelay(options.certs, request);
  } catch (error) {
    if (error instanceof ControlError) return { error: error.message };
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    return { error: `only the user who runs the relay may ask it (${options.certs})` };
  }
}

function notRunning({ certs }: CommandOptions, output: CommandOutput): number {
  output.err(`no relay answers for the folder ${certs}; --certs names another`);
  return 3;
}

function canonicalOr(who: string, output: CommandOutput): string | null {
  const form = canonical(who);
  if (form === null) {
    output.err(
      `"${who}" is no address, range or account; for example 203.0.113.7, 2001:db8::/32 or account:fox`,
    );
  }
  return form;
}

async function onFile(
  options: CommandOptions,
  output: CommandOutput,
  work: (bans: Bans) => Promise<number>,
  changes = true,
): Promise<number> {
  const foreign = changes ? await foreignTo(options.certs) : null;
  if (foreign !== null) {
    output.err(foreign);
    return 1;
  }
  try {
    return await work(new Bans(options.certs));
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    output.err(error.message);
    return 1;
  }
}

function describe({ who, since, until, note }: Ban): string {
  return [who, until === undefined ? "for good" : `until ${until}`, `since ${since}`, note ?? ""]
    .filter((part) => part !== "").join("  ");
}

/**
 * Whether what we write in the folder could be read by the relay, whose key is there: not if we are
 * root and it is not. It would then take no reload, and not start again.
 *
 * @returns what is wrong and what to do; null if nothing is, or no key is there yet
 */
export async function foreignTo(certs: string): Promise<string | null> {
  const key = join(certs, KEY_FILE);
  const keeper = await Deno.stat(key).then(({ uid }) => uid, () => null);
  const writer = keeper === null ? null : await ownerOfWhatWeWrite(certs);
  if (writer === null || writer === keeper) return null;
  return `${key} belongs to user ${keeper}, and what user ${writer} writes there the relay could not ` +
    `read; nothing was changed. Run this as that user: sudo -u '#${keeper}' stm server …`;
}

/** Says one thing to people or to programs. */
export function tell(
  { ui }: CommandOptions,
  output: CommandOutput,
  json: Readonly<Record<string, unknown>> | Ban,
  line: string,
): void {
  output.out(ui === "json" ? JSON.stringify(json) : line);
}
