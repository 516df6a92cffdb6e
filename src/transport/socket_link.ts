/**
 * A `Link` over node:tls and a raw socket of our own, the same on both sides.
 *
 * The raw socket is kept because node:tls alone cannot do two things under Deno 2.9: `pause()` on
 * a TLSSocket does not stop the socket (a flooder grows our memory without end), and `end()`
 * towards a peer that stopped reading never finishes. Pausing and destroying the raw one works.
 */

import type { Buffer } from "node:buffer";
import type net from "node:net";
import type tls from "node:tls";
import type { Link, LinkEnd, LinkHandlers } from "./link.ts";

/** How long `close()` waits for the peer to take what was written and say goodbye. */
export const LINGER_MS = 2_000;

/** Who hears of a connection's two sockets: a stranger before the handshake is over, then its link. */
export interface SocketOwner {
  /** One of them failed. */
  socketFailed(error: Error): void;
  /** The TLS socket has nothing more to read, or is closed. */
  securedEnded(): void;
  /** The raw socket is closed. */
  rawClosed(): void;
}

/**
 * To whom a socket belongs. What the sockets call are functions that all of them share, since a relay
 * holds thousands of idle ones, and each closure of each of them; and they stay when the owner changes.
 */
const OWNER = Symbol("owner");

interface Owned {
  [OWNER]?: SocketOwner;
}

function failed(this: Owned, error: Error): void {
  this[OWNER]?.socketFailed(error);
}

function ended(this: Owned): void {
  this[OWNER]?.securedEnded();
}

function closed(this: Owned): void {
  this[OWNER]?.rawClosed();
}

/** Has the owner hear of a raw socket, instead of the one before, if there was one. */
export function ownRaw(raw: net.Socket & Owned, owner: SocketOwner): void {
  if (raw[OWNER] === undefined) raw.on("error", failed).on("close", closed);
  raw[OWNER] = owner;
}

/** The same for the TLS socket around it. */
export function ownSecured(secured: tls.TLSSocket & Owned, owner: SocketOwner): void {
  if (secured[OWNER] === undefined) {
    secured.on("error", failed);
    secured.on("end", ended);
    secured.on("close", ended);
  }
  secured[OWNER] = owner;
}

/** The owner of a socket that has one. */
export function ownerOf(socket: net.Socket & Owned): SocketOwner | undefined {
  return socket[OWNER];
}

type Done = (error: Error | null) => void;

/** A TLS connection whose handshake is over. Made by `listen` and `dial` only. */
export class SocketLink implements Link, SocketOwner {
  /** As in `Link`. */
  readonly remoteAddress: string;
  readonly #raw: net.Socket;
  readonly #tls: tls.TLSSocket;
  readonly #whenGone: ((link: SocketLink) => void) | undefined;
  #handlers: LinkHandlers | null = null;
  /** Why it ends; the first reason known stays. */
  #end: LinkEnd | null = null;
  #state: "open" | "lingering" | "destroyed" | "gone" = "open";
  #held = false;
  #linger: ReturnType<typeof setTimeout> | undefined;
  /** Who waits for the oldest write that the runtime has not taken; others, if any, behind it. */
  #done: Done | null = null;
  #further: Done[] | null = null;

  /**
   * Takes the sockets over.
   *
   * @param raw the TCP socket; from here on the link alone touches it
   * @param secured the TLS socket around it, after its handshake
   * @param whenGone called once when the raw socket is closed, also if the link was never started
   */
  constructor(
    raw: net.Socket,
    secured: tls.TLSSocket,
    remoteAddress: string,
    whenGone?: (link: SocketLink) => void,
  ) {
    this.#raw = raw;
    this.#whenGone = whenGone;
    this.#tls = secured;
    this.remoteAddress = remoteAddress;
    ownRaw(raw, this);
    ownSecured(secured, this);
  }

  /** Has what nobody reads stay with the peer until `start()`, if that is not called in the same turn. */
  hold(): void {
    if (this.#handlers !== null) return;
    this.#held = true;
    this.pause();
  }

  /** As in `Link`; what came before is delivered first. @throws {Error} the second time */
  start(handlers: LinkHandlers): void {
    if (this.#handlers !== null) throw new Error("a link is started once");
    this.#handlers = handlers;
    if (this.#state === "gone") {
      queueMicrotask(() => this.#report());
      return;
    }
    if (this.#state !== "open") return;
    this.#tls.on("data", SocketLink.#received);
    if (this.#held) this.#readOn();
  }

  /** As in `Link`. After the end `done` gets an error. */
  write(bytes: Uint8Array, done?: Done): void {
    if (this.#state !== "open") {
      if (done) queueMicrotask(() => done(new Error("the link is closed")));
      return;
    }
    // The runtime encrypts or copies what it is given at once (Deno 2.9), unless it is busy.
    const taken = this.#tls.writableLength === 0 ? bytes : new Uint8Array(bytes);
    if (done === undefined) {
      this.#tls.write(taken);
      return;
    }
    // One callback for all writes instead of a closure each, and no array for the one in flight: the
    // hot path writes often, and an array that is filled and emptied by turns is made anew each time.
    if (this.#done === null) this.#done = done;
    else (this.#further ??= []).push(done);
    this.#tls.write(taken, this.#taken);
  }

  /** As in `Link`. Bytes that were read already may still come. */
  pause(): void {
    if (this.#state === "open") this.#raw.pause();
  }

  /** As in `Link`. */
  resume(): void {
    if (this.#state === "open" && this.#handlers !== null) this.#readOn();
  }

  /** As in `Link`. Nothing but `onEnd` comes after; `stalled` if the peer did not take it all. */
  close(): void {
    if (this.#state !== "open") return;
    this.#state = "lingering";
    this.#end ??= { code: "closed-by-us", message: "closed" };
    this.#linger = setTimeout(() => {
      this.#end = { code: "stalled", message: `the peer did not finish within ${LINGER_MS} ms` };
      this.#destroy();
    }, LINGER_MS);
    this.#tls.end();
    // Unread bytes at our side would turn the goodbye into a reset that can overtake what we wrote.
    this.#tls.on("data", ignore);
    this.#readOn();
  }

  /** As in `Link`. Nothing but `onEnd` comes after. */
  destroy(): void {
    if (this.#state === "destroyed" || this.#state === "gone") return;
    this.#end ??= { code: "closed-by-us", message: "closed" };
    this.#destroy();
  }

  /** See {@link SocketOwner}. */
  socketFailed(error: Error): void {
    this.#finish("reset", error.message);
  }

  /** See {@link SocketOwner}. */
  securedEnded(): void {
    this.#finish("closed-by-peer", "the other side closed the connection");
  }

  static readonly #received = function (this: Owned, bytes: Buffer): void {
    const link = this[OWNER];
    if (!(link instanceof SocketLink) || link.#state !== "open") return;
    // A plain array and not node's Buffer, whose slice() shares memory where Uint8Array's copies.
    link.#handlers?.onData(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  };

  readonly #taken = (error?: Error | null): void => this.#next(error ?? null);

  #next(error: Error | null): void {
    const done = this.#done;
    this.#done = this.#further?.shift() ?? null;
    done?.(error);
  }

  #finish(code: LinkEnd["code"], message: string): void {
    this.#end ??= { code, message };
    this.#destroy();
  }

  /**
   * Lets the raw socket read, whatever state it thinks it is in: under Deno 2.9 the two sockets
   * share one "reading" flag, and the TLS one sets it without starting anything, after which a
   * resume() alone is taken for done already.
   */
  #readOn(): void {
    this.#raw.pause();
    this.#raw.resume();
  }

  #destroy(): void {
    if (this.#state === "destroyed" || this.#state === "gone") return;
    this.#state = "destroyed";
    clearTimeout(this.#linger);
    this.#tls.destroy();
    this.#raw.destroy();
  }

  /** See {@link SocketOwner}. */
  rawClosed(): void {
    if (this.#state === "gone") return;
    this.#end ??= { code: "reset", message: "the connection broke off" };
    this.#destroy();
    this.#state = "gone";
    this.#whenGone?.(this);
    if (this.#done !== null) {
      const error = new Error(this.#end.message);
      while (this.#done !== null) this.#next(error);
    }
    this.#report();
  }

  #report(): void {
    if (this.#end !== null) this.#handlers?.onEnd(this.#end);
  }
}

/** `host:port` as people write it, IPv6 in brackets. */
export function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function ignore(): void {}
