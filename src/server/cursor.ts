/**
 * How far one connection has read one room, and what it gets in that room that others do not.
 *
 * @module
 */
import { readU32 } from "../wire/codec.ts";
import { FRAME_HEADER_BYTES } from "../wire/frame.ts";
import { FrameQueue } from "./frame_queue.ts";
import type { Chunk, LogReader, RoomLog } from "./room_log.ts";

/**
 * Bytes of one write at most, but for a single private frame that is larger. Of more than this the
 * runtime's TLS (Deno 2.9) would encrypt the rest only when the first part has left.
 */
export const MAX_WRITE_BYTES = 49_152;

/** What a cursor needs of its connection. */
export interface CursorOwner {
  /** Something was appended to the log of this cursor. */
  wake(cursor: Cursor): void;
  /** Something private was added to one of its cursors. */
  wakeLater(): void;
  /** It did not read what it was due. */
  tooSlow(): void;
}

/**
 * A place in the log of a room, ranges of it to leave out (what the connection itself sent, and
 * the times in which it was not a member), and private frames, each with the place in the log
 * behind which it belongs.
 */
export class Cursor implements LogReader {
  /** See {@link LogReader}. */
  index = -1;
  /** Whether the bytes given last end inside a frame: then nothing else may be written before the next. */
  midFrame = false;
  /** While it is so: where the bytes began that were cut off there; a frame begins there too. */
  #begunAt = 0;
  /** Set when the connection is no longer in the room: the cursor ends when it has given all. */
  retired = false;
  readonly #log: RoomLog;
  readonly #owner: CursorOwner;
  /** An earlier cursor of this connection in the same room id, which has to be through first. */
  readonly #after: Cursor | null;

  #at: number;
  /** Reads up to here; Infinity while it is a member. */
  #limit: number;
  /** Null when there is nothing to read, so that no chunk is kept for somebody who only knocks. */
  #chunk: Chunk | null = null;
  /** Pairs of start and end, rising; those before #firstSkip are spent. */
  #skips: number[] = [];
  #firstSkip = 0;
  readonly #private = new FrameQueue();

  /** @param after a retired cursor of the same connection and room id, if it still has something to give */
  constructor(log: RoomLog, owner: CursorOwner, after: Cursor | null = null) {
    this.#log = log;
    this.#owner = owner;
    this.#after = after;
    this.#at = this.#limit = log.head;
  }

  /** The log it reads. */
  get log(): RoomLog {
    return this.#log;
  }

  /** Whether it gets what is appended from now on. */
  get reading(): boolean {
    return this.#limit === Infinity;
  }

  /** How far it has read. */
  get position(): number {
    return this.#at;
  }

  /** Bytes that wait for it alone. */
  get privateBytes(): number {
    return this.#private.bytes;
  }

  /** Bytes that wait for it. */
  get lagBytes(): number {
    const log = this.#chunk === null ? 0 : Math.min(this.#log.head, this.#limit) - this.#at;
    return log + this.#private.bytes;
  }

  /** Whether it has given all there is. */
  get drained(): boolean {
    return this.#private.place === undefined && (this.#chunk === null || this.lagBytes === 0);
  }

  /** From here on it gets everything that is appended. */
  startReading(): void {
    if (this.reading) return;
    if (this.#chunk === null) {
      this.#at = this.#log.head;
      this.#chunk = this.#log.tail;
    } else {
      this.skip(this.#limit, this.#log.head);
    }
    this.#limit = Infinity;
    this.#log.add(this);
  }

  /** It still gets what was appended up to here, and nothing after. */
  stopReading(): void {
    if (!this.reading) return;
    this.#limit = this.#log.head;
    this.#log.remove(this);
    if (this.#at >= this.#limit) this.#chunk = null;
    // The log no longer wakes it, and what came in this very turn is still due.
    else this.#owner.wakeLater();
  }

  /** Forgets all that it would still give, but for the rest of a frame that was begun: of that it keeps a copy. */
  abandon(): void {
    this.stopReading();
    const rest = this.#restOfFrame();
    this.#private.clear();
    if (rest !== null) this.#private.push(rest, this.#at);
    this.retired = true;
    // Each chunk holds on to all that come after it.
    this.#chunk = null;
  }

  #restOfFrame(): Uint8Array | null {
    const chunk = this.#chunk;
    if (chunk === null || !this.midFrame) return null;
    // What was cut lies in one chunk, as every frame does.
    let end = this.#begunAt;
    while (end < this.#at) end += FRAME_HEADER_BYTES + readU32(chunk.bytes, end - chunk.base);
    this.midFrame = end > this.#at;
    return this.midFrame
      ? new Uint8Array(chunk.bytes.subarray(this.#at - chunk.base, end - chunk.base))
      : null;
  }

  /** Leaves out a range of the log that begins at or behind all ranges before: its own frames. */
  skip(start: number, end: number): void {
    if (end <= start) return;
    const last = this.#skips.length - 1;
    if (last > this.#firstSkip && this.#skips[last] === start) this.#skips[last] = end;
    else this.#skips.push(start, end);
  }

  /** Adds a frame for this connection alone, behind all that it is due until now. Not copied. */
  push(frame: Uint8Array): void {
    this.#private.push(frame, this.#log.head);
    this.#owner.wakeLater();
  }

  /** See {@link LogReader}. */
  wake(): void {
    this.#owner.wake(this);
  }

  /** See {@link LogReader}. */
  drop(): void {
    this.#owner.tooSlow();
  }

  /** See {@link LogReader}. */
  settle(): void {
    while (this.#chunk?.next && this.#at >= this.#chunk.base + this.#chunk.end) {
      this.#chunk = this.#chunk.next;
    }
  }

  /**
   * The next bytes to write, which the cursor has then passed: what lies in one piece.
   *
   * @param room how many fit, at least 1; MAX_WRITE_BYTES if they are the first of a write
   * @returns null if there are none, or a private frame is next that does not fit
   */
  next(room: number): Uint8Array | null {
    if (this.#after !== null && !this.#after.drained) return null;
    for (;;) {
      const { place } = this.#private;
      if (place !== undefined && (this.#chunk === null || place <= this.#at)) {
        const frame = this.#private.shift(mostOf(room));
        if (frame !== null) this.midFrame = false;
        return frame;
      }
      const chunk = this.#chunk;
      if (chunk === null) return null;
      if (this.#passSkips()) continue;
      if (this.#at >= this.#limit) {
        this.#chunk = null;
        continue;
      }
      let end = chunk.base + chunk.end;
      if (this.#at >= end) {
        if (chunk.next === null) return null;
        this.#chunk = chunk.next;
        continue;
      }
      end = Math.min(end, this.#limit, place ?? Infinity, this.#skips[this.#firstSkip] ?? Infinity);
      const isCut = end - this.#at > room;
      if (isCut) {
        if (!this.midFrame) this.#begunAt = this.#at;
        end = this.#at + room;
      }
      this.midFrame = isCut;
      const bytes = this.#log.slice(chunk, this.#at, end);
      this.#at = end;
      return bytes;
    }
  }

  /** @returns whether the cursor moved */
  #passSkips(): boolean {
    const before = this.#at;
    for (;;) {
      const start = this.#skips[this.#firstSkip];
      if (start === undefined || start > this.#at) break;
      this.#at = Math.max(this.#at, this.#skips[this.#firstSkip + 1] ?? 0);
      this.#firstSkip += 2;
    }
    if (this.#firstSkip > 0 && this.#firstSkip >= this.#skips.length) {
      this.#skips.length = this.#firstSkip = 0;
    } else if (this.#firstSkip > 1024) {
      this.#skips.splice(0, this.#firstSkip);
      this.#firstSkip = 0;
    }
    return this.#at !== before;
  }
}

/** Bytes of a whole frame at most where so many fit: the first of a write may be as large as it is. */
export function mostOf(room: number): number {
  return room < MAX_WRITE_BYTES ? room : Infinity;
}
