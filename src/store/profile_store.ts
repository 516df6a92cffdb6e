/** A profile on the disk: one process at a time has it open, and a change is done when it is durable. */
import * as v from "valibot";
import { writeFileAtomic } from "./atomic.ts";
import { type FileLock, lockFile, readIfThere } from "./disk.ts";
import { parseJson, toJson } from "./json_file.ts";
import { sealingOf } from "./plain_sealer.ts";
import { fallingNumber, type Profile, PROFILE_FORMAT } from "./profile.ts";
import type { Sealer, SealRefusal } from "./sealer.ts";
import { StoreError } from "./store_error.ts";

/** An open profile. `await using` closes it. */
export interface ProfileStore extends AsyncDisposable {
  /** Its file. */
  readonly path: string;
  /** What is on the disk: a change appears here when it is durable, not before. */
  readonly profile: Profile;
  /**
   * Changes the profile. Changes are made in the order of the calls, each on the result of the one
   * before; those that come during a write share the next.
   *
   * @param change gives the new profile, without touching the old; called once, a little later
   * @returns resolves when the change is on the disk
   * @throws {StoreError} `unwritable`, and the change is not made; `closed`
   * @throws {TypeError} if the result is not a profile, or its generation or a room's highest epoch is
   *   lower than before; that change alone is dropped
   * @throws whatever `change` throws
   */
  update(change: (profile: Profile) => Profile): Promise<void>;
  /** Replaces the whole profile, as {@linkcode update} does. Of several the last wins. */
  save(profile: Profile): Promise<void>;
  /** Waits for what is being written and lets other processes have the profile. */
  close(): Promise<void>;
}

/** Where a profile is and how it is sealed. */
export interface ProfileAddress {
  /** See `profilePath` in `paths.ts`. */
  readonly path: string;
  readonly sealer: Sealer;
}

/**
 * How the file presents itself, so that a face knows whether to ask for a passphrase; see `sealingOf`.
 *
 * @returns `undefined` if there is none
 * @throws {StoreError} `unreadable`
 */
export async function profileSealing(
  path: string,
): Promise<"sealed" | "plain" | "neither" | undefined> {
  const file = await readIfThere(path);
  return file === undefined ? undefined : sealingOf(file);
}

/**
 * Opens a profile and keeps other processes out of it until it is closed or this process ends.
 *
 * @throws {StoreError} `missing`, `in-use`, `unreadable`, `newer-version`, `damaged` with the field, or
 *   the sealer's refusal; the file stays as it is
 */
export async function openProfile({ path, sealer }: ProfileAddress): Promise<ProfileStore> {
  // Asked before the lock, which would leave a folder and a file behind for every mistyped name.
  if (await readIfThere(path) === undefined) throw missing(path);
  const lock = await ownLock(path);
  try {
    const file = await readIfThere(path);
    if (file === undefined) throw missing(path);
    const opened = await sealer.open(file);
    if (opened.kind === "refused") throw new StoreError(opened.code, path, REFUSALS[opened.code]);
    try {
      return new OpenProfile(path, sealer, lock, parseJson(path, opened.plaintext, PROFILE_FORMAT));
    } finally {
      opened.plaintext.fill(0);
    }
  } catch (error) {
    lock.release();
    throw error;
  }
}

/**
 * Makes a profile and opens it.
 *
 * @throws {StoreError} `exists`, `in-use`, `unwritable`
 * @throws {TypeError} if it is not a profile
 */
export async function createProfile(
  { path, sealer, profile }: ProfileAddress & { readonly profile: Profile },
): Promise<ProfileStore> {
  const lock = await ownLock(path);
  try {
    if (await readIfThere(path) !== undefined) {
      throw new StoreError("exists", path, "there is a profile already; choose another name");
    }
    await write(path, sealer, checked(profile));
    return new OpenProfile(path, sealer, lock, profile);
  } catch (error) {
    lock.release();
    throw error;
  }
}

const REFUSALS: Readonly<Record<SealRefusal, string>> = {
  "sealed": "is sealed: it needs its passphrase",
  "not-sealed": "is not sealed though a passphrase was given. If it is yours all the same, " +
    "open it with --no-passphrase",
  "newer-version": "was sealed by a newer stm. Update stm to use it",
  "bad-parameters":
    "asks for a derivation of its key that stm does not accept: it is damaged, or " +
    "somebody made it",
  "wrong-passphrase-or-damaged": "does not open: the passphrase is wrong or the file is damaged",
  "damaged": "is damaged, though its passphrase may be right. It was left as it is",
};

function missing(path: string): StoreError {
  return new StoreError(
    "missing",
    path,
    "there is no such profile; `stm profile create` makes one",
  );
}

async function ownLock(path: string): Promise<FileLock> {
  const lock = await lockFile(path, false);
  if (lock !== undefined) return lock;
  throw new StoreError(
    "in-use",
    path,
    "this profile is in use by another stm. Close that one, or choose another with --profile",
  );
}

async function write(path: string, sealer: Sealer, profile: Profile): Promise<void> {
  const plaintext = toJson(profile);
  try {
    await writeFileAtomic(path, await sealer.seal(plaintext));
  } finally {
    plaintext.fill(0);
  }
}

/** What we could not read again is not written: that is a fault of ours, found while the old file is whole. */
function checked(profile: Profile): Profile {
  const result = v.safeParse(PROFILE_FORMAT.schema, profile, { abortEarly: true });
  if (result.success) return profile;
  throw new TypeError(`not a profile: ${v.getDotPath(result.issues[0]) ?? "all of it"}`);
}

function forward(before: Profile, after: Profile): Profile {
  const field = fallingNumber(before, after);
  if (field === undefined) return after;
  throw new TypeError(`a profile never goes back: ${field} would fall`);
}

interface Change {
  readonly change: (profile: Profile) => Profile;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

class OpenProfile implements ProfileStore {
  private readonly waiting: Change[] = [];
  private writing: Promise<void> | undefined;
  private closed = false;

  constructor(
    readonly path: string,
    private readonly sealer: Sealer,
    private readonly lock: FileLock,
    private durable: Profile,
  ) {}

  get profile(): Profile {
    return this.durable;
  }

  update(change: (profile: Profile) => Profile): Promise<void> {
    if (this.closed) {
      return Promise.reject(new StoreError("closed", this.path, "the profile was closed"));
    }
    return new Promise((resolve, reject) => {
      this.waiting.push({ change, resolve, reject });
      this.writing ??= this.writeAll();
    });
  }

  save(profile: Profile): Promise<void> {
    return this.update(() => profile);
  }

  async close(): Promise<void> {
    if (this.closed) return await this.writing;
    this.closed = true;
    await this.writing;
    this.lock.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Never rejects: each change hears of its own fate. */
  private async writeAll(): Promise<void> {
    // Changes of the same turn share a write.
    await Promise.resolve();
    while (this.waiting.length > 0) await this.writeBatch(this.waiting.splice(0));
    this.writing = undefined;
  }

  private async writeBatch(batch: readonly Change[]): Promise<void> {
    let next = this.durable;
    const made: Change[] = [];
    for (const change of batch) {
      try {
        next = forward(next, checked(change.change(next)));
        made.push(change);
      } catch (error) {
        change.reject(error);
      }
    }
    try {
      if (next !== this.durable) await write(this.path, this.sealer, next);
    } catch (error) {
      // What could not be saved was not done: the next changes start from what is on the disk.
      for (const { reject } of made) reject(error);
      return;
    }
    this.durable = next;
    for (const { resolve } of made) resolve();
  }
}
