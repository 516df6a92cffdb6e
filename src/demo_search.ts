/**
 * The search behind the demo's claim: are these texts and keys anywhere in those bytes, in any
 * form that a careless program would write them in?
 */
import { Buffer } from "node:buffer";

/** What to look for. */
export interface Needle {
  /** For people: what it is. */
  readonly label: string;
  /**
   * What it is. Seven bytes at least: "owl" is in a hundred random kilobytes in one run of 170 by
   * chance alone, "red fox" in one of 700 thousand million.
   */
  readonly bytes: Uint8Array;
  /** Set if the bytes are a text in UTF-8, which may have been written in UTF-16 as well. */
  readonly text?: string;
}

/** One form of one needle was there. */
export interface Finding {
  /** The needle's. */
  readonly label: string;
  /** `as it is`, `UTF-16`, `hex` or `base64`. */
  readonly form: string;
}

const MIN_NEEDLE_BYTES = 7;

/** A text as a needle. @throws {RangeError} if it is so short that random bytes have it by chance */
export function textNeedle(label: string, text: string): Needle {
  return keyNeedle(label, new TextEncoder().encode(text), text);
}

/** Bytes as a needle. @throws {RangeError} if there are so few that random bytes have them by chance */
export function keyNeedle(label: string, bytes: Uint8Array, text?: string): Needle {
  if (bytes.length < MIN_NEEDLE_BYTES) {
    throw new RangeError(`"${label}" is too short to search for`);
  }
  return { label, bytes, ...(text === undefined ? {} : { text }) };
}

/**
 * Looks for every needle as it is, as UTF-16 of both byte orders, as hex of both cases and as base64
 * (both alphabets, at each of its three alignments).
 *
 * @param streams each searched as a whole, so that nothing hides between two pieces
 * @returns which needles were found in which form, each once
 */
export function search(streams: readonly Uint8Array[], needles: readonly Needle[]): Finding[] {
  const buffers = streams.map((bytes) =>
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  );
  return needles.flatMap((needle) =>
    Object.entries(formsOf(needle))
      .filter(([, forms]) => forms.some((form) => buffers.some((b) => b.includes(form))))
      .map(([form]) => ({ label: needle.label, form }))
  );
}

function formsOf({ bytes, text }: Needle): Record<string, Buffer[]> {
  const hex = Buffer.from(bytes).toString("hex");
  const little = Buffer.from(text ?? "", "utf16le");
  return {
    "as it is": [Buffer.from(bytes)],
    "UTF-16": text === undefined ? [] : [little, Buffer.from(little).swap16()],
    "hex": [Buffer.from(hex), Buffer.from(hex.toUpperCase())],
    "base64": [0, 1, 2].flatMap((before) => base64At(bytes, before)),
  };
}

/** The characters that base64 has for these bytes whatever is around them, with so many before. */
function base64At(bytes: Uint8Array, before: number): Buffer[] {
  const padded = Buffer.concat([Buffer.alloc(before), bytes]);
  const from = Math.ceil(before * 8 / 6);
  const to = Math.floor(padded.length * 8 / 6);
  return (["base64", "base64url"] as const).map((alphabet) =>
    Buffer.from(padded.toString(alphabet).slice(from, to))
  );
}
