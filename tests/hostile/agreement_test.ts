/** The badge over an honest relay, and one that loses a single frame (PROTOCOL §9). */
import assert from "node:assert/strict";
import { loadHouse } from "./house.ts";
import { type AdminActor, type MemberActor, World } from "./world.ts";

const NAMES = ["ada", "bob", "cyd", "dan"];

/** The admin and four members, and what each was told of the badge. */
async function five(world: World) {
  const { owl, invite } = await world.founds("owl");
  const people: (AdminActor | MemberActor)[] = [owl];
  for (const name of NAMES) people.push(await world.joins(name, invite, people));
  const badges = () =>
    people.map((actor) => [
      ...new Set(
        actor.every("agreement").filter(({ of }) => of === 5).map((e) => {
          const trouble = [...e.differ, ...e.behind, ...e.silent].map(({ name }) => name);
          return [`${e.agree}/${e.of}`, ...trouble].join(" ");
        }),
      ),
    ]);
  const views = () =>
    world.relay.record.filter((c) => c.direction === "up" && world.relay.look(c).kind === "view");
  return { people, badges, views };
}

Deno.test("five who talk see 5/5 at the first heartbeats, and never ask each other for a view", async () => {
  await using world = new World(await loadHouse());
  const { people, badges, views } = await five(world);
  for (let second = 0; second < 100; second++) {
    // All at once, so that each speaks before it has heard the others.
    for (const actor of people) actor.say(`${actor.name} ${second}`);
    await world.pass(1000, ...people);
    if (second === 31) assert.deepEqual(badges(), people.map(() => ["5/5"]));
  }
  assert.deepEqual(badges(), people.map(() => ["5/5"]));
  assert.equal(views().length, 0);
  for (const actor of people) assert.deepEqual(actor.every("warning"), []);
});

Deno.test("the last words of one who is cut off right then reach all within two heartbeats", async () => {
  await using world = new World(await loadHouse());
  const { people, badges } = await five(world);
  await world.pass(31_000, ...people);
  const [, ada, bob] = people;
  assert.ok(ada !== undefined && bob !== undefined);
  // Bob alone is not given them, and Ada does not speak again.
  const { relay } = world;
  relay.withhold(
    "bob",
    ({ message }) => message.kind === "broadcast" && message.from.toHex() === ada.handle.toHex(),
  );
  ada.say("the last words");
  await world.settleAll(...people);
  relay.drop(relay.aim("up", "ada", "message"));
  const since = world.clock.now();
  while (!bob.hasHeard("the last words")) {
    assert.ok(world.clock.now() - since <= 60_000, "two heartbeats have gone by");
    await world.pass(1000, ...people);
  }
  await world.pass(30_000, ...people);
  // What is still to be said of her is that she is silent.
  assert.deepEqual(badges()[2], ["5/5", "4/5 ada"]);
});
