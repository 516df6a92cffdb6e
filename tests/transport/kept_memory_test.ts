import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("../support/kept_memory.ts", import.meta.url));

/** What `kept_memory.ts` prints, in a process of its own: a bound that has risen does not sink. */
async function isInHeap(when: "before" | "listening"): Promise<string> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--no-lock", PROGRAM, when],
  }).output();
  return new TextDecoder().decode(stdout).trim() || new TextDecoder().decode(stderr);
}

Deno.test("listen() has glibc keep what is freed, which it would not", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  assert.equal(await isInHeap("before"), "false");
  assert.equal(await isInHeap("listening"), "true");
});
