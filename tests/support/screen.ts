import xterm from "@xterm/headless";
import stringWidth from "string-width";

/**
 * A real terminal emulator without a window. Emoji sequences take the cells of their parts in it, as
 * in many terminals in use: what is drawn must survive a terminal that measures differently.
 */
export class Screen {
  #terminal: InstanceType<typeof xterm.Terminal>;

  constructor(columns = 80, rows = 24) {
    this.#terminal = new xterm.Terminal({
      cols: columns,
      rows,
      allowProposedApi: true,
      scrollback: 500,
    });
    this.#terminal.unicode.register({
      version: "string-width",
      wcwidth: cells,
      charProperties(code, preceding) {
        // Packed as xterm's own providers do: bit 0 joins, bits 1 and 2 the width.
        const width = cells(code);
        const before = (preceding >> 1) & 3;
        return width === 0 && before > 0 ? before << 1 | 1 : width << 1;
      },
    });
    this.#terminal.unicode.activeVersion = "string-width";
  }

  /** Settles when the emulator has drawn it. */
  write(text: string): Promise<void> {
    return new Promise((resolve) => this.#terminal.write(text, resolve));
  }

  resize(columns: number, rows: number): void {
    this.#terminal.resize(columns, rows);
  }

  /** The rows of the window down to the cursor or the last that is not empty, blanks at their ends cut. */
  get rows(): string[] {
    const buffer = this.#terminal.buffer.active;
    const rows = Array.from(
      { length: this.#terminal.rows },
      (_, y) => buffer.getLine(buffer.baseY + y)?.translateToString().trimEnd() ?? "",
    );
    const last = Math.max(rows.findLastIndex((row) => row !== ""), buffer.cursorY);
    return rows.slice(0, last + 1);
  }

  /** The rows that have left the window, then {@linkcode rows}. */
  get everything(): string[] {
    const buffer = this.#terminal.buffer.active;
    const above = Array.from(
      { length: buffer.baseY },
      (_, y) => buffer.getLine(y)?.translateToString().trimEnd() ?? "",
    );
    return [...above, ...this.rows];
  }

  /** The row (of the window) and the column in which the next character would come. */
  get cursor(): { row: number; column: number } {
    const { cursorY: row, cursorX: column } = this.#terminal.buffer.active;
    return { row, column };
  }

  get bracketedPaste(): boolean {
    return this.#terminal.modes.bracketedPasteMode;
  }

  close(): void {
    this.#terminal.dispose();
  }
}

function cells(code: number): 0 | 1 | 2 {
  const width = stringWidth(String.fromCodePoint(code));
  return width === 0 ? 0 : width === 1 ? 1 : 2;
}
