import assert from "node:assert/strict";
import fc from "fast-check";
import { ENOUGH_OUTBOX_BYTES, MAX_OUTBOX_BYTES, Outbox } from "../../src/transport/outbox.ts";
import { MemoryLink, settled } from "../support/memory_link.ts";
import { assertProperty } from "../support/property.ts";

/** An outbox, and what came out at the other end. */
function stage() {
  const [near, far] = MemoryLink.pair();
  const got: Uint8Array[] = [];
  far.start({ onData: (bytes) => got.push(bytes), onEnd: () => {} });
  near.start({ onData: () => {}, onEnd: () => {} });
  let full = 0;
  const outbox = new Outbox(near, () => {
    full++;
    near.destroy();
  });
  return { near, far, got, outbox, full: () => full };
}

const bytesOf = (chunks: readonly Uint8Array[]) => chunks.flatMap((c) => [...c]);

Deno.test("Outbox has one write in flight, and joins what waits meanwhile into one write", async () => {
  const { near, got, outbox } = stage();
  for (let n = 0; n < 10; n++) outbox.send(new Uint8Array([n]));
  await outbox.flushed();
  assert.equal(near.mostInFlight, 1);
  assert.deepEqual(got.map((g) => [...g]), [[0], [1, 2, 3, 4, 5, 6, 7, 8, 9]]);
});

Deno.test("Outbox makes no write over 64 KiB of small frames, and splits no large one", async () => {
  const { near, got, outbox } = stage();
  const sizes = [1, 40_000, 25_536, 1, 100_000, 1, 1];
  for (const size of sizes) outbox.send(new Uint8Array(size).fill(size % 251));
  await outbox.flushed();
  assert.deepEqual(got.map((g) => g.length), [1, 65_536, 1, 100_000, 2]);
  assert.equal(near.mostInFlight, 1);
});

Deno.test("Outbox delivers every byte once and in order, whenever the peer reads", async () => {
  await assertEach(async (sends) => {
    const { far, near, got, outbox } = stage();
    let next = 0;
    const sent: number[] = [];
    for (const { size, pause } of sends) {
      const bytes = Uint8Array.from({ length: size }, () => next++ % 256);
      sent.push(...bytes);
      if (pause === true) far.pause();
      if (pause === false) far.resume();
      outbox.send(bytes);
      if (size % 3 === 0) await settled();
    }
    far.resume();
    await outbox.flushed();
    assert.deepEqual(bytesOf(got), sent);
    assert.ok(near.mostInFlight <= 1);
  });
});

/** Runs an asynchronous property a few times. */
async function assertEach(
  check: (sends: { size: number; pause: boolean | null }[]) => Promise<void>,
): Promise<void> {
  const send = fc.record({
    size: fc.integer({ min: 1, max: 400 }),
    pause: fc.option(fc.boolean()),
  });
  for (const sends of fc.sample(fc.array(send, { maxLength: 12 }), 15)) await check(sends);
}

Deno.test("Outbox.flushed() waits for all that was queued, and for nothing if nothing was", async () => {
  const { far, outbox } = stage();
  await outbox.flushed();
  far.pause();
  outbox.send(new Uint8Array(10));
  outbox.send(new Uint8Array(10));
  let flushed = false;
  const waiting = outbox.flushed().then(() => flushed = true);
  await settled();
  assert.equal(flushed, false);
  far.resume();
  await waiting;
});

Deno.test("Outbox holds MAX_OUTBOX_BYTES; one byte more is told once, and nothing goes out any more", async () => {
  const { far, got, outbox, full } = stage();
  far.pause();
  outbox.send(new Uint8Array(MAX_OUTBOX_BYTES - 1));
  outbox.send(new Uint8Array(1));
  assert.equal(full(), 0);
  const waiting = outbox.flushed();
  outbox.send(new Uint8Array(1));
  outbox.send(new Uint8Array(1));
  assert.equal(full(), 1);
  await waiting;
  far.resume();
  await settled();
  assert.deepEqual(got, []);
});

Deno.test("Outbox counts what was taken out of its bound", () => {
  assertProperty(
    fc.property(fc.constant(null), () => {
      // A link that takes everything at once.
      const writes: number[] = [];
      const outbox = new Outbox({
        remoteAddress: "x",
        start: () => {},
        write: (bytes, done) => {
          writes.push(bytes.length);
          done?.(null);
        },
        pause: () => {},
        resume: () => {},
        close: () => {},
        destroy: () => {},
      }, () => assert.fail("the bound was passed"));
      for (let i = 0; i < 40; i++) outbox.send(new Uint8Array(1024 * 1024));
      assert.equal(writes.length, 40);
    }),
    1,
  );
});

Deno.test("Outbox.flushed() resolves when the link fails, and later bytes go nowhere", async () => {
  const { far, got, outbox, full } = stage();
  far.pause();
  outbox.send(new Uint8Array(10));
  outbox.send(new Uint8Array(10));
  const waiting = outbox.flushed();
  far.destroy();
  await waiting;
  outbox.send(new Uint8Array(10));
  await outbox.flushed();
  assert.deepEqual([got, full()], [[], 0]);
});

Deno.test("Outbox.room() waits while over ENOUGH_OUTBOX_BYTES wait, and no longer than the link lives", async () => {
  const { far, outbox } = stage();
  assert.equal(outbox.room(), undefined);
  far.pause();
  outbox.send(new Uint8Array(ENOUGH_OUTBOX_BYTES));
  assert.equal(outbox.room(), undefined);
  outbox.send(new Uint8Array(1));
  let letIn = 0;
  const waiting = [outbox.room(), outbox.room()].map((room) => {
    assert.ok(room !== undefined);
    return room.then(() => letIn++);
  });
  await settled();
  assert.equal(letIn, 0);
  far.resume();
  await Promise.all(waiting);
  assert.equal(outbox.room(), undefined);

  far.pause();
  outbox.send(new Uint8Array(ENOUGH_OUTBOX_BYTES));
  outbox.send(new Uint8Array(1));
  const never = outbox.room();
  far.destroy();
  await never;
  assert.equal(outbox.room(), undefined);
});
