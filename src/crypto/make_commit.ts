/**
 * The admin's half of a new epoch (PROTOCOL §7): fresh S, a wrap for each member, the signed commit.
 */
import type { KeyObject } from "node:crypto";
import {
  CHANGE,
  type Change,
  COMMIT_BODY,
  compareBytes,
  ROSTER,
  type RosterLeaf,
  SUITE,
} from "../wire/commit.ts";
import {
  epochHashInput,
  keyConfirmationInfo,
  rosterConfirmationInfo,
  rosterKeyInfo,
  welcomeKeyInfo,
} from "../wire/contexts.ts";
import {
  type Epoch,
  epoch as epochOf,
  type EpochHash,
  epochHash,
  hash,
  type IdentityKey,
  type KemKey,
  type Leaf,
  type RoomId,
  type RoomSecret,
  type RunId,
  signature,
  type Wrap,
} from "../wire/ids.ts";
import { encodePadded } from "../wire/padding.ts";
import { encode } from "../wire/codec.ts";
import { encodeSigned } from "../wire/signed.ts";
import { type Bytes, derive, gcmSeal, type RandomSource, sha256, sign } from "./primitives.ts";
import { type MemberLeaf, type Roster, rosterHash } from "./roster.ts";
import { makeWrap, tagOf, wrapContext } from "./wrap.ts";

/** Keys that S is wrapped with for one member. */
export interface WrapKeys {
  readonly rsa: CryptoKey;
  readonly kem: KemKey;
}

/** All that a commit is made of. */
export interface CommitPlan {
  readonly room: RoomId;
  readonly admin: IdentityKey;
  readonly identityKey: KeyObject;
  readonly runId: RunId;
  /** The epoch before and its hash. */
  readonly epoch: Epoch;
  readonly h: EpochHash;
  readonly change: Change;
  /** After the change. */
  readonly roster: Roster;
  /** After the change. */
  readonly roomSecret: RoomSecret;
  readonly adminLeaf: Leaf;
  readonly wrapKeys: ReadonlyMap<Leaf, WrapKeys>;
}

/** A commit that is ready to be saved and sent. */
export interface MadeCommit {
  readonly epoch: Epoch;
  readonly h: EpochHash;
  /** Body and signature. */
  readonly commit: Bytes;
  readonly wraps: ReadonlyMap<Leaf, Wrap>;
  /** The roster for newcomers. */
  readonly welcomeBox: Bytes;
  /** S; `EpochKeys` wipes it. */
  readonly secret: Bytes;
}

/**
 * How many members' RSA and ML-KEM operations are under way at once, off the main thread: enough to keep every core
 * at work. Each is a thread of the runtime, and with many more than cores the main thread waits for its own.
 */
const PARALLEL_WRAPS = 4 * navigator.hardwareConcurrency;

/**
 * Makes epoch e+1. S is fresh at every call: a retry never reuses it.
 *
 * @param onWrap told of each wrap as it is ready; what it does, it does while others are under way
 * @throws {RangeError} if a member has no wrap keys
 */
export async function makeCommit(
  plan: CommitPlan,
  random: RandomSource,
  onWrap: (member: MemberLeaf, wrap: Wrap) => void = () => {},
): Promise<MadeCommit> {
  const { room, admin } = plan;
  const epoch = epochOf(plan.epoch + 1);
  const secret = random(32);
  const wraps = new Map<Leaf, Wrap>();
  const entries: { tag: ReturnType<typeof tagOf>; wrapHash: ReturnType<typeof hash> }[] = [];
  const waiting = plan.roster.filter(({ leaf }) => leaf !== plan.adminLeaf).values();
  const wrapOneByOne = async (): Promise<void> => {
    for (const member of waiting) {
      const keys = plan.wrapKeys.get(member.leaf);
      if (keys === undefined) throw new RangeError(`no wrap keys for leaf ${member.leaf}`);
      const ctx = wrapContext({ room, epoch, admin }, {
        identity: member.value.identity,
        certHash: member.certHash,
      }, keys.kem);
      const wrap = await makeWrap(ctx, keys.rsa, keys.kem, secret, random);
      wraps.set(member.leaf, wrap);
      entries.push({ tag: tagOf(ctx), wrapHash: hash(sha256(wrap)) });
      onWrap(member, wrap);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_WRAPS }, wrapOneByOne));
  entries.sort((a, b) => compareBytes(a.tag, b.tag));

  const body = encode(COMMIT_BODY, {
    suite: SUITE,
    room,
    epoch,
    prev: plan.h,
    runId: plan.runId,
    kc: hash(derive(secret, keyConfirmationInfo(room, epoch), 32)),
    rosterKc: hash(derive(secret, rosterConfirmationInfo(rosterHash(plan.roster)), 32)),
    wraps: entries,
    rosterBox: gcmSeal(
      derive(secret, rosterKeyInfo(room, epoch), 32),
      room,
      encodePadded(CHANGE, plan.change),
    ),
  });
  const leaves: RosterLeaf[] = plan.roster.map(({ leaf, via, cert }) => ({ leaf, via, cert }));
  return {
    epoch,
    h: epochHash(sha256(epochHashInput(plan.h, body))),
    commit: encodeSigned(body, signature(sign(plan.identityKey, "commit", body))),
    wraps,
    welcomeBox: gcmSeal(
      derive(secret, welcomeKeyInfo(room, epoch), 32),
      sha256(body),
      encodePadded(ROSTER, { roomSecret: plan.roomSecret, leaves }),
    ),
    secret,
  };
}
