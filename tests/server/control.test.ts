import assert from "node:assert/strict";
import { join } from "node:path";
import {
  askRelay,
  CONTROL_FILE,
  CONTROL_SOCKET,
  type ControlKind,
  controlKind,
  openControl,
} from "../../src/server/shell_control.ts";
import { addUser, listUsers } from "../../src/server/shell_account_commands.ts";
import { addBan, rotateKey, showStatus } from "../../src/server/shell_commands.ts";
import { writeFileAtomic } from "../../src/store/atomic.ts";
import { KEY_FILE, loadOrCreateServerKey } from "../../src/transport/server_key.ts";
import { withFolder } from "../support/temporary_folder.ts";

const KINDS: readonly ControlKind[] = controlKind() === "socket" ? ["socket", "port"] : ["port"];

for (const kind of KINDS) {
  Deno.test(`by ${kind}: the relay is asked, answers, and is not there before and after`, async () => {
    await withFolder(async (folder) => {
      assert.equal(await askRelay(folder, "status", kind), null);
      const control = await openControl(folder, (ask) => Promise.resolve({ asked: ask }), kind);
      assert.ok(control !== null);
      const name = kind === "socket" ? CONTROL_SOCKET : CONTROL_FILE;
      if (Deno.build.os !== "windows") {
        assert.equal(((await Deno.stat(join(folder, name))).mode ?? 0) & 0o777, 0o600);
      }
      assert.deepEqual(await askRelay(folder, "status", kind), { asked: "status" });
      assert.deepEqual(await askRelay(folder, "reload", kind), { asked: "reload" });
      assert.equal(await openControl(folder, () => Promise.resolve({}), kind), null);
      assert.deepEqual(await askRelay(folder, "status", kind), { asked: "status" });
      await control.close();
      assert.equal(await askRelay(folder, "status", kind), null);
      await assert.rejects(Deno.stat(join(folder, name)), Deno.errors.NotFound);
    });
  });

  Deno.test(`by ${kind}: what a killed relay left is no relay, and the next takes its place`, async () => {
    await withFolder(async (folder) => {
      if (kind === "socket") {
        const path = join(folder, CONTROL_SOCKET);
        const left = Deno.listen({ transport: "unix", path });
        await Deno.link(path, `${path}.kept`);
        left.close();
        await Deno.rename(`${path}.kept`, path);
      } else {
        const nobody = Deno.listen({ hostname: "127.0.0.1", port: 0 });
        const { port } = nobody.addr;
        nobody.close();
        await Deno.writeTextFile(join(folder, CONTROL_FILE), JSON.stringify({ port, token: "x" }));
      }
      assert.equal(await askRelay(folder, "status", kind), null);
      const control = await openControl(folder, () => Promise.resolve({ ok: 1 }), kind);
      assert.ok(control !== null);
      assert.deepEqual(await askRelay(folder, "status", kind), { ok: 1 });
      await control.close();
    });
  });
}

Deno.test("a folder whose path is too long for a socket, or that is none, is no crash", async () => {
  await withFolder(async (folder) => {
    const long = join(folder, "x".repeat(120));
    const lines: string[] = [];
    const output = {
      out: (line: string) => lines.push(line),
      err: (line: string) => lines.push(line),
    };
    if (controlKind() === "socket") {
      assert.equal(
        await addBan({ certs: long, ui: "line" }, "192.0.2.1", Infinity, undefined, output),
        1,
      );
      assert.match(lines.join("\n"), /^banned 192.*\nit is kept.*socket's path.*shorter/s);
      assert.equal(await showStatus({ certs: long, ui: "line" }, output), 3);
      await assert.rejects(openControl(long, () => Promise.resolve({})), /shorter/);
    }
    const file = join(folder, "file");
    await Deno.writeTextFile(file, "");
    assert.equal(await askRelay(file, "status"), null);
  });
});

Deno.test({
  name: "root changes nothing where another user's relay could not read it, and lists all the same",
  ignore: Deno.build.os === "windows" || Deno.uid() !== 0,
  fn: () =>
    withFolder(async (certs) => {
      const lines: string[] = [];
      const keep = (line: string) => lines.push(line);
      const output = { out: keep, err: keep };
      const given = { certs, ui: "line" } as const;
      const all = async () => [
        await addBan(given, "192.0.2.1", Infinity, undefined, output),
        await addUser(given, "fox", 60_000, output),
        await rotateKey(given, output, { afterMs: 60_000, followMs: 60_000 }),
      ];
      await loadOrCreateServerKey(certs, writeFileAtomic);
      await Deno.chown(join(certs, KEY_FILE), 4242, 4242);
      const before = Array.from(Deno.readDirSync(certs), ({ name }) => name).sort();
      assert.deepEqual(await all(), [1, 1, 1]);
      assert.match(lines.join(), /belongs to user 4242.*sudo -u '#4242'/);
      assert.deepEqual(Array.from(Deno.readDirSync(certs), ({ name }) => name).sort(), before);
      assert.equal(await listUsers(given, output), 0);
      await Deno.chown(join(certs, KEY_FILE), 0, 0);
      assert.deepEqual(await all(), [0, 0, 0]);
    }),
});

Deno.test("by port: without the token nothing is answered, and nonsense ends nothing", async () => {
  await withFolder(async (folder) => {
    const asked: string[] = [];
    const control = await openControl(folder, (ask) => {
      asked.push(ask);
      return Promise.resolve({ ok: 1 });
    }, "port");
    assert.ok(control !== null);
    const path = join(folder, CONTROL_FILE);
    const known = await Deno.readTextFile(path);
    const { port } = JSON.parse(known);
    const say = async (text: string) => {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port });
      await connection.write(new TextEncoder().encode(text));
      await connection.closeWrite();
      return await new Response(connection.readable).text();
    };
    for (const text of ['{"ask":"status"}\n', '{"ask":5}\n', "[]\n"]) {
      assert.deepEqual(JSON.parse(await say(text)), { error: "there is no such request" });
    }
    for (const text of ["", "{", "x\n", "{}"]) await say(text);
    assert.deepEqual(asked, []);
    assert.deepEqual(await askRelay(folder, "status", "port"), { ok: 1 });
    await control.close();
  });
});
