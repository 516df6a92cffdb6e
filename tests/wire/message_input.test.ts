import assert from "node:assert/strict";
import fc from "fast-check";
import { messageAad, messageSignedBody } from "../../src/wire/contexts.ts";
import { epoch, epochHash, leaf, roomId } from "../../src/wire/ids.ts";
import { MessageInput } from "../../src/wire/message_input.ts";
import { signatureInput } from "../../src/wire/signed.ts";
import { assertProperty } from "../support/property.ts";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const u32 = fc.oneof(fc.nat(3), fc.nat(0xffffffff), fc.constant(0xffffffff));
const u53 = fc.oneof(fc.nat(3), fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER));

Deno.test("MessageInput gives what contexts.ts and signed.ts give, message after message", () => {
  const message = fc.record({
    leaf: u32,
    n: u53,
    type: fc.nat(255),
    content: fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 3000 })),
    wipes: fc.boolean(),
  });
  assertProperty(fc.property(
    bytes(16),
    bytes(32),
    u53,
    fc.array(message, { minLength: 1 }),
    (room, h, e, messages) => {
      const place = { room: roomId(room), h: epochHash(h), epoch: epoch(e) };
      const input = new MessageInput(place);
      for (const { leaf: l, n, type, content, wipes } of messages) {
        input.choose(leaf(l), n);
        const aad = messageAad({ ...place, leaf: leaf(l), n });
        assert.deepEqual(input.aad, aad);
        const signed = input.signed(type, content);
        assert.deepEqual(
          signed,
          signatureInput("msg", messageSignedBody(aad, type, new Uint8Array(content))),
        );
        if (!wipes) continue;
        input.wipe();
        // The AAD stays; nothing of the content does.
        assert.deepEqual(input.aad, aad);
        const behind = new Uint8Array(input.aad.buffer).subarray(
          input.aad.byteOffset + aad.length,
        );
        assert.ok(behind.every((byte) => byte === 0));
      }
    },
  ));
});

Deno.test("MessageInput takes no number that does not fit, and stays as it was", () => {
  const input = new MessageInput({
    room: roomId(new Uint8Array(16)),
    h: epochHash(new Uint8Array(32)),
    epoch: epoch(7),
  });
  for (const n of [-1, 0.5, NaN, 2 ** 53]) {
    const before = input.aad.slice();
    assert.throws(() => input.choose(leaf(1), n), RangeError);
    assert.deepEqual(input.aad, before);
  }
});
