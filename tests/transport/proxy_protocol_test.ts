import assert from "node:assert/strict";
import fc from "fast-check";
import net from "node:net";
import { parseRange } from "../../src/transport/address_range.ts";
import { dial } from "../../src/transport/dial.ts";
import type { NotAdmitted } from "../../src/transport/listen.ts";
import { MAX_PROXY_HEADER_BYTES, readProxyHeader } from "../../src/transport/proxy_protocol.ts";
import { startRawServer } from "../support/raw_server.ts";
import { RecordedLink } from "../support/recorded_link.ts";
import { TestRelay } from "../support/test_relay.ts";

const SIGNATURE = "0d0a0d0a000d0a515549540a";

/** Command, family and the rest, with the length that they have unless told another. */
function header(command: string, family: string, rest: string, length = rest.length / 2) {
  return Uint8Array.fromHex(
    SIGNATURE + command + family + length.toString(16).padStart(4, "0") + rest,
  );
}

const V4 = "cb007107" + "0a000001" + "d431" + "1388";
const V6 = "20010db8000000000000000000000007" + "20010db8000000000000000000000001" + "d4311388";
/** A type-length-value, as balancers add them: "AUTHORITY" with two bytes. */
const TLV = "020002" + "6869";
const WHOLE: readonly [string, Uint8Array, string | null][] = [
  ["IPv4", header("21", "11", V4), "203.0.113.7:54321"],
  ["IPv6", header("21", "21", V6), "2001:db8::7:54321"],
  ["IPv4 with more behind it", header("21", "11", V4 + TLV), "203.0.113.7:54321"],
  [
    "IPv4 as IPv6",
    header("21", "21", `${"0".repeat(20)}ffffcb007107` + V6.slice(32)),
    "203.0.113.7:54321",
  ],
  ["LOCAL", header("20", "00", ""), null],
  ["LOCAL with addresses", header("20", "11", V4), null],
  ["LOCAL of a family that nobody knows", header("20", "77", "0102030405"), null],
  [
    "the longest",
    header("21", "11", V4 + "00".repeat(MAX_PROXY_HEADER_BYTES - 28)),
    "203.0.113.7:54321",
  ],
];
const BAD: readonly [string, Uint8Array][] = [
  ["version 1", new TextEncoder().encode("PROXY TCP4 203.0.113.7 10.0.0.1 54321 5000\r\n")],
  ["a ClientHello", Uint8Array.fromHex("160301020001000100")],
  ["version 3", header("31", "11", V4)],
  ["another command", header("22", "11", V4)],
  ["no family", header("21", "00", V4)],
  ["UDP", header("21", "12", V4)],
  ["a socket in a folder", header("21", "31", "00".repeat(216))],
  ["IPv4 cut short", header("21", "11", V4.slice(2))],
  ["IPv6 with the addresses of IPv4", header("21", "21", V4)],
  ["no addresses", header("21", "11", "")],
  ["longer than is read", header("21", "11", V4 + "00".repeat(MAX_PROXY_HEADER_BYTES - 27))],
  ["longer than it can be", header("21", "11", V4, 0xffff)],
];

function join(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

for (const [name, bytes, source] of WHOLE) {
  Deno.test(`readProxyHeader() reads ${name}, whole and with a tail, and every truncation is "more"`, () => {
    for (const tail of [0, 1, 500]) {
      const read = readProxyHeader(join(bytes, new Uint8Array(tail).fill(0x16)));
      assert.ok(read.kind === "whole", JSON.stringify(read));
      assert.equal(read.length, bytes.length);
      assert.equal(read.source === null ? null : `${read.source.host}:${read.source.port}`, source);
    }
    for (let end = 0; end < bytes.length; end++) {
      assert.deepEqual(readProxyHeader(bytes.subarray(0, end)), { kind: "more" }, String(end));
    }
  });
}

for (const [name, bytes] of BAD) {
  Deno.test(`readProxyHeader() refuses ${name}, and never reads it as whole on the way`, () => {
    for (let end = 0; end < bytes.length; end++) {
      assert.notEqual(readProxyHeader(bytes.subarray(0, end)).kind, "whole", String(end));
    }
    assert.equal(readProxyHeader(bytes).kind, "bad");
  });
}

Deno.test("readProxyHeader() takes no garbage for a header, and asks for no more than it may", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), (bytes) => {
    const begins = bytes.every((byte, i) => i >= 12 || byte === header("21", "11", V4)[i]);
    assert.equal(readProxyHeader(bytes).kind === "bad", !begins);
  }));
  fc.assert(fc.property(fc.uint8Array({ minLength: 4, maxLength: 2000 }), (rest) => {
    const read = readProxyHeader(join(Uint8Array.fromHex(SIGNATURE), rest));
    if (read.kind === "more") assert.ok(rest.length + 12 < MAX_PROXY_HEADER_BYTES);
    if (read.kind === "whole") assert.ok(read.length <= rest.length + 12);
  }));
});

/**
 * A load balancer on loopback that writes `head` before what a client sends: joined with the client's
 * first bytes, or one byte at a time before them.
 */
async function balancer(to: number, head: Uint8Array, how: "joined" | "bytewise") {
  return await startRawServer((client) => {
    const up = net.connect({ host: "127.0.0.1", port: to, noDelay: true });
    for (const socket of [client, up]) {
      socket.on("error", () => {});
      socket.on("close", () => {
        client.destroy();
        up.destroy();
      });
    }
    up.on("data", (bytes) => client.write(bytes));
    let first = true;
    client.on("data", (bytes) => {
      if (!first) return up.write(bytes);
      first = false;
      if (how === "joined") return up.write(join(head, bytes));
      let all = Promise.resolve();
      for (const byte of head) {
        all = all.then(() => new Promise((done) => up.write(Uint8Array.of(byte), () => done())));
      }
      all.then(() => up.write(bytes));
    });
  });
}

const LOOPBACK = parseRange("127.0.0.1");
assert.ok(LOOPBACK !== null);
const balancers = [LOOPBACK];

const WAYS = (["joined", "bytewise"] as const).flatMap((how) =>
  [true, false].map((talking) => ({ how, talking }))
);
for (const { how, talking } of WAYS) {
  const way = `header ${how}, ${talking ? "others talking" : "quiet"}`;
  Deno.test(`a balancer's client is known, limited and banned by its own address (${way})`, async () => {
    const asked: string[] = [];
    const gone: string[] = [];
    const admission = {
      admit(address: string): NotAdmitted | null {
        asked.push(address);
        return address.startsWith("[") ? "banned" : null;
      },
      gone: (address: string) => void gone.push(address),
    };
    await using relay = await TestRelay.start({ balancers, admission, isTalking: () => talking });
    const { pin } = relay.key;
    const [v4, v6] = [header("21", "11", V4), header("21", "21", V6)];
    await using one = await balancer(relay.listener.port, v4, how);
    const link = new RecordedLink(await dial({ host: "127.0.0.1", port: one.port, pin }));
    const there = new RecordedLink(await relay.links.next());
    assert.equal(there.link.remoteAddress, "203.0.113.7:54321");
    // The stream behind the header is whole, both ways.
    const text = crypto.getRandomValues(new Uint8Array(50_000));
    await link.write(text);
    await there.atLeast(text.length);
    assert.deepEqual(there.bytes(), text);
    await there.write(text);
    await link.atLeast(text.length);
    assert.deepEqual(link.bytes(), text);

    await using two = await balancer(relay.listener.port, v6, how);
    await assert.rejects(dial({ host: "127.0.0.1", port: two.port, pin }));
    const refusal = await relay.refusals.next();
    assert.deepEqual([refusal.code, refusal.remoteAddress], ["banned", "[2001:db8::7]:54321"]);
    link.link.close();
    await there.ended;
    assert.deepEqual(asked, ["203.0.113.7:54321", "[2001:db8::7]:54321"]);
    assert.deepEqual(gone, ["203.0.113.7:54321"]);
  });
}

Deno.test("LOCAL is the balancer's own connection", async () => {
  await using relay = await TestRelay.start({ balancers });
  await using local = await balancer(relay.listener.port, header("20", "00", ""), "joined");
  const link = await dial({ host: "127.0.0.1", port: local.port, pin: relay.key.pin });
  assert.match((await relay.links.next()).remoteAddress, /^127\.0\.0\.1:\d+$/);
  link.destroy();
});

Deno.test("a balancer without a header, one with a bad one and one that stalls in it are refused", async () => {
  await using relay = await TestRelay.start({ balancers, handshakeTimeoutMs: 300 });
  const { port } = relay.listener;
  await assert.rejects(dial({ host: "127.0.0.1", port, pin: relay.key.pin }));
  assert.equal((await relay.refusals.next()).code, "proxy-header");
  await using bad = await balancer(port, header("21", "12", V4), "joined");
  await assert.rejects(dial({ host: "127.0.0.1", port: bad.port, pin: relay.key.pin }));
  assert.equal((await relay.refusals.next()).code, "proxy-header");
  const stalled = net.connect(port, "127.0.0.1");
  stalled.on("error", () => {});
  stalled.write(header("21", "11", V4).subarray(0, 20));
  assert.equal((await relay.refusals.next()).code, "handshake-timeout");
  stalled.destroy();
  assert.equal(relay.links.length, 0);
});

Deno.test("who is no balancer cannot give itself another address", async () => {
  const elsewhere = parseRange("127.0.0.9");
  assert.ok(elsewhere !== null);
  await using relay = await TestRelay.start({ balancers: [elsewhere] });
  await using liar = await balancer(relay.listener.port, header("21", "11", V4), "joined");
  await assert.rejects(dial({ host: "127.0.0.1", port: liar.port, pin: relay.key.pin }));
  const refusal = await relay.refusals.next();
  assert.equal(refusal.code, "handshake-failed");
  assert.match(refusal.remoteAddress, /^127\.0\.0\.1:/);
  // And an honest one beside it comes in as ever.
  const link = await dial(relay.address);
  assert.match((await relay.links.next()).remoteAddress, /^127\.0\.0\.1:/);
  link.destroy();
});
