/**
 * Builds every package of stm into a folder:
 *
 *     deno task release                      all systems, into dist/
 *     deno task release --target own         only this machine's (or linux-aarch64 and so on)
 *     deno task release --out DIR            elsewhere
 *     deno task release --sign KEY [--password-file FILE]    signs SHA256SUMS with minisign
 *     deno task release --no-compile         without trying `deno compile`
 *     deno task release --no-measure         without starting what was built
 *     deno task release --prove-compile      compiles twice with the plain runtime, and compares
 *
 * 1. the bundle, `stm.js`;
 * 2. its papers: licences, list of parts, man pages, completions;
 * 3. for each system the runtime from npm, the archive, and the single file;
 * 4. `deno compile`, where its base runtime can be had;
 * 5. the package for npm; checksums; signature; sizes and start-up times.
 *
 * The same commit gives the same files: they are dated with SOURCE_DATE_EPOCH, or else the commit.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { VERSION } from "../src/version.ts";
import { type Artefact, npmArtefact, type Parts, systemArtefacts } from "./release_archives.ts";
import { makeBundle } from "./release_bundle.ts";
import { compiled, proveCompile } from "./release_compile.ts";
import { measure } from "./release_measure.ts";
import { LICENCES, packageFacts, papers, sbom } from "./release_papers.ts";
import { run } from "./release_run.ts";
import { runtimeOf } from "./release_runtime.ts";
import { sign, sums } from "./release_sums.ts";
import { ownTarget, RUNTIME_VERSION, type Target, TARGETS } from "./release_targets.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** 1980-01-01, the first day that a zip knows: for a checkout without git. */
const NO_COMMIT_SECONDS = 315_532_800;

const { values } = parseArgs({
  args: Deno.args,
  options: {
    out: { type: "string", default: join(ROOT, "dist") },
    target: { type: "string", multiple: true },
    sign: { type: "string" },
    "password-file": { type: "string" },
    "no-compile": { type: "boolean", default: false },
    "no-measure": { type: "boolean", default: false },
    "prove-compile": { type: "boolean", default: false },
  },
});

if (Deno.version.deno !== RUNTIME_VERSION) {
  console.error(`release: runs on Deno ${RUNTIME_VERSION}, this is ${Deno.version.deno}`);
  Deno.exit(1);
}
const targets = chosen(values.target ?? []);
const own = ownTarget();
const commit = await git("rev-parse", "HEAD") ?? "unknown";
const seconds = Number(
  Deno.env.get("SOURCE_DATE_EPOCH") ?? await git("log", "-1", "--format=%ct") ?? NO_COMMIT_SECONDS,
);
await Deno.mkdir(values.out, { recursive: true });

const bundle = await makeBundle(ROOT, commit, VERSION);
const script = new TextEncoder().encode(bundle.code);
const facts = await packageFacts(ROOT, bundle.packages);
const parts: Parts = {
  version: VERSION,
  seconds,
  script,
  papers: await papers(ROOT, VERSION, seconds, facts),
};
const artefacts: Artefact[] = [];
await keep({ name: "stm.js", bytes: script, executable: false });
await keep({
  name: `stm-${VERSION}.cdx.json`,
  bytes: new TextEncoder().encode(sbom(VERSION, commit, seconds, facts)),
  executable: false,
});
const licences = parts.papers.find(({ path }) => path === LICENCES);
if (licences === undefined) throw new Error(`there is no ${LICENCES}`);
await keep({ name: LICENCES, bytes: licences.bytes, executable: false });
await keep(await npmArtefact(parts));
for (const target of targets) {
  const runtime = await runtimeOf(target, join(ROOT, "dist", "runtimes"));
  for (const artefact of await systemArtefacts(target, runtime, parts)) await keep(artefact);
  if (values["no-compile"]) continue;
  const program = await compiled(target, script, VERSION, seconds);
  if (typeof program === "string") console.log(program);
  else await keep(program);
}
if (values["prove-compile"]) {
  console.log(`compiled twice with the plain runtime: ${await proveCompile(script, seconds)}`);
}
await Deno.writeTextFile(join(values.out, "SHA256SUMS"), sums(artefacts));
if (values.sign !== undefined) {
  const key = { path: values.sign, passwordFile: values["password-file"] ?? null };
  await sign(values.out, key, VERSION, seconds);
  console.log("SHA256SUMS.minisig");
}
if (!values["no-measure"] && own !== undefined && targets.includes(own)) {
  const runtime = await runtimeOf(own, join(ROOT, "dist", "runtimes"));
  console.log(`\nuntil --help has ended, on ${own.name}:`);
  for (const { what, ms, ratio } of await measure(own, artefacts, script, runtime)) {
    console.log(
      `${what.padEnd(28)} ${ms.toFixed(0).padStart(6)} ms ${ratio.toFixed(2).padStart(6)}×`,
    );
  }
}

async function keep(artefact: Artefact): Promise<void> {
  const { name, bytes, executable } = artefact;
  const path = join(values.out, name);
  await Deno.writeFile(path, bytes);
  if (Deno.build.os !== "windows") await Deno.chmod(path, executable ? 0o755 : 0o644);
  artefacts.push(artefact);
  console.log(`${name.padEnd(36)} ${(bytes.length / 1e6).toFixed(2).padStart(8)} MB`);
}

function chosen(names: readonly string[]): readonly Target[] {
  if (names.length === 0) return TARGETS;
  return names.map((name) => {
    const target = name === "own" ? ownTarget() : TARGETS.find((t) => t.name === name);
    if (target === undefined) {
      console.error(
        `release: there is no target ${name}: own, ${TARGETS.map((t) => t.name).join(", ")}`,
      );
      Deno.exit(2);
    }
    return target;
  });
}

/** What git says of the checkout; nothing where there is no git, or no repository. */
async function git(...args: string[]): Promise<string | undefined> {
  return await run("git", ["-C", ROOT, ...args]).then((text) => text.trim(), () => undefined);
}
