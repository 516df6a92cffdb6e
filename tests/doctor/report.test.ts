import assert from "node:assert/strict";
import * as v from "valibot";
import { exitCodeOf, fail, type Finding, ok, warn } from "../../src/doctor/finding.ts";
import { report } from "../../src/doctor/report.ts";
import { DOCTOR_SCHEMAS, JsonEvent } from "../../src/ui/json_schema.ts";

async function* each(findings: readonly Finding[]): AsyncGenerator<Finding> {
  yield* findings;
}

async function told(findings: readonly Finding[], ui: "line" | "json") {
  let text = "";
  const code = await report(each(findings), ui, "1.2.3", (more) => text += more);
  return { code, text };
}

const FINDINGS = [
  ok("folder", "is well"),
  warn("clock", "is off", "set it"),
  fail("relay", "is away", "look for it", 3),
];

Deno.test("the doctor ends with the code of the gravest finding, and with 0 while nothing failed", () => {
  assert.equal(exitCodeOf([]), 0);
  assert.equal(exitCodeOf(FINDINGS.slice(0, 2)), 0);
  const of = (...codes: number[]) => exitCodeOf(codes.map((code) => fail("x", "y", "z", code)));
  assert.deepEqual([of(1), of(3, 1), of(1, 5, 3), of(3, 4, 5), of(7)], [1, 3, 5, 4, 1]);
});

Deno.test("for people each finding is a line, with its remedy below it", async () => {
  const { code, text } = await told(FINDINGS, "line");
  assert.equal(code, 3);
  assert.equal(
    text,
    `ok    folder         is well
warn  clock          is off
                     -> set it
fail  relay          is away
                     -> look for it

1 ok, 1 to look at, 1 failed
`,
  );
});

Deno.test("for programs it is what docs/JSON.md says, from hello to bye", async () => {
  const { text } = await told(FINDINGS, "json");
  const events = text.trimEnd().split("\n").map((line): unknown => JSON.parse(line));
  assert.equal(events.length, 5);
  const hello = v.parse(JsonEvent, events[0]);
  assert.ok(hello.type === "hello" && hello.role === "doctor" && hello.version === "1.2.3");
  const checks = events.slice(1, -1).map((event) => v.parse(DOCTOR_SCHEMAS.check, event));
  assert.deepEqual(checks.map(({ verdict }) => verdict), ["ok", "warn", "fail"]);
  const bye = v.parse(JsonEvent, events.at(-1));
  assert.ok(bye.type === "bye" && bye.exitCode === 3);
});

Deno.test("what a relay or a file says cannot steer the terminal, in either form", async () => {
  const nasty = "\x1b[2J\u202e\r\nok    pin            all is well";
  for (const ui of ["line", "json"] as const) {
    const { text } = await told([fail("protocol", nasty, nasty)], ui);
    // deno-lint-ignore no-control-regex -- that is what must not be there
    assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\u202e]/, ui);
    assert.equal(text.split("\n").filter((line) => line.startsWith("ok ")).length, 0, ui);
  }
});
