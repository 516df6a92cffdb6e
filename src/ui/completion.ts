import { COMMANDS } from "../session/commands.ts";
import type { SessionView } from "../session/view.ts";
import { cleanName } from "./clean.ts";

/** What Tab offers for a part of a line. */
export interface Completion {
  /** Where in the line the part begins; it ends at the cursor. */
  readonly from: number;
  /** What may stand there instead, a blank behind it included. */
  readonly candidates: readonly string[];
}

/**
 * What can be completed before the cursor: a command, its first argument, or a name in a message.
 *
 * @param view `null` before there is one
 */
export function complete(
  text: string,
  cursor: number,
  view: SessionView | null,
): Completion | null {
  const typed = text.slice(0, cursor);
  if (typed.startsWith("//")) return null;
  const command = /^\/(\S*)$/.exec(typed);
  if (command !== null) {
    return { from: 1, candidates: starting(commandNames(view), command[1] ?? "", " ") };
  }
  const argument = /^\/(\S+)\s+("?)([^"]*)$/.exec(typed);
  if (argument !== null) {
    const [, name = "", quote = "", part = ""] = argument;
    const candidates = starting(argumentsOf(name.toLowerCase(), view), part, "");
    return {
      from: cursor - part.length - quote.length,
      candidates: candidates.map((candidate) => quoted(candidate) + " "),
    };
  }
  const word = /(?:^|\s)@?(\S+)$/.exec(typed)?.[1];
  if (word === undefined) return null;
  const from = cursor - word.length;
  // As a salutation a name gets its colon, as in every chat since IRC.
  return { from, candidates: starting(memberNames(view), word, from === 0 ? ": " : " ") };
}

function starting(words: readonly string[], part: string, tail: string): string[] {
  const wanted = part.toLowerCase();
  return words.filter((word) => word.toLowerCase().startsWith(wanted)).map((word) => word + tail);
}

function commandNames(view: SessionView | null): string[] {
  return COMMANDS.filter(({ role }) => role === "any" || view?.role === role).map(({ name }) =>
    name
  );
}

function argumentsOf(name: string, view: SessionView | null): readonly string[] {
  const spec = COMMANDS.find((command) => command.name === name);
  switch (spec?.completes) {
    case "member":
      return memberNames(view);
    case "request":
      return frontRoom(view)?.requests.flatMap(({ request, name }) =>
        typeable(name) ? [name] : [request]
      ) ?? [];
    case "room":
      return view?.rooms.map((room) => room.name).filter(typeable) ?? [];
    case "command":
      return commandNames(view);
    case "word":
      return spec.words ?? [];
    case "nothing":
    case undefined:
      return [];
  }
}

function memberNames(view: SessionView | null): string[] {
  const names = frontRoom(view)?.members
    .filter((member) => member.identity !== view?.me.identity)
    .map((member) => member.name) ?? [];
  return names.filter(typeable);
}

function frontRoom(view: SessionView | null) {
  return view?.rooms.find((room) => room.name === view.front);
}

/** A foreign name goes into the line only if it is what it looks like and an argument can hold it. */
function typeable(name: string): boolean {
  return cleanName(name) === name && !name.includes('"');
}

function quoted(word: string): string {
  return word.includes(" ") ? `"${word}"` : word;
}
