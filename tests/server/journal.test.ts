import assert from "node:assert/strict";
import { Journal } from "../../src/server/journal.ts";
import type { LogOptions } from "../../src/server/operation.ts";

function journal(options: Partial<LogOptions>, clock = { ms: 0 }) {
  const lines: string[] = [];
  const made = new Journal(
    { format: "text", level: "debug", addresses: false, ...options },
    (line) => lines.push(line),
    () => new Date(clock.ms),
  );
  return { made, lines };
}

Deno.test("a log line has its time, level, event and fields, as text or as JSON", () => {
  const text = journal({});
  text.made.log("info", "ready", { port: 5000, version: "1.2.3" });
  assert.deepEqual(text.lines, ["1970-01-01T00:00:00.000Z info  ready port=5000 version=1.2.3"]);
  const json = journal({ format: "json" });
  json.made.log("warn", "closed", { code: "flood" });
  assert.deepEqual(json.lines.map((line): unknown => JSON.parse(line)), [
    { at: "1970-01-01T00:00:00.000Z", level: "warn", event: "closed", code: "flood" },
  ]);
});

Deno.test("nobody's address is logged unless it was asked for", () => {
  for (const format of ["text", "json"] as const) {
    const without = journal({ format });
    without.made.log("info", "closed", { code: "flood" }, "203.0.113.7:1234");
    assert.doesNotMatch(without.lines.join(), /203\.0\.113\.7/);
    const withThem = journal({ format, addresses: true });
    withThem.made.log("info", "closed", { code: "flood" }, "203.0.113.7:1234");
    assert.match(withThem.lines.join(), /203\.0\.113\.7:1234/);
  }
});

Deno.test("levels below the one asked for are not logged, nor anything when it is off", () => {
  const warn = journal({ level: "warn" });
  for (const level of ["debug", "info", "warn", "error"] as const) {
    warn.made.log(level, "failed", { level });
  }
  assert.equal(warn.lines.length, 2);
  const off = journal({ format: "off" });
  off.made.log("error", "failed");
  assert.deepEqual(off.lines, []);
});

Deno.test("a flood of one event fills no disk, and hides no other event", () => {
  const clock = { ms: 0 };
  const { made, lines } = journal({}, clock);
  for (let i = 0; i < 10_000; i++) made.log("info", "closed", { code: "flood" });
  const first = lines.length;
  assert.ok(first < 100, `${first} lines`);
  made.log("info", "stopping", { reason: "SIGTERM" });
  assert.match(lines.at(-1) ?? "", /stopping/);
  clock.ms = 10_000;
  made.log("info", "closed", { code: "flood" });
  assert.match(lines.at(-1) ?? "", new RegExp(`unwritten=${10_000 - first}$`));
});

Deno.test("a value from elsewhere cannot forge a line", () => {
  const { made, lines } = journal({});
  made.log("info", "failed", { why: 'x\n1970 info ready "' });
  assert.equal(lines.length, 1);
  assert.doesNotMatch(lines[0] ?? "", /\n/);
  assert.match(lines[0] ?? "", /why="x\\n1970 info ready \\""$/);
});
