/**
 * `opaque-setup.json`, the relay's own secret of the login. It lies apart from `users.json`, so that one
 * of the two alone, as in a backup, allows no guessing of passwords. Whoever loses it loses all
 * accounts: a record is worth nothing without the setup that it was made with.
 */
import * as v from "valibot";
import { countField, hexField } from "./fields.ts";
import { type JsonFormat, readJsonFile, writeJsonFile } from "./json_file.ts";
import { StoreError } from "./store_error.ts";

/** Name of the file. */
export const SETUP_FILE = "opaque-setup.json";
/** A setup's name, 16 hex digits: random, and says nothing about it. */
export const setupId: v.GenericSchema<string> = hexField(8);

/** The file. */
export interface OpaqueSetup {
  /** 1. */
  readonly version: number;
  /** See {@link setupId}. */
  readonly id: string;
  /** Secret, 256 hex digits. */
  readonly setup: string;
}

const FORMAT: JsonFormat<OpaqueSetup> = {
  version: 1,
  schema: v.looseObject({ version: countField, id: setupId, setup: hexField(128) }),
};

/**
 * Reads the setup, or makes it where no account needs one yet.
 *
 * @param needed the setup that the accounts were made with, as `users.json` says; undefined if none was
 * @param make gives the 128 bytes of a new one
 * @throws {StoreError} `missing` if it is needed and lost, or another is there; as every reader does if
 *   it is damaged
 */
export async function openSetup(
  path: string,
  needed: string | undefined,
  make: () => Promise<Uint8Array>,
): Promise<OpaqueSetup> {
  const there = await readJsonFile(path, FORMAT);
  if (there !== undefined && (needed === undefined || there.id === needed)) return there;
  if (needed !== undefined) {
    const what = there === undefined ? "is not there" : "is not the one that was there before";
    throw new StoreError(
      "missing",
      path,
      `${what}, and without it every account of users.json is invalid. Put it back from a backup; or ` +
        "move users.json away and make all accounts anew with stm server user add",
    );
  }
  const id = crypto.getRandomValues(new Uint8Array(8)).toHex();
  const made = { version: 1, id, setup: (await make()).toHex() };
  await writeJsonFile(path, made);
  return made;
}
