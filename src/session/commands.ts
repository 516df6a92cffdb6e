/** One slash command: what help prints, what completion offers, and what the step gets. */
export interface CommandSpec {
  readonly name: string;
  /** Argument pattern for help: `NAME`, `[N]`; empty without arguments. */
  readonly args: string;
  readonly help: string;
  /** What completion offers for the first argument. */
  readonly completes: "nothing" | "member" | "request" | "room" | "command" | "word";
  /** Words offered when `completes` is "word". */
  readonly words?: readonly string[];
  readonly role: "any" | "admin";
}

/** The slash commands, in the order in which `/help` prints them. */
export const COMMANDS: readonly CommandSpec[] = [
  {
    name: "who",
    args: "",
    help: "who is in the room, who of them is verified, and who sees the same",
    completes: "nothing",
    role: "any",
  },
  {
    name: "verify",
    args: "[ok]",
    help: "show the safety code to read aloud; ok when everybody reads the same",
    completes: "word",
    words: ["ok"],
    role: "any",
  },
  {
    name: "invite",
    args: "[USES] [HOURS]",
    help: "make an invite link (1 use and 24 hours if not said)",
    completes: "nothing",
    role: "admin",
  },
  {
    name: "admit",
    args: "NAME",
    help: "let somebody in who asks",
    completes: "request",
    role: "admin",
  },
  {
    name: "deny",
    args: "NAME",
    help: "turn somebody away who asks",
    completes: "request",
    role: "admin",
  },
  {
    name: "kick",
    args: "NAME",
    help: "remove a member; a new key is made and their invite revoked",
    completes: "member",
    role: "admin",
  },
  {
    name: "deputy",
    args: "[NAME [off]]",
    help: "name who may take over when you are gone; without a name, list them",
    completes: "member",
    role: "admin",
  },
  {
    name: "handover",
    args: "NAME",
    help: "hand the room to a member, who runs it from then on",
    completes: "member",
    role: "admin",
  },
  {
    name: "claim",
    args: "",
    help: "take over as deputy when the admin has gone silent",
    completes: "nothing",
    role: "any",
  },
  { name: "rekey", args: "", help: "make a new room key now", completes: "nothing", role: "admin" },
  {
    name: "join",
    args: "INVITE",
    help: "enter one more room of this relay",
    completes: "nothing",
    role: "any",
  },
  {
    name: "room",
    args: "[NAME]",
    help: "talk in another of your rooms; without a name, list them",
    completes: "room",
    role: "any",
  },
  { name: "leave", args: "", help: "leave this room for good", completes: "nothing", role: "any" },
  { name: "quit", args: "", help: "leave all rooms and end", completes: "nothing", role: "any" },
  { name: "help", args: "[COMMAND]", help: "this list", completes: "command", role: "any" },
];

/** A parsed slash command. */
export interface ParsedCommand {
  readonly name: string;
  readonly args: readonly string[];
}

/** The name that all arguments make: who types `/kick Anna Maria` means one person. */
export function nameIn(args: readonly string[]): string | undefined {
  return args.length === 0 ? undefined : args.join(" ");
}

/**
 * What is wrong with a command that was given more than it takes; `null` if nothing is. `/leave lab` must not leave
 * the room in front.
 */
export function superfluous(
  { name, args }: ParsedCommand,
  role: CommandSpec["role"],
): string | null {
  const spec = COMMANDS.find((command) => command.name === name && command.role === role);
  if (spec === undefined || spec.args.includes("NAME")) return null;
  const extra = spec.words === undefined
    ? args[spec.args.split(" ").filter((word) => word !== "").length]
    : args.find((arg, index) => index > 0 || !spec.words?.includes(arg));
  if (extra === undefined) return null;
  return `/${name} takes ${spec.args === "" ? "nothing behind it" : spec.args}, not "${extra}"`;
}

/**
 * Splits a line like `/kick fox` into its name and arguments; `"book club"` in double quotes is one argument.
 *
 * @param line starts with a slash
 */
export function parseCommand(line: string): ParsedCommand {
  const words = [...line.slice(1).matchAll(/"([^"]*)"|(\S+)/g)].map((m) => m[1] ?? m[2] ?? "");
  return { name: (words[0] ?? "").toLowerCase(), args: words.slice(1) };
}
