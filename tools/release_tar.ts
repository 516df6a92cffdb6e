/**
 * Tar archives with nothing in them that depends on who made them and when: entries in the order of
 * their names, fixed owners and modes, one time for all.
 *
 * @module
 */

/** One file of an archive. */
export interface ArchiveFile {
  /** Below the archive's root, with `/`. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly executable?: boolean;
}

const BLOCK_BYTES = 512;

/**
 * Writes a tar (POSIX ustar).
 *
 * @param files their order does not matter
 * @param seconds since 1970, of every entry
 * @throws {RangeError} if a path has more than 100 bytes
 */
export function tar(files: readonly ArchiveFile[], seconds: number): Uint8Array<ArrayBuffer> {
  const parts = sorted(files).flatMap((file) => [
    header(file, seconds),
    file.bytes,
    new Uint8Array(-file.bytes.length & (BLOCK_BYTES - 1)),
  ]);
  return concat([...parts, new Uint8Array(2 * BLOCK_BYTES)]);
}

/** By the bytes of their names, which is the same order everywhere. */
export function sorted(files: readonly ArchiveFile[]): ArchiveFile[] {
  return files.toSorted((a, b) => a.path < b.path ? -1 : a.path > b.path ? 1 : 0);
}

/** One piece of memory. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function header({ path, bytes, executable }: ArchiveFile, seconds: number): Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES);
  const put = (at: number, text: string, size: number): void => {
    const encoded = new TextEncoder().encode(text);
    if (encoded.length > size) throw new RangeError(`"${text}" is too long for a tar header`);
    block.set(encoded, at);
  };
  const octal = (at: number, value: number, digits: number): void =>
    put(at, value.toString(8).padStart(digits, "0"), digits);
  put(0, path, 100);
  octal(100, executable ? 0o755 : 0o644, 7);
  octal(108, 0, 7);
  octal(116, 0, 7);
  octal(124, bytes.length, 11);
  octal(136, seconds, 11);
  // The checksum is taken with blanks in its own place.
  put(148, " ".repeat(8), 8);
  put(156, "0", 1);
  put(257, "ustar\x0000", 8);
  octal(148, block.reduce((sum, byte) => sum + byte, 0), 6);
  block[154] = 0;
  return block;
}

/**
 * Reads one file out of a tar.
 *
 * @throws {Error} if it is not there
 */
export function readFromTar(archive: Uint8Array, path: string): Uint8Array {
  const text = new TextDecoder();
  const field = (at: number, size: number): string =>
    text.decode(archive.subarray(at, at + size)).replace(/\0.*$/s, "").trim();
  for (let at = 0; at + BLOCK_BYTES <= archive.length;) {
    const name = field(at, 100);
    if (name === "") break;
    const size = parseInt(field(at + 124, 12), 8);
    const start = at + BLOCK_BYTES;
    if (name === path) return archive.subarray(start, start + size);
    at = start + Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
  }
  throw new Error(`the archive has no ${path}`);
}
