/**
 * The launchers of the packages, made from `packaging/*.in` and the table of privileges: what a
 * command may do stands in one place, whoever starts it.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { PRIVILEGES, type Privileges } from "../src/privileges.ts";
import { RUNTIME_VERSION, type Target, TARGETS } from "./release_targets.ts";

/** How the runtime is started, whatever the command: nothing is asked, fetched or configured. */
export const RUN_FLAGS: readonly string[] = [
  "run",
  "--quiet",
  "--no-prompt",
  "--no-config",
  "--no-lock",
  "--no-npm",
  "--no-remote",
  "--deny-run",
  "--deny-ffi",
];

/** Variables that would change what the runtime trusts, runs or writes. */
export const UNSET: readonly string[] = [
  "DENO_AUTO_SERVE",
  "DENO_CERT",
  "DENO_COMPAT",
  "DENO_CONDITIONS",
  "DENO_COVERAGE_DIR",
  "DENO_PERMISSION_BROKER_PATH",
  "DENO_TLS_CA_STORE",
  "DENO_V8_FLAGS",
  "NODE_EXTRA_CA_CERTS",
  "NODE_OPTIONS",
  "NODE_TLS_REJECT_UNAUTHORIZED",
  "SSLKEYLOGFILE",
];

/** Variables that keep it from looking for newer versions and for packages around. */
export const EXPORT: Readonly<Record<string, string>> = {
  DENO_NO_PACKAGE_JSON: "1",
  DENO_NO_UPDATE_CHECK: "1",
};

const CACHE_FOLDERS: Readonly<Record<string, string>> = {
  linux: '"${XDG_CACHE_HOME:+$XDG_CACHE_HOME/stm}" "${HOME:+$HOME/.cache/stm}"',
  darwin: '"${XDG_CACHE_HOME:+$XDG_CACHE_HOME/stm}" "${HOME:+$HOME/Library/Caches/stm}"',
};

/** Without it the runtime dies with a crash report that helps nobody. */
const NEEDS_PROC = `if [ ! -L /proc/self/exe ]; then
  echo "stm: /proc is not there, and the runtime needs it: mount it (mount -t proc proc /proc)" >&2
  exit 1
fi

`;

const STATE_FOLDERS: Readonly<Record<string, string>> = {
  linux: `else
    case \${XDG_CONFIG_HOME-} in
      /*) printf '%s' "$XDG_CONFIG_HOME/stm" ;;
      *) [ -z "\${HOME-}" ] || printf '%s' "$HOME/.config/stm" ;;
    esac`,
  darwin: `elif [ -n "\${HOME-}" ]; then
    printf '%s' "$HOME/Library/Application Support/stm"`,
};

/** The launcher beside `lib/` of an archive for Linux or macOS. */
export async function shellLauncher(target: Target, version: string): Promise<string> {
  return await fill("launcher.sh.in", await shellParts(target, version));
}

/** Numbers that the head of a single file knows about what follows it. */
export interface SingleFileNumbers {
  readonly SCRIPT_AT: number;
  readonly SCRIPT_PACKED: number;
  readonly SCRIPT_BYTES: number;
  /** Of the archive within the file, 1 for the first byte. */
  readonly ARCHIVE_AT: number;
  /** Of the runtime within the unpacked archive, 1 for the first byte. */
  readonly RUNTIME_AT: number;
  readonly RUNTIME_BYTES: number;
  readonly DIGEST_AT: number;
  readonly AFTER_DIGEST: number;
}

/** The script in front of a single file; its digest is still {@linkcode BLANK_DIGEST}. */
export async function singleFileHead(
  target: Target,
  version: string,
  numbers: SingleFileNumbers,
): Promise<string> {
  const texts = Object.entries(numbers).map(([name, value]) => [name, String(value)]);
  return await fill("single_file.sh.in", {
    ...await shellParts(target, version),
    ...Object.fromEntries(texts),
    DIGEST: BLANK_DIGEST,
    TARGET: target.name,
    MACHINES: target.arch === "x86_64" ? "x86_64 | amd64" : "aarch64 | arm64",
    MEGABYTES: String(Math.ceil(numbers.RUNTIME_BYTES / 1e6) + 1),
  });
}

/** Stands where the digest of a single file will be. */
export const BLANK_DIGEST = "0".repeat(64);

async function shellParts(target: Target, version: string): Promise<Record<string, string>> {
  const state = STATE_FOLDERS[target.os] ?? "";
  const grants = await fill("grants.sh.in", {
    STATE: state,
    COMMANDS: Object.entries(PRIVILEGES).map(([name, may]) => shellCase(name, may)).join("\n"),
    RUN_FLAGS: RUN_FLAGS.join(" "),
    CHECK: target.os === "linux" ? NEEDS_PROC : "",
    UNSET: UNSET.join(" \\\n  "),
    EXPORT: Object.entries(EXPORT).map(([name, value]) => `export ${name}=${value}`).join("\n"),
  });
  return {
    VERSION: version,
    CACHE: (await fill("cache.sh.in", {})).trimEnd(),
    CACHE_FOLDERS: CACHE_FOLDERS[target.os] ?? "",
    GRANTS: grants.trimEnd(),
  };
}

/** Kinds of rights, as flags without any path, and the command's other flags. */
function kinds(may: Privileges): string[] {
  return [
    ...may.runtime,
    ...(may.net ? ["--allow-net"] : []),
    ...(may.env.length > 0 ? [`--allow-env=${may.env.join()}`] : []),
    ...(may.sys.length > 0 ? [`--allow-sys=${may.sys.join()}`] : []),
  ];
}

function shellCase(name: string, may: Privileges): string {
  const lines = [
    `kinds="${kinds(may).join(" ")}"`,
    ...Object.entries(may.folders).flatMap(([option, usual]) => {
      const variable = may.folderVariables[option];
      return [
        `folder=$(value_of ${option} "$@")`,
        `may_write "\${folder:-${variable === undefined ? usual : `\${${variable}:-${usual}}`}}"`,
      ];
    }),
    ...(may.state ? ['may_write "$(state_folder)"'] : []),
    ...(may.temporary ? ['may_write "${TMPDIR:-/tmp}"'] : []),
    ...may.readOptions.map((option) => `may_read "$(value_of ${option} "$@")"`),
    ...may.readVariables.map((variable) => `may_read "\${${variable}-}"`),
  ];
  return [`  ${name})`, ...lines.map((line) => `    ${line}`), "    ;;"].join("\n");
}

/** The launcher of an archive for Windows. */
export async function cmdLauncher(version: string): Promise<string> {
  const command = ([name, may]: [string, Privileges]): string => {
    const files = may.state || may.temporary || Object.keys(may.folders).length > 0;
    const flags = [...kinds(may), ...(files ? ["--allow-read", "--allow-write"] : [])];
    return `if "%~1"=="${name}" set "STM_KINDS=${flags.join(" ")}"`;
  };
  const text = await fill("launcher.cmd.in", {
    VERSION: version,
    UNSET_CMD: UNSET.map((name) => `set "${name}="`).join("\n"),
    EXPORT_CMD: Object.entries(EXPORT).map(([name, value]) => `set "${name}=${value}"`).join("\n"),
    COMMANDS_CMD: Object.entries(PRIVILEGES).map(command).join("\n"),
    RUN_FLAGS: RUN_FLAGS.join(" "),
  });
  return text.replaceAll("\n", "\r\n");
}

const NODE_NAMES: Readonly<Record<string, string>> = {
  windows: "win32",
  x86_64: "x64",
  aarch64: "arm64",
};

/** The `bin` of the npm package. */
export async function nodeLauncher(version: string): Promise<string> {
  const node = (name: string): string => NODE_NAMES[name] ?? name;
  const runtimes = TARGETS.map((t) => [
    `${node(t.os)}-${node(t.arch)}`,
    { package: t.package, file: t.runtime },
  ]);
  const json = (value: unknown): string => JSON.stringify(value, null, 2);
  return await fill("npm/stm.mjs.in", {
    VERSION: version,
    RUNTIMES: json(Object.fromEntries(runtimes)),
    PRIVILEGES: json(PRIVILEGES),
    RUN_FLAGS_JSON: json(RUN_FLAGS),
    UNSET_JSON: json(UNSET),
    EXPORT_JSON: json(EXPORT),
  });
}

/**
 * Without a list the runtime would import code from half a dozen hosts, and a bare `--deny-import`
 * does not keep it from that (2.9.5). Nobody serves code there.
 */
const NOBODY = "127.0.0.1:9";

/** The flags of `deno compile`: all that any command needs; the program drops the rest itself. */
export function compileFlags(): string[] {
  const all = Object.values(PRIVILEGES);
  const union = (lists: readonly (readonly string[])[]): string =>
    [...new Set(lists.flat())].sort().join();
  return [
    "--no-prompt",
    "--allow-net",
    "--allow-read",
    "--allow-write",
    `--allow-env=${union(all.map(({ env }) => env))}`,
    `--allow-sys=${union(all.map(({ sys }) => sys))}`,
    "--deny-run",
    "--deny-ffi",
    `--allow-import=${NOBODY}`,
  ];
}

/** `package.json` of the npm package. */
export function packageJson(version: string): string {
  return `${
    JSON.stringify(
      {
        name: "@stm/stm",
        version,
        description:
          "A messenger that you host yourself, in a terminal. The relay can read nothing.",
        license: "MIT",
        type: "module",
        bin: { stm: "bin/stm.js" },
        files: ["bin", "lib", "share", "LICENSE", "THIRD_PARTY_LICENSES.txt"],
        engines: { node: ">=18" },
        optionalDependencies: Object.fromEntries(
          TARGETS.map((target) => [target.package, RUNTIME_VERSION]),
        ),
      },
      null,
      2,
    )
  }\n`;
}

/** Fills the `@NAME@`s of a file of `packaging/`. */
async function fill(name: string, values: Readonly<Record<string, string>>): Promise<string> {
  const path = fileURLToPath(new URL(`../packaging/${name}`, import.meta.url));
  const template = await Deno.readTextFile(path);
  return template.replaceAll(/@([A-Z_]+)@/g, (_, key: string) => {
    const value = values[key];
    if (value === undefined) throw new Error(`packaging/${name}: nothing stands for @${key}@`);
    return value;
  });
}
