import assert from "node:assert/strict";
import { noStore } from "../../src/driver/ports.ts";
import { OuterSeal } from "../../src/crypto/outer_seal.ts";
import { gcmSeal, hkdf, sha256, systemRandom } from "../../src/crypto/primitives.ts";
import { outerKeyInfo } from "../../src/wire/contexts.ts";
import { BROADCAST_TO_OWNERS } from "../../src/wire/ids.ts";
import { type InviteLink, parseLink } from "../../src/wire/link_url.ts";
import { encodeCredential } from "../../src/wire/ticket.ts";
import { Story } from "../server/relay_story.ts";
import { ScriptedSession, seededDie, shaken, turns } from "../support/scripted_session.ts";

/** The invite of a room, as the admin told it. */
async function inviteTo(owl: ScriptedSession, room: string): Promise<string> {
  return (await owl.event("invite", (i) => i.room === room)).url;
}

async function quit(...people: ScriptedSession[]): Promise<void> {
  for (const person of people) person.wants("/quit");
  for (const person of people) assert.equal(await person.exit, 0);
}

Deno.test("two rooms on one connection do not mix, and one is left without the other", async () => {
  const story = new Story();
  const owl = await ScriptedSession.admin("owl", ["den", "loft"], { link: story.connectRaw() });
  const invites = [await inviteTo(owl, "den"), await inviteTo(owl, "loft")];
  const fox = await ScriptedSession.client("fox", invites, { link: story.connectRaw() });
  await fox.event("joined", (e) => e.room === "den");
  await fox.event("joined", (e) => e.room === "loft");
  assert.equal(story.relay.counters.connections, 2);

  fox.say("in the den", "den");
  fox.say("in the loft", "loft");
  owl.say("welcome", "loft");
  await owl.event("message", (m) => m.text === "in the den" && m.room === "den");
  await owl.event("message", (m) => m.text === "in the loft" && m.room === "loft");
  await fox.event("message", (m) => m.text === "welcome" && m.room === "loft");

  assert.equal(await fox.command("/leave", "den"), "ok");
  await owl.event("member-left", (e) => e.room === "den");
  await owl.event("epoch", (e) => e.room === "den" && e.reason === "leave");
  fox.say("still here", "loft");
  await owl.event("message", (m) => m.text === "still here" && m.room === "loft");
  assert.equal(
    fox.ring.get(fox.every("joined").find((e) => e.room === "den")?.roomId ?? ""),
    undefined,
  );
  assert.deepEqual([owl.complaints, fox.complaints], [[], []]);
  await quit(fox, owl);
  assert.deepEqual([owl.clock.timers, fox.clock.timers], [0, 0]);
});

Deno.test("what is typed while epochs change is neither lost nor doubled nor reordered", async () => {
  for (const seed of [1, 2, 3]) {
    const die = seededDie(seed);
    const story = new Story();
    const link = () => shaken(story.connectRaw(), die);
    const owl = await ScriptedSession.admin("owl", ["den"], { link: link() });
    const url = await inviteTo(owl, "den");
    const clients = [];
    for (const name of ["fox", "elk"]) {
      const client = await ScriptedSession.client(name, [url], { link: link() });
      await client.event("joined");
      clients.push(client);
    }
    const people = [owl, ...clients];
    // What is said before somebody's commit has come is not for them.
    for (const person of people) {
      await person.until("all in", () => person.epochOf("den") === 3 || undefined);
    }
    const said = new Map<string, string[]>(people.map((p) => [p.name, []]));
    const EPOCHS = 8;
    for (let i = 0; i < EPOCHS; i++) {
      const epoch = owl.epochOf("den");
      owl.wants("/rekey");
      // Texts fall before, into and after the change, as the die has it.
      while (people.some((p) => p.epochOf("den") <= epoch)) {
        for (const person of people) {
          if (die(3) > 0) continue;
          const texts = said.get(person.name) ?? [];
          const text = `${person.name} ${texts.length}`;
          texts.push(text);
          person.say(text);
        }
        await turns(1 + die(6));
      }
    }
    for (const person of people) {
      for (const other of people) {
        if (other === person) continue;
        const texts = said.get(other.name) ?? [];
        await person.until(
          `all ${texts.length} texts of ${other.name}`,
          () => person.textsOf(other.name).length >= texts.length || undefined,
        );
        assert.deepEqual(person.textsOf(other.name), texts, `seed ${seed}`);
      }
      assert.deepEqual(person.every("sent").map((s) => s.text), said.get(person.name));
      assert.deepEqual(person.complaints, [], `seed ${seed}`);
    }
    assert.ok([...said.values()].every((texts) => texts.length > EPOCHS), `seed ${seed}`);
    await quit(...clients, owl);
  }
});

Deno.test("leaving a room in the middle of its key update ends that room and nothing else", async () => {
  const story = new Story();
  const owl = await ScriptedSession.admin("owl", ["den", "loft"], { link: story.connectRaw() });
  const invites = [await inviteTo(owl, "den"), await inviteTo(owl, "loft")];
  const fox = await ScriptedSession.client("fox", invites, {
    link: story.connectRaw(),
    // Within the step that orders the key update: it runs when the room is gone.
    onEvent: (event, session) => {
      if (event.type === "epoch" && event.reason === "rekey") session.wants("/leave", "den");
    },
  });
  await fox.event("joined", (e) => e.room === "den");
  await fox.event("joined", (e) => e.room === "loft");
  assert.equal(await owl.command("/rekey", "den"), "ok");
  await owl.event("member-left", (e) => e.room === "den");
  fox.say("still here", "loft");
  await owl.event("message", (m) => m.text === "still here");
  assert.deepEqual(fox.complaints, []);
  await quit(fox, owl);
});

Deno.test("an admin that leaves a room while its commit is made goes on with its other room", async () => {
  const story = new Story();
  const owl = await ScriptedSession.admin("owl", ["den", "loft"], { link: story.connectRaw() });
  const loft = await inviteTo(owl, "loft");
  await inviteTo(owl, "den");
  const rekey = owl.wants("/rekey", "den");
  assert.equal(await owl.command("/leave", "den"), "ok");
  assert.ok(owl.every("ok").some((e) => e.ref === rekey));
  const fox = await ScriptedSession.client("fox", [loft], { link: story.connectRaw() });
  await fox.event("joined");
  assert.deepEqual(owl.complaints, []);
  await quit(fox, owl);
});

Deno.test("a commit that cannot be stored is not sent, and the admin ends with exit code 1", async () => {
  const story = new Story();
  let full = false;
  const store = {
    ...noStore,
    saveCommit: () => full ? Promise.reject(new Error("the disk is full")) : Promise.resolve(),
  };
  const owl = await ScriptedSession.admin("owl", ["den"], { link: story.connectRaw(), store });
  const url = await inviteTo(owl, "den");
  const fox = await ScriptedSession.client("fox", [url], { link: story.connectRaw() });
  await fox.event("joined");
  full = true;
  const epoch = owl.epochOf("den");
  assert.equal(await owl.command("/rekey"), "ok");
  assert.equal(await owl.exit, 1);
  assert.match(owl.every("error").at(-1)?.message ?? "", /the disk is full/);
  fox.say("is anybody there?");
  await fox.event("sent");
  await turns(50);
  assert.equal(fox.epochOf("den"), epoch);
  await quit(fox);
});

Deno.test("the end of input sends what was said before it, then leaves", async () => {
  const story = new Story();
  const owl = await ScriptedSession.admin("owl", ["den"], { link: story.connectRaw() });
  const url = await inviteTo(owl, "den");
  const fox = await ScriptedSession.client("fox", [url], { link: story.connectRaw() });
  for (const text of ["one", "two", "three"]) fox.say(text);
  fox.endInput();
  assert.equal(await fox.exit, 0);
  await owl.event("message", (m) => m.text === "three");
  assert.deepEqual(owl.textsOf("fox"), ["one", "two", "three"]);
  await owl.event("member-left", (e) => e.reason === "left");
  assert.equal(fox.events.at(-1)?.type, "bye");
  await quit(owl);
});

Deno.test("a relay that reads no more does not keep anybody from leaving", async () => {
  const story = new Story();
  const owl = await ScriptedSession.admin("owl", ["den"], { link: story.connectRaw() });
  await inviteTo(owl, "den");
  const relayEnd = story.relayEnds[0];
  assert.ok(relayEnd !== undefined);
  relayEnd.pause();
  owl.wants("/quit");
  await owl.event("bye");
  await turns(20);
  let exited = false;
  const exit = owl.exit.finally(() => exited = true);
  await turns(20);
  assert.equal(exited, false, "our last words wait to be read");
  owl.clock.pass(3000);
  assert.equal(await exit, 0);
});

Deno.test("a relay that is silent for a minute ends the session with exit code 3", async () => {
  const story = new Story();
  const owl = await ScriptedSession.admin("owl", ["den"], { link: story.connectRaw() });
  await inviteTo(owl, "den");
  story.relayEnds[0]?.pause();
  owl.clock.pass(61_000);
  assert.equal(await owl.exit, 3);
  assert.deepEqual(owl.every("disconnected").map((e) => e.code), ["stalled"]);
});

Deno.test("/join enters one more room on the same connection, and says why it cannot", async () => {
  const story = new Story();
  const owl = await ScriptedSession.admin("owl", ["den", "loft"], { link: story.connectRaw() });
  const den = await inviteTo(owl, "den");
  const fox = await ScriptedSession.client("fox", [den], { link: story.connectRaw() });
  await fox.event("joined");
  assert.equal(await fox.command("/join stm://nonsense"), "usage");
  assert.equal(await fox.command(`/join ${await inviteTo(owl, "loft")}`), "ok");
  await fox.event("joined", (e) => e.room === "loft");
  assert.equal(story.relay.counters.connections, 2);
  await quit(fox, owl);
});

/** A sealed payload to the admin, of a type that no version knows. */
function unknownSealed({ room, roomSecret }: InviteLink, type: number): Uint8Array<ArrayBuffer> {
  const plaintext = new Uint8Array(256);
  plaintext[0] = type;
  const salt = systemRandom(32);
  const key = hkdf(roomSecret, salt, outerKeyInfo("to-admin"), 32);
  const box = gcmSeal(key, room, plaintext);
  const seal = new OuterSeal(room, roomSecret);
  return seal.payload({ kind: "sealed" }, Uint8Array.from([...salt, ...box]));
}

Deno.test("a stranger cannot end an admin's room by a sealed frame of a critical type", async () => {
  const story = new Story();
  const owl = await ScriptedSession.admin("owl", ["den"], { link: story.connectRaw() });
  const url = await inviteTo(owl, "den");
  const link = parseLink(url, sha256);
  assert.ok(link.kind === "invite");
  const stranger = await story.arrive();
  const credential = encodeCredential({ role: "knocker" });
  stranger.send({ kind: "enter", room: link.room, role: "knocker", credential });
  await turns(20);
  const from = stranger.handles.get(link.room.toHex());
  assert.ok(from !== undefined);
  for (const type of [0x7f, 0x80, 0x8f, 0xff]) {
    const payload = unknownSealed(link, type);
    stranger.send({ kind: "direct", room: link.room, from, to: BROADCAST_TO_OWNERS, payload });
  }
  const fox = await ScriptedSession.client("fox", [url], { link: story.connectRaw() });
  await fox.event("joined");
  assert.deepEqual(owl.complaints, []);
  await quit(fox, owl);
});
