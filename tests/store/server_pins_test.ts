import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serverPins } from "../../src/store/server_pins.ts";
import { withFolder } from "../support/temporary_folder.ts";

const KEY = "ab".repeat(32);
const OTHER = "cd".repeat(32);
const NOON = new Date("2030-05-06T12:00:00.000Z");

Deno.test("a server is unknown until its key is remembered, and by every process after", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "stm", "known_servers.json");
    const pins = serverPins(path, () => NOON);
    assert.equal(await pins.pinFor("relay.example", 5000), undefined);
    assert.deepEqual(await pins.remember("relay.example", 5000, KEY), { kind: "remembered" });
    assert.deepEqual(await serverPins(path).pinFor("relay.example", 5000), {
      host: "relay.example",
      port: 5000,
      key: KEY,
      firstSeen: NOON.toISOString(),
    });
    assert.equal(await pins.pinFor("relay.example", 5001), undefined);
    assert.deepEqual(await pins.remember("relay.example", 5000, KEY), { kind: "known" });
  });
});

Deno.test("a remembered key is never replaced by another, only forgotten by name", async () => {
  await withFolder(async (folder) => {
    const pins = serverPins(join(folder, "known_servers.json"));
    await pins.remember("::1", 5000, KEY);
    const changed = await pins.remember("::1", 5000, OTHER);
    assert.equal(changed.kind === "changed" && changed.pin.key, KEY);
    assert.equal((await pins.pinFor("::1", 5000))?.key, KEY);
    assert.equal(await pins.forget("::1", 5000), true);
    assert.equal(await pins.forget("::1", 5000), false);
    assert.deepEqual(await pins.remember("::1", 5000, OTHER), { kind: "remembered" });
  });
});

Deno.test("a server is the same in either case and with or without brackets", async () => {
  await withFolder(async (folder) => {
    const pins = serverPins(join(folder, "known_servers.json"));
    await pins.remember("[FE80::1]", 5000, KEY.toUpperCase());
    assert.equal((await pins.pinFor("fe80::1", 5000))?.key, KEY);
    await pins.remember("Relay.Example", 5000, KEY);
    assert.equal((await pins.pinFor("relay.example", 5000))?.host, "relay.example");
  });
});

Deno.test("remember() refuses what is no server and key, and writes nothing", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "known_servers.json");
    const pins = serverPins(path);
    const bad: [string, number, string][] = [
      ["", 5000, KEY],
      ["h", 0, KEY],
      ["h", 65536, KEY],
      ["h", 1.5, KEY],
      ["h", 5000, KEY.slice(2)],
      ["h", 5000, "zz".repeat(32)],
    ];
    for (const [host, port, key] of bad) {
      await assert.rejects(pins.remember(host, port, key), RangeError);
    }
    await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
  });
});

Deno.test("processes that remember servers at the same time lose none", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "known_servers.json");
    const writer = fileURLToPath(new URL("../support/pin_writer.ts", import.meta.url));
    const hosts = ["a", "b", "c", "d"];
    const done = hosts.map((host) =>
      new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-lock", "--no-check", "--quiet", "-A", writer, path, host],
        stdout: "inherit",
        stderr: "inherit",
      }).output()
    );
    const pins = serverPins(path);
    await Promise.all(Array.from({ length: 10 }, (_, i) => pins.remember("self", i + 1, KEY)));
    for (const { success } of await Promise.all(done)) assert.ok(success);
    for (const host of [...hosts, "self"]) {
      for (let port = 1; port <= 10; port++) {
        assert.equal((await pins.pinFor(host, port))?.key, KEY, `${host}:${port}`);
      }
    }
  });
});

Deno.test("a damaged file of pins is named and left as it is, by remember() too", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "known_servers.json");
    const pins = serverPins(path);
    const pin = (key: string) => ({ host: "h", port: 1, key, firstSeen: NOON.toISOString() });
    const cases: [unknown, string][] = [
      [{ version: 1, servers: [pin(KEY), { ...pin(KEY), port: 0 }] }, "servers.1.port"],
      [{ version: 1, servers: [pin("AB")] }, "servers.0.key"],
      [{ version: 1, servers: [pin(KEY), pin(OTHER)] }, "servers"],
      [{ version: 1, servers: [{ ...pin(KEY), firstSeen: "yesterday" }] }, "servers.0.firstSeen"],
    ];
    for (const [content, field] of cases) {
      const text = JSON.stringify(content);
      await Deno.writeTextFile(path, text);
      const expected = { code: "damaged", path, field };
      await assert.rejects(pins.pinFor("h", 1), expected);
      await assert.rejects(pins.remember("other", 1, KEY), expected);
      await assert.rejects(pins.forget("h", 1), expected);
      assert.equal(await Deno.readTextFile(path), text);
    }
  });
});

Deno.test("fields that we do not know survive a change of the pins", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "known_servers.json");
    const pin = { host: "h", port: 1, key: KEY, firstSeen: NOON.toISOString(), label: "home" };
    await Deno.writeTextFile(path, JSON.stringify({ version: 1, servers: [pin], hint: [1] }));
    await serverPins(path, () => NOON).remember("i", 2, OTHER);
    assert.deepEqual(JSON.parse(await Deno.readTextFile(path)), {
      version: 1,
      servers: [pin, { host: "i", port: 2, key: OTHER, firstSeen: NOON.toISOString() }],
      hint: [1],
    });
  });
});
