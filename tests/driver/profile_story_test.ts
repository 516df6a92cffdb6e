/** Profiles end to end: real processes, files and relay. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { ProfileStage, quit } from "../support/profile_stage.ts";
import { Stage } from "../support/stm_process.ts";

Deno.test("admin and client come back to the same room as the same people, verified and in a later epoch", async () => {
  await using stage = await Stage.open();
  const room = await ProfileStage.open(stage);
  const made = await room.create("owl");
  await room.create("fox");
  assert.match(made.stdout, new RegExp(`is at ${room.file("owl")}\n`));

  const first = await room.owl(true);
  const fox = await room.join("fox", first.invite);
  const joined = await fox.event("joined");
  assert.equal(joined.me.name, "fox");
  assert.match(made.stdout, new RegExp(joined.members[0]?.fingerprint ?? "no fingerprint"));
  assert.ok(joined.members.some((m) => m.name === "owl" && !m.verified));
  assert.equal((await fox.command("/verify ok")).type, "ok");
  await quit(fox);
  const last = await first.owl.event("epoch", (e) => e.reason === "leave");
  await quit(first.owl);

  const second = await room.owl();
  const again = await room.start("fox", "client", ["--room", "R"]);
  const back = await again.event("joined");
  assert.equal(back.roomId, joined.roomId);
  assert.deepEqual(back.me, joined.me);
  assert.ok(back.epoch > last.epoch, `${back.epoch} is not above ${last.epoch}`);
  const owl = back.members.find((m) => m.name === "owl");
  assert.equal(owl?.identity, joined.members.find((m) => m.name === "owl")?.identity);
  assert.equal(owl?.verified, true);
  // No question was asked, and the old invite, which is spent, lets nobody else in.
  assert.equal((await second.owl.event("member-joined")).via, "known");
  assert.deepEqual(second.owl.every("join-request"), []);
  const stranger = stage.client(first.invite, "rat");
  assert.equal(await stranger.exit, 6);
  again.say("we are back");
  await second.owl.event("message", (m) => m.text === "we are back");
  await quit(again);
  await quit(second.owl);

  for (const person of ["owl", "fox"]) {
    const mode = async (path: string) => ((await Deno.stat(path)).mode ?? 0) & 0o777;
    assert.equal(await mode(room.file(person)), 0o600);
    assert.equal(await mode(join(stage.home(person), "profiles")), 0o700);
    assert.equal(await mode(stage.home(person)), 0o700);
  }
});

Deno.test("an invite that was made before the admin restarted is good afterwards, and only once", async () => {
  await using stage = await Stage.open();
  const room = await ProfileStage.open(stage);
  await room.create("owl");
  await room.create("fox");
  const first = await room.owl(true);
  await quit(first.owl);

  const { owl } = await room.owl();
  const fox = await room.join("fox", first.invite);
  await fox.event("joined");
  assert.equal((await owl.event("member-joined")).via, "invite");
  // Who was let in comes back with it; nobody else comes in by it.
  await quit(fox);
  const again = await room.join("fox", first.invite);
  await again.event("joined");
  assert.equal(await stage.client(first.invite, "rat").exit, 6);
});

Deno.test("somebody who was kicked stays outside after the admin restarted, and the others come in", async () => {
  await using stage = await Stage.open();
  const room = await ProfileStage.open(stage);
  for (const person of ["owl", "fox", "rat"]) await room.create(person);
  const { owl, invite } = await room.owl(true);
  const rat = await room.join("rat", invite);
  await rat.event("joined");
  assert.equal((await owl.command("/invite 5")).type, "ok");
  const shared = await owl.event("invite", (i) => i.uses === 5);
  const fox = await room.join("fox", shared.url);
  await fox.event("joined");
  await owl.command("/kick rat");
  assert.equal(await rat.exit, 6);
  await fox.event("epoch", (e) => e.reason === "kick");
  await quit(fox);
  await quit(owl);

  const second = await room.owl();
  const back = await room.start("fox", "client", []);
  await back.event("joined");
  // Not even an invite lets rat in without a question now.
  const rats = await room.join("rat", second.invite);
  assert.equal((await second.owl.event("join-request")).name, "rat");
  assert.equal((await second.owl.command("/deny rat")).type, "ok");
  assert.equal(await rats.exit, 6);
  await quit(back);
});

Deno.test("an older copy of the admin's profile is found out: the client refuses with rollback and exit 7", async () => {
  await using stage = await Stage.open();
  const room = await ProfileStage.open(stage);
  await room.create("owl");
  await room.create("fox");
  const first = await room.owl(true);
  const fox = await room.join("fox", first.invite);
  await fox.event("joined");
  await quit(fox);
  await quit(first.owl);
  const old = await Deno.readFile(room.file("owl"));

  const second = await room.owl();
  const later = await room.start("fox", "client", ["--room", "R"]);
  const { epoch } = await later.event("joined");
  for (const e of [epoch + 1, epoch + 2]) {
    await second.owl.command("/rekey");
    await later.event("epoch", (event) => event.epoch === e);
  }
  await quit(later);
  await quit(second.owl);

  await Deno.writeFile(room.file("owl"), old);
  const third = await room.owl();
  const returner = await room.start("fox", "client", ["--room", "R"]);
  assert.equal(await returner.exit, 7);
  const [warning] = returner.every("warning");
  assert.equal(warning?.code, "rollback");
  assert.deepEqual(returner.every("joined"), []);
  await quit(third.owl);
});

Deno.test("an open room that has another admin than before is refused loudly", async () => {
  await using stage = await Stage.open();
  const room = await ProfileStage.open(stage);
  await room.create("fox");
  const { port, fingerprint } = room.relay;
  const open = ["--host", "127.0.0.1", "--port", String(port), "--pin", fingerprint];
  const host = () => stage.start(["admin", ...open, "--name", "owl", "--ui", "json", "--listen"]);
  const owl = host();
  await owl.event("joined");
  const fox = await room.start("fox", "client", open);
  await owl.event("join-request");
  await owl.command("/admit fox");
  await fox.event("joined");
  await quit(fox);
  await quit(owl);

  const stranger = host();
  await stranger.event("joined");
  const again = await room.start("fox", "client", open);
  assert.equal(await again.exit, 7);
  const [warning] = again.every("warning");
  assert.equal(warning?.code, "unverified-admin");
  assert.match(warning?.message ?? "", /somebody else than the admin/);
  assert.deepEqual(stranger.every("join-request"), []);
});

Deno.test("an admin whose disk fails ends with exit 1, says so, and publishes nothing", async () => {
  await using stage = await Stage.open();
  const room = await ProfileStage.open(stage);
  await room.create("owl");
  const { owl, invite } = await room.owl(true);
  // What is saved is saved in order: with the new epoch the invite is on the disk too.
  await owl.command("/rekey");
  await owl.event("epoch");
  // A folder that is a file cannot be written in, not even by root.
  const profiles = join(stage.home("owl"), "profiles");
  await Deno.rename(profiles, `${profiles}-gone`);
  await Deno.writeTextFile(profiles, "");
  const fox = stage.client(invite, "fox");
  assert.equal(await owl.exit, 1);
  assert.match(owl.every("error")[0]?.message ?? "", /saving the new epoch failed/);
  assert.deepEqual(owl.every("member-joined"), []);
  await fox.event("waiting");
  assert.deepEqual(fox.every("joined"), []);
});
