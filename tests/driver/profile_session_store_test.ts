import { nextGeneration } from "../../src/crypto/join.ts";
import assert from "node:assert/strict";
import { join } from "node:path";
import type { KeptCommit } from "../../src/driver/ports.ts";
import { profileSessionStore } from "../../src/driver/profile_session_store.ts";
import { takeGeneration } from "../../src/driver/session_profile.ts";
import { plainSealer } from "../../src/store/plain_sealer.ts";
import type { Profile } from "../../src/store/profile.ts";
import { createProfile, openProfile, type ProfileStore } from "../../src/store/profile_store.ts";
import { sampleProfile } from "../support/sample_profile.ts";
import { withFolder } from "../support/temporary_folder.ts";

const hex = (digits: string, bytes: number): string => digits.repeat(bytes);
const SERVER = { host: "127.0.0.1", port: 5000, pin: hex("a1", 32) };
const MEMBER = hex("01", 16);
const ADMINISTERED = hex("02", 16);

const COMMIT: KeptCommit = {
  room: ADMINISTERED,
  epoch: 5,
  h: hex("55", 32),
  roomSecret: hex("66", 32),
  formerSecrets: [hex("c3", 32)],
  ownEpochs: [{ epoch: 5, h: hex("55", 32), deputies: [hex("aa", 32)] }],
  secretReplacedAt: 1_700_000_000_001,
  generations: { [hex("aa", 32)]: 1_700_000_000_000 },
  invites: [{
    id: hex("77", 8),
    secret: hex("88", 16),
    usesLeft: 2,
    shared: true,
    expiresAt: Date.UTC(2031, 0, 2),
    revoked: false,
    roomSecret: hex("c3", 32),
  }],
  barred: [hex("99", 32)],
  known: [hex("aa", 32)],
  deputies: [hex("bb", 32)],
};

const MEMBERSHIP = {
  room: MEMBER,
  name: "main",
  epoch: 5,
  h: hex("55", 32),
  admin: hex("b2", 32),
  roomKey: hex("f6", 32),
  roomSecret: hex("66", 32),
  deputies: [hex("cc", 32)],
};

/** The sample profile, open; `onDisk` reads it as the next process will. */
async function withProfile(
  use: (store: ProfileStore, onDisk: () => Promise<Profile>, folder: string) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const path = join(folder, "profiles", "owl.stm");
    const copy = join(folder, "copy.stm");
    await using store = await createProfile({
      path,
      sealer: plainSealer,
      profile: sampleProfile(),
    });
    await use(store, async () => {
      await Deno.copyFile(path, copy);
      await using read = await openProfile({ path: copy, sealer: plainSealer });
      return read.profile;
    }, folder);
  });
}

const roomOf = (profile: Profile, id: string) => profile.rooms.find(({ roomId }) => roomId === id);

Deno.test("a commit is on the disk, with all that belongs to it, when saveCommit() resolves", () =>
  withProfile(async (store, onDisk) => {
    await profileSessionStore(store, () => SERVER).saveCommit(COMMIT);
    const room = roomOf(await onDisk(), ADMINISTERED);
    assert.ok(room?.role === "admin");
    assert.equal(room.highestEpoch, 5);
    assert.equal(room.highestHash, COMMIT.h);
    assert.equal(room.roomSecret, COMMIT.roomSecret);
    assert.deepEqual(room.formerSecrets, COMMIT.formerSecrets);
    assert.deepEqual(room.ownEpochs, COMMIT.ownEpochs);
    assert.deepEqual(room.secretReplaced, { epoch: 5, at: 1_700_000_000_001 });
    assert.deepEqual(room.generations, COMMIT.generations);
    assert.deepEqual(room.barred, COMMIT.barred);
    assert.deepEqual(room.known, COMMIT.known);
    assert.deepEqual(room.invites, [{
      id: hex("77", 8),
      secret: hex("88", 16),
      usesLeft: 2,
      shared: true,
      expires: "2031-01-02T00:00:00.000Z",
      revoked: false,
      roomSecret: hex("c3", 32),
    }]);
  }));

Deno.test("saveCommit() never takes an epoch that was stored before, nor a room that is not ours", () =>
  withProfile(async (store, onDisk) => {
    const kept = profileSessionStore(store, () => SERVER);
    await kept.saveCommit(COMMIT);
    const before = await onDisk();
    await assert.rejects(kept.saveCommit({ ...COMMIT, h: hex("56", 32) }), /was signed before/);
    await assert.rejects(kept.saveCommit({ ...COMMIT, epoch: 4 }), /was signed before/);
    await assert.rejects(kept.saveCommit({ ...COMMIT, room: MEMBER }), /does not administer/);
    await assert.rejects(
      kept.saveCommit({ ...COMMIT, room: hex("0f", 16) }),
      /does not administer/,
    );
    assert.deepEqual(await onDisk(), before);
  }));

Deno.test("saveInvites() changes the invites and nothing else", () =>
  withProfile(async (store, onDisk) => {
    const before = roomOf(await onDisk(), ADMINISTERED);
    await profileSessionStore(store, () => SERVER).saveInvites(ADMINISTERED, []);
    assert.deepEqual(roomOf(await onDisk(), ADMINISTERED), { ...before, invites: [] });
  }));

Deno.test("saveMembership() keeps what a returner needs, of a known room and of a new one", () =>
  withProfile(async (store, onDisk) => {
    const kept = profileSessionStore(store, () => SERVER);
    await kept.saveMembership(MEMBERSHIP);
    assert.deepEqual(roomOf(await onDisk(), MEMBER), {
      role: "client",
      name: "main",
      roomId: MEMBER,
      server: SERVER,
      adminIdentity: MEMBERSHIP.admin,
      roomSecret: MEMBERSHIP.roomSecret,
      highestEpoch: 5,
      highestHash: MEMBERSHIP.h,
      deputies: MEMBERSHIP.deputies,
      openRoomKey: hex("f6", 32),
    });
    // An open room has the highest bit of its id set; only of such a one the key is remembered.
    const open = hex("81", 16);
    await kept.saveMembership({ ...MEMBERSHIP, room: open });
    const keyed = hex("03", 16);
    await kept.saveMembership({ ...MEMBERSHIP, room: keyed, name: "other" });
    const profile = await onDisk();
    assert.equal(roomOf(profile, open)?.openRoomKey, MEMBERSHIP.roomKey);
    // --room finds a room by its name.
    assert.equal(roomOf(profile, open)?.name, "main-2");
    assert.equal(roomOf(profile, keyed)?.openRoomKey, undefined);
  }));

Deno.test("saveMembership() never goes back, also where somebody has taken over from us", () =>
  withProfile(async (store, onDisk) => {
    const kept = profileSessionStore(store, () => SERVER);
    const before = await onDisk();
    await assert.rejects(kept.saveMembership({ ...MEMBERSHIP, epoch: 3 }), TypeError);
    const behind = { ...MEMBERSHIP, room: ADMINISTERED, epoch: 1 };
    await assert.rejects(kept.saveMembership(behind), TypeError);
    assert.deepEqual(await onDisk(), before);
  }));

Deno.test("saveVerified() adds to those verified before", () =>
  withProfile(async (store, onDisk) => {
    await profileSessionStore(store, () => SERVER).saveVerified([hex("e5", 32), hex("e6", 32)]);
    assert.deepEqual((await onDisk()).verified, [hex("e5", 32), hex("e6", 32)]);
  }));

Deno.test("saveFork() keeps the first eight, whatever is signed after them", () =>
  withProfile(async (store, onDisk) => {
    const kept = profileSessionStore(store, () => SERVER);
    const other = hex("99", 16);
    const fork = (i: number) => ({
      admin: hex("e7", 32),
      commits: [btoa(`one ${i}`), btoa(`two ${i}`)] as const,
    });
    await kept.saveFork(ADMINISTERED, fork(0));
    for (let i = 1; i < 10; i++) await kept.saveFork(other, fork(i));
    const { forks = [], rooms } = await onDisk();
    assert.equal(forks.length, 8);
    const { name } = rooms.find((room) => room.roomId === ADMINISTERED) ?? {};
    assert.deepEqual(forks[0], { room: name, roomId: ADMINISTERED, ...fork(0) });
    assert.deepEqual(forks[7], { room: other, roomId: other, ...fork(7) });
  }));

Deno.test("saveFork() does not let an admin who signs megabytes of nothing fill the profile", () =>
  withProfile(async (store, onDisk) => {
    const kept = profileSessionStore(store, () => SERVER);
    const large = "AAAA".repeat(350_000);
    const fork = { admin: hex("e7", 32), commits: [large, large] as const };
    for (let i = 0; i < 3; i++) await kept.saveFork(ADMINISTERED, fork);
    assert.equal((await onDisk()).forks?.length, 1);
    // What is small finds its place all the same.
    await kept.saveFork(ADMINISTERED, { ...fork, commits: [btoa("one"), btoa("two")] });
    assert.equal((await onDisk()).forks?.length, 2);
  }));

Deno.test("a generation is on the disk before it is given, and only grows, whatever the clock says", () =>
  withProfile(async (store, onDisk) => {
    const taken: number[] = [];
    for (const now of [1000, 1000, 0, 5000]) {
      taken.push(await takeGeneration(store, now));
      assert.equal((await onDisk()).generation, taken.at(-1));
    }
    assert.deepEqual(taken, [1000, 1001, 1002, 5000]);
    const both = await Promise.all([takeGeneration(store, 0), takeGeneration(store, 0)]);
    assert.deepEqual(both, [5001, 5002]);
    assert.equal(nextGeneration(0, 0), 1);
  }));

Deno.test("every save rejects when the disk fails, and nothing of it counts", () =>
  withProfile(async (store, _onDisk, folder) => {
    const kept = profileSessionStore(store, () => SERVER);
    const before = store.profile;
    await Deno.rename(join(folder, "profiles"), join(folder, "gone"));
    await Deno.writeTextFile(join(folder, "profiles"), "");
    const unwritable = { code: "unwritable" };
    await assert.rejects(kept.saveCommit(COMMIT), unwritable);
    await assert.rejects(kept.saveMembership(MEMBERSHIP), unwritable);
    await assert.rejects(kept.saveInvites(ADMINISTERED, []), unwritable);
    await assert.rejects(kept.saveVerified([hex("e6", 32)]), unwritable);
    await assert.rejects(takeGeneration(store, 1_000_000), unwritable);
    assert.equal(store.profile, before);
  }));
