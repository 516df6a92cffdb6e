/**
 * The whole gate: format, lint, import layers, types, doc lint, tests.
 *
 *     deno task ok
 *     deno task ok --without-tests     (where `deno task test` has just run)
 *
 * One line a step with its time; what a failed step said stands above its line. The last line is
 * the verdict, and the exit code is 1 when a step failed. All steps run, so that one run shows all
 * there is to mend.
 *
 * @module
 */

import { deno } from "./run.ts";

/** One step: a name and the arguments to Deno. */
interface Step {
  readonly name: string;
  readonly args: readonly string[];
}

const STEPS: readonly Step[] = [
  { name: "format", args: ["fmt", "--check"] },
  { name: "lint", args: ["lint"] },
  { name: "layers", args: ["run", "-A", "tools/layers.ts"] },
  // With the examples in docstrings; the tests below then run unchecked.
  { name: "types", args: ["check", "--doc", "--quiet", "."] },
  { name: "doc lint", args: ["run", "-A", "tools/doc_lint.ts"] },
];

/** A test that hangs fails the gate, it does not hold it. */
const STEP_LIMIT_MS = 20 * 60_000;

const TESTS: Step = { name: "tests", args: ["task", "--quiet", "test"] };

/** The last line of `deno test`, or nothing for any other text. */
function summary(output: string): string {
  const line = output.split("\n").findLast((line) => /^(ok|FAILED) \| \d+ passed/.test(line));
  return line === undefined ? "" : `  ${line}`;
}

const steps = Deno.args.includes("--without-tests") ? STEPS : [...STEPS, TESTS];
const failed: string[] = [];
const began = performance.now();
for (const { name, args } of steps) {
  const start = performance.now();
  const { code, output } = await deno(args, STEP_LIMIT_MS);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (code !== 0) {
    failed.push(name);
    console.log(output);
  }
  const verdict = code === 0 ? "ok    " : "FAILED";
  console.log(`${verdict} ${name.padEnd(10)} ${seconds.padStart(6)} s${summary(output)}`);
}
const seconds = ((performance.now() - began) / 1000).toFixed(1);
if (failed.length > 0) {
  console.log(`gate failed: ${failed.join(", ")} (${seconds} s)`);
  Deno.exit(1);
}
console.log(`gate passed: ${steps.length} steps (${seconds} s)`);
