/** The same thing a second time: a frame that the relay doubles, a text that its author seals anew. */
import assert from "node:assert/strict";
import { loadHouse } from "./house.ts";
import { World } from "./world.ts";
import { CLAIM_AHEAD } from "../../src/wire/limits.ts";

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

Deno.test("a knock that comes once more after the admission has another WELCOME made, and keeps nobody out", async () => {
  await using world = new World(await loadHouse());
  const { relay } = world;
  const { owl, invite } = await world.founds("owl", { uses: 1 });
  relay.delay(relay.aim("down", "ada", "welcome"));
  const ada = await world.knocks("ada", invite);
  await owl.reaches(2);
  // Greeted anew, it answers with other keys: the WELCOME that is on its way is none for them.
  assert.equal(relay.rollback("owl", relay.aim("down", "owl", "knock")), 1);
  await owl.reaches(3);
  relay.release();
  assert.equal((await ada.sees("joined")).epoch, 3);
  await world.settleAll(owl, ada);
  assert.deepEqual(ada.every("error"), []);
  assert.deepEqual(ada.every("warning"), []);
  assert.equal(owl.members, "owl+ada");
});

Deno.test("who waits for a person's answer is let in also when the admin was away for a moment", async () => {
  await using world = new World(await loadHouse());
  const { relay } = world;
  world.retryMs = Infinity;
  const { owl } = await world.founds("owl", { open: "lobby" });
  const ada = await world.knocksOpen("ada", "lobby");
  await owl.sees("join-request");
  relay.cut("owl");
  await world.pass(30_000, ada);
  await owl.sees("reconnected");
  await owl.until("asked again", () => owl.every("join-request").length > 1 || undefined);
  await world.settleAll(owl, ada);
  await owl.command("/admit ada");
  await ada.sees("joined");
  assert.deepEqual(ada.every("error"), []);
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

Deno.test("what a member was given, given again while it comes in anew, does not break its program", async () => {
  await using world = new World(await loadHouse());
  world.retryMs = Infinity;
  const { relay } = world;
  const { owl, invite } = await world.founds("owl");
  const ada = await world.joins("ada", invite, [owl]);
  const bob = await world.joins("bob", invite, [owl, ada]);
  // A CAUGHT_UP, a GRANT, and KEYS of two.
  relay.cut("ada");
  await ada.sees("disconnected");
  await world.pass(2000, owl, bob);
  await ada.sees("reconnected");
  // Until it has heard of everybody.
  await world.pass(31_000, owl, ada, bob);
  const takes = async (who: typeof ada | typeof owl): Promise<void> => {
    const asked = await who.sees("ask", (e) => e.ref.startsWith("take-over-"));
    await who.answers(asked.ref, "take");
  };
  assert.equal(await owl.command("/handover ada"), "ok");
  await takes(ada);
  for (const person of [owl, ada, bob]) await person.reaches(4);
  await owl.sees("joined", (e) => e.epoch === 3 + CLAIM_AHEAD);
  await world.settleAll(owl, ada, bob);
  // It hands the room back, and waits for a HELLO that does not come.
  assert.equal(await ada.command("/handover owl"), "ok");
  relay.drop(relay.aim("down", "ada", "hello"));
  await takes(owl);
  await ada.sees("info", (e) => e.text.includes("you come in as a member"));
  const given = relay.rollback(
    "ada",
    relay.aim(
      "down",
      "ada",
      "grant",
      "keys",
      "caught-up",
      "kem-ack",
      "commit",
      "wrap",
      "succession",
      "message",
      "denied",
    ),
  );
  assert.ok(given > 10);
  await world.settle(ada);
  assert.deepEqual(ada.every("error"), []);
  assert.deepEqual(ada.every("bye"), []);
});
