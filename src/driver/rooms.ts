/** Rooms by what people have of them: an invite, a name, or the wish to run one. */
import { AdminKeys } from "../crypto/admin_keys.ts";
import type { KeyRing } from "../crypto/key_ring.ts";
import { MemberKeys } from "../crypto/member_keys.ts";
import { derive, type RandomSource, sha256 } from "../crypto/primitives.ts";
import type { OwnKeys } from "../crypto/room_keys.ts";
import { generateSigningKey, type SigningKey } from "../crypto/session_keys.ts";
import { openSecretInfo, openSecretMaterial } from "../wire/contexts.ts";
import {
  type EpochHash,
  type Generation,
  generation,
  type RelayKey,
  type RoomId,
  type RoomKey,
  type RoomSecret,
  roomSecret,
} from "../wire/ids.ts";
import type { InviteLink } from "../wire/link_url.ts";
import { keyedRoomId, openRoomId, openRoomIdInput } from "../wire/room_id.ts";
import type { PreparedRoom } from "./ports.ts";

/** What rooms are made with. */
export interface RoomMaker {
  readonly ring: KeyRing;
  readonly own: OwnKeys;
  readonly relay: RelayKey;
  readonly random: RandomSource;
  /** Above every generation that this identity used before. */
  readonly generation: Generation;
}

/** A generation for an identity that used `last` at the most (PROTOCOL §6). */
export function nextGeneration(last: number, now: number): Generation {
  return generation(Math.max(last + 1, now));
}

/** What an earlier visit to a room taught us. */
export interface RememberedRoom {
  readonly highestEpoch: number;
  readonly roomKey: RoomKey | null;
}

const NOTHING: RememberedRoom = { highestEpoch: 0, roomKey: null };

/** Prepares to join by an invite. */
export async function prepareInvited(
  maker: RoomMaker,
  invite: InviteLink,
  remembered: RememberedRoom = NOTHING,
): Promise<PreparedRoom> {
  maker.ring.add(
    new MemberKeys(invite.room, maker.own, await generateSigningKey(), maker.random, {
      secret: invite.roomSecret,
      admin: invite.adminFingerprint,
      invite: invite.inviteSecret,
      ...remembered,
    }, maker.generation),
  );
  // The room's name comes with its roster.
  return { id: invite.room.toHex(), name: invite.room.toHex().slice(0, 8) };
}

/** Prepares to ask for admission to an open room. */
export async function prepareOpen(
  maker: RoomMaker,
  name: string,
  remembered: RememberedRoom = NOTHING,
): Promise<PreparedRoom> {
  const { room, secret } = openRoom(maker.relay, name);
  maker.ring.add(
    new MemberKeys(room, maker.own, await generateSigningKey(), maker.random, {
      secret,
      admin: null,
      invite: null,
      ...remembered,
    }, maker.generation),
  );
  return { id: room.toHex(), name };
}

/** What an admin keeps of a room between runs. */
export interface AdministeredRoom {
  readonly roomKey: SigningKey;
  readonly secret: RoomSecret | null;
  readonly from: { readonly epoch: number; readonly h: EpochHash } | null;
}

/**
 * Prepares to run a room.
 *
 * @param open an open room: anybody who knows the relay and the name may ask for admission
 */
export async function prepareAdministered(
  maker: RoomMaker,
  name: string,
  open: boolean,
  kept: AdministeredRoom | null = null,
): Promise<PreparedRoom> {
  const roomKey = kept?.roomKey ?? await generateSigningKey();
  const { room, secret } = open ? openRoom(maker.relay, name) : {
    room: keyedRoomId(sha256(roomKey.publicKey)),
    secret: kept?.secret ?? roomSecret(maker.random(32)),
  };
  maker.ring.add(
    new AdminKeys(room, secret, maker.own, await generateSigningKey(), maker.random, {
      name,
      roomKey,
      generation: maker.generation,
      from: kept?.from ?? null,
    }),
  );
  return { id: room.toHex(), name };
}

function openRoom(relay: RelayKey, name: string): { room: RoomId; secret: RoomSecret } {
  const room = openRoomId(sha256(openRoomIdInput(relay, name.normalize("NFKC"))));
  return {
    room,
    secret: roomSecret(derive(openSecretMaterial(relay, room), openSecretInfo(), 32)),
  };
}
