/**
 * A dishonest admin: it signs whatever it likes, and sends each member what it likes. Its program goes on as if
 * nothing were.
 */
import type { MadeCommit } from "../../src/crypto/make_commit.ts";
import { sha256, systemRandom } from "../../src/crypto/primitives.ts";
import type { MemberLeaf, Roster } from "../../src/crypto/roster.ts";
import { importVerifyKey } from "../../src/crypto/primitives.ts";
import { generateSigningKey, type SigningKey } from "../../src/crypto/session_keys.ts";
import { type Change, COMMIT_BODY, type RosterLeaf } from "../../src/wire/commit.ts";
import { decodeCert } from "../../src/wire/handshake.ts";
import {
  epoch as epochOf,
  type EpochHash,
  gateKey,
  generation,
  hash,
  identityKey,
  joinNonce,
  type KemKey,
  leaf as leafOf,
  type RoomId,
  runId,
  type TicketBytes,
} from "../../src/wire/ids.ts";
import { decodeSigned } from "../../src/wire/signed.ts";
import type { Bytes } from "../../src/wire/codec.ts";
import type { House } from "./house.ts";
import { sealed, whispers } from "./hostile_insider.ts";
import type { AdminActor, MemberActor, World } from "./world.ts";

/** Makes a CERT for any identity whose key one has. */
export async function certOf(
  house: House,
  room: RoomId,
  admin: Uint8Array,
  who: { readonly name: string; readonly identity: SigningKey; readonly session?: Uint8Array },
): Promise<Bytes> {
  return house.makeCert({
    room,
    admin: identityKey(admin),
    na: joinNonce(systemRandom(32)),
    identity: who.identity,
    generation: generation(Date.now()),
    sessionPublic: who.session ?? (await generateSigningKey()).publicKey,
    gateKey: gateKey((await generateSigningKey()).publicKey),
    rsaSpki: systemRandom(422),
    kemKey: systemRandom(1184) as KemKey,
    name: who.name,
  });
}

/** A leaf as a roster has it, whether or not its CERT is any good. */
export function asMember(leaf: RosterLeaf): MemberLeaf {
  const { value } = decodeCert(leaf.cert);
  return {
    ...leaf,
    value,
    certHash: hash(sha256(leaf.cert)),
    verifyKey: importVerifyKey(value.sessionKey),
  };
}

/** What the admin signs. */
export interface Forged {
  readonly added?: readonly RosterLeaf[];
  readonly removed?: Change["removed"];
  /** After the change; the old one with `added` if not said. */
  readonly roster?: Roster;
  /** S; fresh if not said. */
  readonly secret?: Bytes;
  /** The epoch before; the present one if not said. */
  readonly epoch?: number;
  readonly h?: EpochHash;
  /** Who signs; the admin if not said. */
  readonly signer?: SigningKey;
}

/**
 * A commit for the members who are there, and its S.
 *
 * @param owl whose knowledge of the room and of everybody's public keys is used
 */
export async function forgeCommit(
  house: House,
  owl: AdminActor,
  forged: Forged = {},
): Promise<MadeCommit & { readonly roster: Roster }> {
  const { keys } = owl;
  const { leak, wrapKeysOf } = keys;
  const added = forged.added ?? [];
  const gone = new Set((forged.removed ?? []).map((r) => r.leaf));
  const roster = forged.roster ?? [
    ...leak.last.roster.filter((m) => !gone.has(m.leaf)),
    ...added.map(asMember),
  ];
  const some = [...wrapKeysOf.values()][0];
  const wrapKeys = new Map(roster.flatMap((member) => {
    // A leaf that nobody can open has somebody's keys.
    const known = wrapKeysOf.get(member.value.identity.toHex()) ?? some;
    return known === undefined ? [] : [[member.leaf, known] as const];
  }));
  let first = true;
  const random = (length: number) => {
    const bytes = first && forged.secret !== undefined
      ? forged.secret.slice()
      : systemRandom(length);
    first = false;
    return bytes;
  };
  const made = await house.makeCommit({
    room: keys.room,
    admin: identityKey(keys.own.identity.publicKey),
    identityKey: (forged.signer ?? keys.own.identity).privateKey,
    runId: runId(systemRandom(16)),
    epoch: epochOf(forged.epoch ?? leak.last.epoch),
    h: forged.h ?? leak.last.h,
    change: {
      reason: "rekey",
      adminLeaf: leak.last.myLeaf,
      deputies: [],
      roomName: "club",
      newRoomSecret: undefined,
      added,
      removed: forged.removed ?? [],
    },
    roster,
    roomSecret: leak.roomSecret,
    adminLeaf: leak.last.myLeaf,
    wrapKeys,
  }, random);
  return { ...made, roster };
}

/** Gives one member a commit and its wrap. */
export function sendsCommit(
  world: World,
  owl: AdminActor,
  to: MemberActor,
  made: MadeCommit,
): void {
  const leaf = to.keys.current?.myLeaf ?? leafOf(0);
  const wrap = made.wraps.get(leaf);
  const ticket: TicketBytes | null = to.keys.ticket;
  if (wrap === undefined || ticket === null) throw new RangeError(`no wrap for ${to.name}`);
  const { house } = world;
  whispers(world, owl, to, sealed(house, owl, "wrap", { epoch: made.epoch, wrap, ticket }));
  const commit = decodeSigned(COMMIT_BODY, made.commit, "commit");
  whispers(world, owl, to, sealed(house, owl, "commit", commit));
}
