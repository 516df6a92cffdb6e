/**
 * The gate: what the relay does about each message but BROADCAST and DIRECT (`gate_traffic.ts`) and PING.
 * It opens no socket, reads no clock, draws no random number and holds no key: facts go in, effects
 * come out, in the order in which they have to be done.
 *
 * @see docs/PROTOCOL.md §3
 * @module
 */
import { type Challenge, type RelayKey, toHex } from "../wire/ids.ts";
import { TICKET_GRACE_MS } from "../wire/limits.ts";
import {
  type Admit,
  type Enter,
  type Evict,
  type GoneReason,
  PROTOCOL_VERSION,
  RELAY_MESSAGES,
  type RelayMessage,
  type RelayMessageKind,
  type Renew,
  type SetMin,
} from "../wire/relay_message.ts";
import type { Ticket } from "../wire/ticket.ts";
import { decodeTicket } from "../wire/ticket.ts";
import { WireError } from "../wire/codec.ts";
import { judgeEnter, type Judgement, judgeTicket, type Refusal, refusal } from "./gate_entry.ts";
import {
  type ConnectionId,
  ENTRY_RATE,
  type GateConnection,
  type GateEffect,
  type GatePorts,
  type GateRoom,
  type GateState,
  handleOf,
  MAX_BARS,
  newRoom,
  type Now,
  type Seat,
  TICKET_RATE,
} from "./gate_state.ts";
import { fullBucket, take } from "./rate.ts";

/** What a connection may say that has not logged in where that is wanted. */
const BEFORE_LOGIN: ReadonlySet<RelayMessageKind> = new Set([
  "start",
  "ping",
  "pong",
  "login-start",
  "login-finish",
  "register-start",
  "register-finish",
]);

/** What happens to a gate. */
export type GateEvent =
  /** A connection is there, has been shown this key and sent this challenge. */
  | {
    readonly kind: "opened";
    readonly id: ConnectionId;
    readonly nonce: Challenge;
    readonly relayKey: RelayKey;
  }
  /** A connection is gone, or is being closed. */
  | { readonly kind: "closed"; readonly id: ConnectionId }
  /** It sent a message. */
  | { readonly kind: "message"; readonly id: ConnectionId; readonly message: RelayMessage }
  /** It has logged in. */
  | { readonly kind: "authorized"; readonly id: ConnectionId }
  /** Some time has passed; about once a second. */
  | { readonly kind: "tick" };

/**
 * One step of the gate. `state` is changed in place.
 *
 * @returns what to do, in order; nothing for a connection that is not known (any more)
 */
export function stepGate(
  ports: GatePorts,
  state: GateState,
  event: GateEvent,
  now: Now,
): GateEffect[] {
  const step = new Step(ports, state, now);
  if (event.kind === "opened") step.open(event);
  else if (event.kind === "tick") step.tick();
  else {
    const connection = state.connections.get(event.id);
    if (connection === undefined) return [];
    if (event.kind === "closed") step.closed(connection);
    else if (event.kind === "authorized") connection.authorized = true;
    else step.message(connection, event.message);
  }
  return step.effects;
}

/** One step's facts and what it has decided so far. */
class Step {
  readonly effects: GateEffect[] = [];

  constructor(
    readonly ports: GatePorts,
    readonly state: GateState,
    readonly now: Now,
  ) {}

  open({ id, nonce, relayKey }: Extract<GateEvent, { kind: "opened" }>): void {
    this.state.connections.set(id, {
      id,
      nonceHex: toHex(nonce),
      relayKey,
      started: false,
      authorized: !this.ports.needsLogin,
      seats: null,
      barredFrom: null,
      entries: fullBucket(ENTRY_RATE, this.now.ms),
      tickets: null,
    });
  }

  closed(connection: GateConnection): void {
    this.state.connections.delete(connection.id);
    for (const seat of [...connection.seats?.values() ?? []]) this.#vacate(seat, "closed", false);
  }

  message(connection: GateConnection, message: RelayMessage): void {
    if (!RELAY_MESSAGES[message.kind].from.includes("C")) {
      return this.#close(
        connection,
        "malformed",
        `${message.kind} is not for a participant to send`,
      );
    }
    if (!connection.started) return this.#start(connection, message);
    if (!connection.authorized && !BEFORE_LOGIN.has(message.kind)) {
      return this.#close(connection, "login-required", "this relay wants a login first");
    }
    switch (message.kind) {
      case "login-start":
      case "login-finish":
      case "register-start":
      case "register-finish":
        if (connection.authorized) {
          return this.#close(connection, "malformed", `${message.kind} where none is wanted`);
        }
        this.effects.push({ do: "log-in", from: connection, message });
        return;
      case "start":
        return this.#close(connection, "malformed", "a second START");
      case "enter":
        return this.#enter(connection, message);
      case "leave": {
        const seat = connection.seats?.get(toHex(message.room));
        if (seat !== undefined) this.#vacate(seat, "left", false);
        return;
      }
      case "evict":
        return this.#asOwner(connection, message, (owner) => this.#evict(owner, message));
      case "set-min":
        return this.#asOwner(connection, message, (owner) => this.#setMin(owner.room, message));
      case "admit":
        return this.#asOwner(connection, message, (owner) => this.#admit(owner, message));
      case "renew":
        return this.#renew(connection, message);
      default:
        // PONG says only that the other side lives; BROADCAST, DIRECT and PING do not come this way.
        return;
    }
  }

  /** Ends the seats whose grace is over, or whose ticket is. */
  tick(): void {
    for (const room of [...this.state.rooms.values()]) {
      if (room.members === 0) continue;
      for (const seat of [...room.byGateKey.values()]) {
        const graceOver = seat.graceEndsMs !== null && seat.graceEndsMs <= this.now.ms;
        if (graceOver || seat.expires <= this.now.unixS) {
          this.#vacate(seat, "ticket-invalid", true);
        }
      }
    }
  }

  #start(connection: GateConnection, message: RelayMessage): void {
    if (message.kind !== "start") {
      this.#close(connection, "malformed", "the first message has to be START");
    } else if (message.version !== PROTOCOL_VERSION) {
      this.#close(connection, "unsupported", `this relay speaks version ${PROTOCOL_VERSION}`);
    } else connection.started = true;
  }

  #enter(connection: GateConnection, enter: Enter): void {
    const hex = toHex(enter.room);
    const room = this.state.rooms.get(hex);
    const seat = connection.seats?.get(hex);
    const limited = this.#mayTry(connection, seat, room, enter);
    const judged = limited ?? judgeEnter(this.ports, connection, room, enter, this.now);
    const full = judged.ok ? this.#isFull(connection, seat, room, judged) : null;
    if (full !== null) return this.#refuse(connection, enter.room, full);
    if (!judged.ok) return this.#refuse(connection, enter.room, judged);

    const there = room ?? newRoom(enter.room, hex, this.now);
    if (room === undefined) this.state.rooms.set(hex, there);
    const own = seat ?? this.#sit(connection, there);
    if (judged.role === "knocker") this.#entered(own);
    else if (judged.role === "member") {
      there.roomKey ??= judged.roomKey;
      this.#promoteToMember(own, judged.ticket, judged.gateKey);
    } else {
      there.roomKey ??= judged.roomKey;
      this.#promoteToOwner(own);
    }
  }

  /** What can be said before anything is verified. */
  #mayTry(
    connection: GateConnection,
    seat: Seat | undefined,
    room: GateRoom | undefined,
    enter: Enter,
  ): Refusal | null {
    if (!take(connection.entries, ENTRY_RATE, this.now.ms)) {
      return refusal("rate-limited", "too many attempts to enter");
    }
    // Whoever takes a room over, or gives it up, keeps its place: it misses nothing.
    if (seat !== undefined && (seat.role === enter.role || enter.role === "knocker")) {
      return refusal("already-entered", `already in this room as ${seat.role}`);
    }
    if (room !== undefined && enter.role !== "owner" && connection.barredFrom?.has(room)) {
      return refusal("barred", "this connection was barred");
    }
    return null;
  }

  #isFull(
    connection: GateConnection,
    seat: Seat | undefined,
    room: GateRoom | undefined,
    judged: Judgement & { ok: true },
  ): Refusal | null {
    const { limits } = this.ports;
    if (seat === undefined && (connection.seats?.size ?? 0) >= limits.maxRoomsPerConnection) {
      return refusal("too-many-rooms", `a connection may be in ${limits.maxRoomsPerConnection}`);
    }
    if (room === undefined) {
      return this.state.rooms.size < limits.maxRooms
        ? null
        : refusal("relay-full", "this relay has no place for another room");
    }
    if (judged.role === "knocker" && room.knockers >= limits.maxKnockersPerRoom) {
      return refusal("room-full", "too many are waiting at this room");
    }
    if (judged.role === "member" && !this.#hasPlace(room, judged.gateKey)) {
      return refusal("room-full", "this room is full");
    }
    return null;
  }

  /** A member that comes back takes its own place. */
  #hasPlace(room: GateRoom, gateKey: string): boolean {
    return room.members < this.ports.limits.maxMembersPerRoom || room.byGateKey.has(gateKey);
  }

  #sit(connection: GateConnection, room: GateRoom): Seat {
    const seat: Seat = {
      connection,
      room,
      handleHex: toHex(this.ports.newHandle()),
      role: "knocker",
      gateKey: null,
      ticketEpoch: 0,
      expires: 0,
      graceEndsMs: null,
      knocks: null,
      knocked: false,
    };
    room.seats.set(seat.handleHex, seat);
    room.knockers++;
    (connection.seats ??= new Map()).set(room.hex, seat);
    this.effects.push({ do: "seat", seat });
    return seat;
  }

  /** Takes a seat out of the count of its role, before it gets another. */
  #stand(seat: Seat): void {
    const { room } = seat;
    if (seat.role === "knocker") room.knockers--;
    else if (seat.role === "owner") room.owners.delete(seat);
    else {
      room.members--;
      if (seat.gateKey !== null) room.byGateKey.delete(seat.gateKey);
      seat.gateKey = null;
      seat.graceEndsMs = null;
    }
  }

  #promoteToMember(seat: Seat, ticket: Ticket, gateKey: string): void {
    const { room } = seat;
    const wasLastOwner = seat.role === "owner" && room.owners.size === 1;
    const wasKnocker = seat.role === "knocker";
    this.#stand(seat);
    room.members++;
    // One gate key, one seat: who comes back after its network broke takes the place of what is
    // left of it, and one ticket cannot fill a room.
    const before = room.byGateKey.get(gateKey);
    if (before !== undefined) this.#vacate(before, "closed", true);
    seat.role = "member";
    seat.gateKey = gateKey;
    seat.ticketEpoch = ticket.ticketEpoch;
    seat.expires = ticket.expires;
    room.byGateKey.set(gateKey, seat);
    if (wasKnocker) this.effects.push({ do: "listen", seat });
    this.#entered(seat);
    if (wasLastOwner) this.#tellKnockers(room, false);
  }

  #promoteToOwner(seat: Seat): void {
    const { room } = seat;
    if (seat.role === "knocker") this.effects.push({ do: "listen", seat });
    this.#stand(seat);
    seat.role = "owner";
    room.owners.add(seat);
    this.#entered(seat);
    if (room.owners.size === 1) this.#tellKnockers(room, true);
  }

  #entered(seat: Seat): void {
    const { room, role } = seat;
    this.effects.push({
      do: "tell",
      to: seat,
      message: {
        kind: "entered",
        room: room.id,
        handle: handleOf(seat),
        role,
        ownerPresent: room.owners.size > 0,
      },
    });
  }

  #tellKnockers(room: GateRoom, present: boolean): void {
    if (room.knockers === 0) return;
    for (const seat of room.seats.values()) {
      if (seat.role !== "knocker") continue;
      this.effects.push({
        do: "tell",
        to: seat,
        message: { kind: "owner", room: room.id, present },
      });
    }
  }

  /** Ends a seat. @param tellIt whether the connection hears of it itself */
  #vacate(seat: Seat, reason: GoneReason, tellIt: boolean): void {
    const { room } = seat;
    const gone: RelayMessage = { kind: "gone", room: room.id, handle: handleOf(seat), reason };
    room.seats.delete(seat.handleHex);
    seat.connection.seats?.delete(room.hex);
    if (seat.role === "knocker") {
      room.knockers--;
      if (tellIt) this.effects.push({ do: "tell", to: seat, message: gone });
      this.effects.push({ do: "unseat", seat });
      // Of a knocker that never knocked the owners know nothing that could be gone.
      for (const owner of seat.knocked ? room.owners : []) {
        this.effects.push({ do: "tell", to: owner, message: gone });
      }
    } else {
      if (seat.role === "owner") room.owners.delete(seat);
      else {
        room.members--;
        if (seat.gateKey !== null) room.byGateKey.delete(seat.gateKey);
      }
      // What is told to the room while the seat still listens reaches it too.
      if (!tellIt) this.effects.push({ do: "unseat", seat });
      this.effects.push({ do: "tell-room", room, message: gone });
      if (tellIt) this.effects.push({ do: "unseat", seat });
      if (seat.role === "owner" && room.owners.size === 0) this.#tellKnockers(room, false);
    }
    if (room.seats.size === 0) {
      this.state.rooms.delete(room.hex);
      this.effects.push({ do: "forget", room });
    }
  }

  #asOwner(
    connection: GateConnection,
    message: Evict | SetMin | Admit,
    act: (owner: Seat) => void,
  ): void {
    const seat = connection.seats?.get(toHex(message.room));
    if (seat === undefined) {
      this.#refuse(connection, message.room, refusal("not-in-room", "not in this room"));
    } else if (seat.role !== "owner") {
      this.#refuse(connection, message.room, refusal("not-allowed", "only an owner may do that"));
    } else act(seat);
  }

  #evict(owner: Seat, evict: Evict): void {
    const { room } = owner;
    const seat = room.seats.get(toHex(evict.handle));
    if (seat === undefined) return this.#notThere(owner, evict.handle);
    if (seat.role === "owner") {
      return this.#refuse(
        owner.connection,
        room.id,
        refusal("not-allowed", "an owner cannot be evicted"),
      );
    }
    if (evict.bar) this.#bar(seat);
    this.#vacate(seat, "evicted", true);
  }

  #bar(seat: Seat): void {
    const { barredKeys } = seat.room;
    if (seat.gateKey === null) {
      seat.connection.barredFrom ??= new WeakSet();
      seat.connection.barredFrom.add(seat.room);
      return;
    }
    barredKeys.add(seat.gateKey);
    for (const oldest of barredKeys) {
      if (barredKeys.size <= MAX_BARS) break;
      barredKeys.delete(oldest);
    }
  }

  #setMin(room: GateRoom, message: SetMin): void {
    if (message.ticketEpoch <= room.minTicketEpoch) return;
    room.minTicketEpoch = message.ticketEpoch;
    for (const seat of room.byGateKey.values()) {
      if (seat.ticketEpoch < message.ticketEpoch) {
        // Who has been late since an earlier SET_MIN gets no second grace.
        seat.graceEndsMs ??= this.now.ms + TICKET_GRACE_MS;
      }
    }
  }

  #admit(owner: Seat, admit: Admit): void {
    const { room, connection } = owner;
    const refuse = (no: Refusal) => this.#refuse(connection, room.id, no);
    const seat = room.seats.get(toHex(admit.handle));
    if (seat === undefined) return this.#notThere(owner, admit.handle);
    if (seat.role === "member" || seat === owner) {
      return refuse(refusal("already-entered", "this handle is a member's, or your own"));
    }
    const judged = this.#judgeInRoom(connection, room, admit.ticket);
    if (!judged.ok) return refuse(judged);
    if (!this.#hasPlace(room, judged.gateKey)) {
      return refuse(refusal("room-full", "this room is full"));
    }
    this.#promoteToMember(seat, judged.ticket, judged.gateKey);
  }

  #renew(connection: GateConnection, renew: Renew): void {
    let ticket: Ticket;
    try {
      ticket = decodeTicket(renew.ticket).value;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return this.#close(connection, "malformed", "RENEW brings no ticket");
    }
    const refuse = (no: Refusal) => this.#refuse(connection, ticket.room, no);
    const seat = connection.seats?.get(toHex(ticket.room));
    if (seat === undefined) return refuse(refusal("not-in-room", "not in this room"));
    if (seat.role !== "member") return refuse(refusal("not-allowed", "only a member has a ticket"));
    if (toHex(ticket.gateKey) !== seat.gateKey) {
      return refuse(refusal("bad-credential", "the ticket is for another gate key"));
    }
    // An older one than it has is no error, and changes nothing.
    if (ticket.ticketEpoch < seat.ticketEpoch) return;
    const judged = this.#judgeInRoom(connection, seat.room, renew.ticket);
    if (!judged.ok) return refuse(judged);
    seat.ticketEpoch = judged.ticket.ticketEpoch;
    seat.expires = judged.ticket.expires;
    seat.graceEndsMs = null;
  }

  #judgeInRoom(connection: GateConnection, room: GateRoom, bytes: Renew["ticket"]) {
    connection.tickets ??= fullBucket(TICKET_RATE, this.now.ms);
    if (!take(connection.tickets, TICKET_RATE, this.now.ms)) {
      return refusal("rate-limited", "too many tickets at once");
    }
    if (room.roomKey === null) return refusal("bad-credential", "the room has no key");
    return judgeTicket(this.ports, room.id, room, room.roomKey, bytes, this.now);
  }

  #notThere(owner: Seat, handle: Evict["handle"]): void {
    this.effects.push({
      do: "tell",
      to: owner,
      message: { kind: "gone", room: owner.room.id, handle, reason: "closed" },
    });
  }

  #refuse(to: GateConnection, room: GateRoom["id"], { code, message }: Refusal): void {
    this.effects.push({ do: "send", to, message: { kind: "refused", room, code, message } });
  }

  #close(
    connection: GateConnection,
    code: "malformed" | "unsupported" | "login-required",
    message: string,
  ): void {
    this.effects.push({ do: "close", connection, code, message });
  }
}
