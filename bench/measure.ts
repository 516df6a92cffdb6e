/** What measurements share: medians, the longest time that nothing else could run, a table. */
import { performance } from "node:perf_hooks";
import process from "node:process";

/** The middle one of the numbers. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? NaN;
}

/** What one run took. */
export interface Cost {
  /** Milliseconds by the clock. */
  readonly ms: number;
  /** Milliseconds of all this process's threads. */
  readonly cpuMs: number;
}

/** Runs something once. */
export async function cost(run: () => Promise<void> | void): Promise<Cost> {
  const before = process.cpuUsage();
  const start = performance.now();
  await run();
  const ms = performance.now() - start;
  const { user, system } = process.cpuUsage(before);
  return { ms, cpuMs: (user + system) / 1000 };
}

/** The medians of several runs. */
export function medianCost(costs: readonly Cost[]): Cost {
  return { ms: median(costs.map((c) => c.ms)), cpuMs: median(costs.map((c) => c.cpuMs)) };
}

/** The longest time during a run in which a timer of 1 ms could not fire, milliseconds. */
export async function longestBlock(run: () => Promise<void>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  const look = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  };
  const timer = setInterval(look, 1);
  await run();
  look();
  clearInterval(timer);
  return longest;
}

/** Prints rows under a head, the first column to the left and the others to the right. */
export function printTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): void {
  const all = [head, ...rows];
  const widths = head.map((_, i) => Math.max(...all.map((row) => (row[i] ?? "").length)));
  for (const row of all) {
    const cells = row.map((cell, i) =>
      i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)
    );
    console.log(cells.join("  "));
  }
  console.log();
}
