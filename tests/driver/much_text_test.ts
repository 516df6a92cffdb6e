/** Somebody pipes a file in, or pastes one: whatever its length, the session goes on. */
import assert from "node:assert/strict";
import { AdminKeys } from "../../src/crypto/admin_keys.ts";
import { FrameDecoder } from "../../src/wire/frame.ts";
import { type Handle, leaf } from "../../src/wire/ids.ts";
import { decodeRelayMessage, frameRelayMessage } from "../../src/wire/relay_message.ts";
import type { Link } from "../../src/transport/link.ts";
import { MAX_OUTBOX_BYTES } from "../../src/transport/outbox.ts";
import { Story } from "../server/relay_story.ts";
import { ScriptedSession, turns } from "../support/scripted_session.ts";

/** A link that takes nothing while it is held, as a relay that reads slowly. */
class HeldLink implements Link {
  held = false;
  readonly #waiting: (() => void)[] = [];

  constructor(protected readonly raw: Link) {}

  get remoteAddress(): string {
    return this.raw.remoteAddress;
  }
  start: Link["start"] = (handlers) => this.raw.start(handlers);
  write: Link["write"] = (bytes, done) => {
    const taken = new Uint8Array(bytes); // a Buffer's slice() would share its memory
    const write = (): void => this.raw.write(taken, done);
    if (this.held) this.#waiting.push(write);
    else write();
  };
  pause: Link["pause"] = () => this.raw.pause();
  resume: Link["resume"] = () => this.raw.resume();
  close: Link["close"] = () => this.raw.close();
  destroy: Link["destroy"] = () => this.raw.destroy();

  release(): void {
    this.held = false;
    for (const write of this.#waiting.splice(0)) write();
  }
}

/** A link by which somebody can send what its program would not. */
class TappedLink extends HeldLink {
  handle: Handle | undefined;
  readonly #decoder = new FrameDecoder();

  override start: Link["start"] = (handlers) => {
    const onData = (bytes: Uint8Array<ArrayBuffer>): void => {
      for (const body of this.#decoder.push(bytes.slice())) {
        const message = decodeRelayMessage(body);
        if (message.kind === "entered") this.handle = message.handle;
      }
      handlers.onData(bytes);
    };
    this.raw.start({ ...handlers, onData });
  };
}

/** An admin, over one link, and a client of its room, over the other. */
async function pair(
  link: (raw: Link) => Link,
  admins: (raw: Link) => Link = (raw) => raw,
): Promise<[ScriptedSession, ScriptedSession]> {
  const story = new Story({
    bytesPerSecond: 0,
    framesPerSecond: 0,
    sourceBytes: 0,
    sourceFrames: 0,
  });
  const owl = await ScriptedSession.admin("owl", ["den"], { link: admins(story.connectRaw()) });
  const { url } = await owl.event("invite");
  const fox = await ScriptedSession.client("fox", [url], { link: link(story.connectRaw()) });
  await fox.event("joined");
  return [owl, fox];
}

Deno.test("more text than may wait for the relay waits with whoever brings it, and is lost nowhere", async () => {
  let link: HeldLink | undefined;
  const [owl, fox] = await pair((raw) => link = new HeldLink(raw));
  assert.ok(link !== undefined);
  link.held = true;
  const long = "x".repeat(60_000);
  const count = Math.ceil(1.2 * MAX_OUTBOX_BYTES / long.length);
  const texts = Array.from({ length: count }, (_, i) => `${i} ${long}`);
  for (const text of texts) fox.say(text);
  await turns(100);
  const early = fox.every("sent").length;
  assert.ok(early > 0 && early < texts.length / 2, `${early} of ${texts.length}`);
  link.release();
  await owl.until("all of it", () => owl.textsOf("fox").length === texts.length || undefined);
  assert.deepEqual(owl.textsOf("fox"), texts);
  assert.deepEqual([owl.complaints, fox.complaints], [[], []]);
  for (const one of [fox, owl]) {
    one.wants("/quit");
    assert.equal(await one.exit, 0);
  }
});

Deno.test("who asks for more long messages than may wait for the relay does not end their author's connection", async () => {
  let link: HeldLink | undefined;
  let tap: TappedLink | undefined;
  const [owl, fox] = await pair(
    (raw) => link = new HeldLink(raw),
    (raw) => tap = new TappedLink(raw),
  );
  const long = "x".repeat(60_000);
  const texts = Array.from({ length: 120 }, (_, i) => `${i} ${long}`);
  for (const text of texts) fox.say(text);
  await owl.until("all of it", () => owl.textsOf("fox").length === texts.length || undefined);
  const { roomId } = await owl.event("joined");
  const keys = owl.ring.get(roomId);
  assert.ok(keys instanceof AdminKeys && keys.current !== null);
  assert.ok(link !== undefined && tap?.handle !== undefined);
  link.held = true;
  const to = keys.handleOf(leaf(1));
  assert.ok(to !== undefined);
  const numbers = texts.map((_, i) => i + 1);
  const payload = keys.repairRequest(keys.current.place.epoch, 1, numbers);
  const ask = frameRelayMessage({ kind: "direct", room: keys.room, from: tap.handle, to, payload });
  for (let i = 0; i < 4; i++) tap.write(ask, () => {});
  await turns(100);
  link.release();
  fox.say("still here");
  await owl.until("it", () => owl.textsOf("fox").includes("still here") || undefined);
  assert.deepEqual(fox.every("disconnected"), []);
  for (const one of [fox, owl]) {
    one.wants("/quit");
    assert.equal(await one.exit, 0);
  }
});

Deno.test("while text flows in, the event loop goes round: others are heard and what is typed is read", async () => {
  const [owl, fox] = await pair((raw) => raw);
  const count = 2000;
  for (let i = 0; i < count; i++) fox.say(`line ${i}`);
  const sentAtTurn: number[] = [];
  while (fox.every("sent").length < count) {
    sentAtTurn.push(fox.every("sent").length);
    await turns(1);
  }
  // A turn for every few milliseconds of sealing: far more than the two that it takes to begin and to end.
  assert.ok(sentAtTurn.filter((sent) => sent > 0).length >= 3, sentAtTurn.join());
  await owl.until("all of it", () => owl.textsOf("fox").length === count || undefined);
  for (const one of [fox, owl]) {
    one.wants("/quit");
    assert.equal(await one.exit, 0);
  }
});
