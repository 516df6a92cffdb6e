/** `stm doctor` and `stm server doctor`: what each takes, and which part of the program it starts. */
import { type Arguments, type CommandSpec, type OptionSpec, UsageError } from "./command_line.ts";
import type { LoginOptions } from "./driver/credentials.ts";
import type { ProfileOptions } from "./driver/session_profile.ts";
import { SERVER_OPTIONS, type ServerOptions } from "./server/options.ts";

const UI: OptionSpec = {
  name: "ui",
  value: "line|json",
  help: "for people, or one JSON object a line (docs/JSON.md)",
  default: "line",
  example: "json",
};

/**
 * `stm doctor`.
 *
 * @param options those of a participant that say which relay and which profile
 */
export function doctorCommand(options: readonly OptionSpec[]): CommandSpec {
  return {
    name: "doctor",
    args: "[LINK | -]",
    maxArgs: 1,
    summary:
      "Looks whether all that you depend on is in order, and says what to do if it is not: files\nand profiles, the terminal, and the relay of the LINK (a server link or an invite; - reads\nit from standard input), of --host, or of the profile's rooms: whether it is reached, has\nthe pinned key, has the time that this machine has, and takes the login of --user.",
    options: [...options, UI],
    examples: [
      "stm doctor",
      "stm doctor 'stm://203.0.113.7:5000/#…'",
      "stm doctor - < invite.txt",
      "stm doctor --profile owl --ui json",
    ],
  };
}

/** `stm server doctor`. */
export const SERVER_DOCTOR: CommandSpec = {
  name: "server doctor",
  args: "",
  maxArgs: 0,
  summary:
    "Looks whether all that a relay depends on is in order, and says what to do if it is not:\nits files, its port and public address, the metrics, limits, descriptors and memory. It\ntakes the options of stm server: give those that the relay runs with. It changes nothing.",
  options: SERVER_OPTIONS.filter(({ name }) => name !== "print-config"),
  examples: [
    "stm server doctor",
    "stm server doctor --certs /var/lib/stm --public chat.example.org",
    "stm server doctor --config stm.json --ui json",
  ],
};

/** What the two commands get from the program around them. */
export interface DoctorPorts {
  readonly version: string;
  readonly print: (text: string) => void;
}

/**
 * Runs `stm doctor`.
 *
 * @returns the exit code
 * @throws {UsageError} for wrong arguments
 */
export async function runDoctor(
  given: Arguments,
  who: { readonly profile: ProfileOptions | null; readonly login: LoginOptions },
  { version, print }: DoctorPorts,
): Promise<number> {
  const host = given.text("host");
  const [text] = given.positionals;
  if (text !== undefined && host !== undefined) {
    throw new UsageError("give a link or --host, not both; for example: stm doctor --host H");
  }
  const [{ participantFindings }, { report }, { processPorts }, { readLink }, { StartError }] =
    await Promise.all([
      import("./doctor/participant_checks.ts"),
      import("./doctor/report.ts"),
      import("./driver/participant.ts"),
      import("./doctor/given_link.ts"),
      import("./driver/start_error.ts"),
    ]);
  const ports = processPorts();
  const ui = given.choice("ui", ["line", "json"], "line");
  const pin = given.text("pin");
  const server = host === undefined
    ? null
    : { host, port: given.number("port", 5000, 1, 65535), pin };
  try {
    const link = text === undefined ? null : await readLink(text, ports.terminal);
    const inviteShown = link?.kind === "invite" && text !== "-";
    const question = { ui, link, inviteShown, server, ...who };
    return await report(participantFindings(question, ports), ui, version, print);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    throw new UsageError(error.message);
  }
}

/** Runs `stm server doctor`. @returns the exit code */
export async function runServerDoctor(
  options: ServerOptions,
  { version, print }: DoctorPorts,
): Promise<number> {
  const [{ operatorFindings }, { report }] = await Promise.all([
    import("./doctor/operator_checks.ts"),
    import("./doctor/report.ts"),
  ]);
  return await report(operatorFindings(options, version), options.ui, version, print);
}
