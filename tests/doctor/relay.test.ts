/** What `stm doctor` finds at a relay: a real one over real TLS, and others that are none. */
import assert from "node:assert/strict";
import { fingerprintOf } from "../../src/crypto/join.ts";
import type { Finding } from "../../src/doctor/finding.ts";
import { relayFindings } from "../../src/doctor/relay_checks.ts";
import { DEFAULT_RELAY_LIMITS } from "../../src/server/relay_limits.ts";
import { Relay, SYSTEM_PORTS } from "../../src/server/relay.ts";
import { challenge, formatFingerprint, relayKey } from "../../src/wire/ids.ts";
import type { KeyChangeStatement, Successor } from "../../src/wire/key_change.ts";
import { frameRelayMessage } from "../../src/wire/relay_message.ts";
import { firstWords, Speaker, statementOf } from "../support/key_changes.ts";
import { makeRelayKey } from "../support/relay_key.ts";
import { TestRelay } from "../support/test_relay.ts";

/** A relay on loopback that anybody may use. @param changes how it came to its key */
async function startRelay(
  key = makeRelayKey(),
  changes: readonly KeyChangeStatement[] = [],
): Promise<TestRelay> {
  const relay = new Relay(relayKey(key.pin), DEFAULT_RELAY_LIMITS, SYSTEM_PORTS);
  relay.changeKey(relayKey(key.pin), changes);
  return await TestRelay.start({ onLink: (link) => relay.accept(link) }, key);
}

/** @param aheadS how far our clock is ahead */
async function look(
  at: { port: number; pin: Uint8Array; host?: string; successors?: readonly Successor[] },
  aheadS = 0,
): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  const { host = "127.0.0.1", port, pin, successors = [] } = at;
  const target = { host, port, key: relayKey(pin), successors };
  for await (const finding of relayFindings(target, () => Date.now() + aheadS * 1000)) {
    found.push(finding);
  }
  return found;
}

/** The only finding that is not well, which has a remedy. */
function theFault(found: readonly Finding[]): Finding {
  const faults = found.filter(({ verdict }) => verdict !== "ok");
  assert.equal(faults.length, 1, JSON.stringify(found));
  const [fault] = faults;
  assert.ok(fault?.remedy !== undefined && fault.remedy !== "");
  return fault;
}

Deno.test("a relay that is well is well in every respect", async () => {
  await using relay = await startRelay();
  const found = await look(relay.address);
  assert.deepEqual(
    found.map(({ check, verdict }) => [check, verdict]),
    ["relay", "pin", "protocol", "login", "delay", "clock"].map((check) => [check, "ok"]),
  );
});

Deno.test("a clock that is off is found, and fails where nobody could enter a room of ours", async () => {
  await using relay = await startRelay();
  const cases: readonly [number, Finding["verdict"], RegExp][] = [
    [30, "ok", /within a minute/],
    [-30, "ok", /within a minute/],
    [200, "warn", /about 3 minutes ahead/],
    [-200, "warn", /about 3 minutes behind/],
    [1200, "fail", /about (19|20|21) minutes ahead of the relay: nobody could enter/],
    [-10_000, "warn", /about 3 hours behind/],
    [-90_000, "fail", /about 2[456] hours behind/],
    [400_000_000, "fail", /about 4[5-7]\d\d days ahead/],
    [-1_700_000_000, "fail", /about (19|20)\d\d\d days behind/],
  ];
  for (const [aheadS, verdict, words] of cases) {
    const clock = (await look(relay.address, aheadS)).find(({ check }) => check === "clock");
    assert.equal(clock?.verdict, verdict, `${aheadS}: ${clock?.text}`);
    assert.match(clock?.text ?? "", words);
  }
});

Deno.test("somebody else than the pinned relay is exit code 4, and hears nothing", async () => {
  await using stranger = await Speaker.start(makeRelayKey(), firstWords([]));
  const fault = theFault(await look({ port: stranger.port, pin: makeRelayKey().pin }));
  assert.deepEqual([fault.check, fault.exitCode], ["pin", 4]);
  // The handshake that was refused made no link; the second look only listens.
  for (const { ended } of stranger.heard) await ended;
  assert.deepEqual(stranger.heard.map(({ received }) => received), [0]);
});

Deno.test("a planned change of the key is followed as a session follows it, by statement or by what was kept", async () => {
  const [old, next] = [makeRelayKey(), makeRelayKey()];
  const nowS = Math.floor(Date.now() / 1000);
  const statement = await statementOf(old, next, { from: nowS, until: nowS + 86_400 });
  await using told = await startRelay(next, [statement]);
  await using silent = await startRelay(next);
  const kept = [{ key: relayKey(next.pin), from: nowS - 86_400 }];
  for (
    const at of [
      { port: told.address.port, pin: old.pin },
      { port: silent.address.port, pin: old.pin, successors: kept },
    ]
  ) {
    const found = await look(at);
    assert.deepEqual(found.filter(({ verdict }) => verdict !== "ok"), []);
    const pin = found.find(({ check }) => check === "pin")?.text ?? "";
    assert.match(pin, /its key has changed as it announced/);
    assert.ok(pin.includes(formatFingerprint(fingerprintOf(relayKey(next.pin)))));
  }
  // Another's statement opens nothing.
  const forged = await statementOf(old, next, { from: nowS, until: nowS + 86_400 }, next);
  await using thief = await startRelay(next, [forged]);
  const fault = theFault(await look({ port: thief.address.port, pin: old.pin }));
  assert.deepEqual([fault.check, fault.exitCode], ["pin", 4]);
});

Deno.test("nobody there, no such name, and somebody who speaks something else are exit code 3", async () => {
  const { pin } = makeRelayKey();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const serving = listener.accept().then(async (connection) => {
    await connection.write(new TextEncoder().encode("SSH-2.0-OpenSSH_9.2\r\n"));
    return connection;
  });
  const other = theFault(await look({ port, pin }));
  (await serving).close();
  listener.close();
  const nobody = theFault(await look({ port, pin }));
  const noName = theFault(await look({ port: 1, pin, host: "relay.invalid" }));
  for (const fault of [other, nobody, noName]) {
    assert.deepEqual([fault.check, fault.exitCode], ["relay", 3], fault.text);
  }
  assert.match(other.remedy ?? "", /opens TLS/);
  assert.match(nobody.remedy ?? "", /ask its operator whether it runs/);
  assert.match(noName.remedy ?? "", /typing mistake/);
});

Deno.test("a relay of another protocol, or that hangs up, fails with what it said", async () => {
  const newer = frameRelayMessage({
    kind: "challenge",
    minVersion: 7,
    maxVersion: 9,
    nonce: challenge(new Uint8Array(32)),
    maxFrame: 65_536,
    access: 0,
  });
  await using relay = await TestRelay.start({
    onLink: (link) => {
      link.start({ onData: () => {}, onEnd: () => {} });
      link.write(newer);
    },
  });
  const version = theFault(await look(relay.address));
  assert.deepEqual([version.check, version.exitCode], ["protocol", 1]);
  assert.match(version.text, /version 7 to 9/);

  await using hasty = await TestRelay.start({
    onLink: (link) => {
      link.start({ onData: () => {}, onEnd: () => {} });
      link.close();
    },
  });
  assert.equal(theFault(await look(hasty.address)).check, "protocol");
});
