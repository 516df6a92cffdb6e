/** What `stm server doctor` finds on a relay's machine. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Finding } from "../../src/doctor/finding.ts";
import { operatorFindings } from "../../src/doctor/operator_checks.ts";
import { Bans } from "../../src/server/bans.ts";
import { DEFAULT_OPERATION, type OperationOptions } from "../../src/server/operation.ts";
import type { ServerOptions } from "../../src/server/options.ts";
import { DEFAULT_RELAY_LIMITS, type RelayLimits } from "../../src/server/relay_limits.ts";
import { writeFileAtomic } from "../../src/store/atomic.ts";
import { openSetup } from "../../src/store/opaque_setup.ts";
import { parseRange } from "../../src/transport/address_range.ts";
import {
  KEY_CHANGES_FILE,
  NEXT_KEY_FILE,
  planKeyChange,
} from "../../src/transport/key_change_files.ts";
import { loadOrCreateServerKey } from "../../src/transport/server_key.ts";
import { Stage } from "../support/stm_process.ts";
import { withFolder } from "../support/temporary_folder.ts";

/** A small relay on loopback that does not run, as root or not. */
const LIMITS: RelayLimits = { ...DEFAULT_RELAY_LIMITS, maxConnections: 50 };

async function look(
  certs: string,
  more: Partial<ServerOptions> = {},
): Promise<readonly Finding[]> {
  const options: ServerOptions = {
    listen: [{ host: "127.0.0.1", port: 0 }],
    certs,
    public: "chat.example.org",
    ui: "line",
    limits: LIMITS,
    operation: DEFAULT_OPERATION,
    ...more,
  };
  const found: Finding[] = [];
  for await (const finding of operatorFindings(options, "0.1.0")) found.push(finding);
  return found;
}

/** The faults as `check verdict`; that the tests may run as root is none here. */
function faults(found: readonly Finding[]): string[] {
  for (const { verdict, remedy, text } of found) {
    assert.equal(verdict === "ok", remedy === undefined, text);
  }
  return found.filter(({ check, verdict }) => verdict !== "ok" && check !== "user")
    .map(({ check, verdict }) => `${check} ${verdict}`);
}

function encoded(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

async function withCerts(work: (certs: string) => Promise<void>): Promise<void> {
  await withFolder(async (dir) => {
    const certs = join(dir, "certs");
    await loadOrCreateServerKey(certs, writeFileAtomic);
    await work(certs);
  });
}

Deno.test("before the first start all is well, and nothing is made", async () => {
  await withFolder(async (dir) => {
    assert.deepEqual(faults(await look(join(dir, "certs"))), []);
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  });
});

Deno.test("a key folder that is well is well, bans counted, and is left as it was", async () => {
  await withCerts(async (certs) => {
    await new Bans(certs).add("203.0.113.0/24", Infinity);
    const before = [...Deno.readDirSync(certs)].map(({ name }) => name).sort();
    const found = await look(certs);
    assert.deepEqual(faults(found), []);
    assert.match(found.find(({ check }) => check === "bans")?.text ?? "", /: 1 in force/);
    assert.deepEqual([...Deno.readDirSync(certs)].map(({ name }) => name).sort(), before);
  });
});

Deno.test("a key that was announced and is not there, or is another, or can be read, is found in time", async () => {
  await withCerts(async (certs) => {
    const nowS = Math.floor(Date.now() / 1000);
    const times = { nowS, fromS: nowS + 86_400, untilS: nowS + 100_000 };
    assert.ok(typeof await planKeyChange(certs, writeFileAtomic, times) !== "string");
    const found = await look(certs);
    assert.deepEqual(faults(found), []);
    assert.match(
      found.find(({ check }) => check === "key-change")?.text ?? "",
      /relay\.next\.key\.pem takes the place of the key at \d{4}-/,
    );
    const path = join(certs, NEXT_KEY_FILE);
    if (Deno.build.os !== "windows") {
      await Deno.chmod(path, 0o644);
      assert.deepEqual(faults(await look(certs)), ["key-change fail"]);
    }
    await Deno.copyFile(join(certs, "relay.key.pem"), path);
    assert.deepEqual(faults(await look(certs)), ["key-change fail"]);
    await Deno.remove(path);
    const fault = (await look(certs)).find(({ verdict }) => verdict === "fail");
    assert.match(fault?.text ?? "", /is not the key that was announced for/);
    await Deno.writeTextFile(join(certs, KEY_CHANGES_FILE), "x");
    assert.deepEqual(faults(await look(certs)), ["key-change fail"]);
  });
});

Deno.test("the modes of key and folder are held to their owner alone", {
  ignore: Deno.build.os === "windows", // it has no permission bits
}, async () => {
  await withCerts(async (certs) => {
    for (
      const [name, mode, expected] of [
        ["relay.key.pem", 0o640, "key fail"],
        ["relay.key.pem", 0o602, "key fail"],
        ["", 0o750, "certs warn"],
        ["", 0o777, "certs fail"],
      ] as const
    ) {
      const path = join(certs, name);
      const { mode: before } = await Deno.stat(path);
      await Deno.chmod(path, mode);
      assert.deepEqual(faults(await look(certs)), [expected], `${name} ${mode}`);
      await Deno.chmod(path, before ?? 0);
    }
  });
});

Deno.test("another key's certificate, a key that is none, and a key that is gone are found", async () => {
  await withCerts(async (certs) => {
    const key = join(certs, "relay.key.pem");
    const certificate = join(certs, "relay.cert.pem");
    await withCerts(async (other) => {
      const mine = await Deno.readTextFile(certificate);
      await Deno.copyFile(join(other, "relay.cert.pem"), certificate);
      assert.deepEqual(faults(await look(certs)), ["certificate fail"]);
      await Deno.writeTextFile(certificate, mine);
    });
    await Deno.writeTextFile(key, "-----BEGIN PRIVATE KEY-----\n");
    assert.deepEqual(faults(await look(certs)), ["key fail"]);
    await Deno.remove(key);
    assert.deepEqual(faults(await look(certs)), ["key fail"]);
  });
});

Deno.test("bans that are damaged are found by their field", async () => {
  await withCerts(async (certs) => {
    const bans = '{"version": 1, "bans": [{"who": "everybody"}]}';
    await Deno.writeTextFile(join(certs, "bans.json"), bans, { mode: 0o600 });
    const found = await look(certs);
    assert.deepEqual(faults(found), ["bans fail"]);
    assert.match(found.find(({ check }) => check === "bans")?.text ?? "", /bans\.0/);
  });
});

Deno.test("accounts and the login's secret are looked at together", async () => {
  await withCerts(async (certs) => {
    const [users, setup] = ["users.json", "opaque-setup.json"].map((name) => join(certs, name));
    assert.ok(users !== undefined && setup !== undefined);
    const { id } = await openSetup(setup, undefined, () => Promise.resolve(new Uint8Array(128)));
    const account = { name: "fox", since: "2026-05-01T10:00:01.250Z" };
    const write = (text: unknown) => writeFileAtomic(users, encoded(JSON.stringify(text)), 0o600);
    await write({ version: 1, setup: id, users: [account], codes: [] });
    const found = await look(certs);
    assert.deepEqual(faults(found), []);
    const texts = found.filter(({ check }) => check === "accounts").map(({ text }) => text);
    assert.match(texts.join(), /of 1 people.*the login's secret, of these accounts/);

    const accessFor = async (access: OperationOptions["access"]) =>
      faults(await look(certs, { operation: { ...DEFAULT_OPERATION, access } }));
    assert.deepEqual(await accessFor("account"), []);
    await write({ version: 1, setup: id, users: [], codes: [] });
    assert.deepEqual(await accessFor("account"), ["accounts warn"], "nobody can log in");
    assert.deepEqual(await accessFor("open"), []);

    await write({ version: 1, setup: id, users: [{ ...account, name: 7 }], codes: [] });
    const damaged = await look(certs);
    assert.match(damaged.find(({ verdict }) => verdict === "fail")?.text ?? "", /users\.0\.name/);
    await write({ version: 1, setup: "ab".repeat(8), users: [account], codes: [] });
    assert.deepEqual(faults(await look(certs)), ["accounts fail"], "another setup");
    await write({ version: 1, setup: id, users: [account], codes: [] });
    if (Deno.build.os !== "windows") {
      await Deno.chmod(users, 0o640);
      assert.deepEqual(faults(await look(certs)), ["accounts fail"], "others may read");
      await Deno.chmod(users, 0o600);
    }
    await Deno.remove(setup);
    assert.deepEqual(faults(await look(certs)), ["accounts fail"], "no setup");
    assert.ok(![...Deno.readDirSync(certs)].some(({ name }) => name === "opaque-setup.json"));
  });
});

Deno.test("a port that another program holds, and an address that is not ours, are found", async () => {
  await withCerts(async (certs) => {
    const other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = other.addr;
    const of = async (...hosts: string[]) =>
      faults(await look(certs, { listen: hosts.map((host) => ({ host, port })) }));
    assert.deepEqual(await of("127.0.0.1"), ["port fail"]);
    other.close();
    assert.deepEqual(await of("127.0.0.1"), []);
    assert.deepEqual(await of("127.0.0.1", "192.0.2.77"), ["port fail"]);
    assert.deepEqual(await of("0.0.0.0", "::"), [], "with IPv6 or without");
  });
});

Deno.test("what the server link says must be dialled by others", async () => {
  await withCerts(async (certs) => {
    const of = async (text: string | null) => faults(await look(certs, { public: text }));
    assert.deepEqual(await of("chat.example.org:443"), []);
    assert.deepEqual(await of("203.0.113.7"), []);
    assert.deepEqual(await of("192.168.1.5"), ["public warn"]);
    assert.deepEqual(await of("[fd00::5]:5000"), ["public warn"]);
    assert.deepEqual(await of(null), ["public warn"], "it listens on loopback alone");
    assert.deepEqual(await of("two words"), ["public fail"]);
  });
});

Deno.test("metrics for everybody, limits that are off and exemptions of strangers are found", async () => {
  await withCerts(async (certs) => {
    const operation = (more: Partial<OperationOptions>) =>
      look(certs, { operation: { ...DEFAULT_OPERATION, ...more } });
    const range = (text: string) => [parseRange(text) ?? assert.fail(text)];
    for (const host of ["127.0.0.1", "::1", "localhost", "10.1.2.3"]) {
      assert.deepEqual(faults(await operation({ metrics: { host, port: 9100 } })), [], host);
    }
    for (const host of ["0.0.0.0", "::", "203.0.113.7", "chat.example.org"]) {
      const found = await operation({ metrics: { host, port: 9100 } });
      assert.deepEqual(faults(found), ["metrics warn"], host);
    }
    assert.deepEqual(faults(await operation({ exempt: range("0.0.0.0/0") })), ["limits warn"]);
    assert.deepEqual(faults(await operation({ exempt: range("198.51.100.0/24") })), []);
    assert.deepEqual(faults(await operation({ balancers: range("::/1") })), ["limits warn"]);
    assert.deepEqual(faults(await operation({ balancers: range("10.0.0.10") })), []);
    const limits = { ...LIMITS, sourceJoins: 0 };
    assert.deepEqual(faults(await look(certs, { limits })), ["limits warn"]);
  });
});

Deno.test("more connections than the memory holds are found, with a number that fits", async () => {
  await withCerts(async (certs) => {
    const limits = { ...LIMITS, maxConnections: 1_000_000_000 };
    const memory = (await look(certs, { limits })).find(({ check }) => check === "memory");
    assert.equal(memory?.verdict, "warn");
    const fitting = Number(/--max-connections (\d+)/.exec(memory?.remedy ?? "")?.[1]);
    const again = await look(certs, { limits: { ...LIMITS, maxConnections: fitting } });
    assert.equal(again.find(({ check }) => check === "memory")?.verdict, "ok");
    const greedy = await look(certs, { limits: { ...LIMITS, maxHeldBytes: 2 ** 40 } });
    const held = greedy.find(({ check }) => check === "memory");
    assert.match(held?.remedy ?? "", /^give a smaller --max-held-bytes, or/);
  });
});

Deno.test("more connections than there may be open files are found, with a number that fits", {
  ignore: Deno.build.os === "windows", // it has no such limit
}, async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  await relay.process.kill();
  const limited = async (connections: string): Promise<string> => {
    const { args, env } = stage.command(["server", "doctor", "--max-connections", connections]);
    const { stdout } = await new Deno.Command("sh", {
      args: ["-c", 'ulimit -n 300 && exec "$@"', "sh", Deno.execPath(), ...args],
      env,
      cwd: stage.folder,
    }).output();
    return new TextDecoder().decode(stdout);
  };
  const out = await limited("1000");
  const [, fitting = ""] = /^fail +descriptors .*\n.*--max-connections (\d+)/m.exec(out) ?? [];
  assert.match(fitting, /^1\d\d$|^2\d\d$/, out);
  assert.match(await limited(fitting), /^ok +descriptors /m);
});

Deno.test("stm server doctor asks the relay that runs, dials it, and says when it has other options", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const port = ["--port", String(relay.port)];
  const host = ["--host", "127.0.0.1"];
  const here = ["--public", "127.0.0.1"];
  const well = await stage.run(["server", "doctor", ...host, ...port, ...here]);
  assert.equal(await well.exit, 0, well.stdout);
  for (const check of ["running", "port", "public", "descriptors"]) {
    assert.match(well.stdout, new RegExp(`^ok +${check} `, "m"));
  }
  const env = { STM_PORT: String(relay.port), STM_MAX_CONNECTIONS: "77" };
  const other = await stage.run(["server", "doctor", ...here], { env });
  assert.match(other.stdout, /^warn +port .*not on 0\.0\.0\.0/m);
  assert.match(other.stdout, /^ok +limits +77 connections/m);

  const elsewhere = await stage.relay(["--certs", join(stage.folder, "elsewhere")]);
  const wrong = ["--public", `127.0.0.1:${elsewhere.port}`];
  const found = await stage.run(["server", "doctor", ...host, ...port, ...wrong]);
  assert.equal(await found.exit, 4, found.stdout);
  assert.match(found.stdout, /^fail +public /m);
  const usage = await stage.run(["server", "doctor", "--port", "many"]);
  assert.equal(await usage.exit, 2);
});
