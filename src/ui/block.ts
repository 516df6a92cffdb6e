import { graphemes } from "./clean.ts";
import { type ColorDepth, paint, type Style } from "./colors.ts";
import { cellsOf } from "./width.ts";

/** A piece of text of one style. Clean, without line breaks. */
export interface Span {
  /** Clean; without a line break. */
  readonly text: string;
  /** How it is painted. */
  readonly style: Style;
}

/** A line as it was meant; how many rows it takes depends on the window. */
export interface Line {
  /** What will be printed, in order. */
  readonly spans: readonly Span[];
  /** How far its second and later rows are indented, so that no row of a long text can pass for a new line. */
  readonly hang: number;
  /** Left to the terminal to wrap, so that a link can be copied whole. Only for text of our own. */
  readonly whole: boolean;
}

/** What one notice looks like. */
export interface Block {
  /** In order. */
  readonly lines: readonly Line[];
  /** Set where every line is an entry of its own. */
  readonly list?: boolean;
  /** Only for a screen on which it fits, such as a QR code; already painted. */
  readonly picture?: { readonly rows: readonly string[]; readonly columns: number };
}

/** A line of spans; a plain string is a span without a style. */
export function line(spans: readonly (Span | string)[], hang = 2): Line {
  return {
    spans: spans.map((span) => typeof span === "string" ? as(span) : span),
    hang,
    whole: false,
  };
}

/** A line that is not wrapped. */
export function wholeLine(...spans: readonly (Span | string)[]): Line {
  return { ...line(spans), whole: true };
}

/** A span of a style. */
export function as(text: string, style: Style = "plain"): Span {
  return { text, style };
}

/** A block without any style, for a pipe and a screen reader: one line, or one for each entry of a list. */
export function plainText(block: Block): string[] {
  const lines = block.lines.map((part) =>
    part.spans.map((span) => span.text).join("").trim().replaceAll(/ {2,}/g, " ")
  );
  return block.list === true ? lines : [lines.join(" ")];
}

/**
 * Lays a block out on a screen of that many columns.
 *
 * @returns its rows; each fits, but those of whole lines
 */
export function rowsOf(block: Block, columns: number, depth: ColorDepth): string[] {
  return [
    ...block.lines.flatMap((part) =>
      part.whole
        ? [part.spans.map((span) => paint(span.text, span.style, depth)).join("")]
        : wrap(part, columns, depth)
    ),
    ...(block.picture !== undefined && block.picture.columns < columns ? block.picture.rows : []),
  ];
}

interface Cell {
  readonly text: string;
  readonly width: number;
  readonly style: Style;
}

/**
 * Breaks after blanks where it can, else between graphemes. The last column stays free: terminals
 * differ in what they do there.
 */
function wrap(part: Line, columns: number, depth: ColorDepth): string[] {
  const limit = Math.max(columns - 1, 4);
  const hang = part.hang < limit / 2 ? part.hang : 1;
  const rows: string[] = [];
  let row: Cell[] = [];
  const finish = (length: number) => {
    rows.push((rows.length > 0 ? " ".repeat(hang) : "") + painted(row.slice(0, length), depth));
    row = row.slice(length);
  };
  // A blank that would begin a row is the break itself.
  let broken = false;
  for (const cell of cellsIn(part.spans)) {
    if (broken && cell.text === " ") continue;
    if (broken) finish(row.length);
    broken = false;
    row.push(cell);
    while (true) {
      const fits = fitting(row, limit - (rows.length > 0 ? hang : 0));
      if (fits === row.length) break;
      if (cell.text === " " && fits === row.length - 1) {
        row.pop();
        broken = true;
        break;
      }
      const blank = row.slice(0, fits).findLastIndex((earlier) => earlier.text === " ");
      finish(blank > 0 ? blank + 1 : Math.max(fits, 1));
    }
  }
  finish(row.length);
  return rows;
}

/** How many of the cells fit into that many columns. */
function fitting(cells: readonly Cell[], columns: number): number {
  let width = 0;
  const over = cells.findIndex((cell) => (width += cell.width) > columns);
  return over < 0 ? cells.length : over;
}

function cellsIn(spans: readonly Span[]): Cell[] {
  return spans.flatMap(({ text, style }) =>
    graphemes(text).map((grapheme) => ({ text: grapheme, width: cellsOf(grapheme), style }))
  );
}

function painted(cells: readonly Cell[], depth: ColorDepth): string {
  let out = "";
  for (let from = 0; from < cells.length;) {
    const style = cells[from]?.style ?? "plain";
    let to = from;
    while (to < cells.length && cells[to]?.style === style) to++;
    out += paint(cells.slice(from, to).map((cell) => cell.text).join(""), style, depth);
    from = to;
  }
  return out;
}
