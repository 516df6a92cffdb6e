/**
 * Where code stands in a TypeScript source, as opposed to comments and literals. The layer
 * check looks for words such as `Deno`; a word in a comment or in a string is no use of it.
 *
 * @module
 */

/** A `/` after one of these words starts a regular expression, not a division. */
const WORDS_BEFORE_A_REGEX = new Set(
  "return typeof instanceof in of new delete void throw case do else yield await".split(" "),
);

/**
 * Blanks comments, string literals, regular expressions and the text of templates. What stands in
 * `${…}` of a template is code and stays.
 *
 * @param source the text of one TypeScript or JavaScript file
 * @returns a text of the same length with the same line breaks, spaces where no code stood
 */
export function blankNonCode(source: string): string {
  const out = source.split("");
  // One entry per open `${`: the number of `{` that are open inside it.
  const templateBraces: number[] = [];
  let at = 0;

  const blank = (from: number, to: number): void => {
    for (let i = from; i < to; i++) if (out[i] !== "\n") out[i] = " ";
  };
  const endOfLine = (from: number): number => {
    const end = source.indexOf("\n", from);
    return end < 0 ? source.length : end;
  };
  /** Blanks template text from `from`, up to its closing backtick or past the next `${`. */
  const templateText = (from: number): number => {
    let i = from;
    while (i < source.length && source[i] !== "`") {
      if (source[i] === "\\") i++;
      else if (source[i] === "$" && source[i + 1] === "{") {
        blank(from, i);
        templateBraces.push(0);
        return i + 2;
      }
      i++;
    }
    blank(from, Math.min(i, source.length));
    return i + 1;
  };

  while (at < source.length) {
    const character = source[at];
    const next = source[at + 1];
    let end = at + 1;
    if (character === "/" && next === "/") {
      end = endOfLine(at);
      blank(at, end);
    } else if (character === "/" && next === "*") {
      const close = source.indexOf("*/", at + 2);
      end = close < 0 ? source.length : close + 2;
      blank(at, end);
    } else if (character === '"' || character === "'") {
      end = closing(source, at, character);
      // The quotes stay, so that `import("x")` is still told from `import(x)`.
      blank(at + 1, end - 1);
    } else if (character === "/" && regexMayStart(out, at)) {
      end = closing(source, at, "/");
      blank(at, end);
    } else if (character === "`") {
      end = templateText(at + 1);
    } else if (character === "{" && templateBraces.length > 0) {
      templateBraces.push((templateBraces.pop() ?? 0) + 1);
    } else if (character === "}" && templateBraces.length > 0) {
      const open = templateBraces.pop() ?? 0;
      if (open === 0) end = templateText(at + 1);
      else templateBraces.push(open - 1);
    }
    at = end;
  }
  return out.join("");
}

/** The index after the literal that starts at `at`; a line break ends a broken one. */
function closing(source: string, at: number, quote: string): number {
  let inClass = false;
  for (let i = at + 1; i < source.length; i++) {
    const character = source[i];
    if (character === "\\") i++;
    else if (character === "\n") return i;
    else if (quote === "/" && character === "[") inClass = true;
    else if (quote === "/" && character === "]") inClass = false;
    else if (character === quote && !inClass) return i + 1;
  }
  return source.length;
}

/** Whether a `/` at `at` can start a regular expression, judged by the code before it. */
function regexMayStart(blanked: readonly string[], at: number): boolean {
  let i = at - 1;
  while (i >= 0 && /\s/.test(blanked[i] ?? "")) i--;
  const before = blanked[i];
  if (before === undefined) return true;
  if (/[\w$]/.test(before)) {
    let word = "";
    for (; i >= 0 && /[\w$]/.test(blanked[i] ?? ""); i--) word = blanked[i] + word;
    return WORDS_BEFORE_A_REGEX.has(word);
  }
  // After a value (`)`, `]`, a closed literal) it divides; after `}` nearly always a new
  // statement, which in this code base never starts with a division.
  return !`)]"'\``.includes(before);
}
