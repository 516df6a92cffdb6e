/** The roster and its rules (PROTOCOL §7). Every CERT in it has been verified, here. */
import type { KeyObject } from "node:crypto";
import { type Change, type RosterLeaf, VIAS } from "../wire/commit.ts";
import { rosterHashInput } from "../wire/contexts.ts";
import { type Cert, decodeCert } from "../wire/handshake.ts";
import {
  type Hash,
  hash,
  type IdentityKey,
  type Leaf,
  type RoomId,
  sameBytes,
} from "../wire/ids.ts";
import { MAX_LEAVES } from "../wire/limits.ts";
import { nameKey } from "../wire/name.ts";
import { CryptoError, importVerifyKey, sha256, verifyRaw } from "./primitives.ts";

/** A member as its verified CERT names it. */
export interface MemberLeaf extends RosterLeaf {
  readonly cert: RosterLeaf["cert"];
  readonly value: Cert;
  /** SHA-256 of the CERT, signature included. */
  readonly certHash: Hash;
  /** The session key, ready to verify this member's messages with. */
  readonly verifyKey: KeyObject;
}

/** In rising order of the leaf. */
export type Roster = readonly MemberLeaf[];

/**
 * Verifies one CERT for a room and its admin, or one of the admins before (§7.1).
 *
 * @throws {CryptoError} `bad-signature`, `bad-key`, or `bad-structure` for a CERT of another room or admin
 * @throws {WireError} if it is no CERT
 */
export function verifyCert(
  leaf: RosterLeaf,
  room: RoomId,
  admins: readonly IdentityKey[],
): MemberLeaf {
  const { value, body, signature } = decodeCert(leaf.cert);
  const isOfAdmin = admins.some((admin) => sameBytes(value.admin, admin));
  if (!sameBytes(value.room, room) || !isOfAdmin) {
    throw new CryptoError("bad-structure", "a CERT is of another room or admin");
  }
  if (!verifyRaw(value.identity, "cert", body, signature)) {
    throw new CryptoError("bad-signature", "a CERT is not signed by its identity");
  }
  return {
    ...leaf,
    value,
    certHash: hash(sha256(leaf.cert)),
    verifyKey: importVerifyKey(value.sessionKey),
  };
}

/** SHA-256 over the leaves, PROTOCOL's rosterHash. */
export function rosterHash(roster: Roster): Hash {
  return hash(sha256(rosterHashInput(roster.map(({ leaf, via, value, certHash }) => ({
    leaf,
    via: VIAS[via],
    identity: value.identity,
    certHash,
  })))));
}

/** CERTs that are verified before others have their turn: some milliseconds. */
const AT_A_TIME = 64;

/**
 * A whole roster as a newcomer gets it.
 *
 * @throws {CryptoError} as {@linkcode verifyCert}; `bad-structure` for a broken rule
 */
export async function verifyRoster(
  leaves: readonly RosterLeaf[],
  room: RoomId,
  admins: readonly IdentityKey[],
): Promise<Roster> {
  const members: MemberLeaf[] = [];
  for (const leaf of leaves) {
    members.push(verifyCert(leaf, room, admins));
    if (members.length % AT_A_TIME === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return checkRules(members);
}

/**
 * The roster after a commit.
 *
 * @throws {CryptoError} as {@linkcode verifyCert}; `bad-structure` if a removed leaf is not there, an added one
 *   is not above all before, or a rule is broken
 */
export function applyChange(
  roster: Roster,
  change: Pick<Change, "added" | "removed">,
  nextLeaf: number,
  room: RoomId,
  admin: IdentityKey,
): Roster {
  const removed = new Set<Leaf>();
  for (const { leaf } of change.removed) {
    if (removed.has(leaf) || !roster.some((member) => member.leaf === leaf)) {
      throw new CryptoError("bad-structure", `removed leaf ${leaf} is not in the roster`);
    }
    removed.add(leaf);
  }
  const first = change.added[0];
  if (first !== undefined && first.leaf < nextLeaf) {
    throw new CryptoError("bad-structure", `leaf ${first.leaf} was used before`);
  }
  return checkRules([
    ...roster.filter((member) => !removed.has(member.leaf)),
    ...change.added.map((leaf) => verifyCert(leaf, room, [admin])),
  ]);
}

function checkRules(roster: Roster): Roster {
  if (roster.length > MAX_LEAVES) throw new CryptoError("bad-structure", "the roster is too large");
  const identities = new Set<string>();
  const names = new Set<string>();
  for (const { value } of roster) {
    identities.add(value.identity.toHex());
    names.add(nameKey(value.name));
  }
  if (identities.size < roster.length) {
    throw new CryptoError("bad-structure", "an identity has two leaves");
  }
  if (names.size < roster.length) {
    throw new CryptoError("bad-structure", "two members have one name");
  }
  return roster;
}
