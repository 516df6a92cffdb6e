/**
 * The commands below `stm server`: what each takes, and which part of the program it starts.
 *
 * @module
 */
import { type Arguments, type CommandSpec, type OptionSpec, UsageError } from "./command_line.ts";
import type { CommandOptions, CommandOutput } from "./server/shell_commands.ts";

const CERTS: OptionSpec = {
  name: "certs",
  value: "DIR",
  help: "folder of the relay's key and certificate (or STM_CERTS)",
  default: "certs",
  example: "certs",
};

const UI: OptionSpec = {
  name: "ui",
  value: "line|json",
  help: "for people, or one JSON object a line",
  default: "line",
  example: "json",
};

const STATUS: CommandSpec = {
  name: "server status",
  args: "",
  maxArgs: 0,
  summary:
    "Asks the relay that runs with this folder how it is: connections, rooms, traffic and\n" +
    "memory. It names nobody. Only the user who runs the relay may ask.",
  options: [CERTS, UI],
  examples: ["stm server status", "stm server status --ui json"],
};

const RELOAD: CommandSpec = {
  name: "server reload",
  args: "",
  maxArgs: 0,
  summary:
    "Tells the relay that runs with this folder to read its limits, bans, accounts and certificate\n" +
    "anew, as SIGHUP does. If anything is wrong, all stays as it was, and it says what; likewise\n" +
    "which options (--access, --host) have changed and count only when it is started again.",
  options: [CERTS, UI],
  examples: ["stm server reload"],
};

const ROTATE_KEY: CommandSpec = {
  name: "server rotate-key",
  args: "",
  maxArgs: 0,
  summary:
    "Gives the relay another key, now or later. A statement signed by the key of now says so:\n" +
    "clients follow it by themselves, at once or when they come back, and links and invites with\n" +
    "the key of now stay good for as long as --follow-for says. Whoever is connected stays.",
  options: [
    {
      name: "after",
      value: "TIME",
      help: "how long until the change: 30m, 12h, 7d",
      default: "at once",
      example: "7d",
    },
    {
      name: "follow-for",
      value: "TIME",
      help: "how long after it those who know the key of now can follow",
      default: "90d",
      example: "365d",
    },
    CERTS,
    UI,
  ],
  examples: ["stm server rotate-key --after 7d", "stm server rotate-key --follow-for 365d"],
};

const BAN_ADD: CommandSpec = {
  name: "server ban add",
  args: "WHO",
  maxArgs: 1,
  summary:
    "Bans an address, a range of addresses, or an account (account:NAME). A relay that runs\n" +
    "ends their connections at once and takes no others. The bans are in bans.json in the folder.",
  options: [
    {
      name: "for",
      value: "TIME",
      help: "how long: 30m, 12h, 7d",
      default: "for good",
      example: "7d",
    },
    { name: "note", value: "TEXT", help: "why, for yourself", example: '"knocks all day"' },
    CERTS,
    UI,
  ],
  examples: [
    "stm server ban add 203.0.113.7 --for 7d",
    'stm server ban add 2001:db8::/32 --note "knocks all day"',
    "stm server ban add account:fox",
  ],
};

const BAN_REMOVE: CommandSpec = {
  name: "server ban remove",
  args: "WHO",
  maxArgs: 1,
  summary: "Ends a ban. WHO is written as stm server ban list shows it.",
  options: [CERTS, UI],
  examples: ["stm server ban remove 203.0.113.7"],
};

const BAN_LIST: CommandSpec = {
  name: "server ban list",
  args: "",
  maxArgs: 0,
  summary: "Lists the bans that are in force.",
  options: [CERTS, UI],
  examples: ["stm server ban list", "stm server ban list --ui json"],
};

const EXPIRES: OptionSpec = {
  name: "expires",
  value: "TIME",
  help: "how long the code is good: 30m, 12h, 7d",
  default: "7d",
  example: "2d",
};

const USER_ADD: CommandSpec = {
  name: "server user add",
  args: "NAME",
  maxArgs: 1,
  summary:
    "Makes an account and prints a code that is good once, with which its person chooses a\npassword (stm client --user NAME). No password is ever typed here. The accounts are in\nusers.json in the folder; they count where the relay runs with --access account or code.",
  options: [EXPIRES, CERTS, UI],
  examples: ["stm server user add fox", "stm server user add fox --expires 2d"],
};

/** A command about an account that is there. */
function onUser(word: string, summary: string, more: readonly OptionSpec[] = []): CommandSpec {
  const name = `server user ${word}`;
  const options = [...more, CERTS, UI];
  return { name, args: "NAME", maxArgs: 1, summary, options, examples: [`stm ${name} fox`] };
}

const USER_RESET = onUser(
  "reset",
  "Takes the password of an account away and prints a code for choosing another. A relay\n" +
    "that runs ends the account's connections at once.",
  [EXPIRES],
);

const USER_DISABLE = onUser(
  "disable",
  "Lets an account log in no longer, and keeps it. A relay that runs ends its connections.",
);

const USER_ENABLE = onUser("enable", "Lets an account log in again that was disabled.");

const USER_REMOVE = onUser(
  "remove",
  "Removes an account. A relay that runs ends its connections at once.",
);

const USER_LIST: CommandSpec = {
  name: "server user list",
  args: "",
  maxArgs: 0,
  summary: "Lists the accounts, and how many more the codes that are out are good for.",
  options: [CERTS, UI],
  examples: ["stm server user list", "stm server user list --ui json"],
};

const CODE: CommandSpec = {
  name: "server code",
  args: "",
  maxArgs: 0,
  summary:
    "Prints a code with which people make accounts themselves, where the relay runs with\n--access code.",
  options: [
    { name: "uses", value: "N", help: "accounts it is good for", default: "1", example: "5" },
    EXPIRES,
    CERTS,
    UI,
  ],
  examples: ["stm server code --uses 5 --expires 7d"],
};

/** How long clients may follow a change of the key, unless asked for otherwise. */
const FOLLOW_MS = 90 * 86_400e3;

/** In the order of help. */
export const SERVER_COMMANDS: readonly CommandSpec[] = [
  STATUS,
  RELOAD,
  ROTATE_KEY,
  BAN_ADD,
  BAN_REMOVE,
  BAN_LIST,
  USER_ADD,
  USER_RESET,
  USER_DISABLE,
  USER_ENABLE,
  USER_REMOVE,
  USER_LIST,
  CODE,
];

const ABOUT_ACCOUNTS: ReadonlySet<CommandSpec> = new Set([
  USER_ADD,
  USER_RESET,
  USER_DISABLE,
  USER_ENABLE,
  USER_REMOVE,
  USER_LIST,
  CODE,
]);

/**
 * Runs one of {@linkcode SERVER_COMMANDS}.
 *
 * @param certs the folder if `--certs` does not name one
 * @returns the exit code
 * @throws {UsageError} for wrong arguments
 */
export async function runServerCommand(
  command: CommandSpec,
  given: Arguments,
  certs: string,
  output: CommandOutput,
): Promise<number> {
  const options: CommandOptions = {
    certs: given.text("certs") ?? certs,
    ui: given.choice("ui", ["line", "json"], "line"),
  };
  if (ABOUT_ACCOUNTS.has(command)) return await runAccountCommand(command, given, options, output);
  const lifeMs = given.duration("for", Infinity);
  const commands = await import("./server/shell_commands.ts");
  switch (command) {
    case STATUS:
      return await commands.showStatus(options, output);
    case RELOAD:
      return await commands.reloadRelay(options, output);
    case ROTATE_KEY:
      return await commands.rotateKey(options, output, {
        afterMs: given.duration("after", 0),
        followMs: given.duration("follow-for", FOLLOW_MS),
      });
    case BAN_ADD:
      return await commands.addBan(
        options,
        whoOf(command, given),
        lifeMs,
        given.text("note"),
        output,
      );
    case BAN_REMOVE:
      return await commands.removeBan(options, whoOf(command, given), output);
    default:
      return await commands.listBans(options, output);
  }
}

async function runAccountCommand(
  command: CommandSpec,
  given: Arguments,
  options: CommandOptions,
  output: CommandOutput,
): Promise<number> {
  const lifeMs = given.duration("expires", 7 * 86_400e3);
  const uses = given.number("uses", 1, 1, 10_000);
  const commands = await import("./server/shell_account_commands.ts");
  switch (command) {
    case USER_ADD:
      return await commands.addUser(options, whoOf(command, given), lifeMs, output);
    case USER_RESET:
      return await commands.resetUser(options, whoOf(command, given), lifeMs, output);
    case USER_DISABLE:
    case USER_ENABLE:
      return await commands.disableUser(
        options,
        whoOf(command, given),
        command === USER_DISABLE,
        output,
      );
    case USER_REMOVE:
      return await commands.removeUser(options, whoOf(command, given), output);
    case USER_LIST:
      return await commands.listUsers(options, output);
    default:
      return await commands.makeCode(options, uses, lifeMs, output);
  }
}

function whoOf(command: CommandSpec, given: Arguments): string {
  const [who] = given.positionals;
  if (who !== undefined) return who;
  throw new UsageError(
    `stm ${command.name} needs ${command.args}; for example: ${command.examples[0]}`,
  );
}
