import { cleanLine, graphemes } from "./clean.ts";
import { type ColorDepth, paint, type Style } from "./colors.ts";
import { cellsOf } from "./width.ts";

/** What is before the text that is typed. */
export interface Prompt {
  /** Clean. */
  readonly text: string;
  /** How it is painted. */
  readonly style: Style;
}

/** The rows at the bottom of the screen: prompt and typed text, and where the cursor is in them. */
export interface InputRows {
  /** From the top, painted. */
  readonly rows: readonly string[];
  /** The cells of each row. */
  readonly widths: readonly number[];
  /** An index into `rows`. */
  readonly cursorRow: number;
  /** The part of the cursor's row that is left of it: written again, it puts the cursor right on every terminal, whatever it thinks of a character's width. */
  readonly beforeCursor: string;
}

/**
 * Lays out what is typed. Breaks rows itself, never in the last column, so nothing depends on how a
 * terminal wraps.
 *
 * @param maxRows a longer text shows the rows around the cursor
 * @param mask stands for each typed character of a secret; empty shows none
 */
export function inputRows(
  prompt: Prompt,
  text: string,
  cursor: number,
  screen: { readonly columns: number; readonly maxRows: number; readonly depth: ColorDepth },
  mask?: string,
): InputRows {
  const limit = Math.max(screen.columns - 1, 4);
  const lead = shortened(prompt.text, Math.floor(limit / 2));
  const rows = [paint(lead, prompt.style, screen.depth)];
  const widths = [widest(lead)];
  let cursorRow = 0;
  let beforeCursor = rows[0] ?? "";
  let at = 0;
  const mark = () => {
    cursorRow = rows.length - 1;
    beforeCursor = rows.at(-1) ?? "";
  };
  for (const grapheme of graphemes(text)) {
    const plain = mask === undefined && grapheme.length === 1 && grapheme >= " " && grapheme <= "~";
    const shown = plain ? grapheme : mask ?? cleanLine(grapheme);
    const width = plain ? 1 : widest(shown);
    if ((widths.at(-1) ?? 0) + width > limit) {
      rows.push("");
      widths.push(0);
    }
    if (at === cursor) mark();
    rows[rows.length - 1] += shown;
    widths[widths.length - 1] = (widths.at(-1) ?? 0) + width;
    at += grapheme.length;
  }
  if (at === cursor) mark();
  const first = Math.max(
    0,
    Math.min(cursorRow - Math.floor(screen.maxRows / 2), rows.length - screen.maxRows),
  );
  const last = first + Math.max(screen.maxRows, 1);
  return {
    rows: rows.slice(first, last),
    widths: widths.slice(first, last),
    cursorRow: cursorRow - first,
    beforeCursor,
  };
}

function widest(text: string): number {
  return graphemes(text).reduce((sum, part) => sum + cellsOf(part), 0);
}

/** A long prompt keeps its end, where the sign is that says what may be typed. */
function shortened(text: string, columns: number): string {
  if (widest(text) <= columns) return text;
  const parts = graphemes(text);
  while (parts.length > 0 && widest(parts.join("")) > columns - 1) parts.shift();
  return "…" + parts.join("");
}

/** Moves to the first of the rows and clears from there. */
export function eraseRows(drawn: InputRows): string {
  return up(drawn.cursorRow) + "\r\x1b[J";
}

/** Writes the rows, beginning in an empty row, and puts the cursor in its place. */
export function drawRows(input: InputRows): string {
  return input.rows.join("\r\n") + up(input.rows.length - 1 - input.cursorRow) + "\r" +
    input.beforeCursor;
}

function up(rows: number): string {
  return rows > 0 ? `\x1b[${rows}A` : "";
}
