/**
 * Starts this very Deno again, whatever it is called and wherever it lies: under `npx` there is
 * no `deno` on the PATH.
 *
 * @module
 */

/** What a finished run of Deno left behind. */
export interface Finished {
  /** Exit code. */
  readonly code: number;
  /** Standard output and error together, without colours, trimmed at the end. */
  readonly output: string;
}

/**
 * Runs `deno …` to its end with nothing on stdin.
 *
 * @param args arguments after `deno`
 * @param limitMs after so long it is ended by SIGTERM; what it said until then is in the answer
 */
export async function deno(args: readonly string[], limitMs = 600_000): Promise<Finished> {
  const command = new Deno.Command(Deno.execPath(), {
    args: [...args],
    env: { NO_COLOR: "1" },
    stdin: "null",
    signal: AbortSignal.timeout(limitMs),
  });
  const { code, stdout, stderr } = await command.output();
  const text = new TextDecoder();
  return { code, output: `${text.decode(stdout)}${text.decode(stderr)}`.trimEnd() };
}
