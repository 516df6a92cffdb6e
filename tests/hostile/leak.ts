/**
 * Keys of participants who cheat: the program's own classes, which also remember what the program drops. So an
 * enemy has everything that its device ever held, which is more than any honest one has.
 */
import type { AdminKeys } from "../../src/crypto/admin_keys.ts";
import type { WrapKeys } from "../../src/crypto/make_commit.ts";
import type { MemberKeys } from "../../src/crypto/member_keys.ts";
import type { Roster } from "../../src/crypto/roster.ts";
import type { SigningKey } from "../../src/crypto/session_keys.ts";
import type {
  Epoch,
  EpochHash,
  Handle,
  IdentityKey,
  KemKey,
  Leaf,
  RoomSecret,
} from "../../src/wire/ids.ts";
import type { Bundle } from "../../src/wire/handshake.ts";
import type { KemUpdate } from "../../src/wire/commit.ts";
import type { Signed } from "../../src/wire/signed.ts";
import type { Bytes } from "../../src/wire/codec.ts";
import type { House } from "./house.ts";

/** One epoch, with the secret from which everything in it follows. */
export interface LeakedEpoch {
  readonly epoch: Epoch;
  readonly h: EpochHash;
  readonly roster: Roster;
  readonly myLeaf: Leaf;
  /** S */
  readonly secret: Bytes;
}

/** What a cheating device remembers. */
export class Leak {
  readonly epochs: LeakedEpoch[] = [];
  readonly roomSecrets: RoomSecret[] = [];
  /** How often this device decided to follow a successor. */
  followed = 0;
  /** New ML-KEM keys that it began to make: that takes real time. */
  readonly newKeys: Promise<unknown>[] = [];

  /** The newest epoch. */
  get last(): LeakedEpoch {
    const last = this.epochs.at(-1);
    if (last === undefined) throw new RangeError("this device was in no epoch");
    return last;
  }

  /** The newest room secret. */
  get roomSecret(): RoomSecret {
    const last = this.roomSecrets.at(-1);
    if (last === undefined) throw new RangeError("this device knows no room secret");
    return last;
  }
}

/** Keys that leak. */
export interface Leaking {
  readonly leak: Leak;
}

/** A cheating admin also remembers everybody's public wrap keys. */
export interface LeakingAdmin extends Leaking {
  readonly wrapKeysOf: Map<string, WrapKeys>;
}

/** Makes a member's keys that leak; `keeps` them when it is told to forget, as no honest device does. */
export function leakyMember(
  house: House,
  args: ConstructorParameters<House["MemberKeys"]>,
  keeps: boolean,
): MemberKeys & Leaking {
  class LeakyMember extends house.MemberKeys implements Leaking {
    readonly leak = new Leak();
    protected override beginEpoch(
      epoch: Epoch,
      h: EpochHash,
      roster: Roster,
      myLeaf: Leaf,
      secret: Bytes,
      newRoomSecret: RoomSecret | undefined,
    ) {
      this.leak.epochs.push({ epoch, h, roster, myLeaf, secret: secret.slice() });
      if (newRoomSecret !== undefined) this.leak.roomSecrets.push(newRoomSecret);
      return super.beginEpoch(epoch, h, roster, myLeaf, secret, newRoomSecret);
    }
    override acceptSuccession(leaf: number): void {
      this.leak.followed++;
      super.acceptSuccession(leaf);
    }
    override makeKemUpdate() {
      const made = super.makeKemUpdate();
      this.leak.newKeys.push(made.catch(() => {}));
      return made;
    }
    override wipe(): void {
      if (!keeps) super.wipe();
    }
  }
  const keys = new LeakyMember(...args);
  keys.leak.roomSecrets.push(args[4].secret);
  return keys;
}

/** Makes an admin's keys that leak. */
export function leakyAdmin(
  house: House,
  args: ConstructorParameters<House["AdminKeys"]>,
): AdminKeys & LeakingAdmin {
  class LeakyAdmin extends house.AdminKeys implements LeakingAdmin {
    readonly leak = new Leak();
    readonly wrapKeysOf = new Map<string, WrapKeys>();
    protected override beginEpoch(
      epoch: Epoch,
      h: EpochHash,
      roster: Roster,
      myLeaf: Leaf,
      secret: Bytes,
      newRoomSecret: RoomSecret | undefined,
    ) {
      this.leak.epochs.push({ epoch, h, roster, myLeaf, secret: secret.slice() });
      if (newRoomSecret !== undefined) this.leak.roomSecrets.push(newRoomSecret);
      return super.beginEpoch(epoch, h, roster, myLeaf, secret, newRoomSecret);
    }
    override async takeBundle(handle: Handle, bundle: Bundle, now: number) {
      const taken = await super.takeBundle(handle, bundle, now);
      const { member, wrapKeys } = taken.opened;
      this.wrapKeysOf.set(member.value.identity.toHex(), wrapKeys);
      return taken;
    }
    override takeKemUpdate(update: Signed<KemUpdate>, now: number): boolean {
      const taken = super.takeKemUpdate(update, now);
      if (taken) this.#remember(update.value.leaf, update.value.kemKey);
      return taken;
    }
    #remember(leaf: number, kem: KemKey): void {
      const identity: IdentityKey | undefined = this.current?.roster
        .find((m) => m.leaf === leaf)?.value.identity;
      const keys = identity && this.wrapKeysOf.get(identity.toHex());
      if (identity && keys) this.wrapKeysOf.set(identity.toHex(), { ...keys, kem });
    }
  }
  const keys = new LeakyAdmin(...args);
  keys.leak.roomSecrets.push(args[1]);
  return keys;
}

/** What `leakAll` has gathered, by house and by the identity whose device it is. */
const gathered = new WeakMap<House, WeakMap<SigningKey, Leak>>();

/**
 * From here on every device of a house remembers the secrets of its epochs, also the keys that the program makes for
 * itself when it joins anew, takes over or is started again.
 *
 * @returns what a device has held, by its identity
 */
export function leakAll(house: House): WeakMap<SigningKey, Leak> {
  const known = gathered.get(house);
  if (known !== undefined) return known;
  const leaks = new WeakMap<SigningKey, Leak>();
  gathered.set(house, leaks);
  // What both kinds of keys have in common, and no subclass can reach in keys that others make.
  const common: { beginEpoch: BeginEpoch } = Object.getPrototypeOf(house.MemberKeys.prototype);
  const begin = common.beginEpoch;
  common.beginEpoch = function (epoch, h, roster, myLeaf, secret, newRoomSecret) {
    const leak = leaks.get(this.own.identity) ?? new Leak();
    leaks.set(this.own.identity, leak);
    leak.epochs.push({ epoch, h, roster, myLeaf, secret: secret.slice() });
    leak.roomSecrets.push(this.secret);
    const begun = begin.call(this, epoch, h, roster, myLeaf, secret, newRoomSecret);
    leak.roomSecrets.push(this.secret);
    return begun;
  };
  return leaks;
}

type BeginEpoch = (
  this: MemberKeys | AdminKeys,
  epoch: Epoch,
  h: EpochHash,
  roster: Roster,
  myLeaf: Leaf,
  secret: Bytes,
  newRoomSecret: RoomSecret | undefined,
) => unknown;
