import assert from "node:assert/strict";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { systemArtefacts } from "../../tools/release_archives.ts";
import { readFromTar } from "../../tools/release_tar.ts";
import { TARGETS } from "../../tools/release_targets.ts";
import { parts, start } from "../support/package_stage.ts";
import { withFolder } from "../support/temporary_folder.ts";

for (const target of TARGETS.filter(({ os }) => os !== "windows")) {
  Deno.test(`shellcheck finds nothing in what starts stm on ${target.name}, and every shell reads it`, async () => {
    await withFolder(async (folder) => {
      const [archive, single] = await systemArtefacts(target, new Uint8Array(1000), parts());
      assert.ok(archive !== undefined && single !== undefined);
      const base = archive.name.replace(".tar.gz", "");
      const scripts = {
        launcher: readFromTar(gunzipSync(archive.bytes), `${base}/stm`),
        head: single.bytes.subarray(0, headBytes(single.bytes)),
      };
      for (const [name, bytes] of Object.entries(scripts)) {
        const path = join(folder, name);
        await Deno.writeFile(path, bytes);
        const { code, out } = await start("shellcheck", ["--shell=sh", path]);
        assert.deepEqual([code, out], [0, ""], name);
        for (const shell of [["dash"], ["bash", "--posix"], ["busybox", "sh"]]) {
          const [program = "", ...args] = shell;
          const read = await start(program, [...args, "-n", path]);
          assert.deepEqual([read.code, read.err], [0, ""], `${name} in ${shell.join(" ")}`);
        }
      }
    });
  });
}

/** How long the script in front of a single file is; what it unpacks comes after. */
function headBytes(bytes: Uint8Array): number {
  const end = new TextDecoder("latin1").decode(bytes).indexOf("\nexit 1\n\x1f");
  assert.ok(end > 0);
  return end + "\nexit 1\n".length;
}
