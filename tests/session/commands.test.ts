import assert from "node:assert/strict";
import { COMMANDS, parseCommand } from "../../src/session/commands.ts";
import { orders, outline, said } from "../support/pure_step.ts";
import { SessionStage } from "../support/session_stage.ts";

Deno.test("parseCommand() splits at blanks, keeps what is quoted, and does not mind the case of the name", () => {
  assert.deepEqual(parseCommand("/kick fox"), { name: "kick", args: ["fox"] });
  assert.deepEqual(parseCommand('/KICK "red fox" now'), { name: "kick", args: ["red fox", "now"] });
  assert.deepEqual(parseCommand("/who   "), { name: "who", args: [] });
  assert.deepEqual(parseCommand('/admit ""'), { name: "admit", args: [""] });
  assert.deepEqual(parseCommand("/"), { name: "", args: [] });
});

Deno.test("an unknown command is answered with its ref and a hint at /help", () => {
  for (const line of ["/fly away", "/", "/ who"]) {
    const [error] = said(SessionStage.talking().commands(line, { ref: "c" }), "error");
    if (line === "/ who") assert.equal(error, undefined);
    else {
      assert.deepEqual([error?.code, error?.ref], ["no-such-command", "c"]);
      assert.match(error?.message ?? "", /\/help/);
    }
  }
});

Deno.test("every command of the admin is refused to a client, and changes nothing", () => {
  const admins = COMMANDS.filter((c) => c.role === "admin");
  assert.deepEqual(admins.map((c) => c.name), [
    "invite",
    "admit",
    "deny",
    "kick",
    "deputy",
    "handover",
    "rekey",
  ]);
  for (const { name } of admins) {
    const stage = SessionStage.talking();
    const { state } = stage;
    const effects = stage.commands(`/${name} elk`, { ref: "c" });
    assert.deepEqual(said(effects, "error").map((e) => [e.code, e.ref]), [["not-admin", "c"]]);
    assert.equal(effects.length, 1);
    assert.deepEqual(stage.state, state);
  }
});

Deno.test("a command with more behind it than it takes is refused: /leave lab leaves no other room", () => {
  for (
    const line of [
      "/leave lab",
      "/quit now",
      "/claim den",
      "/who elk",
      "/verify no",
      "/verify ok ok",
    ]
  ) {
    const stage = SessionStage.talking();
    const { state } = stage;
    const effects = stage.commands(line, { ref: "c" });
    assert.deepEqual(said(effects, "error").map((e) => [e.code, e.ref]), [["usage", "c"]]);
    assert.equal(effects.length, 1);
    assert.deepEqual(stage.state, state);
  }
  for (const line of ["/who", "/verify", "/verify ok", "/help kick", "/room elk house"]) {
    const codes = said(SessionStage.talking().commands(line), "error").map((e) => e.code);
    assert.ok(!codes.includes("usage"), line);
  }
});

Deno.test("every other command of the table is known to the step", () => {
  for (const { name } of COMMANDS.filter((c) => c.role === "any")) {
    const effects = SessionStage.talking().commands(`/${name}`, { ref: "c" });
    for (const error of said(effects, "error")) assert.notEqual(error.code, "no-such-command");
  }
});

Deno.test("/who lists everybody in the room with what is known of them", () => {
  const effects = SessionStage.talking().commands("/who", { ref: "w" });
  assert.deepEqual(outline(effects), ["members", "ok"]);
  assert.deepEqual(
    said(effects, "members")[0]?.members.map((m) => [m.name, m.via, m.admin]),
    [["owl", "founder", true], ["fox", "invite", false], ["elk", "invite", false]],
  );
});

Deno.test("/who and /verify are refused in a room that one waits at", () => {
  const stage = new SessionStage();
  stage.knocking();
  for (const line of ["/who", "/verify", "/verify ok"]) {
    const effects = stage.commands(line, { ref: "w" });
    assert.deepEqual(said(effects, "error").map((e) => [e.code, e.ref]), [["not-joined", "w"]]);
    assert.equal(effects.length, 1);
  }
});

Deno.test("/help lists every command, /help COMMAND one of them, with or without its slash", () => {
  const stage = SessionStage.talking();
  const all = said(stage.commands("/help", { ref: "h" }), "info").map((i) => i.text);
  assert.equal(all.length, COMMANDS.length);
  for (const [i, { name, help, role }] of COMMANDS.entries()) {
    assert.ok(all[i]?.startsWith(`/${name}`) && all[i].includes(help));
    assert.equal(all[i]?.endsWith("(admin)"), role === "admin");
  }
  assert.equal(said(stage.commands("/help kick"), "info").length, 1);
  assert.deepEqual(stage.commands("/help /kick"), stage.commands("/help kick"));
  const [error] = said(stage.commands("/help fly", { ref: "h" }), "error");
  assert.deepEqual([error?.code, error?.ref], ["no-such-command", "h"]);
});

Deno.test("a command without a ref gets no ok, one with a ref exactly one answer", () => {
  for (const line of ["/who", "/verify ok", "/help", "/room", "/quit", "/leave", "/fly"]) {
    const answers = (ref?: string) =>
      SessionStage.talking().commands(line, ref === undefined ? {} : { ref }).filter((e) =>
        e.kind === "notice" && (e.notice.type === "ok" || e.notice.type === "error")
      ).length;
    assert.equal(answers("x"), 1, line);
    assert.equal(answers(), line === "/fly" ? 1 : 0, line);
  }
});

Deno.test("input that was no intent is answered with its ref", () => {
  const effects = SessionStage.talking().wants({ kind: "invalid", message: "no JSON", ref: "i" });
  assert.deepEqual(said(effects, "error"), [
    { type: "error", code: "invalid-input", message: "no JSON", ref: "i" },
  ]);
  assert.equal(orders(effects, "stop").length, 0);
});
