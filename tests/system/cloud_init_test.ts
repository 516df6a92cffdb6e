/** deploy/cloud-init.yaml: what cloud-init says of it, and the relay that it makes. Needs root. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { sha256 } from "../../src/crypto/primitives.ts";
import { start } from "../support/package_stage.ts";
import { ARCHIVE, onMachine, part } from "../support/systemd_machine.ts";
import { withFolder } from "../support/temporary_folder.ts";

const PATH = fileURLToPath(new URL("../../deploy/cloud-init.yaml", import.meta.url));
const TEXT = await Deno.readTextFile(PATH);

Deno.test("cloud-init finds deploy/cloud-init.yaml valid, and a wrong one not", async () => {
  const right = await start("cloud-init", ["schema", "--config-file", PATH]);
  assert.equal(right.code, 0, right.err);
  await withFolder(async (folder) => {
    const path = join(folder, "wrong.yaml");
    await Deno.writeTextFile(path, TEXT.replace("no_create_home: true", "no_create_home: often"));
    const wrong = await start("cloud-init", ["schema", "--config-file", path]);
    assert.notEqual(wrong.code, 0);
  });
});

/** Only what the file uses, and no network: the parts of an image that a test has no need of. */
const CLOUD_CFG = `datasource_list: [NoCloud]
network: {config: disabled}
cloud_init_modules: [write-files, users-groups]
cloud_config_modules: [runcmd]
cloud_final_modules: [scripts-user]
system_info: {distro: debian}
`;

const BOOT = `
cloud-init init --local
cloud-init init
cloud-init modules --mode=config
cloud-init modules --mode=final
cloud-init status --long
`;

/** A machine that is given the file as its user data. */
async function withUserData(root: string, digest: string): Promise<string> {
  const seed = join(root, "var", "lib", "cloud", "seed", "nocloud");
  await Deno.mkdir(seed, { recursive: true });
  await Deno.mkdir(join(root, "etc", "cloud"));
  await Deno.writeTextFile(join(root, "etc", "cloud", "cloud.cfg"), CLOUD_CFG);
  await Deno.writeTextFile(join(seed, "meta-data"), "instance-id: i-1\n");
  const data = TEXT.replace("PUBLIC_NAME", "chat.example.org").replace("ARCHIVE_SHA256", digest)
    .replace("ARCHIVE_URL", `file:///root/${ARCHIVE}.tar.gz`);
  assert.doesNotMatch(data.replaceAll(/^#.*$/gm, ""), /[A-Z]+_[A-Z]+/);
  // The image's own user, of which there is none here.
  await Deno.writeTextFile(join(seed, "user-data"), data.replace("  - default\n", ""));
  return BOOT;
}

async function digestIn(root: string): Promise<string> {
  return sha256(await Deno.readFile(join(root, "root", `${ARCHIVE}.tar.gz`))).toHex();
}

Deno.test("a machine that is made with deploy/cloud-init.yaml runs a relay", async () => {
  await onMachine(
    async (root) =>
      part("boot", await withUserData(root, await digestIn(root))) + part("up", "up") +
      part("enabled", "systemctl is-enabled stm") + part("journal", "journalctl -u stm -o cat"),
    async (read) => {
      assert.match(await read("boot"), /^status: done$/m);
      assert.match(await read("up"), /"ready":true/);
      assert.match(await read("journal"), /server link: stm:\/\/chat\.example\.org:5000\//);
    },
  );
});

Deno.test("a machine that got another archive than it was told to expect runs nothing", async () => {
  await onMachine(
    async (root) =>
      `${await withUserData(root, "ab".repeat(32))}\n` +
      "ls /opt/stm /etc/systemd/system > /out/installed 2>&1\ncloud-init status > /out/status\n",
    async (read) => {
      assert.doesNotMatch(await read("installed"), /stm\.service|lib/);
      assert.match(await read("status"), /^status: error$/m);
    },
  );
});
