/** What is tried against agreement (PROTOCOL §9): one is told something else than the others, or is made to think so. */
import { sign, systemRandom } from "../../src/crypto/primitives.ts";
import { type View, VIEW_BODY } from "../../src/wire/agreement.ts";
import { encode } from "../../src/wire/codec.ts";
import { hash, type Leaf, signature } from "../../src/wire/ids.ts";
import { signedOf } from "../../src/wire/signed.ts";
import { type Attack, patch, type Scene, scene } from "./attack.ts";
import { type AnyActor, leafOf, sealAs, sealed, sentBy, whispers } from "./hostile_insider.ts";
import type { Aim } from "./hostile_relay.ts";
import type { MemberActor } from "./world.ts";

/** Two heartbeats of everybody, and what they lead to. */
const TWO_HEARTBEATS_MS = 80_000;

/** The badge that somebody's program shows. */
function badge(actor: AnyActor): string {
  const last = actor.every("agreement").at(-1);
  if (last === undefined) return "no badge";
  const names = (kind: string, people: readonly { name: string }[]): string =>
    people.length === 0 ? "" : `, ${kind} ${people.map(({ name }) => name).join("+")}`;
  return `${last.agree}/${last.of}${names("differ", last.differ)}${names("behind", last.behind)}${
    names("silent", last.silent)
  }`;
}

/** Everybody has heard the same, and everybody's program says so. */
async function agreed({ world, owl, people }: Scene): Promise<void> {
  await world.pass(35_000, owl, ...people.values());
  for (const actor of [owl, ...people.values()]) {
    const all = people.size + 1;
    if (badge(actor) !== `${all}/${all}`) throw new Error(`${actor.name}: ${badge(actor)}`);
    actor.mark();
  }
}

/** Whom its program says to have heard something else, and of whom. */
function disagreements(actor: AnyActor): string[] {
  return actor.every("warning").filter((w) => w.code === "disagreement")
    .map((w) => `${w.from} of ${w.author?.name}`);
}

/** All that comes from somebody. */
function from(author: AnyActor): Aim {
  return ({ message }) =>
    (message.kind === "broadcast" || message.kind === "direct") &&
    message.from.toHex() === author.handle.toHex();
}

/** Mallory answers each question that goes to `as` with a view of her making, signed by herself. */
async function answersFor(
  as: AnyActor,
  { world, house }: Scene,
  mallory: MemberActor,
  victim: AnyActor,
  lie: (view: View) => View,
): Promise<void> {
  const { relay } = world;
  const asks = relay.aim("up", victim.name, "view-request");
  const carried = await relay.passed((c) =>
    asks(c) && c.message.kind === "direct" && c.message.to.toHex() === as.handle.toHex()
  );
  const seen = relay.look(carried);
  const { current, room } = as.keys;
  if (seen.kind !== "view-request" || current === null) return;
  const { h, nonce } = seen.content.value;
  const value = lie({ room, leaf: current.myLeaf, h, nonce, heard: current.heard() });
  whispers(world, mallory, victim, sealed(house, mallory, "view", signedBy(mallory, value)));
}

function signedBy({ keys }: MemberActor, view: View) {
  const body = encode(VIEW_BODY, view);
  const { privateKey } = keys.own.session.signing;
  return signedOf(VIEW_BODY, view, signature(sign(privateKey, "view", body)));
}

/** A view with more of one leaf, or with another hash of it. */
function lyingOf(leaf: Leaf, change: { more?: number; hash?: true }): (view: View) => View {
  return (view) => ({
    ...view,
    heard: view.heard.map((p) =>
      p.leaf === leaf
        ? {
          leaf,
          count: p.count + (change.more ?? 0),
          hash: change.hash === true ? hash(systemRandom(32)) : p.hash,
        }
        : p
    ),
  });
}

/** Somebody says something else to each, under one number, and nothing after it. */
function twoFaced(
  { world, house }: Scene,
  mallory: MemberActor,
  words: readonly (readonly [AnyActor, string])[],
): void {
  const { keys } = mallory;
  // Her own program would go on with another.
  world.relay.drop(world.relay.aim("up", "mallory", "message"));
  const at = { leaf: leafOf(keys, "mallory"), n: sentBy(mallory) };
  const payloads = new Map(
    words.map(([_, text]) => [
      text,
      sealAs(house, keys.room, keys, at, text, keys.own.session.signing),
    ]),
  );
  for (const [whom, text] of words) {
    const payload = payloads.get(text);
    if (payload !== undefined) whispers(world, mallory, whom, payload);
  }
}

/** The rows of the table about agreement. */
export const AGREEMENT_ATTACKS: readonly Attack[] = [
  {
    name:
      "withhold: one person alone is given nothing of another, and the others' heartbeats show it",
    enemy: "relay",
    property: "P5",
    run: scene(["ada", "bob", "cyd"], async (there) => {
      await agreed(there);
      const { world, owl, of } = there;
      const [ada, bob, cyd] = [of("ada"), of("bob"), of("cyd")];
      world.relay.withhold("bob", from(ada));
      ada.say("for all but Bob");
      await world.pass(TWO_HEARTBEATS_MS, owl, ada, bob, cyd);
      return [...new Set(bob.told), badge(bob)];
    }),
    expected: "warning gap; ada: for all but Bob; late from ada; 3/4, silent ada",
    patches: [
      patch(
        "src/session/viewing.ts",
        'turn.do({ kind: "request-view", room: id, to, leaf: standing.leaf });',
        "",
      ),
    ],
    bites: "3/4, silent ada",
  },
  {
    name: "withhold: one person alone is given nothing of another, and no view that would show it",
    enemy: "relay",
    property: "P5",
    run: scene(["ada", "bob", "cyd"], async (there) => {
      await agreed(there);
      const { world, owl, of } = there;
      const [ada, bob, cyd] = [of("ada"), of("bob"), of("cyd")];
      const { relay } = world;
      const ofAda = from(ada);
      relay.withhold("bob", (c) => ofAda(c) || relay.look(c).kind === "view");
      ada.say("for all but Bob");
      await world.pass(120_000, owl, ada, bob, cyd);
      return [...bob.told, badge(bob)];
    }),
    expected: "1/4, silent owl+ada+cyd",
    patches: [
      patch("src/session/agreement.ts", " || unanswered >= MAX_UNANSWERED", ""),
    ],
    bites: "3/4, silent ada",
  },
  {
    name: "an insider sends different messages with one number, to each alone, and then is silent",
    enemy: "insider",
    property: "P5",
    run: scene(["ada", "bob", "mallory"], async (there) => {
      await agreed(there);
      const { world, owl, of } = there;
      const [ada, bob, mallory] = [of("ada"), of("bob"), of("mallory")];
      twoFaced(there, mallory, [[owl, "yes"], [ada, "yes"], [bob, "no"]]);
      await world.pass(TWO_HEARTBEATS_MS, owl, ada, bob, mallory);
      return [...ada.told, ...disagreements(ada), badge(ada)];
    }),
    expected: "mallory: yes; warning disagreement; bob of mallory; 2/4, differ bob, silent mallory",
    patches: [
      patch("src/crypto/views.ts", "!sameBytes(hash, ours)", "hash.length === 0"),
    ],
    bites: "mallory: yes; 3/4, silent mallory",
  },
  {
    name:
      "an insider sends different messages with one number, and is removed before anybody compares",
    enemy: "insider",
    property: "P5",
    run: scene(["bob", "mallory"], async (there) => {
      const { world, owl, of } = there;
      const [bob, mallory] = [of("bob"), of("mallory")];
      twoFaced(there, mallory, [[owl, "yes"], [bob, "no"]]);
      await world.settleAll(owl, bob);
      await owl.command("/kick mallory");
      await bob.reaches(4);
      await world.settle(bob);
      return bob.told;
    }),
    expected: "mallory: no; warning fork; mallory kicked",
    patches: [
      patch(
        "src/crypto/epoch_keys.ts",
        "if (!sameBytes(ours, position.hash)) otherwise = true;",
        "",
      ),
    ],
    bites: "mallory: no; mallory kicked",
  },
  {
    name:
      "a friend of the removed one gives a member other words of it by repair, after its removal",
    enemy: "insider",
    property: "P5",
    run: scene(["bob", "eve", "mallory"], async (there) => {
      const { world, house, owl, of } = there;
      const [bob, eve, mallory] = [of("bob"), of("eve"), of("mallory")];
      const at = { leaf: leafOf(mallory.keys, "mallory"), n: sentBy(mallory) };
      const seals = (text: string) =>
        sealAs(house, mallory.keys.room, mallory.keys, at, text, mallory.keys.own.session.signing);
      twoFaced(there, mallory, [[owl, "yes"], [eve, "yes"]]);
      await world.settleAll(owl, eve);
      const forged = seals("no");
      // Bob asks the others for what the commit counts, and the relay lets none of that through.
      world.relay.drop((c) =>
        c.direction === "up" && c.who === "bob" && c.message.kind === "direct"
      );
      await owl.command("/kick mallory");
      for (const actor of [bob, eve]) await actor.reaches(5);
      whispers(world, eve, bob, sealed(house, eve, "repair", { payload: forged }));
      await world.settleAll(eve, bob);
      return bob.told;
    }),
    expected: "mallory kicked; warning fork; late from mallory; mallory: no",
    patches: [
      patch(
        "src/crypto/room_keys.ts",
        "const fork = keys.isOtherwise(leaf);",
        "const fork = false;",
      ),
    ],
    bites: "mallory kicked; late from mallory; mallory: no",
  },
  {
    name: "an insider says to have heard more of somebody than that one ever said",
    enemy: "insider",
    property: "P4, P5",
    run: scene(["ada", "bob", "mallory"], async (there) => {
      await agreed(there);
      const { world, owl, of } = there;
      const [ada, bob, mallory] = [of("ada"), of("bob"), of("mallory")];
      const { relay } = world;
      // So that her digest is not Ada's, and nothing puts that right.
      const ofBob = from(bob);
      relay.withhold("mallory", (c) => ofBob(c) || ["view", "repair"].includes(relay.look(c).kind));
      relay.drop(relay.aim("up", "mallory", "view"));
      const lie = lyingOf(leafOf(mallory.keys, "bob"), { more: 1000 });
      const lied = answersFor(mallory, there, mallory, ada, lie);
      bob.say("all that I say");
      await world.pass(100_000, owl, ada, bob, mallory);
      await lied;
      return [...ada.told, ...disagreements(ada), badge(ada)];
    }),
    expected:
      "bob: all that I say; warning gap; warning disagreement; mallory of bob; 3/4, differ mallory",
    patches: [
      patch(
        "src/session/viewing.ts",
        "if (member !== undefined) unproven(turn, room, member, claim);",
        "",
      ),
    ],
    bites: "bob: all that I say; warning gap; 4/4",
  },
  {
    name: "an insider and the relay answer in another's name that it has heard something else",
    enemy: "insider",
    property: "P4",
    run: scene(["ada", "bob", "mallory"], async (there) => {
      await agreed(there);
      const { world, owl, of } = there;
      const [ada, bob, mallory] = [of("ada"), of("bob"), of("mallory")];
      const { relay } = world;
      const ofOwl = from(owl);
      relay.withhold("ada", (c) => ofOwl(c) || ["view", "repair"].includes(relay.look(c).kind));
      relay.drop(relay.aim("up", "ada", "view"));
      const lie = lyingOf(leafOf(mallory.keys, "bob"), { hash: true });
      const lied = answersFor(ada, there, mallory, bob, lie);
      owl.say("for all but Ada");
      await world.pass(TWO_HEARTBEATS_MS, owl, ada, bob, mallory);
      await lied;
      return [...bob.told, ...disagreements(bob)];
    }),
    expected: "owl: for all but Ada",
    patches: [
      patch(
        "src/crypto/views.ts",
        "if (!verify(member.verifyKey, kind, body, signature)) {",
        "if (false) {",
      ),
    ],
    bites: "owl: for all but Ada; warning disagreement; ada of bob",
  },
  {
    name: "an insider shows a view that nobody asked for",
    enemy: "insider",
    property: "P5",
    run: scene(["ada", "bob", "mallory"], async ({ world, house, of }) => {
      const [ada, mallory] = [of("ada"), of("mallory")];
      const { current, room } = mallory.keys;
      if (current === null) throw new Error("mallory is in no epoch");
      const { place: { h }, myLeaf: leaf } = current;
      const nonce = systemRandom(32);
      const lie = lyingOf(leafOf(mallory.keys, "bob"), { hash: true });
      const view = lie({ room, leaf, h, nonce, heard: current.heard() });
      whispers(world, mallory, ada, sealed(house, mallory, "view", signedBy(mallory, view)));
      await world.settle(ada);
      return [...ada.told, ...disagreements(ada)];
    }),
    expected: "",
    patches: [
      patch(
        "src/crypto/views.ts",
        "if (asked === undefined || !sameBytes(asked.nonce, value.nonce)) return null;\n    this.#asked.delete(leaf);\n    return compare(current, value, asked);",
        "return compare(current, value, asked ?? { nonce: value.nonce, had: new Map() });",
      ),
    ],
    bites: "warning disagreement; mallory of bob",
  },
  {
    name: "an insider asks for a view over and over, to have others flooded",
    enemy: "insider",
    property: "P13",
    run: scene(["ada", "mallory"], async ({ world, of }) => {
      const [ada, mallory] = [of("ada"), of("mallory")];
      const { keys } = mallory;
      const adas = leafOf(keys, "ada");
      for (let i = 0; i < 50; i++) whispers(world, mallory, ada, keys.viewRequest(adas));
      await world.settleAll(mallory, ada);
      const { relay } = world;
      const given = relay.record.filter((c) =>
        c.who === "ada" && c.direction === "up" && relay.look(c).kind === "view"
      ).length;
      return given === 1 ? "one was given" : given < 50 ? "few were given" : "all were given";
    }),
    expected: "one was given",
    patches: [
      patch(
        "src/session/viewing.ts",
        "if (last !== undefined && turn.at - last.at < ANSWER_ONE_EVERY_MS) return;",
        "",
      ),
    ],
    bites: "all were given",
  },
];
