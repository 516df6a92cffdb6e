/**
 * How long `stm --help` takes, and `stm server` until it is ready, against an empty program
 * started in the same way.
 *
 *     deno task bench:startup [ROUNDS]
 *
 * Prints medians of 7 rounds, taken by turns so that a noisy moment hits all alike. Two ways of
 * starting are measured: `deno task`, as the README says, and a bare `deno run`, where the empty
 * program is cheapest.
 *
 * `stm --help` is held to 2.0 times the empty program. So should the relay be, but a program that
 * only loads node's TLS and listens (the floor, without a key or a line of ours) takes that long
 * alone (docs/decisions/2026-11-22-command-line.md). The relay is held to 1.6 times that floor, and
 * its ratio to the empty program is printed. Exits with 1 when one is over.
 *
 * @module
 */

import { join } from "node:path";

const MOST_TIMES_EMPTY = 2.0;
const MOST_TIMES_FLOOR = 1.6;
const ROUNDS = Number(Deno.args[0] ?? 7);
/** A bound for failure only. */
const START_LIMIT_MS = 60_000;

/** What a relay cannot do without; it says that it is ready as the relay does. */
const FLOOR = `import net from "node:net";
import "node:tls";
net.createServer().listen(0, "127.0.0.1", () => console.log('"type":"ready"'));
`;

/** One thing to start; `until` is what its first line to wait for holds, else its exit counts. */
interface Subject {
  readonly name: string;
  readonly args: readonly string[];
  readonly until?: string;
  /** Held to the floor instead of the empty program. */
  readonly aboveFloor?: boolean;
}

/** Starts the subject and returns the milliseconds until it is where we want it. */
async function measure(subject: Subject, cwd: string): Promise<number> {
  const start = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: [...subject.args],
    cwd,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
    signal: AbortSignal.timeout(START_LIMIT_MS),
  }).spawn();
  let said = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    if (subject.until !== undefined && said.includes(subject.until)) break;
  }
  if (subject.until !== undefined) {
    const took = performance.now() - start;
    if (!said.includes(subject.until)) throw new Error(`${subject.name}: not ready: ${said}`);
    // `deno task` hands SIGTERM on to the program; a SIGKILL would leave that running.
    child.kill("SIGTERM");
    await child.status;
    return took;
  }
  const { code } = await child.status;
  if (code !== 0) throw new Error(`${subject.name}: exit code ${code}: ${said}`);
  return performance.now() - start;
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? NaN;
}

/** Measures every subject by turns, empty and floor first, and prints a table. */
async function compare(title: string, subjects: readonly Subject[], cwd: string): Promise<boolean> {
  const times = subjects.map((): number[] => []);
  // The first round fills Deno's caches and makes the relay's key.
  for (let round = -1; round < ROUNDS; round++) {
    for (const [i, subject] of subjects.entries()) {
      const took = await measure(subject, cwd);
      if (round >= 0) times[i]?.push(took);
    }
  }
  const [empty = NaN, floor = NaN] = times.map(median);
  let good = true;
  for (const [i, subject] of subjects.entries()) {
    const ms = median(times[i] ?? []);
    if (i > 1) {
      good &&= subject.aboveFloor ? ms <= MOST_TIMES_FLOOR * floor : ms <= MOST_TIMES_EMPTY * empty;
    }
    const ratio = (to: number): string => (ms / to).toFixed(2).padStart(5);
    const figures = `${ms.toFixed(1).padStart(7)} ms ${ratio(empty)} × empty` +
      (subject.aboveFloor ? ` ${ratio(floor)} × floor` : "");
    console.log(`${title.padEnd(10)} ${subject.name.padEnd(22)} ${figures}`);
  }
  return good;
}

const root = join(import.meta.dirname ?? ".", "..");
const scratch = await Deno.makeTempDir();
let good = true;
try {
  const empty = join(scratch, "empty.ts");
  await Deno.writeTextFile(empty, "");
  const floor = join(scratch, "floor.ts");
  await Deno.writeTextFile(floor, FLOOR);
  const config = await Deno.readTextFile(join(root, "deno.json"));
  // The same configuration with the same command line, so that only the program differs.
  const tasks = { empty: "deno run -A empty.ts", floor: "deno run -A floor.ts" };
  const taskConfig = { ...JSON.parse(config), tasks };
  await Deno.writeTextFile(join(scratch, "deno.json"), JSON.stringify(taskConfig));
  await Deno.copyFile(join(root, "deno.lock"), join(scratch, "deno.lock"));
  const task = ["task", "--quiet", "--config"];
  const server = ["server", "--port", "0", "--ui", "json", "--certs", join(scratch, "certs")];
  const ready = `"type":"ready"`;
  const ways: [string, Subject[]][] = [
    ["deno task", [
      { name: "empty", args: [...task, join(scratch, "deno.json"), "empty"] },
      { name: "floor", args: [...task, join(scratch, "deno.json"), "floor"], until: ready },
      { name: "stm --help", args: [...task, "deno.json", "stm", "--help"] },
      {
        name: "stm server, ready",
        args: [...task, "deno.json", "stm", ...server],
        until: ready,
        aboveFloor: true,
      },
    ]],
    ["deno run", [
      { name: "empty", args: ["run", "-A", empty] },
      { name: "floor", args: ["run", "-A", floor], until: ready },
      { name: "stm --help", args: ["run", "-A", "main.ts", "--help"] },
      {
        name: "stm server, ready",
        args: ["run", "-A", "main.ts", ...server],
        until: ready,
        aboveFloor: true,
      },
    ]],
  ];
  for (const [title, subjects] of ways) good = await compare(title, subjects, root) && good;
} finally {
  await Deno.remove(scratch, { recursive: true });
}
console.log(
  `startup: ${good ? "within" : "over"} ${MOST_TIMES_EMPTY.toFixed(1)} × empty for --help, ` +
    `${MOST_TIMES_FLOOR.toFixed(1)} × floor for the relay`,
);
if (!good) Deno.exit(1);
