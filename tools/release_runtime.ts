/**
 * Brings the runtime of a target here: `npm pack` of its package, through the ordinary client, held
 * to the pinned digest. What was brought once is kept beside the packages and checked again.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { run } from "./release_run.ts";
import { readFromTar } from "./release_tar.ts";
import { RUNTIME_VERSION, type Target } from "./release_targets.ts";

const DOWNLOAD_LIMIT_MS = 10 * 60_000;

/**
 * The runtime's executable file.
 *
 * @param cache folder for the packages
 * @param bring puts a package's tarball into a folder, as `npm pack` does
 * @throws {Error} if npm cannot bring it, or what it brings is not what was pinned
 */
export async function runtimeOf(
  target: Target,
  cache: string,
  bring: (spec: string, folder: string) => Promise<unknown> = npmPack,
): Promise<Uint8Array> {
  const name = `${target.package.replace("@", "").replace("/", "-")}-${RUNTIME_VERSION}.tgz`;
  const path = join(cache, name);
  await Deno.mkdir(cache, { recursive: true });
  let packed = await Deno.readFile(path).catch(() => null);
  if (packed === null || integrity(packed) !== target.integrity) {
    // Packed into a folder of its own: two builds may bring it at the same time.
    const folder = await Deno.makeTempDir({ dir: cache, prefix: "pack-" });
    try {
      await bring(`${target.package}@${RUNTIME_VERSION}`, folder);
      packed = await Deno.readFile(join(folder, name));
      if (integrity(packed) === target.integrity) await Deno.rename(join(folder, name), path);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
  const found = integrity(packed);
  if (found !== target.integrity) {
    throw new Error(`${target.package}: npm brought ${found}, pinned is ${target.integrity}`);
  }
  return readFromTar(gunzipSync(packed), `package/${target.runtime}`);
}

function npmPack(spec: string, folder: string): Promise<string> {
  const args = ["pack", spec, "--silent", "--pack-destination", folder];
  return run("npm", args, { limitMs: DOWNLOAD_LIMIT_MS });
}

/** The digest of a package as npm writes it. */
export function integrity(packed: Uint8Array): string {
  return `sha512-${createHash("sha512").update(packed).digest("base64")}`;
}
