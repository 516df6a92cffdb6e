/**
 * Names of persons and rooms.
 *
 * @see docs/PROTOCOL.md §6
 * @module
 */
import { type Codec, str } from "./codec.ts";
import { MAX_NAME_BYTES } from "./limits.ts";

// Cc, Cf and Cs: they change how other text is shown, or are no text. U+2028 and U+2029 break lines.
const NOT_IN_A_NAME = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u;
const MARKS = /\p{M}/gu;

/**
 * Whether `text` is a name: 1 to 64 bytes of NFKC without control, format or surrogate characters
 * and without white space at its ends.
 *
 * ```ts
 * import { isName } from "./name.ts";
 * import assert from "node:assert/strict";
 *
 * assert.equal(isName("Zoë 🦊"), true);
 * assert.equal(isName(" fox"), false);
 * assert.equal(isName("fox\u202e"), false);
 * ```
 */
export function isName(text: string): boolean {
  return text.length > 0 && text.trim() === text && text.isWellFormed() &&
    !NOT_IN_A_NAME.test(text) && text.normalize("NFKC") === text &&
    new TextEncoder().encode(text).length <= MAX_NAME_BYTES;
}

/**
 * What has to differ between two names of a room: the name without marks, in one case.
 *
 * ```ts
 * import { nameKey } from "./name.ts";
 * import assert from "node:assert/strict";
 *
 * assert.equal(nameKey("Zoë"), nameKey("ZOE"));
 * ```
 */
export function nameKey(name: string): string {
  const bare = name.normalize("NFKD").replace(MARKS, "");
  // Upper case first: it unites what lower case alone keeps apart (ß and SS, the sigmas).
  return bare.toUpperCase().toLowerCase().normalize("NFKC");
}

const TEXT = str(MAX_NAME_BYTES, 1);

/** A name as `str`; one that is no name is refused as `bad-value`. */
export const NAME: Codec<string> = {
  encode(w, name) {
    if (!isName(name)) throw new RangeError("not a name");
    TEXT.encode(w, name);
  },
  decode(r) {
    const start = r.offset;
    const name = TEXT.decode(r);
    if (!isName(name)) throw r.error("bad-value", "text is not a name", start);
    return name;
  },
};
