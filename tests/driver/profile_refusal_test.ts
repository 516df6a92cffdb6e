/** What the program says of profiles that it does not make or open. Each is left as it was. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { sha256 } from "../../src/crypto/primitives.ts";
import { relayKey } from "../../src/wire/ids.ts";
import { formatLink } from "../../src/wire/link_url.ts";
import { ProfileStage, quit } from "../support/profile_stage.ts";
import { Pty } from "../support/pty.ts";
import { makeRelayKey } from "../support/relay_key.ts";
import { Stage, type StmProcess } from "../support/stm_process.ts";

const NO_HOME = { HOME: "", STM_HOME: "", APPDATA: "", XDG_CONFIG_HOME: "" };
/** A port that nobody listens at: whoever gets that far has opened the profile. */
const NOWHERE = formatLink({
  kind: "server",
  host: "127.0.0.1",
  port: 1,
  relayKey: relayKey(makeRelayKey().pin),
}, sha256);

async function says(process: StmProcess, exitCode: number, pattern: RegExp): Promise<void> {
  assert.equal(await process.exit, exitCode, process.stdout + process.stderr);
  const [error] = process.every("error");
  assert.match(error?.message ?? process.stderr, pattern);
}

Deno.test("stm profile create makes no second profile of a name, and says what is wrong", async () => {
  await using stage = await Stage.open();
  const machine = "owl";
  const create = (...args: string[]) => stage.run(["profile", "create", ...args], { machine });
  const file = join(stage.home(machine), "profiles", "owl.stm");

  const made = await create("owl", "--no-passphrase");
  assert.equal(await made.exit, 0);
  assert.match(made.stdout, /fingerprint of its identity: [0-9a-f]{4}( [0-9a-f]{4}){7}\n/);
  assert.match(made.stdout, /not sealed: whoever can read that file can be you/);
  const before = await Deno.readFile(file);
  await says(await create("owl", "--no-passphrase"), 1, /owl\.stm: there is a profile already/);
  assert.deepEqual(await Deno.readFile(file), before);

  await says(await create("fox"), 2, /--passphrase-file FILE or STM_PASSPHRASE_FILE/);
  await says(await create("../fox", "--no-passphrase"), 2, /1 to 32 lower-case letters/);
  await says(await create("fox", "--no-passphrase", "--passphrase-file", "x"), 2, /not both/);
  await says(await create("fox", "--passphrase-file", "nowhere"), 2, /nowhere cannot be read/);
  const empty = join(stage.folder, "empty");
  await Deno.writeTextFile(empty, "\nsecond line\n");
  await says(await create("fox", "--passphrase-file", empty), 2, /is empty/);
  const nowhere = await stage.run(["profile", "create", "--no-passphrase"], { env: NO_HOME });
  await says(nowhere, 1, /neither STM_HOME nor \w+ is set/);
  await says(await stage.run(["profile"]), 2, /takes create or list/);

  const list = await stage.run(["profile", "list"], { machine });
  assert.equal(list.stdout, `owl  ${file}  NOT SEALED\n`);
});

Deno.test("a profile that does not open is named and stays as it was", async () => {
  await using stage = await Stage.open();
  const room = new ProfileStage(stage, await stage.relay());
  const machine = "owl";
  await room.create("owl");
  const file = room.file("owl");
  const sealed = await Deno.readFile(file);
  const admin = (...args: string[]) =>
    stage.run(["admin", NOWHERE, "--ui", "json", ...args], { machine });
  const wrong = join(stage.folder, "wrong");
  await Deno.writeTextFile(wrong, "not the passphrase\n");

  await says(
    await admin("--profile", "owl", "--passphrase-file", wrong),
    1,
    /owl\.stm: does not open: the passphrase is wrong/,
  );
  await says(await admin("--profile", "owl"), 2, /give --passphrase-file FILE/);
  await says(await admin("--profile", "owl", "--no-passphrase"), 1, /owl\.stm: is sealed/);
  await says(
    await admin("--profile", "fox", "--no-passphrase"),
    2,
    /stm profile create fox makes it/,
  );
  await says(await admin("--profile", "owl", "--ephemeral"), 2, /give one of them/);
  await says(await admin("--no-passphrase"), 2, /give --profile NAME too/);
  assert.deepEqual(await Deno.readFile(file), sealed);

  const damaged = sealed.with(sealed.length - 1, (sealed.at(-1) ?? 0) ^ 1);
  await Deno.writeFile(file, damaged);
  await says(await admin(...await room.as("owl")), 1, /owl\.stm: is damaged/);
  assert.deepEqual(await Deno.readFile(file), damaged);
  await Deno.writeTextFile(file, "something else\n");
  await says(await admin(...await room.as("owl")), 1, /owl\.stm: is no profile of stm, or damaged/);
  assert.equal(await Deno.readTextFile(file), "something else\n");
  await Deno.writeFile(file, sealed);
  // The passphrase may come by the environment too. This one opens; there is no relay.
  const [, , , passphrase = ""] = await room.as("owl");
  const opened = await stage.run(["admin", NOWHERE, "--ui", "json", "--profile", "owl"], {
    machine,
    env: { STM_PASSPHRASE_FILE: passphrase },
  });
  await says(opened, 3, /127\.0\.0\.1:1/);

  const plain = await stage.run(["profile", "create", "rat", "--no-passphrase"], { machine });
  assert.equal(await plain.exit, 0);
  await says(
    await admin("--profile", "rat"),
    2,
    /rat\.stm: this profile is not sealed; .*--no-passphrase/,
  );
  await says(
    await admin("--profile", "rat", "--passphrase-file", wrong),
    1,
    /not sealed though a passphrase was given/,
  );
  const unsealed = await admin("--profile", "rat", "--no-passphrase");
  await says(unsealed, 3, /127\.0\.0\.1:1/);
  assert.ok(unsealed.every("info").some(({ text }) => /rat\.stm can be you/.test(text)));
});

Deno.test("of two processes with one profile the second is told that it is in use", async () => {
  await using stage = await Stage.open();
  const room = await ProfileStage.open(stage);
  await room.create("owl");
  const { owl } = await room.owl(true);
  await says(
    await room.start("owl", "admin", ["--room", "R"]),
    1,
    /owl\.stm: this profile is in use by another stm/,
  );
  owl.say("still here");
  await owl.event("sent");
});

Deno.test("a room that the profile does not know is not guessed", async () => {
  await using stage = await Stage.open();
  const room = await ProfileStage.open(stage);
  await room.create("owl");
  await says(
    await room.start("owl", "client", ["--room", "R"]),
    2,
    /has no such room "R"; join it with an invite first/,
  );
  await says(await room.start("owl", "admin", []), 2, /has no such room; give the relay's link/);
  const { owl } = await room.owl(true);
  await quit(owl);
  await says(
    await room.start("owl", "admin", ["--room", "Q"]),
    2,
    /no such room "Q".*it has: R \([0-9a-f]{32}\)/,
  );
});

Deno.test("who is a member of a room cannot run it, and who runs one is no member: it says what to do", async () => {
  await using stage = await Stage.open();
  const room = await ProfileStage.open(stage);
  await Promise.all([room.create("owl"), room.create("fox")]);
  const { owl, invite } = await room.owl(true);
  const fox = await room.join("fox", invite);
  await fox.event("joined");
  await Promise.all([fox, owl].map(quit));
  const run = (person: string, command: "admin" | "client") =>
    room.start(person, command, ["--room", "R"]);
  await says(
    await run("fox", "admin"),
    2,
    /somebody else runs it: stm client --profile fox --room "R"/,
  );
  await says(await run("owl", "client"), 2, /run it yourself: stm admin --profile owl --room "R"/);
  // With the relay's link it is a room of its own.
  const [another, same] = await Promise.all(
    ["fox", "owl"].map((person) => room.start(person, "admin", [room.relay.link, "--room", "R"])),
  );
  assert.ok(another !== undefined && same !== undefined);
  await Promise.all([another.event("joined"), same.event("joined")]);
  const told = (person: StmProcess) => person.every("info").map(({ text }) => text).join("\n");
  assert.match(told(another), /another room named R: .* stm client --profile fox --room "R"/);
  assert.doesNotMatch(told(same), /another room/);
});

Deno.test("without a home a session by an invite works, and without a profile it leaves nothing", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const owl = stage.start(["admin", relay.link, "--name", "owl", "--ui", "json", "--listen"], {
    env: NO_HOME,
  });
  const { url } = await owl.event("invite");
  const fox = stage.client(url, "fox", { env: NO_HOME });
  await fox.event("joined");
  assert.ok(fox.every("info").some(({ text }) => text.startsWith("no profile:")));

  const open = [
    "client",
    "--host",
    "127.0.0.1",
    "--port",
    String(relay.port),
    "--accept-new",
    "--ui",
    "json",
  ];
  await says(await stage.run(open, { env: NO_HOME }), 1, /neither STM_HOME nor \w+ is set/);
  const cat = stage.start([...open, "--ephemeral"], { machine: "cat" });
  await cat.event("connected");
  const dog = stage.start(open, { machine: "dog" });
  await dog.event("connected");
  const there = async (machine: string) =>
    await Array.fromAsync(Deno.readDir(stage.home(machine)), ({ name }) => name)
      .catch(() => []);
  assert.deepEqual(await there("cat"), []);
  assert.deepEqual((await there("dog")).sort(), [
    "known_servers.json",
    "known_servers.json.lock",
  ]);
});

Deno.test("on a terminal the passphrase is asked for twice, and shown never", async () => {
  await using stage = await Stage.open();
  const machine = "owl";
  const start = (...args: string[]) => {
    const { args: all, env } = stage.command(args, machine);
    return new Pty(Deno.execPath(), all, { env });
  };
  const last = (text: string) => (rows: string[]) => rows.at(-1) === text;
  const some = (text: string) => (rows: string[]) => rows.some((row) => row.includes(text));

  const create = start("profile", "create", "owl");
  try {
    await create.shows(last("New passphrase for the profile owl:"));
    create.write("hunter2\r");
    await create.shows(last("The same again:"));
    create.write("hunter3\r");
    await create.shows(some("These were not the same"));
    await create.shows(last("New passphrase for the profile owl:"));
    create.write("hunter2\r");
    await create.shows((rows) => rows.filter((row) => row === "The same again:").length === 2);
    create.write("hunter2\r");
    const rows = await create.shows(some("it is sealed under its passphrase"));
    assert.equal(await create.exited, 0);
    assert.doesNotMatch(rows.join("\n"), /hunter/);
  } finally {
    await create.close();
  }

  const admin = start("admin", NOWHERE, "--profile", "owl");
  try {
    await admin.shows(last("Passphrase of the profile owl:"));
    admin.write("hunter2\r");
    const rows = await admin.shows(some("127.0.0.1:1"));
    assert.equal(await admin.exited, 3);
    assert.doesNotMatch(rows.join("\n"), /hunter/);
  } finally {
    await admin.close();
  }
});
