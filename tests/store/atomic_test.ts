import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeFileAtomic } from "../../src/store/atomic.ts";
import { MAX_FILE_BYTES, readIfThere } from "../../src/store/disk.ts";
import { generationBytes, generationOf } from "../support/generation_bytes.ts";
import { withFolder } from "../support/temporary_folder.ts";

const WRITER = fileURLToPath(new URL("../support/atomic_writer.ts", import.meta.url));
const KILLS = 40;
const AT_ONCE = 4;

Deno.test("writeFileAtomic() leaves the old or the new file when its process is killed", async () => {
  await withFolder(async (folder) => {
    let interrupted = 0;
    for (let kill = 0; kill < KILLS; kill += AT_ONCE) {
      const round = Array.from({ length: AT_ONCE }, (_, i) => i).map(async (i) => {
        const path = join(folder, String(kill + i), "file");
        const acknowledged = await writeUntilKilled(path, (kill + i) % 8);
        const found = generationOf(await Deno.readFile(path));
        assert.notEqual(found, undefined, "a mix of two generations");
        // What was acknowledged is there; at most the write that was under way is there beyond it.
        assert.ok(found !== undefined && found >= acknowledged && found <= acknowledged + 1);
        for await (const { name } of Deno.readDir(join(folder, String(kill + i)))) {
          if (name !== "file") interrupted++;
        }
      });
      await Promise.all(round);
    }
    // A kill inside a write leaves its temporary file: that is how we know that some hit one.
    assert.ok(interrupted > 0, "no kill met a write");
  });
});

/** Kills the writer somewhere in the writes after `writes`; tells how many it reported. */
async function writeUntilKilled(path: string, writes: number): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-lock", "--no-check", "--quiet", "-A", WRITER, path],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let reported = 0;
  let killed = false;
  for await (const dots of child.stdout) {
    reported += dots.length;
    // What it still reports before it dies is read too: that counts as acknowledged.
    if (reported <= writes || killed) continue;
    child.kill("SIGKILL");
    killed = true;
  }
  await child.status;
  return reported;
}

Deno.test("writeFileAtomic() writes nothing that would be too large to be read again", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "file");
    await writeFileAtomic(path, generationBytes(1));
    await assert.rejects(writeFileAtomic(path, new Uint8Array(MAX_FILE_BYTES + 1)), {
      code: "unwritable",
    });
    assert.equal(generationOf(await Deno.readFile(path)), 1);
    await writeFileAtomic(path, new Uint8Array(MAX_FILE_BYTES));
    assert.equal((await readIfThere(path))?.length, MAX_FILE_BYTES);
  });
});

Deno.test("writeFileAtomic() of two writers at once leaves one of the two, whole", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "file");
    const generations = [1, 2, 3, 4, 5, 6, 7, 8];
    await Promise.all(generations.map((g) => writeFileAtomic(path, generationBytes(g))));
    assert.ok(generations.includes(generationOf(await Deno.readFile(path)) ?? 0));
    assert.deepEqual([...Deno.readDirSync(folder)].map((entry) => entry.name), ["file"]);
  });
});

Deno.test({
  name: "writeFileAtomic() makes folders 0700 and the file 0600, even where it was readable to all",
  ignore: Deno.build.os === "windows", // it has no permission bits
  fn: async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "a", "b", "file");
      const modeOf = async (of: string) => ((await Deno.stat(of)).mode ?? 0) & 0o777;
      await writeFileAtomic(path, new Uint8Array([1]));
      assert.equal(await modeOf(join(folder, "a")), 0o700);
      assert.equal(await modeOf(join(folder, "a", "b")), 0o700);
      assert.equal(await modeOf(path), 0o600);
      await Deno.chmod(path, 0o644);
      await writeFileAtomic(path, new Uint8Array([2]));
      assert.equal(await modeOf(path), 0o600);
      await writeFileAtomic(path, new Uint8Array([3]), 0o640);
      assert.equal(await modeOf(path), 0o640);
    });
  },
});

Deno.test("writeFileAtomic() removes what a crash left, and nothing else", async () => {
  await withFolder(async (folder) => {
    const old = join(folder, ".file.0123456789abcdef.tmp");
    const young = join(folder, ".file.fedcba9876543210.tmp");
    const foreign = [".file.backup.tmp", ".other.0123456789abcdef.tmp", "file.tmp"];
    for (const path of [old, young, ...foreign.map((name) => join(folder, name))]) {
      await Deno.writeTextFile(path, "left");
      if (path !== young) await Deno.utime(path, new Date(0), new Date(0));
    }
    await writeFileAtomic(join(folder, "file"), new Uint8Array([1]));
    const left = [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();
    assert.deepEqual(left, [...foreign, "file", ".file.fedcba9876543210.tmp"].sort());
  });
});

Deno.test("writeFileAtomic() that fails names the file, keeps it and leaves nothing behind", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "taken");
    await Deno.mkdir(join(path, "inside"), { recursive: true });
    await assert.rejects(writeFileAtomic(path, new Uint8Array([1])), {
      name: "StoreError",
      code: "unwritable",
      path,
    });
    assert.deepEqual([...Deno.readDirSync(folder)].map((entry) => entry.name), ["taken"]);
    const below = join(folder, "file", "below");
    await Deno.writeTextFile(join(folder, "file"), "old");
    await assert.rejects(writeFileAtomic(below, new Uint8Array([1])), { code: "unwritable" });
    assert.equal(await Deno.readTextFile(join(folder, "file")), "old");
  });
});
