/**
 * Commits made by hand, after PROTOCOL §7 and not by src/crypto/make_commit.ts: with coins that can be chosen, and
 * with anything in them that a hostile admin may sign.
 */
import {
  CHANGE,
  type Change,
  type Commit,
  COMMIT_BODY,
  compareBytes,
  ROSTER,
  type RosterLeaf,
  SUITE,
  VIAS,
} from "../../src/wire/commit.ts";
import {
  epochHashInput,
  keyConfirmationInfo,
  rosterConfirmationInfo,
  rosterHashInput,
  rosterKeyInfo,
  welcomeKeyInfo,
  wrapContextInput,
  wrapTagInput,
} from "../../src/wire/contexts.ts";
import { decodeCert } from "../../src/wire/handshake.ts";
import {
  type Epoch,
  type EpochHash,
  epochHash,
  type Hash,
  hash,
  type IdentityKey,
  type KemKey,
  type Leaf,
  type RoomId,
  type RoomSecret,
  type RunId,
  signature,
  type Wrap,
  wrapBytes,
  wrapTag,
} from "../../src/wire/ids.ts";
import { encode } from "../../src/wire/codec.ts";
import { encodePadded } from "../../src/wire/padding.ts";
import { encodeSigned } from "../../src/wire/signed.ts";
import {
  type Bytes,
  concat,
  derive,
  gcmSeal,
  type RandomSource,
  sha256,
  sign,
} from "../../src/crypto/primitives.ts";
import { wrapKey } from "../../src/crypto/wrap.ts";
import type { SigningKey } from "../../src/crypto/session_keys.ts";
import { kemEncapsulateWith, oaepEncryptWith } from "./deterministic.ts";

/** For whom S is wrapped. */
export interface HandmadeMember {
  readonly leaf: Leaf;
  readonly cert: Bytes;
  readonly rsaSpki: Bytes;
  readonly kem: KemKey;
}

/** What a commit is made of. */
export interface HandmadePlan {
  readonly room: RoomId;
  readonly admin: IdentityKey;
  /** Whose signature it gets; the admin's if all is as it should be. */
  readonly signer: SigningKey;
  readonly runId: RunId;
  readonly epoch: Epoch;
  readonly prev: EpochHash;
  /** S */
  readonly secret: Bytes;
  readonly change: Change;
  /** After the change. */
  readonly leaves: readonly RosterLeaf[];
  /** After the change. */
  readonly roomSecret: RoomSecret;
  readonly members: readonly HandmadeMember[];
  readonly random: RandomSource;
  /** Last hand on the body, before it is signed. */
  readonly edit?: (body: Commit) => Commit;
  /** Last hand on the plaintext of the roster box. */
  readonly editChange?: (plaintext: Bytes) => Bytes;
  /** r of every wrap, if not 32 random bytes. */
  readonly r?: Bytes;
}

/** A wrap and what went into it. */
export interface HandmadeWrap {
  readonly ctx: Hash;
  readonly tag: Bytes;
  readonly r: Bytes;
  readonly ctR: Bytes;
  readonly ctM: Bytes;
  readonly s: Bytes;
  readonly kek: Bytes;
  readonly wrap: Wrap;
}

/** A commit and what went into it. */
export interface HandmadeCommit {
  readonly commit: Bytes;
  readonly body: Bytes;
  readonly value: Commit;
  readonly h: EpochHash;
  readonly rosterHash: Hash;
  readonly wraps: ReadonlyMap<Leaf, HandmadeWrap>;
  readonly welcomeBox: Bytes;
  readonly changePlaintext: Bytes;
}

/** rosterHash of PROTOCOL §7 from the leaves alone. */
export function rosterHashOf(leaves: readonly RosterLeaf[]): Hash {
  return hash(sha256(rosterHashInput(leaves.map(({ leaf, via, cert }) => ({
    leaf,
    via: VIAS[via],
    identity: decodeCert(cert).value.identity,
    certHash: hash(sha256(cert)),
  })))));
}

/** A wrap of S for one member. */
export function handmadeWrap(
  plan: Pick<HandmadePlan, "room" | "epoch" | "admin" | "random" | "secret" | "r">,
  member: HandmadeMember,
): HandmadeWrap {
  const ctx = hash(sha256(wrapContextInput({
    suite: SUITE,
    room: plan.room,
    epoch: plan.epoch,
    admin: plan.admin,
    identity: decodeCert(member.cert).value.identity,
    certHash: hash(sha256(member.cert)),
    kemKey: member.kem,
  })));
  const r = plan.r ?? plan.random(32);
  const label = new TextEncoder().encode(ctx.toHex());
  const ctR = oaepEncryptWith(member.rsaSpki, label, r, plan.random(32));
  const { ciphertext: ctM, shared: s } = kemEncapsulateWith(member.kem, plan.random(32));
  const kek = wrapKey(ctx, r, s, ctR, ctM);
  const wrap = wrapBytes(concat(ctR, ctM, gcmSeal(kek, ctx, plan.secret)));
  const tag = sha256(wrapTagInput(ctx)).slice(0, 16);
  return { ctx, tag, r, ctR, ctM, s, kek, wrap };
}

/** A commit, signed by `plan.signer`. */
export function handmadeCommit(plan: HandmadePlan): HandmadeCommit {
  const { room, epoch, secret } = plan;
  const wraps = new Map(plan.members.map((member) => [member.leaf, handmadeWrap(plan, member)]));
  const entries = [...wraps.values()].map(({ tag, wrap }) => ({
    tag: wrapTag(tag),
    wrapHash: hash(sha256(wrap)),
  })).sort((a, b) => compareBytes(a.tag, b.tag));
  const padded = encodePadded(CHANGE, plan.change);
  const changePlaintext = plan.editChange?.(padded) ?? padded;
  const rosterHash = rosterHashOf(plan.leaves);
  const made: Commit = {
    suite: SUITE,
    room,
    epoch,
    prev: plan.prev,
    runId: plan.runId,
    kc: hash(derive(secret, keyConfirmationInfo(room, epoch), 32)),
    rosterKc: hash(derive(secret, rosterConfirmationInfo(rosterHash), 32)),
    wraps: entries,
    rosterBox: gcmSeal(derive(secret, rosterKeyInfo(room, epoch), 32), room, changePlaintext),
  };
  const value = plan.edit?.(made) ?? made;
  const body = encode(COMMIT_BODY, value);
  const commit = encodeSigned(body, signature(sign(plan.signer.privateKey, "commit", body)));
  const welcomeBox = gcmSeal(
    derive(secret, welcomeKeyInfo(room, epoch), 32),
    sha256(body),
    encodePadded(ROSTER, { roomSecret: plan.roomSecret, leaves: plan.leaves }),
  );
  return {
    commit,
    body,
    value,
    h: epochHash(sha256(epochHashInput(plan.prev, body))),
    rosterHash,
    wraps,
    welcomeBox,
    changePlaintext,
  };
}
