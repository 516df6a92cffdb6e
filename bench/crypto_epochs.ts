/** New epochs and joining, by the keys' own code: what the admin makes, what a member and a newcomer accept. */
import type { MemberKeys } from "../src/crypto/member_keys.ts";
import { generateSigningKey, type SigningKey } from "../src/crypto/session_keys.ts";
import { handle } from "../src/wire/ids.ts";
import type { Person } from "../tests/support/room_story.ts";
import { BenchRoom } from "./crypto_room.ts";
import {
  deriveChain,
  kemTimes,
  makeKemPair,
  openings,
  rsaTimes,
  signTimes,
  verifyTimes,
  type WrapPairs,
} from "./crypto_primitives.ts";
import { type Cost, cost, longestBlock, median, medianCost } from "./measure.ts";

/** A cost, and that of its primitives alone. */
export interface Compared {
  readonly ours: Cost;
  readonly primitives: Cost;
}

/** Everything about an epoch of so many members beside the admin. */
export interface EpochFigures {
  readonly members: number;
  /** The admin makes a commit and all that is to be sent with it. */
  readonly make: Compared;
  /** The longest that nothing else could run meanwhile, milliseconds. */
  readonly makeBlock: number;
  /** A member takes its wrap and the commit. */
  readonly accept: Compared;
  readonly acceptBlock: number;
  /** A newcomer takes its welcome. */
  readonly welcome: Compared;
  readonly welcomeBlock: number;
  readonly welcomeBytes: number;
  readonly commitBytes: number;
}

/** Measures epochs for so many members; all that is compared takes turns. */
export async function measureEpochs(
  members: number,
  rounds: number,
  pairs: WrapPairs,
): Promise<EpochFigures> {
  const room = await BenchRoom.found();
  const count = Math.min(members, rounds);
  await room.growTo(members + 1 - count);
  const persons: Person[] = [];
  for (let i = 0; i < count; i++) persons.push(await room.story.person(`newcomer ${i}`));
  const published = await room.admit(persons);
  const welcomeBytes = Math.max(
    ...persons.map((person) => room.payloadFor(published, person).length),
  );
  const key = await generateSigningKey();
  const { wrap: open } = await openings(pairs);
  const welcome = new Samples();
  for (const person of persons) {
    const payload = room.payloadFor(published, person);
    await welcome.add(() => takesSealed(person.keys, payload), async () => {
      await open();
      verifyTimes(key.privateKey, key.publicKey, members + 2);
      deriveChains(members + 1);
    });
  }
  const [member] = persons;
  if (member === undefined) throw new RangeError("an epoch has at least one member");
  const make = new Samples();
  const accept = new Samples();
  let commitBytes = 0;
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    let epoch = published;
    await make.add(
      async () => {
        epoch = await room.rekey();
      },
      () => commitPrimitives(members, pairs, key),
    );
    commitBytes = epoch.broadcast.length;
    await accept.add(async () => {
      await takesSealed(member.keys, room.payloadFor(epoch, member));
      await takesSealed(member.keys, epoch.broadcast);
    }, async () => {
      await open();
      verifyTimes(key.privateKey, key.publicKey, 1);
      deriveChains(members + 1);
    });
    for (const keys of [room.story.admin, member.keys]) keys.dropPrevious();
  }
  return {
    members,
    make: make.result(1),
    makeBlock: make.block(1),
    accept: accept.result(1),
    acceptBlock: accept.block(1),
    welcome: welcome.result(0),
    welcomeBlock: welcome.block(0),
    welcomeBytes,
    commitBytes,
  };
}

/** Knocking until the admin has a verified bundle, both halves. */
export async function measureHandshake(rounds: number, pairs: WrapPairs): Promise<Compared> {
  const { story } = await BenchRoom.found();
  const key = await generateSigningKey();
  const samples = new Samples();
  const { bundle: open } = await openings(pairs);
  for (let round = 0; round <= rounds; round++) {
    const person = await story.person(`guest ${round}`);
    await samples.add(async () => {
      await story.knocks(person);
    }, async () => {
      // The admin's one-use key and the joiner's own; BUNDLE is sealed to the first; HELLO and CERT.
      await makeKemPair();
      await makeKemPair();
      await kemTimes(pairs, 1);
      await open();
      signTimes(key.privateKey, 2);
      verifyTimes(key.privateKey, key.publicKey, 2);
    });
  }
  return samples.result(1);
}

/** One RSA-OAEP, one ML-KEM and one ticket's signature for each member, and the commit's own signature. */
async function commitPrimitives(
  members: number,
  pairs: WrapPairs,
  key: SigningKey,
): Promise<void> {
  await rsaTimes(pairs, members);
  await kemTimes(pairs, members);
  signTimes(key.privateKey, members + 1);
}

function deriveChains(count: number): void {
  const secret = new Uint8Array(32);
  for (let i = 0; i < count; i++) deriveChain(secret);
}

/** Opens what the room secret sealed and takes it, as the inbound stage does. */
async function takesSealed(keys: MemberKeys, payload: Uint8Array<ArrayBuffer>): Promise<void> {
  const opened = keys.open(payload);
  if (opened.kind !== "sealed") throw new Error(`opened as ${opened.kind}`);
  const { message } = opened;
  if (message.kind === "welcome") await keys.takeWelcome(message.content);
  else if (message.kind === "commit") await keys.takeCommit(message.content);
  else if (message.kind === "wrap") {
    keys.takeWrap(message.content, handle(new Uint8Array(16).fill(1)));
  } else throw new Error(`a ${message.kind} came`);
}

class Samples {
  readonly #ours: Cost[] = [];
  readonly #primitives: Cost[] = [];
  readonly #blocks: number[] = [];

  async add(ours: () => Promise<void>, primitives: () => Promise<void>): Promise<void> {
    this.#blocks.push(
      await longestBlock(async () => {
        this.#ours.push(await cost(ours));
      }),
    );
    this.#primitives.push(await cost(primitives));
  }

  result(warmUp: number): Compared {
    return {
      ours: medianCost(this.#ours.slice(warmUp)),
      primitives: medianCost(this.#primitives.slice(warmUp)),
    };
  }

  block(warmUp: number): number {
    return median(this.#blocks.slice(warmUp));
  }
}
