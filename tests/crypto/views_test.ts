/** Views and how they are compared (PROTOCOL §9). */
import assert from "node:assert/strict";
import { HashHistory, KEPT_HASHES } from "../../src/crypto/hash_history.ts";
import { sign, systemRandom } from "../../src/crypto/primitives.ts";
import type { AdminKeys } from "../../src/crypto/admin_keys.ts";
import type { MemberKeys } from "../../src/crypto/member_keys.ts";
import type { Compared } from "../../src/crypto/views.ts";
import { type View, VIEW_BODY } from "../../src/wire/agreement.ts";
import { type Bytes, encode } from "../../src/wire/codec.ts";
import { epochHash, hash, leaf, signature } from "../../src/wire/ids.ts";
import { type Signed, signedOf } from "../../src/wire/signed.ts";
import { codeOf, Story } from "../support/room_story.ts";

type Keys = MemberKeys | AdminKeys;

/** What is inside of a payload that somebody got. */
function opens(keys: Keys, payload: Bytes) {
  const opened = keys.open(payload);
  assert.ok(opened.kind === "sealed" && opened.message.kind !== "unknown");
  return opened.message;
}

/** The view of `answerer` as somebody who asks for it gets it. */
function answerOf(asker: Keys, answerer: Keys): Signed<View> {
  const { myLeaf } = answerer.current ?? assert.fail("in no epoch");
  const request = opens(answerer, asker.viewRequest(myLeaf));
  assert.ok(request.kind === "view-request");
  const { requester, nonce } = answerer.takeViewRequest(request.content);
  assert.equal(requester, asker.current?.myLeaf);
  const view = opens(asker, answerer.view(nonce));
  assert.ok(view.kind === "view");
  return view.content;
}

function compared(asker: Keys, answerer: Keys): Compared {
  const result = asker.takeView(answerOf(asker, answerer));
  assert.ok(result !== null);
  return result;
}

/** Says a view again with something else in it, signed by whoever is given. */
function resigned(view: Signed<View>, by: Keys, change: Partial<View> = {}): Signed<View> {
  const value = { ...view.value, ...change };
  const body = encode(VIEW_BODY, value);
  const { privateKey } = by.own.session.signing;
  return signedOf(VIEW_BODY, value, signature(sign(privateKey, "view", body)));
}

async function threeWhoTalked(): Promise<Story> {
  const story = await Story.found();
  await story.join(["ada", "bob"]);
  for (const name of ["ada", "bob", "admin"]) await story.says(name, `I am ${name}`);
  return story;
}

Deno.test("a heartbeat of somebody who has heard the same agrees, another does not", async () => {
  const story = await threeWhoTalked();
  const beat = async (): Promise<(boolean | undefined)[]> => {
    const results = await story.broadcast("ada", story.seals("ada", { kind: "heartbeat" }));
    return [...results.values()].map((taken) => {
      assert.ok(taken.kind === "message" && "result" in taken);
      return taken.result.kind === "opened" ? taken.result.agrees : undefined;
    });
  };
  assert.deepEqual(await beat(), [true, true]);
  // One word more, and only Bob has it.
  const [bob] = [story.people.get("bob")];
  assert.ok(bob !== undefined);
  await story.takes(bob, story.seals("admin", story.text("for bob alone")));
  assert.deepEqual(await beat(), [false, false]);
});

Deno.test("a digest agrees as long as what its sender lacks may be on its way to it", async () => {
  const story = await threeWhoTalked();
  const [ada, bob] = [story.keysOf("ada"), story.keysOf("bob")];
  const epoch = story.epochOf("bob").place.epoch;
  // All speak at once: nobody has heard any of it.
  const beat = ada.sealMessage(epoch, 1, { kind: "heartbeat" }, 1000);
  bob.sealMessage(epoch, 1, story.text("mine"), 1000);
  const given = (payload: Bytes, at: number): boolean | undefined => {
    const opened = bob.open(payload);
    assert.ok(opened.kind === "message");
    const result = bob.openMessage(opened.header, opened.body, payload, at);
    assert.ok(result.kind === "opened");
    return result.agrees;
  };
  given(story.seals("admin", story.text("on its way to Ada")), 1000);
  given(story.seals("admin", story.text("this too")), 1500);
  assert.equal(given(beat, 2000), true);
  const again = ada.sealMessage(epoch, 2, { kind: "heartbeat" }, 2500);
  assert.equal(given(again, 3999), true);
  const late = ada.sealMessage(epoch, 3, { kind: "heartbeat" }, 2600);
  assert.equal(given(late, 4000), false);
});

Deno.test("views of those who heard the same show nothing", async () => {
  const story = await threeWhoTalked();
  const [ada, bob] = [story.keysOf("ada"), story.keysOf("bob")];
  const nothing = { differs: [], ahead: [], behind: false };
  assert.deepEqual(compared(ada, bob), { leaf: story.leafOf("bob"), ...nothing });
  assert.deepEqual(compared(ada, story.admin), { leaf: 0, ...nothing });
  assert.deepEqual(compared(story.admin, ada), { leaf: story.leafOf("ada"), ...nothing });
});

Deno.test("who has more is ahead, who has less is behind", async () => {
  const story = await threeWhoTalked();
  const [ada, bob] = [story.keysOf("ada"), story.keysOf("bob")];
  const person = story.people.get("bob");
  assert.ok(person !== undefined);
  for (const text of ["one", "two"]) {
    await story.takes(person, story.seals("admin", story.text(text)));
  }
  assert.deepEqual(compared(ada, bob).ahead, [{ leaf: 0, from: 1, count: 3 }]);
  const result = compared(bob, ada);
  assert.deepEqual([result.ahead, result.behind, result.differs], [[], true, []]);
});

Deno.test("what comes after the question does not make the answer short", async () => {
  const story = await threeWhoTalked();
  const [ada, bob] = [story.keysOf("ada"), story.keysOf("bob")];
  const view = answerOf(ada, bob);
  const person = story.people.get("ada");
  assert.ok(person !== undefined);
  await story.takes(person, story.seals("admin", story.text("since then")));
  assert.equal(ada.takeView(view)?.behind, false);
});

Deno.test("another hash is found at the lower count, of messages that both have", async () => {
  const story = await threeWhoTalked();
  const [ada, bob] = [story.keysOf("ada"), story.keysOf("bob")];
  const view = answerOf(ada, bob);
  for (let i = 0; i < 3; i++) await story.says("admin", `later ${i}`);
  const heard = view.value.heard.map((position) =>
    position.leaf === 0 ? { ...position, hash: hash(systemRandom(32)) } : position
  );
  assert.deepEqual(ada.takeView(resigned(view, bob, { heard }))?.differs, [0]);
});

Deno.test("nobody has more of us than we sent", async () => {
  const story = await threeWhoTalked();
  const [ada, bob] = [story.keysOf("ada"), story.keysOf("bob")];
  const view = answerOf(ada, bob);
  const mine = story.leafOf("ada");
  const heard = view.value.heard.map((position) =>
    position.leaf === mine ? { ...position, count: 99 } : position
  );
  const result = ada.takeView(resigned(view, bob, { heard }));
  assert.deepEqual([result?.differs, result?.ahead], [[mine], []]);
});

Deno.test("of a leaf that is not here, a view says nothing", async () => {
  const story = await threeWhoTalked();
  const [ada, bob] = [story.keysOf("ada"), story.keysOf("bob")];
  const view = answerOf(ada, bob);
  const stranger = { leaf: leaf(77), count: 5, hash: hash(systemRandom(32)) };
  const result = ada.takeView(resigned(view, bob, { heard: [...view.value.heard, stranger] }));
  assert.deepEqual([result?.differs, result?.ahead, result?.behind], [[], [], false]);
});

Deno.test("an answer is taken once, and only from whom it was asked", async () => {
  const story = await threeWhoTalked();
  const [ada, bob] = [story.keysOf("ada"), story.keysOf("bob")];
  const view = answerOf(ada, bob);
  assert.ok(ada.takeView(view) !== null);
  assert.equal(ada.takeView(view), null);
  // A second question has another nonce.
  ada.viewRequest(story.leafOf("bob"));
  assert.equal(ada.takeView(view), null);
  // The admin was not asked.
  const unasked = resigned(view, story.admin, { leaf: leaf(0) });
  assert.equal(ada.takeView(unasked), null);
});

Deno.test("a view or a question with another's signature, or for another epoch, is refused", async () => {
  const story = await threeWhoTalked();
  const [ada, bob] = [story.keysOf("ada"), story.keysOf("bob")];
  const view = answerOf(ada, bob);
  const refusal = (of: Signed<View>): string => {
    try {
      ada.takeView(of);
      return "taken";
    } catch (error) {
      return codeOf(error);
    }
  };
  assert.equal(refusal(resigned(view, story.admin)), "bad-signature");
  const elsewhere = { h: epochHash(systemRandom(32)) };
  assert.equal(refusal(resigned(view, bob, elsewhere)), "no-key");
  assert.equal(refusal(resigned(view, bob, { leaf: leaf(9) })), "no-key");
  const request = opens(bob, ada.viewRequest(story.leafOf("bob")));
  assert.ok(request.kind === "view-request");
  await story.rekey();
  assert.throws(() => bob.takeViewRequest(request.content), /another epoch/);
});

Deno.test("HashHistory keeps the newest hashes and knows which it has no more", () => {
  const history = new HashHistory();
  const of = (n: number): Bytes => hash(new Uint8Array(32).fill(n % 251));
  assert.deepEqual(history.at(0), new Uint8Array(32));
  assert.equal(history.at(1), undefined);
  for (let n = 1; n <= 3 * KEPT_HASHES; n++) {
    history.push(of(n));
    const oldest = Math.max(1, n - KEPT_HASHES + 1);
    assert.deepEqual(history.at(n), of(n));
    assert.deepEqual(history.at(oldest), of(oldest));
    if (oldest > 1) assert.equal(history.at(oldest - 1), undefined);
    assert.equal(history.at(n + 1), undefined);
  }
  assert.equal(history.at(-1), undefined);
});
