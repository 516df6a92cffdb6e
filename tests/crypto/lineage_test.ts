/** Whom somebody takes for the admin that knew an earlier one (PROTOCOL §7.1). */
import assert from "node:assert/strict";
import { fingerprintOf } from "../../src/crypto/join.ts";
import { sign } from "../../src/crypto/primitives.ts";
import { generateSigningKey, type SigningKey } from "../../src/crypto/session_keys.ts";
import {
  checkSuccession,
  epochBefore,
  Lineage,
  makeSuccession,
} from "../../src/crypto/succession.ts";
import { encode } from "../../src/wire/codec.ts";
import { epoch, epochHash, identityKey, roomId, signature } from "../../src/wire/ids.ts";
import { CLAIM_AHEAD } from "../../src/wire/limits.ts";
import { type Signed, signedOf } from "../../src/wire/signed.ts";
import {
  type Succession,
  type Warrant,
  WARRANT_BODY,
  type WarrantPurpose,
} from "../../src/wire/succession.ts";

const [owl, fox, bat] = await Promise.all([1, 2, 3].map(() => generateSigningKey())) as [
  SigningKey,
  SigningKey,
  SigningKey,
];
const ROOM = roomId(new Uint8Array(16).fill(3));
const H = epochHash(new Uint8Array(32).fill(4));

/** `by` takes over from `admin`, with a warrant of epoch `named`, from epoch `after`. */
function step(
  admin: SigningKey,
  by: SigningKey,
  purpose: WarrantPurpose,
  named: number,
  after = named,
): Signed<Succession> {
  const value: Warrant = {
    room: ROOM,
    admin: identityKey(admin.publicKey),
    successor: identityKey(by.publicKey),
    epoch: epoch(named),
    h: H,
    purpose,
  };
  const signed = signature(sign(admin.privateKey, "transfer", encode(WARRANT_BODY, value)));
  return makeSuccession(by.privateKey, signedOf(WARRANT_BODY, value, signed), after, H);
}

const printOf = (key: SigningKey) => fingerprintOf(key.publicKey);
const idOf = (key: SigningKey) => key.publicKey.toHex();

/** Names of those whose HELLO somebody takes that knew owl. */
function taken(steps: readonly Signed<Succession>[], after: number, deputies: SigningKey[] = []) {
  const names = new Map([[printOf(owl).toHex(), "owl"], [printOf(fox).toHex(), "fox"], [
    printOf(bat).toHex(),
    "bat",
  ]]);
  return new Lineage(steps).follow(printOf(owl), after, deputies.map(idOf))
    .map((print) => names.get(print.toHex()));
}

Deno.test("the numbers of a successor's line begin far above the epoch that it goes on from", () => {
  const claim = step(owl, fox, "deputy", 4, 9);
  assert.equal(claim.value.epoch, 9 + CLAIM_AHEAD);
  assert.equal(epochBefore(claim.value), 9);
  checkSuccession(claim, ROOM);
  // Whoever handed the room over may be started anew before it hears that it was taken.
  assert.equal(step(owl, fox, "hand-over", 9).value.epoch, 9 + CLAIM_AHEAD);
  assert.throws(() => checkSuccession(step(owl, fox, "deputy", 9, 8), ROOM), {
    code: "bad-structure",
  });
  assert.throws(() => checkSuccession(step(owl, fox, "hand-over", 9, 10), ROOM), {
    code: "bad-structure",
  });
});

Deno.test("a claim does not shut out the admin that it is from; a hand-over does", () => {
  assert.deepEqual(taken([step(owl, fox, "deputy", 4, 9)], 9, [fox]), ["owl", "fox"]);
  assert.deepEqual(taken([step(owl, fox, "hand-over", 9)], 9), ["fox"]);
  const two = [step(owl, fox, "deputy", 4, 9), step(fox, bat, "hand-over", 80)];
  assert.deepEqual(taken(two, 9, [fox]), ["bat"]);
});

Deno.test("whoever had an epoch of the admin that others had not follows its deputy all the same", () => {
  const claim = step(owl, fox, "deputy", 4, 9);
  assert.deepEqual(taken([claim], 12, [fox]), ["owl", "fox"]);
  // So much later it is an old one.
  assert.deepEqual(taken([claim], 9 + CLAIM_AHEAD, [fox]), ["owl"]);
});

Deno.test("who was named since counts by its warrant, who was not named when we looked does not", () => {
  assert.deepEqual(taken([step(owl, fox, "deputy", 8, 9)], 7), ["owl", "fox"]);
  assert.deepEqual(taken([step(owl, fox, "deputy", 7, 9)], 7), ["owl"]);
  // A deputy of the deputy.
  const line = [step(owl, fox, "deputy", 8, 9), step(fox, bat, "deputy", 9 + CLAIM_AHEAD)];
  assert.deepEqual(taken(line, 7), ["owl", "fox", "bat"]);
  assert.deepEqual(taken([step(owl, fox, "deputy", 8, 9), step(fox, bat, "deputy", 20)], 7), [
    "owl",
    "fox",
  ]);
});
