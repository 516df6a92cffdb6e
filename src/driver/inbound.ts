/**
 * The inbound stage: the relay's frames become session events, strictly in order. It is the only stage that
 * waits, where a commit or a bundle needs WebCrypto; the frames behind it wait too, and past a bound so does
 * the socket.
 *
 * 1. a frame's body becomes a relay message (`wire/relay_message.ts`);
 * 2. a payload is unmasked, and opened if the room secret sealed it (`crypto/room_keys.ts`);
 * 3. what is in it is verified there;
 * 4. only then is it an event.
 */
import { AdminKeys } from "../crypto/admin_keys.ts";
import { type AcceptedCommit, CommitRefused, Fork } from "../crypto/accept_commit.ts";
import type { Evidence } from "../crypto/commit_memory.ts";
import { fingerprintOf, InviteRefused, OtherAdmin } from "../crypto/join.ts";
import type { KeyRing } from "../crypto/key_ring.ts";
import { type LastWords, MemberKeys } from "../crypto/member_keys.ts";
import type { MessageResult } from "../crypto/room_keys.ts";
import type { MemberLeaf, Roster } from "../crypto/roster.ts";
import { CryptoError } from "../crypto/primitives.ts";
import type { EventBody, MessageContent, RosterEntry } from "../session/event.ts";
import type { ForkEvidence } from "../session/notice.ts";
import { type Bytes, WireError } from "../wire/codec.ts";
import { formatFingerprint, type Handle, type RoomId } from "../wire/ids.ts";
import type { Commit } from "../wire/commit.ts";
import type { Hello } from "../wire/handshake.ts";
import type { RelayMessage, UnknownRelayMessage } from "../wire/relay_message.ts";
import { isOpenRoom } from "../wire/room_id.ts";
import type { SealedMessage, UnknownSealedMessage } from "../wire/sealed_message.ts";
import { encodeSigned, type Signed } from "../wire/signed.ts";

/** Messages of the next epoch that may wait for its commit (§8), or of our first for WELCOME. */
const MAX_EARLY = 1024;
/** Their bytes in all: what is in them cannot be looked at, and a frame may have 1 MiB. */
const MAX_EARLY_BYTES = 16 * 1024 * 1024;

/** Answers to members who fell behind that wait for the step. */
const MAX_ANSWERS = 64;

/** A payload with the handle that the relay names as its sender. */
interface Delivered {
  readonly room: RoomId;
  readonly from: Handle;
  readonly payload: Bytes;
  readonly broadcast: boolean;
  /** It came by repair: `from` is not its author's handle. */
  readonly repaired: boolean;
}

/** As it came it is a view of all that came with it: what waits must not keep that. */
function ofItsOwn(delivered: Delivered): Delivered {
  return { ...delivered, payload: delivered.payload.slice() };
}

/** Turns what the relay sends into events. */
export class Inbound {
  readonly #early = new Map<string, { readonly frames: Delivered[]; bytes: number }>();
  /** What members who fell behind are to get, until the step has said so. */
  readonly #answers = new Map<string, readonly Bytes[]>();
  #answerCount = 0;

  /** @param now milliseconds since 1970 */
  constructor(private readonly ring: KeyRing, private readonly now: () => number) {}

  /**
   * The events of one message of the relay; PING and CHALLENGE are the connection's own. What people write to each
   * other is there at once: in a burst a promise for each text would cost more than its ratchet.
   */
  take(
    message: RelayMessage | UnknownRelayMessage,
  ): readonly EventBody[] | Promise<readonly EventBody[]> {
    switch (message.kind) {
      case "broadcast":
      case "direct":
        return this.#payload({
          ...message,
          broadcast: message.kind === "broadcast",
          repaired: false,
        });
      case "entered":
        return [{
          kind: "entered",
          room: message.room.toHex(),
          handle: message.handle.toHex(),
          role: message.role,
          ownerPresent: message.ownerPresent,
        }];
      case "refused":
        return [{
          kind: "refused",
          room: message.room.toHex(),
          code: message.code,
          message: message.message === "" ? message.code : message.message,
        }];
      case "gone": {
        const keys = this.ring.get(message.room);
        if (keys instanceof AdminKeys) keys.forgetHandle(message.handle);
        return [{
          kind: "gone",
          room: message.room.toHex(),
          handle: message.handle.toHex(),
          reason: message.reason,
        }];
      }
      case "owner":
        return [{ kind: "owner", room: message.room.toHex(), present: message.present }];
      default:
        return [];
    }
  }

  #payload(delivered: Delivered): readonly EventBody[] | Promise<readonly EventBody[]> {
    const keys = this.ring.get(delivered.room);
    if (keys === undefined) {
      this.#early.delete(delivered.room.toHex());
      return [];
    }
    try {
      const opened = keys.open(delivered.payload);
      if (opened.kind === "message") {
        if (keys.current === null) return this.#beforeWelcome(delivered);
        return this.#message(
          keys,
          delivered,
          keys.openMessage(opened.header, opened.body, delivered.payload, this.now()),
        );
      }
      if (opened.kind === "sealed") {
        if (keys instanceof AdminKeys) keys.spokeWith(delivered.from, opened.seal);
        return this.#sealed(keys, delivered, opened.message)
          .catch((error) => this.#nonsense(keys, delivered, error));
      }
    } catch (error) {
      return this.#nonsense(keys, delivered, error);
    }
    return this.#nonsense(keys, delivered);
  }

  /** What came is nothing that we can read. @throws what went wrong with us */
  #nonsense(
    keys: MemberKeys | AdminKeys,
    delivered: Delivered,
    error?: unknown,
  ): readonly EventBody[] {
    const foreign = error instanceof WireError || error instanceof CryptoError;
    if (error !== undefined && !foreign) throw error;
    const room = delivered.room.toHex();
    // Anybody may knock with nonsense; among members nonsense is the relay's doing, or a member's.
    if (!delivered.broadcast) return [];
    // We may not know the secret yet that WELCOME will bring.
    if (keys.current === null) return this.#beforeWelcome(delivered);
    const refused = { kind: "message-refused", room, code: "bad-message", leaf: null } as const;
    // Or the others have a secret that a commit brought which did not reach us: the admin is asked. What did open
    // was made by somebody with ours.
    const unreadable = error === undefined ? { unreadable: true } as const : {};
    return [{ ...refused, ...unreadable }, { kind: "fell-behind", room, sure: false }];
  }

  /** Keeps what came before our WELCOME: who was admitted with us may be quicker. */
  #beforeWelcome(delivered: Delivered): readonly EventBody[] {
    this.#keep(delivered);
    return [];
  }

  /** Keeps what cannot be read yet. @returns false if too much waits */
  #keep(delivered: Delivered): boolean {
    const room = delivered.room.toHex();
    const early = this.#early.get(room) ?? { frames: [], bytes: 0 };
    const bytes = early.bytes + delivered.payload.length;
    if (early.frames.length >= MAX_EARLY || bytes > MAX_EARLY_BYTES) return false;
    early.frames.push(ofItsOwn(delivered));
    early.bytes = bytes;
    this.#early.set(room, early);
    return true;
  }

  /** The payloads of a `catch-up-asked` event; once. */
  takeAnswer(answer: string): readonly Bytes[] {
    const payloads = this.#answers.get(answer) ?? [];
    this.#answers.delete(answer);
    return payloads;
  }

  // ---- messages

  #message(
    keys: MemberKeys | AdminKeys,
    delivered: Delivered,
    result: MessageResult,
  ): readonly EventBody[] {
    const room = delivered.room.toHex();
    switch (result.kind) {
      case "nothing":
        return [];
      case "early":
        return this.#keep(delivered)
          ? [{ kind: "fell-behind", room, sure: false }]
          : [{ kind: "message-refused", room, code: "unknown-sender", leaf: null }];
      case "refused":
        return [{ kind: "message-refused", room, code: result.code, leaf: result.leaf }];
      case "opened": {
        if (keys instanceof AdminKeys && !delivered.repaired) {
          keys.heardFrom(result.leaf, delivered.from, result.epoch);
        }
        if (result.message.kind === "unknown" && result.message.critical) {
          return [{ kind: "message-refused", room, code: "unsupported", leaf: result.leaf }];
        }
        return [{
          kind: "message",
          room,
          handle: delivered.repaired ? null : delivered.from.toHex(),
          leaf: result.leaf,
          epoch: result.epoch,
          n: result.n,
          gaps: result.gaps,
          content: contentOf(result),
          skipped: result.skipped,
          lost: result.lost,
          late: result.late,
          fork: result.fork,
          ...(result.givenUp && { givenUp: result.givenUp }),
        }];
      }
    }
  }

  /** What came for an epoch before its commit, now that we are in it. */
  async #takeEarly(room: RoomId): Promise<readonly EventBody[]> {
    const { frames = [] } = this.#early.get(room.toHex()) ?? {};
    this.#early.delete(room.toHex());
    const events: EventBody[] = [];
    for (const delivered of frames) events.push(...await this.#payload(delivered));
    return events;
  }

  // ---- the handshake and the epochs

  async #sealed(
    keys: MemberKeys | AdminKeys,
    delivered: Delivered,
    message: SealedMessage | UnknownSealedMessage,
  ): Promise<readonly EventBody[]> {
    const room = delivered.room.toHex();
    if (message.kind === "unknown") {
      // Nothing vouches for what is only sealed: it ends nobody's room, an admin's or a member's.
      return message.critical && keys instanceof MemberKeys
        ? [{ kind: "message-refused", room, code: "bad-message", leaf: null }]
        : [];
    }
    if (message.kind === "repair-request") {
      const { requester, epoch, leaf, numbers } = keys.takeRepairRequest(message.content);
      const handle = delivered.from.toHex();
      return [{ kind: "repair-asked", room, handle, requester, epoch, leaf, numbers }];
    }
    if (message.kind === "repair") {
      // Once: what is in a repair is a message, or it is nothing.
      if (delivered.repaired) return [];
      const { payload } = message.content;
      return await this.#payload({ ...delivered, payload, broadcast: false, repaired: true });
    }
    if (message.kind === "view-request") {
      const { requester, nonce } = keys.takeViewRequest(message.content);
      const handle = delivered.from.toHex();
      return [{ kind: "view-asked", room, handle, requester, nonce: nonce.toHex() }];
    }
    if (message.kind === "view") {
      const compared = keys.takeView(message.content);
      const epoch = keys.current?.place.epoch ?? 0;
      return compared === null ? [] : [{ kind: "view-came", room, epoch, ...compared }];
    }
    if (message.kind === "owner-ask") {
      const handle = delivered.from.toHex();
      return [{ kind: "owner-asked", room, handle, nonce: message.content.nonce.toHex() }];
    }
    if (keys instanceof AdminKeys) return await this.#forAdmin(keys, delivered, message);
    switch (message.kind) {
      case "grant": {
        const purpose = await keys.takeGrant(message.content);
        return purpose === null ? [] : [{ kind: "granted", room, purpose }];
      }
      case "succession":
        return await this.#orRefused(keys, room, null, () => {
          const offer = keys.takeSuccession(message.content, delivered.from);
          if (offer === "outside") return Promise.resolve([{ kind: "admin-changed", room }]);
          return Promise.resolve(offer === null ? [] : [{ kind: "succession", room, ...offer }]);
        });
      case "keys": {
        const leaf = await keys.takeKeys(message.content, delivered.from);
        return leaf === null ? [] : [{ kind: "keys-given", room, leaf }];
      }
      case "hello":
        return keys.hasGreeting(message.content) ? [] : [greetedEvent(keys, message.content)];
      case "pending":
        return [{ kind: "pending", room }];
      case "denied": {
        const code = keys.takeDenied(message.content);
        return code === null ? [] : [{ kind: "denied", room, code }];
      }
      case "wrap":
        keys.takeWrap(message.content, delivered.from);
        return [];
      case "kem-ack":
        keys.takeKemAck(message.content);
        return [];
      case "caught-up": {
        const told = keys.takeCaughtUp(message.content);
        if (told === null) return [];
        const gaps = told.leaves.map((leaf) => ({ leaf, gaps: keys.gapsOf(leaf) }));
        return [{ kind: told.isNow ? "caught-up" : "gaps-told", room, gaps }];
      }
      case "welcome":
        return await this.#orRefused(keys, room, null, async () => {
          const accepted = await keys.takeWelcome(message.content).catch(unlessOfBefore);
          if (accepted === null) return [];
          return [
            joinedEvent(keys, accepted.change.roomName, accepted.roster),
            // The rest was not for us: it is of epochs before ours.
            ...(await this.#takeEarly(delivered.room)).filter((e) => e.kind === "message"),
          ];
        });
      case "commit":
        if (keys.isOfFormerAdmin(message.content)) {
          return [{ kind: "former-admin", room, handle: delivered.from.toHex() }];
        }
        return await this.#orRefused(keys, room, message.content.value.epoch, async () => {
          const accepted = await keys.takeCommit(message.content);
          if (accepted === null) return [];
          return [
            epochEvent(keys, accepted, accepted.removed),
            ...await this.#takeEarly(delivered.room),
          ];
        });
      default:
        return [];
    }
  }

  async #orRefused(
    keys: MemberKeys,
    room: string,
    epoch: number | null,
    act: () => Promise<readonly EventBody[]>,
  ): Promise<readonly EventBody[]> {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof CommitRefused)) throw error;
      const restarted = error.runId !== null && keys.isOtherRun(error.runId);
      const { code, message, fatal } = error;
      const ahead = code === "rollback" && epoch !== null &&
        epoch > (keys.current?.place.epoch ?? epoch);
      // An admin that has started anew leaves nobody from before; what it made last may not have left it.
      if (code === "removed" || (ahead && restarted)) return [{ kind: "removed", room, restarted }];
      if (error instanceof Fork && error.evidence !== null) {
        const evidence = shown(error.evidence);
        return [{ kind: "commit-refused", room, code: "fork", message, fatal, evidence }];
      }
      if (ahead) {
        return [{ kind: "commit-refused", room, code, message, fatal, ahead: true }, {
          kind: "fell-behind",
          room,
          sure: true,
        }];
      }
      if (code !== "no-wrap") return [{ kind: "commit-refused", room, code, message, fatal }];
      // The admin has kept it. It may not have known where we are: only one that was changed is somebody's doing.
      const changed: EventBody[] = epoch !== null && keys.hasWrap(epoch)
        ? [{ kind: "commit-refused", room, code: "bad-commit", message, fatal }]
        : [];
      return [...changed, { kind: "fell-behind", room, sure: true }];
    }
  }

  async #forAdmin(
    keys: AdminKeys,
    delivered: Delivered,
    message: SealedMessage,
  ): Promise<readonly EventBody[]> {
    const room = delivered.room.toHex();
    const handle = delivered.from.toHex();
    switch (message.kind) {
      case "knock":
        return [{ kind: "knocked", room, handle }];
      case "bundle": {
        // Whose request it repeats is let in, waits or was told why not: that is not to be changed.
        if (keys.hasTaken(delivered.from, message.content)) return [];
        try {
          const { request, opened } = await keys.takeBundle(
            delivered.from,
            message.content,
            this.now(),
          );
          const { identity, name } = opened.member.value;
          return [{
            kind: "bundle-opened",
            room,
            handle,
            request,
            name,
            identity: identity.toHex(),
            fingerprint: formatFingerprint(fingerprintOf(identity)),
            invite: opened.invite === "unknown" ? "unknown" : opened.invite?.toHex() ?? null,
          }];
        } catch (error) {
          if (!(error instanceof CryptoError || error instanceof WireError)) throw error;
          const code = error instanceof InviteRefused ? "invite-invalid" : "bad-request";
          return [{
            kind: "bundle-refused",
            room,
            handle,
            na: message.content.na.toHex(),
            code,
            why: error.message,
          }];
        }
      }
      case "catch-up": {
        const payloads = keys.catchUp(message.content, this.now());
        if (payloads.length === 0) return [];
        const answer = `c${++this.#answerCount}`;
        for (const oldest of this.#answers.keys()) {
          if (this.#answers.size < MAX_ANSWERS) break;
          this.#answers.delete(oldest);
        }
        this.#answers.set(answer, payloads);
        return [{ kind: "catch-up-asked", room, handle, answer }];
      }
      case "succession": {
        const succeeded = keys.takeSuccession(message.content);
        if (succeeded === null) return [];
        const { identity, purpose, from, valid } = succeeded;
        return [{
          kind: "succeeded",
          room,
          identity: identity.toHex(),
          fingerprint: formatFingerprint(fingerprintOf(identity)),
          purpose,
          from,
          valid,
        }];
      }
      case "owner-here":
        if (keys.isOtherSelf(message.content)) return [twoDevices(room)];
        return keys.isFormerAdminHere(message.content)
          ? [{ kind: "former-admin", room, handle }]
          : [];
      case "commit":
        if (keys.isOtherRuns(message.content)) return [twoDevices(room)];
        return keys.isOfFormerAdmin(message.content)
          ? [{ kind: "former-admin", room, handle }]
          : [];
      case "kem-update":
        if (!keys.takeKemUpdate(message.content, this.now())) return [];
        return [{ kind: "kem-updated", room, leaf: message.content.value.leaf, handle }];
      default:
        return [];
    }
  }
}

/** A WELCOME that lists none of our keys was made for a BUNDLE before our newest. */
function unlessOfBefore(error: unknown): null {
  if (error instanceof CommitRefused && error.code === "removed") return null;
  throw error;
}

function greetedEvent(keys: MemberKeys, hello: Signed<Hello>): EventBody {
  const room = keys.room.toHex();
  try {
    const { admin, fingerprint, pinned } = keys.takeHello(hello);
    return {
      kind: "greeted",
      room,
      admin: admin.toHex(),
      fingerprint: formatFingerprint(fingerprint),
      pinned,
    };
  } catch (error) {
    if (!(error instanceof OtherAdmin)) throw error;
    return {
      kind: "commit-refused",
      room,
      code: "unverified-admin",
      message: `somebody else than the admin of this room answers: fingerprint ${
        formatFingerprint(error.found)
      }, and the admin's is ${formatFingerprint(error.expected)}; nothing was sent to them`,
      // A member can be the one, and the admin may answer yet. But an open room that greets us with another
      // admin than the one we remember is another room.
      fatal: isOpenRoom(keys.room) && keys.admin === null,
    };
  }
}

/** Evidence for everybody's eyes. */
function shown({ admin, commits: [ours, other] }: Evidence): ForkEvidence {
  const whole = ({ body, signature }: Signed<Commit>): string =>
    encodeSigned(body, signature).toBase64();
  return { admin: admin.toHex(), commits: [whole(ours), whole(other)] };
}

function twoDevices(room: string): EventBody {
  return {
    kind: "commit-refused",
    room,
    code: "two-devices",
    message:
      "your identity runs this room somewhere else as well, on a second device or from a newer copy of the profile: " +
      "only one can, and this one stops",
    fatal: true,
  };
}

function contentOf(result: Extract<MessageResult, { kind: "opened" }>): MessageContent {
  const { message, missing } = result;
  switch (message.kind) {
    case "text":
      return {
        kind: "text",
        id: message.id.toHex(),
        sentAt: message.sentAt,
        text: message.text,
        repeated: result.repeated,
      };
    case "close":
      return { kind: "close", epoch: message.epoch, missing };
    case "heartbeat":
      return result.agrees === undefined
        ? { kind: "heartbeat" }
        : { kind: "heartbeat", agrees: result.agrees };
    case "leave":
      return { kind: "leave" };
    case "unknown":
      return { kind: "other" };
  }
}

/** A member as events name it. */
export function rosterEntry({ leaf, via, value }: MemberLeaf): RosterEntry {
  return {
    leaf,
    name: value.name,
    identity: value.identity.toHex(),
    fingerprint: formatFingerprint(fingerprintOf(value.identity)),
    via,
  };
}

/** The event of our first epoch in a room. @throws {RangeError} before it */
export function joinedEvent(
  keys: MemberKeys | AdminKeys,
  roomName: string,
  roster: Roster,
): EventBody {
  const current = keys.current;
  if (current === null) throw new RangeError("we are in no epoch");
  const admin = keys instanceof AdminKeys ? keys.own.identity.publicKey : keys.admin;
  const adminLeaf = roster.find((m) =>
    admin !== null && m.value.identity.toHex() === admin.toHex()
  );
  return {
    kind: "joined",
    room: keys.room.toHex(),
    roomName,
    epoch: current.place.epoch,
    myLeaf: current.myLeaf,
    adminLeaf: adminLeaf?.leaf ?? -1,
    deputies: keys.deputies,
    roster: roster.map(rosterEntry),
    safetyCode: current.safetyCode,
  };
}

/** The event of every later epoch. @throws {RangeError} before the first */
export function epochEvent(
  keys: MemberKeys | AdminKeys,
  { change, roster }: Pick<AcceptedCommit, "change" | "roster">,
  removed: LastWords,
): EventBody {
  const current = keys.current;
  if (current === null) throw new RangeError("we are in no epoch");
  const added = new Set(change.added.map(({ leaf }) => leaf));
  return {
    kind: "epoch-began",
    room: keys.room.toHex(),
    epoch: current.place.epoch,
    reason: change.reason,
    adminLeaf: change.adminLeaf,
    deputies: change.deputies,
    added: roster.filter(({ leaf }) => added.has(leaf)).map(rosterEntry),
    removed: change.removed.map(({ leaf, reason, count }) => {
      const gaps = keys.gapsOf(leaf);
      const mendable = gaps.filter((gap) => gap.epoch === keys.epochBefore)
        .reduce((sum, { numbers }) => sum + numbers.length, 0);
      const { missing, fork } = removed.get(leaf) ?? { missing: 0, fork: false };
      return { leaf, reason, count, gaps, missing: Math.max(0, missing - mendable), fork };
    }),
    safetyCode: current.safetyCode,
  };
}
