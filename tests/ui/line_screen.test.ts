import assert from "node:assert/strict";
import fc from "fast-check";
import type { AgreementView } from "../../src/session/notice.ts";
import { graphemes } from "../../src/ui/clean.ts";
import {
  HEN,
  IN_ROOM,
  LineStage,
  message,
  NOON,
  OWL,
  roomView,
  sessionView,
} from "../support/line_stage.ts";

/** Runs a test on a stage that is closed whatever happens. */
async function onStage(
  options: ConstructorParameters<typeof LineStage>[0],
  act: (stage: LineStage) => Promise<void>,
): Promise<void> {
  const stage = new LineStage(options);
  try {
    await stage.drawn();
    await act(stage);
  } finally {
    await stage.close();
  }
}

Deno.test("what is typed stays in place while messages arrive", () =>
  onStage({}, async (stage) => {
    await stage.type("half a li");
    await stage.notice(message("welcome"), message("how are you?", HEN));
    assert.deepEqual(stage.screen.rows, [
      "12:34 owl: welcome",
      "12:34 hen: how are you?",
      "book club> half a li",
    ]);
    assert.deepEqual(stage.screen.cursor, { row: 2, column: 20 });
    await stage.type("ne\x1b[D\x1b[D");
    await stage.notice(message("more"));
    assert.equal(stage.screen.rows.at(-1), "book club> half a line");
    assert.deepEqual(stage.screen.cursor, { row: 3, column: 20 });
    await stage.type("\r");
    assert.deepEqual(stage.intents, [{ kind: "say", text: "half a line" }]);
    assert.equal(stage.screen.rows.at(-1), "book club>");
  }));

Deno.test("an own message is printed once, when it has been sent", () =>
  onStage({}, async (stage) => {
    await stage.type("hi\r");
    await stage.notice({
      type: "sent",
      ...IN_ROOM,
      id: "1".repeat(32),
      text: "hi",
      sentAt: NOON.toISOString(),
    });
    assert.deepEqual(stage.screen.rows, ["12:34 fox: hi", "book club>"]);
  }));

Deno.test("a narrow window breaks what is typed and what is printed within it", () =>
  onStage({ columns: 20 }, async (stage) => {
    await stage.type("one two three four 界界界界界 end");
    await stage.notice(message("a message of many words"));
    assert.deepEqual(stage.screen.rows, [
      "12:34 owl: a",
      "        message of",
      "        many words",
      "…k club> one two th",
      "ree four 界界界界界",
      " end",
    ]);
    assert.deepEqual(stage.screen.cursor, { row: 5, column: 4 });
    await stage.type("\x01X");
    assert.equal(stage.screen.rows[3], "…k club> Xone two t");
    assert.deepEqual(stage.screen.cursor, { row: 3, column: 10 });
  }));

Deno.test("a text that is higher than the window shows the rows around the cursor", () =>
  onStage({ columns: 20, rows: 4 }, async (stage) => {
    await stage.type("x".repeat(300) + "END");
    assert.equal(stage.screen.rows.at(-1), "x".repeat(5) + "END");
    await stage.notice(message("hi"));
    assert.equal(stage.screen.everything.filter((row) => row.includes("owl: hi")).length, 1);
    await stage.type("\x01");
    assert.equal(
      stage.screen.rows.find((row) => row.startsWith("…k club>")),
      "…k club> " + "x".repeat(10),
    );
  }));

Deno.test("the cursor is right behind emoji, also where the terminal measures them otherwise", () =>
  onStage({}, async (stage) => {
    await stage.type("👨‍👩‍👧 é界x");
    await stage.type("\x1b[D");
    await stage.type("!");
    assert.equal(stage.screen.rows.at(-1), "book club> 👨‍👩‍👧 é界!x");
    const { column } = stage.screen.cursor;
    await stage.type("\x1b[D\x1b[D\x1b[D\x1b[D\x7f\r");
    assert.deepEqual(stage.intents, [{ kind: "say", text: " é界!x" }]);
    assert.ok(column > 0);
  }));

Deno.test("rows of joined emoji fit a terminal that draws their parts beside each other", () =>
  onStage({ columns: 40 }, async (stage) => {
    const families = "👨‍👩‍👧‍👦".repeat(12);
    await stage.type(families);
    await stage.notice(message(families), message("next"));
    await stage.type("\x15");
    const rows = stage.screen.everything;
    assert.equal(rows[0], "12:34 owl:");
    for (const row of rows.slice(1, -2)) assert.match(row, /^ {8}👨/u);
    assert.deepEqual(rows.slice(-2), ["12:34 owl: next", "book club>"]);
  }));

Deno.test("a resized window shows messages and what is typed once, whole", () =>
  onStage({ columns: 60 }, async (stage) => {
    await stage.notice(message("first"), message("second"));
    await stage.type("abcdefghij".repeat(7));
    await stage.resize(25, 24);
    assert.deepEqual(stage.screen.rows.slice(0, 2), ["12:34 owl: first", "12:34 owl: second"]);
    assert.equal(stage.screen.rows.slice(2).join(""), "book club> " + "abcdefghij".repeat(7));
    await stage.resize(80, 10);
    await stage.notice(message("third"));
    assert.deepEqual(stage.screen.rows.slice(0, 3), [
      "12:34 owl: first",
      "12:34 owl: second",
      "12:34 owl: third",
    ]);
    assert.equal(stage.screen.rows.slice(3).join(""), "book club> " + "abcdefghij".repeat(7));
  }));

Deno.test("a pasted text of several lines is one message", () =>
  onStage({}, async (stage) => {
    await stage.type("\x1b[200~one\r\ntwo\x1b[31m\rthree\x1b[201~");
    assert.equal(stage.screen.rows.at(-1), "book club> one⏎two␛[31m⏎three");
    assert.deepEqual(stage.intents, []);
    await stage.type("\r");
    assert.deepEqual(stage.intents, [{ kind: "say", text: "one\ntwo\x1b[31m\nthree" }]);
  }));

Deno.test("no row of a foreign text can pass for a line of ours", () =>
  onStage({ columns: 40 }, async (stage) => {
    await stage.notice(
      message("hi\n12:35 hen: I am hen"),
      message("\x1b[2J\x1b[Hgone" + " ".repeat(29) + "12:35 hen: I am hen"),
      message("x\u202ehello", { name: "o\x1b]0;t\x07wl", identity: OWL.identity }),
    );
    const rows = stage.screen.rows;
    assert.deepEqual(rows, [
      "12:34 owl: hi",
      "        ⏎ 12:35 hen: I am hen",
      "12:34 owl: ␛[2J␛[Hgone",
      "        12:35 hen: I am hen",
      "12:34 o␛]0;t␇wl: x�hello",
      "book club>",
    ]);
  }));

Deno.test("^C clears the line first and then interrupts; ^D on an empty line ends", () =>
  onStage({}, async (stage) => {
    await stage.type("something\x03");
    assert.equal(stage.screen.rows.at(-1), "book club>");
    assert.deepEqual(stage.intents, []);
    await stage.type("\x03");
    assert.deepEqual(stage.intents, [{ kind: "interrupt" }]);
    await stage.type("x\x01\x04");
    assert.equal(stage.terminal.raw, true);
    await stage.type("\x04");
    assert.deepEqual(stage.intents.at(-1), { kind: "end" });
    assert.equal(stage.terminal.raw, false);
    await stage.notice({ type: "bye", reason: "you left", exitCode: 0 });
    assert.deepEqual(stage.screen.rows, ["bye: you left", ""]);
  }));

Deno.test("closing gives the terminal back", async () => {
  const stage = new LineStage();
  await stage.type("half");
  assert.equal(stage.terminal.raw, true);
  assert.equal(stage.screen.bracketedPaste, true);
  assert.equal(stage.terminal.listeners, 2);
  await stage.face.close();
  await stage.drawn();
  assert.equal(stage.terminal.raw, false);
  assert.equal(stage.screen.bracketedPaste, false);
  assert.equal(stage.terminal.listeners, 0);
  assert.deepEqual(stage.screen.rows, [""]);
  await stage.close();
});

Deno.test("a process that ends without closing gives the terminal back", async () => {
  const stage = new LineStage();
  await stage.type("half");
  stage.terminal.exit();
  await stage.drawn();
  assert.equal(stage.terminal.raw, false);
  assert.equal(stage.screen.bracketedPaste, false);
  await stage.close();
});

Deno.test("a window that was closed ends the session", async () => {
  const stage = new LineStage();
  await stage.drawn();
  stage.terminal.broken = true;
  await stage.notice(message("lost"));
  assert.deepEqual(stage.intents, [{ kind: "end" }]);
  assert.equal(stage.terminal.raw, false);
  await stage.close();
});

Deno.test("the end of the keyboard's bytes ends the session", async () => {
  const stage = new LineStage();
  stage.terminal.endInput();
  await stage.drawn();
  assert.deepEqual(stage.intents, [{ kind: "end" }]);
  await stage.close();
});

Deno.test("up and down go through what was entered, and come back to what was being typed", () =>
  onStage({}, async (stage) => {
    await stage.type("one\rtwo\rdraft\x1b[A\x1b[A");
    assert.equal(stage.screen.rows.at(-1), "book club> one");
    await stage.type("\x1b[B\x1b[B");
    assert.equal(stage.screen.rows.at(-1), "book club> draft");
  }));

Deno.test("Tab goes round commands and names", () =>
  onStage({}, async (stage) => {
    await stage.type("/he\t");
    assert.equal(stage.screen.rows.at(-1), "book club> /help");
    await stage.type("\x15/room \t");
    assert.equal(stage.screen.rows.at(-1), 'book club> /room "book club"');
    await stage.type("\x15h\t\ti");
    assert.equal(stage.screen.rows.at(-1), "book club> hen: i");
    stage.face.view(sessionView({ role: "admin" }));
    await stage.type("\x15/admit \t");
    assert.equal(stage.screen.rows.at(-1), 'book club> /admit "red fox"');
    await stage.type("\x15/kick \t\t\t");
    assert.equal(stage.screen.rows.at(-1), "book club> /kick owl");
  }));

Deno.test("a question takes the next line for its answer and gives the typed one back", () =>
  onStage({}, async (stage) => {
    await stage.type("half a li");
    await stage.notice({ type: "ask", ref: "q1", question: "trust it?", choices: ["yes", "no"] });
    assert.deepEqual(stage.screen.rows, ["? trust it? [yes/no]", "yes/no>"]);
    await stage.type("ne of text\r");
    assert.deepEqual(stage.screen.rows.slice(1), ["! please answer yes or no", "yes/no>"]);
    await stage.type("y\r");
    assert.deepEqual(stage.intents, [{ kind: "answer", ref: "q1", choice: "yes" }]);
    assert.equal(stage.screen.rows.at(-1), "book club> half a li");
  }));

Deno.test("a question that is withdrawn leaves the prompt, and what was typed before it comes back", () =>
  onStage({}, async (stage) => {
    await stage.type("half a li");
    const [first, second] = ["send it?", "take it?"];
    await stage.notice({ type: "ask", ref: "q1", question: first, choices: ["send", "wait"] });
    await stage.notice({ type: "ask", ref: "q2", question: second, choices: ["take", "wait"] });
    await stage.notice({ type: "withdrawn", ref: "q1", question: first });
    assert.deepEqual(stage.screen.rows.slice(2), [
      "no answer is needed any more: send it?",
      "take/wait>",
    ]);
    await stage.type("ta");
    await stage.notice({ type: "withdrawn", ref: "q2", question: second });
    assert.equal(stage.screen.rows.at(-1), "book club> half a li");
    await stage.type("ne\r");
    assert.deepEqual(stage.intents, [{ kind: "say", text: "half a line" }]);
  }));

Deno.test("a command works while a question waits, and `//` says a slash", () =>
  onStage({}, async (stage) => {
    await stage.notice({ type: "ask", ref: "q1", question: "trust it?", choices: ["yes", "no"] });
    await stage.type("/quit\r");
    await stage.type("no\r//shrug\r   \r");
    assert.deepEqual(stage.intents, [
      { kind: "command", line: "/quit" },
      { kind: "answer", ref: "q1", choice: "no" },
      { kind: "say", text: "/shrug" },
    ]);
  }));

Deno.test("the prompt shows how many agree as long as somebody does not", () =>
  onStage({}, async (stage) => {
    const shows = async (agree: number, trouble: Partial<AgreementView>): Promise<void> => {
      const agreement = { agree, of: 5, differ: [], behind: [], silent: [], ...trouble };
      stage.face.view(sessionView({ rooms: [{ ...roomView(), agreement }] }));
      await stage.drawn();
    };
    await shows(4, { silent: [OWL] });
    assert.equal(stage.screen.rows.at(-1), "book club (4/5 agree)>");
    await shows(5, {});
    assert.equal(stage.screen.rows.at(-1), "book club>");
    // Not compared yet is no trouble.
    await shows(4, {});
    assert.equal(stage.screen.rows.at(-1), "book club>");
  }));

Deno.test("the prompt shows the connection, what waits to be sent and what is unread elsewhere", () =>
  onStage({}, async (stage) => {
    stage.face.view(sessionView({ rooms: [roomView(), roomView("lab", 3)] }));
    await stage.drawn();
    assert.equal(stage.screen.rows.at(-1), "book club (+3 lab)>");
    stage.face.view(sessionView({ connection: "reconnecting" }));
    await stage.drawn();
    assert.equal(stage.screen.rows.at(-1), "(reconnecting) book club>");
    const waits = { ...roomView(), pending: 2 };
    stage.face.view(sessionView({ connection: "reconnecting", rooms: [waits] }));
    await stage.drawn();
    assert.equal(stage.screen.rows.at(-1), "(reconnecting) book club (2 not sent)>");
    stage.face.view(sessionView({ front: null, rooms: [] }));
    await stage.drawn();
    assert.equal(stage.screen.rows.at(-1), ">");
  }));

Deno.test("with several rooms each line says its room", () =>
  onStage({}, async (stage) => {
    stage.face.view(sessionView({ rooms: [roomView(), roomView("lab")] }));
    await stage.notice(message("hi"));
    assert.equal(stage.screen.rows[0], "12:34 [book club] owl: hi");
  }));

Deno.test("^L draws the window again", () =>
  onStage({}, async (stage) => {
    await stage.notice(message("one"), message("two"));
    await stage.type("typed\x0c");
    assert.deepEqual(stage.screen.rows, ["12:34 owl: one", "12:34 owl: two", "book club> typed"]);
  }));

const invite = {
  type: "invite",
  ...IN_ROOM,
  invite: "a1b2",
  url: "stm://203.0.113.7:5000/#" + "A1b2".repeat(38),
  uses: 1,
  expires: new Date(2026, 4, 2, 12, 0).toISOString(),
} as const;

Deno.test("an invite's link is printed so that it can be copied whole, with a QR code where it fits", () =>
  onStage({ rows: 40 }, async (stage) => {
    await stage.notice(invite);
    const rows = stage.screen.rows;
    assert.equal(rows[0], "12:34 invite for 1 person, until 2026-05-02 12:00:");
    assert.equal(rows.slice(1, 4).join(""), invite.url);
    assert.equal(rows.length, 4 + 27 + 1);
    assert.match(rows[5] ?? "", /^█+ +█+ .*█+$|^█/);
  }));

Deno.test("a window that is too small for the QR code says how large it must be", () =>
  onStage({}, async (stage) => {
    await stage.notice(invite);
    assert.ok(stage.screen.rows.includes("(its QR code needs a window of 54 × 28)"));
  }));

// deno-lint-ignore no-control-regex -- the sequences that set colours
const SGR = /\x1b\[[\d;]*m/;

Deno.test("colours are steady, end with their text, and go with NO_COLOR and --no-color", async () => {
  const written = async (options: ConstructorParameters<typeof LineStage>[0]) => {
    const stage = new LineStage(options);
    await stage.notice(message("hi"), message("ho", HEN), message("ha"));
    await stage.close();
    return stage.terminal.written;
  };
  const colored = await written({ color: true, env: { TERM: "xterm-256color" } });
  const names = colored.split("\x1b[").filter((part) => /^[\d;]+m(owl|hen)$/.test(part));
  assert.equal(names.length, 3);
  assert.equal(names[0], names[2]);
  assert.ok(!SGR.test(await written({ color: true, env: { NO_COLOR: "1" } })));
  assert.ok(!SGR.test(await written({ color: false })));
});

Deno.test("whatever is typed and whatever arrives, the bottom is what was typed and no message is lost", async () => {
  const piece = fc.oneof(
    fc.record({
      type: fc.string({ unit: fc.constantFrom("a", "b", " ", "界", "é", "ا"), maxLength: 12 }),
    }),
    fc.record({ key: fc.constantFrom("\x1b[D", "\x1b[C", "\x01", "\x05", "\x1b[1;5D") }),
    fc.record({
      message: fc.string({ unit: fc.constantFrom("m", " ", "界", "\x1b", "\n"), maxLength: 60 }),
    }),
    fc.record({ columns: fc.integer({ min: 20, max: 90 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
      const stage = new LineStage({ columns: 40, rows: 30 });
      let messages = 0;
      for (const part of pieces) {
        if ("type" in part) await stage.type(part.type);
        else if ("key" in part) await stage.type(part.key);
        else if ("message" in part) await stage.notice(message(`#${messages++}# ${part.message}`));
        else await stage.resize(part.columns, 30);
      }
      const shown = stage.screen.everything;
      for (let i = 0; i < messages; i++) {
        assert.equal(
          shown.filter((row) => row.includes(`owl: #${i}#`)).length >= 1,
          true,
          `#${i}#`,
        );
      }
      await stage.type("\x05");
      const bottom = stage.screen.rows.findLastIndex((row) => row.includes("club>"));
      const visible = stage.screen.rows.slice(bottom).join("").replaceAll(" ", "");
      await stage.type("!\r");
      const said = stage.intents[0];
      assert.ok(said?.kind === "say");
      assert.equal(visible.slice(visible.indexOf(">") + 1) + "!", said.text.replaceAll(" ", ""));
      assert.ok(graphemes(said.text).length > 0);
      await stage.close();
    }),
    { numRuns: 60 },
  );
});
