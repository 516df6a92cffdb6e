/**
 * How `stm server status` and the other commands reach the relay that runs: a socket in the folder of
 * its key, 0600, so that whoever may read the key may ask, and nobody else. Where there are no such
 * sockets (Windows), a port of loopback, and a file in that folder with a token.
 *
 * One request a connection: a JSON object on a line; the answer is one too.
 *
 * @module
 */
import { join } from "node:path";

/** Name of the socket. */
export const CONTROL_SOCKET = "control.sock";
/** Name of the file with port and token, where there are no sockets in folders. */
export const CONTROL_FILE = "control.json";

/** What can be asked. */
export const CONTROL_REQUESTS = ["status", "reload"] as const;

/** One of {@link CONTROL_REQUESTS}. */
export type ControlRequest = (typeof CONTROL_REQUESTS)[number];

/** An answer: a JSON object. */
export type ControlAnswer = Readonly<Record<string, unknown>>;

/** Sockets in folders, or a port and a token. */
export type ControlKind = "socket" | "port";

/** Longest line of either side. */
const MAX_LINE_BYTES = 65_536;
/** A request is short and written at once. */
const REQUEST_MS = 5_000;
/** After an accept that failed. */
const ACCEPT_AGAIN_MS = 100;
const LOOPBACK = "127.0.0.1";
const FILE_MODE = 0o600;
/** `sun_path` has 108 bytes on Linux and 104 on macOS, a zero at the end among them. */
const MAX_SOCKET_PATH_BYTES = Deno.build.os === "linux" ? 107 : 103;

/** The relay cannot be asked, whether it runs or not. The message says what to do. */
export class ControlError extends Error {
  /** Always "ControlError". */
  override readonly name = "ControlError";
}

/** What this system has. */
export function controlKind(): ControlKind {
  return Deno.build.os === "windows" ? "port" : "socket";
}

/** A relay that can be asked. */
export interface Control {
  /** Answers no longer. */
  close(): Promise<void>;
}

/**
 * Answers requests until `close`.
 *
 * @param certs the folder of the relay's key
 * @returns null if another relay that runs answers there already
 * @throws {Error} of the system if the socket cannot be made
 */
export async function openControl(
  certs: string,
  answer: (request: ControlRequest) => Promise<ControlAnswer>,
  kind: ControlKind = controlKind(),
): Promise<Control | null> {
  const there = await connectTo(certs, kind);
  if (there !== null) {
    there.connection.close();
    return null;
  }
  const token = kind === "port" ? crypto.getRandomValues(new Uint8Array(32)).toHex() : "";
  const [listener, path] = kind === "port"
    ? await listenOnPort(certs, token)
    : await listenInFolder(certs);
  const open = new Set<Deno.Conn>();
  let closed = false;
  const serving = (async () => {
    while (!closed) {
      const connection = await accepted(listener);
      if (connection === null) continue;
      open.add(connection);
      serveOne(connection, token, answer).finally(() => open.delete(connection));
    }
  })();
  return {
    close: async () => {
      closed = true;
      listener.close();
      for (const connection of open) close(connection);
      await serving;
      await Deno.remove(path).catch(ignoreMissing);
    },
  };
}

/** The next connection; null if there is none yet: a flood leaves no descriptors, which is no end. */
async function accepted(listener: Deno.Listener): Promise<Deno.Conn | null> {
  try {
    return await listener.accept();
  } catch (error) {
    if (error instanceof Deno.errors.BadResource) return null; // it was closed
    await new Promise((resolve) => setTimeout(resolve, ACCEPT_AGAIN_MS));
    return null;
  }
}

/** A socket's path, which no system has room for at any length. @throws {ControlError} */
function socketPath(certs: string): string {
  const path = join(certs, CONTROL_SOCKET);
  const bytes = new TextEncoder().encode(path).length;
  if (bytes <= MAX_SOCKET_PATH_BYTES) return path;
  throw new ControlError(
    `no relay can be asked by ${path}: ${bytes} bytes are more than the ${MAX_SOCKET_PATH_BYTES} ` +
      "that a socket's path may have. Give --certs a shorter one",
  );
}

async function listenInFolder(certs: string): Promise<[Deno.Listener, string]> {
  const path = socketPath(certs);
  // Nobody answers there: it is what a relay left that was killed.
  await Deno.remove(path).catch(ignoreMissing);
  const listener = Deno.listen({ transport: "unix", path });
  await Deno.chmod(path, FILE_MODE);
  return [listener, path];
}

async function listenOnPort(certs: string, token: string): Promise<[Deno.Listener, string]> {
  const path = join(certs, CONTROL_FILE);
  const listener = Deno.listen({ hostname: LOOPBACK, port: 0 });
  const { port } = listener.addr;
  await Deno.remove(path).catch(ignoreMissing);
  await Deno.writeTextFile(path, JSON.stringify({ port, token }), {
    createNew: true,
    mode: FILE_MODE,
  });
  return [listener, path];
}

async function serveOne(
  connection: Deno.Conn,
  token: string,
  answer: (request: ControlRequest) => Promise<ControlAnswer>,
): Promise<void> {
  const deadline = setTimeout(() => close(connection), REQUEST_MS);
  try {
    const asked = field(await readLine(connection), "ask");
    clearTimeout(deadline);
    const request = CONTROL_REQUESTS.find((one) => `${token}${one}` === asked);
    const reply = request === undefined
      ? { error: "there is no such request" }
      : await answer(request);
    await writeLine(connection, reply);
  } catch (error) {
    // Whoever asked is gone, or wrote nonsense: nothing is owed. Our own errors are answers.
    if (!isOfConnection(error)) throw error;
  } finally {
    clearTimeout(deadline);
    close(connection);
  }
}

/**
 * Asks the relay that runs with this folder.
 *
 * @returns its answer; null if none runs, or it may not be asked
 * @throws {ControlError} if it cannot be asked
 */
export async function askRelay(
  certs: string,
  request: ControlRequest,
  kind: ControlKind = controlKind(),
): Promise<ControlAnswer | null> {
  const there = await connectTo(certs, kind);
  if (there === null) return null;
  try {
    await writeLine(there.connection, { ask: `${there.token}${request}` });
    const answer = await readLine(there.connection);
    return isObject(answer) ? answer : null;
  } catch (error) {
    if (isOfConnection(error)) return null;
    throw error;
  } finally {
    close(there.connection);
  }
}

async function connectTo(
  certs: string,
  kind: ControlKind,
): Promise<{ connection: Deno.Conn; token: string } | null> {
  try {
    if (kind === "socket") {
      const path = socketPath(certs);
      return { connection: await Deno.connect({ transport: "unix", path }), token: "" };
    }
    const known: unknown = JSON.parse(await Deno.readTextFile(join(certs, CONTROL_FILE)));
    const port = Number(field(known, "port"));
    return {
      connection: await Deno.connect({ hostname: LOOPBACK, port }),
      token: String(field(known, "token")),
    };
  } catch (error) {
    if (
      error instanceof Deno.errors.NotFound || error instanceof Deno.errors.ConnectionRefused ||
      error instanceof Deno.errors.NotADirectory || error instanceof SyntaxError
    ) return null;
    throw error;
  }
}

async function readLine(connection: Deno.Conn): Promise<unknown> {
  const buffer = new Uint8Array(MAX_LINE_BYTES);
  let length = 0;
  for (;;) {
    const read = await connection.read(buffer.subarray(length));
    if (read === null) throw new SyntaxError("the line has no end");
    const end = buffer.subarray(0, length + read).indexOf(10, length);
    length += read;
    if (end >= 0) return JSON.parse(new TextDecoder().decode(buffer.subarray(0, end)));
    if (length === buffer.length) throw new SyntaxError("the line is too long");
  }
}

async function writeLine(connection: Deno.Conn, value: unknown): Promise<void> {
  const bytes = new TextEncoder().encode(`${JSON.stringify(value)}\n`);
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

function isObject(value: unknown): value is ControlAnswer {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function field(value: unknown, name: string): unknown {
  return isObject(value) ? value[name] : undefined;
}

/** The other side broke off, or wrote no JSON. */
function isOfConnection(error: unknown): boolean {
  return error instanceof SyntaxError || error instanceof Deno.errors.BadResource ||
    error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.ConnectionAborted || error instanceof Deno.errors.NotConnected ||
    error instanceof Deno.errors.Interrupted;
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
