import { COMMANDS } from "../session/commands.ts";
import type { UserIntent } from "../session/intent.ts";
import type { Notice } from "../session/notice.ts";

/** A question that waits for its answer. */
export type Question = Extract<Notice, { type: "ask" }>;

/** What a line that was entered means. */
export type Submission =
  | { readonly kind: "intent"; readonly intent: UserIntent; readonly answered: boolean }
  /** Lines that the face itself answers with. */
  | { readonly kind: "say-back"; readonly lines: readonly string[]; readonly warning: boolean }
  | { readonly kind: "nothing" };

/**
 * Reads one entered line. `/` begins a command, `//` a text that begins with one slash. While a
 * question waits, whatever is no command is its answer: the choice itself or a beginning of it.
 *
 * @param question the one that is on the screen
 * @param role whose commands `/help` lists
 */
export function submissionOf(
  line: string,
  question: Question | null,
  role: "admin" | "client",
): Submission {
  if (line.startsWith("/") && !line.startsWith("//")) {
    const help = /^\/help(?:\s+\/?(\S+))?\s*$/i.exec(line);
    return help === null
      ? { kind: "intent", intent: { kind: "command", line: line.trimEnd() }, answered: false }
      : { kind: "say-back", lines: helpLines(role, help[1]), warning: false };
  }
  if (question !== null) return answerOf(line, question);
  const text = line.startsWith("//") ? line.slice(1) : line;
  return text.trim() === ""
    ? { kind: "nothing" }
    : { kind: "intent", intent: { kind: "say", text }, answered: false };
}

function answerOf(line: string, { ref, choices }: Question): Submission {
  const typed = line.trim().toLowerCase();
  const exact = choices.filter((choice) => choice.toLowerCase() === typed);
  const fitting = exact.length > 0
    ? exact
    : choices.filter((choice) => typed !== "" && choice.toLowerCase().startsWith(typed));
  const choice = choices.length === 0 ? line.trim() : fitting.length === 1 ? fitting[0] : undefined;
  return choice === undefined
    ? { kind: "say-back", lines: [`please answer ${choices.join(" or ")}`], warning: true }
    : { kind: "intent", intent: { kind: "answer", ref, choice }, answered: true };
}

/** What `/help` prints: all commands of a role, or one. */
export function helpLines(role: "admin" | "client", name?: string): string[] {
  const listed = COMMANDS.filter((command) =>
    name === undefined ? command.role === "any" || command.role === role : command.name === name
  );
  if (listed.length === 0) return [`there is no command /${name}; /help lists them`];
  const usage = listed.map((command) => `/${command.name} ${command.args}`.trim());
  const column = Math.max(...usage.map((text) => text.length));
  return listed.map(({ help }, index) => `${(usage[index] ?? "").padEnd(column)}  ${help}`);
}
