import assert from "node:assert/strict";
import { givenCredentials, type LoginOptions } from "../../src/driver/credentials.ts";
import { FakeTerminal } from "../support/fake_terminal.ts";

/** Asks, with what the person types. */
async function asked(typed: string[], options: Partial<LoginOptions> = {}, remembered?: string) {
  const terminal = new FakeTerminal();
  const said: string[] = [];
  for (const line of typed) terminal.type(`${line}\r`);
  const given = await givenCredentials(
    { user: undefined, passwordFile: undefined, codeFile: undefined, ...options },
    {
      terminal,
      env: { get: () => undefined },
      asksPerson: true,
      relay: "relay.example:5000",
      remembered,
      say: (text) => said.push(text),
    },
  );
  return { given, said, shown: terminal.written };
}

Deno.test("a person is asked for its password, and nothing of it is shown", async () => {
  const { given, shown } = await asked(["correct horse"], { user: "fox" });
  assert.deepEqual(given, { account: "fox", password: "correct horse", code: null });
  assert.match(shown, /Password of fox at relay\.example:5000/);
  assert.doesNotMatch(shown, /correct|horse/);
});

Deno.test("who enters no password is asked for the code, and twice for a new password that is long enough", async () => {
  const typed = [
    "",
    "k7qf-92md",
    "short",
    "long enough",
    "long enouhg",
    "long enough",
    "long enough",
  ];
  const { given, said, shown } = await asked(typed, { user: "fox" });
  assert.deepEqual(given, { account: "fox", password: "long enough", code: "k7qf-92md" });
  assert.deepEqual(said.length, 2);
  assert.doesNotMatch(shown, /k7qf|enough/);
});

Deno.test("nobody is asked where no account was named, and a remembered one need not be", async () => {
  assert.deepEqual(await asked([]), { given: null, said: [], shown: "" });
  const { given } = await asked(["pass"], {}, "owl");
  assert.equal(given?.account, "owl");
});
