import type { KeyObject } from "node:crypto";
import type { Bytes } from "../wire/codec.ts";
import { encode } from "../wire/codec.ts";
import type { Direction } from "../wire/contexts.ts";
import {
  type CatchUp,
  CAUGHT_UP_BODY,
  type CaughtUp,
  type Change,
  type Commit,
  COMMIT_BODY,
  type CommitReason,
  type EarlierEpoch,
  KEM_ACK_BODY,
  type KemUpdate,
  type RemovalReason,
  type RosterLeaf,
  type Via,
} from "../wire/commit.ts";
import { type Bundle, deniedBody, type DeniedCode, type Hello } from "../wire/handshake.ts";
import {
  type Challenge,
  epoch as epochOf,
  type EpochHash,
  epochHash,
  type GateKey,
  type Generation,
  type Handle,
  hash,
  type IdentityKey,
  identityKey,
  type InviteId,
  type InviteSecret,
  inviteSecret,
  type JoinNonce,
  joinNonce,
  type Leaf,
  leaf as leafOf,
  type RelayKey,
  type RoomId,
  type RoomKey,
  roomKey,
  type RoomSecret,
  roomSecret,
  type RunId,
  runId,
  sameBytes,
  signature,
  type TicketBytes,
  ticketEpoch,
} from "../wire/ids.ts";
import { firstEpochHashInput } from "../wire/contexts.ts";
import {
  CHAIN_LIFE_MS,
  CLAIM_AHEAD,
  KEPT_COMMITS,
  MAX_EARLIER_EPOCHS,
  MAX_TICKET_LIFE_S,
  NONCE_LIFE_MS,
} from "../wire/limits.ts";
import { isOpenRoom } from "../wire/room_id.ts";
import { decodeSigned, type Signed, signedOf } from "../wire/signed.ts";
import {
  OWNER_HERE_BODY,
  type OwnerHere,
  type Succession,
  type WarrantPurpose,
} from "../wire/succession.ts";
import { encodeCredential, encodeTicket, type Role, TICKET_BODY } from "../wire/ticket.ts";
import { Generations } from "./generations.ts";
import { HeardIn } from "./heard_in.ts";
import {
  fingerprintOf,
  inviteIdOf,
  makeCert,
  makeHello,
  openBundle,
  type OpenedBundle,
} from "./join.ts";
import { type MadeCommit, makeCommit, type WrapKeys } from "./make_commit.ts";
import { CryptoError, type RandomSource, sha256, sign, verify, verifyRaw } from "./primitives.ts";
import { checkKemKey, generateKemKeyPair, type KemKeyPair } from "./ml_kem.ts";
import { MemberKeys, nextLeafAfter } from "./member_keys.ts";
import type { EpochKeys, EpochPlace } from "./epoch_keys.ts";
import { OuterSeal } from "./outer_seal.ts";
import { applyChange, type Roster } from "./roster.ts";
import { earlierIn, MAX_FORMER_SECRETS, type OwnKeys, RoomKeys } from "./room_keys.ts";
import type { SigningKey } from "./session_keys.ts";
import { WorkBudget } from "./work_budget.ts";
import {
  checkSuccession,
  epochBefore,
  Lineage,
  makeGrant,
  type RoomKeyPair,
} from "./succession.ts";

/** A change of the roster to be made; `request` names a bundle that `takeBundle` opened. */
export interface RosterPlan {
  readonly reason: CommitReason;
  readonly adds: readonly { readonly request: string; readonly via: Via }[];
  readonly removes: readonly { readonly leaf: number; readonly reason: RemovalReason }[];
  /** Leaves that may take over, in their rank; none if not said. */
  readonly deputies?: readonly number[];
}

/** Somebody has taken over from us, or says so. */
export interface Succeeded {
  readonly identity: IdentityKey;
  readonly purpose: WarrantPurpose;
  /** The epoch that it goes on from. */
  readonly from: number;
  /** We were in that epoch and it was a deputy in it, as far as we know, and it has followed us to none after. */
  readonly valid: boolean;
}

/** What the relay is to be told when a commit is published, in this order. */
export interface PublishedCommit {
  /** Everybody's wrap. */
  readonly direct: readonly { readonly to: Handle; readonly payload: Bytes }[];
  readonly admit: readonly { readonly handle: Handle; readonly ticket: TicketBytes }[];
  readonly broadcast: Bytes;
  /**
   * The same for those who know the room secret before alone, or `null`. It goes first as long as nobody has forgotten
   * that one, and else last: whoever has come in anew by then passes over it.
   */
  readonly forLaggards: { readonly payload: Bytes; readonly goesFirst: boolean } | null;
  /**
   * For who is new: WELCOME, as long as the roster, so it is sealed when there is room to send it, and for an admin of
   * before what it may lack.
   */
  readonly welcomes: readonly { readonly to: Handle; readonly seal: () => readonly Bytes[] }[];
  /** Who was removed; `bar` keeps a kicked one's gate key out. */
  readonly evict: readonly { readonly handle: Handle; readonly bar: boolean }[];
  /** Lowest ticket epoch from now on; `null` if nobody was removed. */
  readonly minTicketEpoch: number | null;
  readonly added: readonly Leaf[];
  readonly change: Change;
}

/** An epoch that was made and is not yet ours. */
export interface MadeEpoch {
  readonly epoch: number;
  readonly h: EpochHash;
  /** The room secret from that epoch on. */
  readonly roomSecret: RoomSecret;
  /** Those before it, newest first. */
  readonly formerSecrets: readonly RoomSecret[];
  /** This epoch replaces the room secret. */
  readonly replacesSecret: boolean;
  /** It and those before it, oldest first, for the next run. */
  readonly ownEpochs: readonly OwnEpoch[];
}

/** What an admin knows of its earlier runs. */
export interface EarlierRuns {
  /** Room secrets that kicks have replaced, newest first. */
  readonly formerSecrets: readonly RoomSecret[];
  /** Which epoch replaced the last of them, and when it was stored, in milliseconds since 1970. */
  readonly replaced: { readonly epoch: number; readonly at: number } | null;
  /** The greatest g that was accepted, by the identity in hex. */
  readonly generations: Readonly<Record<string, number>>;
  /** The last that were stored, oldest first: the newest may have reached nobody. */
  readonly ownEpochs?: readonly OwnEpoch[];
}

/** A published commit, for members who missed it (§7). */
interface KeptCommit {
  readonly epoch: number;
  /** h of this epoch. */
  readonly h: EpochHash;
  /** The epoch before it. */
  readonly after: number;
  /** As it was broadcast. */
  readonly payload: Bytes;
  /** The SUCCESSION that made us the admin, before our first commit. */
  readonly succession: Bytes | null;
  /** As they were sent, of members who have not shown that they have it. */
  readonly wraps: Map<Leaf, Bytes>;
  /** The room secret before it. */
  readonly seal: OuterSeal;
  /** Session keys of the leaves that it removed: they may ask, and learn that they are out. */
  readonly removed: ReadonlyMap<Leaf, KeyObject>;
}

/** An epoch that a deputy may have gone on from. */
export interface OwnEpoch {
  readonly epoch: number;
  readonly h: EpochHash;
  /** The deputies' identities, in hex; `null` for one of an earlier run. */
  readonly deputies: readonly string[] | null;
}

/** A greeting that waits for its bundle. */
interface Greeting {
  readonly na: JoinNonce;
  readonly handle: Handle;
  readonly oneUse: KemKeyPair;
  /** Signed once, however often it is asked for. */
  readonly hello: Signed<Hello>;
  readonly expiresAt: number;
}

/** A commit that waits to be published. */
interface Pending {
  readonly made: MadeCommit;
  readonly change: Change;
  readonly roster: Roster;
  readonly requests: ReadonlyMap<Leaf, Request>;
  /** What of it is for each member but ourselves. */
  readonly forMembers: ReadonlyMap<Leaf, ForMember>;
}

/** What of a commit is for one member. */
interface ForMember {
  readonly ticket: TicketBytes;
  /** Its WRAP; `null` for a newcomer, who gets a WELCOME. */
  readonly wrap: Bytes | null;
}

interface Request extends OpenedBundle {
  readonly handle: Handle;
  readonly na: JoinNonce;
  /** With the room secret that the joiner has. */
  readonly seal: OuterSeal;
}

/** Bounds of what strangers can make us keep. */
const MAX_GREETINGS = 512;
const MAX_REQUESTS = 512;
const MAX_GENERATIONS = 8192;
/**
 * What one member is given that says it missed commits, in bytes: at once, a second, and what an answer costs at least.
 * It may have missed as many as are kept, and none asks more often than once a second.
 */
const MISSED_AT_ONCE = 4 * 1024 * 1024;
const MISSED_PER_S = 256 * 1024;
const MISSED_LEAST = MISSED_PER_S;
/**
 * KEM_UPDATEs that are taken of one member, each of which costs us a signature: at once, and a second. One comes for each
 * epoch and each return, and epochs can follow each other quickly.
 */
const KEM_AT_ONCE = 64;
const KEM_PER_S = 4;
/** Epochs that the next run knows of: how many may reach nobody before it begins. */
const MAX_STORED_EPOCHS = 8;

/** The keys of a room's admin. */
export class AdminKeys extends RoomKeys {
  /** Nobody but another instance of us, or who took over from us, writes from the admin. */
  protected readonly directions: readonly Direction[] = [
    "to-admin",
    "between-members",
    "from-admin",
  ];
  readonly name: string;
  readonly runId: RunId;
  readonly lineage: Lineage;
  readonly #roomKey: RoomKeyPair;
  readonly #generation: Generation;
  readonly #greetings = new Map<string, Greeting>();
  /** From which handle the bundle for a greeting has come. */
  readonly #taken = new Map<string, Handle>();
  readonly #requests = new Map<string, Request>();
  #requestCount = 0;
  readonly #generations = new Generations(MAX_GENERATIONS);
  readonly #invites = new Map<string, { secret: InviteSecret; seal: OuterSeal }>();
  /** With which room secret the joiner at a handle speaks to us. */
  readonly #sealAt = new Map<string, OuterSeal>();
  readonly #wrapKeys = new Map<Leaf, WrapKeys>();
  readonly #handles = new Map<Leaf, Handle>();
  readonly #keptCommits: KeptCommit[] = [];
  /** Under the room secrets before this one, newest first. */
  #former: readonly OuterSeal[];
  /** Oldest first, as many as a deputy's line is ahead. */
  readonly #ownEpochs: OwnEpoch[] = [];
  /** The newest epoch in which each identity was heard, in hex. */
  readonly #heardIn = new HeardIn();
  /** What had come of each leaf in the last epochs that were dropped in which anything had: others may lack it. */
  readonly #heardBefore = new Map<Leaf, EarlierEpoch[]>();
  readonly #replaced: EarlierRuns["replaced"];
  /** Lowest ticket epoch: the relay forgets it when it restarts. */
  #minTicketEpoch = 0;
  /** Who has asked for what it missed. */
  readonly #missed = new Map<Leaf, WorkBudget>();
  /** Who has given new keys. */
  readonly #renewed = new Map<Leaf, WorkBudget>();
  /** Where the newest message of each leaf is that has come. */
  readonly #newest = new Map<Leaf, { readonly epoch: number; readonly n: number }>();
  #nextLeaf = 0;
  #h: EpochHash;
  #epoch: number;
  #pending: Pending | null = null;
  /** From the beginning of `make` until `publish`. */
  #making = false;
  /** GRANTs that are being made. */
  #granting = 0;
  /** Of the last question to other owners. */
  #ownerNonce: Bytes | null = null;
  /** The epoch that this run began from. */
  readonly #from: number;
  /** Who has taken over from us. */
  #successor: Signed<Succession> | null = null;
  /** Goes before the first commit of ours. */
  #succession: Signed<Succession> | null = null;

  /**
   * @param name the room's name, in its members' rosters
   * @param from the last epoch that was stored and its hash, if this identity administered the room before
   */
  constructor(
    room: RoomId,
    secret: RoomSecret,
    own: OwnKeys,
    gate: SigningKey,
    random: RandomSource,
    options: {
      readonly name: string;
      readonly roomKey: RoomKeyPair;
      readonly generation: Generation;
      readonly from: { readonly epoch: number; readonly h: EpochHash } | null;
      /** By which we became the admin, if another was it before. */
      readonly lineage?: Lineage;
      readonly earlier?: EarlierRuns;
    },
  ) {
    super(room, secret, own, gate, random);
    this.name = options.name;
    this.#roomKey = options.roomKey;
    this.#generation = options.generation;
    this.runId = runId(random(16));
    this.lineage = options.lineage ?? new Lineage();
    const { formerSecrets = [], generations = {}, replaced = null, ownEpochs = [] } =
      options.earlier ?? {};
    this.#replaced = replaced;
    this.#former = formerSecrets.map((former) => new OuterSeal(room, former));
    for (const [identity, g] of Object.entries(generations)) this.#generations.put(identity, g);
    this.#from = options.from?.epoch ?? 0;
    this.#epoch = this.#from;
    this.#h = options.from?.h ?? epochHash(sha256(firstEpochHashInput(room, this.#identity)));
    this.#ownEpochs.push(...ownEpochs);
    if (options.from !== null && ownEpochs.at(-1)?.epoch !== this.#from) {
      this.#ownEpochs.push({ ...options.from, deputies: null });
    }
  }

  /**
   * The keys of a member that takes over: it goes on in the epoch that it is in, whose keys it takes from there.
   *
   * @throws {RangeError} if the member claims nothing
   */
  static succeed(member: MemberKeys): AdminKeys {
    const { current } = member;
    if (current === null) throw new RangeError("we are in no epoch");
    const inherited = member.inheritance();
    const { roomName: name, roomKey, lineage, succession } = inherited;
    const { epoch, h } = current.place;
    const keys = new AdminKeys(member.room, member.secret, member.own, member.gate, member.random, {
      name,
      roomKey,
      generation: member.generation,
      from: { epoch, h },
      lineage,
      earlier: { formerSecrets: inherited.formerSecrets, replaced: null, generations: {} },
    });
    keys.adopt(member, false);
    keys.#nextLeaf = inherited.nextLeaf;
    keys.#succession = succession;
    for (const { value } of current.roster) {
      keys.#generations.put(value.identity.toHex(), value.generation);
    }
    keys.#epoch = succession.value.epoch - 1;
    for (const [leaf, wrapKeys] of inherited.wrapKeys) keys.#wrapKeys.set(leaf, wrapKeys);
    for (const [leaf, handle] of inherited.handles) keys.#handles.set(leaf, handle);
    return keys;
  }

  get #identity(): IdentityKey {
    return identityKey(this.own.identity.publicKey);
  }

  get roomKey(): RoomKey {
    return roomKey(this.#roomKey.publicKey);
  }

  /** The room key's secret half, for the profile. */
  get roomKeySeed(): Bytes {
    return this.#roomKey.seed;
  }

  get generation(): Generation {
    return this.#generation;
  }

  /** The number before that of the next epoch that we make: of the last, or what our succession names. */
  get lastEpoch(): number {
    return this.#epoch;
  }

  /** How we enter: as owner, by the room key. */
  enter(nonce: Challenge, relay: RelayKey): { role: Role; credential: Bytes } {
    return {
      role: "owner",
      credential: encodeCredential({
        role: "owner",
        roomKey: this.roomKey,
        signature: this.enterSignature(this.#roomKey, "owner", nonce, relay),
      }),
    };
  }

  /** Outstanding invites may carry an older room secret than ours. */
  protected override otherSeals(): readonly OuterSeal[] {
    const seals = new Set([
      ...super.otherSeals(),
      ...[...this.#invites.values()].map(({ seal }) => seal),
      ...this.#keptCommits.map(({ seal }) => seal),
      ...this.#former,
    ]);
    seals.delete(this.outer);
    return [...seals];
  }

  // ---- joining

  /** A new invite; uses and expiry are the caller's to record. */
  makeInvite(): { id: InviteId; secret: InviteSecret; roomSecret: RoomSecret } {
    const secret = inviteSecret(this.random(16));
    const id = inviteIdOf(secret);
    this.keepInvite(id, secret, this.outer.secret);
    return { id, secret, roomSecret: this.outer.secret };
  }

  /** Takes up an invite, a new one or one of an earlier run. */
  keepInvite(id: InviteId, secret: InviteSecret, withRoomSecret: RoomSecret): void {
    this.#invites.set(id.toHex(), { secret, seal: new OuterSeal(this.room, withRoomSecret) });
  }

  /** The secrets of an invite that is kept here, for the profile. */
  inviteSecrets(id: string): { secret: InviteSecret; roomSecret: RoomSecret } | undefined {
    const kept = this.#invites.get(id);
    return kept === undefined ? undefined : { secret: kept.secret, roomSecret: kept.seal.secret };
  }

  /** The greatest g that was accepted of each of these identities, in hex. */
  generationsOf(identities: readonly string[]): Record<string, number> {
    return Object.fromEntries(identities.flatMap((identity) => {
      const g = this.#generations.of(identity);
      return g < 0 ? [] : [[identity, g]];
    }));
  }

  /** Forgets the secrets of all invites but these. */
  onlyInvites(ids: readonly string[]): void {
    for (const id of this.#invites.keys()) if (!ids.includes(id)) this.#invites.delete(id);
  }

  /**
   * Greets whoever knocked at a handle. As long as it has not answered, it is greeted with the same `na`: its answer
   * to the first greeting may be on its way.
   */
  async greet(handle: Handle, now: number): Promise<Bytes> {
    const known = [...this.#greetings.values()].find((g) => sameBytes(g.handle, handle));
    if (known !== undefined && now < known.expiresAt - NONCE_LIFE_MS / 2) {
      return this.#hello(known);
    }
    const oneUse = await generateKemKeyPair();
    const na = joinNonce(this.random(32));
    const hello = makeHello(this.room, this.own.identity, this.runId, na, oneUse.publicKey);
    const greeting: Greeting = { na, handle, oneUse, hello, expiresAt: now + NONCE_LIFE_MS };
    for (const [key, old] of this.#greetings) {
      const spare = this.#greetings.size >= MAX_GREETINGS || old.expiresAt <= now ||
        sameBytes(old.handle, handle);
      if (spare) this.#greetings.delete(key);
    }
    this.#greetings.set(na.toHex(), greeting);
    return this.#hello(greeting);
  }

  #hello({ handle, hello }: Greeting): Bytes {
    return this.#sealFor(handle).seal("hello", hello, this.random);
  }

  #sealFor(handle: Handle): OuterSeal {
    return this.#sealAt.get(handle.toHex()) ?? this.outer;
  }

  /** Remembers with which secret a handle speaks; forgotten by `forgetHandle`. */
  spokeWith(handle: Handle, seal: OuterSeal): void {
    this.#sealAt.set(handle.toHex(), seal);
  }

  /** The relay says that a handle is gone. */
  forgetHandle(handle: Handle): void {
    this.#sealAt.delete(handle.toHex());
    for (const [na, greeting] of this.#greetings) {
      if (sameBytes(greeting.handle, handle)) this.#greetings.delete(na);
    }
    for (const [na, from] of this.#taken) if (sameBytes(from, handle)) this.#taken.delete(na);
    for (const [id, request] of this.#requests) {
      if (sameBytes(request.handle, handle)) this.#requests.delete(id);
    }
  }

  /** Whether a bundle for this greeting has been taken from this handle, whatever came of it. */
  hasTaken(handle: Handle, { na }: Bundle): boolean {
    const taken = this.#taken.get(na.toHex());
    return taken !== undefined && sameBytes(taken, handle);
  }

  /**
   * Opens and checks a bundle. Its `na` is used up whatever comes of it.
   *
   * @returns how this process names the request, and who asks
   * @throws {CryptoError} as `openBundle`; `no-key` for an unknown, old, foreign or used `na`
   */
  async takeBundle(
    handle: Handle,
    bundle: Bundle,
    now: number,
  ): Promise<{ request: string; opened: OpenedBundle }> {
    const greeting = this.#greetings.get(bundle.na.toHex());
    this.#greetings.delete(bundle.na.toHex());
    if (
      greeting === undefined || greeting.expiresAt <= now || !sameBytes(greeting.handle, handle)
    ) {
      throw new CryptoError("no-key", "a bundle answers no greeting of ours");
    }
    for (const oldest of this.#taken.keys()) {
      if (this.#taken.size < MAX_GREETINGS) break;
      this.#taken.delete(oldest);
    }
    this.#taken.set(bundle.na.toHex(), handle);
    const opened = await openBundle(
      bundle,
      greeting.oneUse,
      { room: this.room, admin: this.#identity },
      (identity) => this.#generations.of(identity.toHex()),
      (id) => this.#invites.get(id.toHex())?.secret,
    );
    const { identity, generation } = opened.member.value;
    const members = this.current?.roster.map(({ value }) => value.identity.toHex());
    this.#generations.put(identity.toHex(), generation, new Set(members));
    const request = `r${++this.#requestCount}`;
    for (const oldest of this.#requests.keys()) {
      if (this.#requests.size < MAX_REQUESTS) break;
      this.#requests.delete(oldest);
    }
    this.#requests.set(request, {
      ...opened,
      handle,
      na: bundle.na,
      seal: this.#sealFor(handle),
    });
    return { request, opened };
  }

  /** Tells a joiner that a person is asked. `null` if the request is gone. */
  pending(request: string): { to: Handle; payload: Bytes } | null {
    const asked = this.#requests.get(request);
    if (asked === undefined) return null;
    return {
      to: asked.handle,
      payload: asked.seal.seal("pending", { reason: "asking" }, this.random),
    };
  }

  /** Refuses a joiner and forgets the request. */
  deny(request: string, code: DeniedCode): { to: Handle; payload: Bytes } | null {
    const asked = this.#requests.get(request);
    this.#requests.delete(request);
    return asked === undefined ? null : this.#denied(asked.handle, asked.na, code, asked.seal);
  }

  /** Refuses a bundle that did not verify. */
  refuseBundle(handle: Handle, na: JoinNonce, code: DeniedCode): { to: Handle; payload: Bytes } {
    return this.#denied(handle, na, code, this.#sealFor(handle));
  }

  #denied(
    to: Handle,
    na: JoinNonce,
    code: DeniedCode,
    seal: OuterSeal,
  ): { to: Handle; payload: Bytes } {
    const body = deniedBody(this.room, na, code);
    const denied = {
      code,
      signature: signature(sign(this.own.identity.privateKey, "deny", body)),
    };
    return { to, payload: seal.seal("denied", denied, this.random) };
  }

  // ---- epochs

  /**
   * Makes the next commit. It waits for {@linkcode publish}; until then we stay where we are.
   *
   * @param nowS seconds since 1970, for the tickets
   * @throws {RangeError} if one waits already
   */
  async make(plan: RosterPlan, nowS: number): Promise<MadeEpoch> {
    if (this.#making) throw new RangeError("a commit waits to be published");
    this.#making = true;
    try {
      return await this.#make(plan, nowS);
    } catch (error) {
      this.#making = false;
      throw error;
    }
  }

  async #make(plan: RosterPlan, nowS: number): Promise<MadeEpoch> {
    const roster = this.current?.roster ?? [];
    const requests = new Map<Leaf, Request>();
    const wrapKeys = new Map(this.#wrapKeys);
    const added: RosterLeaf[] = [];
    let next = this.#nextLeaf;
    if (roster.length === 0) added.push(this.#ownLeaf(leafOf(next++)));
    for (const { request, via } of plan.adds) {
      const asked = this.#requests.get(request);
      // It went away in the meantime; there is nobody to welcome.
      if (asked === undefined) continue;
      const leaf = leafOf(next++);
      requests.set(leaf, asked);
      wrapKeys.set(leaf, asked.wrapKeys);
      added.push({ leaf, via, cert: asked.member.cert });
    }
    const removed = plan.removes.map(({ leaf, reason }) => {
      const position = this.current?.chain(leafOf(leaf))?.position;
      return {
        leaf: leafOf(leaf),
        reason,
        count: position?.count ?? 0,
        hash: hash(position?.hash ?? new Uint8Array(32)),
        earlier: this.earlierOf(leafOf(leaf)),
      };
    });
    const kicked = plan.removes.some(({ reason }) => reason === "kicked");
    const newRoomSecret = kicked && !isOpenRoom(this.room)
      ? roomSecret(this.random(32))
      : undefined;
    const change: Change = {
      reason: plan.reason,
      adminLeaf: this.current?.myLeaf ?? leafOf(0),
      deputies: (plan.deputies ?? []).map(leafOf),
      roomName: this.name,
      newRoomSecret,
      added,
      removed,
    };
    const after = applyChange(roster, change, this.#nextLeaf, this.room, this.#identity);
    const epoch = epochOf(this.#epoch + 1);
    const forMembers = new Map<Leaf, ForMember>();
    const made = await makeCommit(
      {
        room: this.room,
        admin: this.#identity,
        identityKey: this.own.identity.privateKey,
        runId: this.runId,
        epoch: epochOf(this.#epoch),
        h: this.#h,
        change,
        roster: after,
        roomSecret: newRoomSecret ?? this.outer.secret,
        adminLeaf: change.adminLeaf,
        wrapKeys,
      },
      this.random,
      ({ leaf, value }, wrap) => {
        const ticket = this.#ticket(value.gateKey, epoch, nowS);
        const sealed = requests.has(leaf) ? null : this.seal("wrap", { epoch, wrap, ticket });
        forMembers.set(leaf, { ticket, wrap: sealed });
      },
    );
    this.#pending = { made, change, roster: after, requests, forMembers };
    return this.made();
  }

  /** The epoch that waits to be published. @throws {RangeError} if none waits */
  made(): MadeEpoch {
    if (this.#pending === null) throw new RangeError("no commit waits to be published");
    const { made: { epoch, h }, change, roster } = this.#pending;
    const deputies = change.deputies.flatMap((leaf) =>
      roster.filter((m) => m.leaf === leaf).map(({ value }) => value.identity.toHex())
    );
    const former = this.#formerAfter(change).map(({ secret }) => secret);
    return {
      epoch,
      h,
      roomSecret: change.newRoomSecret ?? this.outer.secret,
      formerSecrets: former,
      replacesSecret: change.newRoomSecret !== undefined,
      ownEpochs: [...this.#ownEpochs, { epoch, h, deputies }].slice(-MAX_STORED_EPOCHS),
    };
  }

  #formerAfter({ newRoomSecret }: Change): readonly OuterSeal[] {
    if (newRoomSecret === undefined) return this.#former;
    return [this.outer, ...this.#former].slice(0, MAX_FORMER_SECRETS);
  }

  #ownLeaf(leaf: Leaf): RosterLeaf {
    const { rsaSpki, signing } = this.own.session;
    return {
      leaf,
      via: "founder",
      cert: makeCert({
        room: this.room,
        admin: this.#identity,
        na: joinNonce(this.random(32)),
        identity: this.own.identity,
        generation: this.#generation,
        sessionPublic: signing.publicKey,
        gateKey: this.gateKey,
        rsaSpki,
        // Nobody wraps for the admin: its CERT commits to a key that does not exist.
        kemKey: new Uint8Array(1184) as KemUpdate["kemKey"],
        name: this.own.name,
      }),
    };
  }

  /**
   * Moves to the epoch that was made, and gives what is to be sent.
   *
   * @param nowS seconds since 1970
   * @throws {RangeError} if none waits
   */
  publish(nowS: number): PublishedCommit {
    if (this.#pending === null) throw new RangeError("no commit waits to be published");
    const pending = this.#pending;
    const { made, change, roster, requests, forMembers } = pending;
    this.#pending = null;
    this.#making = false;
    const direct: { to: Handle; payload: Bytes }[] = [];
    const admit: { handle: Handle; ticket: TicketBytes }[] = [];
    const welcomes: { to: Handle; seal: () => readonly Bytes[] }[] = [];
    const evict: { handle: Handle; bar: boolean }[] = [];
    const wraps = new Map<Leaf, Bytes>();
    const removed = new Map<Leaf, KeyObject>();
    const seal = this.outer;
    for (const { leaf, reason } of change.removed) {
      const handle = this.#handles.get(leaf);
      // Who comes in anew over the connection that it has keeps its place at the relay.
      const stays = handle !== undefined && reason !== "kicked" &&
        [...requests.values()].some((asked) => sameBytes(asked.handle, handle));
      if (handle !== undefined && !stays) evict.push({ handle, bar: reason === "kicked" });
      const member = this.current?.roster.find((m) => m.leaf === leaf);
      if (member !== undefined) removed.set(leaf, member.verifyKey);
      this.#handles.delete(leaf);
      this.#wrapKeys.delete(leaf);
    }
    for (const { leaf } of roster) {
      const own = forMembers.get(leaf);
      const wrap = made.wraps.get(leaf);
      if (own === undefined || wrap === undefined) continue;
      if (own.wrap !== null) {
        wraps.set(leaf, own.wrap);
        const to = this.#handles.get(leaf);
        if (to !== undefined) direct.push({ to, payload: own.wrap });
        continue;
      }
      const asked = requests.get(leaf);
      if (asked === undefined) continue;
      this.#handles.set(leaf, asked.handle);
      this.#wrapKeys.set(leaf, asked.wrapKeys);
      const welcome = {
        commit: made.commit,
        wrap,
        ticket: own.ticket,
        roomKey: this.roomKey,
        rosterBox: made.welcomeBox,
      };
      welcomes.push({
        to: asked.handle,
        seal: () => [
          asked.seal.seal("welcome", welcome, this.random),
          ...this.#endOfLine(asked.member.value.identity, leaf),
        ],
      });
      admit.push({ handle: asked.handle, ticket: own.ticket });
    }
    const commit = decodeSigned(COMMIT_BODY, made.commit, "commit");
    const broadcast = this.seal("commit", commit);
    const forLaggards = this.#forLaggards(commit, nowS * 1000);
    this.#former = this.#formerAfter(change);
    const succession = this.#succession === null ? null : this.seal("succession", this.#succession);
    this.#succession = null;
    const after = this.current?.place.epoch ?? this.#epoch;
    this.deputies = change.deputies;
    this.#epoch = made.epoch;
    this.#h = made.h;
    this.#nextLeaf = nextLeafAfter(this.#nextLeaf, roster);
    const taken = new Set(requests.values());
    for (const [id, asked] of this.#requests) if (taken.has(asked)) this.#requests.delete(id);
    this.beginEpoch(
      made.epoch,
      made.h,
      roster,
      change.adminLeaf,
      made.secret,
      change.newRoomSecret,
    );
    for (const removal of change.removed) this.limitPrevious(removal);
    this.#keptCommits.push({
      epoch: made.epoch,
      h: made.h,
      after,
      payload: broadcast,
      succession,
      wraps,
      seal,
      removed,
    });
    if (this.#keptCommits.length > KEPT_COMMITS) {
      for (const leaf of this.#keptCommits.shift()?.removed.keys() ?? []) this.#newest.delete(leaf);
    }
    const present = new Set(roster.map(({ leaf }) => leaf));
    for (const ofLeaf of [this.#missed, this.#renewed, this.#heardBefore]) {
      for (const leaf of ofLeaf.keys()) if (!present.has(leaf)) ofLeaf.delete(leaf);
    }
    const deputies = this.deputyIdentities;
    this.#ownEpochs.push({ epoch: made.epoch, h: made.h, deputies });
    if (this.#ownEpochs.length > CLAIM_AHEAD) this.#ownEpochs.shift();
    if (change.removed.length > 0) this.#minTicketEpoch = made.epoch;
    return {
      direct,
      admit,
      broadcast,
      forLaggards,
      welcomes,
      evict,
      minTicketEpoch: change.removed.length > 0 ? this.#minTicketEpoch : null,
      added: change.added.map(({ leaf }) => leaf),
      change,
    };
  }

  /** Who is removed later may have said there what reached us alone; a CLOSE that nobody asks for any more is not that. */
  protected override dropping(oldest: EpochKeys): void {
    for (const { leaf } of this.current?.roster ?? []) {
      if (!oldest.spoke(leaf)) continue;
      const last = earlierIn(oldest, leaf);
      const before = this.#heardBefore.get(leaf) ?? [];
      this.#heardBefore.set(leaf, [...before, ...last].slice(-MAX_EARLIER_EPOCHS));
    }
  }

  /** What has come of a leaf in the newest epochs before this one in which anything has: a commit that removes it tells. */
  protected override earlierOf(leaf: Leaf): EarlierEpoch[] {
    return [...this.#heardBefore.get(leaf) ?? [], ...super.earlierOf(leaf)].slice(
      -MAX_EARLIER_EPOCHS,
    );
  }

  /** The last kick of the run before may not have left it: then the others know the room secret before that alone. */
  #forLaggards(commit: Signed<Commit>, now: number): PublishedCommit["forLaggards"] {
    const [former] = this.#former;
    const isLast = this.#replaced !== null && this.#replaced.epoch === this.#from;
    if (this.current !== null || former === undefined || !isLast) return null;
    return {
      payload: former.seal("commit", commit, this.random),
      goesFirst: now - (this.#replaced?.at ?? 0) < CHAIN_LIFE_MS,
    };
  }

  #ticket(gate: GateKey, epoch: number, nowS: number): TicketBytes {
    const body = encode(TICKET_BODY, {
      room: this.room,
      ticketEpoch: ticketEpoch(epoch),
      expires: nowS + MAX_TICKET_LIFE_S,
      gateKey: gate,
    });
    return encodeTicket(body, signature(sign(this.#roomKey.privateKey, "ticket", body)));
  }

  /** A verified message came from a leaf by that handle: wraps go there. */
  heardFrom(leaf: Leaf, handle: Handle, epoch: number): void {
    this.#handles.set(leaf, handle);
    const identity = this.current?.roster.find((m) => m.leaf === leaf)?.value.identity.toHex();
    if (identity === undefined) return;
    this.#heardIn.hear(identity, epoch, this.#ownEpochs[0]?.epoch ?? 0);
  }

  /** Where a leaf is at the relay. */
  handleOf(leaf: Leaf): Handle | undefined {
    return this.#handles.get(leaf);
  }

  /**
   * Takes a member's fresh ML-KEM key for the next commit.
   *
   * @param now milliseconds since 1970
   * @returns whether it is for the epoch that we are in, and there have not been too many
   * @throws {CryptoError} `no-key` for a stranger, `bad-signature`, `bad-key`
   */
  takeKemUpdate({ value, body, signature }: Signed<KemUpdate>, now: number): boolean {
    const current = this.current;
    const member = current?.roster.find((m) => m.leaf === value.leaf);
    const keys = this.#wrapKeys.get(value.leaf);
    if (current === null || member === undefined || keys === undefined) {
      throw new CryptoError("no-key", "a KEM_UPDATE is of nobody here");
    }
    if (!verify(member.verifyKey, "kem", body, signature)) {
      throw new CryptoError("bad-signature", "a KEM_UPDATE is not signed by its member");
    }
    if (!sameBytes(value.room, this.room) || !sameBytes(value.h, current.place.h)) return false;
    const budget = this.#renewed.get(value.leaf) ?? new WorkBudget(KEM_AT_ONCE, KEM_PER_S);
    this.#renewed.set(value.leaf, budget);
    if (!budget.has(now)) return false;
    budget.spend(1);
    checkKemKey(value.kemKey);
    this.#wrapKeys.set(value.leaf, { rsa: keys.rsa, kem: value.kemKey });
    // It is in this epoch: it needs no earlier wrap.
    for (const { wraps } of this.#keptCommits) wraps.delete(value.leaf);
    return true;
  }

  /** Lowest ticket epoch that the relay is to be told when we enter. */
  get minTicketEpoch(): number {
    return this.#minTicketEpoch;
  }

  /**
   * Answers a member who may have missed commits: the bytes as first sent, the newest message of those who have sent
   * nothing since, from which it sees what it lacks of them, then CAUGHT_UP.
   *
   * @param now milliseconds since 1970
   * @returns nothing if the commits that it lacks are no longer kept, or it has had too much
   * @throws {CryptoError} `no-key` for a stranger, `bad-signature`
   */
  catchUp(signed: Signed<CatchUp>, now: number): readonly Bytes[] {
    const { leaf } = signed.value;
    this.#checkCatchUp(signed);
    const budget = this.#missed.get(leaf) ?? new WorkBudget(MISSED_AT_ONCE, MISSED_PER_S);
    this.#missed.set(leaf, budget);
    if (!budget.has(now)) return [];
    const answer = this.#answerTo(signed.value);
    budget.spend(Math.max(MISSED_LEAST, answer.reduce((sum, { length }) => sum + length, 0)));
    return answer;
  }

  #checkCatchUp({ value, body, signature: signed }: Signed<CatchUp>): void {
    const current = this.current;
    const member = current?.roster.find((m) => m.leaf === value.leaf);
    const key = member?.verifyKey ??
      this.#keptCommits.find(({ removed }) => removed.has(value.leaf))?.removed.get(value.leaf);
    if (current === null || key === undefined || !sameBytes(value.room, this.room)) {
      throw new CryptoError("no-key", "a CATCH_UP is of nobody here");
    }
    if (!verify(key, "catch-up", body, signed)) {
      throw new CryptoError("bad-signature", "a CATCH_UP is not its member's");
    }
  }

  #answerTo(value: CatchUp): readonly Bytes[] {
    const { current } = this;
    if (current === null) return [];
    const lacking = this.#keptCommits.filter(({ epoch }) => epoch > value.epoch);
    if (value.epoch !== (lacking[0]?.after ?? current.place.epoch)) return [];
    const answer: Bytes[] = [];
    for (const { after, payload, succession, wraps, removed, seal } of lacking) {
      // Of the epoch that it ends the commit itself says how much counts.
      for (const leaf of removed.keys()) {
        answer.push(...this.#newestOf(leaf, value, after, seal));
      }
      if (succession !== null) answer.push(succession);
      const wrap = wraps.get(value.leaf);
      if (wrap !== undefined) answer.push(wrap);
      answer.push(payload);
      if (removed.has(value.leaf)) return answer;
    }
    for (const { leaf } of current.roster) {
      answer.push(...this.#newestOf(leaf, value, current.place.epoch, this.outer));
    }
    const counts = current.roster.map(({ leaf }) => ({
      leaf,
      count: current.chain(leaf)?.next ?? current.sent.count,
    }));
    answer.push(this.#caughtUp(value.leaf, current.place, counts));
    return answer;
  }

  protected override spoken(epoch: number, leaf: Leaf, n: number): void {
    const newest = this.#newest.get(leaf);
    const isOlder = newest !== undefined &&
      (epoch < newest.epoch || (epoch === newest.epoch && n < newest.n));
    if (!isOlder) this.#newest.set(leaf, { epoch, n });
  }

  /** The newest message of a leaf, if it is of an epoch that whoever asks has been in or missed, before this one. */
  #newestOf(leaf: Leaf, asks: CatchUp, before: number, seal: OuterSeal): Bytes[] {
    const newest = this.#newest.get(leaf);
    if (newest === undefined || leaf === asks.leaf) return [];
    if (newest.epoch < asks.epoch || newest.epoch >= before) return [];
    return this.repairs(newest.epoch, leaf, [newest.n], seal);
  }

  /**
   * What was said in the epoch from which another took over from an admin of before: it has the keys of that still,
   * and whoever spoke in the next one, which it has not, closed it there.
   */
  #endOfLine(identity: IdentityKey, leaf: Leaf): Bytes[] {
    const step = this.lineage.steps.findLast(({ value }) =>
      sameBytes(value.warrant.value.admin, identity)
    );
    if (step === undefined) return [];
    const epoch = epochOf(epochBefore(step.value));
    const known = this.countsIn(epoch);
    if (known === undefined) return [];
    const counts = [...known].map(([leaf, count]) => ({ leaf, count }))
      .sort((a, b) => a.leaf - b.leaf);
    return [this.#caughtUp(leaf, { epoch, h: step.value.prev }, counts)];
  }

  #caughtUp(
    leaf: Leaf,
    { epoch, h }: Pick<EpochPlace, "epoch" | "h">,
    counts: CaughtUp["counts"],
  ): Bytes {
    const value = { room: this.room, leaf, epoch, h, counts };
    const body = encode(CAUGHT_UP_BODY, value);
    const signed = signature(sign(this.own.identity.privateKey, "caught-up", body));
    return this.seal("caught-up", signedOf(CAUGHT_UP_BODY, value, signed));
  }

  /**
   * Names the ML-KEM key that the next commit will use for a leaf; `null` for a stranger, and while a commit or a
   * GRANT is being made: those may still need the key before, which the member would erase.
   */
  kemAck(leaf: Leaf): Bytes | null {
    const current = this.current;
    const keys = this.#wrapKeys.get(leaf);
    if (current === null || keys === undefined || this.#making || this.#granting > 0) return null;
    const value = {
      room: this.room,
      leaf,
      h: current.place.h,
      kemKeyHash: hash(sha256(keys.kem)),
    };
    const body = encode(KEM_ACK_BODY, value);
    const signed = signature(sign(this.own.identity.privateKey, "kem-ack", body));
    return this.seal("kem-ack", signedOf(KEM_ACK_BODY, value, signed));
  }

  // ---- another admin (§7.1)

  /**
   * Gives a member the room key, to take over now or as a deputy; nothing is sent if nobody of that leaf is here.
   *
   * @param send is called before any key that the GRANT needs can be erased
   */
  async grant(
    leaf: number,
    purpose: WarrantPurpose,
    send: (to: Handle, payload: Bytes) => void,
  ): Promise<void> {
    this.#granting++;
    try {
      const granted = await this.#makeGrant(leaf, purpose);
      if (granted !== null) send(granted.to, granted.payload);
    } finally {
      this.#granting--;
    }
  }

  async #makeGrant(
    leaf: number,
    purpose: WarrantPurpose,
  ): Promise<{ to: Handle; payload: Bytes } | null> {
    const { current } = this;
    const member = current?.roster.find((m) => m.leaf === leaf);
    const keys = this.#wrapKeys.get(leafOf(leaf));
    const to = this.#handles.get(leafOf(leaf));
    if (current === null || member === undefined || keys === undefined || to === undefined) {
      return null;
    }
    const { epoch, h } = current.place;
    const { identity: successor } = member.value;
    const granted = await makeGrant(
      this.own.identity.privateKey,
      { room: this.room, admin: this.#identity, successor, epoch, h, purpose },
      { identity: successor, certHash: member.certHash },
      keys,
      this.#roomKey.seed,
      this.random,
    );
    return { to, payload: this.seal("grant", granted) };
  }

  /** Asks whether somebody else is at the owners' place: another instance of us, or who took over. */
  ownerAsk(): Bytes {
    this.#ownerNonce = new Uint8Array(this.random(32));
    return this.seal("owner-ask", { nonce: this.#ownerNonce });
  }

  /** We are, and by what right. */
  ownerHere(to: Handle, nonce: Bytes): Bytes[] {
    const value = { room: this.room, admin: this.#identity, runId: this.runId, nonce };
    const body = encode(OWNER_HERE_BODY, value);
    const signed = signature(sign(this.own.identity.privateKey, "owner", body));
    const here = signedOf(OWNER_HERE_BODY, value, signed);
    return [...this.successions(to), this.#sealFor(to).seal("owner-here", here, this.random)];
  }

  /** Whether another instance of us answers what we have just asked: a second device, or an old backup. */
  isOtherSelf({ value, body, signature }: Signed<OwnerHere>): boolean {
    return sameBytes(value.room, this.room) && sameBytes(value.admin, this.#identity) &&
      this.#ownerNonce !== null && sameBytes(value.nonce, this.#ownerNonce) &&
      !sameBytes(value.runId, this.runId) &&
      verifyRaw(this.#identity, "owner", body, signature);
  }

  /** Whether an admin of before answers what we have just asked: it does not know that we took over. */
  isFormerAdminHere({ value, body, signature }: Signed<OwnerHere>): boolean {
    return sameBytes(value.room, this.room) && this.#ownerNonce !== null &&
      sameBytes(value.nonce, this.#ownerNonce) && !sameBytes(value.admin, this.#identity) &&
      this.lineage.upTo(this.#identity).some((former) => sameBytes(former, value.admin)) &&
      verifyRaw(value.admin, "owner", body, signature);
  }

  /** Whether an admin of before goes on though we took over. */
  isOfFormerAdmin(commit: Signed<Commit>): boolean {
    return this.lineage.isOfFormer(this.#identity, commit);
  }

  /** Whether a commit is ours, and of another run since this one began. */
  isOtherRuns({ value, body, signature }: Signed<Commit>): boolean {
    return sameBytes(value.room, this.room) && value.epoch > this.#from &&
      !sameBytes(value.runId, this.runId) && verifyRaw(this.#identity, "commit", body, signature);
  }

  /**
   * What shows a joiner who knew an earlier admin that we followed it.
   *
   * @param yielding and who follows us: we are about to step down
   */
  successions(to: Handle, yielding = false): Bytes[] {
    const seal = this.#sealFor(to);
    const own = yielding && this.#successor !== null ? [this.#successor] : [];
    return [...this.lineage.steps, ...own].map((step) =>
      seal.seal("succession", step, this.random)
    );
  }

  /**
   * Somebody says that it takes over from us.
   *
   * @returns `null` if it is not from us that it does
   * @throws {CryptoError} as `checkSuccession`
   */
  takeSuccession(signed: Signed<Succession>): Succeeded | null {
    checkSuccession(signed, this.room);
    const { warrant: { value: warrant }, prev } = signed.value;
    const { purpose, successor: identity } = warrant;
    if (!sameBytes(warrant.admin, this.#identity) || this.lineage.has(signed)) return null;
    const from = epochBefore(signed.value);
    const own = this.#ownEpochs.find(({ h }) => sameBytes(h, prev));
    // With an old copy of the profile we know only how far that one came, and that we signed the warrant.
    const isOurs = own === undefined
      ? this.current === null && from > this.#epoch
      : own.epoch === from;
    const wasDeputy = purpose === "hand-over" ||
      (own?.deputies?.includes(identity.toHex()) ?? true);
    const hasGoneOn = this.#heardIn.after(identity.toHex(), from);
    const valid = isOurs && wasDeputy && !hasGoneOn;
    if (valid) this.#successor = signed;
    return { identity, purpose, from, valid };
  }

  /** Who has taken over from us, the number before its first epoch, and h of the one it went on from. */
  get succeededBy(): { admin: IdentityKey; highestEpoch: number; h: EpochHash } | null {
    if (this.#successor === null) return null;
    const { warrant, epoch, prev } = this.#successor.value;
    return { admin: warrant.value.successor, highestEpoch: epoch - 1, h: prev };
  }

  /** Keys to come in anew as a member, under whom {@linkcode takeSuccession} found valid. @throws {RangeError} before that */
  stepDown(generation: Generation): MemberKeys {
    if (this.#successor === null) throw new RangeError("nobody has taken over");
    const { warrant, epoch } = this.#successor.value;
    this.lineage.add(this.#successor);
    const keys = new MemberKeys(this.room, this.own, this.gate, this.random, {
      secret: this.outer.secret,
      admin: fingerprintOf(warrant.value.successor),
      invite: null,
      roomKey: this.roomKey,
      highestEpoch: epoch - 1,
    }, generation);
    keys.inherit(this, this.lineage);
    return keys;
  }

  override wipe(): void {
    super.wipe();
    this.#greetings.clear();
    this.#taken.clear();
    this.#requests.clear();
    this.#wrapKeys.clear();
    this.#invites.clear();
    this.#pending?.made.secret.fill(0);
    this.#pending = null;
    this.#making = false;
  }
}
