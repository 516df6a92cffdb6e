import assert from "node:assert/strict";
import type { Bytes } from "../../src/wire/codec.ts";
import * as contexts from "../../src/wire/contexts.ts";
import * as ids from "../../src/wire/ids.ts";
import {
  fingerprintInput,
  isOpenRoom,
  keyedRoomId,
  openRoomId,
  openRoomIdInput,
} from "../../src/wire/room_id.ts";

const fill = (length: number, value: number): Bytes => new Uint8Array(length).fill(value);

/** Joins texts (as ASCII) and bytes, by hand, as the page writes them. */
function joined(...parts: readonly (string | Iterable<number>)[]): Bytes {
  return new Uint8Array(
    parts.flatMap((
      part,
    ) => [...(typeof part === "string" ? new TextEncoder().encode(part) : part)]),
  );
}

const room = ids.roomId(fill(16, 0x11));
const h = ids.epochHash(fill(32, 0x22));
const hash = ids.hash(fill(32, 0x33));
const identity = ids.identityKey(fill(32, 0x44));
const admin = ids.identityKey(fill(32, 0x55));
const relay = ids.relayKey(fill(32, 0x66));
const na = ids.joinNonce(fill(32, 0x77));
const kemKey = ids.kemKey(fill(1184, 0x88));
const epoch = ids.epoch(0x0102);
const EPOCH = [0, 0, 0, 0, 0, 0, 1, 2];
const leaf = ids.leaf(0x0304);
const LEAF = [0, 0, 3, 4];
const cert = fill(5, 0x99);
const body = fill(7, 0xaa);

Deno.test("every context is what PROTOCOL §3 to §8 writes", () => {
  const cases: [Bytes, Bytes][] = [
    [openRoomIdInput(relay, "main"), joined("stm/1 open room", relay, [0, 4], "main")],
    [fingerprintInput(identity), joined("stm/1 fp", identity)],
    [contexts.inviteIdInfo(), joined("stm/1 inv id")],
    [contexts.inviteMacKeyInfo(), joined("stm/1 inv mac")],
    [contexts.openSecretMaterial(relay, room), joined(relay, room)],
    [contexts.openSecretInfo(), joined("stm/1 open secret")],
    [contexts.headerKeyInfo(room), joined("stm/1 header", room)],
    [contexts.outerKeyInfo("to-admin"), joined("stm/1 outer", [0])],
    [contexts.outerKeyInfo("from-admin"), joined("stm/1 outer", [1])],
    [contexts.outerKeyInfo("between-members"), joined("stm/1 outer", [2])],
    [contexts.bundleKeyInfo(room, na), joined("stm/1 bundle", room, na)],
    [contexts.inviteMacInput(cert), joined("stm/1 inv", cert)],
    [contexts.wrapKeysInput(cert, kemKey), joined("stm/1 wrap keys", [0, 5], cert, kemKey)],
    [
      contexts.rosterHashInput([
        { leaf: ids.leaf(0), via: 0, identity: admin, certHash: hash },
        { leaf, via: 3, identity, certHash: hash },
      ]),
      joined("stm/1 roster", [0, 0, 0, 2], [0, 0, 0, 0, 0], admin, hash, LEAF, [3], identity, hash),
    ],
    [contexts.firstEpochHashInput(room, admin), joined("stm/1 th0", room, admin)],
    [contexts.epochHashInput(h, body), joined("stm/1 th", h, body)],
    [contexts.keyConfirmationInfo(room, epoch), joined("stm/1 kc", room, EPOCH)],
    [contexts.rosterConfirmationInfo(hash), joined("stm/1 rkc", hash)],
    [contexts.rosterKeyInfo(room, epoch), joined("stm/1 roster key", room, EPOCH)],
    [contexts.welcomeKeyInfo(room, epoch), joined("stm/1 welcome key", room, EPOCH)],
    [
      contexts.wrapContextInput({ suite: 1, room, epoch, admin, identity, certHash: hash, kemKey }),
      joined("stm/1 ctx", [1], room, EPOCH, admin, identity, hash, [0x04, 0xa0], kemKey),
    ],
    [contexts.wrapTagInput(hash), joined("stm/1 tag", hash)],
    [contexts.wrapKeyInfo(hash), joined("stm/1 wrap", hash)],
    [contexts.epochSecretInfo(), joined("stm/1 epoch")],
    [contexts.senderChainInfo(h, leaf), joined("stm/1 sender", h, LEAF)],
    [contexts.messageKeyInfo(9), joined("stm/1 msg", [0, 0, 0, 0, 0, 0, 0, 9])],
    [
      contexts.messageAad({ room, h, epoch, leaf, n: 9 }),
      joined("stm/1 aad", room, h, EPOCH, LEAF, [0, 0, 0, 0, 0, 0, 0, 9]),
    ],
    [contexts.messageSignedBody(body, 0x81, cert), joined(body, [0x81], cert)],
    [
      contexts.digestInput([{ leaf, count: 0x0102, hash }]),
      joined("stm/1 digest", LEAF, EPOCH, hash),
    ],
    [contexts.safetyCodeInfo(hash), joined("stm/1 auth", hash)],
    [contexts.linkCheckInput("a:1", body), joined("stm/1 link", [0, 3], "a:1", body)],
  ];
  for (const [i, [actual, expected]] of cases.entries()) {
    assert.deepEqual(actual, expected, `case ${i}`);
  }
});

Deno.test("what is hashed over leaves has them in rising order, once each", () => {
  const digest = { leaf, count: 1, hash };
  const roster = { leaf, via: 1, identity, certHash: hash };
  assert.throws(() => contexts.digestInput([digest, digest]), RangeError);
  assert.throws(() => contexts.rosterHashInput([roster, roster]), RangeError);
});

Deno.test("the highest bit of a room id says whether the room is open", () => {
  assert.deepEqual(new Uint8Array(keyedRoomId(fill(32, 0xff))), joined([0x7f], fill(15, 0xff)));
  assert.deepEqual(new Uint8Array(openRoomId(fill(32, 0x01))), joined([0x81], fill(15, 0x01)));
  assert.equal(isOpenRoom(keyedRoomId(fill(32, 0xff))), false);
  assert.equal(isOpenRoom(openRoomId(fill(32, 0))), true);
});

Deno.test("an id has exactly its length, and is a copy", () => {
  const bytes = fill(16, 1);
  const id = ids.roomId(bytes);
  bytes.fill(2);
  assert.deepEqual([...id], [...fill(16, 1)]);
  assert.throws(() => ids.roomId(fill(15, 0)), RangeError);
  assert.throws(() => ids.leaf(2 ** 32), RangeError);
  assert.throws(() => ids.epoch(-1), RangeError);
  assert.throws(() => ids.epoch(2 ** 53), RangeError);
});

Deno.test("hex and fingerprints", () => {
  assert.equal(ids.toHex(ids.fromHex("00Ff10")), "00ff10");
  assert.throws(() => ids.fromHex("0"), SyntaxError);
  assert.throws(() => ids.fromHex("zz"), SyntaxError);
  const fingerprint = ids.fingerprint(ids.fromHex("0123456789abcdef0011223344556677"));
  assert.equal(
    ids.formatFingerprint(fingerprint),
    "0123 4567 89ab cdef 0011 2233 4455 6677",
  );
  assert.equal(ids.sameBytes(fill(2, 1), fill(2, 1)), true);
  assert.equal(ids.sameBytes(fill(2, 1), fill(3, 1)), false);
  assert.equal(ids.sameBytes(fill(2, 1), new Uint8Array([1, 2])), false);
});
