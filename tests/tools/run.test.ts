import assert from "node:assert/strict";
import { join } from "node:path";
import { deno } from "../../tools/run.ts";

Deno.test("deno() gives the exit code and both outputs", async () => {
  const { code, output } = await deno([
    "eval",
    `console.log("out"); console.error("err"); Deno.exit(3);`,
  ]);
  assert.equal(code, 3);
  assert.equal(output, "out\nerr");
});

Deno.test("deno() ends a task whose program hangs", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const config = join(folder, "deno.json");
    const program = "setInterval(() => {}, 1e6);";
    await Deno.writeTextFile(join(folder, "hang.ts"), program);
    await Deno.writeTextFile(config, `{ "tasks": { "hang": "deno run hang.ts" } }`);
    const { code } = await deno(["task", "--quiet", "--config", config, "hang"], 1000);
    assert.notEqual(code, 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
