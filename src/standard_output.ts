/**
 * Words on standard output and standard error that are written at once, as commands and the relay have
 * them. Whoever reads may have gone, as `head` does, and a disk may be full: that ends nothing.
 *
 * @module
 */

/** Standard output that could not be written. */
export class OutputError extends Error {
  /** Always "OutputError". */
  override readonly name = "OutputError";
}

/**
 * Writes for whoever reads; if nobody does any more, it is for nobody.
 *
 * @throws {OutputError} if it cannot be written otherwise, as where the disk is full
 */
export function print(text: string): void {
  try {
    writeAll(Deno.stdout, text);
  } catch (cause) {
    if (cause instanceof Deno.errors.BrokenPipe) return;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new OutputError(`standard output cannot be written: ${why}`, { cause });
  }
}

/** A line on standard error, as far as it can be written: there is nobody else to be told. */
export function complain(line: string): void {
  try {
    writeAll(Deno.stderr, `${line}\n`);
  } catch {
    // See above.
  }
}

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
}
