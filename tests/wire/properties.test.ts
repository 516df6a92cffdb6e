import assert from "node:assert/strict";
import fc from "fast-check";
import { WireError } from "../../src/wire/codec.ts";
import { sameBytes } from "../../src/wire/ids.ts";
import { assertProperty } from "../support/property.ts";
import { bytesUpTo, type Sample, SAMPLES } from "./samples.ts";

/** Decodes; anything thrown but a WireError fails the test. */
function attempt(sample: Sample, bytes: Uint8Array): (() => Uint8Array) | WireError | undefined {
  try {
    return sample.read(bytes);
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
}

/** What decodes must encode to the same bytes again, or there are two encodings of one value. */
function assertCanonical(sample: Sample, bytes: Uint8Array): void {
  const result = attempt(sample, bytes);
  if (typeof result === "function") assert.deepEqual(result(), new Uint8Array(bytes));
  if (result instanceof WireError) {
    assert.ok(result.offset >= 0 && result.offset <= bytes.length, `offset ${result.offset}`);
  }
}

/** Bytes that differ from valid ones in one place: a flip, a splice of a huge length, a cut. */
function damaged(encoded: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  return fc.tuple(encoded, fc.nat(), fc.nat({ max: 255 }), fc.nat({ max: 3 })).map(
    ([bytes, place, value, how]) => {
      if (bytes.length === 0) return new Uint8Array([value]);
      const at = place % bytes.length;
      const copy = new Uint8Array(bytes);
      if (how === 0) copy[at] = value;
      if (how === 1) copy.fill(0xff, at, at + 4);
      if (how === 2) copy.fill(0, at, at + 4);
      return how === 3 ? copy.slice(0, at) : copy;
    },
  );
}

for (const sample of SAMPLES) {
  Deno.test(`${sample.name}: decoding what was encoded gives the same value`, () => {
    assertProperty(
      fc.property(sample.roundTrip, ({ before, after }) => assert.deepEqual(after, before)),
      25,
    );
  });

  Deno.test(`${sample.name}: any bytes give a value that encodes to them, or a WireError`, () => {
    assertProperty(fc.property(bytesUpTo(200), (bytes) => assertCanonical(sample, bytes)), 50);
    assertProperty(
      fc.property(damaged(sample.encoded), (bytes) => assertCanonical(sample, bytes)),
      50,
    );
  });

  Deno.test(`${sample.name}: every shorter one is refused, and so is one with a tail`, () => {
    assertProperty(
      fc.property(sample.encoded, fc.nat({ max: 255 }), (bytes, tail) => {
        const longer = new Uint8Array([...bytes, tail]);
        if (sample.open) return assertCanonical(sample, longer);
        // Every cut of something short; of something long a few, and both ends.
        const step = Math.max(1, Math.floor(bytes.length / 200));
        for (let end = 0; end < bytes.length; end += step) {
          assert.ok(attempt(sample, bytes.subarray(0, end)) instanceof WireError, `cut at ${end}`);
        }
        const error = attempt(sample, longer);
        assert.ok(error instanceof WireError);
        assert.equal(error.code, "leftover");
      }),
      3,
    );
  });

  Deno.test(`${sample.name}: a decoded value does not change with the buffer it came from`, () => {
    assertProperty(
      fc.property(sample.encoded, (bytes) => {
        const buffer = new Uint8Array(bytes);
        const again = sample.read(buffer);
        buffer.fill(0xee);
        assert.ok(again !== undefined && sameBytes(again(), bytes));
      }),
      3,
    );
  });
}
