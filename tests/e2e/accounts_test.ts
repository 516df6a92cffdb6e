/** A relay that wants a login, and everybody who comes to it, as processes. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Stage, type StmProcess } from "../support/stm_process.ts";

/** A relay with accounts, and the operator's commands. */
async function operated(stage: Stage, access = "account") {
  const relay = await stage.relay(["--access", access]);
  const certs = join(stage.folder, "certs");
  const command = async (...args: string[]): Promise<StmProcess> => {
    const run = await stage.run(["server", ...args, "--certs", certs, "--ui", "json"]);
    assert.equal(await run.exit, 0, run.stderr);
    return run;
  };
  const file = async (name: string, text: string): Promise<string> => {
    await Deno.writeTextFile(join(stage.folder, name), `${text}\n`, { mode: 0o600 });
    return name;
  };
  const codeOf = ({ stdout }: StmProcess) => /"code":"([^"]+)"/.exec(stdout)?.[1] ?? "";
  return { relay, command, file, codeOf };
}

/** A relay with an account, whose owner was there and has left. */
async function visited(stage: Stage) {
  const { relay, command, file, codeOf } = await operated(stage);
  const code = await file("code", codeOf(await command("user", "add", "owl")));
  const password = await file("password", "correct horse battery");
  const credentials = ["--user", "owl", "--password-file", password];
  const { owl } = await stage.admin(relay, [...credentials, "--code-file", code]);
  owl.endInput();
  assert.equal(await owl.exit, 0);
  return { relay, credentials };
}

Deno.test("two people with accounts meet; a reset ends one of them, and its old password is no longer good", async () => {
  await using stage = await Stage.open();
  const { relay, command, file, codeOf } = await operated(stage);
  const code = await file("code", codeOf(await command("user", "add", "owl")));
  const password = await file("password", "correct horse battery");
  const { owl, invite } = await stage.admin(relay, [
    "--user",
    "owl",
    "--code-file",
    code,
    "--password-file",
    password,
    "--uses",
    "5",
  ]);
  // The other takes both from standard input, behind the invite.
  const foxCode = codeOf(await command("user", "add", "fox"));
  const args = ["client", "-", "--name", "fox", "--ui", "json", "--retry", "0", "--user", "fox"];
  const fox = stage.start([...args, "--code-file", "-", "--password-file", "-"]);
  fox.write(`${invite}\n${foxCode.toUpperCase()}\nanother horse\n`);
  await fox.event("joined");
  fox.say("hello");
  await owl.until(
    "hello",
    () => owl.events.some((e) => e.type === "message" && e.text === "hello") || undefined,
  );
  const newCode = codeOf(await command("user", "reset", "fox"));
  assert.equal(await fox.exit, 5, fox.stdout);
  assert.match(fox.stdout, /"code":"logged-out"/);
  const old = stage.start([...args, "--password-file", "-"]);
  old.write(`${invite}\nanother horse\n`);
  assert.equal(await old.exit, 5, old.stdout);
  assert.match(old.stdout, /"code":"login-refused","message":"wrong password, or no account fox/);
  const renamed = args.map((arg, i) => args[i - 1] === "--name" ? "red fox" : arg);
  const back = stage.start([...renamed, "--code-file", "-", "--password-file", "-"]);
  back.write(`${invite}\n${newCode}\na third horse\n`);
  await back.event("joined");
  assert.doesNotMatch(relay.process.stdout + relay.process.stderr, /horse/);
  owl.endInput();
});

Deno.test("who cannot log in hears why and what to do, with exit code 5", async () => {
  await using stage = await Stage.open();
  const { relay, command, file, codeOf } = await operated(stage);
  const admin = ["admin", relay.link, "--name", "owl", "--retry", "0", "--listen"];
  const password = await file("password", "correct horse battery");
  const nonsense = await file("nonsense", "0000-0000-0000-0000-0000");
  const cases: [string[], number, RegExp][] = [
    [[], 5, /this relay is for people with an account: give --user NAME/],
    [["--user", "owl"], 5, /cannot be asked for here: give --password-file FILE/],
    [["--user", "owl", "--password-file", password], 5, /wrong password, or no account owl/],
    [
      ["--user", "owl", "--password-file", password, "--code-file", nonsense],
      5,
      /the registration code is unknown, used up, expired/,
    ],
    [["--user", "Owl", "--password-file", password], 2, /--user takes an account's name/],
    [["--password-file", password], 2, /give --user NAME too/],
    [
      ["--user", "owl", "--password-file", "missing"],
      2,
      /the password file missing cannot be read/,
    ],
  ];
  for (const [args, exit, says] of cases) {
    for (const ui of ["line", "json"]) {
      const owl = await stage.run([...admin, ...args, "--ui", ui]);
      assert.equal(await owl.exit, exit, `${args} ${owl.stdout} ${owl.stderr}`);
      assert.match(owl.stdout + owl.stderr, says);
    }
  }
  const code = await file("code", codeOf(await command("user", "add", "owl")));
  const short = await file("short", "horse");
  const hasty = await stage.run([
    ...admin,
    "--user",
    "owl",
    "--password-file",
    short,
    "--code-file",
    code,
  ]);
  assert.equal(await hasty.exit, 2);
  assert.match(hasty.stderr + hasty.stdout, /too short for a new password/);
});

Deno.test("a client goes back to a relay that was restarted with its password, and a profile knows the account", async () => {
  await using stage = await Stage.open();
  const { relay, command, file, codeOf } = await operated(stage, "code");
  const code = await file("code", codeOf(await command("code", "--uses", "1")));
  const password = await file("password", "correct horse battery");
  const machine = "den";
  const own = ["--profile", "owl", "--no-passphrase"];
  await stage.run(["profile", "create", "owl", "--no-passphrase"], { machine });
  const admin = [
    "admin",
    relay.link,
    "--ui",
    "json",
    "--room",
    "R",
    ...own,
    "--password-file",
    password,
  ];
  const owl = stage.start([...admin, "--user", "owl", "--code-file", code], { machine });
  await owl.event("invite");
  relay.process.signal("SIGTERM");
  await owl.event("reconnecting");
  await stage.relay(["--access", "code", "--port", String(relay.port)]);
  await owl.event("reconnected");
  owl.send({ type: "command", line: "/quit" });
  assert.equal(await owl.exit, 0, owl.stdout);
  // Without --user: the profile says which account.
  const again = stage.start(admin, { machine });
  await again.event("connected");
  again.send({ type: "command", line: "/quit" });
  assert.equal(await again.exit, 0, again.stdout);
});

Deno.test("a login to a relay with another key fails though the password is right", async () => {
  await using stage = await Stage.open();
  const { relay, credentials } = await visited(stage);
  // The same accounts and setup, under another key: what a thief of both files could run.
  const other = join(stage.folder, "other");
  await Deno.mkdir(other);
  for (const name of ["users.json", "opaque-setup.json"]) {
    await Deno.copyFile(join(stage.folder, "certs", name), join(other, name));
  }
  const thief = await stage.relay(["--access", "account", "--certs", other]);
  const misled = await stage.run([
    "admin",
    "--host",
    "127.0.0.1",
    "--port",
    String(thief.port),
    "--pin",
    relay.pin,
    "--name",
    "owl",
    "--ui",
    "json",
    ...credentials,
  ]);
  assert.equal(await misled.exit, 4, misled.stdout);
});

Deno.test("a machine without the memory for a login says that, and not that the password is wrong", async () => {
  await using stage = await Stage.open();
  const { relay, credentials } = await visited(stage);
  const poor = stage.start(["admin", relay.link, "--ui", "json", ...credentials], {
    env: { DENO_V8_FLAGS: "--wasm-max-mem-pages=500" },
  });
  assert.equal(await poor.exit, 5, poor.stdout + poor.stderr);
  assert.match(poor.stdout, /could not be reckoned on this machine/);
  assert.doesNotMatch(poor.stdout, /wrong password/);
});
