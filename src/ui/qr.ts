import { encode } from "uqr";

/** Empty modules around the code. The standard wants 4; scanners read 2, and rows are scarce. */
const QUIET_MODULES = 2;

/**
 * A QR code of half blocks: two modules a character cell, which makes them square.
 *
 * @param painted whether colours may be used: then black on white whatever the terminal's colours
 *   are; otherwise the terminal is taken to be dark
 * @returns rows, or the number of rows and columns that it would need
 */
export function qrRows(
  text: string,
  screen: { readonly columns: number; readonly rows: number },
  painted: boolean,
): readonly string[] | { readonly columns: number; readonly rows: number } {
  const { data } = encode(text, { ecc: "L", border: QUIET_MODULES });
  const rowCount = Math.ceil(data.length / 2);
  // One column stays free, one row is the prompt's.
  if (data.length > screen.columns - 1 || rowCount > screen.rows - 1) {
    return { columns: data.length + 1, rows: rowCount + 1 };
  }
  return Array.from({ length: rowCount }, (_, row) => {
    const cells = data.map((_, column) => {
      const upper = data[row * 2]?.[column] === true;
      const lower = data[row * 2 + 1]?.[column] === true;
      return HALVES[(upper ? 2 : 0) + (lower ? 1 : 0)] ?? " ";
    }).join("");
    return painted ? `\x1b[97;40m${cells}\x1b[0m` : cells;
  });
}

/** By what is dark: nothing, the lower half, the upper half, both. The light parts are drawn. */
const HALVES = ["█", "▀", "▄", " "];
