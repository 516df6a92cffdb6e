/**
 * Runs attacks of `crypto_attacks.ts` on copies of the program: started by a test, once for many.
 *
 *     deno run -A crypto_attacks_program.ts variants.json
 *
 * @module
 */
import { CRYPTO_ATTACKS } from "./crypto_attacks.ts";
import { loadProgram } from "./room_story.ts";

const [list] = Deno.args;
if (list === undefined) throw new Error("which variants?");
const variants: { name: string; folder: string }[] = JSON.parse(await Deno.readTextFile(list));
for (const { name, folder } of variants) {
  const attack = CRYPTO_ATTACKS.find((a) => a.name === name);
  if (attack === undefined) throw new Error(`there is no attack "${name}"`);
  const outcome = await attack.run(await loadProgram(folder));
  console.log(JSON.stringify({ name, outcome }));
}
