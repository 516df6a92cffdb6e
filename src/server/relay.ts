/**
 * The relay: links come in, bytes go round. The way of a frame:
 *
 * 1. `intake.ts` finds it; a run of broadcasts by the seat that broadcast before goes straight to 4.
 * 2. BROADCAST and DIRECT are judged by `gate_traffic.ts` without being decoded; PING is answered.
 * 3. Everything else is decoded and goes to `gate.ts`, whose effects are done here, in order.
 * 4. Bytes for everybody are appended to the room's log, once; bytes for one become a private frame
 *    at the same place in the order. `room_log.ts` has the rest of the way.
 *
 * 1 to 4 happen within the call that brought the bytes; writing, at the end of the turn. Nothing
 * here waits, and nothing is remembered that a restart may not forget.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Link } from "../transport/link.ts";
import { readU64, WireError } from "../wire/codec.ts";
import { FRAME_HEADER_BYTES } from "../wire/frame.ts";
import { challenge, handle, type RelayKey, roomId, sameBytes, toHex } from "../wire/ids.ts";
import type { KeyChangeStatement } from "../wire/key_change.ts";
import { DEAD_AFTER_MS, PING_AFTER_MS } from "../wire/limits.ts";
import {
  ACCESS,
  type Access,
  type ClosingCode,
  decodeRelayMessage,
  frameRelayMessage,
  type LoginRefusedCode,
  OFFSET_BROADCAST_PAYLOAD,
  OFFSET_DIRECT_PAYLOAD,
  OFFSET_FROM,
  OFFSET_NONCE,
  OFFSET_ROOM,
  OFFSET_TO,
  PROTOCOL_VERSION,
  type RefusedCode,
  RELAY_MESSAGES,
  type RelayMessage,
} from "../wire/relay_message.ts";
import { Connection, type ConnectionPorts, type SendRates } from "./connection.ts";
import { type GateEvent, stepGate } from "./gate.ts";
import {
  type ConnectionId,
  emptyGate,
  type GateEffect,
  type GatePorts,
  type Now,
  type Seat,
} from "./gate_state.ts";
import { judgeBroadcast, routeDirect } from "./gate_traffic.ts";
import { type Refusal, refusal } from "./gate_entry.ts";
import type { LoggedInAccount } from "./account_book.ts";
import type { Allowance } from "./allowance.ts";
import type { Cursor } from "./cursor.ts";
import type { LoginMessage, LoginOutcome, LoginVisit } from "./login_desk.ts";
import { type Rate, trafficRate } from "./rate.ts";
import { OWNER_TIMES, type RelayLimits } from "./relay_limits.ts";
import { RoomLog } from "./room_log.ts";
import { Turn } from "./turn.ts";
import { keyedRoomId, verifySignature } from "./verify.ts";

/** How long a connection that was told CLOSING may take to read it. */
export const CLOSING_MS = 2_000;
/**
 * How long the frames of one piece may keep all others waiting; the rest of them comes later. A piece
 * holds 5,000 of the smallest, each with an answer, and a login or a ticket takes as long as many.
 */
const PIECE_MS = 1;
/** What a connection may send at once, whatever its rates are. */
const LEAST_BURST = { bytes: 262_144, frames: 500 };
/** How long after the last message somebody is taken to be talking. */
export const TALK_MS = 10_000;
/** Of CHALLENGE. */
const NONCE_BYTES = 32;
/** How often {@link Relay.tick} wants to be called. */
export const TICK_MS = 1_000;

const BROADCAST = RELAY_MESSAGES.broadcast.type;
const DIRECT = RELAY_MESSAGES.direct.type;
const PING = RELAY_MESSAGES.ping.type;
const PONG = RELAY_MESSAGES.pong.type;
const PING_BODY_BYTES = 9;

/** A relay's logins. */
export interface LoginPort {
  /** As CHALLENGE says it. */
  readonly access: Exclude<Access, "open">;
  /** See `LoginDesk.take`. */
  readonly take: (visit: LoginVisit, message: LoginMessage) => Promise<LoginOutcome>;
  /** Whether whom it let in may be in now: its account may have been banned or reset since. */
  readonly mayStay: (account: LoggedInAccount) => boolean;
}

/** What a relay asks of the world. */
export interface RelayPorts {
  /** The time. */
  readonly now: () => Now;
  /** The same, the first clock of it alone. */
  readonly nowMs: () => number;
  /** That many random bytes. */
  readonly random: (count: number) => Uint8Array;
  /** Calls back once; returns how to forget it. */
  readonly later: (ms: number, call: () => void) => () => void;
  /** The buckets of an address, where it shares some with other connections. */
  readonly allowanceOf?: (remoteAddress: string) => Allowance | null;
  /** Where a login is wanted before anything else: who answers it. */
  readonly login?: LoginPort;
  /** The buckets of an account. */
  readonly allowanceOfAccount?: (name: string) => Allowance;
  /** Hears of every connection that the relay ends, for a log. */
  readonly closed?: (code: ClosingCode, remoteAddress: string) => void;
}

/** The clocks, timers and random numbers of this machine. */
export const SYSTEM_PORTS: RelayPorts = {
  now: () => ({ ms: performance.now(), unixS: Date.now() / 1000 }),
  nowMs: () => performance.now(),
  random: (count) => crypto.getRandomValues(new Uint8Array(count)),
  later: (ms, call) => {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};

/** What a relay counts. No field names anybody. */
export interface RelayCounters {
  /** Connections now. */
  connections: number;
  /** Connections since the start. */
  connectionsTotal: number;
  /** Rooms now. */
  rooms: number;
  /** Frames taken in. */
  framesIn: number;
  /** Bytes taken in. */
  bytesIn: number;
  /** Bytes given to the links. */
  bytesOut: number;
  /** Bytes that waited for those who had not read them, at the last tick. */
  heldBytes: number;
  /** Frames of a type that this version does not know. */
  unknownFrames: number;
  /** Logins that have succeeded. */
  logins: number;
  /** Logins that were begun: what a wrong password ends is never said to us. */
  loginsBegun: number;
  /** LOGIN_REFUSED by code. */
  readonly loginsRefused: Partial<Record<LoginRefusedCode, number>>;
  /** REFUSED by code, those included that were not sent any more. */
  readonly refused: Partial<Record<RefusedCode, number>>;
  /** CLOSING by code. */
  readonly closed: Partial<Record<ClosingCode, number>>;
}

/** A place where bytes wait. */
interface Held {
  readonly bytes: number;
  /** Ends connections until at most half of them wait. @returns how many no longer do */
  drop(): number;
}

/** A relay without its listener. */
export class Relay {
  /** See {@link RelayCounters}. */
  readonly counters: RelayCounters = {
    connections: 0,
    connectionsTotal: 0,
    rooms: 0,
    framesIn: 0,
    bytesIn: 0,
    bytesOut: 0,
    heldBytes: 0,
    unknownFrames: 0,
    logins: 0,
    loginsBegun: 0,
    loginsRefused: {},
    refused: {},
    closed: {},
  };
  #limits: RelayLimits;
  #relayKey: RelayKey;
  /** KEY_CHANGES as a frame, if there is anything to say. */
  #keyChanges: Uint8Array | null = null;
  /** What every connection is told first, but for the nonce. */
  #greeting: Uint8Array;
  #nonceAt = 0;
  readonly #ports: RelayPorts;
  #gatePorts: GatePorts;
  readonly #connectionPorts: ConnectionPorts;
  readonly #gate = emptyGate();
  readonly #connections = new Map<ConnectionId, Connection>();
  readonly #logs = new Map<string, RoomLog>();
  readonly #turn = new Turn();
  readonly #paused = new Set<Connection>();
  #cancelResume: (() => void) | null = null;
  #resumeAtMs = Infinity;
  #lastId = 0;
  #spokenMs = -Infinity;
  #whenEmpty: (() => void) | null = null;

  /**
   * @param relayKey the key of the listener's certificate, which the participants' signatures name
   * @param limits what it bears
   */
  constructor(relayKey: RelayKey, limits: RelayLimits, ports: RelayPorts = SYSTEM_PORTS) {
    this.#limits = limits;
    this.#relayKey = relayKey;
    this.#ports = ports;
    this.#greeting = this.#makeGreeting();
    this.#gatePorts = {
      limits,
      needsLogin: ports.login !== undefined,
      verify: verifySignature,
      keyedRoomId,
      newHandle: () => handle(ports.random(16)),
    };
    this.#connectionPorts = {
      maxFrameBytes: limits.maxFrameBytes,
      rates: sendRates(limits),
      takeRun: (connection, frames) => this.#publish(connection, frames),
      takeFrame: (connection, frame) => this.#takeFrame(connection, frame),
      nowMs: ports.nowMs,
      take: (connection, bytes) => this.#take(connection, bytes),
      ended: (connection) => this.#ended(connection),
      tooSlow: (connection) =>
        this.#close(connection, "too-slow", "it did not read what it was due"),
      outbox: {
        turn: this.#turn,
        maxLagBytes: limits.maxLagBytes,
        wrote: (bytes) => {
          this.counters.bytesOut += bytes;
        },
      },
    };
  }

  /** Whether a message went to somebody in the last {@link TALK_MS}: then others want to be heard soon. */
  get isTalking(): boolean {
    return this.#ports.nowMs() - this.#spokenMs < TALK_MS;
  }

  /** Other limits from now on; who is within already stays, but sends at the new rates. */
  adopt(limits: RelayLimits): void {
    this.#limits = limits;
    this.#greeting = this.#makeGreeting();
    this.#gatePorts = { ...this.#gatePorts, limits };
    this.#connectionPorts.maxFrameBytes = limits.maxFrameBytes;
    this.#connectionPorts.rates = sendRates(limits);
    this.#connectionPorts.outbox.maxLagBytes = limits.maxLagBytes;
  }

  /**
   * The listener shows another key from now on, or will. Everybody is told what is new; who is there stays.
   *
   * @param statements what a participant can follow to it, oldest first
   */
  changeKey(relayKey: RelayKey, statements: readonly KeyChangeStatement[]): void {
    this.#relayKey = relayKey;
    const before = this.#keyChanges;
    const frame = frameRelayMessage({ kind: "key-changes", statements });
    this.#keyChanges = statements.length === 0 ? null : frame;
    this.#greeting = this.#makeGreeting();
    if (this.#keyChanges === null || (before !== null && sameBytes(before, frame))) return;
    for (const { open, outbox } of this.#connections.values()) {
      if (open) outbox.send(frame);
    }
  }

  /** Ends the connections of some addresses at once, without a word. @returns how many */
  dismiss(isMeant: (remoteAddress: string) => boolean): number {
    const meant = [...this.#connections.values()].filter(({ link }) => isMeant(link.remoteAddress));
    for (const { link } of meant) link.destroy();
    return meant.length;
  }

  /** Ends the connections of accounts that may not stay. @returns how many */
  logOut(mayStay: (account: LoggedInAccount) => boolean): number {
    const meant = [...this.#connections.values()].filter(({ open, account }) =>
      open && account !== null && !mayStay(account.login)
    );
    for (const connection of meant) this.#logOut(connection);
    return meant.length;
  }

  #logOut(connection: Connection): void {
    this.#close(connection, "logged-out", "the account was reset, disabled, banned or removed");
  }

  /**
   * Takes a link on: sends CHALLENGE, and goes on until either side ends it.
   *
   * @param shown the key that was shown on it
   */
  accept(link: Link, shown: RelayKey = this.#relayKey): void {
    if (this.#connections.size >= this.#limits.maxConnections || this.#whenEmpty !== null) {
      return link.destroy();
    }
    const id = ++this.#lastId;
    const now = this.#ports.now();
    const nonce = challenge(this.#ports.random(NONCE_BYTES));
    this.#step({ kind: "opened", id, nonce, relayKey: shown }, now);
    const gate = this.#gate.connections.get(id);
    if (gate === undefined) throw new Error("the gate does not know a connection it was told of");
    const connection = new Connection(link, gate, this.#connectionPorts, now.ms);
    const source = this.#ports.allowanceOf?.(link.remoteAddress) ?? null;
    if (source !== null) connection.sources.push(source);
    if (this.#ports.login !== undefined) {
      const { remoteAddress } = link;
      connection.visit = { remoteAddress, nonce, relayKey: shown, begun: null };
    }
    this.#connections.set(id, connection);
    this.counters.connections++;
    this.counters.connectionsTotal++;
    link.start(connection);
    // A Buffer of node's pool: node would make one of each other array that is written.
    const greeting = Buffer.from(this.#greeting);
    greeting.set(nonce, this.#nonceAt);
    // At once, while the runtime still holds the end of its handshake: both go out in one piece.
    connection.outbox.begin(greeting);
  }

  #makeGreeting(): Uint8Array {
    const ofChallenge = frameRelayMessage({
      kind: "challenge",
      minVersion: PROTOCOL_VERSION,
      maxVersion: PROTOCOL_VERSION,
      nonce: challenge(new Uint8Array(NONCE_BYTES)),
      maxFrame: this.#limits.maxFrameBytes,
      access: ACCESS[this.#ports.login?.access ?? "open"],
    });
    // Before CHALLENGE: who has another key pinned reads no further than that (PROTOCOL §2.1).
    const before = this.#keyChanges ?? new Uint8Array();
    const greeting = new Uint8Array(before.length + ofChallenge.length);
    greeting.set(before);
    greeting.set(ofChallenge, before.length);
    this.#nonceAt = before.length + FRAME_HEADER_BYTES + OFFSET_NONCE;
    return greeting;
  }

  /** Looks after silent connections, late tickets and quiet rooms: one timer for all of them. */
  tick(): void {
    const now = this.#ports.now();
    for (const connection of [...this.#connections.values()]) this.#watch(connection, now.ms);
    this.#step({ kind: "tick" }, now);
    for (const log of this.#logs.values()) log.settle();
    this.#boundHeld();
  }

  /** One that reads slowly is bounded by itself; many together, in as many rooms, are here. */
  #boundHeld(): void {
    const held: Held[] = [];
    for (const log of this.#logs.values()) {
      held.push({ bytes: log.heldBytes, drop: () => log.dropSlowest() });
    }
    for (const { open, outbox } of this.#connections.values()) {
      const bytes = open ? outbox.privateBytes : 0;
      if (bytes === 0) continue;
      held.push({
        bytes,
        drop: () => {
          outbox.tooSlow();
          return bytes;
        },
      });
    }
    let sum = held.reduce((all, { bytes }) => all + bytes, 0);
    this.counters.heldBytes = sum;
    if (sum <= this.#limits.maxHeldBytes) return;
    held.sort((a, b) => b.bytes - a.bytes);
    for (const { drop } of held) {
      sum -= drop();
      if (sum <= this.#limits.maxHeldBytes) return;
    }
  }

  /**
   * Writes what everybody is due, tells them `shutting-down`, waits until they have read it, but no
   * longer than CLOSING_MS, and takes no more links.
   */
  shutDown(): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.#ports.later(CLOSING_MS, () => {
        for (const connection of [...this.#connections.values()]) connection.link.destroy();
      });
      this.#whenEmpty = () => {
        stop();
        resolve();
      };
      const farewell = frameRelayMessage({
        kind: "closing",
        code: "shutting-down",
        message: "the relay is going down",
      });
      const deadlineMs = this.#ports.nowMs() + CLOSING_MS;
      for (const connection of this.#connections.values()) {
        if (!connection.open) continue;
        connection.deadlineMs = deadlineMs;
        this.#count("shutting-down", connection);
        connection.outbox.finishDrained(farewell);
      }
      if (this.#connections.size === 0) this.#whenEmpty();
    });
  }

  #take(connection: Connection, bytes: Uint8Array): void {
    if (!connection.open) return;
    const nowMs = this.#ports.nowMs();
    connection.heardMs = nowMs;
    connection.pinged = false;
    this.counters.bytesIn += bytes.length;
    const { rest } = connection;
    if (rest === null) return this.#work(connection, bytes, nowMs);
    // The runtime had read it already when the link was paused.
    connection.rest = new Uint8Array(rest.length + bytes.length);
    connection.rest.set(rest);
    connection.rest.set(bytes, rest.length);
  }

  #work(connection: Connection, bytes: Uint8Array, nowMs: number): void {
    connection.enoughMs = nowMs + PIECE_MS;
    const share = connection.shareOf(bytes.length, nowMs);
    let done = share;
    try {
      done -= connection.intake.push(bytes.subarray(0, share))?.length ?? 0;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      const code = error.code === "too-long" ? "too-large" : "malformed";
      this.#close(connection, code, error.message);
    }
    connection.rest = connection.open && done < bytes.length ? bytes.subarray(done) : null;
    this.counters.framesIn += connection.framesInPiece;
    const waitMs = connection.chargeFor(done, nowMs);
    if (connection.open && (waitMs > 0 || connection.rest !== null)) {
      this.#pause(connection, nowMs + waitMs);
    }
  }

  /** TCP holds back who sends too much; nobody else waits for it. */
  #pause(connection: Connection, untilMs: number): void {
    connection.pausedUntilMs = untilMs;
    connection.link.pause();
    this.#paused.add(connection);
    this.#resumeAt(untilMs);
  }

  #resumeAt(untilMs: number): void {
    const nowMs = this.#ports.nowMs();
    // A little late and together, rather than a timer for each.
    const atMs = Math.max(nowMs + 5, Math.ceil(untilMs));
    if (atMs >= this.#resumeAtMs) return;
    this.#cancelResume?.();
    this.#resumeAtMs = atMs;
    this.#cancelResume = this.#ports.later(atMs - nowMs, () => this.#resumeDue());
  }

  #resumeDue(): void {
    this.#cancelResume = null;
    this.#resumeAtMs = Infinity;
    const enoughMs = this.#ports.nowMs() + PIECE_MS;
    for (const connection of [...this.#paused]) {
      const nowMs = this.#ports.nowMs();
      if ((connection.pausedUntilMs ?? 0) > nowMs) continue;
      // Those who are left are the first of the next turn.
      if (nowMs > enoughMs) break;
      this.#paused.delete(connection);
      connection.pausedUntilMs = null;
      connection.heardMs = nowMs;
      const { rest } = connection;
      if (rest !== null) this.#work(connection, rest, nowMs);
      if (connection.pausedUntilMs === null) connection.link.resume();
    }
    let first = Infinity;
    for (const { pausedUntilMs } of this.#paused) first = Math.min(first, pausedUntilMs ?? 0);
    if (first < Infinity) this.#resumeAt(first);
  }

  #takeFrame(connection: Connection, frame: Uint8Array): void {
    const body = frame.subarray(FRAME_HEADER_BYTES);
    const type = body[0];
    const { gate } = connection;
    const mayTalk = gate.started && gate.authorized;
    if (mayTalk && type === BROADCAST) {
      return this.#takeBroadcast(connection, frame, body);
    }
    if (mayTalk && type === DIRECT) {
      return this.#takeDirect(connection, frame, body);
    }
    if (type === PING && gate.started && isPing(body)) {
      const pong = frame.slice();
      pong[FRAME_HEADER_BYTES] = PONG;
      return connection.outbox.send(pong);
    }
    const message = decoded(body);
    if (message instanceof WireError) {
      return this.#close(connection, "malformed", message.message);
    }
    if (message.kind !== "unknown") {
      const now = this.#ports.now();
      if (message.kind === "enter" && !connection.sources.every((s) => s.join(now.ms))) {
        return this.#refuse(
          connection,
          body,
          refusal("rate-limited", "too many attempts to enter"),
        );
      }
      return this.#step({ kind: "message", id: gate.id, message }, now);
    }
    this.counters.unknownFrames++;
    if (message.critical) {
      this.#close(connection, "unsupported", `this relay does not know type ${message.type}`);
    } else if (!gate.started) {
      this.#close(connection, "malformed", "the first message has to be START");
    }
  }

  #takeBroadcast(connection: Connection, frame: Uint8Array, body: Uint8Array): void {
    if (body.length <= OFFSET_BROADCAST_PAYLOAD) {
      return this.#close(connection, "malformed", "a BROADCAST without a payload");
    }
    const room = toHex(body.subarray(OFFSET_ROOM, OFFSET_FROM));
    const from = toHex(body.subarray(OFFSET_FROM, OFFSET_BROADCAST_PAYLOAD));
    const judged = judgeBroadcast(connection.gate, room, from);
    if (!judged.ok) return this.#refuse(connection, body, judged);
    const cursor = connection.cursors?.get(room);
    if (cursor === undefined) return;
    const prefix = body.slice(0, OFFSET_BROADCAST_PAYLOAD);
    connection.hot = { seat: judged.seat, cursor, prefix };
    this.#publish(connection, frame);
  }

  /** Frames that were judged: into the log once, for everybody but who sent them. */
  #publish(connection: Connection, frames: Uint8Array): void {
    const { hot } = connection;
    if (hot === null) return;
    const { log } = hot.cursor;
    const start = log.append(frames);
    hot.cursor.skip(start, log.head);
    connection.spread(frames.length, log.readers.length);
    if (log.readers.length > 1) this.#spokenMs = connection.heardMs;
  }

  #takeDirect(connection: Connection, frame: Uint8Array, body: Uint8Array): void {
    if (body.length <= OFFSET_DIRECT_PAYLOAD) {
      return this.#close(connection, "malformed", "a DIRECT without a payload");
    }
    const room = toHex(body.subarray(OFFSET_ROOM, OFFSET_FROM));
    const from = toHex(body.subarray(OFFSET_FROM, OFFSET_TO));
    const to = body.subarray(OFFSET_TO, OFFSET_DIRECT_PAYLOAD);
    if (connection.sources.length > 0 && connection.gate.seats?.get(room)?.role === "knocker") {
      const nowMs = this.#ports.nowMs();
      if (!connection.sources.every((source) => source.knock(nowMs))) {
        return this.#refuse(connection, body, refusal("rate-limited", "too many knocks"));
      }
    }
    const route = routeDirect(
      connection.gate,
      room,
      from,
      toHex(to),
      body.length,
      this.#ports.now(),
    );
    if (!route.ok) return this.#refuse(connection, body, route);
    if (route.to === null) {
      const { id } = route.from.room;
      return this.#tell(route.from, {
        kind: "gone",
        room: id,
        handle: handle(to),
        reason: "closed",
      });
    }
    this.#spokenMs = connection.heardMs;
    // A view would keep the whole piece that it came in.
    const copy = frame.slice();
    let readers = 0;
    for (const seat of route.to) {
      this.#cursorOf(seat)?.push(copy);
      readers++;
    }
    connection.spread(copy.length, readers);
  }

  #refuse(connection: Connection, body: Uint8Array, { code, message }: Refusal): void {
    const room = body.subarray(OFFSET_ROOM, OFFSET_FROM);
    const now = this.#ports.now();
    this.#send(connection, { kind: "refused", room: roomId(room), code, message }, now);
  }

  #step(event: GateEvent, now: Now): void {
    for (const effect of stepGate(this.#gatePorts, this.#gate, event, now)) {
      // While the relay goes down nobody is told that the others are gone: everybody is.
      if (this.#whenEmpty === null) this.#do(effect, now);
    }
    this.counters.rooms = this.#gate.rooms.size;
  }

  #do(effect: GateEffect, now: Now): void {
    switch (effect.do) {
      case "send": {
        const connection = this.#connections.get(effect.to.id);
        if (connection !== undefined) this.#send(connection, effect.message, now);
        return;
      }
      case "log-in": {
        const connection = this.#connections.get(effect.from.id);
        if (connection !== undefined) this.#logIn(connection, effect.message);
        return;
      }
      case "tell":
        return this.#tell(effect.to, effect.message);
      case "tell-room":
        this.#logs.get(effect.room.hex)?.append(frameRelayMessage(effect.message));
        return;
      case "seat":
        return this.#seat(effect.seat);
      case "listen":
        return this.#cursorOf(effect.seat)?.startReading();
      case "unseat":
        return this.#unseat(effect.seat, now);
      case "forget":
        this.#logs.delete(effect.room.hex);
        return;
      case "close": {
        const connection = this.#connections.get(effect.connection.id);
        if (connection !== undefined) this.#close(connection, effect.code, effect.message);
      }
    }
  }

  /** The desk answers when it has the answer; nobody else waits for it. */
  #logIn(connection: Connection, message: LoginMessage): void {
    const { visit } = connection;
    const { login } = this.#ports;
    if (visit === null || login === undefined) return;
    if (connection.atDesk) {
      return this.#close(connection, "malformed", "one message of a login at a time");
    }
    if (message.kind === "login-start") this.counters.loginsBegun++;
    connection.atDesk = true;
    void login.take(visit, message).then((outcome) => {
      connection.atDesk = false;
      if (connection.open) this.#answerLogin(connection, outcome);
    });
  }

  #answerLogin(connection: Connection, outcome: LoginOutcome): void {
    const now = this.#ports.now();
    if (outcome.kind === "broken") return this.#close(connection, "malformed", outcome.why);
    if (outcome.kind === "reply") return this.#send(connection, outcome.message, now);
    const { account: login } = outcome;
    // What was judged is a turn ago, and {@linkcode logOut} has not seen this one.
    if (this.#ports.login?.mayStay(login) !== true) return this.#logOut(connection);
    const allowance = this.#ports.allowanceOfAccount?.(login.name) ?? null;
    if (allowance !== null && allowance.arrive(now.ms) !== null) {
      return this.#send(connection, {
        kind: "login-refused",
        code: "rate-limited",
        waitMs: 1000,
        message: "too many connections of this account",
      }, now);
    }
    if (allowance !== null) connection.sources.push(allowance);
    connection.account = { login, allowance };
    connection.visit = null;
    this.counters.logins++;
    this.#step({ kind: "authorized", id: connection.gate.id }, now);
    this.#send(connection, { kind: "logged-in" }, now);
  }

  #seat(seat: Seat): void {
    const connection = this.#connections.get(seat.connection.id);
    if (connection === undefined) return;
    const { hex } = seat.room;
    let log = this.#logs.get(hex);
    if (log === undefined) this.#logs.set(hex, log = new RoomLog(this.#turn));
    const cursors = connection.cursors ??= new Map();
    cursors.set(hex, connection.outbox.attach(log, cursors.get(hex)));
    connection.roomlessMs = null;
  }

  #unseat(seat: Seat, now: Now): void {
    const cursor = this.#cursorOf(seat);
    const connection = this.#connections.get(seat.connection.id);
    if (cursor === undefined || connection === undefined) return;
    cursor.stopReading();
    cursor.retired = true;
    if (connection.hot?.seat === seat) connection.hot = null;
    if (connection.gate.seats?.size === 0) connection.roomlessMs = now.ms;
  }

  #cursorOf(seat: Seat): Cursor | undefined {
    return this.#connections.get(seat.connection.id)?.cursors?.get(seat.room.hex);
  }

  #tell(seat: Seat, message: RelayMessage): void {
    this.#cursorOf(seat)?.push(frameRelayMessage(message));
  }

  #send(connection: Connection, message: RelayMessage, now: Now): void {
    if (message.kind === "login-refused") {
      const { loginsRefused } = this.counters;
      loginsRefused[message.code] = (loginsRefused[message.code] ?? 0) + 1;
    }
    if (message.kind === "refused") {
      this.counters.refused[message.code] = (this.counters.refused[message.code] ?? 0) + 1;
      const due = connection.misdeed(now.ms);
      if (due === "close") return this.#close(connection, "flood", "too much of it was refused");
      if (due === "ignore") return;
    }
    connection.outbox.send(frameRelayMessage(message));
  }

  /** Ends a connection with a reason; for everybody else it is gone at once. */
  #close(connection: Connection, code: ClosingCode, message: string): void {
    if (!connection.open) return;
    this.#count(code, connection);
    const now = this.#ports.now();
    connection.deadlineMs = now.ms + CLOSING_MS;
    connection.outbox.finish(frameRelayMessage({ kind: "closing", code, message }));
    this.#step({ kind: "closed", id: connection.gate.id }, now);
  }

  #count(code: ClosingCode, connection: Connection): void {
    this.counters.closed[code] = (this.counters.closed[code] ?? 0) + 1;
    this.#ports.closed?.(code, connection.link.remoteAddress);
  }

  #ended(connection: Connection): void {
    const { id } = connection.gate;
    if (!this.#connections.has(id)) return;
    connection.deadlineMs ??= this.#ports.nowMs();
    this.#step({ kind: "closed", id }, this.#ports.now());
    connection.outbox.end();
    const allowance = connection.account?.allowance ?? null;
    if (allowance !== null) allowance.open--;
    connection.rest = null;
    this.#paused.delete(connection);
    if (this.#paused.size === 0) {
      this.#cancelResume?.();
      this.#cancelResume = null;
      this.#resumeAtMs = Infinity;
    }
    this.#connections.delete(id);
    this.counters.connections--;
    if (this.#connections.size === 0) this.#whenEmpty?.();
  }

  #watch(connection: Connection, nowMs: number): void {
    const { gate, roomlessMs, deadlineMs } = connection;
    if (deadlineMs !== null) {
      if (nowMs >= deadlineMs) connection.link.destroy();
      return;
    }
    // Each room by itself was looked at when something came to it.
    if (connection.outbox.lagBytes > this.#limits.maxLagBytes) {
      return this.#close(connection, "too-slow", "it did not read what it was due");
    }
    const silentMs = connection.pausedUntilMs === null ? nowMs - connection.heardMs : 0;
    if (!gate.started && nowMs - connection.openedMs >= this.#limits.handshakeMs) {
      return this.#close(connection, "idle", "no START came");
    }
    if (!gate.authorized && nowMs - connection.openedMs >= this.#limits.loginMs) {
      return this.#close(connection, "login-required", "no login came");
    }
    if (roomlessMs !== null && nowMs - roomlessMs >= this.#limits.idleMs) {
      return this.#close(connection, "idle", "in no room for too long");
    }
    if (silentMs >= DEAD_AFTER_MS) return this.#close(connection, "idle", "nothing was heard");
    if (silentMs >= PING_AFTER_MS && !connection.pinged) {
      connection.pinged = true;
      connection.outbox.send(frameRelayMessage({ kind: "ping", token: Math.floor(nowMs) }));
    }
    const { cursors } = connection;
    if (cursors !== null && cursors.size > (gate.seats?.size ?? 0)) sweep(cursors);
  }
}

/** Lets go of rooms that a connection has left and read to the end. */
function sweep(cursors: Map<string, Cursor>): void {
  for (const [hex, cursor] of cursors) {
    if (cursor.retired && cursor.drained) cursors.delete(hex);
  }
}

/**
 * Rates with their bursts. A burst goes to everybody in the room, and has to be well within what may
 * wait for one that reads slowly: else one member could have the others dropped.
 */
function sendRates({ bytesPerSecond, framesPerSecond, maxLagBytes }: RelayLimits): SendRates {
  const bytes = (perSecond: number): Rate => {
    const rate = trafficRate(perSecond, LEAST_BURST.bytes);
    return { ...rate, burst: Math.min(rate.burst, maxLagBytes / 4) };
  };
  return {
    bytes: bytes(bytesPerSecond),
    ownerBytes: bytes(OWNER_TIMES * bytesPerSecond),
    frames: trafficRate(framesPerSecond, LEAST_BURST.frames),
  };
}

function isPing(body: Uint8Array): boolean {
  return body.length === PING_BODY_BYTES && readU64(body, 1) !== undefined;
}

function decoded(body: Uint8Array): ReturnType<typeof decodeRelayMessage> | WireError {
  try {
    return decodeRelayMessage(body);
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
}
