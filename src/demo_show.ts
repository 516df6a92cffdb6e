/** How the demo looks: prefixed lines of 80 columns for people, NDJSON for programs. */
import type { RelayFrame } from "./demo_relay.ts";
import type { Finding } from "./demo_search.ts";
import type { Notice, Person } from "./session/notice.ts";
import { as, type Line, line, rowsOf, type Span } from "./ui/block.ts";
import { cleanLine } from "./ui/clean.ts";
import type { ColorDepth } from "./ui/colors.ts";
import { blockOf } from "./ui/words.ts";

/** What came of it. */
export interface DemoResult {
  /** Why it failed; `null` if everything was as it should be. */
  readonly problem: string | null;
  /** What was still waited for when it failed. */
  readonly waitingFor: readonly string[];
  readonly ms: number;
  readonly relayBytes: number;
  readonly framesIn: number;
  readonly framesOut: number;
  /** How many texts, names and keys were searched for. */
  readonly searchedFor: number;
  readonly foundAtRelay: readonly Finding[];
  /** How many of them the same search finds in what the participants printed. */
  readonly foundAtMembers: number;
}

/** What the demo tells, in order. */
export interface DemoShow {
  begins(version: string): void;
  makingKeys(): void;
  keysMade(ms: number): void;
  relayReady(relay: RelayReady): void;
  /** What comes next. */
  scene(title: string): void;
  /** An event of a participant, as it comes. */
  heard(label: string, notice: Notice, line: string): void;
  /** All has come that will. @param order whose events people read first */
  settled(order: readonly string[]): void;
  /** Something of the stage itself. */
  remark(text: string): void;
  frame(frame: RelayFrame): void;
  ends(result: DemoResult, frames: readonly RelayFrame[], exitCode: number): void;
}

/** Of the relay, as `ready` has it. */
export type RelayReady = Omit<Extract<Notice, { type: "ready" }>, "type">;

/** NDJSON: docs/JSON.md, "The demo's events". */
export function jsonShow(print: (text: string) => void): DemoShow {
  const event = (type: string, fields: object): void =>
    print(JSON.stringify({ type, at: new Date().toISOString(), ...fields }) + "\n");
  return {
    begins: (version) => event("hello", { schema: 1, version, role: "demo" }),
    makingKeys: () => {},
    keysMade: (ms) => event("info", { text: `keys made in ${ms} ms` }),
    relayReady: (relay) => event("ready", relay),
    scene: (title) => event("info", { text: title }),
    settled: () => {},
    // The line as the participant printed it: what is escaped in it stays so.
    heard: (label, _, text) => print(`{"participant":${JSON.stringify(label)},${text.slice(1)}\n`),
    remark: (text) => event("info", { text }),
    frame: ({ same: _, roomId, fromHandle, toHandle, ...frame }) =>
      event("relay-frame", {
        ...frame,
        ...(roomId === null ? {} : { roomId }),
        ...(fromHandle === null ? {} : { fromHandle }),
        ...(toHandle === null ? {} : { toHandle }),
      }),
    ends({ problem, foundAtRelay, ...result }, _, exitCode) {
      event("summary", {
        ok: exitCode === 0,
        ...(problem === null ? {} : { problem: cleanLine(problem) }),
        ...result,
        foundAtRelay: foundAtRelay.map(found),
      });
      event("bye", { reason: problem === null ? "done" : cleanLine(problem), exitCode });
    },
  };
}

const COLUMNS = 80;

/** Prefixed lines: `fox │ barn owl: welcome`, the same with and without colours. */
export function lineShow(
  print: (text: string) => void,
  look: { readonly columns: number; readonly depth: ColorDepth },
): DemoShow {
  const columns = Math.min(look.columns, COLUMNS);
  const me = new Map<string, Person>();
  let heard: { label: string; notice: Notice }[] = [];

  const rows = (spans: readonly (Span | string)[], hang = 0): void => {
    const block = { lines: [line(spans, hang)] };
    print(rowsOf(block, columns, look.depth).map((row) => row.trimEnd() + "\n").join(""));
  };

  function show(label: string, notice: Notice): void {
    if (notice.type === "joined") me.set(label, notice.me);
    const lines = worthShowing(notice, me.get(label) ?? null);
    const head = as(label.padEnd(3), { of: me.get(label)?.identity ?? label });
    for (const { spans } of lines) rows(["  ", head, " │ ", ...spans], 8);
  }

  /** What was heard since the last time: each person's in order, one person after another. */
  function flush(order: readonly string[] = []): void {
    for (const label of new Set([...order, ...heard.map((h) => h.label)])) {
      for (const h of heard) if (h.label === label) show(label, h.notice);
    }
    heard = [];
  }

  return {
    begins(version) {
      rows([as(`stm ${version} demo`, "strong"), ": a relay, an admin and two clients, talking"]);
      rows(["over real TLS connections on this machine. It ends by itself."]);
      print("\n");
    },
    makingKeys: () => rows(["making three RSA-3072 key pairs: a second or three …"]),
    keysMade: (ms) => rows([`made in ${seconds(ms)} s`]),
    relayReady({ host, port, fingerprint }) {
      rows([`relay ready on ${host}:${port}`]);
      rows([`fingerprint: ${fingerprint}`]);
    },
    scene(title) {
      print("\n");
      rows([as(title, "strong")]);
    },
    heard: (label, notice) => {
      heard.push({ label, notice });
    },
    settled: flush,
    remark(text) {
      flush();
      rows(["  ", as(text, "good")], 2);
    },
    frame: () => {},
    ends(result, frames, exitCode) {
      flush();
      print("\n");
      if (result.searchedFor > 0) {
        panel(frames);
        verdict(result);
      }
      if (result.problem === null) {
        rows([as("done", "good"), ` in ${seconds(result.ms)} s`]);
        return;
      }
      rows([
        as(
          `! the demo did not succeed (exit code ${exitCode}): ${cleanLine(result.problem)}`,
          "warn",
        ),
      ]);
      for (const what of result.waitingFor) rows([`  it waited for ${cleanLine(what)}`], 4);
    },
  };

  function panel(frames: readonly RelayFrame[]): void {
    rows([as("What the relay saw, after TLS was taken off", "strong")]);
    const copies = Map.groupBy(frames.filter((f) => f.direction === "out"), (f) => f.same);
    const head = ["seconds", "from", "to", "kind", "bytes", "copies", "room", "first bytes"];
    rows([as(tableRow(head), "dim")]);
    const came = frames.filter((f) => f.direction === "in");
    for (const f of came) {
      const sent = copies.get(f.same)?.length ?? 0;
      rows([tableRow([
        seconds(f.ms),
        short(f.fromHandle) || `(link ${f.connection})`,
        f.kind === "broadcast" ? "room" : toOf(f.toHandle),
        f.kind,
        String(f.bytes),
        String(sent),
        short(f.roomId),
        f.head.slice(0, 16),
      ])]);
    }
    const told = frames.filter((f) =>
      f.direction === "out" && !came.some(({ same }) => same === f.same)
    );
    const kinds = [...new Set(told.map(({ kind }) => kind))].join(", ");
    print("\n");
    rows([
      `${came.length} frames came in; ${
        frames.length - came.length - told.length
      } copies of them ` +
      `and ${told.length} frames of the relay's own (${kinds}) went out.`,
    ]);
  }

  function verdict(result: DemoResult): void {
    rows([
      `Searched all ${result.relayBytes.toLocaleString("en")} bytes of it for the ` +
      `${result.searchedFor} texts, names, safety codes and identity keys, as they are and as ` +
      `UTF-16, hex and base64: `,
      result.foundAtRelay.length === 0
        ? as("nothing found.", "good")
        : as(`! found ${result.foundAtRelay.map(found).join("; ")}`, "warn"),
    ]);
    rows([
      `The same search finds ${result.foundAtMembers} of ${result.searchedFor} in what owl, fox ` +
      `and bat were shown.`,
    ]);
  }
}

function found({ label, form }: Finding): string {
  return `${label} (${form})`;
}

/** Words for a notice, without what would only distract here. */
function worthShowing(notice: Notice, me: Person | null): readonly Line[] {
  switch (notice.type) {
    case "hello":
    case "info":
    case "connected":
    case "presence":
    case "agreement":
      return [];
    case "invite":
      return [line([`invite for ${notice.uses} people: ${notice.url.slice(0, 32)}…`])];
    case "member-joined":
      return [line([as(cleanLine(notice.name), { of: notice.identity }), " joined"])];
    default: {
      const words = { me, manyRooms: false, now: new Date(), times: false };
      const lines = blockOf(notice, words)?.lines ?? [];
      // The safety code has a line of its own when all compare it.
      return notice.type === "joined" ? lines.slice(0, 1) : lines;
    }
  }
}

const WIDTHS = [7, 8, 8, 9, 5, 6, 8, 16];

function tableRow(cells: readonly string[]): string {
  return cells.map((cell, i) => {
    const width = WIDTHS[i] ?? 0;
    return i === 0 || i === 4 || i === 5 ? cell.padStart(width) : cell.padEnd(width);
  }).join(" ").trimEnd();
}

function toOf(handle: string | null): string {
  if (handle === null) return "relay";
  return /^0+$/.test(handle) ? "admins" : short(handle);
}

function short(hex: string | null): string {
  return hex?.slice(0, 8) ?? "";
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(2);
}
