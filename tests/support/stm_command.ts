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
  const writeSync = Deno.stdout.writeSync;
  const { error } = console;
  Deno.stdout.writeSync = (bytes) => {
    said.out += decoder.decode(bytes);
    return bytes.length;
  };
  console.error = (...words: unknown[]) => said.err += `${words.join(" ")}\n`;
  try {
    return { code: await run(args), ...said };
  } finally {
    Deno.stdout.writeSync = writeSync;
    console.error = error;
  }
}
