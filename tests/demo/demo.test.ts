import assert from "node:assert/strict";
import { join } from "node:path";
import * as v from "valibot";
import { fileURLToPath } from "node:url";
import { DEMO_SCHEMAS, JsonEvent } from "../../src/ui/json_schema.ts";
import { runIn, withPatchedProgram } from "../support/patched_copy.ts";
import { withFolder } from "../support/temporary_folder.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const HASTY = fileURLToPath(new URL("./fixtures/hasty_demo.ts", import.meta.url));

const TALK = [
  ["owl", "barn owl: Welcome to the book club! Who has finished chapter three?"],
  ["fox", "red fox: I have. It was the lighthouse keeper all along."],
  ["bat", "fruit bat: No spoilers, please! I am still on page ten."],
  ["bat", "fruit bat: It is getting light, I have to go. Good day to you two!"],
  ["owl", "barn owl: We have a new key now. Bat cannot read this any more."],
  ["fox", "red fox: Then I can say it: in the end the lighthouse was empty."],
] as const;
const SEEN_BY = { owl: TALK, fox: TALK, bat: TALK.slice(0, 4) };

/** Whatever of the conversation a line has in it, as it is or as hex or base64. */
function readableIn(text: string): string[] {
  const secrets = [...TALK.map(([, said]) => said.replace(/^.*?: /, "")), "book club"]
    .flatMap((said) => said.split(/[^A-Za-z]+/)).filter((word) => word.length > 5);
  return secrets.filter((word) => {
    const bytes = new TextEncoder().encode(word);
    return [word, bytes.toHex(), bytes.toBase64({ omitPadding: true })].some((form) =>
      text.includes(form)
    );
  });
}

const Participating = v.object({ participant: v.exactOptional(v.picklist(["owl", "fox", "bat"])) });
const OwnEvent = v.variant("type", Object.values(DEMO_SCHEMAS));
const At = v.object({ at: v.pipe(v.string(), v.isoTimestamp()) });

/** A line of `--ui json`, as docs/JSON.md has it. */
function parsed(line: string) {
  const event: unknown = JSON.parse(line);
  v.parse(At, event);
  const { participant } = v.parse(Participating, event);
  const own = v.safeParse(OwnEvent, event);
  return own.success
    ? { participant, own: own.output, notice: null }
    : { participant, own: null, notice: v.parse(JsonEvent, event) };
}

Deno.test("stm demo shows each client reading the others, in the same order every time", async () => {
  await withFolder(async (temp) => {
    const args = ["run", "-A", "--no-check", "--no-lock", "main.ts", "demo"];
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args,
      cwd: ROOT,
      env: { TMPDIR: temp },
      stdin: "null",
      signal: AbortSignal.timeout(120_000),
    }).output();
    const text = new TextDecoder().decode(stdout);
    assert.equal(code, 0, text + new TextDecoder().decode(stderr));
    const lines = text.split("\n");

    // Whoever says something is shown first, the others in the cast's order.
    const expected = TALK.flatMap(([by, said], i) =>
      [by, ...(["owl", "fox", "bat"] as const).filter((who) => who !== by)]
        .filter((who) => who !== "bat" || i < 4)
        .map((who) => `  ${who} │ ${said}`)
    );
    const said = new Set(TALK.map(([, line]) => line));
    assert.deepEqual(lines.filter((line) => [...said].some((s) => line.endsWith(s))), expected);

    const order = [
      "relay ready on 127.0.0.1:",
      "owl opens a room",
      "  owl │ [book club] 1 member: barn owl (you) · epoch 1",
      "  fox │ [book club] 2 members: barn owl (admin), red fox (you) · epoch 2",
      "  owl │ red fox joined",
      "  bat │ [book club] 3 members",
      "all three have the same: ",
      "  bat │ bye: left",
      "  fox │ new room key: epoch 4, somebody left",
      "  bat was shown nothing of it",
      "What the relay saw",
      "nothing found.",
      "The same search finds 18 of 18",
      "done in ",
    ].map((part) => lines.findIndex((line) => line.includes(part)));
    assert.ok(!order.includes(-1), `${order}`);
    assert.deepEqual(order, order.toSorted((a, b) => a - b));

    const panel = lines.slice(lines.findIndex((line) => line.startsWith("What the relay saw")));
    const frames = panel.filter((line) => /^ +\d+\.\d\d /.test(line));
    assert.ok(frames.length > 30, `${frames.length} frames`);
    assert.deepEqual(readableIn(panel.join("\n")), []);

    assert.deepEqual(lines.filter((line) => [...line].length > 80), []);
    assert.ok(!text.includes("\x1b"), "escape sequences in a pipe");
    assert.deepEqual([...Deno.readDirSync(temp)], []);
  });
});

Deno.test("stm demo --ui json tells what each saw, every frame of the relay, and what came of it", async () => {
  const { code, stdout, stderr } = await runIn(ROOT, ["main.ts", "demo", "--ui", "json"]);
  assert.equal(code, 0, stdout.slice(-2000) + stderr);
  const lines = stdout.trimEnd().split("\n");
  const events = lines.map(parsed);

  const types = (of?: string) =>
    events.filter((e) => e.participant === of).map((e) => e.notice?.type ?? e.own?.type);
  assert.equal(types()[0], "hello");
  assert.deepEqual(types().slice(-2), ["summary", "bye"]);
  assert.equal(events.at(-1)?.notice?.type, "bye");

  for (const who of ["owl", "fox", "bat"] as const) {
    const own = events.filter((e) => e.participant === who).flatMap(({ notice }) => notice ?? []);
    const conversation = own.flatMap((n) =>
      n.type === "message" ? [`${n.from}: ${n.text}`] : n.type === "sent" ? [n.text] : []
    );
    assert.deepEqual(
      conversation,
      SEEN_BY[who].map(([by, said]) => by === who ? said.replace(/^.*?: /, "") : said),
    );
    assert.equal(types(who)[0], "hello");
    assert.equal(types(who).at(-1), "bye");
    assert.ok(!types(who).includes("warning") && !types(who).includes("error"));
  }
  const codes = (who: string) =>
    new Map(
      events.filter((e) => e.participant === who).flatMap(({ notice: n }) =>
        n?.type === "joined" || n?.type === "epoch" ? [[n.epoch, n.safetyCode]] : []
      ),
    );
  assert.deepEqual([...codes("owl").keys()], [1, 2, 3, 4, 5]);
  assert.deepEqual([...codes("fox").keys()], [2, 3, 4]);
  assert.deepEqual([...codes("bat").keys()], [3]);
  assert.equal(new Set(codes("owl").values()).size, 5);
  for (const who of ["fox", "bat"]) {
    for (const [epoch, code] of codes(who)) assert.equal(code, codes("owl").get(epoch));
  }

  const frames = events.flatMap(({ own }) => own?.type === "relay-frame" ? [own] : []);
  const summary = events.flatMap(({ own }) => own?.type === "summary" ? [own] : [])[0];
  assert.ok(summary !== undefined);
  assert.equal(summary.ok, true);
  assert.deepEqual(summary.foundAtRelay, []);
  assert.deepEqual(summary.waitingFor, []);
  assert.equal(summary.searchedFor, 18);
  assert.equal(summary.foundAtMembers, 18);
  assert.equal(summary.framesIn, frames.filter((f) => f.direction === "in").length);
  assert.equal(summary.framesOut, frames.filter((f) => f.direction === "out").length);
  assert.equal(summary.relayBytes, frames.reduce((sum, f) => sum + f.bytes, 0));
  // What the relay passes on is what it got.
  assert.deepEqual([...new Set(frames.map((f) => f.connection))], [1, 2, 3]);
  assert.deepEqual(readableIn(frames.map((f) => f.head).join("\n")), []);
});

Deno.test("stm demo fails and names what the relay can read, in a copy whose clients send texts unsealed too", async () => {
  const patch = {
    name: "also in the clear",
    file: "src/driver/run_role.ts",
    from: `      case "seal-and-send":
        return`,
    to: `      case "seal-and-send":
        if (this.#keys(effect.room) instanceof MemberKeys) {
          const text = "text" in effect.message ? effect.message.text : "";
          this.#toOwners(effect.room, new TextEncoder().encode("in the clear: " + text));
        }
        return`,
  };
  await withPatchedProgram([patch], async (folder) => {
    const { code, stdout } = await runIn(folder, [join(folder, "main.ts"), "demo", "--ui", "json"]);
    const events = stdout.trimEnd().split("\n").map(parsed);
    const summary = events.flatMap(({ own }) => own?.type === "summary" ? [own] : [])[0];
    assert.equal(summary?.problem, "the relay could read something");
    assert.deepEqual(
      summary?.foundAtRelay,
      TALK.filter(([by]) => by !== "owl").map(([, said]) =>
        `"${said.replace(/^.*?: /, "")}" (as it is)`
      ),
    );
    assert.equal(code, 1);
  });
});

Deno.test("a demo that takes too long ends with exit code 1 and says what it waited for", async () => {
  const { code, stdout, stderr } = await runIn(ROOT, [HASTY]);
  assert.equal(code, 1, stderr);
  assert.match(stdout, /! the demo did not succeed \(exit code 1\): it took longer than 0\.001 s/);
  assert.match(stdout, /^ {2}it waited for the relay$/m);
});

Deno.test("a demo that takes too long says so to a program too, and says nothing after bye", async () => {
  const { code, stdout, stderr } = await runIn(ROOT, [HASTY, "json"]);
  assert.equal(code, 1, stderr);
  const [summary, bye] = stdout.trimEnd().split("\n").slice(-2).map(parsed);
  assert.ok(summary?.own?.type === "summary" && !summary.own.ok);
  assert.deepEqual(summary.own.waitingFor, ["the relay"]);
  assert.ok(bye?.notice?.type === "bye" && bye.notice.exitCode === 1);
});

Deno.test("^C ends a demo at once, with exit code 1, one line, and nothing left behind", async () => {
  for (const moment of ["relay ready", "they talk"]) {
    await withFolder(async (temp) => {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", "--no-lock", "main.ts", "demo"],
        cwd: ROOT,
        env: { TMPDIR: temp },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
        signal: AbortSignal.timeout(120_000),
      }).spawn();
      const errors = child.stderr.text();
      let text = "";
      for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
        if (text.includes(moment)) {
          text += part;
          continue;
        }
        text += part;
        if (text.includes(moment)) child.kill("SIGINT");
      }
      assert.equal((await child.status).code, 1);
      assert.match(text, /did not succeed \(exit code 1\): ended by SIGINT/);
      assert.equal(await errors, "");
      assert.deepEqual([...Deno.readDirSync(temp)], []);
    });
  }
});
