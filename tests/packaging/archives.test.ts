import assert from "node:assert/strict";
import { gunzipSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { unzipSync } from "fflate";
import { fileURLToPath } from "node:url";
import { npmArtefact, systemArtefacts } from "../../tools/release_archives.ts";
import { integrity, runtimeOf } from "../../tools/release_runtime.ts";
import { readFromTar, tar } from "../../tools/release_tar.ts";
import { TARGETS } from "../../tools/release_targets.ts";
import { sbom } from "../../tools/release_papers.ts";
import { sums } from "../../tools/release_sums.ts";
import { OWN, parts, start } from "../support/package_stage.ts";
import { withFolder } from "../support/temporary_folder.ts";
import { join } from "node:path";

const RUNTIME = new TextEncoder().encode("#!/bin/sh\n");

Deno.test("tar() does not depend on the order of its files, and gives each back", () => {
  const files = fc.uniqueArray(
    fc.record({
      path: fc.stringMatching(/^[a-z]{1,8}(\/[a-z]{1,8}){0,2}$/),
      bytes: fc.uint8Array({ maxLength: 2000 }),
    }),
    { selector: ({ path }) => path, maxLength: 5 },
  );
  fc.assert(fc.property(files, (files) => {
    const archive = tar(files, 1_000_000_000);
    assert.deepEqual(tar(files.toReversed(), 1_000_000_000), archive);
    for (const { path, bytes } of files) {
      assert.deepEqual(new Uint8Array(readFromTar(archive, path)), new Uint8Array(bytes));
    }
  }));
});

Deno.test("tar() writes what the system's tar reads, with its modes and date", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "x.tar");
    const file = (path: string, executable: boolean) => ({ path, bytes: RUNTIME, executable });
    await Deno.writeFile(path, tar([file("b/run", true), file("a", false)], 1_000_000_000));
    const { out } = await start("tar", ["tvf", path], { env: { TZ: "UTC" } });
    assert.match(
      out,
      /^-rw-r--r-- 0\/0 +10 2001-09-09 01:46(:40)? a\n-rwxr-xr-x 0\/0 .* b\/run\n$/,
    );
  });
});

Deno.test("every package comes out the same again, whatever the time zone", async () => {
  const shown = async () => {
    const all = [await npmArtefact(parts())];
    for (const target of TARGETS) all.push(...await systemArtefacts(target, RUNTIME, parts()));
    return sums(all);
  };
  const first = await shown();
  assert.equal(first.trim().split("\n").length, 11);
  assert.equal(await shown(), first);
  // The zone of this process cannot be changed; that of another can.
  const script = new URL("../support/package_digests.ts", import.meta.url);
  for (const TZ of ["Asia/Kolkata", "America/Los_Angeles"]) {
    const { out, err } = await start(Deno.execPath(), ["run", "-A", "--quiet", script.href], {
      env: { TZ, HOME: Deno.env.get("HOME") ?? "", DENO_DIR: Deno.env.get("DENO_DIR") ?? "" },
      cwd: fileURLToPath(new URL("../..", import.meta.url)),
    });
    assert.equal(out, first, err);
  }
});

Deno.test("an archive for Windows has its launcher, its runtime and the program", async () => {
  const target = TARGETS.find(({ os }) => os === "windows");
  assert.ok(target !== undefined);
  const [archive] = await systemArtefacts(target, RUNTIME, parts());
  const files = unzipSync(archive?.bytes ?? new Uint8Array());
  const base = "stm-0.1.0-windows-x86_64";
  assert.deepEqual(Object.keys(files), [
    `${base}/lib/deno.exe`,
    `${base}/lib/stm.js`,
    `${base}/stm.cmd`,
  ]);
});

Deno.test("the npm package names the pinned runtime of every system", async () => {
  const { bytes } = await npmArtefact(parts());
  const text = new TextDecoder().decode(readFromTar(gunzipSync(bytes), "package/package.json"));
  const { bin, optionalDependencies } = JSON.parse(text);
  assert.deepEqual(bin, { stm: "bin/stm.js" });
  assert.deepEqual(
    optionalDependencies,
    Object.fromEntries(TARGETS.map((target) => [target.package, "2.9.5"])),
  );
});

Deno.test("runtimeOf() refuses a package that is not the pinned one, and keeps one that is", async () => {
  await withFolder(async (cache) => {
    const packed = gzipSync(tar([{ path: `package/${OWN.runtime}`, bytes: RUNTIME }], 0));
    const target = { ...OWN, package: "@stm/runtime", integrity: integrity(packed) };
    const name = "stm-runtime-2.9.5.tgz";
    await Deno.writeTextFile(join(cache, name), "somebody changed this one");
    const brings = (bytes: Uint8Array) => (spec: string, folder: string) => {
      assert.equal(spec, "@stm/runtime@2.9.5");
      return Deno.writeFile(join(folder, name), bytes);
    };
    await assert.rejects(() => runtimeOf(target, cache, brings(RUNTIME)), /npm brought sha512-/);
    assert.deepEqual(new Uint8Array(await runtimeOf(target, cache, brings(packed))), RUNTIME);
    const nobody = () => Promise.reject(new Error("it is here already"));
    assert.deepEqual(new Uint8Array(await runtimeOf(target, cache, nobody)), RUNTIME);
  });
});

Deno.test("sbom() lists the packages and runtimes with their digests, the same each time", () => {
  const facts = {
    name: "@scure/bip39",
    version: "2.4.0",
    license: "MIT",
    licenseText: "",
    integrity: "sha512-AAEC",
  };
  const text = sbom("0.1.0", "c0ffee", 0, [facts]);
  assert.equal(sbom("0.1.0", "c0ffee", 0, [facts]), text);
  const bom = JSON.parse(text);
  assert.equal(bom.bomFormat, "CycloneDX");
  assert.equal(bom.components.length, 7);
  assert.equal(bom.components[0].purl, "pkg:npm/%40scure/bip39@2.4.0");
  assert.equal(bom.components[0].hashes[0].content, "000102");
  assert.match(bom.serialNumber, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-/);
});
