/** What a relay can read where everybody knows the room secret (SECURITY.md, "Open rooms"). */
import assert from "node:assert/strict";
import { loadHouse } from "./house.ts";
import { opensTexts, recordedPayloads } from "./opener.ts";
import { Leak } from "./leak.ts";
import { World } from "./world.ts";

Deno.test("in an open room the relay reads the handshake and headers, and no text and no joiner's identity", async () => {
  await using world = new World(await loadHouse());
  const { owl } = await world.founds("owl", { open: "lobby" });
  const ada = await world.knocksOpen("ada", "lobby");
  await owl.sees("join-request");
  assert.equal(await owl.command("/admit ada"), "ok");
  await ada.sees("joined");
  await owl.reaches(2);
  ada.say("hello there");
  await owl.hears("hello there");

  const { relay } = world;
  const kinds = new Set(relay.record.map((c) => relay.look(c).kind));
  for (const kind of ["knock", "hello", "bundle", "welcome", "commit", "message"] as const) {
    assert.ok(kinds.has(kind), kind);
  }
  const hello = relay.record.map((c) => relay.look(c)).find((seen) => seen.kind === "hello");
  const admin = owl.keys.own.identity.publicKey;
  assert.equal(hello?.kind === "hello" && hello.content.value.admin.toHex(), admin.toHex());

  const outsider = new Leak();
  outsider.roomSecrets.push(...owl.keys.leak.roomSecrets);
  assert.deepEqual(opensTexts(owl.keys.room, outsider, recordedPayloads(relay.record)), []);
  // Everything that the lens opens, as it lies there.
  const open = relay.record.map((c) => JSON.stringify(relay.look(c), hexOfBytes)).join("\n");
  assert.ok(open.includes(admin.toHex()));
  assert.ok(!open.includes(ada.keys.own.identity.publicKey.toHex()));
});

function hexOfBytes(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? value.toHex() : value;
}
