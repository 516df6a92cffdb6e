/**
 * Runs rows of the table of attacks on copies of the program, as a process of its own: each copy has the checks
 * taken out that stop its row. Argument: a file with `{ name, folder }[]` in JSON. Prints `{ name, outcome }`, one a
 * line.
 */
import * as v from "valibot";
import { ATTACKS } from "./attacks.ts";
import { loadHouse } from "./house.ts";

const VARIANTS = v.array(v.object({ name: v.string(), folder: v.string() }));

for (
  const { name, folder } of v.parse(VARIANTS, JSON.parse(Deno.readTextFileSync(Deno.args[0] ?? "")))
) {
  const attack = ATTACKS.find((a) => a.name === name);
  if (attack === undefined) throw new Error(`there is no attack named ${name}`);
  let outcome: string;
  try {
    outcome = await attack.run(await loadHouse(folder));
  } catch (error) {
    outcome = `broken: ${error instanceof Error ? error.message : error}`;
  }
  console.log(JSON.stringify({ name, outcome }));
}
// Whatever a patched program has left running.
Deno.exit(0);
