import assert from "node:assert/strict";
import fc from "fast-check";
import { type Bytes, WireError } from "../../src/wire/codec.ts";
import { encodeFrame, FrameDecoder } from "../../src/wire/frame.ts";
import * as ids from "../../src/wire/ids.ts";
import {
  decodeRelayMessage,
  encodeRelayMessage,
  frameRelayMessage,
  OFFSET_BROADCAST_PAYLOAD,
  OFFSET_DIRECT_PAYLOAD,
  OFFSET_FROM,
  OFFSET_ROOM,
  OFFSET_TO,
} from "../../src/wire/relay_message.ts";
import { SIGNATURE_KINDS, signatureInput } from "../../src/wire/signed.ts";
import {
  type Credential,
  decodeCredential,
  decodeTicket,
  encodeCredential,
  encodeTicket,
  enterBody,
  MAX_CREDENTIAL_BYTES,
  TICKET_BODY,
} from "../../src/wire/ticket.ts";
import { encode } from "../../src/wire/codec.ts";
import { assertProperty } from "../support/property.ts";
import { anyRelayMessage } from "./samples.ts";

const filled = (length: number, fill: number): Bytes => new Uint8Array(length).fill(fill);
const room = ids.roomId(filled(16, 1));
const from = ids.handle(filled(16, 2));
const to = ids.handle(filled(16, 3));
const payload = filled(5, 4);
const signature = ids.signature(filled(64, 6));

Deno.test("frameRelayMessage() is encodeFrame() of encodeRelayMessage()", () => {
  assertProperty(fc.property(anyRelayMessage, (message) => {
    const framed = frameRelayMessage(message);
    assert.deepEqual(framed, encodeFrame(encodeRelayMessage(message)));
    const [body] = new FrameDecoder().push(framed);
    assert.deepEqual(decodeRelayMessage(body ?? new Uint8Array()), message);
  }));
});

Deno.test("lent or copied, a message is the same; only a payload of BROADCAST or DIRECT is ever lent", () => {
  assertProperty(fc.property(anyRelayMessage, fc.boolean(), (message, lends) => {
    const body = encodeRelayMessage(message);
    const decoded = decodeRelayMessage(body, lends);
    assert.deepEqual(decoded, message);
    for (const [name, field] of Object.entries(decoded)) {
      if (!(field instanceof Uint8Array)) continue;
      const lent = lends && name === "payload" && field.length > 64;
      assert.equal(field.buffer === body.buffer, lent, name);
    }
  }));
});

Deno.test("the offsets say where the fields of BROADCAST and DIRECT are", () => {
  const broadcast = encodeRelayMessage({ kind: "broadcast", room, from, payload });
  assert.deepEqual(broadcast.slice(OFFSET_ROOM, OFFSET_ROOM + 16), new Uint8Array(room));
  assert.deepEqual(broadcast.slice(OFFSET_FROM, OFFSET_FROM + 16), new Uint8Array(from));
  assert.deepEqual(broadcast.slice(OFFSET_BROADCAST_PAYLOAD), payload);
  const direct = encodeRelayMessage({ kind: "direct", room, from, to, payload });
  assert.deepEqual(direct.slice(OFFSET_ROOM, OFFSET_ROOM + 16), new Uint8Array(room));
  assert.deepEqual(direct.slice(OFFSET_FROM, OFFSET_FROM + 16), new Uint8Array(from));
  assert.deepEqual(direct.slice(OFFSET_TO, OFFSET_TO + 16), new Uint8Array(to));
  assert.deepEqual(direct.slice(OFFSET_DIRECT_PAYLOAD), payload);
});

Deno.test("a type that is not known says whether it is critical, whatever follows", () => {
  for (const [type, critical] of [[0x00, false], [0x3f, false], [0x80, true], [0xff, true]]) {
    const body = new Uint8Array([Number(type), 1, 2, 3]);
    assert.deepEqual(decodeRelayMessage(body), { kind: "unknown", type, critical });
  }
});

Deno.test("an empty body is a WireError", () => {
  assert.throws(() => decodeRelayMessage(new Uint8Array()), WireError);
});

Deno.test("a BROADCAST or DIRECT without a payload is refused", () => {
  assert.throws(() => decodeRelayMessage(filled(OFFSET_BROADCAST_PAYLOAD, 1)), WireError);
  assert.throws(() => decodeRelayMessage(filled(OFFSET_DIRECT_PAYLOAD, 2)), WireError);
  assert.throws(
    () => encodeRelayMessage({ kind: "broadcast", room, from, payload: new Uint8Array() }),
    RangeError,
  );
});

Deno.test("a ticket is 184 bytes, of which the first 120 are signed", () => {
  const ticket = {
    room,
    ticketEpoch: ids.ticketEpoch(7),
    expires: 1_800_000_000,
    gateKey: ids.gateKey(filled(32, 5)),
  };
  const body = encode(TICKET_BODY, ticket);
  assert.equal(body.length, 120);
  const bytes = encodeTicket(body, signature);
  assert.equal(bytes.length, 184);
  assert.deepEqual(decodeTicket(bytes), { value: ticket, body, signature });
  bytes[70] = 1;
  assert.throws(() => decodeTicket(bytes), WireError);
});

Deno.test("decodeCredential() reads what the role asks for, and nothing else", () => {
  const roomKey = ids.roomKey(filled(32, 8));
  const ticket = ids.ticketBytes(filled(184, 9));
  const credentials: Credential[] = [
    { role: "knocker" },
    { role: "member", roomKey, ticket, signature },
    { role: "owner", roomKey, signature },
  ];
  for (const credential of credentials) {
    const bytes = encodeCredential(credential);
    assert.ok(bytes.length <= MAX_CREDENTIAL_BYTES);
    assert.deepEqual(decodeCredential(credential.role, bytes), credential);
    for (const { role } of credentials) {
      if (role !== credential.role) {
        assert.throws(() => decodeCredential(role, bytes), WireError);
      }
    }
  }
});

Deno.test("enterBody() is nonce, relay key, room and role, one after the other", () => {
  const nonce = ids.challenge(filled(32, 10));
  const relayKey = ids.relayKey(filled(32, 11));
  assert.deepEqual(
    enterBody({ nonce, relayKey, room, role: "owner" }),
    new Uint8Array([...nonce, ...relayKey, ...room, 2]),
  );
});

Deno.test("signatureInput() sets each kind apart, with a zero byte behind it", () => {
  const ascii = new TextEncoder();
  for (const kind of SIGNATURE_KINDS) {
    assert.deepEqual(
      signatureInput(kind, payload),
      new Uint8Array([...ascii.encode("stm/1 "), ...ascii.encode(kind), 0, ...payload]),
    );
  }
});

Deno.test("no code for what members say to each other can be reached from relay_message.ts", async () => {
  const seen = new Set<string>();
  const visit = async (url: URL): Promise<void> => {
    if (seen.has(url.href)) return;
    seen.add(url.href);
    const source = await Deno.readTextFile(url);
    // At the start of a line: an example in a docstring may import what it likes.
    for (const [, path = ""] of source.matchAll(/^(?:import|export|\}).* from "([^"]+)"/gm)) {
      assert.ok(path.startsWith("./"), `${url.href} imports ${path}`);
      await visit(new URL(path, url));
    }
  };
  await visit(new URL("../../src/wire/relay_message.ts", import.meta.url));
  const names = [...seen].map((href) => href.slice(href.lastIndexOf("/") + 1));
  assert.ok(names.includes("codec.ts"));
  for (const hidden of ["room_message", "sealed_message", "handshake", "commit", "contexts"]) {
    assert.ok(!names.includes(`${hidden}.ts`), hidden);
  }
});
