/** Epochs as the session sees them: who is there, and what has to be said and ordered (PROTOCOL §7). */
import { CHAIN_LIFE_MS } from "../wire/limits.ts";
import { agreementAfter } from "./agreement.ts";
import type { RosterEntry } from "./event.ts";
import { endsAt, newGaps } from "./gaps.ts";
import { sayFork } from "./hearing.ts";
import type { EpochReason } from "./notice.ts";
import {
  dropPrevious,
  flushPending,
  freeName,
  heartbeatPeriodMs,
  inRoom,
  type Of,
  updateKem,
} from "./room_turn.ts";
import {
  type AgreementState,
  MAX_PAST_EPOCHS,
  type Member,
  memberByLeaf,
  NO_AGREEMENT,
  NO_SUCCESSION,
  withFormer,
} from "./state.ts";
import { inRoomOf, membersOf, type Turn } from "./turn.ts";

function memberOf(turn: Turn, entry: RosterEntry): Member {
  return {
    ...entry,
    verified: entry.identity === turn.state.me.identity ||
      turn.state.verified.includes(entry.identity),
    handle: null,
    present: true,
    left: false,
    goneAt: 0,
  };
}

/** Our first epoch in a room. */
export function joined(turn: Turn, event: Of<"joined">): void {
  inRoom(turn, event.room, (before) => {
    // An ADMIT comes before its WELCOME, unless the relay refuses it: the admin may be behind another, say.
    const hasNoSeat = before.seat === "knocker";
    turn.change(event.room, (r) => ({
      ...r,
      name: freeName(turn, event.roomName, r.id),
      phase: "joined",
      epoch: event.epoch,
      safetyCode: event.safetyCode,
      myLeaf: event.myLeaf,
      adminLeaf: event.adminLeaf,
      deputies: event.deputies,
      ...NO_SUCCESSION,
      members: event.roster.map((entry) => memberOf(turn, entry)),
      audience: event.roster.map(({ identity }) => identity),
      sent: 0,
      spokeIn: 0,
      // A connection that was lost while we waited is behind us; but it may be lost just now.
      awaySince: r.handle === null ? r.awaySince || turn.at : hasNoSeat ? turn.at : 0,
      resumeBy: 0,
      behind: false,
      unreadableIn: 0,
      joinedAt: turn.at,
      unled: "no",
      seat: event.myLeaf === event.adminLeaf ? "owner" : hasNoSeat ? "knocker" : "member",
      gaps: [],
      repairBudget: r.repairBudget.filter(({ leaf }) => event.roster.some((m) => m.leaf === leaf)),
      adminHeardAt: turn.at,
      stale: "no",
      nextHeartbeatAt: turn.at + heartbeatPeriodMs(event.roster.length, false),
    }));
    startAgreement(turn, event.room, NO_AGREEMENT);
    const room = turn.room(event.room);
    if (room === undefined) return;
    turn.say({
      type: "joined",
      ...inRoomOf(room),
      me: turn.state.me,
      members: membersOf(room),
      epoch: room.epoch,
      safetyCode: room.safetyCode,
    });
    if (hasNoSeat) turn.do({ kind: "enter", room: room.id });
    if (event.myLeaf !== event.adminLeaf) {
      // The first message tells everybody which handle is ours (§9).
      turn.send(room.id, { kind: "heartbeat" });
      updateKem(turn, room.id);
    }
    flushPending(turn, room.id);
  });
}

/** A later epoch: who came, who went, and what is to be said in it first. */
export function epochBegan(turn: Turn, event: Of<"epoch-began">): void {
  inRoom(turn, event.room, (room) => {
    // We have given those keys up and knock again: it came of a commit that was on its way.
    if (room.phase !== "joined") return;
    for (const removal of event.removed) {
      const member = memberByLeaf(room, removal.leaf);
      if (member === undefined) continue;
      const person = { name: member.name, identity: member.identity };
      if (removal.missing > 0) {
        turn.say({
          type: "missing",
          ...inRoomOf(room),
          from: member.name,
          identity: member.identity,
          count: removal.missing,
        });
      }
      if (removal.fork) sayFork(turn, room, member);
      if (!member.left) {
        turn.say({ type: "member-left", ...inRoomOf(room), ...person, reason: removal.reason });
      }
    }
    const gone = new Set(event.removed.map((r) => r.leaf));
    const hadSent = room.sent > 0;
    if (room.claiming !== null && event.adminLeaf !== room.myLeaf) {
      turn.say({
        type: "info",
        text: `${room.name}: the room has gone on with its admin; you did not take over`,
      });
    }
    turn.change(room.id, (r) => ({
      ...r,
      epoch: event.epoch,
      safetyCode: event.safetyCode,
      adminLeaf: event.adminLeaf,
      deputies: event.deputies,
      ...NO_SUCCESSION,
      // A deputy keeps the room key for as long as it is named.
      granted: event.deputies.includes(r.myLeaf) ? r.granted.filter((p) => p === "deputy") : [],
      members: [
        ...r.members.filter((m) => !gone.has(m.leaf)),
        ...event.added.map((entry) => memberOf(turn, entry)),
      ],
      former: withFormer(r, r.members.filter((m) => gone.has(m.leaf))),
      // Nobody has that leaf again.
      repairBudget: r.repairBudget.filter(({ leaf }) => !gone.has(leaf)),
      sent: 0,
      adminHeardAt: turn.at,
      stale: "no",
      dropPreviousAt: [...r.dropPreviousAt, turn.at + CHAIN_LIFE_MS],
    }));
    turn.change(room.id, (r) => ({ ...r, audience: r.members.map(({ identity }) => identity) }));
    startAgreement(turn, room.id, room.agreement);
    for (const entry of event.added) {
      turn.say({
        type: "member-joined",
        ...inRoomOf(room),
        name: entry.name,
        identity: entry.identity,
        via: entry.via,
        fingerprint: entry.fingerprint,
      });
    }
    sayEpoch(turn, room.id, event.reason);
    for (const { leaf, count, gaps } of event.removed) {
      endsAt(turn, room.id, leaf, { epoch: room.epoch, count });
      newGaps(turn, room.id, leaf, gaps);
    }
    dropPrevious(turn, room.id, (_at, kept) => kept > MAX_PAST_EPOCHS);
    // §8: whoever sent in the epoch before closes it with its first message of this one; if that was only a CLOSE, it may
    // have come when nobody had its keys any more, and is sent again.
    if (hadSent) turn.send(room.id, { kind: "close", epoch: room.spokeIn });
    if (room.myLeaf !== event.adminLeaf) {
      if (room.seat === "member") turn.do({ kind: "renew-ticket", room: room.id });
      updateKem(turn, room.id);
    }
    flushPending(turn, room.id);
  });
}

function startAgreement(turn: Turn, id: string, before: AgreementState): void {
  turn.change(id, (r) => ({
    ...r,
    agreement: agreementAfter(before, r.members, r.myLeaf, turn.at),
  }));
}

function sayEpoch(turn: Turn, id: string, reason: EpochReason): void {
  const room = turn.room(id);
  if (room === undefined) return;
  turn.say({
    type: "epoch",
    ...inRoomOf(room),
    epoch: room.epoch,
    reason,
    members: membersOf(room),
    safetyCode: room.safetyCode,
  });
}
