/**
 * The packages of this machine's system, built as `deno task release` builds them and used as people
 * do: issue 4, "done when" 1 to 4 and 6. Needs root, and the npm registry.
 */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import * as v from "valibot";
import { sha256 } from "../../src/crypto/primitives.ts";
import { type RelayKey, relayKey } from "../../src/wire/ids.ts";
import { formatLink } from "../../src/wire/link_url.ts";
import { makeEvilAuthority } from "../support/evil_ca.ts";
import { startEvilServer } from "../support/evil_server.ts";
import { flip, OWN, start } from "../support/package_stage.ts";
import { Pty } from "../support/pty.ts";
import { makeRelayKey } from "../support/relay_key.ts";
import { StmProcess } from "../support/stm_process.ts";
import { withFolder } from "../support/temporary_folder.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const NAME = `stm-0.1.0-${OWN.name}`;
const JSON_UI = ["--ui", "json"];

/** A program and what stands before its arguments. */
interface Stm {
  readonly program: string;
  readonly before?: readonly string[];
  readonly env: Record<string, string>;
  readonly cwd: string;
}

async function release(out: string, ...more: string[]): Promise<string> {
  const args = ["task", "release", "--target", "own", "--out", out, ...more];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { SOURCE_DATE_EPOCH: "1000000000", NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  assert.equal(code, 0, text.decode(stderr));
  return text.decode(stdout);
}

let built: Promise<string> | undefined;

/** The folder of a release, built once; it is removed when the process ends. */
function packages(): Promise<string> {
  return built ??= (async () => {
    const folder = await Deno.makeTempDir({ prefix: "stm-release-" });
    globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
    await release(folder, "--no-compile", "--no-measure");
    return folder;
  })();
}

/** What npm needs to reach the registry from this machine, if it needs anything. */
function registryEnvironment(): Record<string, string> {
  const names = ["NODE_EXTRA_CA_CERTS", "npm_config_registry", "HTTPS_PROXY", "NO_PROXY"];
  return Object.fromEntries(names.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  }));
}

/** The archive unpacked, the single file, and the npm package installed, each for its own home. */
async function everyArtefact(folder: string): Promise<Record<string, Stm>> {
  const from = await packages();
  const env = {
    HOME: join(folder, "home"),
    PATH: "/usr/bin:/bin",
    npm_config_cache: join(folder, "npm-cache"),
    npm_config_update_notifier: "false",
  };
  await Deno.mkdir(env.HOME);
  await start("tar", ["xzf", join(from, `${NAME}.tar.gz`), "-C", folder]);
  const installed = await start(
    "npm",
    [
      "install",
      "--global",
      "--no-audit",
      "--no-fund",
      "--prefix",
      join(folder, "npm"),
      join(from, "stm-0.1.0-npm.tgz"),
    ],
    { env: { ...env, ...registryEnvironment(), PATH: Deno.env.get("PATH") ?? "" } },
  );
  assert.equal(installed.code, 0, installed.err);
  return {
    "the archive": { program: join(folder, NAME, "stm"), env, cwd: folder },
    "the single file": { program: join(from, NAME), env, cwd: folder },
    "the npm package": {
      program: join(folder, "npm", "bin", "stm"),
      env: { ...env, PATH: Deno.env.get("PATH") ?? "" },
      cwd: folder,
    },
  };
}

function spawn({ program, before = [], env, cwd }: Stm, args: readonly string[]): StmProcess {
  const child = new Deno.Command(program, {
    args: [...before, ...args],
    clearEnv: true,
    env,
    cwd,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return new StmProcess(args[args.indexOf("--name") + 1] ?? "", child, {});
}

/** A relay, an admin and a client of this program hear each other, and leave with 0. */
async function converse(stm: Stm): Promise<void> {
  const processes: StmProcess[] = [];
  const begin = (args: readonly string[]): StmProcess => {
    const process = spawn(stm, [...args, ...JSON_UI]);
    processes.push(process);
    return process;
  };
  try {
    const relay = begin(["server", "--host", "127.0.0.1", "--port", "0"]);
    const { link } = await relay.event("ready");
    const owl = begin(["admin", link, "--room", "R", "--name", "owl"]);
    const { url } = await owl.event("invite");
    const fox = begin(["client", "-", "--name", "fox"]);
    fox.write(`${url}\n`);
    await fox.event("joined");
    fox.say("hello owl");
    await owl.event("message", (m) => m.text === "hello owl" && m.from === "fox");
    owl.say("hello fox");
    await fox.event("message", (m) => m.text === "hello fox" && m.from === "owl");
    for (const person of [fox, owl]) {
      person.endInput();
      assert.equal(await person.exit, 0, person.stderr);
    }
    relay.signal("SIGTERM");
    assert.equal(await relay.exit, 0, relay.stderr);
    for (const { stderr } of processes) assert.equal(stderr, "");
  } finally {
    await Promise.all(processes.map((process) => process.kill()));
  }
}

Deno.test("building twice gives identical files", async () => {
  await withFolder(async (folder) => {
    const first = await packages();
    await release(folder, "--no-compile", "--no-measure");
    const sums = await Deno.readTextFile(join(folder, "SHA256SUMS"));
    assert.equal(await Deno.readTextFile(join(first, "SHA256SUMS")), sums);
    const check = await start("sha256sum", ["--check", "--strict", "SHA256SUMS"], { cwd: first });
    assert.equal(check.code, 0, check.out);
  });
});

/** A root with busybox, the libraries of the runtime, /proc, /dev/null and nothing else. */
async function bareRoot(root: string): Promise<void> {
  for (const path of ["bin", "dev", "proc", "tmp", "home/owl", "work"]) {
    await Deno.mkdir(join(root, path), { recursive: true });
  }
  await Deno.copyFile("/bin/busybox", join(root, "bin", "busybox"));
  const applets = "sh cat chmod env find gzip head id ls mkdir mv readlink rm sed sha256sum " +
    "sleep stat sync tail tar uname wc";
  for (const applet of applets.split(" ")) await Deno.symlink("busybox", join(root, "bin", applet));
  const { out } = await start("ldd", [Deno.execPath()]);
  for (const [library] of out.matchAll(/\/\S+/g)) {
    await Deno.mkdir(join(root, dirname(library)), { recursive: true });
    await Deno.copyFile(library, join(root, library));
  }
  const made = await start("mknod", ["-m", "666", join(root, "dev", "null"), "c", "1", "3"]);
  assert.equal(made.code, 0, made.err);
  await Deno.chmod(join(root, "tmp"), 0o1777);
  await Deno.chmod(root, 0o755);
  await Deno.chown(join(root, "work"), 65534, 65534);
}

Deno.test("in a bare root, as another user, without a home or with one that cannot be written, the packages hold a demo and a conversation", async () => {
  await withFolder(async (folder) => {
    const root = join(folder, "root");
    await bareRoot(root);
    const from = await packages();
    await Deno.copyFile(join(from, NAME), join(root, "bin", "stm"));
    await start("tar", ["xzf", join(from, `${NAME}.tar.gz`), "-C", root]);
    const inside = (program: string, env: Record<string, string>): Stm => ({
      program: "unshare",
      before: [
        "--mount",
        "sh",
        "-c",
        `mount -t proc proc '${root}/proc' && exec chroot --userspec=65534:65534 '${root}' ` +
        `/bin/env -i PATH=/bin ${Object.entries(env).map((e) => e.join("=")).join(" ")} ` +
        `/bin/sh -c 'cd /work && exec "$0" "$@"' ${program} "$@"`,
        "sh",
      ],
      env: { PATH: Deno.env.get("PATH") ?? "" },
      cwd: "/",
    });
    for (const program of ["/bin/stm", `/${NAME}/stm`]) {
      // No home at all, and one that is root's.
      for (const env of [{}, { HOME: "/home/owl" }]) {
        const stm = inside(program, env);
        const demo = await start(stm.program, [...stm.before ?? [], "demo"], { env: stm.env });
        assert.equal(demo.code, 0, demo.err);
        assert.match(demo.out, /nothing found/);
        await converse(stm);
      }
    }
  });
});

Deno.test("twenty first starts of the real single file at once all work", async () => {
  await withFolder(async (folder) => {
    const program = join(await packages(), NAME);
    const env = { STM_CACHE: join(folder, "cache") };
    const started = await Promise.all(
      Array.from({ length: 20 }, () => start(program, ["version"], { env })),
    );
    for (const { code, out, err } of started) {
      assert.deepEqual([code, out, err], [0, "stm 0.1.0\n", ""]);
    }
  });
});

Deno.test("the real single file goes around a full disk and a mount that lets nothing be run", async () => {
  await withFolder(async (folder) => {
    await Deno.copyFile(join(await packages(), NAME), join(folder, "stm"));
    for (const name of ["full", "noexec", "good"]) await Deno.mkdir(join(folder, name));
    const run = (...full: string[]) =>
      start("unshare", [
        "--mount",
        "sh",
        "-c",
        // Root writes wherever a mount lets it: only that refuses anything here. The temporary
        // folders are among those that fill up, so ours is reached by another name.
        'set -e; mount --bind "$0" /mnt; cd /mnt; mount -t tmpfs -o noexec none noexec; ' +
        'for place in full "$@"; do mount -t tmpfs -o size=20m none "$place"; done; ' +
        "export STM_CACHE=/mnt/full/stm HOME=/mnt/noexec TMPDIR=/mnt/good; exec ./stm version",
        folder,
        ...full,
      ]);
    const found = await run();
    assert.deepEqual([found.code, found.out, found.err], [0, "stm 0.1.0\n", ""]);
    const nowhere = await run("good", "/tmp", "/var/tmp", "/dev/shm");
    assert.equal(nowhere.code, 1);
    assert.match(nowhere.err, /found no folder to unpack itself into: \d+ MB are needed/);
  });
});

Deno.test("a byte changed anywhere in the real single file is refused", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "stm");
    await Deno.copyFile(join(await packages(), NAME), path);
    const { size } = await Deno.stat(path);
    const env = { STM_CACHE: join(folder, "cache") };
    assert.equal((await start(path, ["version"], { env })).code, 0);
    for (const at of [30, 20_000, 150_000, Math.floor(size / 2), size - 1]) {
      await flip(path, at);
      const { code, out, err } = await start(path, ["version"], { env });
      assert.deepEqual([code, out], [1, ""], `byte ${at}`);
      assert.match(err, /is damaged: its checksum is/);
      await flip(path, at);
    }
    assert.equal((await start(path, ["version"], { env })).code, 0);
  });
});

Deno.test("archive, single file and installed npm package each hold a conversation, and P11 holds in each", async () => {
  await withFolder(async (folder) => {
    const artefacts = await everyArtefact(folder);
    for (const [name, stm] of Object.entries(artefacts)) {
      await converse(stm);
      await remembers(name, { ...stm, env: { ...stm.env, HOME: join(folder, `${name}'s home`) } });
      await logsIn(name, stm, folder);
      await refusesEvilAuthorities(name, stm, folder);
    }
  });
});

/** An account is made with a code, and then logged in to. What does that is WebAssembly in a worker. */
async function logsIn(name: string, stm: Stm, folder: string): Promise<void> {
  const { before = [], program, ...where } = stm;
  const certs = ["--certs", join(folder, `${name}'s accounts`)];
  const address = ["--host", "127.0.0.1", "--port", "0"];
  const relay = spawn(stm, ["server", ...address, ...certs, "--access", "account", ...JSON_UI]);
  let owl: StmProcess | null = null;
  try {
    const { link } = await relay.event("ready");
    const add = ["server", "user", "add", "owl", ...certs, ...JSON_UI];
    const added = await start(program, [...before, ...add], where);
    assert.equal(added.code, 0, `${name}: ${added.err}`);
    const { code } = v.parse(v.object({ code: v.string() }), JSON.parse(added.out));
    const files = { code: join(folder, "code"), password: join(folder, "password") };
    await Deno.writeTextFile(files.code, `${code}\n`);
    await Deno.writeTextFile(files.password, "correct horse battery staple\n");
    for (const more of [["--code-file", files.code], []]) {
      const account = ["--user", "owl", "--password-file", files.password, ...more];
      owl = spawn(stm, ["admin", link, "--name", "owl", ...account, ...JSON_UI]);
      await owl.event("joined");
      owl.endInput();
      assert.equal(await owl.exit, 0, `${name}: ${owl.stderr}`);
    }
    relay.signal("SIGTERM");
    assert.equal(await relay.exit, 0, `${name}: ${relay.stderr}`);
  } finally {
    await Promise.all([relay.kill(), owl?.kill()]);
  }
}

/** In a home that has nothing yet: a profile is made, and with it a relay is believed and remembered. */
async function remembers(name: string, stm: Stm): Promise<void> {
  const { before = [], program, ...where } = stm;
  const create = [...before, "profile", "create", "owl", "--no-passphrase"];
  const made = await start(program, create, where);
  assert.deepEqual([made.code, made.err], [0, ""], name);
  const relay = spawn(stm, ["server", "--host", "127.0.0.1", "--port", "0", ...JSON_UI]);
  const admin = (port: number, ...more: string[]): StmProcess =>
    spawn(stm, [
      ...["admin", "--host", "127.0.0.1", "--port", String(port)],
      ...["--profile", "owl", "--no-passphrase", ...more, ...JSON_UI],
    ]);
  let owl: StmProcess | null = null;
  try {
    const { port } = await relay.event("ready");
    for (const more of [["--accept-new"], []]) {
      owl = admin(port, ...more);
      await owl.event("joined");
      owl.endInput();
      assert.equal(await owl.exit, 0, `${name}: ${owl.stderr}`);
    }
    relay.signal("SIGTERM");
    assert.equal(await relay.exit, 0, `${name}: ${relay.stderr}`);
  } finally {
    await Promise.all([relay.kill(), owl?.kill()]);
  }
}

/** P11 as in tests/transport/p11_test.ts, with the runtime of the package as the one to be fooled. */
async function refusesEvilAuthorities(name: string, stm: Stm, folder: string): Promise<void> {
  const evil = await makeEvilAuthority();
  const authority = join(folder, "authority.pem");
  await Deno.writeTextFile(authority, evil.authorityPem);
  const worlds: Record<string, string>[] = [
    { DENO_CERT: authority },
    { NODE_EXTRA_CA_CERTS: authority },
    { SSL_CERT_FILE: authority, DENO_TLS_CA_STORE: "system" },
    { DENO_CERT: authority, NODE_TLS_REJECT_UNAUTHORIZED: "0" },
  ];
  const pin: RelayKey = relayKey(makeRelayKey().pin);
  for (const world of worlds) {
    await using server = await startEvilServer({ keyPem: evil.keyPem, certPem: evil.chainPem });
    const link = formatLink(
      { kind: "server", host: "127.0.0.1", port: server.port, relayKey: pin },
      sha256,
    );
    const where = `${name} with ${Object.keys(world)}`;
    const { code, out } = await start(stm.program, [
      ...stm.before ?? [],
      "admin",
      link,
      "--name",
      "owl",
      ...JSON_UI,
    ], { env: { ...stm.env, ...world }, cwd: stm.cwd });
    assert.equal(code, 4, `${where}: ${out}`);
    // It dials, and looks once more whether a statement leads to what answers.
    for (let i = 0; i < 2; i++) assert.equal(await server.received.next(), 0, where);

    const control =
      `const c = await Deno.connectTls({ hostname: "127.0.0.1", port: ${server.port} });
      await c.handshake(); await c.write(new Uint8Array(7)); c.close();`;
    const runtime = join(folder, NAME, "lib", OWN.runtime);
    const fooled = await start(runtime, ["eval", control], { env: { ...stm.env, ...world } });
    assert.equal(fooled.code, 0, `${where}: ${fooled.err}`);
    assert.equal(await server.received.next(), 7, where);
  }
}

Deno.test("npx of the packed tarball runs the demo from an empty cache, and ^C and SIGTERM end it with the program's own exit code", async () => {
  await withFolder(async (folder) => {
    const tarball = join(await packages(), "stm-0.1.0-npm.tgz");
    const env = {
      ...registryEnvironment(),
      HOME: folder,
      npm_config_cache: join(folder, "cache"),
      npm_config_update_notifier: "false",
    };
    const npx = ["--yes", "--package", tarball, "stm"];
    const demo = await start("npx", [...npx, "demo"], { env, cwd: folder });
    assert.equal(demo.code, 0, demo.err);
    assert.match(demo.out, /nothing found/);
    const ends: ((pty: Pty) => void)[] = [
      (pty) => pty.write("\x03"),
      (pty) => Deno.kill(pty.pid, "SIGTERM"),
    ];
    const server = "stm server --host 127.0.0.1 --port 0";
    const executed = (line: string): string[] => ["--yes", "--package", tarball, "-c", line];
    // dash, Debian's sh, dies of the signal itself and hides everybody's exit code, unless it is told
    // to make way (docs/PACKAGES.md); the relay ends in order all the same.
    const ways: { shell: string; args: string[]; code: number | null }[] = [
      { shell: "/bin/bash", args: [...npx, ...server.split(" ").slice(1)], code: 0 },
      { shell: "/bin/dash", args: [...npx, ...server.split(" ").slice(1)], code: null },
      { shell: "/bin/dash", args: executed(`exec ${server}`), code: 0 },
      // A demo that was broken off has not succeeded.
      { shell: "/bin/bash", args: [...npx, "demo"], code: 1 },
      { shell: "/bin/dash", args: executed("exec stm demo"), code: 1 },
    ];
    for (const { shell, args, code } of ways) {
      for (const end of ends) {
        const breaksOff = async (): Promise<number> => {
          const pty = new Pty("/bin/sh", ["-c", 'cd "$0" && exec npx "$@"', folder, ...args], {
            env: { ...env, npm_config_script_shell: shell },
          });
          // The last that either says before it waits.
          const said = /server link|making three/;
          const rows = await pty.shows((rows) => rows.some((row) => said.test(row)));
          const port = /ready on 127\.0\.0\.1:(\d+)/.exec(rows.join("\n"))?.[1] ?? "";
          end(pty);
          const ended = await pty.exited;
          await nobodyListens(Number(port));
          await pty.close();
          return ended;
        };
        let ended = await breaksOff();
        // A demo can be through, and have succeeded, before the signal has gone its way through npx.
        for (let again = 0; code === 1 && ended === 0 && again < 5; again++) {
          ended = await breaksOff();
        }
        if (code !== null) assert.equal(ended, code, `${shell}: npx ${args.join(" ")}`);
      }
    }
  });
});

/** Waits until a port of this machine refuses connections. */
async function nobodyListens(port: number): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port }).catch(() => null);
    if (connection === null) return;
    connection.close();
    assert.ok(performance.now() < deadline, `somebody still listens on ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

Deno.test("the installed npm package ends with the program's own exit code after ^C and SIGTERM, whatever sh is", async () => {
  await withFolder(async (folder) => {
    const { "the npm package": stm } = await everyArtefact(folder);
    assert.ok(stm !== undefined);
    const server = ["server", "--host", "127.0.0.1", "--port", "0"];
    const wrong = ["server", "--prot", "1"];
    assert.equal((await start(stm.program, wrong, { env: stm.env, cwd: stm.cwd })).code, 2);
    for (const end of [(pty: Pty) => pty.write("\x03"), (pty: Pty) => Deno.kill(pty.pid)]) {
      const script = 'cd "$0" && exec "$@"';
      const pty: Pty = new Pty("/bin/sh", ["-c", script, folder, stm.program, ...server], {
        env: stm.env,
      });
      await pty.shows((rows) => rows.some((row) => row.includes("server link")));
      end(pty);
      assert.equal(await pty.exited, 0);
      await pty.close();
    }
  });
});

Deno.test("SHA256SUMS is signed with the key that is given, and minisign accepts that", async () => {
  await withFolder(async (folder) => {
    const key = join(folder, "key");
    const made = await start("minisign", ["-G", "-W", "-p", `${key}.pub`, "-s", key]);
    assert.equal(made.code, 0, made.err);
    const out = join(folder, "out");
    await release(out, "--no-compile", "--no-measure", "--sign", key);
    const verify = ["-V", "-p", `${key}.pub`, "-m", join(out, "SHA256SUMS")];
    const good = await start("minisign", verify);
    assert.equal(good.code, 0, good.err);
    assert.match(good.out, /stm 0\.1\.0 2001-09-09T01:46:40\.000Z/);
    await Deno.writeTextFile(join(out, "SHA256SUMS"), "x", { append: true });
    assert.notEqual((await start("minisign", verify)).code, 0);
  });
});

Deno.test("the build prints sizes and start-up times; the single file starts in at most 1.5 times deno run of the bundle, and compiling twice gives the same", async () => {
  await withFolder(async (folder) => {
    const text = await release(folder, "--prove-compile");
    const ratio = (what: string): number =>
      Number(new RegExp(`^${what} +\\d+ ms +([\\d.]+)×$`, "m").exec(text)?.[1] ?? NaN);
    assert.ok(ratio("single file") <= 1.5, text);
    for (const what of ["archive", "npm package", "single file, first start"]) {
      assert.ok(ratio(what) > 0, text);
    }
    assert.match(text, new RegExp(`^${NAME} +\\d+\\.\\d\\d MB$`, "m"));
    assert.match(text, /^compiled twice with the plain runtime: [0-9a-f]{64}$/m);
    // Where the base runtime is out of reach, one line says so.
    assert.match(text, new RegExp(`^(${OWN.name}: not compiled, .*|${NAME}-compiled .* MB)$`, "m"));
  });
});
