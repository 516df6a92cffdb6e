/** How a profile is sealed: by a passphrase from a file or the person, or, if asked for, not at all. */
import { passphraseSealer } from "../crypto/sealer.ts";
import { EXIT } from "../session/exit_code.ts";
import { plainSealer } from "../store/plain_sealer.ts";
import type { Sealer } from "../store/sealer.ts";
import { StartError } from "./start_error.ts";

/** What the command line says about a passphrase. */
export interface SealOptions {
  /** `--passphrase-file`; else `$STM_PASSPHRASE_FILE`. */
  readonly passphraseFile: string | undefined;
  /** `--no-passphrase`: the profile is not sealed, and that is wanted. */
  readonly noPassphrase: boolean;
}

/** A passphrase is far shorter. */
const MAX_PASSPHRASE_BYTES = 4096;

/**
 * The sealer that was chosen.
 *
 * @param ask asks the person; `null` where nobody can be asked
 * @param whom the profile, for the message
 * @throws {StartError} exit code 2 if there is no passphrase to be had, or an empty one
 */
export async function chosenSealer(
  options: SealOptions,
  env: { get(name: string): string | undefined },
  ask: (() => Promise<string>) | null,
  whom: string,
): Promise<Sealer> {
  if (options.noPassphrase) return plainSealer;
  const file = options.passphraseFile ?? (env.get("STM_PASSPHRASE_FILE") || undefined);
  if (file !== undefined) return sealerOf(await firstLineOf(file), `the first line of ${file}`);
  if (ask !== null) return sealerOf(await ask(), "the passphrase");
  throw usage(
    `the passphrase of ${whom} cannot be asked for here: give --passphrase-file FILE or ` +
      "STM_PASSPHRASE_FILE, or --no-passphrase for a profile that is not sealed",
  );
}

function sealerOf(passphrase: string, what: string): Sealer {
  if (passphrase !== "") return passphraseSealer(passphrase);
  throw usage(`${what} is empty, which would seal nothing; --no-passphrase says so openly`);
}

async function firstLineOf(path: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw usage(`the passphrase file ${path} cannot be read: ${why}`, cause);
  }
  const end = bytes.indexOf(0x0a);
  const line = bytes.subarray(0, end < 0 ? bytes.length : end);
  if (line.length > MAX_PASSPHRASE_BYTES) {
    throw usage(`the first line of ${path} is too long to be a passphrase`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(line).replace(/\r$/, "");
  } catch (cause) {
    throw usage(`the first line of ${path} is no text in UTF-8`, cause);
  } finally {
    bytes.fill(0);
  }
}

function usage(message: string, cause?: unknown): StartError {
  return new StartError("usage", EXIT.usage, message, cause === undefined ? {} : { cause });
}
