/**
 * Every exported name of `src/` has a docstring: `deno doc --lint`, held to that one rule.
 *
 *     deno run -A tools/doc_lint.ts
 *
 * `deno doc` also asks for a comment on each property, method and constructor, for types that are
 * written out where they can be inferred, and for the export of each private name in a signature.
 * Those help a published library; here they would bring comments that retell the code.
 *
 * @module
 */

import { deno } from "./run.ts";

/**
 * Picks the faults that count out of what `deno doc --lint` printed.
 *
 * @param output its text, without colours
 * @returns `file:line:column` of each exported name on the top level that has no docstring
 */
export function undocumentedNames(output: string): string[] {
  const found: string[] = [];
  for (const fault of output.split(/^(?=error)/m)) {
    const place = /-->\s+(\S+):(\d+):(\d+)/.exec(fault);
    // What is indented is a member of something.
    if (!fault.startsWith("error[missing-jsdoc]") || place?.[3] !== "1") continue;
    found.push(`${place[1]}:${place[2]}`);
  }
  return found;
}

if (import.meta.main) {
  const files: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    for await (const entry of Deno.readDir(folder)) {
      if (entry.isDirectory) await walk(`${folder}/${entry.name}`);
      else if (/\.tsx?$/.test(entry.name)) files.push(`${folder}/${entry.name}`);
    }
  };
  await walk("src");
  const { code, output } = await deno(["doc", "--lint", ...files.sort()]);
  const names: string[] = [];
  for (const place of undocumentedNames(output)) {
    const [, file = "", line = ""] = /^(.*):(\d+)$/.exec(place) ?? [];
    const above = (await Deno.readTextFile(file)).split("\n")[Number(line) - 2];
    // A docstring that is all `@returns` says enough here; `deno doc` wants a sentence too.
    if (above?.trimEnd().endsWith("*/") !== true) names.push(place);
  }
  for (const place of names) console.log(`${place}: exported, but has no docstring`);
  // A run that failed without a single lint of its own did not look at all.
  const looked = code === 0 || /^error\[[a-z-]+\]/m.test(output);
  if (!looked) console.log(output);
  console.log(`doc lint: ${files.length} files, ${names.length} names without a docstring`);
  if (names.length > 0 || !looked) Deno.exit(1);
}
