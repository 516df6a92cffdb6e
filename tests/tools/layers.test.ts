import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { checkLayers, type Violation } from "../../tools/layers.ts";

/** Lays a small tree in a temporary folder, checks it and removes it again. */
async function check(files: Record<string, string>): Promise<Violation[]> {
  const root = await Deno.makeTempDir();
  try {
    for (const [path, text] of Object.entries({ "deno.json": "{}", ...files })) {
      await Deno.mkdir(dirname(join(root, path)), { recursive: true });
      await Deno.writeTextFile(join(root, path), text);
    }
    return (await checkLayers(root)).violations;
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

function lines(violations: readonly Violation[]): string[] {
  return violations.map(({ from, to, rule }) => `${from} → ${to}: ${rule}`);
}

const FRAME = "export const frame = 1;\nexport interface Frame {\n  readonly x: number;\n}\n";

Deno.test("checkLayers() finds nothing in a tree that keeps the table", async () => {
  const violations = await check({
    "main.ts": `await import("./src/cli.ts"); console.log(Deno.args);`,
    "src/cli.ts": `await import("./server/main.ts"); await import("./client/main.ts");`,
    "src/wire/frame.ts": FRAME,
    "src/crypto/key.ts": `import "../wire/frame.ts"; export const s = crypto.subtle;`,
    "src/session/step.ts": `import "../wire/frame.ts"; // Deno, await, Math.random()`,
    "src/ui/line.ts": `import type { Frame } from "../wire/frame.ts";
      export const width = (_: Frame): number => Deno.consoleSize().columns;`,
    "src/store/file.ts": `export const read = Deno.readFile;`,
    "src/driver/run.ts": `import "../crypto/key.ts"; import "../ui/line.ts";`,
    "src/client/main.ts": `import "../driver/run.ts"; Deno.exit(0);`,
    "src/server/main.ts": `import "../wire/frame.ts"; import "../store/file.ts"; Deno.exit(0);`,
  });
  assert.deepEqual(lines(violations), []);
});

Deno.test("checkLayers() names the file, the line and the target of a forbidden import", async () => {
  const violations = await check({
    "src/wire/frame.ts": FRAME,
    "src/client/role.ts": `\nimport "../crypto/key.ts";`,
    "src/crypto/key.ts": "export const key = 1;",
  });
  assert.deepEqual(lines(violations), [
    "src/client/role.ts:2 → src/crypto/key.ts: client may import wire, session, driver, admin",
  ]);
});

Deno.test("checkLayers() sees dynamic and type-only imports too", async () => {
  const violations = await check({
    "src/ui/line.ts": "export type Line = string;",
    "src/session/step.ts": `export const late = () => import("../ui/line.ts");`,
    "src/session/state.ts": `import type { Line } from "../ui/line.ts"; export type S = Line;`,
  });
  assert.deepEqual(lines(violations), [
    "src/session/state.ts:1 → src/ui/line.ts: session may import wire",
    "src/session/step.ts:1 → src/ui/line.ts: session may import wire",
  ]);
});

Deno.test("checkLayers() allows a face the types of wire and not its code", async () => {
  const violations = await check({
    "src/wire/frame.ts": FRAME,
    "src/ui/line.ts": `import { frame } from "../wire/frame.ts"; console.log(frame);`,
  });
  assert.deepEqual(lines(violations), [
    "src/ui/line.ts:1 → src/wire/frame.ts: ui may import only types of wire (import type)",
  ]);
});

Deno.test("checkLayers() allows the store the ids of wire and not its messages", async () => {
  const violations = await check({
    "src/wire/id.ts": FRAME,
    "src/wire/relay_message.ts": FRAME,
    "src/store/users.ts": `import "../wire/id.ts"; import "../wire/relay_message.ts";`,
  });
  assert.equal(violations.length, 1);
  assert.equal(violations[0]?.to, "src/wire/relay_message.ts");
});

Deno.test("checkLayers() follows a chain from the relay to a key and prints the chain", async () => {
  const violations = await check({
    "src/server/main.ts": `import "./step.ts";`,
    "src/server/step.ts": `import "../transport/link.ts";`,
    "src/transport/link.ts":
      `import type { key } from "../crypto/key.ts"; export type K = typeof key;`,
    "src/crypto/key.ts": "export const key = 1;",
  });
  assert.deepEqual(lines(violations), [
    "src/transport/link.ts:1 → src/crypto/key.ts: transport may import wire",
    "src/server/step.ts → src/transport/link.ts → src/crypto/key.ts: " +
    "the relay has no code that holds a room key",
  ]);
});

Deno.test("checkLayers() refuses a room message anywhere below the relay", async () => {
  const violations = await check({
    "src/server/main.ts": `import "../wire/registry.ts";`,
    "src/wire/registry.ts": `import "./room_message.ts";`,
    "src/wire/room_message.ts": "export const talk = 1;",
  });
  assert.deepEqual(lines(violations), [
    "src/server/main.ts → src/wire/registry.ts → src/wire/room_message.ts: " +
    "the relay has no code that reads a room message",
  ]);
});

Deno.test("checkLayers() keeps the client out of the admin's code, also through others, and lets it have the role", async () => {
  const violations = await check({
    "src/admin/role.ts": `import "../driver/run.ts";`,
    "src/admin/main.ts": "export const main = 1;",
    "src/driver/run.ts": `import "../client/main.ts";`,
    "src/client/main.ts": `import "../admin/role.ts"; import "../admin/main.ts";`,
  });
  const found = lines(violations);
  const rule = "the admin's code does not know the client's";
  assert.ok(found.includes(`src/admin/role.ts → src/driver/run.ts → src/client/main.ts: ${rule}`));
  assert.ok(found.some((line) => line.startsWith("src/client/main.ts:1 → src/admin/main.ts: ")));
  assert.ok(
    !found.some((line) => line.includes("→ src/admin/role.ts: client may import")),
    `${found}`,
  );
});

Deno.test("checkLayers() refuses Deno where the table says no, but not in comments or strings", async () => {
  const violations = await check({
    "src/wire/frame.ts": `// Deno.args\nexport const s = "Deno.args";\nexport const a = Deno.args;`,
    "src/ui/line.ts": `export const a = Deno.readFile; export const b = Deno.stdout;`,
    "src/client/main.ts": "Deno.exit(1);",
    "src/client/role.ts": "globalThis.Deno.exit(1);",
    "src/store/users.ts": "export const a = Deno.readFile;",
    "src/store/friends.ts": "export const a = Deno.readFile;",
    "src/session/step.ts": `export const a = \`Deno \${Deno.args}\`;`,
  });
  assert.deepEqual(lines(violations), [
    "src/client/role.ts:1 → Deno.exit: client may use Deno only in \\/main\\.ts$",
    "src/session/step.ts:1 → Deno.args: session may not use Deno",
    "src/ui/line.ts:1 → Deno.readFile: ui may use Deno only for the terminal",
    "src/wire/frame.ts:3 → Deno.args: wire may not use Deno",
    "src/store/users.ts → Deno: only one file of store: src/store/friends.ts",
  ]);
});

Deno.test("checkLayers() refuses built-ins that reach the system where Deno is refused", async () => {
  const violations = await check({
    "src/auth/login.ts": `import "node:fs";`,
    "src/ui/line.ts": `import "node:net"; import "node:readline";`,
    "src/wire/frame.ts": `import "node:crypto";`,
  });
  assert.deepEqual(lines(violations).sort(), [
    "src/auth/login.ts:1 → node:fs: auth may not reach the system here",
    "src/ui/line.ts:1 → node:net: ui may not reach the system here",
    "src/wire/frame.ts:1 → node:crypto: wire may import no package and no built-in",
  ]);
});

Deno.test("checkLayers() refuses crypto.subtle outside its homes, and impure words in the core", async () => {
  const violations = await check({
    "src/driver/run.ts": "export const s = crypto.subtle;",
    "src/session/step.ts": "export const a = Math.random();\nexport const b = new Date();",
  });
  assert.deepEqual(lines(violations), [
    "src/driver/run.ts:1 → subtle: driver may not use crypto.subtle",
    "src/session/step.ts:1 → Math.random: session is pure: no clock, no random, no keys, no waiting",
    "src/session/step.ts:2 → new Date(): session is pure: no clock, no random, no keys, no waiting",
  ]);
});

Deno.test("checkLayers() refuses barrel files", async () => {
  const violations = await check({
    "src/wire/frame.ts": FRAME,
    "src/wire/all.ts": `export * from "./frame.ts";\nexport type { Frame } from "./frame.ts";`,
    "src/wire/mod.ts": "export const x = 1;",
  });
  assert.deepEqual(violations.map(({ from, rule }) => `${from} ${rule.slice(0, 15)}`), [
    "src/wire/all.ts:1 no barrel files",
    "src/wire/all.ts:2 no barrel files",
    "src/wire/mod.ts no barrel files",
  ]);
});

Deno.test("checkLayers() names every import of a cycle between folders", async () => {
  const violations = await check({
    "src/cli.ts": `import "./driver/run.ts";`,
    "src/driver/run.ts": `import "../cli.ts";`,
  });
  assert.deepEqual(
    lines(violations).filter((line) => line.includes("cycle")),
    [
      "src/cli.ts:1 → src/driver/run.ts: import cycle between src/cli.ts and driver",
      "src/driver/run.ts:1 → src/cli.ts: import cycle between driver and src/cli.ts",
    ],
  );
});

Deno.test("checkLayers() refuses what it cannot follow", async () => {
  const violations = await check({
    "src/elsewhere/x.ts": "export const x = 1;",
    "src/driver/run.ts":
      `import "../../tools/hook.ts"; import "./gone.ts"; const x = "./a.ts"; await import(x);`,
    "tools/hook.ts": "export const hook = 1;",
  });
  const found = lines(violations);
  assert.equal(found.length, 4, found.join("\n"));
  assert.match(found[0] ?? "", /^src\/driver\/gone\.ts → \?: cannot be loaded/);
  assert.match(found[1] ?? "", /tools\/hook\.ts: the program imports src\//);
  assert.match(found[2] ?? "", /^src\/driver\/run\.ts:1 → import\(: an import must be a literal/);
  assert.match(found[3] ?? "", /elsewhere: folder is not in tools\/layer_rules\.ts/);
});
