import assert from "node:assert/strict";
import { missingPackages, parsePackages } from "../../tools/debian_packages.ts";

Deno.test("every Debian package that the system tests need is installed", async () => {
  const list = new URL("../../tools/debian_packages.txt", import.meta.url);
  const missing = await missingPackages(parsePackages(await Deno.readTextFile(list)));
  assert.deepEqual(missing, [], `as root: apt-get install ${missing.join(" ")}`);
});

Deno.test("missingPackages() names a package that nobody has", async () => {
  assert.deepEqual(await missingPackages(["stm-no-such-package"]), ["stm-no-such-package"]);
});
