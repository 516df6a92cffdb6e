/** Descriptors of stalled peers, counted where Linux shows them. */

import assert from "node:assert/strict";
import { dial } from "../../src/transport/dial.ts";
import { RecordedLink } from "../support/recorded_link.ts";
import { makeRelayKey } from "../support/relay_key.ts";
import { TestRelay } from "../support/test_relay.ts";

/** Sockets that this process holds. */
function openSockets(): number {
  let count = 0;
  for (const entry of Deno.readDirSync("/proc/self/fd")) {
    try {
      if (Deno.readLinkSync(`/proc/self/fd/${entry.name}`).startsWith("socket:")) count++;
    } catch {
      // the descriptor of the listing itself
    }
  }
  return count;
}

/** Whether the count falls to a goal within a bound. */
async function fallsTo(goal: number, withinMs: number): Promise<boolean> {
  const until = performance.now() + withinMs;
  while (openSockets() > goal) {
    if (performance.now() > until) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}

Deno.test("destroy() frees the descriptor of a peer that stopped reading", async () => {
  await using relay = await TestRelay.start();
  const stalled = await dial(relay.address); // never started, so it never reads
  const there = new RecordedLink(await relay.links.next());
  const before = openSockets();
  for (let i = 0; i < 32; i++) there.link.write(new Uint8Array(1 << 20));
  there.link.destroy();
  await there.ended;
  assert.ok(await fallsTo(before - 1, 5_000), "the relay's side is still open");
  stalled.destroy();
});

Deno.test("a dropped handshake frees its descriptor", async () => {
  await using relay = await TestRelay.start({ handshakeTimeoutMs: 50 });
  const before = openSockets();
  const silent = await Deno.connect({ hostname: "127.0.0.1", port: relay.listener.port });
  assert.equal((await relay.refusals.next()).code, "handshake-timeout");
  silent.close();
  assert.ok(await fallsTo(before, 5_000));
});

// Third reason of docs/decisions/2026-11-22-tls-by-node-tls.md; look there when this fails.
Deno.test("Deno.listenTls: close() keeps the descriptor of a peer that stopped reading", async () => {
  const key = makeRelayKey();
  const listener = Deno.listenTls({
    hostname: "127.0.0.1",
    port: 0,
    key: key.keyPem,
    cert: key.certPem,
  });
  assert.ok(listener.addr.transport === "tcp");
  const [stalled, conn] = await Promise.all([
    dial({ host: "127.0.0.1", port: listener.addr.port, pin: key.pin }),
    listener.accept().then(async (conn) => {
      await conn.handshake();
      return conn;
    }),
  ]);
  const chunk = new Uint8Array(1 << 20);
  let pending: Promise<unknown> | null = null;
  while (pending === null) {
    const write = conn.write(chunk).catch(() => {});
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stuck = new Promise<"stuck">((resolve) => {
      timer = setTimeout(() => resolve("stuck"), 500);
    });
    if (await Promise.race([write, stuck]) === "stuck") pending = write;
    clearTimeout(timer);
  }
  const before = openSockets();
  conn.close();
  const freed = await fallsTo(before - 1, 3_000);
  stalled.destroy();
  await pending;
  listener.close();
  assert.equal(freed, false, "this runtime frees it now");
});
