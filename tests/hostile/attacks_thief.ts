/** What a thief tries who has copied a device's memory while that was away (P7). */
import { tagOf, wrapContext } from "../../src/crypto/wrap.ts";
import { identityKey, type KemKey, sameBytes } from "../../src/wire/ids.ts";
import { type Attack, patch, type Scene, scene } from "./attack.ts";
import type { MemberActor } from "./world.ts";

/** The ML-KEM keys that a member has named so far: whoever copies its memory may have all their secrets. */
function namedKeys({ world: { relay } }: Scene, { name }: MemberActor): KemKey[] {
  const sent = relay.record.filter(relay.aim("up", name, "kem-update"));
  return sent.flatMap((c) => {
    const seen = relay.look(c);
    return seen.kind === "kem-update" ? [seen.content.value.kemKey] : [];
  });
}

/** Whether a wrap of the newest commit is for one of those keys of that member. */
function opensNewest(
  { world: { relay }, owl }: Scene,
  member: MemberActor,
  keys: readonly KemKey[],
): boolean {
  const seen = relay.record.filter(relay.aim("up", owl.name, "commit")).map((c) => relay.look(c));
  const commit = seen.at(-1);
  if (commit?.kind !== "commit") throw new RangeError("there was no commit");
  const { room, epoch, wraps } = commit.content.value;
  const admin = identityKey(owl.keys.own.identity.publicKey);
  const { roster, myLeaf } = member.keys.leak.last;
  const me = roster.find((m) => m.leaf === myLeaf);
  if (me === undefined) throw new RangeError(`${member.name} is not in the room`);
  const tags = keys.map((key) =>
    tagOf(wrapContext({ room, epoch, admin }, {
      identity: me.value.identity,
      certHash: me.certHash,
    }, key))
  );
  return wraps.some(({ tag }) => tags.some((mine) => sameBytes(tag, mine)));
}

/** The rows of the table about copies of devices. */
export const THIEF_ATTACKS: readonly Attack[] = [
  {
    name: "somebody copies a device that is away for less than the grace",
    enemy: "thief",
    property: "P7",
    run: scene(["ada"], async (s) => {
      const { world, owl, invite, of } = s;
      const ada = of("ada");
      world.retryMs = Infinity;
      const bob = await world.joins("bob", invite, [owl, ada]);
      await world.pass(60_000, owl, ada, bob);
      const before = owl.epoch;
      world.offline.add(bob.name);
      world.relay.cut(bob.name);
      await bob.sees("disconnected");
      await world.pass(5_000, owl, ada);
      const stolen = namedKeys(s, bob);
      world.offline.delete(bob.name);
      await world.pass(30_000, owl, ada);
      await bob.sees("reconnected");
      await world.pass(3_000, owl, ada, bob);
      await Promise.all(bob.keys.leak.newKeys);
      await world.pass(12_000, owl, ada, bob);
      for (const person of [owl, ada, bob]) await person.reaches(before + 1);
      const opens = opensNewest(s, bob, stolen);
      return [`${owl.epoch - before} new epoch`, `the thief gets into it: ${opens}`];
    }),
    expected: "1 new epoch; the thief gets into it: false",
    patches: [
      patch(
        "src/session/step.ts",
        "        renewKem(turn, room.id);\n",
        "",
      ),
      patch(
        "src/session/hearing.ts",
        "    renewKem(turn, room.id);\n",
        "",
      ),
    ],
    bites: "1 new epoch; the thief gets into it: true",
  },
];
