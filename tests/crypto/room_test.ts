import assert from "node:assert/strict";
import { Hash } from "node:crypto";
import { OuterSeal } from "../../src/crypto/outer_seal.ts";
import { type MessageKey, SendingChain } from "../../src/crypto/sender_chain.ts";
import { keyedRoomId, verifySignature } from "../../src/server/verify.ts";
import { judgeEnter, judgeTicket } from "../../src/server/gate_entry.ts";
import type { GateConnection, GatePorts } from "../../src/server/gate_state.ts";
import { DEFAULT_RELAY_LIMITS } from "../../src/server/relay_limits.ts";
import { type Challenge, challenge, handle, leaf, relayKey, roomKey } from "../../src/wire/ids.ts";
import type { Bytes } from "../../src/wire/codec.ts";
import { MAX_AHEAD, NONCE_LIFE_MS } from "../../src/wire/limits.ts";
import { decodeTicket } from "../../src/wire/ticket.ts";
import { systemRandom } from "../../src/crypto/primitives.ts";
import {
  codeOf,
  type Person,
  requestOf,
  Story,
  type Taken,
  textOf,
} from "../support/room_story.ts";

/** Everybody hears everybody, once. */
async function assertConversation(story: Story): Promise<void> {
  const names = ["admin", ...story.people.keys()];
  for (const name of names) {
    const read = await story.says(name, `${name} says hello`);
    assert.deepEqual([...read.keys()].sort(), names.filter((n) => n !== name).sort());
    for (const text of read.values()) assert.equal(text, `${name} says hello`);
  }
}

function assertAgreed(story: Story): void {
  const { place, safetyCode } = story.epochOf("admin");
  for (const name of story.people.keys()) {
    const theirs = story.epochOf(name);
    assert.deepEqual([theirs.place.epoch, theirs.place.h], [place.epoch, place.h], name);
    assert.equal(theirs.safetyCode, safetyCode, name);
  }
}

Deno.test("a room is founded, two join by invite, and all read each other", async () => {
  const story = await Story.found();
  assert.equal(story.epochOf("admin").place.epoch, 1);
  for (const name of ["ada", "bob"]) {
    const invite = story.admin.makeInvite();
    const person = await story.person(name, { invite });
    await story.admits([person], "invite");
    assert.equal(person.keys.roomKey?.toHex(), story.roomKey.publicKey.toHex());
  }
  assert.equal(story.epochOf("admin").place.epoch, 3);
  assert.deepEqual([...story.people.keys()].map((name) => story.leafOf(name)), [1, 2]);
  assertAgreed(story);
  await assertConversation(story);
});

Deno.test("a text of some hundred bytes makes no Hash: one stays in memory until all of the heap is collected", async () => {
  const story = await Story.found();
  await story.join(["ada"]);
  const makes = async (text: string): Promise<number> => {
    let hashes = 0;
    const { digest } = Hash.prototype;
    Hash.prototype.digest = function (this: Hash, ...args: []) {
      hashes++;
      return Reflect.apply(digest, this, args);
    } as Hash["digest"];
    try {
      await story.says("ada", text);
    } finally {
      Hash.prototype.digest = digest;
    }
    return hashes;
  };
  assert.equal(await makes("word ".repeat(80)), 0);
  assert.equal(await makes("word ".repeat(800)), 2, "of a longer one each of both makes one");
});

Deno.test("an open room is joined without a secret, at first with whatever admin is there", async () => {
  const story = await Story.found({ open: "lobby" });
  const person = await story.person("ada");
  await story.greets(person);
  await story.admits([person]);
  await story.join(["bob"]);
  assertAgreed(story);
  await assertConversation(story);
});

Deno.test("several join in one commit, and each learns the whole roster", async () => {
  const story = await Story.found();
  await story.join(["ada"]);
  await story.join(["bob", "cyd", "dan", "eve"]);
  assert.equal(story.epochOf("admin").place.epoch, 3);
  const names = ["admin", "ada", "bob", "cyd", "dan", "eve"];
  for (const name of names) {
    assert.deepEqual(story.epochOf(name).roster.map(({ value }) => value.name), names);
  }
  assertAgreed(story);
  await assertConversation(story);
});

Deno.test("who leaves is removed by the next commit and opens nothing later (P1)", async () => {
  const story = await Story.found();
  const [ada] = await story.join(["ada", "bob"]);
  assert.ok(ada !== undefined);
  assert.equal((await story.says("ada", { kind: "leave" })).get("bob"), "(leave)");
  const before = story.sent.length;
  await story.remove("left", "ada");
  assert.deepEqual([...story.people.keys()], ["bob"]);
  await assertConversation(story);
  await assertOpensNothing(story, ada, before);
  assertAgreed(story);
});

/** With all that somebody has, nothing of what was sent from `since` on can be read. */
async function assertOpensNothing(story: Story, person: Person, since: number): Promise<void> {
  let tried = 0;
  for (const { payload, what } of story.sent.slice(since)) {
    let said: string;
    try {
      said = textOf(await story.takes(person, payload));
    } catch (error) {
      said = codeOf(error);
    }
    // A commit that is not for us; a wrap that is somebody else's is only kept; what is masked with a new secret.
    const read = new Map([["COMMIT", "removed"], ["WRAP", "wrap"]]);
    const allowed = ["unreadable", "early", "nothing", "refused: unknown-sender", read.get(what)];
    assert.ok(allowed.includes(said), `${what} was read by ${person.name}: ${said}`);
    tried++;
  }
  assert.ok(tried > 1);
}

Deno.test("a kick brings a new room secret, and the kicked reads not even a header any more", async () => {
  const story = await Story.found();
  const [ada] = await story.join(["ada", "bob"]);
  assert.ok(ada !== undefined);
  const oldSeal = new OuterSeal(story.room, story.secret);
  await assertConversation(story);
  const published = await story.remove("kicked", "ada");
  assert.ok(published.change.newRoomSecret !== undefined);
  assert.deepEqual(published.evict, [{ handle: ada.handle, bar: true }]);
  assert.equal(published.minTicketEpoch, 3);
  const before = story.sent.length;
  await assertConversation(story);
  for (const { payload } of story.sent.slice(before)) {
    assert.equal(oldSeal.unmask(payload.subarray(0, 24), payload.slice(24)), undefined);
  }
  await assertOpensNothing(story, ada, before);
  // An invite from before the kick still leads in; a newcomer gets the new secret.
  await story.join(["cyd"]);
  assertAgreed(story);
  await assertConversation(story);
});

Deno.test("a newcomer opens nothing from before its epoch", async () => {
  const story = await Story.found();
  await story.join(["ada"]);
  await assertConversation(story);
  const before = story.sent.slice();
  const [bob] = await story.join(["bob"]);
  assert.ok(bob !== undefined);
  for (const { payload, what, from, to } of before) {
    if (to !== null) continue;
    assert.ok(from.length === 16);
    let said: string;
    try {
      said = textOf(await story.takes(bob, payload));
    } catch (error) {
      said = codeOf(error);
    }
    assert.ok(["nothing", "rollback"].includes(said), `${what}: ${said}`);
  }
});

Deno.test("every rekey changes the safety code at all, and rooms that differ have different codes", async () => {
  const story = await Story.found();
  await story.join(["ada", "bob"]);
  const codes = new Set<string>([story.epochOf("admin").safetyCode]);
  for (let i = 0; i < 3; i++) {
    await story.rekey();
    assertAgreed(story);
    const { safetyCode } = story.epochOf("admin");
    assert.equal(safetyCode.split(" ").length, 12);
    codes.add(safetyCode);
  }
  assert.equal(codes.size, 4);
  await assertConversation(story);
});

Deno.test("late messages of the epoch before are read until it is dropped, and then no more", async () => {
  const story = await Story.found();
  await story.join(["ada", "bob"]);
  const late = [1, 2, 3].map((i) => story.seals("ada", story.text(`late ${i}`)));
  await story.rekey();
  for (const [i, payload] of late.slice(0, 2).entries()) {
    const results = await story.broadcast("ada", payload);
    for (const taken of results.values()) assert.equal(textOf(taken), `late ${i + 1}`);
  }
  const bob = story.keysOf("bob");
  assert.deepEqual(bob.dropPrevious(), []);
  const results = await story.broadcast("ada", late[2] ?? new Uint8Array(0));
  assert.equal(textOf(results.get("bob") ?? { kind: "unknown" }), "refused: replay");
  assert.equal(textOf(results.get("admin") ?? { kind: "unknown" }), "late 3");
});

Deno.test("a message is read however many epochs and room secrets later it comes, until its own is dropped", async () => {
  const story = await Story.found();
  await story.join(["ada", "bob", "eve"]);
  const late = [1, 2].map((i) => story.seals("ada", story.text(`late ${i}`)));
  const ofEve = story.seals("eve", story.text("of somebody removed since"));
  await story.rekey();
  await story.commit({
    reason: "kick",
    adds: [],
    removes: [{ leaf: story.leafOf("eve"), reason: "kicked" }],
  });
  await story.rekey();
  const [first, second] = late;
  assert.ok(first !== undefined && second !== undefined);
  const results = await story.broadcast("ada", first);
  assert.deepEqual([...results.values()].map(textOf), ["late 1", "late 1"]);
  // In the epochs before the one that it was removed from, what counts is what had come by then.
  assert.equal(textOf(await story.adminTakes(story.adminHandle, ofEve)), "refused: unknown-sender");
  const bob = story.keysOf("bob");
  assert.deepEqual(bob.dropPrevious(), []);
  const dropped = await story.broadcast("ada", second);
  assert.notEqual(textOf(dropped.get("bob") ?? { kind: "unknown" }), "late 2");
  assert.equal(textOf(dropped.get("admin") ?? { kind: "unknown" }), "late 2");
});

Deno.test("CLOSE says what of the epoch before is missing, and dropping it too", async () => {
  const story = await Story.found();
  await story.join(["ada", "bob"]);
  await story.says("ada", "read");
  const lost = story.seals("ada", story.text("lost"));
  assert.ok(lost.length > 0);
  await story.rekey();
  const close = story.seals("ada", { kind: "close", epoch: 2 });
  const results = await story.broadcast("ada", close);
  for (const name of ["admin", "bob"]) {
    const opened = openedOf(results.get(name));
    assert.deepEqual([opened.missing, opened.fork], [1, false]);
    assert.equal(opened.message.kind === "close" && opened.message.count, 2);
  }
  const missing = [{ leaf: story.leafOf("ada"), count: 1 }];
  assert.deepEqual(story.keysOf("bob").dropPrevious(), missing);
  // The admin gets it after all.
  await story.adminTakes(story.people.get("ada")?.handle ?? story.adminHandle, lost);
  assert.deepEqual(story.admin.dropPrevious(), []);
});

Deno.test("whoever comes in anew at the place that it has is not evicted from there", async () => {
  const story = await Story.found();
  const [ada] = await story.join(["ada"]);
  assert.ok(ada !== undefined);
  const { identity, session, handle } = ada;
  for (const evicted of [0, 1]) {
    const fresh = await story.person("ada", { identity, session });
    const again = evicted === 0 ? { ...fresh, handle } : fresh;
    const adds = [{ request: await story.knocks(again), via: "known" as const }];
    const removes = [{ leaf: story.leafOf("ada"), reason: "replaced" as const }];
    story.people.delete("ada");
    const published = await story.commit({ reason: "join", adds, removes }, [again]);
    assert.deepEqual([published.admit.length, published.evict.length], [1, evicted]);
  }
});

Deno.test("CLOSE of an epoch that is dropped says, once, what of it never came", async () => {
  const story = await Story.found();
  await story.join(["ada", "bob"]);
  await story.says("ada", "read");
  story.seals("ada", story.text("never given"));
  await story.rekey();
  const close = story.seals("ada", { kind: "close", epoch: 2 });
  const bob = story.keysOf("bob");
  while (bob.dropPrevious().length > 0);
  bob.dropPrevious();
  const results = await story.broadcast("ada", close);
  assert.deepEqual([openedOf(results.get("bob")).lost, openedOf(results.get("bob")).missing], [
    1,
    0,
  ]);
  assert.equal(openedOf(results.get("admin")).missing, 1);
});

Deno.test("a CLOSE that comes again in a later epoch is as it was, and tells nothing twice", async () => {
  const story = await Story.found();
  await story.join(["ada", "bob"]);
  story.seals("ada", story.text("never given"));
  const results = [];
  for (const _ of [0, 1, 2]) {
    await story.rekey();
    const taken = await story.broadcast("ada", story.seals("ada", { kind: "close", epoch: 2 }));
    results.push(openedOf(taken.get("bob")));
    story.keysOf("ada").dropPrevious();
  }
  assert.deepEqual(results.map(({ missing }) => missing), [1, 0, 0]);
  const told = results.map(({ message }) => message.kind === "close" && message.count);
  assert.deepEqual(told, [1, 1, 1]);
  assert.throws(() => story.seals("ada", { kind: "close", epoch: 1 }), RangeError);
});

function openedOf(taken: Taken | undefined) {
  assert.ok(taken?.kind === "message" && "result" in taken && taken.result.kind === "opened");
  return taken.result;
}

Deno.test("HEARTBEAT names the sender's own messages; its digest is the same for who has heard the same", async () => {
  const story = await Story.found();
  await story.join(["ada", "bob"]);
  await assertConversation(story);
  const digests = new Set<string>();
  for (const name of ["admin", "ada", "bob"]) digests.add(story.epochOf(name).digest().toHex());
  assert.equal(digests.size, 1);
  const results = await story.broadcast("ada", story.seals("ada", { kind: "heartbeat" }));
  for (const taken of results.values()) {
    const { message, fork } = openedOf(taken);
    assert.ok(message.kind === "heartbeat" && message.count === 1 && !fork);
    assert.ok(digests.has(message.digest.toHex()));
  }
});

Deno.test("nobody has the admin answer more KEM_UPDATEs than 64 at once and 4 a second, and each has its own bound", async () => {
  const story = await Story.found();
  await story.join(["ada", "bob"]);
  const update = async (name: string) => {
    const keys = story.people.get(name)?.keys;
    assert.ok(keys !== undefined);
    const opened = story.admin.open(await keys.makeKemUpdate());
    assert.ok(opened.kind === "sealed" && opened.message.kind === "kem-update");
    return opened.message.content;
  };
  const ofAda = await update("ada");
  const taken = (now: number) =>
    Array.from({ length: 100 }, () => story.admin.takeKemUpdate(ofAda, now)).filter(Boolean).length;
  assert.equal(taken(1e12), 64);
  assert.equal(taken(1e12 + 1000), 4);
  assert.equal(story.admin.takeKemUpdate(await update("bob"), 1e12 + 1000), true);
  // Somebody else's bytes in its name cost it nothing.
  const forged = { ...ofAda, signature: (await update("bob")).signature };
  assert.throws(() => story.admin.takeKemUpdate(forged, 1e12 + 2000), { code: "bad-signature" });
  assert.equal(taken(1e12 + 2000), 4);
});

Deno.test("a KEM update is used for the next wrap, and the ack erases the key before", async () => {
  const story = await Story.found();
  const [ada] = await story.join(["ada", "bob"]);
  assert.ok(ada !== undefined);
  const update = await ada.keys.makeKemUpdate();
  assert.deepEqual(await story.adminTakes(ada.handle, update), { kind: "kem-update", value: true });
  // The wrap of the next commit is under the new key; its tag alone erases the old one.
  await story.rekey();
  await assertConversation(story);
  await story.adminTakes(ada.handle, await ada.keys.makeKemUpdate());
  const ack = story.admin.kemAck(story.epochOf("ada").myLeaf);
  assert.ok(ack !== null);
  await story.takes(ada, ack);
  await story.rekey();
  await assertConversation(story);
});

Deno.test("no ack is given for a KEM update while a commit is made that may need the key before", async () => {
  const story = await Story.found();
  const [ada] = await story.join(["ada", "bob"]);
  assert.ok(ada !== undefined);
  const update = await ada.keys.makeKemUpdate();
  const nowS = Math.floor(story.nowMs / 1000);
  const making = story.admin.make({ reason: "rekey", adds: [], removes: [] }, nowS);
  await story.adminTakes(ada.handle, update);
  const { myLeaf } = story.epochOf("ada");
  assert.equal(story.admin.kemAck(myLeaf), null);
  await making;
  assert.equal(story.admin.kemAck(myLeaf), null);
  await assert.rejects(story.rekey(), RangeError);
  const { direct, broadcast } = story.admin.publish(nowS);
  for (const { to, payload } of direct) {
    if (to.toHex() === ada.handle.toHex()) await story.takes(ada, payload);
  }
  await story.takes(ada, broadcast);
  assert.equal(story.epochOf("ada").place.epoch, 3);
  assert.ok(story.admin.kemAck(myLeaf) !== null);
});

Deno.test("no ack is given for a KEM update while a GRANT is made for the key before", async () => {
  const story = await Story.found();
  const [ada] = await story.join(["ada"]);
  assert.ok(ada !== undefined);
  const { myLeaf } = story.epochOf("ada");
  const sent: Uint8Array<ArrayBuffer>[] = [];
  await story.adminTakes(ada.handle, await ada.keys.makeKemUpdate());
  const granting = story.admin.grant(myLeaf, "deputy", (_, payload) => sent.push(payload));
  assert.equal(story.admin.kemAck(myLeaf), null);
  await granting;
  assert.equal(sent.length, 1);
  assert.ok(story.admin.kemAck(myLeaf) !== null);
});

Deno.test("until the ack or the tag, a commit opens with either key", async () => {
  const story = await Story.found();
  const [ada] = await story.join(["ada"]);
  assert.ok(ada !== undefined);
  const lost = await ada.keys.makeKemUpdate();
  assert.ok(lost.length > 1184);
  await story.rekey();
  await story.adminTakes(ada.handle, await ada.keys.makeKemUpdate());
  await story.rekey();
  await assertConversation(story);
});

Deno.test("a returner joins again with a new session, and its old leaf is replaced", async () => {
  const story = await Story.found();
  const [ada] = await story.join(["ada", "bob"]);
  assert.ok(ada !== undefined);
  const again = await story.person("ada", { identity: ada.identity, pins: { highestEpoch: 2 } });
  const request = await story.knocks(again);
  await story.commit({
    reason: "join",
    adds: [{ request, via: "known" }],
    removes: [{ leaf: story.leafOf("ada"), reason: "replaced" }],
  }, [again]);
  assert.equal(story.epochOf("admin").roster.length, 3);
  assert.equal(again.keys.current?.myLeaf, 3);
  assertAgreed(story);
  await assertConversation(story);
});

Deno.test("a greeting is answered once: the WELCOME is made for the keys of that bundle", async () => {
  const story = await Story.found();
  const ada = await story.person("ada");
  await story.greets(ada);
  const bundle = await ada.keys.makeBundle(story.nowMs);
  assert.ok(bundle !== null);
  assert.equal(await ada.keys.makeBundle(story.nowMs), null);
  const request = requestOf(await story.adminTakes(ada.handle, bundle));
  await story.commit({ reason: "join", adds: [{ request, via: "approved" }], removes: [] }, [ada]);
  assertAgreed(story);
  // Another greeting is another request, of a newer generation: the admin may have the one before.
  const bob = await story.person("bob");
  await story.knocks(bob);
  const generation = bob.keys.generation;
  await story.knocks(bob);
  assert.ok(bob.keys.generation > generation);
});

Deno.test("who knocks again before it has answered is greeted with the same na, for half its life", async () => {
  const story = await Story.found();
  const ada = await story.person("ada");
  const greetedWith = async (): Promise<string> => {
    const opened = ada.keys.open(await story.admin.greet(ada.handle, story.nowMs));
    assert.ok(opened.kind === "sealed" && opened.message.kind === "hello");
    return opened.message.content.value.na.toHex();
  };
  const first = await greetedWith();
  story.nowMs += NONCE_LIFE_MS / 2 - 1;
  assert.equal(await greetedWith(), first);
  story.nowMs += 1;
  assert.notEqual(await greetedWith(), first);
});

Deno.test("messages of the next epoch are early, and open once its commit has come", async () => {
  const story = await Story.found();
  await story.join(["ada", "bob"]);
  const ada = story.people.get("ada");
  assert.ok(ada !== undefined);
  const nowS = Math.floor(story.nowMs / 1000);
  await story.admin.make({ reason: "rekey", adds: [], removes: [] }, nowS);
  const { direct, broadcast } = story.admin.publish(nowS);
  const early = story.seals("admin", story.text("first of the new epoch"));
  assert.equal(textOf(await story.takes(ada, early)), "early");
  for (const { to, payload } of direct) {
    if (to.toHex() === ada.handle.toHex()) await story.takes(ada, payload);
  }
  await story.takes(ada, broadcast);
  assert.equal(textOf(await story.takes(ada, early)), "first of the new epoch");
});

// ---- tickets, with the relay's own code

const portsOf = (): GatePorts => ({
  needsLogin: false,
  limits: DEFAULT_RELAY_LIMITS,
  verify: verifySignature,
  keyedRoomId,
  newHandle: () => handle(systemRandom(16)),
});

function connectionOf(nonce: Challenge, { relayKey }: Story): GateConnection {
  const bucket = { tokens: 1, atMs: 0 };
  return {
    id: 1,
    nonceHex: nonce.toHex(),
    relayKey,
    started: true,
    authorized: true,
    seats: new Map(),
    barredFrom: null,
    entries: bucket,
    tickets: bucket,
  };
}

Deno.test("the relay's code takes every ticket and credential that comes with an epoch", async () => {
  const story = await Story.found();
  const persons = await story.join(["ada", "bob"]);
  await story.rekey();
  const ports = portsOf();
  const now = { ms: story.nowMs, unixS: Math.floor(story.nowMs / 1000) };
  const nonce = challenge(systemRandom(32));
  const { room } = story;
  const judge = (entering: ReturnType<typeof story.admin.enter>) =>
    judgeEnter(
      ports,
      connectionOf(nonce, story),
      undefined,
      { kind: "enter", room, ...entering },
      now,
    );
  for (const { keys } of persons) {
    const { ticket } = keys;
    assert.ok(ticket !== null);
    assert.deepEqual(decodeTicket(ticket).value, {
      room,
      ticketEpoch: 3,
      expires: now.unixS + 86_400,
      gateKey: keys.gateKey,
    });
    const key = roomKey(story.roomKey.publicKey);
    assert.ok(judgeTicket(ports, room, undefined, key, ticket, now).ok);
    assert.equal(judge(keys.enter(nonce, story.relayKey)).ok, true);
    // A signature made for another relay, or for another challenge, is worth nothing here.
    assert.equal(judge(keys.enter(nonce, relayKey(systemRandom(32)))).ok, false);
    assert.equal(judge(keys.enter(challenge(systemRandom(32)), story.relayKey)).ok, false);
  }
  const verdict = judge(story.admin.enter(nonce, story.relayKey));
  assert.ok(verdict.ok && verdict.role === "owner");
});

Deno.test("without a ticket one enters as knocker", async () => {
  const story = await Story.found();
  const person = await story.person("ada");
  const { role, credential } = person.keys.enter(challenge(systemRandom(32)), story.relayKey);
  assert.deepEqual([role, credential.length], ["knocker", 0]);
});

Deno.test("wiping ends a room: nothing is sealed or opened any more", async () => {
  const story = await Story.found();
  const [ada] = await story.join(["ada"]);
  assert.ok(ada !== undefined);
  const payload = story.seals("admin", story.text("unread"));
  ada.keys.wipe();
  assert.equal(textOf(await story.takes(ada, payload)), "nothing");
  assert.throws(() => ada.keys.sealMessage(2, 0, story.text("unsent")), RangeError);
});

Deno.test("forged numbers ahead have so many keys made and no more, and deafen nobody whose turn it is", async () => {
  const story = await Story.found();
  await story.join(["ada", "bob", "eve"]);
  const bob = story.keysOf("bob");
  const { epoch } = story.epochOf("bob").place;
  const seal = new OuterSeal(story.room, story.secret);
  const forges = (name: string, n: number, now: number): string => {
    const header = { kind: "message" as const, epoch, leaf: leaf(story.leafOf(name)), n };
    const body = systemRandom(272);
    const result = bob.openMessage(header, body, seal.payload(header, body), now);
    return result.kind === "refused" ? result.code : result.kind;
  };
  assert.equal(forges("ada", MAX_AHEAD - 1, 0), "bad-message");
  assert.equal(forges("eve", MAX_AHEAD - 1, 0), "bad-message");
  // Those keys are kept; what is made anew from the nearest of them counts too.
  for (let i = 0; i < 2; i++) forges("ada", MAX_AHEAD - 2, 0);
  assert.equal(forges("admin", MAX_AHEAD - 1, 0), "too-far");
  const opens = (payload: Bytes, now: number): string => {
    const opened = bob.open(payload);
    assert.ok(opened.kind === "message");
    const result = bob.openMessage(opened.header, opened.body, payload, now);
    return result.kind === "refused" ? result.code : result.kind;
  };
  assert.equal(opens(story.seals("ada", story.text("in order")), 1), "opened");
  // Somebody whose message was lost waits for a moment, and is lost no more than that.
  story.seals("ada", story.text("lost"));
  const after = story.seals("ada", story.text("after it"));
  assert.equal(opens(after, 1), "too-far");
  assert.equal(opens(after, 1001), "opened");
  assert.equal(forges("admin", MAX_AHEAD - 1, 1001), "bad-message");
});

Deno.test("who writes far ahead of itself has so many keys made and no more, and nobody else waits for it", async () => {
  const story = await Story.found();
  await story.join(["ada", "bob", "eve"]);
  const bob = story.keysOf("bob");
  const takes = (payload: Bytes, now: number): string => {
    const opened = bob.open(payload);
    assert.ok(opened.kind === "message");
    const result = bob.openMessage(opened.header, opened.body, payload, now);
    return result.kind === "refused" ? result.code : result.kind;
  };
  const chain = sendingChainOf(() => {
    assert.equal(takes(story.seals("eve", story.text("one")), 0), "opened");
  });
  const ahead = (): Bytes => {
    const from = chain.position.count;
    for (let n = from; n < from + MAX_AHEAD - 1; n++) chain.use(n, () => {});
    return story.seals("eve", story.text("far ahead"));
  };
  assert.equal(takes(ahead(), 0), "opened");
  assert.equal(takes(ahead(), 0), "opened");
  assert.equal(takes(story.seals("eve", story.text("next")), 0), "opened");
  assert.equal(takes(ahead(), 0), "opened");
  story.seals("eve", story.text("lost"));
  const after = story.seals("eve", story.text("after it"));
  assert.equal(takes(after, 0), "too-far");
  story.seals("ada", story.text("lost"));
  assert.equal(takes(story.seals("ada", story.text("after it")), 0), "opened");
  assert.equal(takes(after, 2_501), "opened");
});

/** The chain on which somebody seals: skipping numbers by sealing would take half a minute. */
function sendingChainOf(seals: () => void): SendingChain {
  const { use } = SendingChain.prototype;
  let chain: SendingChain | undefined;
  SendingChain.prototype.use = function <T>(
    this: SendingChain,
    n: number,
    seal: (key: MessageKey) => T,
  ): T {
    chain = this;
    return use.call(this, n, seal) as T;
  };
  try {
    seals();
  } finally {
    SendingChain.prototype.use = use;
  }
  assert.ok(chain !== undefined);
  return chain;
}
