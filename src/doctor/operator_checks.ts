/** `stm server doctor`: what a relay depends on, on its own machine. */
import { join } from "node:path";
import { constrainedMemory } from "node:process";
import { EXIT } from "../session/exit_code.ts";
import { isWildcard, machineAddresses, publicAddress } from "../server/main.ts";
import type { ServerOptions } from "../server/options.ts";
import type { RelayLimits } from "../server/relay_limits.ts";
import {
  askRelay,
  CONTROL_SOCKET,
  type ControlAnswer,
  ControlError,
} from "../server/shell_control.ts";
import { type AddressRange, isIn, parseIp, parseRange } from "../transport/address_range.ts";
import { dial, DialError } from "../transport/dial.ts";
import type { ListenAddress } from "../transport/listen.ts";
import { KEY_FILE } from "../transport/server_key.ts";
import { formatAddress, LinkError } from "../wire/link_url.ts";
import { reasonOf } from "./file_checks.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";
import { keptFindings, keyFindings } from "./operator_files.ts";

/**
 * All checks of a relay that is, or will be, started with these options. It changes nothing.
 *
 * @param version of the program
 */
export async function* operatorFindings(
  options: ServerOptions,
  version: string,
): AsyncGenerator<Finding> {
  const { certs, limits, operation } = options;
  const key = yield* keyFindings(certs);
  yield* keptFindings(certs, operation.access);
  const running = yield* runningFindings(certs, version);
  yield* portFindings(options, running);
  yield* publicFindings(options, key, running);
  yield metricsFinding(operation.metrics);
  yield* limitFindings(options);
  if (key !== null) yield descriptorsFinding(join(certs, KEY_FILE), limits.maxConnections);
  yield memoryFinding(limits);
}

/** @returns what the relay that runs says of itself */
async function* runningFindings(
  certs: string,
  version: string,
): AsyncGenerator<Finding, ControlAnswer | null> {
  const check = "running";
  let status: ControlAnswer | null;
  try {
    status = await askRelay(certs, "status");
  } catch (error) {
    if (error instanceof ControlError) {
      yield fail(
        check,
        error.message,
        "give --certs a shorter path; until then only signals reach the relay",
      );
      return null;
    }
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    yield fail(
      check,
      `${join(certs, CONTROL_SOCKET)} may not be used: ${reasonOf(error)}`,
      "run this as the user who runs the relay",
    );
    return null;
  }
  if (status === null) yield ok(check, "no relay runs with this folder");
  else if (status.version !== version) {
    yield warn(
      check,
      `the relay that runs is stm ${status.version}, and this is stm ${version}`,
      "restart it to run this one (systemctl restart stm)",
    );
  } else if (status.ready !== true) {
    yield warn(check, "the relay that runs takes nobody: it is about to stop", "look at its log");
  } else {
    yield ok(check, `a relay runs, process ${status.pid}, with ${status.connections} connections`);
  }
  return status;
}

function* portFindings(
  { listen }: ServerOptions,
  running: ControlAnswer | null,
): Generator<Finding> {
  // On a machine without IPv6, all addresses are those of IPv4.
  const addresses = listen.filter(({ host, port }) =>
    host !== "::" || hasIpv6() || !listen.some((at) => at.host === "0.0.0.0" && at.port === port)
  );
  for (const address of addresses) yield portFinding(address, running);
}

function hasIpv6(): boolean {
  return Deno.networkInterfaces().some(({ family }) => family === "IPv6");
}

function portFinding({ host, port }: ListenAddress, running: ControlAnswer | null): Finding {
  const check = "port";
  const where = formatAddress(host, port);
  if (running !== null) {
    const listening = Array.isArray(running.listening) ? running.listening.map(String) : [];
    const here = listening.find((at) =>
      at === where || (port === 0 && at.startsWith(where.slice(0, -1)))
    );
    if (here !== undefined) return ok(check, `the relay listens on ${here}`);
    return warn(
      check,
      `the relay that runs listens on ${listening.join(" and ")}, and not on ${where}`,
      "give the options here that it was started with, or restart it to have these",
    );
  }
  try {
    Deno.listen({ hostname: host, port }).close();
    return ok(check, `${where} is free to listen on`);
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) {
      return fail(
        check,
        `${where} is taken by another program`,
        `ss -ltnp 'sport = :${port}' shows by which, as root; or give another --port`,
      );
    }
    if (error instanceof Deno.errors.PermissionDenied) {
      return fail(
        check,
        `${where} may not be listened on`,
        "take a port above 1023, or have systemd give the right (AmbientCapabilities=CAP_NET_BIND_SERVICE)",
      );
    }
    return fail(
      check,
      `${where} cannot be listened on: ${reasonOf(error)}`,
      "--host takes an address of this machine, or 0.0.0.0 for all of them",
    );
  }
}

async function* publicFindings(
  options: ServerOptions,
  key: Uint8Array | null,
  running: ControlAnswer | null,
): AsyncGenerator<Finding> {
  const check = "public";
  const own = machineAddresses();
  let address: { readonly host: string; readonly port: number };
  try {
    address = linkedAddress(options, running, own);
  } catch (error) {
    if (!(error instanceof LinkError)) throw error;
    yield fail(check, `--public is wrong: ${error.message}`, "give HOST or HOST:PORT");
    return;
  }
  const where = formatAddress(address.host, address.port);
  const ip = parseIp(address.host);
  const reach = ip === null ? null : PRIVATE.find(({ range }) => isIn(ip, range))?.reach;
  if (typeof reach === "string") {
    yield warn(
      check,
      `the server link has the address ${where}, which reaches ${reach}`,
      "give --public the name or address that others dial, once its port is forwarded to this machine",
    );
  }
  if (key === null || running === null) {
    yield ok(check, `${where} was not dialled, for no relay runs`);
    return;
  }
  try {
    (await dial({ ...address, pin: key })).destroy();
    yield ok(check, `${where} leads to this relay`);
  } catch (error) {
    if (!(error instanceof DialError)) throw error;
    yield undialled(error, address, own.includes(address.host));
  }
}

function undialled(
  error: DialError,
  { host, port }: { readonly host: string; readonly port: number },
  isOwn: boolean,
): Finding {
  const check = "public";
  if (error.code === "wrong-key") {
    return fail(
      check,
      error.message,
      `another program answers there: look where port ${port} of ${host} is forwarded to`,
      EXIT.wrongKey,
    );
  }
  const open =
    `let TCP port ${port} in: this machine's firewall, the cloud's rules, the router's forwarding`;
  if (isOwn) return fail(check, error.message, open, EXIT.unreachable);
  return warn(
    check,
    `${error.message} (from here)`,
    `${open}. Many routers do not lead back into their own network: try stm doctor LINK from elsewhere`,
  );
}

/** What the server link says. @throws {LinkError} */
function linkedAddress(
  { listen, public: given }: ServerOptions,
  running: ControlAnswer | null,
  own: readonly string[],
): { host: string; port: number } {
  const [{ host, port } = { host: "", port: 0 }] = listen;
  const listened = running === null ? port : Number(running.port);
  if (given !== null) return publicAddress(given, listened || 1);
  return { host: isWildcard(host) ? own[0] ?? "127.0.0.1" : host, port: listened };
}

interface Reach {
  readonly range: AddressRange;
  readonly reach: string;
}

/** Addresses that are not the internet's, and whom they reach. */
const PRIVATE: readonly Reach[] = [
  ...rangesOf("this machine alone", ["127.0.0.0/8", "::1"]),
  ...rangesOf("its own network alone", [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "fe80::/10",
    "fc00::/7",
  ]),
  ...rangesOf("customers of one provider alone", ["100.64.0.0/10"]),
];

function rangesOf(reach: string, texts: readonly string[]): Reach[] {
  return texts.map((text) => {
    const range = parseRange(text);
    if (range === null) throw new RangeError(`${text} is no range`);
    return { range, reach };
  });
}

function metricsFinding(address: ListenAddress | null): Finding {
  const check = "metrics";
  if (address === null) return ok(check, "not served");
  const where = formatAddress(address.host, address.port);
  const ip = parseIp(address.host);
  if (
    address.host === "localhost" || (ip !== null && PRIVATE.some(({ range }) => isIn(ip, range)))
  ) {
    return ok(check, `served on ${where}`);
  }
  return warn(
    check,
    `served on ${where}, without a login, to whoever reaches it`,
    `--metrics ${address.port} serves them on loopback alone`,
  );
}

/** A range with fewer equal bits has strangers in it. */
const WIDEST_RANGE = parseRange("0.0.0.0/8")?.bits ?? 0;

function* limitFindings({ limits, operation }: ServerOptions): Generator<Finding> {
  const check = "limits";
  const off = ([
    ["source-connections", limits.sourceConnections],
    ["source-arrivals", limits.sourceArrivals],
    ["source-joins", limits.sourceJoins],
    ["source-knocks", limits.sourceKnocks],
    ["source-frames", limits.sourceFrames],
    ["source-bytes", limits.sourceBytes],
  ] as const).filter(([, limit]) => limit === 0).map(([name]) => `--${name}`);
  const wide = ([
    ["exempt", operation.exempt],
    ["proxy-protocol", operation.balancers],
  ] as const).filter(([, ranges]) => ranges.some(({ bits }) => bits < WIDEST_RANGE));
  if (off.length > 0) {
    yield warn(
      check,
      `one source may do without limit what ${off.join(", ")} would bound`,
      "leave them out to have their defaults",
    );
  }
  for (const [name] of wide) {
    yield warn(
      check,
      `--${name} has a range so wide that strangers are in it`,
      "name single addresses or networks",
    );
  }
  if (off.length === 0 && wide.length === 0) {
    yield ok(
      check,
      `${limits.maxConnections} connections, ${limits.sourceConnections} of one source`,
    );
  }
}

/** Beside its connections a relay has files, the metrics, the runtime's own. */
const SPARE_DESCRIPTORS = 64;
/** Trying more takes seconds, and no system that grants so many has trouble with the rest. */
const MOST_TRIED = 65_536;

/** Opens a file as often as a relay would have connections: the only way to know without reading /proc. */
function descriptorsFinding(path: string, maxConnections: number): Finding {
  const check = "descriptors";
  const wanted = Math.min(maxConnections + SPARE_DESCRIPTORS, MOST_TRIED);
  const opened: Deno.FsFile[] = [];
  try {
    while (opened.length < wanted) opened.push(Deno.openSync(path));
    return ok(check, `${wanted} can be open at once, for ${maxConnections} connections`);
  } catch {
    const count = opened.length;
    return fail(
      check,
      `only ${count} can be open at once, and ${maxConnections} connections want ${wanted}`,
      `raise the limit (LimitNOFILE= of the unit, ulimit -Hn), or give --max-connections ${
        Math.max(1, count - SPARE_DESCRIPTORS)
      }`,
    );
  } finally {
    for (const file of opened) file.close();
  }
}

const MIB = 1024 * 1024;
/** A relay without connections, and what an idle connection adds, both measured (docs/OPERATIONS.md). */
const BASE_BYTES = 96 * MIB;
const CONNECTION_BYTES = 36 * 1024;

function memoryFinding({ maxConnections, maxHeldBytes }: RelayLimits): Finding {
  const check = "memory";
  const { total } = Deno.systemMemoryInfo();
  // A control group's limit; as large as a number can be if there is none.
  const bytes = Math.min(total, constrainedMemory() || Infinity);
  const fixed = BASE_BYTES + maxHeldBytes;
  const wanted = fixed + maxConnections * CONNECTION_BYTES;
  const text = `${Math.round(wanted / MIB)} MiB for ${maxConnections} connections, ${
    Math.round(maxHeldBytes / MIB)
  } of them for slow readers, of ${Math.round(bytes / MIB)} MiB`;
  if (wanted <= bytes * 0.8) return ok(check, text);
  const fitting = Math.floor((bytes * 0.8 - fixed) / CONNECTION_BYTES);
  const remedy = fitting > 0
    ? `give --max-connections ${fitting}, a smaller --max-held-bytes`
    : "give a smaller --max-held-bytes";
  return warn(check, text, `${remedy}, or the machine more memory`);
}
