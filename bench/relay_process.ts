/** A relay process to measure, and what it takes of the machine's memory. */
import { Stage } from "../tests/support/stm_process.ts";

/** Bytes in a KiB, as /proc counts. */
const KIB = 1024;

/** A real `stm server`. */
export interface MeasuredRelay extends AsyncDisposable {
  /** Of the process. */
  readonly pid: number;
  /** Where it listens, on every address of loopback. */
  readonly port: number;
  /** Its key in hex. */
  readonly pin: string;
  /** Its server link. */
  readonly link: string;
  /** Settles with the exit code. */
  readonly exit: Promise<number>;
}

/** Starts a relay in a folder of its own, with these options too. */
export async function measuredRelay(args: readonly string[] = []): Promise<MeasuredRelay> {
  const stage = await Stage.open();
  try {
    const { process, port, pin, link } = await stage.relay(args);
    return {
      pid: process.pid,
      port,
      pin,
      link,
      exit: process.exit,
      [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose](),
    };
  } catch (error) {
    await stage[Symbol.asyncDispose]();
    throw error;
  }
}

/** Bytes that a process has in memory; of pages that it shares, its share (PSS). Linux only. */
export function residentBytes(pid: number): number {
  const rollup = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
  const kib = /^Pss: +(\d+) kB$/m.exec(rollup)?.[1];
  if (kib === undefined) throw new Error(`/proc/${pid}/smaps_rollup says no Pss`);
  return Number(kib) * KIB;
}

/** Milliseconds of processor that a process has taken so far. Linux only. */
export function processorMs(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  // The second field is the name in brackets, and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const TICKS_PER_SECOND = 100;
  return (Number(fields[11]) + Number(fields[12])) * 1000 / TICKS_PER_SECOND;
}

/** How many descriptors a process may have open. Linux only. */
export function descriptorLimit(pid: number): number {
  const limits = Deno.readTextFileSync(`/proc/${pid}/limits`);
  return Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Infinity);
}

/** Lines of a process's standard output. */
export async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

/** Waits. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Bytes as MB, for a table. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}
