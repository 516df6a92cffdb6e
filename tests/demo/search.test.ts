import assert from "node:assert/strict";
import fc from "fast-check";
import { keyNeedle, type Needle, search, textNeedle } from "../../src/demo_search.ts";
import { type RelayFrame, Tap } from "../../src/demo_relay.ts";
import { handle, roomId } from "../../src/wire/ids.ts";
import { frameRelayMessage } from "../../src/wire/relay_message.ts";
import { MemoryLink } from "../support/memory_link.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function utf16(text: string, littleEndian: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(text.length * 2));
  for (let i = 0; i < text.length; i++) view.setUint16(i * 2, text.charCodeAt(i), littleEndian);
  return new Uint8Array(view.buffer);
}

/** How a text may stand in a stream, by the name that a finding has for it. */
const WRITTEN: Record<string, (around: Uint8Array, text: string) => Uint8Array[]> = {
  "as it is": (_, text) => [bytes(text)],
  "UTF-16": (_, text) => [utf16(text, true), utf16(text, false)],
  "hex": (_, text) => [bytes(bytes(text).toHex()), bytes(bytes(text).toHex().toUpperCase())],
  "base64": (around, text) => {
    const all = new Uint8Array([...around, ...bytes(text), ...around]);
    return [bytes(all.toBase64()), bytes(all.toBase64({ alphabet: "base64url" }))];
  },
};

const noise = fc.uint8Array({ maxLength: 40 });
const text = fc.string({ minLength: 7, maxLength: 40, unit: "grapheme" });

for (const [form, write] of Object.entries(WRITTEN)) {
  Deno.test(`search() finds a text written as ${form}, whatever stands around it`, () => {
    fc.assert(fc.property(noise, noise, text, (before, after, planted) => {
      for (const written of write(before, planted)) {
        const stream = new Uint8Array([...before, ...written, ...after]);
        const found = search([before, stream], [textNeedle("it", planted)]);
        assert.ok(found.some((f) => f.form === form), JSON.stringify(found));
      }
    }));
  });
}

Deno.test("search() finds nothing in a megabyte of random bytes", () => {
  const random = new Uint8Array(1 << 20);
  for (let at = 0; at < random.length; at += 65536) {
    crypto.getRandomValues(random.subarray(at, at + 65536));
  }
  const needles: Needle[] = [
    textNeedle("a name", "red fox"),
    keyNeedle("a key", crypto.getRandomValues(new Uint8Array(32))),
  ];
  assert.deepEqual(search([random], needles), []);
});

Deno.test("a needle that chance puts into random bytes is refused", () => {
  assert.throws(() => textNeedle("owl", "owl"), RangeError);
});

Deno.test("the tap gives the search every byte of both directions, also of a text in two pieces", async () => {
  const tap = new Tap();
  const [relaySide, peer] = MemoryLink.pair();
  const link = tap.wrap(relaySide);
  const heard: Uint8Array[] = [];
  const both = Promise.withResolvers<void>();
  link.start({
    onData: (piece) => {
      heard.push(piece);
      if (heard.length === 2) both.resolve();
    },
    onEnd: () => {},
  });
  peer.start({ onData: () => {}, onEnd: () => {} });
  const planted = "meet me at the lighthouse";
  peer.write(bytes(planted.slice(0, 9)));
  peer.write(bytes(planted.slice(9)));
  await both.promise;
  const needle = [textNeedle("the plan", planted)];
  assert.deepEqual(search(tap.recorded(), needle), [{ label: "the plan", form: "as it is" }]);
  assert.deepEqual(tap.frames, [], "it is no frame");
  assert.equal(new TextDecoder().decode(new Uint8Array(heard.flatMap((h) => [...h]))), planted);

  const out = new Tap();
  await new Promise<void>((resolve) => out.wrap(peer).write(bytes(planted), () => resolve()));
  assert.equal(search(out.recorded(), needle).length, 1);
  peer.destroy();
});

Deno.test("the tap cuts frames whatever the pieces are, and tells what the relay can see of them", async () => {
  const heard: RelayFrame[] = [];
  const done = Promise.withResolvers<void>();
  const tap = new Tap((frame) => {
    heard.push(frame);
    if (heard.length === 2) done.resolve();
  });
  const [relaySide, peer] = MemoryLink.pair();
  tap.wrap(relaySide).start({ onData: () => {}, onEnd: () => {} });
  const id = roomId(new Uint8Array(16).fill(7));
  const from = handle(new Uint8Array(16).fill(8));
  const payload = new Uint8Array(100).fill(9);
  const frame = frameRelayMessage({ kind: "broadcast", room: id, from, payload });
  for (const byte of frame) peer.write(new Uint8Array([byte]));
  peer.write(frame);
  await done.promise;
  assert.deepEqual(tap.frames, heard);
  const { ms: _, same, ...first } = heard[0] ?? assert.fail();
  assert.deepEqual(first, {
    connection: 1,
    direction: "in",
    kind: "broadcast",
    bytes: frame.length,
    roomId: "07".repeat(16),
    fromHandle: "08".repeat(16),
    toHandle: null,
    head: "09".repeat(16),
  });
  assert.equal(heard[1]?.same, same);
  peer.destroy();
});
