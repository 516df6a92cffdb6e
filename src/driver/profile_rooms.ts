/** The rooms that a profile remembers, and which of them the command line means. */
import { fingerprintOf } from "../crypto/join.ts";
import { EXIT } from "../session/exit_code.ts";
import type { SavedAdminRoom, SavedClientRoom, SavedRoom } from "../store/profile.ts";
import {
  type EpochHash,
  epochHash,
  type Fingerprint,
  fromHex,
  type RelayKey,
  relayKey,
  type RoomId,
  roomId,
  type RoomKey,
  roomKey,
  type RoomSecret,
  roomSecret,
} from "../wire/ids.ts";
import { successorsOf } from "./pinned_relay.ts";
import type { Successor } from "../wire/key_change.ts";
import type { SessionProfile } from "./session_profile.ts";
import { StartError } from "./start_error.ts";

/** What an earlier visit to a room taught us: a joiner holds the room to it. */
export interface RememberedRoom {
  readonly highestEpoch: number;
  /** Of an open room. */
  readonly roomKey: RoomKey | null;
  readonly admin: Fingerprint | null;
  readonly deputies: readonly string[];
}

const NOTHING: RememberedRoom = { highestEpoch: 0, roomKey: null, admin: null, deputies: [] };

/**
 * What a profile remembers of a room that we are about to join.
 *
 * @throws {StartError} exit code 2 if the profile administers it
 */
export function remembered(profile: SessionProfile | null, room: RoomId): RememberedRoom {
  const saved = profile?.store.profile.rooms.find(({ roomId }) => roomId === room.toHex());
  if (profile === null || saved === undefined) return NOTHING;
  if (saved.role === "client") return rememberedOf(saved);
  throw usage(
    `you run the room ${saved.name} yourself: stm admin --profile ${profile.name} --room "${saved.name}"`,
  );
}

function rememberedOf(
  { highestEpoch, openRoomKey, adminIdentity, deputies }: SavedRoom,
): RememberedRoom {
  return {
    highestEpoch,
    roomKey: openRoomKey === undefined ? null : roomKey(fromHex(openRoomKey)),
    admin: fingerprintOf(fromHex(adminIdentity)),
    deputies: deputies ?? [],
  };
}

/** A room to enter again without an invite. */
export interface ReturnPlace {
  readonly room: RoomId;
  readonly name: string;
  readonly pins: RememberedRoom & { readonly secret: RoomSecret };
}

/** Where a saved room is: the relay and its key are the profile's word. */
export interface SavedPlace<R extends SavedRoom> {
  readonly saved: R;
  readonly relay: {
    readonly host: string;
    readonly port: number;
    readonly key: RelayKey;
    readonly successors: readonly Successor[];
  };
}

/**
 * The room that we are a member of and want to enter again.
 *
 * @param name `--room`; without it the only one is meant
 * @returns `null` if none was named and there is none
 * @throws {StartError} exit code 2 if there is none of that name, or several to choose from
 */
export function savedClientRoom(
  profile: SessionProfile,
  name: string | undefined,
): SavedPlace<SavedClientRoom> | null {
  const rooms = profile.store.profile.rooms.filter((room) => room.role === "client");
  if (name === undefined && rooms.length === 0) return null;
  const run = profile.store.profile.rooms.find((room) =>
    room.role === "admin" && room.name === name
  );
  const otherwise = run === undefined
    ? "join it with an invite first"
    : `you run it yourself: stm admin --profile ${profile.name} --room "${run.name}"`;
  return theOne(profile, rooms, name, otherwise);
}

/**
 * The room that we administer and want to run again.
 *
 * @param name `--room`; without it the only one is meant
 * @throws {StartError} exit code 2 if there is none of that name, or several to choose from
 */
export function savedAdminRoom(
  profile: SessionProfile,
  name: string | undefined,
): SavedPlace<SavedAdminRoom> {
  const rooms = profile.store.profile.rooms.filter((room) => room.role === "admin");
  const member = memberOf(profile, name);
  const otherwise = member === undefined
    ? "give the relay's link, or --host, to open it"
    : `somebody else runs it: ${entering(profile, member)}`;
  return theOne(profile, rooms, name, otherwise);
}

/** Of a room that is about to be opened under a name that one has in which we are a member; `null` without such. */
export function namesake(
  profile: SessionProfile | null,
  name: string,
  pin: string,
): string | null {
  const member = profile === null ? undefined : memberOf(profile, name, pin);
  const runs = profile?.store.profile.rooms.some((room) =>
    room.role === "admin" && room.name === name && room.server.pin === pin
  );
  if (profile === null || member === undefined || runs) return null;
  return `this is another room named ${name}: the one in which you are a member is run by somebody else, ` +
    entering(profile, member);
}

function memberOf(
  profile: SessionProfile,
  name: string | undefined,
  pin?: string,
): SavedRoom | undefined {
  return profile.store.profile.rooms.find((room) =>
    room.role === "client" && room.name === name && (pin === undefined || room.server.pin === pin)
  );
}

const entering = (profile: SessionProfile, { name }: SavedRoom): string =>
  `stm client --profile ${profile.name} --room "${name}"`;

function theOne<R extends SavedRoom>(
  profile: SessionProfile,
  rooms: readonly R[],
  name: string | undefined,
  otherwise: string,
): SavedPlace<R> {
  const fitting = name === undefined
    ? rooms
    : rooms.filter((room) => room.name === name || room.roomId === name);
  const [saved] = fitting;
  if (saved === undefined || fitting.length > 1) {
    const list = rooms.map((room) => `${room.name} (${room.roomId})`).join(", ");
    const what = name === undefined ? "" : ` "${name}"`;
    throw usage(
      saved === undefined
        ? `the profile ${profile.name} has no such room${what}; ${otherwise}` +
          (list === "" ? "" : `; it has: ${list}`)
        : `the profile ${profile.name} has several rooms${what}: choose one with --room, of ${list}`,
    );
  }
  const { host, port, pin } = saved.server;
  const successors = successorsOf(saved.server);
  return { saved, relay: { host, port, key: relayKey(fromHex(pin)), successors } };
}

/** How a saved room is entered again. */
export function returnPlace(saved: SavedRoom): ReturnPlace {
  return {
    room: roomId(fromHex(saved.roomId)),
    name: saved.name,
    pins: { ...rememberedOf(saved), secret: roomSecret(fromHex(saved.roomSecret)) },
  };
}

/** Where a saved room's next commit goes on from; `null` if it never had one. */
export function lastEpoch(
  saved: SavedAdminRoom,
): { readonly epoch: number; readonly h: EpochHash } | null {
  const { highestEpoch: epoch, highestHash } = saved;
  return epoch === 0 ? null : { epoch, h: epochHash(fromHex(highestHash)) };
}

function usage(message: string): StartError {
  return new StartError("usage", EXIT.usage, message);
}
