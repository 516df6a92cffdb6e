/**
 * The file of `--config`: one JSON object with the options' names, without their dashes.
 *
 * @module
 */
import * as v from "valibot";
import { nearest, type OptionSpec, takesNumber, UsageError } from "./command_line.ts";

/** A value as the command line would have it, and how the user calls it. */
type Setting = { readonly value: string | true; readonly label: string };

const item = v.pipe(v.string(), v.nonEmpty());
const LIST = v.union([item, v.array(item)]);
const NUMBER = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

function schemaOf(option: OptionSpec) {
  if (option.value === undefined) return v.boolean();
  if (option.list) return LIST;
  return takesNumber(option) ? NUMBER : item;
}

/**
 * Reads the file. Whether a value is a right one for its option is not looked at here.
 *
 * @param known the options that may be in it
 * @returns by option name
 * @throws {UsageError} if it cannot be read, is no JSON, or has a field that is unknown or of the
 *   wrong type; it names the field
 */
export async function readConfig(
  path: string,
  known: readonly OptionSpec[],
  readText: (path: string) => Promise<string>,
): Promise<ReadonlyMap<string, Setting>> {
  const schema = v.strictObject(
    Object.fromEntries(known.map((option) => [option.name, v.exactOptional(schemaOf(option))])),
  );
  const json = await parsed(path, readText);
  if (Array.isArray(json)) throw wrong(path, known, null);
  const checked = v.safeParse(schema, json, { abortEarly: true });
  if (!checked.success) throw wrong(path, known, v.getDotPath(checked.issues[0]));
  const settings = new Map<string, Setting>();
  for (const { name } of known) {
    const value = checked.output[name];
    // A switch that is off is one that was not given.
    if (value === undefined || value === false) continue;
    const text = value === true ? true : Array.isArray(value) ? value.join() : String(value);
    if (text !== "") settings.set(name, { value: text, label: `${path}: ${name}` });
  }
  return settings;
}

async function parsed(path: string, readText: (path: string) => Promise<string>): Promise<unknown> {
  let text: string;
  try {
    text = await readText(path);
  } catch (cause) {
    const why = cause instanceof Deno.errors.NotFound
      ? "there is no such file"
      : cause instanceof Error
      ? cause.message
      : String(cause);
    throw new UsageError(`cannot read --config ${path}: ${why}`);
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UsageError(
      `${path} is no JSON: ${cause instanceof Error ? cause.message : String(cause)}; ` +
        `stm server --print-config prints a right one`,
    );
  }
}

function wrong(path: string, known: readonly OptionSpec[], field: string | null): UsageError {
  if (field === null) {
    return new UsageError(`${path}: has to be an object, as stm server --print-config prints it`);
  }
  const option = known.find(({ name }) => name === field.split(".")[0]);
  if (option === undefined) {
    const near = nearest(field, known.map(({ name }) => name));
    const hint = near === undefined ? "see stm server --help" : `did you mean ${near}?`;
    return new UsageError(`${path}: ${field}: there is no such option: ${hint}`);
  }
  const what = option.value === undefined
    ? "true or false"
    : option.list
    ? "a text or a list of texts"
    : takesNumber(option)
    ? "a whole number"
    : "a text";
  const example = option.example === undefined || option.value === undefined
    ? "true"
    : takesNumber(option)
    ? option.example
    : JSON.stringify(option.example);
  return new UsageError(
    `${path}: ${field}: takes ${what}; for example ${JSON.stringify(option.name)}: ${example}`,
  );
}
