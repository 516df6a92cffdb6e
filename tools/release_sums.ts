/**
 * `SHA256SUMS`, and its signature when a key is given.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { run } from "./release_run.ts";

/** A key of minisign, and the file with its password if it has one. */
export interface SigningKey {
  readonly path: string;
  readonly passwordFile: string | null;
}

/** As `sha256sum -c` reads it, in the order of the names. */
export function sums(files: readonly { name: string; bytes: Uint8Array }[]): string {
  return files
    .toSorted((a, b) => a.name < b.name ? -1 : 1)
    .map(({ name, bytes }) => `${createHash("sha256").update(bytes).digest("hex")}  ${name}\n`)
    .join("");
}

/**
 * Signs `SHA256SUMS` in a folder; the signature is `SHA256SUMS.minisig`.
 *
 * @param seconds since 1970, for the comment, which is signed too
 * @throws {Error} if minisign is not here or refuses
 */
export async function sign(
  folder: string,
  key: SigningKey,
  version: string,
  seconds: number,
): Promise<void> {
  const password = key.passwordFile === null
    ? null
    : (await Deno.readTextFile(key.passwordFile)).split("\n")[0] ?? "";
  await run("minisign", [
    "-S",
    // Without a password, -W keeps it from asking for one.
    ...(password === null ? ["-W"] : []),
    "-s",
    key.path,
    "-m",
    join(folder, "SHA256SUMS"),
    "-t",
    `stm ${version} ${new Date(seconds * 1000).toISOString()}`,
  ], password === null ? {} : { input: `${password}\n` });
}
