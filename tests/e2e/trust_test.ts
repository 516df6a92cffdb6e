/** Issue 2, "done when" 2: a relay without a link, without and with a terminal. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Stage, type StmProcess } from "../support/stm_process.ts";
import { Pty } from "../support/pty.ts";
import { agree, Talk } from "../support/talk.ts";

const at = (port: number) => ["--host", "127.0.0.1", "--port", String(port)];
const JSON_UI = ["--ui", "json"];

/** Whether anything was written in a folder, or it was made at all. */
async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** Admits whoever asks, by name. */
async function admits(owl: StmProcess, name: string): Promise<void> {
  const asks = await owl.event("join-request", (e) => e.name === name);
  assert.match(asks.fingerprint, /^([0-9a-f]{4} ?){8}$/);
  assert.equal((await owl.command(`/admit ${name}`)).type, "ok");
}

Deno.test("without a terminal, --pin with fingerprint or key and --accept-new let three talk in an open room; without them it is 4", async () => {
  await using stage = await Stage.open();
  const { port, pin, fingerprint } = await stage.relay();

  for (const role of ["admin", "client"]) {
    const unknown = stage.start([role, ...at(port), ...JSON_UI]);
    assert.equal(await unknown.exit, 4);
    const [error] = unknown.every("error");
    assert.ok(error !== undefined && error.message.includes(fingerprint));
    assert.match(error.message, /--pin.*--accept-new/);
    assert.equal(unknown.every("bye")[0]?.exitCode, 4);
  }

  const owl = stage.start(
    ["admin", ...at(port), "--name", "owl", "--accept-new", "--retry", "0", ...JSON_UI],
    { machine: "owls" },
  );
  const fox = stage.start(
    ["client", ...at(port), "--name", "fox", "--pin", fingerprint, ...JSON_UI],
    { machine: "foxes" },
  );
  const bat = stage.start(["client", ...at(port), "--name", "bat", "--pin", pin, ...JSON_UI]);
  await owl.event("joined");
  await Promise.all([admits(owl, "fox"), admits(owl, "bat")]);
  const people = [owl, fox, bat];
  await agree(people);
  const talk = new Talk();
  for (const person of people) for (let i = 0; i < 3; i++) talk.say(person);
  for (const person of people) {
    await person.until(
      "the others' texts",
      () => person.every("message").length === 6 || undefined,
    );
  }
  assert.equal(fox.every("warning").filter((w) => w.code === "unverified-admin").length, 1);
  // What --pin gave is not remembered; what somebody said yes to is.
  assert.equal(await isThere(join(stage.home("foxes"), "known_servers.json")), false);
  const kept = await Deno.readTextFile(join(stage.home("owls"), "known_servers.json"));
  assert.ok(kept.includes(pin));
});

Deno.test("a relay that was believed once is known afterwards, with another key it is 4 and says what to do; --ephemeral writes nothing", async () => {
  await using stage = await Stage.open();
  const first = await stage.relay();
  const { port } = first;
  const machine = "m";

  const ephemeral = stage.start(
    ["admin", ...at(port), "--accept-new", "--retry", "0", "--ephemeral", ...JSON_UI],
    { machine: "e" },
  );
  await ephemeral.event("joined");
  ephemeral.endInput();
  assert.equal(await ephemeral.exit, 0);
  assert.equal(await isThere(stage.home("e")), false);

  for (const more of [["--accept-new", "--retry", "0"], []]) {
    const owl = stage.start(["admin", ...at(port), ...more, ...JSON_UI], { machine });
    await owl.event("joined");
    assert.equal((await owl.command("/quit")).type, "ok");
    assert.equal(await owl.exit, 0);
  }
  const again = stage.start(["admin", ...at(port), ...JSON_UI, "--ephemeral"], { machine });
  assert.equal(await again.exit, 4, "--ephemeral knows nothing either");

  first.process.signal("SIGTERM");
  assert.equal(await first.process.exit, 0);
  const other = await stage.relay(["--port", String(port), "--certs", join(stage.folder, "c2")]);
  assert.equal(other.port, port);
  const path = join(stage.home(machine), "known_servers.json");
  const before = await Deno.readTextFile(path);
  for (const more of [[], ["--accept-new", "--retry", "0"]]) {
    const fooled = stage.start(["client", ...at(port), ...more, ...JSON_UI], { machine });
    assert.equal(await fooled.exit, 4);
    const [error] = fooled.every("error");
    assert.equal(error?.code, "wrong-key");
    assert.match(error.message, /nothing was sent/);
    assert.ok(error.message.includes(path), error.message);
  }
  assert.equal(await Deno.readTextFile(path), before);

  for (const wrong of [first.fingerprint, first.pin]) {
    const pinned = stage.start(["client", ...at(port), "--pin", wrong, ...JSON_UI]);
    assert.equal(await pinned.exit, 4);
    assert.match(pinned.every("error")[0]?.message ?? "", /nothing was sent/);
  }
  const linked = stage.start(["admin", first.link, ...JSON_UI]);
  assert.equal(await linked.exit, 4);
});

Deno.test({
  name:
    "on terminals, with nothing but answers to questions, an admin and a client talk in an open room",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await using stage = await Stage.open();
    const { port, fingerprint } = await stage.relay();
    const open = (role: string) => {
      const { args, env } = stage.command([role, ...at(port)], role);
      return new Pty(Deno.execPath(), args, { columns: 110, rows: 30, env });
    };
    const has = (text: string) => (rows: string[]) => rows.join("\n").includes(text);
    const answers = async (pty: Pty, name: string) => {
      await pty.shows(has("Your name in the room"));
      // ^U takes the suggestion away.
      pty.write(`\x15${name}\r`);
      await pty.shows((rows) => has(fingerprint)(rows) && has("[yes/no]")(rows));
      pty.write("yes\r");
    };
    const owl = open("admin");
    const fox = open("client");
    try {
      await answers(owl, "owl");
      await owl.shows((rows) => rows.some((row) => row.includes("main")));
      await answers(fox, "fox");
      await owl.shows(has("/admit"));
      owl.write("/admit fox\r");
      await owl.shows(has("fox"));
      await fox.shows((rows) => /2 (members|people)/.test(rows.join("\n")));
      fox.write("hello from the fox\r");
      await owl.shows(has("hello from the fox"));
      owl.write("welcome, fox\r");
      await fox.shows(has("welcome, fox"));
      fox.write("/quit\r");
      assert.equal(await fox.exited, 0);
      owl.write("\x03");
      assert.equal(await owl.exited, 0);
    } finally {
      await owl.close();
      await fox.close();
    }

    // The second time nothing is asked but the name.
    const again = open("admin");
    try {
      await again.shows(has("Your name in the room"));
      again.write("\x15owl\r");
      const rows = await again.shows((rows) => rows.some((row) => row.includes("main")));
      assert.ok(!has("[yes/no]")(rows));
      // ^C at the prompt line ends it.
      again.write("\x03");
      assert.equal(await again.exited, 0);
    } finally {
      await again.close();
    }
  },
});
