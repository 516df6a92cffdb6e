/** A session's relay changes its key: over real TLS, with a relay of the old key, of the new one, and others. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { PinnedRelay } from "../../src/driver/pinned_relay.ts";
import type { Notice } from "../../src/session/notice.ts";
import type { SavedPin } from "../../src/store/successors.ts";
import { DialError } from "../../src/transport/dial.ts";
import { relayKey } from "../../src/wire/ids.ts";
import type { Successor } from "../../src/wire/key_change.ts";
import { frameRelayMessage } from "../../src/wire/relay_message.ts";
import { KEY_CHANGE_ATTACKS } from "../support/key_change_attacks.ts";
import { COMES_S, firstWords, Speaker, statementOf } from "../support/key_changes.ts";
import { runPatched } from "../support/patched_copy.ts";
import { makeRelayKey, type TestRelayKey } from "../support/relay_key.ts";

const [one, two, three, other] = [makeRelayKey(), makeRelayKey(), makeRelayKey(), makeRelayKey()];

/** A participant's side, and what it kept and said. */
class Side {
  readonly kept: [string, SavedPin][] = [];
  readonly said: Notice[] = [];
  nowS = COMES_S;
  readonly relay: PinnedRelay;

  constructor(port: number, pin: TestRelayKey, successors: readonly Successor[] = []) {
    this.relay = new PinnedRelay("127.0.0.1", port, { key: relayKey(pin.pin), successors }, {
      keep: (before, after) => {
        this.kept.push([before, after]);
        return Promise.resolve();
      },
      notice: (notice) => this.said.push(notice),
      now: () => this.nowS * 1000,
    });
  }

  /** "connected", or the code of the error. */
  async dials(): Promise<string> {
    try {
      (await this.relay.dial()).destroy();
      return "connected";
    } catch (error) {
      if (error instanceof DialError) return error.code;
      throw error;
    }
  }
}

Deno.test("P11: who was away follows the relay by the statement under the pinned key, and keeps it", async () => {
  await using relay = await Speaker.start(two, firstWords([await statementOf(one, two)]));
  const side = new Side(relay.port, one);
  assert.equal(await side.dials(), "connected");
  assert.equal(side.relay.key.toHex(), two.pin.toHex());
  assert.deepEqual(side.kept, [[one.pin.toHex(), { key: two.pin.toHex(), successors: [] }]]);
  assert.deepEqual(side.said.map((n) => n.type === "server-key" && n.state), ["changed"]);
  assert.ok(side.relay.isNamed(relayKey(one.pin)) && side.relay.isNamed(relayKey(two.pin)));
  // Once: the next time it is simply there.
  assert.equal(await side.dials(), "connected");
  assert.equal(side.said.length, 1);
});

Deno.test("P11: two changes while away are followed at once", async () => {
  const statements = [await statementOf(one, two), await statementOf(two, three)];
  await using relay = await Speaker.start(three, firstWords(statements));
  const side = new Side(relay.port, one);
  assert.equal(await side.dials(), "connected");
  assert.equal(side.relay.key.toHex(), three.pin.toHex());
});

for (const { name, run, expected } of KEY_CHANGE_ATTACKS) {
  Deno.test(`P11: a statement ${name} opens no way to a relay with another key, and nothing is sent to it`, async () => {
    assert.equal(await run(PinnedRelay), expected);
  });
}

Deno.test("each attack on a change of the key bites where its check is missing", async () => {
  const rows = KEY_CHANGE_ATTACKS.flatMap(({ name, expected, patch }) =>
    patch === null ? [] : [{ name, expected, patch: { name, ...patch } }]
  );
  const script = fileURLToPath(
    new URL("../support/key_change_attacks_program.ts", import.meta.url),
  );
  const outcomes = await runPatched(script, rows);
  assert.equal(outcomes.length, rows.length);
  for (const { name, outcome } of outcomes) assert.equal(outcome, "followed", name);
});

Deno.test("P11: who copies the statement without the key that it names gets nothing", async () => {
  // The true statement, and the certificate of the new key is not there to show: its key is elsewhere.
  await using thief = await Speaker.start(other, firstWords([await statementOf(one, two)]));
  const side = new Side(thief.port, one);
  assert.equal(await side.dials(), "wrong-key");
});

Deno.test("garbage and silence in the place of the statement end as wrong-key, in time", async () => {
  for (
    const words of [
      new Uint8Array(100).fill(255),
      frameRelayMessage({ kind: "ping", token: 0 }),
      Uint8Array.of(0, 0, 0, 2, 0x40, 0),
    ]
  ) {
    await using stranger = await Speaker.start(other, words);
    assert.equal(await new Side(stranger.port, one).dials(), "wrong-key");
  }
});

Deno.test("who is connected hears of it, is told once, and takes either key until the time, then the new one alone", async () => {
  await using before = await Speaker.start(one, firstWords([]));
  await using after = await Speaker.start(two, firstWords([]));
  const statements = [await statementOf(one, two)];
  const side = new Side(before.port, one);
  side.nowS = COMES_S - 5000;
  await side.relay.hear(statements);
  await side.relay.hear(statements);
  assert.deepEqual(side.said.map((n) => n.type === "server-key" && [n.state, n.pin]), [
    ["announced", two.pin.toHex()],
  ]);
  const kept: SavedPin = {
    key: one.pin.toHex(),
    successors: [{ key: two.pin.toHex(), from: COMES_S }],
  };
  assert.deepEqual(side.kept, [[one.pin.toHex(), kept]]);
  assert.equal(await side.dials(), "connected");

  // A later run, with what was kept, at a relay that does not say it again.
  const successors = [{ key: relayKey(two.pin), from: COMES_S }];
  const later = new Side(after.port, one, successors);
  assert.equal(await later.dials(), "connected");
  assert.equal(later.relay.key.toHex(), two.pin.toHex());
  const late = new Side(before.port, one, successors);
  late.nowS = COMES_S + 3600;
  assert.equal(await late.dials(), "wrong-key", "the old key is over");
});

Deno.test("a change at the end of all time is told as that, and ends nothing", async () => {
  const side = new Side(1, one);
  const never = Number.MAX_SAFE_INTEGER;
  await side.relay.hear([await statementOf(one, two, { from: never, until: never })]);
  assert.deepEqual(side.said.map((n) => n.type === "server-key" && n.from), [
    "+275760-09-13T00:00:00.000Z",
  ]);
});

Deno.test("what a relay says by the way is not believed unless it holds", async () => {
  const side = new Side(1, one);
  await side.relay.hear([await statementOf(one, other, {}, other)]);
  await side.relay.hear([await statementOf(two, other)]);
  await side.relay.hear([]);
  assert.deepEqual([side.kept, side.said], [[], []]);
});
