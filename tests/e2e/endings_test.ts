/** How each role ends: signals, the end of input, readers that go or are slow. PRODUCT.md's exit codes. */
import assert from "node:assert/strict";
import { Stage } from "../support/stm_process.ts";
import { Pty } from "../support/pty.ts";
import { agree } from "../support/talk.ts";

const POSIX = Deno.build.os !== "windows";
const STOPS: readonly Deno.Signal[] = POSIX ? ["SIGINT", "SIGTERM"] : ["SIGINT"];

Deno.test("a signal ends every role with 0, and the others see a member leave and not vanish", async () => {
  for (const signal of STOPS) {
    await using stage = await Stage.open();
    const relay = await stage.relay();
    const { owl, invite } = await stage.admin(relay);
    const fox = stage.client(invite, "fox");
    await agree([owl, fox]);
    fox.signal(signal);
    assert.equal(await fox.exit, 0);
    assert.equal(fox.events.at(-1)?.type, "bye");
    const left = await owl.event("member-left");
    assert.equal(left.reason, "left");
    await agree([owl]);
    owl.signal(signal);
    assert.equal(await owl.exit, 0);
    relay.process.signal(signal);
    assert.equal(await relay.process.exit, 0);
    const [stopping] = relay.process.every("stopping");
    assert.equal(stopping?.reason, signal);
  }
});

Deno.test("a signal ends also who waits: for an admin, and for the admin's word", async () => {
  await using stage = await Stage.open();
  const { port, pin } = await stage.relay();
  const open = ["--host", "127.0.0.1", "--port", `${port}`, "--pin", pin, "--ui", "json"];
  const cat = stage.start(["client", ...open, "--name", "cat"]);
  await cat.event("waiting", (e) => e.reason === "no-admin");
  const hen = stage.start(["admin", ...open, "--name", "hen"]);
  await hen.event("join-request");
  await cat.event("waiting", (e) => e.reason === "asked");
  cat.signal("SIGINT");
  assert.equal(await cat.exit, 0);
  const answer = await hen.command("/admit cat");
  assert.equal(answer.type, "error", "who has gone waits no more");
  hen.signal("SIGINT");
  assert.equal(await hen.exit, 0);
});

Deno.test("the end of input leaves when what was said has been sent, also what was said before one was in", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const { owl, invite } = await stage.admin(relay, ["--uses", "3"]);
  const texts = Array.from({ length: 50 }, (_, i) => `line ${i}`);
  const fox = stage.client(invite, "fox");
  for (const text of texts) fox.say(text);
  fox.endInput();
  assert.equal(await fox.exit, 0);
  await owl.event("member-left");
  assert.deepEqual(owl.textsOf("fox"), texts);
  assert.equal(fox.every("sent").length, 50);

  // The same as plain lines through a pipe, the invite first, and more of them than may wait in a room.
  const lines = Array.from({ length: 3000 }, (_, i) => `line ${i}`);
  const pipe = stage.start(["client", "-", "--name", "pip"]);
  pipe.write(`${invite}\n${lines.join("\n")}\n`);
  pipe.endInput();
  assert.equal(await pipe.exit, 0);
  await owl.event("member-left", (e) => e.name === "pip");
  assert.deepEqual(owl.textsOf("pip"), lines);

  const listener = stage.client(invite, "bat", { machine: "bats" });
  await listener.event("joined");
  const stays = stage.start(
    ["admin", relay.link, "--room", "Q", "--listen", "--ui", "json"],
    { stdin: "null" },
  );
  await stays.event("joined");
  stays.signal("SIGINT");
  assert.equal(await stays.exit, 0);
});

Deno.test("a reader that goes away, as head does, ends the program; one that is slow loses no answer", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const { owl, invite } = await stage.admin(relay, ["--uses", "2"]);
  const gone = stage.client(invite, "gone", { unread: true });
  await owl.event("member-joined", (e) => e.name === "gone");
  await gone.closeOutput();
  owl.say("is anybody there?");
  assert.equal(await gone.exit, 0);
  await owl.event("member-left", (e) => e.name === "gone");

  const slow = stage.client(invite, "slow", { unread: true });
  await owl.event("member-joined", (e) => e.name === "slow");
  // Beyond what a pipe holds.
  const text = "x".repeat(20_000);
  for (let i = 0; i < 20; i++) slow.say(`${text} ${i}`);
  await owl.until("all texts", () => owl.textsOf("slow").length === 20 || undefined);
  slow.send({ type: "command", line: "/who", ref: "at last" });
  slow.readOutput();
  await slow.event("ok", (e) => e.ref === "at last");
  assert.equal(slow.every("sent").length, 20);
  slow.endInput();
  assert.equal(await slow.exit, 0);
});

Deno.test({
  name: "^C at a question ends with 0 and leaves the terminal as it was, ^D too",
  ignore: !POSIX,
  fn: async () => {
    await using stage = await Stage.open();
    const { port } = await stage.relay();
    for (const key of ["\x03", "\x04"]) {
      for (
        const [args, question] of [
          [["client"], "Invite"],
          [["client", "--host", "127.0.0.1", "--port", `${port}`], "Your name"],
          [["admin", "--host", "127.0.0.1", "--port", `${port}`, "--name", "a"], "[yes/no]"],
        ] as const
      ) {
        const { args: all, env } = stage.command(args);
        const pty = new Pty(Deno.execPath(), all, { env, columns: 100 });
        try {
          await pty.shows((rows) => rows.join("\n").includes(question));
          // ^D ends only an empty line: ^U empties it.
          pty.write(`\x15${key}`);
          assert.equal(await pty.exited, 0, `${args.join(" ")} ${key.charCodeAt(0)}`);
        } finally {
          await pty.close();
        }
      }
    }
  },
});
