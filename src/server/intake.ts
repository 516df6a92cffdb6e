/**
 * The reading side of a connection: finds frames in whatever pieces the socket gives, and hands runs
 * of broadcasts on in one piece, so that under load the relay looks at each frame once and copies
 * it once.
 *
 * @module
 */
import { FRAME_HEADER_BYTES, type FrameRun, scanFrames, scanRun } from "../wire/frame.ts";

/** What is set aside for a frame on the word of its length alone. */
const FIRST_PART_BYTES = 4096;

/** What the last scan found. Read before anything else can scan. */
const RUN: FrameRun = { end: 0, frames: 0 };

/** Who takes the frames. */
export interface FrameTaker {
  /** Whether it still wants frames; looked at before each. */
  readonly open: boolean;
  /** Whether it has had enough for this turn; looked at after each. */
  readonly spent: boolean;
  /** Largest body it accepts now. */
  readonly frameLimit: number;
  /** How the bodies begin that may come as a run; null if none may. */
  readonly runPrefix: Uint8Array | null;
  /** How many frames a run may have. */
  readonly runLimit: number;
  /** Frames, headers included, whose bodies all begin with the prefix and have more after it. */
  takeRun(frames: Uint8Array, count: number): void;
  /** One frame, its header included. A view: what is kept of it has to be copied. */
  takeFrame(frame: Uint8Array): void;
}

/** Finds the frames of one connection. */
export class Intake {
  readonly #taker: FrameTaker;
  /** An incomplete frame, header included. */
  #part: Uint8Array | null = null;
  #partBytes = 0;

  /** @param taker gets the frames, in order, before `push` returns */
  constructor(taker: FrameTaker) {
    this.#taker = taker;
  }

  /**
   * Takes what came from the socket.
   *
   * @returns what the taker had no more time for, to be given again; null if it has taken all
   * @throws {WireError} for a length of 0 (`bad-value`) or over the limit (`too-long`), before
   *   anything of that frame is kept; the stream has lost its place then
   */
  push(chunk: Uint8Array): Uint8Array | null {
    const taker = this.#taker;
    let at = 0;
    while (this.#part !== null) {
      if (at >= chunk.length || !taker.open) return null;
      at = this.#complete(this.#part, chunk, at);
    }
    if (!taker.spent) at = this.#takeAll(chunk, at);
    if (!taker.open || at >= chunk.length) return null;
    if (taker.spent) return chunk.subarray(at);
    this.#keep(chunk.subarray(at));
    return null;
  }

  /** @returns where the first frame begins that is not complete */
  #takeAll(buffer: Uint8Array, start: number): number {
    const taker = this.#taker;
    let at = start;
    while (taker.open) {
      const before = at;
      const prefix = taker.runPrefix;
      if (prefix !== null) {
        const { frameLimit } = taker;
        scanRun(buffer, at, buffer.length, frameLimit, prefix, taker.runLimit, RUN);
        if (RUN.frames > 0) {
          at = RUN.end;
          taker.takeRun(buffer.subarray(before, at), RUN.frames);
          if (taker.spent) break;
          continue;
        }
      }
      at = scanFrames(buffer, at, buffer.length, taker.frameLimit, stopAtFirst);
      if (at === before) break;
      taker.takeFrame(buffer.subarray(before, at));
      if (taker.spent) break;
    }
    return at;
  }

  #keep(rest: Uint8Array): void {
    const part = new Uint8Array(Math.max(rest.length, FRAME_HEADER_BYTES));
    part.set(rest);
    this.#part = part;
    this.#partBytes = rest.length;
  }

  /** Adds to the incomplete frame what belongs to it. @returns where the rest of the chunk begins */
  #complete(part: Uint8Array, chunk: Uint8Array, start: number): number {
    let at = start;
    while (this.#partBytes < FRAME_HEADER_BYTES) {
      const byte = chunk[at];
      if (byte === undefined) return at;
      part[this.#partBytes++] = byte;
      at++;
    }
    // Checks the length before any room is made for the body.
    scanFrames(part, 0, FRAME_HEADER_BYTES, this.#taker.frameLimit, stopAtFirst);
    const total = FRAME_HEADER_BYTES + new DataView(part.buffer).getUint32(0);
    const taken = Math.min(total - this.#partBytes, chunk.length - at);
    const grown = this.#reserve(part, this.#partBytes + taken, total);
    grown.set(chunk.subarray(at, at + taken), this.#partBytes);
    this.#partBytes += taken;
    if (this.#partBytes === total) {
      this.#part = null;
      this.#takeAll(grown.subarray(0, total), 0);
    }
    return at + taken;
  }

  #reserve(part: Uint8Array, needed: number, total: number): Uint8Array {
    if (part.length >= needed) return part;
    const wanted = Math.max(needed, part.length * 2, FIRST_PART_BYTES);
    const grown = new Uint8Array(Math.min(wanted, total));
    grown.set(part.subarray(0, this.#partBytes));
    this.#part = grown;
    return grown;
  }
}

function stopAtFirst(): false {
  return false;
}
