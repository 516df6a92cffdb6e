/**
 * The start of a participant, the same for admin and client:
 *
 * 1. the face, and the run's keys in the background (RSA takes a moment);
 * 2. who we are, by a profile or for this run; which relay, and that it is the right one;
 * 3. the rooms, in the key ring; then `run_role.ts` takes over;
 * 4. whatever happens, the face is closed and there is one exit code.
 */
import { fingerprintOf } from "../crypto/join.ts";
import { KeyRing } from "../crypto/key_ring.ts";
import { systemRandom } from "../crypto/primitives.ts";
import {
  generateSessionKeys,
  generateSigningKey,
  type SessionKeys,
  type SigningKey,
} from "../crypto/session_keys.ts";
import { suggestedName } from "../crypto/safety_code.ts";
import type { Notice } from "../session/notice.ts";
import { EXIT } from "../session/exit_code.ts";
import { serverPinsPath, stateFolder } from "../store/paths.ts";
import type { SavedServer } from "../store/profile.ts";
import { serverPins } from "../store/server_pins.ts";
import { StoreError } from "../store/store_error.ts";
import type { Link } from "../transport/link.ts";
import { followed } from "../store/profile.ts";
import type { Successor } from "../wire/key_change.ts";
import type { Face } from "../ui/face.ts";
import { askLine, askSecret, confirm, PromptError } from "../ui/prompt.ts";
import { processTerminal, type Terminal } from "../ui/terminal.ts";
import { sha256 } from "../crypto/primitives.ts";
import { formatFingerprint, type Generation, type RelayKey } from "../wire/ids.ts";
import { formatAddress, LinkError, parseLink } from "../wire/link_url.ts";
import { isName } from "../wire/name.ts";
import { givenCredentials, type LoginOptions } from "./credentials.ts";
import { type Login, loginWith } from "./login.ts";
import { noStore, type PreparedRoom, type Role, type SessionStore, systemClock } from "./ports.ts";
import { profileSessionStore } from "./profile_session_store.ts";
import { nextGeneration } from "../crypto/join.ts";
import { prepareInvited, type RoomMaker } from "./rooms.ts";
import { runRole } from "./run_role.ts";
import { dialFailure, type KnownServers, trustedKey } from "./server_trust.ts";
import {
  openSessionProfile,
  type ProfileOptions,
  type SessionProfile,
  takeGeneration,
} from "./session_profile.ts";
import { PinnedRelay, successorsOf } from "./pinned_relay.ts";
import { StartError } from "./start_error.ts";

/** How long the last output may take to leave the process. */
const CLOSE_MS = 5000;

/** What admin and client have in common on the command line. */
export interface ParticipantOptions {
  readonly version: string;
  readonly ui: "line" | "json";
  readonly color: boolean;
  /** Go on after the end of stdin. */
  readonly listen: boolean;
  /** `--name`; asked for, or made up, without it. */
  readonly name: string | undefined;
  readonly host: string;
  readonly port: number;
  readonly pin: string | undefined;
  readonly acceptNew: boolean;
  readonly ephemeral: boolean;
  /** `--retry`: for how long a lost relay is looked for, milliseconds or Infinity. */
  readonly retryMs: number;
  /** `--profile`; `null` for an identity of this run only. */
  readonly profile: ProfileOptions | null;
  /** `--user` and what goes with it. */
  readonly login?: LoginOptions;
}

/** Which relay a session goes to. */
export interface RelayPlace {
  readonly host: string;
  readonly port: number;
  /** The link's key; without one `--pin`, the known servers, or the person decide. */
  readonly key: RelayKey | null;
  /** What a profile knows to come after it. */
  readonly successors?: readonly Successor[];
}

/** What a role adds to the start. */
export interface RoleStart<S> {
  readonly role: Role<S>;
  /**
   * Prepares the rooms and the state before the first event.
   *
   * @param verified identities that were verified in earlier runs
   * @param server the relay, as a profile keeps it
   */
  begin(
    maker: RoomMaker,
    me: { name: string; identity: string },
    verified: readonly string[],
    server: SavedServer,
  ): Promise<{ readonly rooms: readonly PreparedRoom[]; readonly initial: S }>;
}

/** Facts about this process that tests replace. */
export interface ParticipantPorts {
  readonly terminal: Terminal;
  readonly env: { get(name: string): string | undefined };
  /** The folder of what is kept between runs. @throws {StoreError} `no-home` */
  readonly folder: () => string;
  /** The run's keys; tests have a pool of them. */
  readonly sessionKeys: () => Promise<SessionKeys>;
  /** Calls back at SIGINT and SIGTERM until the returned function is called. */
  readonly onSignal: (callback: () => void) => () => void;
}

/** The process's own. */
export function processPorts(): ParticipantPorts {
  return {
    terminal: processTerminal(),
    env: Deno.env,
    // Asked only where something is remembered: a session by an invite needs no home.
    folder: () => stateFolder(Deno.build.os, (name) => Deno.env.get(name)),
    sessionKeys: generateSessionKeys,
    onSignal: onProcessSignal,
  };
}

function onProcessSignal(callback: () => void): () => void {
  // Windows knows no SIGTERM that a program could hear.
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, callback);
  return () => {
    for (const signal of signals) Deno.removeSignalListener(signal, callback);
  };
}

/** Which relay, and what to do there. */
export type Place<S> = (
  profile: SessionProfile | null,
) => Promise<{ relay: RelayPlace; start: RoleStart<S>; warning: Notice | null }>;

/**
 * Runs a participant to its exit code.
 *
 * @param place asked for once the face is there: an invite may have to be prompted for
 */
export async function runParticipant<S>(
  options: ParticipantOptions,
  ports: ParticipantPorts,
  roleName: string,
  place: Place<S>,
): Promise<number> {
  const face = await openFace(options, ports);
  face.notice({ type: "hello", schema: 1, version: options.version, role: roleName });
  try {
    return await runWith(options, ports, face, place);
  } catch (error) {
    const failure = startFailure(error);
    if (failure === null) throw error;
    face.notice({ type: "error", code: failure.code, message: failure.message });
    face.notice({ type: "bye", reason: failure.message, exitCode: failure.exitCode });
    return failure.exitCode;
  } finally {
    await closeWithin(face, CLOSE_MS);
  }
}

/** A reader of our output that has stopped must not keep the process for ever. */
async function closeWithin(face: Face, ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
  await Promise.race([face.close(), late]);
  clearTimeout(timer);
}

function startFailure(error: unknown): StartError | null {
  if (error instanceof StartError) return error;
  if (error instanceof LinkError) {
    return new StartError(
      "usage",
      EXIT.usage,
      `${error.message}; for example stm client 'stm://HOST:PORT/#…'`,
    );
  }
  if (error instanceof StoreError) {
    return new StartError(error.code, EXIT.failed, error.message, { cause: error });
  }
  if (error instanceof PromptError) {
    return new StartError(
      error.code,
      error.code === "no-terminal" ? EXIT.usage : EXIT.left,
      error.message,
    );
  }
  return null;
}

/** Only the one that is wanted is loaded. */
async function openFace(options: ParticipantOptions, ports: ParticipantPorts): Promise<Face> {
  const { terminal } = ports;
  if (options.ui === "json") {
    const { jsonFace } = await import("../ui/json.ts");
    return jsonFace({ input: terminal, output: terminal, listen: options.listen });
  }
  const { lineFace } = await import("../ui/line.ts");
  return lineFace({
    terminal,
    listen: options.listen,
    color: options.color,
    env: {
      NO_COLOR: ports.env.get("NO_COLOR"),
      TERM: ports.env.get("TERM"),
      COLORTERM: ports.env.get("COLORTERM"),
    },
  });
}

async function runWith<S>(
  options: ParticipantOptions,
  ports: ParticipantPorts,
  face: Face,
  place: Place<S>,
): Promise<number> {
  const session = ports.sessionKeys();
  // A failure before we wait for it is not unhandled; the wait below reports it.
  session.catch(() => {});
  const asksPerson = options.ui === "line" && ports.terminal.isTerminal;
  const profile = options.profile === null
    ? null
    : await openOwnProfile(options.profile, ports, asksPerson);
  try {
    return await runAs(profile, session, options, ports, face, place);
  } finally {
    await profile?.store.close();
  }
}

function openOwnProfile(
  profile: ProfileOptions,
  ports: ParticipantPorts,
  asksPerson: boolean,
): Promise<SessionProfile> {
  const question = `Passphrase of the profile ${profile.name}`;
  const ask = asksPerson ? () => askSecret(question, ports.terminal) : null;
  return openSessionProfile(profile, ports.folder(), ports.env, ask);
}

async function runAs<S>(
  profile: SessionProfile | null,
  session: Promise<SessionKeys>,
  options: ParticipantOptions,
  ports: ParticipantPorts,
  face: Face,
  place: Place<S>,
): Promise<number> {
  const asksPerson = options.ui === "line" && ports.terminal.isTerminal;
  const { relay, start, warning } = await place(profile);
  if (warning !== null) face.notice(warning);
  const name = await ownName(options, ports, profile, asksPerson);
  const known = relay.key !== null || options.pin !== undefined || options.ephemeral
    ? null
    : knownServers(ports);
  const key = relay.key ?? await trustedKey({
    host: relay.host,
    port: relay.port,
    pin: options.pin,
    acceptNew: options.acceptNew,
    known,
    confirm: asksPerson ? (question) => askBelow(face, question, ports.terminal) : null,
  });
  const pinned = new PinnedRelay(relay.host, relay.port, {
    key,
    successors: relay.successors ?? await savedSuccessors(known, relay),
  }, {
    keep: async (before, after) => {
      await known?.pins.follow(relay.host, relay.port, before, after);
      await profile?.store.update((saved) => followed(saved, before, after));
    },
    notice: (notice) => face.notice(notice),
    now: systemClock.now,
  });
  const server = (): SavedServer => ({
    host: relay.host,
    port: relay.port,
    pin: pinned.key.toHex(),
  });
  const login = await sessionLogin(options, ports, face, profile, pinned);
  const identity = profile?.identity ?? await generateSigningKey();
  face.notice({ type: "info", text: whoWeAre(profile, identity) });
  const { next, store } = memoryOf(profile, server);
  const ring = new KeyRing();
  const maker = async (): Promise<RoomMaker> => ({
    ring,
    own: { identity, session: await session, name },
    relay: pinned.key,
    random: systemRandom,
    generation: await next(),
    profile,
  });
  let first: Link | null = null;
  try {
    if (relay.key === null) {
      // An open room is named by the relay's key: which one that is now has to be known first.
      await session;
      first = await pinned.dial();
    }
    const { rooms, initial } = await start.begin(
      await maker(),
      { name, identity: identity.publicKey.toHex() },
      profile?.store.profile.verified ?? [],
      server(),
    );
    return await runRole({
      role: start.role,
      initial,
      ring,
      relay: pinned,
      hearKeyChanges: (statements) => pinned.hear(statements),
      dial: () => {
        const link = first;
        first = null;
        return link === null ? pinned.dial() : Promise.resolve(link);
      },
      ...(login === null ? {} : { login }),
      face,
      rooms,
      // A room that we were in needs a newer generation than it had of us.
      prepareJoin: async (text) => await joinOneMore(await maker(), pinned, text),
      store,
      clock: systemClock,
      retryMs: options.retryMs,
      random: systemRandom,
      onSignal: ports.onSignal,
    });
  } catch (error) {
    first?.destroy();
    throw dialFailure(error, known);
  }
}

/** How the session logs in; null if nobody said with which account. */
async function sessionLogin(
  options: ParticipantOptions,
  ports: ParticipantPorts,
  face: Face,
  profile: SessionProfile | null,
  relay: PinnedRelay,
): Promise<Login | null> {
  const pinNow = relay.key.toHex();
  const remembered = profile?.store.profile.accounts?.find((one) => one.pin === pinNow)?.name;
  if (options.login === undefined) return null;
  const given = await givenCredentials(options.login, {
    terminal: ports.terminal,
    env: ports.env,
    asksPerson: options.ui === "line" && ports.terminal.isTerminal,
    relay: formatAddress(relay.host, relay.port),
    remembered,
    say: (text) => face.notice({ type: "info", text }),
  });
  if (given === null) return null;
  const { account } = given;
  return loginWith({
    ...given,
    loggedIn: async () => {
      if (profile === null || account === remembered) return;
      const pin = relay.key.toHex(); // it may be another by now
      try {
        await profile.store.update((p) => ({
          ...p,
          accounts: [...(p.accounts ?? []).filter((o) => o.pin !== pin), { pin, name: account }],
        }));
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        // The login is good; the next session asks with --user again.
        face.notice({ type: "error", code: error.code, message: error.message });
      }
    },
  });
}

async function savedSuccessors(
  known: KnownServers | null,
  { host, port }: RelayPlace,
): Promise<readonly Successor[]> {
  return successorsOf(await known?.pins.pinFor(host, port));
}

function knownServers(ports: ParticipantPorts): KnownServers {
  const path = serverPinsPath(Deno.build.os, ports.folder());
  return { path, pins: serverPins(path) };
}

function whoWeAre(profile: SessionProfile | null, identity: SigningKey): string {
  if (profile === null) {
    return "no profile: you have a new identity, and nothing of this session is kept";
  }
  const fingerprint = formatFingerprint(fingerprintOf(identity.publicKey));
  return `profile ${profile.name}, fingerprint ${fingerprint}` +
    (profile.sealed ? "" : `; it is not sealed: whoever can read ${profile.store.path} can be you`);
}

/** Where a session's memory is: in its profile, or gone with it. */
function memoryOf(
  profile: SessionProfile | null,
  server: () => SavedServer,
): { next: () => Promise<Generation>; store: SessionStore } {
  if (profile !== null) {
    return {
      next: () => takeGeneration(profile.store, Date.now()),
      store: profileSessionStore(profile.store, server),
    };
  }
  let last = 0;
  return {
    next: () => {
      const taken = nextGeneration(last, Date.now());
      last = taken;
      return Promise.resolve(taken);
    },
    store: noStore,
  };
}

async function joinOneMore(
  maker: RoomMaker,
  relay: PinnedRelay,
  text: string,
): Promise<PreparedRoom> {
  const link = parseLink(text, sha256);
  if (link.kind !== "invite") throw new Error("that is a server link, not an invite to a room");
  if (!relay.isNamed(link.relayKey)) {
    throw new Error("that invite is for another relay: start another stm client for it");
  }
  // A room of this session cannot be prepared twice: its keys would be lost.
  if (maker.ring.get(link.room) !== undefined) throw new Error("you are in that room already");
  return await prepareInvited(maker, link);
}

async function ownName(
  options: ParticipantOptions,
  ports: ParticipantPorts,
  profile: SessionProfile | null,
  asksPerson: boolean,
): Promise<string> {
  const kept = options.name ?? profile?.store.profile.name;
  if (kept !== undefined) return checkedName(kept);
  const made = suggestedName(systemRandom);
  const asked = asksPerson ? await askLine(`Your name in the room [${made}]`, ports.terminal) : "";
  const name = checkedName(asked === "" ? made : asked);
  await profile?.store.update((p) => ({ ...p, name }));
  return name;
}

/** Asks a question of several lines: a prompt has one. */
function askBelow(face: Face, question: string, terminal: Terminal): Promise<boolean> {
  const lines = question.split("\n");
  const last = lines.pop() ?? "";
  for (const text of lines) face.notice({ type: "info", text });
  return confirm(last, terminal);
}

function checkedName(given: string): string {
  const name = given.normalize("NFKC").trim();
  if (isName(name)) return name;
  throw new StartError(
    "usage",
    EXIT.usage,
    `--name takes 1 to 64 bytes of text without control characters, not "${given}"; for example --name fox`,
  );
}
