/**
 * A member's half of a new epoch (PROTOCOL §7, "A member accepts a commit"). The checks stand in the order
 * of the document; nothing that is not authentic reaches the RSA decryption, and nothing of a refused
 * commit has an effect: these functions only return.
 */
import {
  CHANGE,
  type Change,
  type Commit,
  COMMIT_BODY,
  ROSTER,
  type RosterLeaf,
  type Welcome,
} from "../wire/commit.ts";
import {
  epochHashInput,
  keyConfirmationInfo,
  rosterConfirmationInfo,
  rosterKeyInfo,
  welcomeKeyInfo,
} from "../wire/contexts.ts";
import {
  type EpochHash,
  epochHash,
  type Hash,
  hash,
  type IdentityKey,
  type Leaf,
  type RoomId,
  type RoomSecret,
  type RunId,
  sameBytes,
  type Wrap,
} from "../wire/ids.ts";
import { WireError } from "../wire/codec.ts";
import { decodeCert } from "../wire/handshake.ts";
import { decodePadded } from "../wire/padding.ts";
import { decodeSigned, type Signed } from "../wire/signed.ts";
import {
  type Bytes,
  CryptoError,
  derive,
  gcmOpen,
  sameSecret,
  sha256,
  verifyRaw,
} from "./primitives.ts";
import type { CommitMemory, Evidence } from "./commit_memory.ts";
import { applyChange, type Roster, rosterHash, verifyRoster } from "./roster.ts";
import { openWrap, tagOf, wrapContext } from "./wrap.ts";
import type { KemKeyPair } from "./ml_kem.ts";

/** What a member brings to a commit. */
export interface Acceptor {
  readonly room: RoomId;
  /** The only identity whose commits count here (P2). */
  readonly admin: IdentityKey;
  /** The admin and those before it: CERTs of a roster may be for any of them. */
  readonly admins: readonly IdentityKey[];
  readonly identity: IdentityKey;
  /** SHA-256 of our CERT. */
  readonly certHash: Hash;
  readonly rsa: CryptoKey;
  /** Our ML-KEM keys: the current one, and the one before while both are kept. */
  readonly kem: readonly KemKeyPair[];
}

/** A commit that has passed every check. */
export interface AcceptedCommit {
  readonly commit: Signed<Commit>;
  readonly h: EpochHash;
  readonly change: Change;
  readonly roster: Roster;
  /** S; `EpochKeys` wipes it. */
  readonly secret: Bytes;
  /** Which of our ML-KEM keys the admin used: older ones can go. */
  readonly kemUsed: KemKeyPair;
  /** Which of the wraps was ours. */
  readonly wrapUsed: Wrap;
}

/** Why a commit was not accepted. `fatal`: the admin signed it, so the room cannot go on. */
export class CommitRefused extends Error {
  override readonly name = "CommitRefused";
  constructor(
    readonly code: "bad-commit" | "bad-claim" | "fork" | "rollback" | "removed" | "no-wrap",
    message: string,
    readonly fatal: boolean,
    options?: ErrorOptions,
    /** The admin's run, of a commit that it signed. */
    readonly runId: RunId | null = null,
  ) {
    super(message, options);
  }
}

/** The admin signed two commits of which only one can be (P9). */
export class Fork extends CommitRefused {
  /** @param evidence the two; `null` if the one that we accepted is no longer kept */
  constructor(message: string, fatal: boolean, readonly evidence: Evidence | null) {
    super("fork", message, fatal);
  }
}

/**
 * Accepts the commit that follows our epoch.
 *
 * @param here our epoch and the number of the next, its hash and roster, the first leaf number never used, and the
 *   commits so far
 * @param wraps what came as our wrap of that epoch: nothing vouches for one but the hash in the commit
 * @throws {CommitRefused} with nothing changed
 */
export async function acceptCommit(
  acceptor: Acceptor,
  here: {
    readonly epoch: number;
    readonly next: number;
    readonly h: EpochHash;
    readonly roster: Roster;
    readonly nextLeaf: number;
    readonly commits: CommitMemory;
  },
  signed: Signed<Commit>,
  wraps: readonly Wrap[],
): Promise<AcceptedCommit> {
  checkSigned(acceptor, signed);
  const { value: commit } = signed;
  if (commit.epoch !== here.next) {
    throw new CommitRefused(
      "rollback",
      `the commit is for epoch ${commit.epoch}, we are in ${here.epoch}`,
      false,
      undefined,
      // An admin that has started anew has nobody's keys from before.
      ourEntry(acceptor, commit) === undefined ? commit.runId : null,
    );
  }
  if (!sameBytes(commit.prev, here.h)) {
    const evidence = here.commits.against(here.epoch, signed, acceptor.admin);
    throw new Fork("the admin's commit does not follow the epoch we are in", true, evidence);
  }
  return await asSignedByAdmin(async () => {
    const opened = await openSecret(acceptor, commit, wraps);
    const change = decodePadded(
      CHANGE,
      gcmOpen(
        derive(opened.secret, rosterKeyInfo(commit.room, commit.epoch), 32),
        commit.room,
        commit.rosterBox,
      ),
      "change",
    );
    const roster = applyChange(here.roster, change, here.nextLeaf, acceptor.room, acceptor.admin);
    checkRoster(acceptor, commit, change, roster, opened.secret);
    return { commit: signed, h: nextHash(here.h, signed), change, roster, ...opened };
  });
}

/** A welcome that has passed every check. */
export interface AcceptedWelcome extends AcceptedCommit {
  readonly roomSecret: RoomSecret;
  readonly adminLeaf: Leaf;
  readonly myLeaf: Leaf;
}

/**
 * Accepts the welcome of a newcomer or returner. The room key is not checked here.
 *
 * @param minEpoch one above the highest epoch that we remember for this room
 * @throws {CommitRefused}
 */
export async function acceptWelcome(
  acceptor: Acceptor,
  welcome: Welcome,
  minEpoch: number,
): Promise<AcceptedWelcome> {
  const signed = decodeCommit(welcome.commit);
  checkSigned(acceptor, signed);
  const { value: commit } = signed;
  if (commit.epoch < minEpoch) {
    // The relay has those of our earlier comings in, and may show them: only what is made for this one ends it.
    const isOurs = ourEntry(acceptor, commit) !== undefined;
    const been = `to epoch ${commit.epoch}, but we have been in ${minEpoch - 1}`;
    throw new CommitRefused(
      "rollback",
      isOurs ? `the admin welcomes us ${been}` : `an old welcome was dropped: it is ${been}`,
      isOurs,
    );
  }
  return await asSignedByAdmin(async () => {
    const opened = await openSecret(acceptor, commit, [welcome.wrap]);
    const change = decodePadded(
      CHANGE,
      gcmOpen(
        derive(opened.secret, rosterKeyInfo(commit.room, commit.epoch), 32),
        commit.room,
        commit.rosterBox,
      ),
      "change",
    );
    const { roomSecret, leaves } = decodePadded(
      ROSTER,
      gcmOpen(
        derive(opened.secret, welcomeKeyInfo(commit.room, commit.epoch), 32),
        sha256(signed.body),
        welcome.rosterBox,
      ),
      "roster",
    );
    const roster = await verifyRoster(leaves, acceptor.room, acceptor.admins)
      .catch((error) => refuseUnknownLine(acceptor, leaves, error));
    checkRoster(acceptor, commit, change, roster, opened.secret);
    const mine = roster.find(({ certHash }) => sameBytes(certHash, acceptor.certHash));
    if (mine === undefined) {
      throw new CryptoError("bad-structure", "the roster does not have our CERT");
    }
    return {
      commit: signed,
      change,
      h: nextHash(commit.prev, signed),
      roster,
      roomSecret,
      adminLeaf: change.adminLeaf,
      myLeaf: mine.leaf,
      ...opened,
    };
  });
}

/** A SUCCESSION may have been lost on its way to us (§7.1): it comes again with the next HELLO. */
function refuseUnknownLine(
  acceptor: Acceptor,
  leaves: readonly RosterLeaf[],
  cause: unknown,
): never {
  const isOfUnknown = leaves.map(({ cert }) => decodeCert(cert).value).some(({ room, admin }) =>
    sameBytes(room, acceptor.room) && !acceptor.admins.some((known) => sameBytes(known, admin))
  );
  if (!isOfUnknown) throw cause;
  throw new CommitRefused(
    "bad-commit",
    "members of this room were let in by somebody of whom nothing shows that the room was that one's: we ask again",
    false,
    { cause },
  );
}

function decodeCommit(bytes: Uint8Array): Signed<Commit> {
  try {
    return decodeSigned(COMMIT_BODY, bytes, "commit");
  } catch (cause) {
    throw new CommitRefused("bad-commit", "the commit is malformed", false, { cause });
  }
}

function checkSigned(acceptor: Acceptor, { value, body, signature }: Signed<Commit>): void {
  if (!sameBytes(value.room, acceptor.room)) {
    throw new CommitRefused("bad-commit", "the commit is of another room", false);
  }
  if (!verifyRaw(acceptor.admin, "commit", body, signature)) {
    throw new CommitRefused(
      "bad-commit",
      "a commit that the room's admin did not sign was refused",
      false,
    );
  }
}

/** What fails after the signature held is the admin's doing. */
async function asSignedByAdmin<T>(check: () => Promise<T>): Promise<T> {
  try {
    return await check();
  } catch (cause) {
    if (cause instanceof CryptoError || cause instanceof WireError) {
      throw new CommitRefused(
        "bad-commit",
        `the admin signed a commit that is not valid: ${cause.message}`,
        true,
        { cause },
      );
    }
    throw cause;
  }
}

/** What a commit lists for us, by one of our tags; `undefined` if it is not for us. */
function ourEntry(acceptor: Acceptor, commit: Commit) {
  for (const kem of acceptor.kem) {
    const ctx = wrapContext(
      { room: commit.room, epoch: commit.epoch, admin: acceptor.admin },
      { identity: acceptor.identity, certHash: acceptor.certHash },
      kem.publicKey,
    );
    const tag = tagOf(ctx);
    const entry = commit.wraps.find((e) => sameBytes(e.tag, tag));
    if (entry !== undefined) return { entry, ctx, kem };
  }
  return undefined;
}

async function openSecret(
  acceptor: Acceptor,
  commit: Commit,
  wraps: readonly Wrap[],
): Promise<{ secret: Bytes; kemUsed: KemKeyPair; wrapUsed: Wrap }> {
  const ours = ourEntry(acceptor, commit);
  if (ours === undefined) {
    const why = "the admin made a new key that is not for us";
    throw new CommitRefused("removed", why, false, undefined, commit.runId);
  }
  const { entry, ctx, kem } = ours;
  const wrap = wraps.find((bytes) => sameBytes(hash(sha256(bytes)), entry.wrapHash));
  if (wrap === undefined) {
    throw new CommitRefused(
      "no-wrap",
      "our part of the admin's commit has not come, or was changed on the way",
      false,
    );
  }
  const secret = await openWrap(ctx, acceptor.rsa, kem, wrap);
  const kc = derive(secret, keyConfirmationInfo(commit.room, commit.epoch), 32);
  if (!sameSecret(kc, commit.kc)) {
    throw new CryptoError("open-failed", "the wrap has another key than the commit");
  }
  return { secret, kemUsed: kem, wrapUsed: wrap };
}

function checkRoster(
  acceptor: Acceptor,
  commit: Commit,
  change: Change,
  roster: Roster,
  secret: Bytes,
): void {
  const expected = derive(secret, rosterConfirmationInfo(rosterHash(roster)), 32);
  if (!sameSecret(expected, commit.rosterKc)) {
    throw new CryptoError("open-failed", "the roster is not the one that the commit confirms");
  }
  const admin = roster.find(({ leaf }) => leaf === change.adminLeaf);
  if (admin === undefined || !sameBytes(admin.value.identity, acceptor.admin)) {
    throw new CryptoError("bad-structure", "the admin's leaf is not the admin's");
  }
}

function nextHash(prev: EpochHash, signed: Signed<Commit>): EpochHash {
  return epochHash(sha256(epochHashInput(prev, signed.body)));
}
