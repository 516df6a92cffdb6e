/**
 * The table of attacks on src/crypto: each forges exactly what one check of PROTOCOL §5 to §8 is there for, and is run
 * on the program as it is and on a copy without that check. See `patched_copy.ts`.
 */
import {
  CHANGE,
  type Change,
  KEM_ACK_BODY,
  KEM_UPDATE_BODY,
  ROSTER,
} from "../../src/wire/commit.ts";
import {
  bundleKeyInfo,
  epochSecretInfo,
  messageAad,
  messageSignedBody,
  outerKeyInfo,
  rosterKeyInfo,
  senderChainInfo,
  welcomeKeyInfo,
} from "../../src/wire/contexts.ts";
import {
  type Bundle,
  BUNDLE_INNER,
  type BundleInner,
  type Hello,
  HELLO_BODY,
} from "../../src/wire/handshake.ts";
import {
  epoch,
  epochHash,
  gateKey,
  generation,
  hash,
  identityKey,
  inviteSecret,
  joinNonce,
  type KemKey,
  kemKey,
  leaf,
  messageId,
  NO_INVITE,
  roomId,
  roomKey,
  roomSecret,
  signature,
  ticketBytes,
} from "../../src/wire/ids.ts";
import { encode } from "../../src/wire/codec.ts";
import { decodePadded, encodePadded } from "../../src/wire/padding.ts";
import { splitPayload } from "../../src/wire/payload.ts";
import {
  encodeMessagePlaintext,
  encodeRoomMessage,
  type RoomMessage,
} from "../../src/wire/room_message.ts";
import { encodeSealedMessage, type SealedContents } from "../../src/wire/sealed_message.ts";
import { type Signed, signedOf } from "../../src/wire/signed.ts";
import {
  type Bytes,
  concat,
  derive,
  gcmOpen,
  gcmSeal,
  hkdf,
  sha256,
  sign,
  systemRandom,
} from "../../src/crypto/primitives.ts";
import { inviteIdOf, makeCert, makeHello } from "../../src/crypto/join.ts";
import { generateKemKeyPair, kemEncapsulate } from "../../src/crypto/ml_kem.ts";
import { rosterHash } from "../../src/crypto/roster.ts";
import { safetyCode } from "../../src/crypto/safety_code.ts";
import { SendingChain } from "../../src/crypto/sender_chain.ts";
import { generateSigningKey, type SigningKey } from "../../src/crypto/session_keys.ts";
import {
  type HandmadeCommit,
  handmadeCommit,
  type HandmadeMember,
  type HandmadePlan,
} from "./handmade_commit.ts";
import type { Patch } from "./patched_copy.ts";
import { codeOf, type Person, type Program, Story, textOf } from "./room_story.ts";
import { pooledSessionKeys } from "./session_pool.ts";

/** One attack. */
export interface CryptoAttack {
  /** What is tried, and by whom. */
  readonly name: string;
  /** What comes of it: a code, or what was read. */
  readonly expected: string;
  /** What comes of it without the defence; the same for attacks that two defences stand against. */
  readonly bites: string;
  /** Takes the defence out; `null` where there is no single one. */
  readonly patch: Omit<Patch, "name"> | null;
  readonly run: (program: Program) => Promise<string>;
}

/** The code of what was thrown, with " fatal" where the room cannot go on; else what `attempt` says. */
async function outcome(attempt: () => Promise<string>): Promise<string> {
  try {
    return await attempt();
  } catch (error) {
    const fatal = error instanceof Error && "fatal" in error && error.fatal === true;
    return codeOf(error) + (fatal ? " fatal" : "");
  }
}

const ACCEPTED = "accepted";

// ---- HELLO

/** A joiner gets a HELLO that somebody who has the room secret made. */
function hello(
  forge: (real: Hello, admin: SigningKey, eve: SigningKey, story: Story) => Signed<Hello>,
) {
  return (program: Program): Promise<string> =>
    outcome(async () => {
      const story = await Story.found({ program });
      const ada = await story.person("ada");
      const eve = await generateSigningKey();
      const { publicKey } = await generateKemKeyPair();
      const admin = story.admin.own.identity;
      const na = joinNonce(systemRandom(32));
      const real = makeHello(story.room, admin, story.admin.runId, na, publicKey).value;
      ada.keys.takeHello(forge(real, admin, eve, story));
      return ACCEPTED;
    });
}

function signedHello(value: Hello, by: SigningKey): Signed<Hello> {
  const body = encode(HELLO_BODY, value);
  return signedOf(HELLO_BODY, value, signature(sign(by.privateKey, "hello", body)));
}

// ---- BUNDLE

interface BundleFacts {
  readonly story: Story;
  readonly ada: Person;
  readonly hello: Hello;
  /** As ada would make it. */
  readonly plan: Parameters<typeof makeCert>[0];
  readonly inner: (over?: Partial<BundleInner>) => BundleInner;
  readonly seal: (inner: BundleInner, over?: { na?: Hello["na"] }) => Promise<Bundle>;
  readonly program: Program;
}

/** ada has a HELLO; `forge` brings bundles to the admin and says what the last came to. */
function bundle(forge: (facts: BundleFacts) => Promise<string>) {
  return (program: Program): Promise<string> =>
    outcome(async () => {
      const story = await Story.found({ program });
      const { facts } = await greeted(story, program);
      return await forge(facts);
    });
}

async function greeted(story: Story, program: Program): Promise<{ facts: BundleFacts }> {
  const ada = await story.person("ada");
  let taken: Hello | undefined;
  const real = ada.keys.takeHello.bind(ada.keys);
  ada.keys.takeHello = (signed) => {
    taken = signed.value;
    return real(signed);
  };
  await story.greets(ada);
  const hello = taken;
  if (hello === undefined) throw new Error("no HELLO came");
  const kem = (await generateKemKeyPair()).publicKey;
  const plan = {
    room: story.room,
    admin: hello.admin,
    na: hello.na,
    identity: ada.identity,
    generation: generation(ada.generation),
    sessionPublic: ada.session.signing.publicKey,
    gateKey: ada.keys.gateKey,
    rsaSpki: ada.session.rsaSpki,
    kemKey: kem,
    name: ada.name,
  };
  const cert = makeCert(plan);
  const inner = (over: Partial<BundleInner> = {}): BundleInner => ({
    cert,
    rsaSpki: plan.rsaSpki,
    kemKey: kem,
    inviteId: NO_INVITE,
    mac: new Uint8Array(32),
    ...over,
  });
  const seal = async (i: BundleInner, over: { na?: Hello["na"] } = {}): Promise<Bundle> => {
    const na = over.na ?? hello.na;
    const { ciphertext, shared } = await kemEncapsulate(hello.kemKey);
    const key = hkdf(shared, sha256(ciphertext), bundleKeyInfo(story.room, na), 32);
    return { na, ciphertext, box: gcmSeal(key, story.room, encode(BUNDLE_INNER, i)) };
  };
  return { facts: { story, ada, hello, plan, inner, seal, program } };
}

async function takes(
  { story, ada }: BundleFacts,
  made: Bundle,
  from = ada.handle,
): Promise<string> {
  await story.admin.takeBundle(from, made, story.nowMs);
  return ACCEPTED;
}

/** A bundle with a CERT of other content, well signed. */
function badCert(over: (facts: BundleFacts) => Partial<BundleFacts["plan"]>) {
  return bundle(async (facts) => {
    const cert = makeCert({ ...facts.plan, ...over(facts) });
    return await takes(facts, await facts.seal(facts.inner({ cert })));
  });
}

// ---- COMMIT

interface CommitFacts {
  readonly story: Story;
  readonly ada: Person;
  readonly bob: Person;
  readonly eve: SigningKey;
  readonly base: HandmadePlan;
  /** CHANGE that does nothing. */
  readonly change: Change;
  /** A newcomer's CERT. */
  readonly cert: (over?: Partial<Parameters<typeof makeCert>[0]>) => Bytes;
  readonly program: Program;
}

async function roomOfThree(program: Program): Promise<CommitFacts> {
  const story = await Story.found({ program });
  const [ada, bob] = await story.join(["ada", "bob"]);
  if (ada === undefined || bob === undefined) throw new Error("they did not join");
  const eve = await generateSigningKey();
  const [session] = await pooledSessionKeys(1);
  if (session === undefined) throw new Error("no session keys");
  const { place, roster } = story.epochOf("admin");
  const admin = identityKey(story.admin.own.identity.publicKey);
  const change: Change = {
    reason: "rekey",
    adminLeaf: leaf(0),
    deputies: [],
    roomName: "the room",
    newRoomSecret: undefined,
    added: [],
    removed: [],
  };
  const members = [ada, bob].map((person): HandmadeMember => {
    const member = roster.find(({ value }) => value.name === person.name);
    const kem = story.kemKeys.get(person.handle.toHex());
    if (member === undefined || kem === undefined) throw new Error("no member");
    return { leaf: member.leaf, cert: member.cert, rsaSpki: person.session.rsaSpki, kem };
  });
  const base: HandmadePlan = {
    room: story.room,
    admin,
    signer: story.admin.own.identity,
    runId: story.admin.runId,
    epoch: epoch(place.epoch + 1),
    prev: place.h,
    secret: systemRandom(32),
    change,
    leaves: roster.map(({ leaf, via, cert }) => ({ leaf, via, cert })),
    roomSecret: story.secret,
    members,
    random: systemRandom,
  };
  const cert: CommitFacts["cert"] = (over = {}) =>
    makeCert({
      room: story.room,
      admin,
      na: joinNonce(systemRandom(32)),
      identity: eve,
      generation: generation(1_900_000_000_000),
      sessionPublic: session.signing.publicKey,
      gateKey: gateKey(session.signing.publicKey),
      rsaSpki: session.rsaSpki,
      kemKey: kemKey(new Uint8Array(1184)),
      name: "cyd",
      ...over,
    });
  return { story, ada, bob, eve, base, change, cert, program };
}

function sealed<K extends keyof SealedContents>(
  { story, program }: { story: Story; program: Program },
  kind: K,
  content: SealedContents[K],
): Bytes {
  return new program.OuterSeal(story.room, story.secret).seal(kind, content, systemRandom);
}

/** Gives ada a wrap and a commit, as the relay would. */
async function deliver(
  facts: CommitFacts,
  made: HandmadeCommit,
  wrap = made.wraps.get(leaf(1))?.wrap,
): Promise<string> {
  const { story, ada } = facts;
  const before = story.epochOf("ada").place.epoch;
  if (wrap !== undefined) {
    const ticket = ticketBytes(new Uint8Array(184));
    const message = { epoch: made.value.epoch, wrap, ticket };
    await story.takes(ada, sealed(facts, "wrap", message));
  }
  const { value, body, commit } = made;
  const signed = { value, body, signature: signature(commit.subarray(-64)) };
  await story.takes(ada, sealed(facts, "commit", signed));
  return story.epochOf("ada").place.epoch > before ? ACCEPTED : "no effect";
}

/** The admin, or whoever `over` names as signer, sends ada a commit that should not be. */
function commit(over: (facts: CommitFacts) => Partial<HandmadePlan>) {
  return (program: Program): Promise<string> =>
    outcome(async () => {
      const facts = await roomOfThree(program);
      return await deliver(facts, handmadeCommit({ ...facts.base, ...over(facts) }));
    });
}

/** One is added; `number` is its leaf. */
function adding(over: (facts: CommitFacts) => { cert: Bytes; number?: number }) {
  return commit((facts) => {
    const { cert, number = 3 } = over(facts);
    const added = [{ leaf: leaf(number), via: "invite" as const, cert }];
    const change = { ...facts.change, reason: "join" as const, added };
    return { change, leaves: [...facts.base.leaves, ...added] };
  });
}

// ---- WELCOME

interface WelcomeFacts extends CommitFacts {
  readonly cyd: Person;
  readonly made: HandmadeCommit;
  readonly welcome: SealedContents["welcome"];
}

/** cyd has sent its bundle; `forge` changes the WELCOME that it gets. */
function welcome(
  forge: (facts: WelcomeFacts) => Partial<SealedContents["welcome"]>,
  options: { highestEpoch?: number; plan?: (facts: CommitFacts) => Partial<HandmadePlan> } = {},
) {
  return (program: Program): Promise<string> =>
    outcome(async () => {
      const facts = await welcomed(program, options);
      const { story, cyd } = facts;
      const changed = { ...facts.welcome, ...forge(facts) };
      await story.takes(cyd, sealed(facts, "welcome", changed));
      return ACCEPTED;
    });
}

async function welcomed(
  program: Program,
  options: { highestEpoch?: number; plan?: (facts: CommitFacts) => Partial<HandmadePlan> },
): Promise<WelcomeFacts> {
  const facts = await roomOfThree(program);
  const { story } = facts;
  const cyd = await story.person("cyd", { pins: { highestEpoch: options.highestEpoch ?? 0 } });
  let cert: Bytes | undefined;
  const real = story.admin.takeBundle.bind(story.admin);
  story.admin.takeBundle = async (...args) => {
    const taken = await real(...args);
    cert = taken.opened.member.cert;
    return taken;
  };
  await story.knocks(cyd);
  const kem = story.kemKeys.get(cyd.handle.toHex());
  if (cert === undefined || kem === undefined) throw new Error("no bundle came");
  const added = [{ leaf: leaf(3), via: "approved" as const, cert }];
  const member = { leaf: leaf(3), cert, rsaSpki: cyd.session.rsaSpki, kem };
  const made = handmadeCommit({
    ...facts.base,
    change: { ...facts.change, reason: "join", added },
    leaves: [...facts.base.leaves, ...added],
    members: [...facts.base.members, member],
    ...options.plan?.(facts),
  });
  const wrap = made.wraps.get(leaf(3))?.wrap;
  if (wrap === undefined) throw new Error("no wrap was made");
  return {
    ...facts,
    cyd,
    made,
    welcome: {
      commit: made.commit,
      wrap,
      ticket: ticketBytes(new Uint8Array(184)),
      roomKey: story.admin.roomKey,
      rosterBox: made.welcomeBox,
    },
  };
}

// ---- messages

interface Forgery {
  readonly leaf: number;
  readonly n: number;
  readonly signer: SigningKey;
  readonly message: RoomMessage | { readonly type: number; readonly content: Bytes };
  /** Last hand on the plaintext. */
  readonly edit?: (plaintext: Bytes) => Bytes;
  /** Takes a plaintext as it is. */
  readonly plaintext?: Bytes;
}

/** S of the epoch that everybody is in: an insider has had it. */
function secretOf(story: Story): Bytes {
  const { place, roster, safetyCode: code } = story.epochOf("admin");
  const found = story.drawn.find((bytes) =>
    safetyCode(hkdf(bytes, place.h, epochSecretInfo(), 32), rosterHash(roster)) === code
  );
  if (found === undefined) throw new Error("S was not drawn");
  return found;
}

function chainOf(story: Story, of: number): SendingChain {
  const { place } = story.epochOf("admin");
  const es = hkdf(secretOf(story), place.h, epochSecretInfo(), 32);
  return new SendingChain(derive(es, senderChainInfo(place.h, leaf(of)), 32));
}

function keyAt(story: Story, of: number, n: number): { key: Bytes; nonce: Bytes } {
  const chain = chainOf(story, of);
  for (let i = 0; i < n; i++) chain.use(i, () => {});
  return chain.use(n, ({ key, nonce }) => ({ key: key.slice(), nonce: nonce.slice() }));
}

/** A payload as an insider can make it: valid mask and box, whatever is inside. */
function forge({ story, program }: CommitFacts, forgery: Forgery): Bytes {
  const { place } = story.epochOf("admin");
  const at = { ...place, leaf: leaf(forgery.leaf), n: forgery.n };
  const aad = messageAad(at);
  const { message } = forgery;
  const { type, content } = "kind" in message ? encodeRoomMessage(message) : message;
  const signed = sign(forgery.signer.privateKey, "msg", messageSignedBody(aad, type, content));
  const plain = forgery.plaintext ??
    encodeMessagePlaintext({ type, content, signature: signature(signed) });
  const { key, nonce } = keyAt(story, forgery.leaf, forgery.n);
  const body = gcmSeal(key, aad, forgery.edit?.(plain) ?? plain, nonce);
  const header = { kind: "message" as const, epoch: at.epoch, leaf: at.leaf, n: at.n };
  return new program.OuterSeal(story.room, story.secret).payload(header, body);
}

const text = (words: string): RoomMessage => ({
  kind: "text",
  id: messageId(systemRandom(16)),
  sentAt: 0,
  text: words,
});

/** Gives bob a payload; ada and the admin are its possible authors. */
function message(attack: (facts: CommitFacts) => Promise<Bytes> | Bytes) {
  return (program: Program): Promise<string> =>
    outcome(async () => {
      const facts = await roomOfThree(program);
      const taken = await facts.story.takes(facts.bob, await attack(facts));
      const forked = taken.kind === "message" && "result" in taken &&
        taken.result.kind === "opened" && taken.result.fork;
      return textOf(taken) + (forked ? " fork" : "");
    });
}

// ---- KEM_UPDATE and KEM_ACK

function kemUpdate(
  facts: CommitFacts,
  over: { by?: SigningKey; leaf?: number; h?: Bytes; key?: KemKey },
): string {
  const { story, ada } = facts;
  const value = {
    room: story.room,
    leaf: leaf(over.leaf ?? 1),
    h: epochHash(over.h ?? story.epochOf("admin").place.h),
    kemKey: over.key ?? facts.base.members[1]?.kem ?? kemKey(new Uint8Array(1184)),
  };
  const body = encode(KEM_UPDATE_BODY, value);
  const by = over.by ?? ada.session.signing;
  const signed = signature(sign(by.privateKey, "kem", body));
  return story.admin.takeKemUpdate(signedOf(KEM_UPDATE_BODY, value, signed), story.nowMs)
    ? ACCEPTED
    : "ignored";
}

function kem(attack: (facts: CommitFacts) => Promise<string> | string) {
  return (program: Program): Promise<string> =>
    outcome(async () => await attack(await roomOfThree(program)));
}

function kemAck(facts: CommitFacts, by: SigningKey, to = 1): string {
  const { story, ada } = facts;
  const value = {
    room: story.room,
    leaf: leaf(to),
    h: story.epochOf("ada").place.h,
    kemKeyHash: hash(systemRandom(32)),
  };
  const body = encode(KEM_ACK_BODY, value);
  const signed = signature(sign(by.privateKey, "kem-ack", body));
  ada.keys.takeKemAck(signedOf(KEM_ACK_BODY, value, signed));
  return ACCEPTED;
}

const join = "src/crypto/join.ts";
const accept = "src/crypto/accept_commit.ts";
const member = "src/crypto/member_keys.ts";
const admin = "src/crypto/admin_keys.ts";
const roster = "src/crypto/roster.ts";
const epochKeys = "src/crypto/epoch_keys.ts";

/** Takes a condition out: what it guards never happens. */
function never(file: string, condition: string): Omit<Patch, "name"> {
  return { file, from: condition, to: "if (false)" };
}

const otherRoom = (): ReturnType<typeof roomId> => roomId(systemRandom(16).with(0, 1));
const smallOrder = new Uint8Array(32).with(0, 1);

/** Every attack. */
export const CRYPTO_ATTACKS: readonly CryptoAttack[] = [
  // ---- §6, HELLO
  {
    name: "a HELLO by another admin than the invite's",
    expected: "bad-structure",
    bites: ACCEPTED,
    patch: never(join, "if (expected !== null && !sameBytes(found, expected))"),
    run: hello((real, _admin, eve) =>
      signedHello({ ...real, admin: identityKey(eve.publicKey) }, eve)
    ),
  },
  {
    name: "a HELLO whose one-use key was swapped by somebody with the room secret",
    expected: "bad-signature",
    bites: ACCEPTED,
    patch: never(join, 'if (!verifyRaw(value.admin, "hello", body, signature))'),
    run: hello((real, _admin, eve) => signedHello(real, eve)),
  },
  {
    name: "a HELLO of another room of the same admin",
    expected: "bad-structure",
    bites: ACCEPTED,
    patch: never(join, "if (!sameBytes(value.room, room))"),
    run: hello((real, admin) => signedHello({ ...real, room: otherRoom() }, admin)),
  },
  {
    name: "a HELLO with an ML-KEM key that fails the modulus check",
    expected: "bad-key",
    bites: ACCEPTED,
    patch: { file: join, from: "checkKemKey(value.kemKey);", to: "" },
    run: hello((real, admin) =>
      signedHello({ ...real, kemKey: kemKey(new Uint8Array(1184).fill(0xff)) }, admin)
    ),
  },
  {
    name: "a HELLO of an admin that speaks no version of ours",
    expected: "bad-structure",
    bites: ACCEPTED,
    patch: never(
      join,
      "if (value.minVersion > VERSIONS.maxVersion || value.maxVersion < VERSIONS.minVersion)",
    ),
    run: hello((real, admin) => signedHello({ ...real, minVersion: 2, maxVersion: 3 }, admin)),
  },

  // ---- §6, BUNDLE
  {
    name: "a bundle from another handle than was greeted",
    expected: "no-key",
    bites: ACCEPTED,
    patch: { file: admin, from: " || !sameBytes(greeting.handle, handle)", to: "" },
    run: bundle(async (facts) => {
      const eve = await facts.story.person("eve");
      return await takes(facts, await facts.seal(facts.inner()), eve.handle);
    }),
  },
  {
    name: "a second bundle for one HELLO",
    expected: "no-key",
    bites: ACCEPTED,
    patch: { file: admin, from: "this.#greetings.delete(bundle.na.toHex());", to: "" },
    run: bundle(async (facts) => {
      await takes(facts, await facts.seal(facts.inner()));
      const again = { ...facts.plan, generation: generation(facts.plan.generation + 1) };
      return await takes(facts, await facts.seal(facts.inner({ cert: makeCert(again) })));
    }),
  },
  {
    name: "a bundle after its HELLO's 60 seconds",
    expected: "no-key",
    bites: ACCEPTED,
    patch: {
      file: admin,
      from: "greeting === undefined || greeting.expiresAt <= now ||",
      to: "greeting === undefined ||",
    },
    run: bundle(async (facts) => {
      facts.story.nowMs += 60_000;
      return await takes(facts, await facts.seal(facts.inner()));
    }),
  },
  {
    name: "an old bundle, sealed again for another HELLO",
    expected: "bad-structure",
    bites: ACCEPTED,
    patch: never(join, "if (!sameBytes(member.value.na, bundle.na))"),
    run: badCert(() => ({ na: joinNonce(systemRandom(32)) })),
  },
  {
    name: "a bundle whose box was changed on the way",
    expected: "open-failed",
    bites: "bad-signature",
    patch: {
      file: "src/crypto/primitives.ts",
      from:
        'throw new CryptoError("open-failed", "the authentication tag does not hold", { cause });',
      to: "void cause;",
    },
    run: bundle(async (facts) => {
      const { box, ...rest } = await facts.seal(facts.inner());
      return await takes(facts, { ...rest, box: box.with(125, (box[125] ?? 0) ^ 1) });
    }),
  },
  {
    name: "a bundle with another's RSA key",
    expected: "bad-structure",
    bites: ACCEPTED,
    patch: never(
      join,
      "if (!sameBytes(member.value.wrapHash, wrapHashOf(inner.rsaSpki, inner.kemKey)))",
    ),
    run: bundle(async (facts) => {
      const own = facts.story.admin.own.session.rsaSpki;
      const other = own.with(200, (own[200] ?? 0) ^ 1);
      return await takes(facts, await facts.seal(facts.inner({ rsaSpki: other })));
    }),
  },
  {
    name: "a bundle with a CERT for another room",
    expected: "bad-structure",
    bites: ACCEPTED,
    patch: { file: roster, from: "!sameBytes(value.room, room) || ", to: "" },
    run: badCert(() => ({ room: otherRoom() })),
  },
  {
    name: "a bundle with a CERT for another admin",
    expected: "bad-structure",
    bites: ACCEPTED,
    patch: { file: roster, from: " || !isOfAdmin", to: "" },
    run: badCert(({ ada }) => ({ admin: identityKey(ada.identity.publicKey) })),
  },
  {
    name: "a bundle with a CERT in another's name, signed by oneself",
    expected: "bad-signature",
    bites: ACCEPTED,
    patch: never(roster, 'if (!verifyRaw(value.identity, "cert", body, signature))'),
    run: bundle(async (facts) => {
      const eve = await generateSigningKey();
      const body = facts.inner().cert.slice(0, -64);
      const cert = concat(body, sign(eve.privateKey, "cert", body));
      return await takes(facts, await facts.seal(facts.inner({ cert })));
    }),
  },
  {
    name: "a bundle with a g that was accepted before",
    expected: "bad-structure",
    bites: ACCEPTED,
    patch: never(
      join,
      "if (member.value.generation <= highestGeneration(member.value.identity))",
    ),
    run: bundle(async (facts) => {
      await takes(facts, await facts.seal(facts.inner()));
      const { story, ada, program } = facts;
      await story.greets(ada);
      const again = await greeted(story, program);
      const cert = makeCert({
        ...again.facts.plan,
        identity: ada.identity,
        generation: facts.plan.generation,
      });
      return await takes(again.facts, await again.facts.seal(again.facts.inner({ cert })));
    }),
  },
  {
    name: "a bundle with the MAC of somebody who has not the invite",
    expected: "open-failed",
    bites: ACCEPTED,
    patch: {
      file: join,
      from: "secret !== undefined && !sameSecret(inviteMac(secret, inner.cert), inner.mac)",
      to: "false",
    },
    run: bundle(async (facts) => {
      const invite = facts.story.admin.makeInvite();
      const inner = facts.inner({ inviteId: inviteIdOf(invite.secret) });
      return await takes(facts, await facts.seal(inner));
    }),
  },
  {
    name: "a bundle with an invite that the admin does not know",
    expected: "by no invite",
    bites: "by an invite",
    patch: {
      file: join,
      from: 'invite = secret === undefined ? "unknown" : inner.inviteId;',
      to: "invite = inner.inviteId;",
    },
    run: bundle(async (facts) => {
      const { story, ada } = facts;
      const inner = facts.inner({ inviteId: inviteIdOf(inviteSecret(systemRandom(16))) });
      const made = await facts.seal(inner);
      const { opened } = await story.admin.takeBundle(ada.handle, made, story.nowMs);
      return opened.invite === "unknown" ? "by no invite" : "by an invite";
    }),
  },
  {
    name: "a bundle with an RSA key whose exponent is not 65537",
    expected: "bad-key",
    bites: ACCEPTED,
    patch: never("src/crypto/session_keys.ts", "if (!wellFormed)"),
    run: bundle(async (facts) => {
      const rsaSpki = facts.plan.rsaSpki.with(421, 3);
      const cert = makeCert({ ...facts.plan, rsaSpki });
      return await takes(facts, await facts.seal(facts.inner({ cert, rsaSpki })));
    }),
  },
  {
    name: "a bundle with an ML-KEM key to which nothing can be wrapped",
    expected: "bad-key",
    bites: ACCEPTED,
    patch: { file: join, from: "checkKemKey(inner.kemKey);", to: "" },
    run: bundle(async (facts) => {
      const bad = kemKey(new Uint8Array(1184).fill(0xff));
      const cert = makeCert({ ...facts.plan, kemKey: bad });
      return await takes(facts, await facts.seal(facts.inner({ cert, kemKey: bad })));
    }),
  },
  {
    name: "a bundle with a small-order session key, under which everybody can sign",
    expected: "bad-key",
    bites: ACCEPTED,
    patch: never("src/crypto/primitives.ts", "if (!isPublicKeyForm(raw))"),
    run: badCert(() => ({ sessionPublic: smallOrder })),
  },
  {
    name: "a name that differs from a member's in case only, at the admin",
    expected: "bad-structure",
    bites: ACCEPTED,
    patch: never(roster, "if (names.size < roster.length)"),
    run: (program) =>
      outcome(async () => {
        const story = await Story.found({ program });
        await story.join(["ada"]);
        await story.join(["ADA"]);
        return ACCEPTED;
      }),
  },
  {
    name: "a DENIED by somebody else than the admin",
    expected: "null",
    bites: "denied",
    patch: { file: member, from: "return holds ? code : null;", to: "return code;" },
    run: bundle(async ({ ada, story, program }) => {
      const eve = await generateSigningKey();
      const denied = {
        code: "denied" as const,
        signature: signature(sign(eve.privateKey, "deny", systemRandom(49))),
      };
      const taken = await story.takes(ada, sealed({ story, program }, "denied", denied));
      return String("value" in taken ? taken.value : taken.kind);
    }),
  },

  // ---- §7, COMMIT
  {
    name: "a commit that a member signed",
    expected: "bad-commit",
    bites: ACCEPTED,
    patch: never(accept, 'if (!verifyRaw(acceptor.admin, "commit", body, signature))'),
    run: commit(({ bob }) => ({ signer: bob.identity })),
  },
  {
    name: "the admin's commit for another room",
    expected: "bad-commit",
    bites: ACCEPTED,
    patch: never(accept, "if (!sameBytes(value.room, acceptor.room))"),
    run: commit(() => ({ room: otherRoom() })),
  },
  {
    name: "a commit that does not follow our epoch's hash",
    expected: "fork fatal",
    bites: ACCEPTED,
    patch: never(accept, "if (!sameBytes(commit.prev, here.h))"),
    run: commit(() => ({ prev: epochHash(systemRandom(32)) })),
  },
  {
    name: "a commit one epoch too far, the one between withheld",
    expected: "rollback",
    bites: ACCEPTED,
    patch: never(accept, "if (commit.epoch !== here.next)"),
    run: commit(({ base }) => ({ epoch: epoch(base.epoch + 1) })),
  },
  {
    name: "a second, different commit for the epoch that we are in",
    expected: "fork",
    bites: "no effect",
    patch: {
      file: member,
      from: "    throw new Fork(",
      to: "    return;\n    throw new Fork(",
    },
    run: commit(({ base }) => ({ epoch: epoch(base.epoch - 1) })),
  },
  {
    name: "a commit in which none of our tags is listed",
    expected: "removed",
    bites: "removed",
    patch: null,
    run: commit(({ base }) => ({ members: base.members.slice(1) })),
  },
  {
    name: "another's wrap in place of ours: nothing unauthentic reaches RSA, and the room goes on",
    expected: "no-wrap",
    bites: "bad-commit fatal",
    patch: {
      file: accept,
      from: "wraps.find((bytes) => sameBytes(hash(sha256(bytes)), entry.wrapHash))",
      to: "wraps[0]",
    },
    run: (program) =>
      outcome(async () => {
        const facts = await roomOfThree(program);
        const made = handmadeCommit(facts.base);
        return await deliver(facts, made, made.wraps.get(leaf(2))?.wrap);
      }),
  },
  {
    name: "a wrap of another S than the commit confirms",
    expected: "bad-commit fatal",
    bites: ACCEPTED,
    patch: never(accept, "if (!sameSecret(kc, commit.kc))"),
    run: commit(() => ({ edit: (body) => ({ ...body, kc: hash(systemRandom(32)) }) })),
  },
  {
    name: "a wrap whose r is not 32 bytes",
    expected: "bad-commit fatal",
    bites: ACCEPTED,
    patch: never("src/crypto/wrap.ts", "if (r.length !== 32)"),
    run: commit(() => ({ r: systemRandom(31) })),
  },
  {
    name: "a commit that confirms another roster than it changes to",
    expected: "bad-commit fatal",
    bites: ACCEPTED,
    patch: never(accept, "if (!sameSecret(expected, commit.rosterKc))"),
    run: commit(({ base }) => ({ leaves: base.leaves.slice(0, 2) })),
  },
  {
    name: "an added CERT that its identity did not sign",
    expected: "bad-commit fatal",
    bites: ACCEPTED,
    patch: never(roster, 'if (!verifyRaw(value.identity, "cert", body, signature))'),
    run: adding(({ cert }) => {
      const made = cert();
      return { cert: made.with(made.length - 1, (made[made.length - 1] ?? 0) ^ 1) };
    }),
  },
  {
    name: "an added CERT of another room",
    expected: "bad-commit fatal",
    bites: ACCEPTED,
    patch: { file: roster, from: "!sameBytes(value.room, room) || ", to: "" },
    run: adding(({ cert }) => ({ cert: cert({ room: otherRoom() }) })),
  },
  {
    name: "a second leaf for an identity that has one",
    expected: "bad-commit fatal",
    bites: ACCEPTED,
    patch: never(roster, "if (identities.size < roster.length)"),
    run: adding(({ cert, bob }) => ({ cert: cert({ identity: bob.identity }) })),
  },
  {
    name: "a name that a member has already",
    expected: "bad-commit fatal",
    bites: ACCEPTED,
    patch: never(roster, "if (names.size < roster.length)"),
    run: adding(({ cert }) => ({ cert: cert({ name: "Bób" }) })),
  },
  {
    name: "a leaf number that was used before",
    expected: "bad-commit fatal",
    bites: ACCEPTED,
    patch: never(roster, "if (first !== undefined && first.leaf < nextLeaf)"),
    run: commit(({ base, change, cert }) => {
      const added = [{ leaf: leaf(2), via: "invite" as const, cert: cert() }];
      const gone = {
        leaf: leaf(2),
        reason: "gone" as const,
        count: 0,
        hash: hash(new Uint8Array(32)),
        earlier: [],
      };
      return {
        change: { ...change, added, removed: [gone] },
        leaves: [...base.leaves.slice(0, 2), ...added],
      };
    }),
  },
  {
    name: "the removal of a leaf that is not there",
    expected: "bad-commit fatal",
    bites: ACCEPTED,
    patch: never(
      roster,
      "if (removed.has(leaf) || !roster.some((member) => member.leaf === leaf))",
    ),
    run: commit(({ change }) => {
      const gone = {
        leaf: leaf(7),
        reason: "gone" as const,
        count: 0,
        hash: hash(new Uint8Array(32)),
        earlier: [],
      };
      return { change: { ...change, removed: [gone] } };
    }),
  },
  {
    name: "an admin's leaf that is somebody else's",
    expected: "bad-commit fatal",
    bites: ACCEPTED,
    patch: never(
      accept,
      "if (admin === undefined || !sameBytes(admin.value.identity, acceptor.admin))",
    ),
    run: commit(({ change }) => ({ change: { ...change, adminLeaf: leaf(2) } })),
  },
  {
    name: "a CHANGE whose padding is not zero",
    expected: "bad-commit fatal",
    bites: ACCEPTED,
    patch: {
      file: "src/wire/padding.ts",
      from: "r.zeros(paddedSize(r.offset) - r.offset);",
      to: "r.take(paddedSize(r.offset) - r.offset);",
    },
    run: commit(() => ({ editChange: (plain) => plain.with(plain.length - 1, 1) })),
  },

  // ---- §7, WELCOME
  {
    name: "a WELCOME to an epoch that we have been in",
    expected: "rollback fatal",
    bites: ACCEPTED,
    patch: never(accept, "if (commit.epoch < minEpoch)"),
    run: welcome(() => ({}), { highestEpoch: 3 }),
  },
  {
    name: "a WELCOME with another room's key",
    expected: "bad-commit fatal",
    bites: ACCEPTED,
    patch: never(member, "if (!fits)"),
    run: welcome(() => ({ roomKey: roomKey(systemRandom(32)) })),
  },
  {
    name: "a WELCOME in which a member, who knows S, swapped the roster",
    expected: "bad-commit fatal",
    bites: ACCEPTED,
    patch: never(accept, "if (!sameSecret(expected, commit.rosterKc))"),
    run: welcome(({ base, made, story }) => {
      const change = decodePadded(
        CHANGE,
        gcmOpen(
          derive(base.secret, rosterKeyInfo(story.room, base.epoch), 32),
          story.room,
          made.value.rosterBox,
        ),
      );
      const leaves = [...base.leaves.slice(0, 2), ...change.added];
      const key = derive(base.secret, welcomeKeyInfo(story.room, base.epoch), 32);
      const swapped = encodePadded(ROSTER, { roomSecret: story.secret, leaves });
      return { rosterBox: gcmSeal(key, sha256(made.body), swapped) };
    }),
  },
  {
    name: "a WELCOME whose commit a member signed",
    expected: "bad-commit",
    bites: ACCEPTED,
    patch: never(accept, 'if (!verifyRaw(acceptor.admin, "commit", body, signature))'),
    run: welcome(() => ({}), { plan: ({ bob }) => ({ signer: bob.identity }) }),
  },
  {
    name: "a WELCOME with a roster that has not our CERT",
    expected: "bad-commit fatal",
    bites: ACCEPTED,
    patch: {
      file: accept,
      from: "roster.find(({ certHash }) => sameBytes(certHash, acceptor.certHash))",
      to: "roster[0]",
    },
    run: welcome(() => ({}), { plan: ({ base }) => ({ leaves: base.leaves }) }),
  },
  {
    name: "the WELCOME a second time: the chains would begin again, with the same nonces",
    expected: "bad-commit",
    bites: ACCEPTED,
    patch: never(member, "if (this.current !== null)"),
    run: (program) =>
      outcome(async () => {
        const facts = await welcomed(program, {});
        await facts.story.takes(facts.cyd, sealed(facts, "welcome", facts.welcome));
        await facts.story.takes(facts.cyd, sealed(facts, "welcome", facts.welcome));
        return ACCEPTED;
      }),
  },

  // ---- §7, ML-KEM keys
  {
    name: "a KEM_UPDATE for another's leaf",
    expected: "bad-signature",
    bites: ACCEPTED,
    patch: never(admin, 'if (!verify(member.verifyKey, "kem", body, signature))'),
    run: kem((facts) => kemUpdate(facts, { leaf: 2 })),
  },
  {
    name: "a KEM_UPDATE of an epoch before, replayed",
    expected: "ignored",
    bites: ACCEPTED,
    patch: { file: admin, from: " || !sameBytes(value.h, current.place.h)", to: "" },
    run: kem((facts) => kemUpdate(facts, { h: systemRandom(32) })),
  },
  {
    name: "a KEM_UPDATE with a key that would make every later commit fail",
    expected: "bad-key",
    bites: ACCEPTED,
    patch: { file: admin, from: "checkKemKey(value.kemKey);", to: "" },
    run: kem((facts) => kemUpdate(facts, { key: kemKey(new Uint8Array(1184).fill(0xff)) })),
  },
  {
    name: "a KEM_UPDATE of a leaf that is not there",
    expected: "no-key",
    bites: "no-key",
    patch: null,
    run: kem((facts) => kemUpdate(facts, { leaf: 9 })),
  },
  {
    name: "a KEM_ACK that a member made",
    expected: "bad-signature",
    bites: ACCEPTED,
    patch: never(
      member,
      'if (this.#admin === null || !verifyRaw(this.#admin, "kem-ack", body, signature))',
    ),
    run: kem((facts) => kemAck(facts, facts.bob.identity)),
  },
  {
    name: "a KEM_ACK for another leaf",
    expected: "bad-structure",
    bites: ACCEPTED,
    patch: never(
      member,
      "if (!sameBytes(value.room, this.room) || value.leaf !== this.current?.myLeaf)",
    ),
    run: kem((facts) => kemAck(facts, facts.story.admin.own.identity, 2)),
  },

  // ---- §8, messages
  {
    name: "a member's message in another member's name: valid box, own signature",
    expected: "refused: bad-signature",
    bites: "ada said so",
    patch: never(epochKeys, "if (!ed25519Verify(from.verifyKey, signed, signature))"),
    run: message((facts) =>
      forge(facts, {
        leaf: 1,
        n: 0,
        signer: facts.bob.session.signing,
        message: text("ada said so"),
      })
    ),
  },
  {
    name: "the admin's message in a member's name",
    expected: "refused: bad-signature",
    bites: "ada said so",
    patch: never(epochKeys, "if (!ed25519Verify(from.verifyKey, signed, signature))"),
    run: message((facts) =>
      forge(facts, {
        leaf: 1,
        n: 0,
        signer: facts.story.admin.own.session.signing,
        message: text("ada said so"),
      })
    ),
  },
  {
    name: "a member's message, opened by an insider and sealed again as its next",
    expected: "refused: bad-signature",
    bites: "once",
    patch: {
      file: "src/wire/message_input.ts",
      from: "return this.#buffer.subarray(0, end)",
      to: "return this.#buffer.subarray(this.#typeAt, end)",
    },
    run: message(async (facts) => {
      const { story, bob } = facts;
      const payload = story.seals("ada", story.text("once"));
      const { body } = splitPayload(payload);
      const { place } = story.epochOf("admin");
      const { key, nonce } = keyAt(story, 1, 0);
      const plaintext = gcmOpen(key, messageAad({ ...place, leaf: leaf(1), n: 0 }), body, nonce);
      await story.takes(bob, payload);
      return forge(facts, {
        leaf: 1,
        n: 1,
        signer: bob.session.signing,
        message: text(""),
        plaintext,
      });
    }),
  },
  {
    name: "a message at a number that is spent",
    expected: "refused: replay",
    bites: "refused: replay",
    patch: null,
    run: message(async (facts) => {
      await facts.story.takes(facts.bob, facts.story.seals("ada", facts.story.text("first")));
      return forge(facts, {
        leaf: 1,
        n: 0,
        signer: facts.ada.session.signing,
        message: text("second"),
      });
    }),
  },
  {
    name: "the same message a second time",
    expected: "nothing",
    bites: "nothing",
    patch: null,
    run: message(async ({ story, bob }) => {
      const payload = story.seals("ada", story.text("once"));
      await story.takes(bob, payload);
      return payload;
    }),
  },
  {
    name: "a message of the epoch before under this epoch's number",
    expected: "refused: bad-message",
    bites: "refused: bad-message",
    patch: null,
    run: message(async ({ story, program }) => {
      const { body } = splitPayload(story.seals("ada", story.text("old")));
      await story.rekey();
      const { epoch: now } = story.epochOf("admin").place;
      const header = { kind: "message", epoch: now, leaf: leaf(1), n: 0 } as const;
      return new program.OuterSeal(story.room, story.secret).payload(header, body);
    }),
  },
  {
    name: "a message under another's leaf",
    expected: "refused: bad-message",
    bites: "refused: bad-message",
    patch: null,
    run: message(({ story, program }) => {
      const { body } = splitPayload(story.seals("ada", story.text("mine")));
      const { epoch: now } = story.epochOf("admin").place;
      const header = { kind: "message", epoch: now, leaf: leaf(0), n: 0 } as const;
      return new program.OuterSeal(story.room, story.secret).payload(header, body);
    }),
  },
  {
    name: "a message of a leaf that is not in the roster",
    expected: "refused: unknown-sender",
    bites: "refused: unknown-sender",
    patch: null,
    run: message(({ story, program }) => {
      const { epoch: now } = story.epochOf("admin").place;
      const header = { kind: "message", epoch: now, leaf: leaf(9), n: 0 } as const;
      return new program.OuterSeal(story.room, story.secret).payload(header, systemRandom(300));
    }),
  },
  {
    name: "a message whose padding is not zero",
    expected: "refused: bad-message",
    bites: "hidden",
    patch: {
      file: "src/wire/padding.ts",
      from: "r.zeros(paddedSize(r.offset) - r.offset);",
      to: "r.take(paddedSize(r.offset) - r.offset);",
    },
    run: message((facts) =>
      forge(facts, {
        leaf: 1,
        n: 0,
        signer: facts.ada.session.signing,
        message: text("hidden"),
        edit: (plain) => plain.with(plain.length - 1, 1),
      })
    ),
  },
  {
    name: "a message padded to the next size",
    expected: "refused: bad-message",
    bites: "long",
    patch: { file: "src/wire/padding.ts", from: "  r.end();\n", to: "" },
    run: message((facts) =>
      forge(facts, {
        leaf: 1,
        n: 0,
        signer: facts.ada.session.signing,
        message: text("long"),
        edit: (plain) => concat(plain, new Uint8Array(256)),
      })
    ),
  },
  {
    name: "a message 65,536 ahead",
    expected: "refused: too-far",
    bites: "far",
    patch: never("src/crypto/sender_chain.ts", "if (n - this.#next >= MAX_AHEAD)"),
    run: message((facts) =>
      forge(facts, {
        leaf: 1,
        n: 65_536,
        signer: facts.ada.session.signing,
        message: text("far"),
      })
    ),
  },
  {
    name: "a message of a removed member beyond those that the commit counts",
    expected: "refused: unknown-sender",
    bites: "after all",
    patch: { file: epochKeys, from: " || n >= (this.#limits.get(leaf) ?? Infinity)", to: "" },
    run: message(async (facts) => {
      const payload = facts.story.seals("ada", facts.story.text("after all"));
      await facts.story.remove("gone", "ada");
      return payload;
    }),
  },
  {
    name: "a HEARTBEAT with another hash of the sender's own messages",
    expected: "(heartbeat) fork",
    bites: "(heartbeat)",
    patch: {
      file: "src/crypto/room_keys.ts",
      from: "const misnumbered = message.kind",
      to: "const misnumbered = false && message.kind",
    },
    run: message((facts) =>
      forge(facts, {
        leaf: 1,
        n: 0,
        signer: facts.ada.session.signing,
        message: {
          kind: "heartbeat",
          count: 0,
          hash: hash(systemRandom(32)),
          digest: hash(systemRandom(32)),
        },
      })
    ),
  },
  {
    name: "a CLOSE with another hash than what came",
    expected: "(close) fork",
    bites: "(close)",
    patch: {
      file: epochKeys,
      from: "if (!sameBytes(ours, position.hash)) otherwise = true;",
      to: "",
    },
    run: message(async (facts) => {
      const { story, bob, ada } = facts;
      await story.takes(bob, story.seals("ada", story.text("one")));
      const before = story.epochOf("admin").place.epoch;
      await story.rekey();
      return forge(facts, {
        leaf: 1,
        n: 0,
        signer: ada.session.signing,
        message: { kind: "close", epoch: before, count: 1, hash: hash(systemRandom(32)) },
      });
    }),
  },
  {
    name: "a message that comes after the CLOSE that counts it, with another hash",
    expected: "late 1 fork",
    bites: "late 1",
    patch: {
      file: "src/crypto/room_keys.ts",
      from: "const fork = keys.isOtherwise(leaf);",
      to: "const fork = false;",
    },
    run: message(async (facts) => {
      const { story, bob, ada } = facts;
      const late = story.seals("ada", story.text("late 1"));
      const before = story.epochOf("admin").place.epoch;
      await story.rekey();
      const close = forge(facts, {
        leaf: 1,
        n: 0,
        signer: ada.session.signing,
        message: { kind: "close", epoch: before, count: 1, hash: hash(systemRandom(32)) },
      });
      await story.takes(bob, close);
      return late;
    }),
  },

  // ---- §5
  {
    name: "a stranger's payload",
    expected: "unreadable",
    bites: "unreadable",
    patch: null,
    run: message(({ story, program }) => {
      const secret = roomSecret(systemRandom(32));
      const seal = new program.OuterSeal(story.room, secret);
      return seal.seal("knock", { minVersion: 1, maxVersion: 1 }, systemRandom);
    }),
  },
  {
    name: "a KNOCK in the direction that only the admin speaks in",
    expected: "bad-value",
    bites: "knock",
    patch: never("src/wire/sealed_message.ts", "if (row.direction !== direction)"),
    run: message(({ story, program }) => {
      const salt = systemRandom(32);
      const key = hkdf(story.secret, salt, outerKeyInfo("from-admin"), 32);
      const plain = encodeSealedMessage("knock", { minVersion: 1, maxVersion: 1 });
      const body = concat(salt, gcmSeal(key, story.room, plain));
      return new program.OuterSeal(story.room, story.secret).payload({ kind: "sealed" }, body);
    }),
  },
];
