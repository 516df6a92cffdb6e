/**
 * The commits that we accepted lately: a second one for the same epoch is told from a repetition, and shown with
 * the first as evidence, for both carry their admin's signature (PROTOCOL §7).
 */
import type { Commit } from "../wire/commit.ts";
import type { IdentityKey } from "../wire/ids.ts";
import type { Signed } from "../wire/signed.ts";
import { sha256, verifyRaw } from "./primitives.ts";

/** Commits that are known again. */
const REMEMBERED_COMMITS = 64;
/** Bytes of commits kept whole, the newest first; of those before only the hash is known. */
const KEPT_BYTES = 1024 * 1024;

/** Two different commits of one admin. */
export interface Evidence {
  readonly admin: IdentityKey;
  readonly commits: readonly [ours: Signed<Commit>, other: Signed<Commit>];
}

interface Remembered {
  readonly bodyHash: string;
  whole: Signed<Commit> | null;
}

/** Newest commits by epoch. */
export class CommitMemory {
  readonly #commits = new Map<number, Remembered>();

  /** Adds one that was accepted. Epochs come in rising order. */
  add(commit: Signed<Commit>): void {
    const bodyHash = sha256(commit.body).toHex();
    this.#commits.set(commit.value.epoch, { bodyHash, whole: commit });
    for (const old of this.#commits.keys()) {
      if (this.#commits.size <= REMEMBERED_COMMITS) break;
      this.#commits.delete(old);
    }
    let bytes = 0;
    for (const remembered of [...this.#commits.values()].reverse()) {
      bytes += remembered.whole?.body.length ?? 0;
      if (bytes > KEPT_BYTES) remembered.whole = null;
    }
  }

  /** Whether it is the one that was accepted for its epoch; `undefined` if none is remembered. */
  isSame({ value, body }: Signed<Commit>): boolean | undefined {
    const known = this.#commits.get(value.epoch);
    return known && known.bodyHash === sha256(body).toHex();
  }

  /**
   * What was accepted for `epoch`, and `other`, which that admin has signed.
   *
   * @returns `null` if the first is no longer kept whole, or was another admin's: that proves nothing
   */
  against(epoch: number, other: Signed<Commit>, admin: IdentityKey): Evidence | null {
    const ours = this.#commits.get(epoch)?.whole;
    if (!ours || !verifyRaw(admin, "commit", ours.body, ours.signature)) return null;
    return { admin, commits: [ours, other] };
  }
}
