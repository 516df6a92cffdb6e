import assert from "node:assert/strict";
import fc from "fast-check";
import { narrowed, nextOffset, offsetOf, UNKNOWN_OFFSET } from "../../src/doctor/clock_offset.ts";

/** Searches with somebody who answers. @returns the offset found, and how many questions it took */
function search(expired: (k: number) => boolean): { offset: number | null; questions: number } {
  let bounds = UNKNOWN_OFFSET;
  for (let questions = 0;; questions++) {
    assert.ok(questions <= 60, "the search does not end");
    const k = nextOffset(bounds);
    if (k === null) return { offset: offsetOf(bounds), questions };
    bounds = narrowed(bounds, k, expired(k));
  }
}

Deno.test("the search finds how far the relay's clock is off, to seconds or a thirtieth of it", () => {
  const within80Years = fc.integer({ min: -2_500_000_000, max: 2_500_000_000 });
  const within1Hour = fc.integer({ min: -3600, max: 3600 });
  fc.assert(fc.property(fc.oneof(within80Years, within1Hour), (ahead) => {
    const { offset } = search((k) => k <= ahead);
    const near = Math.max(5, Math.abs(ahead) / 30);
    assert.ok(offset !== null && Math.abs(offset - ahead) <= near, `${offset} for ${ahead}`);
  }));
});

Deno.test("two questions do where the clocks agree", () => {
  for (const ahead of [-5, -1, 0, 3, 4]) {
    assert.deepEqual(search((k) => k <= ahead), { offset: 0, questions: 2 });
  }
});

Deno.test("the search ends without a result where no ticket is ever good, or none ever expires", () => {
  for (const answer of [true, false]) {
    assert.equal(search(() => answer).offset, null);
  }
});

Deno.test("the search ends whatever a relay answers", () => {
  fc.assert(fc.property(fc.infiniteStream(fc.boolean()), (answers) => {
    search(() => answers.next().value ?? false);
  }));
});
