/**
 * `stm server`: from options to a relay that listens, and to its exit code.
 *
 * @module
 */
import { writeFileAtomic } from "../store/atomic.ts";
import { StoreError } from "../store/store_error.ts";
import type { Link } from "../transport/link.ts";
import { carryOutKeyChange, readKeyChanges } from "../transport/key_change_files.ts";
import { listen, type ListenAddress, type Listener, ListenError } from "../transport/listen.ts";
import { loadOrCreateServerKey, ServerKeyError } from "../transport/server_key.ts";
import { fingerprint, formatFingerprint, type RelayKey, relayKey, toHex } from "../wire/ids.ts";
import {
  formatAddress,
  formatLink,
  LinkError,
  parseAddress,
  type ServerLink,
} from "../wire/link_url.ts";
import type { Access } from "../wire/relay_message.ts";
import { fingerprintInput } from "../wire/room_id.ts";
import { Guard } from "./guard.ts";
import { Journal } from "./journal.ts";
import type { ServerOptions } from "./options.ts";
import type { Relay } from "./relay.ts";
import type { AccountsParts, OpenAccounts } from "./shell_accounts.ts";
import { readBans } from "./shell_bans.ts";
import type { MetricsListener, MetricsSource } from "./shell_metrics.ts";
import type { Operation, TurnedAway } from "./shell_operation.ts";

/** Where the relay's words go; lines without their line feed. */
export interface ServerOutput {
  /** Standard output. */
  out(line: string): void;
  /** Standard error. */
  err(line: string): void;
}

/** What ends a relay. */
export interface StopSignal {
  /** Resolves with the reason once the relay is to stop. */
  readonly stopped: Promise<string>;
  /** Resolves when it was told once more: nothing is waited for any longer. */
  readonly hurried?: Promise<unknown>;
  /** Listens no longer. */
  dispose(): void;
}

/** Facts about this program and machine that a test replaces. */
export interface ServerPorts {
  /** Of the program, for `hello`. */
  readonly version: string;
  /** What ends the relay. */
  readonly stop: StopSignal;
  /** Addresses of this machine that others may reach, the likeliest first. */
  readonly addresses: () => readonly string[];
  /** Reads the options anew, for a reload. */
  readonly reread?: () => Promise<ServerOptions>;
  /** Calls back whenever the relay is told to reload; returns how to hear no more. */
  readonly hangUp?: (call: () => void) => () => void;
}

/**
 * Runs a relay until it is told to stop.
 *
 * @returns 0 after a stop, 1 if it could not listen or read its key, 2 for a wrong `--public`
 */
export async function runServer(
  options: ServerOptions,
  output: ServerOutput,
  ports: ServerPorts,
): Promise<number> {
  const say = new Announcer(options.ui, output);
  say.event("hello", { schema: 1, version: ports.version, role: "server" });
  // From the first moment: a SIGHUP that nobody hears ends the process, and systemd takes that for a wish.
  const started = Promise.withResolvers<Operation>();
  const stopHearing = ports.hangUp?.(() =>
    void started.promise.then((running) => running.reload())
  );
  try {
    return await serve(options, say, ports, started.resolve);
  } catch (error) {
    if (error instanceof LinkError) {
      return say.failed(2, "usage", `--public is wrong: ${error.message}`);
    }
    if (error instanceof ServerKeyError && isRefused(error)) {
      const folder =
        "The relay keeps its key there; name a folder of yours: --certs DIR, or STM_CERTS";
      return say.failed(1, error.code, `${error.message}. ${folder}`);
    }
    if (
      error instanceof ListenError || error instanceof ServerKeyError || error instanceof StoreError
    ) {
      return say.failed(1, error.code, error.message);
    }
    throw error;
  } finally {
    stopHearing?.();
    ports.stop.dispose();
  }
}

/** Whether the system said no to the folder, whatever is in it. */
function isRefused({ code }: ServerKeyError): boolean {
  return code === "unreadable" || code === "unwritable";
}

async function serve(
  options: ServerOptions,
  say: Announcer,
  ports: ServerPorts,
  started: (operation: Operation) => void,
): Promise<number> {
  // Said before anything is made or opened, if it cannot be right.
  if (options.public !== null) publicAddress(options.public, options.listen[0]?.port || 1);
  await carryOutKeyChange(options.certs, Date.now() / 1000);
  const key = await loadOrCreateServerKey(options.certs, writeFileAtomic);
  const pin = relayKey(key.publicKey);
  const changes = await readKeyChanges(options.certs, pin, Date.now() / 1000);
  const { limits, operation: settings } = options;
  const guard = new Guard(limits, settings.exempt, await readBans(options.certs));
  const gate = new Threshold();
  const turnedAway: TurnedAway = {};
  const journal = new Journal(settings.log, say.log);
  const failed = (error: unknown) =>
    journal.log("error", "failed", { what: "login", why: String(error) });
  let accounts: OpenAccounts | null = null;
  let operation: Operation | null = null;
  let listener: Listener | null = null;
  const metrics = await openMetrics(settings.metrics, {
    page: () => operation?.page() ?? "",
    ready: () => operation?.ready ?? false,
  });
  try {
    accounts = await accountsOf(settings.access, {
      certs: options.certs,
      guard,
      failed,
    });
    listener = await listen({
      addresses: options.listen,
      keyPem: key.keyPem,
      certPem: key.certPem,
      handshakeTimeoutMs: limits.handshakeMs,
      maxConnections: limits.maxConnections,
      balancers: settings.balancers,
      admission: guard,
      isTalking: () => gate.isTalking,
      onLink: (link, shown) => gate.accept(link, shown),
      onRefused: ({ code, remoteAddress }) => {
        turnedAway[code] = (turnedAway[code] ?? 0) + 1;
        journal.log("info", "turned-away", { code }, remoteAddress);
      },
    });
    const linkTo = await announce(options, say, ports, { listener, pin, metrics, accounts });
    journal.log("info", "ready", { version: ports.version, port: listener.port });
    // Loaded when the port is open already: whoever is quicker waits for it at the threshold.
    const { Operation } = await import("./shell_operation.ts");
    operation = new Operation({
      version: ports.version,
      options,
      reread: ports.reread ?? null,
      key: pin,
      changes,
      keyChanged: async (next) => {
        const link = await linkTo(next);
        const shown = await fingerprintOf(next);
        say.event("server-key", { state: "changed", pin: toHex(next), fingerprint: shown, link });
        say.line(`  the key has changed as planned; fingerprint: ${shown}`);
        say.line(`  server link: ${link}  <- give this to whoever will run a room from now on`);
      },
      journal,
      listener,
      guard,
      turnedAway,
      accounts,
      reloadables: [],
    });
    await operation.listenForCommands();
    gate.open(operation.relay);
    started(operation);
    const reason = await ports.stop.stopped;
    say.event("stopping", { reason });
    say.line("  stopping");
    // Nobody is let in any more; who is there is told, and has a moment to read it.
    await operation.stop(reason, ports.stop.hurried ?? new Promise(() => {}));
  } finally {
    await listener?.close();
    await operation?.close();
    accounts?.close();
    await metrics?.close();
  }
  say.event("bye", { reason: "stopped", exitCode: 0 });
  return 0;
}

/** An open relay loads nothing of accounts. @throws {StoreError} for files that are not right */
async function accountsOf(
  access: Access,
  parts: Omit<AccountsParts, "access">,
): Promise<OpenAccounts | null> {
  if (access === "open") return null;
  const { openAccounts } = await import("./shell_accounts.ts");
  return await openAccounts({ ...parts, access });
}

/** @throws {ListenError} if the address cannot be had */
async function openMetrics(
  address: ListenAddress | null,
  source: MetricsSource,
): Promise<MetricsListener | null> {
  if (address === null) return null;
  const { serveMetrics } = await import("./shell_metrics.ts");
  try {
    return serveMetrics(address, source);
  } catch (cause) {
    const where = formatAddress(address.host, address.port);
    const why = cause instanceof Deno.errors.AddrInUse
      ? "the port is taken. Stop the other program or choose another with --metrics"
      : cause instanceof Error
      ? cause.message
      : String(cause);
    throw new ListenError("failed", `cannot serve metrics on ${where}: ${why}`, { cause });
  }
}

/** Keeps links until the relay is there; a link that is not started loses nothing. */
class Threshold {
  #relay: Relay | null = null;
  #waiting: [Link, RelayKey][] = [];

  get isTalking(): boolean {
    return this.#relay?.isTalking ?? false;
  }

  accept(link: Link, shown: RelayKey): void {
    if (this.#relay === null) this.#waiting.push([link, shown]);
    else this.#relay.accept(link, shown);
  }

  open(relay: Relay): void {
    this.#relay = relay;
    for (const [link, shown] of this.#waiting.splice(0)) relay.accept(link, shown);
  }
}

/** What the first lines tell of. */
interface Announced {
  readonly listener: Listener;
  readonly pin: RelayKey;
  readonly metrics: MetricsListener | null;
  readonly accounts: OpenAccounts | null;
}

/** @returns what the server link is for another key */
async function announce(
  options: ServerOptions,
  say: Announcer,
  ports: ServerPorts,
  { listener, pin, metrics, accounts }: Announced,
): Promise<(key: RelayKey) => Promise<string>> {
  const [{ host, port } = { host: "", port: listener.port }] = listener.addresses;
  const guessed = options.public === null && isWildcard(host);
  const listening = listener.addresses.map((at) => formatAddress(at.host, at.port));
  const dialled = options.public !== null
    ? publicAddress(options.public, port)
    : { host: guessed ? ports.addresses()[0] ?? "127.0.0.1" : host, port };
  const linkTo = (key: RelayKey) => linkOf({ kind: "server", relayKey: key, ...dialled });
  const link = await linkTo(pin);
  const shown = await fingerprintOf(pin);
  const numbers = metrics === null
    ? null
    : formatAddress(metrics.address.host, metrics.address.port);
  say.event("ready", {
    host,
    port,
    listening,
    link,
    pin: toHex(pin),
    fingerprint: shown,
    ...(numbers === null ? {} : { metrics: numbers }),
    ...(accounts === null ? {} : { access: accounts.access }),
  });
  say.line(`  relay ready on ${listening.join(" and ")}`);
  say.line(`  fingerprint: ${shown}`);
  say.line(`  server link: ${link}  <- give this to whoever will run a room`);
  if (numbers !== null) say.line(`  metrics: http://${numbers}/metrics`);
  if (accounts !== null) say.line(`  ${accessLine(accounts)}`);
  if (!guessed) return linkTo;
  say.line(
    `  (the link has this machine's address ${dialled.host}. If others reach it by another, as ` +
      `behind a router that forwards port ${port}, start with --public HOST)`,
  );
  return linkTo;
}

/** A relay key's fingerprint, as people compare it. */
async function fingerprintOf(key: RelayKey): Promise<string> {
  const hash = await sha256(fingerprintInput(key));
  return formatFingerprint(fingerprint(hash.subarray(0, 16)));
}

function accessLine(accounts: OpenAccounts): string {
  const count = accounts.count();
  const who = count === 1 ? "1 account" : `${count} accounts`;
  const how = accounts.access === "code" ? "stm server code makes a code for more, and " : "";
  return `a login is wanted, ${who}: ${how}stm server user add NAME makes one`;
}

// WebCrypto's, which is a promise: node:crypto has it at once, and costs 4 ms of every start.
async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** The link, for which a first pass finds out what has to be hashed. */
async function linkOf(link: ServerLink): Promise<string> {
  let hash = new Uint8Array(32);
  let input = new Uint8Array(0);
  formatLink(link, (bytes) => {
    input = bytes;
    return hash;
  });
  hash = new Uint8Array(await sha256(input));
  return formatLink(link, () => hash);
}

/**
 * What `--public` names.
 *
 * @param port if it names none
 * @throws {LinkError} if it is no `HOST` or `HOST:PORT`
 */
export function publicAddress(text: string, port: number): { host: string; port: number } {
  const bare = /^[^:]*$/.test(text) || /^\[[^\]]*\]$/.test(text);
  return parseAddress(bare ? `${text}:${port}` : text);
}

/** Whether a host to listen on stands for every address of this machine. */
export function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::" || host === "";
}

/** Prints for people or for programs; what is for the other is left out. */
class Announcer {
  readonly #ui: ServerOptions["ui"];
  readonly #output: ServerOutput;

  constructor(ui: ServerOptions["ui"], output: ServerOutput) {
    this.#ui = ui;
    this.#output = output;
  }

  line(text: string): void {
    if (this.#ui === "line") this.#output.out(text);
  }

  /** For the log, whoever the rest is for. */
  readonly log = (line: string): void => this.#output.err(line);

  event(type: string, fields: Readonly<Record<string, unknown>>): void {
    if (this.#ui !== "json") return;
    this.#output.out(JSON.stringify({ type, ...fields, at: new Date().toISOString() }));
  }

  failed(exitCode: number, code: string, message: string): number {
    this.#output.err(message);
    this.event("error", { code, message });
    this.event("bye", { reason: code, exitCode });
    return exitCode;
  }
}

/** Stops at SIGINT, and where there is one at SIGTERM; the second one hurries. */
export function stopAtSignals(): StopSignal {
  const { promise, resolve } = Promise.withResolvers<string>();
  const again = Promise.withResolvers<void>();
  let told = false;
  const signals: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT", "SIGBREAK"]
    : ["SIGINT", "SIGTERM"];
  const listeners = signals.map((signal) => {
    const call = () => {
      if (told) again.resolve();
      told = true;
      resolve(signal);
    };
    Deno.addSignalListener(signal, call);
    return () => Deno.removeSignalListener(signal, call);
  });
  return {
    stopped: promise,
    hurried: again.promise,
    dispose: () => {
      for (const remove of listeners) remove();
    },
  };
}

/** Hears SIGHUP, where there is one. */
export function hangUps(call: () => void): () => void {
  if (Deno.build.os === "windows") return () => {};
  Deno.addSignalListener("SIGHUP", call);
  return () => Deno.removeSignalListener("SIGHUP", call);
}

/** Addresses of this machine that others may reach: IPv4 before IPv6, none of loopback or link-local. */
export function machineAddresses(): string[] {
  const usable = Deno.networkInterfaces().filter(({ address }) =>
    !/^(127\.|169\.254\.|::1$|fe80:)/i.test(address)
  );
  const of = (family: "IPv4" | "IPv6") =>
    usable.filter((i) => i.family === family).map((i) => i.address);
  return [...of("IPv4"), ...of("IPv6")];
}
