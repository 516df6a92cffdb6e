import assert from "node:assert/strict";
import { join } from "node:path";
import { firstLineOfFile, nextLine } from "../../src/driver/secret_input.ts";
import { StartError } from "../../src/driver/start_error.ts";
import { FakeTerminal } from "../support/fake_terminal.ts";
import { withFolder } from "../support/temporary_folder.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** The same content as the first line of a file, and as the next line of standard input in chunks. */
async function bothWays(content: Uint8Array, chunk: number): Promise<readonly string[]> {
  const said = (line: Promise<string>) =>
    line.catch((error) => {
      assert.ok(error instanceof StartError && error.exitCode === 2, String(error));
      return error.message.replace(/^the (first )?line of \S+( input)?/, "it");
    });
  const rest = Array.from(
    { length: Math.ceil(content.length / chunk) },
    (_, i) => content.slice(i * chunk, (i + 1) * chunk),
  );
  const input = { read: () => Promise.resolve(rest.shift() ?? null), unread: () => {} };
  let fromFile = "";
  await withFolder(async (folder) => {
    const path = join(folder, "secret");
    await Deno.writeFile(path, content);
    fromFile = await said(firstLineOfFile(path, "the file"));
  });
  return [fromFile, await said(nextLine(input))];
}

Deno.test("a secret is the same from a file and from standard input, whole and byte by byte", async () => {
  const cases: readonly [Uint8Array, string][] = [
    [bytes("horse"), "horse"],
    [bytes("horse\nbattery\n"), "horse"],
    [bytes("horse\r\nbattery\n"), "horse"],
    [bytes(" höрсе 馬 \n"), " höрсе 馬 "],
    [bytes(""), ""],
    [bytes("\nhorse"), ""],
    [bytes("x".repeat(4096) + "\n"), "x".repeat(4096)],
    [bytes("x".repeat(4097) + "\n"), "it is too long"],
    [Uint8Array.of(0x68, 0xff, 10), "it is no text in UTF-8"],
  ];
  for (const [content, expected] of cases) {
    for (const chunk of [1, 3, 10_000]) {
      assert.deepEqual(await bothWays(content, chunk), [expected, expected]);
    }
  }
});

Deno.test("a file without an end is not read for ever", {
  ignore: Deno.build.os === "windows",
}, async () => {
  await assert.rejects(firstLineOfFile("/dev/zero", "the file"), /\/dev\/zero is too long/);
});

Deno.test("what comes after the line of standard input stays there", async () => {
  const terminal = new FakeTerminal({ isTerminal: false });
  terminal.type("horse\nhello\n");
  assert.equal(await nextLine(terminal), "horse");
  assert.deepEqual(await terminal.read(), bytes("hello\n"));
});
