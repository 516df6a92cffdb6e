/**
 * The servers that are compared, where their programs come from, and how each is started.
 *
 * The peers are Debian's: those that are installed are used as they are, the others are unpacked
 * into a folder of the user's cache. Nothing is installed and no service is started.
 *
 * @module
 */
import { join } from "node:path";
import { privilegesOf } from "../../src/privileges.ts";

/** One server that can be started. */
export interface Server {
  /** In tables. */
  readonly name: string;
  /** How load.c speaks to it. */
  readonly protocol: string;
  /** Largest payload that its protocol takes; Infinity if ours are no trouble. */
  readonly maxPayload: number;
  /** The command; what it needs is written into the folder first. */
  command(port: number, given: Given): readonly string[];
}

/** What commands are made of. */
export interface Given {
  /** Our own folder for files. */
  readonly folder: string;
  /** Certificate and key of the peers, PEM: ECDSA on P-256. */
  readonly certificate: string;
  /** See `certificate`. */
  readonly key: string;
  /** The path of a peer's program. */
  readonly program: (name: string) => string;
  /** Further options of `stm server`. */
  readonly relayOptions: readonly string[];
}

/**
 * The relay's limits that would forbid the load itself: one connection of a saturated run sends more than
 * 5,000 frames or 8 MiB a second. All others stay as they are.
 */
export const UNTHROTTLED = ["--frames-per-second", "0", "--bytes-per-second", "0"] as const;
/** No address is exempt from the limits of one source, as loopback is by default. */
export const NOBODY_EXEMPT = ["--exempt", "192.0.2.1"] as const;

const ROOT = new URL("../..", import.meta.url).pathname;

/** All servers, ours first. */
export const SERVERS: readonly Server[] = [
  {
    name: "stm",
    protocol: "stm",
    maxPayload: Infinity,
    command: (port, { folder, relayOptions }) => [
      // As the packages start it.
      ...[Deno.execPath(), "run", "-A", ...privilegesOf("server").runtime],
      ...[join(ROOT, "main.ts"), "server"],
      ...["--host", "127.0.0.1", "--port", `${port}`, "--certs", join(folder, "stm-certs")],
      ...relayOptions,
    ],
  },
  {
    name: "nats-server",
    protocol: "nats",
    maxPayload: Infinity,
    command: (port, { folder, certificate, key, program }) => {
      const config = `listen: "127.0.0.1:${port}"
tls { cert_file: "${certificate}", key_file: "${key}", timeout: 30 }
max_pending: 268435456
max_payload: 1048576
max_connections: 100000
write_deadline: "60s"
`;
      return [program("nats-server"), "-c", written(join(folder, "nats.conf"), config)];
    },
  },
  {
    name: "mosquitto",
    protocol: "mqtt",
    maxPayload: Infinity,
    command: (port, { folder, certificate, key, program }) => {
      const config = `listener ${port} 127.0.0.1
certfile ${certificate}
keyfile ${key}
tls_version tlsv1.3
allow_anonymous true
set_tcp_nodelay true
persistence false
log_dest none
user root
max_queued_messages 0
max_connections -1
sys_interval 0
`;
      return [program("mosquitto"), "-c", written(join(folder, "mosquitto.conf"), config)];
    },
  },
  {
    name: "inspircd",
    protocol: "irc",
    maxPayload: 400,
    command: (port, { folder, certificate, key, program }) => {
      const binary = program("inspircd");
      const modules = join(binary, "../../lib/inspircd/modules");
      const config = `<server name="irc.bench.local" description="b" network="b" id="00A">
<admin name="x" nick="x" email="x@localhost">
<bind address="127.0.0.1" port="${port}" type="clients" ssl="gnutls">
<path configdir="${folder}" datadir="${folder}" logdir="${folder}" moduledir="${modules}"
 runtimedir="${folder}">
<module name="ssl_gnutls">
<sslprofile name="gnutls" provider="gnutls" certfile="${certificate}" keyfile="${key}"
 priority="NORMAL:-VERS-ALL:+VERS-TLS1.3">
<connect name="main" allow="*" timeout="600" pingfreq="6000" hardsendq="1073741824"
 softsendq="1073741824" recvq="1048576" threshold="1000000" commandrate="1000000000" fakelag="no"
 localmax="100000" globalmax="100000" resolvehostnames="no" useident="no" limit="100000" modes="">
<class name="x" commands="*">
<options prefixquit="Quit: " hostintopic="yes" nosnoticestack="no" defaultmodes="not">
<performance netbuffersize="65534" somaxconn="4096" softlimit="100000" clonesonconnect="no">
<log method="file" type="* -USERINPUT -USEROUTPUT" level="default" target="ircd.log">
<dns timeout="1">
<pid file="inspircd.pid">
`;
      const file = written(join(folder, "inspircd.conf"), config);
      return [binary, "--nofork", `--config=${file}`, "--runasroot"];
    },
  },
  {
    name: "ngircd",
    protocol: "irc",
    maxPayload: 400,
    command: (port, { folder, certificate, key, program }) => {
      const config = `[Global]
Name = irc.bench.local
Info = bench
Listen = 127.0.0.1
Ports = 1
ServerGID = root
ServerUID = root
MotdPhrase = hi
PidFile = ${folder}/ngircd.pid
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxJoins = 0
MaxListSize = 0
MaxPenaltyTime = 0
PingTimeout = 600
PongTimeout = 600
[Options]
PAM = no
DNS = no
Ident = no
MorePrivacy = no
SyslogFacility = local1
[SSL]
CertFile = ${certificate}
KeyFile = ${key}
Ports = ${port}
CipherList = SECURE128:-VERS-ALL:+VERS-TLS1.3
`;
      return [program("ngircd"), "-n", "-f", written(join(folder, "ngircd.conf"), config)];
    },
  },
  {
    name: "C loop",
    protocol: "plain",
    maxPayload: Infinity,
    command: (port, { folder, certificate, key }) => [
      ...[join(folder, "floor"), `${port}`, certificate, key],
    ],
  },
  {
    name: "bare node:tls",
    protocol: "plain",
    maxPayload: Infinity,
    command: (port, { certificate, key }) => [
      ...[Deno.execPath(), "run", "-A", join(ROOT, "bench/relay/bare_tls.ts"), `${port}`],
      ...[certificate, key],
    ],
  },
];

function written(path: string, text: string): string {
  Deno.writeTextFileSync(path, text);
  return path;
}

/** What was prepared. */
export interface Bench extends Omit<Given, "relayOptions"> {
  /** The load generator. */
  readonly load: string;
}

const PEER_PROGRAMS = ["nats-server", "mosquitto", "inspircd", "ngircd"];

function ourFolder(): string {
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? join(Deno.env.get("HOME") ?? "/tmp", ".cache");
  return join(cache, "stm-bench");
}

/** Builds the C programs, finds or unpacks the peers, makes a certificate. Needs the network once. */
export async function prepare(): Promise<void> {
  const folder = ourFolder();
  await Deno.mkdir(folder, { recursive: true });
  const source = join(ROOT, "bench/relay");
  const generator = ["load", "link", "peers", "stm"].map((name) => join(source, `${name}.c`));
  for (
    const [name, files] of [["load", generator], ["floor", [join(source, "floor.c")]]] as const
  ) {
    await run(
      ["gcc", "-O2", "-Wall", "-o", join(folder, name), ...files, "-lssl", "-lcrypto"],
      "the load is in C: apt-get install gcc libssl-dev",
    );
  }
  const { certificate, key } = credentials(folder);
  if (!await exists(certificate)) {
    await run(
      [
        ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        ...["-nodes", "-keyout", key, "-out", certificate, "-days", "3650"],
        ...["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
      ],
      "apt-get install openssl",
    );
  }
  for (const name of PEER_PROGRAMS) {
    if (await find(name, folder) === null) await unpack(name, folder);
  }
}

/** Where all of that is. */
export async function prepared(): Promise<Bench> {
  const folder = ourFolder();
  const programs = new Map<string, string | null>();
  for (const name of PEER_PROGRAMS) programs.set(name, await find(name, folder));
  return {
    folder,
    ...credentials(folder),
    load: join(folder, "load"),
    program: (name) => programs.get(name) ?? name,
  };
}

function credentials(folder: string): { readonly certificate: string; readonly key: string } {
  return { certificate: join(folder, "certificate.pem"), key: join(folder, "key.pem") };
}

/** Libraries of the peers that were unpacked, for the environment of what is started. */
export function libraryPath(folder: string): string {
  const root = join(folder, "root");
  return ["usr/lib", "lib"].map((lib) => join(root, lib, `${Deno.build.arch}-linux-gnu`)).join(":");
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function find(name: string, folder: string): Promise<string | null> {
  for (const root of ["/", join(folder, "root")]) {
    const path = join(root, "usr/sbin", name);
    if (await exists(path)) return path;
  }
  return null;
}

async function unpack(name: string, folder: string): Promise<void> {
  console.error(`fetching Debian's ${name}`);
  const debs = join(folder, "debs");
  await Deno.mkdir(join(debs, "partial"), { recursive: true });
  await run(
    [
      ...["apt-get", "install", "-y", "-q", "--reinstall", "--download-only"],
      ...["-o", `Dir::Cache::archives=${debs}`, name],
    ],
    `needs root for the package lists; or apt-get install ${name} yourself`,
  );
  for await (const { name: file } of Deno.readDir(debs)) {
    if (!file.endsWith(".deb")) continue;
    await run(["dpkg", "-x", join(debs, file), join(folder, "root")], "dpkg is Debian's");
  }
}

async function run(command: readonly string[], hint: string): Promise<void> {
  const [program = "", ...args] = command;
  const { success, stderr } = await new Deno.Command(program, { args, stdin: "null" }).output()
    .catch((error) => ({ success: false, stderr: new TextEncoder().encode(`${error}`) }));
  if (success) return;
  console.error(`${new TextDecoder().decode(stderr)}\n${command.join(" ")} failed. ${hint}`);
  Deno.exit(1);
}
