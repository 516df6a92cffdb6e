import stringWidth from "string-width";

/** How many character cells a grapheme takes: 0, 1 or 2. */
export function cellsOf(grapheme: string): number {
  if (grapheme.length === 1 && grapheme >= " " && grapheme <= "~") return 1;
  return stringWidth(grapheme);
}

/** How many character cells a text takes; it must be clean. */
export function widthOf(text: string): number {
  return stringWidth(text);
}
