/**
 * Each attack of tests/hostile/attacks.ts is seen to bite on a copy of the program that lacks the check which stops
 * it. A patch that no longer fits the program fails here.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as v from "valibot";
import type { Attack } from "../hostile/attack.ts";
import { ATTACKS } from "../hostile/attacks.ts";
import { copyProgram, PatchError, runIn } from "../support/patched_copy.ts";
import { withFolder } from "../support/temporary_folder.ts";

const ROOT = new URL("../../", import.meta.url);
const SCRIPT = fileURLToPath(new URL("tests/hostile/patched_attacks.ts", ROOT));
const OUTCOME = v.object({ name: v.string(), outcome: v.string() });

async function outcomes(attacks: readonly Attack[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  await withFolder(async (folder) => {
    const variants: { name: string; folder: string }[] = [];
    for (const [i, { name, patches }] of attacks.entries()) {
      const copy = join(folder, `variant${i}`);
      try {
        await copyProgram(copy, patches.map((patch) => ({ name, ...patch })));
        variants.push({ name, folder: copy });
      } catch (error) {
        if (!(error instanceof PatchError)) throw error;
        found.set(name, error.message);
      }
    }
    for (const file of ["deno.json", "deno.lock"]) {
      await Deno.copyFile(new URL(file, ROOT), join(folder, file));
    }
    const list = join(folder, "variants.json");
    await Deno.writeTextFile(list, JSON.stringify(variants));
    const { code, stdout, stderr } = await runIn(folder, [SCRIPT, list], 300_000);
    assert.equal(code, 0, stderr);
    for (const line of stdout.split("\n").filter((line) => line !== "")) {
      const { name, outcome } = v.parse(OUTCOME, JSON.parse(line));
      found.set(name, outcome);
    }
  });
  return found;
}

for (const enemy of new Set(ATTACKS.map((a) => a.enemy))) {
  const attacks = ATTACKS.filter((a) => a.enemy === enemy);
  Deno.test(`each of the ${enemy}'s attacks bites where its check is taken out`, async () => {
    const found = await outcomes(attacks);
    const expected = new Map(attacks.map(({ name, bites }) => [name, bites]));
    assert.deepEqual(found, expected);
  });
}

Deno.test("no attack is expected to come to the same with and without its check", () => {
  for (const { name, expected, bites } of ATTACKS) assert.notEqual(expected, bites, name);
});
