/** Secrets from outside the command line: the first line of a file or of standard input. */
import { EXIT } from "../session/exit_code.ts";
import type { ByteInput } from "../ui/terminal.ts";
import { StartError } from "./start_error.ts";

/** Secrets, codes and invites are far shorter. */
const MAX_LINE_BYTES = 4096;
const LINE_FEED = 10;

/**
 * The first line of a file.
 *
 * @param what it is, for the message: "the passphrase file"
 * @throws {StartError} exit code 2 if it cannot be read, is too long or no text
 */
export async function firstLineOfFile(path: string, what: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw usage(`${what} ${path} cannot be read: ${why}`, cause);
  }
  const end = bytes.indexOf(LINE_FEED);
  const line = bytes.subarray(0, end < 0 ? bytes.length : end);
  if (line.length > MAX_LINE_BYTES) throw usage(`the first line of ${path} is too long`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(line).replace(/\r$/, "");
  } catch (cause) {
    throw usage(`the first line of ${path} is no text in UTF-8`, cause);
  } finally {
    bytes.fill(0);
  }
}

/** The next line of standard input; what follows it stays for the session. */
export async function nextLine(input: ByteInput): Promise<string> {
  let line = new Uint8Array(0);
  for (;;) {
    const chunk = await input.read();
    if (chunk === null) break;
    const end = chunk.indexOf(LINE_FEED);
    const part = end < 0 ? chunk : chunk.subarray(0, end);
    const longer = new Uint8Array(line.length + part.length);
    longer.set(line);
    longer.set(part, line.length);
    line = longer;
    if (end >= 0) {
      input.unread(chunk.slice(end + 1));
      break;
    }
    if (line.length > MAX_LINE_BYTES) break;
  }
  return new TextDecoder().decode(line);
}

function usage(message: string, cause?: unknown): StartError {
  return new StartError("usage", EXIT.usage, message, cause === undefined ? {} : { cause });
}
