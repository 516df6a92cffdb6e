import stringWidth from "string-width";

/**
 * How many character cells a grapheme takes at most. Many terminals draw what is joined (a family, a flag) beside each
 * other, or count it so: a row that is laid out for that is never too long.
 */
export function cellsOf(grapheme: string): number {
  if (grapheme.length === 1 && grapheme >= " " && grapheme <= "~") return 1;
  const parts = [...grapheme];
  if (parts.length === 1) return stringWidth(grapheme);
  return Math.max(
    stringWidth(grapheme),
    parts.reduce((sum, part) => sum + stringWidth(part), 0),
  );
}

/** How many character cells a text takes; it must be clean. */
export function widthOf(text: string): number {
  return stringWidth(text);
}
