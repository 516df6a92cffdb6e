import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import {
  type Ended,
  flip,
  OWN,
  start,
  TALKING_RUNTIME,
  writeSingleFile,
} from "../support/package_stage.ts";
import { TARGETS } from "../../tools/release_targets.ts";
import { withFolder } from "../support/temporary_folder.ts";

const STARTS = 20;

/** The folder that a start said its runtime lies in. */
function runtimeFolder(started: Ended): string {
  assert.equal(started.code, 7, started.err);
  const script = started.out.split("\n").find((line) => line.endsWith("/stm.js"));
  assert.ok(script !== undefined, started.out);
  return dirname(script);
}

function cached(folder: string): Record<string, string> {
  return { HOME: join(folder, "home"), STM_CACHE: join(folder, "cache") };
}

Deno.test("the single file gives back what its runtime ends with, and starts the same one again", async () => {
  await withFolder(async (folder) => {
    const stm = await writeSingleFile(folder, TALKING_RUNTIME);
    const env = cached(folder);
    const first = await start(stm, ["version", "a b"], { env });
    assert.match(first.out, /\nversion\na b\n/);
    assert.equal(first.err, "");
    assert.equal(runtimeFolder(await start(stm, ["version"], { env })), runtimeFolder(first));
  });
});

Deno.test("twenty first starts of the single file at once all work, and leave one extraction", async () => {
  await withFolder(async (folder) => {
    const stm = await writeSingleFile(folder, TALKING_RUNTIME);
    const env = cached(folder);
    const started = await Promise.all(
      Array.from({ length: STARTS }, (_, i) => start(stm, ["version", String(i)], { env })),
    );
    const folders = new Set(started.map(runtimeFolder));
    assert.equal(folders.size, 1);
    for (const [i, { out, err }] of started.entries()) {
      assert.match(out, new RegExp(`\nversion\n${i}\n`));
      assert.equal(err, "");
    }
    const left = [...Deno.readDirSync(dirname([...folders][0] ?? ""))].map(({ name }) => name);
    assert.deepEqual(left.filter((name) => /^(x|lock|dead|current\.)/.test(name)).length, 1);
  });
});

Deno.test("the single file refuses to start once any byte of its payload or header has changed", async () => {
  await withFolder(async (folder) => {
    const stm = await writeSingleFile(folder, TALKING_RUNTIME);
    const { size } = await Deno.stat(stm);
    const text = await Deno.readTextFile(stm).then((whole) => whole.slice(0, 20_000));
    // An "a", if there is one: its neighbour is a backtick, which the shell would find fault with.
    const digest = /digest='[^a']*(?=a)|digest='/.exec(text);
    assert.ok(digest !== null);
    const numbers = /head -c (\d+) \| gzip/.exec(text);
    assert.ok(numbers !== null);
    const places = {
      "the digest": digest.index + digest[0].length,
      "a length in the header": (numbers.index ?? 0) + "head -c ".length,
      "the program": size - (await payloadBytes(stm)) + 40,
      "the runtime": size - 700,
      "the last byte": size - 1,
    };
    // A file that was checked before is checked again as soon as it is another one.
    const env = cached(folder);
    assert.equal((await start(stm, ["version"], { env })).code, 7);
    for (const [what, at] of Object.entries(places)) {
      await flip(stm, at);
      const { code, out, err } = await start(stm, ["version"], { env });
      assert.deepEqual([code, out], [1, ""], what);
      assert.match(err, /^stm: .* is damaged: its checksum is [0-9a-f]{64}, and should be/, what);
      await flip(stm, at);
    }
    assert.equal((await start(stm, ["version"], { env })).code, 7);
  });
});

/** How many bytes lie behind the script head. */
async function payloadBytes(stm: string): Promise<number> {
  const bytes = await Deno.readFile(stm);
  const end = new TextEncoder().encode("\nexit 1\n");
  for (let at = bytes.length - end.length; at > 0; at--) {
    if (end.every((byte, i) => bytes[at + i] === byte)) return bytes.length - at - end.length;
  }
  throw new Error("no end of the head");
}

Deno.test("the single file repairs an extraction that was changed, cut off or removed", async () => {
  await withFolder(async (folder) => {
    const stm = await writeSingleFile(folder, TALKING_RUNTIME);
    const env = cached(folder);
    const damages: Record<string, (extraction: string) => Promise<void>> = {
      "a byte of the runtime": (path) => flip(join(path, "deno"), 20),
      "a byte of the program": (path) => flip(join(path, "stm.js"), 0),
      "a program cut off": (path) => Deno.truncate(join(path, "stm.js"), 1),
      "a runtime that may not be run": (path) => Deno.chmod(join(path, "deno"), 0o400),
      "no program": (path) => Deno.remove(join(path, "stm.js")),
      "no folder": (path) => Deno.remove(path, { recursive: true }),
      "garbage for a pointer": (path) => Deno.writeTextFile(join(path, "..", "current"), "../..\n"),
      "an empty pointer": (path) => Deno.writeTextFile(join(path, "..", "current"), ""),
    };
    for (const [what, damage] of Object.entries(damages)) {
      const extraction = runtimeFolder(await start(stm, ["version"], { env }));
      await Deno.chmod(join(extraction, "deno"), 0o700);
      assert.equal((await start(stm, ["version"], { env })).code, 7, what);
      const again = runtimeFolder(await start(stm, ["version"], { env }));
      await damage(again);
      const repaired = await start(stm, ["version"], { env });
      assert.equal(await Deno.readTextFile(join(runtimeFolder(repaired), "stm.js")), "// nothing");
      assert.equal(repaired.err, "", what);
    }
  });
});

Deno.test("the single file takes over the lock of a start that died", async () => {
  await withFolder(async (folder) => {
    const stm = await writeSingleFile(folder, TALKING_RUNTIME);
    const env = cached(folder);
    const extraction = runtimeFolder(await start(stm, ["version"], { env }));
    await Deno.remove(extraction, { recursive: true });
    const died = await new Deno.Command("/bin/sh", { args: ["-c", "echo $$"] }).output();
    await Deno.mkdir(join(extraction, "..", "lock"));
    await Deno.writeFile(join(extraction, "..", "lock", "pid"), died.stdout);
    assert.equal((await start(stm, ["version"], { env })).code, 7);
  });
});

Deno.test("the single file finds a place without a home, and with one that cannot be written", async () => {
  await withFolder(async (folder) => {
    const stm = await writeSingleFile(folder, TALKING_RUNTIME);
    // A file where the folder would be stops root too, whom no mode stops.
    const home = join(folder, "home");
    await Deno.mkdir(home);
    await Deno.writeTextFile(join(home, ".cache"), "");
    await Deno.writeTextFile(join(home, "Library"), "");
    const temporary = join(folder, "tmp");
    await Deno.mkdir(temporary);
    for (const env of [{ TMPDIR: temporary }, { TMPDIR: temporary, HOME: home }]) {
      const extraction = runtimeFolder(await start(stm, ["version"], { env }));
      assert.ok(extraction.startsWith(`${temporary}/stm-`), extraction);
    }
    // What somebody else could have put there is not used.
    const own = [...Deno.readDirSync(temporary)][0]?.name ?? "";
    await Deno.chmod(join(temporary, own), 0o777);
    const other = runtimeFolder(await start(stm, ["version"], { env: { TMPDIR: temporary } }));
    assert.ok(!other.startsWith(temporary), other);
    await Deno.remove(dirname(other), { recursive: true });
  });
});

Deno.test("the single file goes on to the next place where its runtime cannot be run in one", async () => {
  await withFolder(async (folder) => {
    // As a mount does that lets nothing be run; that a disk is full shows at the same place.
    const stm = await writeSingleFile(
      folder,
      TALKING_RUNTIME.replace("\n", "\ncase $0 in */noexec/*) exit 126 ;; esac\n"),
    );
    const temporary = join(folder, "tmp");
    await Deno.mkdir(temporary);
    const refused = join(folder, "noexec");
    const env = { STM_CACHE: join(refused, "cache"), HOME: refused, TMPDIR: temporary };
    const started = await start(stm, ["version"], { env });
    assert.ok(runtimeFolder(started).startsWith(`${temporary}/stm-`), started.out);
    assert.equal(started.err, "");
    assert.deepEqual([...Deno.readDirSync(env.STM_CACHE)], []);
  });
});

Deno.test("the single file says what it needs when it finds no place, and which machine it is for", async () => {
  await withFolder(async (folder) => {
    const env = { HOME: join(folder, "home"), TMPDIR: folder };
    const here = await writeSingleFile(folder, "#!/bin/sh\nexit 126\n");
    const refused = await start(here, ["version"], { env });
    assert.deepEqual([refused.code, refused.out], [1, ""]);
    assert.match(
      refused.err,
      /^stm: found no folder to unpack itself into: \d+ MB are needed.*STM_CACHE=/,
    );
    const other = TARGETS.find(({ os, arch }) => os === OWN.os && arch !== OWN.arch);
    assert.ok(other !== undefined);
    const elsewhere = await writeSingleFile(folder, "#!/bin/sh\nexit 126\n", other);
    assert.match(
      (await start(elsewhere, ["version"], { env })).err,
      new RegExp(`^stm: is for ${other.name}, and this machine is `),
    );
  });
});

Deno.test("the single file removes versions that nobody used for a month, and nothing of anybody else", async () => {
  await withFolder(async (folder) => {
    const stm = await writeSingleFile(folder, TALKING_RUNTIME);
    const env = cached(folder);
    const unusedFor = async (name: string, days: number) => {
      const used = join(env.STM_CACHE ?? "", name, "used");
      await Deno.mkdir(dirname(used), { recursive: true });
      await Deno.writeTextFile(used, "");
      const date = new Date(Date.now() - days * 86_400_000);
      await Deno.utime(used, date, date);
    };
    const [old, young] = ["a".repeat(64), "b".repeat(64)];
    await unusedFor(old, 40);
    await unusedFor(young, 20);
    // STM_CACHE may name a folder that others use too.
    const foreign = ["photos", "c".repeat(63), "C".repeat(64)];
    for (const name of foreign) await unusedFor(name, 400);
    const own = dirname(runtimeFolder(await start(stm, ["version"], { env }))).split("/").at(-1);
    const left = [...Deno.readDirSync(env.STM_CACHE ?? "")].map(({ name }) => name);
    assert.deepEqual(left.sort(), [own, young, ...foreign].sort());
  });
});

Deno.test("the single file asks to be started by its path where it is read by a shell", async () => {
  await withFolder(async (folder) => {
    const stm = await writeSingleFile(folder, TALKING_RUNTIME);
    const { code, err } = await start("/bin/sh", ["-c", 'sh -s version <"$0"', stm], {
      env: cached(folder),
    });
    assert.equal(code, 1);
    assert.match(err, /^stm: cannot read its own file .*; start it by its path\n$/);
  });
});

Deno.test("the single file starts from a relative path, a link, PATH, and sh", async () => {
  await withFolder(async (folder) => {
    const stm = await writeSingleFile(folder, TALKING_RUNTIME);
    const env = { ...cached(folder), PATH: `${folder}:${Deno.env.get("PATH") ?? ""}` };
    await Deno.symlink(stm, join(folder, "other name"));
    for (
      const line of ["./stm version", "./other\\ name version", "stm version", "sh stm version"]
    ) {
      const { code, err } = await start("/bin/sh", ["-c", line], { env, cwd: folder });
      assert.deepEqual([code, err], [7, ""], line);
    }
  });
});
