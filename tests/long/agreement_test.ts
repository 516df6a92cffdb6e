/** Issue 3: the badge between real processes. */
import assert from "node:assert/strict";
import { PATIENCE_MS } from "../support/chronicle.ts";
import { Stage } from "../support/stm_process.ts";

Deno.test("five processes show 5/5, and 4/5 with the name when one of them is stopped", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const { owl, invite } = await stage.admin(relay, ["--uses", "4", "--grace", "300"]);
  const names = ["ada", "bob", "cyd", "dan"];
  const clients = names.map((name) => stage.client(invite, name));
  for (const client of clients) await client.event("joined");
  const all = [owl, ...clients];
  for (const who of all) await who.event("joined", (e) => e.members.length <= 5);
  clients[0]?.say("hello");
  const began = performance.now();
  const patience = 2 * PATIENCE_MS;
  await Promise.all(
    all.map((who) => who.event("agreement", (e) => e.agree === 5 && e.of === 5, patience)),
  );
  console.log(`5/5 after ${Math.round((performance.now() - began) / 1000)} s`);
  // Its connection stays, and nothing comes of it any more.
  const dan = clients.at(-1);
  assert.ok(dan !== undefined);
  dan.signal("SIGSTOP");
  try {
    const others = all.filter((who) => who !== dan);
    const badges = await Promise.all(
      others.map((who) => who.event("agreement", (e) => e.silent.length > 0, patience)),
    );
    for (const { agree, of, silent } of badges) {
      assert.deepEqual([agree, of, silent.map(({ name }) => name)], [4, 5, ["dan"]]);
    }
  } finally {
    dan.signal("SIGCONT");
  }
  for (const who of all) {
    assert.deepEqual(who.every("warning").filter(({ code }) => code === "disagreement"), []);
  }
});
