/** Issue 2, "done when" 3: a hundred clients in one process, a relay and an admin beside it. */
import assert from "node:assert/strict";
import { sha256 } from "../../src/crypto/primitives.ts";
import { parseLink } from "../../src/wire/link_url.ts";
import { MemoryClient } from "../support/memory_participant.ts";
import { pooledSessionKeys } from "../support/session_pool.ts";
import { Stage } from "../support/stm_process.ts";
import { wholeConversation } from "../support/talk.ts";

Deno.test("100 clients in one process lose and double nothing", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const { owl, invite } = await stage.admin(relay, ["--uses", "100"]);
  const link = parseLink(invite, sha256);
  assert.ok(link.kind === "invite");
  const keys = await pooledSessionKeys(100);
  const began = performance.now();
  const clients = keys.map((session, i) => new MemoryClient(`c${i}`, link, session));
  console.log(
    await wholeConversation(owl, clients, 6),
    `${Math.round(performance.now() - began)} ms`,
  );
  for (const client of clients.slice(2)) await client.command("/quit");
  const exits = await Promise.all(clients.map((c) => c.exit));
  assert.deepEqual(exits, [6, ...exits.slice(1).map(() => 0)]);
});
