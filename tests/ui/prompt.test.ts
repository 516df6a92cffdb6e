import assert from "node:assert/strict";
import { askLine, askSecret, confirm, PromptError } from "../../src/ui/prompt.ts";
import { FakeTerminal } from "../support/fake_terminal.ts";
import { Screen } from "../support/screen.ts";

async function rowsOf(terminal: FakeTerminal): Promise<string[]> {
  const screen = new Screen();
  await screen.write(terminal.written);
  const { rows, bracketedPaste } = screen;
  screen.close();
  assert.equal(bracketedPaste, false);
  assert.equal(terminal.raw, false);
  assert.equal(terminal.listeners, 0);
  return rows;
}

Deno.test("askLine() gives what was typed and edited", async () => {
  const terminal = new FakeTerminal();
  terminal.type("exbmple\x1b[D\x1b[D\x1b[D\x1b[D\x7fa\r");
  assert.equal(await askLine("host", terminal), "example");
  assert.deepEqual(await rowsOf(terminal), ["host: example", ""]);
});

Deno.test("askLine() leaves to the next what was typed ahead", async () => {
  const terminal = new FakeTerminal();
  terminal.type("one\rtwo\r");
  assert.equal(await askLine("first", terminal), "one");
  assert.equal(await askLine("second", terminal), "two");
});

Deno.test("askSecret() shows nothing of what is typed", async () => {
  const terminal = new FakeTerminal();
  terminal.type("pass word\r");
  assert.equal(await askSecret("passphrase", terminal), "pass word");
  assert.deepEqual(await rowsOf(terminal), ["passphrase:", ""]);
  assert.ok(!terminal.written.includes("p\x1b") && !terminal.written.includes("word"));
});

Deno.test("confirm() asks until it is yes or no, and takes an empty line only where that means something", async () => {
  const terminal = new FakeTerminal();
  terminal.type("\rperhaps\rY\r");
  assert.equal(await confirm("sure?", terminal), true);
  terminal.type("\r");
  assert.equal(await confirm("sure?", terminal, false), false);
  assert.deepEqual(await rowsOf(terminal), [
    "sure? [yes/no]",
    "sure? [yes/no] perhaps",
    "sure? [yes/no] Y",
    "sure? [yes/NO]",
    "",
  ]);
});

for (const [keys, code] of [["abc\x03\x03", "interrupted"], ["\x04", "ended"]] as const) {
  Deno.test(`a prompt that is ${code} throws and gives the terminal back`, async () => {
    const terminal = new FakeTerminal();
    terminal.type(keys);
    await assert.rejects(
      askLine("host", terminal),
      (error: unknown) => error instanceof PromptError && error.code === code,
    );
    await rowsOf(terminal);
  });
}

Deno.test("a prompt whose keyboard goes away has ended", async () => {
  const terminal = new FakeTerminal();
  terminal.endInput();
  await assert.rejects(askSecret("passphrase", terminal), { code: "ended" });
  await rowsOf(terminal);
});

Deno.test("without a terminal nothing is asked", async () => {
  const terminal = new FakeTerminal({ isTerminal: false });
  await assert.rejects(confirm("sure?", terminal), { code: "no-terminal" });
  assert.equal(terminal.written, "");
});

Deno.test("a dumb terminal is asked without escape sequences", async () => {
  const terminal = new FakeTerminal({ hasEscapes: false });
  terminal.type("yes\nsecret\rrest");
  assert.equal(await confirm("sure?", terminal), true);
  assert.equal(await askSecret("passphrase", terminal), "secret");
  assert.equal(terminal.written, "sure? [yes/no] passphrase: \n");
  assert.equal(terminal.raw, false);
  assert.equal(terminal.listeners, 0);
});
