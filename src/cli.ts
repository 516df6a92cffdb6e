/**
 * The commands of stm: what each takes, and which part of the program it starts. The parts are
 * loaded only when they are needed: `--help` and `server` must be there at once.
 */
import {
  type Arguments,
  columns,
  commandHelp,
  type CommandSpec,
  nearest,
  type OptionSpec,
  parseArguments,
  UsageError,
} from "./command_line.ts";
import { readLimits, SERVER_OPTIONS } from "./server/options.ts";
import { VERSION } from "./version.ts";
import type { ParticipantOptions, ParticipantPorts } from "./driver/participant.ts";

const PARTICIPANT_OPTIONS: readonly OptionSpec[] = [
  {
    name: "name",
    value: "NAME",
    help: "how you are called in the room; asked for, or made up, if not given",
    example: "fox",
  },
  {
    name: "host",
    value: "HOST",
    help: "the relay, for an open room without any link",
    example: "relay.example.org",
  },
  { name: "port", value: "PORT", help: "the relay's port", default: "5000", example: "5000" },
  { name: "room", value: "NAME", help: "the room's name", default: "main", example: '"book club"' },
  {
    name: "pin",
    value: "KEY",
    help: "the relay's fingerprint or key, where no link gives it",
    example: '"3f2a 11c0 …"',
  },
  { name: "accept-new", help: "believe a relay that is met for the first time" },
  { name: "ephemeral", help: "remember nothing, not even the relay's key" },
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
    "Opens a room and runs it: makes its key, invites, admits and removes people.\nWith the relay's LINK the room is for invited people. With --host it is an open room,\nand everybody who asks waits for your /admit.",
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
  ],
};

const CLIENT: CommandSpec = {
  name: "client",
  args: "[INVITE…]",
  maxArgs: 64,
  summary:
    "Joins a room. The invite is asked for, or read from standard input (-) or a file,\nor given as an argument. With --host it asks to be admitted to an open room.",
  options: [
    ...PARTICIPANT_OPTIONS,
    {
      name: "invite-file",
      value: "FILE",
      help: "read the invite from a file",
      example: "invite.txt",
    },
  ],
  examples: ["stm client", "stm client - --name fox < invite.txt", "stm client --host 127.0.0.1"],
};

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
  summary: "Prints the version.",
  options: [],
  examples: ["stm version"],
};

/** All commands, in the order of help. */
export const COMMANDS: readonly CommandSpec[] = [SERVER, ADMIN, CLIENT, DEMO, VERSION_COMMAND];

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
      ) => [`${c.name} ${c.args}`.trim(), c.summary.split(/[.:]\s/)[0]?.replace("\n", " ") ?? ""]),
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
 * @returns the exit code: 2 and a message on standard error for wrong usage
 */
export async function run(args: readonly string[]): Promise<number> {
  try {
    return await dispatch(args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`stm: ${error.message}`);
    return 2;
  }
}

async function dispatch(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    const about = COMMANDS.find((c) => c.name === rest[0]);
    print(about === undefined ? help() : commandHelp(about));
    return name === undefined ? 2 : 0;
  }
  if (name === "--version" || name === "-V") return version();
  const command = COMMANDS.find((c) => c.name === name);
  if (command === undefined) {
    const near = nearest(name, COMMANDS.map((c) => c.name));
    throw new UsageError(
      `there is no command "${name}": ${
        near === undefined ? "see stm --help" : `did you mean stm ${near}?`
      }`,
    );
  }
  const given = parseArguments(command, rest);
  if (given.has("help")) {
    print(commandHelp(command));
    return 0;
  }
  switch (command) {
    case SERVER:
      return await server(given);
    case ADMIN:
      return await admin(given);
    case CLIENT:
      return await client(given);
    case DEMO: {
      const { runDemo } = await import("./demo.ts");
      return await runDemo(given.choice("ui", UIS, "line"), VERSION);
    }
    default:
      return version();
  }
}

const UIS = ["line", "json"] as const;

function print(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}

function version(): number {
  print(`stm ${VERSION}\n`);
  return 0;
}

async function server(given: Arguments): Promise<number> {
  const { runServer, stopAtSignals, machineAddresses } = await import("./server/main.ts");
  return await runServer(
    {
      port: given.number("port", 5000, 0, 65535),
      host: given.text("host") ?? "0.0.0.0",
      certs: given.text("certs") ?? "certs",
      public: given.text("public") ?? null,
      ui: given.choice("ui", UIS, "line"),
      limits: readLimits((name, fallback, min, max) => given.number(name, fallback, min, max)),
    },
    {
      out: (line) => print(`${line}\n`),
      err: (line) => console.error(line),
    },
    { version: VERSION, stop: stopAtSignals(), addresses: machineAddresses },
  );
}

function participantOptions(given: Arguments): ParticipantOptions {
  return {
    version: VERSION,
    ui: given.choice("ui", UIS, "line"),
    color: !given.has("no-color"),
    listen: given.has("listen"),
    name: given.text("name"),
    host: given.text("host") ?? "127.0.0.1",
    port: given.number("port", 5000, 1, 65535),
    pin: given.text("pin"),
    acceptNew: given.has("accept-new"),
    ephemeral: given.has("ephemeral"),
  };
}

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
  } else if (!given.has("host")) {
    throw new UsageError(
      `give the relay's link, or --host for an open room; for example: ${ADMIN.examples[0]}`,
    );
  }
  const uses = given.number("uses", 1, 1, 1000);
  const hours = given.number("expires", 24, 1, 24 * 366);
  return await runAdmin({
    ...participantOptions(given),
    link,
    rooms: [given.text("room") ?? "main"],
    admin: {
      firstInvite: link === null ? null : { uses, lifeMs: hours * 3_600_000 },
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
  return await runClient({
    ...participantOptions(given),
    invites: given.positionals,
    inviteFile: given.text("invite-file"),
    open,
    room: given.text("room") ?? "main",
  }, await participantPorts());
}
