/**
 * Packages of this machine's system made in no time: the real launchers around a runtime of the
 * test's own, unpacked and ready to be started.
 */
import { join } from "node:path";
import { npmArtefact, type Parts, systemArtefacts } from "../../tools/release_archives.ts";
import { readFromTar } from "../../tools/release_tar.ts";
import { ownTarget, RUNTIME_VERSION } from "../../tools/release_targets.ts";
import { gunzipSync } from "node:zlib";

/** The target of this machine. */
export const OWN = (() => {
  const own = ownTarget();
  if (own === undefined) throw new Error("there is no runtime for this machine");
  return own;
})();

const ENCODER = new TextEncoder();

/** A runtime that prints its arguments and some of its environment, one a line. */
export const TALKING_RUNTIME = `#!/bin/sh
if [ "$1" = --version ]; then exit 0; fi
printf '%s\\n' "$@"
env | grep -E '^(DENO|NODE|SSL)' | sort
exit 7
`;

/** The parts of a package with a script of the test's own. */
export function parts(script = "// nothing"): Parts {
  return { version: "0.1.0", seconds: 1_000_000_000, script: ENCODER.encode(script), papers: [] };
}

/** Writes an archive's launcher and `lib/` into a folder. @returns the launcher's path */
export async function unpackArchive(
  folder: string,
  runtime: string | { link: string },
  script?: string,
): Promise<string> {
  const [archive] = await systemArtefacts(OWN, ENCODER.encode("placeholder"), parts(script));
  if (archive === undefined) throw new Error("no archive");
  const files = gunzipSync(archive.bytes);
  const base = archive.name.replace(".tar.gz", "");
  const lib = join(folder, "lib");
  await Deno.mkdir(lib, { recursive: true });
  const launcher = join(folder, "stm");
  await Deno.writeFile(launcher, readFromTar(files, `${base}/stm`), { mode: 0o755 });
  await Deno.writeFile(join(lib, "stm.js"), readFromTar(files, `${base}/lib/stm.js`));
  const path = join(lib, OWN.runtime);
  if (typeof runtime === "string") await Deno.writeTextFile(path, runtime, { mode: 0o755 });
  else await Deno.symlink(runtime.link, path);
  return launcher;
}

/** Writes the single file, of this machine if no other is named. @returns its path */
export async function writeSingleFile(
  folder: string,
  runtime: string,
  target = OWN,
): Promise<string> {
  const artefacts = await systemArtefacts(target, ENCODER.encode(runtime), parts());
  const single = artefacts.find(({ executable }) => executable);
  if (single === undefined) throw new Error("no single file");
  const path = join(folder, "stm");
  await Deno.writeFile(path, single.bytes, { mode: 0o755 });
  return path;
}

/** Lays the npm package out as npm would, with a runtime. @returns the path of its bin */
export async function layOutNpm(
  folder: string,
  runtime: string | { link: string },
  script?: string,
): Promise<string> {
  const { bytes } = await npmArtefact(parts(script));
  const files = gunzipSync(bytes);
  for (const path of ["package.json", "bin/stm.js", "lib/stm.js"]) {
    await Deno.mkdir(join(folder, path, ".."), { recursive: true });
    await Deno.writeFile(join(folder, path), readFromTar(files, `package/${path}`));
  }
  const module = join(folder, "node_modules", ...OWN.package.split("/"));
  await Deno.mkdir(module, { recursive: true });
  await Deno.writeTextFile(
    join(module, "package.json"),
    JSON.stringify({ name: OWN.package, version: RUNTIME_VERSION }),
  );
  const path = join(module, OWN.runtime);
  if (typeof runtime === "string") await Deno.writeTextFile(path, runtime, { mode: 0o755 });
  else await Deno.symlink(runtime.link, path);
  return join(folder, "bin", "stm.js");
}

/** What a program left behind. */
export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a program with nothing but the given environment and PATH. */
export async function start(
  program: string,
  args: readonly string[],
  options: { env?: Record<string, string>; cwd?: string } = {},
): Promise<Ended> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    clearEnv: true,
    env: { PATH: Deno.env.get("PATH") ?? "", ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(120_000),
  }).output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

/** Changes one bit of a file, and changes it back the next time. */
export async function flip(path: string, at: number): Promise<void> {
  using file = await Deno.open(path, { read: true, write: true });
  const byte = new Uint8Array(1);
  await file.seek(at, Deno.SeekMode.Start);
  await file.read(byte);
  await file.seek(at, Deno.SeekMode.Start);
  await file.write(Uint8Array.of((byte[0] ?? 0) ^ 1));
}
