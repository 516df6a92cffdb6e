/**
 * Frames: `u32 length ‖ body`, and how they are found again in a stream of bytes.
 *
 * `FrameDecoder` is for a participant's link; the relay's hot path uses `scanFrames` and
 * `scanRun` on its own buffer and copies whole runs of frames as they came.
 *
 * @see docs/PROTOCOL.md §2
 * @module
 */
import { type Bytes, WireError } from "./codec.ts";
import { MAX_FRAME_BYTES } from "./limits.ts";

/** Bytes of the length before each body. */
export const FRAME_HEADER_BYTES = 4;

// What we set aside for a body on the word of its length alone; the rest grows as bytes come.
const FIRST_BUFFER_BYTES = 4096;
const NOTHING: Uint8Array = new Uint8Array(0);

/**
 * One frame around `body`, in one allocation.
 *
 * @throws {RangeError} if the body is empty or over MAX_FRAME_BYTES
 */
export function encodeFrame(body: Uint8Array): Bytes {
  if (body.length < 1 || body.length > MAX_FRAME_BYTES) {
    throw new RangeError(`frame body of ${body.length} bytes, not 1 to ${MAX_FRAME_BYTES}`);
  }
  const frame = new Uint8Array(FRAME_HEADER_BYTES + body.length);
  new DataView(frame.buffer).setUint32(0, body.length);
  frame.set(body, FRAME_HEADER_BYTES);
  return frame;
}

/** @throws {WireError} `bad-value` for an empty frame, `too-long` over the limit */
function checkLength(length: number, limit: number, offset: number): void {
  if (length === 0) throw new WireError("bad-value", "frame", offset, "length is 0");
  if (length > limit) {
    throw new WireError("too-long", "frame", offset, `length ${length} is over ${limit}`);
  }
}

function readU32(buffer: Uint8Array, at: number): number {
  return ((buffer[at] ?? 0) * 0x1000000) +
    (((buffer[at + 1] ?? 0) << 16) | ((buffer[at + 2] ?? 0) << 8) | (buffer[at + 3] ?? 0));
}

/**
 * Finds the frames in a stream that comes in chunks of any size.
 *
 * A body that lies whole in its chunk is a view of the chunk: the chunk belongs to the decoder
 * from then on and must not be written to again. (Decoded messages hold copies.)
 *
 * Each byte is copied at most a constant number of times whatever the chunks are, and no more
 * is ever held than the bytes that have come, doubled.
 */
export class FrameDecoder {
  #limit: number;
  #chunk = NOTHING;
  #at = 0;
  #header = 0;
  #headerBytes = 0;
  #body: Uint8Array | undefined;
  #bodyBytes = 0;
  #bodyLength = 0;
  #consumed = 0;
  #failed: WireError | undefined;

  /** Takes the largest body to accept, in bytes. */
  constructor(limit: number = MAX_FRAME_BYTES) {
    this.#limit = limit;
  }

  /** Largest body accepted; a new value holds from the next length that is read. */
  get limit(): number {
    return this.#limit;
  }
  set limit(bytes: number) {
    this.#limit = bytes;
  }

  /** Whether the stream stands between two frames: whether it may end here. */
  get atBoundary(): boolean {
    return this.#body === undefined && this.#headerBytes === 0 && this.#at >= this.#chunk.length;
  }

  /** Bytes set aside for a body that is not complete: at most twice those that came, or 4096. */
  get heldBytes(): number {
    return this.#body?.length ?? 0;
  }

  /**
   * Takes a chunk and returns the bodies that are complete with it.
   *
   * @throws {WireError} for a length of 0 or over the limit; ever after too, since a stream that
   *   lost its place has no next frame
   */
  push(chunk: Uint8Array): Uint8Array[] {
    this.feed(chunk);
    const bodies: Uint8Array[] = [];
    for (let body = this.next(); body !== undefined; body = this.next()) bodies.push(body);
    return bodies;
  }

  /**
   * Takes a chunk for {@link next} to work through: for a reader whose limit changes with a frame.
   *
   * @throws {RangeError} if `next` has not returned undefined for the chunk before
   */
  feed(chunk: Uint8Array): void {
    if (this.#at < this.#chunk.length && this.#failed === undefined) {
      throw new RangeError("the chunk before has unread frames");
    }
    this.#chunk = chunk;
    this.#at = 0;
  }

  /**
   * The next complete body, or undefined when more bytes are needed.
   *
   * @throws {WireError} as {@link push}
   */
  next(): Uint8Array | undefined {
    if (this.#failed !== undefined) throw this.#failed;
    if (this.#body === undefined && !this.#readHeader()) return undefined;
    return this.#readBody();
  }

  #readHeader(): boolean {
    while (this.#headerBytes < FRAME_HEADER_BYTES) {
      const byte = this.#chunk[this.#at];
      if (byte === undefined) return this.#drained();
      this.#header = this.#header * 256 + byte;
      this.#headerBytes++;
      this.#at++;
    }
    try {
      checkLength(this.#header, this.#limit, this.#consumed);
    } catch (error) {
      if (error instanceof WireError) this.#failed = error;
      this.#chunk = NOTHING;
      throw error;
    }
    this.#bodyLength = this.#header;
    return true;
  }

  #readBody(): Uint8Array | undefined {
    const available = this.#chunk.length - this.#at;
    if (this.#body === undefined && available >= this.#bodyLength) {
      const whole = this.#chunk.subarray(this.#at, this.#at + this.#bodyLength);
      this.#at += this.#bodyLength;
      return this.#complete(whole);
    }
    const taken = Math.min(available, this.#bodyLength - this.#bodyBytes);
    const body = this.#reserve(this.#bodyBytes + taken);
    body.set(this.#chunk.subarray(this.#at, this.#at + taken), this.#bodyBytes);
    this.#at += taken;
    this.#bodyBytes += taken;
    if (this.#bodyBytes === this.#bodyLength) {
      return this.#complete(body.subarray(0, this.#bodyLength));
    }
    this.#drained();
    return undefined;
  }

  /** The buffer of the body in progress, with room for `needed` bytes. */
  #reserve(needed: number): Uint8Array {
    const old = this.#body;
    if (old !== undefined && old.length >= needed) return old;
    const wanted = Math.max(needed, old === undefined ? FIRST_BUFFER_BYTES : old.length * 2);
    const body = new Uint8Array(Math.min(wanted, this.#bodyLength));
    if (old !== undefined) body.set(old.subarray(0, this.#bodyBytes));
    this.#body = body;
    return body;
  }

  #complete(body: Uint8Array): Uint8Array {
    this.#consumed += FRAME_HEADER_BYTES + this.#bodyLength;
    this.#body = undefined;
    this.#bodyBytes = 0;
    this.#header = 0;
    this.#headerBytes = 0;
    return body;
  }

  #drained(): false {
    // Lets go of the chunk; what was in it has been copied or handed out.
    this.#chunk = NOTHING;
    this.#at = 0;
    return false;
  }
}

/**
 * Visits each complete frame of `buffer[start..end]` without allocating.
 *
 * @param limit largest body accepted; checked even for a frame that is not complete yet
 * @param visit gets the range of the body; the frame begins FRAME_HEADER_BYTES before. Returning
 *   false stops before the next frame
 * @returns where the first frame begins that was not visited
 * @throws {WireError} for a length of 0 or over the limit; its offset is in `buffer`
 */
export function scanFrames(
  buffer: Uint8Array,
  start: number,
  end: number,
  limit: number,
  visit: (bodyStart: number, bodyEnd: number) => boolean | void,
): number {
  let at = start;
  while (end - at >= FRAME_HEADER_BYTES) {
    const length = readU32(buffer, at);
    checkLength(length, limit, at);
    const next = at + FRAME_HEADER_BYTES + length;
    if (next > end) break;
    const goOn = visit(at + FRAME_HEADER_BYTES, next);
    at = next;
    if (goOn === false) break;
  }
  return at;
}

/** What `scanRun` found; the caller owns it and uses it again. */
export interface FrameRun {
  /** Where the first frame begins that is not of the run. */
  end: number;
  /** How many frames the run has. */
  frames: number;
}

/**
 * Finds the longest run of complete frames at `start` whose bodies begin with `prefix` and have
 * at least one byte more: the BROADCASTs of one connection to one room, which the relay copies
 * in one piece. The run ends, without an error, before a frame that is anything else.
 *
 * @param prefix first bytes of each body: type, room and own handle
 * @param maxFrames stops after so many, for a rate limit
 * @param run receives the answer
 * @throws {WireError} for a length of 0 or over the limit, but only as the first frame: a run
 *   before it is delivered first
 */
export function scanRun(
  buffer: Uint8Array,
  start: number,
  end: number,
  limit: number,
  prefix: Uint8Array,
  maxFrames: number,
  run: FrameRun,
): void {
  const prefixLength = prefix.length;
  let at = start;
  let frames = 0;
  scan:
  while (frames < maxFrames && end - at >= FRAME_HEADER_BYTES) {
    const length = readU32(buffer, at);
    if (length === 0 || length > limit) {
      if (frames === 0) checkLength(length, limit, at);
      break;
    }
    const body = at + FRAME_HEADER_BYTES;
    if (body + length > end || length <= prefixLength) break;
    for (let i = 0; i < prefixLength; i++) {
      if (buffer[body + i] !== prefix[i]) break scan;
    }
    at = body + length;
    frames++;
  }
  run.end = at;
  run.frames = frames;
}
