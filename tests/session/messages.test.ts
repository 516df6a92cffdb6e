import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_TEXT_BYTES } from "../../src/wire/limits.ts";
import { MAX_PENDING_TEXTS } from "../../src/session/state.ts";
import { viewOf } from "../../src/session/view_of.ts";
import { notices, orders, outline, said } from "../support/pure_step.ts";
import { assertProperty } from "../support/property.ts";
import { entry, ROOM, SessionStage } from "../support/session_stage.ts";

Deno.test("a text said before joined waits, and is sent once and in order when joined", () => {
  const stage = new SessionStage();
  stage.knocking();
  const waiting = [stage.says("one"), stage.says("two", { ref: "r2" }), stage.says("three")];
  const pending = waiting.flatMap((effects) => said(effects, "pending"));
  assert.deepEqual(waiting.flatMap(outline), ["pending", "pending", "pending"]);
  assert.deepEqual(pending.map(({ text, ref }) => [text, ref]), [
    ["one", undefined],
    ["two", "r2"],
    ["three", undefined],
  ]);
  assert.equal(viewOf(stage.state, "client").rooms[0]?.pending, 3);
  const effects = stage.joins();
  assert.equal(viewOf(stage.state, "client").rooms[0]?.pending, 0);
  assert.deepEqual(said(effects, "sent").map(({ id }) => id), pending.map(({ id }) => id));
  assert.deepEqual(outline(effects), [
    "joined",
    "send heartbeat 4/0",
    "update-kem",
    "send text 4/1",
    "sent",
    "send text 4/2",
    "sent",
    "ok",
    "send text 4/3",
    "sent",
  ]);
  const texts = orders(effects, "seal-and-send").flatMap(({ message }) =>
    message.kind === "text" ? [message] : []
  );
  assert.deepEqual(texts.map((t) => t.text), ["one", "two", "three"]);
  assert.deepEqual(
    said(effects, "sent").map((s) => [s.id, s.text]),
    texts.map((t) => [t.id, t.text]),
  );
  assert.deepEqual(said(effects, "ok"), [{ type: "ok", ref: "r2" }]);
  assert.deepEqual(stage.room().pending, []);
  assert.deepEqual(outline(stage.epoch()).filter((e) => e.includes("text")), []);
});

Deno.test("a text of somebody in the room is sent at once, with the time and its id", () => {
  const stage = SessionStage.talking();
  const effects = stage.after(5).says("hi", { ref: "7" });
  const [order] = orders(effects, "seal-and-send");
  assert.ok(order?.message.kind === "text");
  assert.equal(order.message.sentAt, stage.at);
  assert.deepEqual(notices(effects), [
    {
      type: "sent",
      room: "den",
      roomId: ROOM,
      id: order.message.id,
      text: "hi",
      sentAt: new Date(stage.at).toISOString(),
      ref: "7",
    },
    { type: "ok", ref: "7" },
  ]);
});

Deno.test("message numbers count from 0 in every epoch without a gap, whatever is sent", () => {
  const act = fc.constantFrom("say", "epoch", "tick", "hear");
  assertProperty(fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
    const stage = SessionStage.talking();
    for (const what of acts) {
      if (what === "say") stage.says("x");
      else if (what === "epoch") stage.epoch();
      else if (what === "tick") stage.ticks(31_000);
      else stage.hears(0);
    }
    const sent = orders(stage.all, "seal-and-send");
    let expected = { epoch: 4, n: 0 };
    let sentBefore = false;
    for (const { epoch, n, message } of sent) {
      if (epoch !== expected.epoch) {
        // §8: CLOSE comes first, and only if something was sent in the epoch right before.
        sentBefore = epoch === expected.epoch + 1 && expected.n > 0;
        expected = { epoch, n: 0 };
      }
      assert.deepEqual({ epoch, n }, expected);
      assert.equal(
        message.kind === "close",
        n === 0 && sentBefore,
        `${epoch}/${n} ${message.kind}`,
      );
      expected = { epoch, n: n + 1 };
      sentBefore = false;
    }
    assert.equal(stage.room().sent, expected.epoch === stage.room().epoch ? expected.n : 0);
  }));
});

Deno.test("CLOSE is the first message of an epoch if something was sent in the one before", () => {
  const stage = SessionStage.talking();
  assert.deepEqual(outline(stage.epoch()), [
    "epoch",
    "send close 5/0",
    "renew-ticket",
    "update-kem",
  ]);
  // The CLOSE itself was sent in epoch 5.
  assert.deepEqual(outline(stage.epoch()).filter((e) => e.startsWith("send")), ["send close 6/0"]);
});

Deno.test("a CLOSE is of the last epoch in which more was sent than that, however many pass since", () => {
  const stage = SessionStage.talking();
  const closed = (): number[] =>
    orders(stage.epoch(), "seal-and-send")
      .flatMap(({ message }) => message.kind === "close" ? [message.epoch] : []);
  assert.deepEqual([closed(), closed(), closed()], [[4], [4], [4]]);
  stage.says("hi");
  assert.deepEqual([closed(), closed()], [[7], [7]]);
});

Deno.test("there is no CLOSE after an epoch in which nothing was sent", () => {
  const admin = new SessionStage([], "owl");
  assert.deepEqual(outline(admin.founds()), ["joined"]);
  assert.deepEqual(outline(admin.epoch()), ["epoch"]);
  admin.says("hi");
  assert.deepEqual(outline(admin.epoch()), ["epoch", "send close 3/0"]);
});

Deno.test("text that waits goes after CLOSE in a new epoch", () => {
  const stage = SessionStage.talking();
  stage.ticks(90_000);
  assert.deepEqual(outline(stage.says("hi")), ["pending"]);
  assert.deepEqual(outline(stage.epoch()), [
    "epoch",
    "send close 5/0",
    "renew-ticket",
    "update-kem",
    "send text 5/1",
    "sent",
    "withdrawn",
  ]);
});

Deno.test("the end of input leaves at once if nothing waits", () => {
  const stage = SessionStage.talking();
  stage.says("bye");
  const effects = stage.wants({ kind: "end" });
  assert.deepEqual(outline(effects), [
    "send leave 4/2",
    "leave-room",
    "forget-room",
    "bye",
    "stop",
  ]);
  assert.deepEqual(orders(effects, "stop"), [{ kind: "stop", exitCode: 0, reason: "left" }]);
});

Deno.test("text that waits at the end of input is sent before leaving", () => {
  const stage = new SessionStage();
  stage.knocking();
  stage.says("last words");
  assert.deepEqual(stage.wants({ kind: "end" }), []);
  assert.deepEqual(outline(stage.joins()), [
    "joined",
    "send heartbeat 4/0",
    "update-kem",
    "send text 4/1",
    "sent",
    "send leave 4/2",
    "leave-room",
    "forget-room",
    "bye",
    "stop",
  ]);
});

Deno.test("an interrupt leaves at once, and says of each text that waited that it was not sent", () => {
  const stage = new SessionStage();
  stage.knocking();
  stage.says("one", { ref: "1" });
  stage.says("two");
  stage.says("three");
  const effects = stage.wants({ kind: "interrupt" });
  assert.deepEqual(outline(effects), [
    "error",
    "error",
    "leave-room",
    "forget-room",
    "bye",
    "stop",
  ]);
  const [first, others] = said(effects, "error");
  assert.deepEqual([first?.code, first?.ref], ["not-sent", "1"]);
  assert.deepEqual([others?.code, others?.ref], ["not-sent", undefined]);
  assert.match(others?.message ?? "", /2 texts/);
  assert.equal(said(effects, "bye")[0]?.exitCode, 0);
});

Deno.test("texts that wait are answered when the room is closed by others too", () => {
  const stage = new SessionStage();
  stage.knocking();
  stage.says("hi", { ref: "a" });
  const effects = stage.take({ kind: "denied", room: ROOM, code: "denied" });
  assert.deepEqual(said(effects, "error").map((e) => [e.code, e.ref]), [
    ["denied", undefined],
    ["not-sent", "a"],
  ]);
});

Deno.test("a text of exactly MAX_TEXT_BYTES of UTF-8 is taken, one byte more is refused", () => {
  const longest = "é".repeat(MAX_TEXT_BYTES / 2);
  const stage = SessionStage.talking();
  assert.equal(orders(stage.says(longest), "seal-and-send").length, 1);
  // Fewer characters than the bound, more bytes.
  const effects = stage.says(`${longest.slice(1)}abc`, { ref: "x" });
  assert.deepEqual(outline(effects), ["error"]);
  const [error] = said(effects, "error");
  assert.equal(error?.code, "too-long");
  assert.equal(error?.ref, "x");
  assert.match(error?.message ?? "", /65537 bytes/);
});

Deno.test("an empty text is refused", () => {
  const [error] = said(SessionStage.talking().says("", { ref: "x" }), "error");
  assert.deepEqual([error?.code, error?.ref], ["empty-text", "x"]);
});

Deno.test("MAX_PENDING_TEXTS texts wait, one more is refused with its ref", () => {
  const stage = new SessionStage();
  stage.knocking();
  for (let i = 0; i < MAX_PENDING_TEXTS; i++) {
    assert.deepEqual(outline(stage.says(`${i}`)), ["pending"]);
  }
  const effects = stage.says("one too many", { ref: "x" });
  assert.deepEqual(said(effects, "error").map((e) => [e.code, e.ref]), [["too-many-waiting", "x"]]);
  assert.equal(stage.room().pending.length, MAX_PENDING_TEXTS);
  assert.equal(said(stage.joins(), "sent").length, MAX_PENDING_TEXTS);
  assert.equal(said(stage.says("now"), "sent").length, 1);
});

Deno.test("a text without a room is refused, and one for a room that is not ours", () => {
  const stage = new SessionStage();
  assert.equal(said(stage.says("hi", { ref: "a" }), "error")[0]?.code, "no-such-room");
  stage.knocking();
  const [error] = said(stage.says("hi", { room: "loft", ref: "b" }), "error");
  assert.deepEqual([error?.code, error?.ref], ["no-such-room", "b"]);
  assert.match(error?.message ?? "", /loft/);
});

Deno.test("nothing is ordered after stop within the step that stops", () => {
  const stage = new SessionStage();
  stage.knocking();
  stage.says("one");
  stage.wants({ kind: "end" });
  const effects = stage.take({ kind: "failed", what: "saving", message: "the disk is full" });
  assert.deepEqual(outline(effects), ["error", "error", "bye", "stop"]);
});

Deno.test("nothing happens after stop", () => {
  const stage = SessionStage.talking();
  stage.commands("/quit");
  const { state } = stage;
  assert.deepEqual(stage.says("hi"), []);
  assert.deepEqual(stage.ticks(100_000), []);
  assert.deepEqual(stage.take({ kind: "link-ended", code: "reset", message: "gone" }), []);
  assert.equal(stage.state, state);
});

Deno.test("a text of a member is told with its author and the time that the author says", () => {
  const stage = SessionStage.talking();
  const effects = stage.hears(2, {
    kind: "text",
    id: "ab".repeat(16),
    sentAt: 0,
    text: "hey",
    repeated: false,
  });
  assert.deepEqual(notices(effects), [{
    type: "message",
    room: "den",
    roomId: ROOM,
    id: "ab".repeat(16),
    from: "elk",
    identity: entry(2, "elk").identity,
    text: "hey",
    sentAt: "1970-01-01T00:00:00.000Z",
  }]);
});

Deno.test("a sender's clock may say anything up to 2^53", () => {
  const stage = SessionStage.talking();
  const sentAt = Number.MAX_SAFE_INTEGER;
  const effects = stage.hears(2, {
    kind: "text",
    id: "ab".repeat(16),
    sentAt,
    text: "hey",
    repeated: false,
  });
  assert.equal(said(effects, "message")[0]?.sentAt, "+275760-09-13T00:00:00.000Z");
});
