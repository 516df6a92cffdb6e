/** An admin whose program is killed, and started again with its profile: what it had not sent, and what it remembers. */
import assert from "node:assert/strict";
import { loadHouse } from "./house.ts";
import { type AdminActor, type MemberActor, World } from "./world.ts";

type Anybody = MemberActor | AdminActor;

async function room(world: World) {
  world.retryMs = Infinity;
  const { owl, invite } = await world.founds("owl");
  const ada = await world.joins("ada", invite, [owl]);
  const bob = await world.joins("bob", invite, [owl, ada]);
  await world.settleAll(owl, ada, bob);
  return { owl, ada, bob };
}

/** It dies between storing an epoch and sending its commit, and is started again. */
async function diesWith(world: World, owl: Anybody, command: string): Promise<MemberActor> {
  const { relay } = world;
  const epoch = owl.epoch + 1;
  relay.drop((c) => c.direction === "up" && c.who === "owl");
  owl.commands(command);
  await owl.reaches(epoch);
  world.offline.add("owl");
  relay.cut("owl");
  await owl.leaves();
  relay.off("drop");
  world.offline.delete("owl");
  const again = await world.startsAgain("owl");
  assert.ok(again !== null);
  return again;
}

function assertCalm(...people: readonly Anybody[]): void {
  for (const person of people) {
    assert.deepEqual(person.every("warning").map((e) => `${person.name}: ${e.code}`), []);
  }
}

async function areAll(admin: Anybody, ...names: readonly string[]): Promise<void> {
  await admin.until(
    names.join("+"),
    () => names.every((name) => admin.members.split("+").includes(name)) || undefined,
    20_000,
  );
}

Deno.test("an admin that dies before its commit is out has everybody back at once, and alarms nobody", async () => {
  await using world = new World(await loadHouse(), {}, { profiles: true });
  const { owl, ada, bob } = await room(world);
  const again = await diesWith(world, owl, "/rekey");
  await areAll(again, "ada", "bob");
  await world.settleAll(again, ada, bob);
  assertCalm(ada, bob);
});

Deno.test("an admin that dies before a kick is out is found by those who know the room secret of before", async () => {
  await using world = new World(await loadHouse(), {}, { profiles: true });
  const { owl, ada, bob } = await room(world);
  const again = await diesWith(world, owl, "/kick bob");
  await areAll(again, "ada");
  await world.settleAll(again, ada, bob);
  assertCalm(ada);
  assert.equal(again.members.includes("bob"), false);
  // The kick holds over the restart: its person is asked.
  assert.deepEqual(again.every("join-request").map(({ name }) => name), ["bob"]);
  ada.say("hello");
  await again.hears("hello");
  assert.deepEqual(bob.textsOf("ada"), []);
});

Deno.test("an old copy of a profile does not come in either when the admin has been started again", async () => {
  await using world = new World(await loadHouse(), {}, { profiles: true });
  const { owl, ada, bob } = await room(world);
  const { identity } = ada.keys.own;
  await ada.leaves();
  const invite = owl.every("invite").at(-1)?.url ?? "";
  world.offline.add("owl");
  world.relay.cut("owl");
  await owl.leaves();
  world.offline.delete("owl");
  const again = await world.startsAgain("owl");
  assert.ok(again !== null);
  await areAll(again, "bob");
  const old = await world.knocks("ada-old", invite, { identity, generation: 1 });
  await old.sees("bye");
  await world.settleAll(again, bob);
  assert.equal(again.members.includes("ada-old"), false);
  assert.ok(again.every("info").some((e) => e.text.includes("was refused")));
});
