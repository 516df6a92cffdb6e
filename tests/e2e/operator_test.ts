/** What an operator does while the relay runs: other processes, signals, files. */
import assert from "node:assert/strict";
import { join } from "node:path";
import * as v from "valibot";
import { Stage } from "../support/stm_process.ts";

const Status = v.looseObject({
  ready: v.literal(true),
  port: v.number(),
  pid: v.number(),
  connections: v.number(),
  rooms: v.number(),
});

Deno.test("status asks the relay that runs, by the folder of its key, and names nobody", async () => {
  await using stage = await Stage.open();
  const certs = join(stage.folder, "certs");
  const nobody = await stage.run(["server", "status", "--certs", certs]);
  assert.equal(await nobody.exit, 3);
  assert.match(nobody.stderr, /no relay answers for the folder/);
  const relay = await stage.relay();
  const { owl, invite } = await stage.admin(relay);
  const fox = stage.client(invite, "fox");
  await fox.event("joined");
  const asked = await stage.run(["server", "status", "--certs", certs, "--ui", "json"]);
  assert.equal(await asked.exit, 0, asked.stderr);
  const status = v.parse(Status, JSON.parse(asked.stdout));
  assert.deepEqual([status.port, status.pid, status.connections, status.rooms], [
    relay.port,
    relay.process.pid,
    2,
    1,
  ]);
  assert.doesNotMatch(asked.stdout, /fox|owl|"R"/);
  const shown = await stage.run(["server", "status"], { env: { STM_CERTS: certs } });
  assert.match(shown.stdout, /takes new people; up for \d+ s/);
  owl.endInput();
});

Deno.test("a ban ends the connections of its range at once and keeps them out, until it is removed", async () => {
  await using stage = await Stage.open();
  const certs = join(stage.folder, "certs");
  const relay = await stage.relay(["--log", "json"]);
  const { owl, invite } = await stage.admin(relay);
  const ban = await stage.run([
    "server",
    "ban",
    "add",
    "127.0.0.0/8",
    "--for",
    "1h",
    "--certs",
    certs,
  ]);
  assert.equal(await ban.exit, 0, ban.stderr);
  await owl.event("disconnected");
  const fox = stage.client(invite, "fox");
  assert.equal(await fox.exit, 3);
  const list = await stage.run(["server", "ban", "list", "--certs", certs, "--ui", "json"]);
  assert.equal(v.parse(v.object({ who: v.string() }), JSON.parse(list.stdout)).who, "127.0.0.0/8");
  const removed = await stage.run(["server", "ban", "remove", "127.0.0.0/8", "--certs", certs]);
  assert.equal(await removed.exit, 0, removed.stderr);
  const { owl: next } = await stage.admin(relay);
  next.endInput();
  assert.match(relay.process.stderr, /"event":"turned-away","code":"banned"/);
  assert.doesNotMatch(relay.process.stderr, /127\.0\.0\.1/);
});

Deno.test("a reload takes limits and the log's level from the file; a wrong file changes nothing", async () => {
  await using stage = await Stage.open();
  const certs = join(stage.folder, "certs");
  const config = join(stage.folder, "stm.json");
  await Deno.writeTextFile(config, '{"log": "json", "max-connections": 100}');
  const relay = await stage.relay(["--config", config]);
  await Deno.writeTextFile(config, '{"log": "json", "max-connections": "one"}');
  const wrong = await stage.run(["server", "reload", "--certs", certs]);
  assert.equal(await wrong.exit, 1);
  assert.match(
    wrong.stderr,
    /goes on as before: .*stm\.json: max-connections: takes a whole number/,
  );
  await Deno.writeTextFile(config, '{"log": "json", "max-connections": 1}');
  if (Deno.build.os === "windows") await stage.run(["server", "reload", "--certs", certs]);
  else relay.process.signal("SIGHUP");
  await relay.process.until(
    "reloaded",
    () => /"event":"reloaded"/.test(relay.process.stderr) || undefined,
  );
  const { owl } = await stage.admin(relay);
  const second = stage.start([
    "admin",
    relay.link,
    "--name",
    "hen",
    "--ui",
    "json",
    "--retry",
    "0",
  ]);
  assert.equal(await second.exit, 3);
  owl.endInput();
});

Deno.test("what a reload cannot change, as --access, is named, and the relay goes on with what it has", async () => {
  await using stage = await Stage.open();
  const certs = join(stage.folder, "certs");
  const config = join(stage.folder, "stm.json");
  await Deno.writeTextFile(config, '{"log": "json"}');
  const relay = await stage.relay(["--config", config]);
  const reload = () => stage.run(["server", "reload", "--certs", certs, "--ui", "json"]);
  const Reloaded = v.object({ waitingForStart: v.array(v.string()) });
  const waiting = async (text: string) => {
    await Deno.writeTextFile(config, text);
    const told = await reload();
    assert.equal(await told.exit, 0, told.stderr);
    return { ...v.parse(Reloaded, JSON.parse(told.stdout)), stderr: told.stderr };
  };
  const changed = await waiting('{"log": "json", "access": "account", "public": "example.org"}');
  assert.deepEqual(changed.waitingForStart, ["public", "access"]);
  assert.match(changed.stderr, /as before until the relay is started again: --public, --access/);
  assert.match(relay.process.stderr, /"level":"warn","event":"reloaded".*"public,access"/);
  const { owl } = await stage.admin(relay);
  owl.endInput();
  // Put back: nothing waits any more. Limits alone never do.
  const back = await waiting('{"log": "json", "max-connections": 7, "drain-ms": 1}');
  assert.deepEqual([back.waitingForStart, back.stderr], [[], ""]);
});

Deno.test("the certificate is renewed under the same key without a restart; another key is refused", async () => {
  await using stage = await Stage.open();
  const certs = join(stage.folder, "certs");
  const relay = await stage.relay();
  const { owl, invite } = await stage.admin(relay);
  const certificate = join(certs, "relay.cert.pem");
  const before = await Deno.readTextFile(certificate);
  await Deno.remove(certificate);
  const reload = () => stage.run(["server", "reload", "--certs", certs]);
  assert.equal(await (await reload()).exit, 0);
  assert.equal(await Deno.readTextFile(certificate), before);
  const fox = stage.client(invite, "fox");
  await fox.event("joined");

  const other = await stage.relay(["--certs", join(stage.folder, "other")]);
  await other.process.kill();
  for (const name of ["relay.key.pem", "relay.cert.pem"]) {
    await Deno.copyFile(join(stage.folder, "other", name), join(certs, name));
  }
  const refused = await reload();
  assert.equal(await refused.exit, 1);
  assert.match(refused.stderr, /is not the one that this relay runs with/);
  fox.say("still here");
  await owl.event("message");
  owl.endInput();
});

Deno.test("the key is changed under a conversation: who is there stays, old links and pins and profiles follow", async () => {
  await using stage = await Stage.open();
  const certs = join(stage.folder, "certs");
  const relay = await stage.relay();
  const at = ["--host", "127.0.0.1", "--port", String(relay.port), "--ui", "json"];
  const owl = stage.start(
    ["admin", relay.link, "--name", "owl", "--uses", "9", "--ui", "json"],
  );
  const { url: invite } = await owl.event("invite");
  const fox = stage.start(["client", "-", "--name", "fox", "--ui", "json"]);
  fox.write(`${invite}\n`);
  await fox.event("joined");
  // Somebody who only knows the relay, from before; and somebody with a room in a profile.
  const machine = "hens";
  const hen = stage.start(["admin", ...at, "--accept-new", "--room", "open"], { machine });
  await hen.event("joined");
  assert.equal((await hen.command("/quit")).type, "ok");
  assert.equal(await hen.exit, 0);
  const cat = ["--profile", "cat", "--no-passphrase"];
  await stage.run(["profile", "create", "cat", "--no-passphrase"], { machine: "cats" });
  const first = stage.start(["client", "-", ...cat, "--ui", "json"], { machine: "cats" });
  first.write(`${invite}\n`);
  await first.event("joined");
  assert.equal((await first.command("/quit")).type, "ok");
  assert.equal(await first.exit, 0);

  const rotated = await stage.run(["server", "rotate-key", "--certs", certs, "--ui", "json"]);
  assert.equal(await rotated.exit, 0, rotated.stderr);
  const { pin: next } = v.parse(v.object({ pin: v.string() }), JSON.parse(rotated.stdout));
  const shown = await relay.process.event("server-key");
  assert.deepEqual([shown.state, shown.pin], ["changed", next]);
  for (const person of [owl, fox]) {
    assert.equal((await person.event("server-key")).pin, next);
  }
  owl.say("still the same connection");
  await fox.event("message", (e) => e.text === "still the same connection");

  // With nothing but what they had: an old invite, a remembered relay, a profile's room.
  const bat = stage.client(invite, "bat");
  await bat.event("joined");
  assert.equal(bat.every("server-key")[0]?.state, "changed");
  for (let run = 0; run < 2; run++) {
    const again = stage.start(["admin", ...at, "--room", "open"], { machine });
    await again.event("joined");
    assert.equal(again.every("server-key").length, run === 0 ? 1 : 0, "kept");
    assert.equal((await again.command("/quit")).type, "ok");
    assert.equal(await again.exit, 0);
    const back = stage.start(["client", ...cat, "--ui", "json"], { machine: "cats" });
    await back.event("joined");
    assert.equal(back.every("server-key").length, run === 0 ? 1 : 0, "kept");
    assert.equal((await back.command("/quit")).type, "ok");
    assert.equal(await back.exit, 0);
  }
  const known = await Deno.readTextFile(join(stage.home(machine), "known_servers.json"));
  assert.ok(known.includes(next) && !known.includes(relay.pin));

  // After a restart everybody comes back by themselves, and is told no second time.
  relay.process.signal("SIGTERM");
  assert.equal(await relay.process.exit, 0);
  await stage.relay(["--port", String(relay.port)]);
  for (const person of [owl, fox]) await person.event("reconnected");
  fox.say("under the new key");
  await owl.event("message", (e) => e.text === "under the new key");
  for (const person of [owl, fox]) assert.equal(person.every("server-key").length, 1);
  const made = await owl.command("/invite");
  assert.equal(made.type, "ok");
});

Deno.test("the log of a whole conversation has no address, room, name or word of it, also at debug", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay(["--log", "json", "--log-level", "debug"]);
  const owl = stage.start(
    ["admin", relay.link, "--room", "heronry", "--name", "owl", "--uses", "9", "--ui", "json"],
  );
  const { url: invite } = await owl.event("invite");
  const { roomId } = await owl.event("joined");
  const fox = stage.client(invite, "fox");
  await fox.event("joined");
  fox.say("a very particular sentence");
  await owl.event("message", (e) => e.text === "a very particular sentence");
  // Somebody who is not understood, and an end by the relay.
  const stranger = await Deno.connect({ hostname: "127.0.0.1", port: relay.port });
  await stranger.write(new TextEncoder().encode("GET /heronry HTTP/1.1\r\n\r\n"));
  await stranger.read(new Uint8Array(64));
  stranger.close();
  assert.equal((await owl.command("/kick fox")).type, "ok");
  await fox.event("bye");
  relay.process.signal("SIGTERM");
  assert.equal(await relay.process.exit, 0);

  const log = relay.process.stderr;
  for (const event of ["ready", "turned-away", "stopping", "stopped"]) {
    assert.ok(log.includes(`"event":"${event}"`), `${event} is missing:\n${log}`);
  }
  const data = Uint8Array.fromBase64(invite.split("#")[1] ?? "", { alphabet: "base64url" });
  const secrets = ["127.0.0.1", "::1", "owl", "fox", "heronry", "particular", roomId, data.toHex()];
  for (const secret of secrets) {
    assert.ok(!log.includes(secret), `${secret} is in the log:\n${log}`);
  }
});
