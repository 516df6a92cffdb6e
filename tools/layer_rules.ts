/**
 * The folder table of the architecture as data: what each folder of `src/` may import and which
 * doors to the system it may use. `tools/layers.ts` holds the code against it.
 *
 * @module
 */

/** What one folder of `src/` may do. */
export interface FolderRule {
  /** Folders it may import, besides itself. */
  readonly may: readonly string[];
  /** Of these folders only types (`import type`), which leave no code behind. */
  readonly typesOf?: readonly string[];
  /** Of these folders only the files whose path matches. */
  readonly only?: Readonly<Record<string, RegExp>>;
  /**
   * Who may say `Deno` or import a built-in that reaches the system: nobody, everybody, the files
   * whose path matches, one file whichever it is, or everybody but for the named members alone.
   */
  readonly system: "none" | "all" | "one file" | RegExp | ReadonlySet<string>;
  /** Whether `crypto.subtle` may be used. */
  readonly subtle: boolean;
  /** Whether code here is a pure, synchronous function of its arguments. */
  readonly pure: boolean;
  /** Whether packages and built-ins may be imported at all. */
  readonly packages: boolean;
}

/** Files of `src/wire` that name things and bound them, without any message. */
const WIRE_IDS = /^src\/wire\/(\w+_)?(ids?|limits|name|link_url)\.ts$/;

/** What a face may ask of Deno: the terminal it draws on, and no file or socket. */
const TERMINAL = new Set([
  "addSignalListener",
  "build",
  "consoleSize",
  "env",
  "noColor",
  "removeSignalListener",
  "stderr",
  "stdin",
  "stdout",
]);

const PLAIN = { subtle: false, pure: false, packages: true } as const;

/** One entry a folder; a folder that is missing here may not exist. */
export const FOLDERS: Readonly<Record<string, FolderRule>> = {
  wire: { ...PLAIN, may: [], system: "none", pure: true, packages: false },
  crypto: { ...PLAIN, may: ["wire"], system: "none", subtle: true },
  session: { ...PLAIN, may: ["wire"], system: "none", pure: true, packages: false },
  ui: { ...PLAIN, may: ["session", "wire"], typesOf: ["wire"], system: TERMINAL },
  store: { ...PLAIN, may: ["wire"], only: { wire: WIRE_IDS }, system: "one file" },
  auth: { ...PLAIN, may: ["wire"], only: { wire: WIRE_IDS }, system: "none", subtle: true },
  transport: { ...PLAIN, may: ["wire"], system: "all", subtle: true },
  cluster: { ...PLAIN, may: ["wire"], system: /\/nats\w*\.ts$/ },
  driver: {
    ...PLAIN,
    may: ["wire", "crypto", "session", "ui", "store", "auth", "transport"],
    system: "all",
  },
  client: {
    ...PLAIN,
    may: ["wire", "session", "driver", "admin"],
    // A client can become the admin of a room: every participant has one role.
    only: { admin: /^src\/admin\/role\.ts$/ },
    system: /\/main\.ts$/,
  },
  admin: { ...PLAIN, may: ["wire", "session", "driver"], system: /\/main\.ts$/ },
  server: {
    ...PLAIN,
    may: ["wire", "transport", "store", "auth", "cluster"],
    // The shell: everything else decides, or moves bytes that it is handed.
    system: /\/(main|shell\w*|listener|certificate)\.ts$/,
    subtle: true,
  },
  // It looks at both sides, so neither may import it.
  doctor: {
    ...PLAIN,
    may: ["wire", "crypto", "session", "ui", "store", "auth", "transport", "driver", "server"],
    system: "all",
  },
};

/** Files on top of `src/` and beside it, which may import every folder. */
export const TOP_FILES: ReadonlySet<string> = new Set(["main.ts"]);

/** A wall that no chain of imports may cross, however long. */
export interface Wall {
  /** Folder of `src/` the chain starts in. */
  readonly from: string;
  /** What it may never arrive at, as a path below the root. */
  readonly never: RegExp;
  /** Why, as the check prints it. */
  readonly rule: string;
}

/** The walls that the security argument rests on. */
export const WALLS: readonly Wall[] = [
  { from: "server", never: /^src\/crypto\//, rule: "the relay has no code that holds a room key" },
  {
    from: "server",
    never: /^src\/wire\/room_message\w*\.ts$/,
    rule: "the relay has no code that reads a room message",
  },
  {
    from: "server",
    never: /^src\/(session|ui|driver|client|admin)\//,
    rule: "the relay has no code of a participant",
  },
  { from: "admin", never: /^src\/client\//, rule: "the admin's code does not know the client's" },
  { from: "store", never: /^src\/crypto\//, rule: "the store seals through a port" },
];

/** Built-ins that reach what `Deno.*` reaches: files, sockets, processes. */
export const SYSTEM_MODULES: ReadonlySet<string> = new Set(
  ("child_process cluster dgram dns fs fs/promises http http2 https module net process " +
    "readline readline/promises repl tls tty v8 vm wasi worker_threads").split(" ")
    .map((module) => `node:${module}`),
);
