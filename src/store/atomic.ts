import { dirname } from "node:path";
import {
  FILE_MODE,
  makeFolder,
  MAX_FILE_BYTES,
  reason,
  removeLeftovers,
  replaceFile,
  writeTemporary,
} from "./disk.ts";
import { StoreError } from "./store_error.ts";

/**
 * Replaces a file whole or not at all: whoever reads it, also after a crash or a power cut, finds the
 * old bytes or the new ones. It has resolved only when the new ones are on the disk. Folders that are
 * missing are made 0700. A symbolic link at `path` is replaced, not followed.
 *
 * Two writers at once give one of the two, whole; who must not lose a change takes `lockFile` around
 * reading and writing.
 *
 * @param bytes not to be changed until the promise is settled
 * @param mode permission bits of the new file, whatever those of the old one were
 * @throws {StoreError} `unwritable`; the old file is as it was, but for a failed sync of its folder,
 *   after which either may be found
 * @see PROTOCOL "TLS and pinning": key files are written whole or not at all
 */
export async function writeFileAtomic(
  path: string,
  bytes: Uint8Array,
  mode: number = FILE_MODE,
): Promise<void> {
  if (bytes.length > MAX_FILE_BYTES) {
    // It would never be read again.
    throw new StoreError("unwritable", path, `would have ${bytes.length} bytes, which is too much`);
  }
  await makeFolder(dirname(path));
  try {
    await removeLeftovers(path);
    await replaceFile(await writeTemporary(path, bytes, mode), path);
  } catch (cause) {
    throw new StoreError("unwritable", path, `cannot be written (${reason(cause)})`, { cause });
  }
}
