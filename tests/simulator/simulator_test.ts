/** A short run of the simulator. The long ones are tasks: `simulate`, `simulate:mutants`, see README.md. */
import assert from "node:assert/strict";
import { loadHouse } from "../hostile/house.ts";
import { applyPatch } from "../support/patched_copy.ts";
import { withFolder } from "../support/temporary_folder.ts";
import { find, toyHouse } from "./find.ts";
import { MUTANTS } from "./mutants.ts";
import { type Act, scriptOf, shrink } from "./script.ts";
import { simulate } from "./simulation.ts";

const SEEDS = Array.from({ length: 24 }, (_, i) => i + 1);
/** They are found by the seeds of this run. */
const QUICK = ["no CLOSE", "repair goes to everybody"];

Deno.test("rooms that are played at random hold every invariant, and some mutants do not", async () => {
  await withFolder(async (folder) => {
    const sound = await toyHouse(folder, "sound");
    for (const seed of SEEDS) {
      const failure = await simulate(sound, { seed, script: scriptOf(seed) });
      assert.ok(failure === null, `seed ${seed}: ${failure?.rule} (${failure?.detail})`);
    }
    // The same seed is the same room.
    const plan = { seed: 7, script: scriptOf(7) };
    const stories: string[] = [];
    for (let i = 0; i < 2; i++) await simulate(sound, plan, undefined, (s) => stories.push(s));
    assert.equal(stories[0], stories[1]);
    for (const mutant of MUTANTS.filter(({ name }) => QUICK.includes(name))) {
      const patches = mutant.patches.map((patch) => ({ name: mutant.name, ...patch }));
      const mutated = await toyHouse(folder, mutant.name.replaceAll(" ", "-"), patches);
      assert.notEqual(await find(mutant, sound, mutated, SEEDS), null, mutant.name);
    }
  });
});

Deno.test("a room that is played with the real cryptography holds every invariant", async () => {
  for (const seed of [1, 2]) {
    const failure = await simulate(await loadHouse(), { seed, script: scriptOf(seed) });
    assert.ok(failure === null, `seed ${seed}: ${failure?.rule} (${failure?.detail})`);
  }
});

Deno.test("every mutant fits the program", async () => {
  for (const { name, patches } of MUTANTS) {
    for (const patch of patches) {
      const text = await Deno.readTextFile(new URL(`../../${patch.file}`, import.meta.url));
      assert.notEqual(applyPatch(text, { name, ...patch }), text);
    }
  }
});

Deno.test("shrink() leaves out what does not matter", async () => {
  const script = scriptOf(5);
  const needed = script.filter((act) => act.act === "say").slice(0, 2);
  const fails = (shorter: readonly Act[]) =>
    Promise.resolve(needed.every((act) => shorter.includes(act)));
  assert.deepEqual(await shrink(script, fails), needed);
});
