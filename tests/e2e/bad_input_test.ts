/** Issue 2, "Bad input": wrong arguments are named with a right example, and end with 2. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { sha256 } from "../../src/crypto/primitives.ts";
import { fingerprint, inviteSecret, roomId, roomSecret } from "../../src/wire/ids.ts";
import { formatLink, parseLink } from "../../src/wire/link_url.ts";
import { Stage } from "../support/stm_process.ts";

Deno.test("wrong arguments end with 2, name the argument, and show a right one", async () => {
  await using stage = await Stage.open();
  const { process, link } = await stage.relay();
  const parsed = parseLink(link, sha256);
  const invite = formatLink({
    ...parsed,
    kind: "invite",
    room: roomId(new Uint8Array(16)),
    adminFingerprint: fingerprint(new Uint8Array(16)),
    roomSecret: roomSecret(new Uint8Array(32)),
    inviteSecret: inviteSecret(new Uint8Array(16)),
  }, sha256);
  const cases: [string, string[], RegExp[]][] = [
    ["no command", [], [/usage: stm COMMAND/]],
    ["an unknown command", ["sever"], [/"sever"/, /stm server/]],
    ["an unknown option", ["server", "--prot", "5"], [/--prot/, /--port/]],
    ["a strange option", ["server", "--colour"], [/--colour/, /stm server --port 5000/]],
    ["a missing value", ["server", "--port"], [/--port needs a value/, /--port 5000/]],
    ["an option as value", ["server", "--port", "--ui", "json"], [/--port needs a value/]],
    ["a word for a number", ["server", "--port", "many"], [
      /--port/,
      /0 to 65535/,
      /"many"/,
      /--port 5000/,
    ]],
    ["a port too high", ["client", "--host", "127.0.0.1", "--port", "70000"], [
      /--port/,
      /65535/,
      /--port 5000/,
    ]],
    ["a limit out of its range", ["server", "--max-members", "0"], [/--max-members/, /from 1 to/]],
    ["an unknown face", ["client", "--ui", "gui"], [/--ui/, /line or json/, /"gui"/]],
    ["a value for a switch", ["client", "--listen=yes"], [/--listen takes no value/]],
    ["an option twice", ["server", "--port", "1", "--port", "2"], [/--port is given twice/]],
    ["an argument too many", ["server", "now"], [/"now"/, /stm server --port 5000/]],
    ["a wrong --public", ["server", "--port", "0", "--public", "a b"], [/--public/, /stm:\/\//]],
    ["nothing for admin", ["admin"], [/link/, /--host/, /stm admin 'stm:/]],
    ["a link and --host", ["admin", link, "--host", "127.0.0.1"], [
      /link/,
      /--host/,
      /not both/,
      /stm admin/,
    ]],
    ["an invite and --host", ["client", invite, "--host", "127.0.0.1"], [
      /invite/,
      /--host/,
      /not both/,
      /stm client/,
    ]],
    ["a link and --pin", ["admin", link, "--pin", "12"], [/--pin/, /--host/, /stm admin/]],
    ["an invite and --port", ["client", invite, "--port", "5"], [/--port/, /--host/, /stm client/]],
    ["an invite and --accept-new", ["client", invite, "--accept-new"], [/--accept-new/, /--host/]],
    ["an invite and --room", ["client", invite, "--room", "R"], [/--room/, /invite/, /stm client/]],
    ["--host and --uses", ["admin", "--host", "127.0.0.1", "--uses", "2"], [
      /--uses/,
      /--host/,
      /stm admin 'stm:/,
    ]],
    ["an invite to admin", ["admin", invite], [/invite/, /stm client/]],
    ["a server link to client", ["client", link], [/server link/, /invite/]],
    ["nothing for client", ["client"], [/invite/, /--host/]],
    ["a bad --uses", ["admin", link, "--uses", "0"], [/--uses/, /1 to 1000/, /--uses 5/]],
    ["a name of nothing", ["client", invite, "--name", " "], [/--name/, /fox/]],
    ["a name with a line break", ["client", invite, "--name", "a\nb"], [/--name/, /fox/]],
    ["a bad --pin", ["client", "--host", "127.0.0.1", "--pin", "12 34"], [/--pin/, /32/, /64/]],
    ["not a link", ["client", "http://a/"], [/stm:\/\//]],
    ["no host", ["client", invite.replace(/127[^/]*/, "")], [/host/, /stm:\/\/203/]],
    ["a bad host", ["client", invite.replace("127.0.0.1", "a b")], [/"a b"/, /host/]],
    ["no port", ["client", invite.replace(/:\d+\//, "/")], [/port/, /stm:\/\/203/]],
    ["a bad port", ["client", invite.replace(/:\d+\//, ":0/")], [/"0"/, /port/]],
    ["cut off before the #", ["client", invite.replace(/#.*/, "")], [/cut off/]],
    ["cut off behind the #", ["client", invite.slice(0, -10)], [/damaged|incomplete/]],
    ["other characters", ["client", `${invite.slice(0, -1)}!`], [/other characters/]],
    ["one character changed", [
      "client",
      invite.replace(/#(.{20})./, (_, a) => `#${a}${_.endsWith("A") ? "B" : "A"}`),
    ], [/damaged/]],
    ["another host than it was made for", ["client", invite.replace("127.0.0.1", "127.0.0.2")], [
      /damaged/,
    ]],
    ["an unreadable --invite-file", ["client", "--invite-file", join(stage.folder, "none.txt")], [
      /--invite-file/,
      /none\.txt/,
    ]],
    ["a folder as --invite-file", ["client", "--invite-file", stage.folder], [
      /--invite-file/,
      /stm-e2e-/,
    ]],
  ];
  const failures: string[] = [];
  // Two at a time: each is a process.
  const worker = async () => {
    for (let next = cases.shift(); next !== undefined; next = cases.shift()) {
      const [what, args, said] = next;
      const run = await stage.run(args);
      const output = run.stderr + run.stdout;
      const code = await run.exit;
      const lacking = said.filter((pattern) => !pattern.test(output)).map(String);
      if (code !== 2 || lacking.length > 0 || /at .*\.ts:\d/.test(output)) {
        failures.push(`${what}: exit ${code}, lacks ${lacking.join()}\n${output}`);
      }
    }
  };
  await Promise.all([worker(), worker()]);
  assert.deepEqual(failures, []);
  assert.equal(process.every("error").length, 0);
});
