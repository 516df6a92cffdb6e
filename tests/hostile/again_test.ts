/** The same thing a second time: a frame that the relay doubles, a text that its author seals anew. */
import assert from "node:assert/strict";
import { loadHouse } from "./house.ts";
import { World } from "./world.ts";

Deno.test("a relay that gives every payload twice keeps nobody out of the room", async () => {
  await using world = new World(await loadHouse());
  const { owl, invite } = await world.founds("owl");
  world.relay.replay(({ direction, message }) =>
    direction === "down" && (message.kind === "broadcast" || message.kind === "direct")
  );
  const ada = await world.joins("ada", invite, [owl]);
  await world.settleAll(owl, ada);
  assert.deepEqual(ada.every("bye"), []);
  assert.deepEqual(ada.every("error"), []);
  assert.equal(owl.members, "owl+ada");
});

Deno.test("a request that comes once more between the commit and its WELCOME refuses nobody", async () => {
  await using world = new World(await loadHouse());
  const { relay } = world;
  const { owl, invite } = await world.founds("owl");
  relay.delay(relay.aim("down", "ada", "welcome"));
  const ada = await world.knocks("ada", invite);
  await owl.sees("member-joined");
  assert.equal(relay.rollback("owl", relay.aim("down", "owl", "bundle")), 1);
  await world.settle(owl);
  relay.release();
  await ada.sees("joined");
  await world.settleAll(owl, ada);
  assert.deepEqual(ada.every("error"), []);
  assert.equal(owl.every("info").some((e) => e.text.includes("refused")), false);
});

Deno.test("a text that its author says again, because both came in anew, is shown once", async () => {
  await using world = new World(await loadHouse(), {}, { profiles: true });
  world.retryMs = Infinity;
  const { owl, invite } = await world.founds("owl");
  const ada = await world.joins("ada", invite, [owl]);
  const bob = await world.joins("bob", invite, [owl, ada]);
  await world.settleAll(owl, ada, bob);
  ada.say("hello");
  await bob.hears("hello");
  // The admin begins anew with itself alone: everybody comes in anew, and nobody knows what had arrived.
  world.offline.add("owl");
  world.relay.cut("owl");
  await owl.leaves();
  world.offline.delete("owl");
  const again = await world.startsAgain("owl");
  assert.ok(again !== null);
  await again.until(
    "both",
    () => ["ada", "bob"].every((name) => again.members.includes(name)) || undefined,
  );
  await again.hears("hello");
  await world.settleAll(again, ada, bob);
  assert.deepEqual(bob.textsOf("ada"), ["hello"]);
});
