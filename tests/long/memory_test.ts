/** Issue 3, "done when" 4, in small: `deno task bench:memory` is the million. */
import assert from "node:assert/strict";
import { growth, runMemory } from "../../bench/memory_run.ts";

const MESSAGES = 120_000;
/** More than the bench's: the heaps have not come to rest yet after so few. */
const MOST_GROWTH = 1.3;

Deno.test("memory stays bounded over many messages with a slow reader and a dead one", async () => {
  const run = await runMemory(MESSAGES);
  assert.equal(run.heard, MESSAGES);
  assert.equal(run.missing, 0);
  for (const course of run.courses) {
    console.log(course.who, growth(course).toFixed(2));
    if (course.who !== "slow reader") assert.ok(growth(course) <= MOST_GROWTH, course.who);
  }
});
