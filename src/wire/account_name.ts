/**
 * Names of accounts. They are the relay's and have nothing to do with what somebody is called in a
 * room: lower case and plain, so that no two of them look alike.
 *
 * @see docs/PROTOCOL.md §3.3
 * @module
 */
import { type Codec, str } from "./codec.ts";
import type { Branded } from "./ids.ts";
import { MAX_ACCOUNT_BYTES } from "./limits.ts";

/** A name that {@link isAccountName} has looked at. */
export type AccountName = Branded<string, "AccountName">;

/**
 * Whether `text` is the name of an account: 1 to 32 of a-z, 0-9, `.`, `-` and `_`, beginning with a
 * letter or digit.
 *
 * ```ts
 * import { isAccountName } from "./account_name.ts";
 * import assert from "node:assert/strict";
 *
 * assert.equal(isAccountName("fox-2"), true);
 * assert.equal(isAccountName("Fox"), false);
 * ```
 */
export function isAccountName(text: string): text is AccountName {
  return /^[a-z0-9][a-z0-9._-]*$/.test(text) && text.length <= MAX_ACCOUNT_BYTES;
}

const TEXT = str(MAX_ACCOUNT_BYTES, 1);

/** A name as `str`; one that is no name is refused as `bad-value`. */
export const ACCOUNT_NAME: Codec<AccountName> = {
  encode: (w, name) => TEXT.encode(w, name),
  decode(r) {
    const start = r.offset;
    const name = TEXT.decode(r);
    if (!isAccountName(name)) throw r.error("bad-value", "text is no account's name", start);
    return name;
  },
};
