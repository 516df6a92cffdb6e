/**
 * A participant's way to a relay: TLS 1.3 to one pinned key and to nobody else (P11).
 *
 * node:tls and not Deno's own, because `ca` *replaces* the roots there while `caCerts` adds to
 * those that the environment brings. Three locks, each of which must hold:
 * 1. the only trust anchor is made from the pin, so the chain must end in the pinned key;
 * 2. the certificate shown must be the relay certificate of the pin byte for byte, which also
 *    makes sure that the runtime checked the handshake's signature (see certificate.ts);
 * 3. nothing is written before both are known.
 */

import net from "node:net";
import tls from "node:tls";
import { WireError } from "../wire/codec.ts";
import { FrameDecoder } from "../wire/frame.ts";
import { type RelayKey, relayKey } from "../wire/ids.ts";
import type { KeyChangeStatement } from "../wire/key_change.ts";
import { MAX_KEY_CHANGES } from "../wire/limits.ts";
import { decodeRelayMessage } from "../wire/relay_message.ts";
import { RELAY_KEY_BYTES, relayCertificate, relayKeyIn, sameBytes, toPem } from "./certificate.ts";
import type { Link } from "./link.ts";
import { formatAddress, SocketLink } from "./socket_link.ts";

/** How long connecting and the handshake may take together, unless told otherwise. */
export const DIAL_TIMEOUT_MS = 10_000;

/** Where a relay is. */
export interface RelayAddress {
  /** A name or address; IPv6 without brackets. */
  readonly host: string;
  /** TCP port, 1 to 65535. */
  readonly port: number;
  /** For the connection and the handshake together. */
  readonly timeoutMs?: number;
  /** Gives up early; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Where a relay is and who it must be. */
export interface DialOptions extends RelayAddress {
  /** The relay key, 32 bytes. */
  readonly pin: Uint8Array;
}

/** Why there is no link. Nothing of the application was sent. */
export class DialError extends Error {
  /** Always "DialError". */
  override readonly name = "DialError";

  /**
   * Makes one.
   *
   * @param code `unreachable`: no TCP connection; `timeout`; `wrong-key`: somebody else than the
   *   pinned relay answered (who is not said: nothing they showed was proven); `handshake-failed`:
   *   what answered speaks no TLS 1.3, or broke off
   */
  constructor(
    readonly code: "unreachable" | "timeout" | "wrong-key" | "handshake-failed",
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * Connects to a relay and proves that it holds the pinned key.
 *
 * @returns the link, not yet started: nothing is read until `link.start`
 * @throws {DialError} see its codes
 * @throws {RangeError} if the pin is not 32 bytes
 * @see docs/PROTOCOL.md §2
 */
export async function dial(options: DialOptions): Promise<Link> {
  const trust = { ca: [toPem("CERTIFICATE", relayCertificate(options.pin))] };
  return await connect(options, { ...trust, rejectUnauthorized: true }, (raw, secured) => {
    const shown = relayKeyIn(shownCertificate(secured));
    if (!secured.authorized || shown === null || !sameBytes(shown, options.pin)) {
      throw wrongKey(options);
    }
    return held(new SocketLink(raw, secured, formatAddress(options.host, options.port)));
  });
}

/**
 * Asks a relay which key it claims, for the first contact without a pin. Nothing is proven by
 * this: show the fingerprint, then `dial` with the key as the pin, which proves it.
 *
 * @returns the relay key, 32 bytes
 * @throws {DialError} as `dial`; `handshake-failed` also if the certificate is no relay's
 * @see docs/PROTOCOL.md §2
 */
export async function peekServerKey(address: RelayAddress): Promise<Uint8Array> {
  return await connect(address, trustNobody(), (raw, secured) => {
    const key = relayKeyIn(shownCertificate(secured));
    if (key === null) {
      const where = formatAddress(address.host, address.port);
      throw new DialError("handshake-failed", `${where} is not an stm relay`);
    }
    raw.on("error", ignore);
    secured.on("error", ignore);
    secured.destroy();
    raw.destroy();
    return key;
  });
}

/** What somebody who is not the pinned relay says for itself; nothing of it is proven. */
export interface ClaimedKey {
  /** The key of the certificate that was shown. */
  readonly key: RelayKey;
  /** The first thing it said, if that was KEY_CHANGES; else none. */
  readonly statements: readonly KeyChangeStatement[];
}

/**
 * Asks what answers in the place of a pinned relay whether it follows it (PROTOCOL §2.1). Nothing but the
 * handshake is spoken, and nothing that comes back is proven: verify the statements under the pin, then `dial`
 * with the key that they name, which proves it.
 *
 * @throws {DialError} as `peekServerKey`
 */
export async function peekKeyChanges(address: RelayAddress): Promise<ClaimedKey> {
  const where = formatAddress(address.host, address.port);
  const [key, link] = await connect(address, trustNobody(), (raw, secured) => {
    const shown = relayKeyIn(shownCertificate(secured));
    if (shown === null) throw new DialError("handshake-failed", `${where} is not an stm relay`);
    return [relayKey(shown), held(new SocketLink(raw, secured, where))] as const;
  });
  const decoder = new FrameDecoder(MAX_KEY_CHANGES_BYTES);
  const statements = await new Promise<readonly KeyChangeStatement[]>((resolve) => {
    const deadline = setTimeout(() => resolve([]), address.timeoutMs ?? DIAL_TIMEOUT_MS);
    const done = (found: readonly KeyChangeStatement[]) => {
      clearTimeout(deadline);
      resolve(found);
    };
    link.start({
      onData: (bytes) => {
        try {
          for (const body of decoder.push(bytes)) return done(statementsIn(body));
        } catch (error) {
          if (!(error instanceof WireError)) throw error;
          done([]); // it is no relay, or means to be none
        }
      },
      onEnd: () => done([]),
    });
  });
  link.destroy();
  return { key, statements };
}

/**
 * To look at a certificate without believing it. The anchor is nobody's and is for this connection alone:
 * without one all such connections of a process share a cache of sessions under Deno 2.9, and the second relay
 * that is asked is taken for the first (docs/decisions/2026-11-28-key-change.md).
 */
function trustNobody(): { ca: string[]; rejectUnauthorized: boolean } {
  const nobody = crypto.getRandomValues(new Uint8Array(RELAY_KEY_BYTES));
  return { ca: [toPem("CERTIFICATE", relayCertificate(nobody))], rejectUnauthorized: false };
}

/** The list of §2.1 at its longest, with its type and count; CHALLENGE is shorter. */
const MAX_KEY_CHANGES_BYTES = 3 + MAX_KEY_CHANGES * 144;

function statementsIn(body: Uint8Array): readonly KeyChangeStatement[] {
  const message = decodeRelayMessage(body);
  return message.kind === "key-changes" ? message.statements : [];
}

/**
 * TCP, then TLS, within one deadline. `conclude` runs inside the event that ends the handshake, so
 * that no event of the sockets falls between two owners. Rejects with both sockets destroyed.
 */
function connect<T>(
  address: RelayAddress,
  trust: { ca: string[]; rejectUnauthorized: boolean },
  conclude: (raw: net.Socket, secured: tls.TLSSocket) => T,
): Promise<T> {
  const { host, port, signal } = address;
  const where = formatAddress(host, port);
  const timeoutMs = address.timeoutMs ?? DIAL_TIMEOUT_MS;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const raw = net.connect({ host, port, noDelay: true });
    let secured: tls.TLSSocket | null = null;

    const settle = () => {
      clearTimeout(deadline);
      signal?.removeEventListener("abort", abort);
      raw.off("error", fail);
      raw.off("close", fail);
      secured?.off("error", fail);
    };
    const giveUp = (reason: unknown) => {
      settle();
      // What a dying socket still says is of no interest, but unheard it would end the process.
      raw.on("error", ignore);
      secured?.on("error", ignore);
      secured?.destroy();
      raw.destroy();
      reject(reason);
    };
    const fail = (cause?: unknown) => {
      const error = cause instanceof Error ? cause : undefined;
      if (secured === null) {
        giveUp(unreachable(where, error));
      } else if (isCertificateError(error)) {
        giveUp(wrongKey(address));
      } else {
        giveUp(handshakeFailed(where, error));
      }
    };
    const abort = () => giveUp(signal?.reason);
    const deadline = setTimeout(
      () => giveUp(new DialError("timeout", `${where} did not answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    signal?.addEventListener("abort", abort);
    raw.on("error", fail);
    raw.on("close", fail);
    raw.once("connect", () => {
      secured = tls.connect({
        ...trust,
        socket: raw,
        minVersion: "TLSv1.3",
        servername: "", // no SNI
        // Names are no pins; the caller compares the whole certificate instead.
        checkServerIdentity: () => undefined,
      });
      secured.on("error", fail);
      secured.once("secureConnect", () => {
        if (secured === null) return;
        try {
          resolve(conclude(raw, secured));
          settle();
        } catch (reason) {
          giveUp(reason);
        }
      });
    });
  });
}

/** The peer's certificate in DER; empty if the runtime has none to show. */
function shownCertificate(secured: tls.TLSSocket): Uint8Array {
  return secured.getPeerX509Certificate()?.raw ?? new Uint8Array();
}

// What node:tls calls its verdicts on a certificate; a bad CertificateVerify comes as the third.
const CERTIFICATE_ERRORS: ReadonlySet<unknown> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "CERT_REVOKED",
  "INVALID_PURPOSE",
]);

function isCertificateError(error: Error | undefined): boolean {
  return error !== undefined && "code" in error && CERTIFICATE_ERRORS.has(error.code);
}

function wrongKey({ host, port }: RelayAddress): DialError {
  const where = formatAddress(host, port);
  return new DialError("wrong-key", `${where} does not hold the key that is pinned for it`);
}

function unreachable(where: string, cause: Error | undefined): DialError {
  const code = cause !== undefined && "code" in cause ? cause.code : undefined;
  const why = code === "ENOTFOUND" || code === "EAI_AGAIN"
    ? "no machine of that name is known"
    : code === "ECONNREFUSED"
    ? "nothing listens there"
    : cause?.message ?? "the connection was closed";
  return new DialError("unreachable", `cannot reach ${where}: ${why}`, { cause });
}

function handshakeFailed(where: string, cause: Error | undefined): DialError {
  return new DialError(
    "handshake-failed",
    `${where} answered, but not as a relay does (TLS 1.3): ${cause?.message ?? "it hung up"}`,
    { cause },
  );
}

function ignore(): void {}

function held(link: SocketLink): SocketLink {
  link.hold();
  return link;
}
