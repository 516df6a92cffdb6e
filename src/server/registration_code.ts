/**
 * The codes with which people choose their password. A code has 100 random bits, so its hash tells
 * nothing, and no list of codes can be tried against it.
 *
 * @module
 */
import { toHex } from "../wire/ids.ts";
import { sha256 } from "./verify.ts";

/** Bytes that a code is made of. */
export const CODE_SEED_BYTES = 20;

// None of i, l, o and u, which are read as others.
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const LABEL = "stm registration code ";

/** A code for people: five groups of four. @param seed {@link CODE_SEED_BYTES} random bytes */
export function formatCode(seed: Uint8Array): string {
  const letters = Array.from(seed, (byte) => ALPHABET[byte % 32] ?? "");
  return (letters.join("").match(/.{4}/g) ?? []).join("-");
}

/** What is kept of a code, 64 hex digits. Only its letters and digits count, in either case. */
export function hashCode(code: string): string {
  const bare = code.toLowerCase().replaceAll(/[^a-z0-9]/g, "");
  return toHex(sha256(new TextEncoder().encode(LABEL + bare)));
}
