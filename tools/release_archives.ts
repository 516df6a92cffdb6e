/**
 * The files that people get: an archive for each system, one executable file for Linux and macOS,
 * a package for npm. Each is a function of its parts, and of nothing else.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { gzipSync, zipSync } from "fflate";
import { type ArchiveFile, concat, sorted, tar } from "./release_tar.ts";
import {
  BLANK_DIGEST,
  cmdLauncher,
  nodeLauncher,
  packageJson,
  shellLauncher,
  singleFileHead,
  type SingleFileNumbers,
} from "./release_launchers.ts";
import type { Target } from "./release_targets.ts";

/** What goes into the packages of every system. */
export interface Parts {
  readonly version: string;
  /** Seconds since 1970 that every file in an archive is dated with. */
  readonly seconds: number;
  /** `stm.js`. */
  readonly script: Uint8Array;
  /** Licences, README, man pages and completions, by their path in an archive. */
  readonly papers: readonly ArchiveFile[];
}

/** Level 9 takes twice the time for a thousandth of the size. */
const LEVEL = 6;

/** An archive as it is named in a folder of releases. */
export interface Artefact {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly executable: boolean;
}

/** The archive for a system, and for Linux and macOS the single file that has it inside. */
export async function systemArtefacts(
  target: Target,
  runtime: Uint8Array,
  parts: Parts,
): Promise<Artefact[]> {
  const base = `stm-${parts.version}-${target.name}`;
  const launcher = target.os === "windows"
    ? { path: "stm.cmd", text: await cmdLauncher(parts.version) }
    : { path: "stm", text: await shellLauncher(target, parts.version) };
  const files: ArchiveFile[] = [
    { path: launcher.path, bytes: encoded(launcher.text), executable: true },
    { path: `lib/${target.runtime}`, bytes: runtime, executable: true },
    { path: "lib/stm.js", bytes: parts.script },
    ...parts.papers,
  ].map((file) => ({ ...file, path: `${base}/${file.path}` }));
  if (target.os === "windows") {
    return [{ name: `${base}.zip`, bytes: zip(files, parts.seconds), executable: false }];
  }
  const whole = tar(files, parts.seconds);
  const packed = gzip(whole);
  return [
    { name: `${base}.tar.gz`, bytes: packed, executable: false },
    {
      name: base,
      bytes: await singleFile(target, parts, {
        packed,
        runtimeAt: whole.length - bytesFrom(files, `${base}/lib/${target.runtime}`, parts.seconds),
        runtimeBytes: runtime.length,
      }),
      executable: true,
    },
  ];
}

/** How many bytes of the archive the file and all that follows it are, without the file's header. */
function bytesFrom(files: readonly ArchiveFile[], path: string, seconds: number): number {
  const before = sorted(files).findIndex((file) => file.path === path);
  const rest = sorted(files).slice(before);
  return tar(rest, seconds).length - 512;
}

/** The script head, the packed program, and the archive of the same system. */
async function singleFile(
  target: Target,
  parts: Parts,
  archive: { packed: Uint8Array; runtimeAt: number; runtimeBytes: number },
): Promise<Uint8Array> {
  const script = gzip(parts.script);
  const digestAt = "#!/bin/sh\ndigest='".length;
  let head = "";
  // The head says where its own end is, so its length depends on itself; it settles at once.
  for (let length = -1; length !== encoded(head).length;) {
    length = encoded(head).length;
    const numbers: SingleFileNumbers = {
      SCRIPT_AT: length + 1,
      SCRIPT_PACKED: script.length,
      SCRIPT_BYTES: parts.script.length,
      ARCHIVE_AT: length + script.length + 1,
      RUNTIME_AT: archive.runtimeAt + 1,
      RUNTIME_BYTES: archive.runtimeBytes,
      DIGEST_AT: digestAt,
      AFTER_DIGEST: digestAt + BLANK_DIGEST.length + 1,
    };
    head = await singleFileHead(target, parts.version, numbers);
  }
  const bytes = concat([encoded(head), script, archive.packed]);
  const digest = createHash("sha256")
    .update(bytes.subarray(0, digestAt))
    .update(bytes.subarray(digestAt + BLANK_DIGEST.length))
    .digest("hex");
  bytes.set(encoded(digest), digestAt);
  return bytes;
}

/** The package for npm, as `npm pack` would name its files. */
export async function npmArtefact(parts: Parts): Promise<Artefact> {
  const files: ArchiveFile[] = [
    { path: "package.json", bytes: encoded(packageJson(parts.version)) },
    { path: "bin/stm.js", bytes: encoded(await nodeLauncher(parts.version)), executable: true },
    { path: "lib/stm.js", bytes: parts.script },
    ...parts.papers,
  ];
  const inPackage = files.map((file) => ({ ...file, path: `package/${file.path}` }));
  return {
    name: `stm-${parts.version}-npm.tgz`,
    bytes: gzip(tar(inPackage, parts.seconds)),
    executable: false,
  };
}

/** In JavaScript, so that every processor packs to the same bytes. */
function gzip(bytes: Uint8Array): Uint8Array {
  return gzipSync(bytes, { level: LEVEL, mtime: 0 });
}

/** Zip knows nothing before 1980, and the library writes local time. */
function zip(files: readonly ArchiveFile[], seconds: number): Uint8Array {
  const utc = new Date(Math.max(seconds, 315_532_800) * 1000);
  const mtime = new Date(utc.getTime() + utc.getTimezoneOffset() * 60_000);
  return zipSync(Object.fromEntries(
    sorted(files).map(({ path, bytes, executable }) => [path, [bytes, {
      level: LEVEL,
      mtime,
      // Made on Unix, so that whoever unpacks it there gets the modes.
      os: 3,
      attrs: (executable ? 0o100755 : 0o100644) << 16,
    }]]),
  ));
}

function encoded(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
