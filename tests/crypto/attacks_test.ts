import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { CRYPTO_ATTACKS } from "../support/crypto_attacks.ts";
import { applyPatch, type AttackRow, PatchError, runPatched } from "../support/patched_copy.ts";
import { loadProgram } from "../support/room_story.ts";

const program = await loadProgram();

for (const { name, expected, run } of CRYPTO_ATTACKS) {
  Deno.test(`${name}: ${expected}`, async () => assert.equal(await run(program), expected));
}

Deno.test("every one of these attacks bites on a copy of the program without its defence", async () => {
  const rows: AttackRow[] = CRYPTO_ATTACKS.flatMap(({ name, expected, patch }) =>
    patch === null ? [] : [{ name, expected, patch: { name, ...patch } }]
  );
  assert.ok(rows.length > 50);
  const script = fileURLToPath(new URL("../support/crypto_attacks_program.ts", import.meta.url));
  const outcomes = await runPatched(script, rows, ["crypto", "wire"]);
  const bitten = new Map(outcomes.map(({ name, outcome }) => [name, outcome]));
  for (const { name, bites, patch } of CRYPTO_ATTACKS) {
    if (patch !== null) assert.equal(bitten.get(name), bites, `${name}, without its defence`);
  }
});

Deno.test("an attack and its bite differ, or no single defence stands against it", () => {
  for (const { name, expected, bites, patch } of CRYPTO_ATTACKS) {
    assert.equal(expected !== bites, patch !== null, name);
  }
});

Deno.test("applyPatch() wants its text there exactly once, and a change", () => {
  const patch = { name: "x", file: "f", from: "one", to: "two" };
  assert.equal(applyPatch("a one b", patch), "a two b");
  for (const text of ["a b", "one one", ""]) {
    assert.throws(() => applyPatch(text, patch), PatchError);
  }
  assert.throws(() => applyPatch("one", { ...patch, to: "one" }), PatchError);
  assert.throws(() => applyPatch("one", { ...patch, from: "" }), PatchError);
});
