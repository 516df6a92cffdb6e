import assert from "node:assert/strict";
import { Pty } from "../support/pty.ts";

const PROGRAM = new URL("./fixtures/line_program.ts", import.meta.url).pathname;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
const RUN = ["run", "-A", "--no-lock", "--config", CONFIG, PROGRAM];

/** The program alone, or in a shell that tells the terminal's flags afterwards. */
async function onPty(
  command: [string, string[]],
  act: (pty: Pty) => Promise<void>,
  size: { columns?: number; rows?: number } = {},
): Promise<void> {
  const pty = new Pty(...command, size);
  try {
    await act(pty);
  } finally {
    await pty.close();
  }
}

const alone: [string, string[]] = [Deno.execPath(), RUN];
const inShell: [string, string[]] = [
  "/bin/sh",
  ["-c", '"$@"; echo "code $?"; stty -a', "sh", Deno.execPath(), ...RUN],
];

const bottom = (text: string) => (rows: string[]) => rows.at(-1) === text;
const some = (text: string) => (rows: string[]) => rows.some((row) => row.includes(text));

Deno.test("on a real terminal what is typed stays while messages arrive, over a resize and a paste", () =>
  onPty(alone, async (pty) => {
    await pty.shows(bottom("book club>"));
    pty.write("half a li");
    await pty.shows(bottom("book club> half a li"));
    Deno.kill(pty.pid, "SIGUSR2");
    let rows = await pty.shows((rows) =>
      some("message 1")(rows) && bottom("book club> half a li")(rows)
    );
    assert.equal(rows.length, 2);
    assert.match(rows[0] ?? "", /^\d\d:\d\d owl: message 1$/);

    pty.resize(20, 10);
    await pty.shows(bottom("…k club> half a li"));
    pty.resize(60, 20);
    await pty.shows(bottom("book club> half a li"));
    Deno.kill(pty.pid, "SIGUSR2");
    await pty.shows((rows) => some("message 2")(rows) && bottom("book club> half a li")(rows));

    pty.write("\x1b[200~ne\nof text\x1b[201~");
    await pty.shows(bottom("book club> half a line⏎of text"));
    pty.write("\r");
    rows = await pty.shows((rows) => some("⏎ of text")(rows) && bottom("book club>")(rows));
    assert.ok(some("fox: half a line")(rows));
  }));

Deno.test("on a real terminal ^C clears, then interrupts, and ^D leaves it as it was", () =>
  onPty(inShell, async (pty) => {
    await pty.shows(bottom("book club>"));
    pty.write("something");
    await pty.shows(bottom("book club> something"));
    pty.write("\x03");
    await pty.shows(bottom("book club>"));
    pty.write("\x03");
    await pty.shows(some("intent: interrupt"));
    pty.write("\x04");
    await pty.shows(some("bye: you left"));
    await assertSane(pty, 0);
  }));

for (const [line, code] of [["/throw", 1], ["/reject", 1], ["/exit", 3]] as const) {
  Deno.test(`a program that ends by ${line.slice(1)} leaves the terminal as it was`, () =>
    onPty(inShell, async (pty) => {
      await pty.shows(bottom("book club>"));
      pty.write(line + "\r");
      await assertSane(pty, code);
    }));
}

async function assertSane(pty: Pty, code: number): Promise<void> {
  const rows = await pty.shows((rows) => some("echoke")(rows) || some("echoctl")(rows));
  const flags = new Set(rows.join(" ").split(/[\s;]+/));
  for (const flag of ["icanon", "isig", "echo", "icrnl", "opost", "iexten"]) {
    assert.ok(flags.has(flag), `${flag} is off`);
  }
  // A write that was under way when the process ended may have drawn the prompt once more.
  assert.ok(rows.some((row) => row.endsWith(`code ${code}`)), rows.join("\n"));
  assert.equal(pty.screen.bracketedPaste, false);
}
