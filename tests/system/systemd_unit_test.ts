/**
 * deploy/stm.service: what systemd says of it, and a relay that a real systemd runs by it, as
 * docs/OPERATIONS.md says. Needs root.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DEFAULT_OPERATION } from "../../src/server/operation.ts";
import { SERVER_OPTIONS } from "../../src/server/options.ts";
import { DEFAULT_RELAY_LIMITS } from "../../src/server/relay_limits.ts";
import { start } from "../support/package_stage.ts";
import { ARCHIVE, onMachine, part } from "../support/systemd_machine.ts";
import { withFolder } from "../support/temporary_folder.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const UNIT = await Deno.readTextFile(join(ROOT, "deploy", "stm.service"));
const OPERATIONS = await Deno.readTextFile(join(ROOT, "docs", "OPERATIONS.md"));

/** All values of a setting, in order. */
function settings(name: string): string[] {
  return [...UNIT.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map(([, value = ""]) => value);
}

/** Writes the unit, with a program that is there, and has systemd look at it. */
async function analysed(unit: string, ...args: string[]) {
  let ended = { code: -1, out: "", err: "" };
  await withFolder(async (folder) => {
    const path = join(folder, "stm.service");
    await Deno.writeTextFile(path, unit.replace("/opt/stm/stm", "/bin/true"));
    ended = await start("systemd-analyze", [...args, path]);
  });
  return ended;
}

Deno.test("systemd-analyze verify has nothing to say of the unit, and does of a wrong one", async () => {
  assert.deepEqual(await analysed(UNIT, "verify"), { code: 0, out: "", err: "" });
  const wrong = await analysed(UNIT.replace("ProtectSystem", "ProtectSytem"), "verify");
  assert.match(wrong.err, /Unknown key (name )?'ProtectSytem'/);
});

Deno.test("systemd-analyze security gives the figure that docs/OPERATIONS.md states", async () => {
  const { out } = await analysed(UNIT, "security", "--offline=true", "--no-pager");
  const [, figure] = /Overall exposure level for stm\.service: (\d+\.\d)/.exec(out) ?? [];
  const [, stated] = /`systemd-analyze security` gives it (\d+\.\d)/.exec(OPERATIONS) ?? [];
  assert.ok(figure !== undefined, out);
  assert.equal(figure, stated);
});

Deno.test("the unit's bounds are above what the relay's own defaults ask for", () => {
  const [seconds = ""] = settings("TimeoutStopSec");
  assert.ok(Number(seconds) * 1000 > DEFAULT_OPERATION.drainMs + 2000, seconds);
  const [files = ""] = settings("LimitNOFILE");
  assert.ok(Number(files) >= DEFAULT_RELAY_LIMITS.maxConnections + 64, files);
  const [command = ""] = settings("ExecStart");
  const options = [...command.matchAll(/--([\w-]+)/g)].map(([, name]) => name);
  assert.ok(options.length > 0);
  for (const name of options) assert.ok(SERVER_OPTIONS.some((option) => option.name === name));
});

/**
 * The commands that a section of docs/OPERATIONS.md gives, as a script.
 *
 * @param number of the section's blocks of commands, from 0
 */
function commandsOf(section: string, number: number): string {
  const text = OPERATIONS.split(/^## /m).find((part) => part.startsWith(`${section}\n`)) ?? "";
  const block = [...text.matchAll(/^```console\n(.*?)^```/gms)][number]?.[1];
  assert.ok(block !== undefined, `${section} has no block ${number} of commands`);
  const lines = block.trim().split("\n").map((line) => line.replace(/^\$ /, ""));
  return lines.join("\n").replaceAll(/stm-\d+\.\d+\.\d+-linux-x86_64/g, ARCHIVE);
}

/** What is done in the container: an operator's first day, and a bad one. */
const SCRIPT = `
reloaded() {
  for try in $(seq 100); do
    [ "$(journalctl -u stm -o cat | grep -c ' reloaded ')" -ge "$1" ] && return
    sleep 0.1
  done
  return 1
}
${part("install", commandsOf("Install", 0))}
${part("up", "up")}
${part("asked", commandsOf("Install", 1))}
${part("doctor", commandsOf("Is all well?", 0))}
pid=$(systemctl show -p MainPID --value stm)
cat /proc/$pid/status /proc/$pid/limits > /out/process
stat -c '%n %U %a' /var/lib/stm /var/lib/stm/* > /out/files
${part("ban", "sudo -u stm stm server ban add 203.0.113.7 --certs /var/lib/stm")}
${part("reload", "systemctl reload stm\nreloaded 2")}
kill -9 $pid
${part("killed", "up")}
systemctl show -p NRestarts stm > /out/restarts
${part("upgrade", `${commandsOf("Upgrade", 0).replace(/\n[^\n]*$/, "")}\nup`)}
${part("backup", commandsOf("Backup", 0))}
systemctl stop stm
systemctl show -p Result -p ExecMainStatus stm > /out/stopped
rm -r /var/lib/stm/*
${part("restored", `${commandsOf("Backup", 1)}\nup`)}
systemctl stop stm
journalctl -u stm -o cat > /out/journal
`;

Deno.test("docs/OPERATIONS.md's commands install, ask, upgrade, back up and restore a relay under a real systemd", async () => {
  await onMachine(() => Promise.resolve(SCRIPT), async (read) => {
    const journal = await read("journal");
    assert.match(await read("asked"), /takes new people[^]*nobody is banned/);
    for (const check of ["key", "running", "port", "metrics", "descriptors", "memory"]) {
      assert.match(await read("doctor"), new RegExp(`^ok +${check} `, "m"));
    }
    const process = await read("process");
    assert.match(process, /^CapEff:\s+0+$/m);
    assert.match(process, /^CapBnd:\s+0+$/m);
    assert.match(process, /^NoNewPrivs:\s+1$/m);
    assert.match(process, /^Seccomp:\s+2$/m);
    assert.match(process, /^Max open files\s+16384\s/m);
    assert.match(await read("files"), /^\/var\/lib\/stm stm 700$/m);
    assert.match(await read("files"), /^\/var\/lib\/stm\/relay\.key\.pem stm 600$/m);
    assert.equal(journal.match(/ reloaded /g)?.length, 2, journal);
    assert.match(await read("restarts"), /^NRestarts=1$/m);
    assert.match(await read("stopped"), /^Result=success$[^]*^ExecMainStatus=0$/m);
    // Four starts: the first, after it was killed, after the upgrade, from the backup.
    const fingerprints = [...journal.matchAll(/fingerprint: (.*)/g)].map(([, shown]) => shown);
    assert.equal(fingerprints.length, 4, journal);
    assert.equal(new Set(fingerprints).size, 1, journal);
    assert.doesNotMatch(journal, /EPERM|Operation not permitted|denied/i);
  });
});
