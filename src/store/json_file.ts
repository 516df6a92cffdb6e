/** JSON files of ours: versioned, checked field by field, written for people to read too. */
import * as v from "valibot";
import { writeFileAtomic } from "./atomic.ts";
import { type Bytes, readIfThere } from "./disk.ts";
import { StoreError } from "./store_error.ts";

/** What kind of JSON a file holds. */
export interface JsonFormat<T> {
  /** The version that this program writes; it reads no newer one. */
  readonly version: number;
  /** Of the whole document, `version` included. */
  readonly schema: v.GenericSchema<unknown, T>;
}

/**
 * Reads a JSON file.
 *
 * @returns `undefined` if there is none
 * @throws {StoreError} `unreadable`, `damaged`, `newer-version`; the file stays as it is
 */
export async function readJsonFile<T>(
  path: string,
  format: JsonFormat<T>,
): Promise<T | undefined> {
  const bytes = await readIfThere(path);
  return bytes === undefined ? undefined : parseJson(path, bytes, format);
}

/**
 * Writes a JSON file whole or not at all.
 *
 * @throws {StoreError} `unwritable`
 */
export async function writeJsonFile(path: string, value: unknown, mode?: number): Promise<void> {
  await writeFileAtomic(path, toJson(value), mode);
}

/** A value as the bytes of a JSON file. */
export function toJson(value: unknown): Bytes {
  return new TextEncoder().encode(JSON.stringify(value, undefined, 2) + "\n");
}

/**
 * Reads the bytes of a JSON file.
 *
 * @param path the file they come from, for the error
 * @throws {StoreError} `damaged` with the first bad field, `newer-version`
 */
export function parseJson<T>(path: string, bytes: Uint8Array, format: JsonFormat<T>): T {
  const json = decode(path, bytes);
  const version = versionOf(json);
  // Looked at before anything else: a newer file may differ in every field.
  if (version !== undefined && version > format.version) {
    throw new StoreError(
      "newer-version",
      path,
      `was written by a newer stm (version ${version}; this one knows ${format.version}). ` +
        "Update stm to use it",
      { field: "version" },
    );
  }
  if (version !== format.version) throw damaged(path, "version");
  const result = v.safeParse(format.schema, json, { abortEarly: true });
  if (result.success) return result.output;
  throw damaged(path, v.getDotPath(result.issues[0]) ?? undefined);
}

function decode(path: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    // No cause: what the parser says quotes the text, and the text may be a key.
    throw damaged(path, undefined);
  }
}

function versionOf(json: unknown): number | undefined {
  if (typeof json !== "object" || json === null || !("version" in json)) return undefined;
  return Number.isSafeInteger(json.version) ? Number(json.version) : undefined;
}

/** The validator's own sentence would quote the value, which may be a key: only the place is told. */
function damaged(path: string, field: string | undefined): StoreError {
  const what = field === undefined
    ? "is no JSON of stm"
    : `the field ${field} is not as stm writes it`;
  return new StoreError(
    "damaged",
    path,
    `${what}. It was left as it is: mend it, or move it away to begin anew`,
    field === undefined ? {} : { field },
  );
}
