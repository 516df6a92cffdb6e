import assert from "node:assert/strict";
import { join } from "node:path";
import * as v from "valibot";
import {
  cmdLauncher,
  compileFlags,
  nodeLauncher,
  shellLauncher,
} from "../../tools/release_launchers.ts";
import { PRIVILEGES } from "../../src/privileges.ts";
import { TARGETS } from "../../tools/release_targets.ts";
import { layOutNpm, start, TALKING_RUNTIME, unpackArchive } from "../support/package_stage.ts";
import { withFolder } from "../support/temporary_folder.ts";

const PROBE = await Deno.readTextFile(new URL("../support/privilege_probe.js", import.meta.url));
const WORKED = v.array(v.string());
const ENVIRONMENT = ["env HOME", "env TERM"];
const SERVER = ["net", "sys networkInterfaces", "sys systemMemoryInfo"];

interface Case {
  readonly args: readonly string[];
  /** What works of what the probe tries, besides the folders. */
  readonly may: readonly string[];
  /** Folders below the working directory that it may read and write. */
  readonly folders?: readonly string[];
}

/** Everything else that the probe tries has to be refused. */
const CASES: readonly Case[] = [
  { args: ["server"], may: SERVER, folders: ["certs"] },
  {
    args: ["server", "--certs", "my, own certs"],
    may: SERVER,
    folders: ["my, own certs"],
  },
  {
    args: ["server", "--certs=deep/er"],
    may: SERVER,
    folders: ["deep/er"],
  },
  {
    args: ["server", "--config", "invite.txt", "--try-read", "invite.txt"],
    may: [...SERVER, "read invite.txt"],
    folders: ["certs"],
  },
  { args: ["client"], may: ["net", ...ENVIRONMENT], folders: ["state"] },
  {
    args: ["client", "--invite-file", "invite.txt", "--try-read", "invite.txt"],
    may: ["net", ...ENVIRONMENT, "read invite.txt"],
    folders: ["state"],
  },
  {
    args: ["client", "--try-read", "invite.txt"],
    may: ["net", ...ENVIRONMENT],
    folders: ["state"],
  },
  {
    args: ["admin", "--passphrase-file=invite.txt", "--try-read", "invite.txt"],
    may: ["net", ...ENVIRONMENT, "read invite.txt"],
    folders: ["state"],
  },
  { args: ["profile", "create"], may: ENVIRONMENT, folders: ["state"] },
  { args: ["server", "doctor", "--certs", "deep/er"], may: SERVER, folders: ["deep/er"] },
  { args: ["doctor"], may: ["net", ...ENVIRONMENT], folders: ["state"] },
  { args: ["demo"], may: ["net", "env TERM"], folders: ["tmp"] },
  { args: ["version"], may: [] },
  { args: ["--help"], may: [] },
  { args: ["no-such-command"], may: [] },
];

const LAUNCHERS = {
  "the archive's launcher": async (folder: string) => ({
    program: await unpackArchive(folder, { link: Deno.execPath() }, PROBE),
    before: [] as string[],
  }),
  "the npm package": async (folder: string) => ({
    program: "node",
    before: [await layOutNpm(folder, { link: Deno.execPath() }, PROBE)],
  }),
};

for (const [name, unpack] of Object.entries(LAUNCHERS)) {
  Deno.test(`${name} gives each command what it needs, and nothing more`, async () => {
    await withFolder(async (folder) => {
      const { program, before } = await unpack(join(folder, "package"));
      const work = join(folder, "work");
      await Deno.mkdir(join(work, "tmp"), { recursive: true });
      await Deno.writeTextFile(join(work, "invite.txt"), "stm://…");
      const env = {
        HOME: join(folder, "home"),
        STM_HOME: join(work, "state"),
        TMPDIR: join(work, "tmp"),
        STM_CACHE: join(folder, "cache"),
        TERM: "dumb",
      };
      for (const { args, may, folders = [] } of CASES) {
        const probes = ["certs", "my, own certs", "deep/er", "state", "tmp", "elsewhere"];
        const given = [...args, ...probes.flatMap((path) => ["--probe", join(work, path)])];
        const { code, out, err } = await start(program, [...before, ...given], { env, cwd: work });
        assert.equal(code, 0, err);
        const worked = v.parse(WORKED, JSON.parse(out));
        const expected = [...may, ...folders.map((path) => `folder ${join(work, path)}`)];
        assert.deepEqual(worked.sort(), expected.sort(), args.join(" "));
      }
    });
  });

  Deno.test(`${name} lets a secret come by a descriptor that is a pipe`, {
    ignore: Deno.build.os !== "linux", // where the runtime was seen to take them
  }, async () => {
    await withFolder(async (folder) => {
      const { program, before } = await unpack(join(folder, "package"));
      const env = { HOME: folder, STM_CACHE: join(folder, "cache") };
      const cases: readonly [string[], Record<string, string>][] = [
        [["--password-file", "/dev/fd/7"], {}],
        [["--code-file=/dev/fd/7"], {}],
        [[], { STM_PASSWORD_FILE: "/dev/fd/7" }],
      ];
      for (const [given, more] of cases) {
        // Whoever started us gives us the pipe as 7, and nothing as standard input.
        const piped = ["-c", 'echo secret | { exec 7<&0 </dev/null; exec "$@"; }', "sh", program];
        const tried = [...before, "client", ...given, "--try-read", "/dev/fd/7"];
        const { out, err } = await start("sh", [...piped, ...tried], { env: { ...env, ...more } });
        assert.ok(v.parse(WORKED, JSON.parse(out)).includes("read /dev/fd/7"), out + err);
      }
    });
  });

  Deno.test(`${name} grants the relay the folder of STM_CERTS, unless --certs names another`, async () => {
    await withFolder(async (folder) => {
      const { program, before } = await unpack(join(folder, "package"));
      const env = { HOME: folder, STM_CACHE: join(folder, "cache"), STM_CERTS: "kept" };
      for (const [args, own] of [[[], "kept"], [["--certs", "given"], "given"]] as const) {
        const probes = ["certs", "kept", "given"].map((name) => join(folder, name));
        const given = [...args, ...probes.flatMap((path) => ["--probe", path])];
        const { out, err } = await start(program, [...before, "server", ...given], {
          env,
          cwd: folder,
        });
        const worked = v.parse(WORKED, JSON.parse(out)).filter((line) => line.startsWith("folder"));
        assert.deepEqual(worked, [`folder ${join(folder, own)}`], err);
      }
    });
  });

  Deno.test(`${name} lets no variable of the environment reach the runtime that would change its trust`, async () => {
    await withFolder(async (folder) => {
      const isNpm = name.includes("npm");
      const env = {
        STM_CACHE: join(folder, "cache"),
        DENO_CERT: "/evil.pem",
        DENO_TLS_CA_STORE: "system",
        DENO_V8_FLAGS: "--expose-gc",
        NODE_TLS_REJECT_UNAUTHORIZED: "0",
        SSLKEYLOGFILE: join(folder, "keys"),
      };
      const program = isNpm ? "node" : await unpackArchive(folder, TALKING_RUNTIME);
      const args = isNpm ? [await layOutNpm(folder, TALKING_RUNTIME)] : [];
      const { code, out } = await start(program, [...args, "version"], { env });
      assert.equal(code, 7);
      assert.deepEqual(out.trim().split("\n").filter((line) => /^[A-Z]+/.test(line)), [
        `DENO_DIR=${folder}/cache/deno`,
        "DENO_NO_PACKAGE_JSON=1",
        "DENO_NO_UPDATE_CHECK=1",
      ]);
    });
  });
}

Deno.test("the archive's launcher follows links to itself, and says when its files are missing", async () => {
  await withFolder(async (folder) => {
    const stm = await unpackArchive(join(folder, "a b", "package"), TALKING_RUNTIME);
    await Deno.symlink(stm, join(folder, "one"));
    await Deno.symlink("one", join(folder, "two"));
    const env = { HOME: folder };
    assert.equal((await start(join(folder, "two"), ["version"], { env })).code, 7);
    await Deno.remove(join(folder, "a b", "package", "lib", "stm.js"));
    const { code, err } = await start(join(folder, "two"), ["version"], { env });
    assert.equal(code, 1);
    assert.match(err, /lib is not complete: unpack the archive again/);
  });
});

Deno.test("the npm package passes signals on and comes back with the program's own exit code", async () => {
  await withFolder(async (folder) => {
    const ends = (code: number): string => `'kill $!; exit ${code}'`;
    const waiting = [
      "#!/bin/sh",
      `trap ${ends(41)} INT`,
      `trap ${ends(42)} TERM`,
      `trap ${ends(43)} HUP`,
      "sleep 60 &",
      "echo ready",
      // A shell that ends with wait may end before its trap has run.
      "wait $!",
      "exit 99",
    ].join("\n");
    const bin = await layOutNpm(folder, waiting);
    for (const [signal, code] of [["SIGINT", 41], ["SIGTERM", 42], ["SIGHUP", 43]] as const) {
      const child = new Deno.Command("node", {
        args: [bin, "demo"],
        env: { HOME: folder },
        stdin: "null",
        stdout: "piped",
      }).spawn();
      const reader = child.stdout.getReader();
      const { value } = await reader.read();
      assert.equal(new TextDecoder().decode(value), "ready\n");
      child.kill(signal);
      assert.equal((await child.status).code, code, signal);
      await reader.cancel();
    }
  });
});

Deno.test("the npm package says which runtime is missing", async () => {
  await withFolder(async (folder) => {
    const bin = await layOutNpm(folder, TALKING_RUNTIME);
    await Deno.remove(join(folder, "node_modules"), { recursive: true });
    const { code, err } = await start("node", [bin, "demo"]);
    assert.equal(code, 1);
    assert.match(err, /^stm: @deno\/.* is not installed/);
  });
});

Deno.test("dropPrivileges() leaves a program that may do everything with what its command needs", async () => {
  await withFolder(async (folder) => {
    // As a compiled program has them, but for the kinds that it never has.
    const flags = compileFlags().filter((flag) => !/^--deny-(run|ffi)/.test(flag));
    const module = import.meta.resolve("../../src/privileges.ts");
    const script = join(folder, "probe.js");
    await Deno.writeTextFile(
      script,
      `import { dropPrivileges } from "${module}";\ndropPrivileges(Deno.args[0]);\n${PROBE}`,
    );
    const files = ["read /etc/passwd", "write /var/tmp"];
    const expected: Record<string, string[]> = {
      server: [...SERVER, ...ENVIRONMENT, ...files],
      client: ["net", ...ENVIRONMENT, ...files],
      profile: [...ENVIRONMENT, ...files],
      demo: ["net", ...ENVIRONMENT, ...files],
      version: [],
    };
    for (const [command, may] of Object.entries(expected)) {
      const args = ["run", "--no-config", "--no-lock", "--allow-run", "--allow-ffi", ...flags];
      const { out, err } = await start(Deno.execPath(), [...args, script, command], {
        env: { HOME: folder, DENO_DIR: join(folder, "deno"), DENO_NO_UPDATE_CHECK: "1" },
      });
      assert.notEqual(out, "", err);
      assert.deepEqual(v.parse(WORKED, JSON.parse(out)).sort(), may.sort(), command);
    }
  });
});

Deno.test("the launcher for Windows denies the same kinds, and ends its lines as cmd wants", async () => {
  const text = await cmdLauncher("0.1.0");
  assert.equal(text.replaceAll("\r\n", "").includes("\n"), false);
  assert.match(
    text,
    /if "%~1"=="server" set "STM_KINDS=--v8-flags=--max-semi-space-size=4,--no-concurrent-sweeping --allow-net --allow-env=STM_[A-Z_,]+ --allow-sys=networkInterfaces,systemMemoryInfo /,
  );
  assert.match(text, /--no-prompt .*--deny-run --deny-ffi %STM_KINDS% "%~dp0lib\\stm\.js" %\*/);
});

Deno.test("every launcher bounds the young heap of the relay and of who takes part, and of nobody else", async () => {
  const [target] = TARGETS;
  assert.ok(target);
  const bounds: Record<string, number> = { server: 4, admin: 8, client: 8 };
  const texts = [
    await shellLauncher(target, "0.1.0"),
    await cmdLauncher("0.1.0"),
    await nodeLauncher("0.1.0"),
  ];
  for (const text of texts) {
    const of: Record<string, number> = {};
    for (
      const [command, start] of Object.keys(PRIVILEGES).map((c) => [c, startOf(text, c)] as const)
    ) {
      const ends = Object.keys(PRIVILEGES).map((c) => startOf(text, c)).filter((at) => at > start);
      const own = text.slice(start, Math.min(text.length, ...ends));
      const bound = /--v8-flags=--max-semi-space-size=(\d+)/.exec(own)?.[1];
      if (bound !== undefined) of[command] = Number(bound);
    }
    assert.deepEqual(of, bounds);
  }
});

/** Where a launcher's part of a command begins: of sh, cmd or Node.js. */
function startOf(text: string, command: string): number {
  const at = text.search(
    new RegExp(`^ *(?:${command}\\)|if "%~1"=="${command}"|"${command}": \\{)`, "m"),
  );
  assert.notEqual(at, -1, command);
  return at;
}
