import assert from "node:assert/strict";
import { Generations } from "../../src/crypto/generations.ts";

Deno.test("Generations forgets whom nothing came of for longest, and nobody who is to be kept", () => {
  const generations = new Generations(3);
  generations.put("a", 1);
  generations.put("b", 1);
  generations.put("c", 1);
  generations.put("a", 2);
  generations.put("d", 1, new Set(["b"]));
  generations.put("e", 1, new Set(["b", "e"]));
  const of = ["a", "b", "c", "d", "e"].map((identity) => generations.of(identity));
  assert.deepEqual(of, [-1, 1, -1, 1, 1]);
});
