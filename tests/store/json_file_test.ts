import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import * as v from "valibot";
import { parseJson, readJsonFile, writeJsonFile } from "../../src/store/json_file.ts";
import { StoreError } from "../../src/store/store_error.ts";
import { withFolder } from "../support/temporary_folder.ts";

const FORMAT = {
  version: 1,
  schema: v.object({
    version: v.literal(1),
    owls: v.array(
      v.object({ name: v.string(), key: v.pipe(v.string(), v.regex(/^[0-9a-f]{4}$/)) }),
    ),
  }),
};

Deno.test("readJsonFile() reads what writeJsonFile() wrote, and nothing where nothing is", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "owls.json");
    assert.equal(await readJsonFile(path, FORMAT), undefined);
    const owls = { version: 1 as const, owls: [{ name: "eule 🦉", key: "00ff" }] };
    await writeJsonFile(path, owls);
    assert.deepEqual(await readJsonFile(path, FORMAT), owls);
  });
});

Deno.test("readJsonFile() names the file and the bad field, and leaves the file untouched", async () => {
  const cases: [string, string, string | undefined][] = [
    ["", "damaged", undefined],
    ["{", "damaged", undefined],
    ["\xff\xfe", "damaged", undefined],
    ["null", "damaged", "version"],
    ["[]", "damaged", "version"],
    [`{"owls":[]}`, "damaged", "version"],
    [`{"version":"1","owls":[]}`, "damaged", "version"],
    [`{"version":0,"owls":[]}`, "damaged", "version"],
    [`{"version":2,"owls":7}`, "newer-version", "version"],
    [`{"version":1}`, "damaged", "owls"],
    [
      `{"version":1,"owls":[{"name":"a","key":"0000"},{"name":"b","key":"00"}]}`,
      "damaged",
      "owls.1.key",
    ],
  ];
  await withFolder(async (folder) => {
    const path = join(folder, "owls.json");
    for (const [text, code, field] of cases) {
      const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
      await Deno.writeFile(path, bytes);
      const error = await readJsonFile(path, FORMAT).then(() => undefined, (e: unknown) => e);
      assert.ok(error instanceof StoreError, text);
      assert.deepEqual([error.code, error.path, error.field], [code, path, field], text);
      assert.ok(error.message.includes(path));
      if (field !== undefined) assert.match(error.message, new RegExp(field));
      assert.deepEqual(await Deno.readFile(path), bytes);
    }
  });
});

Deno.test("an error about a damaged file quotes nothing of it, for it may be a key", () => {
  const secret = "hush-5ec2e7";
  for (
    const text of [
      secret,
      `{"version":1,"owls":[{"name":"a","key":"${secret}"}]}`,
      `{"version":"${secret}"}`,
    ]
  ) {
    assert.throws(() => parseJson("/p", new TextEncoder().encode(text), FORMAT), (error) => {
      assert.ok(error instanceof StoreError);
      assert.doesNotMatch(Deno.inspect(error), /hush/);
      return true;
    });
  }
});

Deno.test("parseJson() of any bytes gives a value or a StoreError", () => {
  const bytes = fc.oneof(fc.uint8Array(), fc.json().map((text) => new TextEncoder().encode(text)));
  fc.assert(fc.property(bytes, (input) => {
    try {
      parseJson("/p", input, FORMAT);
    } catch (error) {
      assert.ok(error instanceof StoreError);
    }
  }));
});

Deno.test("readJsonFile() refuses what is no file of ours to begin with", async () => {
  await withFolder(async (folder) => {
    await assert.rejects(readJsonFile(folder, FORMAT), { code: "unreadable", path: folder });
    const large = join(folder, "large");
    using file = await Deno.open(large, { write: true, create: true });
    await file.truncate(16 * 1024 * 1024 + 1);
    await assert.rejects(readJsonFile(large, FORMAT), { code: "unreadable", path: large });
  });
});
