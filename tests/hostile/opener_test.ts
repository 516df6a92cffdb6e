/**
 * Who can read what of a recording (issue "Talk", line 4; P1): the relay keeps every frame, and each device's keys are
 * tried on all of them by one tool, the same for those who may read and for those who may not.
 */
import assert from "node:assert/strict";
import { CommitRefused } from "../../src/crypto/accept_commit.ts";
import { CryptoError } from "../../src/crypto/primitives.ts";
import type { Bytes } from "../../src/wire/codec.ts";
import { handle } from "../../src/wire/ids.ts";
import { loadHouse } from "./house.ts";
import { Leak } from "./leak.ts";
import { opensTexts, recordedPayloads } from "./opener.ts";
import { Stranger } from "./stranger.ts";
import { type AdminActor, type MemberActor, World } from "./world.ts";

/** Each says one thing, and everybody there has heard it. */
async function talk(
  phase: string,
  people: readonly (MemberActor | AdminActor)[],
): Promise<string[]> {
  const said = people.map((person) => `${person.name} ${phase}`);
  for (const [i, person] of people.entries()) {
    const text = said[i] ?? "";
    person.say(text);
    for (const other of people) if (other !== person) await other.hears(text);
  }
  return said;
}

/** Whether the keys themselves, not only what leaked of them, get into an epoch by what was recorded. */
async function getsIn({ keys }: MemberActor, payloads: readonly Bytes[]): Promise<boolean> {
  const before = keys.current?.place.epoch ?? 0;
  for (const payload of payloads) {
    try {
      const opened = keys.open(payload);
      if (opened.kind !== "sealed") continue;
      const { message } = opened;
      if (message.kind === "wrap") keys.takeWrap(message.content, handle(new Uint8Array(16)));
      if (message.kind === "commit") await keys.takeCommit(message.content);
      if (message.kind === "welcome") await keys.takeWelcome(message.content);
    } catch (error) {
      if (!(error instanceof CommitRefused || error instanceof CryptoError)) throw error;
    }
  }
  return (keys.current?.place.epoch ?? 0) > before;
}

Deno.test("who was kicked or has left opens nothing later of the recording, a newcomer nothing earlier, and who stays all (P1)", async () => {
  await using world = new World(await loadHouse());
  const { owl, invite } = await world.founds("owl");
  const bob = await world.joins("bob", invite, [owl]);
  const ada = await world.joins("ada", invite, [owl, bob], { keeps: true });
  const mallory = await world.joins("mallory", invite, [owl, bob, ada], { keeps: true });
  const stranger = new Stranger(world.relay.connect("stranger"));
  await stranger.knocksAt(owl.keys.room);

  const early = await talk("early", [owl, bob, ada, mallory]);
  // Carol's invite is made before the kick: it makes no difference.
  const carol = await world.joins("carol", invite, [owl, bob, ada, mallory]);
  const all = await talk("with all", [owl, bob, ada, mallory, carol]);
  const beforeKick = recordedPayloads(world.relay.record).length;
  await owl.command("/kick mallory");
  await mallory.sees("bye");
  for (const person of [owl, bob, ada, carol]) await person.reaches(6);
  const kicked = await talk("after the kick", [owl, bob, ada, carol]);
  const beforeLeave = recordedPayloads(world.relay.record).length;
  await ada.command("/leave");
  for (const person of [owl, bob, carol]) await person.reaches(7);
  const left = await talk("after the leave", [owl, bob, carol]);
  await world.settleAll(owl, bob, carol);

  const payloads = recordedPayloads(world.relay.record);
  const opens = (leak: Leak) => opensTexts(owl.keys.room, leak, payloads);
  assert.deepEqual(opens(bob.keys.leak), [...early, ...all, ...kicked, ...left]);
  assert.deepEqual(opens(owl.keys.leak), [...early, ...all, ...kicked, ...left]);
  assert.deepEqual(opens(mallory.keys.leak), [...early, ...all]);
  assert.deepEqual(opens(ada.keys.leak), [...early, ...all, ...kicked]);
  assert.deepEqual(opens(carol.keys.leak), [...all, ...kicked, ...left]);

  // Whoever was invited, and the relay with such a friend, has the room secret and no more.
  const outsider = new Leak();
  outsider.roomSecrets.push(...owl.keys.leak.roomSecrets);
  assert.deepEqual(opens(outsider), []);

  // RSA, ML-KEM and session keys of the removed: no later commit is for them.
  assert.equal(await getsIn(mallory, payloads.slice(beforeKick)), false);
  assert.equal(await getsIn(ada, payloads.slice(beforeLeave)), false);

  assert.equal(stranger.frames, 0, "a knocker was given traffic of the room");
});
