import type { LookEnv } from "./terminal.ts";

/** How many colours there are to paint with. */
export type ColorDepth = "none" | "16" | "256";

/** What a piece of text is; how that looks depends on the colours. `of` an identity: its own colour. */
export type Style = "plain" | "dim" | "strong" | "warn" | "good" | { readonly of: string };

/**
 * Chooses the colours as https://no-color.org and terminals' variables say.
 *
 * @param wanted false for `--no-color`
 */
export function colorDepth(env: LookEnv, wanted = true): ColorDepth {
  if (!wanted || (env.NO_COLOR ?? "") !== "" || env.TERM === "dumb") return "none";
  // Windows' console sets neither variable and has all colours.
  const rich = env.TERM === undefined || /256color|kitty|ghostty|alacritty|direct/.test(env.TERM) ||
    (env.COLORTERM ?? "") !== "";
  return rich ? "256" : "16";
}

/** Puts a text between the escape sequences of its style; never changes its width. */
export function paint(text: string, style: Style, depth: ColorDepth): string {
  if (depth === "none" || style === "plain" || text === "") return text;
  return `\x1b[${code(style, depth)}m${text}\x1b[0m`;
}

function code(style: Exclude<Style, "plain">, depth: ColorDepth): string {
  if (typeof style === "object") {
    return depth === "256"
      ? `38;5;${identityColor(style.of)}`
      : String(BASIC[hash(style.of) % BASIC.length] ?? 36);
  }
  switch (style) {
    case "dim":
      return "2";
    case "strong":
      return "1";
    case "warn":
      return "1;31";
    case "good":
      return "32";
  }
}

/** Red to cyan without yellow, which is not readable on white. */
const BASIC = [31, 32, 34, 35, 36];

/**
 * The colour of a person, the same in every session and on every machine.
 *
 * @returns a colour of the 256-colour palette that is readable on black and on white
 */
export function identityColor(identity: string): number {
  return PALETTE[hash(identity) % PALETTE.length] ?? 0;
}

/** The relative luminance (WCAG 2) of a colour of the palette's 6 × 6 × 6 cube, 16 to 231. */
export function luminance(color: number): number {
  const [r = 0, g = 0, b = 0] = channels(color).map((level) => {
    const value = level / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function channels(color: number): number[] {
  const index = color - 16;
  return [Math.floor(index / 36), Math.floor(index / 6) % 6, index % 6]
    .map((step) => step === 0 ? 0 : 55 + 40 * step);
}

/** Those with a contrast of at least 3.3 to black and to white, and far from grey. */
const PALETTE = Array.from({ length: 216 }, (_, index) => index + 16).filter((color) => {
  const light = luminance(color);
  const levels = channels(color);
  return light >= 0.115 && light <= 0.268 && Math.max(...levels) - Math.min(...levels) >= 95;
});

/** FNV-1a: only has to spread, nothing depends on it being hard to hit. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const char of text) {
    value = Math.imul(value ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  }
  return value;
}
