import assert from "node:assert/strict";
import fc from "fast-check";
import { Outbox } from "../../src/server/outbox.ts";
import type { Cursor } from "../../src/server/cursor.ts";
import { RoomLog } from "../../src/server/room_log.ts";
import { Turn } from "../../src/server/turn.ts";
import { encodeFrame, FRAME_HEADER_BYTES, scanFrames } from "../../src/wire/frame.ts";
import { MemoryLink, settled } from "../support/memory_link.ts";

/** One reader: its outbox, and what arrived at the other end. */
class Listener {
  readonly turn: Turn;
  readonly ours: MemoryLink;
  readonly theirs: MemoryLink;
  readonly outbox: Outbox;
  readonly chunks: Uint8Array[] = [];
  tooSlow = false;

  constructor(turn: Turn, maxLagBytes = Infinity) {
    this.turn = turn;
    [this.ours, this.theirs] = MemoryLink.pair();
    this.outbox = new Outbox(this.ours, { turn, maxLagBytes, wrote: () => {} }, {
      tooSlow: () => {
        this.tooSlow = true;
        this.outbox.finish(new Uint8Array([99]));
      },
    });
    this.ours.start({ onData: () => {}, onEnd: () => this.outbox.end() });
    this.theirs.start({ onData: (bytes) => this.chunks.push(bytes), onEnd: () => {} });
  }

  get bytes(): number[] {
    return this.chunks.flatMap((c) => [...c]);
  }
}

/** A frame of so many bytes in all. */
function frame(value: number, size = 5): Uint8Array {
  return encodeFrame(new Uint8Array(size - FRAME_HEADER_BYTES).fill(value));
}

Deno.test("many appends of a turn are one write, the same view for every reader", async () => {
  const turn = new Turn();
  const log = new RoomLog(turn);
  const readers = [new Listener(turn), new Listener(turn), new Listener(turn)];
  for (const r of readers) r.outbox.attach(log, undefined).startReading();
  for (let i = 0; i < 100; i++) log.append(frame(i, 10));
  await settled();
  for (const r of readers) {
    assert.equal(r.chunks.length, 1);
    assert.equal(r.bytes.length, 1000);
    assert.equal(r.ours.mostInFlight, 1);
  }
  assert.equal(log.slice(log.tail, 0, 1000), log.slice(log.tail, 0, 1000));
});

Deno.test("who speaks gets what lies around its own frames, and what is its alone, in one write", async () => {
  const turn = new Turn();
  const log = new RoomLog(turn);
  const speaker = new Listener(turn);
  const cursor = speaker.outbox.attach(log, undefined);
  cursor.startReading();
  for (const value of [1, 3, 5]) {
    log.append(frame(value, 2000)); // with the third the log begins another chunk
    const start = log.append(frame(value + 1, 100));
    cursor.skip(start, log.head);
  }
  cursor.push(frame(7));
  speaker.outbox.send(frame(8));
  speaker.outbox.send(frame(9));
  await settled();
  assert.deepEqual(runs(speaker.bytes), [[8, 5], [9, 5], [1, 2000], [3, 2000], [5, 2000], [7, 5]]);
  assert.equal(speaker.chunks.length, 1);
});

Deno.test("a frame that does not fit behind others has its own write, before what follows", async () => {
  const turn = new Turn();
  const log = new RoomLog(turn);
  for (const { drained, due } of [{ drained: true, due: 4 }, { drained: false, due: 0 }]) {
    const reader = new Listener(turn);
    const cursor = reader.outbox.attach(log, undefined);
    cursor.startReading();
    log.append(frame(1, 100));
    cursor.push(frame(2, 60_000));
    log.append(frame(3, 100));
    cursor.push(frame(4, 49_100));
    const last = frame(5, 200);
    if (drained) reader.outbox.finishDrained(last);
    else reader.outbox.finish(last);
    await settled();
    const all = [[1, 100], [2, 60_000], [3, 100], [4, 49_100]];
    assert.deepEqual(runs(reader.bytes), [...all.slice(0, due), [5, 200]]);
    assert.notEqual(reader.ours.ended, null);
  }
});

Deno.test("what is the connection's own waits for room, and nothing overtakes it", async () => {
  const turn = new Turn();
  const log = new RoomLog(turn);
  const reader = new Listener(turn);
  reader.outbox.attach(log, undefined).startReading();
  reader.outbox.send(frame(1, 100));
  reader.outbox.send(frame(2, 60_000));
  log.append(frame(3, 100));
  await settled();
  assert.deepEqual(runs(reader.bytes), [[1, 100], [2, 60_000], [3, 100]]);
});

Deno.test("a reader that has read everything, and a quiet room, hold no memory", async () => {
  const turn = new Turn();
  const log = new RoomLog(turn);
  const reader = new Listener(turn);
  reader.outbox.attach(log, undefined).startReading();
  log.append(frame(1, 5000));
  await settled();
  assert.equal(log.heldBytes, 0);
  log.settle();
  log.settle();
  assert.equal(log.tail.bytes.length, 0);
  log.append(frame(2, 7));
  await settled();
  assert.equal(reader.bytes.length, 5007);
});

Deno.test("a reader that stopped is dropped, and what it held back is let go", async () => {
  const turn = new Turn();
  const log = new RoomLog(turn);
  const slow = new Listener(turn, 100_000);
  const quick = new Listener(turn, 100_000);
  slow.outbox.attach(log, undefined).startReading();
  quick.outbox.attach(log, undefined).startReading();
  slow.theirs.pause();
  for (let i = 0; i < 40; i++) {
    log.append(frame(i, 10_000));
    await settled();
    if (!slow.tooSlow) assert.ok(log.heldBytes <= 110_000);
  }
  assert.equal(slow.tooSlow, true);
  assert.equal(quick.tooSlow, false);
  assert.equal(quick.bytes.length, 400_000);
  assert.equal(log.heldBytes, 0);
  assert.equal(log.readers.length, 1);
});

Deno.test("last words come after the frame that was begun, and end the link", async () => {
  const turn = new Turn();
  const log = new RoomLog(turn);
  const reader = new Listener(turn);
  const cursor = reader.outbox.attach(log, undefined);
  cursor.startReading();
  reader.theirs.pause();
  log.append(frame(1, 200_000));
  await settled();
  cursor.push(frame(2));
  reader.outbox.finish(frame(3));
  cursor.push(frame(4));
  reader.theirs.resume();
  await settled();
  assert.deepEqual(runs(reader.bytes), [[1, 200_000], [3, 5]]);
  assert.notEqual(reader.ours.ended, null);
});

Deno.test("who is dropped keeps the rest of a frame that was begun, and nothing of the log", async () => {
  // What is said first, so that a write of 49,152 bytes ends inside a frame, behind one, and inside
  // the first; and how many writes are read before nothing is any more.
  const cases = [
    { first: [40_000, 30_000], read: 0, rest: 20_848 },
    { first: [49_152], read: 0, rest: 0 },
    { first: [150_000], read: 0, rest: 100_848 },
    { first: [150_000], read: 1, rest: 51_696 },
  ];
  for (const { first, read, rest } of cases) {
    const turn = new Turn();
    const log = new RoomLog(turn);
    log.append(frame(9, 100_000)); // the chunk after it has room for more than one frame
    const reader = new Listener(turn);
    const cursor = reader.outbox.attach(log, undefined);
    cursor.startReading();
    if (read === 0) reader.theirs.pause();
    for (const size of [...first, 200_000]) log.append(frame(1, size));
    while (reader.chunks.length < read) await Promise.resolve();
    reader.theirs.pause();
    await settled();
    reader.outbox.finish(frame(2));
    log.append(frame(3, 100));
    assert.equal(cursor.lagBytes, rest);
    reader.theirs.resume();
    await settled();
    assert.deepEqual(runs(reader.bytes), [...first.map((size) => [1, size]), [2, 5]]);
    assert.notEqual(reader.ours.ended, null);
  }
});

Deno.test("hundreds of thousands of one's own small frames leave in order, in full writes", async () => {
  const turn = new Turn();
  const reader = new Listener(turn);
  const COUNT = 300_000;
  for (let i = 0; i < COUNT; i++) reader.outbox.send(frame(i % 251, 13));
  assert.equal(reader.outbox.lagBytes, COUNT * 13);
  while (reader.outbox.lagBytes > 0) await settled();
  await settled();
  assert.equal(reader.chunks.length, Math.ceil(COUNT / Math.floor(49_152 / 13)));
  let at = 0;
  for (const chunk of reader.chunks) {
    for (let i = 0; i < chunk.length; i += 13, at++) assert.ok(chunk[i + 12] === at % 251);
  }
  assert.equal(at, COUNT);
});

type Act =
  | { readonly do: "append"; readonly by: number; readonly size: number }
  | { readonly do: "push"; readonly to: number; readonly size: number }
  | { readonly do: "start" | "stop" | "pause" | "resume"; readonly who: number }
  | { readonly do: "turn" | "settle" };

const READERS = 4;
const who = fc.integer({ min: 0, max: READERS - 1 });
// Some frames are larger than a write, some than a chunk.
const size = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 5, max: 300 }) },
  { weight: 1, arbitrary: fc.integer({ min: 60_000, max: 300_000 }) },
);
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("append" as const), by: who, size }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("push" as const), to: who, size }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("start" as const, "stop" as const, "pause" as const, "resume" as const),
      who,
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("turn" as const, "settle" as const) }) },
);

Deno.test("whatever is appended, pushed, paused and left, each reader gets its sequence", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 60 }), async (acts) => {
      const turn = new Turn();
      const log = new RoomLog(turn);
      const readers = Array.from({ length: READERS }, () => new Listener(turn));
      const cursors: Cursor[] = readers.map((r) => r.outbox.attach(log, undefined));
      // The model: per reader, the ids of the frames that it has to get.
      const expected: number[][] = readers.map(() => []);
      const sizes = new Map<number, number>();
      let id = 0;
      for (const a of acts) {
        if (a.do === "append" || a.do === "push") sizes.set(++id, a.size);
        if (a.do === "append") {
          const start = log.append(frame(id, a.size));
          cursors[a.by]?.skip(start, log.head);
          cursors.forEach((c, i) => {
            if (c.reading && i !== a.by) expected[i]?.push(id);
          });
        } else if (a.do === "push") {
          cursors[a.to]?.push(frame(id, a.size));
          expected[a.to]?.push(id);
        } else if (a.do === "start") cursors[a.who]?.startReading();
        else if (a.do === "stop") cursors[a.who]?.stopReading();
        else if (a.do === "pause") readers[a.who]?.theirs.pause();
        else if (a.do === "resume") readers[a.who]?.theirs.resume();
        else if (a.do === "settle") log.settle();
        else await Promise.resolve();
      }
      for (const r of readers) r.theirs.resume();
      await settled();
      readers.forEach((r, i) => {
        assert.deepEqual(runs(r.bytes), (expected[i] ?? []).map((n) => [n, sizes.get(n)]));
        assert.ok(r.ours.mostInFlight <= 1);
      });
      assert.equal(log.heldBytes, 0);
    }),
    { numRuns: Deno.env.get("SLOW") === "1" ? 2000 : 60 },
  );
});

/** Ids and sizes of the frames. @throws {WireError} if something is left over, or not what {@link frame} makes */
function runs(bytes: readonly number[]): [number, number][] {
  const all = Uint8Array.from(bytes);
  const found: [number, number][] = [];
  const end = scanFrames(all, 0, all.length, all.length, (from, to) => {
    const body = all.subarray(from, to);
    assert.ok(body.every((byte) => byte === body[0]));
    found.push([body[0] ?? 0, to - from + FRAME_HEADER_BYTES]);
  });
  assert.equal(end, all.length);
  return found;
}
