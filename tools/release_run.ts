/**
 * Other programs that a release needs: npm, git, minisign, Deno itself.
 *
 * @module
 */

/** How a program is run. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  readonly input?: string;
  /** After so long it is ended. */
  readonly limitMs?: number;
}

/**
 * Runs a program to its end.
 *
 * @returns its standard output
 * @throws {Error} with what it said, if it cannot be started or does not end with 0
 */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { limitMs = 120_000, cwd, env, input } = options;
  const child = new Deno.Command(program, {
    args: [...args],
    ...(cwd === undefined ? {} : { cwd }),
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env },
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(limitMs),
  }).spawn();
  if (input !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input)).catch(() => {});
    await writer.close().catch(() => {});
  }
  const { code, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  if (code !== 0) {
    throw new Error(
      `${program} ${args[0] ?? ""} ended with ${code}: ${text.decode(stderr)}${text.decode(stdout)}`
        .trim(),
    );
  }
  return text.decode(stdout);
}
