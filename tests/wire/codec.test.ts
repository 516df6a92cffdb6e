import assert from "node:assert/strict";
import fc from "fast-check";
import {
  b16,
  b32,
  bytes,
  type Codec,
  constant,
  decode,
  encode,
  enumeration,
  flag,
  list16,
  list32,
  Reader,
  rest,
  restText,
  str,
  struct,
  thenZeros,
  u16,
  u32,
  u64,
  u8,
  WireError,
  type WireErrorCode,
  Writer,
} from "../../src/wire/codec.ts";
import { fromHex } from "../../src/wire/ids.ts";
import { assertProperty } from "../support/property.ts";

function refuses<T>(codec: Codec<T>, hex: string, code: WireErrorCode, offset: number): void {
  assert.throws(() => decode(codec, fromHex(hex), "it"), (error) => {
    assert.ok(error instanceof WireError, String(error));
    assert.deepEqual([error.code, error.offset], [code, offset], error.message);
    return true;
  });
}

Deno.test("integers are unsigned and big-endian", () => {
  assert.deepEqual(encode(u16, 0x0102), fromHex("0102"));
  assert.deepEqual(encode(u32, 0xfffefdfc), fromHex("fffefdfc"));
  assert.deepEqual(encode(u64, 2 ** 53 - 1), fromHex("001fffffffffffff"));
  assert.equal(decode(u64, fromHex("001fffffffffffff")), 2 ** 53 - 1);
  assert.equal(decode(u32, fromHex("80000000")), 2 ** 31);
});

Deno.test("a u64 above 2^53 - 1 is refused, whichever bits it has", () => {
  refuses(u64, "0020000000000000", "bad-value", 0);
  refuses(u64, "0020000000000001", "bad-value", 0);
  refuses(u64, "ffffffffffffffff", "bad-value", 0);
  assertProperty(fc.property(fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }), (value) => {
    refuses(u64, value.toString(16).padStart(16, "0"), "bad-value", 0);
  }));
});

Deno.test("what is ours and does not fit throws RangeError and is never cut", () => {
  const wrong: (() => unknown)[] = [
    () => encode(u8, 256),
    () => encode(u8, -1),
    () => encode(u8, 0.5),
    () => encode(u8, NaN),
    () => encode(u32, 2 ** 32),
    () => encode(u64, 2 ** 53),
    () => encode(bytes(2), new Uint8Array(3)),
    () => encode(b16(2), new Uint8Array(3)),
    () => encode(b16(2, 1), new Uint8Array(0)),
    () => encode(rest(1, 2), new Uint8Array(3)),
    () => encode(rest(1, 2), new Uint8Array(0)),
    () => encode(str(3), "éé"),
    () => encode(str(9), "\ud800"),
    () => encode(restText(9), "a\udc00"),
    () => encode(list16(u8, 1), [1, 2]),
    () => new Writer().patchU32(0, 1),
  ];
  for (const [i, attempt] of wrong.entries()) assert.throws(attempt, RangeError, `case ${i}`);
  const loose: Codec<string> = enumeration({ a: 1 });
  assert.throws(() => encode(loose, "toString"), RangeError);
});

Deno.test("a length over its limit is refused at its own offset, before the bytes are missed", () => {
  refuses(struct({ a: u8, b: b16(4) }), "00ffff", "too-long", 1);
  refuses(b32(65536), "ffffffff", "too-long", 0);
  refuses(str(4), "0005", "too-long", 0);
  refuses(list32(u8, 9), "ffffffff", "too-long", 0);
  refuses(rest(1, 2), "010203", "too-long", 0);
  refuses(b16(4, 2), "000100", "bad-value", 0);
  refuses(b16(4), "000301", "truncated", 2);
});

Deno.test("a list that announces more elements than there are bytes is refused at once", () => {
  let decoded = 0;
  const counting: Codec<number> = {
    encode: u8.encode,
    decode(r) {
      decoded++;
      return u8.decode(r);
    },
  };
  refuses(list32(counting, 0xffffffff), "ffffffff0102", "truncated", 4);
  refuses(list16(counting, 0xffff), "ffff0102", "truncated", 2);
  assert.equal(decoded, 0);
});

Deno.test("the message of a WireError says what, where and why", () => {
  const codec = struct({ head: bytes(12), data: b32(65536) });
  const input = new Uint8Array(16);
  new DataView(input.buffer).setUint32(12, 90000);
  assert.throws(
    () => decode(codec, input, "ticket"),
    { message: "cannot decode ticket at byte 12: length 90000 is over 65536" },
  );
});

Deno.test("text is well-formed UTF-8, kept as it is", () => {
  refuses(str(9), "0001ff", "bad-utf8", 2);
  refuses(str(9), "0003eda080", "bad-utf8", 2);
  refuses(str(9), "0002c080", "bad-utf8", 2);
  refuses(restText(9), "e282", "bad-utf8", 0);
  assert.equal(decode(str(9), fromHex("0003efbbbf")), "\ufeff");
  assert.equal(decode(restText(9), fromHex("e282ac")), "€");
});

Deno.test("enumerations, constants, flags and padding take nothing else", () => {
  const color = enumeration({ red: 1, green: 2 }, u16);
  assert.equal(decode(color, fromHex("0002")), "green");
  refuses(color, "0000", "bad-value", 0);
  refuses(constant(1), "02", "bad-value", 0);
  refuses(flag, "02", "bad-value", 0);
  assert.equal(decode(flag, fromHex("01")), true);
  refuses(thenZeros(u8, 3), "07000100", "bad-value", 2);
  refuses(thenZeros(u8, 3), "070000", "truncated", 1);
  assert.deepEqual(encode(thenZeros(u8, 2), 7), fromHex("070000"));
  refuses(u8, "0100", "leftover", 1);
});

Deno.test("a decoded byte string is a copy", () => {
  const input = fromHex("0102");
  const value = decode(bytes(2), input);
  input.fill(0);
  assert.deepEqual(value, fromHex("0102"));
  assert.equal(value.buffer.byteLength, 2);
});

Deno.test("Writer.finish() returns all that was written, however the buffer grew", () => {
  assertProperty(fc.property(
    fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 }),
    fc.nat({ max: 300 }),
    (parts, hint) => {
      const w = new Writer(hint);
      for (const part of parts) {
        w.raw(part);
        w.zeros(part.length % 3);
        w.uint(part.length, 2);
      }
      const expected = parts.flatMap((part) => [
        ...part,
        ...new Uint8Array(part.length % 3),
        0,
        part.length,
      ]);
      assert.equal(w.length, expected.length);
      assert.deepEqual([...w.finish()], expected);
    },
  ));
});

Deno.test("Reader.since() gives exactly the bytes that were read", () => {
  const r = new Reader(fromHex("01020304"));
  r.uint(1);
  const start = r.offset;
  r.uint(2);
  assert.deepEqual(r.since(start), fromHex("0203"));
});
