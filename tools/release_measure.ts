/**
 * Start-up times of what runs here, each as the best of some runs, which says least about whatever
 * else the machine is doing, and as a ratio to `deno run` of the bundle.
 *
 * @module
 */
import { join } from "node:path";
import { run } from "./release_run.ts";
import type { Artefact } from "./release_archives.ts";
import { RUNTIME_VERSION, type Target } from "./release_targets.ts";

/** What was measured. */
export interface Measured {
  readonly what: string;
  /** Until `stm --help` has ended. */
  readonly ms: number;
  /** To `deno run` of the bundle. */
  readonly ratio: number;
}

const RUNS = 15;

/**
 * Starts each artefact of this machine's system.
 *
 * @param artefacts all that were built; those of other systems are left out
 * @param runtime the runtime's file
 */
export async function measure(
  target: Target,
  artefacts: readonly Artefact[],
  script: Uint8Array,
  runtime: Uint8Array,
): Promise<Measured[]> {
  const folder = await Deno.makeTempDir({ prefix: "stm-measure-" });
  try {
    const env = { HOME: join(folder, "home"), STM_CACHE: join(folder, "cache") };
    const bundle = join(folder, "stm.js");
    const deno = join(folder, target.runtime);
    await Deno.writeFile(bundle, script);
    await Deno.writeFile(deno, runtime, { mode: 0o755 });
    const measured: { what: string; ms: number }[] = [];
    const baseline = {
      what: "deno run stm.js",
      program: deno,
      args: ["run", "-A", "--no-config", "--no-lock", bundle, "--help"],
    };
    const starts = [baseline, ...await startable(target, artefacts, folder, deno)];
    for (const { what, program, args } of starts) {
      const cold = await time(program, args, env);
      if (what.startsWith("single file")) {
        measured.push({ what: "single file, first start", ms: cold });
      }
      // Further starts take turns below.
    }
    const times = new Map<string, number[]>();
    for (let i = 0; i < RUNS; i++) {
      for (const { what, program, args } of starts) {
        times.set(what, [...times.get(what) ?? [], await time(program, args, env)]);
      }
    }
    for (const { what } of starts) measured.push({ what, ms: Math.min(...times.get(what) ?? []) });
    const base = measured.find(({ what }) => what === baseline.what)?.ms ?? NaN;
    return measured.map(({ what, ms }) => ({ what, ms, ratio: ms / base }));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function startable(
  target: Target,
  artefacts: readonly Artefact[],
  folder: string,
  deno: string,
): Promise<{ what: string; program: string; args: string[] }[]> {
  const found: { what: string; program: string; args: string[] }[] = [];
  for (const { name, bytes } of artefacts) {
    const path = join(folder, name);
    if (name.endsWith(`${target.name}.tar.gz`)) {
      await Deno.writeFile(path, bytes);
      await run("tar", ["xzf", path, "-C", folder]);
      const unpacked = join(folder, `unpacked-${target.name}`);
      await Deno.rename(path.replace(/\.tar\.gz$/, ""), unpacked);
      found.push({ what: "archive", program: join(unpacked, "stm"), args: ["--help"] });
    } else if (name.endsWith("-npm.tgz")) {
      await Deno.writeFile(path, bytes);
      await run("tar", ["xzf", path, "-C", folder]);
      // As npm would lay it out, with the runtime in a package of its own.
      const module = join(folder, "package", "node_modules", ...target.package.split("/"));
      await Deno.mkdir(module, { recursive: true });
      await Deno.symlink(deno, join(module, target.runtime));
      await Deno.writeTextFile(
        join(module, "package.json"),
        JSON.stringify({ name: target.package, version: RUNTIME_VERSION }),
      );
      const bin = join(folder, "package", "bin", "stm.js");
      found.push({ what: "npm package", program: "node", args: [bin, "--help"] });
    } else if (name.endsWith(target.name) || name.includes(`${target.name}-compiled`)) {
      await Deno.writeFile(path, bytes, { mode: 0o755 });
      const what = name.endsWith(target.name) ? "single file" : "compiled";
      found.push({ what, program: path, args: ["--help"] });
    }
  }
  return found;
}

async function time(
  program: string,
  args: readonly string[],
  env: Record<string, string>,
): Promise<number> {
  const began = performance.now();
  await run(program, args, { env });
  return performance.now() - began;
}
