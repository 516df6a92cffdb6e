/**
 * Padding, so that the length of a ciphertext says little about what is in it.
 *
 * @see docs/PROTOCOL.md §5
 * @module
 */
import { type Bytes, type Codec, Reader, Writer } from "./codec.ts";

const STEP_BYTES = 4096;

/**
 * The length to which `length` bytes are padded: the least of 256, 512, 1024, 2048, 4096 and then
 * the multiples of 4096 that holds them.
 *
 * ```ts
 * import { paddedSize } from "./padding.ts";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual([0, 256, 257, 4096, 4097].map(paddedSize), [256, 256, 512, 4096, 8192]);
 * ```
 */
export function paddedSize(length: number): number {
  for (let size = 256; size < STEP_BYTES; size *= 2) {
    if (length <= size) return size;
  }
  return Math.max(1, Math.ceil(length / STEP_BYTES)) * STEP_BYTES;
}

/**
 * Encodes one value and zeros up to the padded size.
 *
 * @param sizeHint about how long the value is
 * @throws {RangeError} as the codec
 */
export function encodePadded<T>(codec: Codec<T>, value: T, sizeHint = 256): Bytes {
  const w = new Writer(paddedSize(sizeHint));
  codec.encode(w, value);
  w.zeros(paddedSize(w.length) - w.length);
  return w.finish();
}

/**
 * Decodes one value that zeros follow up to the padded size, neither more nor less.
 *
 * @param codec one that knows its own end: no `rest` in it
 * @throws {WireError} as the codec; `truncated`, `leftover` or `bad-value` for wrong padding
 */
export function decodePadded<T>(codec: Codec<T>, bytes: Uint8Array, what?: string): T {
  const r = new Reader(bytes, what);
  const value = codec.decode(r);
  endPadded(r);
  return value;
}

/** After a value: makes sure of the zeros up to the padded size. @throws {WireError} as {@linkcode decodePadded} */
export function endPadded(r: Reader): void {
  r.zeros(paddedSize(r.offset) - r.offset);
  r.end();
}
