/**
 * What every participant does, whatever its role: pure, no clock, no random numbers, no keys. The way of
 * a message out of here (ARCHITECTURE, "flow of a participant"):
 *
 * 1. an intent arrives with a fresh id and the time;
 * 2. the step gives the message its number in the epoch (`sent`) and orders `seal-and-send`;
 * 3. the driver seals and sends it before the next event is taken.
 *
 * So numbers and keys cannot get out of step, and an epoch changes only between two events.
 */
import { STALE_AFTER_MS } from "../wire/limits.ts";
import { tellAgreement } from "./agreement.ts";
import type { Step } from "./effect.ts";
import {
  adminChanged,
  catchUpTick,
  caughtUp,
  connected,
  entered,
  fellBehind,
  greeted,
  linkEnded,
  ownerChanged,
  prepared,
  refused,
  rejoin,
  removed,
  resumed,
  unsureTick,
} from "./entering.ts";
import { epochBegan, joined } from "./epochs.ts";
import type { EventBody, SessionEvent } from "./event.ts";
import { EXIT } from "./exit_code.ts";
import { gapsLeft, mendTick, newGaps, repairAsked } from "./gaps.ts";
import { gone, message, messageRefused } from "./hearing.ts";
import { intent, leaveAll } from "./intents.ts";
import {
  administers,
  askWhetherStale,
  catchesUp,
  closeRoom,
  dropPrevious,
  heartbeatPeriodMs,
  inRoom,
  knock,
  renewKem,
  speaks,
  staleQuestion,
  staleRef,
} from "./room_turn.ts";
import type { RoomState, SessionState } from "./state.ts";
import {
  granted,
  keysGiven,
  showLine,
  succession,
  successionRef,
  successionTick,
  takeOverQuestion,
} from "./succession.ts";
import { authorOf, inRoomOf, Turn } from "./turn.ts";
import { viewAsked, viewCame, viewTick } from "./viewing.ts";

/** One event in, the next state and the orders out. Nothing happens after `stop`. */
export function step(state: SessionState, event: SessionEvent): Step<SessionState> {
  const turn = new Turn(state, event.at);
  if (!state.stopped) {
    take(turn, event);
    endIfDone(turn);
    if (event.kind !== "intent" || event.intent.kind !== "answer") withdrawMoot(turn, state);
  }
  return turn.done();
}

function take(turn: Turn, event: EventBody): void {
  switch (event.kind) {
    case "connected":
      return connected(turn, event);
    case "link-ended":
      return linkEnded(turn, event);
    case "reconnect-scheduled":
      return turn.say({ type: "reconnecting", attempt: event.attempt, inMs: event.inMs });
    case "reconnect-given-up":
      return turn.stop(EXIT.unreachable, "the relay could not be reached again");
    case "dial-failed":
      if (event.wrongKey) return turn.stop(EXIT.wrongKey, event.message);
      return turn.do({ kind: "reconnect", attempt: event.attempt + 1 });
    case "caught-up":
    case "gaps-told":
      return inRoom(turn, event.room, (room) => {
        for (const { leaf, gaps } of event.gaps) newGaps(turn, room.id, leaf, gaps);
        if (event.kind === "gaps-told") return;
        caughtUp(turn, room.id);
        renewKem(turn, room.id);
      });
    case "fell-behind":
      return inRoom(turn, event.room, (room) => fellBehind(turn, room, event.sure));
    case "repair-asked":
      return inRoom(turn, event.room, (room) => repairAsked(turn, room, event));
    case "view-asked":
      return inRoom(turn, event.room, (room) => viewAsked(turn, room, event));
    case "view-came":
      return inRoom(turn, event.room, (room) => {
        viewCame(turn, room, event);
        tellAgreement(turn, room.id);
      });
    case "room-prepared":
      return prepared(turn, event);
    case "join-refused":
      return turn.fail("usage", event.message, event.ref);
    case "entered":
      return entered(turn, event);
    case "refused":
      return refused(turn, event);
    case "gone":
      return gone(turn, event);
    case "owner":
      return ownerChanged(turn, event);
    case "greeted":
      return greeted(turn, event);
    case "pending":
      return inRoom(turn, event.room, (room) => {
        turn.change(room.id, (r) => ({ ...r, nextKnockAt: Infinity }));
        turn.say({ type: "waiting", reason: "asked", room: room.name, roomId: room.id });
      });
    case "denied":
      return closeRoom(
        turn,
        event.room,
        EXIT.notAdmitted,
        event.code,
        DENIALS[event.code] ?? event.code,
      );
    case "joined":
      return joined(turn, event);
    case "epoch-began":
      return epochBegan(turn, event);
    case "removed":
      return removed(turn, event.room, event.restarted);
    case "commit-refused":
      return inRoom(turn, event.room, (room) => {
        // While we catch up, those between are on their way.
        if (event.ahead === true && catchesUp(room)) return;
        const { evidence } = event;
        turn.warn(
          event.code,
          event.message,
          room,
          evidence && { identity: evidence.admin, evidence: evidence.commits },
        );
        if (evidence) turn.do({ kind: "save-fork", room: room.id, evidence });
        if (event.fatal) {
          closeRoom(turn, room.id, EXIT.protocolViolated, event.code, event.message);
        }
      });
    case "granted":
      return granted(turn, event);
    case "succession":
      return succession(turn, event);
    case "admin-changed":
      return adminChanged(turn, event);
    case "keys-given":
      return keysGiven(turn, event);
    case "former-admin":
    case "owner-asked":
      return showLine(turn, event);
    case "message":
      return message(turn, event);
    case "message-refused":
      return messageRefused(turn, event);
    case "chains-dropped":
      return inRoom(turn, event.room, (room) => {
        for (const { leaf, count, gaps } of event.missing) {
          turn.say({ type: "missing", ...inRoomOf(room), ...authorOf(room, leaf), count });
          gapsLeft(turn, room.id, leaf, gaps);
        }
      });
    case "intent":
      return intent(turn, event.intent, event.id);
    case "tick":
      return tick(turn);
    case "failed":
      turn.fail(event.what, event.message);
      return turn.stop(EXIT.failed, event.message);
    // The admin's own, see admin/role.ts.
    case "knocked":
    case "bundle-opened":
    case "bundle-refused":
    case "kem-updated":
    case "catch-up-asked":
    case "commit-made":
    case "commit-saved":
    case "invite-made":
    case "succeeded":
      return;
  }
}

const DENIALS: Record<string, string> = {
  "denied": "the admin did not let you in",
  "invite-invalid":
    "this invite is unknown, expired, used up or revoked: ask the admin for a new one",
  "barred": "the admin removed you from this room before: ask the admin",
  "name-taken": "somebody in the room has that name: choose another with --name; " +
    "if that is you and your connection broke, come again in a minute or so",
  "room-full": "the room is full",
  "bad-request": "the admin could not verify our request: try again, with the newest stm",
  "unsupported": "the admin's stm and this one have no protocol version in common: update",
};

function tick(turn: Turn): void {
  for (const { id } of turn.state.rooms) {
    inRoom(turn, id, (room) => {
      if (room.phase === "waiting" && turn.at >= room.nextKnockAt) knock(turn, id);
      if (room.phase !== "joined") return;
      const admin = administers(room);
      if (room.resumeBy > 0 && turn.at >= room.resumeBy) {
        return admin ? resumed(turn, room.id) : rejoin(turn, room);
      }
      catchUpTick(turn, room.id);
      unsureTick(turn, room.id);
      mendTick(turn, room.id);
      viewTick(turn, room.id);
      tellAgreement(turn, room.id);
      successionTick(turn, room.id);
      if (turn.at >= room.nextHeartbeatAt && speaks(room)) {
        turn.send(id, { kind: "heartbeat" });
        turn.change(id, (r) => ({
          ...r,
          nextHeartbeatAt: turn.at + heartbeatPeriodMs(r.members.length, admin),
        }));
      }
      dropPrevious(turn, id, (at) => turn.at >= at);
      if (
        !admin && speaks(room) && room.stale === "no" &&
        turn.at - room.adminHeardAt >= STALE_AFTER_MS
      ) {
        askWhetherStale(
          turn,
          room,
          "nothing has been heard of the admin for 90 seconds: membership may be stale, somebody may have been removed",
        );
      }
    });
  }
}

/** Who is about to answer what nobody asks any more would say it to the room. */
function withdrawMoot(turn: Turn, before: SessionState): void {
  if (turn.state.stopped || turn.state.rooms === before.rooms) return;
  for (const was of before.rooms) {
    const room = turn.room(was.id);
    const open = room === undefined ? [] : questionsOf(room);
    for (const question of questionsOf(was)) {
      if (open.every(({ ref }) => ref !== question.ref)) {
        turn.say({ type: "withdrawn", ...question });
      }
    }
  }
}

function questionsOf(room: RoomState): readonly { ref: string; question: string }[] {
  if (room.phase === "closed" || (room.stale !== "asked" && room.asked === null)) return [];
  const { id, name } = room;
  return [
    ...(room.stale === "asked" ? [{ ref: staleRef(id), question: staleQuestion(name) }] : []),
    ...(room.asked === null ? [] : [{ ref: successionRef(id), question: takeOverQuestion(name) }]),
  ];
}

/** The end of input ends the session once nothing waits to be sent. */
function endIfDone(turn: Turn): void {
  if (!turn.state.ending || turn.state.stopped) return;
  if (turn.state.rooms.every((r) => r.pending.length === 0)) leaveAll(turn, "left");
}
