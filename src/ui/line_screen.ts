import type { Notice } from "../session/notice.ts";
import type { SessionView } from "../session/view.ts";
import { as, type Block, line, rowsOf } from "./block.ts";
import { cleanLine, cleanName } from "./clean.ts";
import { complete } from "./completion.ts";
import type { Face } from "./face.ts";
import { drawRows, eraseRows, type InputRows, inputRows, type Prompt } from "./input_rows.ts";
import { IntentQueue } from "./intent_queue.ts";
import { type Key, KeyParser } from "./key_parser.ts";
import { edit, EMPTY_EDITOR, MAX_LINE_CHARS, withLine } from "./line_editor.ts";
import type { LineSettings } from "./line_pipe.ts";
import { Narrator, type Screen } from "./narrator.ts";
import { OutputQueue } from "./output.ts";
import { type Question, submissionOf } from "./submit.ts";
import type { UserIntent } from "../session/intent.ts";
import { widthOf } from "./width.ts";
import { warning } from "./words.ts";

/** How many notices can be drawn again after the window has changed. Chosen: a few screens. */
const MAX_KEPT_BLOCKS = 300;

const PASTE_ON = "\x1b[?2004h";
const PASTE_OFF = "\x1b[?2004l";
const CLEAR_SCREEN = "\x1b[H\x1b[2J";

/** The line face on a terminal: what happens is printed above, what is typed stays at the bottom. */
export function screenFace(settings: LineSettings): Face {
  return new ScreenFace(settings);
}

class ScreenFace implements Face {
  #settings: LineSettings;
  #intents = new IntentQueue();
  #output: OutputQueue;
  #narrator: Narrator;
  #editor = EMPTY_EDITOR;
  #questions: Question[] = [];
  /** The line that was being typed when the first question came. */
  #draft = "";
  #kept: Block[] = [];
  #drawn: InputRows | null = null;
  /** The last layout and what it was made of: a long line is not measured again for each message. */
  #laidOut: { readonly made: string; readonly input: InputRows } | null = null;
  /** Undoes what `#start` did to the terminal; `null` while the editor is not there. */
  #leave: (() => void) | null = null;
  #closed = false;

  constructor(settings: LineSettings) {
    this.#settings = settings;
    this.#narrator = new Narrator(settings.now);
    this.#output = new OutputQueue(settings.terminal, () => this.#end());
  }

  notice(notice: Notice): void {
    if (notice.type === "ask") this.#ask(notice);
    if (notice.type === "withdrawn") this.#withdraw(notice.ref);
    const block = this.#narrator.tell(notice, this.#screen());
    if (block === null) {
      this.#draw();
    } else if (this.#output.hasRoom() || notice.type === "bye") {
      const count = this.#output.takeLeftOut();
      if (count > 0) {
        this.#print({
          lines: [warning(`${count} notices were left out: the terminal is too slow`)],
        });
      }
      this.#print(block);
    } else {
      this.#output.leaveOut();
    }
  }

  view(view: SessionView): void {
    const before = this.#prompt().text;
    this.#narrator.view = view;
    if (this.#prompt().text !== before) this.#draw();
  }

  intents(): AsyncIterable<UserIntent> {
    this.#start();
    return this.#intents;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stop();
    this.#intents.close();
    await this.#output.drained();
  }

  #start(): void {
    if (this.#leave !== null || this.#closed) return;
    const { terminal } = this.#settings;
    terminal.setRaw(true);
    const stopResize = terminal.onResize(() => this.#resized());
    const stopExit = terminal.onExit(() => this.#rescue());
    this.#leave = () => {
      this.#leave = null;
      stopResize();
      stopExit();
      terminal.setRaw(false);
    };
    this.#output.push(PASTE_ON, true);
    this.#draw();
    void this.#readKeys();
  }

  /** Gives the terminal back: what is typed vanishes, the cursor is in an empty row. */
  #stop(): void {
    if (this.#leave === null) return;
    this.#output.push((this.#drawn === null ? "" : eraseRows(this.#drawn)) + PASTE_OFF, true);
    this.#drawn = null;
    this.#leave();
  }

  /** The process ends without `close`: what can be done at once. */
  #rescue(): void {
    if (this.#leave === null) return;
    this.#leave();
    try {
      this.#settings.terminal.writeNow(new TextEncoder().encode(PASTE_OFF + "\r\n"));
    } catch {
      // Nobody reads: there is no terminal to restore.
    }
  }

  /** From now on ^C is the system's again, so that a second one ends what the first did not. */
  #end(): void {
    this.#stop();
    this.#intents.push({ kind: "end" });
  }

  async #readKeys(): Promise<void> {
    const parser = new KeyParser();
    try {
      while (this.#leave !== null) {
        const chunk = await this.#settings.terminal.read();
        if (this.#leave === null) return;
        if (chunk === null) break;
        for (const key of parser.push(chunk, this.#settings.now().getTime())) this.#key(key);
        this.#draw();
      }
    } catch {
      // A keyboard that cannot be read is gone: the window was closed.
    }
    this.#end();
  }

  #key(key: Key): void {
    if (this.#leave === null) return;
    const { state, outcome } = edit(
      this.#editor,
      key,
      (text, cursor) => complete(text, cursor, this.#narrator.view),
    );
    this.#editor = state;
    switch (outcome.kind) {
      case "submitted":
        return this.#submit(outcome.text);
      case "ended":
        return this.#end();
      case "interrupted":
        return this.#intents.push({ kind: "interrupt" });
      case "redraw":
        return this.#repaint();
      case "too-long":
        return this.#print({
          lines: [warning(`the text was cut: a line holds ${MAX_LINE_CHARS} characters`)],
        });
      case "edited":
        return;
    }
  }

  #submit(text: string): void {
    const submission = submissionOf(text, this.#questions[0] ?? null);
    if (submission.kind === "refused") {
      this.#print({ lines: [warning(submission.message)] });
    } else if (submission.kind === "intent") {
      this.#intents.push(submission.intent);
      if (submission.answered) this.#answered(text);
    }
  }

  #ask(question: Question): void {
    if (this.#questions.length === 0) {
      this.#draft = this.#editor.text;
      this.#editor = withLine(this.#editor, "");
    }
    this.#questions.push(question);
  }

  #answered(text: string): void {
    this.#questions.shift();
    this.#print({ lines: [line(["  ", as(cleanLine(text), "dim")])] });
    this.#goOn();
  }

  #withdraw(ref: string): void {
    const isShown = this.#questions[0]?.ref === ref;
    this.#questions = this.#questions.filter((question) => question.ref !== ref);
    if (isShown) this.#goOn();
  }

  /** With the next question, or the line that was being typed. */
  #goOn(): void {
    const isLast = this.#questions.length === 0;
    this.#editor = withLine(this.#editor, isLast ? this.#draft : "");
    if (isLast) this.#draft = "";
  }

  #prompt(): Prompt {
    const question = this.#questions[0];
    if (question !== undefined) {
      const choices = question.choices.map(cleanLine).join("/");
      return { text: choices === "" ? "answer> " : `${choices}> `, style: "strong" };
    }
    const view = this.#narrator.view;
    const state = view === null || view.connection === "connected" ? "" : `(${view.connection}) `;
    const front = view === null || view.front === null ? "" : cleanName(view.front);
    return {
      text: `${state}${front}${badge(view)}${waiting(view)}${unread(view)}> `,
      style: "strong",
    };
  }

  #screen(): Screen {
    return { ...this.#settings.terminal.size(), depth: this.#settings.depth };
  }

  #input(): InputRows {
    const { columns, rows, depth } = this.#screen();
    const { text, cursor } = this.#editor;
    const prompt = this.#prompt();
    const made = JSON.stringify([prompt.text, cursor, columns, rows, text]);
    if (this.#laidOut?.made !== made) {
      const screen = { columns, maxRows: Math.max(rows - 1, 1), depth };
      this.#laidOut = { made, input: inputRows(prompt, text, cursor, screen) };
    }
    return this.#laidOut.input;
  }

  /** Prints above what is typed. */
  #print(block: Block): void {
    this.#kept = [...this.#kept.slice(1 - MAX_KEPT_BLOCKS), block];
    const { columns, depth } = this.#screen();
    const rows = rowsOf(block, columns, depth).map((row) => row + "\r\n").join("");
    const erased = this.#drawn === null ? "" : eraseRows(this.#drawn);
    this.#drawn = this.#leave === null ? null : this.#input();
    this.#output.push(erased + rows + (this.#drawn === null ? "" : drawRows(this.#drawn)), true);
  }

  /** Draws what is typed again where it is. */
  #draw(): void {
    if (this.#leave === null) return;
    const erased = this.#drawn === null ? "" : eraseRows(this.#drawn);
    this.#drawn = this.#input();
    this.#output.push(erased + drawRows(this.#drawn), true);
  }

  #resized(): void {
    // Terminals differ in what they do with rows that no longer fit: some break them, some cut them,
    // some treat the cursor's row apart. If all of ours fit, none of them has touched them.
    const { columns, rows } = this.#screen();
    const drawn = this.#drawn;
    const fits = drawn === null ||
      (drawn.rows.length <= rows && drawn.widths.every((width) => width <= columns));
    if (fits) this.#draw();
    else this.#repaint();
  }

  /** Clears the window and draws the last notices and what is typed. */
  #repaint(): void {
    if (this.#leave === null) return;
    const { columns, rows, depth } = this.#screen();
    this.#drawn = this.#input();
    let room = rows - this.#drawn.rows.length;
    const shown: string[] = [];
    for (let i = this.#kept.length - 1; i >= 0 && room > 0; i--) {
      const block = this.#kept[i];
      if (block === undefined) break;
      const blockRows = rowsOf(block, columns, depth);
      room -= blockRows.reduce(
        (sum, row) => sum + Math.max(1, Math.ceil(widthOf(row) / columns)),
        0,
      );
      if (room >= 0) shown.unshift(...blockRows);
    }
    this.#output.push(
      CLEAR_SCREEN + shown.map((row) => row + "\r\n").join("") + drawRows(this.#drawn),
      true,
    );
  }
}

/** How many of the room in front see the same conversation, as long as not all do. */
function badge(view: SessionView | null): string {
  const agreement = view?.rooms.find((room) => room.name === view.front)?.agreement;
  if (agreement === undefined || agreement === null) return "";
  const { agree, of, differ, behind, silent } = agreement;
  return differ.length + behind.length + silent.length > 0 ? ` (${agree}/${of} agree)` : "";
}

/** How many texts wait to be sent, in whatever room. */
function waiting(view: SessionView | null): string {
  const count = view?.rooms.reduce((sum, room) => sum + room.pending, 0) ?? 0;
  return count > 0 ? ` (${count} not sent)` : "";
}

/** What waits in other rooms, for the prompt. */
function unread(view: SessionView | null): string {
  const others = view?.rooms.filter((room) => room.name !== view.front && room.unread > 0) ?? [];
  const [first] = others;
  if (first === undefined) return "";
  const total = others.reduce((sum, room) => sum + room.unread, 0);
  return others.length === 1
    ? ` (+${total} ${cleanName(first.name)})`
    : ` (+${total} in ${others.length} rooms)`;
}
