/**
 * The relay's listener: node:net sockets with a TLSSocket of our own around each. Why not
 * `Deno.listenTls`: docs/decisions/2026-11-22-tls-by-node-tls.md.
 */

import net from "node:net";
import tls from "node:tls";
import type { AddressRange } from "./address_range.ts";
import { fromPem, relayKeyIn, sameBytes } from "./certificate.ts";
import { type RelayKey, relayKey } from "../wire/ids.ts";
import type { Link, LinkEnd } from "./link.ts";
import { Paced } from "./paced.ts";
import { relayKeyOf } from "./server_key.ts";
import { formatAddress, SocketLink } from "./socket_link.ts";
import { addressOf, type Identity, Stranger, type StrangerPorts } from "./stranger.ts";

/** How long a stranger may take for the handshake, unless `listen` is told otherwise. */
export const HANDSHAKE_TIMEOUT_MS = 5_000;

/** Connections open at once, handshakes included, unless `listen` is told otherwise. */
export const MAX_CONNECTIONS = 10_000;

const BACKLOG = 1024;
/**
 * What is begun at once for those who arrive, and the pause after it. A handshake takes 0.4 ms, to
 * look at who comes a tenth of that. While nobody talks there is nobody to make room for, and a turn
 * of the event loop is paid by more of them; docs/decisions/2026-11-28-handshake-pacing.md.
 */
const ARRIVALS = { atOnce: 4, inSilence: 32, restMs: 1 };
const GREETINGS = { atOnce: 2, inSilence: 16, restMs: 1 };
/** Who takes too long for the handshake is ended so much later at most. */
const SWEEP_MS = 20;
const KEPT_BYTES = 48 * 1024 * 1024;
const KEEP_ALIVE_AFTER_MS = 60_000;

/** Why an {@link Admission} says no: a ban, or too many connections, or too many a second, of one source. */
export type NotAdmitted = "banned" | "source-full" | "source-rate";

/** Who is let in, asked before the handshake. */
export interface Admission {
  /**
   * Counts a connection that begins, if it may.
   *
   * @param remoteAddress `host:port` of the other side
   * @returns why it may not; null if it may
   */
  admit(remoteAddress: string): NotAdmitted | null;
  /** A connection that was admitted has ended. */
  gone(remoteAddress: string): void;
}

/** A connection that never became a link. */
export interface Refusal {
  /** For programs. */
  readonly code:
    | Extract<LinkEnd["code"], "handshake-timeout" | "handshake-failed">
    | "too-many-connections"
    | "proxy-header"
    | NotAdmitted;
  /** For a log; may hold the runtime's words about the peer's bytes. */
  readonly message: string;
  /** `host:port` of the other side. */
  readonly remoteAddress: string;
}

/** The key and certificate to show, both PEM. */
export interface Credentials {
  /** The private key, PKCS #8. */
  readonly keyPem: string;
  /** The certificate of the one form. */
  readonly certPem: string;
}

/** An address to listen on. */
export interface ListenAddress {
  /** An address or name of this machine; IPv6 without brackets. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

/** What `listen` needs. */
export interface ListenOptions extends Credentials {
  /** At least one. `0.0.0.0` and `::` with one port: of the two what this machine has. */
  readonly addresses: readonly ListenAddress[];
  /** Default HANDSHAKE_TIMEOUT_MS. */
  readonly handshakeTimeoutMs?: number;
  /** Handshakes included; default MAX_CONNECTIONS. */
  readonly maxConnections?: number;
  /** Addresses that speak the PROXY protocol, and must; nobody, if there are none. */
  readonly balancers?: readonly AddressRange[];
  /** Everybody, if there is none. */
  readonly admission?: Admission;
  /** Whether somebody is being heard, for whom those who arrive make room; without it, always. */
  isTalking?(): boolean;
  /**
   * A handshake is over. `link.start` may be called at once or later; nothing is lost meanwhile.
   *
   * @param shown the relay key whose certificate was shown on it; of all such links the same array
   */
  onLink(link: Link, shown: RelayKey): void;
  /** Somebody was turned away. */
  onRefused?(refusal: Refusal): void;
}

/** What can change while it listens. */
export interface ListenRules {
  /** For the handshake, and the header of a balancer before it. */
  readonly handshakeTimeoutMs: number;
  /** Handshakes included. */
  readonly maxConnections: number;
  /** As in {@link ListenOptions}. */
  readonly balancers: readonly AddressRange[];
}

/** A listening relay. */
export interface Listener {
  /** Where it listens, in the order that was asked for; the ports also if 0 was. */
  readonly addresses: readonly ListenAddress[];
  /** The port of the first. */
  readonly port: number;
  /** Sockets open now, handshakes included. */
  connections(): number;
  /** Other limits, also for handshakes under way, and balancers from the next connection on. */
  adopt(rules: ListenRules): void;
  /**
   * Looks at another certificate, of the same key or another.
   *
   * @returns shows it from the next connection on; open links stay
   * @throws {ListenError} `bad-certificate`; the old one stays in use
   */
  renew(credentials: Credentials): Promise<() => void>;
  /** Stops listening and closes every link; resolves when the last socket is gone. */
  close(): Promise<void>;
}

/** Why the relay cannot listen. The message says what to do. */
export class ListenError extends Error {
  /** Always "ListenError". */
  override readonly name = "ListenError";

  /**
   * Makes one.
   *
   * @param code for programs; `failed` is everything that has no name of its own, see `cause`
   */
  constructor(
    readonly code:
      | "port-in-use"
      | "not-permitted"
      | "no-such-address"
      | "bad-certificate"
      | "failed",
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * Listens for TLS 1.3 connections.
 *
 * @throws {ListenError} if the address cannot be had or key and certificate do not fit
 * @see docs/PROTOCOL.md §2
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  let handshakeTimeoutMs = options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS;
  let maxConnections = options.maxConnections ?? MAX_CONNECTIONS;
  let balancers = options.balancers ?? [];
  let identity = await makeIdentity(options);
  keepFreedMemory();
  const strangers = new Set<Stranger>();
  const links = new Set<SocketLink>();
  const count = () => strangers.size + links.size;
  const isQuiet = () => options.isTalking?.() === false;
  const paced = ({ atOnce, inSilence, restMs }: typeof ARRIVALS, call: (s: Stranger) => void) =>
    new Paced(call, () => isQuiet() ? inSilence : atOnce, restMs);
  const arrivals = paced(ARRIVALS, (stranger) => stranger.lookAt());
  const greetings = paced(GREETINGS, (stranger) => stranger.greet(identity));
  // One for all of them: what each connection holds for itself is memory that an idle one costs.
  const gone = (link: SocketLink) => {
    links.delete(link);
    options.admission?.gone(link.remoteAddress);
  };
  const ports: StrangerPorts = {
    balancers: () => balancers,
    admit: (remoteAddress) => options.admission?.admit(remoteAddress) ?? null,
    hasToSpeak: () => !isQuiet(),
    ready: (stranger) => greetings.add(stranger),
    succeeded: (stranger, raw, secured, shown) => {
      strangers.delete(stranger);
      const link = new SocketLink(raw, secured, stranger.remoteAddress, gone);
      links.add(link);
      options.onLink(link, shown);
      link.hold();
    },
    refused: (refusal) => options.onRefused?.(refusal),
    gone: (stranger) => {
      strangers.delete(stranger);
      if (stranger.admitted) options.admission?.gone(stranger.remoteAddress);
    },
  };

  // node's own handshakeTimeout only reports; the descriptor is freed by destroying the socket. One
  // timer for all of them, who are in the order in which they came.
  let sweep: ReturnType<typeof setTimeout> | undefined;
  function endLate(): void {
    clearTimeout(sweep);
    sweep = undefined;
    const nowMs = performance.now();
    for (const stranger of strangers) {
      const leftMs = stranger.arrivedMs + handshakeTimeoutMs - nowMs;
      if (leftMs > 0) {
        sweep = setTimeout(endLate, Math.max(leftMs, SWEEP_MS));
        return;
      }
      stranger.refuse("handshake-timeout", `no handshake within ${handshakeTimeoutMs} ms`);
    }
  }

  // The runtime accepts up to 128 in one go, so no more than this is done for each of them there.
  function accept(raw: net.Socket): void {
    if (count() >= maxConnections) {
      raw.on("error", ignore);
      raw.destroy();
      options.onRefused?.({
        code: "too-many-connections",
        message: `more than ${maxConnections} connections`,
        remoteAddress: addressOf(raw),
      });
      return;
    }
    const stranger = new Stranger(raw, performance.now(), ports);
    strangers.add(stranger);
    sweep ??= setTimeout(endLate, handshakeTimeoutMs);
    arrivals.add(stranger);
  }

  const servers = await bindAll(options.addresses, accept);
  const addresses = servers.map(({ address }) => address);

  return {
    addresses,
    port: addresses[0]?.port ?? 0,
    connections: count,
    adopt(rules) {
      ({ handshakeTimeoutMs, maxConnections, balancers } = rules);
      endLate();
    },
    async renew(credentials) {
      const next = await makeIdentity(credentials);
      return () => {
        identity = next;
      };
    },
    close: async () => {
      const closed = closeAll(servers);
      clearTimeout(sweep);
      for (const stranger of strangers) stranger.destroy();
      for (const link of links) link.close();
      await closed;
    },
  };
}

interface Bound {
  readonly server: net.Server;
  readonly address: ListenAddress;
}

type Accept = (raw: net.Socket) => void;

const EVERY_IPV4 = "0.0.0.0";
const EVERY_IPV6 = "::";

/**
 * Listens on all of them or, if one cannot be had, on none.
 *
 * @throws {ListenError}
 */
async function bindAll(wanted: readonly ListenAddress[], accept: Accept): Promise<Bound[]> {
  const bound: Bound[] = [];
  // With 0 the first port that the system chooses is everybody's.
  const portOf = ({ port }: ListenAddress) => port || (bound[0]?.address.port ?? 0);
  try {
    for (const { host, port } of wanted) {
      const both = host === EVERY_IPV4 &&
        wanted.some((other) => other.host === EVERY_IPV6 && other.port === port);
      const done = bound.some(({ address }) =>
        address.host === host && address.port === portOf({ host, port })
      );
      if (done) continue;
      const at = { host, port: portOf({ host, port }) };
      bound.push(...(both ? await bindEverywhere(at.port, accept) : [await bind(at, accept)]));
    }
  } catch (error) {
    await closeAll(bound);
    throw error;
  }
  return bound;
}

/**
 * Listens on all addresses of both families, as far as this machine has them. A socket of `::` takes
 * IPv4 too on Linux and macOS unless their settings say otherwise, and does not on Windows; the
 * runtime cannot be asked for either.
 */
async function bindEverywhere(port: number, accept: Accept): Promise<Bound[]> {
  let v6: Bound;
  try {
    v6 = await bind({ host: EVERY_IPV6, port }, accept);
  } catch (error) {
    // The port is taken, or not for us: by IPv4 it would be the same. Anything else is no IPv6.
    if (
      error instanceof ListenError && error.code !== "no-such-address" && error.code !== "failed"
    ) {
      throw error;
    }
    return [await bind({ host: EVERY_IPV4, port }, accept)];
  }
  const at = { host: EVERY_IPV4, port: v6.address.port };
  try {
    return [await bind(at, accept), v6];
  } catch (error) {
    const ours = error instanceof ListenError && error.code === "port-in-use" &&
      Deno.build.os !== "windows";
    if (ours) return [{ server: v6.server, address: at }, v6];
    await closeAll([v6]);
    throw error;
  }
}

/** @throws {ListenError} */
async function bind(at: ListenAddress, accept: Accept): Promise<Bound> {
  const server = net.createServer({
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_AFTER_MS,
    pauseOnConnect: true,
  }, accept);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(listenError(error, at)));
    server.listen({ host: at.host, port: at.port, backlog: BACKLOG }, resolve);
  });
  server.on("error", ignore); // an accept that failed (no descriptors left); the next one may not
  const address = server.address();
  const port = address !== null && typeof address !== "string" ? address.port : at.port;
  return { server, address: { host: at.host, port } };
}

async function closeAll(bound: readonly Bound[]): Promise<void> {
  const servers = new Set(bound.map(({ server }) => server));
  await Promise.all(
    Array.from(servers, (server) => new Promise<void>((resolve) => server.close(() => resolve()))),
  );
}

/**
 * Has glibc keep some of what is freed. The runtime's TLS takes a buffer for every write and frees it
 * soon after; glibc gives the end of its heap back to the system whenever 128 KiB of it are free, so
 * under load each turn paid for the same pages again, a fifth of the relay's time. That bound rises
 * to twice the largest block of its own that was freed (mallopt(3), M_MMAP_THRESHOLD): one is freed
 * here. It is never written to, so it costs no memory. With other allocators this does nothing.
 */
function keepFreedMemory(): void {
  new ArrayBuffer(KEPT_BYTES / 2).transfer(0);
}

async function makeIdentity({ keyPem, certPem }: Credentials): Promise<Identity> {
  // createSecureContext looks at neither under Deno 2.9; every handshake would fail instead. And a
  // certificate of another form no client would accept.
  const shown = relayKeyIn(fromPem("CERTIFICATE", certPem) ?? new Uint8Array());
  const held = await relayKeyOf(keyPem);
  if (shown === null || held === null || !sameBytes(shown, held)) {
    throw new ListenError(
      "bad-certificate",
      "the key and the certificate are not those of one relay; see certs/README.md",
    );
  }
  const given = { key: keyPem, cert: certPem, minVersion: "TLSv1.3" } as const;
  return { secureContext: tls.createSecureContext(given), shown: relayKey(shown) };
}

function listenError(cause: Error, { host, port }: ListenAddress): ListenError {
  const where = formatAddress(host, port);
  const code = "code" in cause ? cause.code : undefined;
  const error = (code: ListenError["code"], message: string) =>
    new ListenError(code, `cannot listen on ${where}: ${message}`, { cause });
  switch (code) {
    case "EADDRINUSE":
      return error(
        "port-in-use",
        "the port is taken. Stop the other program or choose another with --port",
      );
    case "EACCES":
    case "EPERM":
      return error(
        "not-permitted",
        port < 1024
          ? "ports below 1024 need special rights. Choose another with --port"
          : "the system does not permit it",
      );
    case "EADDRNOTAVAIL":
    case "EINVAL": // what Deno 2.9 makes of EADDRNOTAVAIL
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return error(
        "no-such-address",
        "this machine does not have that address. 0.0.0.0 (or ::) stands for all it has",
      );
    default:
      return error("failed", cause.message);
  }
}

function ignore(): void {}
