import assert from "node:assert/strict";
import { join } from "node:path";
import { COMMANDS } from "../../src/cli.ts";
import { manPages } from "../../tools/man_pages.ts";
import { start } from "../support/package_stage.ts";
import { withFolder } from "../support/temporary_folder.ts";

const RENDERERS: readonly (readonly [string, ...string[]])[] = [
  ["mandoc", "-T", "lint", "-W", "warning"],
  ["groff", "-man", "-ww", "-rCHECKSTYLE=3", "-T", "utf8", "-K", "utf8"],
  ["man", "--warnings", "--local-file"],
];

for (const [renderer, ...args] of RENDERERS) {
  Deno.test(`${renderer} renders every man page without a warning`, async () => {
    await withFolder(async (folder) => {
      for (const [name, page] of manPages(COMMANDS, "0.1.0", 1_000_000_000)) {
        const path = join(folder, name);
        await Deno.writeTextFile(path, page);
        const env = { MANPAGER: "cat", MANWIDTH: "80", LC_ALL: "C.UTF-8" };
        const { code, out, err } = await start(renderer, [...args, path], { env });
        assert.deepEqual([code, err], [0, ""], name);
        if (renderer === "mandoc") assert.equal(out, "", name);
        // Bold letters are struck twice.
        else assert.match(out.replaceAll(/.[\b]/g, ""), /EXAMPLES|COMMANDS/, name);
      }
    });
  });
}
