/** Fields that our JSON files share. */
import * as v from "valibot";

/** Lower-case hex of exactly that many bytes. */
export function hexField(bytes: number) {
  return v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`)));
}

/** A whole number from 0 to 2^53 - 1. */
export const countField = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** ISO 8601 in UTC, as `Date.toISOString()` writes it: times are compared as texts. */
export const timeField = v.pipe(v.string(), v.isoTimestamp(), v.endsWith("Z"));

/** A TCP port that can be dialled. */
export const portField = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535));

/** Text that is not empty. */
export const textField = v.pipe(v.string(), v.nonEmpty());
