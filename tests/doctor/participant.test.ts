/** What `stm doctor` finds on a participant's own machine. */
import assert from "node:assert/strict";
import { join } from "node:path";
import * as v from "valibot";
import type { Finding } from "../../src/doctor/finding.ts";
import {
  participantFindings,
  type ParticipantQuestion,
} from "../../src/doctor/participant_checks.ts";
import { serverPins } from "../../src/store/server_pins.ts";
import { createProfile } from "../../src/store/profile_store.ts";
import { plainSealer } from "../../src/store/plain_sealer.ts";
import { passphraseSealer } from "../../src/crypto/sealer.ts";
import { newProfile } from "../../src/store/profile.ts";
import { stm } from "../support/stm_command.ts";
import { Stage } from "../support/stm_process.ts";
import { FakeTerminal } from "../support/fake_terminal.ts";
import { TestRelay } from "../support/test_relay.ts";
import { withFolder } from "../support/temporary_folder.ts";

const NOTHING: ParticipantQuestion = {
  ui: "line",
  link: null,
  inviteShown: false,
  server: null,
  profile: null,
  login: { user: undefined, passwordFile: undefined, codeFile: undefined },
};

interface Machine {
  readonly folder: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly terminal?: FakeTerminal;
}

async function look(
  { folder, env = {}, terminal = new FakeTerminal({ isTerminal: false }) }: Machine,
  question: Partial<ParticipantQuestion> = {},
): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  const ports = { terminal, env: { get: (name: string) => env[name] }, folder: () => folder };
  for await (const finding of participantFindings({ ...NOTHING, ...question }, ports)) {
    found.push(finding);
  }
  return found;
}

/** The faults as `check verdict`. */
function faults(found: readonly Finding[]): string[] {
  for (const { verdict, remedy, text } of found) {
    assert.equal(verdict === "ok", remedy === undefined, text);
  }
  return found.filter(({ verdict }) => verdict !== "ok")
    .map(({ check, verdict }) => `${check} ${verdict}`);
}

async function makeProfile(
  folder: string,
  name: string,
  passphrase: string | null,
): Promise<string> {
  const path = join(folder, "profiles", `${name}.stm`);
  const sealer = passphrase === null ? plainSealer : passphraseSealer(passphrase);
  const profile = newProfile(crypto.getRandomValues(new Uint8Array(32)), name);
  await (await createProfile({ path, sealer, profile })).close();
  return path;
}

Deno.test("a machine that nothing was kept on yet is well, and stays empty", async () => {
  await withFolder(async (dir) => {
    const folder = join(dir, "stm");
    assert.deepEqual(faults(await look({ folder })), []);
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  });
});

Deno.test("pins and a sealed profile are well, and the folder is left as it was", async () => {
  await withFolder(async (dir) => {
    const folder = join(dir, "stm");
    await makeProfile(folder, "owl", "a passphrase");
    await serverPins(join(folder, "known_servers.json")).remember("h", 1, "ab".repeat(32));
    const before = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    const found = await look({ folder });
    assert.deepEqual(faults(found), []);
    assert.ok(found.some(({ text }) => text === "owl is sealed"));
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), before);
  });
});

Deno.test("files that others may write or read are found, and the remedy mends them", {
  ignore: Deno.build.os === "windows", // it has no permission bits
}, async () => {
  await withFolder(async (dir) => {
    const folder = join(dir, "my stm");
    const plain = await makeProfile(folder, "hen", null);
    const sealed = await makeProfile(folder, "owl", "a passphrase");
    const pins = join(folder, "known_servers.json");
    await serverPins(pins).remember("h", 1, "ab".repeat(32));
    const modes: readonly [string, number, string[]][] = [
      [folder, 0o755, ["folder warn"]],
      [folder, 0o770, ["folder fail"]],
      [pins, 0o644, ["known-servers warn"]],
      [pins, 0o666, ["known-servers fail"]],
      [sealed, 0o640, ["profile warn"]],
      [plain, 0o604, ["profile fail"]],
    ];
    // That of the profile that is not sealed.
    const always = "profile warn";
    for (const [path, mode, expected] of modes) {
      await Deno.chmod(path, mode);
      const found = await look({ folder });
      assert.deepEqual(faults(found).sort(), [...expected, always].sort(), `${path} ${mode}`);
      const remedy = found.find(({ remedy }) => remedy?.startsWith("chmod "))?.remedy ?? "";
      await new Deno.Command("sh", { args: ["-c", remedy] }).output();
      assert.deepEqual(faults(await look({ folder })), [always], remedy);
    }
  });
});

Deno.test("damaged files are found by name, and left as they are", async () => {
  await withFolder(async (dir) => {
    const folder = join(dir, "stm");
    const profile = await makeProfile(folder, "owl", "a passphrase");
    const pins = join(folder, "known_servers.json");
    await Deno.writeTextFile(profile, "not a profile", { mode: 0o600 });
    await Deno.writeTextFile(pins, '{"version": 1, "servers": [{"host": 7}]}', { mode: 0o600 });
    const found = await look({ folder });
    assert.deepEqual(faults(found), ["known-servers fail", "profile fail"]);
    assert.match(found.find(({ check }) => check === "known-servers")?.text ?? "", /servers\.0/);
    assert.equal(await Deno.readTextFile(profile), "not a profile");
  });
});

Deno.test("a profile is opened whole with its passphrase; a wrong one, and none, are told apart", async () => {
  await withFolder(async (dir) => {
    const folder = join(dir, "stm");
    await makeProfile(folder, "owl", "right");
    const file = join(dir, "passphrase");
    const profile = { name: "owl", passphraseFile: file, noPassphrase: false };
    await Deno.writeTextFile(file, "right\n");
    const found = await look({ folder }, { profile });
    assert.deepEqual(faults(found), []);
    assert.ok(found.some(({ text }) => text === "owl opens and is whole; it knows 0 rooms"));
    await Deno.writeTextFile(file, "wrong\n");
    assert.deepEqual(faults(await look({ folder }, { profile })), ["profile fail"]);
    const unopened = await look({ folder }, { profile: { ...profile, passphraseFile: undefined } });
    assert.deepEqual(faults(unopened), []);
    assert.ok(unopened.some(({ text }) => text.startsWith("owl was not opened")));
    const missing = await look({ folder }, { profile: { ...profile, name: "bat" } });
    assert.deepEqual(faults(missing), ["profile fail"]);
  });
});

Deno.test("a terminal is judged where there is one: dumb, narrow, not of UTF-8", async () => {
  await withFolder(async (folder) => {
    await Deno.chmod(folder, 0o700);
    const cases: readonly [FakeTerminal, Record<string, string>, string[]][] = [
      [new FakeTerminal(), {}, []],
      [new FakeTerminal(), { LANG: "en_GB.UTF-8" }, []],
      [new FakeTerminal(), { LANG: "en_GB.UTF-8", LC_ALL: "C" }, ["terminal warn"]],
      [new FakeTerminal({ hasEscapes: false }), {}, ["terminal warn"]],
      [new FakeTerminal({ columns: 30 }), {}, ["terminal warn"]],
      [new FakeTerminal({ isTerminal: false, hasEscapes: false }), { LANG: "C" }, []],
    ];
    for (const [terminal, env, expected] of cases) {
      assert.deepEqual(faults(await look({ folder, env, terminal })), expected);
    }
  });
});

Deno.test("a relay that is named is known, or unknown, or has another key than was remembered", async () => {
  await withFolder(async (dir) => {
    const folder = join(dir, "stm");
    await using relay = await TestRelay.start({ onLink: (link) => link.destroy() });
    const { port, pin } = relay.address;
    const server = { host: "127.0.0.1", port, pin: undefined };
    const pins = serverPins(join(folder, "known_servers.json"));
    const unknown = await look({ folder }, { server });
    assert.match(unknown.find(({ check }) => check === "pin")?.text ?? "", /is not known yet/);
    assert.equal(await pins.pinFor("127.0.0.1", port), undefined, "it remembers nothing by itself");
    await pins.remember("127.0.0.1", port, pin.toHex());
    const known = await look({ folder }, { server });
    assert.equal(known.find(({ check }) => check === "pin")?.verdict, "ok");
    await pins.forget("127.0.0.1", port);
    await pins.remember("127.0.0.1", port, "ab".repeat(32));
    const changed = (await look({ folder }, { server })).find(({ check }) => check === "pin");
    assert.equal(changed?.exitCode, 4);
    assert.match(changed?.remedy ?? "", /remove its line from .*known_servers\.json/);
    const given = { ...server, pin: "cd".repeat(16) };
    const wrong = (await look({ folder }, { server: given })).find(({ check }) => check === "pin");
    assert.equal(wrong?.exitCode, 4);
  });
});

Deno.test("stm doctor, as a program: an invite on standard input, exit codes, a profile's relay", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const passphrase = join(stage.folder, "passphrase");
  await Deno.writeTextFile(passphrase, "of owl\n");
  const as = ["--profile", "owl", "--passphrase-file", passphrase];
  const made = await stage.run(["profile", "create", "owl", ...as.slice(2)], { machine: "m" });
  assert.equal(await made.exit, 0, made.stderr);
  const owl = stage.start(["admin", relay.link, ...as, "--ui", "json"], { machine: "m" });
  const { url } = await owl.event("invite");

  const asked = stage.start(["doctor", "-"]);
  asked.write(`${url}\n`);
  assert.equal(await asked.exit, 0, asked.stdout);
  assert.match(asked.stdout, /^ok +clock /m);
  const shown = await stage.run(["doctor", url]);
  assert.match(shown.stdout, /^warn +link .*process lists/m);

  const busy = await stage.run(["doctor", ...as], { machine: "m" });
  assert.match(busy.stdout, /in use by another stm/);
  owl.endInput();
  await owl.exit;
  const found = await stage.run(["doctor", ...as], { machine: "m" });
  assert.equal(await found.exit, 0, found.stdout);
  assert.match(found.stdout, /it knows 1 room$/m);
  assert.match(found.stdout, /^ok +clock /m);
  relay.process.signal("SIGTERM");
  await relay.process.exit;
  const gone = await stage.run(["doctor", ...as], { machine: "m" });
  assert.equal(await gone.exit, 3, gone.stdout);
});

Deno.test("stm doctor tries the login of --user: taken, refused with exit code 5, or not given", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay(["--access", "account"]);
  const file = async (name: string, text: string): Promise<string> => {
    const path = join(stage.folder, name);
    await Deno.writeTextFile(path, `${text}\n`);
    return path;
  };
  const added = await stage.run(["server", "user", "add", "fox", "--ui", "json"]);
  const { code } = v.parse(v.object({ code: v.string() }), JSON.parse(added.stdout));
  const right = await file("right", "a good password");
  const wrong = await file("wrong", "another password");
  const login = (password: string) => ["--user", "fox", "--password-file", password];
  const codeFile = ["--code-file", await file("code", code)];
  const fox = stage.start(["admin", relay.link, ...login(right), ...codeFile, "--ui", "json"]);
  await fox.event("invite");
  fox.endInput();
  await fox.exit;

  const taken = await stage.run(["doctor", relay.link, ...login(right)]);
  assert.equal(await taken.exit, 0, taken.stdout);
  assert.match(taken.stdout, /^ok +login +logged in as fox$/m);
  assert.match(taken.stdout, /^ok +clock /m);
  const refused = await stage.run(["doctor", relay.link, ...login(wrong)]);
  assert.equal(await refused.exit, 5, refused.stdout);
  assert.match(refused.stdout, /^fail +login +wrong password, or no account fox/m);
  const without = await stage.run(["doctor", relay.link]);
  assert.equal(await without.exit, 0, without.stdout);
  assert.match(without.stdout, /^warn +login .*people with an account/m);
});

Deno.test("stm doctor refuses what it cannot take: exit code 2", async () => {
  for (
    const args of [
      ["stm://nonsense"],
      ["stm://h:1/#AQ", "--host", "h"],
      ["--pin", "ab"],
      ["--host", "127.0.0.1", "--pin", "ab"],
      ["--passphrase-file", "f"],
      ["--password-file", "f"],
    ]
  ) {
    const { code, err } = await stm("doctor", ...args);
    assert.equal(code, 2, args.join(" "));
    assert.match(err, /^stm: /);
  }
});
