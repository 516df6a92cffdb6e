/** Who sees the same conversation, in the pure step (PROTOCOL §9). */
import assert from "node:assert/strict";
import type { EventBody } from "../../src/session/event.ts";
import type { Effect } from "../../src/session/effect.ts";
import { OWNERS } from "../../src/session/room_turn.ts";
import { viewOf } from "../../src/session/view_of.ts";
import { orders, said } from "../support/pure_step.ts";
import { entry, handleOf, ROOM, SessionStage } from "../support/session_stage.ts";

type Came = Omit<Extract<EventBody, { kind: "view-came" }>, "kind" | "room">;

/** In epoch 4 with owl (0) and elk (2), all heard of and agreed on, and told so. */
function agreed(): SessionStage {
  const stage = SessionStage.talking();
  beats(stage, 0);
  beats(stage, 2);
  stage.ticks(6000);
  return stage;
}

function beats(stage: SessionStage, leaf: number, agrees = true, more = {}): readonly Effect[] {
  return stage.hears(leaf, { kind: "heartbeat", agrees }, more);
}

function shows(stage: SessionStage, leaf: number, came: Partial<Came> = {}): readonly Effect[] {
  return stage.take({
    kind: "view-came",
    room: ROOM,
    epoch: 4,
    leaf,
    differs: [],
    ahead: [],
    behind: false,
    ...came,
  });
}

/** Time goes by while owl and elk are heard of every 30 s. */
function passes(stage: SessionStage, seconds: number, agrees = true): readonly Effect[] {
  const before = stage.all.length;
  for (let second = 1; second <= seconds; second++) {
    stage.ticks(1000);
    if (second % 30 === 0) { for (const leaf of [0, 2]) beats(stage, leaf, agrees); }
  }
  return stage.all.slice(before);
}

/** The notices of agreement, in short. */
function badges(effects: readonly Effect[]): string[] {
  return said(effects, "agreement").map(({ agree, of, differ, behind, silent }) => {
    const names = (kind: string, people: readonly { name: string }[]) =>
      people.length === 0 ? "" : ` ${kind} ${people.map((p) => p.name).join("+")}`;
    return `${agree}/${of}${names("differ", differ)}${names("behind", behind)}${
      names("silent", silent)
    }`;
  });
}

function asked(effects: readonly Effect[]): number[] {
  return orders(effects, "request-view").map(({ leaf }) => leaf);
}

Deno.test("when all have heard the same it is told once, as soon as the epoch has settled", () => {
  const stage = SessionStage.talking();
  beats(stage, 0);
  assert.deepEqual(badges(stage.all), []);
  beats(stage, 2);
  assert.deepEqual(badges(stage.all), []);
  stage.ticks(6000);
  assert.deepEqual(badges(stage.all), ["3/3"]);
  passes(stage, 300);
  assert.deepEqual(badges(stage.all), ["3/3"]);
  assert.deepEqual(viewOf(stage.state, "client").rooms[0]?.agreement?.agree, 3);
});

Deno.test("one digest that differs is nothing; at the second the member is asked for its view", () => {
  const stage = agreed();
  assert.deepEqual(asked(beats(stage, 2, false)), []);
  assert.deepEqual(asked(beats(stage, 2)), []);
  assert.deepEqual(asked(beats(stage, 2, false)), []);
  const effects = beats(stage, 2, false);
  assert.deepEqual(asked(effects), [2]);
  assert.equal(orders(effects, "request-view")[0]?.to, handleOf(2));
  // The room was only talking: its view has all that we had.
  assert.deepEqual(shows(stage, 2), []);
  assert.deepEqual(badges(stage.all), ["3/3"]);
});

Deno.test("questions are spaced, in a room and to one member", () => {
  const stage = agreed();
  for (const leaf of [0, 2]) for (let i = 0; i < 2; i++) beats(stage, leaf, false);
  assert.deepEqual(asked(stage.all), [0]);
  for (let i = 0; i < 20; i++) beats(stage, 2, false);
  assert.deepEqual(asked(stage.all), [0]);
  const later: number[] = [];
  for (let second = 0; second < 34; second++) {
    later.push(...asked(stage.ticks(1000)));
    for (const leaf of [0, 2]) beats(stage, leaf, false);
  }
  assert.deepEqual(later, [2, 0]);
});

Deno.test("a member that has heard something else is named with the author, until the epoch ends", () => {
  const stage = agreed();
  for (let i = 0; i < 2; i++) beats(stage, 2, false);
  const effects = shows(stage, 2, { differs: [0] });
  const [warning] = said(effects, "warning");
  assert.equal(warning?.code, "disagreement");
  assert.equal(warning.from, "elk");
  assert.equal(warning.author?.name, "owl");
  assert.match(warning.message, /^elk and you have not heard the same of owl/);
  assert.deepEqual(badges(effects), ["2/3 differ elk"]);
  // Neither a second answer nor a digest that is ours again makes it undone, or is told again.
  assert.deepEqual(said(shows(stage, 2, { differs: [0] }), "warning"), []);
  passes(stage, 60);
  assert.deepEqual(badges(stage.all), ["3/3", "2/3 differ elk"]);
  stage.epoch();
  assert.deepEqual(badges(stage.all), ["3/3", "2/3 differ elk"]);
  beats(stage, 2, true, { epoch: 5 });
  stage.ticks(6000);
  assert.deepEqual(badges(stage.all), ["3/3", "2/3 differ elk", "3/3"]);
});

Deno.test("one view that lacks something is chance, two in a row are told", () => {
  const stage = agreed();
  for (let i = 0; i < 2; i++) beats(stage, 2, false);
  shows(stage, 2, { behind: true });
  assert.deepEqual(badges(stage.all), ["3/3"]);
  assert.deepEqual(asked(passes(stage, 31, false)).filter((leaf) => leaf === 2), [2]);
  assert.deepEqual(badges(shows(stage, 2, { behind: true })), ["2/3 behind elk"]);
  assert.deepEqual(badges(beats(stage, 2)), ["3/3"]);
});

Deno.test("what a member says to have and we lack is asked for: of it, of the author, of the others", () => {
  const stage = agreed();
  for (let i = 0; i < 2; i++) beats(stage, 2, false);
  const effects = shows(stage, 2, { ahead: [{ leaf: 0, from: 3, count: 5 }] });
  const [first] = orders(effects, "request-repair");
  assert.deepEqual([first?.to, first?.leaf, first?.epoch, first?.numbers], [
    handleOf(2),
    0,
    4,
    [3, 4],
  ]);
  assert.equal(said(effects, "warning")[0]?.code, "gap");
  assert.deepEqual(orders(stage.ticks(2000), "request-repair").map(({ to }) => to), [handleOf(0)]);
  const text = {
    kind: "text",
    id: "1".repeat(32),
    sentAt: 0,
    text: "hi",
    repeated: false,
  } as const;
  const repaired = { handle: null };
  assert.deepEqual(said(stage.hears(0, text, { n: 3, ...repaired }), "message").length, 1);
  const last = { ...text, id: "2".repeat(32) };
  const [done] = said(stage.hears(0, last, { n: 4, ...repaired }), "repaired");
  assert.deepEqual([done?.from, done?.count], ["owl", 2]);
  assert.deepEqual(orders(stage.ticks(5000), "request-repair"), []);
});

Deno.test("what nobody can show is one member's word: it is named, and nothing is called missing", () => {
  const stage = agreed();
  for (let i = 0; i < 2; i++) beats(stage, 2, false);
  shows(stage, 2, { ahead: [{ leaf: 0, from: 3, count: Number.MAX_SAFE_INTEGER }] });
  const effects = passes(stage, 25);
  const asks = orders(effects, "request-repair");
  assert.ok(asks.length <= 10 && asks.every(({ numbers }) => numbers.length === 256));
  const [warning] = said(effects, "warning");
  assert.deepEqual([warning?.code, warning?.from, warning?.author?.name], [
    "disagreement",
    "elk",
    "owl",
  ]);
  assert.deepEqual(said(stage.all, "missing"), []);
  assert.deepEqual(badges(stage.all), ["3/3", "2/3 differ elk"]);
  // Saying it again asks nobody any more.
  assert.deepEqual(shows(stage, 2, { ahead: [{ leaf: 0, from: 3, count: 9 }] }), []);
});

Deno.test("what we ask nobody for, behind and without an admin, is not given up", () => {
  const stage = agreed();
  stage.take({ kind: "link-ended", code: "reset", message: "it broke" });
  stage.take({ kind: "connected", host: "127.0.0.1", port: 5000, pin: "07".repeat(32) });
  const handle = handleOf(99);
  stage.take({ kind: "entered", room: ROOM, handle, role: "member", ownerPresent: false });
  stage.take({ kind: "fell-behind", room: ROOM, sure: false });
  stage.take({ kind: "gone", room: ROOM, handle: OWNERS, reason: "left" });
  shows(stage, 2, { ahead: [{ leaf: 0, from: 3, count: 4 }] });
  for (let second = 0; second < 60; second++) stage.ticks(1000);
  assert.deepEqual(orders(stage.all, "request-repair"), []);
  assert.deepEqual(said(stage.all, "warning").filter(({ code }) => code === "disagreement"), []);
  stage.take({ kind: "caught-up", room: ROOM, gaps: [] });
  assert.deepEqual(orders(stage.ticks(1000), "request-repair").map(({ numbers }) => numbers), [[
    3,
  ]]);
});

Deno.test("a member says to have more of us than we sent: it is named", () => {
  const stage = agreed();
  const [warning] = said(shows(stage, 2, { differs: [1] }), "warning");
  assert.match(warning?.message ?? "", /^elk says to have heard something of you/);
});

Deno.test("a member of whom no heartbeat comes for two periods is told, and its return too", () => {
  const stage = agreed();
  for (let second = 0; second < 58; second++) {
    if (second % 30 === 0) beats(stage, 0);
    stage.ticks(1000);
  }
  assert.deepEqual(badges(stage.all), ["3/3"]);
  for (let second = 0; second < 10; second++) stage.ticks(1000);
  assert.deepEqual(badges(stage.all), ["3/3", "2/3 silent elk"]);
  assert.deepEqual(badges(beats(stage, 2)), ["3/3"]);
});

Deno.test("who does not answer two questions is silent, whatever its heartbeats say", () => {
  const stage = agreed();
  passes(stage, 120, false);
  assert.deepEqual(badges(stage.all), ["3/3", "2/3 silent owl", "1/3 silent owl+elk"]);
});

Deno.test("a question that an epoch cut off is no silence, and silence is not over with its epoch", () => {
  const stage = agreed();
  for (let epoch = 4; epoch < 8; epoch++) {
    for (let i = 0; i < 2; i++) beats(stage, 2, false, { epoch });
    stage.epoch();
    stage.ticks(31_000);
    // Late ones, which say nothing of what their author has heard.
    for (const leaf of [0, 2]) stage.hears(leaf, { kind: "heartbeat" }, { epoch });
  }
  assert.deepEqual(asked(stage.all), [2, 2, 2, 2]);
  assert.deepEqual(badges(stage.all), ["3/3"]);
  const silent = agreed();
  passes(silent, 150, false);
  silent.epoch();
  passes(silent, 20);
  assert.deepEqual(badges(silent.all).at(-1), "1/3 silent owl+elk");
});

Deno.test("who lacks messages for good is behind itself", () => {
  const stage = agreed();
  const text = {
    kind: "text",
    id: "1".repeat(32),
    sentAt: 0,
    text: "hi",
    repeated: false,
  } as const;
  stage.hears(2, text, { n: 9, skipped: 300, lost: 44 });
  assert.deepEqual(badges(stage.ticks(1000)), ["2/3 behind fox"]);
  assert.deepEqual(badges(beats(stage, 2)), ["3/3"]);
});

Deno.test("a newcomer is not told of until it has been compared, and who leaves is not waited for", () => {
  const stage = agreed();
  stage.epoch({ reason: "join", added: [entry(3, "hen")] });
  stage.ticks(6000);
  assert.deepEqual(badges(stage.all), ["3/3"]);
  assert.deepEqual(viewOf(stage.state, "client").rooms[0]?.agreement, {
    agree: 3,
    of: 4,
    differ: [],
    behind: [],
    silent: [],
  });
  assert.deepEqual(badges(beats(stage, 3, true, { epoch: 5 })), ["4/4"]);
  stage.hears(3, { kind: "leave" }, { epoch: 5 });
  assert.deepEqual(badges(stage.ticks(1000)), ["3/3"]);
});

Deno.test("while we are away nobody is silent, and afterwards everybody has its time", () => {
  const stage = agreed();
  stage.take({ kind: "link-ended", code: "reset", message: "it broke" });
  for (let second = 0; second < 200; second++) stage.ticks(1000);
  stage.take({ kind: "connected", host: "127.0.0.1", port: 5000, pin: "07".repeat(32) });
  stage.take({
    kind: "entered",
    room: ROOM,
    handle: handleOf(99),
    role: "member",
    ownerPresent: false,
  });
  for (let second = 0; second < 60; second++) stage.ticks(1000);
  assert.deepEqual(badges(stage.all), ["3/3"]);
});

Deno.test("a question for our view is answered to the asker alone, not often, and not to strangers", () => {
  const stage = agreed();
  const ask = (requester: number) =>
    orders(
      stage.take({
        kind: "view-asked",
        room: ROOM,
        handle: handleOf(77),
        requester,
        nonce: "aa".repeat(32),
      }),
      "show-view",
    );
  assert.deepEqual(ask(2), [
    { kind: "show-view", room: ROOM, to: handleOf(77), nonce: "aa".repeat(32) },
  ]);
  assert.deepEqual(ask(2), []);
  assert.equal(ask(0).length, 1);
  assert.deepEqual(ask(9), []);
  stage.ticks(9_000);
  assert.deepEqual(ask(2), []);
  stage.ticks(1_000);
  assert.equal(ask(2).length, 1);
});

Deno.test("all askers together are answered at a bounded rate", () => {
  const names = Array.from({ length: 1000 }, (_, i) => `n${i}`);
  const stage = new SessionStage();
  stage.knocking();
  stage.joins({ others: names });
  let answers = 0;
  for (let requester = 2; requester < 1002; requester++) {
    const effects = stage.take({
      kind: "view-asked",
      room: ROOM,
      handle: handleOf(requester),
      requester,
      nonce: "aa".repeat(32),
    });
    answers += orders(effects, "show-view").length;
  }
  // Each is 44 bytes a member.
  assert.equal(answers, 65);
});

Deno.test("views of another epoch and digests of an epoch before say nothing", () => {
  const stage = agreed();
  assert.deepEqual(shows(stage, 2, { epoch: 3, differs: [0] }), []);
  for (let i = 0; i < 5; i++) assert.deepEqual(asked(beats(stage, 2, false, { epoch: 3 })), []);
});

Deno.test("/who tells how it is now", () => {
  const stage = agreed();
  assert.deepEqual(badges(stage.commands("/who")), ["3/3"]);
  assert.deepEqual(badges(SessionStage.talking().commands("/who")), []);
});
