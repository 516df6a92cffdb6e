import assert from "node:assert/strict";
import { join } from "node:path";
import { writeFileAtomic } from "../../src/store/atomic.ts";
import {
  carryOutKeyChange,
  KEY_CHANGES_FILE,
  NEXT_KEY_FILE,
  planKeyChange,
  readKeyChanges,
} from "../../src/transport/key_change_files.ts";
import { KEY_FILE, loadOrCreateServerKey } from "../../src/transport/server_key.ts";
import { verifySignature } from "../../src/server/verify.ts";
import { toHex } from "../../src/wire/ids.ts";
import { withFolder } from "../support/temporary_folder.ts";

const NOW = 1_800_000_000;
const TIMES = { nowS: NOW, fromS: NOW + 100, untilS: NOW + 1000 };

async function withKey(work: (dir: string, key: Uint8Array) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const dir = join(folder, "certs");
    await work(dir, (await loadOrCreateServerKey(dir, writeFileAtomic)).publicKey);
  });
}

async function keyIn(dir: string): Promise<string> {
  return toHex((await loadOrCreateServerKey(dir, writeFileAtomic)).publicKey);
}

Deno.test("a planned change comes at its time and not before, with the key that was promised", async () => {
  await withKey(async (dir, key) => {
    assert.deepEqual(await readKeyChanges(dir, key, NOW), { statements: [], pending: null });
    const change = await planKeyChange(dir, writeFileAtomic, TIMES);
    assert.ok(typeof change !== "string");
    const { statements, pending } = await readKeyChanges(dir, key, NOW);
    assert.deepEqual(pending, change);
    const [{ body, signature, value }] = statements as [typeof statements[0]];
    assert.deepEqual(value, change);
    assert.ok(verifySignature(key, "key-change", body, signature));
    if (Deno.build.os !== "windows") {
      assert.equal(((await Deno.stat(join(dir, NEXT_KEY_FILE))).mode ?? 0) & 0o777, 0o600);
    }

    assert.equal(await carryOutKeyChange(dir, NOW + 99), false);
    assert.equal(await keyIn(dir), toHex(key));
    assert.equal(await planKeyChange(dir, writeFileAtomic, TIMES), "pending");
    assert.equal(await carryOutKeyChange(dir, NOW + 100), true);
    assert.equal(await keyIn(dir), toHex(change.next));
    assert.equal(await carryOutKeyChange(dir, NOW + 100), false);
    const after = await readKeyChanges(dir, change.next, NOW + 100);
    assert.deepEqual([after.statements.length, after.pending], [1, null]);
    assert.deepEqual((await readKeyChanges(dir, change.next, NOW + 1001)).statements, []);
    await assert.rejects(Deno.stat(join(dir, NEXT_KEY_FILE)), Deno.errors.NotFound);
  });
});

Deno.test("a relay that is killed between any two steps of a change starts with one key or the other", async () => {
  await withKey(async (dir, key) => {
    // After step 1: a key to come that nobody was told of is made anew.
    await Deno.writeTextFile(join(dir, NEXT_KEY_FILE), "half of it");
    assert.equal(await carryOutKeyChange(dir, NOW), false);
    assert.equal(await keyIn(dir), toHex(key));
    const change = await planKeyChange(dir, writeFileAtomic, TIMES);
    assert.ok(typeof change !== "string");
    // After step 3: the certificate is gone, the key is still the old one.
    await Deno.remove(join(dir, "relay.cert.pem"));
    assert.equal(await keyIn(dir), toHex(key), "and its certificate is there again");
    assert.equal(await carryOutKeyChange(dir, NOW + 100), true);
    // After step 4: the new key is there without a certificate.
    assert.equal(await keyIn(dir), toHex(change.next));
  });
});

Deno.test("a key to come that is gone or another, and statements that are damaged or foreign, stop it by name", async () => {
  await withKey(async (dir, key) => {
    assert.ok(typeof await planKeyChange(dir, writeFileAtomic, TIMES) !== "string");
    const next = join(dir, NEXT_KEY_FILE);
    const path = join(dir, KEY_CHANGES_FILE);
    const mine = await Deno.readTextFile(join(dir, KEY_FILE));
    await Deno.writeTextFile(next, mine);
    await assert.rejects(carryOutKeyChange(dir, NOW + 100), { code: "damaged", path: next });
    await Deno.remove(next);
    await assert.rejects(carryOutKeyChange(dir, NOW + 100), { code: "key-missing", path: next });
    const other = new Uint8Array(32).fill(7);
    await assert.rejects(readKeyChanges(dir, other, NOW), { code: "damaged", path });
    const bytes = await Deno.readFile(path);
    await Deno.writeFile(path, bytes.subarray(0, -1));
    await assert.rejects(readKeyChanges(dir, key, NOW), { code: "damaged", path });
    assert.equal(await Deno.readTextFile(join(dir, KEY_FILE)), mine);
  });
});

Deno.test("there is no plan without a key, and none for a ninth change that can be followed", async () => {
  await withFolder(async (dir) => {
    assert.equal(await planKeyChange(dir, writeFileAtomic, TIMES), "no-key");
    await loadOrCreateServerKey(dir, writeFileAtomic);
    const at = { nowS: NOW, fromS: NOW, untilS: NOW + 1000 };
    for (let i = 0; i < 8; i++) {
      assert.ok(typeof await planKeyChange(dir, writeFileAtomic, at) !== "string");
      assert.equal(await carryOutKeyChange(dir, NOW), true);
      await loadOrCreateServerKey(dir, writeFileAtomic);
    }
    assert.equal(await planKeyChange(dir, writeFileAtomic, at), "too-many");
    const later = { nowS: NOW + 1001, fromS: NOW + 1001, untilS: NOW + 2000 };
    assert.ok(typeof await planKeyChange(dir, writeFileAtomic, later) !== "string");
  });
});
