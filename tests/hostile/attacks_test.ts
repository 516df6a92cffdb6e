/**
 * The table of attacks, on the program as it is. That each attack bites where its check is taken out is in
 * tests/system/hostile_test.ts.
 */
import assert from "node:assert/strict";
import { ATTACKS } from "./attacks.ts";
import { loadHouse } from "./house.ts";

for (const attack of ATTACKS) {
  Deno.test(`${attack.enemy}: ${attack.name} (${attack.property})`, async () => {
    assert.equal(await attack.run(await loadHouse()), attack.expected);
  });
}
