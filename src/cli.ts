/**
 * The commands of stm: what each takes, and which part of the program it starts. The parts are
 * loaded only when they are needed: `--help` and `server` must be there at once.
 */
import {
  type Arguments,
  columns,
  commandHelp,
  type CommandSpec,
  firstSentence,
  nearest,
  type OptionSpec,
  parseArguments,
  UsageError,
} from "./command_line.ts";
// Loaded at once, for a command that may read nothing cannot load it later.
import { completions, SHELLS } from "./completions.ts";
import { doctorCommand, runDoctor, runServerDoctor, SERVER_DOCTOR } from "./cli_doctor.ts";
import { runServerCommand, SERVER_COMMANDS } from "./cli_server.ts";
import { readOperation } from "./server/operation.ts";
import {
  DEFAULT_CERTS,
  readLimits,
  readListenAddresses,
  SERVER_OPTIONS,
  type ServerOptions,
} from "./server/options.ts";
import { complain, OutputError, print } from "./standard_output.ts";
import { COMMIT, PROTOCOL, VERSION } from "./version.ts";
import type { ParticipantOptions, ParticipantPorts } from "./driver/participant.ts";
import type { LoginOptions } from "./driver/credentials.ts";
import type { SealOptions } from "./driver/passphrase.ts";
import type { ProfileOptions } from "./driver/session_profile.ts";

const SEAL_OPTIONS: readonly OptionSpec[] = [
  {
    name: "passphrase-file",
    value: "FILE",
    help:
      "the profile's passphrase is its first line (or STM_PASSPHRASE_FILE); else it is asked for",
    example: "passphrase.txt",
  },
  { name: "no-passphrase", help: "the profile is not sealed: whoever reads its file can be you" },
];

const PARTICIPANT_OPTIONS: readonly OptionSpec[] = [
  {
    name: "name",
    value: "NAME",
    help: "how you are called in the room; the profile's, or asked for, or made up, if not given",
    example: "fox",
  },
  {
    name: "host",
    value: "HOST",
    help: "the relay, for an open room without any link",
    example: "relay.example.org",
  },
  { name: "port", value: "PORT", help: "the relay's port", default: "5000", example: "5000" },
  {
    name: "room",
    value: "NAME",
    help: "the room's name; with --profile, of a room that it remembers",
    default: "main",
    example: '"book club"',
  },
  {
    name: "pin",
    value: "KEY",
    help: "the relay's fingerprint or key, where no link gives it",
    example: '"3f2a 11c0 …"',
  },
  { name: "accept-new", help: "believe a relay that is met for the first time" },
  {
    name: "profile",
    value: "NAME",
    help: "be who the profile says, and go on with its rooms (see stm profile create)",
    example: "owl",
  },
  ...SEAL_OPTIONS,
  {
    name: "user",
    value: "NAME",
    help: "your account, where the relay wants a login; its password is asked for, and a " +
      "registration code if you enter none",
    example: "fox",
  },
  {
    name: "password-file",
    value: "FILE",
    help:
      "the account's password is its first line (or STM_PASSWORD_FILE), also of a pipe, <(command) or " +
      "/dev/fd/3; - is the next line of standard input",
    example: "password.txt",
  },
  {
    name: "code-file",
    value: "FILE",
    help: "make the account, or choose a new password, with the registration code in its first " +
      "line; - as above",
    example: "code.txt",
  },
  { name: "ephemeral", help: "remember nothing, not even the relay's key" },
  {
    name: "retry",
    value: "SECONDS",
    help: "how long to look for a lost relay; 0 ends at once",
    default: "as long as it takes",
    example: "600",
  },
  {
    name: "ui",
    value: "line|json",
    help: "for people, or one JSON object a line (docs/JSON.md)",
    default: "line",
    example: "json",
  },
  { name: "listen", help: "stay after the end of standard input" },
  { name: "no-color", help: "no colours (NO_COLOR does the same)" },
];

const SERVER: CommandSpec = {
  name: "server",
  args: "",
  maxArgs: 0,
  summary:
    "Runs a relay. It forwards sealed frames between the people in a room, stores none\nand can open none. On the first start it makes its key and certificate.",
  options: SERVER_OPTIONS,
  examples: ["stm server --port 5000", "stm server --port 5000 --public chat.example.org"],
};

const ADMIN: CommandSpec = {
  name: "admin",
  args: "[LINK]",
  maxArgs: 1,
  summary:
    "Opens a room and runs it: makes its key, invites, admits and removes people.\nWith the relay's LINK the room is for invited people. With --host it is an open room,\nand everybody who asks waits for your /admit. With --profile a room can be run again:\nits invites stay good, and its members come in without a question.",
  options: [
    ...PARTICIPANT_OPTIONS,
    {
      name: "uses",
      value: "N",
      help: "people that the first invite is for",
      default: "1",
      example: "5",
    },
    {
      name: "expires",
      value: "HOURS",
      help: "hours that the first invite is good for",
      default: "24",
      example: "48",
    },
    {
      name: "grace",
      value: "SECONDS",
      help: "how long a member may be away before it is removed",
      default: "60",
      example: "300",
    },
  ],
  examples: [
    "stm admin 'stm://203.0.113.7:5000/#…' --room \"book club\" --name owl",
    "stm admin --host 127.0.0.1",
    'stm admin --profile owl --room "book club"',
  ],
};

const CLIENT: CommandSpec = {
  name: "client",
  args: "[INVITE…]",
  maxArgs: 64,
  summary:
    "Joins a room. The invite is asked for, or read from standard input (-) or a file,\nor given as an argument. With --host it asks to be admitted to an open room.\nWith --profile and no invite it enters a room again that the profile remembers.",
  options: [
    ...PARTICIPANT_OPTIONS,
    {
      name: "invite-file",
      value: "FILE",
      help: "read the invite from a file",
      example: "invite.txt",
    },
  ],
  examples: [
    "stm client",
    "stm client - --name fox < invite.txt",
    "stm client --host 127.0.0.1",
    'stm client --profile fox --room "book club"',
  ],
};

const PROFILE_CREATE: CommandSpec = {
  name: "profile create",
  args: "[NAME]",
  maxArgs: 1,
  summary:
    "Makes a profile: your identity, the rooms you are in and whom you have verified, in one\nfile sealed under a passphrase. NAME is 1 to 32 of a-z, 0-9, - and _; default if not\ngiven. The file lies in $STM_HOME, else where this system keeps such things; it says where.",
  options: [
    {
      name: "name",
      value: "NAME",
      help: "how you are called in rooms; the profile's name if not given",
      example: "fox",
    },
    ...SEAL_OPTIONS,
  ],
  examples: [
    "stm profile create owl",
    'stm profile create work --name "Barn Owl" --passphrase-file passphrase.txt',
  ],
};

const PROFILE_LIST: CommandSpec = {
  name: "profile list",
  args: "",
  maxArgs: 0,
  summary: "Lists your profiles and their files.",
  options: [],
  examples: ["stm profile list"],
};

const PROFILE_FORKS: CommandSpec = {
  name: "profile forks",
  args: "[NAME]",
  maxArgs: 1,
  summary:
    "Prints what a profile kept of admins that signed two commits for one place in a room,\n" +
    "one JSON object a line: with it everybody can check the admin's signatures.",
  options: SEAL_OPTIONS,
  examples: ["stm profile forks", "stm profile forks owl --passphrase-file passphrase.txt"],
};

/** What says which relay, which profile and which account. */
const WHERE = new Set(
  ["host", "port", "pin", "profile", "passphrase-file", "no-passphrase", "user", "password-file"],
);

const DOCTOR = doctorCommand(
  PARTICIPANT_OPTIONS.filter(({ name }) => WHERE.has(name)).map((option) =>
    option.name === "user"
      ? { ...option, help: "the account to try the login with; its password is asked for" }
      : option
  ),
);

const DEMO: CommandSpec = {
  name: "demo",
  args: "",
  maxArgs: 0,
  summary:
    "Shows it all on this machine within seconds: a relay, an admin and two clients on\nreal TLS connections, what each of them sees, and what the relay saw.",
  options: [
    {
      name: "ui",
      value: "line|json",
      help: "for people, or one JSON object a line",
      default: "line",
      example: "json",
    },
  ],
  examples: ["stm demo", "stm demo --ui json"],
};

const VERSION_COMMAND: CommandSpec = {
  name: "version",
  args: "",
  maxArgs: 0,
  summary: "Prints the version. With --ui json also the commit, the runtime and the protocol.",
  options: [
    {
      name: "ui",
      value: "line|json",
      help: "for people, or one JSON object",
      default: "line",
      example: "json",
    },
  ],
  examples: ["stm version", "stm version --ui json"],
};

const COMPLETIONS: CommandSpec = {
  name: "completions",
  args: "SHELL",
  maxArgs: 1,
  choices: ["bash", "zsh", "fish", "powershell"],
  summary:
    "Prints what makes a shell complete the commands of stm: SHELL is bash, zsh, fish or\npowershell.",
  options: [],
  examples: [
    "stm completions bash > ~/.local/share/bash-completion/completions/stm",
    "stm completions fish > ~/.config/fish/completions/stm.fish",
  ],
};

/** All commands, in the order of help. */
export const COMMANDS: readonly CommandSpec[] = [
  SERVER,
  ...SERVER_COMMANDS,
  SERVER_DOCTOR,
  ADMIN,
  CLIENT,
  PROFILE_CREATE,
  PROFILE_LIST,
  PROFILE_FORKS,
  DOCTOR,
  DEMO,
  COMPLETIONS,
  VERSION_COMMAND,
];

/** The help of the whole program. */
export function help(): string {
  return [
    "stm: a messenger that you host yourself. The relay can read nothing.",
    "",
    "usage: stm COMMAND [options]",
    "",
    ...columns(
      COMMANDS.map((
        c,
      ) => [`${c.name} ${c.args}`.trim(), firstSentence(c.summary)]),
    ),
    "",
    "try it:",
    "  stm demo",
    "",
    "stm COMMAND --help says more. Within a room /help lists what you can do.",
    "",
  ].join("\n");
}

/**
 * Runs one command line.
 *
 * @param args without the program's name
 * @returns the exit code: 2 and a message on standard error for wrong usage, 1 if standard output
 *   cannot be written
 */
export async function run(args: readonly string[]): Promise<number> {
  try {
    return await dispatch(args);
  } catch (error) {
    if (error instanceof UsageError) {
      complain(`stm: ${error.message}`);
      return 2;
    }
    if (!(error instanceof OutputError)) throw error;
    complain(`stm: ${error.message}`);
    return 1;
  }
}

async function dispatch(args: readonly string[]): Promise<number> {
  const [name] = args;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    const { commands } = named(args.slice(1));
    print(commands.length === 0 ? help() : commands.map(commandHelp).join("\n"));
    return name === undefined ? 2 : 0;
  }
  if (name === "--version" || name === "-V") return version("line");
  const { commands, words } = named(args);
  const rest = args.slice(words);
  const [command] = commands;
  if (command === undefined) {
    const near = nearest(name, COMMANDS.map((c) => c.name));
    throw new UsageError(
      `there is no command "${name}": ${
        near === undefined ? "see stm --help" : `did you mean stm ${near}?`
      }`,
    );
  }
  if (command.name !== args.slice(0, words).join(" ")) {
    return group(args.slice(0, words).join(" "), commands, rest[0]);
  }
  const given = parseArguments(command, rest);
  if (given.has("help")) {
    print(commandHelp(command));
    return 0;
  }
  switch (command) {
    case SERVER:
      return await server(given);
    case SERVER_DOCTOR:
      return await runServerDoctor((await readServer(given))[0], { version: VERSION, print });
    case DOCTOR:
      onlyWithHost(given, DOCTOR);
      return await runDoctor(
        given,
        { profile: profileOptions(given), login: loginOptions(given, DOCTOR) },
        { version: VERSION, print },
      );
    case ADMIN:
      return await admin(given);
    case CLIENT:
      return await client(given);
    case DEMO: {
      const { runDemo } = await import("./demo.ts");
      return await runDemo(given.choice("ui", UIS, "line"), VERSION);
    }
    case PROFILE_CREATE:
      return await profileCreate(given);
    case PROFILE_LIST:
      return await profileList();
    case PROFILE_FORKS:
      return await profileForks(given);
    case COMPLETIONS:
      return completionScript(given);
    default:
      if (SERVER_COMMANDS.includes(command)) {
        const certs = Deno.env.get("STM_CERTS") || DEFAULT_CERTS;
        return await runServerCommand(command, given, certs, OUTPUT);
      }
      return version(given.choice("ui", UIS, "line"));
  }
}

/** Words of the longest command name. */
const MOST_WORDS = Math.max(...COMMANDS.map((c) => c.name.split(" ").length));

/** The command that the first words name, as many of them as can be, or all that begin with them. */
function named(args: readonly string[]): { commands: readonly CommandSpec[]; words: number } {
  for (let words = Math.min(MOST_WORDS, args.length); words > 0; words--) {
    const name = args.slice(0, words).join(" ");
    const exact = COMMANDS.filter((c) => c.name === name);
    if (exact.length > 0) return { commands: exact, words };
    const below = COMMANDS.filter((c) => c.name.startsWith(`${name} `));
    if (below.length > 0) return { commands: below, words };
  }
  return { commands: [], words: 0 };
}

/** `stm profile` alone: what may follow it. */
function group(name: string, commands: readonly CommandSpec[], next: string | undefined): number {
  if (next === "--help" || next === "-h") {
    print(commands.map(commandHelp).join("\n"));
    return 0;
  }
  const words = commands.map((c) => c.name.slice(name.length + 1));
  throw new UsageError(
    `stm ${name} takes ${words.join(" or ")}${next === undefined ? "" : `, not "${next}"`}; ` +
      `for example: ${commands[0]?.examples[0] ?? name}`,
  );
}

const UIS = ["line", "json"] as const;

function version(ui: (typeof UIS)[number]): number {
  const all = {
    type: "version",
    version: VERSION,
    commit: COMMIT,
    runtime: `deno ${Deno.version.deno}`,
    protocol: PROTOCOL,
  };
  print(ui === "json" ? `${JSON.stringify(all)}\n` : `stm ${VERSION}\n`);
  return 0;
}

function completionScript(given: Arguments): number {
  const shell = SHELLS.find((name) => name === given.positionals[0]);
  if (shell === undefined) {
    throw new UsageError(
      `stm completions takes ${SHELLS.slice(0, -1).join(", ")} or ${SHELLS.at(-1)}; ` +
        "for example: stm completions bash",
    );
  }
  print(completions(shell, COMMANDS));
  return 0;
}

/** Options of a relay from everywhere, and where each came from. */
async function readServer(flags: Arguments): Promise<[ServerOptions, Arguments]> {
  const { settled } = await import("./settings.ts");
  const given = await settled(SERVER_OPTIONS, flags, {
    variable: (name) => Deno.env.get(name),
    readText: (path) => Deno.readTextFile(path),
  });
  return [serverOptions(given), given];
}

async function server(flags: Arguments): Promise<number> {
  const [options, given] = await readServer(flags);
  if (flags.has("print-config")) {
    const { printedConfig, origins } = await import("./settings.ts");
    for (const line of origins(SERVER_OPTIONS, given)) OUTPUT.err(line);
    print(printedConfig(SERVER_OPTIONS, given));
    return 0;
  }
  const { hangUps, runServer, stopAtSignals, machineAddresses } = await import("./server/main.ts");
  return await runServer(options, LASTING_OUTPUT, {
    version: VERSION,
    stop: stopAtSignals(),
    addresses: machineAddresses,
    reread: async () => (await readServer(flags))[0],
    hangUp: hangUps,
  });
}

function serverOptions(given: Arguments): ServerOptions {
  return {
    listen: readListenAddresses(given),
    certs: given.text("certs") ?? "certs",
    public: given.text("public") ?? null,
    ui: given.choice("ui", UIS, "line"),
    limits: readLimits((name, fallback, min, max) => given.number(name, fallback, min, max)),
    operation: readOperation(given),
  };
}

/** What a link, an invite or a profile says itself would otherwise be passed over in silence. */
const ONLY_WITH_HOST = ["port", "pin", "accept-new"];

function onlyWithHost(given: Arguments, command: CommandSpec): void {
  const idle = given.has("host") ? undefined : ONLY_WITH_HOST.find((name) => given.has(name));
  if (idle === undefined) return;
  throw new UsageError(
    `--${idle} is for a relay that --host names; for example: stm ${command.name} --host 127.0.0.1 --${idle}${
      exampleOf(command, idle)
    }`,
  );
}

function participantOptions(given: Arguments, command: CommandSpec): ParticipantOptions {
  onlyWithHost(given, command);
  return {
    version: VERSION,
    ui: given.choice("ui", UIS, "line"),
    color: !given.has("no-color"),
    listen: given.has("listen"),
    name: given.text("name"),
    host: given.text("host")?.replace(/^\[(.*)\]$/, "$1") ?? "127.0.0.1",
    port: given.number("port", 5000, 1, 65535),
    pin: given.text("pin"),
    acceptNew: given.has("accept-new"),
    ephemeral: given.has("ephemeral"),
    retryMs: given.text("retry") === undefined
      ? Infinity
      : given.number("retry", 0, 0, 31_536_000) * 1000,
    profile: profileOptions(given),
    login: loginOptions(given, command),
  };
}

function loginOptions(given: Arguments, command: CommandSpec): LoginOptions {
  const options = {
    user: given.text("user"),
    passwordFile: given.text("password-file"),
    codeFile: given.text("code-file"),
  };
  // A profile may remember the account.
  if (options.user !== undefined || given.has("profile")) return options;
  const idle = ["password-file", "code-file"].find((name) => given.has(name));
  if (idle === undefined) return options;
  throw new UsageError(
    `--${idle} is for an account: give --user NAME too; for example: stm ${command.name} --user fox --${idle}${
      exampleOf(command, idle)
    }`,
  );
}

function exampleOf(command: CommandSpec, option: string): string {
  const example = command.options.find(({ name }) => name === option)?.example;
  return example === undefined ? "" : ` ${example}`;
}

function sealOptions(given: Arguments): SealOptions {
  const passphraseFile = given.text("passphrase-file");
  const noPassphrase = given.has("no-passphrase");
  if (noPassphrase && passphraseFile !== undefined) {
    throw new UsageError("give --passphrase-file FILE or --no-passphrase, not both");
  }
  return { passphraseFile, noPassphrase };
}

function profileOptions(given: Arguments): ProfileOptions | null {
  const name = given.text("profile");
  const seal = sealOptions(given);
  if (name !== undefined) {
    if (!given.has("ephemeral")) return { name, ...seal };
    throw new UsageError("--ephemeral remembers nothing and --profile does: give one of them");
  }
  if (seal.noPassphrase || seal.passphraseFile !== undefined) {
    throw new UsageError("there is no profile to open: give --profile NAME too, as --profile owl");
  }
  return null;
}

async function profileCreate(given: Arguments): Promise<number> {
  const { runProfileCreate, DEFAULT_PROFILE } = await import("./driver/profile_command.ts");
  return await runProfileCreate(
    {
      ...sealOptions(given),
      profile: given.positionals[0] ?? DEFAULT_PROFILE,
      name: given.text("name"),
    },
    await participantPorts(),
    OUTPUT,
  );
}

async function profileList(): Promise<number> {
  const { runProfileList } = await import("./driver/profile_command.ts");
  return await runProfileList(await participantPorts(), OUTPUT);
}

async function profileForks(given: Arguments): Promise<number> {
  const { runProfileForks, DEFAULT_PROFILE } = await import("./driver/profile_command.ts");
  const name = given.positionals[0] ?? DEFAULT_PROFILE;
  return await runProfileForks(
    { ...sealOptions(given), name },
    await participantPorts(),
    OUTPUT,
  );
}

const OUTPUT = {
  out: (line: string) => print(`${line}\n`),
  err: complain,
};

/** A relay goes on though its words are lost, as where the disk of its log is full. */
const LASTING_OUTPUT = {
  ...OUTPUT,
  out: (line: string) => {
    try {
      OUTPUT.out(line);
    } catch (error) {
      if (!(error instanceof OutputError)) throw error;
    }
  },
};

async function participantPorts(): Promise<ParticipantPorts> {
  const { processPorts } = await import("./driver/participant.ts");
  return processPorts();
}

async function admin(given: Arguments): Promise<number> {
  const [{ runAdmin }, { parseLink, LinkError }, { sha256 }] = await Promise.all([
    import("./admin/main.ts"),
    import("./wire/link_url.ts"),
    import("./crypto/primitives.ts"),
  ]);
  const [text] = given.positionals;
  if (text !== undefined && given.has("host")) {
    throw new UsageError(
      "give the relay's link or --host, not both; for example: " + (ADMIN.examples[0] ?? ""),
    );
  }
  let link = null;
  if (text !== undefined) {
    try {
      link = parseLink(text, sha256);
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      throw new UsageError(`${error.message}; stm server prints its link at its start`);
    }
    if (link.kind !== "server") {
      throw new UsageError("that is an invite, not a server link: stm client takes it");
    }
  } else if (!given.has("host") && !given.has("profile")) {
    throw new UsageError(
      `give the relay's link, or --host for an open room; for example: ${ADMIN.examples[0]}`,
    );
  }
  const idle = given.has("host") && ["uses", "expires"].find((name) => given.has(name));
  if (idle) {
    throw new UsageError(
      `--${idle} is for an invite, and the open room of --host has none; for example: ${
        ADMIN.examples[0]
      } --${idle}${exampleOf(ADMIN, idle)}`,
    );
  }
  const uses = given.number("uses", 1, 1, 1000);
  const hours = given.number("expires", 24, 1, 24 * 366);
  return await runAdmin({
    ...participantOptions(given, ADMIN),
    link,
    open: given.has("host"),
    room: given.text("room"),
    admin: {
      firstInvite: { uses, lifeMs: hours * 3_600_000 },
      graceMs: given.number("grace", 60, 1, 86_400) * 1000,
      rekeyEveryMs: 24 * 3_600_000,
    },
  }, await participantPorts());
}

async function client(given: Arguments): Promise<number> {
  const { runClient } = await import("./client/main.ts");
  const open = given.has("host");
  const invited = given.positionals.length > 0 || given.has("invite-file");
  if (open && invited) {
    throw new UsageError(
      "give an invite or --host, not both; for example: stm client --invite-file invite.txt",
    );
  }
  if (invited && given.has("room")) {
    throw new UsageError(
      "--room is for an open room or one of a profile, an invite names its own; " +
        "for example: stm client --invite-file invite.txt",
    );
  }
  return await runClient({
    ...participantOptions(given, CLIENT),
    invites: given.positionals,
    inviteFile: given.text("invite-file"),
    open,
    room: given.text("room"),
  }, await participantPorts());
}
