/**
 * Nothing readable at the relay (P10): what people say, their names, the room's name and their identity keys are looked
 * for in every frame that the relay is given, after its TLS, and in the memory of its process; the same search of a
 * client finds them.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { sha256 } from "../../src/crypto/primitives.ts";
import { dial } from "../../src/transport/dial.ts";
import type { Link } from "../../src/transport/link.ts";
import { listen, type Listener } from "../../src/transport/listen.ts";
import { CERTIFICATE_FILE, KEY_FILE } from "../../src/transport/server_key.ts";
import { formatLink, parseLink } from "../../src/wire/link_url.ts";
import { type Needle, needle, Search, searchMemory } from "../support/process_memory.ts";
import { type Relay, Stage } from "../support/stm_process.ts";

/** A man in the middle with the relay's own key: he sees what the relay sees, frame by frame. */
async function openTap(
  stage: Stage,
  relay: Relay,
): Promise<{ listener: Listener; link: string; up: Uint8Array[] }> {
  const read = (file: string) => Deno.readTextFile(join(stage.folder, "certs", file));
  const link = parseLink(relay.link, sha256);
  assert.ok(link.kind === "server");
  const up: Uint8Array[] = [];
  const target = { host: "127.0.0.1", port: relay.port, pin: link.relayKey };
  const listener = await listen({
    addresses: [{ host: "127.0.0.1", port: 0 }],
    keyPem: await read(KEY_FILE),
    certPem: await read(CERTIFICATE_FILE),
    onLink: async (theirs) => {
      const ours = await dial(target);
      pipe(theirs, ours, (bytes) => up.push(bytes));
      pipe(ours, theirs, () => {});
    },
  });
  const text = formatLink({ ...link, host: "127.0.0.1", port: listener.port }, sha256);
  return { listener, link: text, up };
}

function pipe(from: Link, to: Link, see: (bytes: Uint8Array) => void): void {
  from.start({
    onData: (bytes) => {
      see(bytes);
      to.write(bytes);
    },
    onEnd: () => to.close(),
  });
}

function identityNeedle(name: string, hex: string): Needle {
  return { name, bytes: Uint8Array.fromHex(hex) };
}

Deno.test("nothing of a conversation is readable in the relay's frames or memory, and all of it in a client's (P10)", async () => {
  const random = () => crypto.getRandomValues(new Uint8Array(6)).toHex();
  const planted = {
    text: `the eagle lands at noon ${random()}`,
    admin: `owl-${random()}`,
    client: `fox-${random()}`,
    room: `book club ${random()}`,
  };
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const tap = await openTap(stage, relay);
  try {
    const owl = stage.start([
      ...["admin", tap.link, "--room", planted.room, "--name", planted.admin, "--ui", "json"],
    ]);
    const { url } = await owl.event("invite");
    const fox = stage.client(url, planted.client);
    const joined = await fox.event("joined");
    owl.say(planted.text);
    await fox.event("message", ({ text }) => text === planted.text);
    fox.say(`${planted.text}, again`);
    await owl.event("message", ({ text }) => text.endsWith("again"));

    const admin = joined.members.find(({ name }) => name === planted.admin);
    assert.ok(admin !== undefined);
    const needles: Needle[] = [
      needle("the text", planted.text),
      needle("the admin's name", planted.admin),
      needle("the client's name", planted.client),
      needle("the room's name", planted.room),
      identityNeedle("the admin's identity", admin.identity),
      identityNeedle("the client's identity", joined.me.identity),
    ];

    const frames = new Search(needles);
    for (const bytes of tap.up) frames.push(bytes);
    assert.ok(frames.bytes > 5000, "the tap saw the conversation");
    assert.deepEqual([...frames.found], [], "in the relay's frames");

    const atRelay = await searchMemory(relay.process.pid, needles);
    const atClient = await searchMemory(fox.pid, needles);
    for (const { name } of needles) {
      assert.ok(atClient.has(name), `the client's memory has ${name}`);
    }
    assert.ok(atRelay.bytes > 10_000_000, "the relay's memory was read");
    assert.deepEqual([...atRelay.found], [], "in the relay's memory");
    // What the relay does know is found there: the search works in that process too.
    const port = needle("the listening announcement", `"pin":"${relay.pin}"`);
    const key = identityNeedle("the relay's own key", relay.pin);
    const own = await searchMemory(relay.process.pid, [port, key]);
    assert.ok(own.has(key.name), "the relay's memory has its own key");
  } finally {
    await tap.listener.close();
  }
});
