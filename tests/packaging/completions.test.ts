import assert from "node:assert/strict";
import { COMMANDS } from "../../src/cli.ts";
import type { CommandSpec } from "../../src/command_line.ts";
import { completions, SHELLS } from "../../src/completions.ts";
import { manPages } from "../../tools/man_pages.ts";

const GOLDEN = new URL("../golden/", import.meta.url);

/** Small, and with all that a table can have. */
const TABLE: readonly CommandSpec[] = [
  {
    name: "server",
    args: "",
    maxArgs: 0,
    summary: "Runs a relay. It's sealed.",
    options: [
      { name: "certs", value: "DIR", help: "folder of [keys]: one's own", default: "certs" },
      { name: "ui", value: "line|json", help: "for people, or programs" },
      { name: "port", short: "p", value: "PORT", help: "where" },
    ],
    examples: ["stm server"],
  },
  {
    name: "server ban add",
    args: "RANGE",
    maxArgs: 1,
    summary: "Bans somebody.",
    options: [{ name: "for", value: "TIME", help: "how long" }],
    examples: [],
  },
  {
    name: "profile create",
    args: "[NAME]",
    maxArgs: 1,
    summary: "Makes a profile: who you are.",
    options: [{ name: "passphrase-file", value: "FILE", help: "its first line" }],
    examples: [],
  },
  {
    name: "profile list",
    args: "",
    maxArgs: 0,
    summary: "Lists.",
    options: [],
    examples: [".no request", "'nor this"],
  },
  {
    name: "completions",
    args: "SHELL",
    maxArgs: 1,
    choices: ["bash", "zsh"],
    summary: "Prints.",
    options: [],
    examples: [],
  },
];

for (const shell of SHELLS) {
  Deno.test(`completions() for ${shell} are as they were read and tried`, async () => {
    const file = new URL(`completions_${shell}.txt`, GOLDEN);
    const script = completions(shell, TABLE);
    if (Deno.env.get("UPDATE_GOLDEN") === "1") await Deno.writeTextFile(file, script);
    assert.equal(script, await Deno.readTextFile(file));
  });

  Deno.test(`completions() for ${shell} know every command and option`, () => {
    const script = completions(shell, COMMANDS);
    for (const { name, options } of COMMANDS) {
      for (const word of name.split(" ")) assert.ok(script.includes(word), word);
      for (const option of options) assert.ok(script.includes(option.name), option.name);
    }
  });
}

Deno.test("manPages() have a page for each command, with every option and nothing that roff takes for its own", () => {
  const pages = manPages(TABLE, "0.1.0", 0);
  assert.deepEqual([...pages.keys()], [
    "stm.1",
    "stm-server.1",
    "stm-server-ban-add.1",
    "stm-profile-create.1",
    "stm-profile-list.1",
    "stm-completions.1",
  ]);
  assert.match(pages.get("stm-server.1") ?? "", /^\.TH STM-SERVER 1 1970-01-01 "stm 0\.1\.0"/);
  assert.match(pages.get("stm-server.1") ?? "", /\n\.BI "\\-p, \\-\\-port " "PORT"\nwhere\n/);
  const list = pages.get("stm-profile-list.1") ?? "";
  assert.match(list, /\n\\&\.no request\n\\\(aqnor this\n/);
});
