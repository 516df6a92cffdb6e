/**
 * `stm.js`: the whole program as one file, the same bytes wherever it is made.
 *
 * 1. `deno bundle` puts the modules together; those that are loaded lazily become functions.
 * 2. Paths of this machine's package cache become `npm:NAME@VERSION/…`.
 * 3. Built-ins of lazy modules are loaded lazily too: the bundler lifts their imports to the top of
 *    the file, where `node:tls` and `node:crypto` alone cost every `--help` 50 ms.
 * 4. The commit and a first line are put in.
 *
 * @module
 */
import { join } from "node:path";
import { deno } from "./run.ts";

/** A package of npm that went into the bundle. */
export interface BundledPackage {
  readonly name: string;
  readonly version: string;
}

/** The program as one file. */
export interface Bundle {
  readonly code: string;
  /** By name. */
  readonly packages: readonly BundledPackage[];
}

/**
 * Makes the bundle.
 *
 * @param root the checkout
 * @param commit as `stm version --ui json` will say it
 * @param version of stm, for the first line
 */
export async function makeBundle(root: string, commit: string, version: string): Promise<Bundle> {
  const folder = await Deno.makeTempDir({ prefix: "stm-bundle-" });
  try {
    const path = join(folder, "stm.js");
    const { code, output } = await deno([
      "bundle",
      "--quiet",
      "--platform=deno",
      `--config=${join(root, "deno.json")}`,
      `--output=${path}`,
      join(root, "main.ts"),
    ]);
    if (code !== 0) throw new Error(`deno bundle ended with ${code}: ${output}`);
    const text = withoutCachePaths(await Deno.readTextFile(path));
    return {
      code: withCommit(withFirstLine(lazyBuiltins(text), version), commit),
      packages: packagesIn(text),
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** In a comment before each module, and in the name of its function. */
const CACHE_PATH =
  /(?<=^\/\/ |^ {2}")[^"\n]*?\/npm\/[^/"\n]+\/((?:@[\w.-]+\/)?[\w.-]+)\/(\d[^/"\n]*)\//gm;
const PACKAGE = /^\/\/ npm:((?:@[\w.-]+\/)?[\w.-]+)@(\d[^/\n]*)\//gm;

/** Names modules of packages by package and version, not by where this machine keeps them. */
export function withoutCachePaths(bundle: string): string {
  const named = bundle.replaceAll(CACHE_PATH, "npm:$1@$2/");
  // What is left would differ between machines, and tell about ours.
  const left = /^(?:\/\/ |\s*")\.\.\/.*$/m.exec(named);
  if (left !== null) throw new Error(`the bundle names a path of this machine: ${left[0]}`);
  return named;
}

function packagesIn(bundle: string): BundledPackage[] {
  const found = new Map<string, BundledPackage>();
  for (const [, name = "", version = ""] of bundle.matchAll(PACKAGE)) {
    found.set(`${name}@${version}`, { name, version });
  }
  return [...found.keys()].sort().flatMap((key) => found.get(key) ?? []);
}

const IMPORT = /^import (?:(\w+)|\* as (\w+)|\{ (.+) \}) from "(node:[\w/]+)";$/;
const LAZY_MODULE = /^var init_\w+ = __esm\(\{$/;
const LAZY_BODY = /^ {2}"[^"]+"\(\) \{$/;

/**
 * Moves imports of built-ins from the head of a lazy module into the function that loads it. Eager
 * modules keep theirs.
 *
 * @param bundle as esbuild writes it: a comment with the module's path, its imports, its functions,
 *   and for a lazy one `var init_x = __esm({ "path"() {…} })`
 */
export function lazyBuiltins(bundle: string): string {
  const out: string[] = [];
  let imports: { line: string; at: number; names: string[]; load: string }[] = [];
  for (const line of bundle.split("\n")) {
    const taken = IMPORT.exec(line);
    if (taken !== null) {
      imports.push({ line, at: out.length, ...loading(taken) });
      out.push(line);
      continue;
    }
    if (line.startsWith("// ")) imports = [];
    out.push(line);
    if (LAZY_MODULE.test(line)) {
      for (const { at, names } of imports) out[at] = `var ${names.join(", ")};`;
    } else if (LAZY_BODY.test(line)) {
      out.push(...imports.map(({ load }) => `    ${load}`));
      imports = [];
    }
  }
  return out.join("\n");
}

function loading([line, whole, all, some, module]: RegExpExecArray): {
  names: string[];
  load: string;
} {
  const builtin = `process.getBuiltinModule("${module}")`;
  const one = whole ?? all;
  if (one !== undefined) return { names: [one], load: `${one} = ${builtin};` };
  if (some === undefined) throw new Error(`cannot read the import ${line}`);
  const pairs = some.split(", ").map((part) => part.split(" as "));
  return {
    names: pairs.map(([name = "", as]) => as ?? name),
    load: `({ ${
      pairs.map(([name, as]) => as === undefined ? name : `${name}: ${as}`).join(", ")
    } } = ${builtin});`,
  };
}

function withFirstLine(bundle: string, version: string): string {
  const body = bundle.replace(/^#!.*\n/, "");
  return `// stm ${version}, MIT licence; the licences of its parts are in THIRD_PARTY_LICENSES.txt\n${body}`;
}

/** Puts the commit where `src/version.ts` has a blank. */
export function withCommit(bundle: string, commit: string): string {
  // The bundler gives it a number where another module has a COMMIT too.
  const blanks = [...bundle.matchAll(/\bCOMMIT\d* = "unknown"/g)];
  if (blanks.length !== 1) throw new Error(`the bundle has ${blanks.length} places for the commit`);
  return bundle.replace(/(\bCOMMIT\d* = )"unknown"/, (_, head) => head + JSON.stringify(commit));
}
