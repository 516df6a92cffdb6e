/** What the person wants. */
import { MAX_TEXT_BYTES } from "../wire/limits.ts";
import { COMMANDS, nameIn, parseCommand, superfluous } from "./commands.ts";
import { EXIT } from "./exit_code.ts";
import type { UserIntent } from "./intent.ts";
import { askToSend, flushPending, forgetRoom, isHeld, staleRef, toFront } from "./room_turn.ts";
import { MAX_PENDING_TEXTS, roomByName, type RoomState } from "./state.ts";
import { answerSuccession, claim } from "./succession.ts";
import { agreementOf, inRoomOf, membersOf, type Turn } from "./turn.ts";

/** One wish of the person. */
export function intent(turn: Turn, intent: UserIntent, id: string): void {
  switch (intent.kind) {
    case "say":
      return say(turn, intent, id);
    case "command":
      return command(turn, intent);
    case "answer":
      return answer(turn, intent);
    case "invalid":
      return turn.fail("invalid-input", intent.message, intent.ref);
    case "end":
      turn.state = { ...turn.state, ending: true };
      return;
    case "interrupt":
      return leaveAll(turn, "interrupted");
  }
}

/** The room that an intent means: by name, else the one in front; says so if there is none. */
export function roomMeant(
  turn: Turn,
  intent: { readonly room?: string; readonly ref?: string },
): RoomState | undefined {
  const room = intent.room === undefined
    ? turn.state.rooms.find((r) => r.id === turn.state.front)
    : roomByName(turn.state, intent.room);
  if (room === undefined) {
    turn.fail(
      "no-such-room",
      intent.room === undefined
        ? "you are in no room yet"
        : `you are in no room named ${intent.room}`,
      intent.ref,
    );
  }
  return room;
}

/** Text for a room: it waits until it can be sealed. */
export function say(turn: Turn, intent: Extract<UserIntent, { kind: "say" }>, id: string): void {
  if (intent.text === "") return turn.fail("empty-text", "there is no text to send", intent.ref);
  // No letter has more than three bytes.
  const bytes = intent.text.length * 3 <= MAX_TEXT_BYTES
    ? 0
    : new TextEncoder().encode(intent.text).length;
  if (bytes > MAX_TEXT_BYTES) {
    return turn.fail(
      "too-long",
      `the text has ${bytes} bytes, over ${MAX_TEXT_BYTES}: send it in parts`,
      intent.ref,
    );
  }
  const room = roomMeant(turn, intent);
  if (room === undefined) return;
  if (room.pending.length >= MAX_PENDING_TEXTS) {
    return turn.fail(
      "too-many-waiting",
      "too many texts wait to be sent: this one was not taken",
      intent.ref,
    );
  }
  const text = { id, text: intent.text, ...(intent.ref === undefined ? {} : { ref: intent.ref }) };
  turn.change(room.id, (r) => ({ ...r, pending: [...r.pending, text] }));
  flushPending(turn, room.id);
  if (turn.room(room.id)?.pending.at(-1) !== text) return;
  turn.say({ type: "pending", ...inRoomOf(room), ...text });
  if (room.stale === "held") askToSend(turn, room);
}

function answer(turn: Turn, intent: Extract<UserIntent, { kind: "answer" }>): void {
  if (answerSuccession(turn, intent)) return;
  const room = turn.state.rooms.find((r) => staleRef(r.id) === intent.ref && isHeld(r));
  if (room === undefined) {
    return turn.fail("no-such-question", "nothing was asked under that name", intent.ref);
  }
  if (intent.choice === "send") {
    turn.change(room.id, (r) => ({ ...r, stale: "agreed" }));
    flushPending(turn, room.id);
  } else if (intent.choice === "wait") {
    turn.change(room.id, (r) => ({ ...r, stale: "held" }));
    turn.say({
      type: "info",
      text:
        `${room.name}: texts wait until the admin is heard of; you are asked again with the next`,
    });
  } else {
    return turn.fail("no-such-choice", "answer send or wait", intent.ref);
  }
  turn.ok(intent.ref);
}

function command(turn: Turn, intent: Extract<UserIntent, { kind: "command" }>): void {
  const parsed = parseCommand(intent.line);
  const { name, args } = parsed;
  const wrong = superfluous(parsed, "any");
  if (wrong !== null) return turn.fail("usage", wrong, intent.ref);
  switch (name) {
    case "who":
    case "verify": {
      const room = roomMeant(turn, intent);
      if (room === undefined) return;
      if (room.phase !== "joined") {
        return turn.fail("not-joined", "you are not in the room yet", intent.ref);
      }
      if (name === "verify" && args[0] === "ok") return verifyOk(turn, room, intent.ref);
      turn.say({
        type: "members",
        ...inRoomOf(room),
        epoch: room.epoch,
        members: membersOf(room),
        safetyCode: room.safetyCode,
      });
      const { now } = room.agreement;
      if (name === "who" && now !== null) {
        turn.say({ type: "agreement", ...inRoomOf(room), ...agreementOf(room, now) });
      }
      return turn.ok(intent.ref);
    }
    case "claim": {
      const room = roomMeant(turn, intent);
      return room === undefined ? undefined : claim(turn, room, intent.ref);
    }
    case "room":
      return frontRoom(turn, nameIn(args), intent.ref);
    case "join":
      if (args[0] === undefined) {
        return turn.fail("usage", "give an invite: /join stm://…", intent.ref);
      }
      return turn.do({
        kind: "prepare-join",
        invite: args[0],
        ...(intent.ref === undefined ? {} : { ref: intent.ref }),
      });
    case "leave": {
      const room = roomMeant(turn, intent);
      if (room === undefined) return;
      turn.ok(intent.ref);
      leave(turn, room);
      if (turn.state.rooms.every((r) => r.phase === "closed")) turn.stop(EXIT.left, "left");
      return;
    }
    case "quit":
      turn.ok(intent.ref);
      return leaveAll(turn, "left");
    case "help":
      return help(turn, args[0], intent.ref);
    default: {
      const known = COMMANDS.find((c) => c.name === name);
      if (known !== undefined) {
        return turn.fail("not-admin", `only the room's admin can /${name}`, intent.ref);
      }
      return turn.fail(
        "no-such-command",
        `there is no /${name}: /help lists what there is`,
        intent.ref,
      );
    }
  }
}

function verifyOk(turn: Turn, room: RoomState, ref?: string): void {
  const identities = room.members.map((m) => m.identity);
  turn.state = {
    ...turn.state,
    verified: [...new Set([...turn.state.verified, ...identities])],
    rooms: turn.state.rooms.map((r) => ({
      ...r,
      members: r.members.map((m) => identities.includes(m.identity) ? { ...m, verified: true } : m),
    })),
  };
  turn.do({ kind: "remember-verified", identities });
  turn.say({
    type: "verified",
    ...inRoomOf(room),
    members: room.members.map((m) => ({ name: m.name, identity: m.identity })),
  });
  turn.ok(ref);
}

function frontRoom(turn: Turn, name: string | undefined, ref?: string): void {
  if (name === undefined) {
    const rooms = turn.state.rooms.filter((r) => r.phase !== "closed").map((r) => r.name);
    turn.say({ type: "info", text: `your rooms: ${rooms.join(", ") || "none"}` });
    return turn.ok(ref);
  }
  const room = roomByName(turn.state, name);
  if (room === undefined) return turn.fail("no-such-room", `you are in no room named ${name}`, ref);
  toFront(turn, room.id);
  turn.ok(ref);
}

function help(turn: Turn, name: string | undefined, ref?: string): void {
  const commands = COMMANDS.filter((c) => name === undefined || c.name === name.replace(/^\//, ""));
  if (commands.length === 0) return turn.fail("no-such-command", `there is no /${name}`, ref);
  for (const c of commands) {
    const usage = `/${c.name}${c.args === "" ? "" : ` ${c.args}`}`;
    turn.say({
      type: "info",
      text: `${usage.padEnd(24)} ${c.help}${c.role === "admin" ? " (admin)" : ""}`,
    });
  }
  turn.ok(ref);
}

function leave(turn: Turn, room: RoomState): void {
  turn.send(room.id, { kind: "leave" });
  forgetRoom(turn, room.id);
}

/** Leaves every room and ends. */
export function leaveAll(turn: Turn, reason: string): void {
  for (const room of turn.state.rooms) if (room.phase !== "closed") leave(turn, room);
  turn.stop(turn.state.connection === "reconnecting" ? EXIT.unreachable : EXIT.left, reason);
}
