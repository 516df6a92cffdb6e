/** What a dishonest deputy, or somebody who was one, tries on the room (PROTOCOL §7.1). */
import { makeSuccession } from "../../src/crypto/succession.ts";
import { sign } from "../../src/crypto/primitives.ts";
import { encode } from "../../src/wire/codec.ts";
import { identityKey, signature } from "../../src/wire/ids.ts";
import { type Signed, signedOf } from "../../src/wire/signed.ts";
import { type Warrant, WARRANT_BODY, type WarrantPurpose } from "../../src/wire/succession.ts";
import { type Attack, patch, type Scene, scene } from "./attack.ts";
import { broadcasts, sealed } from "./hostile_insider.ts";
import type { AdminActor, MemberActor } from "./world.ts";

/** The warrant that the admin gave a deputy: every member could have seen it pass. */
function warrantOf({ world: { relay } }: Scene, who: MemberActor): Signed<Warrant> {
  const grants = relay.record.filter((c) => c.direction === "down" && c.who === who.name)
    .map((c) => relay.look(c)).flatMap((seen) =>
      seen.kind === "grant" ? [seen.content.value.warrant] : []
    );
  const last = grants.at(-1);
  if (last === undefined) throw new RangeError(`${who.name} has no warrant`);
  return last;
}

/** A warrant in the admin's name, signed by whoever makes it. */
function forgedWarrant(
  { owl }: Scene,
  who: MemberActor,
  purpose: WarrantPurpose,
): Signed<Warrant> {
  const { epoch, h } = who.keys.leak.last;
  const value: Warrant = {
    room: who.keys.room,
    admin: identityKey(owl.keys.own.identity.publicKey),
    successor: identityKey(who.keys.own.identity.publicKey),
    epoch,
    h,
    purpose,
  };
  const body = encode(WARRANT_BODY, value);
  const { privateKey } = who.keys.own.identity;
  return signedOf(WARRANT_BODY, value, signature(sign(privateKey, "transfer", body)));
}

/** Where somebody is. */
function placeOf(who: MemberActor): Pick<Warrant, "epoch" | "h"> {
  const { epoch, h } = who.keys.leak.last;
  return { epoch, h };
}

/** Somebody says to everybody that it takes over from where it is, or was. */
function saysItTakesOver(
  { world, house }: Scene,
  who: MemberActor,
  warrant: Signed<Warrant>,
  { epoch, h } = placeOf(who),
): void {
  const { privateKey } = who.keys.own.identity;
  const succession = makeSuccession(privateKey, warrant, epoch, h);
  broadcasts(world, who, sealed(house, who, "succession", succession));
}

/** What a member told, and whether it gave the enemy its keys. Making them takes it real time. */
async function outcome({ world: { relay } }: Scene, member: MemberActor): Promise<string[]> {
  const givesKeys = relay.aim("up", member.name, "keys");
  const follows = member.keys.leak.followed > 0;
  if (follows && !relay.record.some(givesKeys)) await relay.passed(givesKeys);
  return [...member.told, ...(follows ? ["follows"] : [])];
}

/** The relay keeps the admin from everybody until it counts as gone. */
async function adminFallsSilent({ world, owl, people }: Scene): Promise<void> {
  const isWord = (kind: string): boolean => kind === "broadcast" || kind === "direct";
  world.relay.drop((c) => c.who === owl.name && c.direction === "up" && isWord(c.message.kind));
  await world.pass(95_000, ...people.values());
}

/** The admin is in a tunnel for so long that a deputy may take over, and nobody does. */
async function adminIsAway({ world, owl, people }: Scene): Promise<void> {
  world.offline.add(owl.name);
  world.relay.cut(owl.name);
  await owl.sees("disconnected");
  await world.pass(70_000, ...people.values());
  world.offline.delete(owl.name);
  await world.pass(15_000, ...people.values());
  await owl.sees("reconnected");
  await world.pass(3_000, owl, ...people.values());
}

/** What an admin told, and whether it still is one. */
async function outcomeFor(owl: AdminActor): Promise<string[]> {
  const told = owl.told.filter((line) => line.startsWith("warning"));
  return [...told, `owl is ${await owl.command("/deputy") === "ok" ? "" : "not "}the admin`];
}

/** A deputy that has been one for an epoch, and its warrant. */
async function deputyOf(s: Scene): Promise<{ ada: MemberActor; bob: MemberActor }> {
  const [ada, bob] = [s.of("ada"), s.of("bob")];
  await s.owl.command("/deputy ada");
  await bob.reaches(4);
  await ada.isDeputy();
  await s.world.settleAll(s.owl, ada, bob);
  return { ada, bob };
}

/** What bob makes of it when somebody says to take over. */
async function bobHears(s: Scene, who: MemberActor, warrant: Signed<Warrant>): Promise<string[]> {
  const bob = s.of("bob");
  bob.mark();
  saysItTakesOver(s, who, warrant);
  await s.world.settleAll(...s.people.values());
  return await outcome(s, bob);
}

/** What the admin makes of it when ada does. */
async function adminHears(
  s: Scene,
  warrant: Signed<Warrant>,
  from: ReturnType<typeof placeOf>,
): Promise<string[]> {
  s.owl.mark();
  saysItTakesOver(s, s.of("ada"), warrant, from);
  await s.world.settleAll(s.owl, ...s.people.values());
  return await outcomeFor(s.owl);
}

/** The rows of the table about succession. */
export const SUCCESSION_ATTACKS: readonly Attack[] = [
  {
    name: "who was a deputy claims the silent admin's room with the warrant that it still has",
    enemy: "admin",
    property: "P2",
    run: scene(["ada", "bob"], async (s) => {
      const { ada, bob } = await deputyOf(s);
      const warrant = warrantOf(s, ada);
      await s.owl.command("/deputy ada off");
      for (const person of [ada, bob]) await person.reaches(5);
      await adminFallsSilent(s);
      return await bobHears(s, ada, warrant);
    }),
    expected: "warning bad-claim",
    patches: [
      patch(
        "src/crypto/member_keys.ts",
        'if (warrant.purpose === "deputy" && !this.deputies.includes(member.leaf)) {',
        "if (warrant.epoch < 0) {",
      ),
    ],
    bites: "follows",
  },
  {
    name: "a deputy claims the room of an admin who is there",
    enemy: "admin",
    property: "P2",
    run: scene(["ada", "bob"], async (s) => {
      const { ada } = await deputyOf(s);
      return await bobHears(s, ada, warrantOf(s, ada));
    }),
    expected: "warning bad-claim",
    patches: [
      patch(
        "src/session/succession.ts",
        'if (offer.purpose === "deputy" && !adminIsSilent(room, turn.at)) return;',
        "",
      ),
    ],
    bites: "warning bad-claim; follows",
  },
  {
    name: "a member claims the room with a warrant of its own making",
    enemy: "insider",
    property: "P2",
    run: scene(["ada", "bob"], async (s) => {
      const ada = s.of("ada");
      return await bobHears(s, ada, forgedWarrant(s, ada, "hand-over"));
    }),
    expected: "warning bad-message",
    patches: [
      patch("src/crypto/succession.ts", "!isSignedBy(warrant, value.admin) ||", ""),
    ],
    bites: "follows",
  },
  {
    name: "a deputy says that it takes over in another member's name",
    enemy: "admin",
    property: "P4",
    run: scene(["ada", "bob", "cyd"], async (s) => {
      const { owl, of, world } = s;
      const [ada, bob, cyd] = [of("ada"), of("bob"), of("cyd")];
      await owl.command("/deputy ada");
      for (const person of [ada, bob, cyd]) await person.reaches(5);
      await ada.isDeputy();
      await world.settleAll(owl, ada, bob, cyd);
      const warrant = warrantOf(s, ada);
      await adminFallsSilent(s);
      // It is cyd who sends it: ada's warrant, and a signature that is not ada's.
      return await bobHears(s, cyd, warrant);
    }),
    expected: "warning bad-message",
    patches: [
      patch(
        "src/crypto/succession.ts",
        '!verifyRaw(value.successor, "claim", signed.body, signed.signature)',
        "false",
      ),
    ],
    bites: "follows",
  },
  {
    name: "a deputy tells the admin, who was never away, that it has taken over",
    enemy: "admin",
    property: "P2",
    run: scene(["ada", "bob"], async (s) => {
      const { ada } = await deputyOf(s);
      return await adminHears(s, warrantOf(s, ada), placeOf(ada));
    }),
    expected: "warning fork; owl is the admin",
    patches: [
      patch("src/admin/role.ts", "event.from <= admin.absentIn", "event.from > 0"),
    ],
    bites: "owl is not the admin",
  },
  {
    name: "a deputy that went on with the admin shows the claim that it could have made before",
    enemy: "admin",
    property: "P2",
    run: scene(["ada", "bob"], async (s) => {
      const { ada, bob } = await deputyOf(s);
      const before = placeOf(ada);
      await adminIsAway(s);
      await s.owl.command("/rekey");
      await ada.reaches(5);
      ada.say("here I am");
      await s.owl.hears("here I am");
      await s.world.settleAll(s.owl, ada, bob);
      return await adminHears(s, warrantOf(s, ada), before);
    }, { comesBack: true }),
    expected: "warning fork; owl is the admin",
    patches: [
      patch(
        "src/crypto/admin_keys.ts",
        "const valid = isOurs && wasDeputy && !hasGoneOn;",
        "const valid = isOurs && wasDeputy;",
      ),
    ],
    bites: "owl is not the admin",
  },
  {
    name:
      "who is a deputy no more shows the claim that it could have made while the admin was away",
    enemy: "admin",
    property: "P2",
    run: scene(["ada", "bob"], async (s) => {
      const { ada, bob } = await deputyOf(s);
      const before = placeOf(ada);
      const warrant = warrantOf(s, ada);
      await adminIsAway(s);
      // From here on it says nothing: the admin cannot know that it has gone on.
      const { relay } = s.world;
      relay.drop(relay.aim("up", "ada", "message"));
      await s.owl.command("/deputy ada off");
      await bob.reaches(5);
      await s.world.settleAll(s.owl, ada, bob);
      return await adminHears(s, warrant, before);
    }, { comesBack: true }),
    expected: "warning fork; owl is the admin",
    patches: [
      patch(
        "src/admin/role.ts",
        "const isListed = admin.deputies.includes(event.identity);",
        "const isListed = true;",
      ),
    ],
    bites: "owl is not the admin",
  },
  {
    name: "a deputy shows a claim from an epoch in which it was none",
    enemy: "admin",
    property: "P2",
    run: scene(["ada", "bob"], async (s) => {
      const { ada, bob } = await deputyOf(s);
      const warrant = warrantOf(s, ada);
      await s.owl.command("/deputy ada off");
      for (const person of [ada, bob]) await person.reaches(5);
      await s.world.settleAll(s.owl, ada, bob);
      const before = placeOf(ada);
      const { relay } = s.world;
      relay.drop(relay.aim("up", "ada", "message"));
      await s.owl.command("/deputy ada");
      await bob.reaches(6);
      await adminIsAway(s);
      return await adminHears(s, warrant, before);
    }, { comesBack: true }),
    expected: "warning fork; owl is the admin",
    patches: [
      patch(
        "src/crypto/admin_keys.ts",
        "const valid = isOurs && wasDeputy && !hasGoneOn;",
        "const valid = isOurs && !hasGoneOn;",
      ),
    ],
    bites: "owl is not the admin",
  },
];
