/**
 * Foreign text made safe to show: what others typed, named or sent may not move the cursor, change
 * the terminal, reorder what we print, or hide inside what looks like something else.
 *
 * Two forms: {@linkcode cleanText} for a message's text, which may have line breaks, and
 * {@linkcode cleanName} for a name, which is one short line in which anything invisible is made
 * visible, because two names that look alike are an attack.
 */

/** Stands for a character that is not shown, and for one that cannot be. */
const REPLACEMENT = "\uFFFD";

/** Stands for a line break where text must stay on one line. */
export const LINE_BREAK_SIGN = "⏎";

/** More combining marks than this on one base spill over other lines; Vietnamese needs 2, Hebrew 4. */
const MAX_MARKS = 6;

/** Longer names are cut, with `…`; counted in graphemes. */
const MAX_NAME_GRAPHEMES = 40;

const LINE_BREAK = /\r\n|[\n\v\f\r\u0085\u2028\u2029]/gu;
const REORDERS = /[\u202A-\u202E\u2066-\u206F\uFFF9-\uFFFB]/u;
const NONCHARACTER = /\p{Noncharacter_Code_Point}/u;
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Variation_Selector}]/u;
const BLANK_LETTER = /[\u115F\u1160\u3164\uFFA0\u2800]/u;
const MARK = /\p{M}/u;
const PICTURE = /[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Regional_Indicator}]/u;
/** Where ZWJ and ZWNJ change how a letter is joined, as UAX #31 allows them in identifiers. */
const JOINING =
  /[\p{Script=Arab}\p{Script=Syrc}\p{Script=Mong}\p{Script=Nkoo}\p{Script=Deva}\p{Script=Beng}\p{Script=Guru}\p{Script=Gujr}\p{Script=Orya}\p{Script=Taml}\p{Script=Telu}\p{Script=Knda}\p{Script=Mlym}\p{Script=Sinh}\p{Script=Khmr}\p{Script=Mymr}]/u;
/** What a variation selector may follow: an emoji, a Han character, Mongolian, Myanmar, a symbol. */
const VARIES =
  /[\p{Emoji}\p{Script=Han}\p{Script=Mong}\p{Script=Mymr}\p{Script=Phag}\p{Sm}\p{So}]/u;

/** The three flags that Unicode recommends as tag sequences; any other run of tags can carry a hidden text. */
const TAGGED_FLAG =
  /^\u{1F3F4}\u{E0067}\u{E0062}(?:\u{E0065}\u{E006E}\u{E0067}|\u{E0073}\u{E0063}\u{E0074}|\u{E0077}\u{E006C}\u{E0073})\u{E007F}/u;
const TAGGED_FLAG_POINTS = 7;

/** Made with the first text that needs it: that takes 10 ms, in which somebody could type already. */
let segmenter: Intl.Segmenter | undefined;

/**
 * Makes text safe. Control characters become their pictures (`␛` for ESC), so an escape sequence
 * is seen and does nothing; all line breaks become `\n`, the only character below 0x20 that is left;
 * tabs become blanks; what reorders text becomes `�`; other invisible characters are dropped, but
 * joiners and selectors stay where emoji and scripts need them. Idempotent.
 *
 * @param text anything a peer sent, unpaired surrogates included
 */
export function cleanText(text: string): string {
  return clean(text, "");
}

/** {@linkcode cleanText} on one line: line breaks become `⏎`. */
export function cleanLine(text: string): string {
  return cleanText(text).replaceAll("\n", LINE_BREAK_SIGN);
}

/**
 * A name to print: one line, blanks collapsed and trimmed, everything invisible shown as `�`, at
 * most 40 graphemes. Never empty.
 */
export function cleanName(name: string): string {
  const shown = clean(name, REPLACEMENT)
    .replaceAll("\n", LINE_BREAK_SIGN)
    .replaceAll(/[\p{Zs}\p{Zl}\p{Zp}]+/gu, " ")
    .trim();
  if (shown === "") return REPLACEMENT;
  const cells = graphemes(shown);
  return cells.length <= MAX_NAME_GRAPHEMES
    ? shown
    : cells.slice(0, MAX_NAME_GRAPHEMES - 1).join("").trim() + "…";
}

/** What a reader sees as single characters, in order. */
export function graphemes(text: string): string[] {
  // Printable ASCII is one grapheme a character; the segmenter takes a microsecond for each.
  if (/^[\x20-\x7E]*$/.test(text)) return [...text];
  segmenter ??= new Intl.Segmenter("en", { granularity: "grapheme" });
  return [...segmenter.segment(text)].map((part) => part.segment);
}

/** @param hidden what stands for an invisible character */
function clean(text: string, hidden: string): string {
  // The common case costs one test: printable ASCII has nothing to clean.
  if (/^[\x20-\x7E]*$/.test(text)) return text;
  const points = [...text.toWellFormed().replaceAll(LINE_BREAK, "\n")];
  let out = "";
  let previous = "";
  let marks = 0;
  for (let i = 0; i < points.length; i++) {
    const point = points[i] ?? "";
    if (
      point === "\u{1F3F4}" && TAGGED_FLAG.test(points.slice(i, i + TAGGED_FLAG_POINTS).join(""))
    ) {
      out += points.slice(i, i + TAGGED_FLAG_POINTS).join("");
      i += TAGGED_FLAG_POINTS - 1;
      previous = "\u{E007F}";
      marks = 0;
      continue;
    }
    // A joiner neither begins a base nor counts as a mark, so that it cannot lengthen a pile.
    if (marks >= MAX_MARKS && (MARK.test(point) || INVISIBLE.test(point))) continue;
    const shown = visible(point, previous, points[i + 1] ?? "", hidden);
    if (shown === "") continue;
    if (shown === point && INVISIBLE.test(point)) {
      out += point;
    } else if (shown === point && MARK.test(point)) {
      // A mark at the start of a line would sit on what we print before it.
      out += /^[\n\p{Zs}]?$/u.test(previous) ? "\u25CC" + point : point;
      marks++;
    } else {
      out += shown;
      marks = 0;
    }
    previous = shown;
  }
  return out;
}

/** One code point as it may be printed after `previous` (already printed) and before `next` (not yet judged). */
function visible(point: string, previous: string, next: string, hidden: string): string {
  const code = point.codePointAt(0) ?? 0;
  if (point === "\n") return "\n";
  if (point === "\t") return " ";
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  if (code < 0x7f) return point;
  if (code < 0xa0 || REORDERS.test(point) || NONCHARACTER.test(point)) return REPLACEMENT;
  if (BLANK_LETTER.test(point)) return " ";
  if (!INVISIBLE.test(point)) return point;
  if (point === "\u200D" && joinsPictures(previous, next)) return point;
  if ((point === "\u200D" || point === "\u200C") && JOINING.test(previous)) {
    return JOINING.test(next) && !INVISIBLE.test(next) ? point : hidden;
  }
  if (/\p{Variation_Selector}/u.test(point) && VARIES.test(previous) && !INVISIBLE.test(previous)) {
    return point;
  }
  return hidden;
}

function joinsPictures(previous: string, next: string): boolean {
  return /[\p{Extended_Pictographic}\p{Emoji_Modifier}\uFE0F]/u.test(previous) &&
    PICTURE.test(next);
}
