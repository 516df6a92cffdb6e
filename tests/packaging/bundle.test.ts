import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as v from "valibot";
import {
  lazyBuiltins,
  makeBundle,
  withCommit,
  withoutCachePaths,
} from "../../tools/release_bundle.ts";
import { start, unpackArchive } from "../support/package_stage.ts";
import { writeFileAtomic } from "../../src/store/atomic.ts";
import { loadOrCreateServerKey } from "../../src/transport/server_key.ts";
import { withFolder } from "../support/temporary_folder.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BUNDLE = await makeBundle(ROOT, "c0ffee", "0.1.0");

function run(script: string, folder: string, args: readonly string[]) {
  const env = { HOME: folder, DENO_DIR: join(folder, "deno"), DENO_NO_UPDATE_CHECK: "1" };
  const flags = ["run", "-A", "--no-prompt", "--no-config", "--no-lock", "--no-npm", "--no-remote"];
  return start(Deno.execPath(), [...flags, script, ...args], { env });
}

Deno.test("makeBundle() gives the same bytes again, and no path of this machine", async () => {
  assert.equal((await makeBundle(ROOT, "c0ffee", "0.1.0")).code, BUNDLE.code);
  assert.doesNotMatch(BUNDLE.code, /\.cache|node_modules|registry\.npmjs/);
  assert.ok(!BUNDLE.code.includes(ROOT));
});

Deno.test("makeBundle() names the packages that are in it", () => {
  const names = BUNDLE.packages.map(({ name }) => name);
  for (const name of ["@scure/bip39", "@serenity-kit/opaque", "string-width", "uqr", "valibot"]) {
    assert.ok(names.includes(name), name);
  }
  // What only tests and tools use stays out.
  for (const name of ["fflate", "fast-check", "@noble/curves"]) {
    assert.ok(!names.includes(name), name);
  }
});

Deno.test("the bundle says what it was made from, and runs without any package", async () => {
  await withFolder(async (folder) => {
    const script = join(folder, "stm.js");
    await Deno.writeTextFile(script, BUNDLE.code);
    const version = await run(script, folder, ["version", "--ui", "json"]);
    assert.deepEqual(JSON.parse(version.out), {
      type: "version",
      version: "0.1.0",
      commit: "c0ffee",
      runtime: `deno ${Deno.version.deno}`,
      protocol: "stm/1",
    });
    const wrong = await run(script, folder, ["client", "stm://nonsense"]);
    assert.equal(wrong.code, 2, wrong.err);
  });
});

Deno.test("with its command's rights alone the program makes a profile in a home that has nothing yet", async () => {
  await withFolder(async (folder) => {
    const launcher = await unpackArchive(folder, { link: Deno.execPath() }, BUNDLE.code);
    const env = { HOME: join(folder, "home"), STM_CACHE: join(folder, "cache") };
    const create = ["profile", "create", "--no-passphrase"];
    const homes = [{}, { STM_HOME: join(folder, "my, own", "state") }, { STM_HOME: "here" }];
    for (const home of homes) {
      const made = await start(launcher, [...create, "owl"], {
        env: { ...env, ...home },
        cwd: folder,
      });
      assert.deepEqual([made.code, made.err], [0, ""]);
      assert.match(made.out, /^profile owl is at .*owl\.stm$/m);
    }
  });
});

Deno.test("a relay that may not keep its key where it should says which folder to name", async () => {
  await withFolder(async (folder) => {
    const launcher = await unpackArchive(folder, { link: Deno.execPath() }, BUNDLE.code);
    const env = { HOME: folder, STM_CACHE: join(folder, "cache") };
    const elsewhere = join(folder, "elsewhere");
    await Deno.writeTextFile(join(folder, "stm.json"), JSON.stringify({ certs: elsewhere }));
    const asked = ["server", "--port", "0", "--config", "stm.json"];
    const refused = await start(launcher, asked, { env, cwd: folder });
    assert.equal(refused.code, 1);
    assert.match(refused.err, /elsewhere\/relay\.key\.pem: stm was started without the right to\./);
    assert.match(refused.err, /--certs DIR, or STM_CERTS\n$/);
    assert.doesNotMatch(refused.err, /--allow-/);
    await Deno.writeTextFile(join(folder, "certs"), "a file, so that root is stopped too");
    const stopped = await start(launcher, ["server", "--port", "0"], { env, cwd: folder });
    assert.equal(stopped.code, 1);
    assert.match(stopped.err, /certs\/relay\.key\.pem: .*\. .*--certs DIR, or STM_CERTS\n$/);
  });
});

Deno.test("after one run of the shortest command the runtime has the bundle compiled", async () => {
  await withFolder(async (folder) => {
    const script = join(folder, "stm.js");
    await Deno.writeTextFile(script, BUNDLE.code);
    assert.equal((await run(script, folder, ["version"])).code, 0);
    // A table of modules and what they were compiled to.
    let names = false;
    for await (const { name } of Deno.readDir(join(folder, "deno"))) {
      if (!name.startsWith("v8_code_cache")) continue;
      const bytes = await Deno.readFile(join(folder, "deno", name));
      names ||= new TextDecoder("latin1").decode(bytes).includes("/stm.js");
    }
    assert.ok(names);
  });
});

Deno.test("the bundle loads no built-in before the module that needs it", () => {
  const eager = BUNDLE.code.matchAll(/^import .* from "(node:[\w/]+)";$/gm);
  assert.deepEqual([...eager].map(([line]) => line), []);
});

Deno.test("the program drops what its command does not need before it does anything else", async () => {
  const probe = await Deno.readTextFile(
    new URL("../support/privilege_probe.js", import.meta.url),
  );
  const place = /setTimeout\(Deno\.exit, 0, await run\(Deno\.args\)\);/;
  assert.match(BUNDLE.code, place);
  await withFolder(async (folder) => {
    const script = join(folder, "stm.js");
    await Deno.writeTextFile(
      script,
      BUNDLE.code.replace(place, () => probe.replace(/^\/\/.*$/gm, "")),
    );
    const worked = async (command: string) => {
      const { out, err } = await run(script, folder, [command]);
      assert.notEqual(out, "", err);
      return v.parse(v.array(v.string()), JSON.parse(out));
    };
    const server = await worked("server");
    for (const kind of ["run", "run by node", "ffi"]) assert.ok(!server.includes(kind), kind);
    assert.ok(server.includes("net"), server.join());
    const version = await worked("version");
    for (const kind of ["net", "env PATH"]) assert.ok(!version.includes(kind), kind);
  });
});

Deno.test("lazyBuiltins() loads what a lazy module imports when the module is loaded, and no sooner", () => {
  const bundle = [
    "// a.ts",
    'import { join, sep as slash } from "node:path";',
    'import net from "node:net";',
    'import * as os from "node:os";',
    "function f() {",
    "}",
    "var init_a = __esm({",
    '  "a.ts"() {',
    "    x = 1;",
    "  }",
    "});",
    "// b.ts",
    'import { parseArgs } from "node:util";',
    "var y = 2;",
  ].join("\n");
  assert.equal(
    lazyBuiltins(bundle),
    [
      "// a.ts",
      "var join, slash;",
      "var net;",
      "var os;",
      "function f() {",
      "}",
      "var init_a = __esm({",
      '  "a.ts"() {',
      '    ({ join, sep: slash } = process.getBuiltinModule("node:path"));',
      '    net = process.getBuiltinModule("node:net");',
      '    os = process.getBuiltinModule("node:os");',
      "    x = 1;",
      "  }",
      "});",
      "// b.ts",
      'import { parseArgs } from "node:util";',
      "var y = 2;",
    ].join("\n"),
  );
});

Deno.test("withoutCachePaths() names packages, and refuses a path that it does not know", () => {
  const line = "// ../../home/owl/.cache/deno/npm/registry.npmjs.org/@scure/bip39/2.4.0/words.js";
  assert.equal(withoutCachePaths(line), "// npm:@scure/bip39@2.4.0/words.js");
  assert.throws(() => withoutCachePaths("// ../../home/owl/secret.ts"), /a path of this machine/);
});

Deno.test("withCommit() refuses a bundle without its one place for the commit", () => {
  assert.equal(withCommit('var COMMIT = "unknown";', "a1"), 'var COMMIT = "a1";');
  assert.throws(() => withCommit("", "a1"), /0 places/);
});

/** The program as the archive has it, and an environment in which it keeps to a folder. */
async function packaged(folder: string) {
  const unpacked = join(folder, "package");
  const stm = await unpackArchive(unpacked, { link: Deno.execPath() }, BUNDLE.code);
  const env = { HOME: folder, STM_CACHE: join(folder, "cache"), STM_HOME: join(folder, "state") };
  return { stm, env };
}

Deno.test("the doctor does with the rights that a package gives it", async () => {
  await withFolder(async (folder) => {
    const { stm, env } = await packaged(folder);
    const profile = ["profile", "create", "owl", "--no-passphrase"];
    const made = await start(stm, profile, { env, cwd: folder });
    assert.equal(made.code, 0, made.err);
    const own = await start(stm, ["doctor", "--profile", "owl", "--no-passphrase"], { env });
    assert.equal(own.code, 0, own.out + own.err);
    assert.match(own.out, /^ok +profile +owl opens and is whole/m);

    if (Deno.build.os === "linux") {
      const password = join(folder, "password");
      await Deno.writeTextFile(password, "correct horse battery\n");
      const asked = [stm, "doctor", "--user", "fox", "--password-file", "/dev/fd/7"];
      const file = ["-c", 'exec "$@" 7<password', "sh", ...asked];
      const refused = await start("sh", file, { env, cwd: folder });
      assert.equal(refused.code, 2);
      assert.match(refused.err, /a descriptor has to be a pipe, as <\(command\) makes one/);
      const pipe = ["-c", 'cat password | { exec 7<&0 </dev/null; exec "$@"; }', "sh", ...asked];
      const taken = await start("sh", pipe, { env, cwd: folder });
      assert.equal(taken.code, 0, taken.out + taken.err);
    }

    const certs = join(folder, "certs");
    await loadOrCreateServerKey(certs, writeFileAtomic);
    const relay = await start(stm, ["server", "doctor", "--port", "0"], { env, cwd: folder });
    assert.equal(relay.code, 0, relay.out + relay.err);
    for (const check of ["key", "certificate", "descriptors", "memory"]) {
      assert.match(relay.out, new RegExp(`^ok +${check} `, "m"));
    }
  });
});

Deno.test("a packaged relay and a packaged admin do a login with the rights that a package gives them", async () => {
  await withFolder(async (folder) => {
    const { stm, env } = await packaged(folder);
    const made = await start(stm, ["server", "user", "add", "fox", "--ui", "json"], {
      env,
      cwd: folder,
    });
    assert.equal(made.code, 0, made.err);
    await Deno.writeTextFile(join(folder, "code"), /"code":"([^"]+)"/.exec(made.out)?.[1] ?? "");
    await Deno.writeTextFile(join(folder, "password"), "correct horse battery\n");
    const running = { env, cwd: folder };
    const relay = new Running(
      stm,
      ["server", "--access", "account", "--host", "127.0.0.1", "--port", "0", "--ui", "json"],
      running,
    );
    try {
      const link = await relay.says(/stm:[^"]+/);
      const enter = ["admin", link, "--name", "fox", "--user", "fox", "--password-file", "password"]
        .concat(["--code-file", "code", "--listen", "--retry", "0", "--ui", "json"]);
      const fox = new Running(stm, enter, running);
      await fox.says(/"type":"connected"/);
      await fox.stop();
      // The code was good once.
      const again = await start(stm, enter, running);
      assert.equal(again.code, 5, again.out + again.err);
    } finally {
      await relay.stop();
    }
  });
});

/** A program that goes on until it is stopped, and what it says meanwhile. */
class Running {
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<void>;
  #said = "";
  #heard = Promise.withResolvers<void>();

  constructor(
    program: string,
    args: string[],
    { env, cwd }: { env: Record<string, string>; cwd: string },
  ) {
    this.#child = new Deno.Command(program, {
      args,
      env: { ...env, PATH: Deno.env.get("PATH") ?? "" },
      clearEnv: true,
      cwd,
      stdin: "null",
      stdout: "piped",
    }).spawn();
    this.#read = this.#listen();
  }

  async #listen(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stdout) {
      this.#said += decoder.decode(chunk, { stream: true });
      this.#heard.resolve();
      this.#heard = Promise.withResolvers();
    }
    this.#heard.reject(new Error(`it has ended: ${this.#said}`));
    this.#heard.promise.catch(() => {});
  }

  /** Waits for a piece of its output. */
  async says(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = pattern.exec(this.#said)?.[0];
      if (found !== undefined) return found;
      await this.#heard.promise;
    }
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#read;
    await this.#child.status;
  }
}
