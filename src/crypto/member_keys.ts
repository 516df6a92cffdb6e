import type { Bytes } from "../wire/codec.ts";
import type { Direction } from "../wire/contexts.ts";
import {
  CATCH_UP_BODY,
  type CaughtUp,
  type Commit,
  KEM_UPDATE_BODY,
  type KemAck,
  type Welcome,
  type WrapMessage,
} from "../wire/commit.ts";
import { type Denied, deniedBody, type DeniedCode, type Hello } from "../wire/handshake.ts";
import {
  type Challenge,
  type Fingerprint,
  type Generation,
  type Handle,
  type Hash,
  hash,
  type IdentityKey,
  identityKey,
  type InviteSecret,
  type Leaf,
  leaf as leafOf,
  type RelayKey,
  type RoomId,
  type RoomKey,
  type RoomSecret,
  type RunId,
  sameBytes,
  signature,
  type TicketBytes,
} from "../wire/ids.ts";
import { isOpenRoom, keyedRoomId } from "../wire/room_id.ts";
import { PROTOCOL_VERSION } from "../wire/relay_message.ts";
import { encode } from "../wire/codec.ts";
import { type Signed, signedOf } from "../wire/signed.ts";
import {
  type Grant,
  KEYS_BODY,
  type MemberWrapKeys,
  type Succession,
  type WarrantPurpose,
} from "../wire/succession.ts";
import { encodeCredential, type Role } from "../wire/ticket.ts";
import {
  acceptCommit,
  type AcceptedCommit,
  type AcceptedWelcome,
  type Acceptor,
  acceptWelcome,
  CommitRefused,
  Fork,
} from "./accept_commit.ts";
import { CommitMemory } from "./commit_memory.ts";
import { checkHello, fingerprintOf, makeBundle, makeCert, nextGeneration } from "./join.ts";
import { CryptoError, type RandomSource, sha256, sign, verify, verifyRaw } from "./primitives.ts";
import type { EpochKeys } from "./epoch_keys.ts";
import type { WrapKeys } from "./make_commit.ts";
import { checkKemKey, generateKemKeyPair, type KemKeyPair } from "./ml_kem.ts";
import type { OuterSeal } from "./outer_seal.ts";
import { MAX_FORMER_SECRETS, type OwnKeys, RoomKeys } from "./room_keys.ts";
import type { Roster } from "./roster.ts";
import { importRsaPublicKey, type SigningKey } from "./session_keys.ts";
import {
  checkSuccession,
  epochBefore,
  type Granted,
  Lineage,
  makeSuccession,
  openGrant,
  type RoomKeyPair,
} from "./succession.ts";

/** What a joiner knows beforehand of a room. */
export interface RoomPins {
  readonly secret: RoomSecret;
  /** The invite's fingerprint of the admin; `null` in an open room at the first contact. */
  readonly admin: Fingerprint | null;
  readonly invite: InviteSecret | null;
  /** The room key that an earlier visit to an open room showed. */
  readonly roomKey: RoomKey | null;
  /** The highest epoch that we remember. */
  readonly highestEpoch: number;
  /** Identities that the admin had named deputies when we last looked, in hex. */
  readonly deputies?: readonly string[];
}

/** A succession that is offered to us and fits where we are. */
export interface Offer {
  readonly leaf: Leaf;
  readonly purpose: WarrantPurpose;
}

/** Somebody's statement that it takes over, and where it is at the relay. */
interface SuccessionOffer {
  readonly signed: Signed<Succession>;
  readonly from: Handle;
}

/** Our own claim, while the others' keys come in. */
interface Claim {
  readonly signed: Signed<Succession>;
  readonly roomKey: RoomKeyPair;
  readonly wrapKeys: Map<Leaf, WrapKeys>;
  readonly handles: Map<Leaf, Handle>;
}

/** What a successor begins with. */
export interface Inheritance {
  readonly roomName: string;
  readonly roomKey: RoomKeyPair;
  readonly succession: Signed<Succession>;
  readonly lineage: Lineage;
  readonly wrapKeys: ReadonlyMap<Leaf, WrapKeys>;
  readonly handles: ReadonlyMap<Leaf, Handle>;
  readonly nextLeaf: number;
  /** Room secrets that kicks have replaced, as far as we know them, newest first. */
  readonly formerSecrets: readonly RoomSecret[];
}

/** Epochs ahead of ours whose wraps wait for their commit. */
const MAX_WAITING_WRAPS = 4;
/** Handles from which a wrap of one epoch is kept. */
const MAX_WRAP_SENDERS = 16;

/** What members that a commit removed leave behind: how much of it we lack, or have otherwise than the admin. */
export type LastWords = ReadonlyMap<Leaf, { readonly missing: number; readonly fork: boolean }>;

/** The keys of a joiner and member. */
export class MemberKeys extends RoomKeys {
  protected readonly directions: readonly Direction[] = ["from-admin", "between-members"];
  readonly #pins: RoomPins;
  #generation: Generation;
  #hello: Hello | null = null;
  /** The greeting that our bundle answers. */
  #answered: Hello | null = null;
  #admin: IdentityKey | null = null;
  #roomKey: RoomKey | null = null;
  #ticket: TicketBytes | null = null;
  #certHash: Hash | null = null;
  /** Oldest first: the last that the admin has named, then those it may name next. */
  #kem: KemKeyPair[] = [];
  #nextLeaf = 0;
  /** The admin's run whose commits we are in. */
  #runId: RunId | null = null;
  /** By epoch, then by the handle that sent it, the newest last. */
  readonly #wraps = new Map<number, Map<string, WrapMessage>>();
  readonly #commits = new CommitMemory();
  #roomName = "";
  readonly #granted = new Map<WarrantPurpose, Granted>();
  #lineage = new Lineage();
  /** Who may take over, by leaf: each was checked, and it is the session's to accept one. */
  readonly #offers = new Map<Leaf, SuccessionOffer>();
  /** The one that the session has accepted. */
  #offer: SuccessionOffer | null = null;
  /** Whose commit of the next epoch we would take as well as the admin's. */
  #successor: Signed<Succession> | null = null;
  #claim: Claim | null = null;
  /**
   * While we are a deputy: the room secrets that kicks have replaced, newest first. Whoever missed a kick knocks with
   * one of them, whoever is the admin then.
   */
  #former: readonly OuterSeal[] = [];

  /** @param generation above every one that this identity used before (§6) */
  constructor(
    room: RoomId,
    own: OwnKeys,
    gate: SigningKey,
    random: RandomSource,
    pins: RoomPins,
    generation: Generation,
  ) {
    super(room, pins.secret, own, gate, random);
    this.#pins = pins;
    this.#generation = generation;
  }

  /** Of our last CERT in this room. */
  get generation(): Generation {
    return this.#generation;
  }

  /** The room's admin, once its HELLO was checked. */
  get admin(): IdentityKey | null {
    return this.#admin;
  }

  /** Whether the admin has started anew since the commit that we are in: then nobody is left from before. */
  isOtherRun(runId: RunId): boolean {
    return this.#runId !== null && !sameBytes(this.#runId, runId);
  }

  get roomKey(): RoomKey | null {
    return this.#roomKey;
  }

  /** How we enter: with a ticket as member, else as knocker. */
  enter(nonce: Challenge, relay: RelayKey): { role: Role; credential: Bytes } {
    if (this.#ticket === null || this.#roomKey === null) {
      return { role: "knocker", credential: encodeCredential({ role: "knocker" }) };
    }
    return {
      role: "member",
      credential: encodeCredential({
        role: "member",
        roomKey: this.#roomKey,
        ticket: this.#ticket,
        signature: this.enterSignature(this.gate, "member", nonce, relay),
      }),
    };
  }

  get ticket(): TicketBytes | null {
    return this.#ticket;
  }

  knock(): Bytes {
    return this.seal("knock", { minVersion: PROTOCOL_VERSION, maxVersion: PROTOCOL_VERSION });
  }

  /** Whether we have taken this greeting: a second bundle for it would be refused, and we with it. */
  hasGreeting({ value }: Signed<Hello>): boolean {
    return this.#hello !== null && sameBytes(this.#hello.na, value.na);
  }

  /**
   * Takes the admin's greeting.
   *
   * @returns whether somebody vouched for this admin beforehand
   * @throws {CryptoError} as `checkHello`
   */
  takeHello(
    hello: Signed<Hello>,
  ): { admin: IdentityKey; fingerprint: Fingerprint; pinned: boolean } {
    this.#checkHello(hello);
    // A member may be shown somebody else's HELLO, and the DENIED that followed it.
    if (this.current === null) this.#hello = hello.value;
    this.#admin = hello.value.admin;
    return {
      admin: hello.value.admin,
      fingerprint: fingerprintOf(hello.value.admin),
      pinned: this.#pins.admin !== null,
    };
  }

  #checkHello(hello: Signed<Hello>): void {
    const greeter = this.#admin === null ? null : fingerprintOf(this.#admin);
    const { highestEpoch, deputies = [] } = this.#pins;
    const known = this.current === null ? this.#pins.admin ?? greeter : greeter;
    if (known === null) return checkHello(hello, this.room, null);
    const [first, ...since] = this.current === null
      ? this.#lineage.follow(known, highestEpoch, deputies)
      : [known];
    const theirs = fingerprintOf(hello.value.admin);
    checkHello(hello, this.room, since.find((admin) => sameBytes(admin, theirs)) ?? first);
  }

  /**
   * Our bundle for the last greeting; `null` if that was answered: the WELCOME is made for the keys in the first.
   *
   * @param now milliseconds since 1970, of which the generation is made if another greeting was answered before
   * @throws {RangeError} without a greeting
   */
  async makeBundle(now: number): Promise<Bytes | null> {
    const hello = this.#hello;
    if (hello === null) throw new RangeError("no HELLO was taken");
    if (hello === this.#answered) return null;
    // The admin may have taken the bundle before, and takes none that is not newer.
    if (this.#answered !== null) this.#generation = nextGeneration(this.#generation, now);
    this.#answered = hello;
    const kem = await generateKemKeyPair();
    const { rsaSpki, signing } = this.own.session;
    const cert = makeCert({
      room: this.room,
      admin: hello.admin,
      na: hello.na,
      identity: this.own.identity,
      generation: this.#generation,
      sessionPublic: signing.publicKey,
      gateKey: this.gateKey,
      rsaSpki,
      kemKey: kem.publicKey,
      name: this.own.name,
    });
    this.#kem = [kem];
    this.#certHash = hash(sha256(cert));
    const keys = { rsaSpki, kemKey: kem.publicKey };
    return this.seal("bundle", await makeBundle(hello, cert, keys, this.#pins.invite));
  }

  /** The admin's refusal; `null` if it is not the admin's, or not for us who are in. */
  takeDenied({ code, signature }: Denied): DeniedCode | null {
    const hello = this.#hello;
    if (hello === null || this.current !== null) return null;
    const holds = verifyRaw(hello.admin, "deny", deniedBody(this.room, hello.na, code), signature);
    return holds ? code : null;
  }

  #acceptor(): Acceptor {
    if (this.#admin === null || this.#certHash === null) {
      throw new CommitRefused("bad-commit", "a commit came before our request", false);
    }
    return {
      room: this.room,
      admin: this.#admin,
      admins: this.#lineage.upTo(this.#admin),
      identity: identityKey(this.own.identity.publicKey),
      certHash: this.#certHash,
      rsa: this.own.session.rsaPrivate,
      kem: this.#kem,
    };
  }

  /**
   * Takes a welcome: from here on we are a member.
   *
   * @throws {CommitRefused} with nothing changed
   */
  async takeWelcome(welcome: Welcome): Promise<AcceptedWelcome> {
    if (this.current !== null) {
      throw new CommitRefused("bad-commit", "a welcome came to a room that we are in", false);
    }
    const accepted = await acceptWelcome(this.#acceptor(), welcome, this.#pins.highestEpoch + 1);
    this.#checkRoomKey(welcome.roomKey);
    this.#roomKey = welcome.roomKey;
    this.#ticket = welcome.ticket;
    this.#nextLeaf = nextLeafAfter(0, accepted.roster);
    this.#began(accepted, accepted.myLeaf, accepted.roomSecret);
    return accepted;
  }

  #checkRoomKey(key: RoomKey): void {
    const fits = isOpenRoom(this.room)
      ? this.#pins.roomKey === null || sameBytes(this.#pins.roomKey, key)
      : sameBytes(keyedRoomId(sha256(key)), this.room);
    if (!fits) throw new CommitRefused("bad-commit", "the welcome has another room's key", true);
  }

  /**
   * Keeps what says it is our wrap until its commit comes; what is not of the next epochs is dropped. Every member
   * can send one, and the relay lets nobody send in another's name: so one from each, or a false one would take
   * the place of the admin's.
   */
  takeWrap(wrap: WrapMessage, from: Handle): void {
    const ahead = wrap.epoch - (this.current?.place.epoch ?? 0);
    const isSuccessors = wrap.epoch === this.#successor?.value.epoch;
    if (ahead < 1 || (ahead > MAX_WAITING_WRAPS && !isSuccessors)) return;
    const waiting = this.#wraps.get(wrap.epoch) ?? new Map<string, WrapMessage>();
    this.#wraps.set(wrap.epoch, waiting);
    waiting.delete(from.toHex());
    waiting.set(from.toHex(), wrap);
    for (const oldest of waiting.keys()) {
      if (waiting.size <= MAX_WRAP_SENDERS) break;
      waiting.delete(oldest);
    }
  }

  /** Whether anything has come that says it is our wrap of an epoch. */
  hasWrap(epoch: number): boolean {
    return this.#wraps.has(epoch);
  }

  /**
   * Takes a commit.
   *
   * @returns `null` for one that we have accepted already
   * @throws {CommitRefused} with nothing changed
   */
  async takeCommit(
    signed: Signed<Commit>,
  ): Promise<(AcceptedCommit & { removed: LastWords }) | null> {
    const current = this.current;
    if (current === null) return null;
    const { epoch } = signed.value;
    if (epoch <= current.place.epoch) {
      this.#explainOld(this.#acceptor(), signed);
      return null;
    }
    const succession = this.#successionOf(signed);
    const acceptor = succession === null ? this.#acceptor() : {
      ...this.#acceptor(),
      admin: succession.value.warrant.value.successor,
    };
    const wraps = [...this.#wraps.get(epoch)?.values() ?? []];
    const accepted = await this.#orSucceeded(succession, () =>
      acceptCommit(
        acceptor,
        {
          epoch: current.place.epoch,
          next: succession?.value.epoch ?? current.place.epoch + 1,
          h: current.place.h,
          roster: current.roster,
          nextLeaf: this.#nextLeaf,
          commits: this.#commits,
        },
        signed,
        wraps.map(({ wrap }) => wrap),
      ));
    // We have taken over while it was opened.
    if (this.current !== current) return null;
    if (succession !== null) this.#follow(succession);
    for (const waiting of this.#wraps.keys()) if (waiting <= epoch) this.#wraps.delete(waiting);
    this.#ticket = wraps.find(({ wrap }) => wrap === accepted.wrapUsed)?.ticket ?? this.#ticket;
    this.#nextLeaf = nextLeafAfter(this.#nextLeaf, accepted.roster);
    this.#began(accepted, current.myLeaf, accepted.change.newRoomSecret);
    const removed = new Map(accepted.change.removed.map((removal) => [
      removal.leaf,
      this.limitPrevious(removal),
    ]));
    return { ...accepted, removed };
  }

  /** The succession that we accepted, if this is the commit that it announced (§7.1). */
  #successionOf({ value, body, signature }: Signed<Commit>): Signed<Succession> | null {
    if (this.#successor === null || value.epoch !== this.#successor.value.epoch) return null;
    const { successor } = this.#successor.value.warrant.value;
    return verifyRaw(successor, "commit", body, signature) ? this.#successor : null;
  }

  /** A successor that leaves us out is the room's admin all the same: it is the one to ask for admission. */
  async #orSucceeded<T>(succession: Signed<Succession> | null, accept: () => Promise<T>) {
    try {
      return await accept();
    } catch (error) {
      const leftOut = error instanceof CommitRefused && error.code === "removed";
      if (succession !== null && leftOut) this.#follow(succession);
      throw error;
    }
  }

  #follow(succession: Signed<Succession>): void {
    this.#admin = succession.value.warrant.value.successor;
    this.#lineage.add(succession);
  }

  /** A commit for an epoch that is behind us: a repetition, a fork, or a rollback. */
  #explainOld(acceptor: Acceptor, commit: Signed<Commit>): void {
    const known = this.#commits.isSame(commit);
    if (known === true) return;
    const { value, body, signature } = commit;
    if (!verifyRaw(acceptor.admin, "commit", body, signature)) {
      throw new CommitRefused(
        "bad-commit",
        "a commit that the room's admin did not sign was refused",
        false,
      );
    }
    if (known === undefined) {
      throw new CommitRefused(
        "rollback",
        `an old commit for epoch ${value.epoch} was refused`,
        false,
      );
    }
    throw new Fork(
      `the admin signed two different commits for epoch ${value.epoch}: it shows the room to others differently`,
      false,
      this.#commits.against(value.epoch, commit, acceptor.admin),
    );
  }

  #began(
    accepted: AcceptedCommit,
    myLeaf: Leaf,
    secret: RoomSecret | undefined,
  ): void {
    const { commit, h, roster, change } = accepted;
    this.#runId = commit.value.runId;
    this.#roomName = change.roomName;
    this.deputies = change.deputies;
    this.#offers.clear();
    this.#offer = null;
    this.#successor = null;
    this.dropClaim();
    // A warrant to make an epoch that is made is worth nothing, and a deputy's only while it is named.
    this.#granted.delete("hand-over");
    if (!change.deputies.includes(myLeaf)) this.#granted.delete("deputy");
    this.#kem = this.#kem.slice(this.#kem.indexOf(accepted.kemUsed));
    this.#commits.add(commit);
    const { outer } = this;
    this.beginEpoch(commit.value.epoch, h, roster, myLeaf, accepted.secret, secret);
    if (!change.deputies.includes(myLeaf)) this.#former = [];
    else if (outer !== this.outer && this.epochBefore !== null) {
      this.#former = [outer, ...this.#former].slice(0, MAX_FORMER_SECRETS);
    }
  }

  /** A fresh ML-KEM key for the next epoch (P6). */
  async makeKemUpdate(): Promise<Bytes> {
    const kem = await generateKemKeyPair();
    // The epoch may have changed while the key was made: the newest is the one to name.
    const { myLeaf: leaf, place } = this.#here();
    this.#kem.push(kem);
    const value = { room: this.room, leaf, h: place.h, kemKey: kem.publicKey };
    const body = encode(KEM_UPDATE_BODY, value);
    return this.seal(
      "kem-update",
      signedOf(
        KEM_UPDATE_BODY,
        value,
        signature(sign(this.own.session.signing.privateKey, "kem", body)),
      ),
    );
  }

  /**
   * The admin names the key that it will use: those before it are forgotten.
   *
   * @throws {CryptoError} `bad-signature` if it is not the admin's, `bad-structure` if it names no key of ours
   */
  takeKemAck({ value, body, signature }: Signed<KemAck>): void {
    if (this.#admin === null || !verifyRaw(this.#admin, "kem-ack", body, signature)) {
      throw new CryptoError("bad-signature", "a KEM_ACK is not the admin's");
    }
    if (!sameBytes(value.room, this.room) || value.leaf !== this.current?.myLeaf) {
      throw new CryptoError("bad-structure", "a KEM_ACK is somebody else's");
    }
    const named = this.#kem.findIndex((k) => sameBytes(sha256(k.publicKey), value.kemKeyHash));
    if (named > 0) this.#kem = this.#kem.slice(named);
  }

  /** Asks the admin for the commits after the epoch that we are in. */
  catchUp(): Bytes {
    const { myLeaf: leaf, place: { epoch, h } } = this.#here();
    const value = { room: this.room, leaf, epoch, h };
    const body = encode(CATCH_UP_BODY, value);
    return this.seal(
      "catch-up",
      signedOf(
        CATCH_UP_BODY,
        value,
        signature(sign(this.own.session.signing.privateKey, "catch-up", body)),
      ),
    );
  }

  /**
   * The admin has sent all commits that we lacked, or tells what there was in an epoch before.
   *
   * @returns the leaves of which we now know to lack something, and whether it is of the epoch that we are in; `null`
   *   if we have no keys of that one
   * @throws {CryptoError} `bad-signature` if it is not the admin's
   */
  takeCaughtUp(
    { value, body, signature }: Signed<CaughtUp>,
  ): { readonly leaves: readonly Leaf[]; readonly isNow: boolean } | null {
    if (this.#admin === null || !verifyRaw(this.#admin, "caught-up", body, signature)) {
      throw new CryptoError("bad-signature", "a CAUGHT_UP is not the admin's");
    }
    const { current } = this;
    if (!sameBytes(value.room, this.room) || value.leaf !== current?.myLeaf) return null;
    const keys = this.epochKeys(value.epoch);
    if (keys === undefined || !sameBytes(value.h, keys.place.h)) return null;
    for (const { leaf, count } of value.counts) keys.expect(leaf, count);
    const leaves = value.counts.map(({ leaf }) => leaf).filter((leaf) =>
      this.gapsOf(leaf).length > 0
    );
    return { leaves, isNow: keys === current };
  }

  /** Keys to join the same room again, after we were removed while away. @throws {RangeError} before the first epoch */
  successor(generation: Generation): MemberKeys {
    const { place } = this.#here();
    const pins: RoomPins = {
      secret: this.outer.secret,
      admin: this.#admin === null ? this.#pins.admin : fingerprintOf(this.#admin),
      invite: null,
      roomKey: this.#roomKey,
      highestEpoch: place.epoch,
      deputies: this.deputyIdentities,
    };
    const keys = new MemberKeys(this.room, this.own, this.gate, this.random, pins, generation);
    keys.#lineage = this.#lineage;
    keys.rememberShown(this);
    return keys;
  }

  // ---- another admin (§7.1)

  /** By which statements the admin that we follow became it, for an admin of before. */
  successions(_to: Handle, _yielding?: boolean): Bytes[] {
    return this.current === null
      ? []
      : this.#lineage.steps.map((step) => this.seal("succession", step));
  }

  /** Whether an admin of before goes on though another took over, whom we follow. */
  isOfFormerAdmin(commit: Signed<Commit>): boolean {
    if (this.current === null || this.#admin === null) return false;
    // It may get the room back.
    return this.#successionOf(commit) === null && this.#lineage.isOfFormer(this.#admin, commit);
  }

  /** Takes up what another instance of us, the admin until now, knows of the room. */
  inherit(other: RoomKeys, lineage: Lineage): void {
    this.adopt(other, true);
    this.#lineage = lineage;
  }

  /**
   * The admin gives us the room key, to take over now or as its deputy.
   *
   * @returns for which; `null` if the epoch that it was for is over, or we are outside
   * @throws {CryptoError} as `openGrant`
   */
  async takeGrant(signed: Signed<Grant>): Promise<WarrantPurpose | null> {
    if (this.current === null) return null;
    const { place } = this.current;
    const { admin, identity, certHash, rsa, kem } = this.#acceptor();
    if (this.#roomKey === null) throw new CryptoError("no-key", "a GRANT came before our WELCOME");
    const granted = await openGrant(
      signed,
      { room: this.room, admin, roomKey: this.#roomKey },
      { identity, certHash, rsa, kem },
    );
    const { purpose, epoch, h } = granted.warrant.value;
    if (purpose === "hand-over" && (epoch !== place.epoch || !sameBytes(h, place.h))) return null;
    this.#granted.set(purpose, granted);
    return purpose;
  }

  /**
   * Takes over: from here on the others' keys are collected, until {@linkcode inheritance} or a commit.
   *
   * @returns what to tell everybody
   * @throws {RangeError} without a warrant for it
   */
  claim(purpose: WarrantPurpose): Bytes {
    const { place } = this.#here();
    const granted = this.#granted.get(purpose);
    if (granted === undefined) throw new RangeError(`we have no warrant for a ${purpose}`);
    const signed = makeSuccession(
      this.own.identity.privateKey,
      granted.warrant,
      place.epoch,
      place.h,
    );
    const { roomKey } = granted;
    this.#claim = { signed, roomKey, wrapKeys: new Map(), handles: new Map() };
    return this.seal("succession", signed);
  }

  /** Gives our claim up: the admin is there, or nobody followed. */
  dropClaim(): void {
    this.#claim = null;
  }

  /** How we enter to take over: as owner. @throws {RangeError} without a claim */
  enterAsOwner(nonce: Challenge, relay: RelayKey): { role: Role; credential: Bytes } {
    const { roomKey } = this.#claimed();
    const signed = this.enterSignature(roomKey, "owner", nonce, relay);
    const key = this.#roomKey;
    if (key === null) throw new RangeError("the room key is not known");
    return {
      role: "owner",
      credential: encodeCredential({ role: "owner", roomKey: key, signature: signed }),
    };
  }

  #claimed(): Claim {
    if (this.#claim === null) throw new RangeError("we claim nothing");
    return this.#claim;
  }

  /**
   * Takes a member's keys for our first commit.
   *
   * @returns whose they are; `null` if we claim nothing, or they are for another
   * @throws {CryptoError} `no-key` for a stranger, `bad-signature`, `bad-key`
   */
  async takeKeys(
    { value, body, signature: signed }: Signed<MemberWrapKeys>,
    from: Handle,
  ): Promise<Leaf | null> {
    const claim = this.#claim;
    if (claim === null || this.current === null) return null;
    const { roster, place, myLeaf } = this.current;
    const isForUs = sameBytes(value.room, this.room) && sameBytes(value.h, place.h) &&
      sameBytes(value.successor, this.own.identity.publicKey);
    if (!isForUs || value.leaf === myLeaf) return null;
    const member = roster.find(({ leaf }) => leaf === value.leaf);
    if (member === undefined) throw new CryptoError("no-key", "KEYS are of nobody here");
    if (!verify(member.verifyKey, "keys", body, signed)) {
      throw new CryptoError("bad-signature", "KEYS are not signed by their member");
    }
    const rsa = await importRsaPublicKey(value.rsaSpki);
    checkKemKey(value.kemKey);
    claim.wrapKeys.set(value.leaf, { rsa, kem: value.kemKey });
    claim.handles.set(value.leaf, from);
    return value.leaf;
  }

  /** What the admin that we become begins with. @throws {RangeError} without a claim */
  inheritance(): Inheritance {
    const { signed, roomKey, wrapKeys, handles } = this.#claimed();
    this.#lineage.add(signed);
    return {
      roomName: this.#roomName,
      roomKey,
      succession: signed,
      lineage: this.#lineage,
      wrapKeys,
      handles,
      nextLeaf: this.#nextLeaf,
      formerSecrets: [...new Set([...this.otherSeals(), ...this.#former])]
        .slice(0, MAX_FORMER_SECRETS)
        .map(({ secret }) => secret),
    };
  }

  /**
   * Somebody says that it takes over.
   *
   * @returns who, if it may from where we are; `null` for what is known; `outside` for what is new while we are
   *   outside: then it only counts for whom we take as admin
   * @throws {CryptoError} as `checkSuccession`
   * @throws {CommitRefused} `bad-claim` if it may not, though its signatures hold
   */
  takeSuccession(signed: Signed<Succession>, from: Handle): Offer | "outside" | null {
    checkSuccession(signed, this.room);
    const { current } = this;
    const { warrant: { value: warrant }, prev } = signed.value;
    if (current === null) {
      if (this.#lineage.has(signed)) return null;
      this.#lineage.add(signed);
      return "outside";
    }
    if (this.#lineage.has(signed) || sameBytes(warrant.successor, this.own.identity.publicKey)) {
      return null;
    }
    const member = current.roster.find((m) => sameBytes(m.value.identity, warrant.successor));
    const refuse = (why: string): CommitRefused => new CommitRefused("bad-claim", why, false);
    if (this.#admin === null || !sameBytes(warrant.admin, this.#admin) || member === undefined) {
      throw refuse("somebody claims the room whom its admin cannot have named");
    }
    const { name } = member.value;
    if (epochBefore(signed.value) !== current.place.epoch || !sameBytes(prev, current.place.h)) {
      throw refuse(`${name} claims the room from another epoch than the one we are in`);
    }
    if (warrant.purpose === "deputy" && !this.deputies.includes(member.leaf)) {
      throw refuse(`${name} claims the room, and is no deputy`);
    }
    this.#offers.set(member.leaf, { signed, from });
    return { leaf: member.leaf, purpose: warrant.purpose };
  }

  /** We follow the successor that was offered, if there is one still: its next commit counts as the admin's. */
  acceptSuccession(leaf: number): void {
    this.#offer = this.#offers.get(leafOf(leaf)) ?? null;
    this.#successor = this.#offer?.signed ?? null;
  }

  /**
   * For the successor that we follow: what S is to be wrapped with.
   *
   * @returns `null` if there is none any more
   */
  async makeKeys(): Promise<{ to: Handle; payload: Bytes } | null> {
    const offer = this.#offer;
    if (offer === null || this.#successor !== offer.signed) return null;
    const kem = await generateKemKeyPair();
    // The epoch may have changed while the key was made.
    if (this.#offer !== offer) return null;
    const { myLeaf: leaf, place } = this.#here();
    this.#kem.push(kem);
    const value = {
      room: this.room,
      leaf,
      h: place.h,
      successor: offer.signed.value.warrant.value.successor,
      rsaSpki: this.own.session.rsaSpki,
      kemKey: kem.publicKey,
    };
    const body = encode(KEYS_BODY, value);
    const signed = signature(sign(this.own.session.signing.privateKey, "keys", body));
    return { to: offer.from, payload: this.seal("keys", signedOf(KEYS_BODY, value, signed)) };
  }

  /** The relay takes our ticket no more: the next entering is as knocker. */
  dropTicket(): void {
    this.#ticket = null;
  }

  /** @throws {RangeError} before the first epoch */
  #here(): EpochKeys {
    if (this.current === null) throw new RangeError("we are in no epoch");
    return this.current;
  }

  override wipe(): void {
    super.wipe();
    this.#kem = [];
    this.#wraps.clear();
    this.#hello = null;
    this.#answered = null;
    this.#granted.clear();
    this.#claim = null;
    this.#former = [];
  }
}

/** The first leaf number that was never used, as far as a roster shows. */
export function nextLeafAfter(before: number, roster: Roster): number {
  return Math.max(before, (roster.at(-1)?.leaf ?? -1) + 1);
}
