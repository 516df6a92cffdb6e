/** Which keys a participant follows a relay to, and which not. */
import assert from "node:assert/strict";
import { verifyRaw } from "../../src/crypto/primitives.ts";
import { relayKey } from "../../src/wire/ids.ts";
import {
  acceptableKeys,
  afterAnnouncement,
  afterProof,
  followKeyChanges,
  type KeyChangeStatement,
  type PinnedKey,
} from "../../src/wire/key_change.ts";
import { KEY_CHANGE_GRACE_S } from "../../src/wire/limits.ts";
import { COMES_S, statementOf } from "../support/key_changes.ts";
import { makeRelayKey, type TestRelayKey } from "../support/relay_key.ts";

const [one, two, three, other] = [makeRelayKey(), makeRelayKey(), makeRelayKey(), makeRelayKey()];

function follow(pin: TestRelayKey, statements: readonly KeyChangeStatement[], nowS = COMES_S) {
  const followed = followKeyChanges(relayKey(pin.pin), statements, verifyRaw, nowS);
  return typeof followed === "string" ? followed : followed.map(({ key }) => key.toHex());
}
const names = (...keys: TestRelayKey[]) => keys.map(({ pin }) => pin.toHex());

Deno.test("a change is followed before and after its time, and a chain of two from any place in it", async () => {
  const first = await statementOf(one, two);
  const second = await statementOf(two, three, { from: COMES_S + 10 });
  assert.deepEqual(follow(one, [first], COMES_S - 1_000_000), names(two));
  assert.deepEqual(follow(one, [first], COMES_S + 1000), names(two));
  assert.deepEqual(follow(one, [first, second]), names(two, three));
  assert.deepEqual(follow(two, [first, second]), names(three));
  assert.deepEqual(follow(three, [first, second]), []);
  assert.deepEqual(follow(one, []), "other-relay");
});

Deno.test("a statement signed by another key is not followed, wherever in a chain it is", async () => {
  const forged = await statementOf(one, other, {}, other);
  assert.equal(follow(one, [forged]), "bad-signature");
  const first = await statementOf(one, two);
  assert.equal(follow(one, [first, await statementOf(two, three, {}, one)]), "bad-signature");
  for (const change of [{ from: COMES_S - 1 }, { until: COMES_S + 1001 }]) {
    const { value, body } = await statementOf(one, two, change);
    const honest = await statementOf(one, two);
    assert.notDeepEqual(body, honest.body);
    assert.equal(follow(one, [{ ...honest, body }]), "bad-signature");
    assert.equal(follow(one, [{ value, body, signature: honest.signature }]), "bad-signature");
  }
});

Deno.test("a statement for another relay is not followed", async () => {
  assert.equal(follow(one, [await statementOf(other, two)]), "other-relay");
  assert.equal(
    follow(one, [await statementOf(other, two), await statementOf(two, three)]),
    "other-relay",
  );
});

Deno.test("a first statement played again after a second change leads nobody back", async () => {
  const first = await statementOf(one, two);
  // Whoever went on to the third key knows of no way to the second.
  assert.equal(follow(three, [first]), "other-relay");
  const pinned: PinnedKey = {
    key: relayKey(one.pin),
    successors: [
      { key: relayKey(two.pin), from: COMES_S },
      { key: relayKey(three.pin), from: COMES_S + 10 },
    ],
  };
  // And who only heard of it, while connected under the first, takes the second no more once it is due.
  const after = acceptableKeys(pinned, COMES_S + 10 + KEY_CHANGE_GRACE_S);
  assert.deepEqual(after.map((key) => key.toHex()), names(three));
  assert.deepEqual(afterAnnouncement(pinned, [{ key: relayKey(two.pin), from: COMES_S }]), pinned);
});

Deno.test("an expired statement is not followed, and an expired link of a chain breaks it", async () => {
  const first = await statementOf(one, two);
  assert.equal(follow(one, [first], COMES_S + 1001), "expired");
  const second = await statementOf(two, three, { until: COMES_S + 9000 });
  assert.equal(follow(one, [first, second], COMES_S + 1001), "expired");
  assert.deepEqual(follow(two, [first, second], COMES_S + 1001), names(three));
});

Deno.test("a cycle, a gap, and an end before the beginning are no chain", async () => {
  const first = await statementOf(one, two);
  const back = await statementOf(two, one);
  for (const pin of [one, two, three]) assert.equal(follow(pin, [first, back]), "no-chain");
  assert.equal(follow(one, [await statementOf(one, one)]), "no-chain");
  assert.equal(follow(one, [first, await statementOf(three, other)]), "no-chain");
  assert.equal(
    follow(one, [first, await statementOf(two, three), await statementOf(three, two)]),
    "no-chain",
  );
  assert.equal(follow(one, [await statementOf(one, two, { until: COMES_S - 1 })]), "no-chain");
});

Deno.test("before the time both keys are taken, within the grace too, and after it the new one alone", () => {
  const next = { key: relayKey(two.pin), from: COMES_S };
  const pinned: PinnedKey = { key: relayKey(one.pin), successors: [next] };
  const at = (nowS: number) => acceptableKeys(pinned, nowS).map((key) => key.toHex());
  assert.deepEqual(at(0), names(one, two));
  assert.deepEqual(at(COMES_S + KEY_CHANGE_GRACE_S - 1), names(one, two));
  assert.deepEqual(at(COMES_S + KEY_CHANGE_GRACE_S), names(two));
  assert.deepEqual(afterProof(pinned, relayKey(one.pin)), pinned);
  assert.deepEqual(afterProof(pinned, relayKey(two.pin)), { key: next.key, successors: [] });
  assert.throws(() => afterProof(pinned, relayKey(three.pin)), RangeError);
});

Deno.test("the first successor that a key has named stays: another one changes nothing", () => {
  const from = COMES_S;
  const [second, third, thiefs] = [two, three, other].map(({ pin }) => ({
    key: relayKey(pin),
    from,
  }));
  assert.ok(second && third && thiefs);
  const pinned: PinnedKey = { key: relayKey(one.pin), successors: [second] };
  assert.equal(afterAnnouncement(pinned, [thiefs]), pinned);
  assert.equal(afterAnnouncement(pinned, [thiefs, third]), pinned);
  assert.equal(afterAnnouncement(pinned, [second]), pinned);
  assert.deepEqual(afterAnnouncement(pinned, [second, third]).successors, [second, third]);
});
