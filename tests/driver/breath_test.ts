import assert from "node:assert/strict";
import { Breath, MAX_WORK_MS } from "../../src/driver/breath.ts";

/** Works for so long without waiting for anything. */
function work(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

Deno.test("Breath lets the event loop go round once the work of one turn has taken too long", async () => {
  const breath = new Breath();
  let turned = false;
  setImmediate(() => turned = true);
  // The first question of a turn is when the work begins.
  assert.equal(breath.taken(), undefined);
  work(MAX_WORK_MS);
  const waits = breath.taken();
  assert.ok(waits !== undefined);
  assert.equal(turned, false);
  await waits;
  assert.equal(turned, true);
  // Another turn, another beginning.
  assert.equal(breath.taken(), undefined);
});

Deno.test("Breath counts from the first question of a turn, however long nobody asked", async () => {
  const breath = new Breath();
  breath.taken();
  await new Promise((resolve) => setImmediate(resolve));
  work(2 * MAX_WORK_MS);
  assert.equal(breath.taken(), undefined);
});
