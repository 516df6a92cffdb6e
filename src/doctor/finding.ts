/** What a check came to, and what all of them come to together. */
import { EXIT } from "../session/exit_code.ts";

/** How much it matters: nothing, something to look at, something that does not work. */
export type Verdict = "ok" | "warn" | "fail";

/** One check. */
export interface Finding {
  /** What was looked at, for programs: `clock`. */
  readonly check: string;
  readonly verdict: Verdict;
  /** What is the case, for people; may quote others, so it is cleaned before it is shown. */
  readonly text: string;
  /** What to do about it. */
  readonly remedy?: string;
  /** Of a `fail`: the exit code that it stands for; 1 if it has none of its own. */
  readonly exitCode?: number;
}

/** All is as it should be. */
export function ok(check: string, text: string): Finding {
  return { check, verdict: "ok", text };
}

/** Something to look at. */
export function warn(check: string, text: string, remedy: string): Finding {
  return { check, verdict: "warn", text, remedy };
}

/** Something that does not work. */
export function fail(
  check: string,
  text: string,
  remedy: string,
  exitCode: number = EXIT.failed,
): Finding {
  return { check, verdict: "fail", text, remedy, exitCode };
}

/** The gravest first: somebody in between, then what keeps one out, then everything else. */
const GRAVEST: readonly number[] = [EXIT.wrongKey, EXIT.loginRefused, EXIT.unreachable];

/** The exit code of all findings together, docs/JSON.md: 0 if none failed. */
export function exitCodeOf(findings: readonly Finding[]): number {
  const failed = findings.filter(({ verdict }) => verdict === "fail");
  if (failed.length === 0) return EXIT.left;
  return GRAVEST.find((code) => failed.some(({ exitCode }) => exitCode === code)) ?? EXIT.failed;
}

/** How many of each verdict, in words. */
export function countsOf(findings: readonly Finding[]): string {
  const count = (wanted: Verdict) => findings.filter(({ verdict }) => verdict === wanted).length;
  return `${count("ok")} ok, ${count("warn")} to look at, ${count("fail")} failed`;
}
