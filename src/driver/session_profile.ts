/** A profile that a session runs with: opened, its identity imported, its generations counted. */
import { importSigningKey, type SigningKey } from "../crypto/session_keys.ts";
import { EXIT } from "../session/exit_code.ts";
import { profilePath, profilesFolder } from "../store/paths.ts";
import { openProfile, profileSealing, type ProfileStore } from "../store/profile_store.ts";
import { StoreError } from "../store/store_error.ts";
import { type Generation, generation } from "../wire/ids.ts";
import { chosenSealer, type SealOptions } from "./passphrase.ts";
import { nextGeneration } from "../crypto/join.ts";
import { StartError } from "./start_error.ts";

/** Which profile to open. */
export interface ProfileOptions extends SealOptions {
  /** `--profile`. */
  readonly name: string;
}

/** An open profile and who it makes us. */
export interface SessionProfile {
  readonly name: string;
  readonly store: ProfileStore;
  readonly identity: SigningKey;
  readonly sealed: boolean;
}

/**
 * Opens a profile for a session.
 *
 * @param folder see `stateFolder` in `store/paths.ts`
 * @param ask asks the person for the passphrase; `null` where nobody can be asked
 * @throws {StartError} exit code 2 if there is none of that name, it is not sealed and `--no-passphrase` was not
 *   given, or there is no passphrase
 * @throws {StoreError} as `openProfile`: the file stays as it is
 */
export async function openSessionProfile(
  options: ProfileOptions,
  folder: string,
  env: { get(name: string): string | undefined },
  ask: (() => Promise<string>) | null,
): Promise<SessionProfile> {
  const { name } = options;
  const path = profileFile(folder, name);
  const sealing = await profileSealing(path);
  if (sealing === undefined) {
    throw new StartError(
      "no-profile",
      EXIT.usage,
      `there is no profile ${name} (${path}): stm profile create ${name} makes it`,
    );
  }
  if (sealing === "neither") {
    throw new StoreError(
      "damaged",
      path,
      "is no profile of stm, or damaged. It was left as it is: mend it, or move it away to begin anew",
    );
  }
  const passphraseGiven = options.passphraseFile !== undefined ||
    (env.get("STM_PASSPHRASE_FILE") ?? "") !== "";
  if (sealing === "plain" && !options.noPassphrase && !passphraseGiven) {
    throw new StartError(
      "not-sealed",
      EXIT.usage,
      `${path}: this profile is not sealed; if that is how you made it, give --no-passphrase`,
    );
  }
  const sealer = await chosenSealer(options, env, ask, `the profile ${name}`);
  const store = await openProfile({ path, sealer });
  try {
    const seed = Uint8Array.fromHex(store.profile.identitySeed);
    const identity = await importSigningKey(seed);
    seed.fill(0);
    return { name, store, identity, sealed: !options.noPassphrase };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/**
 * The file of a profile.
 *
 * @throws {StartError} exit code 2 for a name that cannot be one
 */
export function profileFile(folder: string, name: string): string {
  try {
    return profilePath(Deno.build.os, folder, name);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    throw new StartError("usage", EXIT.usage, `${error.message}, not "${name}"`, { cause: error });
  }
}

/** A profile's file, by what it says of itself. */
export interface FoundProfile {
  readonly name: string;
  readonly path: string;
  readonly sealing: "sealed" | "plain" | "neither";
}

/**
 * All profiles, by name.
 *
 * @throws {StoreError} `unreadable`
 */
export async function profilesIn(folder: string): Promise<readonly FoundProfile[]> {
  const found: FoundProfile[] = [];
  for (const name of await profileNames(profilesFolder(Deno.build.os, folder))) {
    const path = profileFile(folder, name);
    const sealing = await profileSealing(path);
    if (sealing !== undefined) found.push({ name, path, sealing });
  }
  return found;
}

async function profileNames(folder: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) {
      const profile = PROFILE_FILE.exec(name)?.[1];
      if (profile !== undefined) names.push(profile);
    }
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return [];
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError("unreadable", folder, `cannot be listed (${why})`, { cause });
  }
  return names.sort();
}

/** What `profilePath` makes, and not the lock files beside it. */
const PROFILE_FILE = /^([a-z0-9][a-z0-9_-]{0,31})\.stm$/;

/**
 * A generation above every one that this profile ever used; it is on the disk before it is given
 * (PROTOCOL §6).
 *
 * @param now milliseconds since 1970
 */
export async function takeGeneration(store: ProfileStore, now: number): Promise<Generation> {
  let taken = generation(0);
  await store.update((profile) => {
    taken = nextGeneration(profile.generation, now);
    return { ...profile, generation: taken };
  });
  return taken;
}
