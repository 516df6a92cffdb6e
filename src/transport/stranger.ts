/**
 * A connection before its handshake is over.
 *
 * 1. It is accepted, and nothing is read of it.
 * 2. It is looked at (`lookAt`): a balancer's says whence it comes, and who may not come ends.
 * 3. It says something: who is silent costs no TLS. It need not where nobody would have to make room.
 * 4. It waits for those who came before, gets its TLS socket (`greet`), and is a link when the
 *    handshake is over.
 *
 * What is made for each is paid by every handshake: this object, and one timer for all of them.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import type net from "node:net";
import tls from "node:tls";
import { type AddressRange, isInAny } from "./address_range.ts";
import type { Refusal } from "./listen.ts";
import type { RelayKey } from "../wire/ids.ts";
import { MAX_PROXY_HEADER_BYTES, readProxyHeader } from "./proxy_protocol.ts";
import { formatAddress, ownerOf, ownRaw, ownSecured, type SocketOwner } from "./socket_link.ts";

/** What handshakes are made with. */
export interface Identity {
  /** PROTOCOL §2, TLS 1.3 only: the context says so. */
  readonly secureContext: tls.SecureContext;
  /** The key in it. */
  readonly shown: RelayKey;
}

/** What strangers ask of their listener. */
export interface StrangerPorts {
  /** Addresses that speak the PROXY protocol, and must. */
  readonly balancers: () => readonly AddressRange[];
  /** Counts it, if it may come. @returns why it may not; null if it may */
  readonly admit: (remoteAddress: string) => Refusal["code"] | null;
  /** Whether it is greeted only when it has said something; else at once, which costs less. */
  readonly hasToSpeak: () => boolean;
  /** It wants to be greeted. */
  readonly ready: (stranger: Stranger) => void;
  /** Its handshake is over: from here on the sockets are somebody else's. */
  readonly succeeded: (
    stranger: Stranger,
    raw: net.Socket,
    secured: tls.TLSSocket,
    shown: RelayKey,
  ) => void;
  /** It was turned away. */
  readonly refused: (refusal: Refusal) => void;
  /** Its raw socket is closed. */
  readonly gone: (stranger: Stranger) => void;
}

/** See the module. */
export class Stranger implements SocketOwner {
  /** `host:port` of the other side; empty before it was looked at. */
  remoteAddress = "";
  /** Whether it was let in by `admit`. */
  admitted = false;
  readonly #raw: net.Socket;
  readonly #ports: StrangerPorts;
  #secured: tls.TLSSocket | null = null;
  #shown: RelayKey | null = null;
  #hasSpoken = false;
  #settled = false;

  /**
   * @param raw from here on the stranger's, and paused
   * @param arrivedMs of a clock that does not go back
   */
  constructor(raw: net.Socket, readonly arrivedMs: number, ports: StrangerPorts) {
    this.#raw = raw;
    this.#ports = ports;
    ownRaw(raw, this);
  }

  /** The second step. */
  lookAt(): void {
    if (this.#raw.destroyed) return;
    this.remoteAddress = addressOf(this.#raw);
    if (!isInAny(this.remoteAddress, this.#ports.balancers())) return this.#admit();
    readHeader(this.#raw, (why) => this.refuse("proxy-header", why), (source) => {
      if (source !== null) this.remoteAddress = formatAddress(source.host, source.port);
      this.#admit();
    });
  }

  /** The fourth step. */
  greet({ secureContext, shown }: Identity): void {
    if (this.#settled) return;
    this.#shown = shown;
    const secured = new tls.TLSSocket(this.#raw, { isServer: true, secureContext });
    this.#secured = secured;
    ownSecured(secured, this);
    // These two stay when it is a link: functions of all cost less than taking them off.
    secured.on("_tlsError", handshakeFailed);
    secured.on("secure", handshakeIsOver);
  }

  /** Ends it, if it is still a stranger. */
  refuse(code: Refusal["code"], message: string): void {
    if (this.#settled) return;
    this.#settled = true;
    const remoteAddress = this.remoteAddress || addressOf(this.#raw);
    this.#raw.destroy();
    this.#ports.refused({ code, message, remoteAddress });
  }

  /** Ends it without a word. */
  destroy(): void {
    this.#raw.destroy();
  }

  /** The handshake is over. */
  succeed(): void {
    if (this.#settled || this.#secured === null || this.#shown === null) return;
    this.#settled = true;
    this.#ports.succeeded(this, this.#raw, this.#secured, this.#shown);
  }

  /** See {@link SocketOwner}. */
  socketFailed(error: Error): void {
    // Who left before anybody looked was never there.
    if (this.remoteAddress !== "") this.refuse("handshake-failed", error.message);
  }

  /** See {@link SocketOwner}. */
  securedEnded(): void {}

  /** See {@link SocketOwner}. */
  rawClosed(): void {
    if (this.remoteAddress !== "") this.refuse("handshake-failed", "closed during the handshake");
    this.#secured?.destroy();
    this.#ports.gone(this);
  }

  #admit(): void {
    const notAdmitted = this.#ports.admit(this.remoteAddress);
    if (notAdmitted !== null) return this.refuse(notAdmitted, "not admitted");
    this.admitted = true;
    if (!this.#ports.hasToSpeak()) return this.#ports.ready(this);
    // It stays, as what is listened for below does: to take it off costs each connection half a KB.
    this.#raw.on("data", spoke);
    this.#raw.resume();
  }

  /** The third step. Its first bytes are there, or are read again by its TLS socket. */
  spoke(hello: Buffer): void {
    if (this.#hasSpoken) return;
    this.#hasSpoken = true;
    this.#raw.pause();
    this.#raw.unshift(hello);
    this.#ports.ready(this);
  }
}

function spoke(this: net.Socket, hello: Buffer): void {
  const stranger = ownerOf(this);
  if (stranger instanceof Stranger) stranger.spoke(hello);
}

function handshakeFailed(this: tls.TLSSocket, error: Error): void {
  const stranger = ownerOf(this);
  if (stranger instanceof Stranger) stranger.socketFailed(error);
}

function handshakeIsOver(this: tls.TLSSocket): void {
  const stranger = ownerOf(this);
  if (stranger instanceof Stranger) stranger.succeed();
}

/** `host:port` of the other side; one that came by IPv4 to a socket of both, as IPv4. */
export function addressOf(raw: net.Socket): string {
  const address = raw.remoteAddress ?? "unknown";
  return formatAddress(address.replace(/^::ffff:(?=[\d.]+$)/i, ""), raw.remotePort ?? 0);
}

/**
 * Takes a header of the PROXY protocol off a socket; what came behind it stays there.
 *
 * @param done gets whence the connection comes; null: from the balancer itself
 */
function readHeader(
  raw: net.Socket,
  bad: (why: string) => void,
  done: (source: { readonly host: string; readonly port: number } | null) => void,
): void {
  const head = new Uint8Array(MAX_PROXY_HEADER_BYTES);
  let length = 0;
  const read = (chunk: Uint8Array) => {
    const before = length;
    const part = chunk.subarray(0, head.length - before);
    head.set(part, before);
    length += part.length;
    const header = readProxyHeader(head.subarray(0, length));
    if (header.kind === "more") return;
    raw.off("data", read);
    raw.pause();
    if (header.kind === "bad") return bad(`no header of the PROXY protocol: ${header.why}`);
    const rest = chunk.subarray(header.length - before);
    if (rest.length > 0) raw.unshift(rest);
    done(header.source);
  };
  raw.on("data", read);
  raw.resume();
}
