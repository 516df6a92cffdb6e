import { MAX_AHEAD } from "../wire/limits.ts";

/**
 * Messages that have not come, counted for a person. So many in a row that none of them could be opened are counted by
 * somebody's word alone, and no further (PROTOCOL §8).
 */
export function messages(count: number): string {
  if (count === 1) return "1 message";
  return `${count} messages${count < MAX_AHEAD ? "" : " or more"}`;
}
