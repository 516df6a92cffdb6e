/** Issue 2, "done when" 3: processes that talk through a relay. */
import assert from "node:assert/strict";
import { Stage } from "../support/stm_process.ts";
import { agree, Talk, wholeConversation } from "../support/talk.ts";

Deno.test("an admin and 2 clients read each other exactly once and in order", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const { owl, invite } = await stage.admin(relay, ["--uses", "2"]);
  const people = [owl, stage.client(invite, "fox"), stage.client(invite, "bat")];
  await agree(people);
  const talk = new Talk();
  for (let i = 0; i < 20; i++) for (const person of people) talk.say(person);
  assert.equal(await talk.check(people), 3 * 20 * 2);
  for (const person of people.reverse()) {
    assert.equal((await person.command("/quit")).type, "ok");
    assert.equal(await person.exit, 0);
  }
});

Deno.test("nothing is lost or doubled while the key changes, somebody is kicked and somebody leaves", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const { owl, invite } = await stage.admin(relay, ["--uses", "3"]);
  const [kit, ant, fox] = ["kit", "ant", "fox"].map((name) => stage.client(invite, name));
  assert.ok(kit && ant && fox);
  console.log(await wholeConversation(owl, [kit, ant, fox]));
  assert.equal(await kit.exit, 6);
  assert.equal(await ant.exit, 0);
  fox.endInput();
  assert.equal(await fox.exit, 0);
  relay.process.signal("SIGTERM");
  assert.equal(await owl.exit, 3);
  assert.equal(await relay.process.exit, 0);
});
