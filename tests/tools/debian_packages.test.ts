import assert from "node:assert/strict";
import { parsePackages } from "../../tools/debian_packages.ts";

Deno.test("parsePackages() reads names and drops comments and empty lines", () => {
  assert.deepEqual(parsePackages("# why\n\ntmux   # screens\npython3\n"), ["tmux", "python3"]);
});
