import assert from "node:assert/strict";
import { Allowance, Allowances, MAX_SOURCES, sourceRates } from "../../src/server/allowance.ts";
import { Guard } from "../../src/server/guard.ts";
import { DEFAULT_RELAY_LIMITS, type RelayLimits } from "../../src/server/relay_limits.ts";
import { parseRange } from "../../src/transport/address_range.ts";

const range = (text: string) => parseRange(text) ?? assert.fail(text);
const LOOPBACK = range("127.0.0.0/8");

/** A guard with clocks of its own. */
function guard(limits: Partial<RelayLimits> = {}) {
  const clock = { ms: 0, wallMs: Date.parse("2026-01-01T00:00:00Z") };
  const all = { ...DEFAULT_RELAY_LIMITS, ...limits };
  const made = new Guard(all, [LOOPBACK], undefined, () => clock.ms, () => clock.wallMs);
  return { made, clock, all };
}

Deno.test("an address may hold so many connections, and has a place again when one ends", () => {
  const { made } = guard({ sourceConnections: 3 });
  const from = (port: number) => `203.0.113.7:${port}`;
  assert.deepEqual([1, 2, 3, 4].map((port) => made.admit(from(port))), [
    null,
    null,
    null,
    "source-full",
  ]);
  assert.equal(made.admit("203.0.113.8:1"), null);
  made.gone(from(2));
  assert.equal(made.admit(from(5)), null);
  assert.equal(made.admit(from(6)), "source-full");
});

Deno.test("an address may begin so many connections a second, twenty times that at once", () => {
  const { made, clock } = guard({ sourceArrivals: 2, sourceConnections: 0 });
  const arrive = () => made.admit("[2001:db8::1]:1");
  for (let i = 0; i < 40; i++) assert.equal(arrive(), null);
  assert.equal(arrive(), "source-rate");
  // Another address of the same customer is the same source.
  assert.equal(made.admit("[2001:db8::ffff]:1"), "source-rate");
  clock.ms += 1000;
  assert.deepEqual([arrive(), arrive(), arrive()], [null, null, "source-rate"]);
});

Deno.test("who is exempt, or has no address, has no limits but can be banned", () => {
  const { made, all } = guard({ sourceConnections: 1 });
  for (let i = 0; i < 100; i++) assert.equal(made.admit(`127.0.0.1:${i}`), null);
  for (let i = 0; i < 100; i++) assert.equal(made.admit("unknown:0"), null);
  made.adopt(all, [LOOPBACK], {
    ranges: [{ range: LOOPBACK, untilMs: Infinity }],
    accounts: new Map(),
  });
  assert.equal(made.admit("127.0.0.1:1"), "banned");
});

Deno.test("who was exempt for a while leaves no connection behind that nobody has", () => {
  const { made, all } = guard({ sourceConnections: 2 });
  const from = (port: number) => `203.0.113.7:${port}`;
  const office = range("203.0.113.7");
  const none = { ranges: [], accounts: new Map() };
  assert.deepEqual([made.admit(from(1)), made.admit(from(2))], [null, null]);
  made.adopt(all, [office], none);
  assert.equal(made.admit(from(3)), null);
  for (const port of [1, 2]) made.gone(from(port));
  made.adopt(all, [], none);
  // The third, which came while it was exempt, is counted from now on.
  assert.deepEqual([made.admit(from(4)), made.admit(from(5))], [null, "source-full"]);
  made.gone(from(3));
  assert.equal(made.admit(from(5)), null);
});

Deno.test("a ban is in force until its time, and for its range alone", () => {
  const { made, clock, all } = guard();
  const untilMs = clock.wallMs + 1000;
  made.adopt(all, [], {
    ranges: [{ range: range("203.0.113.0/24"), untilMs }],
    accounts: new Map([["fox", untilMs]]),
  });
  assert.equal(made.admit("203.0.113.7:1"), "banned");
  assert.equal(made.admit("[::ffff:203.0.113.7]:1"), "banned");
  assert.equal(made.admit("203.0.114.7:1"), null);
  assert.ok(made.isAccountBanned("fox") && !made.isAccountBanned("owl"));
  clock.wallMs = untilMs;
  assert.equal(made.admit("203.0.113.7:1"), null);
  assert.ok(!made.isAccountBanned("fox"));
});

Deno.test("limits that are adopted hold for sources that are known already", () => {
  const { made, all } = guard({ sourceConnections: 3 });
  const arrive = () => made.admit("203.0.113.7:1");
  assert.equal(arrive(), null);
  made.adopt({ ...all, sourceConnections: 1 }, [], { ranges: [], accounts: new Map() });
  assert.equal(arrive(), "source-full");
});

Deno.test("sources are bounded in number, and forgetting gives nobody who is connected a fresh start", () => {
  const rates = sourceRates({ ...DEFAULT_RELAY_LIMITS, sourceConnections: 1 });
  const sources = new Allowances(rates);
  const first = sources.of("first", 0);
  assert.equal(first.arrive(0), null);
  for (let i = 0; i < MAX_SOURCES + 10; i++) sources.of(`other ${i}`, 0);
  assert.equal(sources.size, MAX_SOURCES);
  assert.equal(sources.of("first", 0), first);
  assert.equal(first.arrive(0), "source-full");
});

Deno.test("joins, knocks, frames and bytes have buckets of their own", () => {
  const limits = { ...DEFAULT_RELAY_LIMITS, sourceJoins: 1, sourceKnocks: 2, sourceFrames: 10 };
  const source = new Allowance(sourceRates({ ...limits, sourceBytes: 1000 }), 0);
  const times = (count: number, call: () => boolean) =>
    Array.from({ length: count }, call).filter(Boolean).length;
  assert.equal(times(100, () => source.join(0)), 20);
  assert.equal(times(100, () => source.knock(0)), 40);
  assert.equal(source.charge(2000, 20, 0), 0);
  assert.equal(source.charge(1000, 0, 0), 1000);
  assert.equal(source.charge(0, 20, 0), 2000);
  assert.equal(source.charge(0, 0, 2000), 0);
});
