/**
 * `deno compile` of `stm.js`, where the base runtime that it downloads can be had.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { compileFlags } from "./release_launchers.ts";
import type { Artefact } from "./release_archives.ts";
import { run } from "./release_run.ts";
import type { Target } from "./release_targets.ts";

const LIMIT_MS = 5 * 60_000;

/**
 * Compiles for one system.
 *
 * @param script `stm.js`
 * @param seconds since 1970, that the program will say its script is from
 * @returns the program, or one line that says why there is none
 */
export async function compiled(
  target: Target,
  script: Uint8Array,
  version: string,
  seconds: number,
): Promise<Artefact | string> {
  const name = `stm-${version}-${target.name}-compiled${target.os === "windows" ? ".exe" : ""}`;
  const folder = await Deno.makeTempDir({ prefix: "stm-compile-" });
  try {
    const output = join(folder, name);
    await compile(await dated(script, folder, seconds), output, ["--target", target.triple], {});
    return { name, bytes: await Deno.readFile(output), executable: true };
  } catch (error) {
    return `${target.name}: not compiled, ${reason(error)}`;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * Compiles twice for this machine with the plain runtime as the base, which needs no download: from
 * two folders and at two times. What comes out proves that the build repeats itself, and is good for
 * nothing else.
 *
 * @returns the digest of both
 * @throws {Error} if they differ
 */
export async function proveCompile(script: Uint8Array, seconds: number): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "stm-compile-" });
  try {
    const digests: string[] = [];
    for (const name of ["first", "second"]) {
      const output = join(folder, name, "stm");
      await Deno.mkdir(join(folder, name));
      const path = await dated(script, join(folder, name), seconds);
      await compile(path, output, [], { DENORT_BIN: Deno.execPath() });
      digests.push(createHash("sha256").update(await Deno.readFile(output)).digest("hex"));
      await Deno.remove(output);
    }
    const [first = "", second] = digests;
    if (first !== second) throw new Error(`two compilations differ: ${digests.join(" and ")}`);
    return first;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The compiler writes the script's date into the program, to the millisecond; not where it lies. */
async function dated(script: Uint8Array, folder: string, seconds: number): Promise<string> {
  const path = join(folder, "stm.js");
  await Deno.writeFile(path, script);
  await Deno.utime(path, seconds, seconds);
  return path;
}

async function compile(
  script: string,
  output: string,
  more: readonly string[],
  env: Record<string, string>,
): Promise<void> {
  await run(Deno.execPath(), [
    "compile",
    "--quiet",
    "--no-config",
    "--no-lock",
    "--app-name",
    "stm",
    "--engine",
    "v8",
    ...compileFlags(),
    ...more,
    "--output",
    output,
    script,
  ], { limitMs: LIMIT_MS, env });
}

/** The line of a failure that names what could not be had. */
function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const line = text.split("\n").find((line) => /https?:\/\//.test(line)) ?? text.split("\n")[0] ??
    "";
  const host = /https?:\/\/([\w.-]+)/.exec(line)?.[1];
  return host === undefined
    ? line.trim()
    : `the base runtime of ${host} is out of reach: ${line.replace(/^.*\): /, "").trim()}`;
}
