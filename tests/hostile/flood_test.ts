/** Floods: somebody who may send sends as much as it can (PROTOCOL, adversaries 3 and 6). */
import { systemRandom } from "../../src/crypto/primitives.ts";
import { handle } from "../../src/wire/ids.ts";
import { loadHouse } from "./house.ts";
import { sealed } from "./hostile_insider.ts";
import { World } from "./world.ts";

const FRAMES = 6000;

Deno.test("an insider who knocks without end does not bring the admin down, and others still come in", async () => {
  await using world = new World(await loadHouse(), { framesPerSecond: 0, bytesPerSecond: 0 });
  const { owl, invite } = await world.founds("owl");
  const mallory = await world.joins("mallory", invite, [owl]);
  const { room } = owl.keys;
  for (let i = 0; i < FRAMES; i++) {
    const payload = sealed(world.house, mallory, "knock", { minVersion: 1, maxVersion: 1 });
    const to = handle(new Uint8Array(16));
    world.relay.sendAs("mallory", { kind: "direct", room, from: mallory.handle, to, payload });
  }
  const ada = await world.joins("ada", invite, [owl, mallory]);
  ada.say("still here");
  await owl.hears("still here");
});

Deno.test("an insider who broadcasts noise without end is shown and stops nobody's talk", async () => {
  await using world = new World(await loadHouse(), { framesPerSecond: 0, bytesPerSecond: 0 });
  const { owl, invite } = await world.founds("owl");
  const ada = await world.joins("ada", invite, [owl]);
  const mallory = await world.joins("mallory", invite, [owl, ada]);
  const { room } = owl.keys;
  for (let i = 0; i < FRAMES; i++) {
    const payload = systemRandom(300);
    world.relay.sendAs("mallory", { kind: "broadcast", room, from: mallory.handle, payload });
  }
  owl.say("still here");
  await ada.hears("still here");
  await ada.sees("warning", (e) => e.code === "bad-message");
});
