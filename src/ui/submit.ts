import type { UserIntent } from "../session/intent.ts";
import type { Notice } from "../session/notice.ts";
import { cleanLine } from "./clean.ts";

/** A question that waits for its answer. */
export type Question = Extract<Notice, { type: "ask" }>;

/** What a line that was entered means. */
export type Submission =
  | { readonly kind: "intent"; readonly intent: UserIntent; readonly answered: boolean }
  /** No answer to the question: what to say to the person. */
  | { readonly kind: "refused"; readonly message: string }
  | { readonly kind: "nothing" };

/**
 * Reads one entered line. `/` begins a command, `//` a text that begins with one slash. While a
 * question waits, whatever is no command is its answer: the choice itself or a beginning of it.
 *
 * @param question the one that is on the screen
 */
export function submissionOf(line: string, question: Question | null): Submission {
  if (line.startsWith("/") && !line.startsWith("//")) {
    return { kind: "intent", intent: { kind: "command", line: line.trimEnd() }, answered: false };
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
    ? { kind: "refused", message: `please answer ${choices.map(cleanLine).join(" or ")}` }
    : { kind: "intent", intent: { kind: "answer", ref, choice }, answered: true };
}
