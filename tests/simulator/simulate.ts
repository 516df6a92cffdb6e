/**
 * Plays many seeds: `deno task simulate [--seeds N] [--from N] [--real] [--show] [--script JSON]`. Prints the first seed that
 * breaks an invariant with the shortest script that does, and ends with 1.
 */
import { parseArgs } from "node:util";
import { loadHouse } from "../hostile/house.ts";
import { copyProgram } from "../support/patched_copy.ts";
import { withFolder } from "../support/temporary_folder.ts";
import { scriptOf, shrink } from "./script.ts";
import { newCounts, simulate } from "./simulation.ts";
import { TOY_CRYPTO } from "./toy_crypto.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    real: { type: "boolean", default: false },
    show: { type: "boolean", default: false },
    script: { type: "string" },
  },
});
const first = Number(values.from);
const end = first + Number(values.seeds);

await withFolder(async (folder) => {
  if (!values.real) await copyProgram(folder, TOY_CRYPTO);
  const house = await loadHouse(values.real ? undefined : folder);
  const begin = performance.now();
  const counts = newCounts();
  for (let seed = first; seed < end; seed++) {
    const script = values.script === undefined ? scriptOf(seed) : JSON.parse(values.script);
    const violation = await simulate(house, script, counts);
    if (violation !== null) {
      console.log(`seed ${seed}: ${violation.rule} (${violation.detail})`);
      if (values.show) {
        console.log(violation.story);
        Deno.exit(1);
      }
      const shortest = await shrink(
        script,
        async (shorter) => (await simulate(house, shorter))?.rule === violation.rule,
      );
      console.log(`shortest script: ${JSON.stringify(shortest)}`);
      Deno.exit(1);
    }
    const done = seed - first + 1;
    if (done % 500 === 0) {
      const ms = Math.round((performance.now() - begin) / done);
      console.log(`${done} seeds, up to ${seed}: every invariant held; ${ms} ms a seed`);
    }
  }
  const ms = Math.round((performance.now() - begin) / (end - first));
  console.log(`${end - first} seeds: every invariant held; ${ms} ms a seed`);
  console.log(counts);
});
Deno.exit(0);
