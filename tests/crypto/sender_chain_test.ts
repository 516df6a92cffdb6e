import assert from "node:assert/strict";
import { join } from "node:path";
import { hkdfSync } from "node:crypto";
import fc from "fast-check";
import { pathToFileURL } from "node:url";
import { sha256, systemRandom } from "../../src/crypto/primitives.ts";
import {
  type ChainResult,
  type MessageKey,
  ReceivingChain,
  SendingChain,
} from "../../src/crypto/sender_chain.ts";
import { MAX_AHEAD, MAX_SKIPPED_KEYS } from "../../src/wire/limits.ts";
import type { Bytes } from "../../src/wire/codec.ts";
import { assertProperty } from "../support/property.ts";
import { copyProgram, type Patch } from "../support/patched_copy.ts";
import { withFolder } from "../support/temporary_folder.ts";

const CK0 = new Uint8Array(32).fill(0x5a);

/** key(n) as PROTOCOL §8 defines it, written down a second time. */
const keyCache: string[] = [];
let keyCacheNext: Uint8Array = CK0;
function keyOf(n: number): string {
  while (keyCache.length <= n) {
    const info = new Uint8Array(9 + 8);
    info.set(new TextEncoder().encode("stm/1 msg"));
    new DataView(info.buffer).setBigUint64(9, BigInt(keyCache.length));
    const out = new Uint8Array(hkdfSync("sha256", keyCacheNext, new Uint8Array(0), info, 76));
    keyCache.push(out.slice(0, 44).toHex());
    keyCacheNext = out.slice(44);
  }
  return keyCache[n] ?? "";
}

const textOf = ({ key, nonce }: MessageKey): string => key.toHex() + nonce.toHex();
const frame = (n: number, variant = 0): Bytes =>
  sha256(new Uint8Array([n >> 16, n >> 8, n, variant]));

class Forged extends Error {}

/** Offers message n; whoever seals with key(n) is genuine, everybody else throws. */
function offer(
  chain: ReceivingChain,
  n: number,
  options: { variant?: number; forged?: boolean } = {},
): ChainResult<string> | "threw" {
  try {
    return chain.open(n, frame(n, options.variant), (key) => {
      assert.equal(textOf(key), keyOf(n), `the chain gave another key for ${n}`);
      if (options.forged === true) throw new Forged();
      return `message ${n}`;
    });
  } catch (error) {
    if (error instanceof Forged) return "threw";
    throw error;
  }
}

/** The same, thought out naively: every key at hand, sets of numbers. */
class Model {
  next = 0;
  kept: number[] = [];
  readonly opened = new Map<number, number>();
  order: number[] = [];

  offer(n: number, variant: number, forged: boolean): string {
    if (n >= this.next + MAX_AHEAD) return "too-far";
    if (n < this.next && !this.kept.includes(n)) {
      const remembered = this.order.slice(-1024).includes(n);
      return remembered && this.opened.get(n) === variant ? "duplicate" : "replay";
    }
    if (forged) return "threw";
    const late = n < this.next;
    let skipped = 0;
    let lost = 0;
    if (late) {
      this.kept = this.kept.filter((k) => k !== n);
    } else {
      skipped = n - this.next;
      const before = this.kept.length + skipped;
      for (let i = this.next; i < n; i++) this.kept.push(i);
      this.kept = this.kept.slice(-MAX_SKIPPED_KEYS);
      lost = before - this.kept.length;
      this.next = n + 1;
    }
    this.opened.set(n, variant);
    this.order.push(n);
    return JSON.stringify({ skipped, lost, late });
  }

  position(): { count: number; hash: string } {
    let hash: Bytes = new Uint8Array(32);
    let count = 0;
    for (let variant; (variant = this.opened.get(count)) !== undefined; count++) {
      hash = sha256(hash, frame(count, variant));
    }
    return { count, hash: hash.toHex() };
  }
}

function told(result: ChainResult<string> | "threw"): string {
  if (result === "threw") return result;
  if (result.kind !== "opened") return result.kind;
  const { skipped, lost, late } = result;
  return JSON.stringify({ skipped, lost, late });
}

/** Numbers near the head mostly; sometimes far behind, ahead of the kept keys, or too far. */
const step = fc.record({
  from: fc.constantFrom("head", "head", "head", "begin"),
  offset: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: -6, max: 6 }) },
    { weight: 2, arbitrary: fc.integer({ min: -300, max: 300 }) },
    { weight: 1, arbitrary: fc.constantFrom(MAX_AHEAD - 1, MAX_AHEAD, MAX_AHEAD + 1, 2 ** 40) },
  ),
  variant: fc.constantFrom(0, 0, 0, 1),
  forged: fc.constantFrom(false, false, false, true),
});

Deno.test("ReceivingChain does what a naive model does: order, duplicates, replays, gaps, forgeries", () => {
  assertProperty(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const chain = new ReceivingChain(CK0.slice());
      const model = new Model();
      let jumps = 0;
      for (const { from, offset, variant, forged } of steps) {
        // A long jump costs 65,535 derivations: one a run is enough.
        if (offset === MAX_AHEAD - 1 && from === "head" && jumps++ > 0) continue;
        const n = Math.max(0, (from === "head" ? model.next : 0) + offset);
        if (n < model.next + MAX_AHEAD && n - model.next > 400 && jumps++ > 0) continue;
        assert.equal(told(offer(chain, n, { variant, forged })), model.offer(n, variant, forged));
        assert.equal(chain.next, model.next);
        assert.equal(chain.received, model.opened.size);
        const openable = chain.missingBelow(chain.next, Infinity);
        assert.equal(openable.length, chain.missingOf(chain.next));
        assert.ok(openable.every((n) => n < model.next && !model.opened.has(n)));
        const { count, hash } = chain.position;
        assert.deepEqual({ count, hash: hash.toHex() }, model.position());
      }
    }),
    60,
  );
});

Deno.test("any order of any messages within reach opens each exactly once", () => {
  const orders = fc.shuffledSubarray(Array.from({ length: 200 }, (_, i) => i), { minLength: 1 });
  assertProperty(fc.property(orders, (order) => {
    const chain = new ReceivingChain(CK0.slice());
    for (const n of order) {
      const result = offer(chain, n);
      assert.ok(result !== "threw" && result.kind === "opened" && result.lost === 0);
    }
    for (const n of order) assert.equal(told(offer(chain, n)), "duplicate");
    for (const n of order) assert.equal(told(offer(chain, n, { variant: 1 })), "replay");
  }));
});

Deno.test("a gap of more than 256 keeps the newest 256 keys and counts the others as lost", () => {
  const chain = new ReceivingChain(CK0.slice());
  assert.equal(told(offer(chain, 300)), JSON.stringify({ skipped: 300, lost: 44, late: false }));
  assert.equal(told(offer(chain, 43)), "replay");
  assert.equal(told(offer(chain, 44)), JSON.stringify({ skipped: 0, lost: 0, late: true }));
  // 255 are kept; the next gap of three pushes out two more.
  assert.equal(told(offer(chain, 304)), JSON.stringify({ skipped: 3, lost: 2, late: false }));
  assert.equal(told(offer(chain, 46)), "replay");
  assert.equal(told(offer(chain, 47)), JSON.stringify({ skipped: 0, lost: 0, late: true }));
});

Deno.test("65,535 ahead is opened, 65,536 ahead is refused without touching a key", () => {
  const chain = new ReceivingChain(CK0.slice());
  offer(chain, 4);
  assert.deepEqual(chain.open(5 + MAX_AHEAD, frame(0), () => assert.fail("it was tried")), {
    kind: "too-far",
  });
  const result = offer(chain, 5 + MAX_AHEAD - 1);
  assert.ok(result !== "threw" && result.kind === "opened" && result.skipped === MAX_AHEAD - 1);
});

Deno.test("when opening throws, the state stays and the genuine message still opens", () => {
  const chain = new ReceivingChain(CK0.slice());
  offer(chain, 0);
  for (const n of [1, 2, 5, 200, MAX_AHEAD]) {
    assert.equal(offer(chain, n, { forged: true }), "threw");
    assert.deepEqual([chain.next, chain.received, chain.missingOf(1)], [1, 1, 0]);
  }
  offer(chain, 5);
  assert.equal(offer(chain, 3, { forged: true }), "threw");
  assert.equal(told(offer(chain, 3)), JSON.stringify({ skipped: 0, lost: 0, late: true }));
  assert.equal(told(offer(chain, 1)), JSON.stringify({ skipped: 0, lost: 0, late: true }));
});

Deno.test("what was given up says so when it comes after all, behind the head or ahead of it", () => {
  const chain = new ReceivingChain(CK0.slice());
  offer(chain, 1);
  chain.giveUp([0, 2]);
  const given = [0, 2, 3].map((n) => {
    const result = offer(chain, n);
    return result !== "threw" && result.kind === "opened" && result.givenUp;
  });
  assert.deepEqual(given, [true, true, undefined]);
});

Deno.test("what was given up and is lost hides nothing else that is missing", () => {
  const chain = new ReceivingChain(CK0.slice());
  offer(chain, 2);
  chain.giveUp([0, 1]);
  assert.equal(chain.missingOf(3), 0);
  // The keys of both make room: they were told as missing before, the 48 others are told now.
  assert.equal(told(offer(chain, 307)), JSON.stringify({ skipped: 304, lost: 48, late: false }));
  assert.equal(chain.missingBelow(308, 1000).length, 256);
  assert.equal(chain.missingOf(308), 256);
});

Deno.test("a count that nobody can have sent is no more missing than could be opened", () => {
  const chain = new ReceivingChain(CK0.slice());
  offer(chain, 0);
  assert.equal(chain.missingOf(2 ** 53 - 1), MAX_AHEAD);
  assert.deepEqual(chain.missingBelow(2 ** 53 - 1, 3), [1, 2, 3]);
});

Deno.test("behind a gap so many hashes wait and no more: what mends it then is opened, and moves no position", () => {
  const most = 8192;
  const [chain, other] = [new ReceivingChain(CK0.slice()), new ReceivingChain(CK0.slice())];
  for (let n = 1; n <= most; n++) offer(chain, n);
  for (let n = 1; n <= most + 1; n++) offer(other, n);
  for (const late of [chain, other]) {
    assert.equal(told(offer(late, 0)), JSON.stringify({ skipped: 0, lost: 0, late: true }));
  }
  assert.deepEqual([chain.position.count, chain.received], [most + 1, most + 1]);
  assert.deepEqual([other.position.count, other.received], [0, most + 2]);
  assert.equal(other.missingOf(most + 2), 0);
});

Deno.test("only the newest 1024 hashes tell a duplicate from a replay", () => {
  const chain = new ReceivingChain(CK0.slice());
  for (let n = 0; n < 1025; n++) offer(chain, n);
  assert.equal(told(offer(chain, 0)), "replay");
  assert.equal(told(offer(chain, 1)), "duplicate");
});

Deno.test("SendingChain gives the keys of the definition, and its position is the rolling hash", () => {
  const chain = new SendingChain(CK0.slice());
  let hash: Bytes = new Uint8Array(32);
  for (let n = 0; n < 20; n++) {
    assert.deepEqual(chain.position, { count: n, hash });
    assert.equal(chain.use(n, textOf), keyOf(n));
    chain.sealed(frame(n));
    hash = sha256(hash, frame(n));
  }
});

Deno.test("SendingChain gives no key twice and none out of turn", () => {
  const chain = new SendingChain(CK0.slice());
  for (const n of [1, -1, 0.5, NaN]) assert.throws(() => chain.use(n, textOf), RangeError);
  chain.use(0, textOf);
  for (const n of [0, 2]) assert.throws(() => chain.use(n, textOf), RangeError);
  chain.use(1, textOf);
});

Deno.test("the chain key that was handed in, spent keys and wiped keys are zero", () => {
  const zero = (bytes: Uint8Array): boolean => bytes.every((b) => b === 0);
  const received = CK0.slice();
  const chain = new ReceivingChain(received);
  const keys: MessageKey[] = [];
  for (const n of [0, 3, 1]) chain.open(n, frame(n), (key) => keys.push(key));
  assert.ok(zero(received));
  assert.equal(keys.length, 3);
  for (const { key } of keys) assert.ok(zero(key));
  const sent = CK0.slice();
  const sending = new SendingChain(sent);
  sending.use(0, textOf);
  assert.ok(zero(sent));
  sending.use(1, (key) => keys.push(key));
  assert.throws(() =>
    sending.use(2, (key) => {
      keys.push(key);
      throw new Forged();
    }), Forged);
  for (const { key } of keys) assert.ok(zero(key));
  // Spent all the same: nothing is sealed twice with one key.
  assert.throws(() => sending.use(2, textOf), RangeError);
  assert.equal(sending.use(3, textOf), keyOf(3));
});

/** The fields that are private in src/, in a copy where they are not. */
interface OpenedChain extends ReceivingChain {
  readonly _chainKey: Bytes;
  readonly _heard: {
    readonly skipped: ReadonlyMap<number, MessageKey>;
    readonly ahead: ReadonlyMap<number, Bytes>;
  };
}

/** The keys of so many messages from a chain key on. */
function keysFrom(first: Bytes, n: number, count: number): string[] {
  const keys: string[] = [];
  let chainKey = first;
  for (let i = n; i < n + count; i++) {
    const info = new Uint8Array(17);
    info.set(new TextEncoder().encode("stm/1 msg"));
    new DataView(info.buffer).setBigUint64(9, BigInt(i));
    const out = new Uint8Array(hkdfSync("sha256", chainKey, new Uint8Array(0), info, 76));
    keys.push(out.slice(0, 44).toHex());
    chainKey = out.slice(44);
  }
  return keys;
}

Deno.test("after message n was opened, nothing that the chain still holds leads to key n (P6)", async () => {
  await withFolder(async (folder) => {
    await copyProgram(folder, []);
    const path = join(folder, "src/crypto/sender_chain.ts");
    const program = (await Deno.readTextFile(path)).replaceAll("#", "_");
    await Deno.writeTextFile(path, program + "\nexport { derived };\n");
    const copy: {
      readonly ReceivingChain: new (key: Bytes) => OpenedChain;
      readonly SendingChain: typeof SendingChain;
      /** What all chains derive into. */
      readonly derived: Bytes;
    } = await import(pathToFileURL(path).href);
    const left = (): boolean => copy.derived.some((byte) => byte !== 0);
    const sending = new copy.SendingChain(CK0.slice());
    sending.use(0, textOf);
    assert.ok(!left());
    sending.use(1, () => assert.ok(left()));
    assert.ok(!left());
    const chain = new copy.ReceivingChain(CK0.slice());
    const opened: number[] = [];
    // Somebody made it look ahead.
    assert.equal(offer(chain, 1200, { forged: true }), "threw");
    assert.ok(!left());
    assert.deepEqual([...chain._heard.ahead.keys()], [256, 512, 768, 1024]);
    for (const n of [0, 1, 7, 3, 300, 299, 301, 60, 780]) {
      offer(chain, n);
      opened.push(n);
      assert.ok(!left());
      const reachable = new Set([...chain._heard.skipped.values()].map(textOf));
      for (const key of keysFrom(chain._chainKey, chain.next, 400)) reachable.add(key);
      for (const [at, chainKey] of chain._heard.ahead) {
        const keys = keysFrom(chainKey, at, 400);
        assert.equal(keys[0], keyOf(at));
        for (const key of keys) reachable.add(key);
      }
      // The test looks at the right thing: keys that are still to be used are there.
      assert.ok(reachable.has(keyOf(chain.next)) && reachable.has(keyOf(chain.next + 399)));
      for (const spent of opened) assert.ok(!reachable.has(keyOf(spent)), `key ${spent} is left`);
    }
    assert.deepEqual([...chain._heard.ahead.keys()], [1024]);
    assert.ok([...chain._heard.skipped.keys()].includes(779));
  });
});

Deno.test("a message that does not open moves nothing, whichever chain is asked in between", () => {
  const chain = new ReceivingChain(CK0.slice());
  const other = new ReceivingChain(new Uint8Array(32).fill(1));
  for (const n of [0, 2, 1, 5, 3]) {
    assert.equal(offer(chain, n, { forged: true }), "threw");
    other.open(other.next, frame(other.next), () => "");
    new SendingChain(systemRandom(32)).use(0, textOf);
    assert.ok(told(offer(chain, n)).startsWith("{"));
  }
});

Deno.test("forged numbers far ahead cost their derivations once, however often and in whichever order they come", async () => {
  const far = 16_384;
  const tries = 10;
  const derivations = async (patches: readonly Patch[]): Promise<number> => {
    let taken = 0;
    await withFolder(async (folder) => {
      await copyProgram(folder, [COUNTED, ...patches]);
      const copy: Pick<typeof import("../../src/crypto/sender_chain.ts"), "ReceivingChain"> & {
        readonly steps: () => number;
      } = await import(pathToFileURL(join(folder, "src/crypto/sender_chain.ts")).href);
      const chain = new copy.ReceivingChain(CK0.slice());
      for (let i = 0; i < tries; i++) {
        const n = i % 2 === 0 ? far - i : far - i * i * 100;
        assert.equal(offer(chain, n, { forged: true }), "threw");
      }
      taken = copy.steps();
    });
    return taken;
  };
  assert.ok(await derivations([]) < far + tries * 256);
  // Seen to bite: without the keys that are kept, each costs them all.
  const forgetful = {
    name: "nothing is kept ahead",
    file: "src/crypto/sender_chain.ts",
    from: "this.#heard.ahead.set(i, chainKey.slice());",
    to: "",
  };
  assert.ok(await derivations([forgetful]) > 5 * far);
});

/** A copy that counts its steps. */
const COUNTED: Patch = {
  name: "counted",
  file: "src/crypto/sender_chain.ts",
  from: "function step(chainKey: Bytes, n: number): { message: MessageKey; next: Bytes } {\n",
  to: "let taken = 0;\nexport const steps = (): number => taken;\n" +
    "function step(chainKey: Bytes, n: number): { message: MessageKey; next: Bytes } {\n  taken++;\n",
};

Deno.test("chains of different leaves or epochs have no key in common", () => {
  const first = new SendingChain(systemRandom(32));
  const second = new SendingChain(systemRandom(32));
  const keys = new Set<string>();
  for (let n = 0; n < 50; n++) keys.add(first.use(n, textOf)).add(second.use(n, textOf));
  assert.equal(keys.size, 100);
});
