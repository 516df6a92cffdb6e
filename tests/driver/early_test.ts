import assert from "node:assert/strict";
import { KeyRing } from "../../src/crypto/key_ring.ts";
import { OuterSeal } from "../../src/crypto/outer_seal.ts";
import { Inbound } from "../../src/driver/inbound.ts";
import { epoch as epochOf, handle, leaf } from "../../src/wire/ids.ts";
import { Story } from "../support/room_story.ts";

Deno.test("what comes for an epoch that is not there yet is kept up to 16 MiB, and what is beyond is refused", async () => {
  const story = await Story.found();
  await story.join(["ada"]);
  const ring = new KeyRing();
  ring.add(story.keysOf("ada"));
  const inbound = new Inbound(ring, () => 0);
  const seal = new OuterSeal(story.room, story.secret);
  const epoch = epochOf(story.epochOf("ada").place.epoch + 1);
  const kinds: string[] = [];
  for (let n = 0; n < 20; n++) {
    const header = { kind: "message" as const, epoch, leaf: leaf(0), n };
    const payload = seal.payload(header, new Uint8Array(1_000_000));
    const from = handle(new Uint8Array(16));
    const events = await inbound.take({ kind: "broadcast", room: story.room, from, payload });
    kinds.push(...events.map((event) => event.kind));
  }
  assert.equal(kinds.filter((kind) => kind === "fell-behind").length, 16);
  assert.deepEqual(kinds.slice(16), Array(4).fill("message-refused"));
});
