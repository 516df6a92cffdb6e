import assert from "node:assert/strict";
import { OWNERS, TestRoom } from "../support/gate_people.ts";
import { settled } from "../support/memory_link.ts";
import { Story } from "./relay_story.ts";

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
