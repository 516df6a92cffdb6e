import { graphemes } from "./clean.ts";
import type { Completion } from "./completion.ts";
import type { Key, KeyName } from "./key_parser.ts";

/** The line being typed. Plain data; {@linkcode edit} is its only change. */
export interface EditorState {
  /** May hold line breaks, from a paste or Alt-Enter. */
  readonly text: string;
  /** An index into `text`, always between graphemes. */
  readonly cursor: number;
  /** Oldest first. */
  readonly history: readonly string[];
  /** Which of the history is shown; `history.length` is the line that was being typed. */
  readonly at: number;
  /** What was being typed before the history was looked at. */
  readonly draft: string;
  /** What was cut last, for ^Y. */
  readonly killed: string;
  /** Set while Tab goes round its candidates. */
  readonly cycle: Cycle | null;
}

/** Where Tab is in its candidates. */
export interface Cycle {
  readonly completion: Completion;
  readonly index: number;
  /** The text as it was before the first Tab. */
  readonly text: string;
  readonly cursor: number;
}

/** What the person asked for beside a change of the line. */
export type EditorOutcome =
  | { readonly kind: "edited" }
  | { readonly kind: "submitted"; readonly text: string }
  /** ^D on an empty line. */
  | { readonly kind: "ended" }
  /** ^C on an empty line. */
  | { readonly kind: "interrupted" }
  | { readonly kind: "redraw" }
  /** Text that was not taken because the line is full. */
  | { readonly kind: "too-long" };

/** Longer lines cannot be typed. Chosen: over any message. */
export const MAX_LINE_CHARS = 64 * 1024;

const MAX_HISTORY = 200;

/** A line with nothing on it. */
export const EMPTY_EDITOR: EditorState = {
  text: "",
  cursor: 0,
  history: [],
  at: 0,
  draft: "",
  killed: "",
  cycle: null,
};

const EDITED: EditorOutcome = { kind: "edited" };

/** Finds what Tab offers at a place in a line; `null` for nothing. */
export type Complete = (text: string, cursor: number) => Completion | null;

/**
 * Applies one key.
 *
 * @param complete is asked when Tab is pressed
 */
export function edit(
  state: EditorState,
  key: Key,
  complete: Complete,
): { readonly state: EditorState; readonly outcome: EditorOutcome } {
  if (key.kind === "tab" || key.kind === "back-tab") {
    return { state: cycled(state, key.kind === "tab" ? 1 : -1, complete), outcome: EDITED };
  }
  const settled = state.cycle === null ? state : { ...state, cycle: null };
  if (key.kind === "text" || key.kind === "paste") {
    const room = MAX_LINE_CHARS - settled.text.length;
    const next = insert(settled, key.text.slice(0, Math.max(room, 0)).toWellFormed());
    const cut = key.text.length > room || (key.kind === "paste" && key.cut);
    return { state: next, outcome: cut ? { kind: "too-long" } : EDITED };
  }
  switch (key.kind) {
    case "enter":
      return {
        state: submitted(settled),
        outcome: { kind: "submitted", text: settled.text },
      };
    case "end-of-input":
      return settled.text === ""
        ? { state: settled, outcome: { kind: "ended" } }
        : { state: moved(settled, "delete"), outcome: EDITED };
    case "interrupt":
      return settled.text === ""
        ? { state: settled, outcome: { kind: "interrupted" } }
        : { state: withLine(settled, ""), outcome: EDITED };
    case "redraw":
      return { state: settled, outcome: { kind: "redraw" } };
    case "escape":
      return { state: state.cycle === null ? state : undone(state, state.cycle), outcome: EDITED };
    default:
      return { state: moved(settled, key.kind), outcome: EDITED };
  }
}

/** The same editor with another line on it, for a question that interrupts. */
export function withLine(state: EditorState, text: string, cursor = text.length): EditorState {
  return { ...withText(state, text, cursor), at: state.history.length, cycle: null };
}

function submitted(state: EditorState): EditorState {
  const { text, history } = state;
  const kept = text.trim() === "" || history.at(-1) === text
    ? history
    : [...history, text].slice(-MAX_HISTORY);
  return { ...state, text: "", cursor: 0, history: kept, at: kept.length, draft: "" };
}

function moved(state: EditorState, key: KeyName): EditorState {
  const { text, cursor } = state;
  switch (key) {
    case "new-line":
      return insert(state, "\n");
    case "left":
      return { ...state, cursor: before(text, cursor) };
    case "right":
      return { ...state, cursor: after(text, cursor) };
    case "home":
      return { ...state, cursor: 0 };
    case "end":
      return { ...state, cursor: text.length };
    case "word-left":
      return { ...state, cursor: wordBefore(text, cursor) };
    case "word-right":
      return { ...state, cursor: wordAfter(text, cursor) };
    case "backspace":
      return remove(state, before(text, cursor), cursor);
    case "delete":
      return remove(state, cursor, after(text, cursor));
    case "kill-to-start":
      return kill(state, 0, cursor);
    case "kill-to-end":
      return kill(state, cursor, text.length);
    case "kill-word-left":
      return kill(state, blankBefore(text, cursor), cursor);
    case "kill-word-right":
      return kill(state, cursor, wordAfter(text, cursor));
    case "yank":
      return insert(state, state.killed.slice(0, MAX_LINE_CHARS - text.length));
    case "up":
      return recalled(state, state.at - 1);
    case "down":
      return recalled(state, state.at + 1);
    default:
      return state;
  }
}

function recalled(state: EditorState, at: number): EditorState {
  if (at < 0 || at > state.history.length) return state;
  const draft = state.at === state.history.length ? state.text : state.draft;
  const text = state.history[at] ?? draft;
  return { ...state, text, cursor: text.length, at, draft };
}

function cycled(state: EditorState, step: number, complete: Complete): EditorState {
  const cycle = state.cycle ?? firstCycle(state, step, complete);
  if (cycle === null) return state;
  const { completion, text } = cycle;
  const size = completion.candidates.length;
  const index = (cycle.index + step + size) % size;
  const candidate = completion.candidates[index] ?? "";
  const completed = text.slice(0, completion.from) + candidate + text.slice(cycle.cursor);
  return {
    ...withText(state, completed, completion.from + candidate.length),
    cycle: size === 1 ? null : { ...cycle, index },
  };
}

function firstCycle(state: EditorState, step: number, complete: Complete): Cycle | null {
  const completion = complete(state.text, state.cursor);
  if (completion === null || completion.candidates.length === 0) return null;
  return { completion, index: step > 0 ? -1 : 0, text: state.text, cursor: state.cursor };
}

function undone(state: EditorState, cycle: Cycle): EditorState {
  return { ...state, text: cycle.text, cursor: cycle.cursor, cycle: null };
}

function insert(state: EditorState, added: string): EditorState {
  const text = state.text.slice(0, state.cursor) + added + state.text.slice(state.cursor);
  return withText(state, text, state.cursor + added.length);
}

function remove(state: EditorState, from: number, to: number): EditorState {
  return withText(state, state.text.slice(0, from) + state.text.slice(to), from);
}

function kill(state: EditorState, from: number, to: number): EditorState {
  const killed = state.text.slice(from, to);
  return killed === "" ? state : { ...remove(state, from, to), killed };
}

/** What was typed may have joined its neighbours (a combining mark, a joiner): the cursor goes behind them. */
function withText(state: EditorState, text: string, cursor: number): EditorState {
  return { ...state, text, cursor: cursor === 0 ? 0 : after(text, before(text, cursor)) };
}

const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });

/** The boundary before `cursor`. */
function before(text: string, cursor: number): number {
  return cursor <= 0 ? 0 : segmenter.segment(text).containing(cursor - 1)?.index ?? 0;
}

/** The boundary after `cursor`. */
function after(text: string, cursor: number): number {
  const segment = segmenter.segment(text).containing(cursor);
  return segment === undefined ? text.length : segment.index + segment.segment.length;
}

const WORD = /[\p{L}\p{N}\p{M}_]/u;

function wordBefore(text: string, cursor: number): number {
  return cursor - lengthUntil(graphemes(text.slice(0, cursor)).reverse(), WORD);
}

function wordAfter(text: string, cursor: number): number {
  return cursor + lengthUntil(graphemes(text.slice(cursor)), WORD);
}

/** ^W takes all up to a blank, as shells do. */
function blankBefore(text: string, cursor: number): number {
  return cursor - lengthUntil(graphemes(text.slice(0, cursor)).reverse(), /\S/);
}

/** The length of what is no word, then of the word. */
function lengthUntil(parts: readonly string[], word: RegExp): number {
  const start = parts.findIndex((part) => word.test(part));
  if (start < 0) return parts.join("").length;
  const stop = parts.findIndex((part, index) => index > start && !word.test(part));
  return parts.slice(0, stop < 0 ? parts.length : stop).join("").length;
}
