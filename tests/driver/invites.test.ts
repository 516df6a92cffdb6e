import assert from "node:assert/strict";
import { sha256 } from "../../src/crypto/primitives.ts";
import { readInvites } from "../../src/driver/invites.ts";
import { StartError } from "../../src/driver/start_error.ts";
import { PromptError } from "../../src/ui/prompt.ts";
import { fingerprint, inviteSecret, relayKey, roomId, roomSecret } from "../../src/wire/ids.ts";
import { formatLink, LinkError } from "../../src/wire/link_url.ts";
import { FakeTerminal } from "../support/fake_terminal.ts";
import { withFolder } from "../support/temporary_folder.ts";

const bytes = (length: number, fill: number) => new Uint8Array(length).fill(fill);

/** An invite to a room of a relay. */
function invite(room = 1, relay = 7): string {
  return formatLink({
    kind: "invite",
    host: "203.0.113.7",
    port: 5000,
    relayKey: relayKey(bytes(32, relay)),
    room: roomId(bytes(16, room)),
    adminFingerprint: fingerprint(bytes(16, 3)),
    roomSecret: roomSecret(bytes(32, 4)),
    inviteSecret: inviteSecret(bytes(16, 5)),
  }, sha256);
}

const SERVER_LINK = formatLink(
  { kind: "server", host: "203.0.113.7", port: 5000, relayKey: relayKey(bytes(32, 7)) },
  sha256,
);

const pipe = () => new FakeTerminal({ isTerminal: false });

function read(
  invites: readonly string[],
  terminal = pipe(),
  more: { inviteFile?: string; ui?: string } = {},
) {
  return readInvites({ invites, inviteFile: undefined, ui: "line", ...more }, terminal);
}

async function refusal(promise: Promise<unknown>): Promise<StartError> {
  const error = await promise.then(() => null, (error: unknown) => error);
  assert.ok(error instanceof StartError, String(error));
  return error;
}

async function restOf(terminal: FakeTerminal): Promise<string> {
  terminal.endInput();
  let rest = "";
  for (let chunk = await terminal.read(); chunk !== null; chunk = await terminal.read()) {
    rest += new TextDecoder().decode(chunk);
  }
  return rest;
}

Deno.test("an invite among the arguments is taken, with a warning", async () => {
  const { invites, warning } = await read([invite(9)]);
  assert.equal(invites[0].room.toHex(), "09".repeat(16));
  assert.ok(warning?.type === "warning" && warning.code === "invite-on-command-line");
});

for (
  const [what, chunks] of [
    ["in one chunk with what follows", (link: string) => [`${link}\nhello\nthere\n`]],
    ["cut anywhere", (link: string) => [link.slice(0, 9), link.slice(9), "\nhel", "lo\nthere\n"]],
    ["with CRLF and blanks", (link: string) => [`  ${link} \r\nhello\nthere\n`]],
    ["byte by byte", (link: string) => [...`${link}\nhello\nthere\n`]],
  ] as const
) {
  Deno.test(`- takes the first line of standard input ${what}; the rest stays for the session`, async () => {
    const terminal = pipe();
    for (const chunk of chunks(invite())) terminal.type(chunk);
    const { invites, warning } = await read(["-"], terminal);
    assert.equal(invites.length, 1);
    assert.equal(warning, null);
    assert.equal(await restOf(terminal), "hello\nthere\n");
  });
}

Deno.test("- takes what there is at the end of input without a line feed", async () => {
  const terminal = pipe();
  terminal.type(invite());
  terminal.endInput();
  assert.equal((await read(["-"], terminal)).invites.length, 1);
});

Deno.test("- twice takes two lines", async () => {
  const terminal = pipe();
  terminal.type(`${invite(1)}\n${invite(2)}\nhello\n`);
  const { invites } = await read(["-", "-"], terminal);
  assert.deepEqual(invites.map((i) => i.room[0]), [1, 2]);
  assert.equal(await restOf(terminal), "hello\n");
});

Deno.test("a first line without an end is not read for ever", async () => {
  const terminal = pipe();
  for (let i = 0; i < 100; i++) terminal.type("x".repeat(100));
  assert.match((await refusal(read(["-"], terminal))).message, /standard input is too long/);
  assert.ok(terminal.unreadChunks > 50);
});

Deno.test("--invite-file is read, with or without a line feed; one that cannot be read is named", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/invite.txt`;
    for (const end of ["", "\n", "\r\n"]) {
      await Deno.writeTextFile(path, invite() + end);
      const { invites, warning } = await read([], pipe(), { inviteFile: path });
      assert.deepEqual([invites.length, warning], [1, null]);
    }
    const error = await refusal(read([], pipe(), { inviteFile: `${folder}/none` }));
    assert.deepEqual([error.code, error.exitCode], ["usage", 2]);
    assert.ok(error.message.includes(`${folder}/none`));
  });
});

Deno.test("invites of one relay are taken together, of different relays refused", async () => {
  const { invites } = await read([invite(1), invite(2)]);
  assert.equal(invites.length, 2);
  const error = await refusal(read([invite(1, 7), invite(2, 8)]));
  assert.equal(error.exitCode, 2);
  assert.match(error.message, /one stm client for each relay/);
});

Deno.test("a server link is told from an invite, a damaged invite from both", async () => {
  const error = await refusal(read([SERVER_LINK]));
  assert.equal(error.exitCode, 2);
  assert.match(error.message, /stm admin takes it/);
  await assert.rejects(read([invite().slice(0, -2)]), LinkError);
  await assert.rejects(read([""]), LinkError);
});

Deno.test("without an invite the person is asked, and sees nothing of what is pasted", async () => {
  const terminal = new FakeTerminal();
  terminal.type(`${invite(9)}\r`);
  const { invites, warning } = await read([], terminal);
  assert.deepEqual([invites[0].room[0], warning], [9, null]);
  assert.ok(!terminal.written.includes("stm://203"));
});

Deno.test("without an invite and without a person there is exit code 2, and what to give", async () => {
  for (const [terminal, ui] of [[pipe(), "line"], [new FakeTerminal(), "json"]] as const) {
    const error = await refusal(read([], terminal, { ui }));
    assert.equal(error.exitCode, 2);
    assert.match(error.message, /--invite-file FILE, or --host HOST/);
  }
});

Deno.test("a person who refuses to answer is no invite", async () => {
  const terminal = new FakeTerminal();
  terminal.type("\x03");
  await assert.rejects(read([], terminal), PromptError);
});
