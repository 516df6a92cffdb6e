import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { passphraseSealer } from "../../src/crypto/sealer.ts";
import { parseJson } from "../../src/store/json_file.ts";
import { plainSealer } from "../../src/store/plain_sealer.ts";
import { type Profile, PROFILE_FORMAT } from "../../src/store/profile.ts";
import { createProfile, openProfile, profileSealing } from "../../src/store/profile_store.ts";
import type { Sealer } from "../../src/store/sealer.ts";
import { sampleProfile } from "../support/sample_profile.ts";
import { withFolder } from "../support/temporary_folder.ts";

/** Calls `use` with the path of a fresh, unsealed profile. */
async function withProfile(use: (path: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const path = join(folder, "profiles", "owl.stm");
    const store = await createProfile({ path, sealer: plainSealer, profile: sampleProfile() });
    await store.close();
    await use(path);
  });
}

/** What an unsealed file holds at this moment. */
function onDisk(path: string): Profile {
  const file = Deno.readFileSync(path);
  return parseJson(path, file.subarray(file.indexOf(0x0a) + 1), PROFILE_FORMAT);
}

const generation = (to: number) => (profile: Profile): Profile => ({ ...profile, generation: to });

Deno.test("a sealed profile is read back with its passphrase alone, and its file shows nothing", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "owl.stm");
    const profile = sampleProfile();
    await using made = await createProfile({ path, sealer: passphraseSealer("hoot"), profile });
    await made.update(generation(8));
    await made.close();
    assert.equal(await profileSealing(path), "sealed");
    const file = await Deno.readFile(path);
    const text = new TextDecoder("latin1").decode(file);
    for (const secret of [profile.identitySeed, "book club", "203.0.113.7", "rooms"]) {
      assert.equal(text.includes(secret), false, secret);
    }
    const refusals: [Sealer, string][] = [
      [passphraseSealer("hoots"), "wrong-passphrase-or-damaged"],
      [plainSealer, "sealed"],
    ];
    for (const [sealer, code] of refusals) {
      await assert.rejects(openProfile({ path, sealer }), { name: "StoreError", code, path });
      assert.deepEqual(await Deno.readFile(path), file);
    }
    await using again = await openProfile({ path, sealer: passphraseSealer("hoot") });
    assert.deepEqual(again.profile, generation(8)(profile));
  });
});

Deno.test("an unsealed profile says so in its first line, and no passphrase opens it", async () => {
  await withProfile(async (path) => {
    assert.match(await Deno.readTextFile(path), /^stm profile 1 NOT SEALED: .*\n\{/);
    assert.equal(await profileSealing(path), "plain");
    await assert.rejects(openProfile({ path, sealer: passphraseSealer("hoot") }), {
      code: "not-sealed",
      path,
    });
    await using store = await openProfile({ path, sealer: plainSealer });
    assert.deepEqual(store.profile, sampleProfile());
  });
});

Deno.test("update() resolves when its change is on the disk, and not before", async () => {
  await withProfile(async (path) => {
    await using store = await openProfile({ path, sealer: plainSealer });
    const seen = Array.from({ length: 20 }, (_, i) => i + 10).map(async (to) => {
      await store.update(generation(to));
      assert.ok(onDisk(path).generation >= to);
      assert.ok(store.profile.generation >= to);
    });
    assert.equal(store.profile.generation, 7);
    await Promise.all(seen);
    assert.equal(onDisk(path).generation, 29);
  });
});

Deno.test("saves are made one at a time, those that wait share one, and the last wins", async () => {
  let seals = 0;
  let sealing = 0;
  const counting: Sealer = {
    open: (file) => plainSealer.open(file),
    async seal(plaintext) {
      seals++;
      assert.equal(++sealing, 1, "two saves at once");
      const file = await plainSealer.seal(plaintext);
      sealing--;
      return file;
    },
  };
  await withProfile(async (path) => {
    await using store = await openProfile({ path, sealer: counting });
    const first = store.save(generation(10)(store.profile));
    await Promise.resolve();
    await Promise.resolve();
    const rest = Array.from(
      { length: 100 },
      (_, i) => store.save(generation(11 + i)(store.profile)),
    );
    await Promise.all([first, ...rest]);
    assert.equal(onDisk(path).generation, 110);
    assert.ok(seals <= 2, `${seals} saves`);
  });
});

Deno.test("each change is made on the result of the one before, so none is lost", async () => {
  await withProfile(async (path) => {
    await using store = await openProfile({ path, sealer: plainSealer });
    await Promise.all(
      Array.from(
        { length: 50 },
        () => store.update((profile) => ({ ...profile, generation: profile.generation + 1 })),
      ),
    );
    assert.equal(onDisk(path).generation, 57);
  });
});

Deno.test("a change that cannot be saved is told, is not made, and harms no later one", async () => {
  await withProfile(async (path) => {
    await using store = await openProfile({ path, sealer: plainSealer });
    // A folder in the file's place cannot be replaced by a file.
    await Deno.rename(path, `${path}.aside`);
    await Deno.mkdir(join(path, "inside"), { recursive: true });
    const failed = { name: "StoreError", code: "unwritable", path };
    await assert.rejects(store.update(generation(99)), failed);
    assert.equal(store.profile.generation, 7);
    await Deno.remove(path, { recursive: true });
    await Deno.rename(`${path}.aside`, path);
    await store.update((profile) => ({ ...profile, name: "barn owl" }));
    assert.deepEqual(onDisk(path), { ...sampleProfile(), name: "barn owl" });
  });
});

Deno.test("a change that throws, breaks the profile or takes a number back is dropped alone", async () => {
  await withProfile(async (path) => {
    await using store = await openProfile({ path, sealer: plainSealer });
    const failing = store.update(() => {
      throw new Error("no such room");
    });
    const broken = store.update((profile) => ({ ...profile, identitySeed: "short" }));
    const back = store.update(generation(6));
    const rolledBack = store.update((profile) => ({
      ...profile,
      rooms: profile.rooms.map((room) => ({ ...room, highestEpoch: 3 })),
    }));
    const good = store.update(generation(8));
    await assert.rejects(failing, { message: "no such room" });
    await assert.rejects(broken, { name: "TypeError", message: "not a profile: identitySeed" });
    await assert.rejects(back, { message: /generation would fall/ });
    await assert.rejects(rolledBack, { message: /rooms\.0\.highestEpoch would fall/ });
    await good;
    assert.deepEqual(onDisk(path), generation(8)(sampleProfile()));
  });
});

Deno.test("a profile that is open is in use for everybody else, until it is closed", async () => {
  await withProfile(async (path) => {
    const address = { path, sealer: plainSealer };
    const inUse = { name: "StoreError", code: "in-use", path, message: /this profile is in use/ };
    const store = await openProfile(address);
    await assert.rejects(openProfile(address), inUse);
    await assert.rejects(createProfile({ ...address, profile: sampleProfile() }), inUse);
    await store.close();
    await store.close();
    await assert.rejects(store.update(generation(9)), { code: "closed" });
    await (await openProfile(address)).close();
  });
});

Deno.test("a profile that another process has open is in use until that process dies", async () => {
  await withProfile(async (path) => {
    const holder = fileURLToPath(new URL("../support/profile_holder.ts", import.meta.url));
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-lock", "--no-check", "--quiet", "-A", holder, path],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    let held = 0;
    for await (const bytes of child.stdout) {
      held += bytes.length;
      if (held < 4) continue;
      await assert.rejects(openProfile({ path, sealer: plainSealer }), { code: "in-use" });
      child.kill("SIGKILL");
    }
    assert.equal(held, 4);
    await child.stdin.close().catch(() => undefined);
    await child.status;
    await using store = await openProfile({ path, sealer: plainSealer });
    assert.deepEqual(store.profile, sampleProfile());
  });
});

Deno.test("close() waits for what was asked before it", async () => {
  await withProfile(async (path) => {
    const store = await openProfile({ path, sealer: plainSealer });
    const saved = store.update(generation(9));
    await store.close();
    assert.equal(onDisk(path).generation, 9);
    await saved;
  });
});

Deno.test("a missing profile is told without leaving anything behind, an existing one never replaced", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "profiles", "wol.stm");
    await assert.rejects(openProfile({ path, sealer: plainSealer }), { code: "missing", path });
    assert.deepEqual([...Deno.readDirSync(folder)], []);
    assert.equal(await profileSealing(path), undefined);
  });
  await withProfile(async (path) => {
    const before = await Deno.readFile(path);
    const profile = { ...sampleProfile(), name: "thief" };
    await assert.rejects(createProfile({ path, sealer: plainSealer, profile }), { code: "exists" });
    assert.deepEqual(await Deno.readFile(path), before);
  });
});

Deno.test("a damaged profile is named with its field, left as it is and not kept locked", async () => {
  await withProfile(async (path) => {
    const whole = await Deno.readTextFile(path);
    const cases: [string, string, string | undefined][] = [
      [
        whole.replace(`"highestEpoch": 4`, `"highestEpoch": "4"`),
        "damaged",
        "rooms.0.highestEpoch",
      ],
      [whole.replace(`"version": 1`, `"version": 2`), "newer-version", "version"],
      [whole.replace("stm profile 1", "stm profile 2"), "newer-version", undefined],
      [whole.slice(0, 500), "damaged", undefined],
      ["", "damaged", undefined],
    ];
    for (const [text, code, field] of cases) {
      await Deno.writeTextFile(path, text);
      const expected = field === undefined ? { code, path } : { code, path, field };
      await assert.rejects(openProfile({ path, sealer: plainSealer }), expected);
      assert.equal(await Deno.readTextFile(path), text);
    }
    await Deno.writeTextFile(path, whole);
    await (await openProfile({ path, sealer: plainSealer })).close();
  });
});
