import { wordlist } from "@scure/bip39/wordlists/english.js";
import { safetyCodeInfo } from "../wire/contexts.ts";
import type { Hash } from "../wire/ids.ts";
import { type Bytes, derive, type RandomSource } from "./primitives.ts";

/**
 * The safety code (PROTOCOL §8): twelve words, 132 bits, the same at all who are in one epoch with one roster.
 *
 * @param epochSecret ES
 */
export function safetyCode(epochSecret: Bytes, rosterHash: Hash): string {
  const bits = derive(epochSecret, safetyCodeInfo(rosterHash), 17);
  let number = BigInt(`0x${bits.toHex()}`) >> 4n;
  const words: string[] = [];
  for (let i = 0; i < 12; i++) {
    words.unshift(wordlist[Number(number & 2047n)] ?? "");
    number >>= 11n;
  }
  return words.join(" ");
}

/** A made-up name for somebody who gave none, as `amber-otter`. */
export function suggestedName(random: RandomSource): string {
  const [a = 0, b = 0, c = 0, d = 0] = random(4);
  return `${wordlist[(a << 8 | b) & 2047]}-${wordlist[(c << 8 | d) & 2047]}`;
}
