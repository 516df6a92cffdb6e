/** What a dishonest admin tries on its members. */
import { ed25519 } from "@noble/curves/ed25519.js";
import { systemRandom } from "../../src/crypto/primitives.ts";
import { generateSigningKey } from "../../src/crypto/session_keys.ts";
import { hash, leaf as leafOf, type RoomId } from "../../src/wire/ids.ts";
import { keyedRoomId } from "../../src/wire/room_id.ts";
import { sha256 } from "../../src/crypto/primitives.ts";
import { type Attack, patch, type Scene, scene } from "./attack.ts";
import { certOf, forgeCommit, sendsCommit } from "./hostile_admin.ts";
import type { AdminActor, MemberActor } from "./world.ts";
import { leafOf as leafNamed, sealAs, sentBy, whispers } from "./hostile_insider.ts";

/** A CERT that the admin makes up, of somebody who never asked, and its place in the roster. */
async function ghostLeaf({ house, owl }: Scene, name: string, room: RoomId = owl.keys.room) {
  const cert = await certOf(house, room, owl.keys.own.identity.publicKey, {
    name,
    identity: await generateSigningKey(),
  });
  return { leaf: leafOf(50), via: "invite" as const, cert };
}

/** Whether a member holds what proves the fork to everybody: checked by other code, with PROTOCOL §1 and §7 alone. */
function provesFork(member: MemberActor, owl: AdminActor): string {
  const warning = member.every("warning").find((e) => e.code === "fork");
  if (warning?.evidence === undefined) return "no evidence";
  const admin = owl.keys.own.identity.publicKey;
  const label = new TextEncoder().encode("stm/1 commit\0");
  const bodies = warning.evidence.map((commit) => {
    const whole = Uint8Array.fromBase64(commit);
    const [body, signature] = [whole.subarray(0, -64), whole.subarray(-64)];
    const signed = new Uint8Array([...label, ...body]);
    return ed25519.verify(signature, signed, admin) ? body.toHex() : "";
  });
  const isProof = warning.identity === admin.toHex() && bodies.length === 2 &&
    !bodies.includes("") &&
    bodies[0] !== bodies[1];
  return isProof ? "proof" : "no proof";
}

/** The admin's rows of the table. */
export const ADMIN_ATTACKS: readonly Attack[] = [
  {
    name: "the admin signs two commits for one epoch, and a member meets both",
    enemy: "admin",
    property: "P9",
    run: scene(["ada", "bob"], async ({ world, house, owl, of }) => {
      const bob = of("bob");
      const [first, second] = [await forgeCommit(house, owl), await forgeCommit(house, owl)];
      sendsCommit(world, owl, bob, first);
      await world.settle(bob);
      sendsCommit(world, owl, bob, second);
      await world.settle(bob);
      return [...bob.told, provesFork(bob, owl), `epoch ${bob.epoch}`];
    }),
    expected: "warning fork; proof; epoch 4",
    patches: [
      patch(
        "src/crypto/member_keys.ts",
        "if (known === true) return;",
        "if (known !== undefined) return;",
      ),
    ],
    bites: "no evidence; epoch 4",
  },
  {
    name: "the admin shows two halves of the room different people under one key",
    enemy: "admin",
    property: "P9",
    run: scene(["ada", "bob"], async (s) => {
      const { world, house, owl, of } = s;
      const [ada, bob] = [of("ada"), of("bob")];
      const secret = systemRandom(32);
      for (const [member, name] of [[ada, "gil"], [bob, "hal"]] as const) {
        const added = [await ghostLeaf(s, name)];
        sendsCommit(world, owl, member, await forgeCommit(house, owl, { secret, added }));
        await world.settle(member);
      }
      bob.mark();
      ada.say("do we see the same?");
      await world.settleAll(ada, bob);
      const codes = ada.safetyCode === bob.safetyCode ? "one code" : "two codes";
      // CLOSE goes the same way as the text.
      return [...new Set(bob.told), `${ada.members}, ${bob.members}`, codes];
    }),
    expected: "warning bad-message; owl+ada+bob+gil, owl+ada+bob+hal; two codes",
    patches: [
      patch(
        "src/crypto/room_keys.ts",
        "new EpochKeys({ room: this.room, epoch, h }, roster",
        "new EpochKeys({ room: this.room, epoch, h: epoch < 4 ? h : new Uint8Array(32) as EpochHash }, roster",
      ),
      patch(
        "src/crypto/epoch_keys.ts",
        "safetyCode(es, rosterHash(roster))",
        "safetyCode(es, new Uint8Array(32) as Hash)",
      ),
    ],
    bites: "ada: do we see the same?; owl+ada+bob+gil, owl+ada+bob+hal; one code",
  },
  {
    name: "the admin forges a member's session key, to write in its name",
    enemy: "admin",
    property: "P4",
    run: scene(["ada", "bob"], async ({ world, house, owl, of }) => {
      const [ada, bob] = [of("ada"), of("bob")];
      const { room, leak, own } = owl.keys;
      const mine = await generateSigningKey();
      const real = await certOf(house, room, own.identity.publicKey, {
        name: "ada",
        identity: await generateSigningKey(),
        session: mine.publicKey,
      });
      // Ada's identity in it, and a signature that is not hers.
      real.set(ada.keys.own.identity.publicKey, 2 + 16 + 32 + 32);
      const removed = [{
        leaf: leafNamed(owl.keys, "ada"),
        reason: "replaced" as const,
        count: 0,
        hash: hash(new Uint8Array(32)),
        earlier: [],
      }];
      const added = [{ leaf: leafOf(50), via: "invite" as const, cert: real }];
      const secret = systemRandom(32);
      const made = await forgeCommit(house, owl, { added, removed, secret });
      sendsCommit(world, owl, bob, made);
      await world.settle(bob);
      const epoch = { ...leak.last, epoch: made.epoch, h: made.h, roster: made.roster, secret };
      const forged = sealAs(
        house,
        room,
        owl.keys,
        { leaf: leafOf(50), n: 0, epoch },
        "forged",
        mine,
      );
      whispers(world, owl, bob, forged);
      await world.settle(bob);
      return bob.told.filter((t) => !/joined|replaced|missing/.test(t));
    }),
    expected: "warning bad-commit; error bad-commit; bye 7",
    patches: [
      patch(
        "src/crypto/roster.ts",
        'if (!verifyRaw(value.identity, "cert", body, signature)) {',
        "if (false) {",
      ),
    ],
    bites: "ada: forged",
  },
  {
    name: "the admin, who knows every key, writes in a member's name",
    enemy: "admin",
    property: "P4",
    run: scene(["ada", "bob"], async ({ world, house, owl, of }) => {
      const [ada, bob] = [of("ada"), of("bob")];
      const at = { leaf: leafNamed(owl.keys, "ada"), n: sentBy(ada) };
      const signer = owl.keys.own.session.signing;
      whispers(world, owl, bob, sealAs(house, owl.keys.room, owl.keys, at, "forged", signer));
      await world.settle(bob);
      return bob.told;
    }),
    expected: "warning bad-signature",
    patches: [
      patch(
        "src/crypto/epoch_keys.ts",
        "if (!ed25519Verify(from.verifyKey, signed, signature)) {",
        "if (false) {",
      ),
    ],
    bites: "ada: forged",
  },
  {
    name: "the admin puts somebody into this room by a CERT for another room",
    enemy: "admin",
    property: "P9",
    run: scene(["bob"], async (s) => {
      const { world, house, owl, of } = s;
      const other = keyedRoomId(sha256(systemRandom(32)));
      const added = [await ghostLeaf(s, "carol", other)];
      sendsCommit(world, owl, of("bob"), await forgeCommit(house, owl, { added }));
      await world.settle(of("bob"));
      return of("bob").told;
    }),
    expected: "warning bad-commit; error bad-commit; bye 7",
    patches: [
      patch(
        "src/crypto/roster.ts",
        "if (!sameBytes(value.room, room) || !isOfAdmin) {",
        "if (!isOfAdmin) {",
      ),
    ],
    bites: "carol joined",
  },
  {
    name: "the admin confirms one roster and sends another",
    enemy: "admin",
    property: "P9",
    run: scene(["bob"], async (s) => {
      const { world, house, owl, of } = s;
      const added = [await ghostLeaf(s, "ghost")];
      const roster = owl.keys.leak.last.roster;
      sendsCommit(world, owl, of("bob"), await forgeCommit(house, owl, { added, roster }));
      await world.settle(of("bob"));
      return of("bob").told;
    }),
    expected: "warning bad-commit; error bad-commit; bye 7",
    patches: [
      patch(
        "src/crypto/accept_commit.ts",
        "if (!sameSecret(expected, commit.rosterKc)) {",
        "if (false) {",
      ),
    ],
    bites: "ghost joined",
  },
  {
    name: "the admin gives one member another name's owner: two members of one name",
    enemy: "admin",
    property: "P4",
    run: scene(["ada", "bob"], async (s) => {
      const { world, house, owl, of } = s;
      const added = [await ghostLeaf(s, "ADA")];
      sendsCommit(world, owl, of("bob"), await forgeCommit(house, owl, { added }));
      await world.settle(of("bob"));
      return of("bob").told;
    }),
    expected: "warning bad-commit; error bad-commit; bye 7",
    patches: [patch("src/crypto/roster.ts", "if (names.size < roster.length) {", "if (false) {")],
    bites: "ADA joined",
  },
  {
    name: "the admin leaves out an epoch",
    enemy: "admin",
    property: "P5",
    run: scene(["bob"], async ({ world, house, owl, of }) => {
      const epoch = owl.keys.leak.last.epoch + 1;
      sendsCommit(world, owl, of("bob"), await forgeCommit(house, owl, { epoch }));
      await world.settle(of("bob"));
      return [...of("bob").told, `epoch ${of("bob").epoch}`];
    }),
    expected: "warning rollback; epoch 2",
    patches: [
      patch(
        "src/crypto/accept_commit.ts",
        "if (commit.epoch !== here.next) {",
        "if (false) {",
      ),
    ],
    bites: "epoch 4",
  },
  {
    name: "the admin's next commit follows another history than the member's",
    enemy: "admin",
    property: "P5, P9",
    run: scene(["bob"], async ({ world, house, owl, of }) => {
      const h = (await forgeCommit(house, owl)).h;
      sendsCommit(world, owl, of("bob"), await forgeCommit(house, owl, { h }));
      await world.settle(of("bob"));
      return [...of("bob").told, provesFork(of("bob"), owl), `epoch ${of("bob").epoch}`];
    }),
    expected: "warning fork; error fork; bye 7; proof; epoch 2",
    patches: [
      patch(
        "src/crypto/accept_commit.ts",
        "if (!sameBytes(commit.prev, here.h)) {",
        "if (false) {",
      ),
    ],
    bites: "no evidence; epoch 3",
  },
];
