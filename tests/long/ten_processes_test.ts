/** Issue 2, "done when" 3: ten client processes and an admin. */
import assert from "node:assert/strict";
import { Stage } from "../support/stm_process.ts";
import { wholeConversation } from "../support/talk.ts";

Deno.test("10 client processes with one invite lose and double nothing", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const { owl, invite } = await stage.admin(relay, ["--uses", "10"]);
  const clients = Array.from({ length: 10 }, (_, i) => stage.client(invite, `c${i}`));
  console.log(await wholeConversation(owl, clients));
  assert.deepEqual(await Promise.all(clients.slice(0, 2).map((c) => c.exit)), [6, 0]);
});
