/**
 * Declarative codecs: one value describes the bytes of a structure in both directions.
 *
 * Every decoded byte field is a copy, never a view: a 16-byte id must not keep a socket's whole
 * chunk alive, and a buffer that the transport reuses must not change a message behind our back.
 *
 * @see docs/PROTOCOL.md §1
 * @module
 */

/** Bytes in a plain `ArrayBuffer`, which is what WebCrypto takes. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Why bytes could not be decoded. */
export type WireErrorCode = "truncated" | "leftover" | "too-long" | "bad-value" | "bad-utf8";

/** The peer's bytes break the protocol. Whoever catches it drops the link or the message. */
export class WireError extends Error {
  /** What kind of breach; code branches on this. */
  readonly code: WireErrorCode;
  /** Where in the decoded bytes it was noticed, counted from 0. */
  readonly offset: number;

  /**
   * Makes the error and its sentence.
   *
   * @param code the kind of breach
   * @param what name of the structure, for the message only
   * @param offset byte at which it was noticed
   * @param detail the rest of the sentence
   */
  constructor(code: WireErrorCode, what: string, offset: number, detail: string) {
    super(`cannot decode ${what} at byte ${offset}: ${detail}`);
    this.name = "WireError";
    this.code = code;
    this.offset = offset;
  }
}

/** So few bytes are copied one by one: a view to copy from costs more. */
const FEW_BYTES = 64;

/** By size in bytes: the first number that is too large. A power for each number costs more than its bytes. */
const LIMITS: readonly number[] = Array.from({ length: 9 }, (_, size) => 256 ** size);

/** Reads a byte string from front to back; what it hands out is a copy if nothing else is said. */
export class Reader {
  #offset = 0;
  readonly #bytes: Uint8Array;
  readonly #what: string;
  readonly #lends: boolean;

  /**
   * Stands at the first byte.
   *
   * @param bytes what to read; not modified, not kept after reading
   * @param what name of the structure, for error messages
   * @param lends what is longer than 64 bytes is no copy but a view: for a reader of bytes that nobody writes to
   *   again, who copies what is to be kept for long
   */
  constructor(bytes: Uint8Array, what = "bytes", lends = false) {
    this.#bytes = bytes;
    this.#what = what;
    this.#lends = lends;
  }

  /** Bytes consumed so far. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes not yet consumed. */
  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  /**
   * Makes the error that a codec throws.
   *
   * @param offset where the offending field begins; the current offset if not given
   */
  error(code: WireErrorCode, detail: string, offset: number = this.#offset): WireError {
    return new WireError(code, this.#what, offset, detail);
  }

  /** Makes sure of `count` bytes. @throws {WireError} `truncated` if fewer remain */
  need(count: number): void {
    if (this.remaining < count) {
      throw this.error("truncated", `needs ${count} more bytes, has ${this.remaining}`);
    }
  }

  /**
   * Reads an unsigned big-endian integer.
   *
   * @param size bytes, 1 to 8
   * @throws {WireError} `truncated`; `bad-value` above 2^53 - 1
   */
  uint(size: number): number {
    this.need(size);
    // Shifts take 32 bits; what is above them comes first.
    const middle = this.#offset + Math.max(0, size - 4);
    const value = this.#low(this.#offset, middle) * 2 ** 32 +
      this.#low(middle, this.#offset + size);
    // Rounded values above 2^53 are at least 2^53, so the comparison cannot be fooled.
    if (value > Number.MAX_SAFE_INTEGER) throw this.error("bad-value", "integer is over 2^53 - 1");
    this.#offset += size;
    return value;
  }

  /** At most four bytes as a number. */
  #low(from: number, to: number): number {
    let value = 0;
    for (let i = from; i < to; i++) value = value << 8 | (this.#bytes[i] ?? 0);
    return value >>> 0;
  }

  /**
   * Reads `count` bytes into a copy, or a view where the reader lends.
   *
   * @throws {WireError} `truncated`, before anything is allocated
   */
  take(count: number): Bytes {
    if (this.#lends && count > FEW_BYTES && this.#bytes.buffer instanceof ArrayBuffer) {
      return this.view(count) as Bytes;
    }
    this.need(count);
    const copy = new Uint8Array(count);
    const start = this.#offset;
    if (count <= FEW_BYTES) {
      for (let i = 0; i < count; i++) copy[i] = this.#bytes[start + i] ?? 0;
    } else copy.set(this.#bytes.subarray(start, start + count));
    this.#offset += count;
    return copy;
  }

  /**
   * Reads `count` bytes into a view: for a reader of bytes that are its alone, and are not kept for longer than what
   * is read.
   *
   * @throws {WireError} `truncated`
   */
  view(count: number): Uint8Array {
    this.need(count);
    const start = this.#offset;
    this.#offset += count;
    return this.#bytes.subarray(start, this.#offset);
  }

  /** A copy of what was already consumed from `start` on: the exact bytes that were signed. */
  since(start: number): Bytes {
    return new Uint8Array(this.#bytes.subarray(start, this.#offset));
  }

  /**
   * Reads `count` bytes that must be zero.
   *
   * @throws {WireError} `truncated`; `bad-value` at the first byte that is not zero
   */
  zeros(count: number): void {
    this.need(count);
    const end = this.#offset + count;
    for (let i = this.#offset; i < end; i++) {
      if (this.#bytes[i] !== 0) throw this.error("bad-value", "padding is not zero", i);
    }
    this.#offset = end;
  }

  /** Makes sure that nothing follows. @throws {WireError} `leftover` if something does */
  end(): void {
    if (this.remaining > 0) {
      throw this.error("leftover", `${this.remaining} bytes after the end`);
    }
  }
}

/**
 * Writes a `u64` into bytes that are there already.
 *
 * @throws {RangeError} if `value` is no integer of 0 to 2^53 - 1, or there are no eight bytes at `at`
 */
export function writeU64(bytes: Uint8Array, at: number, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is no u64`);
  // Shifts take 32 bits; what is above them goes first.
  writeU32(bytes, at, Math.floor(value / 2 ** 32));
  writeU32(bytes, at + 4, value % 2 ** 32);
}

/**
 * Writes a `u32` into bytes that are there already.
 *
 * @throws {RangeError} if it is none, or there are no four bytes at `at`
 */
export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  if (value >>> 0 !== value) throw new RangeError(`${value} is no u32`);
  if (at < 0 || at + 4 > bytes.length) throw new RangeError(`no four bytes at ${at}`);
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Reads a `u64` from bytes that are known to be there; `undefined` above 2^53 - 1. */
export function readU64(bytes: Uint8Array, at: number): number | undefined {
  const value = readU32(bytes, at) * 2 ** 32 + readU32(bytes, at + 4);
  return value > Number.MAX_SAFE_INTEGER ? undefined : value;
}

/** Reads a `u32` from bytes that are known to be there. */
export function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24 | (bytes[at + 1] ?? 0) << 16 | (bytes[at + 2] ?? 0) << 8 |
    (bytes[at + 3] ?? 0)) >>> 0;
}

/** Collects bytes in a buffer that grows by doubling. */
export class Writer {
  #buffer: Bytes;
  #length = 0;

  /** Takes the bytes to allocate at first; a right guess saves every copy. */
  constructor(sizeHint = 256) {
    this.#buffer = new Uint8Array(sizeHint);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /**
   * Writes an unsigned big-endian integer.
   *
   * @param size bytes, 1 to 8
   * @throws {RangeError} if `value` is no integer or does not fit (also above 2^53 - 1)
   */
  uint(value: number, size: number): void {
    if (!Number.isSafeInteger(value) || value < 0 || value >= (LIMITS[size] ?? 0)) {
      throw new RangeError(`${value} is no u${size * 8}`);
    }
    const at = this.#grow(size);
    // Shifts take 32 bits; what is above them goes first.
    const middle = at + Math.max(0, size - 4);
    this.#low(Math.floor(value / 2 ** 32), at, middle);
    this.#low(value % 2 ** 32, middle, at + size);
  }

  /** A number of at most four bytes. */
  #low(value: number, from: number, to: number): void {
    let rest = value;
    for (let i = to - 1; i >= from; i--) {
      this.#buffer[i] = rest;
      rest >>>= 8;
    }
  }

  /** Writes bytes as they are. */
  raw(bytes: Uint8Array): void {
    // Two statements: growing replaces the buffer.
    const at = this.#grow(bytes.length);
    this.#buffer.set(bytes, at);
  }

  /** Writes `count` zero bytes. */
  zeros(count: number): void {
    const at = this.#grow(count);
    this.#buffer.fill(0, at, at + count);
  }

  /**
   * Overwrites a `u32` that was written before as a placeholder.
   *
   * @throws {RangeError} if those four bytes were not written yet, or the value does not fit
   */
  patchU32(at: number, value: number): void {
    if (at < 0 || at + 4 > this.#length) throw new RangeError(`nothing written at ${at}`);
    if (!Number.isSafeInteger(value) || value < 0 || value > 0xffffffff) {
      throw new RangeError(`${value} is no u32`);
    }
    writeU32(this.#buffer, at, value);
  }

  /** All that was written. The writer must not be used afterwards: the buffer may be its own. */
  finish(): Bytes {
    // A view would keep up to half of the buffer alive unused.
    return this.#length === this.#buffer.length
      ? this.#buffer
      : this.#buffer.slice(0, this.#length);
  }

  #grow(count: number): number {
    const at = this.#length;
    const needed = at + count;
    if (needed > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(needed, this.#buffer.length * 2, 64));
      larger.set(this.#buffer.subarray(0, at));
      this.#buffer = larger;
    }
    this.#length = needed;
    return at;
  }
}

/**
 * Both directions of one structure.
 *
 * For every codec here `decode(encode(x))` equals x, and bytes that decode encode to the same
 * bytes again: nothing has two encodings.
 */
export interface Codec<T> {
  /**
   * Writes a value of ours.
   *
   * @throws {RangeError} if the value cannot be written in full; nothing is ever truncated
   */
  encode(w: Writer, value: T): void;
  /**
   * Reads a peer's value.
   *
   * @throws {WireError} and nothing else, whatever the bytes are
   */
  decode(r: Reader): T;
}

/** The type that a codec decodes to. */
export type Decoded<C> = C extends Codec<infer T> ? T : never;

/**
 * Encodes one value.
 *
 * @param sizeHint see {@linkcode Writer}
 * @throws {RangeError} if the value is outside of what the codec can write
 */
export function encode<T>(codec: Codec<T>, value: T, sizeHint?: number): Bytes {
  const w = new Writer(sizeHint);
  codec.encode(w, value);
  return w.finish();
}

/**
 * Decodes one value that must fill `bytes` exactly.
 *
 * @param what name of the structure, for error messages
 * @throws {WireError} if the bytes are no such value; `leftover` if bytes follow it
 */
export function decode<T>(codec: Codec<T>, bytes: Uint8Array, what?: string): T {
  const r = new Reader(bytes, what);
  const value = codec.decode(r);
  r.end();
  return value;
}

function uint(size: number): Codec<number> {
  return {
    encode: (w, value) => w.uint(value, size),
    decode: (r) => r.uint(size),
  };
}

/** 0 to 255. */
export const u8: Codec<number> = uint(1);
/** 0 to 65,535, big-endian. */
export const u16: Codec<number> = uint(2);
/** 0 to 2^32 - 1, big-endian. */
export const u32: Codec<number> = uint(4);
/** 0 to 2^53 - 1 in eight bytes, big-endian; a larger value is refused as `bad-value`. */
export const u64: Codec<number> = uint(8);

/** Gives the numbers of `codec` a branded type: `numberAs<Leaf>(u32)`. */
export function numberAs<T extends number>(codec: Codec<number>): Codec<T> {
  // A brand exists for the compiler only; the value is the number that was read.
  return { encode: codec.encode, decode: (r) => codec.decode(r) as T };
}

/** `u8` that is 0 or 1. */
export const flag: Codec<boolean> = {
  encode: (w, value) => w.uint(value ? 1 : 0, 1),
  decode(r) {
    const start = r.offset;
    const value = r.uint(1);
    if (value > 1) throw r.error("bad-value", `flag ${value} is neither 0 nor 1`, start);
    return value === 1;
  },
};

/** `bytes[N]`. */
export function bytes(count: number): Codec<Bytes> {
  return bytesAs<Bytes>(count);
}

/** `bytes[N]` with a branded type, for ids and keys. */
export function bytesAs<T extends Bytes>(count: number): Codec<T> {
  return {
    encode(w, value) {
      if (value.length !== count) throw new RangeError(`${value.length} bytes, not ${count}`);
      w.raw(value);
    },
    // The brand says "this many bytes", which is what was just checked.
    decode: (r) => r.take(count) as T,
  };
}

/**
 * Reads a length, whose bound comes before the bytes that it announces.
 *
 * @param size of the length, in bytes
 * @throws {WireError} `truncated`; `too-long` over `max`; `bad-value` under `min`
 */
export function readLength(r: Reader, size: 2 | 4, min: number, max: number): number {
  const start = r.offset;
  const length = r.uint(size);
  if (length > max) throw r.error("too-long", `length ${length} is over ${max}`, start);
  if (length < min) throw r.error("bad-value", `length ${length} is under ${min}`, start);
  return length;
}

function checkLength(length: number, min: number, max: number): void {
  if (length < min || length > max) throw new RangeError(`length ${length}, not ${min} to ${max}`);
}

function prefixed(size: 2 | 4, max: number, min: number): Codec<Bytes> {
  return {
    encode(w, value) {
      checkLength(value.length, min, max);
      w.uint(value.length, size);
      w.raw(value);
    },
    decode: (r) => r.take(readLength(r, size, min, max)),
  };
}

/** `b16`: a `u16` length, `min` to `max`, and so many bytes. */
export function b16(max: number, min = 0): Codec<Bytes> {
  return prefixed(2, max, min);
}

/** `b32`: a `u32` length, `min` to `max`, and so many bytes. */
export function b32(max: number, min = 0): Codec<Bytes> {
  return prefixed(4, max, min);
}

/** All that remains, `min` to `max` bytes; only as the last field of a structure. */
export function rest(min: number, max: number): Codec<Bytes> {
  return {
    encode(w, value) {
      checkLength(value.length, min, max);
      w.raw(value);
    },
    decode: (r) => r.take(restLength(r, min, max)),
  };
}

function restLength(r: Reader, min: number, max: number): number {
  const length = r.remaining;
  if (length < min) throw r.error("truncated", `needs ${min} more bytes, has ${length}`);
  if (length > max) throw r.error("too-long", `length ${length} is over ${max}`);
  return length;
}

const UTF8_ENCODER = new TextEncoder();
// ignoreBOM keeps a leading U+FEFF in the text: a text without it would be a second encoding.
const UTF8_DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function readText(r: Reader, length: number): string {
  const start = r.offset;
  const raw = r.view(length);
  try {
    return UTF8_DECODER.decode(raw);
  } catch {
    // The decoder's TypeError says nothing more than that.
    throw r.error("bad-utf8", "text is not well-formed UTF-8", start);
  }
}

/** @throws {RangeError} for a lone surrogate, which TextEncoder would silently replace */
function textBytes(text: string): Bytes {
  if (!text.isWellFormed()) throw new RangeError("text has a lone surrogate");
  return UTF8_ENCODER.encode(text);
}

/** `str`: a `b16` of well-formed UTF-8 of `minBytes` to `maxBytes` bytes. */
export function str(maxBytes: number, minBytes = 0): Codec<string> {
  const raw = b16(maxBytes, minBytes);
  return {
    encode: (w, value) => raw.encode(w, textBytes(value)),
    decode: (r) => readText(r, readLength(r, 2, minBytes, maxBytes)),
  };
}

/** Well-formed UTF-8 up to the end, at most `maxBytes` bytes; only as the last field. */
export function restText(maxBytes: number): Codec<string> {
  const raw = rest(0, maxBytes);
  return {
    encode: (w, value) => raw.encode(w, textBytes(value)),
    decode: (r) => readText(r, restLength(r, 0, maxBytes)),
  };
}

function list<T>(codec: Codec<T>, size: 2 | 4, max: number): Codec<readonly T[]> {
  return {
    encode(w, values) {
      checkLength(values.length, 0, max);
      w.uint(values.length, size);
      for (const value of values) codec.encode(w, value);
    },
    decode(r) {
      const count = readLength(r, size, 0, max);
      // Every element is at least one byte, so a count beyond the bytes is a lie.
      r.need(count);
      const values: T[] = [];
      for (let i = 0; i < count; i++) values.push(codec.decode(r));
      return values;
    },
  };
}

/** `list16<T>`: a `u16` count, at most `max`, and so many T of at least one byte each. */
export function list16<T>(codec: Codec<T>, max: number): Codec<readonly T[]> {
  return list(codec, 2, max);
}

/** `list32<T>`: a `u32` count, at most `max`, and so many T of at least one byte each. */
export function list32<T>(codec: Codec<T>, max: number): Codec<readonly T[]> {
  return list(codec, 4, max);
}

/** The fields of a structure, in the order of their bytes. */
export type Fields<T> = { readonly [K in keyof T]: Codec<T[K]> };

/**
 * A structure: its fields one after the other, in the order in which they are written here.
 *
 * ```ts
 * import { decode, encode, struct, u16, u8 } from "./codec.ts";
 * import assert from "node:assert/strict";
 *
 * const POINT = struct({ x: u8, y: u16 });
 * assert.deepEqual(encode(POINT, { x: 1, y: 2 }), new Uint8Array([1, 0, 2]));
 * assert.deepEqual(decode(POINT, new Uint8Array([1, 0, 2])), { x: 1, y: 2 });
 * ```
 */
export function struct<T extends object>(
  fields: Fields<T>,
): Codec<{ readonly [K in keyof T]: T[K] }> {
  const names: (keyof T)[] = [];
  for (const name in fields) names.push(name);
  return {
    encode(w, value) {
      for (const name of names) fields[name].encode(w, value[name]);
    },
    decode(r) {
      const value: Partial<T> = {};
      for (const name of names) value[name] = fields[name].decode(r);
      // Every field of T has been set by the codec of its type.
      return value as T;
    },
  };
}

/** A constant that takes no bytes: the `kind` of a structure whose type byte stands elsewhere. */
export function literal<const T extends string>(value: T): Codec<T> {
  return { encode: () => {}, decode: () => value };
}

/** Names of a `u8` or `u16` enumeration: `enumeration({ open: 0, closed: 1 })`. */
export function enumeration<const T extends Readonly<Record<string, number>>>(
  names: T,
  codec: Codec<number> = u8,
): Codec<keyof T & string> {
  const byValue = new Map<number, keyof T & string>();
  for (const name in names) byValue.set(names[name] ?? -1, name);
  return {
    encode(w, name) {
      const value = Object.hasOwn(names, name) ? names[name] : undefined;
      if (value === undefined) throw new RangeError(`"${name}" is not in the enumeration`);
      codec.encode(w, value);
    },
    decode(r) {
      const start = r.offset;
      const value = codec.decode(r);
      const name = byValue.get(value);
      if (name === undefined) throw r.error("bad-value", `value ${value} is not listed`, start);
      return name;
    },
  };
}

/** A number that must be this one, such as a version or suite. */
export function constant<const T extends number>(value: T, codec: Codec<number> = u8): Codec<T> {
  return {
    encode(w, given) {
      if (given !== value) throw new RangeError(`${given} is not ${value}`);
      codec.encode(w, value);
    },
    decode(r) {
      const start = r.offset;
      const given = codec.decode(r);
      if (given !== value) throw r.error("bad-value", `value ${given} is not ${value}`, start);
      return value;
    },
  };
}

/** `codec`, then `count` zero bytes, which are checked. */
export function thenZeros<T>(codec: Codec<T>, count: number): Codec<T> {
  return {
    encode(w, value) {
      codec.encode(w, value);
      w.zeros(count);
    },
    decode(r) {
      const value = codec.decode(r);
      r.zeros(count);
      return value;
    },
  };
}
