/** Readers that go away, and disks that are full: of standard output and of the log. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { askRelay } from "../../src/server/shell_control.ts";
import { Stage } from "../support/stm_process.ts";

Deno.test("whoever stops reading, as head does, gets no stack for it", async () => {
  await using stage = await Stage.open();
  for (const args of [["--help"], ["completions", "bash"], ["doctor"], ["version"]]) {
    const run = stage.start(args, { stdin: "null", unread: true });
    await run.closeOutput();
    assert.deepEqual([await run.exit, run.stderr], [0, ""], args.join(" "));
  }
});

Deno.test(
  "a relay goes on without the reader of its first lines, and with a full disk under its log",
  {
    ignore: Deno.build.os !== "linux", // it has /dev/full
  },
  async () => {
    await using stage = await Stage.open();
    const certs = join(stage.folder, "certs");
    const given = [
      "server",
      "--host",
      "127.0.0.1",
      "--port",
      "0",
      "--certs",
      certs,
      "--ui",
      "json",
    ];
    const relay = stage.start([...given, "--log", "json"], { shell: ["", "2>/dev/full"] });
    const { port } = await relay.event("ready");
    await relay.closeOutput();
    const stranger = await Deno.connect({ hostname: "127.0.0.1", port });
    await stranger.write(new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n"));
    await stranger.read(new Uint8Array(64));
    stranger.close();
    const rotated = await stage.run(["server", "rotate-key", "--certs", certs]);
    assert.equal(await rotated.exit, 0, rotated.stderr);
    assert.equal((await askRelay(certs, "status"))?.pid, relay.pid);
    relay.signal("SIGTERM");
    assert.equal(await relay.exit, 0);
  },
);

Deno.test("what could not be written is said, with exit code 1", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  await using stage = await Stage.open();
  const run = await stage.run(["completions", "bash"], { shell: ["", ">/dev/full"] });
  assert.equal(await run.exit, 1);
  assert.match(run.stderr, /^stm: standard output cannot be written: No space left/);
});
