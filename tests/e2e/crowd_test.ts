/** Many who join at once, in one process: what comes before, with and after a WELCOME. */
import assert from "node:assert/strict";
import { sha256 } from "../../src/crypto/primitives.ts";
import { parseLink } from "../../src/wire/link_url.ts";
import { MemoryClient } from "../support/memory_participant.ts";
import { pooledSessionKeys } from "../support/session_pool.ts";
import { Stage } from "../support/stm_process.ts";
import { wholeConversation } from "../support/talk.ts";

Deno.test("20 clients that join at once lose and double nothing", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const { owl, invite } = await stage.admin(relay, ["--uses", "20"]);
  const link = parseLink(invite, sha256);
  assert.ok(link.kind === "invite");
  const keys = await pooledSessionKeys(20);
  const clients = keys.map((session, i) => new MemoryClient(`c${i}`, link, session));
  console.log(await wholeConversation(owl, clients, 4));
  for (const client of clients.slice(2)) await client.command("/quit");
  const exits = await Promise.all(clients.map((c) => c.exit));
  assert.deepEqual(exits, [6, ...exits.slice(1).map(() => 0)]);
});
