/** Runs `src/cli.ts` in this process and keeps what it prints. For commands that end by themselves. */
import { run } from "../../src/cli.ts";

/** What a command line came to. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs one command line. */
export async function stm(...args: string[]): Promise<Outcome> {
  const decoder = new TextDecoder();
  const said = { out: "", err: "" };
  const [out, err] = [Deno.stdout.writeSync, Deno.stderr.writeSync];
  const keepAs = (name: "out" | "err") => (bytes: Uint8Array) => {
    said[name] += decoder.decode(bytes);
    return bytes.length;
  };
  Deno.stdout.writeSync = keepAs("out");
  Deno.stderr.writeSync = keepAs("err");
  try {
    return { code: await run(args), ...said };
  } finally {
    Deno.stdout.writeSync = out;
    Deno.stderr.writeSync = err;
  }
}
