/**
 * What an idle connection costs the relay: a real `stm server`, and N TLS connections that have said
 * START and nothing more (`plain`), or have entered a room with a ticket (`member`).
 *
 *     deno task bench:idle [N]
 *
 * N is 10,000 if not said. Printed is the growth of the relay process's memory over N; nothing is
 * subtracted, neither garbage nor what the compiler grew by. Members are held to 35,000 bytes each,
 * which is less than 36 KiB: exits with 1 when they take more, or when a connection was lost. With
 * fewer the fixed part weighs too much for a verdict. Linux only.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { printTable } from "./measure.ts";
import {
  descriptorLimit,
  linesOf,
  type MeasuredRelay,
  measuredRelay,
  megabytes,
  processorMs,
  residentBytes,
  sleep,
} from "./relay_process.ts";

const MOST_BYTES_EACH = 35_000;
const LEAST_FOR_A_VERDICT = 10_000;
/** People of one client process: of ports and descriptors each has as many as it needs. */
const PEOPLE_PER_PROCESS = 5_000;
/** After which what is left is what stays. */
const SETTLE_MS = 5_000;
/** What the relay needs of descriptors beside one for each connection. */
const SPARE_DESCRIPTORS = 64;
const PEOPLE = fileURLToPath(new URL("idle_people.ts", import.meta.url));

const count = Number(Deno.args[0] ?? 10_000);
if (!Number.isInteger(count) || count < 1) throw new Error("usage: deno task bench:idle [N]");

/** What one round came to. */
interface Figures {
  readonly bytesEach: number;
  readonly resident: number;
  readonly arrivalMs: number;
  readonly processorMs: number;
  readonly lost: number;
}

/** Starts the people of one process and waits until they are all there. */
async function people(
  relay: MeasuredRelay,
  kind: string,
  number: number,
): Promise<{ lost(): number } & AsyncDisposable> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", PEOPLE, `${relay.port}`, relay.pin, kind, `${number}`],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let lost = 0;
  const there = Promise.withResolvers<void>();
  const reading = (async () => {
    for await (const line of linesOf(child.stdout)) {
      const [what, n] = line.split(" ");
      if (what === "there") {
        lost = number - Number(n);
        there.resolve();
      } else lost += Number(n);
    }
    there.reject(new Error("the people's process ended before they were there"));
  })();
  await there.promise;
  return {
    lost: () => lost,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await Promise.all([child.status, reading]);
    },
  };
}

async function measure(kind: "plain" | "member"): Promise<Figures> {
  await using relay = await measuredRelay([
    "--max-connections",
    String(count + SPARE_DESCRIPTORS),
    "--idle-ms",
    "3600000",
  ]);
  const limit = descriptorLimit(relay.pid);
  if (limit < count + SPARE_DESCRIPTORS) {
    throw new Error(`a process may open ${limit} files here: raise it with ulimit -n, or lower N`);
  }
  await sleep(1000);
  const before = residentBytes(relay.pid);
  const began = performance.now();
  const numbers: number[] = [];
  for (let left = count; left > 0; left -= PEOPLE_PER_PROCESS) {
    numbers.push(Math.min(left, PEOPLE_PER_PROCESS));
  }
  await using stack = new AsyncDisposableStack();
  const crowds = await Promise.all(
    numbers.map(async (number) => stack.use(await people(relay, kind, number))),
  );
  const arrivalMs = performance.now() - began;
  await sleep(SETTLE_MS);
  const resident = residentBytes(relay.pid);
  return {
    bytesEach: (resident - before) / count,
    resident,
    arrivalMs,
    processorMs: processorMs(relay.pid),
    lost: crowds.reduce((sum, crowd) => sum + crowd.lost(), 0),
  };
}

const rows: string[][] = [];
let memberBytes = 0;
let lostInAll = 0;
for (const kind of ["plain", "member"] as const) {
  const { bytesEach, resident, arrivalMs, processorMs, lost } = await measure(kind);
  if (kind === "member") memberBytes = bytesEach;
  lostInAll += lost;
  rows.push([
    kind,
    String(count),
    bytesEach.toFixed(0),
    (bytesEach / 1024).toFixed(1),
    megabytes(resident),
    (arrivalMs / 1000).toFixed(1),
    (processorMs / count).toFixed(2),
    String(lost),
  ]);
}
printTable(
  ["idle", "held", "bytes each", "KiB each", "relay", "all there, s", "CPU ms each", "lost"],
  rows,
);
const few = count < LEAST_FOR_A_VERDICT;
const within = few || memberBytes <= MOST_BYTES_EACH;
const verdict = few
  ? `too few for a verdict (from ${LEAST_FOR_A_VERDICT} on)`
  : `a member takes ${within ? "at most" : "more than"} ${MOST_BYTES_EACH} bytes`;
console.log(`idle: ${verdict}, ${lostInAll} lost`);
if (!within || lostInAll > 0) Deno.exit(1);
