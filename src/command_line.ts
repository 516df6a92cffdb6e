/**
 * Command tables and what is made from them: parsing, errors and help. On `node:util`'s `parseArgs`
 * and not on commander, which costs 30 ms of every start (docs/decisions).
 */
import { parseArgs } from "node:util";

/** One `--option`. */
export interface OptionSpec {
  readonly name: string;
  readonly short?: string;
  /** What stands for the value in help, as `PORT`; without it the option is a switch. */
  readonly value?: string;
  readonly help: string;
  /** Shown in help; the code that uses the option applies it. */
  readonly default?: string;
  /** What to write, for the message about a wrong value. */
  readonly example?: string;
  /** It may be given several times; the values are joined by commas, which do for it too. */
  readonly list?: true;
}

/** What stands for a whole number in help. */
const NUMBERS: ReadonlySet<string> = new Set(["PORT", "N", "BYTES", "MS"]);

/** Whether an option's value is a whole number. */
export function takesNumber({ value }: OptionSpec): boolean {
  return value !== undefined && NUMBERS.has(value);
}

/** What a summary says first, in one line and without its full stop: for lists of commands. */
export function firstSentence(summary: string): string {
  return (summary.split(/[.:]\s/)[0] ?? "").replaceAll("\n", " ").replace(/\.$/, "");
}

/** One subcommand; a name of two words is a subcommand of a subcommand. */
export interface CommandSpec {
  readonly name: string;
  /** Positional arguments as help shows them. */
  readonly args: string;
  readonly maxArgs: number;
  /** The words that an argument can be, where it is one of some. */
  readonly choices?: readonly string[];
  readonly summary: string;
  readonly options: readonly OptionSpec[];
  readonly examples: readonly string[];
}

/** Wrong arguments: exit code 2. The message names the argument and a right example. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

const MAX_DURATION_MS = 3653 * 86_400e3;

/** What was given, by option name. */
export class Arguments {
  constructor(
    private readonly command: CommandSpec,
    private readonly values: ReadonlyMap<string, string | true>,
    /** The positional arguments. */
    readonly positionals: readonly string[],
    /** How an option is called that did not come from the command line. */
    private readonly labels: ReadonlyMap<string, string> = new Map(),
  ) {}

  /** Whether a switch was given. */
  has(name: string): boolean {
    return this.values.has(name);
  }

  /** An option's value; `undefined` if it was not given. */
  text(name: string): string | undefined {
    const value = this.values.get(name);
    return value === true ? undefined : value;
  }

  /**
   * A whole number.
   *
   * @throws {UsageError} if it is none, or not from `min` to `max`
   */
  number(name: string, fallback: number, min: number, max: number): number {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (!(value >= min && value <= max)) {
      throw this.wrong(name, `takes a whole number from ${min} to ${max}, not "${text}"`);
    }
    return value;
  }

  /**
   * One of some words.
   *
   * @throws {UsageError} for another
   */
  choice<T extends string>(name: string, choices: readonly T[], fallback: T): T {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const choice = choices.find((c) => c === text);
    if (choice === undefined) {
      throw this.wrong(name, `takes ${choices.join(" or ")}, not "${text}"`);
    }
    return choice;
  }

  /**
   * A time: a whole number and `s`, `m`, `h` or `d`.
   *
   * @returns milliseconds
   * @throws {UsageError} if it is none, or zero, or longer than ten years
   */
  duration(name: string, fallback: number): number {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const [, count = "", unit = ""] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
    const ms = Number(count) * ({ s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3 }[unit] ?? NaN);
    if (ms > 0 && ms <= MAX_DURATION_MS) return ms;
    throw this.wrong(name, `takes a time as 90s, 30m, 12h or 7d, not "${text}"`);
  }

  /** The error for a wrong value, with an example. */
  wrong(name: string, what: string): UsageError {
    const example = this.command.options.find((o) => o.name === name)?.example;
    return new UsageError(
      `${this.label(name)} ${what}${
        example === undefined ? "" : `; for example --${name} ${example}`
      }`,
    );
  }

  /** What the user calls the option: `--port`, or a variable, or a place in a file. */
  label(name: string): string {
    return this.labels.get(name) ?? `--${name}`;
  }

  /**
   * These, and below them what came from elsewhere.
   *
   * @param more by option name: the value and how the user calls it there
   */
  over(more: ReadonlyMap<string, { readonly value: string | true; readonly label: string }>) {
    const values = new Map(this.values);
    const labels = new Map(this.labels);
    for (const [name, { value, label }] of more) {
      if (values.has(name)) continue;
      values.set(name, value);
      labels.set(name, label);
    }
    return new Arguments(this.command, values, this.positionals, labels);
  }
}

/** Options that every command has. */
export const COMMON_OPTIONS: readonly OptionSpec[] = [
  { name: "help", short: "h", help: "show this help" },
];

/**
 * Parses what follows a command's name.
 *
 * @throws {UsageError} for an unknown option, a missing or superfluous value or argument
 */
export function parseArguments(command: CommandSpec, args: readonly string[]): Arguments {
  const specs = [...command.options, ...COMMON_OPTIONS];
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries(specs.map((o) => [o.name, {
      type: o.value === undefined ? "boolean" : "string",
      ...(o.short === undefined ? {} : { short: o.short }),
    }])),
  });
  const values = new Map<string, string | true>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const spec = specs.find((o) => o.name === token.name);
    if (spec === undefined) throw unknownOption(command, token.rawName, specs);
    const value = valueOf(command, spec, token.rawName, token.value);
    const before = values.get(spec.name);
    if (before !== undefined && !spec.list) {
      throw new UsageError(`${token.rawName} is given twice`);
    }
    values.set(spec.name, before === undefined ? value : `${before},${value}`);
  }
  const extra = positionals[command.maxArgs];
  if (extra !== undefined) {
    throw new UsageError(
      `stm ${command.name} does not take "${extra}"; for example: ${
        command.examples[0] ?? command.name
      }`,
    );
  }
  return new Arguments(command, values, positionals);
}

function valueOf(
  command: CommandSpec,
  spec: OptionSpec,
  rawName: string,
  value: string | undefined,
): string | true {
  if (spec.value === undefined) {
    if (value !== undefined) throw new UsageError(`${rawName} takes no value`);
    return true;
  }
  // `--port --ui json`: parseArgs would take "--ui" for the port.
  if (value === undefined || value === "" || (value.startsWith("--") && value.length > 2)) {
    throw new UsageError(
      `${rawName} needs a value: ${rawName} ${
        spec.example ?? spec.value
      } (see stm ${command.name} --help)`,
    );
  }
  return value;
}

function unknownOption(
  command: CommandSpec,
  rawName: string,
  specs: readonly OptionSpec[],
): UsageError {
  const near = nearest(rawName.replace(/^-+/, ""), specs.map((o) => o.name));
  const hint = near === undefined
    ? `see stm ${command.name} --help; for example: ${command.examples[0] ?? command.name}`
    : `did you mean --${near}?`;
  return new UsageError(`stm ${command.name} has no option ${rawName}: ${hint}`);
}

/** Letters from which a word may be the beginning of another. */
const LEAST_BEGINNING = 3;

/** The word that differs least, if it differs by no more than a third; else the first that begins so. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of words) {
    const distance = editDistance(word, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  if (best !== undefined || word.length < LEAST_BEGINNING) return best;
  return words.find((candidate) => candidate.startsWith(word));
}

/** Letters put in, left out, changed, or swapped with their neighbour. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      next.push(Math.min(
        (row[j] ?? 0) + 1,
        (next[j - 1] ?? 0) + 1,
        (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1),
        swapped ? (before[j - 2] ?? 0) + 1 : Infinity,
      ));
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The help of one command. */
export function commandHelp(command: CommandSpec): string {
  const options = [...command.options, ...COMMON_OPTIONS].map((o): [string, string] => [
    `${o.short === undefined ? "    " : `-${o.short}, `}--${o.name}${
      o.value === undefined ? "" : ` ${o.value}`
    }`,
    o.default === undefined ? o.help : `${o.help} [${o.default}]`,
  ]);
  return [
    `usage: stm ${command.name}${command.args === "" ? "" : ` ${command.args}`} [options]`,
    "",
    ...wrapped(command.summary, 80),
    "",
    ...columns(options),
    "",
    "examples:",
    ...command.examples.map((e) => `  ${e}`),
    "",
  ].join("\n");
}

/** Two columns; text that is too long for 80 columns goes on below itself. */
export function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.min(30, Math.max(...rows.map(([left]) => left.length)) + 2);
  const indent = " ".repeat(width + 2);
  return rows.flatMap(([left, right]) => {
    const [first = "", ...others] = wrapped(right, 78 - width);
    const head = left.length + 2 > width
      ? [`  ${left}`, `${indent}${first}`]
      : [`  ${left.padEnd(width)}${first}`];
    return [...head, ...others.map((line) => `${indent}${line}`)];
  });
}

/** Text in lines of at most so many characters, unless a word is longer. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
