import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { runServer } from "../../src/server/main.ts";
import { ACCOUNT_ATTACKS, attackRelay } from "../support/account_attacks.ts";
import { copyProgram } from "../support/patched_copy.ts";
import { withFolder } from "../support/temporary_folder.ts";

for (const attack of ACCOUNT_ATTACKS) {
  Deno.test(`a relay with accounts lets nobody in who ${attack.name}; without its check it does`, async () => {
    await withFolder(async (folder) => {
      assert.equal(await attackRelay(attack, join(folder, "whole")), false);
      const copy = join(folder, "copy");
      await copyProgram(copy, [{ ...attack.defence, name: attack.name }]);
      const { runServer: patched }: { runServer: typeof runServer } = await import(
        pathToFileURL(join(copy, "src/server/main.ts")).href
      );
      assert.equal(await attackRelay(attack, join(folder, "patched"), patched), true);
    });
  });
}
