/** Help, held to golden texts in tests/cli/golden/. `UPDATE_GOLDEN=1` writes them anew: read the difference. */
import assert from "node:assert/strict";
import { COMMANDS } from "../../src/cli.ts";
import { COMMON_OPTIONS, parseArguments } from "../../src/command_line.ts";
import { stm } from "../support/stm_command.ts";

const GOLDEN = new URL("./golden/", import.meta.url);

async function golden(name: string, text: string): Promise<void> {
  const file = new URL(`${name.replaceAll(" ", "_")}.txt`, GOLDEN);
  if (Deno.env.get("UPDATE_GOLDEN") === "1") await Deno.writeTextFile(file, text);
  assert.equal(text, await Deno.readTextFile(file));
}

for (const { name } of COMMANDS) {
  Deno.test(`the help of stm ${name} is its golden text, in 80 columns`, async () => {
    const { code, out, err } = await stm(...name.split(" "), "--help");
    assert.deepEqual([code, err], [0, ""]);
    for (const line of out.split("\n")) assert.ok(line.length <= 80, `${line.length}: ${line}`);
    await golden(name, out);
  });
}

Deno.test("the help of the whole program is its golden text, in 80 columns", async () => {
  const { code, out, err } = await stm("--help");
  assert.deepEqual([code, err], [0, ""]);
  for (const line of out.split("\n")) assert.ok(line.length <= 80, line);
  await golden("stm", out);
});

Deno.test("--help and -h say the same in every position", async () => {
  const { out: whole } = await stm("--help");
  for (const args of [["-h"], ["help"], ["help", "--help"]]) {
    assert.deepEqual(await stm(...args), { code: 0, out: whole, err: "" });
  }
  for (const { name } of COMMANDS) {
    const words = name.split(" ");
    const { out } = await stm(...words, "--help");
    const others = [
      [...words, "-h"],
      ["help", ...words],
      ["--help", ...words],
      ["-h", ...words],
    ];
    for (const args of others) {
      assert.deepEqual(await stm(...args), { code: 0, out, err: "" }, args.join(" "));
    }
  }
  const { out } = await stm("client", "--help");
  for (
    const args of [
      ["client", "stm://x", "--help"],
      ["client", "--help", "stm://x"],
      ["client", "--name", "fox", "--help", "--port", "1"],
      ["client", "--port=5000", "-", "-h"],
    ]
  ) {
    assert.deepEqual(await stm(...args), { code: 0, out, err: "" }, args.join(" "));
  }
});

Deno.test("stm alone prints its help and ends with exit code 2", async () => {
  const { out: whole } = await stm("--help");
  assert.deepEqual(await stm(), { code: 2, out: whole, err: "" });
});

Deno.test("every example in help is understood by its own command", () => {
  for (const command of COMMANDS) {
    assert.ok(command.examples.length > 0, command.name);
    for (const example of command.examples) {
      const words = [...example.replace(/\s[<>].*$/, "").matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)]
        .map((m) => m[1] ?? m[2] ?? m[3] ?? "");
      const [stmWord, ...rest] = words;
      const own = command.name.split(" ");
      assert.deepEqual([stmWord, ...rest.slice(0, own.length)], ["stm", ...own]);
      parseArguments(command, rest.slice(own.length));
    }
  }
});

Deno.test("the tables are whole: every option has a help, every value an example, no name is there twice", () => {
  assert.equal(new Set(COMMANDS.map((c) => c.name)).size, COMMANDS.length);
  for (const command of COMMANDS) {
    const names = [...command.options, ...COMMON_OPTIONS].map((o) => o.name);
    assert.equal(new Set(names).size, names.length, command.name);
    for (const option of command.options) {
      assert.ok(option.help.length > 0, option.name);
      assert.equal(option.value === undefined, option.example === undefined, option.name);
      if (option.value === undefined) assert.equal(option.default, undefined, option.name);
    }
  }
});
