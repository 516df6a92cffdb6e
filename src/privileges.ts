/**
 * The least that each command needs of the system, as data. The launchers of the packages are made
 * from it (tools/release_launchers.ts), `deno compile` gets all of it together, and
 * {@linkcode dropPrivileges} gives back at the start whatever the command at hand does not need.
 * docs/PACKAGES.md says which package holds how much of it.
 */
import { SERVER_OPTIONS } from "./server/options.ts";
import { variableOf } from "./settings.ts";

/** What one command may do. Starting programs and loading libraries is nobody's. */
export interface Privileges {
  /** Sockets. */
  readonly net: boolean;
  /** Variables of the environment. */
  readonly env: readonly string[];
  /** Facts about the machine, by the names of `--allow-sys`. */
  readonly sys: readonly string[];
  /** Options that name a file to read. */
  readonly readOptions: readonly string[];
  /** Variables that name a file to read. */
  readonly readVariables: readonly string[];
  /** Options that name a folder to read and write, with the folder if the option is not given. */
  readonly folders: Readonly<Record<string, string>>;
  /** By option of {@linkcode folders}: the variable that names the folder where the option does not. */
  readonly folderVariables: Readonly<Record<string, string>>;
  /** Whether it reads and writes the folder of profiles and pins (`src/store/paths.ts`). */
  readonly state: boolean;
  /** Whether it makes temporary files. */
  readonly temporary: boolean;
  /** Flags of the runtime that are about its work and not about rights. */
  readonly runtime: readonly string[];
}

/** For `--help`, `version` and everything else that only prints. */
export const NO_PRIVILEGES: Privileges = {
  net: false,
  env: [],
  sys: [],
  readOptions: [],
  readVariables: [],
  folders: {},
  folderVariables: {},
  state: false,
  temporary: false,
  runtime: [],
};

/**
 * How large the newest objects' part of the relay's heap may grow, MB. What V8 takes by itself is
 * several times as much, once a few thousand people have come, and keeps it; the relay makes too
 * little garbage to gain by it. And it sweeps its heap itself: threads that do it beside take 3 % of
 * each greeting (docs/PERFORMANCE.md).
 */
const RELAY_RUNTIME = ["--v8-flags=--max-semi-space-size=4,--no-concurrent-sweeping"];

/**
 * The same for who takes part: V8 doubles that part whenever as much has outlived it, up to two halves of 32 MB,
 * and gives none of it back: a third of what a client came to take over a long conversation.
 */
const PARTICIPANT_RUNTIME = ["--v8-flags=--max-semi-space-size=8"];

/** One for each option, by name: `*` would be a pattern to the shells that start us. */
const SERVER_VARIABLES = SERVER_OPTIONS
  .filter(({ name }) => name !== "print-config").map(({ name }) => variableOf(name));

const TERMINAL = ["TERM", "NO_COLOR", "COLORTERM"];
const STATE_FOLDER = ["STM_HOME", "XDG_CONFIG_HOME", "HOME", "APPDATA"];

const PROFILE: Privileges = {
  ...NO_PRIVILEGES,
  env: [...TERMINAL, ...STATE_FOLDER, "STM_PASSPHRASE_FILE"],
  readOptions: ["passphrase-file"],
  readVariables: ["STM_PASSPHRASE_FILE"],
  state: true,
};

const PARTICIPANT: Privileges = {
  ...PROFILE,
  net: true,
  env: [...PROFILE.env, "STM_PASSWORD_FILE"],
  readOptions: [...PROFILE.readOptions, "password-file", "code-file"],
  readVariables: [...PROFILE.readVariables, "STM_PASSWORD_FILE"],
  runtime: PARTICIPANT_RUNTIME,
};

/** By the first word of the command; whoever is missing gets {@linkcode NO_PRIVILEGES}. */
export const PRIVILEGES: Readonly<Record<string, Privileges>> = {
  server: {
    ...NO_PRIVILEGES,
    net: true,
    // For the address that its link names when --public is not given; and for stm server doctor, what
    // memory there is.
    sys: ["networkInterfaces", "systemMemoryInfo"],
    env: SERVER_VARIABLES,
    readOptions: ["config"],
    readVariables: ["STM_CONFIG"],
    folders: { certs: "certs" },
    folderVariables: { certs: "STM_CERTS" },
    runtime: RELAY_RUNTIME,
  },
  admin: PARTICIPANT,
  client: { ...PARTICIPANT, readOptions: ["invite-file", ...PARTICIPANT.readOptions] },
  profile: PROFILE,
  doctor: {
    ...PARTICIPANT,
    env: [...PARTICIPANT.env, "LC_ALL", "LC_CTYPE", "LANG"],
    runtime: [],
  },
  demo: { ...NO_PRIVILEGES, net: true, env: TERMINAL, temporary: true },
};

/** The privileges of a command line, by its first word. */
export function privilegesOf(command: string | undefined): Privileges {
  return command !== undefined && Object.hasOwn(PRIVILEGES, command)
    ? PRIVILEGES[command] ?? NO_PRIVILEGES
    : NO_PRIVILEGES;
}

/** Whole kinds of access that a command does without, by the names of `Deno.permissions`. */
export function needless(privileges: Privileges): Deno.PermissionName[] {
  const files = privileges.state || privileges.temporary ||
    Object.keys(privileges.folders).length > 0;
  const kinds: [Deno.PermissionName, boolean][] = [
    ["run", false],
    ["ffi", false],
    ["net", privileges.net],
    ["env", privileges.env.length > 0],
    ["sys", privileges.sys.length > 0],
    ["read", files || privileges.readOptions.length > 0],
    ["write", files],
  ];
  return kinds.filter(([, needed]) => !needed).map(([kind]) => kind);
}

/**
 * Gives back, for the rest of this process, every kind of access that the command does without.
 * Called before anything is read. (Importing from elsewhere cannot be given back so; the launchers
 * and the compiler see to that.) Whoever runs the program with everything allowed, as a compiled
 * one or a checkout does, is then left with what the command needs.
 *
 * @param command the first argument of the command line
 */
export function dropPrivileges(command: string | undefined): void {
  for (const name of needless(privilegesOf(command))) Deno.permissions.revokeSync({ name });
}
