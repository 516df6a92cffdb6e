import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import fc from "fast-check";
import { type Bytes, decode, encode, WireError } from "../../src/wire/codec.ts";
import * as commit from "../../src/wire/commit.ts";
import * as handshake from "../../src/wire/handshake.ts";
import * as ids from "../../src/wire/ids.ts";
import { MAX_FRAME_BYTES, MAX_LEAVES, MAX_NAME_BYTES } from "../../src/wire/limits.ts";
import { isName, NAME, nameKey } from "../../src/wire/name.ts";
import { paddedSize } from "../../src/wire/padding.ts";
import {
  decodePayloadHeader,
  encodePayloadHeader,
  joinPayload,
  type PayloadHeader,
  splitPayload,
} from "../../src/wire/payload.ts";
import * as room from "../../src/wire/room_message.ts";
import { decodeSealedMessage, encodeSealedMessage } from "../../src/wire/sealed_message.ts";
import { decodeSigned, encodeSigned, signedOf } from "../../src/wire/signed.ts";
import { assertProperty } from "../support/property.ts";
import { bytesOf } from "./samples.ts";

const fill = (length: number, value: number): Bytes => new Uint8Array(length).fill(value);
const signature = ids.signature(fill(64, 0xee));

Deno.test("a header of 24 bytes is as PROTOCOL §5 has it", () => {
  const header: PayloadHeader = {
    kind: "message",
    epoch: ids.epoch(2),
    leaf: ids.leaf(3),
    n: 4,
  };
  const bytes = ids.fromHex("01000000" + "0000000000000002" + "00000003" + "0000000000000004");
  assert.deepEqual(encodePayloadHeader(header), bytes);
  assert.deepEqual(decodePayloadHeader(bytes), header);
  const sealed = ids.fromHex("02000000" + "00".repeat(20));
  assert.deepEqual(encodePayloadHeader({ kind: "sealed" }), sealed);
  assert.deepEqual(decodePayloadHeader(sealed), { kind: "sealed" });
});

Deno.test("24 bytes that are no header are passed over, and those that are encode to the same", () => {
  const almost = fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 1 }), bytesOf(20)).map(
    ([kind, zero, rest]) => new Uint8Array([kind, 0, 0, zero, ...rest.map((b, i) => i ? b : 0)]),
  );
  assertProperty(fc.property(fc.oneof(bytesOf(24), almost), (bytes) => {
    const header = decodePayloadHeader(bytes);
    if (header !== undefined) assert.deepEqual(encodePayloadHeader(header), bytes);
    else {assert.ok(
        bytes[0] !== 1 || bytes[3] !== 0 || (bytes[4] ?? 0) > 0 || (bytes[5] ?? 0) > 31 ||
          (bytes[16] ?? 0) > 0 || (bytes[17] ?? 0) > 31,
      );}
  }));
  for (const [at, value] of [[0, 3], [1, 1], [3, 1], [4, 0xff]] as const) {
    const bytes = ids.fromHex("01000000" + "00".repeat(20));
    bytes[at] = value;
    assert.equal(decodePayloadHeader(bytes), undefined, `byte ${at}`);
  }
  assert.equal(decodePayloadHeader(ids.fromHex("02000000" + "00".repeat(19) + "01")), undefined);
  assert.throws(() => decodePayloadHeader(fill(23, 0)), WireError);
});

Deno.test("a payload is a header of 24 bytes and a body of at least 32", () => {
  const payload = joinPayload(fill(24, 1), fill(32, 2));
  assert.deepEqual(splitPayload(payload), { maskedHeader: fill(24, 1), body: fill(32, 2) });
  assert.throws(() => splitPayload(fill(55, 0)), WireError);
  assert.throws(() => joinPayload(fill(24, 1), fill(31, 2)), RangeError);
  assert.throws(() => joinPayload(fill(23, 1), fill(32, 2)), RangeError);
});

Deno.test("paddedSize() is the least of 256 … 4096 and the multiples of 4096", () => {
  const sizes = [256, 512, 1024, 2048, ...Array.from({ length: 300 }, (_, i) => 4096 * (i + 1))];
  for (let n = 0; n < 20_000; n += 7) {
    assert.equal(paddedSize(n), sizes.find((size) => size >= n));
  }
  assert.equal(paddedSize(1_000_000), sizes.find((size) => size >= 1_000_000));
});

Deno.test("a plaintext whose padding is short, long or not zero is refused", () => {
  const plaintext = encodeSealedMessage("pending", { reason: "asking" });
  assert.equal(plaintext.length, 256);
  assert.equal(decodeSealedMessage(plaintext, "from-admin").kind, "pending");
  const dirty = new Uint8Array(plaintext);
  dirty[255] = 1;
  const longer = new Uint8Array(512);
  longer.set(plaintext);
  for (const wrong of [dirty, longer, plaintext.subarray(0, 255), plaintext.subarray(0, 6)]) {
    assert.throws(() => decodeSealedMessage(wrong, "from-admin"), WireError);
  }
});

Deno.test("a sealed type that comes from the wrong side is refused", () => {
  const plaintext = encodeSealedMessage("knock", { minVersion: 1, maxVersion: 1 });
  assert.throws(() => decodeSealedMessage(plaintext, "from-admin"), WireError);
  assert.throws(() => decodeSealedMessage(plaintext, "between-members"), WireError);
});

Deno.test("an unknown sealed type is named with its critical bit, whatever its content", () => {
  for (const [type, critical] of [[0x16, false], [0x7f, false], [0x80, true]] as const) {
    const plaintext = new Uint8Array(256);
    plaintext.set([type, 0, 0, 0, 2, 7, 7]);
    assert.deepEqual(decodeSealedMessage(plaintext, "to-admin"), {
      kind: "unknown",
      type,
      critical,
    });
  }
});

Deno.test("an unknown message type is named with its critical bit, whatever its content", () => {
  for (const [type, critical] of [[0x04, false], [0x01, false], [0x83, true]] as const) {
    assert.deepEqual(room.decodeRoomMessage(type, fill(3, 1)), { kind: "unknown", type, critical });
  }
});

Deno.test("a message's plaintext carries type, content and signature as PROTOCOL §8 has it", () => {
  const content = fill(3, 7);
  const plaintext = room.encodeMessagePlaintext({ type: 0x81, content, signature });
  const expected = new Uint8Array(256);
  expected.set([0x81, 0, 0, 0, 3, 7, 7, 7, ...signature]);
  assert.deepEqual(plaintext, expected);
  assert.deepEqual(room.decodeMessagePlaintext(plaintext), { type: 0x81, content, signature });
});

Deno.test("a text of 65,536 bytes is taken, a longer one is not", () => {
  const id = ids.messageId(fill(16, 1));
  const longest = room.encodeRoomMessage({ kind: "text", id, sentAt: 1, text: "é".repeat(32768) });
  assert.equal(room.decodeRoomMessage(longest.type, longest.content).kind, "text");
  assert.throws(
    () => room.encodeRoomMessage({ kind: "text", id, sentAt: 1, text: "a".repeat(65537) }),
    RangeError,
  );
  const over = new Uint8Array([...longest.content, 0x61]);
  assert.throws(() => room.decodeRoomMessage(longest.type, over), { code: "too-long" });
});

const cert: handshake.Cert = {
  minVersion: 1,
  maxVersion: 1,
  room: ids.roomId(fill(16, 1)),
  admin: ids.identityKey(fill(32, 2)),
  na: ids.joinNonce(fill(32, 3)),
  identity: ids.identityKey(fill(32, 4)),
  generation: ids.generation(5),
  sessionKey: ids.sessionKey(fill(32, 6)),
  gateKey: ids.gateKey(fill(32, 7)),
  wrapHash: ids.hash(fill(32, 8)),
  name: "n".repeat(MAX_NAME_BYTES),
};

Deno.test("the longest CERT has MAX_CERT_BYTES bytes, and decodeSigned() keeps what was signed", () => {
  const body = encode(handshake.CERT_BODY, cert);
  const bytes = encodeSigned(body, signature);
  assert.equal(bytes.length, handshake.MAX_CERT_BYTES);
  const decoded = handshake.decodeCert(bytes);
  assert.deepEqual(decoded, { value: cert, body, signature });
  assert.deepEqual(encode(handshake.CERT, decoded), bytes);
  assert.deepEqual(signedOf(handshake.CERT_BODY, cert, signature), decoded);
  assert.throws(() => decodeSigned(handshake.CERT_BODY, bytes.subarray(1)), WireError);
});

Deno.test("the SPKI of an RSA key of 3072 bits with e = 65537 has RSA_SPKI_BYTES bytes", () => {
  const n = fill(384, 0xff).toBase64({ alphabet: "base64url", omitPadding: true });
  const key = createPublicKey({ key: { kty: "RSA", n, e: "AQAB" }, format: "jwk" });
  assert.equal(key.export({ type: "spki", format: "der" }).length, handshake.RSA_SPKI_BYTES);
});

Deno.test("the longest BUNDLE inner and its tag fit MAX_BUNDLE_BOX_BYTES exactly", () => {
  const inner = encode(handshake.BUNDLE_INNER, {
    cert: fill(handshake.MAX_CERT_BYTES, 1),
    rsaSpki: fill(handshake.RSA_SPKI_BYTES, 1),
    kemKey: ids.kemKey(fill(1184, 1)),
    inviteId: ids.NO_INVITE,
    mac: fill(32, 1),
  });
  assert.equal(inner.length + 16, handshake.MAX_BUNDLE_BOX_BYTES);
});

Deno.test("deniedBody() is room, na and code", () => {
  assert.deepEqual(
    handshake.deniedBody(cert.room, cert.na, "name-taken"),
    new Uint8Array([...cert.room, ...cert.na, 4]),
  );
});

Deno.test("a roster of MAX_LEAVES with the longest certs fits a frame, one more is refused", () => {
  const entry = (leaf: number): commit.RosterLeaf => ({
    leaf: ids.leaf(leaf),
    via: "invite",
    cert: fill(handshake.MAX_CERT_BYTES, 1),
  });
  const leaves = Array.from({ length: MAX_LEAVES }, (_, i) => entry(i));
  const roomSecret = ids.roomSecret(fill(32, 1));
  const bytes = encode(commit.ROSTER, { roomSecret, leaves });
  assert.ok(bytes.length < MAX_FRAME_BYTES, `${bytes.length}`);
  assert.equal(decode(commit.ROSTER, bytes).leaves.length, MAX_LEAVES);
  const over = [...leaves, entry(MAX_LEAVES)];
  assert.throws(() => encode(commit.ROSTER, { roomSecret, leaves: over }), RangeError);
  new DataView(bytes.buffer).setUint32(32, MAX_LEAVES + 1);
  assert.throws(() => decode(commit.ROSTER, bytes), { code: "too-long" });
});

Deno.test("leaves and wraps out of order, or twice, are refused", () => {
  const one: commit.RosterLeaf = { leaf: ids.leaf(1), via: "known", cert: fill(1, 1) };
  const two: commit.RosterLeaf = { ...one, leaf: ids.leaf(2) };
  const roomSecret = ids.roomSecret(fill(32, 1));
  for (const leaves of [[two, one], [one, one]]) {
    assert.throws(() => encode(commit.ROSTER, { roomSecret, leaves }), RangeError);
  }
  const bytes = encode(commit.ROSTER, { roomSecret, leaves: [one, two] });
  // The second leaf's number, behind secret, count and the first leaf of 8 bytes.
  bytes.fill(0, 44, 48);
  assert.throws(() => decode(commit.ROSTER, bytes), { code: "bad-value" });

  const tag = (value: number) => ({ tag: ids.wrapTag(fill(16, value)), wrapHash: cert.wrapHash });
  const body: commit.Commit = {
    suite: commit.SUITE,
    room: cert.room,
    epoch: ids.epoch(1),
    prev: ids.epochHash(fill(32, 1)),
    runId: ids.runId(fill(16, 1)),
    kc: cert.wrapHash,
    rosterKc: cert.wrapHash,
    wraps: [tag(0x7f), tag(0x80)],
    rosterBox: fill(3, 1),
  };
  const encoded = encode(commit.COMMIT_BODY, body);
  assert.deepEqual(decode(commit.COMMIT_BODY, encoded), body);
  assert.throws(
    () => encode(commit.COMMIT_BODY, { ...body, wraps: [tag(0x80), tag(0x7f)] }),
    RangeError,
  );
  encoded[0] = 2;
  assert.throws(() => decode(commit.COMMIT_BODY, encoded), { code: "bad-value", offset: 0 });
});

Deno.test("a room secret that CHANGE does not renew is zero", () => {
  const change: commit.Change = {
    reason: "rekey",
    adminLeaf: ids.leaf(0),
    deputies: [],
    roomName: "r",
    newRoomSecret: undefined,
    added: [],
    removed: [],
  };
  const bytes = encode(commit.CHANGE, change);
  assert.deepEqual(decode(commit.CHANGE, bytes), change);
  // reason 1, admin leaf 4, deputies 2, name 3, flag 1.
  bytes[11] = 1;
  assert.throws(() => decode(commit.CHANGE, bytes), { code: "bad-value", offset: 11 });
});

Deno.test("a name is NFKC without control or format characters or white space at its ends", () => {
  const good = ["owl", "Zoë 🦊", "李雷", "a", "n".repeat(64), "o'brien-2"];
  const bad = [
    "",
    " owl",
    "owl\u3000",
    "o\nw",
    "o\u202ew",
    "o\u200bw",
    "\ufeffowl",
    "o\u2028w",
    "\ud800",
    "ﬁ",
    "e\u0301",
    "n".repeat(65),
    "é".repeat(33),
  ];
  for (const name of good) {
    assert.ok(isName(name), name);
    assert.equal(decode(NAME, encode(NAME, name)), name);
  }
  for (const name of bad) {
    assert.ok(!isName(name), JSON.stringify(name));
    assert.throws(() => encode(NAME, name), RangeError);
    if (!name.isWellFormed()) continue;
    const raw = new TextEncoder().encode(name);
    assert.throws(() => decode(NAME, new Uint8Array([0, raw.length, ...raw])), WireError);
  }
});

Deno.test("nameKey() is one for names that differ in case or marks alone", () => {
  for (const [a, b] of [["Zoë", "zoe"], ["STRASSE", "straße"], ["Ὀδυσσεύς", "οδυσσευσ"]] as const) {
    assert.equal(nameKey(a), nameKey(b));
  }
  assert.notEqual(nameKey("fox"), nameKey("owl"));
});
