import type { UserIntent } from "../session/intent.ts";
import type { Notice } from "../session/notice.ts";
import type { Face } from "./face.ts";
import { LineCutter } from "./input_lines.ts";
import { IntentQueue } from "./intent_queue.ts";
import { readJsonLine } from "./json_input.ts";
import { OutputQueue } from "./output.ts";
import type { ByteInput, ByteOutput } from "./terminal.ts";

/** A longer line on stdin is refused. Chosen: a message is far smaller. */
export const MAX_JSON_LINE_BYTES = 256 * 1024;

/** While so many commands wait, no more of stdin is read. Chosen. */
const MAX_WAITING_INTENTS = 256;

/** What {@linkcode jsonFace} needs. */
export interface JsonFaceOptions {
  /** Where commands come from, such as stdin. */
  readonly input: ByteInput;
  /** Where events go, such as stdout. */
  readonly output: ByteOutput;
  /** Go on after the end of stdin (`--listen`). */
  readonly listen?: boolean;
  /** The clock for `at`. */
  readonly now?: () => Date;
  /** See {@linkcode OutputQueue}. */
  readonly maxWaitingBytes?: number;
}

/**
 * `--ui json`: one object a line on stdout for each notice, one command a line on stdin; docs/JSON.md
 * is its contract. A reader that has stopped makes events be left out past a bound, which is told by
 * an `error` with the code `output-full`; answers and the end are never left out. When nobody reads
 * stdout any more, the face wants to `end`.
 */
export function jsonFace(options: JsonFaceOptions): Face {
  const now = options.now ?? (() => new Date());
  const intents = new IntentQueue();
  const output = new OutputQueue(
    options.output,
    () => intents.push({ kind: "end" }),
    options.maxWaitingBytes,
  );
  let closed = false;
  let last = { ms: NaN, iso: "" };

  /** ISO 8601. In a burst many lines have the same. */
  function time(date: Date): string {
    const ms = date.getTime();
    if (ms !== last.ms) last = { ms, iso: date.toISOString() };
    return last.iso;
  }

  function emit(notice: Notice): void {
    const needed = MUST_ARRIVE.has(notice.type);
    // These two first, and no copy of the rest.
    const line = safeLine(Object.assign({ type: notice.type, at: time(now()) }, notice));
    if (needed || output.hasRoom(line.length)) tellLeftOut();
    output.push(line, needed);
  }

  function tellLeftOut(): void {
    const count = output.takeLeftOut();
    if (count === 0) return;
    const message = `${count} events were left out because stdout is read too slowly`;
    output.push(
      safeLine({ type: "error", at: time(now()), code: "output-full", message }),
      true,
    );
  }

  async function readInput(): Promise<void> {
    const cutter = new LineCutter(MAX_JSON_LINE_BYTES);
    try {
      while (!closed) {
        const chunk = await options.input.read();
        if (closed) return;
        const lines = chunk === null ? cutter.end() : cutter.push(chunk);
        for (const line of lines) {
          const intent: UserIntent | null = line.kind === "line"
            ? readJsonLine(line.bytes)
            : { kind: "invalid", message: `a line of stdin is over ${MAX_JSON_LINE_BYTES} bytes` };
          if (intent !== null) intents.push(intent);
          const full = intents.below(MAX_WAITING_INTENTS);
          if (full !== undefined) await full;
        }
        if (chunk === null) break;
      }
    } catch {
      // A stdin that cannot be read is one that has ended; `--listen` works without it too.
    }
    if (options.listen !== true) intents.push({ kind: "end" });
  }

  return {
    notice: emit,
    view: () => {},
    intents() {
      void readInput();
      return intents;
    },
    async close() {
      closed = true;
      intents.close();
      tellLeftOut();
      await output.drained();
    },
  };
}

/** What a program waits for: never left out, however slowly it reads. */
const MUST_ARRIVE: ReadonlySet<string> = new Set(
  ["ok", "error", "ask", "withdrawn", "bye", "stopping"],
);

/** One line of JSON in which nothing can steer a terminal that happens to show it. */
export function safeLine(event: object): string {
  const json = JSON.stringify(event).replaceAll(
    /[\x7F-\x9F\u061C\u200B-\u200F\u2028-\u202E\u2060-\u206F\uFEFF]/g,
    (char) => "\\u" + char.charCodeAt(0).toString(16).padStart(4, "0"),
  );
  return json + "\n";
}
