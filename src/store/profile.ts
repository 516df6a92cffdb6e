/**
 * What a profile holds. It is JSON, sealed as a whole (`sealer.ts`), so nothing in it is encoded twice.
 *
 * Fields that this version does not know are kept when it writes: a newer stm that only added some does
 * not lose them to an older one. A change that an older one must not ignore raises `version`. So a
 * change is written as `{ ...profile, generation }`, and never field by field.
 */
import * as v from "valibot";
import { type SavedPin, type SavedSuccessor, SUCCESSORS, successorsField } from "./successors.ts";
import { countField, hexField, portField, textField, timeField } from "./fields.ts";
import type { JsonFormat } from "./json_file.ts";

/** Where a room is. */
export interface SavedServer {
  readonly host: string;
  readonly port: number;
  /** The relay's public key, 64 hex digits. */
  readonly pin: string;
  /** Keys that the relay is to have after it, oldest first. */
  readonly successors?: readonly SavedSuccessor[];
}

/** What everybody keeps of a room. */
interface RoomCore {
  /** Its local name. */
  readonly name: string;
  /** 32 hex digits. */
  readonly roomId: string;
  readonly server: SavedServer;
  /** The identity whose commits we accept (P2), 64 hex digits. */
  readonly adminIdentity: string;
  /** Secret, 64 hex digits. */
  readonly roomSecret: string;
  /** The last epoch that was accepted or, by its admin, decided upon; 0 before the first. Never falls. */
  readonly highestEpoch: number;
  /** h(highestEpoch), 64 hex digits. */
  readonly highestHash: string;
  /** Of an open room: its public key as first met, 64 hex digits. */
  readonly openRoomKey?: string;
}

/** A room that we are a member of. */
export interface SavedClientRoom extends RoomCore {
  readonly role: "client";
  /** Identities that its admin had named deputies, 64 hex digits each. */
  readonly deputies?: readonly string[];
}

/** A room that we administer. */
export interface SavedAdminRoom extends RoomCore {
  readonly role: "admin";
  /** Ed25519 seed of the room's key. Secret, 64 hex digits. */
  readonly roomKeySeed: string;
  readonly invites: readonly SavedInvite[];
  /** Identities that no invite admits, 64 hex digits each. */
  readonly barred: readonly string[];
  /** Identities that are admitted without a question (P3's saved members), 64 hex digits each. */
  readonly known: readonly string[];
  /** Identities that may take over, in their rank, 64 hex digits each. */
  readonly deputies?: readonly string[];
  /** Room secrets that kicks have replaced, newest first: for who missed them. Secret, 64 hex digits each. */
  readonly formerSecrets?: readonly string[];
  /** By which epoch the last of them was, and when that was stored, in milliseconds since 1970. */
  readonly secretReplaced?: { readonly epoch: number; readonly at: number };
  /** The greatest g that was accepted, by identity (64 hex digits): no old copy comes in. */
  readonly generations?: Readonly<Record<string, number>>;
  /** PROTOCOL's SUCCESSIONs by which we became the admin, oldest first, in hex. */
  readonly lineage?: readonly string[];
  /** The last epochs that we made, oldest first. */
  readonly ownEpochs?: readonly SavedEpoch[];
}

/** An epoch that a deputy may have gone on from while we were away. */
export interface SavedEpoch {
  readonly epoch: number;
  /** Its hash, 64 hex digits. */
  readonly h: string;
  /** Identities of its deputies, 64 hex digits each; `null` if not known. */
  readonly deputies: readonly string[] | null;
}

/** A room of a profile. */
export type SavedRoom = SavedClientRoom | SavedAdminRoom;

/** An invite in its admin's record, which alone decides what it is still good for. */
export interface SavedInvite {
  /** 16 hex digits. */
  readonly id: string;
  /** Secret, 32 hex digits. */
  readonly secret: string;
  readonly usesLeft: number;
  /** ISO 8601. */
  readonly expires: string;
  /** Made for more than one use. */
  readonly shared: boolean;
  /** The room secret that the invite carries; a kick replaces the room's. Secret, 64 hex digits. */
  readonly roomSecret: string;
  readonly revoked: boolean;
}

/** A person saved as a friend. */
export interface SavedFriend {
  readonly name: string;
  /** 64 hex digits. */
  readonly identity: string;
}

/** What an admin signed twice (P9): for everybody to check. */
export interface SavedFork {
  /** Local name of the room. */
  readonly room: string;
  /** 32 hex digits. */
  readonly roomId: string;
  /** The admin's identity, 64 hex digits. */
  readonly admin: string;
  /** PROTOCOL's COMMITs in base64, the one that was accepted first. */
  readonly commits: readonly [string, string];
}

/** Forks that are kept. A room of a thousand has commits of 64 KiB. */
export const MAX_FORKS = 8;
/** Letters of all their commits together: an admin can sign a megabyte of nothing, and each change writes all. */
export const MAX_FORK_LETTERS = 4 * 1024 * 1024;

/** A profile: one person's long-term state. */
export interface Profile {
  readonly version: 1;
  /** Ed25519 seed of the identity. Secret, 64 hex digits. */
  readonly identitySeed: string;
  /** What the person goes by unless told otherwise. */
  readonly name?: string;
  /** g: the highest generation that a CERT of ours ever carried. Saved before the CERT leaves. */
  readonly generation: number;
  /** Identities whose safety code was confirmed, 64 hex digits each. */
  readonly verified: readonly string[];
  readonly friends: readonly SavedFriend[];
  readonly rooms: readonly SavedRoom[];
  readonly forks?: readonly SavedFork[];
  /** Which account was last used at a relay that wants a login. */
  readonly accounts?: readonly SavedLogin[];
}

/** An account at a relay; its password is kept nowhere. */
export interface SavedLogin {
  /** The relay's public key, 64 hex digits. */
  readonly pin: string;
  /** The account. */
  readonly name: string;
}

/** A profile without rooms and friends. @param identitySeed 32 bytes, the caller's to wipe */
export function newProfile(identitySeed: Uint8Array, name?: string): Profile {
  return {
    version: 1,
    identitySeed: identitySeed.toHex(),
    ...(name === undefined ? {} : { name }),
    generation: 0,
    verified: [],
    friends: [],
    rooms: [],
  };
}

/**
 * The number that a change would take back, which no change may: generations and epochs are what tells
 * a replay and a rollback (P5). A room that is gone altogether is no fault.
 *
 * @returns path of the field, or `undefined` if none falls
 */
export function fallingNumber(before: Profile, after: Profile): string | undefined {
  if (after.generation < before.generation) return "generation";
  const epochs = new Map(before.rooms.map((room) => [room.roomId, room.highestEpoch]));
  const at = after.rooms.findIndex((room) => room.highestEpoch < (epochs.get(room.roomId) ?? 0));
  return at < 0 ? undefined : `rooms.${at}.highestEpoch`;
}

const KEY = hexField(32);
const COMMIT = v.pipe(v.string(), v.base64());

const INVITE = v.looseObject({
  id: hexField(8),
  secret: hexField(16),
  usesLeft: countField,
  expires: timeField,
  shared: v.boolean(),
  roomSecret: KEY,
  revoked: v.boolean(),
});

const ROOM_CORE = {
  name: textField,
  roomId: hexField(16),
  server: v.looseObject({
    host: textField,
    port: portField,
    pin: KEY,
    successors: v.exactOptional(SUCCESSORS),
  }),
  adminIdentity: KEY,
  roomSecret: KEY,
  highestEpoch: countField,
  highestHash: KEY,
  openRoomKey: v.exactOptional(KEY),
};

const ROOM = v.variant("role", [
  v.looseObject({
    ...ROOM_CORE,
    role: v.literal("client"),
    deputies: v.exactOptional(v.array(KEY)),
  }),
  v.looseObject({
    ...ROOM_CORE,
    role: v.literal("admin"),
    roomKeySeed: KEY,
    invites: v.array(INVITE),
    barred: v.array(KEY),
    known: v.array(KEY),
    deputies: v.exactOptional(v.array(KEY)),
    lineage: v.exactOptional(v.array(v.pipe(v.string(), v.hexadecimal()))),
    formerSecrets: v.exactOptional(v.array(KEY)),
    secretReplaced: v.exactOptional(v.looseObject({ epoch: countField, at: countField })),
    generations: v.exactOptional(v.record(KEY, countField)),
    ownEpochs: v.exactOptional(
      v.array(v.looseObject({ epoch: countField, h: KEY, deputies: v.nullable(v.array(KEY)) })),
    ),
  }),
]);

/** How a profile is read, and held to before it is written. */
export const PROFILE_FORMAT: JsonFormat<Profile> = {
  version: 1,
  schema: v.looseObject({
    version: v.literal(1),
    identitySeed: KEY,
    name: v.exactOptional(textField),
    generation: countField,
    verified: v.array(KEY),
    friends: v.array(v.looseObject({ name: textField, identity: KEY })),
    forks: v.exactOptional(v.array(v.looseObject({
      room: textField,
      roomId: hexField(16),
      admin: KEY,
      commits: v.tuple([COMMIT, COMMIT]),
    }))),
    rooms: v.pipe(
      v.array(ROOM),
      // Of two records of a room one would have the lower epoch, and a rollback is what they guard against.
      v.check((rooms) => new Set(rooms.map((room) => room.roomId)).size === rooms.length),
    ),
    accounts: v.exactOptional(v.array(v.looseObject({ pin: KEY, name: textField }))),
  }),
};

/**
 * A profile whose rooms and account on a relay go by what is pinned for that now.
 *
 * @param before the key that was pinned, 64 hex digits
 */
export function followed(profile: Profile, before: string, after: SavedPin): Profile {
  const { accounts } = profile;
  return {
    ...profile,
    ...(accounts === undefined ? {} : {
      accounts: accounts.map((one) => one.pin === before ? { ...one, pin: after.key } : one),
    }),
    rooms: profile.rooms.map((room) => {
      if (room.server.pin !== before) return room;
      const { successors: _, pin: _pin, ...rest } = room.server;
      return { ...room, server: { ...rest, pin: after.key, ...successorsField(after) } };
    }),
  };
}
