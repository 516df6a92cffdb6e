/**
 * A machine with a systemd of its own, in a container of systemd-nspawn: this machine's programs, and
 * nothing else of it. It boots, runs one script, and is gone. Needs root.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { VERSION } from "../../src/version.ts";
import { OWN, start } from "./package_stage.ts";
import { withFolder } from "./temporary_folder.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The archive of this system as a release names it, without its ending. */
export const ARCHIVE = `stm-${VERSION}-${OWN.name}`;

/** What of this machine the container has too. */
const PROGRAMS = ["usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "usr/share"];

const SCRIPT_UNIT = `[Unit]
SuccessAction=exit
FailureAction=exit
[Service]
Type=oneshot
ExecStart=/bin/sh /root/script.sh
`;

const FILES: Readonly<Record<string, string>> = {
  "etc/os-release": 'ID=debian\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\n',
  // With one it is no first boot, at which Debian's presets would turn on more.
  "etc/machine-id": `${"0123456789abcdef".repeat(2)}\n`,
  "etc/passwd": "root:x:0:0::/root:/bin/sh\n",
  "etc/group": "root:x:0:\n",
  "etc/login.defs": "USERGROUPS_ENAB yes\n",
  "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
  "etc/hosts": "127.0.0.1 localhost\n",
  "etc/systemd/system/script.service": SCRIPT_UNIT,
  "etc/systemd/system/default.target": "[Unit]\nWants=script.service\n",
};

/**
 * What a script begins with: `sudo` for a root without it, and `up`, which waits until the relay of
 * /var/lib/stm answers.
 */
const HELPERS = `
sudo() {
  if [ "$1" = -u ]; then
    user=$2 && shift 2 && setpriv --reuid="$user" --regid="$user" --clear-groups "$@"
  else "$@"; fi
}
up() {
  for try in $(seq 100); do
    sudo -u stm stm server status --ui json --certs /var/lib/stm && return
    sleep 0.1
  done
  return 1
}
cd /root
`;

/** Runs a part of a script, its words to /out/NAME; the first command that fails ends it. */
export function part(name: string, commands: string): string {
  return `(set -e\n${commands}\n) > /out/${name} 2>&1; echo $? > /out/${name}.code\n`;
}

/** What the script left in /out; says what the machine said where it left nothing. */
export type ReadOut = (name: string) => Promise<string>;

/**
 * Boots the machine, with a release of stm for this system in /root.
 *
 * @param prepare puts more into the machine, by its root; gives the script to run
 * @param check looks at what the script left; every {@linkcode part} has gone well by then
 */
export async function onMachine(
  prepare: (root: string) => Promise<string>,
  check: (read: ReadOut) => Promise<void>,
): Promise<void> {
  await withFolder(async (root) => {
    await Deno.chmod(root, 0o755);
    for (const name of ["usr/local/bin", "out", "root", "etc/systemd/system", "var", ...PROGRAMS]) {
      await Deno.mkdir(join(root, name), { recursive: true });
    }
    for (const name of ["bin", "sbin", "lib", "lib64"]) {
      await Deno.symlink(`usr/${name}`, join(root, name));
    }
    await release(join(root, "root"));
    const script = `${HELPERS}${await prepare(root)}`;
    for (const [path, text] of Object.entries({ ...FILES, "root/script.sh": script })) {
      await Deno.writeTextFile(join(root, path), text);
    }
    const booted = await start("systemd-nspawn", [
      "--quiet",
      `--directory=${root}`,
      ...PROGRAMS.map((path) => `--bind-ro=/${path}`),
      "--boot",
      "--register=no",
      "--keep-unit",
      "--private-network",
      "--console=pipe",
    ]);
    const read: ReadOut = (name) =>
      Deno.readTextFile(join(root, "out", name)).catch(() => `nothing: ${booted.out}${booted.err}`);
    for (const [, name = ""] of script.matchAll(/\/out\/(\w+)\.code$/gm)) {
      assert.equal((await read(`${name}.code`)).trim(), "0", `${name}: ${await read(name)}`);
    }
    await check(read);
  });
}

async function release(out: string): Promise<void> {
  const args = ["task", "release", "--target", "own", "--no-compile", "--no-measure", "--out", out];
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { SOURCE_DATE_EPOCH: "1000000000" },
    stdout: "null",
    stderr: "piped",
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
}
