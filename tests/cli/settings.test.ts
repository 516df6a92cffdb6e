/** `stm server --print-config`, which shows where every option came from and what it is. */
import assert from "node:assert/strict";
import { join } from "node:path";
import * as v from "valibot";
import { parseArguments, UsageError } from "../../src/command_line.ts";
import { COMMANDS } from "../../src/cli.ts";
import { readListenAddresses, SERVER_OPTIONS } from "../../src/server/options.ts";
import { NOT_IN_A_FILE, printedConfig, settled, variableOf } from "../../src/settings.ts";
import { stm } from "../support/stm_command.ts";
import { withFolder } from "../support/temporary_folder.ts";

const SERVER = COMMANDS.find(({ name }) => name === "server");
assert.ok(SERVER !== undefined);
const Config = v.record(
  v.string(),
  v.union([v.string(), v.number(), v.boolean(), v.array(v.string())]),
);

/** The settings of these arguments, variables and files. */
async function settings(
  args: readonly string[],
  variables: Readonly<Record<string, string>> = {},
  files: Readonly<Record<string, string>> = {},
) {
  assert.ok(SERVER !== undefined);
  return await settled(SERVER_OPTIONS, parseArguments(SERVER, args), {
    variable: (name) => variables[name],
    readText: (path) => {
      const text = files[path];
      return text === undefined
        ? Promise.reject(new Deno.errors.NotFound("no such file"))
        : Promise.resolve(text);
    },
  });
}

Deno.test("the command line goes before the environment, that before the file, that before the default", async () => {
  const files = { "stm.json": '{"port": 3, "max-rooms": 3, "certs": "three"}' };
  const variables = { STM_PORT: "2", STM_MAX_ROOMS: "2", STM_CONFIG: "stm.json" };
  const all = await settings(["--port", "1"], variables, files);
  assert.equal(all.text("port"), "1");
  assert.equal(all.text("max-rooms"), "2");
  assert.equal(all.text("certs"), "three");
  assert.equal(all.text("host"), undefined);
  const printed = v.parse(Config, JSON.parse(printedConfig(SERVER_OPTIONS, all)));
  assert.deepEqual(
    [printed.port, printed["max-rooms"], printed.certs, printed.host, printed["log-addresses"]],
    [1, 2, "three", ["0.0.0.0", "::"], false],
  );
});

Deno.test("every option can be in the file and in the environment, and what is printed is read as the same", async () => {
  const defaults = await settings([]);
  const first = printedConfig(SERVER_OPTIONS, defaults);
  assert.equal(
    printedConfig(SERVER_OPTIONS, await settings(["--config", "a"], {}, { a: first })),
    first,
  );
  for (const { name, value, example, list } of SERVER_OPTIONS) {
    if (NOT_IN_A_FILE.has(name)) continue;
    const text = value === undefined ? "1" : example ?? "";
    const fromVariable = await settings([], { [variableOf(name)]: text });
    const config = printedConfig(SERVER_OPTIONS, fromVariable);
    const fromFile = await settings(["--config", "a"], {}, { a: config });
    assert.equal(fromVariable.text(name), value === undefined ? undefined : example, name);
    assert.equal(fromFile.text(name), fromVariable.text(name), name);
    assert.ok(fromVariable.has(name) && fromFile.has(name), name);
    assert.ok(list === undefined || value !== undefined, name);
  }
});

const WRONG: readonly (readonly [string, RegExp])[] = [
  ["{", /^stm\.json is no JSON/],
  ["[]", /^stm\.json: has to be an object/],
  ['{"prot": 1}', /^stm\.json: prot: .*did you mean port\?/],
  ['{"port": "1"}', /^stm\.json: port: takes a whole number; for example "port": 5000$/],
  ['{"port": -1}', /^stm\.json: port: takes a whole number/],
  ['{"certs": 5}', /^stm\.json: certs: takes a text; for example "certs": "certs"$/],
  ['{"log-addresses": "yes"}', /^stm\.json: log-addresses: takes true or false/],
  ['{"config": "other.json"}', /^stm\.json: config: there is no such option/],
];

for (const [file, expected] of WRONG) {
  Deno.test(`a wrong config file is refused with the field's name: ${file}`, async () => {
    await assert.rejects(
      settings(["--config", "stm.json"], {}, { "stm.json": file }),
      (error) => error instanceof UsageError && expected.test(error.message),
    );
  });
}

Deno.test("a wrong value is named as the user wrote it, wherever that was", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "stm.json");
    await Deno.writeTextFile(path, '{"port": 70000}');
    const inFile = await stm("server", "--print-config", "--config", path);
    assert.equal(inFile.code, 2);
    assert.match(inFile.err, /stm\.json: port takes a whole number from 0 to 65535, not "70000"/);
    await Deno.writeTextFile(path, '{"log": "loud"}');
    const word = await stm("server", "--print-config", "--config", path);
    assert.match(word.err, /stm\.json: log takes off or text or json, not "loud"/);
    const missing = await stm("server", "--config", join(folder, "none.json"));
    assert.equal(missing.code, 2);
    assert.match(missing.err, /none\.json: there is no such file/);
  });
  await assert.rejects(
    settings([], { STM_LOG_ADDRESSES: "maybe" }),
    /STM_LOG_ADDRESSES takes 1 or 0/,
  );
  const wrong = await settings([], { STM_PORT: "x" });
  assert.throws(() => wrong.number("port", 5000, 0, 65535), /^UsageError: STM_PORT takes a whole/);
});

Deno.test("--print-config starts nothing, and says which settings came from where", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "stm.json");
    await Deno.writeTextFile(path, '{"metrics": "9100"}');
    const { code, out, err } = await stm(
      "server",
      "--port",
      "7",
      "--config",
      path,
      "--print-config",
    );
    assert.equal(code, 0);
    const printed = v.parse(Config, JSON.parse(out));
    assert.deepEqual([printed.port, printed.metrics], [7, "9100"]);
    assert.deepEqual(err.trim().split("\n"), [
      "port: from --port",
      `metrics: from ${path}: metrics`,
    ]);
  });
});

Deno.test("--host takes several addresses, with or without ports, IPv6 with or without brackets", async () => {
  const addresses = async (...args: string[]) =>
    readListenAddresses(await settings(args)).map(({ host, port }) => `${host} ${port}`);
  assert.deepEqual(await addresses(), ["0.0.0.0 5000", ":: 5000"]);
  assert.deepEqual(await addresses("--port", "5001"), ["0.0.0.0 5001", ":: 5001"]);
  assert.deepEqual(await addresses("--host", "127.0.0.1", "--port", "0"), ["127.0.0.1 0"]);
  assert.deepEqual(
    await addresses("--host", "::1, relay.example:6000", "--host", "[2001:DB8::1]:443,[::2]"),
    ["::1 5000", "relay.example 6000", "2001:db8::1 443", "::2 5000"],
  );
  for (const wrong of ["", "127.0.0.1,", "a b", "[::1", "::1]:5", "[::g]:5", "host:0", "host:x"]) {
    await assert.rejects(
      async () => readListenAddresses(await settings(["--host=" + wrong])),
      UsageError,
      wrong,
    );
  }
});
