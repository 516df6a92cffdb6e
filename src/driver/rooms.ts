/** Rooms by what people have of them: an invite, a name, a profile that was there, or the wish to run one. */
import { AdminKeys, type EarlierRuns } from "../crypto/admin_keys.ts";
import { inviteIdOf } from "../crypto/join.ts";
import type { KeyRing } from "../crypto/key_ring.ts";
import { MemberKeys, type RoomPins } from "../crypto/member_keys.ts";
import { derive, type RandomSource, sha256 } from "../crypto/primitives.ts";
import type { OwnKeys } from "../crypto/room_keys.ts";
import { generateSigningKey, type SigningKey } from "../crypto/session_keys.ts";
import { checkSuccession, importRoomKey, Lineage, type RoomKeyPair } from "../crypto/succession.ts";
import type { InviteRecord } from "../session/effect.ts";
import { EXIT } from "../session/exit_code.ts";
import type { SavedAdminRoom, SavedClientRoom, SavedServer } from "../store/profile.ts";
import { openSecretInfo, openSecretMaterial } from "../wire/contexts.ts";
import {
  epochHash,
  fromHex,
  type Generation,
  inviteSecret,
  type RelayKey,
  type RoomId,
  type RoomSecret,
  roomSecret,
} from "../wire/ids.ts";
import type { InviteLink } from "../wire/link_url.ts";
import { decode } from "../wire/codec.ts";
import { SUCCESSION } from "../wire/succession.ts";
import { isOpenRoom, keyedRoomId, openRoomId, openRoomIdInput } from "../wire/room_id.ts";
import type { PreparedRoom } from "./ports.ts";
import { lastEpoch, remembered, returnPlace } from "./profile_rooms.ts";
import type { SessionProfile } from "./session_profile.ts";
import { StartError } from "./start_error.ts";

/** What rooms are made with. */
export interface RoomMaker {
  readonly ring: KeyRing;
  readonly own: OwnKeys;
  readonly relay: RelayKey;
  readonly random: RandomSource;
  /** Above every generation that this identity used before. */
  readonly generation: Generation;
  /** What earlier runs left, and where this one's rooms are kept. */
  readonly profile?: SessionProfile | null;
}

/** Prepares to join by an invite. An earlier visit's memory stays: the admin is the invite's word, the epoch is not. */
export async function prepareInvited(maker: RoomMaker, invite: InviteLink): Promise<PreparedRoom> {
  await addMember(maker, invite.room, {
    ...remembered(maker.profile ?? null, invite.room),
    secret: invite.roomSecret,
    admin: invite.adminFingerprint,
    invite: invite.inviteSecret,
  });
  // The room's name comes with its roster.
  const id = invite.room.toHex();
  const known = maker.profile?.store.profile.rooms.find(({ roomId }) => roomId === id);
  return { id, name: known?.name ?? "new room" };
}

/** Prepares to ask for admission to an open room. */
export async function prepareOpen(maker: RoomMaker, name: string): Promise<PreparedRoom> {
  const { room, secret } = openRoom(maker.relay, name);
  await addMember(maker, room, {
    ...remembered(maker.profile ?? null, room),
    secret,
    invite: null,
  });
  return { id: room.toHex(), name };
}

/** Prepares to enter a room again that a profile remembers. */
export async function prepareReturn(
  maker: RoomMaker,
  saved: SavedClientRoom,
): Promise<PreparedRoom> {
  const { room, name, pins } = returnPlace(saved);
  await addMember(maker, room, { ...pins, invite: null });
  return { id: room.toHex(), name };
}

async function addMember(maker: RoomMaker, room: RoomId, pins: RoomPins): Promise<void> {
  const { own, random, generation } = maker;
  maker.ring.add(
    new MemberKeys(room, own, await generateSigningKey(), random, pins, generation),
  );
}

/** What the admin's step knows of a room from before. */
export interface AdministeredRoom extends PreparedRoom {
  readonly kept: {
    readonly invites: readonly InviteRecord[];
    readonly barred: readonly string[];
    readonly known: readonly string[];
    readonly deputies: readonly string[];
    readonly resumed: boolean;
  };
}

const NO_EARLIER_RUNS: EarlierRuns = { formerSecrets: [], replaced: null, generations: {} };

/**
 * Prepares to run a room. With a profile it is the room of that name that the profile ran on this relay, if
 * there is one; else the profile keeps the new one from here on.
 *
 * @param open an open room: anybody who knows the relay and the name may ask for admission
 * @throws {StartError} exit code 2 if the profile is a member of it
 */
export async function prepareAdministered(
  maker: RoomMaker,
  name: string,
  open: boolean,
  server: SavedServer,
): Promise<AdministeredRoom> {
  const { profile = null } = maker;
  if (profile === null) {
    const seed = maker.random(32);
    const roomKey = await importRoomKey(seed);
    seed.fill(0);
    const { room, secret } = newRoom(maker, name, open, roomKey);
    const first = { room, name, secret, roomKey, from: null, lineage: new Lineage() };
    await addAdmin(maker, { ...first, earlier: NO_EARLIER_RUNS });
    const kept = { invites: [], barred: [], known: [], deputies: [], resumed: false };
    return { id: room.toHex(), name, kept };
  }
  const saved = ranBefore(maker.relay, profile, name, open, server) ??
    await newSavedRoom(maker, profile, name, open, server);
  const { host, port } = saved.server;
  if (host !== server.host || port !== server.port) {
    // The same relay, by its key, at another address.
    await profile.store.update((p) => ({
      ...p,
      rooms: p.rooms.map((r) => r.roomId === saved.roomId ? { ...r, server } : r),
    }));
  }
  return await prepareAgain(maker, saved);
}

async function prepareAgain(maker: RoomMaker, saved: SavedAdminRoom): Promise<AdministeredRoom> {
  const seed = fromHex(saved.roomKeySeed);
  const roomKey = await importRoomKey(seed);
  seed.fill(0);
  const { room, name } = returnPlace(saved);
  const from = lastEpoch(saved);
  const keys = await addAdmin(maker, {
    room,
    name,
    secret: roomSecret(fromHex(saved.roomSecret)),
    roomKey,
    from,
    lineage: savedLineage(saved, room),
    earlier: {
      formerSecrets: (saved.formerSecrets ?? []).map((former) => roomSecret(fromHex(former))),
      replaced: saved.secretReplaced ?? null,
      generations: saved.generations ?? {},
      ownEpochs: (saved.ownEpochs ?? []).map((own) => ({ ...own, h: epochHash(fromHex(own.h)) })),
    },
  });
  for (const invite of saved.invites) {
    const secret = inviteSecret(fromHex(invite.secret));
    keys.keepInvite(inviteIdOf(secret), secret, roomSecret(fromHex(invite.roomSecret)));
  }
  const { barred, known, deputies = [] } = saved;
  const invites = saved.invites.map(({ id, usesLeft, shared, expires, revoked }) => ({
    id,
    usesLeft,
    shared,
    expiresAt: Date.parse(expires),
    revoked,
  }));
  const kept = { invites, barred, known, deputies, resumed: from !== null };
  return { id: saved.roomId, name, kept };
}

/** By which statements we became the admin. @throws {Error} if the profile has others */
function savedLineage(saved: SavedAdminRoom, room: RoomId): Lineage {
  const lineage = new Lineage();
  for (const hex of saved.lineage ?? []) {
    const step = decode(SUCCESSION, fromHex(hex), "succession");
    checkSuccession(step, room);
    lineage.add(step);
  }
  return lineage;
}

function ranBefore(
  relay: RelayKey,
  profile: SessionProfile,
  name: string,
  open: boolean,
  server: SavedServer,
): SavedAdminRoom | undefined {
  // An open room is named by the relay's key: under another key it is another room.
  const openId = open ? openRoom(relay, name).room.toHex() : null;
  return profile.store.profile.rooms.filter((room) => room.role === "admin").find((room) =>
    room.name === name && room.server.pin === server.pin &&
    (openId === null ? !isOpenRoom(returnPlace(room).room) : room.roomId === openId)
  );
}

async function newSavedRoom(
  maker: RoomMaker,
  profile: SessionProfile,
  name: string,
  open: boolean,
  server: SavedServer,
): Promise<SavedAdminRoom> {
  const seed = maker.random(32);
  const roomKey = await importRoomKey(seed);
  const { room, secret } = newRoom(maker, name, open, roomKey);
  const roomId = room.toHex();
  if (profile.store.profile.rooms.some((saved) => saved.roomId === roomId)) {
    throw new StartError(
      "usage",
      EXIT.usage,
      `the profile ${profile.name} is a member of the open room ${name} of this relay, whose admin is somebody ` +
        "else: choose another name with --room",
    );
  }
  const saved: SavedAdminRoom = {
    role: "admin",
    name,
    roomId,
    server,
    adminIdentity: profile.identity.publicKey.toHex(),
    roomSecret: secret.toHex(),
    highestEpoch: 0,
    highestHash: new Uint8Array(32).toHex(),
    roomKeySeed: seed.toHex(),
    invites: [],
    barred: [],
    known: [],
    ...(open ? { openRoomKey: roomKey.publicKey.toHex() } : {}),
  };
  seed.fill(0);
  await profile.store.update((p) => ({ ...p, rooms: [...p.rooms, saved] }));
  return saved;
}

function newRoom(
  maker: RoomMaker,
  name: string,
  open: boolean,
  roomKey: SigningKey,
): { room: RoomId; secret: RoomSecret } {
  if (open) return openRoom(maker.relay, name);
  return {
    room: keyedRoomId(sha256(roomKey.publicKey)),
    secret: roomSecret(maker.random(32)),
  };
}

async function addAdmin(
  maker: RoomMaker,
  { room, name, secret, roomKey, from, lineage, earlier }: {
    readonly room: RoomId;
    readonly name: string;
    readonly secret: RoomSecret;
    readonly roomKey: RoomKeyPair;
    readonly from: ReturnType<typeof lastEpoch>;
    readonly lineage: Lineage;
    readonly earlier: EarlierRuns;
  },
): Promise<AdminKeys> {
  const { own, random, generation } = maker;
  const keys = new AdminKeys(room, secret, own, await generateSigningKey(), random, {
    name,
    roomKey,
    generation,
    from,
    lineage,
    earlier,
  });
  maker.ring.add(keys);
  return keys;
}

function openRoom(relay: RelayKey, name: string): { room: RoomId; secret: RoomSecret } {
  const room = openRoomId(sha256(openRoomIdInput(relay, name.normalize("NFKC"))));
  return {
    room,
    secret: roomSecret(derive(openSecretMaterial(relay, room), openSecretInfo(), 32)),
  };
}
