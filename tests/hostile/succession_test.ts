/** Another admin (PROTOCOL §7.1) over the real driver: hand-over, deputies, claims, and the old admin's return. */
import assert from "node:assert/strict";
import { CLAIM_AHEAD } from "../../src/wire/limits.ts";
import { loadHouse } from "./house.ts";
import { type AdminActor, type MemberActor, World } from "./world.ts";

const house = await loadHouse();

type Anybody = MemberActor | AdminActor;

/** Everybody says something, and everybody else hears it once. */
async function assertConversation(world: World, people: readonly Anybody[], tag: string) {
  for (const person of people) person.say(`${tag} of ${person.name}`);
  for (const person of people) {
    for (const other of people) {
      if (other !== person) await person.hears(`${tag} of ${other.name}`);
    }
  }
  await world.settleAll(...people);
  for (const person of people) {
    const said = person.every("message").filter((e) => e.text.startsWith(`${tag} of `));
    assert.equal(said.length, people.length - 1, `${person.name} heard ${said.length}`);
  }
}

function adminOf(person: Anybody): string | undefined {
  const last = person.events.findLast((e) => e.type === "joined" || e.type === "epoch");
  if (last?.type !== "joined" && last?.type !== "epoch") return undefined;
  return last.members.find((m) => m.admin)?.name;
}

function assertNoWarnings(...people: readonly Anybody[]): void {
  for (const person of people) {
    assert.deepEqual(person.every("warning").map((e) => `${person.name}: ${e.code}`), []);
    assert.deepEqual(person.every("missing").map((e) => `${person.name}: ${e.count}`), []);
  }
}

/** The one that is asked takes the room. */
async function takes(person: Anybody): Promise<void> {
  const asked = await person.sees("ask", (e) => e.ref.startsWith("take-over-"));
  await person.answers(asked.ref, "take");
}

async function room(world: World) {
  const { owl, invite } = await world.founds("owl");
  const fox = await world.joins("fox", invite, [owl]);
  const bat = await world.joins("bat", invite, [owl, fox]);
  return { owl, fox, bat, invite };
}

Deno.test("an admin hands the room to a member, comes in as one, and nobody loses a word", async () => {
  await using world = new World(house);
  const { owl, fox, bat } = await room(world);
  await assertConversation(world, [owl, fox, bat], "before");
  assert.equal(await owl.command("/handover fox"), "ok");
  owl.say("in between");
  await takes(fox);
  for (const person of [owl, fox, bat]) {
    await person.until("fox runs it", () => adminOf(person) === "fox" || undefined, 20_000);
    assert.deepEqual([...person.members.split("+")].sort(), ["bat", "fox", "owl"]);
  }
  for (const person of [fox, bat]) await person.hears("in between");
  await fox.sees("info", (e) => e.text.includes("no invite of before admits anybody"));
  await assertConversation(world, [owl, fox, bat], "after");
  assertNoWarnings(owl, fox, bat);
  assert.equal(owl.safetyCode, bat.safetyCode);
  // It is fox who invites and kicks now; a newcomer sees members whose CERTs name owl.
  assert.equal(await owl.command("/invite"), "not-admin");
  assert.equal(await fox.command("/invite"), "ok");
  const kit = await world.joins("kit", (await fox.sees("invite")).url, [owl, fox, bat]);
  await assertConversation(world, [owl, fox, bat, kit], "with kit");
  assert.equal(await fox.command("/handover bat"), "ok");
  await takes(bat);
  for (const person of [owl, fox, bat, kit]) {
    await person.until("bat runs it", () => adminOf(person) === "bat" || undefined, 20_000);
  }
  assert.equal(await bat.command("/invite"), "ok");
  const elk = await world.joins("elk", (await bat.sees("invite")).url, [owl, fox, bat, kit]);
  await assertConversation(world, [owl, fox, bat, kit, elk], "with elk");
  assertNoWarnings(owl, fox, bat, kit, elk);
});

Deno.test("a newcomer whom no SUCCESSION reaches is not let in by members of another admin, and asks again", async () => {
  await using world = new World(house);
  const { owl, fox, bat } = await room(world);
  await assertConversation(world, [owl, fox, bat], "before");
  assert.equal(await owl.command("/handover fox"), "ok");
  await takes(fox);
  for (const person of [owl, fox, bat]) await person.reaches(4);
  assert.equal(await fox.command("/invite"), "ok");
  world.relay.drop(world.relay.aim("down", "kit", "succession"));
  const kit = await world.knocks("kit", (await fox.sees("invite")).url);
  await kit.sees("warning", (e) => e.code === "bad-commit");
  world.relay.off("drop");
  await world.pass(61_000, owl, fox, bat, kit);
  await kit.sees("joined");
  for (const person of [owl, fox, bat]) await person.reaches(kit.epoch);
  await assertConversation(world, [owl, fox, bat, kit], "with kit");
});

Deno.test("who asks to come in while the room is handed over is asked about by the new admin", async () => {
  await using world = new World(house);
  const { owl, fox, bat, invite } = await room(world);
  assert.equal(await owl.command("/handover fox"), "ok");
  const kit = await world.knocks("kit", invite, { withoutInvite: true });
  await owl.sees("join-request");
  await kit.sees("waiting", (e) => e.reason === "asked");
  await takes(fox);
  // Its first knock may come before fox has everybody's keys.
  await world.pass(21_000, owl, fox, bat, kit);
  for (const person of [fox, bat]) await person.reaches(3 + CLAIM_AHEAD);
  const { request } = await fox.sees("join-request");
  assert.equal(await fox.command(`/admit ${request}`), "ok");
  await kit.sees("joined");
  for (const person of [owl, fox, bat]) await person.reaches(kit.epoch);
  await assertConversation(world, [owl, fox, bat, kit], "with kit");
});

/** Somebody is out of reach for a while, and everybody else lives on. */
async function goesAway(world: World, who: Anybody): Promise<void> {
  world.offline.add(who.name);
  world.relay.cut(who.name);
  await who.sees("disconnected");
}

async function withDeputies(world: World) {
  world.retryMs = Infinity;
  const people = await room(world);
  const { owl, fox, bat } = people;
  assert.equal(await owl.command("/deputy fox"), "ok");
  for (const person of [fox, bat]) await person.reaches(4);
  assert.equal(await owl.command("/deputy bat"), "ok");
  for (const person of [fox, bat]) {
    await person.reaches(5);
    await person.isDeputy();
  }
  await world.settleAll(owl, fox, bat);
  return people;
}

Deno.test("a deputy takes over when the admin has been silent for long, and the admin comes back as a member", async () => {
  await using world = new World(house);
  const { owl, fox, bat } = await withDeputies(world);
  await goesAway(world, owl);
  await world.pass(80_000, fox, bat);
  assert.equal(await fox.command("/claim"), "admin-is-there");
  fox.say("still talking");
  await bat.hears("still talking");
  await world.pass(15_000, fox, bat);
  assert.equal(bat.every("ask").filter((e) => e.ref.startsWith("take-over")).length, 0);
  await takes(fox);
  for (const person of [fox, bat]) {
    await person.until("fox runs it", () => adminOf(person) === "fox" || undefined, 20_000);
    assert.deepEqual([...person.members.split("+")].sort(), ["bat", "fox"]);
    assert.equal(person.every("epoch").at(-1)?.reason, "claim");
  }
  await assertConversation(world, [fox, bat], "without owl");
  // Back out of the tunnel.
  world.offline.delete("owl");
  await world.pass(70_000, fox, bat);
  await owl.until("owl is a member", () => adminOf(owl) === "fox" || undefined, 20_000);
  for (const person of [fox, bat]) await person.reaches(owl.epoch);
  await assertConversation(world, [owl, fox, bat], "together");
  // The others have said something since, in an epoch of which owl has no keys: there they closed this one.
  await owl.hears("still talking");
  assert.deepEqual(owl.every("missing"), []);
  assert.equal(await owl.command("/kick bat"), "not-admin");
  for (const person of [fox, bat]) {
    const codes = new Set(person.every("warning").map((e) => e.code));
    codes.delete("stale-membership");
    assert.deepEqual([...codes], []);
  }
});

Deno.test("a member that was away during a claim asks the new admin, and is let in without a question", async () => {
  await using world = new World(house);
  const { owl, fox, bat, invite } = await withDeputies(world);
  const kit = await world.joins("kit", invite, [owl, fox, bat]);
  await goesAway(world, owl);
  await world.pass(60_000, fox, bat, kit);
  await goesAway(world, kit);
  await world.pass(35_000, fox, bat);
  await takes(fox);
  for (const person of [fox, bat]) {
    await person.until("fox runs it", () => adminOf(person) === "fox" || undefined, 20_000);
  }
  world.offline.delete("kit");
  await world.pass(70_000, fox, bat);
  await kit.until("kit is back", () => adminOf(kit) === "fox" || undefined, 20_000);
  for (const person of [fox, bat]) await person.reaches(kit.epoch);
  await assertConversation(world, [fox, bat, kit], "three again");
  assert.equal(fox.every("join-request").length, 0);
});

Deno.test("the admin leaves, and its deputy is asked at once", async () => {
  await using world = new World(house);
  const { owl, fox, bat } = await withDeputies(world);
  assert.equal(await owl.command("/quit"), "ok");
  await fox.sees("member-left");
  await world.pass(1000, fox, bat);
  await takes(fox);
  for (const person of [fox, bat]) {
    await person.until("fox runs it", () => adminOf(person) === "fox" || undefined, 20_000);
  }
  await assertConversation(world, [fox, bat], "two");
  assert.equal(await fox.command("/invite"), "ok");
  const elk = await world.joins("elk", (await fox.sees("invite")).url, [fox, bat]);
  await assertConversation(world, [fox, bat, elk], "three");
});

/** A deputy takes over from an admin that is out of reach, and goes away in turn. */
async function foxTakesOver(
  world: World,
  people: { owl: AdminActor; fox: MemberActor },
  others: MemberActor[],
) {
  const { owl, fox } = people;
  if (!world.offline.has("owl")) await goesAway(world, owl);
  await world.pass(95_000, fox, ...others);
  await takes(fox);
  for (const person of [fox, ...others]) {
    await person.until("fox runs it", () => adminOf(person) === "fox" || undefined, 20_000);
  }
  await goesAway(world, fox);
}

/** Somebody is in reach of the relay again, and of those who are there. */
async function comesBack(world: World, who: Anybody, others: readonly Anybody[]): Promise<void> {
  const times = who.every("reconnected").length;
  world.offline.delete(who.name);
  await world.pass(15_000, ...others);
  await who.until("back", () => who.every("reconnected").length > times || undefined, 20_000);
}

/** Everybody is there, and one of them runs the room for all. */
async function assertFoxRunsIt(world: World, people: readonly Anybody[]): Promise<void> {
  await world.pass(70_000, ...people);
  for (const person of people) {
    await person.until("fox runs it", () => adminOf(person) === "fox" || undefined, 20_000);
  }
  await world.settleAll(...people);
  const [first] = people;
  for (const person of people) {
    assert.equal(person.epoch, first?.epoch, person.name);
    assert.equal(person.safetyCode, first?.safetyCode, person.name);
  }
  await assertConversation(world, people, "one room");
}

Deno.test("an admin that comes back while its successor is away hears of it from the members", async () => {
  await using world = new World(house);
  const { owl, fox, bat } = await withDeputies(world);
  await foxTakesOver(world, { owl, fox }, [bat]);
  await comesBack(world, owl, [bat]);
  await world.pass(3_000, owl, bat);
  await owl.sees("info", (e) => e.text.includes("took over while you were away"));
  assert.equal(owl.every("epoch").at(-1)?.epoch, 5);
  await comesBack(world, fox, [owl, bat]);
  await assertFoxRunsIt(world, [fox, bat, owl]);
});

Deno.test("an admin whose last epoch reached nobody is succeeded from the one before", async () => {
  await using world = new World(house);
  const { owl, fox, bat } = await withDeputies(world);
  world.relay.drop(world.relay.aim("up", "owl"));
  assert.equal(await owl.command("/rekey"), "ok");
  await owl.reaches(6);
  await goesAway(world, owl);
  world.relay.off("drop");
  await foxTakesOver(world, { owl, fox }, [bat]);
  await comesBack(world, owl, [bat]);
  await comesBack(world, fox, [owl, bat]);
  await assertFoxRunsIt(world, [fox, bat, owl]);
  // No two rooms had an epoch of one number.
  assert.ok(fox.every("epoch").every((e) => e.epoch < 6 || e.epoch > 68));
});

Deno.test("an admin that went on beside its successor, with nobody to tell it, comes over with its members", async () => {
  await using world = new World(house);
  const { owl, fox, bat } = await withDeputies(world);
  await goesAway(world, bat);
  await foxTakesOver(world, { owl, fox }, []);
  await comesBack(world, bat, []);
  await comesBack(world, owl, [bat]);
  await world.pass(3_000, owl, bat);
  assert.equal(await owl.command("/rekey"), "ok");
  for (const person of [owl, bat]) await person.reaches(6);
  await assertConversation(world, [owl, bat], "beside it");
  await comesBack(world, fox, [owl, bat]);
  await assertFoxRunsIt(world, [fox, bat, owl]);
  assert.equal(await owl.command("/kick bat"), "not-admin");
});

/** A deputy's changed program says that it takes over, whatever the time. */
function claimsNow(world: World, who: MemberActor, people: readonly Anybody[]): void {
  const payload = who.keys.claim("deputy");
  for (const { name } of people) {
    world.relay.inject(name, {
      kind: "broadcast",
      room: who.keys.room,
      from: who.handle,
      payload,
    });
  }
}

function warnings(person: Anybody): string[] {
  return person.every("warning").map((e) => e.code);
}

Deno.test("a deputy that claims while the admin is there is followed by nobody, and the admin goes on", async () => {
  await using world = new World(house);
  const { owl, fox, bat } = await withDeputies(world);
  claimsNow(world, fox, [owl, bat]);
  await bat.sees("warning", (e) => e.code === "bad-claim");
  await owl.sees("warning", (e) => e.code === "fork");
  await world.pass(3000, owl, fox, bat);
  assert.equal(await owl.command("/rekey"), "ok");
  for (const person of [fox, bat]) await person.reaches(6);
  await assertConversation(world, [owl, fox, bat], "as before");
  assert.equal(adminOf(bat), "owl");
});

Deno.test("who is no deputy any more has a warrant that nobody takes", async () => {
  await using world = new World(house);
  const { owl, fox, bat } = await withDeputies(world);
  const stale = fox.keys.claim("deputy");
  fox.keys.dropClaim();
  assert.equal(await owl.command("/deputy fox off"), "ok");
  for (const person of [fox, bat]) await person.reaches(6);
  await goesAway(world, owl);
  await world.pass(95_000, fox, bat);
  assert.equal(fox.every("ask").filter((e) => e.ref.startsWith("take-over")).length, 0);
  assert.equal(await fox.command("/claim"), "not-deputy");
  // What it signed when it was one, and what it would sign now.
  for (const payload of [stale]) {
    world.relay.inject("bat", {
      kind: "broadcast",
      room: fox.keys.room,
      from: fox.handle,
      payload,
    });
  }
  await bat.sees("warning", (e) => e.code === "bad-claim");
  assert.equal(adminOf(bat), "owl");
  assert.ok(!warnings(bat).includes("fork"));
});

Deno.test("a hand-over that is not taken leaves the room with its admin", async () => {
  await using world = new World(house);
  const { owl, fox, bat } = await room(world);
  assert.equal(await owl.command("/handover fox"), "ok");
  const asked = await fox.sees("ask", (e) => e.ref.startsWith("take-over-"));
  await fox.answers(asked.ref, "wait");
  assert.equal(await owl.command("/handover fox"), "busy");
  await world.pass(61_000, owl, fox, bat);
  assert.equal(await owl.command("/rekey"), "ok");
  for (const person of [fox, bat]) await person.reaches(4);
  // The warrant was for the epoch before.
  assert.equal(await fox.command("/claim"), "not-deputy");
  await assertConversation(world, [owl, fox, bat], "still owl's");
  assert.equal(adminOf(fox), "owl");
});
