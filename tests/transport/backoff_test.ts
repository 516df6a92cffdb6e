import assert from "node:assert/strict";
import fc from "fast-check";
import { BACKOFF_FIRST_MS, BACKOFF_MAX_MS, backoffMs } from "../../src/transport/backoff.ts";

Deno.test("backoffMs() doubles its ceiling up to the maximum", () => {
  const almostOne = 1 - Number.EPSILON;
  assert.equal(backoffMs(0, almostOne), BACKOFF_FIRST_MS);
  assert.equal(backoffMs(1, almostOne), 2 * BACKOFF_FIRST_MS);
  assert.equal(backoffMs(1000, almostOne), BACKOFF_MAX_MS);
});

Deno.test("backoffMs() stays within half of the first ceiling and the maximum", () => {
  fc.assert(
    fc.property(fc.nat(), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (n, r) => {
      const wait = backoffMs(n, r);
      assert.ok(wait >= BACKOFF_FIRST_MS / 2 && wait <= BACKOFF_MAX_MS);
    }),
  );
});
