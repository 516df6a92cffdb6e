/**
 * Holds the code against the architecture's folder table: direct imports, walls that no chain of
 * imports may cross, doors to the system, barrel files, cycles between folders.
 *
 *     deno run -A tools/layers.ts [ROOT]
 *
 * Prints each violation as `file → file: rule` and exits with 1 when there is one.
 *
 * @module
 */

import { join, relative, resolve, sep } from "node:path";
import {
  type FolderRule,
  FOLDERS,
  SYSTEM_MODULES,
  TOP_FILES,
  type Wall,
  WALLS,
} from "./layer_rules.ts";
import { type Edge, readModuleGraph } from "./module_graph.ts";
import { blankNonCode } from "./source_code.ts";

/** One breach of one rule. */
export interface Violation {
  /** File the fault is in. */
  readonly from: string;
  /** What it reaches: a file, a package or a word such as `Deno.readFile`. */
  readonly to: string;
  /** The rule, in words. */
  readonly rule: string;
}

/**
 * Checks a tree.
 *
 * @param root folder with deno.json, main.ts and src/
 * @returns the violations and the number of files looked at
 * @throws {Error} when `deno info` fails
 */
export async function checkLayers(
  root: string,
): Promise<{ violations: Violation[]; files: number }> {
  const files = await sourceFiles(root);
  const graph = await readModuleGraph(root, files);
  const violations: Violation[] = graph.errors.map(({ file, message }) => ({
    from: file,
    to: "?",
    rule: `cannot be loaded: ${message}`,
  }));
  for (const edge of graph.edges) violations.push(...checkEdge(edge));
  for (const wall of WALLS) violations.push(...checkWall(wall, files, graph.edges));
  violations.push(...folderCycles(graph.edges));
  const systemUsers = new Map<string, string[]>();
  for (const file of files) {
    const code = blankNonCode(await Deno.readTextFile(join(root, file)));
    violations.push(...checkWords(file, code));
    const usesSystem = /\bDeno\b/.test(code) ||
      graph.edges.some((edge) => edge.from === file && isSystemImport(edge));
    if (usesSystem) systemUsers.set(unit(file), [...systemUsers.get(unit(file)) ?? [], file]);
  }
  for (const [folder, users] of systemUsers) {
    const [first, ...others] = users;
    if (FOLDERS[folder]?.system !== "one file" || first === undefined) continue;
    for (const file of others) {
      violations.push({ from: file, to: "Deno", rule: `only one file of ${folder}: ${first}` });
    }
  }
  return { violations, files: files.length };
}

/** Every TypeScript file of the program, as paths below the root. */
async function sourceFiles(root: string): Promise<string[]> {
  const files: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    for await (const entry of Deno.readDir(folder)) {
      const path = join(folder, entry.name);
      if (entry.isDirectory) await walk(path);
      else if (/\.[cm]?[jt]sx?$/.test(entry.name)) {
        files.push(relative(root, path).split(sep).join("/"));
      }
    }
  };
  await walk(join(root, "src"));
  for (const file of TOP_FILES) {
    if (await Deno.stat(join(root, file)).then(() => true, () => false)) files.push(file);
  }
  return files.sort();
}

/** The folder of `src/` that a file is in, or the file itself where it stands on top. */
function unit(file: string): string {
  const [src, folder, ...rest] = file.split("/");
  return src === "src" && folder !== undefined && rest.length > 0 ? folder : file;
}

function isTop(file: string): boolean {
  return TOP_FILES.has(file) || /^src\/[^/]+$/.test(file);
}

function isSystemImport(edge: Edge): boolean {
  return edge.kind !== "type" && SYSTEM_MODULES.has(edge.to);
}

function checkEdge(edge: Edge): Violation[] {
  const at = { from: `${edge.from}:${edge.line}`, to: edge.to };
  const folder = unit(edge.from);
  if (isTop(edge.from)) return leavesTheProgram(edge) ? [outside(at)] : [];
  const rule = FOLDERS[folder];
  if (rule === undefined) return [];
  if (!edge.to.includes("/") || /^(npm|node|jsr|https?|data):/.test(edge.to)) {
    return checkPackage(edge, rule, folder, at);
  }
  if (leavesTheProgram(edge)) return [outside(at)];
  const target = unit(edge.to);
  if (target === folder) return [];
  if (!rule.may.includes(target)) {
    const may = rule.may.length > 0 ? rule.may.join(", ") : "nothing";
    return [{ ...at, rule: `${folder} may import ${may}` }];
  }
  if (rule.typesOf?.includes(target) && edge.kind !== "type") {
    return [{ ...at, rule: `${folder} may import only types of ${target} (import type)` }];
  }
  const only = rule.only?.[target];
  if (only !== undefined && !only.test(edge.to)) {
    return [{ ...at, rule: `${folder} may import only ${only.source} of ${target}` }];
  }
  return [];
}

function checkPackage(
  edge: Edge,
  rule: FolderRule,
  folder: string,
  at: { from: string; to: string },
): Violation[] {
  if (!rule.packages) return [{ ...at, rule: `${folder} may import no package and no built-in` }];
  const { system } = rule;
  if (!isSystemImport(edge) || system === "all" || system === "one file") return [];
  if (system instanceof Set && /^node:(process|readline(\/promises)?|tty)$/.test(edge.to)) {
    return [];
  }
  if (system instanceof RegExp && system.test(edge.from)) return [];
  return [{ ...at, rule: `${folder} may not reach the system here` }];
}

function leavesTheProgram(edge: Edge): boolean {
  return !/^(npm|node):/.test(edge.to) && !edge.to.startsWith("src/") && !TOP_FILES.has(edge.to);
}

function outside(at: { from: string; to: string }): Violation {
  return { ...at, rule: "the program imports src/, npm: and node: and nothing else" };
}

/** Follows every edge, types too, from each file of the folder; names the chain it found. */
function checkWall(wall: Wall, files: readonly string[], edges: readonly Edge[]): Violation[] {
  const found = new Map<string, Violation>();
  const next = Map.groupBy(edges, (edge) => edge.from);
  for (const start of files.filter((file) => unit(file) === wall.from)) {
    const cameFrom = new Map<string, string | undefined>([[start, undefined]]);
    for (const file of cameFrom.keys()) {
      if (wall.never.test(file)) {
        const path = chain(cameFrom, file);
        const known = found.get(file);
        // The shortest chain to each forbidden file says it all.
        if (known === undefined || path.length < known.to.length) {
          found.set(file, { from: start, to: path, rule: wall.rule });
        }
        continue;
      }
      for (const edge of next.get(file) ?? []) {
        if (!cameFrom.has(edge.to)) cameFrom.set(edge.to, file);
      }
    }
  }
  return [...found.values()];
}

function chain(cameFrom: ReadonlyMap<string, string | undefined>, end: string): string {
  const path: string[] = [];
  let file: string | undefined = end;
  while (file !== undefined) {
    path.unshift(file);
    file = cameFrom.get(file);
  }
  return path.slice(1).join(" → ");
}

/** Two folders, or a folder and a top file, that need each other, however far around. */
function folderCycles(edges: readonly Edge[]): Violation[] {
  const crossing = edges.filter((edge) => edge.to.startsWith("src/") || TOP_FILES.has(edge.to))
    .filter((edge) => unit(edge.from) !== unit(edge.to));
  const next = Map.groupBy(crossing, (edge) => unit(edge.from));
  const reach = (start: string): Set<string> => {
    const seen = new Set<string>();
    const queue = [start];
    for (const folder of queue) {
      for (const edge of next.get(folder) ?? []) {
        const target = unit(edge.to);
        if (!seen.has(target)) queue.push(target);
        seen.add(target);
      }
    }
    return seen;
  };
  const reached = new Map([...next.keys()].map((folder) => [folder, reach(folder)]));
  return crossing.filter((edge) => reached.get(unit(edge.to))?.has(unit(edge.from)))
    .map((edge) => ({
      from: `${edge.from}:${edge.line}`,
      to: edge.to,
      rule: `import cycle between ${unit(edge.from)} and ${unit(edge.to)}`,
    }));
}

/** Rules that are about words in the code and not about imports. */
function checkWords(file: string, code: string): Violation[] {
  const violations: Violation[] = [];
  const each = (pattern: RegExp, rule: string | ((word: string) => string | undefined)): void => {
    for (const match of code.matchAll(pattern)) {
      const text = typeof rule === "string" ? rule : rule(match[1] ?? "");
      if (text === undefined) continue;
      const line = code.slice(0, match.index).split("\n").length;
      violations.push({ from: `${file}:${line}`, to: match[0].replace(/\s+/g, " "), rule: text });
    }
  };
  each(
    /\bexport\s+(?:type\s+)?(?:\*(?:\s*as\s+\w+)?|\{[^}]*\})\s*from\b/g,
    "no barrel files: import the file that defines the name",
  );
  each(/\bimport\s*\(\s*(?!["'\s])/g, "an import must be a literal, or nothing can check it");
  if (/\/(mod|index)\.tsx?$/.test(file)) {
    violations.push({ from: file, to: "its name", rule: "no barrel files: name it by its idea" });
  }
  if (isTop(file)) return violations;
  const folder = unit(file);
  const rule = FOLDERS[folder];
  if (rule === undefined) {
    violations.push({ from: file, to: folder, rule: "folder is not in tools/layer_rules.ts" });
    return violations;
  }
  each(/\bDeno\b(?:\s*\??\.\s*(\w+))?/g, (member) => systemFault(rule, folder, file, member));
  if (!rule.subtle) each(/\bsubtle\b/g, `${folder} may not use crypto.subtle`);
  if (rule.pure) {
    each(
      /\b(?:Date\.now\b|new\s+Date\s*\(\s*\)|Math\.random\b|performance\.now\b|crypto\.\w+|setTimeout\b|setInterval\b|queueMicrotask\b|await\b)/g,
      `${folder} is pure: no clock, no random, no keys, no waiting`,
    );
  }
  return violations;
}

function systemFault(
  rule: FolderRule,
  folder: string,
  file: string,
  member: string,
): string | undefined {
  const { system } = rule;
  if (system === "all" || system === "one file") return undefined;
  if (system === "none") return `${folder} may not use Deno`;
  if (system instanceof RegExp) {
    return system.test(file) ? undefined : `${folder} may use Deno only in ${system.source}`;
  }
  return system.has(member) ? undefined : `${folder} may use Deno only for the terminal`;
}

if (import.meta.main) {
  const root = resolve(Deno.args[0] ?? join(import.meta.dirname ?? ".", ".."));
  const { violations, files } = await checkLayers(root);
  for (const { from, to, rule } of violations) console.log(`${from} → ${to}: ${rule}`);
  console.log(`layers: ${files} files, ${violations.length} violations`);
  if (violations.length > 0) Deno.exit(1);
}
