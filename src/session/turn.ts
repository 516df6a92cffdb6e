import type { Effect, OutgoingMessage, Step } from "./effect.ts";
import type { AgreementView, MemberNotice, Notice, Person, WarningCode } from "./notice.ts";
import {
  type Agreement,
  authorByLeaf,
  type Member,
  memberByLeaf,
  roomById,
  type RoomState,
  type SessionState,
  withRoom,
} from "./state.ts";

/** A step in the making: the state so far and the effects in order. */
export class Turn {
  readonly effects: Effect[] = [];
  constructor(public state: SessionState, readonly at: number) {}

  do(effect: Effect): void {
    this.effects.push(effect);
  }

  say(notice: Notice): void {
    this.effects.push({ kind: "notice", notice });
  }

  warn(code: WarningCode, message: string, room?: RoomState, more: {
    from?: string;
    identity?: string;
    count?: number;
    author?: Person;
    evidence?: readonly string[];
  } = {}): void {
    this.say({
      type: "warning",
      code,
      message,
      ...(room ? { room: room.name, roomId: room.id } : {}),
      ...more,
    });
  }

  fail(code: string, message: string, ref?: string): void {
    this.say({ type: "error", code, message, ...(ref === undefined ? {} : { ref }) });
  }

  ok(ref?: string): void {
    if (ref !== undefined) this.say({ type: "ok", ref });
  }

  room(id: string): RoomState | undefined {
    return roomById(this.state, id);
  }

  change(id: string, change: (room: RoomState) => RoomState): void {
    this.state = withRoom(this.state, id, change);
  }

  /** Numbers and orders one message of a joined room. */
  send(id: string, message: OutgoingMessage): void {
    const room = this.room(id);
    if (room?.phase !== "joined") return;
    const noPlace = room.handle === null || room.seat === "none" || room.seat === "knocker";
    // While we catch up we send nothing of epochs that pass (PROTOCOL §9); a goodbye is one all the same.
    const held = noPlace ||
      (message.kind === "close" && (room.awaySince > 0 || room.resumeBy > 0));
    this.do({
      kind: "seal-and-send",
      room: id,
      epoch: room.epoch,
      n: room.sent,
      message,
      ...(held ? { held: true } : {}),
    });
    const spokeIn = message.kind === "close" ? room.spokeIn : room.epoch;
    this.change(id, (r) => ({ ...r, sent: r.sent + 1, spokeIn }));
  }

  /** Says that the texts that wait in a room will not be sent: nothing that was typed vanishes silently. */
  drop(room: RoomState): void {
    const texts = room.pending;
    const named = texts.filter((text) => text.ref !== undefined);
    for (const { ref } of named) this.fail("not-sent", `${room.name}: the text was not sent`, ref);
    const others = texts.length - named.length;
    if (others > 0) {
      this.fail(
        "not-sent",
        `${room.name}: ${others} ${others === 1 ? "text was" : "texts were"} not sent`,
      );
    }
    this.change(room.id, (r) => ({ ...r, pending: [] }));
  }

  stop(exitCode: number, reason: string): void {
    if (this.state.stopped) return;
    for (const room of this.state.rooms) this.drop(room);
    this.state = { ...this.state, stopped: true };
    this.say({ type: "bye", reason, exitCode });
    this.do({ kind: "stop", exitCode, reason });
  }

  done(): Step<SessionState> {
    return { state: this.state, effects: this.effects };
  }
}

/** The fields that every notice about a room has. */
export function inRoomOf(room: RoomState): { room: string; roomId: string } {
  return { room: room.name, roomId: room.id };
}

/** Whose a leaf is, for notices; also of one that is no longer there. */
export function authorOf(room: RoomState, leaf: number): { from: string; identity: string } {
  const member = authorByLeaf(room, leaf);
  return { from: member?.name ?? `leaf ${leaf}`, identity: member?.identity ?? "" };
}

/** Who sees the same conversation, as notices and views tell it. */
export function agreementOf(room: RoomState, agreement: Agreement): AgreementView {
  const people = (leaves: readonly number[]): Person[] =>
    leaves.flatMap((leaf) => {
      const member = memberByLeaf(room, leaf);
      return member === undefined ? [] : [{ name: member.name, identity: member.identity }];
    });
  const { agree, of, differ, behind, silent } = agreement;
  return { agree, of, differ: people(differ), behind: people(behind), silent: people(silent) };
}

/** A room's members as notices and views list them: made once, however many messages change nothing of it. */
export function membersOf(room: RoomState): readonly MemberNotice[] {
  const { members, adminLeaf, deputies } = room;
  const listed = LISTED.get(members);
  if (listed?.adminLeaf === adminLeaf && listed.deputies === deputies) return listed.list;
  const list = members.map((m) => ({
    name: m.name,
    identity: m.identity,
    fingerprint: m.fingerprint,
    via: m.via,
    verified: m.verified,
    admin: m.leaf === adminLeaf,
    deputy: deputies.includes(m.leaf),
    present: m.present,
  }));
  LISTED.set(members, { adminLeaf, deputies, list });
  return list;
}

/** Lists that were made, by the members that they were made of: states are never changed in place. */
const LISTED = new WeakMap<
  readonly Member[],
  Pick<RoomState, "adminLeaf" | "deputies"> & { readonly list: readonly MemberNotice[] }
>();

/** ISO 8601; a foreign clock may say anything, also what no Date can hold. */
export function isoTime(ms: number): string {
  // In a burst many have the same.
  if (ms !== lastTime.ms) lastTime = { ms, iso: new Date(Math.min(ms, 8.64e15)).toISOString() };
  return lastTime.iso;
}

let lastTime = { ms: 0, iso: "1970-01-01T00:00:00.000Z" };
