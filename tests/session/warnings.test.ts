import assert from "node:assert/strict";
import type { WarningCode } from "../../src/session/notice.ts";
import { orders, outline, said } from "../support/pure_step.ts";
import { identityOf, ROOM, SessionStage } from "../support/session_stage.ts";

const ELK = { from: "elk", identity: identityOf("elk") };

Deno.test("a gap is told with its author and count, before the message that shows it", () => {
  const stage = SessionStage.talking();
  const text = {
    kind: "text",
    id: "ab".repeat(16),
    sentAt: 0,
    text: "hi",
    repeated: false,
  } as const;
  const effects = stage.hears(2, text, { skipped: 2 });
  assert.deepEqual(outline(effects), ["warning", "message"]);
  const [warning] = said(effects, "warning");
  assert.deepEqual(
    {
      code: warning?.code,
      from: warning?.from,
      identity: warning?.identity,
      count: warning?.count,
    },
    { code: "gap", ...ELK, count: 2 },
  );
});

Deno.test("a message that comes late is told as repaired, one whose key is gone as missing", () => {
  const stage = SessionStage.talking();
  stage.hears(2, { kind: "other" }, { n: 1, skipped: 1, gaps: [{ epoch: 4, numbers: [0] }] });
  const late = stage.hears(2, { kind: "other" }, { n: 0, late: true });
  assert.deepEqual(said(late, "repaired").map((r) => [r.from, r.count]), [["elk", 1]]);
  const lost = stage.hears(2, { kind: "other" }, { lost: 44, skipped: 300 });
  assert.deepEqual(said(lost, "missing").map((r) => [r.from, r.count]), [["elk", 44]]);
});

Deno.test("CLOSE that counts more than came is a gap, one with another hash a fork", () => {
  const stage = SessionStage.talking();
  const close = { kind: "close", epoch: 3 } as const;
  const codes = (missing: number, fork: boolean) =>
    said(stage.hears(2, { ...close, missing }, { fork }), "warning").map((w) => [
      w.code,
      w.from,
      w.count,
    ]);
  assert.deepEqual(codes(0, false), []);
  assert.deepEqual(codes(3, false), [["gap", "elk", 3]]);
  assert.deepEqual(codes(0, true), [["fork", "elk", undefined]]);
});

Deno.test("a heartbeat with another hash is a fork", () => {
  const stage = SessionStage.talking();
  assert.deepEqual(said(stage.hears(2), "warning"), []);
  const [warning] = said(stage.hears(2, { kind: "heartbeat" }, { fork: true }), "warning");
  assert.deepEqual([warning?.code, warning?.identity], ["fork", ELK.identity]);
});

Deno.test("a message of a type that nobody needs to know says nothing", () => {
  assert.deepEqual(SessionStage.talking().hears(2, { kind: "other" }), []);
});

Deno.test("each refusal of a message is told, by its author if it names one of the room", () => {
  const codes = [
    "replay",
    "too-far",
    "bad-signature",
    "bad-message",
    "unknown-sender",
  ] as const satisfies readonly WarningCode[];
  const texts = new Set<string>();
  for (const code of codes) {
    for (const leaf of [2, 9, null]) {
      const stage = SessionStage.talking();
      const effects = stage.take({ kind: "message-refused", room: ROOM, code, leaf });
      assert.deepEqual(outline(effects), ["warning"]);
      const [warning] = said(effects, "warning");
      assert.deepEqual([warning?.code, warning?.roomId], [code, ROOM]);
      assert.equal(warning?.from, leaf === 2 ? "elk" : undefined);
      texts.add(warning?.message ?? "");
    }
  }
  assert.equal(texts.size, codes.length);
});

Deno.test("a message that needs a newer stm ends the room with exit code 7", () => {
  const stage = SessionStage.talking();
  const effects = stage.take({
    kind: "message-refused",
    room: ROOM,
    code: "unsupported",
    leaf: 2,
  });
  assert.deepEqual(outline(effects).slice(0, 2), ["warning", "error"]);
  assert.equal(orders(effects, "stop")[0]?.exitCode, 7);
});
