import assert from "node:assert/strict";
import { EventQueue } from "../../src/driver/event_queue.ts";
import { settle } from "../support/fake_terminal.ts";

/** Whether a promise has settled by now. */
function watch(promise: Promise<unknown>): { done: boolean } {
  const state = { done: false };
  promise.then(() => state.done = true);
  return state;
}

Deno.test("EventQueue gives items in the order in which they were pushed, in whichever way", async () => {
  const queue = new EventQueue<number>(10);
  queue.push(1);
  void queue.pushWhenRoom(2);
  void queue.pushAndWait(3);
  queue.push(4);
  const taken = [];
  for (let i = 0; i < 4; i++) taken.push(await queue.take());
  assert.deepEqual(taken, [1, 2, 3, 4]);
});

Deno.test("EventQueue.take() waits for what has not come yet", async () => {
  const queue = new EventQueue<string>(1);
  const taken = queue.take();
  const waits = watch(taken);
  await settle();
  assert.equal(waits.done, false);
  queue.push("a");
  queue.push("b");
  assert.equal(await taken, "a");
  assert.equal(await queue.take(), "b");
});

Deno.test("EventQueue.pushWhenRoom() waits while the queue is full, until all of it is taken", async () => {
  const queue = new EventQueue<number>(2);
  const pushed = [1, 2, 3, 4].map((n) => watch(queue.pushWhenRoom(n)));
  await settle();
  assert.deepEqual(pushed.map((p) => p.done), [true, true, false, false]);
  assert.equal(await queue.take(), 1);
  await settle();
  assert.deepEqual(pushed.map((p) => p.done), [true, true, false, false]);
  assert.equal(await queue.take(), 2);
  await settle();
  assert.deepEqual(pushed.map((p) => p.done), [true, true, true, true]);
  for (const n of [3, 4]) assert.equal(await queue.take(), n);
});

Deno.test("EventQueue.takeNow() gives what there is, and says as take() does that the one before is dealt with", async () => {
  const queue = new EventQueue<number>(4);
  assert.equal(queue.takeNow(), undefined);
  queue.push(1);
  const dealt = watch(queue.pushAndWait(2));
  assert.deepEqual([queue.takeNow(), queue.takeNow()], [1, 2]);
  await settle();
  assert.equal(dealt.done, false, "the loop is still at it");
  assert.equal(queue.takeNow(), undefined);
  await settle();
  assert.equal(dealt.done, true);
  const next = queue.take();
  queue.push(3);
  assert.equal(await next, 3);
});

Deno.test("EventQueue.push() never waits, and one who waits for room does not overtake", async () => {
  const queue = new EventQueue<number>(1);
  queue.push(1);
  const waiting = watch(queue.pushWhenRoom(4));
  queue.push(2);
  queue.push(3);
  assert.equal(await queue.take(), 1);
  await settle();
  // Two wait still: over the bound.
  assert.equal(waiting.done, false);
  assert.equal(await queue.take(), 2);
  assert.equal(await queue.take(), 3);
  await settle();
  assert.equal(waiting.done, true);
  assert.equal(await queue.take(), 4);
});

Deno.test("EventQueue.pushAndWait() resolves when the next is asked for, not when it is taken", async () => {
  for (const takerFirst of [true, false]) {
    const queue = new EventQueue<string>(4);
    const early = takerFirst ? queue.take() : null;
    const dealt = watch(queue.pushAndWait("epoch"));
    assert.equal(await (early ?? queue.take()), "epoch");
    await settle();
    assert.equal(dealt.done, false, "the loop is still at it");
    const next = queue.take();
    await settle();
    assert.equal(dealt.done, true);
    queue.push("text");
    assert.equal(await next, "text");
  }
});

Deno.test("EventQueue.pushAndWait() behind others waits for its own turn", async () => {
  const queue = new EventQueue<number>(4);
  queue.push(1);
  const dealt = watch(queue.pushAndWait(2));
  await queue.take();
  await queue.take();
  await settle();
  assert.equal(dealt.done, false);
  void queue.take();
  await settle();
  assert.equal(dealt.done, true);
});
