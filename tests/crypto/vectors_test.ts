import assert from "node:assert/strict";
import { formatFile, makeVectors, type VectorFile, VECTORS } from "../../tools/vectors.ts";
import { LinkError } from "../../src/wire/link_url.ts";
import { codeOf } from "../support/room_story.ts";
import { runOperation } from "../support/vector_operations.ts";

const made = await makeVectors();
const read = async (name: string): Promise<string> =>
  await Deno.readTextFile(new URL(`${name}.json`, VECTORS));

async function fileOf(name: string): Promise<VectorFile> {
  const file: VectorFile = JSON.parse(await read(name));
  return file;
}

Deno.test("tools/vectors.ts makes the files of tests/vectors/ again, byte for byte", async () => {
  for (const [name, file] of Object.entries(made)) {
    assert.equal(formatFile(file), await read(name), `${name}.json: run tools/vectors.ts`);
  }
});

for (const name of Object.keys(made)) {
  Deno.test(`every vector of ${name}.json gives its output`, async () => {
    for (const { operation, input, output } of (await fileOf(name)).vectors) {
      assert.deepEqual(await runOperation(operation, input), output);
    }
  });

  Deno.test(`every negative vector of ${name}.json is refused, for the reason it names`, async () => {
    for (const vector of (await fileOf(name)).vectors) {
      for (const { name, replace, refusal } of vector.negative) {
        const what = `${vector.operation} (${vector.name}): ${name}`;
        for (const field of Object.keys(replace)) {
          assert.ok(field in vector.input, `${what}: ${field} is no field of the input`);
        }
        assert.notDeepEqual({ ...vector.input, ...replace }, vector.input, what);
        let refused = "not at all";
        try {
          await runOperation(vector.operation, { ...vector.input, ...replace });
        } catch (error) {
          if (error instanceof TypeError) throw error;
          refused = error instanceof LinkError ? error.code : codeOf(error);
        }
        assert.equal(refused, refusal, what);
      }
    }
  });
}

Deno.test("each operation has a vector, and each but the plain derivations a negative one", () => {
  const all = Object.values(made).flatMap(({ vectors }) => vectors);
  const refusing = new Set(
    all.filter(({ negative }) => negative.length > 0).map(({ operation }) => operation),
  );
  for (const { operation } of all) {
    const reads = /^(verify|open|accept|read|unmask)/.test(operation);
    assert.equal(refusing.has(operation), reads, operation);
  }
});
