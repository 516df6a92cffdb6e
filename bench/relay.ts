/**
 * The relay beside other servers: the same payloads to as many members over TLS 1.3 with the same
 * cipher, by turns, server and load on a core each.
 *
 *     deno task bench:relay [--quick | --grid] [--rounds N] [--shapes A,B] [--servers A,B] [--rows FILE]
 *
 * Prints medians of 5 rounds as tables, and what is promised with what was measured. Rounds in which
 * the machine was not quiet count only where there was no other. Exits with 1 where a promise is not
 * kept. `--quick` measures only what the promises are about, two minutes a round; `--grid` 1→N and
 * N→N with small and large messages, as fast as it goes and in shorter runs, beside nats-server,
 * mosquitto, inspircd and the C loop, three minutes a round. `--rows` adds every run to a file, one
 * JSON object a line; `--table FILE…` prints such files without measuring.
 *
 * Needs Linux, two cores, gcc, libssl-dev and openssl; root, or a kernel that gives users a network
 * namespace. There it runs, since some systems pace even loopback (bbr), which distorts latencies:
 * the namespace has a loopback of its own with cubic, and nothing can leave the machine.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { cpus } from "node:os";
import { join } from "node:path";
import { median, printTable } from "./measure.ts";
import {
  type Bench,
  libraryPath,
  prepare,
  prepared,
  type Server,
  SERVERS,
} from "./relay/servers.ts";
import { type Figure, PROMISES, type Shape, SHAPES } from "./relay/shapes.ts";

/** One run. */
interface Row {
  readonly server: string;
  readonly shape: string;
  /** What load.c printed. */
  readonly figures: Readonly<Record<string, number>>;
  /** Deliveries a second of the C loop just before: how quiet the machine was. */
  readonly canary: number;
  readonly error?: string;
}

const IN_NAMESPACE = "STM_BENCH_NAMESPACE";
const CUBIC = "ip link set lo up && for r in 127.0.0.0/8 127.0.0.1; do ip route replace local $r " +
  'dev lo proto kernel scope host src 127.0.0.1 table local congctl cubic; done; exec "$@"';
const [SERVER_CORE, LOAD_CORE] = ["0", "1"];
/** Bounds for failure only. */
const START_LIMIT_MS = 20_000;
const RUN_LIMIT_MS = 180_000;
/** With `--grid`: who is beside us, and how long a run is. */
const GRID = {
  servers: ["stm", "nats-server", "mosquitto", "inspircd", "C loop"],
  load: { warm: 0.3, seconds: 0.5 },
};
/** How long a run waits for the machine to become quiet. */
const PATIENCE_MS = 4000;

interface Column {
  readonly head: string;
  readonly field: string;
  readonly digits: number;
  /** Whether our figure as a multiple of the row's is put beside it. */
  readonly compared?: true;
}

const LATENCIES: readonly Column[] = [
  { head: "p50 µs", field: "p50_us", digits: 0, compared: true },
  { head: "p99 µs", field: "p99_us", digits: 0, compared: true },
  { head: "p99.9 µs", field: "p999_us", digits: 0 },
];
const COLUMNS: Readonly<Record<Shape["columns"], readonly Column[]>> = {
  saturated: [
    { head: "deliveries/s", field: "deliveries_per_s", digits: 0, compared: true },
    { head: "CPU µs each", field: "cpu_us", digits: 3, compared: true },
    { head: "server's use", field: "server_use", digits: 2 },
    { head: "load's", field: "load_use", digits: 2 },
    { head: "peak KB", field: "peak_kb", digits: 0 },
  ],
  rate: [...LATENCIES, { head: "CPU µs each", field: "cpu_us", digits: 2, compared: true }],
  idle: [
    { head: "KB each", field: "kb_per_link", digits: 1, compared: true },
    { head: "handshakes/s", field: "setup_per_s", digits: 0, compared: true },
    { head: "CPU µs each", field: "setup_cpu_us", digits: 0, compared: true },
    { head: "idle CPU", field: "idle_cpu", digits: 4 },
  ],
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    grid: { type: "boolean", default: false },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string" },
    shapes: { type: "string" },
    servers: { type: "string" },
    rows: { type: "string" },
    table: { type: "boolean", default: false },
  },
});

if (values.table) {
  const rows = (await Promise.all(positionals.map((file) => Deno.readTextFile(file))))
    .flatMap((text) => text.trim().split("\n"))
    .map((line): Row => JSON.parse(line));
  Deno.exit(report(rows) ? 0 : 1);
}
if (Deno.env.get(IN_NAMESPACE) === undefined) {
  await prepare();
  Deno.exit(await inNamespace());
}

const bench = await prepared();
const asked = (names: string | undefined, all: readonly { readonly name: string }[]): string[] => {
  const known = all.map(({ name }) => name);
  const wanted = names?.split(",") ?? known;
  const unknown = wanted.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    console.error(`there is no ${unknown.join(", ")}; there are: ${known.join(", ")}`);
    Deno.exit(2);
  }
  return wanted;
};
const shapes = asked(values.shapes, SHAPES);
const servers = asked(values.servers, SERVERS);
const pairs = SHAPES.filter(({ name }) => shapes.includes(name)).flatMap((shape) =>
  SERVERS.filter(({ name, maxPayload }) =>
    servers.includes(name) && !shape.slow?.includes(name) &&
    maxPayload >= Number(shape.load["payload"] ?? 0) &&
    (!values.quick || shape.quick.includes(name)) &&
    (!values.grid || (shape.grid && GRID.servers.includes(name)))
  ).map((server) => ({ shape, server }))
);
let lastPort = 20_000;
const rows: Row[] = [];
let bestCanary = 0;
{
  using canary = await startServer(serverNamed("C loop"), [], bench);
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const { shape, server } of pairs) {
      const quiet = await waitForQuiet(canary);
      const row = { server: server.name, shape: shape.name, canary: quiet };
      const result = await measure(server, shape, bench).then(
        (figures) => ({ ...row, figures }),
        (error: Error) => ({ ...row, figures: {}, error: error.message }),
      );
      rows.push(result);
      if (values.rows !== undefined) {
        await Deno.writeTextFile(values.rows, JSON.stringify(result) + "\n", { append: true });
      }
    }
  }
}
Deno.exit(report(rows) ? 0 : 1);

/** Runs this program again where loopback is our own. */
async function inNamespace(): Promise<number> {
  const root = Deno.uid() === 0 ? [] : ["--map-root-user"];
  const own = [Deno.execPath(), "run", "-A", new URL(import.meta.url).pathname, ...Deno.args];
  const { code } = await new Deno.Command("unshare", {
    args: [...root, "--net", "sh", "-c", CUBIC, "sh", ...own],
    env: { [IN_NAMESPACE]: "1" },
  }).spawn().status;
  return code;
}

function serverNamed(name: string): Server {
  const server = SERVERS.find((server) => server.name === name);
  if (server === undefined) throw new Error(`no server ${name}`);
  return server;
}

/** A process on the servers' core; `using` ends it. */
interface Running extends Disposable {
  readonly port: number;
  readonly pid: number;
}

async function startServer(
  server: Server,
  relayOptions: readonly string[],
  bench: Bench,
): Promise<Running> {
  const port = ++lastPort;
  const log = join(bench.folder, `${server.name.replaceAll(/\W/g, "-")}.log`);
  const command = server.command(port, { ...bench, relayOptions });
  // The shell and taskset become the server, so the pid is its own.
  const child = new Deno.Command("sh", {
    args: ["-c", 'log=$1; shift; exec "$@" >"$log" 2>&1', "sh", log, "taskset", "-c", SERVER_CORE]
      .concat(command),
    env: { LD_LIBRARY_PATH: libraryPath(bench.folder) },
    stdin: "null",
  }).spawn();
  const running = { port, pid: child.pid, [Symbol.dispose]: () => child.kill("SIGKILL") };
  let ended = false;
  void child.status.then(() => ended = true);
  const limit = performance.now() + START_LIMIT_MS;
  for (;;) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return running;
    } catch {
      if (ended || performance.now() > limit) {
        if (!ended) running[Symbol.dispose]();
        throw new Error(`${server.name} does not listen: ${await Deno.readTextFile(log)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function runLoad(
  running: Running,
  protocol: string,
  options: Shape["load"],
): Promise<Readonly<Record<string, number>>> {
  const given = { protocol, port: running.port, pid: running.pid, ...options };
  const { stdout, stderr } = await new Deno.Command("taskset", {
    args: ["-c", LOAD_CORE, bench.load]
      .concat(Object.entries(given).flatMap(([name, value]) => [`--${name}`, `${value}`])),
    stdin: "null",
    signal: AbortSignal.timeout(RUN_LIMIT_MS),
  }).output();
  const said = new TextDecoder().decode(stdout).trim();
  const figures = said === "" ? { error: new TextDecoder().decode(stderr) } : JSON.parse(said);
  if (figures.error !== undefined) throw new Error(figures.error);
  return figures;
}

async function measure(
  server: Server,
  shape: Shape,
  bench: Bench,
): Promise<Readonly<Record<string, number>>> {
  using running = await startServer(server, shape.relayOptions, bench);
  const seconds = values.seconds === undefined ? {} : { seconds: values.seconds };
  const shorter = values.grid ? GRID.load : {};
  return await runLoad(running, server.protocol, { ...seconds, ...shape.load, ...shorter });
}

/** Short runs of the C loop, until they are as fast as they were. */
async function waitForQuiet(canary: Running): Promise<number> {
  const start = performance.now();
  for (;;) {
    const options = { members: 10, window: 32, warm: 0.05, seconds: 0.2 };
    const now = (await runLoad(canary, "plain", options))["deliveries_per_s"] ?? 0;
    bestCanary = Math.max(bestCanary, now);
    if (now >= 0.8 * bestCanary || performance.now() - start > PATIENCE_MS) return now;
  }
}

/** Prints tables and promises. @returns whether all that could be judged were kept */
function report(rows: readonly Row[]): boolean {
  const [cpu] = cpus();
  console.log(`${cpu?.model.trim()}, ${cpus().length} cores, deno ${Deno.version.deno}\n`);
  const quiet = undisturbed(rows);
  const counted = (server: string, shape: string): Row[] => {
    const all = rows.filter((row) => row.server === server && row.shape === shape && !row.error);
    const some = all.filter((row) => quiet.has(row));
    return some.length > 0 ? some : all;
  };
  const figure: Figure = (server, shape, field) =>
    median(counted(server, shape).map(({ figures }) => figures[field] ?? NaN));
  for (const shape of SHAPES) {
    const measured = SERVERS.filter(({ name }) =>
      rows.some((row) => row.shape === shape.name && row.server === name)
    );
    if (measured.length === 0) continue;
    const columns = COLUMNS[shape.columns];
    printTable(
      [shape.title, ...columns.map(({ head }) => head), "quiet rounds", ""],
      measured.map(({ name }) => [
        name,
        ...columns.map((column) => cell(column, figure, name, shape.name)),
        ...remarks(
          rows.filter((row) => row.shape === shape.name && row.server === name),
          quiet,
        ),
      ]),
    );
  }
  let kept = true;
  for (const { text, measured, bound, at, unit } of PROMISES) {
    const value = measured(figure);
    if (Number.isNaN(value)) continue;
    const good = at === "most" ? value <= bound : value >= bound;
    kept &&= good;
    const words = `${value.toFixed(2)} ${unit} (at ${at} ${bound})`;
    console.log(`${good ? "yes" : "NO "}  ${text}: ${words}`);
  }
  return kept;
}

function cell(
  { field, digits, compared }: Column,
  of: Figure,
  server: string,
  shape: string,
): string {
  const value = of(server, shape, field);
  const text = value.toLocaleString("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  if (compared === undefined || server === "stm") return text;
  const times = of("stm", shape, field) / value;
  return Number.isNaN(times) ? text : `${text} (${times.toFixed(2)} ×)`;
}

/** The runs before and after which the C loop was as fast as it can be. */
function undisturbed(rows: readonly Row[]): Set<Row> {
  const least = 0.8 * Math.max(...rows.map(({ canary }) => canary));
  const ran = (row: Row | undefined): boolean => row === undefined || row.canary >= least;
  return new Set(rows.filter((row, i) => ran(row) && ran(rows[i + 1])));
}

/** How many rounds were quiet, of how many, and what was odd in them. */
function remarks(rows: readonly Row[], quiet: ReadonlySet<Row>): string[] {
  const good = rows.filter(({ error }) => error === undefined);
  const sum = (field: string) => good.reduce((sum, { figures }) => sum + (figures[field] ?? 0), 0);
  const odd = ["gaps", "reordered", "damaged", "dead", "stalls"]
    .map((field) => [field, sum(field)] as const)
    .filter(([, count]) => count > 0)
    .map(([field, count]) => `${count} ${field}`);
  const error = rows.find(({ error }) => error !== undefined)?.error;
  const undisturbed = good.filter((row) => quiet.has(row)).length;
  return [
    `${undisturbed} of ${good.length}`,
    [...odd, ...(error === undefined ? [] : [error.trim()])].join(", "),
  ];
}
