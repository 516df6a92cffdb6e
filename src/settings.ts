/**
 * Where the options of `stm server` come from: the command line, else a variable of the
 * environment, else the file of `--config`, else the default. Whatever is wrong is named as the
 * user wrote it: `--port`, `STM_PORT`, or `stm.json: port`.
 *
 * @module
 */
import { type Arguments, type OptionSpec, takesNumber, UsageError } from "./command_line.ts";

/** Options that say where the others are, so no file has them. */
export const NOT_IN_A_FILE: ReadonlySet<string> = new Set(["config", "print-config"]);

/** What the settings are read from. */
export interface SettingsPorts {
  /** A variable of the environment. */
  readonly variable: (name: string) => string | undefined;
  /** A text file. */
  readonly readText: (path: string) => Promise<string>;
}

/** The variable of an option: `STM_LOG_LEVEL` of `--log-level`. */
export function variableOf(option: string): string {
  return `STM_${option.toUpperCase().replaceAll("-", "_")}`;
}

/**
 * What was given, from everywhere.
 *
 * @param options of the command
 * @throws {UsageError} for a switch that is neither on nor off, and everything about the file
 */
export async function settled(
  options: readonly OptionSpec[],
  given: Arguments,
  ports: SettingsPorts,
): Promise<Arguments> {
  const variables = new Map(
    options.filter(({ name }) => name !== "print-config").flatMap((option) => {
      const name = variableOf(option.name);
      const value = fromVariable(option, ports.variable(name));
      return value === undefined ? [] : [[option.name, { value, label: name }] as const];
    }),
  );
  const known = given.over(variables);
  const path = known.text("config");
  if (path === undefined) return known;
  const inFiles = options.filter(({ name }) => !NOT_IN_A_FILE.has(name));
  const { readConfig } = await import("./settings_file.ts");
  return known.over(await readConfig(path, inFiles, ports.readText));
}

/** An empty variable is as good as none: shells and units cannot always leave one out. */
function fromVariable(option: OptionSpec, text: string | undefined): string | true | undefined {
  if (text === undefined || text === "") return undefined;
  if (option.value !== undefined) return text;
  if (/^(1|true|yes|on)$/i.test(text)) return true;
  if (/^(0|false|no|off)$/i.test(text)) return undefined;
  throw new UsageError(
    `${variableOf(option.name)} takes 1 or 0, not "${text}"; for example ${
      variableOf(option.name)
    }=1`,
  );
}

/** All settings that have a value, as a file for `--config`. */
export function printedConfig(options: readonly OptionSpec[], all: Arguments): string {
  const settings: Record<string, boolean | number | string | string[]> = {};
  for (const option of options) {
    const { name } = option;
    if (NOT_IN_A_FILE.has(name)) continue;
    const text = all.text(name) ?? option.default;
    if (option.value === undefined) settings[name] = all.has(name);
    else if (text === undefined) continue;
    else if (option.list) settings[name] = text.split(",").map((item) => item.trim());
    else settings[name] = takesNumber(option) ? Number(text) : text;
  }
  return `${JSON.stringify(settings, null, 2)}\n`;
}

/** A line for each setting that is not the default: where it came from. */
export function origins(options: readonly OptionSpec[], all: Arguments): string[] {
  return options.filter(({ name }) => all.has(name) && !NOT_IN_A_FILE.has(name))
    .map(({ name }) => `${name}: from ${all.label(name)}`);
}
