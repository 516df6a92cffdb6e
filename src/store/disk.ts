/**
 * The one door of `store` to the system. Each difference between operating systems is one function here;
 * what the calls are put together to is in `atomic.ts`, `json_file.ts` and the stores.
 */
import { basename, dirname, join } from "node:path";
import { StoreError } from "./store_error.ts";

/** Bytes with memory of their own. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Only the owner: a profile holds secrets, a pin file says whom somebody talks to. */
export const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** Ours are some KiB; whatever is larger was not written by us and is not read into memory. */
export const MAX_FILE_BYTES = 16 * 1024 * 1024;

/** A temporary file this old has no writer any more: a write takes milliseconds. */
const LEFTOVER_AFTER_MS = 60_000;
const TEMPORARY = /^\.(.+)\.[0-9a-f]{16}\.tmp$/;

/**
 * The whole file.
 *
 * @returns `undefined` if there is none
 * @throws {StoreError} `unreadable`
 */
export async function readIfThere(path: string): Promise<Bytes | undefined> {
  try {
    using file = await Deno.open(path, { read: true });
    const { size, isFile } = await file.stat();
    if (!isFile) throw new StoreError("unreadable", path, "is not a file");
    if (size > MAX_FILE_BYTES) {
      throw new StoreError("unreadable", path, `${size} bytes are too many to be a file of stm`);
    }
    return await Deno.readFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return undefined;
    if (cause instanceof StoreError) throw cause;
    throw new StoreError("unreadable", path, `cannot be read (${reason(cause)})`, { cause });
  }
}

/**
 * Makes a folder and those above it, 0700 and durable. One that exists keeps its mode.
 *
 * @throws {StoreError} `unwritable`
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { mode: FOLDER_MODE });
    // A package may write its own folder and open none above it: the name of that one is made durable
    // by the system, a little later.
    await syncFolder(dirname(path)).catch(unlessNotGranted);
  } catch (cause) {
    if (cause instanceof Deno.errors.AlreadyExists) return;
    if (cause instanceof Deno.errors.NotFound && dirname(path) !== path) {
      await makeFolder(dirname(path));
      return await makeFolder(path);
    }
    throw new StoreError("unwritable", path, `cannot be made (${reason(cause)})`, { cause });
  }
}

/**
 * Puts bytes into a new temporary file beside `path`, down to the disk.
 *
 * @param mode permission bits from the first moment on; Windows goes by the folder's rights
 * @returns the temporary file's path; it is gone again if this throws
 */
export async function writeTemporary(path: string, bytes: Uint8Array, mode: number) {
  const name = crypto.getRandomValues(new Uint8Array(8)).toHex();
  const temporary = join(dirname(path), `.${basename(path)}.${name}.tmp`);
  try {
    using file = await Deno.open(temporary, { write: true, createNew: true, mode });
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    // On macOS the runtime asks for F_FULLFSYNC, so this holds there too.
    await file.sync();
  } catch (cause) {
    await removeIfThere(temporary);
    throw cause;
  }
  return temporary;
}

/**
 * Whose the files are that we make in a folder: the number of their owner.
 *
 * @returns null on Windows, and where none can be made
 */
export async function ownerOfWhatWeWrite(folder: string): Promise<number | null> {
  try {
    const path = await Deno.makeTempFile({ dir: folder, prefix: ".owner." });
    try {
      return (await Deno.stat(path)).uid;
    } finally {
      await Deno.remove(path);
    }
  } catch {
    return null; // whoever writes next says why
  }
}

/** Gives the temporary file its name, in one step, and makes the name durable. */
export async function replaceFile(temporary: string, path: string): Promise<void> {
  try {
    await Deno.rename(temporary, path);
  } catch (cause) {
    await removeIfThere(temporary);
    throw cause;
  }
  await syncFolder(dirname(path));
}

function unlessNotGranted(error: unknown): void {
  if (!(error instanceof Deno.errors.NotCapable)) throw error;
}

/** A name lives in its folder: until that is synced, a power cut may bring the old file back. */
async function syncFolder(path: string): Promise<void> {
  // Windows opens no folder as a file; NTFS writes its names to a journal of its own.
  if (Deno.build.os === "windows") return;
  using folder = await Deno.open(path, { read: true });
  await folder.sync();
}

/**
 * Removes temporary files of `path` that a crash left behind. Young ones stay: they may be another
 * process's. Whatever cannot be removed stays for the next time.
 */
export async function removeLeftovers(path: string): Promise<void> {
  const folder = dirname(path);
  const young = Date.now() - LEFTOVER_AFTER_MS;
  for await (const { name } of Deno.readDir(folder)) {
    if (TEMPORARY.exec(name)?.[1] !== basename(path)) continue;
    const written = await Deno.lstat(join(folder, name)).then((info) => info.mtime, () => null);
    if (written !== null && written.getTime() < young) await removeIfThere(join(folder, name));
  }
}

async function removeIfThere(path: string): Promise<void> {
  await Deno.remove(path).catch(() => undefined);
}

/** A lock that is held. The system frees it when the process ends, however it ends. */
export interface FileLock {
  /** Frees it. */
  release(): void;
}

/**
 * Locks `path`.lock against every other holder, in this process or another. The lock file stays: to
 * remove one is a race with those who are about to lock it.
 *
 * @param wait whether to wait for the holder; the wait does not hold up this process
 * @returns `undefined` if somebody holds it and `wait` is false
 * @throws {StoreError} `unwritable`
 */
export async function lockFile(path: string, wait: boolean): Promise<FileLock | undefined> {
  const lockPath = `${path}.lock`;
  await makeFolder(dirname(path));
  let file: Deno.FsFile | undefined;
  try {
    file = await Deno.open(lockPath, { read: true, write: true, create: true, mode: FILE_MODE });
    if (wait) await file.lock(true);
    else if (!await file.tryLock(true)) {
      file.close();
      return undefined;
    }
  } catch (cause) {
    file?.close();
    throw new StoreError("unwritable", lockPath, `cannot be locked (${reason(cause)})`, { cause });
  }
  const held = file;
  return { release: () => held.close() };
}

/** The system's word for what went wrong, without the path that it repeats. */
export function reason(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  // The runtime's advice is for those who start it themselves.
  if (cause instanceof Deno.errors.NotCapable) return "stm was started without the right to";
  return cause.message.replace(/: (open|mkdir|rename|stat|readfile|remove|readdir)\b.*$/s, "");
}
