import assert from "node:assert/strict";
import {
  columns,
  commandHelp,
  type CommandSpec,
  nearest,
  parseArguments,
  UsageError,
} from "../../src/command_line.ts";

const SPEC: CommandSpec = {
  name: "sample",
  args: "[LINK]",
  maxArgs: 1,
  summary: "Does something.",
  options: [
    { name: "port", value: "PORT", help: "the port", default: "5000", example: "5001" },
    { name: "name", short: "n", value: "NAME", help: "who", example: "fox" },
    { name: "quiet", help: "say nothing" },
    { name: "note", value: "TEXT", help: "anything" },
  ],
  examples: ["stm sample --port 5000"],
};

const parse = (...args: string[]) => parseArguments(SPEC, args);

/** The message of the UsageError that this throws. */
function message(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error.message;
  }
  throw new Error("nothing was wrong");
}

Deno.test("options are taken with a blank or =, before and after arguments, and by their letter", () => {
  for (const args of [["--port", "7", "x"], ["x", "--port=7"], ["--port=7", "--", "x"]]) {
    const given = parse(...args);
    assert.deepEqual([given.number("port", 1, 0, 9), given.positionals], [7, ["x"]]);
  }
  assert.equal(parse("-n", "fox").text("name"), "fox");
  assert.deepEqual(parse("--", "--port").positionals, ["--port"]);
  assert.deepEqual(parse("-").positionals, ["-"]);
  assert.equal(parse("--name=-").text("name"), "-");
});

Deno.test("what was not given is the fallback, and a switch is no text", () => {
  const given = parse("--quiet");
  assert.deepEqual(
    [given.has("quiet"), given.text("quiet"), given.has("port"), given.text("port")],
    [true, undefined, false, undefined],
  );
  assert.equal(given.number("port", 42, 0, 9), 42);
  assert.equal(given.choice("name", ["a", "b"], "b"), "b");
});

Deno.test("a number out of its range, or none, is refused with the range and an example", () => {
  for (const text of ["-1", "10", "1.5", "0x5", "1e3", "x", " 5", "9".repeat(16)]) {
    const said = message(() => parse(`--port=${text}`).number("port", 1, 0, 9));
    assert.equal(
      said,
      `--port takes a whole number from 0 to 9, not "${text}"; for example --port 5001`,
    );
  }
  assert.deepEqual(["0", "9", "007"].map((t) => parse(`--port=${t}`).number("port", 1, 0, 9)), [
    0,
    9,
    7,
  ]);
});

Deno.test("a word that is no choice is refused with the choices", () => {
  const given = parse("--name", "c");
  assert.equal(
    message(() => given.choice("name", ["a", "b"], "a")),
    '--name takes a or b, not "c"; for example --name fox',
  );
  assert.equal(parse("--name", "b").choice("name", ["a", "b"], "a"), "b");
  assert.equal(
    message(() => {
      throw parse("--note", "x").wrong("note", "is wrong");
    }),
    "--note is wrong",
  );
});

Deno.test("wrong arguments are refused, each with its name and a right one", () => {
  const cases: [string[], RegExp][] = [
    [["--prot", "1"], /no option --prot: did you mean --port\?/],
    [["--zebra"], /no option --zebra: see stm sample --help.*stm sample --port 5000/],
    [["-x"], /no option -x/],
    [["--port"], /--port needs a value: --port 5001 \(see stm sample --help\)/],
    [["--port", "--quiet"], /--port needs a value/],
    [["--port="], /--port needs a value/],
    [["--note"], /--note needs a value: --note TEXT/],
    [["--quiet=yes"], /--quiet takes no value/],
    [["--port", "1", "--port", "2"], /--port is given twice/],
    [["--name", "a", "-n", "b"], /-n is given twice/],
    [["a", "b"], /stm sample does not take "b"; for example: stm sample --port 5000/],
  ];
  for (const [args, expected] of cases) {
    assert.match(message(() => parse(...args)), expected, args.join(" "));
  }
});

Deno.test("nearest() finds a word that differs by a third or less or begins so, the first of equals, else none", () => {
  const words = ["server", "client", "admin", "demo"];
  assert.deepEqual(
    ["sevrer", "clients", "amdin", "dmeo", "demo", "serv", "se", "xxxxxx", ""].map((w) =>
      nearest(w, words)
    ),
    ["server", "client", "admin", "demo", "demo", "server", undefined, undefined, undefined],
  );
  assert.equal(nearest("bat", ["cat", "rat"]), "cat");
  assert.equal(nearest("x", []), undefined);
});

Deno.test("columns() keep to 80 and leave two blanks between, whatever the length of the left", () => {
  for (let length = 1; length < 45; length++) {
    const lines = columns([["x".repeat(length), "word ".repeat(40).trim()], ["y", "z"]]);
    for (const line of lines) assert.ok(line.length <= 80, `${length}: ${line}`);
    assert.ok(lines.every((line) => !/x(?: )?w/.test(line)), `${length}`);
    assert.equal(lines.join(" ").match(/word/g)?.length, 40);
  }
});

Deno.test("commandHelp() shows defaults, letters and values", () => {
  assert.equal(
    commandHelp(SPEC),
    `usage: stm sample [LINK] [options]

Does something.

      --port PORT  the port [5000]
  -n, --name NAME  who
      --quiet      say nothing
      --note TEXT  anything
  -h, --help       show this help

examples:
  stm sample --port 5000
`,
  );
});
