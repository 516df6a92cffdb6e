/**
 * Runs a role: the loop and the workers (ARCHITECTURE, "flow of a participant").
 *
 * 1. events come from the connection, the face, the clock and the workers into one queue;
 * 2. the loop takes one, asks the role's pure step, and carries out the effects in order;
 * 3. what is quick (sealing, sending, showing) is done before the next event is taken; what is slow goes to a
 *    worker, and its result is an event.
 */
import { AdminKeys } from "../crypto/admin_keys.ts";
import { MemberKeys } from "../crypto/member_keys.ts";
import type { Outgoing } from "../crypto/room_keys.ts";
import type { Effect, InviteRecord, OutgoingMessage } from "../session/effect.ts";
import type { EventBody, SessionEvent, SuccessionPurpose } from "../session/event.ts";
import { EXIT } from "../session/exit_code.ts";
import type { UserIntent } from "../session/intent.ts";
import { type Bytes, encode } from "../wire/codec.ts";
import {
  BROADCAST_TO_OWNERS,
  type Challenge,
  fromHex,
  type Handle,
  handle as handleOf,
  joinNonce,
  leaf as leafOf,
  messageId,
  type RoomId,
  roomId,
  ticketEpoch,
} from "../wire/ids.ts";
import { formatLink } from "../wire/link_url.ts";
import { SUCCESSION } from "../wire/succession.ts";
import { sha256 } from "../crypto/primitives.ts";
import { fingerprintOf } from "../crypto/join.ts";
import { backoffMs } from "../transport/backoff.ts";
import { DialError } from "../transport/dial.ts";
import type { Link } from "../transport/link.ts";
import { Breath } from "./breath.ts";
import { Connection } from "./connection.ts";
import { nextGeneration } from "../crypto/join.ts";
import { EventQueue } from "./event_queue.ts";
import { epochEvent, Inbound, joinedEvent } from "./inbound.ts";
import type { KeptInvite, KeptMembership, Ports } from "./ports.ts";
import { Worker } from "./worker.ts";
import type { RelayMessage, UnknownRelayMessage } from "../wire/relay_message.ts";

const TICK_MS = 1000;
/** Events that mean nothing after their connection. */
const OF_CONNECTION: ReadonlySet<string> = new Set(["entered", "gone", "owner", "refused"]);
/** Events after which what follows is opened with other keys. */
const TURNING: ReadonlySet<string> = new Set([
  "joined",
  "epoch-began",
  "succession",
  "succeeded",
  "keys-given",
]);
/** Events that may wait before the network is held back: opened in one go, then carried out in one go. */
const QUEUE_CAPACITY = 64;
const WORKER_CAPACITY = 4096;
/** Messages that wait for our place in a room: a CLOSE for each epoch that passes meanwhile. */
const MAX_HELD = 64;
/** For how long the relay may read nothing of our last words. */
const CLOSE_MS = 3000;

/**
 * Runs a session to its end.
 *
 * @returns the exit code
 * @throws {DialError} if the relay cannot be reached or is not the one it should be
 */
export async function runRole<S>(ports: Ports<S>): Promise<number> {
  const link = await ports.dial();
  return await new Driver(ports).run(link);
}

class Driver<S> {
  readonly #ports: Ports<S>;
  #state: S;
  /** The state that the face has seen. */
  #shown: S | null = null;
  readonly #queue = new EventQueue<EventBody>(QUEUE_CAPACITY);
  /** Events that effects made: taken before anything else. */
  #inline: EventBody[] = [];
  readonly #inbound: Inbound;
  readonly #cryptoWorker: Worker;
  readonly #storeWorker: Worker;
  readonly #breath = new Breath();
  #connection: Connection | null = null;
  #nonce: Challenge | null = null;
  readonly #handles = new Map<string, Handle>();
  /** Sealed while we had no place in the room. */
  readonly #held = new Map<string, readonly Bytes[]>();
  /** Who has knocked and waits for the worker. */
  readonly #greeting = new Set<string>();
  /** Counts connections: what an old one still says is not heard. */
  #generation = 0;
  #lostAt = 0;
  #cancelDial: () => void = () => {};
  #stop: { exitCode: number } | null = null;
  /** What failed when nobody took events any more. */
  #failedLate: { code: string; message: string } | null = null;

  constructor(ports: Ports<S>) {
    this.#ports = ports;
    this.#state = ports.initial;
    this.#inbound = new Inbound(ports.ring, ports.clock.now);
    const failed = (what: string, error: unknown): void => {
      const message = `${what} failed: ${error instanceof Error ? error.message : String(error)}`;
      if (this.#stop !== null) this.#failedLate ??= { code: what, message };
      this.#queue.push({ kind: "failed", what, message });
    };
    this.#cryptoWorker = new Worker(WORKER_CAPACITY, failed);
    this.#storeWorker = new Worker(WORKER_CAPACITY, failed);
  }

  async run(link: Link): Promise<number> {
    const { face, clock, rooms } = this.#ports;
    for (const room of rooms) {
      this.#queue.push({ kind: "room-prepared", room: room.id, name: room.name });
    }
    this.#connect(link);
    const stopClock = clock.every(TICK_MS, () => {
      this.#connection?.tick();
      this.#queue.push({ kind: "tick" });
    });
    const stopSignals = this.#ports.onSignal(() =>
      this.#queue.push(this.#wanted({ kind: "interrupt" }))
    );
    void this.#readFace();
    try {
      while (this.#stop === null) {
        let event = this.#queue.takeNow();
        if (event === undefined) {
          this.#show();
          event = await this.#queue.take();
        }
        this.#dispatch(event);
        const pause = this.#breath.taken();
        if (pause === undefined) continue;
        this.#show();
        await pause;
      }
      this.#show();
    } finally {
      this.#cancelDial();
      stopClock();
      stopSignals();
    }
    if (this.#connection !== null) await this.#close(this.#connection);
    await this.#storeWorker.idle();
    this.#ports.ring.wipe();
    if (this.#failedLate === null) return this.#stop.exitCode;
    face.notice({ type: "error", ...this.#failedLate });
    return this.#stop.exitCode === EXIT.left ? EXIT.failed : this.#stop.exitCode;
  }

  /** What the face draws: once for all that was there at once. */
  #show(): void {
    if (this.#shown === this.#state) return;
    this.#shown = this.#state;
    this.#ports.face.view(this.#ports.role.view(this.#state));
  }

  /** A relay that reads no more must not keep us from leaving. */
  async #close(connection: Connection): Promise<void> {
    let { proofs } = connection;
    const stopWaiting = this.#ports.clock.every(CLOSE_MS, () => {
      if (connection.proofs === proofs) connection.abandon();
      proofs = connection.proofs;
    });
    try {
      if (await connection.close()) return;
      this.#failedLate ??= {
        code: "not-read",
        message: "the relay has not read all that was sent: the last of it may have reached nobody",
      };
    } finally {
      stopWaiting();
    }
  }

  #connect(link: Link): void {
    const { relay, clock, login } = this.#ports;
    const generation = ++this.#generation;
    const isCurrent = (): boolean => generation === this.#generation;
    this.#connection = new Connection(link, {
      onStart: async (nonce) => {
        this.#nonce = nonce;
        await this.#queue.pushWhenRoom({
          kind: "connected",
          host: relay.host,
          port: relay.port,
          pin: relay.key.toHex(),
        });
      },
      onMessage: (message) => {
        const pause = this.#breath.taken();
        return pause === undefined
          ? this.#hear(message, isCurrent)
          : pause.then(() => this.#hear(message, isCurrent));
      },
      onEnd: (code, message, deadSince) => {
        if (!isCurrent()) return;
        const since = deadSince === null ? {} : { deadSince };
        this.#queue.push({ kind: "link-ended", code, message, ...since });
      },
      login: login && ((nonce) => login.begin(relay.key, nonce)),
    }, clock.now);
  }

  #hear(
    message: RelayMessage | UnknownRelayMessage,
    isCurrent: () => boolean,
  ): Promise<void> | undefined {
    if (message.kind === "key-changes") {
      return this.#ports.hearKeyChanges?.(message.statements);
    }
    const events = this.#inbound.take(message);
    return events instanceof Promise
      ? events.then((opened) => this.#queueAll(opened, isCurrent))
      : this.#queueAll(events, isCurrent);
  }

  /** Hands on what came over a connection: at once, but for the first that has to wait and those after it. */
  #queueAll(
    events: readonly EventBody[],
    isCurrent: () => boolean,
  ): Promise<void> | undefined {
    for (let i = 0; i < events.length; i++) {
      const event = events[i];
      if (event === undefined) break;
      // Where somebody sits is a matter of this connection; what was opened has been opened.
      if (!isCurrent() && OF_CONNECTION.has(event.kind)) continue;
      // A new epoch is taken notice of before what follows it is opened.
      const turning = TURNING.has(event.kind);
      if (!turning && this.#queue.hasRoom) this.#queue.push(event);
      else {
        const taken = turning ? this.#queue.pushAndWait(event) : this.#queue.pushWhenRoom(event);
        return taken.then(() => this.#queueAll(events.slice(i + 1), isCurrent));
      }
    }
    return undefined;
  }

  /** Dials again after a while; the step hears what came of it. */
  #reconnect(attempt: number): void {
    if (attempt === 1) this.#lostAt = this.#ports.clock.now();
    if (this.#ports.clock.now() - this.#lostAt >= this.#ports.retryMs) {
      this.#inline.push({ kind: "reconnect-given-up" });
      return;
    }
    this.#generation++;
    this.#handles.clear();
    const [random = 0] = new Uint32Array(this.#ports.random(4).buffer);
    const inMs = backoffMs(attempt, random / 2 ** 32);
    this.#inline.push({ kind: "reconnect-scheduled", attempt, inMs });
    this.#cancelDial = this.#ports.clock.after(inMs, () => void this.#dial(attempt));
  }

  async #dial(attempt: number): Promise<void> {
    try {
      const link = await this.#ports.dial();
      if (this.#stop === null) this.#connect(link);
      else link.destroy();
    } catch (error) {
      if (!(error instanceof DialError)) throw error;
      this.#queue.push({
        kind: "dial-failed",
        attempt,
        message: error.message,
        wrongKey: error.code === "wrong-key",
      });
    }
  }

  async #readFace(): Promise<void> {
    for await (const intent of this.#ports.face.intents()) {
      // Whoever pipes a file in waits for what it brought before, and for a relay that reads slowly.
      const full = intent.kind === "say" ? this.#connection?.roomToSend() : undefined;
      if (full !== undefined) await full;
      await this.#queue.pushAndWait(this.#wanted(intent));
    }
  }

  #wanted(intent: UserIntent): EventBody {
    return { kind: "intent", intent, id: this.#ports.random(16).toHex() };
  }

  #dispatch(first: EventBody): void {
    this.#inline.push(first);
    for (let event = this.#inline.shift(); event !== undefined; event = this.#inline.shift()) {
      if (event.kind === "entered") this.#handles.set(event.room, handleOf(fromHex(event.handle)));
      const stamped: SessionEvent = { ...event, at: this.#ports.clock.now() };
      const { state, effects } = this.#ports.role.step(this.#state, stamped);
      this.#state = state;
      for (const effect of effects) this.#carryOut(effect);
      if (event.kind === "joined" || event.kind === "epoch-began") this.#saveMembership(event.room);
    }
  }

  #carryOut(effect: Effect): void {
    switch (effect.kind) {
      case "notice":
        return this.#ports.face.notice(effect.notice);
      case "stop":
        this.#stop = { exitCode: effect.exitCode };
        return;
      case "enter":
        return this.#enter(effect.room);
      case "enter-as-knocker":
        this.#member(effect.room).dropTicket();
        return this.#enter(effect.room);
      case "reconnect":
        return this.#reconnect(effect.attempt);
      case "catch-up":
        return this.#toOwners(effect.room, this.#member(effect.room).catchUp());
      case "rejoin":
        return this.#rejoin(effect.room);
      case "request-repair":
        return this.#direct(
          effect.room,
          handleOf(fromHex(effect.to)),
          this.#keys(effect.room).repairRequest(effect.epoch, effect.leaf, effect.numbers),
        );
      case "repair": {
        const to = handleOf(fromHex(effect.to));
        const { room, epoch, leaf, numbers } = effect;
        for (const n of numbers) {
          // Whoever asks asks again; nobody has our connection end by it.
          if (this.#connection?.roomToSend() !== undefined) return;
          for (const payload of this.#keys(room).repairs(epoch, leaf, [n])) {
            this.#direct(room, to, payload);
          }
        }
        return;
      }
      case "request-view":
        return this.#direct(
          effect.room,
          handleOf(fromHex(effect.to)),
          this.#keys(effect.room).viewRequest(effect.leaf),
        );
      case "show-view":
        return this.#direct(
          effect.room,
          handleOf(fromHex(effect.to)),
          this.#keys(effect.room).view(fromHex(effect.nonce)),
        );
      case "give-up":
        return this.#keys(effect.room).giveUp(effect.leaf, effect.missing);
      case "leave-room":
        this.#connection?.send({ kind: "leave", room: roomId(fromHex(effect.room)) });
        return;
      case "forget-room":
        this.#held.delete(effect.room);
        return this.#ports.ring.forget(effect.room);
      case "knock":
        return this.#toOwners(effect.room, this.#member(effect.room).knock());
      case "send-bundle":
        return this.#slowly(this.#cryptoWorker, "joining", effect.room, async () => {
          const keys = this.#member(effect.room);
          const bundle = await keys.makeBundle(this.#ports.clock.now());
          if (bundle !== null) this.#toOwners(effect.room, bundle);
        });
      case "seal-and-send":
        return this.#say(effect);
      case "send-held":
        for (const payload of this.#held.get(effect.room) ?? []) {
          this.#broadcast(effect.room, this.#keys(effect.room).maskedAnew(payload));
        }
        this.#held.delete(effect.room);
        return;
      case "update-kem":
        return this.#slowly(this.#cryptoWorker, "the key update", effect.room, async () => {
          const keys = this.#member(effect.room);
          this.#toOwners(effect.room, await keys.makeKemUpdate());
        });
      case "renew-ticket": {
        const { ticket } = this.#member(effect.room);
        if (ticket !== null) this.#connection?.send({ kind: "renew", ticket });
        return;
      }
      case "drop-previous-epoch": {
        const keys = this.#keys(effect.room);
        const missing = keys.dropPrevious()
          .map(({ leaf, count }) => ({ leaf, count, gaps: keys.gapsOf(leaf) }));
        this.#inline.push({ kind: "chains-dropped", room: effect.room, missing });
        return;
      }
      case "prepare-join":
        return this.#prepareJoin(effect);
      case "claim":
        return this.#claim(effect.room, effect.purpose);
      case "accept-succession": {
        const keys = this.#member(effect.room);
        keys.acceptSuccession(effect.leaf);
        return this.#slowly(this.#cryptoWorker, "following", effect.room, async () => {
          const answer = await keys.makeKeys();
          if (answer !== null) this.#direct(effect.room, answer.to, answer.payload);
        });
      }
      case "give-up-claim":
        this.#member(effect.room).dropClaim();
        return this.#enter(effect.room);
      case "succeed":
        return this.#succeed(effect.room);
      case "show-line": {
        const to = handleOf(fromHex(effect.to));
        for (const payload of this.#keys(effect.room).successions(to, effect.yielding)) {
          this.#direct(effect.room, to, payload);
        }
        return;
      }
      case "save-fork":
        return this.#storeWorker.run(
          "saving the evidence of a fork",
          () => this.#ports.store.saveFork(effect.room, effect.evidence),
        );
      case "remember-verified":
        return this.#storeWorker.run(
          "saving what was verified",
          () => this.#ports.store.saveVerified(effect.identities),
        );
      default:
        return this.#carryOutAdmin(effect);
    }
  }

  #carryOutAdmin(effect: AdminEffect): void {
    const keys = this.#admin(effect.room);
    switch (effect.kind) {
      case "greet": {
        const to = handleOf(fromHex(effect.handle));
        // A member may knock thousands of times a second; the worker's queue is for everybody.
        if (this.#greeting.has(effect.handle)) return;
        this.#greeting.add(effect.handle);
        return this.#slowly(this.#cryptoWorker, "greeting", effect.room, async () => {
          this.#greeting.delete(effect.handle);
          const hello = await keys.greet(to, this.#ports.clock.now());
          // Whoever knew an earlier admin learns first how we became it.
          for (const payload of keys.successions(to)) this.#direct(effect.room, to, payload);
          this.#direct(effect.room, to, hello);
        });
      }
      case "step-down": {
        const { succeededBy, roomKey } = keys;
        this.#ports.ring.add(
          keys.stepDown(nextGeneration(keys.generation, this.#ports.clock.now())),
        );
        if (succeededBy === null) return;
        // Until its welcome comes we may be ended: started anew we are not to run the room beside it.
        const { admin, highestEpoch: epoch, h } = succeededBy;
        return this.#save(effect.room, { epoch, h: h.toHex(), admin, roomKey, deputies: [] });
      }
      case "ask-owners":
        return effect.all
          ? this.#broadcast(effect.room, keys.ownerAsk())
          : this.#toOwners(effect.room, keys.ownerAsk());
      case "answer-owner": {
        const to = handleOf(fromHex(effect.handle));
        for (const payload of keys.ownerHere(to, fromHex(effect.nonce))) {
          this.#direct(effect.room, to, payload);
        }
        return;
      }
      case "grant":
        return this.#slowly(
          this.#cryptoWorker,
          "granting the room key",
          effect.room,
          () =>
            keys.grant(
              effect.leaf,
              effect.purpose,
              (to, payload) => this.#direct(effect.room, to, payload),
            ),
        );
      case "reclaim":
        this.#connection?.send({
          kind: "set-min",
          room: keys.room,
          ticketEpoch: ticketEpoch(keys.minTicketEpoch),
        });
        return;
      case "send-missed": {
        const to = handleOf(fromHex(effect.handle));
        for (const payload of this.#inbound.takeAnswer(effect.answer)) {
          this.#direct(effect.room, to, payload);
        }
        return;
      }
      case "say-pending":
        return this.#answer(effect.room, keys.pending(effect.request));
      case "deny":
        return this.#answer(effect.room, keys.deny(effect.request, effect.code));
      case "refuse-bundle": {
        const to = handleOf(fromHex(effect.handle));
        return this.#answer(
          effect.room,
          keys.refuseBundle(to, joinNonce(fromHex(effect.na)), effect.code),
        );
      }
      case "ack-kem": {
        const payload = keys.kemAck(leafOf(effect.leaf));
        if (payload !== null) this.#direct(effect.room, handleOf(fromHex(effect.handle)), payload);
        return;
      }
      case "make-invite":
        return this.#makeInvite(keys, effect);
      case "save-invites":
        keys.onlyInvites(effect.invites.filter((i) => !i.revoked).map((i) => i.id));
        return this.#storeWorker.run(
          "saving invites",
          () => this.#ports.store.saveInvites(effect.room, kept(keys, effect.invites)),
        );
      case "make-commit":
        return this.#slowly(this.#cryptoWorker, "making a new epoch", effect.room, async () => {
          const { epoch } = await keys.make(effect, this.#nowS());
          this.#queue.push({ kind: "commit-made", room: effect.room, epoch });
        });
      case "save-commit":
        return this.#slowly(this.#storeWorker, "saving the new epoch", effect.room, async () => {
          const { epoch, h, roomSecret, formerSecrets, replacesSecret, ownEpochs } = keys.made();
          keys.onlyInvites(effect.invites.filter((i) => !i.revoked).map((i) => i.id));
          await this.#ports.store.saveCommit({
            room: effect.room,
            epoch,
            h: h.toHex(),
            roomSecret: roomSecret.toHex(),
            formerSecrets: formerSecrets.map((former) => former.toHex()),
            ownEpochs: ownEpochs.map((own) => ({ ...own, h: own.h.toHex() })),
            secretReplacedAt: replacesSecret ? this.#ports.clock.now() : null,
            generations: keys.generationsOf(effect.known),
            invites: kept(keys, effect.invites),
            barred: effect.barred,
            known: effect.known,
            deputies: effect.deputies,
          });
          this.#queue.push({ kind: "commit-saved", room: effect.room, epoch });
        });
      case "publish-commit":
        return this.#publish(keys, effect.room);
    }
  }

  /** Queues a slow job with the keys of a room. By its turn, or its end, we may have left: then it is nothing. */
  #slowly(worker: Worker, what: string, room: string, job: () => Promise<void>): void {
    const keys = this.#keys(room);
    const there = (): boolean => this.#ports.ring.get(room) === keys;
    worker.run(what, async () => {
      try {
        if (there()) await job();
      } catch (error) {
        if (there()) throw error;
      }
    });
  }

  /** ADMITs, WRAPs, the commit, the removed leave, then WELCOMEs as there is room for them (PROTOCOL §7). */
  #publish(keys: AdminKeys, room: string): void {
    const founding = keys.current === null;
    const published = keys.publish(this.#nowS());
    const id = keys.room;
    // A newcomer speaks as soon as it is welcome: by then the relay has to know it as a member, and the others the
    // epoch that it speaks in.
    for (const { handle, ticket } of published.admit) {
      this.#connection?.send({ kind: "admit", room: id, handle, ticket });
    }
    for (const { to, payload } of published.direct) this.#direct(room, to, payload);
    const { forLaggards: old } = published;
    if (old?.goesFirst === true) this.#broadcast(room, old.payload);
    this.#broadcast(room, published.broadcast);
    if (old?.goesFirst === false) this.#broadcast(room, old.payload);
    for (const { handle, bar } of published.evict) {
      this.#connection?.send({ kind: "evict", room: id, handle, bar });
    }
    if (published.minTicketEpoch !== null) {
      this.#connection?.send({
        kind: "set-min",
        room: id,
        ticketEpoch: ticketEpoch(published.minTicketEpoch),
      });
    }
    // In a large room they are megabytes. The next commit waits for them too.
    this.#slowly(this.#cryptoWorker, "welcoming", room, async () => {
      for (const { to, seal } of published.welcomes) {
        await this.#connection?.roomToSend();
        await this.#breath.taken();
        for (const payload of seal()) this.#direct(room, to, payload);
      }
    });
    const roster = keys.current?.roster ?? [];
    this.#inline.push(
      founding
        ? joinedEvent(keys, keys.name, roster)
        : epochEvent(keys, { change: published.change, roster }, new Map()),
    );
  }

  /** Seconds since 1970, as tickets have them. */
  #nowS(): number {
    return Math.floor(this.#ports.clock.now() / 1000);
  }

  #makeInvite(keys: AdminKeys, effect: Extract<Effect, { kind: "make-invite" }>): void {
    const { id, secret, roomSecret } = keys.makeInvite();
    const { relay } = this.#ports;
    const url = formatLink({
      kind: "invite",
      host: relay.host,
      port: relay.port,
      relayKey: relay.key,
      room: keys.room,
      adminFingerprint: fingerprintOf(keys.own.identity.publicKey),
      roomSecret,
      inviteSecret: secret,
    }, sha256);
    this.#inline.push({
      kind: "invite-made",
      room: effect.room,
      invite: id.toHex(),
      url,
      uses: effect.uses,
      expiresAt: effect.expiresAt,
      ...(effect.ref === undefined ? {} : { ref: effect.ref }),
    });
  }

  #prepareJoin(effect: Extract<Effect, { kind: "prepare-join" }>): void {
    const ref = effect.ref === undefined ? {} : { ref: effect.ref };
    this.#cryptoWorker.run("joining", async () => {
      try {
        const { id, name } = await this.#ports.prepareJoin(effect.invite);
        this.#queue.push({ kind: "room-prepared", room: id, name, ...ref });
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        this.#queue.push({ kind: "join-refused", message, ...ref });
      }
    });
  }

  /** Members remember where they are, to return and to notice a rollback; the admin's was saved before. */
  #saveMembership(room: string): void {
    const keys = this.#ports.ring.get(room);
    if (!(keys instanceof MemberKeys) || keys.current === null) return;
    const { admin, roomKey } = keys;
    if (admin === null || roomKey === null) return;
    const { epoch, h } = keys.current.place;
    const { deputyIdentities: deputies } = keys;
    this.#save(room, { epoch, h: h.toHex(), admin, roomKey, deputies });
  }

  #save(
    room: string,
    { epoch, h, admin, roomKey, deputies }:
      & Pick<KeptMembership, "epoch" | "h" | "deputies">
      & Readonly<Record<"admin" | "roomKey", Uint8Array>>,
  ): void {
    const { rooms } = this.#ports.role.view(this.#state);
    const membership = {
      room,
      name: rooms.find((r) => r.roomId === room)?.name ?? room,
      epoch,
      h,
      admin: admin.toHex(),
      roomKey: roomKey.toHex(),
      roomSecret: this.#keys(room).secret.toHex(),
      deputies,
    };
    this.#storeWorker.run("saving the epoch", () => this.#ports.store.saveMembership(membership));
  }

  /** New keys for a room that we were removed from while away; the generation grows with the clock. */
  #rejoin(room: string): void {
    const keys = this.#member(room);
    this.#held.delete(room);
    this.#ports.ring.add(keys.successor(nextGeneration(keys.generation, this.#ports.clock.now())));
    // Whatever place we have there is that of the keys before.
    this.#connection?.send({ kind: "leave", room: keys.room });
    this.#enter(room);
  }

  /** We take over: owner at the relay, and everybody is told. */
  #claim(room: string, purpose: SuccessionPurpose): void {
    const keys = this.#member(room);
    const payload = keys.claim(purpose);
    if (this.#nonce !== null) {
      const { role, credential } = keys.enterAsOwner(this.#nonce, this.#ports.relay.key);
      this.#connection?.send({ kind: "enter", room: keys.room, role, credential });
    }
    this.#broadcast(room, payload);
  }

  /** An admin's keys take the place of ours; that we are one is on the disk before the first commit. */
  #succeed(room: string): void {
    const keys = AdminKeys.succeed(this.#member(room));
    this.#ports.ring.add(keys);
    const { current, lineage, secret, lastEpoch: epoch } = keys;
    if (current === null) throw new RangeError("a successor is in no epoch");
    const { h } = current.place;
    this.#storeWorker.run("saving that the room is yours", () =>
      this.#ports.store.saveSuccession({
        room,
        name: keys.name,
        epoch,
        h: h.toHex(),
        admin: keys.own.identity.publicKey.toHex(),
        roomKey: keys.roomKey.toHex(),
        roomKeySeed: keys.roomKeySeed.toHex(),
        roomSecret: secret.toHex(),
        lineage: lineage.steps.map((step) => encode(SUCCESSION, step).toHex()),
      }));
  }

  // ---- sending

  #say({ room, epoch, n, message, held }: Extract<Effect, { kind: "seal-and-send" }>): void {
    const payload = this.#keys(room).sealMessage(
      epoch,
      n,
      outgoing(message),
      this.#ports.clock.now(),
    );
    if (held === undefined) return this.#broadcast(room, payload);
    // The oldest can be had by repair.
    this.#held.set(room, [...this.#held.get(room) ?? [], payload].slice(-MAX_HELD));
  }

  #enter(room: string): void {
    if (this.#nonce === null) return;
    const keys = this.#keys(room);
    const { role, credential } = keys.enter(this.#nonce, this.#ports.relay.key);
    this.#connection?.send({ kind: "enter", room: keys.room, role, credential });
  }

  #broadcast(room: string, payload: Bytes): void {
    const from = this.#handles.get(room);
    if (from === undefined) return;
    this.#connection?.send({ kind: "broadcast", room: this.#roomId(room), from, payload });
  }

  #direct(room: string, to: Handle, payload: Bytes): void {
    const from = this.#handles.get(room);
    if (from === undefined) return;
    this.#connection?.send({ kind: "direct", room: this.#roomId(room), from, to, payload });
  }

  #roomId(room: string): RoomId {
    return this.#ports.ring.get(room)?.room ?? roomId(fromHex(room));
  }

  #toOwners(room: string, payload: Bytes): void {
    this.#direct(room, BROADCAST_TO_OWNERS, payload);
  }

  #answer(room: string, answer: { to: Handle; payload: Bytes } | null): void {
    if (answer !== null) this.#direct(room, answer.to, answer.payload);
  }

  // ---- keys

  #keys(room: string): MemberKeys | AdminKeys {
    const keys = this.#ports.ring.get(room);
    if (keys === undefined) throw new RangeError(`there are no keys of room ${room}`);
    return keys;
  }

  #member(room: string): MemberKeys {
    const keys = this.#keys(room);
    if (!(keys instanceof MemberKeys)) throw new RangeError(`we administer room ${room}`);
    return keys;
  }

  #admin(room: string): AdminKeys {
    const keys = this.#keys(room);
    if (!(keys instanceof AdminKeys)) throw new RangeError(`we do not administer room ${room}`);
    return keys;
  }
}

type AdminEffect = Extract<
  Effect,
  {
    kind:
      | "greet"
      | "step-down"
      | "ask-owners"
      | "answer-owner"
      | "grant"
      | "reclaim"
      | "send-missed"
      | "say-pending"
      | "deny"
      | "refuse-bundle"
      | "ack-kem"
      | "make-invite"
      | "save-invites"
      | "make-commit"
      | "save-commit"
      | "publish-commit";
  }
>;

function kept(keys: AdminKeys, invites: readonly InviteRecord[]): readonly KeptInvite[] {
  return invites.flatMap((invite) => {
    const secrets = keys.inviteSecrets(invite.id);
    if (secrets === undefined) return [];
    const { secret, roomSecret } = secrets;
    return [{ ...invite, secret: secret.toHex(), roomSecret: roomSecret.toHex() }];
  });
}

function outgoing(message: OutgoingMessage): Outgoing {
  return message.kind === "text" ? { ...message, id: messageId(fromHex(message.id)) } : message;
}
