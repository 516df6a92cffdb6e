/** Secrets from outside the command line: the first line of a file or of standard input. */
import { EXIT } from "../session/exit_code.ts";
import type { ByteInput } from "../ui/terminal.ts";
import { StartError } from "./start_error.ts";

/** Secrets, codes and invites are far shorter. */
const MAX_LINE_BYTES = 4096;
const LINE_FEED = 10;

/**
 * The first line of a file, or of what comes by a descriptor (`/dev/fd/3`); no more than it is read.
 *
 * @param what it is, for the message: "the passphrase file"
 * @throws {StartError} exit code 2 if it cannot be read, is too long or no text
 */
export async function firstLineOfFile(path: string, what: string): Promise<string> {
  try {
    using file = await Deno.open(path);
    const buffer = new Uint8Array(MAX_LINE_BYTES);
    const read = async () => {
      const length = await file.read(buffer);
      return length === null ? null : buffer.subarray(0, length);
    };
    try {
      return await nextLine({ read, unread: () => {} }, `the first line of ${path}`);
    } finally {
      buffer.fill(0);
    }
  } catch (cause) {
    if (cause instanceof StartError) throw cause;
    throw usage(`${what} ${path} cannot be read: ${reasonOf(path, cause)}`, cause);
  }
}

function reasonOf(path: string, cause: unknown): string {
  // What the launchers allow to be read is read by its name; of descriptors the runtime takes pipes.
  if (
    cause instanceof Deno.errors.NotCapable && /^\/(dev\/(fd\/|stdin)|proc\/self\/fd\/)/.test(path)
  ) {
    return "a descriptor has to be a pipe, as <(command) makes one; give a file by its own name";
  }
  return cause instanceof Error ? cause.message : String(cause);
}

/**
 * The next line of standard input; what follows it stays for the session.
 *
 * @param where it comes from, for the message
 * @throws {StartError} exit code 2 if it is too long or no text
 */
export async function nextLine(
  input: ByteInput,
  where = "the line of standard input",
): Promise<string> {
  const line = new Uint8Array(MAX_LINE_BYTES);
  let length = 0;
  try {
    for (;;) {
      const chunk = await input.read();
      if (chunk === null) break;
      const end = chunk.indexOf(LINE_FEED);
      const part = end < 0 ? chunk : chunk.subarray(0, end);
      if (length + part.length > line.length) throw usage(`${where} is too long`);
      line.set(part, length);
      length += part.length;
      if (end < 0) continue;
      input.unread(chunk.slice(end + 1));
      break;
    }
    return textOf(line.subarray(0, length), where);
  } finally {
    line.fill(0);
  }
}

function textOf(line: Uint8Array, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(line).replace(/\r$/, "");
  } catch (cause) {
    throw usage(`${where} is no text in UTF-8`, cause);
  }
}

function usage(message: string, cause?: unknown): StartError {
  return new StartError("usage", EXIT.usage, message, cause === undefined ? {} : { cause });
}
