import assert from "node:assert/strict";
import { type GateEvent, stepGate } from "../../src/server/gate.ts";
import {
  challengeOf,
  emptyGate,
  ENTRY_RATE,
  type GateConnection,
  type GateEffect,
  type GatePorts,
  handleOf,
  KNOCK_RATE,
  MAX_BARS,
  ROOM_KNOCK_RATE,
  type Seat,
  TICKET_RATE,
} from "../../src/server/gate_state.ts";
import { judgeBroadcast, routeDirect } from "../../src/server/gate_traffic.ts";
import { DEFAULT_RELAY_LIMITS, type RelayLimits } from "../../src/server/relay_limits.ts";
import { keyedRoomId, verifySignature } from "../../src/server/verify.ts";
import { challenge, type Handle, handle, relayKey, ticketEpoch } from "../../src/wire/ids.ts";
import { MAX_TICKET_LIFE_S, TICKET_CLOCK_SKEW_S, TICKET_GRACE_MS } from "../../src/wire/limits.ts";
import type { RelayMessage } from "../../src/wire/relay_message.ts";
import type { Role } from "../../src/wire/ticket.ts";
import { credential, OWNERS, Signer, TEST_RELAY_KEY, TestRoom } from "../support/gate_people.ts";

const UNIX_S = 1_800_000_000;
const LATER_S = UNIX_S + 3600;

/** A gate with its facts in the test's hands. */
class Bench {
  readonly state = emptyGate();
  ms = 0;
  readonly #ports: GatePorts;
  #handles = 0;
  #ids = 0;

  constructor(limits: Partial<RelayLimits> = {}) {
    this.#ports = {
      limits: { ...DEFAULT_RELAY_LIMITS, ...limits },
      needsLogin: false,
      verify: verifySignature,
      keyedRoomId,
      newHandle: () => handle(new Uint8Array(16).fill(++this.#handles)),
    };
  }

  get now() {
    return { ms: this.ms, unixS: UNIX_S + this.ms / 1000 };
  }

  step(event: GateEvent): GateEffect[] {
    return stepGate(this.#ports, this.state, event, this.now);
  }

  open(started = true): GateConnection {
    const id = ++this.#ids;
    const nonce = challenge(new Uint8Array(32).fill(id));
    this.step({ kind: "opened", id, nonce, relayKey: TEST_RELAY_KEY });
    const connection = this.state.connections.get(id);
    assert.ok(connection);
    if (started) this.send(connection, { kind: "start", version: 1 });
    return connection;
  }

  send(connection: GateConnection, message: RelayMessage): GateEffect[] {
    return this.step({ kind: "message", id: connection.id, message });
  }

  enter(
    connection: GateConnection,
    room: TestRoom,
    role: Role,
    facts: Partial<Parameters<typeof credential>[1]> = {},
  ): GateEffect[] {
    const gate = facts.gate ?? new Signer();
    const made = credential(role, {
      room,
      nonce: challengeOf(connection),
      relayKey: TEST_RELAY_KEY,
      gate,
      ticket: room.ticket(gate, LATER_S),
      ...facts,
    });
    return this.send(connection, { kind: "enter", room: room.id, role, credential: made });
  }

  /** A connection that has entered. */
  seated(room: TestRoom, role: Role, gate = new Signer()): Seat {
    const connection = this.open();
    const effects = this.enter(connection, room, role, { gate });
    const seat = connection.seats?.get(room.id.toHex());
    assert.ok(seat, outline(effects).join());
    return seat;
  }
}

/** Effects in short: what is done, and the kind and code of what is said. */
function outline(effects: readonly GateEffect[]): string[] {
  return effects.map((e) => {
    if (e.do === "close") return `close ${e.code}`;
    if (!("message" in e)) return e.do;
    const m = e.message;
    const detail = m.kind === "refused"
      ? ` ${m.code}`
      : m.kind === "gone"
      ? ` ${m.reason}`
      : m.kind === "entered"
      ? ` ${m.role}`
      : m.kind === "owner"
      ? ` ${m.present}`
      : "";
    return `${e.do} ${m.kind}${detail}`;
  });
}

function assertRefused(effects: readonly GateEffect[], code: string): void {
  assert.deepEqual(outline(effects), [`send refused ${code}`]);
}

Deno.test("nothing comes before START, and START once, with our version", () => {
  const bench = new Bench();
  const ping = { kind: "ping", token: 1 } as const;
  assert.deepEqual(outline(bench.send(bench.open(false), ping)), ["close malformed"]);
  const start = (version: number) => ({ kind: "start", version }) as const;
  assert.deepEqual(outline(bench.send(bench.open(false), start(2))), ["close unsupported"]);
  assert.deepEqual(outline(bench.send(bench.open(false), start(1))), []);
  assert.deepEqual(outline(bench.send(bench.open(), start(1))), ["close malformed"]);
});

Deno.test("a relay's message from a participant ends it", () => {
  const bench = new Bench();
  const connection = bench.open();
  const forged = { kind: "owner", room: new TestRoom().id, present: true } as const;
  assert.deepEqual(outline(bench.send(connection, forged)), ["close malformed"]);
});

Deno.test("each role enters with what it needs", () => {
  const bench = new Bench();
  const room = new TestRoom();
  assert.deepEqual(outline(bench.enter(bench.open(), room, "knocker")), [
    "seat",
    "tell entered knocker",
  ]);
  assert.deepEqual(outline(bench.enter(bench.open(), room, "owner")), [
    "seat",
    "listen",
    "tell entered owner",
    "tell owner true",
  ]);
  assert.deepEqual(outline(bench.enter(bench.open(), room, "member")), [
    "seat",
    "listen",
    "tell entered member",
  ]);
});

Deno.test("a knocker that becomes a member keeps its handle", () => {
  const bench = new Bench();
  const room = new TestRoom();
  const seat = bench.seated(room, "knocker");
  const { handleHex } = seat;
  assert.deepEqual(outline(bench.enter(seat.connection, room, "member")), [
    "listen",
    "tell entered member",
  ]);
  assert.equal(seat.connection.seats?.get(room.id.toHex())?.handleHex, handleHex);
  assert.equal(seat.room.knockers, 0);
  assert.equal(seat.room.members, 1);
  assertRefused(bench.enter(seat.connection, room, "member"), "already-entered");
  assertRefused(bench.enter(seat.connection, room, "knocker"), "already-entered");
});

Deno.test("a member that takes over becomes owner in its place, and a member again", () => {
  const bench = new Bench();
  const room = new TestRoom();
  const seat = bench.seated(room, "member");
  bench.seated(room, "knocker");
  const { handleHex } = seat;
  assert.deepEqual(outline(bench.enter(seat.connection, room, "owner")), [
    "tell entered owner",
    "tell owner true",
  ]);
  const there = seat.connection.seats?.get(room.id.toHex());
  assert.deepEqual([there?.handleHex, there?.role, seat.room.members], [handleHex, "owner", 0]);
  assert.equal(seat.room.byGateKey.size, 0);
  assertRefused(bench.enter(seat.connection, room, "owner"), "already-entered");
  assert.deepEqual(outline(bench.enter(seat.connection, room, "member")), [
    "tell entered member",
    "tell owner false",
  ]);
  assert.deepEqual([seat.handleHex, seat.room.members, seat.room.owners.size], [handleHex, 1, 0]);
});

Deno.test("an owner needs the key of this room, over this challenge, relay, room and role", () => {
  const bench = new Bench();
  const room = new TestRoom();
  const other = new TestRoom();
  const at = bench.open();
  const bad = (made: Uint8Array<ArrayBuffer>) =>
    assertRefused(
      bench.send(at, { kind: "enter", room: room.id, role: "owner", credential: made }),
      "bad-credential",
    );
  const facts = { room, nonce: challengeOf(at), relayKey: TEST_RELAY_KEY };
  // Another key, which governs another room.
  bad(credential("owner", { ...facts, room: other, signedRoom: room.id }));
  // Right key, and a signature for another connection, another relay, another room, another role.
  bad(credential("owner", { ...facts, nonce: challengeOf(bench.open()) }));
  bad(credential("owner", { ...facts, relayKey: relayKey(new Uint8Array(32).fill(8)) }));
  bad(credential("owner", { ...facts, signedRoom: other.id }));
  const asMember = credential("member", {
    ...facts,
    gate: room.signer,
    ticket: room.ticket(room.signer, LATER_S),
  });
  bad(new Uint8Array([...room.key, ...asMember.subarray(-64)]));
  // Not a credential at all.
  bad(new Uint8Array(0));
  bad(new Uint8Array(280));
  assert.equal(bench.state.rooms.size, 0);
});

Deno.test("a member needs a ticket of this room, good now, and the gate key in it", () => {
  const bench = new Bench();
  const room = new TestRoom();
  const other = new TestRoom();
  const gate = new Signer();
  const thief = new Signer();
  const at = bench.open();
  const as = (facts: Partial<Parameters<typeof credential>[1]>) =>
    bench.enter(at, room, "member", { gate, ...facts });
  assertRefused(as({ ticket: room.ticket(gate, UNIX_S) }), "ticket-expired");
  const tooLong = UNIX_S + MAX_TICKET_LIFE_S + TICKET_CLOCK_SKEW_S;
  assertRefused(as({ ticket: room.ticket(gate, tooLong + 1) }), "bad-credential");
  // Of another room: signed by its key, or by ours over its id.
  assertRefused(as({ ticket: other.ticket(gate, LATER_S) }), "bad-credential");
  assertRefused(
    as({ ticket: room.ticket(gate, LATER_S, 1, { room: other.id }) }),
    "bad-credential",
  );
  // Signed by another key over our id.
  assertRefused(
    as({ ticket: other.ticket(gate, LATER_S, 1, { room: room.id }) }),
    "bad-credential",
  );
  // A ticket overheard, without its key.
  assertRefused(as({ gate: thief, ticket: room.ticket(gate, LATER_S) }), "bad-credential");
  // A signature overheard, from another challenge or made for another relay.
  assertRefused(as({ nonce: challengeOf(bench.open()) }), "bad-credential");
  assertRefused(as({ relayKey: relayKey(new Uint8Array(32).fill(8)) }), "bad-credential");
  assert.equal(bench.state.rooms.size, 0);
  assert.deepEqual(
    outline(as({ ticket: room.ticket(gate, tooLong) })).at(-1),
    "tell entered member",
  );
});

Deno.test("a changed ticket is no ticket, whichever byte was changed", () => {
  const bench = new Bench();
  const room = new TestRoom();
  const gate = new Signer();
  const good = room.ticket(gate, LATER_S);
  for (let i = 0; i < good.length; i += 5) {
    const ticket = room.ticket(gate, LATER_S);
    ticket.set(good);
    ticket[i] = (ticket[i] ?? 0) ^ 1;
    const effects = bench.enter(bench.open(), room, "member", { gate, ticket });
    assert.equal(outline(effects).length, 1, `byte ${i}`);
    assert.match(outline(effects)[0] ?? "", /^send refused (bad-credential|ticket-)/);
  }
});

Deno.test("an open room belongs to the first key that proves itself, while it is remembered", () => {
  const bench = new Bench();
  const room = new TestRoom(true);
  const rival = new TestRoom(true);
  const as = (key: TestRoom, at: GateConnection) => {
    const made = credential("owner", {
      room: key,
      nonce: challengeOf(at),
      relayKey: TEST_RELAY_KEY,
      signedRoom: room.id,
    });
    return bench.send(at, { kind: "enter", room: room.id, role: "owner", credential: made });
  };
  const first = bench.open();
  assert.ok(outline(as(room, first)).includes("tell entered owner"));
  assertRefused(as(rival, bench.open()), "bad-credential");
  bench.step({ kind: "closed", id: first.id });
  assert.ok(outline(as(rival, bench.open())).includes("tell entered owner"));
});

Deno.test("limits refuse what is over them, and a member that comes back has its place", () => {
  const bench = new Bench({
    maxRooms: 2,
    maxMembersPerRoom: 2,
    maxKnockersPerRoom: 1,
    maxRoomsPerConnection: 1,
  });
  const room = new TestRoom();
  const gate = new Signer();
  const member = bench.seated(room, "member", gate);
  bench.seated(room, "member");
  assertRefused(bench.enter(bench.open(), room, "member"), "room-full");
  bench.seated(room, "owner");
  bench.seated(room, "knocker");
  assertRefused(bench.enter(bench.open(), room, "knocker"), "room-full");
  assertRefused(bench.enter(member.connection, new TestRoom(), "knocker"), "too-many-rooms");
  bench.seated(new TestRoom(), "knocker");
  assertRefused(bench.enter(bench.open(), new TestRoom(), "knocker"), "relay-full");
  // The same gate key again: its old seat goes, so nobody is one too many.
  const again = bench.enter(bench.open(), room, "member", { gate });
  assert.deepEqual(outline(again), [
    "seat",
    "tell-room gone closed",
    "unseat",
    "listen",
    "tell entered member",
  ]);
  assert.equal(member.connection.seats?.size, 0);
});

Deno.test("attempts to enter are bounded, and the bound is lifted by time", () => {
  const bench = new Bench();
  const room = new TestRoom();
  const at = bench.open();
  const bad = {
    kind: "enter",
    room: room.id,
    role: "owner",
    credential: new Uint8Array(0),
  } as const;
  for (let i = 0; i < ENTRY_RATE.burst; i++) assertRefused(bench.send(at, bad), "bad-credential");
  assertRefused(bench.send(at, bad), "rate-limited");
  bench.ms += 1000;
  assertRefused(bench.send(at, bad), "bad-credential");
});

Deno.test("whoever goes is told of to the others, a knocker that knocked to the owners", () => {
  const bench = new Bench();
  const room = new TestRoom();
  const owner = bench.seated(room, "owner");
  const member = bench.seated(room, "member");
  const silent = bench.seated(room, "knocker");
  const knocker = bench.seated(room, "knocker");
  knocker.knocked = true;
  const leave = { kind: "leave", room: room.id } as const;
  assert.deepEqual(outline(bench.send(member.connection, leave)), [
    "unseat",
    "tell-room gone left",
  ]);
  assert.deepEqual(outline(bench.send(member.connection, leave)), []);
  assert.deepEqual(outline(bench.step({ kind: "closed", id: silent.connection.id })), ["unseat"]);
  const ofKnocker = bench.send(knocker.connection, leave);
  assert.deepEqual(outline(ofKnocker), ["unseat", "tell gone left"]);
  assert.ok(ofKnocker.some((e) => e.do === "tell" && e.to === owner));
  bench.seated(room, "knocker");
  assert.deepEqual(outline(bench.step({ kind: "closed", id: owner.connection.id })), [
    "unseat",
    "tell-room gone closed",
    "tell owner false",
  ]);
});

Deno.test("an empty room is forgotten, with its bars and its lowest epoch", () => {
  const bench = new Bench();
  const room = new TestRoom();
  const owner = bench.seated(room, "owner");
  bench.send(owner.connection, { kind: "set-min", room: room.id, ticketEpoch: ticketEpoch(5) });
  const effects = bench.step({ kind: "closed", id: owner.connection.id });
  assert.deepEqual(outline(effects), ["unseat", "tell-room gone closed", "forget"]);
  assert.equal(bench.state.rooms.size, 0);
  bench.seated(room, "member");
});

Deno.test("only an owner evicts, raises the epoch and admits", () => {
  const bench = new Bench();
  const room = new TestRoom();
  const victim = bench.seated(room, "member");
  const gate = new Signer();
  const commands: RelayMessage[] = [
    { kind: "evict", room: room.id, handle: handleOf(victim), bar: true },
    { kind: "set-min", room: room.id, ticketEpoch: ticketEpoch(9) },
    { kind: "admit", room: room.id, handle: handleOf(victim), ticket: room.ticket(gate, LATER_S) },
  ];
  for (const command of commands) {
    assertRefused(bench.send(bench.seated(room, "member").connection, command), "not-allowed");
    assertRefused(bench.send(bench.seated(room, "knocker").connection, command), "not-allowed");
    assertRefused(bench.send(bench.open(), command), "not-in-room");
    // An owner of another room.
    const foreign = bench.seated(new TestRoom(), "owner");
    assertRefused(bench.send(foreign.connection, command), "not-in-room");
  }
  assert.equal(victim.room.minTicketEpoch, 0);
  assert.equal(victim.room.seats.get(victim.handleHex), victim);
});

Deno.test("EVICT removes, and with a bar keeps out the gate key or the knocker's connection", () => {
  const bench = new Bench();
  const room = new TestRoom();
  const owner = bench.seated(room, "owner");
  const gate = new Signer();
  const evict = (seat: Seat, bar: boolean) =>
    bench.send(owner.connection, { kind: "evict", room: room.id, handle: handleOf(seat), bar });
  const member = bench.seated(room, "member", gate);
  assert.deepEqual(outline(evict(member, false)), ["tell-room gone evicted", "unseat"]);
  const again = bench.seated(room, "member", gate);
  evict(again, true);
  assertRefused(bench.enter(again.connection, room, "member", { gate }), "barred");
  assertRefused(bench.enter(bench.open(), room, "member", { gate }), "barred");
  const knocker = bench.seated(room, "knocker");
  const barred = bench.send(owner.connection, {
    kind: "admit",
    room: room.id,
    handle: handleOf(knocker),
    ticket: room.ticket(gate, LATER_S),
  });
  assertRefused(barred, "barred");
  assert.deepEqual(outline(evict(knocker, true)), ["tell gone evicted", "unseat"]);
  assertRefused(bench.enter(knocker.connection, room, "knocker"), "barred");
  assertRefused(bench.enter(knocker.connection, room, "member"), "barred");
  // Gone already, or an owner.
  assert.deepEqual(outline(evict(knocker, true)), ["tell gone closed"]);
  assertRefused(evict(owner, true), "not-allowed");
});

Deno.test("bars are bounded, and the oldest is forgotten first", () => {
  const bench = new Bench();
  const room = new TestRoom();
  const owner = bench.seated(room, "owner");
  for (let i = 0; i < MAX_BARS; i++) owner.room.barredKeys.add(String(i));
  const member = bench.seated(room, "member");
  bench.send(owner.connection, {
    kind: "evict",
    room: room.id,
    handle: handleOf(member),
    bar: true,
  });
  assert.equal(owner.room.barredKeys.size, MAX_BARS);
  assert.equal(owner.room.barredKeys.has("0"), false);
  assert.equal(owner.room.barredKeys.has(member.gateKey ?? ""), true);
});

Deno.test("SET_MIN keeps older tickets out at once, and gives members a grace to RENEW", () => {
  const bench = new Bench();
  const room = new TestRoom();
  const owner = bench.seated(room, "owner");
  const gate = new Signer();
  const renewing = bench.seated(room, "member", gate);
  const late = bench.seated(room, "member");
  const min = (epoch: number) =>
    bench.send(owner.connection, {
      kind: "set-min",
      room: room.id,
      ticketEpoch: ticketEpoch(epoch),
    });
  min(3);
  min(2);
  assert.equal(owner.room.minTicketEpoch, 3);
  assertRefused(bench.enter(bench.open(), room, "member"), "ticket-revoked");
  const renew = (epoch: number, by = gate) =>
    bench.send(renewing.connection, { kind: "renew", ticket: room.ticket(by, LATER_S, epoch) });
  assertRefused(renew(2), "ticket-revoked");
  assertRefused(renew(3, new Signer()), "bad-credential");
  const forged = new TestRoom().ticket(gate, LATER_S, 3, { room: room.id });
  assertRefused(
    bench.send(renewing.connection, { kind: "renew", ticket: forged }),
    "bad-credential",
  );
  bench.ms += TICKET_GRACE_MS - 1000;
  // A second SET_MIN gives no second grace to who is late already.
  min(4);
  assert.deepEqual(outline(renew(4)), []);
  assert.deepEqual(outline(bench.step({ kind: "tick" })), []);
  bench.ms += 1000;
  assert.deepEqual(outline(bench.step({ kind: "tick" })), [
    "tell-room gone ticket-invalid",
    "unseat",
  ]);
  assert.equal(late.connection.seats?.size, 0);
  bench.ms += TICKET_GRACE_MS;
  assert.deepEqual(outline(bench.step({ kind: "tick" })), []);
});

Deno.test("a member whose ticket expires is removed, an owner stays", () => {
  const bench = new Bench();
  const room = new TestRoom();
  bench.seated(room, "owner");
  bench.seated(room, "member");
  bench.ms += 3_599_000;
  assert.deepEqual(outline(bench.step({ kind: "tick" })), []);
  bench.ms += 1000;
  assert.deepEqual(outline(bench.step({ kind: "tick" })), [
    "tell-room gone ticket-invalid",
    "unseat",
  ]);
});

Deno.test("RENEW is for a member, with a ticket of a room that it is in", () => {
  const bench = new Bench();
  const room = new TestRoom();
  const gate = new Signer();
  const ticket = room.ticket(gate, LATER_S);
  assertRefused(bench.send(bench.open(), { kind: "renew", ticket }), "not-in-room");
  const knocker = bench.seated(room, "knocker");
  assertRefused(bench.send(knocker.connection, { kind: "renew", ticket }), "not-allowed");
});

Deno.test("ADMIT makes a knocker a member with a good ticket, and nobody else", () => {
  const bench = new Bench();
  const room = new TestRoom();
  const owner = bench.seated(room, "owner");
  const member = bench.seated(room, "member");
  const knocker = bench.seated(room, "knocker");
  const gate = new Signer();
  const admit = (to: Handle, ticket = room.ticket(gate, LATER_S)) =>
    bench.send(owner.connection, { kind: "admit", room: room.id, handle: to, ticket });
  assertRefused(admit(handleOf(member)), "already-entered");
  assert.deepEqual(outline(admit(handle(new Uint8Array(16).fill(200)))), ["tell gone closed"]);
  assertRefused(admit(handleOf(knocker), room.ticket(gate, UNIX_S)), "ticket-expired");
  assertRefused(admit(handleOf(knocker), new TestRoom().ticket(gate, LATER_S)), "bad-credential");
  const forged = new TestRoom().ticket(gate, LATER_S, 1, { room: room.id });
  assertRefused(admit(handleOf(knocker), forged), "bad-credential");
  assert.equal(knocker.role, "knocker");
  assert.deepEqual(outline(admit(handleOf(knocker))), ["listen", "tell entered member"]);
  assert.equal(knocker.role, "member");
});

Deno.test("a BROADCAST needs the sender's own handle, and membership", () => {
  const bench = new Bench();
  const room = new TestRoom();
  const hex = room.id.toHex();
  const a = bench.seated(room, "member");
  const b = bench.seated(room, "member");
  const knocker = bench.seated(room, "knocker");
  const code = (seat: Seat | GateConnection, from: string, to = hex) => {
    const judged = judgeBroadcast("connection" in seat ? seat.connection : seat, to, from);
    return judged.ok ? "ok" : judged.code;
  };
  assert.equal(code(a, a.handleHex), "ok");
  assert.equal(code(a, b.handleHex), "not-allowed");
  assert.equal(code(knocker, knocker.handleHex), "not-allowed");
  assert.equal(code(bench.open(), a.handleHex), "not-in-room");
  assert.equal(code(a, a.handleHex, new TestRoom().id.toHex()), "not-in-room");
});

Deno.test("a DIRECT goes where its sender's role may write", () => {
  const bench = new Bench();
  const room = new TestRoom();
  const hex = room.id.toHex();
  const owner = bench.seated(room, "owner");
  const a = bench.seated(room, "member");
  const b = bench.seated(room, "member");
  const knocker = bench.seated(room, "knocker");
  const nobody = "ee".repeat(16);
  const route = (seat: Seat, to: string, from = seat.handleHex) => {
    const r = routeDirect(seat.connection, hex, from, to, 100, bench.now);
    if (!r.ok) return r.code;
    return r.to === null ? "gone" : [...r.to].map((s) => s.handleHex);
  };
  assert.deepEqual(route(a, b.handleHex), [b.handleHex]);
  assert.deepEqual(route(a, OWNERS.toHex()), [owner.handleHex]);
  assert.deepEqual(route(a, owner.handleHex), [owner.handleHex]);
  assert.equal(route(a, knocker.handleHex), "not-allowed");
  assert.equal(route(a, nobody), "gone");
  assert.equal(route(a, b.handleHex, b.handleHex), "not-allowed");
  assert.deepEqual(route(owner, knocker.handleHex), [knocker.handleHex]);
  assert.deepEqual(route(knocker, OWNERS.toHex()), [owner.handleHex]);
  assert.deepEqual(route(knocker, owner.handleHex), [owner.handleHex]);
  assert.equal(route(knocker, a.handleHex), "not-allowed");
  assert.equal(route(knocker, nobody), "not-allowed");
  bench.step({ kind: "closed", id: owner.connection.id });
  assert.equal(route(a, OWNERS.toHex()), "gone");
});

Deno.test("knocks are few for each knocker, and for all of a room together", () => {
  const bench = new Bench({ maxKnockersPerRoom: 1000 });
  const room = new TestRoom();
  bench.seated(room, "owner");
  const knock = (seat: Seat) => {
    const to = OWNERS.toHex();
    const r = routeDirect(seat.connection, room.id.toHex(), seat.handleHex, to, 100, bench.now);
    return r.ok ? "ok" : r.code;
  };
  const one = bench.seated(room, "knocker");
  for (let i = 0; i < KNOCK_RATE.burst; i++) assert.equal(knock(one), "ok");
  assert.equal(knock(one), "rate-limited");
  let passed = KNOCK_RATE.burst;
  for (let i = 0; i < 200; i++) {
    const seat = bench.seated(room, "knocker");
    for (let k = 0; k < KNOCK_RATE.burst; k++) if (knock(seat) === "ok") passed++;
  }
  assert.equal(passed, ROOM_KNOCK_RATE.burst);
  bench.ms += 2000;
  assert.equal(knock(one), "ok");
  assert.equal(knock(one), "rate-limited");
});

Deno.test("a full room admits nobody but who had a place in it", () => {
  const bench = new Bench({ maxMembersPerRoom: 1 });
  const room = new TestRoom();
  const owner = bench.seated(room, "owner");
  const gate = new Signer();
  bench.seated(room, "member", gate);
  const knocker = bench.seated(room, "knocker");
  const admit = (to: Signer) =>
    bench.send(owner.connection, {
      kind: "admit",
      room: room.id,
      handle: handleOf(knocker),
      ticket: room.ticket(to, LATER_S),
    });
  assertRefused(admit(new Signer()), "room-full");
  assert.equal(outline(admit(gate)).at(-1), "tell entered member");
});

Deno.test("tickets to verify are bounded for each connection", () => {
  const bench = new Bench();
  const room = new TestRoom();
  const gate = new Signer();
  const member = bench.seated(room, "member", gate);
  const ticket = room.ticket(gate, LATER_S);
  const renew = () => bench.send(member.connection, { kind: "renew", ticket });
  for (let i = 0; i < TICKET_RATE.burst; i++) assert.deepEqual(renew(), []);
  assertRefused(renew(), "rate-limited");
});
