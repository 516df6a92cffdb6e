/**
 * The start of a participant, the same for admin and client:
 *
 * 1. the face, and the run's keys in the background (RSA takes a moment);
 * 2. who we are; which relay, and that it is the right one;
 * 3. the rooms, in the key ring; then `run_role.ts` takes over;
 * 4. whatever happens, the face is closed and there is one exit code.
 */
import { KeyRing } from "../crypto/key_ring.ts";
import { systemRandom } from "../crypto/primitives.ts";
import {
  generateSessionKeys,
  generateSigningKey,
  type SessionKeys,
} from "../crypto/session_keys.ts";
import { suggestedName } from "../crypto/safety_code.ts";
import type { Notice } from "../session/notice.ts";
import { EXIT } from "../session/step.ts";
import { serverPinsPath, stateFolder } from "../store/paths.ts";
import { serverPins } from "../store/server_pins.ts";
import { StoreError } from "../store/store_error.ts";
import { dial } from "../transport/dial.ts";
import type { Face } from "../ui/face.ts";
import { jsonFace } from "../ui/json.ts";
import { lineFace } from "../ui/line.ts";
import { askLine, confirm, PromptError } from "../ui/prompt.ts";
import { processTerminal, type Terminal } from "../ui/terminal.ts";
import { sha256 } from "../crypto/primitives.ts";
import type { RelayKey } from "../wire/ids.ts";
import { LinkError, parseLink } from "../wire/link_url.ts";
import { isName } from "../wire/name.ts";
import { noStore, type PreparedRoom, type Role, systemClock } from "./ports.ts";
import { nextGeneration, prepareInvited, type RoomMaker } from "./rooms.ts";
import { runRole } from "./run_role.ts";
import { dialFailure, type KnownServers, trustedKey } from "./server_trust.ts";
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
}

/** Which relay a session goes to. */
export interface RelayPlace {
  readonly host: string;
  readonly port: number;
  /** The link's key; without one `--pin`, the known servers, or the person decide. */
  readonly key: RelayKey | null;
}

/** What a role adds to the start. */
export interface RoleStart<S> {
  readonly role: Role<S>;
  /** Prepares the rooms and the state before the first event. */
  begin(
    maker: RoomMaker,
    me: { name: string; identity: string },
  ): Promise<{ readonly rooms: readonly PreparedRoom[]; readonly initial: S }>;
}

/** Facts about this process that tests replace. */
export interface ParticipantPorts {
  readonly terminal: Terminal;
  readonly env: { get(name: string): string | undefined };
  readonly known: KnownServers;
  /** The run's keys; tests have a pool of them. */
  readonly sessionKeys: () => Promise<SessionKeys>;
  /** Calls back at SIGINT and SIGTERM until the returned function is called. */
  readonly onSignal: (callback: () => void) => () => void;
}

/** The process's own. @throws {StoreError} `no-home` if there is no folder to keep anything in */
export function processPorts(): ParticipantPorts {
  const { os } = Deno.build;
  const path = serverPinsPath(os, stateFolder(os, (name) => Deno.env.get(name)));
  return {
    terminal: processTerminal(),
    env: Deno.env,
    known: { path, pins: serverPins(path) },
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

/**
 * Runs a participant to its exit code.
 *
 * @param place asked for once the face is there: an invite may have to be prompted for
 */
export async function runParticipant<S>(
  options: ParticipantOptions,
  ports: ParticipantPorts,
  roleName: string,
  place: () => Promise<{ relay: RelayPlace; start: RoleStart<S>; warning: Notice | null }>,
): Promise<number> {
  const face = openFace(options, ports);
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

function openFace(options: ParticipantOptions, ports: ParticipantPorts): Face {
  const { terminal } = ports;
  if (options.ui === "json") {
    return jsonFace({ input: terminal, output: terminal, listen: options.listen });
  }
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
  place: () => Promise<{ relay: RelayPlace; start: RoleStart<S>; warning: Notice | null }>,
): Promise<number> {
  const session = ports.sessionKeys();
  // A failure before we wait for it is not unhandled; the wait below reports it.
  session.catch(() => {});
  const { relay, start, warning } = await place();
  if (warning !== null) face.notice(warning);
  const asksPerson = options.ui === "line" && ports.terminal.isTerminal;
  const name = await ownName(options, ports, asksPerson);
  const known = options.ephemeral ? null : ports.known;
  const key = relay.key ?? await trustedKey({
    host: relay.host,
    port: relay.port,
    pin: options.pin,
    acceptNew: options.acceptNew,
    known,
    confirm: asksPerson ? (question) => confirm(question, ports.terminal) : null,
  });
  const identity = await generateSigningKey();
  face.notice({
    type: "info",
    text: "no profile: you have a new identity, and nothing of this session is kept",
  });
  const own = { identity, session: await session, name };
  const ring = new KeyRing();
  const now = Date.now();
  const maker: RoomMaker = {
    ring,
    own,
    relay: key,
    random: systemRandom,
    generation: nextGeneration(0, now),
  };
  const { rooms, initial } = await start.begin(maker, {
    name,
    identity: identity.publicKey.toHex(),
  });
  try {
    return await runRole({
      role: start.role,
      initial,
      ring,
      relay: { host: relay.host, port: relay.port, key },
      dial: () => dial({ host: relay.host, port: relay.port, pin: key }),
      face,
      rooms,
      prepareJoin: (text) => joinOneMore(maker, text),
      store: noStore,
      clock: systemClock,
      random: systemRandom,
      onSignal: ports.onSignal,
    });
  } catch (error) {
    throw dialFailure(error, relay.key === null ? known : null);
  }
}

async function joinOneMore(maker: RoomMaker, text: string): Promise<PreparedRoom> {
  const link = parseLink(text, sha256);
  if (link.kind !== "invite") throw new Error("that is a server link, not an invite to a room");
  if (link.relayKey.toHex() !== maker.relay.toHex()) {
    throw new Error("that invite is for another relay: start another stm client for it");
  }
  // A room of this session cannot be prepared twice: its keys would be lost.
  if (maker.ring.get(link.room) !== undefined) throw new Error("you are in that room already");
  return await prepareInvited(maker, link);
}

async function ownName(
  options: ParticipantOptions,
  ports: ParticipantPorts,
  asksPerson: boolean,
): Promise<string> {
  const given = options.name ??
    (asksPerson
      ? await askLine("Your name in the room", ports.terminal, suggestedName(systemRandom))
      : suggestedName(systemRandom));
  const name = given.normalize("NFKC").trim();
  if (!isName(name)) {
    throw new StartError(
      "usage",
      EXIT.usage,
      `--name takes 1 to 64 bytes of text without control characters, not "${given}"; for example --name fox`,
    );
  }
  return name;
}
