/**
 * A hostile insider: a member like all others, with a program of its own making. It has every key that a member
 * has, S of its epochs included, so it can seal boxes that open in anybody's name; only signatures it has not.
 */
import type { SigningKey } from "../../src/crypto/session_keys.ts";
import { systemRandom } from "../../src/crypto/primitives.ts";
import { type Leaf, messageId, type RoomId } from "../../src/wire/ids.ts";
import type { Bytes } from "../../src/wire/codec.ts";
import type { SealedContents, SealedKind } from "../../src/wire/sealed_message.ts";
import type { House } from "./house.ts";
import type { LeakedEpoch, Leaking } from "./leak.ts";
import type { AdminActor, MemberActor, World } from "./world.ts";

/** Anybody. */
export type AnyActor = MemberActor | AdminActor;

/** The leaf of somebody in the newest epoch that these keys know. */
export function leafOf({ leak }: Leaking, name: string): Leaf {
  const leaf = leak.last.roster.find(({ value }) => value.name === name)?.leaf;
  if (leaf === undefined) throw new RangeError(`${name} is not in the roster`);
  return leaf;
}

/**
 * Seals a text in the name of a leaf: the box is right, whoever signs it.
 *
 * @param n its number in that leaf's chain
 * @returns a payload
 */
export function sealAs(
  house: House,
  room: RoomId,
  { leak }: Leaking,
  at: { readonly leaf: Leaf; readonly n: number; readonly epoch?: LeakedEpoch },
  text: string,
  signer: SigningKey,
): Bytes {
  const { epoch, h, roster, secret } = at.epoch ?? leak.last;
  const keys = new house.EpochKeys({ room, epoch, h }, roster, at.leaf, secret.slice());
  for (let n = 0; n < at.n; n++) keys.seal(n, { kind: "leave" }, signer.privateKey);
  const message = { kind: "text", id: messageId(systemRandom(16)), sentAt: 0, text } as const;
  const { header, body } = keys.seal(at.n, message, signer.privateKey);
  return new house.OuterSeal(room, leak.roomSecret).payload(header, body);
}

/** How many messages somebody has sent in its epoch. */
export function sentBy(actor: AnyActor): number {
  return actor.keys.current?.sent.count ?? 0;
}

/** Seals one thing of the handshake or of the epochs, as everybody with the room secret can. */
export function sealed<K extends SealedKind>(
  house: House,
  actor: AnyActor,
  kind: K,
  content: SealedContents[K],
): Bytes {
  const { room, leak } = actor.keys;
  return new house.OuterSeal(room, leak.roomSecret).seal(kind, content, systemRandom);
}

/** Sends a payload to everybody, over the honest half of the relay. */
export function broadcasts(world: World, who: AnyActor, payload: Bytes): void {
  world.relay.sendAs(who.name, {
    kind: "broadcast",
    room: who.keys.room,
    from: who.handle,
    payload,
  });
}

/** Sends a payload to one, over the honest half of the relay. */
export function whispers(world: World, who: AnyActor, to: AnyActor, payload: Bytes): void {
  world.relay.sendAs(who.name, {
    kind: "direct",
    room: who.keys.room,
    from: who.handle,
    to: to.handle,
    payload,
  });
}

/** The relay itself says that somebody sent a payload to one. */
export function claims(world: World, who: AnyActor, to: AnyActor, payload: Bytes): void {
  world.relay.inject(to.name, {
    kind: "broadcast",
    room: to.keys.room,
    from: who.handle,
    payload,
  });
}
