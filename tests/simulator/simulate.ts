/**
 * Plays many seeds: `deno task simulate [--seeds N] [--from N] [--real] [--all] [--show] [--script JSON]`. Prints the
 * first seed that breaks an invariant with the shortest script that does, and ends with 1.
 */
import { parseArgs } from "node:util";
import { loadHouse } from "../hostile/house.ts";
import { copyProgram } from "../support/patched_copy.ts";
import { withFolder } from "../support/temporary_folder.ts";
import { type Act, scriptOf, shrink } from "./script.ts";
import { newCounts, simulate } from "./simulation.ts";
import { TOY_CRYPTO } from "./toy_crypto.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    /** The program's own cryptography. */
    real: { type: "boolean", default: false },
    /** Goes on after a seed that fails, and does not shrink. */
    all: { type: "boolean", default: false },
    /** Prints what everybody was told. */
    show: { type: "boolean", default: false },
    /** This one instead of the seed's own. */
    script: { type: "string" },
  },
});
const first = Number(values.from);
const end = first + Number(values.seeds);
let failed = 0;

await withFolder(async (folder) => {
  if (!values.real) await copyProgram(folder, TOY_CRYPTO);
  const house = await loadHouse(values.real ? undefined : folder);
  const begin = performance.now();
  const counts = newCounts();
  for (let seed = first; seed < end; seed++) {
    const script: Act[] = values.script === undefined ? scriptOf(seed) : JSON.parse(values.script);
    const violation = await simulate(house, { seed, script }, counts);
    const done = seed - first + 1;
    if (done % 500 === 0) {
      const ms = Math.round((performance.now() - begin) / done);
      console.log(`${done} seeds, up to ${seed}: ${failed} broke an invariant; ${ms} ms a seed`);
    }
    if (violation === null) continue;
    failed++;
    console.log(`seed ${seed}: ${violation.rule} (${violation.detail})`);
    if (values.show) console.log(violation.story);
    if (values.all) continue;
    const shortest = await shrink(
      script,
      async (shorter) =>
        (await simulate(house, { seed, script: shorter }))?.rule === violation.rule,
    );
    console.log(`shortest script: --from ${seed} --seeds 1 --script '${JSON.stringify(shortest)}'`);
    return;
  }
  const ms = Math.round((performance.now() - begin) / (end - first));
  console.log(`${end - first} seeds: ${failed} broke an invariant; ${ms} ms a seed`);
  console.log(counts);
});
Deno.exit(failed === 0 ? 0 : 1);
