import { cleanLine } from "./clean.ts";
import { drawRows, eraseRows, type InputRows, inputRows } from "./input_rows.ts";
import { type Key, KeyParser } from "./key_parser.ts";
import { edit, EMPTY_EDITOR, withLine } from "./line_editor.ts";
import { processTerminal, type Terminal } from "./terminal.ts";

/** Why a question to the person got no answer. */
export type PromptErrorCode = "no-terminal" | "interrupted" | "ended";

/** A question that could not be asked (`no-terminal`) or that the person refused to answer. */
export class PromptError extends Error {
  /** `PromptError`. */
  override readonly name = "PromptError";

  /** The message is for the person, the code for the program. */
  constructor(readonly code: PromptErrorCode, message: string) {
    super(message);
  }
}

const PASTE_ON = "\x1b[?2004h";
const PASTE_OFF = "\x1b[?2004l";

/**
 * Asks for one line, before or after a face has the terminal (never while). Keys typed ahead stay
 * for whoever reads next. (`@clack/prompts` 1.9 keeps what came in one chunk with the Enter key: an
 * answer pasted or sent by a program together with the next line would lose that line.)
 *
 * @param question without the colon
 * @param initial is on the line already, to be changed
 * @returns what was typed, without blanks around it
 * @throws {PromptError} `no-terminal`; `interrupted` (^C); `ended` (^D)
 */
export async function askLine(
  question: string,
  terminal: Terminal = processTerminal(),
  initial = "",
): Promise<string> {
  return (await ask(terminal, `${cleanLine(question)}: `, initial)).trim();
}

/**
 * Asks for a passphrase: nothing that is typed is shown, not even how much.
 *
 * @throws {PromptError} as {@linkcode askLine}
 */
export function askSecret(
  question: string,
  terminal: Terminal = processTerminal(),
): Promise<string> {
  return ask(terminal, `${cleanLine(question)}: `, "", "");
}

/**
 * Asks until the answer is yes or no.
 *
 * @param otherwise what an empty line means; without it, an empty line is asked again
 * @throws {PromptError} as {@linkcode askLine}
 */
export async function confirm(
  question: string,
  terminal: Terminal = processTerminal(),
  otherwise?: boolean,
): Promise<boolean> {
  const choices = otherwise === undefined ? "yes/no" : otherwise ? "YES/no" : "yes/NO";
  while (true) {
    const answer = (await ask(terminal, `${cleanLine(question)} [${choices}] `, "")).trim();
    if (answer === "" && otherwise !== undefined) return otherwise;
    if (/^y(es?)?$/i.test(answer)) return true;
    if (/^no?$/i.test(answer)) return false;
  }
}

async function ask(
  terminal: Terminal,
  prompt: string,
  initial: string,
  mask?: string,
): Promise<string> {
  if (!terminal.isTerminal) {
    throw new PromptError("no-terminal", `cannot ask "${prompt.trim()}": this is no terminal`);
  }
  const encoder = new TextEncoder();
  if (!terminal.hasEscapes) return await askPlainly(terminal, encoder.encode(prompt), mask);
  let drawn: InputRows | null = null;
  let editor = withLine(EMPTY_EDITOR, initial);
  const draw = async () => {
    const { columns, rows } = terminal.size();
    const erased: string = drawn === null ? "" : eraseRows(drawn);
    const screen = { columns, maxRows: Math.max(rows - 1, 1), depth: "none" } as const;
    // The whole question stays readable: it is laid out as text, not as a prompt that is shortened.
    drawn = mask === undefined
      ? inputRows(
        { text: "", style: "plain" },
        prompt + editor.text,
        prompt.length + editor.cursor,
        screen,
      )
      : inputRows({ text: "", style: "plain" }, prompt, prompt.length, screen);
    await terminal.write(encoder.encode(erased + drawRows(drawn)));
  };
  const leave = () => terminal.setRaw(false);
  terminal.setRaw(true);
  const stopExit = terminal.onExit(leave);
  try {
    await terminal.write(encoder.encode(PASTE_ON));
    await draw();
    const keys = keysOf(terminal);
    for await (const key of keys) {
      const { state, outcome } = edit(editor, key, () => null);
      editor = state;
      switch (outcome.kind) {
        case "submitted":
          return outcome.text;
        case "interrupted":
          throw new PromptError("interrupted", "interrupted");
        case "ended":
          throw new PromptError("ended", "the input has ended");
        default:
          await draw();
      }
    }
    throw new PromptError("ended", "the input has ended");
  } finally {
    stopExit();
    leave();
    await terminal.write(encoder.encode(PASTE_OFF + "\r\n"));
  }
}

/** On a terminal without escape sequences nothing is drawn: it echoes what is typed itself, or not at all. */
async function askPlainly(
  terminal: Terminal,
  prompt: Uint8Array,
  mask: string | undefined,
): Promise<string> {
  const secret = mask !== undefined;
  let editor = EMPTY_EDITOR;
  const stopExit = terminal.onExit(() => terminal.setRaw(false));
  if (secret) terminal.setRaw(true);
  try {
    await terminal.write(prompt);
    for await (const key of keysOf(terminal)) {
      const { state, outcome } = edit(editor, key, () => null);
      editor = state;
      if (outcome.kind === "submitted") return outcome.text;
      if (outcome.kind === "interrupted") throw new PromptError("interrupted", "interrupted");
    }
    throw new PromptError("ended", "the input has ended");
  } finally {
    stopExit();
    if (secret) {
      terminal.setRaw(false);
      await terminal.write(Uint8Array.of(0x0a));
    }
  }
}

/** Keys one at a time; bytes behind the last one taken go back to the terminal. */
async function* keysOf(terminal: Terminal): AsyncGenerator<Key, void, void> {
  const parser = new KeyParser();
  for (let chunk = await terminal.read(); chunk !== null; chunk = await terminal.read()) {
    let at = 0;
    try {
      while (at < chunk.length) {
        yield* parser.push(chunk.subarray(at, ++at), performance.now());
      }
    } finally {
      terminal.unread(chunk.subarray(at));
    }
  }
}
