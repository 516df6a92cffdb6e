/**
 * Looks for every mutant: `deno task simulate:mutants [--seeds N] [--only TEXT]`. Prints which seed finds it and which
 * invariant names it, and ends with 1 if one is not found.
 */
import { parseArgs } from "node:util";
import { withFolder } from "../support/temporary_folder.ts";
import { find, toyHouse } from "./find.ts";
import { MUTANTS } from "./mutants.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    seeds: { type: "string", default: "1000" },
    /** Part of a mutant's name. */
    only: { type: "string", default: "" },
  },
});
const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => i + 1);
let missed = 0;

await withFolder(async (folder) => {
  const sound = await toyHouse(folder, "sound");
  const mutants = MUTANTS.filter(({ name }) => name.includes(values.only));
  for (const [i, mutant] of mutants.entries()) {
    const patches = mutant.patches.map((patch) => ({ name: mutant.name, ...patch }));
    const mutated = await toyHouse(folder, `mutant${i}`, patches);
    const found = await find(mutant, sound, mutated, seeds);
    if (found === null) missed++;
    console.log(
      found === null
        ? `NOT FOUND in ${seeds.length} seeds: ${mutant.name}`
        : `${mutant.name}: seed ${found.seed}, "${found.rule}" (${found.detail})`,
    );
  }
  console.log(`${mutants.length - missed} of ${mutants.length} mutants found`);
});
Deno.exit(missed === 0 ? 0 : 1);
