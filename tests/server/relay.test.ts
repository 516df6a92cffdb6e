import assert from "node:assert/strict";
import fc from "fast-check";
import { Allowance, sourceRates } from "../../src/server/allowance.ts";
import { CLOSING_MS, TALK_MS } from "../../src/server/relay.ts";
import { DEFAULT_RELAY_LIMITS } from "../../src/server/relay_limits.ts";
import { encodeFrame } from "../../src/wire/frame.ts";
import { handle, ticketEpoch } from "../../src/wire/ids.ts";
import {
  DEAD_AFTER_MS,
  MAX_FRAME_BYTES,
  MAX_GUEST_FRAME_BYTES,
  PING_AFTER_MS,
  TICKET_GRACE_MS,
} from "../../src/wire/limits.ts";
import { frameRelayMessage } from "../../src/wire/relay_message.ts";
import { OWNERS, type Person, TestRoom, utf8 } from "../support/gate_people.ts";
import { settled } from "../support/memory_link.ts";
import { Story } from "./relay_story.ts";

/** Frames of several broadcasts, glued. */
function glued(room: TestRoom, from: Person, texts: readonly string[]): Uint8Array<ArrayBuffer> {
  const own = from.in(room);
  const frames = texts.map((t) =>
    frameRelayMessage({ kind: "broadcast", room: room.id, from: own, payload: utf8(t) })
  );
  return new Uint8Array(frames.flatMap((f) => [...f]));
}

Deno.test("an owner and two members hear each other, in one order, and nobody itself", async () => {
  const story = new Story();
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const fox = await story.enter(room, "member");
  const hen = await story.enter(room, "member");
  for (let i = 0; i < 20; i++) {
    owl.say(room, `owl ${i}`);
    fox.say(room, `fox ${i}`);
    hen.say(room, `hen ${i}`);
  }
  await settled();
  const not = (who: string) => (text: string) => !text.startsWith(who);
  assert.equal(owl.texts().length, 40);
  assert.deepEqual(owl.texts().filter(not("fox")), fox.texts().filter(not("owl")));
  assert.deepEqual(owl.texts().filter(not("hen")), hen.texts().filter(not("owl")));
  assert.deepEqual(fox.texts().filter(not("hen")), hen.texts().filter(not("fox")));
  assert.deepEqual(owl.texts().filter(not("owl")), owl.texts());
});

Deno.test("a knocker reaches the owners and is heard by nobody else", async () => {
  const story = new Story();
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const fox = await story.enter(room, "member");
  const cat = await story.enter(room, "knocker");
  cat.whisper(room, OWNERS, "knock");
  owl.say(room, "secret");
  await settled();
  owl.whisper(room, cat.in(room), "hello");
  await settled();
  assert.deepEqual(owl.texts(), ["knock"]);
  assert.deepEqual(fox.texts(), ["secret"]);
  assert.deepEqual(cat.texts(), ["hello"]);
});

Deno.test("somebody without a current ticket gets no traffic of the room and disturbs nobody", async () => {
  const story = new Story();
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const fox = await story.enter(room, "member");
  const hen = await story.enter(room, "member");
  const before = owl.got.length;

  const stranger = await story.arrive();
  stranger.enter(room, "member", { ticket: room.ticket(stranger.gate, story.unixS - 1) });
  stranger.enter(room, "member", {
    ticket: new TestRoom().ticket(stranger.gate, story.unixS + 60),
  });
  stranger.enter(room, "member", { ticket: room.ticket(fox.gate, story.unixS + 60) });
  stranger.enter(room, "knocker");
  await settled();
  const own = stranger.in(room);
  // As itself, as a member, and without having entered another room at all.
  for (const from of [own, fox.in(room)]) {
    stranger.send({ kind: "broadcast", room: room.id, from, payload: utf8("noise") });
    stranger.send({
      kind: "direct",
      room: room.id,
      from,
      to: hen.in(room),
      payload: utf8("noise"),
    });
  }
  const elsewhere = new TestRoom();
  stranger.send({ kind: "broadcast", room: elsewhere.id, from: own, payload: utf8("noise") });
  stranger.send({ kind: "evict", room: room.id, handle: fox.in(room), bar: true });
  stranger.send({ kind: "set-min", room: room.id, ticketEpoch: ticketEpoch(9) });
  await settled();
  fox.say(room, "secret");
  fox.whisper(room, hen.in(room), "secret too");
  fox.whisper(room, OWNERS, "secret three");
  await settled();

  assert.deepEqual(stranger.texts(), []);
  assert.deepEqual(stranger.refused, [
    "ticket-expired",
    "bad-credential",
    "bad-credential",
    "not-allowed",
    "not-allowed",
    "not-allowed",
    "not-allowed",
    "not-in-room",
    "not-allowed",
    "not-allowed",
  ]);
  assert.deepEqual(owl.texts(), ["secret", "secret three"]);
  assert.equal(owl.got.length, before + 2);
  assert.deepEqual(hen.texts(), ["secret", "secret too"]);
  assert.equal(stranger.closing, undefined);
});

Deno.test("somebody is talking for a while after what reached somebody, and after nothing else", async () => {
  const story = new Story();
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  owl.say(room, "nobody hears it");
  owl.send({ kind: "ping", token: 1 });
  const fox = await story.enter(room, "member");
  await settled();
  assert.equal(story.relay.isTalking, false);
  fox.say(room, "hello");
  await settled();
  assert.equal(story.relay.isTalking, true);
  await story.pass(TALK_MS - 1);
  assert.equal(story.relay.isTalking, true);
  await story.pass(1);
  assert.equal(story.relay.isTalking, false);
  owl.whisper(room, fox.in(room), "and hello");
  await settled();
  assert.equal(story.relay.isTalking, true);
});

Deno.test("knocks beyond the rate do not reach the owner", async () => {
  const story = new Story();
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const pest = await story.enter(room, "knocker");
  for (let i = 0; i < 100; i++) pest.whisper(room, OWNERS, `knock ${i}`);
  await settled();
  assert.equal(owl.texts().length, 8);
  assert.equal(pest.refused.length, 92);
});

Deno.test("nobody speaks in another's name, not even within a run of its own frames", async () => {
  const story = new Story();
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const fox = await story.enter(room, "member");
  const hen = await story.enter(room, "member");
  const mine = (text: string) => glued(room, fox, [text]);
  const forged = glued(room, hen, ["forged"]);
  fox.raw(new Uint8Array([...mine("a"), ...mine("b"), ...forged, ...mine("c"), ...forged]));
  fox.send({
    kind: "direct",
    room: room.id,
    from: hen.in(room),
    to: owl.in(room),
    payload: utf8("forged"),
  });
  await settled();
  assert.deepEqual(owl.texts(), ["a", "b", "c"]);
  assert.deepEqual(hen.texts(), ["a", "b", "c"]);
  assert.deepEqual(fox.refused, ["not-allowed", "not-allowed", "not-allowed"]);
});

Deno.test("an evicted member hears what came before, GONE, and nothing after; nor is it heard", async () => {
  const story = new Story();
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const fox = await story.enter(room, "member");
  const hen = await story.enter(room, "member");
  const foxHandle = fox.in(room);
  fox.say(room, "hello");
  await settled();
  owl.say(room, "you are removed");
  owl.send({ kind: "evict", room: room.id, handle: foxHandle, bar: true });
  owl.say(room, "secret");
  await settled();
  fox.say(room, "still here?");
  hen.say(room, "secret");
  fox.enter(room, "member");
  await settled();
  assert.deepEqual(fox.texts(), ["you are removed"]);
  assert.deepEqual(fox.all("gone"), [{
    kind: "gone",
    room: room.id,
    handle: foxHandle,
    reason: "evicted",
  }]);
  assert.deepEqual(fox.refused, ["not-in-room", "barred"]);
  assert.equal(fox.closing, undefined);
  assert.deepEqual(hen.texts(), ["hello", "you are removed", "secret"]);
  assert.equal(hen.all("gone").length, 1);
});

Deno.test("a member that does not renew in time hears nothing more", async () => {
  const story = new Story();
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const fox = await story.enter(room, "member");
  const hen = await story.enter(room, "member");
  owl.send({ kind: "set-min", room: room.id, ticketEpoch: ticketEpoch(2) });
  hen.send({ kind: "renew", ticket: room.ticket(hen.gate, story.unixS + 60, 2) });
  await settled();
  owl.say(room, "in the grace");
  await story.pass(TICKET_GRACE_MS);
  owl.say(room, "after it");
  await settled();
  assert.deepEqual(fox.texts(), ["in the grace"]);
  assert.equal(fox.all("gone")[0]?.reason, "ticket-invalid");
  assert.deepEqual(hen.texts(), ["in the grace", "after it"]);
});

Deno.test("who is admitted gets every broadcast after that place, and none before", async () => {
  const story = new Story();
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const cat = await story.enter(room, "knocker");
  const own = cat.in(room);
  owl.say(room, "before");
  owl.whisper(room, own, "welcome");
  owl.send({
    kind: "admit",
    room: room.id,
    handle: own,
    ticket: room.ticket(cat.gate, story.unixS + 60),
  });
  owl.say(room, "commit");
  owl.say(room, "after");
  await settled();
  assert.deepEqual(
    cat.got.slice(2).map((m) => "payload" in m ? new TextDecoder().decode(m.payload) : m.kind),
    ["welcome", "entered", "commit", "after"],
  );
  assert.deepEqual(cat.in(room), own);
  cat.say(room, "thanks");
  await settled();
  assert.deepEqual(owl.texts(), ["thanks"]);
});

Deno.test("a DIRECT keeps its place behind what its receiver was already due", async () => {
  const story = new Story();
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const fox = await story.enter(room, "member");
  fox.link.pause();
  const texts: string[] = [];
  for (let i = 0; i < 50; i++) {
    const text = `${i} ${"x".repeat(3000)}`;
    texts.push(text);
    if (i % 3 === 0) owl.whisper(room, fox.in(room), text);
    else owl.say(room, text);
    if (i % 7 === 0) await settled();
  }
  fox.link.resume();
  await settled();
  assert.deepEqual(fox.texts(), texts);
});

Deno.test("a DIRECT to a handle that is not there is answered by GONE", async () => {
  const story = new Story();
  const room = new TestRoom();
  const fox = await story.enter(room, "member");
  const nobody = handle(new Uint8Array(16).fill(9));
  fox.whisper(room, nobody, "hello?");
  fox.whisper(room, OWNERS, "hello?");
  await settled();
  assert.deepEqual(fox.all("gone").map((m) => m.handle), [nobody, OWNERS]);
});

Deno.test("a connection in two rooms hears each, and what it sends to one stays there", async () => {
  const story = new Story();
  const [a, b] = [new TestRoom(), new TestRoom()];
  const owl = await story.enter(a, "owner");
  const fox = await story.enter(b, "owner");
  const both = await story.enter(a, "member");
  both.enter(b, "member");
  await settled();
  both.link.pause();
  for (let i = 0; i < 200; i++) {
    owl.say(a, `a${i} ${"x".repeat(2000)}`);
    fox.say(b, `b${i} ${"x".repeat(2000)}`);
  }
  // More than they may send at once.
  await story.pass(1000);
  both.link.resume();
  both.say(a, "to a");
  both.say(b, "to b");
  both.whisper(b, OWNERS, "direct to b");
  await settled();
  assert.deepEqual(
    both.texts(a).map((t) => t.split(" ")[0]),
    Array.from({ length: 200 }, (_, i) => `a${i}`),
  );
  assert.deepEqual(
    both.texts(b).map((t) => t.split(" ")[0]),
    Array.from({ length: 200 }, (_, i) => `b${i}`),
  );
  assert.deepEqual(owl.texts(), ["to a"]);
  assert.deepEqual(fox.texts(), ["to b", "direct to b"]);
  assert.ok(story.relayEnds.every((end) => end.mostInFlight <= 1));
});

Deno.test("a malformed frame closes that connection with a reason, and everybody else goes on", async () => {
  const cases: [string, Uint8Array<ArrayBuffer>][] = [
    ["malformed", new Uint8Array([0, 0, 0, 0])],
    ["malformed", encodeFrame(new Uint8Array([0x12, 1, 2]))],
    ["malformed", encodeFrame(new Uint8Array([0x1a, 0, 0, 0, 0, 0, 0, 0, 0, 0]))],
    ["malformed", encodeFrame(new Uint8Array(33).fill(1))],
    ["malformed", encodeFrame(new Uint8Array(49).fill(2))],
    ["malformed", encodeFrame(new Uint8Array([0x10, 0]))],
    ["unsupported", encodeFrame(new Uint8Array([0x80]))],
    ["too-large", new Uint8Array([0, 0x10, 0, 1])],
    ["too-large", new Uint8Array([0xff, 0xff, 0xff, 0xff])],
  ];
  const story = new Story();
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const hen = await story.enter(room, "member");
  for (const [code, bytes] of cases) {
    const fox = await story.enter(room, "member");
    const own = fox.in(room);
    // What came before it in the same piece counts; what comes after it does not.
    fox.raw(new Uint8Array([...glued(room, fox, ["x"]), ...bytes, ...glued(room, fox, ["y"])]));
    await settled();
    assert.equal(fox.closing, code, bytes.toHex());
    assert.equal(fox.got.at(-1)?.kind, "closing");
    assert.equal(fox.ended, true);
    assert.deepEqual(hen.all("gone").at(-1)?.handle, own);
  }
  owl.say(room, "still here");
  await settled();
  assert.deepEqual(hen.texts(), [...cases.map(() => "x"), "still here"]);
  assert.equal(story.relay.counters.connections, 2);
});

Deno.test("a length over the limit is refused when its last byte has come, however it comes", async () => {
  const story = new Story();
  const fox = await story.arrive();
  for (const byte of [0, 0, 0x40]) fox.raw(new Uint8Array([byte]));
  await settled();
  assert.equal(fox.closing, undefined);
  fox.raw(new Uint8Array([1]));
  await settled();
  assert.equal(fox.closing, "too-large");
});

Deno.test("unknown types below 0x80 are passed over", async () => {
  const story = new Story();
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const fox = await story.enter(room, "member");
  fox.raw(encodeFrame(new Uint8Array([0x75, 1, 2, 3])));
  fox.say(room, "hello");
  await settled();
  assert.deepEqual(owl.texts(), ["hello"]);
  assert.equal(story.relay.counters.unknownFrames, 1);
});

Deno.test("a guest's frames are small, a member's may be as large as a frame", async () => {
  const story = new Story();
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const knocker = await story.enter(room, "knocker");
  const fits = "x".repeat(MAX_GUEST_FRAME_BYTES - 49);
  knocker.whisper(room, OWNERS, fits);
  await settled();
  assert.deepEqual(owl.texts(), [fits]);
  knocker.whisper(room, OWNERS, `${fits}x`);
  await settled();
  assert.equal(knocker.closing, "too-large");

  // A member of a room of its own is no less a stranger here.
  const elsewhere = new TestRoom();
  const sly = await story.enter(elsewhere, "owner");
  sly.enter(room, "knocker");
  await settled();
  sly.whisper(room, OWNERS, `${fits}x`);
  await settled();
  assert.deepEqual(sly.refused, ["not-allowed"]);
  assert.deepEqual(owl.texts(), [fits]);

  const newcomer = await story.arrive();
  newcomer.raw(new Uint8Array([0, 0, 0x40, 1]));
  await settled();
  assert.equal(newcomer.closing, "too-large");

  const fox = await story.enter(room, "member");
  const large = "y".repeat(MAX_FRAME_BYTES - 33);
  fox.say(room, large);
  // More than it may send at once.
  await story.pass(10_000);
  assert.deepEqual(owl.texts(), [fits, large]);
});

Deno.test("bytes arrive in any pieces and mean the same", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1, maxLength: 8 }),
      async (sizes, cuts) => {
        const story = new Story();
        const room = new TestRoom();
        const owl = await story.enter(room, "owner");
        const fox = await story.enter(room, "member");
        const texts = sizes.map((n, i) => `${i} ${"x".repeat(n)}`);
        const bytes = glued(room, fox, texts);
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const end = at + (cuts[i % cuts.length] ?? 1);
          fox.raw(bytes.slice(at, end));
          at = end;
        }
        await settled();
        await settled();
        assert.deepEqual(owl.texts(), texts);
      },
    ),
    { numRuns: 15 },
  );
});

Deno.test("byte by byte, a whole visit goes as it goes in one piece", async () => {
  const story = new Story();
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const fox = await story.enter(room, "member");
  for (const byte of glued(room, fox, ["one", "two"])) fox.raw(new Uint8Array([byte]));
  const ping = frameRelayMessage({ kind: "ping", token: 5 });
  for (const byte of ping) fox.raw(new Uint8Array([byte]));
  await settled();
  await settled();
  assert.deepEqual(owl.texts(), ["one", "two"]);
  assert.deepEqual(fox.all("pong"), [{ kind: "pong", token: 5 }]);
});

Deno.test("a slow reader is dropped with a reason, its memory freed, and nobody else notices", async () => {
  const story = new Story({ maxLagBytes: 300_000, bytesPerSecond: 0 });
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const slow = await story.enter(room, "member");
  const hen = await story.enter(room, "member");
  const slowHandle = slow.in(room);
  slow.link.pause();
  const texts = Array.from({ length: 60 }, (_, i) => `${i} ${"x".repeat(20_000)}`);
  for (const text of texts) {
    owl.say(room, text);
    await settled();
  }
  assert.deepEqual(hen.texts(), texts);
  assert.deepEqual(hen.all("gone").map((m) => m.handle), [slowHandle]);
  assert.deepEqual(story.relay.counters.closed, { "too-slow": 1 });
  // It never reads: the socket is destroyed all the same.
  await story.pass(CLOSING_MS);
  assert.equal(slow.ended, true);
  assert.equal(story.relay.counters.connections, 2);
});

Deno.test("who does not read in many rooms is dropped for what waits in all of them", async () => {
  const story = new Story({ maxLagBytes: 300_000, bytesPerSecond: 0 });
  const rooms = Array.from({ length: 4 }, () => new TestRoom());
  const slow = await story.enter(rooms[0] ?? new TestRoom(), "member");
  for (const room of rooms.slice(1)) {
    slow.enter(room, "member", { ticket: room.ticket(slow.gate, story.unixS + 3600) });
  }
  await settled();
  const owls = [];
  for (const room of rooms) owls.push([await story.enter(room, "owner"), room] as const);
  slow.link.pause();
  for (const [owl, room] of owls) {
    for (let i = 0; i < 10; i++) owl.say(room, "x".repeat(20_000));
    await settled();
  }
  assert.deepEqual(story.relay.counters.closed, {});
  await story.pass(1000);
  assert.deepEqual(story.relay.counters.closed, { "too-slow": 1 });
  assert.equal(story.relay.counters.connections, 5);
});

/** Rooms of an owner, one that reads and one that does not; of each is said so many times 20,000 bytes. */
async function slowRooms(story: Story, times: readonly number[]): Promise<Person[]> {
  const slows = [];
  for (const count of times) {
    const room = new TestRoom();
    const owl = await story.enter(room, "owner");
    await story.enter(room, "member");
    const slow = await story.enter(room, "member");
    slow.link.pause();
    for (let i = 0; i < count; i++) {
      owl.say(room, "x".repeat(20_000));
      await settled();
    }
    slows.push(slow);
  }
  return slows;
}

Deno.test("of what waits in all rooms together the largest part goes, and nobody else notices", async () => {
  const limits = { maxLagBytes: 1_000_000, bytesPerSecond: 0 };
  const story = new Story({ ...limits, maxHeldBytes: 1_400_000 });
  const slows = await slowRooms(story, [5, 40, 30, 5]);
  await story.pass(1000);
  const held = story.relay.counters.heldBytes;
  assert.ok(held > 1_400_000 && held < 1_700_000, `${held}`);
  assert.deepEqual(story.relay.counters.closed, { "too-slow": 1 });
  await story.pass(CLOSING_MS);
  assert.deepEqual(slows.map(({ ended }) => ended), [false, true, false, false]);
  assert.ok(story.relay.counters.heldBytes < 900_000);
  assert.equal(story.relay.counters.connections, 11);

  const roomy = new Story(limits);
  await slowRooms(roomy, [5, 40, 30, 5]);
  await roomy.pass(1000);
  assert.deepEqual(roomy.relay.counters.closed, {});
});

Deno.test("what waits for one alone is counted too, and in a room who lacks least of it stays", async () => {
  const story = new Story({ maxLagBytes: 1_000_000, bytesPerSecond: 0, maxHeldBytes: 1_000_000 });
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const slow = await story.enter(room, "member");
  const late = await story.enter(room, "member");
  slow.link.pause();
  for (let i = 0; i < 30; i++) {
    if (i === 20) late.link.pause();
    owl.say(room, "x".repeat(20_000));
    await settled();
  }
  await story.pass(1000);
  assert.deepEqual(story.relay.counters.closed, {});
  // The same bytes wait for both, so only what is new counts.
  const told = await story.enter(room, "member");
  const to = told.in(room);
  told.link.pause();
  for (let i = 0; i < 25; i++) {
    owl.whisper(room, to, "x".repeat(20_000));
    await settled();
  }
  await story.pass(1000);
  assert.deepEqual(story.relay.counters.closed, { "too-slow": 1 });
  await story.pass(CLOSING_MS);
  assert.deepEqual([slow, late, told].map(({ ended }) => ended), [true, false, false]);
  story.relay.adopt({ ...DEFAULT_RELAY_LIMITS, maxHeldBytes: 400_000 });
  await story.pass(1000);
  assert.deepEqual(story.relay.counters.closed, { "too-slow": 2 });
  await story.pass(CLOSING_MS);
  assert.deepEqual([late, told].map(({ ended }) => ended), [false, true]);
});

Deno.test("a slow reader that wakes up reads CLOSING behind whole frames", async () => {
  const story = new Story({ maxLagBytes: 300_000, bytesPerSecond: 0 });
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const slow = await story.enter(room, "member");
  slow.link.pause();
  for (let i = 0; i < 40; i++) {
    owl.say(room, "x".repeat(20_000));
    await settled();
  }
  slow.link.resume();
  await settled();
  assert.equal(slow.closing, "too-slow");
  assert.equal(slow.got.at(-1)?.kind, "closing");
  assert.ok(story.relayEnds.every((end) => end.mostInFlight <= 1));
});

Deno.test("direct frames to somebody who does not read are bounded too", async () => {
  const story = new Story({ maxLagBytes: 300_000, bytesPerSecond: 0 });
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const slow = await story.enter(room, "member");
  const to = slow.in(room);
  slow.link.pause();
  for (let i = 0; i < 40; i++) {
    owl.whisper(room, to, "x".repeat(20_000));
    await settled();
  }
  assert.deepEqual(story.relay.counters.closed, { "too-slow": 1 });
  assert.ok(owl.all("gone").length > 0);
});

Deno.test("who sends more than its rate is read more slowly, and alone", async () => {
  const story = new Story({ bytesPerSecond: 10_000 });
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const fox = await story.enter(room, "member");
  const texts = Array.from({ length: 10 }, (_, i) => `${i} ${"x".repeat(5_000)}`);
  for (const text of texts) fox.say(room, text);
  await settled();
  const atOnce = owl.texts().length;
  // Two seconds of it, and the little that is always looked at.
  assert.ok(atOnce >= 3 && atOnce < 6, `${atOnce}`);
  owl.say(room, "not held back");
  await settled();
  await story.pass(1000);
  assert.ok(owl.texts().length < 9);
  await story.pass(5000);
  assert.deepEqual(owl.texts(), texts);
  assert.deepEqual(fox.texts(), ["not held back"]);
});

Deno.test("who is refused over and over is no longer answered, and ended at last", async () => {
  const story = new Story({ framesPerSecond: 0, bytesPerSecond: 0 });
  const room = new TestRoom();
  await story.enter(room, "owner");
  const pest = await story.enter(room, "knocker");
  const one = glued(room, pest, ["x"]);
  const many = new Uint8Array(one.length * 1000);
  for (let i = 0; i < 1000; i++) many.set(one, i * one.length);
  for (let i = 0; i < 19; i++) pest.raw(many);
  await settled();
  assert.equal(pest.refused.length, 256);
  assert.equal(pest.closing, undefined);
  for (let i = 0; i < 2; i++) pest.raw(many);
  await settled();
  assert.equal(pest.closing, "flood");
});

Deno.test("silence is met by PING, and then by the end", async () => {
  const story = new Story();
  const room = new TestRoom();
  const fox = await story.enter(room, "member");
  const hen = await story.enter(room, "member");
  await story.pass(PING_AFTER_MS - 1000);
  assert.equal(fox.all("ping").length, 0);
  await story.pass(1000);
  assert.equal(fox.all("ping").length, 1);
  hen.send({ kind: "pong", token: hen.all("ping")[0]?.token ?? 0 });
  await story.pass(DEAD_AFTER_MS - PING_AFTER_MS);
  assert.equal(fox.closing, "idle");
  assert.equal(fox.all("ping").length, 1);
  assert.equal(hen.closing, undefined);
});

Deno.test("who never says START, or stays out of every room, is sent away", async () => {
  const story = new Story({ handshakeMs: 5000, idleMs: 30_000 });
  const silent = story.connectRaw();
  let ended = false;
  silent.start({ onData: () => {}, onEnd: () => ended = true });
  const idler = await story.arrive();
  const room = new TestRoom();
  const fox = await story.enter(room, "member");
  await story.pass(5000);
  assert.equal(ended, true);
  assert.equal(idler.closing, undefined);
  await story.pass(25_000);
  assert.equal(idler.closing, "idle");
  assert.equal(fox.closing, undefined);
});

Deno.test("a login may take longer than the first message, and not for ever", async () => {
  const login = {
    access: "account" as const,
    take: () => Promise.reject(new Error("unasked")),
    mayStay: () => true,
  };
  const story = new Story({ handshakeMs: 5000, loginMs: 20_000, idleMs: 30_000 }, { login });
  const silent = story.connectRaw();
  let ended = false;
  silent.start({ onData: () => {}, onEnd: () => ended = true });
  const slow = await story.arrive();
  await story.pass(5000);
  assert.deepEqual([ended, slow.closing], [true, undefined]);
  await story.pass(14_000);
  assert.equal(slow.closing, undefined);
  await story.pass(1000);
  assert.equal(slow.closing, "login-required");
});

Deno.test("connections are bounded, and a place that is left is free again", async () => {
  const story = new Story({ maxConnections: 2 });
  const one = await story.arrive();
  await story.arrive();
  const third = story.connectRaw();
  await settled();
  assert.notEqual(third.ended, null);
  one.link.close();
  await settled();
  const fourth = await story.arrive();
  assert.notEqual(fourth.nonce, null);
});

Deno.test("shutting down tells everybody, waits for who reads, and not for who does not", async () => {
  const story = new Story();
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const fox = await story.enter(room, "member");
  const stuck = await story.enter(room, "member");
  stuck.link.pause();
  owl.say(room, "last");
  await settled();
  let down = false;
  const done = story.relay.shutDown().then(() => down = true);
  await settled();
  assert.deepEqual(fox.texts(), ["last"]);
  assert.equal(fox.closing, "shutting-down");
  assert.equal(owl.closing, "shutting-down");
  assert.equal(down, false);
  await story.pass(CLOSING_MS);
  await done;
  assert.equal(story.relay.counters.connections, 0);
  assert.equal(story.relay.counters.rooms, 0);
});

Deno.test("shutting down first writes all that is due, also to who reads slowly, and tells of nobody's going", async () => {
  const story = new Story();
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const fox = await story.enter(room, "member");
  fox.link.pause();
  const texts = Array.from({ length: 200 }, (_, i) => `${i} ${"x".repeat(1000)}`);
  for (const text of texts) owl.say(room, text);
  owl.whisper(room, fox.in(room), "and this");
  await settled();
  const done = story.relay.shutDown();
  await settled();
  fox.link.resume();
  await settled();
  await done;
  assert.deepEqual(fox.texts(), [...texts, "and this"]);
  assert.equal(fox.closing, "shutting-down");
  assert.equal(owl.closing, "shutting-down");
  assert.deepEqual([...owl.all("gone"), ...fox.all("gone")], []);
});

Deno.test("connections of one source share its joins, knocks and bytes; others have their own", async () => {
  const limits = { ...DEFAULT_RELAY_LIMITS, sourceJoins: 1, sourceKnocks: 1, sourceBytes: 20_000 };
  const flood = new Allowance(sourceRates(limits), 0);
  const quiet = new Allowance(sourceRates(limits), 0);
  let source = quiet;
  const story = new Story(limits, { allowanceOf: () => source });
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const fox = await story.enter(room, "member");
  const hen = await story.enter(room, "member");
  source = flood;
  const cats: Person[] = [];
  for (let i = 0; i < 20; i++) cats.push(await story.enter(room, "knocker"));
  const late = await story.arrive();
  late.enter(room, "knocker");
  await settled();
  assert.deepEqual(late.refused, ["rate-limited"]);
  for (const cat of cats) {
    for (let i = 0; i < 5; i++) cat.whisper(room, OWNERS, "knock");
  }
  await settled();
  assert.equal(owl.texts().length, 20);
  assert.equal(cats.flatMap((cat) => cat.refused).length, 80);

  // Two of them send what one may: both are held back, and nobody else.
  const [ann, bob] = cats;
  assert.ok(ann !== undefined && bob !== undefined);
  ann.raw(encodeFrame(new Uint8Array(16_000).fill(1, 0, 1)));
  bob.raw(encodeFrame(new Uint8Array(16_000).fill(2, 0, 1)));
  bob.raw(encodeFrame(new Uint8Array(16_000).fill(2, 0, 1)));
  await settled();
  const paused = story.relayEnds.filter((end) => end.paused).length;
  assert.equal(paused, 1);
  hen.say(room, "still here");
  await settled();
  assert.deepEqual(fox.texts(), ["still here"]);
});

Deno.test("limits that are adopted hold for who is there already, and dismissed is who is meant", async () => {
  const story = new Story();
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const fox = await story.enter(room, "member");
  story.relay.adopt({ ...DEFAULT_RELAY_LIMITS, maxMembersPerRoom: 1, maxFrameBytes: 65_536 });
  const hen = await story.enter(room, "member");
  assert.deepEqual(hen.refused, ["room-full"]);
  owl.raw(encodeFrame(new Uint8Array(70_000).fill(1, 0, 1)).slice(0, 4));
  await settled();
  assert.equal(owl.closing, "too-large");
  assert.equal(story.relay.dismiss((address) => address === fox.link.remoteAddress), 2);
  await settled();
  assert.ok(fox.ended && fox.closing === undefined);
});

Deno.test("who leaves and comes back in one breath hears neither twice nor out of order", async () => {
  const story = new Story();
  const room = new TestRoom();
  const owl = await story.enter(room, "owner");
  const fox = await story.enter(room, "member");
  fox.link.pause();
  for (let i = 0; i < 6; i += 2) {
    owl.say(room, `${i}`);
    owl.whisper(room, fox.in(room), `${i + 1}`);
  }
  await settled();
  fox.send({ kind: "leave", room: room.id });
  await settled();
  owl.say(room, "missed");
  await settled();
  fox.enter(room, "member");
  await settled();
  owl.say(room, "back");
  await settled();
  fox.link.resume();
  await settled();
  assert.deepEqual(fox.texts(), ["0", "1", "2", "3", "4", "5", "back"]);
  const kinds = fox.got.map((m) => m.kind);
  assert.equal(kinds.lastIndexOf("entered"), kinds.length - 2);
});
