/**
 * The module graph as Deno itself sees it, read from `deno info --json`, so that import maps,
 * dynamic imports and `import type` need no parser of our own.
 *
 * @module
 */

import { join, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as v from "valibot";

/** One import: `from` is a file, `to` a file or the specifier of a package or built-in. */
export interface Edge {
  /** Path below the root, with `/`. */
  readonly from: string;
  /** Path below the root with `/`, or `npm:…`, `node:…`. */
  readonly to: string;
  /** `type` edges are erased before the program runs. */
  readonly kind: "static" | "dynamic" | "type";
  /** Line of the import in `from`, from 1. */
  readonly line: number;
}

/** Everything that one `deno info` said. */
export interface ModuleGraph {
  readonly edges: readonly Edge[];
  /** Modules that could not be loaded, with Deno's words. */
  readonly errors: readonly { readonly file: string; readonly message: string }[];
}

const Resolved = v.object({
  specifier: v.optional(v.string()),
  error: v.optional(v.string()),
  span: v.optional(v.object({ start: v.object({ line: v.number() }) })),
});

const Info = v.object({
  modules: v.array(v.object({
    specifier: v.string(),
    error: v.optional(v.string()),
    dependencies: v.optional(v.array(v.object({
      specifier: v.string(),
      code: v.optional(Resolved),
      type: v.optional(Resolved),
      isDynamic: v.optional(v.boolean()),
    }))),
  })),
});

/**
 * Reads the graph below a set of entry files in one call.
 *
 * @param root folder whose deno.json holds the import map; paths in the answer are below it
 * @param files entry files, relative to `root`
 * @throws {Error} when `deno info` itself fails
 */
export async function readModuleGraph(
  root: string,
  files: readonly string[],
): Promise<ModuleGraph> {
  // `deno info` takes one entry, so a file outside the tree imports all of them.
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    const imports = files.map((file) =>
      `import ${JSON.stringify(pathToFileURL(join(root, file)).href)};`
    );
    await Deno.writeTextFile(entry, imports.join("\n"));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--no-lock", "--config", join(root, "deno.json"), entry],
      stdin: "null",
      env: { NO_COLOR: "1" },
    }).output();
    if (!success) throw new Error(`deno info failed: ${new TextDecoder().decode(stderr)}`);
    const info = v.parse(Info, JSON.parse(new TextDecoder().decode(stdout)));
    return toGraph(info, root, pathToFileURL(entry).href);
  } finally {
    await Deno.remove(entry);
  }
}

function toGraph(info: v.InferOutput<typeof Info>, root: string, entry: string): ModuleGraph {
  const edges: Edge[] = [];
  const errors: { file: string; message: string }[] = [];
  for (const module of info.modules) {
    const from = name(module.specifier, root);
    if (module.error !== undefined) errors.push({ file: from, message: module.error });
    if (module.specifier === entry) continue;
    for (const dependency of module.dependencies ?? []) {
      const { code, type, isDynamic } = dependency;
      if (code !== undefined) {
        edges.push(edge(from, code, isDynamic === true ? "dynamic" : "static", root));
      }
      if (type !== undefined) edges.push(edge(from, type, "type", root));
      const message = code?.error ?? type?.error;
      if (message !== undefined) errors.push({ file: from, message });
    }
  }
  return { edges: edges.filter((edge) => edge.to !== ""), errors };
}

function edge(
  from: string,
  resolved: v.InferOutput<typeof Resolved>,
  kind: Edge["kind"],
  root: string,
): Edge {
  const line = (resolved.span?.start.line ?? 0) + 1;
  return { from, to: name(resolved.specifier ?? "", root), kind, line };
}

function name(specifier: string, root: string): string {
  if (!specifier.startsWith("file:")) return specifier;
  return relative(root, fileURLToPath(specifier)).split(sep).join("/");
}
