import assert from "node:assert/strict";
import fc from "fast-check";
import { WireError } from "../../src/wire/codec.ts";
import { encodeFrame, FrameDecoder, scanFrames, scanRun } from "../../src/wire/frame.ts";
import { sameBytes } from "../../src/wire/ids.ts";
import { MAX_FRAME_BYTES, MAX_GUEST_FRAME_BYTES } from "../../src/wire/limits.ts";
import { assertProperty } from "../support/property.ts";

function join(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A frame's header alone. */
function header(length: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, length);
  return bytes;
}

function scanned(buffer: Uint8Array, limit: number): Uint8Array[] {
  const bodies: Uint8Array[] = [];
  scanFrames(buffer, 0, buffer.length, limit, (start, end) => {
    bodies.push(buffer.slice(start, end));
  });
  return bodies;
}

const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { maxLength: 8 });
const tail = fc.uint8Array({ maxLength: 3 });
const cuts = fc.array(fc.nat({ max: 500 }), { maxLength: 20 });

function same(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  return a.length === b.length && a.every((body, i) => sameBytes(body, b[i] ?? new Uint8Array()));
}

Deno.test("FrameDecoder.push() yields the same frames whole, byte by byte, in any chunks and with a tail", () => {
  assertProperty(fc.property(bodies, tail, cuts, (list, rest, places) => {
    const stream = join([...list.map(encodeFrame), rest]);
    const chunkings: Uint8Array[][] = [
      [stream],
      [...stream].map((byte) => new Uint8Array([byte])),
    ];
    const ends = [...new Set(places.map((p) => p % (stream.length + 1)))].sort((a, b) => a - b);
    chunkings.push([...ends, stream.length].map((end, i) => stream.slice(ends[i - 1] ?? 0, end)));
    for (const chunks of chunkings) {
      const decoder = new FrameDecoder(64);
      const got = chunks.flatMap((chunk) => decoder.push(chunk));
      assert.ok(same(got, list));
      assert.equal(decoder.atBoundary, rest.length === 0);
    }
    assert.ok(same(scanned(stream, 64), list));
  }));
});

Deno.test("FrameDecoder.push() gives a view of a frame that is whole in its chunk", () => {
  const chunk = join([encodeFrame(new Uint8Array([1, 2])), encodeFrame(new Uint8Array([3]))]);
  const got = new FrameDecoder().push(chunk);
  assert.ok(got.every((body) => body.buffer === chunk.buffer));
});

Deno.test("a length of 0 or over the limit is refused with its four bytes, and ever after", () => {
  const cases: [number, number, string][] = [
    [0, 100, "bad-value"],
    [101, 100, "too-long"],
    [0xffffffff, MAX_FRAME_BYTES, "too-long"],
    [MAX_GUEST_FRAME_BYTES + 1, MAX_GUEST_FRAME_BYTES, "too-long"],
  ];
  for (const [length, limit, code] of cases) {
    const decoder = new FrameDecoder(limit);
    const good = encodeFrame(new Uint8Array(5));
    assert.equal(decoder.push(good).length, 1);
    for (const byte of header(length).subarray(0, 3)) decoder.push(new Uint8Array([byte]));
    const last = header(length).subarray(3);
    const expected = (error: unknown) =>
      error instanceof WireError && error.code === code && error.offset === good.length;
    assert.throws(() => decoder.push(last), expected);
    assert.throws(() => decoder.push(good), expected);
    assert.equal(decoder.heldBytes, 0);

    const buffer = join([good, header(length)]);
    assert.throws(() => scanned(buffer, limit), expected);
  }
});

Deno.test("frames before a bad length in the same chunk come out by next(), then the error", () => {
  const decoder = new FrameDecoder(100);
  decoder.feed(join([encodeFrame(new Uint8Array([7])), header(0)]));
  assert.deepEqual(decoder.next(), new Uint8Array([7]));
  assert.throws(() => decoder.next(), WireError);
});

Deno.test("a new limit holds from the next frame on, even within one chunk", () => {
  const decoder = new FrameDecoder(4);
  decoder.feed(join([encodeFrame(new Uint8Array(4)), encodeFrame(new Uint8Array(5))]));
  assert.equal(decoder.next()?.length, 4);
  decoder.limit = 5;
  assert.equal(decoder.limit, 5);
  assert.equal(decoder.next()?.length, 5);
  assert.equal(decoder.next(), undefined);
  decoder.limit = 4;
  assert.throws(() => decoder.push(encodeFrame(new Uint8Array(5))), WireError);
});

Deno.test("feed() before the last chunk was read through is our own mistake", () => {
  const decoder = new FrameDecoder();
  decoder.feed(encodeFrame(new Uint8Array(4)));
  assert.throws(() => decoder.feed(new Uint8Array(1)), RangeError);
});

Deno.test("a stranger's four bytes set nothing aside, and no byte more than twice what came", () => {
  const decoder = new FrameDecoder();
  decoder.push(header(MAX_FRAME_BYTES));
  assert.ok(decoder.heldBytes <= 4096, `${decoder.heldBytes}`);
  const chunk = new Uint8Array(1000);
  let done = 0;
  for (let sent = 0; sent < MAX_FRAME_BYTES; sent += chunk.length) {
    done += decoder.push(chunk.subarray(0, Math.min(1000, MAX_FRAME_BYTES - sent))).length;
    assert.ok(decoder.heldBytes <= Math.max(4096, 2 * (sent + chunk.length)));
  }
  assert.equal(done, 1);
  assert.equal(decoder.heldBytes, 0);
});

Deno.test("encodeFrame() takes bodies of 1 to MAX_FRAME_BYTES bytes", () => {
  assert.throws(() => encodeFrame(new Uint8Array(0)), RangeError);
  assert.throws(() => encodeFrame(new Uint8Array(MAX_FRAME_BYTES + 1)), RangeError);
  assert.equal(encodeFrame(new Uint8Array(MAX_FRAME_BYTES)).length, MAX_FRAME_BYTES + 4);
});

Deno.test("scanFrames() stops where it is told and returns where the next frame begins", () => {
  const buffer = join([1, 2, 3].map((length) => encodeFrame(new Uint8Array(length))));
  let visits = 0;
  assert.equal(scanFrames(buffer, 0, buffer.length, 9, () => ++visits < 2), 11);
  assert.equal(visits, 2);
  assert.equal(scanFrames(buffer, 5, buffer.length - 1, 9, () => {}), 11);
});

Deno.test("scanRun() finds exactly the complete frames at the start that begin with the prefix", () => {
  const prefix = new Uint8Array([1, 2]);
  const frame = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 6 }).map((rest) => new Uint8Array([1, 2, ...rest])),
    fc.constantFrom(new Uint8Array([1, 2]), new Uint8Array([1]), new Uint8Array([1, 3, 4])),
  );
  assertProperty(
    fc.property(
      fc.array(frame, { maxLength: 8 }),
      tail,
      fc.nat({ max: 9 }),
      (list, rest, most) => {
        const buffer = join([...list.map(encodeFrame), rest]);
        const run = { end: -1, frames: -1 };
        scanRun(buffer, 0, buffer.length, 64, prefix, most, run);
        const foreign = list.findIndex((body) =>
          body.length <= 2 || !sameBytes(body.slice(0, 2), prefix)
        );
        const expected = list.slice(0, Math.min(most, foreign < 0 ? list.length : foreign));
        assert.equal(run.frames, expected.length);
        assert.equal(run.end, join(expected.map(encodeFrame)).length);
      },
    ),
    200,
  );
});

Deno.test("scanRun() hands out the run before a bad length, and throws at the length itself", () => {
  const good = encodeFrame(new Uint8Array([1, 9]));
  const buffer = join([good, header(65)]);
  const run = { end: 0, frames: 0 };
  scanRun(buffer, 0, buffer.length, 64, new Uint8Array([1]), 100, run);
  assert.deepEqual(run, { end: good.length, frames: 1 });
  assert.throws(
    () => scanRun(buffer, run.end, buffer.length, 64, new Uint8Array([1]), 100, run),
    WireError,
  );
});
