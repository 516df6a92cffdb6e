import type { UserIntent } from "../session/intent.ts";
import { type Block, plainText, rowsOf } from "./block.ts";
import type { ColorDepth } from "./colors.ts";
import type { Face } from "./face.ts";
import { LineCutter } from "./input_lines.ts";
import { IntentQueue } from "./intent_queue.ts";
import { Narrator } from "./narrator.ts";
import { OutputQueue } from "./output.ts";
import { type Question, submissionOf } from "./submit.ts";
import type { Terminal } from "./terminal.ts";
import { warning } from "./words.ts";

/** What both forms of the line face are made with. */
export interface LineSettings {
  /** The keyboard and the screen, or pipes. */
  readonly terminal: Terminal;
  /** The colours to paint with. */
  readonly depth: ColorDepth;
  /** False leaves the input alone. */
  readonly takesInput: boolean;
  /** Go on after the end of the input. */
  readonly listen: boolean;
  /** The clock for the times before lines. */
  readonly now: () => Date;
}

/** A longer line of input is refused. */
const MAX_LINE_BYTES = 256 * 1024;

/** While so many intents wait, no more input is read. */
const MAX_WAITING_INTENTS = 256;

/** While so many texts wait to be sent in a room, no other is taken: it would be refused before there are twice as many. */
const MAX_WAITING_TEXTS = 500;

/** The line face without an editor: one line for each notice, one intent for each line of input. */
export function pipeFace({ terminal, depth, takesInput, listen, now }: LineSettings): Face {
  const intents = new IntentQueue();
  const output = new OutputQueue(terminal, () => intents.push({ kind: "end" }));
  const narrator = new Narrator(now);
  let questions: Question[] = [];
  const decoder = new TextDecoder();
  const onScreen = terminal.isTerminal && terminal.hasEscapes;
  let closed = false;
  let seen = Promise.withResolvers<void>();

  /** Whoever pipes a file in waits until what it brought before can be sent. */
  async function untilSent(): Promise<void> {
    const waits = () => narrator.view?.rooms.some(({ pending }) => pending >= MAX_WAITING_TEXTS);
    while (waits() === true && !closed) await seen.promise;
  }

  function print(block: Block, needed = false): void {
    const rows = onScreen ? rowsOf(block, terminal.size().columns, depth) : plainText(block);
    if (output.hasRoom()) {
      const count = output.takeLeftOut();
      if (count > 0) output.push(`! ${count} lines were left out: output is read too slowly\n`);
    }
    output.push(rows.join("\n") + "\n", needed);
  }

  async function take(text: string): Promise<void> {
    const submission = submissionOf(text, questions[0] ?? null);
    if (submission.kind === "refused") {
      print({ lines: [warning(submission.message)] }, true);
    } else if (submission.kind === "intent") {
      if (submission.answered) questions.shift();
      if (submission.intent.kind === "say") await untilSent();
      await push(submission.intent);
    }
  }

  async function push(intent: UserIntent): Promise<void> {
    intents.push(intent);
    await intents.below(MAX_WAITING_INTENTS);
  }

  async function readInput(): Promise<void> {
    const cutter = new LineCutter(MAX_LINE_BYTES);
    try {
      while (!closed) {
        const chunk = await terminal.read();
        if (closed) return;
        for (const part of chunk === null ? cutter.end() : cutter.push(chunk)) {
          if (part.kind === "line") await take(decoder.decode(part.bytes));
          else {print(
              { lines: [warning(`a line over ${MAX_LINE_BYTES} bytes was not sent`)] },
              true,
            );}
        }
        if (chunk === null) break;
      }
    } catch {
      // Input that cannot be read has ended.
    }
    if (!listen) intents.push({ kind: "end" });
  }

  return {
    notice(notice) {
      if (notice.type === "ask") questions.push(notice);
      if (notice.type === "withdrawn") questions = questions.filter((q) => q.ref !== notice.ref);
      const screen = onScreen ? { ...terminal.size(), depth } : null;
      const block = narrator.tell(notice, screen);
      if (block !== null) print(block, notice.type === "bye" || notice.type === "ask");
    },
    view(view) {
      narrator.view = view;
      seen.resolve();
      seen = Promise.withResolvers<void>();
    },
    intents() {
      if (takesInput) void readInput();
      return intents;
    },
    async close() {
      closed = true;
      seen.resolve();
      intents.close();
      await output.drained();
    },
  };
}
