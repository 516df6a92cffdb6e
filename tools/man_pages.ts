/**
 * Man pages made from the command tables: `stm.1`, and one for each command.
 *
 * @module
 */
import {
  type CommandSpec,
  COMMON_OPTIONS,
  firstSentence,
  type OptionSpec,
} from "../src/command_line.ts";

const EXIT_CODES: readonly (readonly [string, string])[] = [
  ["0", "left normally"],
  ["1", "anything unforeseen"],
  ["2", "wrong usage; a malformed invite too"],
  ["3", "the server cannot be reached"],
  ["4", "the server's key is not the pinned one, or not known and nobody there to say yes"],
  ["5", "login refused"],
  ["6", "not admitted, an expired or used-up invite too; or removed by the admin"],
  ["7", "the room's protocol was violated"],
];

/**
 * Writes all pages.
 *
 * @param seconds since 1970, for the date at the foot
 * @returns by file name
 */
export function manPages(
  commands: readonly CommandSpec[],
  version: string,
  seconds: number,
): Map<string, string> {
  const date = new Date(seconds * 1000).toISOString().slice(0, 10);
  const head = (name: string): string =>
    `.TH ${name.toUpperCase()} 1 ${date} "stm ${version}" "User Commands"`;
  const pages = new Map([["stm.1", overview(commands, head("stm"))]]);
  for (const command of commands) {
    const name = pageName(command);
    pages.set(`${name}.1`, commandPage(command, head(name)));
  }
  return pages;
}

function pageName({ name }: CommandSpec): string {
  return `stm-${name.replaceAll(" ", "-")}`;
}

function overview(commands: readonly CommandSpec[], head: string): string {
  return page(
    head,
    "NAME",
    "stm \\- a messenger that you host yourself",
    ".SH SYNOPSIS",
    ".B stm",
    ".I COMMAND",
    "[options]",
    ".SH DESCRIPTION",
    text(
      "A relay forwards sealed frames between the people in a room and can open none of them. " +
        "An admin opens a room, makes its keys and admits people. A client joins with an invite.",
    ),
    ".SH COMMANDS",
    ...commands.flatMap((command) => [
      ".TP",
      `.BR ${pageName(command).replaceAll("-", "\\-")} (1)`,
      text(command.summary.split("\n").join(" ")),
    ]),
    ".SH EXIT STATUS",
    ...EXIT_CODES.flatMap(([code, meaning]) => [".TP", `.B ${code}`, text(meaning)]),
    ".SH ENVIRONMENT",
    ...[
      ["STM_HOME", "the folder of profiles and of the servers that were said yes to"],
      ["STM_CACHE", "where a package unpacks itself to, and keeps its runtime's cache"],
      ["STM_PASSPHRASE_FILE", "a file whose first line is the passphrase of a profile"],
      ["NO_COLOR", "no colours"],
    ].flatMap(([name = "", meaning = ""]) => [".TP", `.B ${text(name)}`, text(meaning)]),
  );
}

function commandPage(command: CommandSpec, head: string): string {
  const { name, args, summary, options, examples } = command;
  return page(
    head,
    "NAME",
    `${pageName(command).replaceAll("-", "\\-")} \\- ${lowerFirst(inline(firstSentence(summary)))}`,
    ".SH SYNOPSIS",
    `.B stm ${inline(name)}`,
    ...(args === "" ? [] : [`.RI ${italic(args)}`]),
    "[options]",
    ".SH DESCRIPTION",
    text(summary.split("\n").join(" ")),
    ".SH OPTIONS",
    ...[...options, ...COMMON_OPTIONS].flatMap(option),
    ".SH EXAMPLES",
    ".nf",
    ...examples.map(text),
    ".fi",
    ".SH SEE ALSO",
    ".BR stm (1)",
  );
}

function option({ name, short, value, help, default: usual }: OptionSpec): string[] {
  const flag = `${short === undefined ? "" : `\\-${short}, `}\\-\\-${inline(name)}`;
  return [
    ".TP",
    value === undefined ? `.B ${flag}` : `.BI "${flag} " "${inline(value)}"`,
    text(usual === undefined ? help : `${help} [${usual}]`),
  ];
}

function italic(args: string): string {
  return `"${inline(args)}"`;
}

function lowerFirst(sentence: string): string {
  return sentence.slice(0, 1).toLowerCase() + sentence.slice(1);
}

function page(head: string, section: string, ...lines: string[]): string {
  return `${[head, `.SH ${section}`, ...lines].join("\n")}\n`;
}

/** Within a line: what roff would take for its own. */
function inline(words: string): string {
  return words.replaceAll("\\", "\\e").replaceAll("\n", " ").replaceAll("-", "\\-")
    .replaceAll('"', "\\(dq").replaceAll("'", "\\(aq").replaceAll("…", "...");
}

/** A line of its own, which must not begin as a request does. */
function text(words: string): string {
  return inline(words).replace(/^\./, "\\&.");
}
