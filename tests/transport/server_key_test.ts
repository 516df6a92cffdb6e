import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { toPem } from "../../src/transport/certificate.ts";
import { dial } from "../../src/transport/dial.ts";
import {
  CERTIFICATE_FILE,
  KEY_FILE,
  loadOrCreateServerKey,
  type WriteFile,
} from "../../src/transport/server_key.ts";
import { issue } from "../support/evil_ca.ts";
import { makeRelayKey } from "../support/relay_key.ts";
import { TestRelay } from "../support/test_relay.ts";

/** A folder that ends with the test, and a writer that notes what it was asked. */
class KeyFolder implements AsyncDisposable {
  readonly writes: { path: string; mode: number }[] = [];
  readonly keyPath: string;
  readonly certPath: string;

  private constructor(readonly root: string, readonly dir: string) {
    this.keyPath = join(dir, KEY_FILE);
    this.certPath = join(dir, CERTIFICATE_FILE);
  }

  static async make(): Promise<KeyFolder> {
    const root = await Deno.makeTempDir();
    return new KeyFolder(root, join(root, "deep", "certs"));
  }

  readonly write: WriteFile = async (path, bytes, mode) => {
    this.writes.push({ path, mode });
    await Deno.writeFile(path, bytes, { mode });
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.root, { recursive: true });
  }
}

Deno.test("the first start makes a key and a certificate, the second finds them", async () => {
  await using folder = await KeyFolder.make();
  const first = await loadOrCreateServerKey(folder.dir, folder.write);
  assert.deepEqual(folder.writes, [
    { path: folder.keyPath, mode: 0o600 },
    { path: folder.certPath, mode: 0o644 },
  ]);
  assert.equal(await Deno.readTextFile(folder.keyPath), first.keyPem);
  assert.equal(await Deno.readTextFile(folder.certPath), first.certPem);
  const second = await loadOrCreateServerKey(folder.dir, folder.write);
  assert.deepEqual(second, first);
  assert.equal(folder.writes.length, 2);
});

Deno.test("a made key serves, and is the pin that dial() accepts", async () => {
  await using folder = await KeyFolder.make();
  const { publicKey, keyPem, certPem } = await loadOrCreateServerKey(folder.dir, folder.write);
  await using relay = await TestRelay.start({ keyPem, certPem });
  (await dial({ ...relay.address, pin: publicKey })).destroy();
});

Deno.test("a certificate that is gone, expired or of another form is made again", async () => {
  await using folder = await KeyFolder.make();
  const { privateKey, keyPem, certPem, pin } = makeRelayKey();
  await Deno.mkdir(folder.dir, { recursive: true });
  await Deno.writeTextFile(folder.keyPath, keyPem);
  const own = { subjectKey: privateKey, issuerKey: privateKey };
  const changed = await issue(own);
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
  const others = [
    null,
    await issue({ ...own, notAfter: new Date("2020-01-01T00:00:00Z") }),
    await issue({ ...own, subject: "CN=somebody" }),
    changed,
  ];
  for (const other of others) {
    if (other === null) await Deno.remove(folder.certPath).catch(() => {});
    else await Deno.writeTextFile(folder.certPath, toPem("CERTIFICATE", other));
    const key = await loadOrCreateServerKey(folder.dir, folder.write);
    assert.deepEqual(key.publicKey, pin);
    assert.equal(key.certPem, certPem);
    assert.equal(await Deno.readTextFile(folder.certPath), certPem);
    assert.equal(await Deno.readTextFile(folder.keyPath), keyPem);
  }
  assert.ok(folder.writes.every(({ path }) => path === folder.certPath));
});

Deno.test("a damaged file is named and left as it was", async () => {
  const { keyPem, certPem } = makeRelayKey();
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  const rsaPem = toPem("PRIVATE KEY", rsa.export({ format: "der", type: "pkcs8" }));
  const cases: { key: string; cert: string; broken: "keyPath" | "certPath" }[] = [
    { key: "", cert: certPem, broken: "keyPath" },
    { key: keyPem.slice(0, 60), cert: certPem, broken: "keyPath" },
    { key: rsaPem, cert: certPem, broken: "keyPath" },
    { key: keyPem, cert: "", broken: "certPath" },
    { key: keyPem, cert: certPem.slice(0, 100), broken: "certPath" },
    { key: keyPem, cert: makeRelayKey().certPem, broken: "certPath" },
  ];
  for (const { key, cert, broken } of cases) {
    await using folder = await KeyFolder.make();
    await Deno.mkdir(folder.dir, { recursive: true });
    await Deno.writeTextFile(folder.keyPath, key);
    await Deno.writeTextFile(folder.certPath, cert);
    await assert.rejects(loadOrCreateServerKey(folder.dir, folder.write), {
      name: "ServerKeyError",
      code: "damaged",
      path: folder[broken],
    });
    assert.equal(await Deno.readTextFile(folder.keyPath), key);
    assert.equal(await Deno.readTextFile(folder.certPath), cert);
    assert.deepEqual(folder.writes, []);
  }
});

Deno.test("a certificate without its key is not taken for a first start", async () => {
  await using folder = await KeyFolder.make();
  await loadOrCreateServerKey(folder.dir, folder.write);
  await Deno.remove(folder.keyPath);
  await assert.rejects(loadOrCreateServerKey(folder.dir, folder.write), { code: "key-missing" });
  assert.equal(folder.writes.length, 2);
});

Deno.test("what cannot be read or written is named", async () => {
  await using folder = await KeyFolder.make();
  const fail: WriteFile = () => Promise.reject(new Error("no space left"));
  await assert.rejects(loadOrCreateServerKey(folder.dir, fail), {
    code: "unwritable",
    path: folder.keyPath,
    message: `cannot write ${folder.keyPath}: no space left`,
  });
  await Deno.mkdir(folder.keyPath, { recursive: true }); // a folder where the file should be
  await assert.rejects(loadOrCreateServerKey(folder.dir, folder.write), {
    code: "unreadable",
    path: folder.keyPath,
  });
});
