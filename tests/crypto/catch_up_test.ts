/** What a member learns that catches up, of those who have said nothing since (PROTOCOL §7, CATCH_UP). */
import assert from "node:assert/strict";
import { MAX_AHEAD } from "../../src/wire/limits.ts";
import type { Leaf } from "../../src/wire/ids.ts";
import type { MemberKeys } from "../../src/crypto/member_keys.ts";
import { type Person, Story, type Taken, textOf } from "../support/room_story.ts";

type Bytes = Uint8Array<ArrayBuffer>;

async function room() {
  const story = await Story.found();
  await story.join(["ada", "bob", "cyd"]);
  const cyd = story.people.get("cyd");
  const ada = story.leafOf("ada") as Leaf;
  assert.ok(cyd !== undefined);
  // From here on nothing reaches it.
  story.people.delete("cyd");
  return { story, cyd, ada };
}

/** It asks the admin, and takes the answer. */
async function catchesUp(story: Story, cyd: Person): Promise<Taken["kind"][]> {
  const opened = story.admin.open(cyd.keys.catchUp());
  assert.ok(opened.kind === "sealed" && opened.message.kind === "catch-up");
  const kinds: Taken["kind"][] = [];
  for (const payload of story.admin.catchUp(opened.message.content, story.nowMs)) {
    const taken = await story.takes(cyd, payload);
    kinds.push(taken.kind);
    if (taken.kind === "repair") await story.takes(cyd, mended(taken));
    if (taken.kind !== "caught-up" || !("value" in taken)) continue;
    cyd.keys.takeCaughtUp(taken.value as Parameters<typeof cyd.keys.takeCaughtUp>[0]);
  }
  return kinds;
}

function mended(taken: Taken): Bytes {
  assert.ok("value" in taken);
  return (taken.value as { payload: Bytes }).payload;
}

/** What a leaf owes it, as "epoch/n". */
function owed({ keys }: Person, leaf: Leaf): string[] {
  return keys.gapsOf(leaf).flatMap(({ epoch, numbers }) => numbers.map((n) => `${epoch}/${n}`));
}

async function isGiven(story: Story, cyd: Person, payload: Bytes): Promise<string> {
  return textOf(await story.takes(cyd, payload));
}

Deno.test("who catches up learns what was said by somebody who is silent since, and mends it", async () => {
  const { story, cyd, ada } = await room();
  const first = story.seals("ada", story.text("one"));
  await story.broadcast("ada", first);
  await story.says("ada", "two");
  await story.rekey();
  await story.rekey();
  assert.deepEqual(await catchesUp(story, cyd), [
    "wrap",
    "commit",
    "wrap",
    "commit",
    "repair",
    "caught-up",
  ]);
  assert.deepEqual(owed(cyd, ada), ["2/0"]);
  assert.equal(await isGiven(story, cyd, first), "one");
});

Deno.test("who catches up learns of all that the admin has, also behind a gap that nobody mends", async () => {
  const { story, cyd, ada } = await room();
  story.seals("ada", story.text("lost to all"));
  const second = story.seals("ada", story.text("two"));
  await story.broadcast("ada", second);
  assert.deepEqual(await catchesUp(story, cyd), ["caught-up"]);
  assert.deepEqual(owed(cyd, ada), ["2/0", "2/1"]);
  assert.equal(await isGiven(story, cyd, second), "two");
});

Deno.test("the same of somebody who was removed before it spoke again", async () => {
  const { story, cyd, ada } = await room();
  const first = story.seals("ada", story.text("one"));
  await story.broadcast("ada", first);
  await story.says("ada", "two");
  await story.rekey();
  await story.remove("kicked", "ada");
  assert.deepEqual(await catchesUp(story, cyd), [
    "wrap",
    "commit",
    "repair",
    "wrap",
    "commit",
    "caught-up",
  ]);
  assert.deepEqual(owed(cyd, ada), ["2/0"]);
  assert.equal(await isGiven(story, cyd, first), "one");
});

Deno.test("of somebody who was removed a CLOSE that counts tells what was said before it", async () => {
  const { story, cyd, ada } = await room();
  const first = story.seals("ada", story.text("one"));
  await story.broadcast("ada", first);
  const beyond = story.seals("ada", story.text("sent, and kept back by the relay"));
  await story.rekey();
  const close = story.seals("ada", { kind: "close", epoch: story.epochOf("ada").place.epoch - 1 });
  await story.broadcast("ada", close);
  await story.remove("kicked", "ada");
  await catchesUp(story, cyd);
  assert.deepEqual(owed(cyd, ada), ["2/0", "3/0"]);
  assert.equal(await isGiven(story, cyd, beyond), "refused: unknown-sender");
  assert.equal(await isGiven(story, cyd, close), "(close)");
  assert.deepEqual(owed(cyd, ada), ["2/0", "2/1"]);
  assert.equal(await isGiven(story, cyd, first), "one");
  assert.equal(await isGiven(story, cyd, beyond), "sent, and kept back by the relay");
});

async function withAdaAndBob() {
  const story = await Story.found();
  await story.join(["ada", "bob"]);
  const ada = story.leafOf("ada") as Leaf;
  const bob = story.people.get("bob");
  const handle = story.people.get("ada")?.handle;
  assert.ok(bob !== undefined && handle !== undefined);
  return { story, ada, bob, handle };
}

Deno.test("of somebody who is removed the commit says what it said in an epoch that it has not closed", async () => {
  const { story, ada, bob, handle } = await withAdaAndBob();
  const [kept, beyond] = ["kept from bob", "said afterwards"]
    .map((text) => story.seals("ada", story.text(text)));
  assert.ok(kept !== undefined && beyond !== undefined);
  await story.adminTakes(handle, kept);
  await story.rekey();
  await story.remove("kicked", "ada");
  assert.deepEqual(owed(bob, ada), ["2/0"]);
  assert.equal(await isGiven(story, bob, beyond), "refused: unknown-sender");
  assert.equal(await isGiven(story, bob, kept), "kept from bob");
});

Deno.test("of somebody who is removed the commit says also what stands behind a gap in an epoch before", async () => {
  const { story, ada, bob, handle } = await withAdaAndBob();
  const [toBob, toAdmin] = ["kept from the admin", "kept from bob"]
    .map((text) => story.seals("ada", story.text(text)));
  assert.ok(toBob !== undefined && toAdmin !== undefined);
  assert.equal(await isGiven(story, bob, toBob), "kept from the admin");
  await story.adminTakes(handle, toAdmin);
  await story.rekey();
  await story.remove("kicked", "ada");
  assert.deepEqual(story.admin.gapsOf(ada), [{ epoch: 2, numbers: [0] }]);
  assert.deepEqual(owed(bob, ada), ["2/1"]);
  const taken = await story.takes(bob, toAdmin);
  assert.equal(textOf(taken), "kept from bob");
  assert.ok("result" in taken && taken.result.kind === "opened" && !taken.result.fork);
});

Deno.test("of somebody who is removed the commit says what it said in epochs that are dropped", async () => {
  const { story, ada, bob, handle } = await withAdaAndBob();
  await story.adminTakes(handle, story.seals("ada", story.text("kept from bob")));
  await story.rekey();
  for (const keys of [story.admin, bob.keys]) while (keys.epochBefore !== null) keys.dropPrevious();
  const missing = toldMissing(bob.keys, ada);
  await story.remove("gone", "ada");
  assert.equal(await missing, 1);
});

Deno.test("a CLOSE in an epoch that is dropped, in which its author said no more, is not missed when that is removed", async () => {
  const { story, ada, bob, handle } = await withAdaAndBob();
  await story.says("ada", "heard by all");
  await story.rekey();
  const epoch = story.epochOf("ada").place.epoch - 1;
  await story.adminTakes(handle, story.seals("ada", { kind: "close", epoch }));
  await story.rekey();
  for (const keys of [story.admin, bob.keys]) while (keys.epochBefore !== null) keys.dropPrevious();
  const missing = toldMissing(bob.keys, ada);
  await story.remove("gone", "ada");
  assert.equal(await missing, 0);
});

Deno.test("what a commit counts that nobody can have sent is told as no more than could be opened", async () => {
  const story = await Story.found();
  await story.join(["ada", "bob"]);
  const bob = story.people.get("bob");
  assert.ok(bob !== undefined);
  const { epoch } = story.epochOf("ada").place;
  await story.rekey();
  bob.keys.dropPrevious();
  bob.keys.dropPrevious();
  const earlier = [{ epoch, count: Number.MAX_SAFE_INTEGER, hash: new Uint8Array(32) }];
  Object.assign(story.admin, { earlierOf: () => earlier });
  const missing = toldMissing(bob.keys, story.leafOf("ada") as Leaf);
  await story.remove("kicked", "ada");
  assert.equal(await missing, MAX_AHEAD);
});

Deno.test("what somebody has closed is asked for also after it is removed", async () => {
  const story = await Story.found();
  await story.join(["ada", "bob"]);
  const ada = story.leafOf("ada") as Leaf;
  const bob = story.people.get("bob");
  assert.ok(bob !== undefined);
  const lost = story.seals("ada", story.text("lost to all at first"));
  await story.rekey();
  await story.broadcast("ada", story.seals("ada", { kind: "close", epoch: 2 }));
  await story.remove("left", "ada");
  assert.deepEqual(owed(bob, ada), ["2/0"]);
  assert.equal(await isGiven(story, bob, lost), "lost to all at first");
});

/** How much of a leaf the next commit that a member takes tells it to lack. */
function toldMissing(keys: MemberKeys, leaf: Leaf): Promise<number | undefined> {
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  const take = keys.takeCommit;
  keys.takeCommit = async (commit) => {
    const accepted = await take.call(keys, commit);
    resolve(accepted?.removed.get(leaf)?.missing);
    return accepted;
  };
  return promise;
}
