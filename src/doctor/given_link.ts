/** The link that the doctor was given: an argument, or the first line of standard input. */
import { sha256 } from "../crypto/primitives.ts";
import { nextLine } from "../driver/secret_input.ts";
import { StartError } from "../driver/start_error.ts";
import { EXIT } from "../session/exit_code.ts";
import type { ByteInput } from "../ui/terminal.ts";
import { type Link, LinkError, parseLink } from "../wire/link_url.ts";

/**
 * Reads a server link or an invite.
 *
 * @param text the link, or `-`
 * @throws {StartError} exit code 2 if it is none
 */
export async function readLink(text: string, input: ByteInput): Promise<Link> {
  const given = text === "-" ? await nextLine(input) : text;
  try {
    return parseLink(given.trim(), sha256);
  } catch (error) {
    if (!(error instanceof LinkError)) throw error;
    throw new StartError("usage", EXIT.usage, error.message, { cause: error });
  }
}
