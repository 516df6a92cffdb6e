import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Accounts } from "../../src/store/accounts.ts";
import { withFolder } from "../support/temporary_folder.ts";

const WRITER = fileURLToPath(new URL("../support/account_writer.ts", import.meta.url));
const KILLS = 300;
const AT_ONCE = 4;

Deno.test(`users.json is whole, old or new, after each of ${KILLS} kills amid its changes`, async () => {
  await withFolder(async (folder) => {
    let interrupted = 0;
    for (let kill = 0; kill < KILLS; kill += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, async (_, i) => {
        // Each file is killed over and over: whoever starts anew finds what the last one left.
        const path = join(folder, String(i), "users.json");
        const before = (await new Accounts(path).read()).users.length;
        const changes = await writeUntilKilled(path, Math.floor(Math.random() * 12));
        const { users } = await new Accounts(path).read();
        // Every second change adds one; each name comes twice at the most.
        assert.ok(users.length + 1 >= Math.min(before, 500), `${users.length} of ${before}`);
        assert.ok(changes < 2 || users.some(({ record }) => record !== undefined));
        for (const { name } of Deno.readDirSync(join(folder, String(i)))) {
          if (!name.endsWith(".tmp")) continue;
          interrupted++;
          await Deno.remove(join(folder, String(i), name));
        }
      }));
    }
    // A kill inside a write leaves its temporary file: that is how we know that some hit one.
    console.log(`${KILLS} kills, ${interrupted} of them inside a write; every file whole`);
    assert.ok(interrupted > KILLS / 20, `only ${interrupted} kills met a write`);
  });
});

async function writeUntilKilled(path: string, after: number): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-lock", "--no-check", "--quiet", "-A", WRITER, path],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let changes = 0;
  let killing = false;
  for await (const dots of child.stdout) {
    changes += dots.length;
    if (changes <= after || killing) continue;
    killing = true;
    setTimeout(() => child.kill("SIGKILL"), Math.random() * 4);
  }
  await child.status;
  return changes;
}
