/** One connection that does what it may, as hard as it can, and what the others have of it. */
import assert from "node:assert/strict";
import { frameRelayMessage } from "../../src/wire/relay_message.ts";
import { OWNERS, type Person, TestRoom } from "../support/gate_people.ts";
import { settled } from "../support/memory_link.ts";
import { Story } from "./relay_story.ts";

Deno.test("the burst that one member may send drops nobody who is about to read", async () => {
  const story = new Story({ bytesPerSecond: 64 * 1024 * 1024 });
  const room = new TestRoom();
  const fox = await story.enter(room, "member");
  const ada = await story.enter(room, "member");
  ada.link.pause();
  // All that the relay takes in without a pause, and more: at rates that an operator may set.
  const payload = new Uint8Array(60_000);
  const from = fox.in(room);
  for (let i = 0; i < 400; i++) fox.send({ kind: "broadcast", room: room.id, from, payload });
  await settled();
  assert.ok(story.relayEnds[0]?.paused, "the relay has stopped reading the flooder");
  assert.equal(story.relay.counters.closed["too-slow"], undefined);
  ada.link.resume();
  await settled();
  assert.equal(ada.closing, undefined);
  const { length } = ada.all("broadcast");
  assert.ok(length > 10, `${length}`);
});

Deno.test("a piece full of small frames is worked on bit by bit, in order, and others come between", async () => {
  const story: Story = new Story({}, {
    // Looking at the time takes time, as all that the relay does.
    now: () => ({ ms: story.ms += 0.01, unixS: story.unixS }),
    nowMs: () => story.ms += 0.01,
  });
  const room = new TestRoom();
  const fox = await story.enter(room, "member");
  const ada = await story.enter(room, "member");
  const owl = await story.enter(room, "owner");
  const pings = Array.from(
    { length: 1000 },
    (_, token) => frameRelayMessage({ kind: "ping", token }),
  );
  const piece = new Uint8Array(pings.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const ping of pings) {
    piece.set(ping, at);
    at += ping.length;
  }
  fox.raw(piece);
  ada.say(room, "between");
  await settled();
  assert.deepEqual(owl.texts(), ["between"]);
  const first = fox.all("pong").length;
  assert.ok(first > 0 && first < 500, `${first} of 1000 at once`);
  await story.pass(60_000);
  assert.deepEqual(fox.all("pong").map(({ token }) => token), pings.map((_, i) => i));
});

Deno.test("who has to wait long makes nobody wait who has to wait less", async () => {
  const story = new Story({ bytesPerSecond: 10_000 });
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const fox = await story.enter(room, "member");
  const ada = await story.enter(room, "member");
  fox.say(room, "x".repeat(200_000));
  await settled();
  ada.say(room, "y".repeat(21_000));
  ada.say(room, "soon");
  await story.pass(4000);
  assert.equal(owl.texts().at(-1), "soon");
});

Deno.test("who is over its rate is looked at a few frames at a time, and in order", async () => {
  const story = new Story({ framesPerSecond: 1000 });
  const room = new TestRoom();
  const fox = await story.enter(room, "member");
  const owl = await story.enter(room, "owner");
  const texts = Array.from({ length: 3000 }, (_, i) => `${i}`);
  const from = fox.in(room);
  const frames = texts.map((text) => {
    const payload = new TextEncoder().encode(text);
    return frameRelayMessage({ kind: "broadcast", room: room.id, from, payload });
  });
  fox.raw(Uint8Array.from(frames.flatMap((frame) => [...frame])));
  await settled();
  // What it may send at once, START and ENTER among them.
  let before = owl.texts().length;
  assert.equal(before, 498);
  for (let i = 0; i < 20; i++) {
    await story.pass(10);
    const now = owl.texts().length;
    assert.ok(now - before <= 40, `${now - before} in one turn`);
    before = now;
  }
  assert.ok(before >= 600, `${before} in a fifth of a second`);
  await story.pass(60_000);
  assert.deepEqual(owl.texts(), texts);
});

Deno.test("what goes to many counts for many, and an owner may send eight times as much", async () => {
  const story = new Story({ bytesPerSecond: 100_000 });
  const [large, small] = [new TestRoom(), new TestRoom()];
  const listener = await story.enter(large, "member");
  for (let i = 0; i < 29; i++) await story.enter(large, "member");
  const fox = await story.enter(large, "member");
  const owl = await story.enter(large, "owner");
  const hen = await story.enter(small, "member");
  const cat = await story.enter(small, "member");
  // Until each may send at once what its rate allows, two seconds of it.
  await story.pass(10_000);
  let speakers = 0;
  /** Bytes that are passed on in a second, after what may be sent at once. */
  const heardOf = async (speaker: Person, room: TestRoom, hearer: Person): Promise<number> => {
    const text = `${speakers++}`.repeat(1000);
    const heard = () => hearer.texts().filter((t) => t === text).length;
    for (let i = 0; i < 400; i++) speaker.say(room, text);
    await settled();
    const before = heard();
    for (let i = 0; i < 100; i++) await story.pass(10);
    return (heard() - before) * 1000;
  };
  const near = (bytes: number, wanted: number) =>
    assert.ok(Math.abs(bytes / wanted - 1) < 0.2, `${bytes}, not ${wanted}`);
  near(await heardOf(hen, small, cat), 100_000);
  // 32 are there, which is four times eight.
  near(await heardOf(fox, large, listener), 100_000 / 4);
  near(await heardOf(owl, large, listener), 100_000 / 4 * 8);
});

Deno.test("what goes to many owners counts for many too", async () => {
  const story = new Story({ bytesPerSecond: 100_000 });
  const room = new TestRoom();
  const fox = await story.enter(room, "member");
  const owl = await story.enter(room, "owner");
  for (let i = 0; i < 31; i++) await story.enter(room, "owner");
  await story.pass(10_000);
  const text = "x".repeat(1000);
  const heard = () => owl.texts().filter((t) => t === text).length;
  for (let i = 0; i < 400; i++) fox.whisper(room, OWNERS, text);
  await settled();
  const before = heard();
  for (let i = 0; i < 100; i++) await story.pass(10);
  const bytes = (heard() - before) * 1000;
  assert.ok(Math.abs(bytes / (100_000 / 4) - 1) < 0.2, `${bytes}`);
});

Deno.test("of large frames a member may send fewer bytes than of small ones, less so to few, and an owner as many", async () => {
  const story = new Story({ bytesPerSecond: 100_000 });
  const [room, small] = [new TestRoom(), new TestRoom()];
  const fox = await story.enter(room, "member");
  const cat = await story.enter(room, "member");
  const owl = await story.enter(room, "owner");
  for (let i = 0; i < 5; i++) await story.enter(room, "member");
  const hen = await story.enter(small, "member");
  const emu = await story.enter(small, "member");
  /** Bytes that are passed on in ten seconds, after what may be sent at once. */
  const heardOf = async (speaker: Person, room: TestRoom, hearer: Person): Promise<number> => {
    await story.pass(10_000);
    const size = 65_000;
    const text = "x".repeat(size);
    const heard = () => hearer.texts().filter((t) => t === text).length;
    for (let i = 0; i < 12_000_000 / size; i++) speaker.say(room, text);
    await settled();
    const before = heard();
    for (let i = 0; i < 1000; i++) await story.pass(10);
    return (heard() - before) * size;
  };
  const near = (bytes: number, wanted: number) =>
    assert.ok(Math.abs(bytes / wanted - 1) < 0.2, `${bytes}, not ${wanted}`);
  near(await heardOf(owl, room, cat), 10 * 800_000);
  near(await heardOf(fox, room, owl), 10 * 100_000 / 5);
  near(await heardOf(hen, small, emu), 10 * 100_000 / 2);
});

Deno.test("how long a frame holds a member back grows with the square of its size", async () => {
  const story = new Story({ bytesPerSecond: 2_000_000 });
  const room = new TestRoom();
  const fox = await story.enter(room, "member");
  const hearer = await story.enter(room, "member");
  for (let i = 0; i < 7; i++) await story.enter(room, "member");
  const pauseAfter = async (size: number): Promise<number> => {
    await story.pass(10_000);
    const text = "x".repeat(size);
    const heard = () => hearer.texts().filter((t) => t === text).length;
    for (let i = 0; i < 2; i++) fox.say(room, text);
    const waitFor = async (count: number): Promise<number> => {
      const before = story.ms;
      while (heard() < count && story.ms - before < 30_000) await story.pass(100);
      return story.ms - before;
    };
    await waitFor(1);
    return await waitFor(2);
  };
  const [one, two] = [await pauseAfter(300_000), await pauseAfter(600_000)];
  assert.ok(one > 1_000 && Math.abs(two / one / 4 - 1) < 0.2, `${one} ms, ${two} ms`);
});

Deno.test("many who are over their rates are looked at by turns, none for long and none never", async () => {
  const PESTS = 20;
  const story: Story = new Story({ framesPerSecond: 100 }, {
    // Looking at the time takes time, as all that the relay does.
    now: () => ({ ms: story.ms += 0.01, unixS: story.unixS }),
    nowMs: () => story.ms += 0.01,
  });
  const room = new TestRoom();
  const pests: Person[] = [];
  for (let i = 0; i < PESTS; i++) pests.push(await story.enter(room, "member"));
  const pings = Array.from(
    { length: 1000 },
    (_, token) => [...frameRelayMessage({ kind: "ping", token })],
  );
  const pongs = () => pests.map((pest) => pest.all("pong").length);
  const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
  for (const pest of pests) pest.raw(Uint8Array.from(pings.flat()));
  await settled();
  let before = pongs();
  for (let i = 0; i < 200; i++) {
    await story.pass(5);
    const now = pongs();
    assert.ok(sum(now) - sum(before) <= 200, `${sum(now) - sum(before)} in one turn`);
    before = now;
  }
  for (let i = 0; i < 30; i++) await story.pass(1000);
  assert.ok(pongs().every((count) => count > 250), `${pongs()}`);
});
