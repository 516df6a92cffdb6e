/** How a profile is sealed: by a passphrase from a file or the person, or, if asked for, not at all. */
import { passphraseSealer } from "../crypto/sealer.ts";
import { EXIT } from "../session/exit_code.ts";
import { plainSealer } from "../store/plain_sealer.ts";
import type { Sealer } from "../store/sealer.ts";
import { firstLineOfFile } from "./secret_input.ts";
import { StartError } from "./start_error.ts";

/** What the command line says about a passphrase. */
export interface SealOptions {
  /** `--passphrase-file`; else `$STM_PASSPHRASE_FILE`. */
  readonly passphraseFile: string | undefined;
  /** `--no-passphrase`: the profile is not sealed, and that is wanted. */
  readonly noPassphrase: boolean;
}

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
  if (file !== undefined) {
    return sealerOf(
      await firstLineOfFile(file, "the passphrase file"),
      `the first line of ${file}`,
    );
  }
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

function usage(message: string): StartError {
  return new StartError("usage", EXIT.usage, message);
}
