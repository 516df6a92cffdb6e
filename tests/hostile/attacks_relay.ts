/**
 * What a hostile relay tries. Where a row needs the room secret, the relay is in league with somebody who was once
 * invited; in an open room it needs nobody.
 */
import { derive, gcmSeal, hkdf, sha256, systemRandom } from "../../src/crypto/primitives.ts";
import { generateKemKeyPair, kemEncapsulate } from "../../src/crypto/ml_kem.ts";
import { generateSigningKey } from "../../src/crypto/session_keys.ts";
import { bundleKeyInfo } from "../../src/wire/contexts.ts";
import { encode } from "../../src/wire/codec.ts";
import { encodePadded } from "../../src/wire/padding.ts";
import { BUNDLE_INNER } from "../../src/wire/handshake.ts";
import { COMMIT_BODY, ROSTER } from "../../src/wire/commit.ts";
import {
  fromHex,
  gateKey,
  generation,
  handle,
  inviteId,
  joinNonce,
  leaf as leafOf,
  runId,
  wrapBytes,
} from "../../src/wire/ids.ts";
import { welcomeKeyInfo } from "../../src/wire/contexts.ts";
import { decodeSigned } from "../../src/wire/signed.ts";
import { pooledSessionKeys } from "../support/session_pool.ts";
import { type Attack, once, patch, scene } from "./attack.ts";
import { certOf, forgeCommit, sendsCommit } from "./hostile_admin.ts";
import { claims, sealAs, sealed, sentBy } from "./hostile_insider.ts";
import { opensTexts, recordedPayloads } from "./opener.ts";

/** The relay's rows of the table. */
export const RELAY_ATTACKS: readonly Attack[] = [
  {
    name: "swap-bundle: the relay answers for a joiner with a bundle of its own",
    enemy: "relay",
    property: "P3",
    run: scene([], async ({ world, house, owl, invite }) => {
      const { relay } = world;
      const shown = owl.every("invite")[0]?.invite ?? "";
      const [session] = await pooledSessionKeys(1);
      const kem = await generateKemKeyPair();
      // Made when the HELLO has passed, and sent in the place of the joiner's own.
      const greeted = relay.passed((c) => c.who === "eve" && relay.look(c).kind === "hello");
      relay.drop(relay.aim("up", "eve", "bundle"));
      const eve = await world.knocks("eve", invite);
      const hello = relay.look(await greeted);
      if (hello.kind !== "hello" || session === undefined) throw new Error("no HELLO");
      const { na, admin, kemKey } = hello.content.value;
      const ghost = await generateSigningKey();
      const cert = house.makeCert({
        room: owl.keys.room,
        admin,
        na,
        identity: ghost,
        generation: generation(Date.now()),
        sessionPublic: session.signing.publicKey,
        gateKey: gateKey((await generateSigningKey()).publicKey),
        rsaSpki: session.rsaSpki,
        kemKey: kem.publicKey,
        name: "eve",
      });
      const { ciphertext, shared } = await kemEncapsulate(kemKey);
      const inner = encode(BUNDLE_INNER, {
        cert,
        rsaSpki: session.rsaSpki,
        kemKey: kem.publicKey,
        // The id is no secret; what it stands for is.
        inviteId: inviteId(fromHex(shown)),
        mac: systemRandom(32),
      });
      const key = hkdf(shared, sha256(ciphertext), bundleKeyInfo(owl.keys.room, na), 32);
      const payload = sealed(house, owl, "bundle", {
        na,
        ciphertext,
        box: gcmSeal(key, owl.keys.room, inner),
      });
      const answered = relay.passed(relay.aim("up", "owl", "denied", "welcome"));
      relay.sendAs("eve", {
        kind: "direct",
        room: owl.keys.room,
        from: relay.handleOf("eve"),
        to: handle(new Uint8Array(16)),
        payload,
      });
      await answered;
      await world.settleAll(owl, eve);
      const member = owl.keys.current?.roster.find((m) => m.value.name === "eve");
      const whose = member === undefined
        ? "nobody"
        : member.value.identity.toHex() === ghost.publicKey.toHex()
        ? "the relay"
        : "eve";
      const [bye] = eve.every("bye");
      const end = bye === undefined ? "waits" : `bye ${bye.exitCode}`;
      return `admitted: ${whose}; eve: ${
        [...eve.every("error").map((e) => e.code), end].join(", ")
      }`;
    }),
    expected: "admitted: nobody; eve: invite-invalid, bye 6",
    patches: [
      patch(
        "src/crypto/join.ts",
        "secret !== undefined && !sameSecret(inviteMac(secret, inner.cert), inner.mac)",
        "false",
      ),
    ],
    bites: "admitted: the relay; eve: waits",
  },
  {
    name: "swap: the relay gives a member a wrap of its own",
    enemy: "relay",
    property: "P2, P5",
    run: scene(["ada", "bob"], async ({ world, house, owl, of }) => {
      const ada = of("ada");
      const { relay } = world;
      relay.swap(relay.aim("down", "ada", "wrap"), (message) => {
        const wrap = relay.look({ message });
        if (wrap.kind !== "wrap") throw new Error("no wrap");
        return sealed(house, owl, "wrap", { ...wrap.content, wrap: wrapBytes(systemRandom(1520)) });
      });
      await owl.command("/rekey");
      await of("bob").reaches(owl.epoch);
      await of("bob").reaches(4);
      await world.settle(ada);
      // The member asks for it again, and is given the relay's again.
      return [...new Set(ada.told), `epoch ${ada.epoch}`];
    }),
    // RSA never saw the relay's bytes, and nobody blames the admin.
    expected: "warning bad-commit; epoch 3",
    patches: [
      patch(
        "src/crypto/accept_commit.ts",
        "wraps.find((bytes) => sameBytes(hash(sha256(bytes)), entry.wrapHash))",
        "wraps.at(-1)",
      ),
    ],
    bites: "warning bad-commit; error bad-commit; bye 7; epoch 3",
  },
  {
    name: "swap: the relay gives a member a commit of its own making",
    enemy: "relay",
    property: "P2",
    run: scene(["ada", "bob"], async ({ world, house, owl, of }) => {
      const bob = of("bob");
      const mine = systemRandom(32);
      // Bob's public keys and the place in the chain: taken as known to the relay's friend in the room.
      const made = await forgeCommit(house, owl, {
        secret: mine,
        signer: await generateSigningKey(),
      });
      sendsCommit(world, owl, bob, made);
      await world.settle(bob);
      bob.say("a secret");
      await world.settleAll(bob, owl);
      const { room, leak } = owl.keys;
      const epoch = { ...leak.last, epoch: made.epoch, h: made.h, secret: mine };
      const enemy = { epochs: [epoch], roomSecrets: leak.roomSecrets };
      const read = opensTexts(room, enemy, recordedPayloads(world.relay.record));
      return [...bob.told, `the relay reads: ${read.join() || "nothing"}`];
    }),
    expected: "warning bad-commit; sent a secret; the relay reads: nothing",
    patches: [
      patch(
        "src/crypto/accept_commit.ts",
        'if (!verifyRaw(acceptor.admin, "commit", body, signature)) {',
        "if (false) {",
      ),
    ],
    bites: "sent a secret; the relay reads: a secret",
  },
  {
    name: "swap: the relay and an insider put a ghost into a newcomer's roster",
    enemy: "relay",
    property: "P9",
    run: scene(["ada"], async ({ world, house, owl, invite, of }) => {
      const { relay } = world;
      const ada = of("ada");
      relay.withhold("carol", relay.aim("down", "carol", "welcome"));
      const passing = relay.passed((c) =>
        c.direction === "down" && c.who === "carol" && relay.look(c).kind === "welcome"
      );
      const carol = await world.knocks("carol", invite);
      const carried = await passing;
      await ada.reaches(3);
      relay.off("withhold");
      const welcome = relay.look(carried);
      if (welcome.kind !== "welcome" || carried.message.kind !== "direct") {
        throw new Error("no WELCOME");
      }
      // Ada is in the epoch already and tells the relay its S.
      const { epoch, secret, roster } = ada.keys.leak.last;
      const room = owl.keys.room;
      const ghost = await certOf(house, room, owl.keys.own.identity.publicKey, {
        name: "ghost",
        identity: await generateSigningKey(),
      });
      const leaves = [
        ...roster.map(({ leaf, via, cert }) => ({ leaf, via, cert })),
        { leaf: leafOf(99), via: "invite" as const, cert: ghost },
      ];
      const { body } = decodeSigned(COMMIT_BODY, welcome.content.commit, "commit");
      const rosterBox = gcmSeal(
        derive(secret, welcomeKeyInfo(room, epoch), 32),
        sha256(body),
        encodePadded(ROSTER, { roomSecret: owl.keys.leak.roomSecret, leaves }),
      );
      const payload = sealed(house, ada, "welcome", { ...welcome.content, rosterBox });
      relay.inject("carol", { ...carried.message, payload });
      await world.settle(carol);
      return [...carol.told, `members: ${carol.members}`];
    }),
    expected: "warning bad-commit; error bad-commit; bye 7; members: ",
    patches: [
      patch(
        "src/crypto/accept_commit.ts",
        "if (!sameSecret(expected, commit.rosterKc)) {",
        "if (false) {",
      ),
    ],
    bites: "joined owl+ada+carol+ghost; members: owl+ada+carol+ghost",
  },
  {
    name: "replay: a frame arrives twice",
    enemy: "relay",
    property: "P5",
    run: scene(["ada", "bob"], async ({ world, of }) => {
      world.relay.replay(world.relay.aim("down", "bob", "message"));
      of("ada").say("once");
      await of("bob").hears("once");
      await world.settle(of("bob"));
      return of("bob").told;
    }),
    expected: "ada: once",
    patches: [
      patch(
        "src/crypto/sender_chain.ts",
        "value = open(message);\n      if (gap === 0)",
        "value = open(message);\n      this.#heard.skipped.set(n, { key: message.key.slice(), nonce: message.nonce.slice() });\n      if (gap === 0)",
      ),
      // A text that is opened again is known by its id.
      patch(
        "src/crypto/room_keys.ts",
        'message.kind === "text" && this.#isRepeated(keys, leaf, message.id)',
        "false",
      ),
    ],
    bites: "ada: once; ada: once",
  },
  {
    name: "replay: a frame comes back when its epoch is long over",
    enemy: "relay",
    property: "P5",
    run: scene(["ada", "bob"], async ({ world, owl, of }) => {
      const [ada, bob] = [of("ada"), of("bob")];
      ada.say("old");
      await bob.hears("old");
      await owl.command("/rekey");
      await bob.reaches(4);
      await world.pass(125_000, owl, ada, bob);
      bob.mark();
      const { relay } = world;
      const text = (c: Parameters<typeof relay.look>[0]) => {
        const seen = relay.look(c);
        return seen.kind === "message" && seen.epoch === 3 &&
          seen.leaf === ada.keys.current?.myLeaf;
      };
      relay.rollback("bob", once((c) => c.who === "bob" && text(c)));
      await world.settle(bob);
      return bob.told;
    }),
    expected: "warning replay",
    patches: [
      patch(
        "src/crypto/room_keys.ts",
        'return { kind: "refused", code: "replay", leaf };',
        'return { kind: "nothing" };',
      ),
    ],
    bites: "",
  },
  {
    name: "drop: a frame is lost, a later one shows it, and its author gives it again",
    enemy: "relay",
    property: "P5",
    run: scene(["ada", "bob"], async ({ world, of }) => {
      world.relay.withhold("bob", once(world.relay.aim("down", "bob", "message")));
      of("ada").say("one");
      of("ada").say("two");
      await world.settleAll(of("ada"), of("bob"));
      return of("bob").told;
    }),
    expected: "warning gap; late from ada; ada: one; ada: two",
    patches: [
      patch("src/session/hearing.ts", "newGaps(turn, room.id, event.leaf, event.gaps);", ""),
    ],
    bites: "warning gap; ada: two",
  },
  {
    name: "drop: a frame is lost, and every answer that would mend it",
    enemy: "relay",
    property: "P5",
    run: scene(["ada", "bob"], async ({ world, owl, of }) => {
      const [ada, bob] = [of("ada"), of("bob")];
      const { relay } = world;
      relay.withhold("bob", once(relay.aim("down", "bob", "message")));
      relay.drop((c) => relay.look(c).kind === "repair");
      ada.say("one");
      ada.say("two");
      await world.pass(50_000, owl, ada, bob);
      return bob.told;
    }),
    expected: "warning gap; missing 1 of ada; ada: two",
    patches: [
      patch(
        "src/crypto/sender_chain.ts",
        'const opened = { kind: "opened" as const, value, skipped: gap, lost, late: false };',
        'this.#contiguous = n + 1;\n    const opened = { kind: "opened" as const, value, skipped: 0, lost, late: false };',
      ),
    ],
    // Another check sees it then, when her next heartbeat comes.
    bites: "ada: two; warning fork",
  },
  {
    name: "drop: the last frame before silence is lost, and the next heartbeat shows it",
    enemy: "relay",
    property: "P5",
    run: scene(["ada", "bob"], async ({ world, owl, of }) => {
      const [ada, bob] = [of("ada"), of("bob")];
      world.relay.drop(once(world.relay.aim("up", "ada", "message")));
      ada.say("the last word");
      await world.settleAll(ada, bob);
      const before = bob.told.join();
      await world.pass(35_000, owl, ada, bob);
      return [`at once: ${before || "nothing"}`, ...bob.told];
    }),
    expected: "at once: nothing; warning gap; late from ada; ada: the last word",
    patches: [
      patch("src/session/hearing.ts", "if (event.skipped > 0) {", "if (event.skipped > 9) {"),
    ],
    bites: "at once: nothing; late from ada; ada: the last word",
  },
  {
    name: "drop: the tail of an epoch is lost, and CLOSE shows it",
    enemy: "relay",
    property: "P5",
    run: scene(["ada", "bob"], async ({ world, owl, of }) => {
      const [ada, bob] = [of("ada"), of("bob")];
      world.relay.drop(once(world.relay.aim("up", "ada", "message")));
      ada.say("the last word");
      await world.settleAll(ada, bob);
      await owl.command("/rekey");
      await bob.reaches(4);
      await world.settleAll(owl, ada, bob);
      return bob.told;
    }),
    expected: "warning gap; late from ada; ada: the last word",
    patches: [
      patch(
        "src/crypto/epoch_keys.ts",
        "missing: chain.missingOf(count), fork: this.isOtherwise(leaf) || fork };",
        "missing: 0, fork: this.isOtherwise(leaf) || fork };",
      ),
      patch("src/crypto/epoch_keys.ts", "    this.expect(leaf, count);\n    // Of", "    // Of"),
    ],
    bites: "",
  },
  {
    name: "drop: a member never learns of a kick, and the relay hands the kicked all that it says",
    enemy: "relay",
    property: "P1",
    run: scene(["mallory", "bob"], async ({ world, owl, of }) => {
      const [mallory, bob] = [of("mallory"), of("bob")];
      world.relay.withhold("bob", (c) => c.message.kind !== "ping" && c.message.kind !== "pong");
      await owl.command("/kick mallory");
      await owl.reaches(4);
      await world.pass(95_000, owl, bob);
      bob.say("a secret");
      await world.settle(bob);
      const payloads = recordedPayloads(world.relay.record);
      const read = opensTexts(owl.keys.room, mallory.keys.leak, payloads);
      return [...bob.told, `mallory reads: ${read.join() || "nothing"}`];
    }, { keeps: ["mallory"] }),
    expected: "warning stale-membership; asks its person; mallory reads: nothing",
    patches: [
      patch(
        "src/session/step.ts",
        "turn.at - room.adminHeardAt >= STALE_AFTER_MS",
        "false",
      ),
    ],
    bites: "sent a secret; mallory reads: a secret",
  },
  {
    name: "reorder: two frames change places",
    enemy: "relay",
    property: "P5",
    run: scene(["ada", "bob"], async ({ world, of }) => {
      world.relay.reorder(world.relay.aim("down", "bob", "message"));
      of("ada").say("one");
      of("ada").say("two");
      await of("bob").hears("one");
      return of("bob").told;
    }),
    expected: "warning gap; late from ada; ada: one; ada: two",
    patches: [
      patch(
        "src/session/gaps.ts",
        "if (gap === undefined) return show(",
        "if (gap !== null) return show(",
      ),
    ],
    bites: "warning gap; ada: two; ada: one; late from ada",
  },
  {
    name: "delay: a frame is held until its epoch is long over",
    enemy: "relay",
    property: "P5",
    run: scene(["ada", "bob"], async ({ world, owl, of }) => {
      const [ada, bob] = [of("ada"), of("bob")];
      const { relay } = world;
      relay.delay(once(relay.aim("down", "bob", "message")));
      relay.drop((c) => relay.look(c).kind === "repair");
      ada.say("yes");
      await world.settleAll(ada, bob);
      await owl.command("/rekey");
      await bob.reaches(4);
      await world.settleAll(owl, ada, bob);
      await world.pass(125_000, owl, ada, bob);
      relay.release();
      await world.settle(bob);
      return bob.told;
    }),
    expected: "warning gap; missing 1 of ada; warning replay",
    patches: [
      patch("src/session/step.ts", "dropPrevious(turn, id, (at) => turn.at >= at);", ""),
    ],
    bites: "warning gap; missing 1 of ada; ada: yes",
  },
  {
    name: "withhold: one person alone is given nothing of another, until that one leaves",
    enemy: "relay",
    property: "P5",
    run: scene(["ada", "bob"], async ({ world, of }) => {
      const [ada, bob] = [of("ada"), of("bob")];
      const from = ada.handle.toHex();
      world.relay.withhold(
        "bob",
        ({ message }) => message.kind === "broadcast" && message.from.toHex() === from,
      );
      ada.say("one");
      ada.say("two");
      await ada.command("/leave");
      await bob.reaches(4);
      await world.settle(bob);
      return bob.told;
    }),
    // The commit counts them, and the others have them.
    expected: "ada left; ada: one; ada: two; late from ada",
    patches: [
      patch(
        "src/crypto/member_keys.ts",
        "this.limitPrevious(removal),",
        "this.limitPrevious({ ...removal, count: 0 }),",
      ),
    ],
    bites: "warning fork; ada left",
  },
  {
    name: "rollback: a newcomer is given a commit from before its time",
    enemy: "relay",
    property: "P5",
    run: scene(["ada", "bob"], async ({ world, owl, of }) => {
      const { relay } = world;
      const old = relay.record.find((c) => c.direction === "up" && relay.look(c).kind === "commit");
      if (old?.message.kind !== "broadcast") throw new Error("no COMMIT was carried");
      claims(world, owl, of("bob"), old.message.payload);
      await world.settle(of("bob"));
      return [...of("bob").told, `epoch ${of("bob").epoch}`];
    }),
    expected: "warning rollback; epoch 3",
    patches: [
      patch(
        "src/crypto/member_keys.ts",
        "if (known === undefined) {",
        'if (known === undefined) return;\n    if (known === "") {',
      ),
    ],
    bites: "epoch 3",
  },
  {
    name: "rollback: a returner is led into an epoch before the one that it remembers",
    enemy: "relay",
    property: "P5",
    run: scene(["ada"], async ({ world, invite }) => {
      const bob = await world.knocks("bob", invite, { highestEpoch: 50 });
      await bob.until("an end", () => bob.told.some((t) => /^(bye|joined)/.test(t)) || undefined);
      return bob.told;
    }),
    expected: "warning rollback; error rollback; bye 7",
    patches: [
      patch("src/crypto/accept_commit.ts", "if (commit.epoch < minEpoch) {", "if (false) {"),
    ],
    bites: "joined owl+ada+bob",
  },
  {
    name: "rollback: who comes in anew is shown the WELCOME of its coming in before",
    enemy: "relay",
    property: "P5",
    run: scene(["ada"], async ({ world, owl, invite, of }) => {
      const { relay } = world;
      const { identity } = of("ada").keys.own;
      await of("ada").leaves();
      await owl.sees("member-left", ({ name }) => name === "ada");
      await owl.reaches(3);
      const before = relay.aim("down", "ada", "welcome");
      const asked = relay.passed(relay.aim("up", "ada", "bundle"));
      relay.delay(before);
      const again = await world.knocks("ada", invite, { identity, highestEpoch: 2 });
      await asked;
      await owl.reaches(4);
      // The first of them; the second is held back.
      relay.rollback("ada", once(before));
      await world.settle(again);
      relay.release();
      await again.until("an end", () => again.told.find((t) => /^(bye|joined)/.test(t)));
      return again.told;
    }),
    expected: "warning rollback; joined owl+ada",
    patches: [
      patch(
        "src/crypto/accept_commit.ts",
        "const isOurs = ourEntry(acceptor, commit) !== undefined;",
        "const isOurs = true;",
      ),
    ],
    bites: "warning rollback; error rollback; bye 7",
  },
  {
    name: "ghost: the relay lets a stranger ask who has no invite",
    enemy: "relay",
    property: "P3",
    run: scene(["ada"], async ({ world, owl, invite }) => {
      await world.knocks("ghost", invite, { withoutInvite: true });
      await owl.until("an answer", () => owl.told[0]);
      await world.settle(owl);
      return owl.told;
    }),
    expected: "ghost asks",
    patches: [
      patch("src/admin/role.ts", "    ask(turn, admin, room, event);\n", '    add("known");\n'),
    ],
    bites: "ghost joined",
  },
  {
    name: "ghost: the relay greets a joiner as the room's admin",
    enemy: "relay",
    property: "P2",
    run: scene([], async ({ world, house, owl, invite }) => {
      const { relay } = world;
      relay.withhold("carol", relay.aim("down", "carol"));
      const knocked = relay.passed((c) => c.who === "carol" && relay.look(c).kind === "knock");
      const carol = await world.knocks("carol", invite);
      await knocked;
      const evil = await generateSigningKey();
      const hello = house.makeHello(
        owl.keys.room,
        evil,
        runId(systemRandom(16)),
        joinNonce(systemRandom(32)),
        (await generateKemKeyPair()).publicKey,
      );
      relay.inject("carol", {
        kind: "direct",
        room: owl.keys.room,
        from: owl.handle,
        to: relay.handleOf("carol"),
        payload: sealed(house, owl, "hello", hello),
      });
      await Promise.race([
        carol.sees("warning"),
        relay.passed((c) => c.who === "carol" && relay.look(c).kind === "bundle"),
      ]);
      const answered = relay.record.some((c) => relay.look(c).kind === "bundle");
      return [...carol.told, answered ? "keys are sent to the relay" : "nothing is sent"];
    }),
    expected: "warning unverified-admin; nothing is sent",
    patches: [
      patch(
        "src/crypto/join.ts",
        "if (expected !== null && !sameBytes(found, expected)) throw new OtherAdmin(found, expected);",
        "",
      ),
    ],
    bites: "keys are sent to the relay",
  },
  {
    name: "inject: noise is broadcast in the name of a handle that the relay made up",
    enemy: "relay",
    property: "P10",
    run: scene(["ada"], async ({ world, owl, of }) => {
      world.relay.inject("ada", {
        kind: "broadcast",
        room: owl.keys.room,
        from: handle(systemRandom(16)),
        payload: systemRandom(300),
      });
      await world.settle(of("ada"));
      return [...of("ada").told, of("ada").members];
    }),
    expected: "warning bad-message; owl+ada",
    patches: [
      patch(
        "src/driver/inbound.ts",
        "return [{ ...refused, ...unreadable }, {",
        "return [{",
      ),
    ],
    bites: "owl+ada",
  },
  {
    name: "inject: a box without the key, under a header that fits",
    enemy: "relay",
    property: "P4",
    run: scene(["ada", "bob"], async ({ world, house, owl, of }) => {
      const [ada, bob] = [of("ada"), of("bob")];
      const { room, leak } = owl.keys;
      const current = ada.keys.current;
      if (current === null) throw new Error("no epoch");
      const header = {
        kind: "message" as const,
        epoch: current.place.epoch,
        leaf: current.myLeaf,
        n: sentBy(ada),
      };
      const seal = new house.OuterSeal(room, leak.roomSecret);
      claims(world, ada, bob, seal.payload(header, systemRandom(272)));
      ada.say("true");
      await bob.hears("true");
      return bob.told;
    }),
    expected: "warning bad-message; ada: true",
    patches: [
      patch(
        "src/crypto/room_keys.ts",
        'return { kind: "refused", code: REFUSAL[error.code], leaf };',
        'return { kind: "nothing" };',
      ),
    ],
    bites: "ada: true",
  },
  {
    name: "inject: the relay says that a member has gone, who has not",
    enemy: "relay",
    property: "P3",
    run: scene(["ada", "bob"], async ({ world, owl, of }) => {
      const [ada, bob] = [of("ada"), of("bob")];
      world.relay.inject("owl", {
        kind: "gone",
        room: owl.keys.room,
        handle: ada.handle,
        reason: "closed",
      });
      await world.pass(95_000, owl, ada, bob);
      return `members: ${owl.members}`;
    }),
    expected: "members: owl+ada+bob",
    patches: [
      patch(
        "src/session/hearing.ts",
        "if (member.left || (member.handle === handle && member.present)) return;",
        "if (member.left || member.handle === handle) return;",
      ),
    ],
    bites: "members: owl+bob",
  },
  {
    name: "truncate: a payload loses its last byte",
    enemy: "relay",
    property: "P5",
    run: scene(["ada", "bob"], async ({ world, of }) => {
      world.relay.truncate(once(world.relay.aim("down", "bob", "message")));
      of("ada").say("one");
      of("ada").say("two");
      await world.settleAll(of("ada"), of("bob"));
      return of("bob").told;
    }),
    expected: "warning bad-message; warning gap; late from ada; ada: one; ada: two",
    patches: [
      patch(
        "src/crypto/room_keys.ts",
        'return { kind: "refused", code: REFUSAL[error.code], leaf };',
        'return { kind: "nothing" };',
      ),
    ],
    bites: "warning gap; late from ada; ada: one; ada: two",
  },
  {
    name: "a removed member's frame is kept back and delivered after its removal",
    enemy: "relay",
    property: "P1, P5",
    run: scene(["mallory", "bob"], async ({ world, house, owl, of }) => {
      const [mallory, bob] = [of("mallory"), of("bob")];
      const { room } = owl.keys;
      const leaf = mallory.keys.leak.last.myLeaf;
      const late = sealAs(
        house,
        room,
        mallory.keys,
        { leaf, n: sentBy(mallory) },
        "I am still here",
        mallory.keys.own.session.signing,
      );
      await owl.command("/kick mallory");
      await bob.reaches(4);
      await world.settle(bob);
      bob.mark();
      claims(world, mallory, bob, late);
      await world.settle(bob);
      return bob.told;
    }, { keeps: ["mallory"] }),
    expected: "warning unknown-sender",
    patches: [
      patch(
        "src/crypto/epoch_keys.ts",
        "n >= (this.#limits.get(leaf) ?? Infinity)",
        "n < 0",
      ),
      // The step does not show it either: it knows nobody of that leaf any more.
      patch(
        "src/session/epochs.ts",
        "...r.members.filter((m) => !gone.has(m.leaf)),",
        "...r.members,",
      ),
    ],
    bites: "mallory: I am still here",
  },
];
