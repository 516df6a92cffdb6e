/** What a session keeps in a profile. Each call is one durable change of the file. */
import { MAX_FORK_LETTERS, MAX_FORKS } from "../store/profile.ts";
import type { Profile, SavedClientRoom, SavedRoom, SavedServer } from "../store/profile.ts";
import type { ProfileStore } from "../store/profile_store.ts";
import { fromHex, roomId } from "../wire/ids.ts";
import { isOpenRoom } from "../wire/room_id.ts";
import type {
  KeptCommit,
  KeptInvite,
  KeptMembership,
  KeptSuccession,
  SessionStore,
} from "./ports.ts";

/**
 * The store of a session with a profile.
 *
 * @param server the relay of this session, as it is pinned now
 */
export function profileSessionStore(
  store: ProfileStore,
  server: () => SavedServer,
): SessionStore {
  return {
    saveMembership: (membership) =>
      store.update((profile) => withMembership(profile, membership, server())),
    saveSuccession: (succession) =>
      store.update((profile) => withSuccession(profile, succession, server())),
    saveCommit: (commit) => store.update((profile) => withCommit(profile, commit)),
    saveInvites: (room, invites) =>
      store.update((profile) =>
        changeRoom(profile, room, (saved) => {
          if (saved.role !== "admin") throw notOurs(room);
          return { ...saved, invites: invites.map(savedInvite) };
        })
      ),
    saveVerified: (identities) =>
      store.update((profile) => ({
        ...profile,
        verified: [...new Set([...profile.verified, ...identities])],
      })),
    saveFork: (roomId, { admin, commits }) =>
      store.update((profile) => {
        const { forks = [], rooms } = profile;
        const room = rooms.find((saved) => saved.roomId === roomId)?.name ?? roomId;
        // What was found first is not pushed out by what somebody signs to push it out.
        const letters = [...forks, { commits }].flatMap((fork) => fork.commits).join("").length;
        if (forks.length >= MAX_FORKS || letters > MAX_FORK_LETTERS) return profile;
        return { ...profile, forks: [...forks, { room, roomId, admin, commits }] };
      }),
  };
}

function withMembership(
  profile: Profile,
  membership: KeptMembership,
  server: SavedServer,
): Profile {
  const { room, name, deputies } = membership;
  const place = { ...placeOf(membership, server), deputies };
  if (profile.rooms.some((saved) => saved.roomId === room)) {
    return changeRoom(profile, room, (saved) =>
      saved.role === "client"
        ? { ...saved, ...place }
        // Somebody has taken over from us: the room key and the invites are theirs to use.
        : { role: "client", name: saved.name, roomId: room, ...place });
  }
  const added: SavedClientRoom = {
    role: "client",
    name: freeName(profile, name),
    roomId: room,
    ...place,
  };
  return { ...profile, rooms: [...profile.rooms, added] };
}

function placeOf(
  kept: KeptMembership | KeptSuccession,
  server: SavedServer,
) {
  const { room, epoch, h, admin, roomKey, roomSecret } = kept;
  return {
    server,
    adminIdentity: admin,
    roomSecret,
    highestEpoch: epoch,
    highestHash: h,
    ...(isOpenRoom(roomId(fromHex(room))) ? { openRoomKey: roomKey } : {}),
  };
}

/** A member's record becomes an admin's. */
function withSuccession(
  profile: Profile,
  succession: KeptSuccession,
  server: SavedServer,
): Profile {
  const { room, roomKeySeed, lineage } = succession;
  return changeRoom(profile, room, (saved) => ({
    role: "admin",
    name: saved.name,
    roomId: room,
    ...placeOf(succession, server),
    roomKeySeed,
    invites: [],
    barred: [],
    known: [],
    lineage,
  }));
}

/** `--room` finds a room by its name. */
function freeName(profile: Profile, wanted: string): string {
  let name = wanted;
  const taken = (): boolean =>
    profile.rooms.some((room) => room.role === "client" && room.name === name);
  for (let i = 2; taken(); i++) name = `${wanted}-${i}`;
  return name;
}

function withCommit(profile: Profile, commit: KeptCommit): Profile {
  return changeRoom(profile, commit.room, (saved) => {
    if (saved.role !== "admin") throw notOurs(commit.room);
    if (commit.epoch <= saved.highestEpoch) {
      throw new RangeError(`epoch ${commit.epoch} was signed before: a second one would be a fork`);
    }
    return {
      ...saved,
      highestEpoch: commit.epoch,
      highestHash: commit.h,
      roomSecret: commit.roomSecret,
      formerSecrets: commit.formerSecrets,
      ownEpochs: commit.ownEpochs,
      ...(commit.secretReplacedAt === null
        ? {}
        : { secretReplaced: { epoch: commit.epoch, at: commit.secretReplacedAt } }),
      generations: commit.generations,
      invites: commit.invites.map(savedInvite),
      barred: commit.barred,
      known: commit.known,
      deputies: commit.deputies,
    };
  });
}

function savedInvite(invite: KeptInvite) {
  const { id, secret, usesLeft, expiresAt, shared, roomSecret, revoked } = invite;
  const expires = new Date(expiresAt).toISOString();
  return { id, secret, usesLeft, expires, shared, roomSecret, revoked };
}

function changeRoom(
  profile: Profile,
  room: string,
  change: (saved: SavedRoom) => SavedRoom,
): Profile {
  if (!profile.rooms.some((saved) => saved.roomId === room)) throw notOurs(room);
  return {
    ...profile,
    rooms: profile.rooms.map((saved) => saved.roomId === room ? change(saved) : saved),
  };
}

function notOurs(room: string): RangeError {
  return new RangeError(`this profile does not administer room ${room}`);
}
