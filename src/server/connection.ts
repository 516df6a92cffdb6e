/**
 * One connection of the relay: the ends of it that `relay.ts` ties together, and its clocks.
 *
 * @module
 */
import type { Link, LinkHandlers } from "../transport/link.ts";
import { MAX_GUEST_FRAME_BYTES } from "../wire/limits.ts";
import type { LoggedInAccount } from "./account_book.ts";
import type { Allowance } from "./allowance.ts";
import type { Cursor } from "./cursor.ts";
import type { GateConnection, Seat } from "./gate_state.ts";
import { type FrameTaker, Intake } from "./intake.ts";
import type { LoginVisit } from "./login_desk.ts";
import { Outbox, type OutboxOwner, type OutboxPorts } from "./outbox.ts";
import { type Bucket, charge, fullBucket, left, type Rate, take } from "./rate.ts";
import { MUCH_AT_ONCE_BYTES, OWNER_TIMES, READERS_A_COUNT } from "./relay_limits.ts";

/** Answers of REFUSED: beyond it they are left out, so that nonsense is not echoed for ever. */
const REFUSAL_RATE: Rate = { burst: 256, perSecond: 20 };
/**
 * Frames that are refused: beyond it the connection ends with `flood`. Somebody who was just
 * evicted may have thousands under way, and means no harm.
 */
const MISDEED_RATE: Rate = { burst: 20_000, perSecond: 500 };

/**
 * What may always be looked at once a connection has used its rates up: what is waited for is only
 * known afterwards. So little that others are not made to wait for it.
 */
const LEAST_SHARE = { bytes: 4096, frames: 32 };

/** Rates at which a connection may send, with their bursts. */
export interface SendRates {
  /** In bytes. */
  readonly bytes: Rate;
  /** In bytes, of a connection that owns a room. */
  readonly ownerBytes: Rate;
  /** In frames. */
  readonly frames: Rate;
}

/** What the connections of a relay share. An idle one costs memory, so there are no closures of its own. */
export interface ConnectionPorts {
  /** Limit for the frames of a member or owner. */
  maxFrameBytes: number;
  /** See {@link SendRates}. */
  rates: SendRates;
  /** A run of this connection's broadcasts to the room of its hot seat. */
  takeRun(connection: Connection, frames: Uint8Array, count: number): void;
  /** Any other frame. */
  takeFrame(connection: Connection, frame: Uint8Array): void;
  /** The time, in ms. */
  nowMs(): number;
  /** Some bytes came. */
  take(connection: Connection, bytes: Uint8Array): void;
  /** The link is gone. */
  ended(connection: Connection): void;
  /** It did not read what it was due. */
  tooSlow(connection: Connection): void;
  /** Of the writing side. */
  readonly outbox: OutboxPorts;
}

/** The seat from which a connection last sent a broadcast, ready for the next. */
export interface HotSeat {
  /** Where the frames go. */
  readonly seat: Seat;
  /** The connection's own place there. */
  readonly cursor: Cursor;
  /** BROADCAST, room and handle: the first 33 bytes of each body. */
  readonly prefix: Uint8Array;
}

/** One connection. */
export class Connection implements FrameTaker, LinkHandlers, OutboxOwner {
  /** Its socket. */
  readonly link: Link;
  /** What the gate knows of it. */
  readonly gate: GateConnection;
  /** Its writing side. */
  readonly outbox: Outbox;
  /** Its reading side. */
  readonly intake: Intake;
  /**
   * By the hex of the room id; those of rooms that it has left stay until they are drained. Null
   * before the first.
   */
  cursors: Map<string, Cursor> | null = null;
  /** When it was accepted. */
  readonly openedMs: number;
  /** When something last came from it. */
  heardMs: number;
  /** Whether a PING was sent since. */
  pinged = false;
  /** Since when it is in no room; null while it is in one. */
  roomlessMs: number | null;
  /** When the socket is destroyed whatever it does; null while the connection is good. */
  deadlineMs: number | null = null;
  /** Until when it is not read from; null while it is. */
  pausedUntilMs: number | null = null;
  /** See {@link HotSeat}; null when it has not broadcast, or may no longer. */
  hot: HotSeat | null = null;
  /** The buckets that it shares with other connections: of its address, and of its account. */
  readonly sources: Allowance[] = [];
  /** Its place at the desk for logins; null where none is wanted. */
  visit: LoginVisit | null = null;
  /** Whether the desk has not answered its last message yet. */
  atDesk = false;
  /** What it has logged in with. */
  account: { readonly login: LoggedInAccount; readonly allowance: Allowance | null } | null = null;
  /** What came and there was no time for in its turn; null if there is none. */
  rest: Uint8Array | null = null;
  /** When it has had enough of this turn. */
  enoughMs = Infinity;
  /** Frames of the piece that is being taken in. */
  framesInPiece = 0;
  /** How many of them may be looked at in this turn. */
  #frameShare = Infinity;
  #isLimited = false;
  /** How often the bytes of its last broadcast counted, since they went to many. */
  #counts = 1;
  /** Bytes that count beside those of the piece. */
  #spreadBytes = 0;
  readonly #ports: ConnectionPorts;
  /** Null while nothing was refused. */
  #refusals: Bucket | null = null;
  #misdeeds: Bucket | null = null;
  readonly #bytes: Bucket;
  readonly #frames: Bucket;

  /** @param nowMs of a clock that does not go back */
  constructor(
    link: Link,
    gate: GateConnection,
    ports: ConnectionPorts,
    nowMs: number,
  ) {
    this.link = link;
    this.gate = gate;
    this.#ports = ports;
    this.outbox = new Outbox(link, ports.outbox, this);
    this.intake = new Intake(this);
    this.openedMs = this.heardMs = this.roomlessMs = nowMs;
    this.#bytes = fullBucket(ports.rates.bytes, nowMs);
    this.#frames = fullBucket(ports.rates.frames, nowMs);
  }

  /** See {@link FrameTaker}. */
  get open(): boolean {
    return this.deadlineMs === null;
  }

  /** See {@link FrameTaker}. */
  get spent(): boolean {
    return this.framesInPiece >= this.#frameShare || this.#ports.nowMs() >= this.enoughMs;
  }

  /** PROTOCOL §2: a connection that is nowhere more than a knocker is a guest. */
  get frameLimit(): number {
    if (this.#sits(isNoKnocker)) return this.#ports.maxFrameBytes;
    return Math.min(MAX_GUEST_FRAME_BYTES, this.#ports.maxFrameBytes);
  }

  #sits(as: (seat: Seat) => boolean): boolean {
    const { seats } = this.gate;
    // Asked for each frame: an iterator is made only where there is something to go through.
    if (seats === null || seats.size === 0) return false;
    for (const seat of seats.values()) {
      if (as(seat)) return true;
    }
    return false;
  }

  /** See {@link FrameTaker}. */
  get runPrefix(): Uint8Array | null {
    return this.hot === null ? null : this.hot.prefix;
  }

  /** See {@link FrameTaker}. */
  get runLimit(): number {
    return this.#frameShare - this.framesInPiece;
  }

  /** See {@link FrameTaker}. */
  takeRun(frames: Uint8Array, count: number): void {
    this.framesInPiece += count;
    this.#ports.takeRun(this, frames, count);
  }

  /** See {@link FrameTaker}. */
  takeFrame(frame: Uint8Array): void {
    this.framesInPiece++;
    this.#ports.takeFrame(this, frame);
  }

  /** See {@link LinkHandlers}. */
  onData(bytes: Uint8Array): void {
    this.#ports.take(this, bytes);
  }

  /** See {@link LinkHandlers}. */
  onEnd(): void {
    this.#ports.ended(this);
  }

  /** See {@link OutboxOwner}. */
  tooSlow(): void {
    this.#ports.tooSlow(this);
  }

  /** Counts a frame that was refused. @returns what is to be done about it */
  misdeed(nowMs: number): "answer" | "ignore" | "close" {
    this.#misdeeds ??= fullBucket(MISDEED_RATE, nowMs);
    this.#refusals ??= fullBucket(REFUSAL_RATE, nowMs);
    if (!take(this.#misdeeds, MISDEED_RATE, nowMs)) return "close";
    return take(this.#refusals, REFUSAL_RATE, nowMs) ? "answer" : "ignore";
  }

  /**
   * How much of what came may be looked at in this turn: all of it within its rates; what is left of
   * them, and a little at least, beyond.
   */
  shareOf(bytes: number, nowMs: number): number {
    const { rates } = this.#ports;
    const owns = this.#owns;
    let leftBytes = left(this.#bytes, owns ? rates.ownerBytes : rates.bytes, nowMs);
    let leftFrames = left(this.#frames, rates.frames, nowMs);
    for (const source of this.sources) {
      leftBytes = Math.min(leftBytes, source.leftBytes(nowMs) * (owns ? OWNER_TIMES : 1));
      leftFrames = Math.min(leftFrames, source.leftFrames(nowMs));
    }
    this.#isLimited = leftBytes < Infinity;
    this.#frameShare = Math.max(LEAST_SHARE.frames, Math.floor(leftFrames));
    return Math.min(bytes, Math.max(LEAST_SHARE.bytes, Math.floor(leftBytes / this.#counts)));
  }

  /** Counts what is passed on at once for as many as get it, and more than once what is much. */
  spread(bytes: number, readers: number): void {
    const groups = readers / READERS_A_COUNT;
    const counts = Math.max(1, groups) * this.#countsOf(bytes * Math.min(1, groups));
    // The share was reckoned for fewer: what is left of the piece comes later, by another.
    if (counts > 2 * this.#counts && this.#isLimited) this.#frameShare = 0;
    this.#counts = counts;
    this.#spreadBytes += bytes * (counts - 1);
  }

  /**
   * Accounts for what was looked at.
   *
   * @returns for how many ms it should not be read from
   */
  chargeFor(bytes: number, nowMs: number): number {
    const { rates } = this.#ports;
    const owns = this.#owns;
    const frames = this.framesInPiece;
    const counted = bytes + this.#spreadBytes;
    this.framesInPiece = this.#spreadBytes = 0;
    let waitMs = Math.max(
      charge(this.#bytes, owns ? rates.ownerBytes : rates.bytes, nowMs, counted),
      charge(this.#frames, rates.frames, nowMs, frames),
    );
    for (const source of this.sources) {
      const ofSource = owns ? counted / OWNER_TIMES : counted;
      waitMs = Math.max(waitMs, source.charge(ofSource, frames, nowMs));
    }
    return waitMs;
  }

  /** See {@link MUCH_AT_ONCE_BYTES}. */
  #countsOf(bytes: number): number {
    return bytes <= LEAST_SHARE.bytes || this.#owns ? 1 : 1 + bytes / MUCH_AT_ONCE_BYTES;
  }

  get #owns(): boolean {
    return this.#sits(isOwner);
  }
}

function isNoKnocker({ role }: Seat): boolean {
  return role !== "knocker";
}

function isOwner({ role }: Seat): boolean {
  return role === "owner";
}
