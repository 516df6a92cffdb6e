/**
 * Runs every test file that holds properties in its long mode (`SLOW=1`), one after another.
 *
 *     deno task fuzz [PATH …]
 *
 * @module
 */

const paths = Deno.args.length > 0 ? Deno.args : ["tests"];
const files: string[] = [];
const walk = async (path: string): Promise<void> => {
  if ((await Deno.stat(path)).isDirectory) {
    for await (const entry of Deno.readDir(path)) await walk(`${path}/${entry.name}`);
  } else if (/[._]test\.tsx?$/.test(path)) {
    if (/from "(fast-check|.*\/support\/property\.ts)"/.test(await Deno.readTextFile(path))) {
      files.push(path);
    }
  }
};
for (const path of paths) await walk(path);

const { code } = await new Deno.Command(Deno.execPath(), {
  args: ["test", "-A", "--no-check", ...files.sort()],
  env: { SLOW: "1" },
}).spawn().status;
Deno.exit(code);
