import assert from "node:assert/strict";
import { COMMANDS } from "../../src/cli.ts";
import { completions, SHELLS } from "../../src/completions.ts";
import { sha256 } from "../../src/crypto/primitives.ts";
import { VERSION } from "../../src/version.ts";
import { fingerprint, inviteSecret, relayKey, roomId, roomSecret } from "../../src/wire/ids.ts";
import { formatLink } from "../../src/wire/link_url.ts";
import { stm } from "../support/stm_command.ts";

const bytes = (length: number) => new Uint8Array(length).fill(7);
const INVITE = formatLink({
  kind: "invite",
  host: "127.0.0.1",
  port: 5000,
  relayKey: relayKey(bytes(32)),
  room: roomId(bytes(16)),
  adminFingerprint: fingerprint(bytes(16)),
  roomSecret: roomSecret(bytes(32)),
  inviteSecret: inviteSecret(bytes(16)),
}, sha256);

const SERVER_LINK = formatLink(
  { kind: "server", host: "127.0.0.1", port: 5000, relayKey: relayKey(bytes(32)) },
  sha256,
);

Deno.test("VERSION is deno.json's, and --version, -V and version print it", async () => {
  const text = await Deno.readTextFile(new URL("../../deno.json", import.meta.url));
  const config: unknown = JSON.parse(text);
  assert.ok(typeof config === "object" && config !== null && "version" in config);
  assert.equal(VERSION, config.version);
  for (const args of [["--version"], ["-V"], ["version"]]) {
    assert.deepEqual(await stm(...args), { code: 0, out: `stm ${VERSION}\n`, err: "" });
  }
});

Deno.test("a command that gives back the right to read has all its parts: completions", async () => {
  for (const shell of SHELLS) {
    const { code, out, err } = await stm("completions", shell);
    assert.deepEqual([code, err], [0, ""]);
    assert.equal(out, completions(shell, COMMANDS));
  }
});

/** Wrong command lines, and what their message has to say. */
const WRONG: readonly (readonly [readonly string[], RegExp])[] = [
  [["sevrer"], /there is no command "sevrer": did you mean stm server\?/],
  [["xyzzy"], /there is no command "xyzzy": see stm --help/],
  [["server", "--port", "65536"], /--port takes .* 0 to 65535, not "65536"; for example --port/],
  [["server", "--prot", "1"], /no option --prot: did you mean --port\?/],
  [["server", "--ui", "tui"], /--ui takes line or json, not "tui"; for example --ui json/],
  [["server", "extra"], /stm server does not take "extra"; for example: stm server/],
  [["server", "--max-rooms", "x"], /--max-rooms takes a whole number/],
  [["admin"], /give the relay's link, or --host .*for example: stm admin/],
  [["admin", "stm://h:1/#AAAA"], /stm server prints its link/],
  [["admin", INVITE], /that is an invite, not a server link: stm client takes it/],
  [["admin", INVITE, "--host", "h"], /the relay's link or --host, not both.*stm admin/],
  [["admin", SERVER_LINK, "--uses", "0"], /--uses takes .* 1 to 1000, not "0"; for example/],
  [["admin", SERVER_LINK, "--expires", "x"], /--expires takes .*, not "x"; for example/],
  [["admin", "--host", "h", "--uses", "5"], /--uses is for an invite.*for example/],
  [["admin", "--host", "h", "--grace", "0"], /--grace takes .*, not "0"; for example/],
  [["client", "--host", "h", INVITE], /an invite or --host, not both; for example: stm client/],
  [["client", "--host", "h", "--port", "0"], /--port takes .* 1 to 65535, not "0"/],
  [["client", "--name"], /--name needs a value: --name fox \(see stm client --help\)/],
  [["demo", "--ui", "x"], /--ui takes line or json, not "x"/],
];

for (const [args, expected] of WRONG) {
  const shown = args.map((a) => a === INVITE ? "INVITE" : a === SERVER_LINK ? "LINK" : a).join(" ");
  Deno.test(`wrong usage ends with exit code 2 and says what is right: stm ${shown}`, async () => {
    const { code, out, err } = await stm(...args);
    assert.equal(code, 2);
    assert.equal(out, "");
    assert.match(err, expected);
    assert.ok(err.startsWith("stm: ") && err.endsWith("\n"));
  });
}
