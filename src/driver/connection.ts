/** One connection to the relay: frames, the start of the gate (PROTOCOL §3.2), keep-alive. */
import { OpaqueTrap } from "../auth/opaque_worker.ts";
import type { Link, LinkEnd } from "../transport/link.ts";
import { Outbox } from "../transport/outbox.ts";
import { WireError } from "../wire/codec.ts";
import { FrameDecoder } from "../wire/frame.ts";
import { type Challenge, sameBytes } from "../wire/ids.ts";
import { DEAD_AFTER_MS, MAX_FRAME_BYTES, PING_AFTER_MS } from "../wire/limits.ts";
import {
  ACCESS,
  type ClosingCode,
  decodeRelayMessage,
  frameRelayMessage,
  PROTOCOL_VERSION,
  type RelayMessage,
  type UnknownRelayMessage,
} from "../wire/relay_message.ts";
import { type LoginDialogue, type LoginEnd, type LoginStep, OF_LOGIN } from "./login.ts";

/** What a connection tells the driver, in order; a promise is awaited before the next. */
export interface ConnectionHandlers {
  /** The relay has spoken; we have answered START. */
  onStart(nonce: Challenge): Promise<void>;
  onMessage(message: RelayMessage | UnknownRelayMessage): Promise<void> | undefined;
  /** @param deadSince since when nothing had come, if that was for longer than between two PINGs; else `null` */
  onEnd(code: ConnectionEnd, message: string, deadSince: number | null): void;
  /** The login of this connection, if the relay wants one and there is one. */
  readonly login?: ((nonce: Challenge) => LoginDialogue) | undefined;
}

/** Why a connection is no more. */
export type ConnectionEnd = LinkEnd["code"] | ClosingCode | LoginEnd;

/**
 * A relay that is heard of so seldom is out of reach, for it answers PING: in a tunnel, or this machine was asleep. What
 * comes after that may be its goodbye of long ago, so the silence counts for a moment more.
 */
const DEAF_MS = PING_AFTER_MS + 10_000;
const DEAF_BEFORE_MS = 10_000;
/**
 * After so many bytes the relay is asked whether it has read them, by a PING: the runtime and the kernels of both sides
 * hold megabytes that a relay takes in its own time, and that are gone with us.
 */
const PROBE_BYTES = 16 * 1024;
/** No other PING has it. */
const PROBE = Number.MAX_SAFE_INTEGER;
/** The answer to it, without its length. */
const PROOF = frameRelayMessage({ kind: "pong", token: PROBE }).subarray(4);

/** Bodies that wait for the inbound stage before the socket is held back. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;

/** Frames in and out over one link. */
export class Connection {
  readonly #link: Link;
  readonly #outbox: Outbox;
  readonly #handlers: ConnectionHandlers;
  readonly #decoder = new FrameDecoder(MAX_FRAME_BYTES);
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #pumping = false;
  #paused = false;
  #ended: { code: ConnectionEnd; message: string } | null = null;
  #linkEnd: LinkEnd | null = null;
  #started = false;
  #nonce: Challenge | null = null;
  #login: LoginDialogue | null = null;
  #lastHeard: number;
  /** The last long silence. */
  #silence = { from: -Infinity, to: -Infinity };
  /** Sent since the last probe. */
  #unproven = 0;
  /** Probes without an answer. */
  #probes = 0;
  #proofs = 0;
  #onProof: () => void = () => {};
  /** What comes is of no interest any more. */
  #closing = false;
  readonly #gone = Promise.withResolvers<void>();

  /** @param now milliseconds, monotonic enough to tell a dead relay */
  constructor(link: Link, handlers: ConnectionHandlers, private readonly now: () => number) {
    this.#link = link;
    this.#handlers = handlers;
    this.#lastHeard = now();
    this.#outbox = new Outbox(link, () => this.abandon());
    link.start({
      onData: (bytes) => this.#data(bytes),
      onEnd: (end) => {
        // What came before the end is read to its end.
        this.#linkEnd = end;
        this.#gone.resolve();
        if (!this.#pumping) this.#end(end.code, end.message);
      },
    });
  }

  /** Queues a message for the relay. */
  send(message: RelayMessage): void {
    if (this.#ended !== null) return;
    const frame = frameRelayMessage(message);
    this.#outbox.send(frame);
    this.#unproven += frame.length;
    if (this.#unproven < PROBE_BYTES) return;
    this.#unproven = 0;
    this.#probes++;
    this.#outbox.send(frameRelayMessage({ kind: "ping", token: PROBE }));
  }

  /** Resolves when little enough waits for the relay, or nothing more can be sent. */
  roomToSend(): Promise<void> | undefined {
    return this.#ended === null ? this.#outbox.room() : undefined;
  }

  /**
   * Closes once the relay has read what was queued.
   *
   * @returns false if it has ended before that, and more than a goodbye was lost
   */
  async close(): Promise<boolean> {
    const wasOpen = this.#ended === null;
    this.#closing = true;
    if (this.#paused) this.#link.resume();
    await this.#outbox.flushed();
    while (this.#probes > 0 && this.#ended === null) {
      await new Promise<void>((resolve) => this.#onProof = resolve);
    }
    const isRead = this.#probes === 0 || !wasOpen;
    this.#end("closed-by-us", "closed");
    this.#link.close();
    // Less than a probe is left: the goodbyes are behind it.
    await this.#gone.promise;
    return isRead;
  }

  /** How often the relay has shown that it reads what is sent. */
  get proofs(): number {
    return this.#proofs;
  }

  /** Ends it now, whatever waits to be sent. */
  abandon(): void {
    this.#end("stalled", "the relay does not read what we send");
    this.#link.destroy();
  }

  /** To be called about once a second: PING when it is quiet, the end when the relay is dead (§2). */
  tick(): void {
    const quiet = this.now() - this.#lastHeard;
    if (quiet >= DEAD_AFTER_MS) {
      this.#end("stalled", "nothing has come from the relay for a minute");
      this.#link.destroy();
    } else if (quiet >= PING_AFTER_MS && this.#started) {
      this.send({ kind: "ping", token: 0 });
    }
  }

  #data(bytes: Uint8Array): void {
    this.#silence = this.#silenceAt(this.now());
    this.#lastHeard = this.now();
    try {
      for (const body of this.#decoder.push(bytes)) {
        // It says what the relay has read, however much waits to be handled here.
        const isProof = body.length === PROOF.length && sameBytes(body, PROOF);
        if (isProof) this.#proven();
        if (isProof || this.#closing) continue;
        this.#waiting.push(body);
        this.#waitingBytes += body.length;
      }
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#broken(error);
    }
    if (!this.#paused && this.#waitingBytes > MAX_WAITING_BYTES) {
      this.#paused = true;
      this.#link.pause();
    }
    if (!this.#pumping) void this.#pump();
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    while (this.#ended === null) {
      const bodies = this.#waiting;
      if (bodies.length === 0) break;
      this.#waiting = [];
      for (const body of bodies) {
        const pending = this.#body(body);
        if (pending !== undefined) await pending;
        this.#waitingBytes -= body.length;
      }
      if (this.#paused && this.#waitingBytes < MAX_WAITING_BYTES / 2) {
        this.#paused = false;
        this.#link.resume();
      }
    }
    this.#pumping = false;
    if (this.#linkEnd !== null) this.#end(this.#linkEnd.code, this.#linkEnd.message);
  }

  #body(body: Uint8Array): Promise<void> | undefined {
    let message: RelayMessage | UnknownRelayMessage;
    try {
      // What the decoder hands out is ours alone; who keeps a payload copies it.
      message = decodeRelayMessage(body, true);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return void this.#broken(error);
    }
    // The only message that may come before CHALLENGE (PROTOCOL §2.1).
    if (message.kind === "key-changes") return this.#handlers.onMessage(message);
    if (message.kind === "challenge" && !this.#started) return this.#start(message);
    if (!this.#started) {
      return void this.#broken(new Error("the relay did not begin with CHALLENGE"));
    }
    if (this.#login !== null && message.kind !== "unknown" && OF_LOGIN.has(message.kind)) {
      return this.#loginStep(this.#login.take(message));
    }
    switch (message.kind) {
      case "ping":
        return void this.send({ kind: "pong", token: message.token });
      case "closing":
        return void this.#end(
          message.code,
          message.message === "" ? message.code : message.message,
        );
      case "unknown":
        if (message.critical) {
          this.#broken(
            new Error(`the relay sent type ${message.type}, which this stm does not know`),
          );
        }
        return;
      default:
        return this.#handlers.onMessage(message);
    }
  }

  async #start(challenge: Extract<RelayMessage, { kind: "challenge" }>): Promise<void> {
    if (challenge.minVersion > PROTOCOL_VERSION || challenge.maxVersion < PROTOCOL_VERSION) {
      return this.#broken(
        new Error(
          `the relay speaks version ${challenge.minVersion} to ${challenge.maxVersion}, we speak ${PROTOCOL_VERSION}`,
        ),
      );
    }
    const { access, nonce } = challenge;
    if (access !== ACCESS.open && access !== ACCESS.account && access !== ACCESS.code) {
      return this.#broken(
        new Error(`the relay asks for access ${access}, which this stm does not know`),
      );
    }
    this.#started = true;
    this.send({ kind: "start", version: PROTOCOL_VERSION });
    if (access === ACCESS.open) return await this.#handlers.onStart(nonce);
    const login = this.#handlers.login?.(nonce) ?? null;
    if (login === null) {
      this.#end(
        "login-needed",
        "this relay is for people with an account: give --user NAME; whoever runs it makes accounts",
      );
      return this.#link.close();
    }
    this.#nonce = nonce;
    this.#login = login;
    await this.#loginStep(login.start());
  }

  async #loginStep(coming: Promise<LoginStep>): Promise<void> {
    let step: LoginStep;
    try {
      step = await coming;
    } catch (error) {
      // Our own end broke off what the login was at.
      if (this.#ended !== null) return;
      if (!(error instanceof OpaqueTrap)) throw error;
      this.#end(
        "login-refused",
        `the login could not be reckoned on this machine, which takes 64 MiB of memory (${error.message})`,
      );
      return this.#link.close();
    }
    if (this.#ended !== null) return;
    switch (step.kind) {
      case "send":
        return this.send(step.message);
      case "in":
        this.#login?.close();
        this.#login = null;
        if (this.#nonce !== null) await this.#handlers.onStart(this.#nonce);
        return;
      case "broken":
        return this.#broken(new Error(step.why));
      case "ended":
        this.#end(step.code, step.message);
        return this.#link.close();
    }
  }

  #proven(): void {
    if (this.#probes === 0) return;
    this.#probes--;
    this.#proofs++;
    this.#onProof();
  }

  #broken(error: Error): void {
    this.#end("malformed", `the relay broke the protocol: ${error.message}`);
    this.#link.destroy();
  }

  #end(code: ConnectionEnd, message: string): void {
    if (this.#ended !== null) return;
    this.#login?.close();
    this.#ended = { code, message };
    this.#onProof();
    const { from, to } = this.#silenceAt(this.now());
    this.#handlers.onEnd(code, message, this.now() - to < DEAF_BEFORE_MS ? from : null);
  }

  /** The last long silence, which may last still. */
  #silenceAt(now: number): { from: number; to: number } {
    return now - this.#lastHeard >= DEAF_MS ? { from: this.#lastHeard, to: now } : this.#silence;
  }
}
