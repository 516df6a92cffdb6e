/** How the doctor tells what it finds: as it goes, a line each for people, NDJSON for programs. */
import { cleanLine } from "../ui/clean.ts";
import { safeLine } from "../ui/json.ts";
import { countsOf, exitCodeOf, type Finding } from "./finding.ts";

/** Where the words go. */
export type Print = (text: string) => void;

/**
 * Tells findings as they come.
 *
 * @param version of the program
 * @returns the exit code
 * @see docs/JSON.md, "The doctor's events"
 */
export async function report(
  findings: AsyncIterable<Finding>,
  ui: "line" | "json",
  version: string,
  print: Print,
): Promise<number> {
  const event = (type: string, fields: object): void => {
    if (ui === "json") print(safeLine({ type, at: new Date().toISOString(), ...fields }));
  };
  const all: Finding[] = [];
  event("hello", { schema: 1, version, role: "doctor" });
  for await (const finding of findings) {
    all.push(finding);
    const { exitCode: _, ...told } = finding;
    event("check", told);
    if (ui === "line") print(linesOf(finding));
  }
  const exitCode = exitCodeOf(all);
  event("bye", { reason: countsOf(all), exitCode });
  if (ui === "line") print(`\n${countsOf(all)}\n`);
  return exitCode;
}

const VERDICT_WIDTH = 6;
const CHECK_WIDTH = 15;

function linesOf({ check, verdict, text, remedy }: Finding): string {
  const head = `${verdict.padEnd(VERDICT_WIDTH)}${check.padEnd(CHECK_WIDTH)}`;
  const indent = " ".repeat(head.length);
  const more = remedy === undefined ? "" : `${indent}-> ${cleanLine(remedy)}\n`;
  return `${head}${cleanLine(text)}\n${more}`;
}
