/** docs/SECURITY.md against the tests that it names. */
import assert from "node:assert/strict";
import { ATTACKS } from "./attacks.ts";

const ROOT = new URL("../../", import.meta.url);
const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));
/** Line breaks and the indentation of a list are the formatter's. */
const oneLine = (text: string) => text.replaceAll(/\s+/g, " ");

/** `tests/file.ts`: "name of the test" */
function references(text: string): { file: string; name: string }[] {
  return [...text.matchAll(/`(tests\/[\w/.]+\.ts)`: "([^"]+)"/g)]
    .map(([, file = "", name = ""]) => ({ file, name }));
}

Deno.test("each test that SECURITY.md names is there", async () => {
  const named = references(oneLine(await read("docs/SECURITY.md")));
  assert.ok(named.length > 60);
  for (const { file, name } of named) {
    assert.ok(oneLine(await read(file)).includes(name), `${file} has no "${name}"`);
  }
  for (const file of (await read("docs/SECURITY.md")).match(/tests\/[\w/]+(\.\w+)+/g) ?? []) {
    await Deno.stat(new URL(file, ROOT));
  }
});

Deno.test('each "cannot" of SECURITY.md names a test', async () => {
  const text = await read("docs/SECURITY.md");
  const lists = [...text.matchAll(/cannot:\n\n((?:- .*\n(?: {2}.*\n)*)+)/g)];
  assert.equal(lists.length, 6, "one list for each adversary");
  for (const [, list = ""] of lists) {
    for (const item of list.split(/^- /m).slice(1)) {
      assert.ok(references(oneLine(item)).length > 0, `no test: ${item}`);
    }
  }
});

Deno.test("the table of attacks in SECURITY.md is the one that is played", async () => {
  const text = await read("docs/SECURITY.md");
  const rows = text.slice(text.indexOf("## The table of attacks")).split("\n")
    .filter((line) => line.startsWith("| ")).slice(2)
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  assert.deepEqual(
    rows,
    ATTACKS.map((a) => [a.enemy, a.name, a.property, a.expected.trim() || "nothing"]),
  );
});
