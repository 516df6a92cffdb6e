/**
 * Runs attacks of `key_change_attacks.ts` on copies of the program: started by a test, once for many.
 *
 *     deno run -A key_change_attacks_program.ts variants.json
 *
 * @module
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { KEY_CHANGE_ATTACKS, type PinnedRelayClass } from "./key_change_attacks.ts";

const [list] = Deno.args;
if (list === undefined) throw new Error("which variants?");
const variants: { name: string; folder: string }[] = JSON.parse(await Deno.readTextFile(list));
for (const { name, folder } of variants) {
  const attack = KEY_CHANGE_ATTACKS.find((a) => a.name === name);
  if (attack === undefined) throw new Error(`there is no attack "${name}"`);
  const file = pathToFileURL(join(folder, "src/driver/pinned_relay.ts")).href;
  const program: { PinnedRelay: PinnedRelayClass } = await import(file);
  console.log(JSON.stringify({ name, outcome: await attack.run(program.PinnedRelay) }));
}
