import assert from "node:assert/strict";
import { orders, outline, said } from "../support/pure_step.ts";
import { OTHER_ROOM, ROOM, SessionStage } from "../support/session_stage.ts";
import { viewOf } from "../../src/session/view_of.ts";

/** In two rooms; the first is in front. */
function inTwoRooms(roomName = "loft"): SessionStage {
  const stage = SessionStage.talking();
  stage.knocking({ room: OTHER_ROOM, name: "22222222" });
  stage.joins({ room: OTHER_ROOM, roomName });
  return stage;
}

Deno.test("the first room is in front, and text without a room goes there", () => {
  const stage = inTwoRooms();
  assert.equal(stage.state.front, ROOM);
  assert.deepEqual(orders(stage.says("hi"), "seal-and-send").map((o) => o.room), [ROOM]);
  const there = stage.says("hi", { room: "loft" });
  assert.deepEqual(orders(there, "seal-and-send").map((o) => o.room), [OTHER_ROOM]);
});

Deno.test("messages of a room that is not in front count as unread until /room takes it to the front", () => {
  const stage = inTwoRooms();
  stage.hearsText(2, "one", OTHER_ROOM);
  stage.hearsText(2, "two", OTHER_ROOM);
  stage.hearsText(2, "seen", ROOM);
  stage.hears(2, { kind: "heartbeat" }, { room: OTHER_ROOM });
  assert.deepEqual(viewOf(stage.state, "client").rooms.map((r) => r.unread), [0, 2]);
  assert.deepEqual(said(stage.commands("/room loft", { ref: "r" }), "ok"), [{
    type: "ok",
    ref: "r",
  }]);
  assert.equal(viewOf(stage.state, "client").front, "loft");
  assert.equal(stage.room(OTHER_ROOM).unread, 0);
  stage.hearsText(2, "here", OTHER_ROOM);
  assert.equal(stage.room(OTHER_ROOM).unread, 0);
});

Deno.test("/room lists the rooms, and knows no room that was left", () => {
  const stage = inTwoRooms();
  assert.deepEqual(said(stage.commands("/room"), "info"), [
    { type: "info", text: "your rooms: den, loft" },
  ]);
  stage.commands("/leave", { room: "loft" });
  const [error] = said(stage.commands("/room loft", { ref: "r" }), "error");
  assert.deepEqual([error?.code, error?.ref], ["no-such-room", "r"]);
  assert.deepEqual(said(stage.commands("/room"), "info").map((i) => i.text), ["your rooms: den"]);
});

Deno.test("two rooms of one name are made to differ, and each keeps its own", () => {
  const stage = inTwoRooms("den");
  assert.deepEqual(stage.state.rooms.map((r) => r.name), ["den", "den-2"]);
  stage.knocking({ room: "33".repeat(16), name: "den" });
  assert.deepEqual(stage.state.rooms.map((r) => r.name), ["den", "den-2", "den-3"]);
  // A new epoch does not change them, nor does a second welcome to the same name.
  stage.epoch({ room: OTHER_ROOM });
  assert.equal(stage.room(OTHER_ROOM).name, "den-2");
});

Deno.test("a room with blanks in its name is named in double quotes", () => {
  const stage = inTwoRooms("book club");
  assert.equal(said(stage.commands('/room "book club"', { ref: "r" }), "ok").length, 1);
  assert.equal(stage.state.front, OTHER_ROOM);
});

Deno.test("/join prepares a room under its ref, enters it and answers", () => {
  const stage = SessionStage.talking();
  assert.deepEqual(stage.commands("/join stm://x", { ref: "j" }), [
    { kind: "prepare-join", invite: "stm://x", ref: "j" },
  ]);
  const effects = stage.take({ kind: "room-prepared", room: OTHER_ROOM, name: "2", ref: "j" });
  assert.deepEqual(outline(effects), ["enter", "ok"]);
  assert.equal(stage.state.front, ROOM);
});

Deno.test("/join that is refused says why under its ref; so does one without an invite", () => {
  const stage = SessionStage.talking();
  const refused = stage.take({ kind: "join-refused", message: "of another relay", ref: "j" });
  assert.deepEqual(said(refused, "error"), [
    { type: "error", code: "usage", message: "of another relay", ref: "j" },
  ]);
  const [error] = said(stage.commands("/join", { ref: "k" }), "error");
  assert.deepEqual([error?.code, error?.ref], ["usage", "k"]);
  assert.match(error?.message ?? "", /\/join stm:/);
});

Deno.test("a room that one is in cannot be joined again, one that was left can", () => {
  const stage = inTwoRooms();
  const again = stage.take({ kind: "room-prepared", room: OTHER_ROOM, name: "loft", ref: "j" });
  assert.deepEqual(said(again, "error").map((e) => [e.code, e.ref]), [["already-there", "j"]]);
  stage.commands("/leave", { room: "loft" });
  const back = stage.take({ kind: "room-prepared", room: OTHER_ROOM, name: "loft", ref: "j" });
  assert.deepEqual(outline(back), ["enter", "ok"]);
  assert.deepEqual(stage.state.rooms.map((r) => r.phase), ["joined", "entering"]);
});

Deno.test("/leave leaves one room and ends with the last", () => {
  const stage = inTwoRooms();
  stage.hearsText(2, "hi", OTHER_ROOM);
  const effects = stage.commands("/leave", { ref: "l" });
  assert.deepEqual(outline(effects), ["ok", "send leave 4/1", "leave-room", "forget-room"]);
  assert.ok(effects.every((e) => !("room" in e) || e.room === ROOM));
  assert.equal(stage.state.front, OTHER_ROOM);
  const last = stage.commands("/leave");
  assert.deepEqual(orders(last, "stop"), [{ kind: "stop", exitCode: 0, reason: "left" }]);
});

Deno.test("the room that comes to the front by itself is not unread", () => {
  const stage = inTwoRooms();
  stage.hearsText(2, "hi", OTHER_ROOM);
  stage.commands("/leave");
  assert.equal(stage.state.front, OTHER_ROOM);
  assert.equal(stage.room(OTHER_ROOM).unread, 0);
});

Deno.test("/quit leaves every room with a LEAVE in each", () => {
  const effects = inTwoRooms().commands("/quit", { ref: "q" });
  assert.deepEqual(
    orders(effects, "seal-and-send").map((o) => [o.room, o.message.kind]),
    [[ROOM, "leave"], [OTHER_ROOM, "leave"]],
  );
  assert.deepEqual(orders(effects, "forget-room").map((o) => o.room), [ROOM, OTHER_ROOM]);
  assert.equal(outline(effects).at(0), "ok");
  assert.equal(outline(effects).at(-1), "stop");
});

Deno.test("a view shows the open rooms and nothing of the closed ones", () => {
  const stage = inTwoRooms();
  stage.commands("/leave");
  const view = viewOf(stage.state, "client");
  assert.deepEqual(view.rooms.map((r) => [r.name, r.phase, r.epoch]), [["loft", "joined", 4]]);
  assert.deepEqual([view.front, view.role, view.connection], ["loft", "client", "connected"]);
  assert.deepEqual(view.rooms[0]?.members.map((m) => m.name), ["owl", "fox", "elk"]);
});
