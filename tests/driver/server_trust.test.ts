import assert from "node:assert/strict";
import { fingerprintOf } from "../../src/crypto/join.ts";
import {
  dialFailure,
  type KnownServers,
  trustedKey,
  type TrustQuestion,
} from "../../src/driver/server_trust.ts";
import { StartError } from "../../src/driver/start_error.ts";
import type { ServerPin } from "../../src/store/server_pins.ts";
import { DialError } from "../../src/transport/dial.ts";
import { formatFingerprint, relayKey } from "../../src/wire/ids.ts";
import { TestRelay } from "../support/test_relay.ts";

/** Server pins in memory, which tell what was asked of them. */
function fakeKnown(pins: readonly ServerPin[] = []): KnownServers & { calls: string[] } {
  const calls: string[] = [];
  return {
    path: "/home/fox/known_servers.json",
    calls,
    pins: {
      pinFor(host, port) {
        calls.push(`pinFor ${host} ${port}`);
        return Promise.resolve(pins.find((p) => p.host === host && p.port === port));
      },
      remember(host, port, key) {
        calls.push(`remember ${host} ${port} ${key}`);
        return Promise.resolve({ kind: "remembered" });
      },
      follow: () => Promise.reject(new Error("nothing was announced")),
      forget: () => Promise.resolve(false),
    },
  };
}

const NOBODY: Omit<TrustQuestion, "host" | "port"> = {
  pin: undefined,
  acceptNew: false,
  known: null,
  confirm: null,
};

/** A port on which nobody listens. */
function deadPort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  return listener.addr.port;
}

async function refusal(question: TrustQuestion): Promise<StartError> {
  try {
    await trustedKey(question);
  } catch (error) {
    assert.ok(error instanceof StartError, String(error));
    return error;
  }
  throw new Error("it was trusted");
}

Deno.test("--pin with the whole key is believed without a connection, in any spelling", async () => {
  const key = "0123456789abcdef".repeat(4);
  const spellings = [
    key,
    key.toUpperCase(),
    key.replaceAll(/(....)/g, "$1 ").trim(),
    key.replaceAll(/(..)/g, "$1:"),
  ];
  for (const pin of spellings) {
    const known = fakeKnown();
    const found = await trustedKey({ ...NOBODY, host: "127.0.0.1", port: deadPort(), pin, known });
    assert.equal(found.toHex(), key);
    assert.deepEqual(known.calls, [], "what --pin says is neither looked up nor remembered");
  }
});

Deno.test("a --pin that is none ends with exit code 2 and says what it takes", async () => {
  for (const pin of ["", "abc", "0".repeat(33), "g".repeat(64), "0".repeat(63)]) {
    const error = await refusal({ ...NOBODY, host: "127.0.0.1", port: 1, pin });
    assert.deepEqual([error.code, error.exitCode], ["usage", 2]);
    assert.match(error.message, /--pin .*32 hex digits.*64/);
  }
});

Deno.test("--pin with the fingerprint is compared with what the relay shows", async () => {
  await using relay = await TestRelay.start();
  const key = relayKey(relay.key.pin);
  const { host, port } = relay.address;
  const pin = formatFingerprint(fingerprintOf(key));
  assert.deepEqual(await trustedKey({ ...NOBODY, host, port, pin }), key);
  const error = await refusal({ ...NOBODY, host, port, pin: "0".repeat(32) });
  assert.deepEqual([error.code, error.exitCode], ["wrong-key", 4]);
  assert.ok(error.message.includes(pin) && error.message.includes(`${host}:${port}`));
});

Deno.test("a relay that somebody said yes to is believed without a question", async () => {
  const key = "cd".repeat(32);
  const port = deadPort();
  const known = fakeKnown([{ host: "127.0.0.1", port, key, firstSeen: "2026-01-01T00:00:00Z" }]);
  const found = await trustedKey({ ...NOBODY, host: "127.0.0.1", port, known });
  assert.equal(found.toHex(), key);
  assert.deepEqual(known.calls, [`pinFor 127.0.0.1 ${port}`]);
});

Deno.test("a new relay is shown to the person by its fingerprint; yes is remembered", async () => {
  await using relay = await TestRelay.start();
  const { host, port } = relay.address;
  const known = fakeKnown();
  const questions: string[] = [];
  const confirm = (question: string) => {
    questions.push(question);
    return Promise.resolve(true);
  };
  const key = await trustedKey({ ...NOBODY, host, port, known, confirm });
  assert.deepEqual(key, relayKey(relay.key.pin));
  assert.equal(questions.length, 1);
  assert.ok(questions[0]?.includes(formatFingerprint(fingerprintOf(key))));
  assert.ok(questions[0]?.includes(`${host}:${port}`));
  assert.deepEqual(known.calls.at(-1), `remember ${host} ${port} ${key.toHex()}`);
});

Deno.test("no, and nobody there to say yes, end with exit code 4, and nothing is remembered", async () => {
  await using relay = await TestRelay.start();
  const { host, port } = relay.address;
  for (const confirm of [() => Promise.resolve(false), null]) {
    const known = fakeKnown();
    const error = await refusal({ ...NOBODY, host, port, known, confirm });
    assert.deepEqual([error.code, error.exitCode], ["unknown-server", 4]);
    assert.match(error.message, /--pin ".*", or --accept-new/);
    assert.deepEqual(known.calls, [`pinFor ${host} ${port}`]);
  }
});

Deno.test("--accept-new believes a new relay unasked and remembers it, but with --ephemeral does not", async () => {
  await using relay = await TestRelay.start();
  const { host, port } = relay.address;
  const known = fakeKnown();
  const confirm = () => Promise.reject(new Error("the person was asked"));
  const key = await trustedKey({ ...NOBODY, host, port, acceptNew: true, known, confirm });
  assert.equal(known.calls.length, 2);
  assert.deepEqual(await trustedKey({ ...NOBODY, host, port, acceptNew: true, known: null }), key);
});

Deno.test("--accept-new does not believe a relay whose key has changed: the old key stays", async () => {
  await using relay = await TestRelay.start();
  const { host, port } = relay.address;
  const old = "cd".repeat(32);
  const known = fakeKnown([{ host, port, key: old, firstSeen: "2026-01-01T00:00:00Z" }]);
  const key = await trustedKey({ ...NOBODY, host, port, acceptNew: true, known });
  assert.equal(key.toHex(), old);
});

Deno.test("a relay that cannot be reached ends with exit code 3", async () => {
  const port = deadPort();
  for (const pin of [undefined, "0".repeat(32)]) {
    const error = await refusal({ ...NOBODY, host: "127.0.0.1", port, pin, acceptNew: true });
    assert.deepEqual([error.code, error.exitCode], ["unreachable", 3]);
  }
});

Deno.test("dialFailure() tells a wrong key with what to do, and an unreachable relay apart", () => {
  const wrong = new DialError("wrong-key", "it is not the pinned relay");
  const fromLink = dialFailure(wrong, null);
  assert.ok(fromLink instanceof StartError);
  assert.deepEqual([fromLink.exitCode, fromLink.cause], [4, wrong]);
  assert.match(fromLink.message, /nothing was sent; ask for a new link/);
  const remembered = dialFailure(wrong, fakeKnown());
  assert.ok(remembered instanceof StartError);
  assert.match(remembered.message, /remove its line from \/home\/fox\/known_servers.json/);
  for (const code of ["unreachable", "timeout", "handshake-failed"] as const) {
    const failure = dialFailure(new DialError(code, "why"), null);
    assert.ok(failure instanceof StartError);
    assert.deepEqual([failure.code, failure.exitCode, failure.message], [code, 3, "why"]);
  }
  const other = new RangeError("ours");
  assert.equal(dialFailure(other, null), other);
});
