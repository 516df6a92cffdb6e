import assert from "node:assert/strict";
import { COMMANDS } from "../../src/cli.ts";
import { needless, PRIVILEGES, privilegesOf } from "../../src/privileges.ts";

/** Commands that only print. */
const PRINTING = new Set(["completions", "version"]);

Deno.test("every command is in the table of privileges, or only prints", () => {
  const words = new Set(COMMANDS.map(({ name }) => name.split(" ")[0] ?? ""));
  for (const word of words) {
    assert.notEqual(Object.hasOwn(PRIVILEGES, word), PRINTING.has(word), word);
  }
  assert.deepEqual(Object.keys(PRIVILEGES).filter((word) => !words.has(word)), []);
});

Deno.test("every option that names a file or folder is granted by its command", () => {
  for (const { name, options } of COMMANDS) {
    const may = privilegesOf(name.split(" ")[0]);
    for (const option of options) {
      const where = `stm ${name} --${option.name}`;
      if (option.value === "FILE") assert.ok(may.readOptions.includes(option.name), where);
      if (option.value === "DIR") assert.equal(may.folders[option.name], option.default, where);
    }
  }
});

Deno.test("no command starts programs or loads libraries", () => {
  for (const command of [...Object.keys(PRIVILEGES), "version", undefined, "toString"]) {
    const given = needless(privilegesOf(command));
    assert.ok(given.includes("run") && given.includes("ffi"), command);
  }
});
