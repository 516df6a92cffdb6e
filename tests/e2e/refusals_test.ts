/** Issue 2, "Bad input": who is not let in, and files and connections that do not work. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Stage, type StmProcess } from "../support/stm_process.ts";
import { agree } from "../support/talk.ts";

async function inviteOf(owl: StmProcess, line: string): Promise<{ url: string; invite: string }> {
  const before = owl.every("invite").length;
  assert.equal((await owl.command(line)).type, "ok");
  return await owl.until(line, () => owl.every("invite")[before]);
}

function lastError(process: StmProcess): string {
  return process.every("error").at(-1)?.message ?? "";
}

Deno.test("an invite that is used up, expired or revoked ends with 6, and so does a kick; a denied request too", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const { owl, invite } = await stage.admin(relay);
  const fox = stage.client(invite, "fox");
  await agree([owl, fox]);

  const shared = await inviteOf(owl, "/invite 5");
  // A hundredth of a second.
  const brief = await inviteOf(owl, "/invite 1 0.000003");
  const refused = [
    stage.client(invite, "late"),
    stage.client(brief.url, "slow"),
  ];
  for (const client of refused) {
    assert.equal(await client.exit, 6);
    assert.match(lastError(client), /expired, used up or revoked/);
  }

  assert.equal((await owl.command("/kick fox")).type, "ok");
  assert.equal(await fox.exit, 6);
  assert.match(lastError(fox), /removed you/);
  // The kick revoked it.
  const revoked = stage.client(shared.url, "eve");
  assert.equal(await revoked.exit, 6);
  assert.match(lastError(revoked), /expired, used up or revoked/);

  for (const [line, code] of [["/kick fax", "no-such-member"], ["/kick owl", "usage"]] as const) {
    const answer = await owl.command(line);
    assert.equal(answer.type === "error" && answer.code, code);
  }
  const left = await owl.command("/who");
  assert.equal(left.type, "ok");
  assert.deepEqual(owl.every("members").at(-1)?.members.map((m) => m.name), ["owl"]);
});

Deno.test("a name that is taken is refused with 6 and the hint to choose another; in an open room the admin says no", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const { owl, invite } = await stage.admin(relay, ["--uses", "3"]);
  for (const name of ["owl", "OWL", "ow\u200Bl"]) {
    const double = stage.client(invite, name);
    const code = await double.exit;
    assert.ok(code === 6 || code === 2, `${name}: ${code}`);
    assert.match(lastError(double), /--name/);
  }
  const open = ["--host", "127.0.0.1", "--port", String(relay.port), "--pin", relay.pin];
  const hen = stage.start(["admin", ...open, "--room", "yard", "--name", "hen", "--ui", "json"]);
  await hen.event("joined");
  const cat = stage.start(["client", ...open, "--room", "yard", "--name", "cat", "--ui", "json"]);
  await cat.event("waiting", (e) => e.reason === "asked");
  assert.equal((await hen.command("/deny cat")).type, "ok");
  assert.equal(await cat.exit, 6);
  assert.match(lastError(cat), /did not let you in/);
  assert.equal(owl.every("member-joined").length, 0);
});

Deno.test("nobody listening is 3, and so is a relay that stops while one is connected", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const { owl, invite } = await stage.admin(relay);
  const fox = stage.client(invite, "fox");
  await agree([owl, fox]);
  relay.process.signal("SIGTERM");
  assert.deepEqual(await Promise.all([owl.exit, fox.exit, relay.process.exit]), [3, 3, 0]);
  assert.equal(fox.every("disconnected").length, 1);
  assert.equal(fox.events.at(-1)?.type, "bye");

  const alone = stage.client(invite, "fox");
  assert.equal(await alone.exit, 3);
  assert.match(
    lastError(alone),
    new RegExp(`127\\.0\\.0\\.1:${relay.port}: nothing listens there`),
  );
  const hidden = stage.start(["admin", relay.link, "--ui", "line"], { stdin: "null" });
  assert.equal(await hidden.exit, 3);
  assert.match(hidden.stdout + hidden.stderr, /nothing listens there/);
});

Deno.test("a taken port is 1 with its name; damaged files are named and left as they were", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const taken = await stage.run(
    ["server", "--host", "127.0.0.1", "--port", String(relay.port), "--certs", "other"],
  );
  assert.equal(await taken.exit, 1);
  assert.match(taken.stderr, new RegExp(`127\\.0\\.0\\.1:${relay.port}.*--port`));

  for (const file of ["relay.key.pem", "relay.cert.pem"]) {
    const certs = join(stage.folder, `damaged ${file}`);
    await Deno.mkdir(certs);
    for (const { name, isFile } of Deno.readDirSync(join(stage.folder, "certs"))) {
      if (!isFile) continue; // the running relay's socket
      await Deno.copyFile(join(stage.folder, "certs", name), join(certs, name));
    }
    await Deno.writeTextFile(join(certs, file), "-----BEGIN something");
    const run = await stage.run(["server", "--host", "127.0.0.1", "--port", "0", "--certs", certs]);
    assert.equal(await run.exit, 1);
    assert.ok(run.stderr.includes(join(certs, file)), run.stderr);
    assert.equal(await Deno.readTextFile(join(certs, file)), "-----BEGIN something");
  }

  const machine = "m";
  await Deno.mkdir(stage.home(machine), { recursive: true });
  const pins = join(stage.home(machine), "known_servers.json");
  for (const damage of ["", "{", '{"version":1,"servers":[{}]}', '{"version":99,"servers":[]}']) {
    await Deno.writeTextFile(pins, damage);
    const run = await stage.run(
      ["admin", "--host", "127.0.0.1", "--port", `${relay.port}`, "--accept-new", "--ui", "json"],
      { machine },
    );
    assert.equal(await run.exit, 1);
    assert.ok(lastError(run).includes(pins), run.stdout);
    assert.equal(await Deno.readTextFile(pins), damage);
  }
});

Deno.test("a line of stdin that is no command is answered with its ref, and the session goes on", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const { owl, invite } = await stage.admin(relay);
  const fox = stage.client(invite, "fox");
  await agree([owl, fox]);
  const bad: [string, string | undefined][] = [
    ["{", undefined],
    ["[]", undefined],
    ["null", undefined],
    ['"say"', undefined],
    ['{"type":"shout","ref":"1"}', "1"],
    ['{"type":"say","ref":"2"}', "2"],
    ['{"type":"say","text":5,"ref":"3"}', "3"],
    ['{"type":"command","line":"who","ref":"4"}', "4"],
    ['{"type":"say","text":"x","ref":7}', undefined],
    [`{"type":"say","text":"${"x".repeat(300_000)}","ref":"5"}`, undefined],
    [`{"type":"say","text":"${"x".repeat(70_000)}","ref":"6"}`, "6"],
    ['{"type":"say","text":"","ref":"7"}', "7"],
    ['{"type":"say","text":"x","room":"nowhere","ref":"8"}', "8"],
    ['{"type":"command","line":"/fly","ref":"9"}', "9"],
    ['{"type":"command","line":"/kick owl","ref":"10"}', "10"],
    ['{"type":"command","line":"/","ref":"11"}', "11"],
    ['{"type":"answer","ref":"12","choice":"yes"}', "12"],
    ['{"type":"command","line":"/join stm://nonsense","ref":"13"}', "13"],
    [`{"type":"command","line":"/join ${relay.link}","ref":"14"}`, "14"],
    [`{"type":"command","line":"/join ${invite}","ref":"15"}`, "15"],
  ];
  for (const [line] of bad) fox.write(`${line}\n`);
  fox.write('\r\n\n{"type":"say","text":"still here","ref":"last"}\r\n');
  await fox.event("ok", (e) => e.ref === "last");
  await owl.event("message", (e) => e.text === "still here");
  const refs = fox.every("error").map((e) => e.ref).sort();
  // What a worker finds out comes when it is found out.
  await fox.until("all errors", () => fox.every("error").length === bad.length || undefined);
  assert.deepEqual(
    fox.every("error").map((e) => `${e.ref}`).sort(),
    bad.map(([, ref]) => `${ref}`).sort(),
    `${refs}`,
  );
  assert.equal(owl.every("message").length, 1);
  for (const error of fox.every("error")) assert.ok(error.message.length > 5);
});
