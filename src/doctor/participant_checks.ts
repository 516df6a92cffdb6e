/** `stm doctor`: what a participant depends on, on this machine and at the relay. */
import { fingerprintOf } from "../crypto/join.ts";
import { givenCredentials, type LoginOptions } from "../driver/credentials.ts";
import type { ParticipantPorts } from "../driver/participant.ts";
import { successorsOf } from "../driver/pinned_relay.ts";
import { openSessionProfile, profileFile, type ProfileOptions } from "../driver/session_profile.ts";
import { trustedKey } from "../driver/server_trust.ts";
import { type FoundProfile, profilesIn } from "../driver/session_profile.ts";
import { StartError } from "../driver/start_error.ts";
import { EXIT } from "../session/exit_code.ts";
import { serverPinsPath } from "../store/paths.ts";
import type { SavedServer } from "../store/profile.ts";
import { profileSealing } from "../store/profile_store.ts";
import { serverPins } from "../store/server_pins.ts";
import { StoreError } from "../store/store_error.ts";
import { DialError, peekServerKey } from "../transport/dial.ts";
import { askSecret } from "../ui/prompt.ts";
import { formatFingerprint, fromHex, type RelayKey, relayKey } from "../wire/ids.ts";
import type { Successor } from "../wire/key_change.ts";
import { formatAddress, type Link } from "../wire/link_url.ts";
import { factsOf, modeFinding, ownerFinding, reasonOf, tryWriting } from "./file_checks.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";
import { relayFindings, type RelayTarget, unreached } from "./relay_checks.ts";

/** The command line of `stm doctor`. */
export interface ParticipantQuestion {
  readonly ui: "line" | "json";
  /** A server link or an invite; `null` if none was given. */
  readonly link: Link | null;
  /** The invite stood among the arguments, where others see it. */
  readonly inviteShown: boolean;
  /** `--host`, `--port` and `--pin`; `null` without `--host`. */
  readonly server: {
    readonly host: string;
    readonly port: number;
    readonly pin: string | undefined;
  } | null;
  readonly profile: ProfileOptions | null;
  /** `--user` and `--password-file`. */
  readonly login: LoginOptions;
}

type Ports = Pick<ParticipantPorts, "terminal" | "env" | "folder">;

/**
 * All checks of a participant.
 *
 * @throws {StartError} exit code 2 for a profile's name or a pin that cannot be one
 */
export async function* participantFindings(
  question: ParticipantQuestion,
  ports: Ports,
): AsyncGenerator<Finding> {
  if (question.inviteShown) {
    yield warn(
      "link",
      "an invite among the arguments shows in process lists and shell history",
      "next time give - and the invite on standard input",
    );
  }
  let folder: string | null = null;
  try {
    folder = ports.folder();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    yield warn("folder", "nothing can be kept on this machine", error.message);
  }
  const saved: SavedServer[] = [];
  if (folder !== null) {
    yield* folderFindings(folder);
    yield* pinsFindings(folder);
    if (question.profile === null) yield* allProfiles(folder);
    else saved.push(...yield* oneProfile(question.profile, folder, question.ui, ports));
  }
  yield terminalFinding(ports);
  yield* relays(question, saved, folder, await givenAccount(question, ports));
}

async function* folderFindings(folder: string): AsyncGenerator<Finding> {
  const check = "folder";
  const facts = await factsOf(folder);
  if (facts === null) {
    yield ok(check, `${folder} is not there yet: nothing is kept on this machine`);
    return;
  }
  if (!facts.isDirectory) {
    yield fail(
      check,
      `${folder} is no folder`,
      "move it away, or set STM_HOME to a folder of yours",
    );
    return;
  }
  yield modeFinding(check, facts, "write");
  try {
    const foreign = ownerFinding(check, facts, await tryWriting(folder));
    if (foreign !== null) yield foreign;
  } catch (cause) {
    yield fail(
      check,
      `${folder} cannot be written (${reasonOf(cause)}): no profile can be used`,
      "look whether the disk is full or read-only, and whose the folder is (ls -ld)",
    );
  }
}

async function* pinsFindings(folder: string): AsyncGenerator<Finding> {
  const check = "known-servers";
  const path = serverPinsPath(Deno.build.os, folder);
  const facts = await factsOf(path);
  if (facts === null) {
    yield ok(check, "no relay was said yes to yet");
    return;
  }
  const mode = modeFinding(check, facts, "write");
  try {
    await serverPins(path).pinFor("localhost", 1);
    yield mode;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    yield storeFinding(check, error);
  }
}

async function* allProfiles(folder: string): AsyncGenerator<Finding> {
  const profiles = await profilesIn(folder);
  if (profiles.length === 0) yield ok("profile", "there is none: each session has a new identity");
  for (const profile of profiles) yield* sealingFindings(profile);
}

/** @returns the relays of the profile's rooms, if it could be opened */
async function* oneProfile(
  options: ProfileOptions,
  folder: string,
  ui: "line" | "json",
  ports: Ports,
): AsyncGenerator<Finding, readonly SavedServer[]> {
  const { name } = options;
  const check = "profile";
  const path = profileFile(folder, name);
  const sealing = await profileSealing(path);
  if (sealing === undefined) {
    const make = `stm profile create ${name}`;
    yield fail(
      check,
      `there is no profile ${name} (${path})`,
      `${make} makes it; stm profile list shows others`,
    );
    return [];
  }
  yield* sealingFindings({ name, path, sealing });
  const asksPerson = ui === "line" && ports.terminal.isTerminal;
  const passphrase = options.passphraseFile ?? ports.env.get("STM_PASSPHRASE_FILE") ?? "";
  const cannot = sealing === "neither" || (sealing === "plain" && !options.noPassphrase);
  if (cannot || (passphrase === "" && !options.noPassphrase && !asksPerson)) {
    if (sealing === "sealed") {
      yield ok(
        check,
        `${name} was not opened: --passphrase-file has it checked whole, and its relays with it`,
      );
    }
    return [];
  }
  try {
    const ask = asksPerson
      ? () => askSecret(`Passphrase of the profile ${name}`, ports.terminal)
      : null;
    const opened = await openSessionProfile(options, folder, ports.env, ask);
    const { rooms } = opened.store.profile;
    await opened.store.close();
    const count = rooms.length === 1 ? "1 room" : `${rooms.length} rooms`;
    yield ok(check, `${name} opens and is whole; it knows ${count}`);
    return rooms.map(({ server }) => server);
  } catch (error) {
    if (error instanceof StartError) {
      yield fail(check, error.message, "give what opens it");
    } else if (error instanceof StoreError) yield storeFinding(check, error);
    else throw error;
    return [];
  }
}

async function* sealingFindings({ name, path, sealing }: FoundProfile): AsyncGenerator<Finding> {
  const check = "profile";
  const facts = await factsOf(path);
  if (facts !== null) {
    const mode = modeFinding(check, facts, sealing === "sealed" ? "write" : "read");
    if (mode.verdict !== "ok") yield mode;
  }
  switch (sealing) {
    case "sealed":
      yield ok(check, `${name} is sealed`);
      break;
    case "plain":
      yield warn(
        check,
        `${name} is not sealed: whoever can read ${path} can be you`,
        "if that is not wanted, stm profile create makes a sealed one; you are somebody new with it",
      );
      break;
    case "neither":
      yield fail(
        check,
        `${path} is no profile of stm, or damaged`,
        "bring it back from a backup, or move it away",
      );
  }
}

function storeFinding(check: string, error: StoreError): Finding {
  if (error.code === "in-use") {
    return warn(check, error.message, "close the other stm to have it checked whole");
  }
  if (error.code === "wrong-passphrase-or-damaged") {
    return fail(
      check,
      error.message,
      "try the passphrase again; if it is right, bring the file back from a backup",
    );
  }
  return fail(check, error.message, "bring it back from a backup, or move it away to begin anew");
}

/** Narrower windows wrap every line. */
const LEAST_COLUMNS = 40;

function terminalFinding({ terminal, env }: Ports): Finding {
  const check = "terminal";
  if (!terminal.isTerminal) return ok(check, "there is none: stm reads and writes lines");
  if (!terminal.hasEscapes) {
    return warn(
      check,
      "TERM is dumb: what others say comes in the midst of what you type",
      "set TERM to what the terminal is, for example TERM=xterm-256color",
    );
  }
  const { columns } = terminal.size();
  if (columns < LEAST_COLUMNS) {
    return warn(
      check,
      `it has ${columns} columns`,
      `make the window ${LEAST_COLUMNS} columns wide or more`,
    );
  }
  // The first that is set decides, as everywhere (POSIX, "Environment Variables").
  const name = ["LC_ALL", "LC_CTYPE", "LANG"].find((name) => (env.get(name) ?? "") !== "");
  const locale = name === undefined ? "" : env.get(name) ?? "";
  if (locale !== "" && !/utf-?8/i.test(locale)) {
    return warn(
      check,
      `${name} is ${locale}, and stm writes UTF-8: names and texts may look wrong`,
      `set ${name} to a locale with UTF-8, for example ${name}=C.UTF-8`,
    );
  }
  return ok(check, `${columns} columns, obeys escape sequences`);
}

/** The account of `--user` with its password, asked for if need be. */
async function givenAccount(
  { login, ui, link, server }: ParticipantQuestion,
  { terminal, env }: Ports,
): Promise<Pick<RelayTarget, "account">> {
  const place = link ?? server;
  const given = await givenCredentials(login, {
    terminal,
    env,
    asksPerson: ui === "line" && terminal.isTerminal,
    relay: place === null ? "the relay" : formatAddress(place.host, place.port),
    remembered: undefined,
    say: () => {},
  });
  return given === null ? {} : { account: given };
}

async function* relays(
  question: ParticipantQuestion,
  saved: readonly SavedServer[],
  folder: string | null,
  account: Pick<RelayTarget, "account">,
): AsyncGenerator<Finding> {
  const { link, server } = question;
  if (link !== null) {
    const { host, port, relayKey: key } = link;
    yield* relayFindings({ host, port, key, ...account }, Date.now);
    return;
  }
  if (server !== null) {
    yield* namedRelay(server, folder, account);
    return;
  }
  const places = new Map(saved.map((one) => [`${one.host} ${one.port} ${one.pin}`, one]));
  for (const { host, port, pin, ...later } of places.values()) {
    const key = relayKey(fromHex(pin));
    const successors = successorsOf(later);
    yield* relayFindings({ host, port, key, successors, ...account }, Date.now);
  }
  if (places.size === 0) {
    yield ok(
      "relay",
      "none was looked at: give a link, - and an invite on standard input, or --host",
    );
  }
}

async function* namedRelay(
  { host, port, pin }: NonNullable<ParticipantQuestion["server"]>,
  folder: string | null,
  account: Pick<RelayTarget, "account">,
): AsyncGenerator<Finding> {
  let key: RelayKey;
  let successors: readonly Successor[] = [];
  const path = folder === null ? null : serverPinsPath(Deno.build.os, folder);
  try {
    const remembered = path === null ? undefined : await serverPins(path).pinFor(host, port);
    if (pin === undefined && remembered === undefined) {
      key = relayKey(await peekServerKey({ host, port }));
      const shown = formatFingerprint(fingerprintOf(key));
      yield warn(
        "pin",
        `${formatAddress(host, port)} is not known yet; it says that its fingerprint is ${shown}`,
        `compare that with what the relay printed at its start, and give --pin "${shown}"`,
      );
    } else {
      const known = path === null ? null : { path, pins: serverPins(path) };
      key = await trustedKey({ host, port, pin, acceptNew: false, known, confirm: null });
      if (pin === undefined) successors = successorsOf(remembered);
    }
  } catch (error) {
    if (error instanceof DialError) yield unreached(error);
    else if (error instanceof StoreError) yield storeFinding("known-servers", error);
    else if (error instanceof StartError && error.cause instanceof DialError) {
      yield unreached(error.cause);
    } else if (error instanceof StartError && error.exitCode === EXIT.wrongKey) {
      yield fail(
        "pin",
        error.message,
        "ask the relay's operator for its fingerprint",
        EXIT.wrongKey,
      );
    } else throw error;
    return;
  }
  const rememberedIn = pin === undefined && path !== null ? { rememberedIn: path } : {};
  yield* relayFindings({ host, port, key, successors, ...rememberedIn, ...account }, Date.now);
}
