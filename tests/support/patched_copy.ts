/**
 * Copies of the program with one check taken out, to see that an attack bites where its defence is missing.
 * Nothing in src/ can switch a check off, so a copy on disk is the only way.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { withFolder } from "./temporary_folder.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** One replacement in one file; its `from` stands there exactly once. */
export interface Patch {
  /** Names the variant in reports. */
  readonly name: string;
  /** From the repository's root, such as `src/crypto/roster.ts`. */
  readonly file: string;
  /** Text that is there exactly once: else the patch no longer means what it meant. */
  readonly from: string;
  readonly to: string;
}

/** The patch does not fit the program any more; whoever changed the program looks at its attack again. */
export class PatchError extends Error {
  override readonly name = "PatchError";
}

/**
 * Text with `from` replaced.
 *
 * @throws {PatchError} unless `from` is there exactly once, and `to` is something else
 */
export function applyPatch(text: string, patch: Patch): string {
  const parts = text.split(patch.from);
  const [before, after] = parts;
  if (patch.from === "" || before === undefined || after === undefined || parts.length !== 2) {
    throw new PatchError(
      `${patch.name}: the text is ${parts.length - 1} times in ${patch.file}, not once`,
    );
  }
  if (patch.from === patch.to) throw new PatchError(`${patch.name}: it changes nothing`);
  return before + patch.to + after;
}

async function copyTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const entry of Deno.readDir(from)) {
    if (entry.isDirectory) await copyTree(join(from, entry.name), join(to, entry.name));
    else await Deno.copyFile(join(from, entry.name), join(to, entry.name));
  }
}

/**
 * Copies src/, main.ts, deno.json and the lock file into `folder`, with the patches.
 *
 * @param folder new, or empty
 * @param only of src/ just these folders, for tests that import no other
 * @throws {PatchError} as {@linkcode applyPatch}
 */
export async function copyProgram(
  folder: string,
  patches: readonly Patch[],
  only?: readonly string[],
): Promise<void> {
  const parts = only?.map((part) => join("src", part)) ?? ["src"];
  for (const part of parts) await copyTree(join(ROOT, part), join(folder, part));
  for (const file of ["main.ts", "deno.json", "deno.lock"]) {
    try {
      await Deno.copyFile(join(ROOT, file), join(folder, file));
    } catch (error) {
      // The lock file may not be there yet.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  for (const patch of patches) {
    const path = join(folder, patch.file);
    await Deno.writeTextFile(path, applyPatch(await Deno.readTextFile(path), patch));
  }
}

/** Calls `use` with a folder that holds the patched program, and removes it afterwards. */
export async function withPatchedProgram(
  patches: readonly Patch[],
  use: (folder: string) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    await copyProgram(folder, patches);
    await use(folder);
  });
}

/** What a program said: exit code and both outputs. */
export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program with the import map of a folder, to its end.
 *
 * @param folder of {@linkcode copyProgram}
 * @param args what comes after `deno run -A …`
 * @param limitMs a bound: past it the program is killed and its code is not 0
 */
export async function runIn(
  folder: string,
  args: readonly string[],
  limitMs = 300_000,
): Promise<RunResult> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--no-lock", "--config", join(folder, "deno.json"), ...args],
    cwd: folder,
    // Copies live once: what was compiled of them is not worth keeping.
    env: { DENO_EMIT_CACHE_MODE: "disable" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

/** One row of a table of attacks. */
export interface AttackRow {
  /** A claim: what is tried. */
  readonly name: string;
  /** What the program says when its defence is in. */
  readonly expected: string;
  /** Takes the defence out. */
  readonly patch: Patch;
}

/** What an attack came to: on the program as it is, and on the copy without its defence. */
export interface AttackOutcome {
  readonly name: string;
  readonly outcome: string;
}

/**
 * Runs every row of a table on a copy without its defence, in one process. Rows with one patch share a copy.
 *
 * @param script absolute path of a program that is started once, with `{ name, folder }[]` as JSON in a file, its only
 *   argument; for each it imports the program from the folder, tries the attack, and prints
 *   `{ name, outcome }` as a line of JSON
 * @param only as for {@linkcode copyProgram}
 * @returns the outcomes in the order of the rows
 */
export async function runPatched(
  script: string,
  rows: readonly AttackRow[],
  only?: readonly string[],
): Promise<readonly AttackOutcome[]> {
  const outcomes: AttackOutcome[] = [];
  await withFolder(async (folder) => {
    const copies = new Map<string, string>();
    const variants: { name: string; folder: string }[] = [];
    for (const { name, patch } of rows) {
      const key = JSON.stringify([patch.file, patch.from, patch.to]);
      let copy = copies.get(key);
      if (copy === undefined) {
        copy = join(folder, `variant${copies.size}`);
        copies.set(key, copy);
        await copyProgram(copy, [patch], only);
      }
      variants.push({ name, folder: copy });
    }
    await Deno.copyFile(join(ROOT, "deno.json"), join(folder, "deno.json"));
    const list = join(folder, "variants.json");
    await Deno.writeTextFile(list, JSON.stringify(variants));
    const { code, stdout, stderr } = await runIn(folder, [script, list]);
    if (code !== 0) throw new Error(`the patched programs ended with code ${code}:\n${stderr}`);
    for (const line of stdout.split("\n").filter((line) => line !== "")) {
      const row: unknown = JSON.parse(line);
      if (typeof row !== "object" || row === null || !("name" in row) || !("outcome" in row)) {
        throw new Error(`no outcome: ${line}`);
      }
      outcomes.push({ name: String(row.name), outcome: String(row.outcome) });
    }
  });
  return outcomes;
}
