import assert from "node:assert/strict";
import * as v from "valibot";
import { COMMANDS } from "../../src/session/commands.ts";
import type { Notice } from "../../src/session/notice.ts";
import { JSON_COMMANDS, readJsonLine } from "../../src/ui/json_input.ts";
import {
  DEMO_SCHEMAS,
  DOCTOR_SCHEMAS,
  JsonEvent,
  NOTICE_SCHEMAS,
} from "../../src/ui/json_schema.ts";

// The types hold the schemas against session/notice.ts, in both directions: this file does not
// compile once a field or a word is only on one side.
type Schema = v.InferOutput<(typeof NOTICE_SCHEMAS)[keyof typeof NOTICE_SCHEMAS]>;
const fromCode: (notice: Notice) => Schema = (notice) => notice;
const toCode: (event: Schema) => Notice = (event) => event;

const doc = await Deno.readTextFile(new URL("../../docs/JSON.md", import.meta.url));

interface Section {
  readonly fields: Record<string, string>;
  readonly example: string;
}

/** The `###` sections of a `##` part: its table of fields and its example. */
function sectionsOf(part: string): Record<string, Section> {
  const body = doc.split(/^## /m).find((text) => text.startsWith(part + "\n")) ?? "";
  const sections = body.split(/^### /m).slice(1);
  return Object.fromEntries(sections.map((text) => {
    const rows = [...text.matchAll(/^\| `(\w+)`\s*\| (.*?)\s*\| /gm)];
    return [/^`([\w-]+)`/.exec(text)?.[1] ?? "", {
      fields: Object.fromEntries(rows.map(([, field = "", type = ""]) => [field, type])),
      example: /```json\n([\s\S]*?)\n```/.exec(text)?.[1] ?? "",
    }];
  }));
}

/** Whatever part of a valibot schema tells what it accepts. */
const Shape = v.looseObject({
  type: v.string(),
  options: v.exactOptional(v.array(v.string())),
  literal: v.exactOptional(v.union([v.string(), v.number()])),
  wrapped: v.exactOptional(v.unknown()),
  item: v.exactOptional(v.unknown()),
  requirement: v.exactOptional(v.unknown()),
  entries: v.exactOptional(v.record(v.string(), v.unknown())),
  pipe: v.exactOptional(v.array(v.unknown())),
});

/** A schema in the words of the page's "Types". */
function typeName(schema: unknown): string {
  const shape = v.parse(Shape, schema);
  const steps = (shape.pipe ?? []).slice(1).map((step) => v.parse(Shape, step));
  switch (shape.type) {
    case "exact_optional":
      return `${typeName(shape.wrapped)}, optional`;
    case "array":
      return `${typeName(shape.item)}[]`;
    case "literal":
      return "`" + JSON.stringify(shape.literal) + "`";
    case "picklist":
      return (shape.options ?? []).map((word) => "`" + JSON.stringify(word) + "`").join(" or ");
    case "object":
      return "fingerprint" in (shape.entries ?? {}) ? "Member" : "Person";
    case "string": {
      const length = steps.find((step) => step.type === "length")?.requirement;
      if (length !== undefined) return `hex${length}`;
      return steps.some((step) => step.type === "iso_timestamp") ? "time" : "string";
    }
    case "number":
      return steps.some((step) => step.type === "integer") ? "integer" : "number";
    default:
      return shape.type;
  }
}

function fieldsOf(schema: { readonly entries: Record<string, unknown> }): Record<string, string> {
  const fields = Object.entries(schema.entries).filter(([field]) => field !== "type");
  return Object.fromEntries(fields.map(([field, inner]) => [field, typeName(inner)]));
}

Deno.test("docs/JSON.md describes exactly the events of the code, field by field", () => {
  const described = sectionsOf("Events");
  assert.deepEqual(Object.keys(described), Object.keys(NOTICE_SCHEMAS));
  for (const [type, schema] of Object.entries(NOTICE_SCHEMAS)) {
    assert.deepEqual(described[type]?.fields, fieldsOf(schema), type);
  }
});

Deno.test("docs/JSON.md's example of each event is one, with every field", () => {
  for (const [type, { fields, example }] of Object.entries(sectionsOf("Events"))) {
    const event: unknown = JSON.parse(example);
    v.parse(JsonEvent, event);
    const keys = Object.keys(v.parse(v.record(v.string(), v.unknown()), event)).sort();
    assert.deepEqual(keys, ["at", "type", ...Object.keys(fields)].sort(), type);
  }
});

for (
  const [whose, schemas] of [["demo", DEMO_SCHEMAS], ["doctor", DOCTOR_SCHEMAS]] as const
) {
  Deno.test(`docs/JSON.md describes exactly the ${whose}'s own events, and its examples have every field`, () => {
    const described = sectionsOf(`The ${whose}'s events`);
    assert.deepEqual(Object.keys(described), Object.keys(schemas));
    for (const [type, schema] of Object.entries(schemas)) {
      assert.deepEqual(described[type]?.fields, fieldsOf(schema), type);
      const example: unknown = JSON.parse(described[type]?.example ?? "");
      v.parse(schema, example);
      const keys = Object.keys(v.parse(v.record(v.string(), v.unknown()), example)).sort();
      assert.deepEqual(keys, ["at", ...Object.keys(schema.entries)].sort(), type);
    }
  });
}

Deno.test("docs/JSON.md describes exactly the commands of the code, and its examples are read", () => {
  const described = sectionsOf("Commands");
  assert.deepEqual(Object.keys(described), Object.keys(JSON_COMMANDS));
  for (const [type, schema] of Object.entries(JSON_COMMANDS)) {
    assert.deepEqual(described[type]?.fields, fieldsOf(schema), type);
    const intent = readJsonLine(new TextEncoder().encode(described[type]?.example));
    assert.equal(intent?.kind, type);
  }
});

Deno.test("docs/JSON.md lists exactly the slash commands of the code", () => {
  const rows = [...doc.matchAll(/^\| `(\/[^`]*)`\s*\| (\w+)\s*\| (.*?)\s*\|$/gm)].map((row) =>
    row.slice(1)
  );
  assert.deepEqual(
    rows,
    COMMANDS.map(({ name, args, role, help }) => [
      `/${name} ${args}`.trim(),
      role === "admin" ? "admin" : "everybody",
      help,
    ]),
  );
});

Deno.test("docs/JSON.md lists the exit codes 0 to 7", () => {
  const codes = [...doc.matchAll(/^\| (\d)\s+\| \S/gm)].map((row) => row[1]);
  assert.deepEqual(codes, ["0", "1", "2", "3", "4", "5", "6", "7"]);
});

Deno.test("the schemas and session/notice.ts say the same", () => {
  const notice = fromCode({ type: "ok", ref: "1" });
  assert.equal(toCode(notice), notice);
});
