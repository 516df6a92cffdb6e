/**
 * The systems that stm is released for, and the runtime of each: the packages of Deno on npm, held
 * to the digests that stand here.
 *
 * @module
 */

/** The runtime's version; that of the packages below. */
export const RUNTIME_VERSION = "2.9.5";

/** One system. */
export interface Target {
  /** As in file names: `linux-x86_64`. */
  readonly name: string;
  /** As `deno compile --target` has it. */
  readonly triple: string;
  /** As `Deno.build` has it. */
  readonly os: "linux" | "darwin" | "windows";
  readonly arch: "x86_64" | "aarch64";
  /** npm package that holds the runtime. */
  readonly package: string;
  /** The runtime's file in the package, and beside `stm.js`. */
  readonly runtime: "deno" | "deno.exe";
  /** Of the package's tarball, as a lock file of npm has it. */
  readonly integrity: string;
}

/** All systems, in the order they are built in. */
export const TARGETS: readonly Target[] = [
  {
    name: "linux-x86_64",
    triple: "x86_64-unknown-linux-gnu",
    os: "linux",
    arch: "x86_64",
    package: "@deno/linux-x64-glibc",
    runtime: "deno",
    integrity:
      "sha512-TDqcnoLe3jlgqYEQm7H7MK6q0JOth+o8iSZzknRODnVkJfPiNnjVn1M1Zc6vnp+ipkyb6Av1/CUlHgHtlq59Gw==",
  },
  {
    name: "linux-aarch64",
    triple: "aarch64-unknown-linux-gnu",
    os: "linux",
    arch: "aarch64",
    package: "@deno/linux-arm64-glibc",
    runtime: "deno",
    integrity:
      "sha512-IuYjsz9PGl7CJcNXMuN27KNDB8Q40brK3SG3l+TXMDVW61ZKwcn0fQHBHnXFiiygEwI8by/fKnASEluhZB1atw==",
  },
  {
    name: "macos-x86_64",
    triple: "x86_64-apple-darwin",
    os: "darwin",
    arch: "x86_64",
    package: "@deno/darwin-x64",
    runtime: "deno",
    integrity:
      "sha512-gbdlxWZuAZFiJiZtTT00Mv/aC7f/31+pyqJGQKlZr5X33WeTo5B0GG+efcX3P1UZceRKHuPEAQ1B/M2oRt8r9Q==",
  },
  {
    name: "macos-aarch64",
    triple: "aarch64-apple-darwin",
    os: "darwin",
    arch: "aarch64",
    package: "@deno/darwin-arm64",
    runtime: "deno",
    integrity:
      "sha512-SX98qSdBT1lw9x6NwGwx2xIayl1kRimdRnFohYlJ6nt3mLKzTKHHKQwQs5D2pEY7mbUGGbYe9brM2kfN75pPkg==",
  },
  {
    name: "windows-x86_64",
    triple: "x86_64-pc-windows-msvc",
    os: "windows",
    arch: "x86_64",
    package: "@deno/win32-x64",
    runtime: "deno.exe",
    integrity:
      "sha512-LkcERsH0olOgevg9L9eootSr1U8ydyfnX1bS3mFqU+lGBeTYtlec5b/QF473WUOGVgPlWECrkxi4As5kEaFOzg==",
  },
  {
    name: "windows-aarch64",
    triple: "aarch64-pc-windows-msvc",
    os: "windows",
    arch: "aarch64",
    package: "@deno/win32-arm64",
    runtime: "deno.exe",
    integrity:
      "sha512-tTPrE/4SX7uaC8nJW47iNnibtjzk1y4zoiYjBBHE34vdkbb6LHopqH68BxyT61HZdfqXzOTEYjDVHhtmVZFy+w==",
  },
];

/** The target of the machine that this runs on; `undefined` if there is none for it. */
export function ownTarget(): Target | undefined {
  return TARGETS.find(({ os, arch }) => os === Deno.build.os && arch === Deno.build.arch);
}
