/** A client's session as plain states and events: what the tests of `session/step.ts` are played on. */
import type { Effect } from "../../src/session/effect.ts";
import type { EventBody, MessageContent, RosterEntry } from "../../src/session/event.ts";
import type { Via } from "../../src/session/notice.ts";
import { memberByLeaf, type RoomState, type SessionState } from "../../src/session/state.ts";
import { initialState, roomById } from "../../src/session/state.ts";
import { step } from "../../src/session/step.ts";
import { Play } from "./pure_step.ts";

/** The room of most tests. */
export const ROOM = "11".repeat(16);
/** Another. */
export const OTHER_ROOM = "22".repeat(16);
/** Our own handle. */
export const MY_HANDLE = "f0".repeat(16);
/** Twelve words. */
export const CODE = Array.from({ length: 12 }, () => "abandon").join(" ");

/** An identity that belongs to a name. */
export function identityOf(name: string): string {
  return new TextEncoder().encode(name.padEnd(32, "_")).toHex().slice(0, 64);
}

/** The handle of a leaf. */
export function handleOf(leaf: number): string {
  return leaf.toString(16).padStart(32, "0");
}

/** A line of a roster. */
export function entry(leaf: number, name: string, via: Via = leaf === 0 ? "founder" : "invite") {
  const identity = identityOf(name);
  return { leaf, name, identity, fingerprint: identity.slice(0, 32), via } satisfies RosterEntry;
}

/** A session that begins as `fox`. */
export class SessionStage extends Play<SessionState> {
  #ids = 0;

  constructor(verified: readonly string[] = [], name = "fox") {
    super(step, initialState({ name, identity: identityOf(name) }, verified));
  }

  /** The state of a room; it has to be there. */
  room(id = ROOM): RoomState {
    const room = roomById(this.state, id);
    if (room === undefined) throw new RangeError(`there is no room ${id}`);
    return room;
  }

  /** A member of a room; it has to be there. */
  member(leaf: number, room = ROOM) {
    const member = memberByLeaf(this.room(room), leaf);
    if (member === undefined) throw new RangeError(`there is no leaf ${leaf}`);
    return member;
  }

  /** Connects, and enters a room or waits at it. */
  #enters(
    role: "knocker" | "owner",
    { room = ROOM, name = "den", ownerPresent = true } = {},
  ): readonly Effect[] {
    if (this.state.connection !== "connected") {
      this.take({ kind: "connected", host: "127.0.0.1", port: 5000, pin: "07".repeat(32) });
    }
    this.take({ kind: "room-prepared", room, name });
    return this.take({ kind: "entered", room, handle: MY_HANDLE, role, ownerPresent });
  }

  /** Connects, and waits at a room as a knocker. */
  knocking(
    where: { room?: string; name?: string; ownerPresent?: boolean } = {},
  ): readonly Effect[] {
    return this.#enters("knocker", where);
  }

  /** Connects, and is the admin of a room in epoch 1: leaf 0, the others follow. */
  founds(others: readonly string[] = []): readonly Effect[] {
    this.#enters("owner");
    return this.take({
      kind: "joined",
      room: ROOM,
      roomName: "den",
      epoch: 1,
      myLeaf: 0,
      adminLeaf: 0,
      deputies: [],
      roster: [this.state.me.name, ...others].map((name, leaf) => entry(leaf, name)),
      safetyCode: CODE,
    });
  }

  /** Is welcomed: the admin `owl` is leaf 0, we are leaf 1, others follow. */
  joins({ room = ROOM, roomName = "den", epoch = 4, others = ["elk"] } = {}): readonly Effect[] {
    const names = ["owl", this.state.me.name, ...others];
    const handle = roomById(this.state, room)?.handle ?? null;
    if (handle !== null) {
      this.take({ kind: "entered", room, handle, role: "member", ownerPresent: true });
    }
    return this.take({
      kind: "joined",
      room,
      roomName,
      epoch,
      myLeaf: 1,
      adminLeaf: 0,
      deputies: [],
      roster: names.map((name, leaf) => entry(leaf, name)),
      safetyCode: CODE,
    });
  }

  /** In the room with owl and elk, in epoch 4. */
  static talking(verified: readonly string[] = []): SessionStage {
    const stage = new SessionStage(verified);
    stage.knocking();
    stage.joins();
    return stage;
  }

  /** The next epoch begins. */
  epoch(
    change: Partial<Omit<Extract<EventBody, { kind: "epoch-began" }>, "kind">> = {},
  ): readonly Effect[] {
    const room = change.room ?? ROOM;
    return this.take({
      kind: "epoch-began",
      room,
      epoch: this.room(room).epoch + 1,
      reason: "rekey",
      adminLeaf: 0,
      deputies: [],
      added: [],
      removed: [],
      safetyCode: CODE,
      ...change,
    });
  }

  /** A verified message of a leaf comes. */
  hears(
    leaf: number,
    content: MessageContent = { kind: "heartbeat" },
    more: Partial<Omit<Extract<EventBody, { kind: "message" }>, "kind" | "content">> = {},
  ): readonly Effect[] {
    return this.take({
      kind: "message",
      room: ROOM,
      handle: handleOf(leaf),
      leaf,
      epoch: 4,
      n: 0,
      gaps: [],
      content,
      skipped: 0,
      lost: 0,
      late: false,
      fork: false,
      ...more,
    });
  }

  /** A text of a leaf comes. */
  hearsText(leaf: number, text: string, room = ROOM): readonly Effect[] {
    const id = (++this.#ids).toString(16).padStart(32, "e");
    return this.hears(leaf, { kind: "text", id, sentAt: this.at, text, repeated: false }, { room });
  }

  /** The person says something; ids count up. */
  says(text: string, more: { room?: string; ref?: string } = {}): readonly Effect[] {
    return this.wants({ kind: "say", text, ...more });
  }

  /** The person gives a slash command. */
  commands(line: string, more: { room?: string; ref?: string } = {}): readonly Effect[] {
    return this.wants({ kind: "command", line, ...more });
  }

  /** The person wants something. */
  wants(intent: Extract<EventBody, { kind: "intent" }>["intent"]): readonly Effect[] {
    return this.take({ kind: "intent", intent, id: (++this.#ids).toString(16).padStart(32, "0") });
  }

  /** A second has gone by, or more. */
  ticks(ms = 1000): readonly Effect[] {
    return this.after(ms).take({ kind: "tick" });
  }
}
