import * as v from "valibot";
import type { UserIntent } from "../session/intent.ts";

/** What a program may write on stdin, one object a line; unknown fields are ignored. docs/JSON.md */
export const JSON_COMMANDS = {
  say: v.object({
    type: v.literal("say"),
    text: v.string(),
    room: v.exactOptional(v.string()),
    ref: v.exactOptional(v.string()),
  }),
  command: v.object({
    type: v.literal("command"),
    line: v.pipe(v.string(), v.startsWith("/", "must begin with a slash")),
    room: v.exactOptional(v.string()),
    ref: v.exactOptional(v.string()),
  }),
  answer: v.object({
    type: v.literal("answer"),
    ref: v.string(),
    choice: v.string(),
  }),
} as const;

const Command = v.variant("type", [
  JSON_COMMANDS.say,
  JSON_COMMANDS.command,
  JSON_COMMANDS.answer,
]);

const Referring = v.object({ ref: v.string() });

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads one line of stdin.
 *
 * @param line without its line break
 * @returns `null` for an empty line; `invalid` for whatever is not a command, with its `ref` if it has one
 */
export function readJsonLine(line: Uint8Array): UserIntent | null {
  let value: unknown;
  try {
    const text = utf8.decode(line).trim();
    if (text === "") return null;
    value = JSON.parse(text);
  } catch (error) {
    const why = error instanceof SyntaxError ? "not JSON" : "not UTF-8";
    return { kind: "invalid", message: `cannot read this line of stdin: ${why}` };
  }
  const command = v.safeParse(Command, value);
  if (command.success) return intentOf(command.output);
  const referring = v.safeParse(Referring, value);
  return {
    kind: "invalid",
    message: `cannot read this line of stdin: ${whatIsWrong(command.issues[0])}`,
    ...(referring.success ? { ref: referring.output.ref } : {}),
  };
}

function intentOf(command: v.InferOutput<typeof Command>): UserIntent {
  switch (command.type) {
    case "say": {
      const { type: kind, ...fields } = command;
      return { kind, ...fields };
    }
    case "command": {
      const { type: kind, ...fields } = command;
      return { kind, ...fields };
    }
    case "answer": {
      const { type: kind, ...fields } = command;
      return { kind, ...fields };
    }
  }
}

function whatIsWrong(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue);
  return path === null ? "not an object with a known `type`" : `${path}: ${issue.message}`;
}
