/** One connection that does what it may, as hard as it can, and what the others have of it. */
import assert from "node:assert/strict";
import { frameRelayMessage } from "../../src/wire/relay_message.ts";
import { TestRoom } from "../support/gate_people.ts";
import { settled } from "../support/memory_link.ts";
import { Story } from "./relay_story.ts";

Deno.test("the burst that one member may send drops nobody who is about to read", async () => {
  const story = new Story();
  const room = new TestRoom();
  const fox = await story.enter(room, "member");
  const ada = await story.enter(room, "member");
  ada.link.pause();
  // All that the relay takes in without a pause, and more.
  const payload = new Uint8Array(60_000);
  const from = fox.in(room);
  for (let i = 0; i < 400; i++) fox.send({ kind: "broadcast", room: room.id, from, payload });
  await settled();
  assert.ok(story.relayEnds[0]?.paused, "the relay has stopped reading the flooder");
  assert.equal(story.relay.counters.closed["too-slow"], undefined);
  ada.link.resume();
  await settled();
  assert.equal(ada.closing, undefined);
  assert.ok(ada.all("broadcast").length > 30);
});

Deno.test("a piece full of small frames is worked on bit by bit, in order, and others come between", async () => {
  const story: Story = new Story({}, {
    // Looking at the time takes time, as all that the relay does.
    now: () => ({ ms: story.ms += 0.01, unixS: story.unixS }),
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
  await story.pass(2000);
  assert.equal(owl.texts().at(-1), "soon");
});
