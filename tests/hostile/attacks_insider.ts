/** What a hostile insider, or somebody who was one, tries over an honest relay. */
import { concat, gcmSeal, hkdf, sign, systemRandom } from "../../src/crypto/primitives.ts";
import { outerKeyInfo } from "../../src/wire/contexts.ts";
import { generateSigningKey } from "../../src/crypto/session_keys.ts";
import { encode } from "../../src/wire/codec.ts";
import { KEM_UPDATE_BODY } from "../../src/wire/commit.ts";
import {
  epoch as epochOf,
  type KemKey,
  sameBytes,
  signature,
  type TicketBytes,
  wrapBytes,
} from "../../src/wire/ids.ts";
import { generateKemKeyPair } from "../../src/crypto/ml_kem.ts";
import { signedOf } from "../../src/wire/signed.ts";
import { type Attack, patch, type Scene, scene } from "./attack.ts";
import { broadcasts, leafOf, sealAs, sealed, sentBy, whispers } from "./hostile_insider.ts";
import { Stranger } from "./stranger.ts";
import type { Joiner } from "./world.ts";

/** Mallory writes as Ada, then Ada writes herself: what Bob makes of both. */
async function writesAsAda({ world, house, owl, of }: Scene): Promise<readonly string[]> {
  const [ada, bob, mallory] = [of("ada"), of("bob"), of("mallory")];
  const forged = sealAs(
    house,
    owl.keys.room,
    mallory.keys,
    { leaf: leafOf(mallory.keys, "ada"), n: sentBy(ada) },
    "forged",
    mallory.keys.own.session.signing,
  );
  broadcasts(world, mallory, forged);
  await world.settle(bob);
  ada.say("true");
  await world.settleAll(ada, bob);
  return bob.told;
}

/** Somebody tries to come in with an invite; what the admin and the joiner made of it. */
async function triesInvite(
  { world, owl }: Scene,
  name: string,
  invite: string,
  how: Joiner = {},
): Promise<string> {
  const joiner = await world.knocks(name, invite, how);
  await joiner.until(
    "an answer",
    () => joiner.told.some((t) => /^(bye|joined)/.test(t)) || undefined,
  );
  await world.settle(owl);
  return `${joiner.told.join(", ")}; in the room: ${owl.members}`;
}

const ASKS = 100;

/** Mallory asks the admin the same again and again; how much of it is answered. */
async function answersOf(
  kind: "caught-up" | "owner-here" | "kem-ack",
  { world: { relay }, world, owl, of }: Scene,
  question: () => Uint8Array<ArrayBuffer>,
): Promise<string> {
  const mallory = of("mallory");
  const before = relay.record.length;
  for (let i = 0; i < ASKS; i++) whispers(world, mallory, owl, question());
  await world.settleAll(owl, mallory);
  const given =
    relay.record.slice(before).filter((c) =>
      c.who === owl.name && c.direction === "up" && relay.look(c).kind === kind
    ).length;
  return given === 1 ? "one was given" : given < ASKS ? "few were given" : "all were given";
}

/** The insider's rows of the table. */
export const INSIDER_ATTACKS: readonly Attack[] = [
  {
    name: "an insider writes in another's name: the box is right, the signature is its own",
    enemy: "insider",
    property: "P4",
    run: scene(["ada", "bob", "mallory"], writesAsAda),
    expected: "warning bad-signature; ada: true",
    patches: [
      patch(
        "src/crypto/epoch_keys.ts",
        "if (!ed25519Verify(from.verifyKey, signed, signature)) {",
        "if (false) {",
      ),
    ],
    bites: "ada: forged; warning replay",
  },
  {
    name: "an insider deafens others: a right box with a bad signature uses up the victim's number",
    enemy: "insider",
    property: "P4, P5",
    run: scene(["ada", "bob", "mallory"], writesAsAda),
    expected: "warning bad-signature; ada: true",
    patches: [
      patch(
        "src/crypto/sender_chain.ts",
        "value = open(message);\n      if (gap === 0)",
        "this.#next = n + 1;\n      value = open(message);\n      if (gap === 0)",
      ),
    ],
    bites: "warning bad-signature; warning replay",
  },
  {
    name: "an insider sends another's frame once more, from its own place",
    enemy: "insider",
    property: "P5",
    run: scene(["ada", "bob", "mallory"], async ({ world, of }) => {
      const [ada, bob, mallory] = [of("ada"), of("bob"), of("mallory")];
      ada.say("once");
      await bob.hears("once");
      const { relay } = world;
      const frame = relay.record.findLast((c) =>
        c.direction === "up" && c.who === "ada" && relay.look(c).kind === "message"
      );
      if (frame?.message.kind !== "broadcast") throw new Error("no frame");
      broadcasts(world, mallory, frame.message.payload);
      await world.settle(bob);
      return bob.told;
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
    name: "an insider sends a number far ahead, so that the keys between have to be made",
    enemy: "insider",
    property: "P5",
    run: scene(["bob", "mallory"], async ({ world, house, owl, of }) => {
      const [bob, mallory] = [of("bob"), of("mallory")];
      const at = { leaf: leafOf(mallory.keys, "mallory"), n: 70_000 };
      const header = { kind: "message" as const, epoch: epochOf(bob.epoch), ...at };
      const seal = new house.OuterSeal(owl.keys.room, mallory.keys.leak.roomSecret);
      broadcasts(world, mallory, seal.payload(header, systemRandom(272)));
      await world.settle(bob);
      return bob.told;
    }),
    expected: "warning too-far",
    patches: [
      patch("src/crypto/sender_chain.ts", "if (n - this.#next >= MAX_AHEAD)", "if (false)"),
    ],
    // All 70,000 keys were made for it.
    bites: "warning bad-message",
  },
  {
    name: "an insider gives a member a wrap of its own, just before the commit",
    enemy: "insider",
    property: "P5",
    run: scene(["bob", "mallory"], async ({ world, house, owl, of }) => {
      const [bob, mallory] = [of("bob"), of("mallory")];
      const { relay } = world;
      // It is quick: its frame comes between the admin's two.
      relay.delay(relay.aim("up", "owl", "commit"));
      const commit = relay.passed((c) => c.who === "owl" && relay.look(c).kind === "commit");
      await owl.command("/rekey");
      await commit;
      await world.settle(bob);
      const wrap = {
        epoch: epochOf(bob.epoch + 1),
        wrap: wrapBytes(systemRandom(1520)),
        ticket: systemRandom(184) as TicketBytes,
      };
      whispers(world, mallory, bob, sealed(house, mallory, "wrap", wrap));
      await world.settle(bob);
      relay.release();
      await world.settleAll(owl, bob);
      await bob.reaches(4);
      return [...new Set(bob.told)].join() || "nothing";
    }),
    expected: "nothing",
    patches: [
      patch(
        "src/crypto/member_keys.ts",
        "waiting.set(from.toHex(), wrap);",
        'waiting.set("", wrap);',
      ),
    ],
    // It asks the admin again, and gets in by that.
    bites: "warning bad-commit",
  },
  {
    name: "an insider shows a member the admin's greeting and refusal of somebody else",
    enemy: "insider",
    property: "P5",
    run: scene(["bob", "mallory"], async ({ world, owl, invite, of }) => {
      const [bob, mallory] = [of("bob"), of("mallory")];
      const { relay } = world;
      // A second person of hers knocks, and is refused as it deserves.
      const spy = await world.knocks("spy", invite, { withoutInvite: true });
      await owl.sees("join-request", ({ name }) => name === "spy");
      await owl.command("/deny spy");
      await spy.sees("bye");
      for (const kind of ["hello", "denied"] as const) {
        const frame = relay.record.findLast((c) => c.who === "spy" && relay.look(c).kind === kind);
        if (frame?.message.kind !== "direct") throw new Error(`no ${kind}`);
        whispers(world, mallory, bob, frame.message.payload);
      }
      await world.settle(bob);
      return bob.told.join() || "nothing";
    }),
    expected: "nothing",
    patches: [
      patch(
        "src/crypto/member_keys.ts",
        "if (hello === null || this.current !== null) return null;",
        "if (hello === null) return null;",
      ),
      patch(
        "src/crypto/member_keys.ts",
        "if (this.current === null) this.#hello = hello.value;",
        "this.#hello = hello.value;",
      ),
    ],
    bites: "error denied,bye 6",
  },
  {
    name: "an insider seals a critical type that no version knows, to end the room for all",
    enemy: "insider",
    property: "P5",
    run: scene(["bob", "mallory"], async ({ world, house, owl, of }) => {
      const [bob, mallory] = [of("bob"), of("mallory")];
      const { room, leak } = mallory.keys;
      const salt = systemRandom(32);
      const plaintext = new Uint8Array(256);
      plaintext[0] = 0x90;
      const key = hkdf(leak.roomSecret, salt, outerKeyInfo("from-admin"), 32);
      const body = concat(salt, gcmSeal(key, room, plaintext));
      const seal = new house.OuterSeal(room, leak.roomSecret);
      broadcasts(world, mallory, seal.payload({ kind: "sealed" }, body));
      await world.settleAll(owl, bob);
      return [...bob.told, `in the room: ${bob.members}`];
    }),
    expected: "warning bad-message; in the room: owl+bob+mallory",
    patches: [
      patch(
        "src/driver/inbound.ts",
        '? [{ kind: "message-refused", room, code: "bad-message", leaf: null }]',
        '? [{ kind: "message-refused", room, code: "unsupported", leaf: null }]',
      ),
    ],
    bites: "warning unsupported; error unsupported; bye 7; in the room: owl+bob+mallory",
  },
  {
    name: "an insider mends what is not missing, with a forgery in another's name",
    enemy: "insider",
    property: "P4",
    run: scene(["ada", "bob", "mallory"], async ({ world, house, owl, of }) => {
      const [ada, bob, mallory] = [of("ada"), of("bob"), of("mallory")];
      const at = { leaf: leafOf(mallory.keys, "ada"), n: sentBy(ada) };
      const signer = mallory.keys.own.session.signing;
      const payload = sealAs(house, owl.keys.room, mallory.keys, at, "forged", signer);
      whispers(world, mallory, bob, sealed(house, mallory, "repair", { payload }));
      await world.settle(bob);
      ada.say("true");
      await world.settleAll(ada, bob);
      return bob.told;
    }),
    expected: "warning bad-signature; ada: true",
    patches: [
      patch(
        "src/crypto/epoch_keys.ts",
        "if (!ed25519Verify(from.verifyKey, signed, signature)) {",
        "if (false) {",
      ),
    ],
    bites: "ada: forged; warning replay",
  },
  {
    name: "an insider asks for the same messages over and over, to have others flooded",
    enemy: "insider",
    property: "P13",
    run: scene(["ada", "mallory"], async ({ world, of }) => {
      const [ada, mallory] = [of("ada"), of("mallory")];
      ada.say("asked for");
      await mallory.hears("asked for");
      const { keys } = mallory;
      const wanted = Array.from({ length: 256 }, (_, n) => n);
      const request = keys.repairRequest(ada.epoch, leafOf(keys, "ada"), [0, ...wanted.slice(1)]);
      for (let i = 0; i < 50; i++) whispers(world, mallory, ada, request);
      await world.settleAll(mallory, ada);
      const { relay } = world;
      const given = relay.record.filter((c) =>
        c.who === "ada" && c.direction === "up" && relay.look(c).kind === "repair"
      ).length;
      return given === 0 ? "nothing was given" : given < 50 ? "few were given" : "all were given";
    }),
    expected: "few were given",
    patches: [
      patch(
        "src/session/gaps.ts",
        "event.numbers.slice(0, Math.floor(tokens))",
        "event.numbers",
      ),
    ],
    bites: "all were given",
  },
  {
    name: "an insider asks for the commits that it missed over and over, to bring the admin down",
    enemy: "insider",
    property: "P13",
    run: scene(
      ["mallory"],
      async (s) => await answersOf("caught-up", s, () => s.of("mallory").keys.catchUp()),
    ),
    expected: "few were given",
    patches: [
      patch("src/crypto/admin_keys.ts", "if (!budget.has(now)) return [];", ""),
    ],
    bites: "all were given",
  },
  {
    name: "an insider asks who runs the room over and over, to bring the admin down",
    enemy: "insider",
    property: "P13",
    run: scene(
      ["mallory"],
      async (s) =>
        await answersOf(
          "owner-here",
          s,
          () => sealed(s.house, s.of("mallory"), "owner-ask", { nonce: systemRandom(32) }),
        ),
    ),
    expected: "one was given",
    patches: [
      patch("src/admin/role.ts", "if (!mayBeShown(turn.session, room, handle)) return;", ""),
    ],
    bites: "all were given",
  },
  {
    name: "an insider gives the admin new keys over and over, to bring it down",
    enemy: "insider",
    property: "P13",
    run: scene(["mallory"], async (s) => {
      const update = await s.of("mallory").keys.makeKemUpdate();
      return await answersOf("kem-ack", s, () => update);
    }),
    expected: "few were given",
    patches: [
      patch(
        "src/crypto/admin_keys.ts",
        "if (!budget.has(now)) return false;",
        "",
      ),
    ],
    bites: "all were given",
  },
  {
    name: "an insider names an ML-KEM key for somebody else, who could not open the next epoch",
    enemy: "insider",
    property: "P4",
    run: scene(["ada", "mallory"], async ({ world, house, owl, of }) => {
      const [ada, mallory] = [of("ada"), of("mallory")];
      const { leak, own, room } = mallory.keys;
      const kemKey: KemKey = (await generateKemKeyPair()).publicKey;
      const value = { room, leaf: leafOf(mallory.keys, "ada"), h: leak.last.h, kemKey };
      const body = encode(KEM_UPDATE_BODY, value);
      const signed = signature(sign(own.session.signing.privateKey, "kem", body));
      const update = signedOf(KEM_UPDATE_BODY, value, signed);
      whispers(world, mallory, owl, sealed(house, mallory, "kem-update", update));
      await world.settle(owl);
      await owl.command("/rekey");
      await owl.reaches(4);
      await world.settleAll(owl, ada);
      return [...ada.told, `epoch ${ada.epoch}`];
    }),
    expected: "epoch 4",
    patches: [
      patch(
        "src/crypto/admin_keys.ts",
        'if (!verify(member.verifyKey, "kem", body, signature)) {',
        "if (false) {",
      ),
    ],
    bites: "error removed; bye 6; epoch 3",
  },
  {
    name: "an insider plays the owner and evicts a member",
    enemy: "insider",
    property: "P13",
    run: scene(["ada", "mallory"], async ({ world, owl, of }) => {
      const [ada, mallory] = [of("ada"), of("mallory")];
      world.relay.sendAs("mallory", {
        kind: "evict",
        room: owl.keys.room,
        handle: ada.handle,
        bar: true,
      });
      await world.settleAll(mallory, ada);
      return [`mallory: ${mallory.told.join()}`, `ada: ${ada.told.join()}`];
    }),
    expected: "mallory: error not-allowed; ada: ",
    patches: [
      patch("src/server/gate.ts", '} else if (seat.role !== "owner") {', "} else if (false) {"),
    ],
    bites: "mallory: ; ada: error barred,bye 6",
  },
  {
    name: "a used-up invite is used again",
    enemy: "insider",
    property: "P3",
    run: scene(["ada"], async (s) => {
      const invite = await s.world.invite(s.owl);
      await s.world.joins("bob", invite, [s.owl]);
      return await triesInvite(s, "eve", invite);
    }),
    expected: "error invite-invalid, bye 6; in the room: owl+ada+bob",
    patches: [patch("src/admin/role.ts", "invite.usesLeft > 0 && ", "")],
    bites: "joined owl+ada+bob+eve; in the room: owl+ada+bob+eve",
  },
  {
    name: "an expired invite is used",
    enemy: "insider",
    property: "P3",
    run: scene(["ada"], async (s) => {
      const invite = await s.world.invite(s.owl, "/invite 1 0.001");
      await s.world.pass(5000, s.owl);
      return await triesInvite(s, "eve", invite);
    }),
    expected: "error invite-invalid, bye 6; in the room: owl+ada",
    patches: [patch("src/admin/role.ts", "at < invite.expiresAt;", "true;")],
    bites: "joined owl+ada+eve; in the room: owl+ada+eve",
  },
  {
    name: "an ex-member passes on the shared invite by which it came",
    enemy: "insider",
    property: "P3",
    run: scene(["ada", "mallory"], async (s) => {
      await s.owl.command("/kick mallory");
      await s.owl.reaches(4);
      return await triesInvite(s, "eve", s.invite);
    }),
    expected: "error invite-invalid, bye 6; in the room: owl+ada",
    patches: [
      patch(
        "src/admin/role.ts",
        "i.id === used || i.shared ? { ...i, revoked: true } : i",
        "i.id === used && i.shared ? { ...i } : i",
      ),
    ],
    bites: "joined owl+ada+eve; in the room: owl+ada+eve",
  },
  {
    name: "an ex-member comes back by another's fresh invite",
    enemy: "insider",
    property: "P3",
    run: scene(["ada", "mallory"], async ({ world, owl, of }) => {
      const { identity } = of("mallory").keys.own;
      await owl.command("/kick mallory");
      await owl.reaches(4);
      const invite = await world.invite(owl);
      owl.mark();
      await world.knocks("mallory", invite, { identity });
      await owl.until("an answer", () => owl.told[0]);
      await world.settle(owl);
      return [...owl.told, `in the room: ${owl.members}`];
    }),
    expected: "mallory asks; in the room: owl+ada",
    patches: [
      patch(
        "src/admin/role.ts",
        "const barred = admin.barred.includes(event.identity);",
        "const barred = false;",
      ),
      // A kick also finds whoever was let in while it was under way.
      patch(
        "src/admin/role.ts",
        "if (admin.barred.includes(member.identity)) remove(",
        "if (false) remove(",
      ),
    ],
    bites: "mallory joined; in the room: owl+ada+mallory",
  },
  {
    name: "an invite's MAC is made up by somebody who knows only the room secret",
    enemy: "insider",
    property: "P3",
    run: scene(
      ["ada"],
      async (s) => await triesInvite(s, "eve", s.invite, { spoilInvite: true }),
    ),
    expected: "error invite-invalid, bye 6; in the room: owl+ada",
    patches: [
      patch(
        "src/admin/role.ts",
        "if (invite === undefined || !isUsable(invite, turn.at)) return deny",
        'if (invite === undefined) return add("invite");\n      if (!isUsable(invite, turn.at)) return deny',
      ),
    ],
    bites: "joined owl+ada+eve; in the room: owl+ada+eve",
  },
  {
    name: "an old bundle is sent again",
    enemy: "insider",
    property: "P3",
    run: scene(["ada"], async ({ world, owl }) => {
      const { relay } = world;
      const bundle = relay.record.find((c) =>
        c.direction === "up" && relay.look(c).kind === "bundle"
      );
      if (bundle === undefined) throw new Error("no BUNDLE");
      const aim = relay.aim("up", "owl", "denied", "welcome");
      const before = relay.record.filter(aim).length;
      const answered = relay.passed(aim);
      relay.sendAs("ada", bundle.message);
      // Nothing that the admin would make of it is left to be made.
      await world.settleAll(owl, owl);
      if (owl.told.includes("ada joined")) await answered;
      await world.settle(owl);
      const answers = relay.record.filter(aim).slice(before).map((c) => relay.look(c).kind);
      return [`answers: ${answers.join(", ") || "none"}`, ...owl.told];
    }),
    expected: "answers: none",
    patches: [
      patch("src/driver/inbound.ts", "keys.hasTaken(delivered.from, message.content)", "false"),
      patch("src/crypto/admin_keys.ts", "this.#greetings.delete(bundle.na.toHex());", ""),
      patch(
        "src/crypto/join.ts",
        "member.value.generation <= highestGeneration(member.value.identity)",
        "false",
      ),
    ],
    // Whoever has the old keys would be in the room again, in the place of her who is there.
    bites: "answers: welcome; ada replaced; ada joined; error already-entered",
  },
  {
    name: "a removed member enters with the ticket that it still has",
    enemy: "insider",
    property: "P13",
    run: scene(["ada", "mallory"], async ({ world, owl, of }) => {
      const [ada, mallory] = [of("ada"), of("mallory")];
      await owl.command("/kick mallory");
      await mallory.sees("bye");
      await ada.reaches(4);
      const stranger = new Stranger(world.relay.connect("mallory again"));
      await stranger.enters(mallory.keys);
      ada.say("among us");
      await world.settleAll(ada, owl);
      return [...stranger.told, `frames of the room: ${stranger.frames > 0 ? "some" : "none"}`];
    }, { keeps: ["mallory"] }),
    expected: "refused ticket-revoked; frames of the room: none",
    patches: [
      patch(
        "src/server/gate_entry.ts",
        "if (room !== undefined && ticket.ticketEpoch < room.minTicketEpoch) {",
        "if (false) {",
      ),
      patch(
        "src/server/gate_entry.ts",
        'if (room?.barredKeys.has(gateKey)) return refusal("barred", "this member was barred");',
        "",
      ),
    ],
    bites: "entered as member; frames of the room: some",
  },
  {
    name: "somebody without a ticket signs it with a key of its own",
    enemy: "stranger",
    property: "P13",
    run: scene(["ada"], async ({ world, owl, of }) => {
      const stranger = new Stranger(world.relay.connect("stranger"));
      await stranger.entersForged(owl.keys.room, owl.keys.roomKey, await generateSigningKey());
      of("ada").say("among us");
      await world.settleAll(of("ada"), owl);
      return [...stranger.told, `frames of the room: ${stranger.frames > 0 ? "some" : "none"}`];
    }),
    expected: "refused bad-credential; frames of the room: none",
    patches: [
      patch(
        "src/server/gate_entry.ts",
        'if (!ports.verify(roomKey, "ticket", signed.body, signed.signature)) {',
        "if (false) {",
      ),
    ],
    bites: "entered as member; frames of the room: some",
  },
  {
    name: "a knocker writes to a member",
    enemy: "stranger",
    property: "P13",
    run: scene(["ada"], async ({ world, owl, of }) => {
      const stranger = new Stranger(world.relay.connect("stranger"));
      await stranger.knocksAt(owl.keys.room);
      // The admin may write to ada at that moment too: only the stranger's own bytes count.
      const whisper = systemRandom(300);
      await stranger.whispers(owl.keys.room, of("ada").handle, whisper);
      await world.settle(of("ada"));
      const reached = world.relay.record.some((c) =>
        c.direction === "down" && c.who === "ada" && c.message.kind === "direct" &&
        sameBytes(c.message.payload, whisper)
      );
      return [...stranger.told, `ada is ${reached ? "disturbed" : "left alone"}`];
    }),
    expected: "entered as knocker; refused not-allowed; ada is left alone",
    patches: [
      patch(
        "src/server/gate_traffic.ts",
        'if (receiver !== null && receiver?.role !== "owner") {',
        "if (false) {",
      ),
    ],
    bites: "entered as knocker; ada is disturbed",
  },
];
