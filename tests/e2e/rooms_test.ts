/** Several rooms in one client, and the slash commands, as NDJSON and as lines in a pipe. */
import assert from "node:assert/strict";
import { COMMANDS } from "../../src/session/commands.ts";
import { Stage } from "../support/stm_process.ts";
import { agree } from "../support/talk.ts";

Deno.test("a client joins a second room of the same relay by invite, and talks in both by name", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const { owl, invite } = await stage.admin(relay, ["--uses", "2"]);
  const hen = stage.start(["admin", relay.link, "--room", "Yard", "--name", "hen", "--ui", "json"]);
  const yard = (await hen.event("invite")).url;
  const fox = stage.client(invite, "fox");
  await fox.event("joined", (e) => e.room === "R");
  assert.equal((await fox.command(`/join ${yard}`)).type, "ok");
  const second = await fox.event("joined", (e) => e.room === "Yard");
  const first = fox.every("joined")[0];
  assert.notEqual(second.roomId, first?.roomId);

  fox.say("to the one in front");
  fox.say("to the yard", "Yard");
  fox.say("to R", "R");
  hen.say("cluck");
  owl.say("hoo");
  await owl.event("message", (e) => e.text === "to R");
  await hen.event("message", (e) => e.text === "to the yard");
  await fox.event("message", (e) => e.text === "cluck" && e.room === "Yard");
  await fox.event("message", (e) => e.text === "hoo" && e.room === "R");
  assert.deepEqual(owl.textsOf("fox"), ["to the one in front", "to R"]);
  assert.deepEqual(hen.textsOf("fox"), ["to the yard"]);

  assert.equal((await fox.command("/room Yard")).type, "ok");
  fox.say("moved");
  await hen.event("message", (e) => e.text === "moved");
  assert.equal((await fox.command("/room")).type, "ok");
  assert.ok(fox.every("info").some((e) => /R, Yard/.test(e.text)));
  for (const [line, code] of [["/room Nowhere", "no-such-room"], [`/join ${yard}`, "usage"]]) {
    const answer = await fox.command(line ?? "");
    assert.equal(answer.type === "error" && answer.code, code);
  }

  // Who leaves one room stays in the other, and can come back by another invite.
  assert.equal((await fox.command("/leave", "R")).type, "ok");
  await owl.event("member-left", (e) => e.name === "fox" && e.reason === "left");
  hen.say("still here?");
  await fox.event("message", (e) => e.text === "still here?");
  assert.equal((await fox.command(`/join ${invite}`)).type, "ok");
  await fox.until("back", () => fox.every("joined").filter((e) => e.room === "R")[1]);
  owl.say("again");
  await fox.event("message", (e) => e.text === "again");
  assert.equal((await fox.command("/kick hen", "Yard")).type, "error");
  fox.endInput();
  assert.equal(await fox.exit, 0);
  for (const admin of [owl, hen]) await admin.event("member-left", (e) => e.name === "fox");
});

Deno.test("two rooms of one name get two local names; a kick from one leaves the other", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const { owl, invite } = await stage.admin(relay);
  const { owl: other, invite: otherInvite } = await stage.admin(relay);
  const fox = stage.start(["client", "-", otherInvite, "--name", "fox", "--ui", "json"]);
  fox.write(`${invite}\n`);
  await fox.until("both", () => fox.every("joined").length === 2 || undefined);
  assert.deepEqual(fox.every("joined").map((e) => e.room).sort(), ["R", "R-2"]);
  assert.equal(fox.every("warning")[0]?.code, "invite-on-command-line");
  await owl.event("member-joined");
  assert.equal((await owl.command("/kick fox")).type, "ok");
  await fox.event("error", (e) => /removed you/.test(e.message));
  other.say("you are still in mine");
  await fox.event("message", (e) => e.text === "you are still in mine");
  await other.event("member-joined");
  assert.equal((await other.command("/kick fox")).type, "ok");
  assert.equal(await fox.exit, 6);
});

Deno.test("the commands answer in NDJSON: who, verify, help, rekey, invite, quit", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const { owl, invite } = await stage.admin(relay);
  const fox = stage.client(invite, "fox");
  await agree([owl, fox]);
  const code = fox.every("joined")[0]?.safetyCode;
  for (const line of ["/who", "/verify"]) assert.equal((await fox.command(line)).type, "ok");
  for (const members of fox.every("members")) {
    assert.equal(members.safetyCode, code);
    assert.deepEqual(members.members.map((m) => [m.name, m.admin]), [["owl", true], [
      "fox",
      false,
    ]]);
  }
  assert.equal((await fox.command("/verify ok")).type, "ok");
  assert.deepEqual(fox.every("verified")[0]?.members.map((m) => m.name).sort(), ["fox", "owl"]);
  // Who was verified stays it in later epochs.
  assert.equal((await owl.command("/rekey")).type, "ok");
  const next = await fox.event("epoch", (e) => e.reason === "rekey");
  assert.ok(next.members.every((m) => m.verified));
  assert.notEqual(next.safetyCode, code);
  const before = fox.every("info").length;
  assert.equal((await fox.command("/help")).type, "ok");
  assert.equal(fox.every("info").length - before, COMMANDS.length);
  assert.equal((await fox.command("/help kick")).type, "ok");
  assert.equal((await fox.command("/help me")).type, "error");
  for (
    const line of ["/invite 0", "/invite many", "/invite 1 0", "/invite 2000", "/admit nobody"]
  ) {
    assert.equal((await owl.command(line)).type, "error", line);
  }
  assert.equal((await owl.command("/invite 3 48")).type, "ok");
  const made = owl.every("invite").at(-1);
  assert.equal(made?.uses, 3);
  const hours = (Date.parse(made.expires) - Date.parse(made.at)) / 3_600_000;
  assert.ok(hours > 47.9 && hours < 48.1);
  assert.equal((await fox.command("/quit")).type, "ok");
  assert.equal(await fox.exit, 0);
});

Deno.test("the same as lines in a pipe, without an escape sequence", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const owl = stage.start(["admin", relay.link, "--room", "book club", "--name", "owl"]);
  const [invite] = await owl.shows(/stm:\/\/\S+/);
  const fox = stage.start(["client", "-", "--name", "red fox"]);
  fox.write(`${invite}\n`);
  await owl.shows(/red fox/);
  await fox.shows(/book club/);
  fox.write("hello, owl\n");
  await owl.shows(/red fox.*hello, owl/);
  owl.write("hello, fox\n//shrug is no command\n");
  await fox.shows(/owl.*hello, fox/);
  fox.write("/who\n/verify\n/help\n/fly\n/room\n/kick owl\n");
  await fox.shows(/\/fly/);
  await fox.shows(/\/invite/);
  await fox.shows(/only the room's admin/);
  await fox.shows(/([a-z]+ ){5}[a-z]+/);
  fox.write("/verify ok\n");
  await fox.shows(/verified/);
  owl.write('/kick "red fox"\n');
  assert.equal(await fox.exit, 6);
  owl.write("/quit\n");
  assert.equal(await owl.exit, 0);
  for (const { stdout, stderr } of [owl, fox]) {
    // deno-lint-ignore no-control-regex -- that is what must not be there
    assert.ok(!/[\x00-\x08\x0b-\x1f\x7f]/.test(stdout + stderr));
  }
});

Deno.test("an admin that leaves its room while an epoch is being made goes on in another", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const { owl } = await stage.admin(relay);
  const hen = stage.start(["admin", relay.link, "--room", "Yard", "--name", "hen", "--ui", "json"]);
  const yard = (await hen.event("invite")).url;
  assert.equal((await owl.command(`/join ${yard}`)).type, "ok");
  await owl.event("joined", (e) => e.room === "Yard");
  owl.write(
    '{"type":"command","line":"/rekey","room":"R"}\n{"type":"command","line":"/leave","room":"R"}\n',
  );
  for (let i = 0; i < 3; i++) {
    owl.say(`still here ${i}`, "Yard");
    await hen.event("message", (e) => e.text === `still here ${i}`);
  }
  assert.equal((await owl.command("/who", "Yard")).type, "ok");
  assert.equal((await owl.command("/rekey")).type, "error");
});
