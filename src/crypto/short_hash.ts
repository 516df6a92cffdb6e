/**
 * SHA-256 (FIPS 180-4) of a few blocks and HKDF (RFC 5869) of single ones, in the language itself: what a message
 * needs (PROTOCOL §8). A call into the runtime costs as much as these blocks or more, and leaves copies of keys, or
 * objects, behind. Tests hold every length against WebCrypto, node:crypto and @noble/hashes.
 *
 * Nothing here branches on, or looks up by, what is hashed; the scratch space is wiped after each call.
 *
 * @see docs/decisions/2026-11-23-fast-path.md
 */
import type { Bytes } from "../wire/codec.ts";

// FIPS 180-4, 4.2.2: of the cube roots of the first 64 primes.
// deno-fmt-ignore
const K = new Int32Array([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
]);
// 5.3.3: of the square roots of the first 8.
// deno-fmt-ignore
const INITIAL = new Int32Array([
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]);

/** Message schedule: the block to compress in its first 16 words. */
const W = new Int32Array(64);

/** 6.2.2: takes the block in `W` into a state. */
function compress(state: Int32Array): void {
  for (let i = 16; i < 64; i++) {
    const x = W[i - 15] ?? 0;
    const y = W[i - 2] ?? 0;
    const s0 = (x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3;
    const s1 = (y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10;
    W[i] = (W[i - 16] ?? 0) + s0 + (W[i - 7] ?? 0) + s1 | 0;
  }
  let a = state[0] ?? 0, b = state[1] ?? 0, c = state[2] ?? 0, d = state[3] ?? 0;
  let e = state[4] ?? 0, f = state[5] ?? 0, g = state[6] ?? 0, h = state[7] ?? 0;
  for (let i = 0; i < 64; i++) {
    const s1 = (e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7);
    const t1 = h + s1 + (g ^ e & (f ^ g)) + (K[i] ?? 0) + (W[i] ?? 0) | 0;
    const s0 = (a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10);
    const t2 = s0 + (a & b | c & (a | b)) | 0;
    h = g, g = f, f = e, e = d + t1 | 0;
    d = c, c = b, b = a, a = t1 + t2 | 0;
  }
  state[0] = (state[0] ?? 0) + a | 0;
  state[1] = (state[1] ?? 0) + b | 0;
  state[2] = (state[2] ?? 0) + c | 0;
  state[3] = (state[3] ?? 0) + d | 0;
  state[4] = (state[4] ?? 0) + e | 0;
  state[5] = (state[5] ?? 0) + f | 0;
  state[6] = (state[6] ?? 0) + g | 0;
  state[7] = (state[7] ?? 0) + h | 0;
}

/** The hash that is being made. */
const state = new Int32Array(8);
/** HMAC's two hashes after its key. */
const inner = new Int32Array(8);
const outer = new Int32Array(8);
/** The same for HKDF without a salt, whose key is zeros. */
const INNER_ZERO = new Int32Array(8);
const OUTER_ZERO = new Int32Array(8);
/** What follows HKDF's counter's predecessor: info, the counter's place, the bit after them. */
const infoWords = new Int32Array(14);

// Loops throughout: for eight words they take a third of what set() and fill() take.
function put(to: Int32Array, from: Int32Array): void {
  for (let i = 0; i < 8; i++) to[i] = from[i] ?? 0;
}

function clear(words: Int32Array): void {
  for (let i = 0; i < words.length; i++) words[i] = 0;
}

/** Puts 32 bytes into eight words of the block. */
function putBytes(bytes: Uint8Array, at: number): void {
  for (let i = 0, j = 0; i < 8; i++, j += 4) {
    W[at + i] = (bytes[j] ?? 0) << 24 | (bytes[j + 1] ?? 0) << 16 | (bytes[j + 2] ?? 0) << 8 |
      (bytes[j + 3] ?? 0);
  }
}

/** Ends the block (5.1.1) after its first words, which hold the bit after the message already. */
function endBlock(words: number, messageBytes: number): void {
  for (let i = words; i < 15; i++) W[i] = 0;
  W[15] = messageBytes * 8;
}

const END_BIT = 1 << 31;

function keyHash(key: Int32Array, pad: number, to: Int32Array): void {
  for (let i = 0; i < 8; i++) W[i] = (key[i] ?? 0) ^ pad;
  for (let i = 8; i < 16; i++) W[i] = pad;
  put(to, INITIAL);
  compress(to);
}
const INNER_PAD = 0x36363636;
const OUTER_PAD = 0x5c5c5c5c;
keyHash(state, INNER_PAD, INNER_ZERO);
keyHash(state, OUTER_PAD, OUTER_ZERO);

/** Takes the block into HMAC's inner hash, and that into the outer one: the MAC is `state`. */
function mac(innerKey: Int32Array, outerKey: Int32Array): void {
  put(state, innerKey);
  compress(state);
  put(W, state);
  W[8] = END_BIT;
  endBlock(9, 64 + 32);
  put(state, outerKey);
  compress(state);
}

function write(out: Uint8Array, at: number): void {
  const end = Math.min(32, out.length - at);
  for (let i = 0; i < end; i++) out[at + i] = (state[i >> 2] ?? 0) >>> 24 - 8 * (i & 3);
}

/** SHA-256 of 64 bytes, given in halves of 32. @throws {RangeError} for others */
export function sha256OfPair(a: Uint8Array, b: Uint8Array): Bytes {
  if (a.length !== 32 || b.length !== 32) {
    throw new RangeError(`halves of ${a.length} and ${b.length} bytes`);
  }
  putBytes(a, 0);
  putBytes(b, 8);
  put(state, INITIAL);
  compress(state);
  W[0] = END_BIT;
  endBlock(1, 64);
  compress(state);
  const out = new Uint8Array(32);
  write(out, 0);
  clear(W);
  clear(state);
  return out;
}

/** What {@linkcode sha256OfParts} takes at most: up to here it is about as quick as the runtime. */
export const MAX_SHORT_BYTES = 759;
const BLOCK_BYTES = 64;
/** What is hashed, and after it the bit, zeros and the length (5.1.1). */
const message = new Uint8Array(768);

/**
 * SHA-256 of two parts joined. `createHash` makes an object outside of V8's heap for each hash, which lives until
 * that heap is collected as a whole: 100,000 of them, and 35 MB, in a client that listened for a minute.
 *
 * @throws {RangeError} for more than {@linkcode MAX_SHORT_BYTES} together
 */
export function sha256OfParts(first: Uint8Array, second: Uint8Array): Bytes {
  const length = first.length + second.length;
  if (length > MAX_SHORT_BYTES) throw new RangeError(`${length} bytes`);
  message.set(first);
  message.set(second, first.length);
  message[length] = 0x80;
  const end = Math.ceil((length + 9) / BLOCK_BYTES) * BLOCK_BYTES;
  message[end - 2] = length >> 5;
  message[end - 1] = length << 3;
  put(state, INITIAL);
  for (let at = 0; at < end; at += BLOCK_BYTES) {
    for (let i = 0, j = at; i < 16; i++, j += 4) {
      W[i] = (message[j] ?? 0) << 24 | (message[j + 1] ?? 0) << 16 | (message[j + 2] ?? 0) << 8 |
        (message[j + 3] ?? 0);
    }
    compress(state);
  }
  const out = new Uint8Array(32);
  write(out, 0);
  message.fill(0, 0, end);
  clear(W);
  clear(state);
  return out;
}

/** Whether {@linkcode shortDerive} can: each block of HKDF's second step has to be one block of SHA-256. */
export function isShort(ikm: Uint8Array, info: Uint8Array, length: number): boolean {
  return ikm.length === 32 && info.length <= (length > 32 ? 22 : 54) && length <= 96;
}

/**
 * HKDF-SHA-256 with an empty salt, both steps.
 *
 * @param ikm 32 bytes
 * @param info at most 54 bytes; at most 22 if more than 32 are to be derived
 * @param length at most 96
 * @param out where to put it, of that length; a new array if not given
 * @throws {RangeError} if it is not {@linkcode isShort}
 */
export function shortDerive(
  ikm: Uint8Array,
  info: Uint8Array,
  length: number,
  out: Bytes = new Uint8Array(length),
): Bytes {
  if (!isShort(ikm, info, length) || out.length !== length) {
    throw new RangeError(`${length} bytes of ${ikm.length} with an info of ${info.length}`);
  }
  putBytes(ikm, 0);
  W[8] = END_BIT;
  endBlock(9, 64 + 32);
  mac(INNER_ZERO, OUTER_ZERO);
  keyHash(state, INNER_PAD, inner);
  keyHash(state, OUTER_PAD, outer);

  const counterAt = info.length;
  for (let i = 0; i < counterAt; i++) orByte(infoWords, i, info[i] ?? 0);
  orByte(infoWords, counterAt + 1, 0x80);
  const words = (counterAt + 5) >> 2;
  for (let at = 0; at < length; at += 32) {
    // From the second on, the one before goes first.
    const before = at === 0 ? 0 : 32;
    if (before > 0) put(W, state);
    for (let i = 0; i < words; i++) W[before / 4 + i] = infoWords[i] ?? 0;
    orByte(W, before + counterAt, at / 32 + 1);
    endBlock(before / 4 + words, 64 + before + counterAt + 1);
    mac(inner, outer);
    write(out, at);
  }
  for (const spent of [W, state, inner, outer, infoWords]) clear(spent);
  return out;
}

function orByte(words: Int32Array, at: number, byte: number): void {
  words[at >> 2] = (words[at >> 2] ?? 0) | byte << 24 - 8 * (at & 3);
}
