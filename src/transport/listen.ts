/**
 * The relay's listener: node:net sockets with a TLSSocket of our own around each. Why not
 * `Deno.listenTls`: docs/decisions/2026-11-22-tls-by-node-tls.md.
 */

import net from "node:net";
import tls from "node:tls";
import { fromPem, relayKeyIn, sameBytes } from "./certificate.ts";
import type { Link, LinkEnd } from "./link.ts";
import { relayKeyOf } from "./server_key.ts";
import { formatAddress, SocketLink } from "./socket_link.ts";

/** How long a stranger may take for the handshake, unless `listen` is told otherwise. */
export const HANDSHAKE_TIMEOUT_MS = 5_000;

/** Connections open at once, handshakes included, unless `listen` is told otherwise. */
export const MAX_CONNECTIONS = 10_000;

const BACKLOG = 1024;
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

/** What `listen` needs. */
export interface ListenOptions extends Credentials {
  /** An address or name of this machine; IPv6 without brackets. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Default HANDSHAKE_TIMEOUT_MS. */
  readonly handshakeTimeoutMs?: number;
  /** Handshakes included; default MAX_CONNECTIONS. */
  readonly maxConnections?: number;
  /** Everybody, if there is none. */
  readonly admission?: Admission;
  /** A handshake is over. `link.start` may be called at once or later; nothing is lost meanwhile. */
  onLink(link: Link): void;
  /** Somebody was turned away. */
  onRefused?(refusal: Refusal): void;
}

/** A listening relay. */
export interface Listener {
  /** The host as it was asked for. */
  readonly host: string;
  /** The port listened on, also if 0 was asked for. */
  readonly port: number;
  /** Sockets open now, handshakes included. */
  connections(): number;
  /** Other limits from the next connection on. */
  adopt(limits: { readonly handshakeTimeoutMs: number; readonly maxConnections: number }): void;
  /**
   * Looks at another certificate.
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
  let secureContext = await makeContext(options);
  const links = new Map<net.Socket, SocketLink | null>();

  const server = net.createServer({
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_AFTER_MS,
  }, accept);

  function accept(raw: net.Socket): void {
    const remoteAddress = formatAddress(raw.remoteAddress ?? "unknown", raw.remotePort ?? 0);
    const refuse = (code: Refusal["code"], message: string) => {
      raw.destroy();
      options.onRefused?.({ code, message, remoteAddress });
    };
    if (links.size >= maxConnections) {
      raw.on("error", ignore);
      refuse("too-many-connections", `more than ${maxConnections} connections`);
      return;
    }
    const notAdmitted = options.admission?.admit(remoteAddress) ?? null;
    if (notAdmitted !== null) {
      raw.on("error", ignore);
      refuse(notAdmitted, "not admitted");
      return;
    }
    links.set(raw, null);

    // PROTOCOL §2, TLS 1.3 only: the context says so.
    const secured = new tls.TLSSocket(raw, { isServer: true, secureContext });
    let settled = false;
    const settle = (): boolean => {
      if (settled) return false;
      settled = true;
      clearTimeout(deadline);
      return true;
    };
    const fail = (error?: Error) => {
      if (settle()) refuse("handshake-failed", error?.message ?? "closed during the handshake");
    };
    // node's own handshakeTimeout only reports; the descriptor is freed by destroying the socket.
    const deadline = setTimeout(() => {
      if (settle()) refuse("handshake-timeout", `no handshake within ${handshakeTimeoutMs} ms`);
    }, handshakeTimeoutMs);
    secured.on("_tlsError", fail);
    secured.on("error", fail);
    raw.on("error", fail);
    raw.on("close", () => {
      fail();
      secured.destroy();
      links.delete(raw);
      options.admission?.gone(remoteAddress);
    });
    secured.on("secure", () => {
      if (!settle()) return;
      const link = new SocketLink(raw, secured, remoteAddress);
      links.set(raw, link);
      options.onLink(link);
    });
  }

  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(listenError(error, options)));
    server.listen({ host: options.host, port: options.port, backlog: BACKLOG }, resolve);
  });
  server.on("error", ignore); // an accept that failed (no descriptors left); the next one may not
  const address = server.address();
  const port = address !== null && typeof address !== "string" ? address.port : options.port;

  return {
    host: options.host,
    port,
    connections: () => links.size,
    adopt(limits) {
      ({ handshakeTimeoutMs, maxConnections } = limits);
    },
    async renew(credentials) {
      const next = await makeContext(credentials);
      return () => {
        secureContext = next;
      };
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const [raw, link] of links) {
          if (link === null) raw.destroy();
          else link.close();
        }
      }),
  };
}

async function makeContext({ keyPem, certPem }: Credentials): Promise<tls.SecureContext> {
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
  return tls.createSecureContext({ key: keyPem, cert: certPem, minVersion: "TLSv1.3" });
}

function listenError(cause: Error, { host, port }: ListenOptions): ListenError {
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
