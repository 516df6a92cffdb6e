import assert from "node:assert/strict";
import { Worker } from "../../src/driver/worker.ts";

Deno.test("Worker does one job after the other, in the order in which they were given", async () => {
  const done: string[] = [];
  const worker = new Worker(10, (what) => done.push(`failed ${what}`));
  const gate = Promise.withResolvers<void>();
  worker.run("a", async () => {
    done.push("a begins");
    await gate.promise;
    done.push("a ends");
  });
  worker.run("b", () => void done.push("b"));
  await Promise.resolve();
  await Promise.resolve();
  assert.deepEqual(done, ["a begins"]);
  gate.resolve();
  await worker.idle();
  assert.deepEqual(done, ["a begins", "a ends", "b"]);
});

Deno.test("Worker tells what failed, and goes on", async () => {
  const told: unknown[] = [];
  const worker = new Worker(10, (what, error) => told.push([what, String(error)]));
  worker.run("saving", () => Promise.reject(new Error("the disk is full")));
  worker.run("thinking", () => {
    throw new RangeError("no");
  });
  let ran = false;
  worker.run("last", () => void (ran = true));
  await worker.idle();
  assert.deepEqual(told, [["saving", "Error: the disk is full"], ["thinking", "RangeError: no"]]);
  assert.equal(ran, true);
});

Deno.test("Worker refuses a job past its bound, and takes one again when there is room", async () => {
  const told: string[] = [];
  const done: number[] = [];
  const worker = new Worker(2, (what, error) => told.push(`${what}: ${String(error)}`));
  for (const n of [1, 2, 3]) worker.run(`job ${n}`, () => void done.push(n));
  assert.deepEqual(told, ["job 3: Error: more than 2 jobs wait"]);
  await worker.idle();
  worker.run("job 4", () => void done.push(4));
  await worker.idle();
  assert.deepEqual(done, [1, 2, 4]);
});

Deno.test("Worker.idle() of a worker without a job resolves", async () => {
  await new Worker(1, () => {}).idle();
});
