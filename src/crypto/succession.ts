/**
 * How a room gets another admin (PROTOCOL §7.1): warrants, grants of the room key, and the statement by which a
 * successor takes over. Who may succeed whom, and when, is decided by `member_keys.ts` and the session.
 */
import type { KeyObject } from "node:crypto";
import { type Commit, SUITE } from "../wire/commit.ts";
import { grantContextInput } from "../wire/contexts.ts";
import { encode } from "../wire/codec.ts";
import {
  epoch as epochOf,
  type EpochHash,
  type Fingerprint,
  type Hash,
  hash,
  type IdentityKey,
  type KemKey,
  type RoomId,
  type RoomKey,
  sameBytes,
  signature,
} from "../wire/ids.ts";
import { CLAIM_AHEAD } from "../wire/limits.ts";
import { type Signed, signedOf } from "../wire/signed.ts";
import {
  type Grant,
  GRANT_BODY,
  type Succession,
  SUCCESSION_BODY,
  type Warrant,
  WARRANT_BODY,
} from "../wire/succession.ts";
import { fingerprintOf } from "./join.ts";
import type { KemKeyPair } from "./ml_kem.ts";
import {
  type Bytes,
  CryptoError,
  type RandomSource,
  sha256,
  sign,
  verifyRaw,
} from "./primitives.ts";
import type { WrapKeys } from "./make_commit.ts";
import { importSigningKey, type SigningKey } from "./session_keys.ts";
import { makeWrap, openWrap, tagOf, type WrapMember } from "./wrap.ts";

/** A room key that can be granted to somebody else: the seed is kept with it. */
export interface RoomKeyPair extends SigningKey {
  /** Secret, 32 bytes. */
  readonly seed: Bytes;
}

/** The room key of a seed, which is copied. */
export async function importRoomKey(seed: Uint8Array): Promise<RoomKeyPair> {
  return { ...await importSigningKey(seed), seed: new Uint8Array(seed) };
}

/** What the bearer of a warrant has. */
export interface Granted {
  readonly warrant: Signed<Warrant>;
  readonly roomKey: RoomKeyPair;
}

/** Whose wrap in a GRANT, and under which epoch of the admin. */
function grantContext(warrant: Warrant, certHash: Hash, kemKey: KemKey): Hash {
  const { room, epoch, admin, successor: identity } = warrant;
  const context = { suite: SUITE, room, epoch, admin, identity, certHash, kemKey };
  return hash(sha256(grantContextInput(context)));
}

/** Signs a warrant and wraps the room key for its bearer alone. */
export async function makeGrant(
  identity: KeyObject,
  warrant: Warrant,
  bearer: WrapMember,
  keys: WrapKeys,
  roomKeySeed: Bytes,
  random: RandomSource,
): Promise<Signed<Grant>> {
  const warrantBody = encode(WARRANT_BODY, warrant);
  const ctx = grantContext(warrant, bearer.certHash, keys.kem);
  const value: Grant = {
    warrant: signedOf(WARRANT_BODY, warrant, signature(sign(identity, "transfer", warrantBody))),
    tag: tagOf(ctx),
    wrap: await makeWrap(ctx, keys.rsa, keys.kem, roomKeySeed, random),
  };
  const body = encode(GRANT_BODY, value);
  return signedOf(GRANT_BODY, value, signature(sign(identity, "grant", body)));
}

/**
 * Opens a grant to us. The signature is checked before anything is decrypted.
 *
 * @param me our identity and CERT, and our ML-KEM keys
 * @throws {CryptoError} `bad-signature` if it is not the admin's; `bad-structure` if it is somebody else's or has
 *   another room's key; `no-key` for an ML-KEM key that is gone; `open-failed`
 */
export async function openGrant(
  { value, body, signature }: Signed<Grant>,
  place: { readonly room: RoomId; readonly admin: IdentityKey; readonly roomKey: RoomKey },
  me: WrapMember & { readonly rsa: CryptoKey; readonly kem: readonly KemKeyPair[] },
): Promise<Granted> {
  const { value: warrant } = value.warrant;
  if (
    !verifyRaw(place.admin, "grant", body, signature) || !isSignedBy(value.warrant, place.admin)
  ) {
    throw new CryptoError("bad-signature", "a GRANT is not the admin's");
  }
  if (!sameBytes(warrant.room, place.room) || !sameBytes(warrant.successor, me.identity)) {
    throw new CryptoError("bad-structure", "a GRANT is somebody else's");
  }
  for (const kem of me.kem) {
    const ctx = grantContext(warrant, me.certHash, kem.publicKey);
    if (!sameBytes(tagOf(ctx), value.tag)) continue;
    const seed = await openWrap(ctx, me.rsa, kem, value.wrap);
    const roomKey = await importRoomKey(seed);
    seed.fill(0);
    if (!sameBytes(roomKey.publicKey, place.roomKey)) {
      throw new CryptoError("bad-structure", "a GRANT has another room's key");
    }
    return { warrant: value.warrant, roomKey };
  }
  throw new CryptoError("no-key", "a GRANT is for a key that we do not have");
}

function isSignedBy({ value, body, signature }: Signed<Warrant>, admin: IdentityKey): boolean {
  return sameBytes(value.admin, admin) && verifyRaw(admin, "transfer", body, signature);
}

/** The statement that we make the epoch after that one by that warrant. */
export function makeSuccession(
  identity: KeyObject,
  warrant: Signed<Warrant>,
  after: number,
  prev: EpochHash,
): Signed<Succession> {
  const value: Succession = { warrant, epoch: epochOf(after + CLAIM_AHEAD), prev };
  const body = encode(SUCCESSION_BODY, value);
  return signedOf(SUCCESSION_BODY, value, signature(sign(identity, "claim", body)));
}

/**
 * Checks what a SUCCESSION shows by itself: both signatures, and that the warrant is good for that epoch. Whether
 * a deputy is one still, and whether the admin is silent, is not in it.
 *
 * @throws {CryptoError} `bad-signature`, `bad-structure`
 */
export function checkSuccession(signed: Signed<Succession>, room: RoomId): void {
  const { warrant, prev } = signed.value;
  const { value } = warrant;
  if (!sameBytes(value.room, room)) {
    throw new CryptoError("bad-structure", "a SUCCESSION is of another room");
  }
  if (
    !isSignedBy(warrant, value.admin) ||
    !verifyRaw(value.successor, "claim", signed.body, signed.signature)
  ) {
    throw new CryptoError("bad-signature", "a SUCCESSION is not signed by both");
  }
  const from = epochBefore(signed.value);
  const isNow = from === value.epoch && sameBytes(prev, value.h);
  if (value.purpose === "hand-over" ? !isNow : from < value.epoch) {
    throw new CryptoError("bad-structure", "a SUCCESSION's warrant is for another epoch");
  }
}

/** The epoch that a succession goes on from: the numbers of a successor's line are nobody else's. */
export function epochBefore({ epoch }: Pick<Succession, "epoch">): number {
  return epoch - CLAIM_AHEAD;
}

/** How many successions are remembered. */
export const MAX_LINEAGE = 64;

/** The line of a room's admins, as far as we have seen its statements. Each has been checked. */
export class Lineage {
  readonly #steps: Signed<Succession>[];

  constructor(steps: readonly Signed<Succession>[] = []) {
    this.#steps = [...steps];
  }

  /** Oldest first. */
  get steps(): readonly Signed<Succession>[] {
    return this.#steps;
  }

  /** Whether it is a step of the line. */
  has(step: Signed<Succession>): boolean {
    return this.#steps.some(({ signature }) => sameBytes(signature, step.signature));
  }

  /** Adds a statement that {@linkcode checkSuccession} has passed. */
  add(step: Signed<Succession>): void {
    if (this.has(step)) return;
    this.#steps.push(step);
    if (this.#steps.length > MAX_LINEAGE) this.#steps.shift();
  }

  /**
   * Whether somebody who administered before us has made an epoch after another took over.
   *
   * @param admin who administers now
   */
  isOfFormer(admin: IdentityKey, { value, body, signature }: Signed<Commit>): boolean {
    return this.upTo(admin).some((former) => {
      if (sameBytes(former, admin) || !verifyRaw(former, "commit", body, signature)) return false;
      const last = this.#steps.findLast(({ value: { warrant } }) =>
        sameBytes(warrant.value.admin, former)
      );
      return last !== undefined && value.epoch > epochBefore(last.value);
    });
  }

  /** An admin and those before it, as their statements show. */
  upTo(admin: IdentityKey): readonly IdentityKey[] {
    const admins = [admin];
    for (const successor of admins) {
      for (const { value: { warrant: { value } } } of this.#steps) {
        const isBefore = sameBytes(value.successor, successor) &&
          !admins.some((known) => sameBytes(known, value.admin));
        if (isBefore) admins.push(value.admin);
      }
    }
    return admins;
  }

  /**
   * Who may administer now, for somebody who knew an earlier admin: follows hand-overs, and claims of those who were
   * deputies when they last looked, or were named since. Whether anybody took part in a claim is not in it: if nobody did, the admin that
   * was claimed from is the admin still, and answers.
   *
   * @param from the admin that was known
   * @param after the highest epoch that was seen under it
   * @returns the newest last
   */
  follow(
    from: Fingerprint,
    after: number,
    deputies: readonly string[],
  ): readonly [Fingerprint, ...Fingerprint[]] {
    let admin = from;
    let admins: [Fingerprint, ...Fingerprint[]] = [from];
    let epoch = after;
    let lookedAt = after;
    for (const { value } of this.#steps) {
      const { value: warrant } = value.warrant;
      if (!sameBytes(fingerprintOf(warrant.admin), admin) || value.epoch <= epoch) continue;
      const named = warrant.purpose === "hand-over" || warrant.epoch > lookedAt ||
        deputies.includes(warrant.successor.toHex());
      if (!named) continue;
      admin = fingerprintOf(warrant.successor);
      admins = warrant.purpose === "hand-over" ? [admin] : [...admins, admin];
      epoch = value.epoch;
      // Of those whom it names itself we know its warrants alone.
      lookedAt = epoch - 1;
    }
    return admins;
  }
}
