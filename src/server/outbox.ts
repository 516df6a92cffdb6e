/**
 * What one connection is written: one write in flight, taken from the connection's own messages
 * first and then from its rooms by turns. There is no queue of bytes but the logs of the rooms and
 * the private frames, and both have a bound.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Link } from "../transport/link.ts";
import { Cursor, type CursorOwner, MAX_WRITE_BYTES, mostOf } from "./cursor.ts";
import { FrameQueue } from "./frame_queue.ts";
import type { RoomLog } from "./room_log.ts";
import type { Flushable, Turn } from "./turn.ts";

/** What the outboxes of a relay share. */
export interface OutboxPorts {
  /** Where it is queued when it has something private to write. */
  readonly turn: Turn;
  /** Bytes that may wait in one room, and outside of rooms. */
  maxLagBytes: number;
  /** So many bytes were given to the link. */
  wrote(bytes: number): void;
}

/** Where what lies apart becomes one write; the link takes it at once. A Buffer, as in `room_log.ts`. */
const JOINED = Buffer.alloc(MAX_WRITE_BYTES);

/** Whose outbox it is. */
export interface OutboxOwner {
  /** It did not read what it was due. */
  tooSlow(): void;
}

/** The writing side of a connection. */
export class Outbox implements Flushable, CursorOwner {
  /** See {@link Flushable}. */
  queued = false;
  readonly #link: Link;
  readonly #ports: OutboxPorts;
  readonly #owner: OutboxOwner;
  #busy = false;
  #ended = false;
  readonly #own = new FrameQueue();
  #lastWords: Uint8Array | null = null;
  #closing = false;
  /** Whether the last words come after all that the rooms still owe, and not before. */
  #drains = false;
  #cursors: Cursor[] = [];
  #next = 0;
  #begun: Cursor | null = null;

  /** @param link what is written to; this outbox closes it after the last words, nothing else */
  constructor(link: Link, ports: OutboxPorts, owner: OutboxOwner) {
    this.#link = link;
    this.#ports = ports;
    this.#owner = owner;
  }

  /** Bytes that wait for the write in flight. */
  get lagBytes(): number {
    let sum = this.#own.bytes;
    for (const cursor of this.#cursors) sum += cursor.lagBytes;
    return sum;
  }

  /** Those of them that wait for this connection alone, and not in a log that others read too. */
  get privateBytes(): number {
    let sum = this.#own.bytes;
    for (const cursor of this.#cursors) sum += cursor.privateBytes;
    return sum;
  }

  /** Adds a cursor for a room that the connection has entered. */
  attach(log: RoomLog, before: Cursor | undefined): Cursor {
    const after = before !== undefined && before.retired && !before.drained ? before : null;
    const cursor = new Cursor(log, this, after);
    // A pushed array keeps room for sixteen more; most connections are in one room.
    this.#cursors = this.#cursors.concat(cursor);
    return cursor;
  }

  /** Queues a frame that belongs to no room, before everything that waits. Not copied. */
  send(frame: Uint8Array): void {
    if (this.#ended || this.#closing) return;
    this.#own.push(frame);
    this.wakeLater();
  }

  /** Writes the first bytes of all, at once. */
  begin(bytes: Uint8Array): void {
    this.#write(bytes);
  }

  /** Writes `frame` as soon as the one in flight and a frame that was begun are through, then closes the link. */
  finish(frame: Uint8Array): void {
    if (this.#ended || this.#closing) return;
    this.#closing = true;
    this.#lastWords = frame;
    for (const cursor of this.#cursors) cursor.abandon();
    this.#pump();
  }

  /** As {@link finish}, but first writes all that the connection is due by now. */
  finishDrained(frame: Uint8Array): void {
    if (this.#ended || this.#closing) return;
    this.#closing = this.#drains = true;
    this.#lastWords = frame;
    for (const cursor of this.#cursors) cursor.stopReading();
    this.wakeLater();
  }

  /** The link is gone: lets go of everything. */
  end(): void {
    this.#ended = true;
    for (const cursor of this.#cursors) cursor.abandon();
    this.#cursors = [];
    this.#begun = null;
    this.#own.clear();
  }

  /** See {@link CursorOwner}. Called for every reader of a room in every turn: it has to be cheap. */
  wake(cursor: Cursor): void {
    if (!this.#busy) this.#pump();
    else if (cursor.lagBytes > this.#ports.maxLagBytes) this.tooSlow();
  }

  /** See {@link CursorOwner}. */
  wakeLater(): void {
    this.#ports.turn.add(this);
  }

  /** See {@link Flushable}. */
  flush(): void {
    if (!this.#busy) this.#pump();
    else if (this.lagBytes > this.#ports.maxLagBytes) this.tooSlow();
  }

  /** See {@link CursorOwner}. */
  tooSlow(): void {
    if (!this.#ended && !this.#closing) this.#owner.tooSlow();
  }

  #pump(): void {
    if (this.#busy || this.#ended) return;
    const first = this.#take(MAX_WRITE_BYTES);
    if (first !== null) this.#write(this.#joined(first));
  }

  /**
   * What is taken, and what fits behind it into the same write. Who speaks gets the others' frames in
   * pieces, one between any two runs of its own: as many writes would be a turn each.
   */
  #joined(first: Uint8Array): Uint8Array {
    let size = first.length;
    while (size < MAX_WRITE_BYTES) {
      const next = this.#take(MAX_WRITE_BYTES - size);
      if (next === null) break;
      if (size === first.length) JOINED.set(first);
      JOINED.set(next, size);
      size += next.length;
    }
    return size === first.length ? first : JOINED.subarray(0, size);
  }

  #write(bytes: Uint8Array): void {
    this.#busy = true;
    this.#ports.wrote(bytes.length);
    this.#link.write(bytes, this.#written);
  }

  // One closure for the life of the connection: a write allocates nothing of ours.
  #written = (error: Error | null): void => {
    this.#busy = false;
    if (error !== null || this.#ended) return;
    if (this.#closing && this.#lastWords === null) {
      this.#ended = true;
      this.#link.close();
      return;
    }
    this.#pump();
  };

  /** @param room as for {@link Cursor.next} */
  #take(room: number): Uint8Array | null {
    if (this.#begun?.midFrame === true) return this.#from(this.#begun, room);
    if (this.#own.bytes > 0) return this.#own.shift(mostOf(room));
    const last = this.#lastWords;
    if (last === null) return this.#closing ? null : this.#takeDue(room);
    // With nothing before it in this write, nothing is left that did not fit.
    const due = this.#drains ? this.#takeDue(room) : null;
    if (due !== null || (this.#drains && room < MAX_WRITE_BYTES) || last.length > mostOf(room)) {
      return due;
    }
    this.#lastWords = null;
    return last;
  }

  #takeDue(room: number): Uint8Array | null {
    for (let i = this.#cursors.length; i > 0; i--) {
      if (this.#next >= this.#cursors.length) this.#next = 0;
      const cursor = this.#cursors[this.#next];
      if (cursor === undefined) return null;
      const bytes = this.#from(cursor, room);
      if (bytes === null && cursor.retired && cursor.drained) this.#cursors.splice(this.#next, 1);
      else this.#next++;
      if (bytes !== null) return bytes;
    }
    return null;
  }

  #from(cursor: Cursor, room: number): Uint8Array | null {
    const bytes = cursor.next(room);
    this.#begun = bytes !== null && cursor.midFrame ? cursor : null;
    return bytes;
  }
}
