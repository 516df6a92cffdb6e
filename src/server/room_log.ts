/**
 * A room is one ordered log of ready bytes. Every frame is in it once, whoever receives it.
 *
 * 1. `relay.ts` appends runs of whole frames, as they came, and queues the log for this turn.
 * 2. At the end of the turn `flush` wakes the outbox of each reader that has no write in flight.
 * 3. `outbox.ts` asks its cursors for the next bytes (`cursor.ts`), and writes them.
 *
 * The log is a list of chunks linked forwards only: nobody but the cursors holds on to a chunk, so
 * what the slowest of them has passed is garbage, without any accounting.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Flushable, Turn } from "./turn.ts";

/** Bytes of the first chunk after a quiet time. */
const FIRST_CHUNK_BYTES = 4096;
/** Bytes of a chunk at most, but for a single frame that is larger. */
const LAST_CHUNK_BYTES = 262_144;

/** A piece of the log. No run of frames lies across two chunks. */
export interface Chunk {
  /** The storage. */
  readonly bytes: Uint8Array;
  /** Position in the log of its first byte. */
  readonly base: number;
  /** How many of its bytes are written. */
  end: number;
  /** The one after it. */
  next: Chunk | null;
}

/** What reads the log; see `cursor.ts`. */
export interface LogReader {
  /** Where it stands in {@link RoomLog.readers}, -1 if it is not there; the log sets it. */
  index: number;
  /** How far it has read. */
  readonly position: number;
  /** There is something new. */
  wake(): void;
  /** What it has not read is to be let go. */
  drop(): void;
  /** Moves on to the chunk in which it will read next. */
  settle(): void;
}

/** A view of a Buffer is one: node's sockets write it as it is, and would make one of each other array. */
function chunkAt(base: number, size: number): Chunk {
  return { bytes: Buffer.alloc(size), base, end: 0, next: null };
}

/** The log of one room. Positions count bytes since the room came into being. */
export class RoomLog implements Flushable {
  /** See {@link Flushable}. */
  queued = false;
  /** Those who receive what is appended. */
  readonly readers: LogReader[] = [];
  readonly #turn: Turn;
  #head = 0;
  #tail: Chunk = chunkAt(0, 0);
  #settledAt = 0;
  // Most readers are at the same place, and want the same view of the same bytes.
  #sliceStart = -1;
  #sliceEnd = -1;
  #slice: Uint8Array = this.#tail.bytes;

  /** @param turn where the log is queued when something was appended */
  constructor(turn: Turn) {
    this.#turn = turn;
  }

  /** Position behind the last byte. */
  get head(): number {
    return this.#head;
  }

  /** The chunk that is being filled. */
  get tail(): Chunk {
    return this.#tail;
  }

  /** Bytes that some reader has not yet taken. */
  get heldBytes(): number {
    let oldest = this.#head;
    for (const reader of this.readers) oldest = Math.min(oldest, reader.position);
    return this.#head - oldest;
  }

  /**
   * Appends whole frames, which are copied, and has the readers woken at the end of the turn.
   *
   * @returns the position at which they begin
   */
  append(frames: Uint8Array): number {
    const start = this.#head;
    let tail = this.#tail;
    if (tail.end + frames.length > tail.bytes.length) {
      const grown = Math.max(FIRST_CHUNK_BYTES, tail.bytes.length * 4);
      const size = Math.max(frames.length, Math.min(LAST_CHUNK_BYTES, grown));
      tail = tail.next = this.#tail = chunkAt(start, size);
    }
    tail.bytes.set(frames, tail.end);
    tail.end += frames.length;
    this.#head += frames.length;
    this.#turn.add(this);
    return start;
  }

  /** The bytes from `start` to `end`, which lie in `chunk`: a view, the same one for the same range. */
  slice(chunk: Chunk, start: number, end: number): Uint8Array {
    if (this.#sliceStart !== start || this.#sliceEnd !== end) {
      this.#slice = chunk.bytes.subarray(start - chunk.base, end - chunk.base);
      this.#sliceStart = start;
      this.#sliceEnd = end;
    }
    return this.#slice;
  }

  /** Adds a reader. */
  add(reader: LogReader): void {
    reader.index = this.readers.length;
    this.readers.push(reader);
  }

  /** Takes a reader out, in constant time: the last one gets its place. */
  remove(reader: LogReader): void {
    const last = this.readers.at(-1);
    if (reader.index < 0 || last === undefined) return;
    this.readers.pop();
    if (last !== reader) {
      this.readers[reader.index] = last;
      last.index = reader.index;
    }
    reader.index = -1;
  }

  /** Wakes every reader. Backwards, since a reader that is too slow is taken out meanwhile. */
  flush(): void {
    for (let i = this.readers.length - 1; i >= 0; i--) this.readers[i]?.wake();
  }

  /** Drops whoever lacks more than half of what is held. @returns bytes that were let go */
  dropSlowest(): number {
    const held = this.heldBytes;
    const least = this.#head - held / 2;
    for (let i = this.readers.length - 1; i >= 0; i--) {
      const reader = this.readers[i];
      if (reader !== undefined && reader.position < least) reader.drop();
    }
    return held - this.heldBytes;
  }

  /** Called now and then: a room in which nothing was said since the last call keeps no memory. */
  settle(): void {
    if (this.#settledAt !== this.#head) {
      this.#settledAt = this.#head;
      return;
    }
    if (this.#tail.bytes.length === 0) return;
    this.#tail = this.#tail.next = chunkAt(this.#head, 0);
    this.#slice = this.#tail.bytes;
    this.#sliceStart = this.#sliceEnd = -1;
    for (const reader of this.readers) reader.settle();
  }
}
