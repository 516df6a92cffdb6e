/** Whether a file or folder is for its owner alone. */
import { fail, type Finding, ok, warn } from "./finding.ts";

/** What a file is, as far as it matters here. */
export interface FileFacts {
  readonly path: string;
  readonly isDirectory: boolean;
  /** Permission bits; `null` on Windows, which goes by the folder's rights. */
  readonly mode: number | null;
  /** The owner's number; `null` on Windows. */
  readonly uid: number | null;
}

/**
 * Looks at a file or folder, through links.
 *
 * @returns `null` if there is none
 * @throws {Error} the system's, if it may not be looked at
 */
export async function factsOf(path: string): Promise<FileFacts | null> {
  try {
    const { isDirectory, mode, uid } = await Deno.stat(path);
    const windows = Deno.build.os === "windows";
    return {
      path,
      isDirectory,
      mode: windows || mode === null ? null : mode & 0o7777,
      uid: windows ? null : uid,
    };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

const WRITE = 0o022;
const ANY = 0o077;

/**
 * The verdict on a file's permission bits.
 *
 * @param danger what others could do with it: `read` if they may not even read it, `write` if only writing harms
 */
export function modeFinding(
  check: string,
  { path, mode, isDirectory }: FileFacts,
  danger: "read" | "write",
): Finding {
  if (mode === null) {
    return ok(check, `${path} is there; its folder's rights decide who may read it`);
  }
  const shown = `${path} has mode ${mode.toString(8).padStart(4, "0")}`;
  const remedy = `chmod ${isDirectory ? "700" : "600"} ${quoted(path)}`;
  if ((mode & WRITE) !== 0) return fail(check, `${shown}: others may write it`, remedy);
  if ((mode & ANY) === 0) return ok(check, shown);
  const text = `${shown}: others may read it`;
  return danger === "read" ? fail(check, text, remedy) : warn(check, text, remedy);
}

/**
 * The verdict on a file's owner.
 *
 * @param owner who should own it; `null` where there are no owners
 * @returns `null` if there is nothing to say
 */
export function ownerFinding(
  check: string,
  { path, uid }: FileFacts,
  owner: number | null,
): Finding | null {
  if (uid === null || owner === null || uid === owner) return null;
  return fail(
    check,
    `${path} belongs to user ${uid}, and this is used as user ${owner}`,
    `chown ${owner} ${quoted(path)}`,
  );
}

/** A path as a shell takes it. */
export function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

/**
 * Writes a file into a folder and removes it again.
 *
 * @returns the owner's number of what we write (`null` on Windows)
 * @throws {Error} the system's, if it cannot be written
 */
export async function tryWriting(folder: string): Promise<number | null> {
  const path = await Deno.makeTempFile({ dir: folder, prefix: ".doctor." });
  try {
    await Deno.writeFile(path, new Uint8Array(1));
    return (await factsOf(path))?.uid ?? null;
  } finally {
    await Deno.remove(path);
  }
}

/** What the system said, without the path that it repeats. */
export function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message.replace(/: \w+ ['"].*$/s, "") : String(cause);
}
