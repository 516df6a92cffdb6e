/** What a newcomer says and hears around its WELCOME (PROTOCOL §7): both were lost when a hundred joined. */
import assert from "node:assert/strict";
import { KeyRing } from "../../src/crypto/key_ring.ts";
import { Inbound } from "../../src/driver/inbound.ts";
import { FrameDecoder } from "../../src/wire/frame.ts";
import {
  decodeRelayMessage,
  encodeRelayMessage,
  type RelayMessage,
} from "../../src/wire/relay_message.ts";
import type { Handle } from "../../src/wire/ids.ts";
import type { Link } from "../../src/transport/link.ts";
import { Story as RelayStory } from "../server/relay_story.ts";
import { Story } from "../support/room_story.ts";
import { ScriptedSession } from "../support/scripted_session.ts";

Deno.test("what others say of the new epoch before one's own WELCOME is read after it, and nothing older is", async () => {
  const story = await Story.found();
  await story.join(["ada"]);
  const old = story.seals("ada", story.text("before their time"));
  const bob = await story.person("bob");
  const eve = await story.person("eve");
  const adds = [];
  for (const person of [bob, eve]) {
    adds.push({ request: await story.knocks(person), via: "approved" as const });
  }
  const nowS = Math.floor(story.nowMs / 1000);
  await story.admin.make({ reason: "join", adds, removes: [] }, nowS);
  const { welcomes, broadcast } = story.admin.publish(nowS);
  const welcomeOf = (handle: Handle) => {
    const found = welcomes.find(({ to }) => to.toHex() === handle.toHex());
    assert.ok(found !== undefined);
    const [welcome] = found.seal();
    assert.ok(welcome !== undefined);
    return welcome;
  };
  await story.takes(bob, welcomeOf(bob.handle));
  story.people.set("bob", bob);
  const quick = story.seals("bob", story.text("first word"));

  const ring = new KeyRing();
  ring.add(eve.keys);
  const inbound = new Inbound(ring, () => story.nowMs);
  const { room } = story;
  const said = (from: Handle, payload: Uint8Array<ArrayBuffer>): RelayMessage => ({
    kind: "broadcast",
    room,
    from,
    payload,
  });
  for (const message of [said(bob.handle, old), said(bob.handle, quick)]) {
    // As the connection hands it on: a view of what came. What waits is not.
    const body = encodeRelayMessage(message);
    const lent = decodeRelayMessage(body, true);
    assert.ok("payload" in lent && lent.payload.buffer === body.buffer);
    assert.deepEqual(await inbound.take(lent), []);
    body.fill(0);
  }
  const events = await inbound.take({
    kind: "direct",
    room,
    from: story.adminHandle,
    to: eve.handle,
    payload: welcomeOf(eve.handle),
  });
  assert.deepEqual(
    events.map((e) => e.kind === "message" && e.content.kind === "text" ? e.content.text : e.kind),
    ["joined", "first word"],
  );
  assert.deepEqual(await inbound.take(said(story.adminHandle, broadcast)), []);
});

/** Keeps the relay messages that are written to a link. */
function overheard(link: Link, heard: RelayMessage[]): Link {
  const decoder = new FrameDecoder();
  return {
    remoteAddress: link.remoteAddress,
    start: (handlers) => link.start(handlers),
    pause: () => link.pause(),
    resume: () => link.resume(),
    close: () => link.close(),
    destroy: () => link.destroy(),
    write: (bytes, done) => {
      for (const body of decoder.push(bytes)) {
        const message = decodeRelayMessage(body);
        if (message.kind !== "unknown") heard.push(message);
      }
      link.write(bytes, done);
    },
  };
}

Deno.test("an admin has a newcomer admitted, sends the commit, and only then welcomes it", async () => {
  const story = new RelayStory();
  const heard: RelayMessage[] = [];
  const owl = await ScriptedSession.admin("owl", ["den"], {
    link: overheard(story.connectRaw(), heard),
  });
  const { url } = await owl.event("invite");
  const fox = await ScriptedSession.client("fox", [url], { link: story.connectRaw() });
  await fox.event("joined");
  const admit = heard.findIndex(({ kind }) => kind === "admit");
  const commit = heard.findIndex(({ kind }, i) => kind === "broadcast" && i > admit);
  const welcome = heard.findIndex(({ kind }, i) => kind === "direct" && i > admit);
  assert.ok(0 <= admit && admit < commit && commit < welcome, `${heard.map(({ kind }) => kind)}`);
  for (const person of [fox, owl]) {
    person.wants("/quit");
    assert.equal(await person.exit, 0);
  }
});
