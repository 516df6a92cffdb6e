import assert from "node:assert/strict";
import { ATTACKS } from "./attacks.ts";
import { SWITCHES } from "./hostile_relay.ts";

Deno.test("each switch of the hostile relay has its row in the table of attacks", () => {
  for (const name of SWITCHES) {
    assert.ok(ATTACKS.some((attack) => attack.name.startsWith(`${name}: `)), name);
  }
});

Deno.test("each attack of the table has a name of its own", () => {
  assert.equal(new Set(ATTACKS.map(({ name }) => name)).size, ATTACKS.length);
});
