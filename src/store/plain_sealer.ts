/** Profiles without a passphrase (`--no-passphrase`): readable, and marked so in their first line. */
import type { Opened, Sealer } from "./sealer.ts";

/** First line of an unsealed file. The number is the version of this form. */
const MARK = new TextEncoder().encode(
  "stm profile 1 NOT SEALED: whoever can read this file can be you\n",
);
/** What any unsealed file, of any version, begins with. */
const ANY_MARK = new TextEncoder().encode("stm profile ");
/** What any sealed file begins with (`crypto/sealer.ts`). */
const SEALED_MARK = new TextEncoder().encode("stm-seal");

/** A sealer that does not seal. It opens only what it wrote: sealed files are refused as `sealed`. */
export const plainSealer: Sealer = {
  seal(plaintext) {
    const file = new Uint8Array(MARK.length + plaintext.length);
    file.set(MARK);
    file.set(plaintext, MARK.length);
    return Promise.resolve(file);
  },
  open(file) {
    return Promise.resolve(openPlain(file));
  },
};

function openPlain(file: Uint8Array): Opened {
  if (startsWith(file, MARK)) return { kind: "opened", plaintext: file.slice(MARK.length) };
  const form = sealingOf(file);
  const code = form === "sealed" ? "sealed" : form === "plain" ? "newer-version" : "damaged";
  return { kind: "refused", code };
}

/**
 * How a profile's bytes present themselves, so that a face knows whether to ask for a passphrase. It
 * is a claim of the file's and proves nothing: say on screen when a profile is not sealed.
 */
export function sealingOf(file: Uint8Array): "sealed" | "plain" | "neither" {
  if (startsWith(file, SEALED_MARK)) return "sealed";
  return startsWith(file, ANY_MARK) ? "plain" : "neither";
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return bytes.length >= start.length && start.every((byte, i) => bytes[i] === byte);
}
