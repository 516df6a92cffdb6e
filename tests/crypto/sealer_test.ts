import assert from "node:assert/strict";
import fc from "fast-check";
import { passphraseSealer, SEAL_COST, SEAL_HEADER_BYTES } from "../../src/crypto/sealer.ts";
import { plainSealer } from "../../src/store/plain_sealer.ts";
import type { Sealer } from "../../src/store/sealer.ts";
import { foreignOpen, type ForeignSeal, foreignSeal } from "../support/foreign_seal.ts";

// One sealer for most tests: its root is derived once, as in the program. The annotation holds it to
// the port of `store`, which `crypto` may not import.
const PASSPHRASE = "tawny owl at dusk";
const owl: Sealer = passphraseSealer(PASSPHRASE);
const text = new TextEncoder();

const refused = (code: string) => ({ kind: "refused", code });

function block(content: string, fill = 0): Uint8Array {
  const padded = new Uint8Array(4096).fill(fill);
  new DataView(padded.buffer).setUint32(0, content.length);
  padded.set(text.encode(content), 4);
  return padded;
}

const FOREIGN: ForeignSeal = {
  passphrase: PASSPHRASE,
  ...SEAL_COST,
  salt: crypto.getRandomValues(new Uint8Array(16)),
  save: crypto.getRandomValues(new Uint8Array(16)),
  nonce: crypto.getRandomValues(new Uint8Array(12)),
  padded: block("made elsewhere"),
};

Deno.test("a sealer opens what it sealed, of every length about the edges of a block", async () => {
  for (const length of [0, 1, 4091, 4092, 4093, 8187, 8188, 8189, 100_000]) {
    const plaintext = crypto.getRandomValues(new Uint8Array(Math.min(length, 65536)));
    const file = await owl.seal(plaintext);
    assert.deepEqual(await owl.open(file), { kind: "opened", plaintext });
    // Header and tag aside, the size tells the number of blocks and no more.
    assert.equal((file.length - SEAL_HEADER_BYTES - 16) % 4096, 0);
    assert.ok(file.length <= SEAL_HEADER_BYTES + 4 + plaintext.length + 4095 + 16);
  }
});

Deno.test("@noble's code opens our file, and we open @noble's", async () => {
  const sealed = await owl.seal(text.encode("made here"));
  assert.deepEqual(foreignOpen(PASSPHRASE, sealed), block("made here"));
  assert.deepEqual(await passphraseSealer(PASSPHRASE).open(foreignSeal(FOREIGN)), {
    kind: "opened",
    plaintext: text.encode("made elsewhere"),
  });
});

Deno.test("a file sealed for one process opens in the next, which keeps its Argon2 salt", async () => {
  const file = await owl.seal(text.encode("hoot"));
  const next = passphraseSealer(PASSPHRASE);
  assert.equal((await next.open(file)).kind, "opened");
  const again = await next.seal(text.encode("hoot"));
  assert.deepEqual(again.subarray(9, 37), file.subarray(9, 37));
});

Deno.test("every save has a fresh salt, nonce, key check and ciphertext", async () => {
  const files = await Promise.all(Array.from({ length: 50 }, () => owl.seal(text.encode("hoot"))));
  for (const [from, to] of [[37, 53], [53, 65], [65, 97], [97, 4209]]) {
    assert.equal(new Set(files.map((file) => file.subarray(from, to).toHex())).size, files.length);
  }
});

Deno.test("nothing of the content is readable in the file", async () => {
  const planted = "planted-needle-7c1f";
  const file = await owl.seal(text.encode(planted.repeat(100)));
  assert.equal(new TextDecoder("latin1").decode(file).includes(planted.slice(0, 8)), false);
});

Deno.test("a wrong passphrase is refused, and one that differs in its Unicode form alone is not", async () => {
  const file = await owl.seal(text.encode("hoot"));
  assert.deepEqual(
    await passphraseSealer("tawny owl at dawn").open(file),
    refused("wrong-passphrase-or-damaged"),
  );
  const composed = await passphraseSealer("sch\u00f6n").seal(text.encode("hoot"));
  assert.equal((await passphraseSealer("scho\u0308n").open(composed)).kind, "opened");
  assert.throws(() => passphraseSealer(""), RangeError);
});

Deno.test("a file with any one header byte changed is refused", async () => {
  const file = await owl.seal(text.encode("hoot"));
  for (let at = 0; at < SEAL_HEADER_BYTES; at++) {
    const bent = file.slice();
    bent[at] = (bent[at] ?? 0) ^ 0xff;
    const result = await owl.open(bent);
    assert.equal(result.kind, "refused", `byte ${at}`);
  }
  assert.equal((await owl.open(file)).kind, "opened");
});

Deno.test("a file with any one bit of the body changed is refused as damaged", async () => {
  const file = await owl.seal(text.encode("hoot"));
  const place = fc.integer({ min: SEAL_HEADER_BYTES, max: file.length - 1 });
  await fc.assert(fc.asyncProperty(place, fc.integer({ min: 0, max: 7 }), async (at, bit) => {
    const bent = file.slice();
    bent[at] = (bent[at] ?? 0) ^ (1 << bit);
    assert.deepEqual(await owl.open(bent), refused("damaged"));
  }));
});

Deno.test("a file cut short or drawn out is refused, wherever", async () => {
  const file = await owl.seal(new Uint8Array(5000));
  for (let length = 0; length < file.length; length += length < 120 ? 1 : 61) {
    assert.equal((await owl.open(file.subarray(0, length))).kind, "refused", String(length));
  }
  for (const more of [1, 16, 4096]) {
    const longer = new Uint8Array(file.length + more);
    longer.set(file);
    assert.deepEqual(await owl.open(longer), refused("damaged"));
  }
});

Deno.test("header and body of two saves do not go together", async () => {
  const old = await owl.seal(text.encode("before the kick"));
  const file = await owl.seal(text.encode("after the kick!"));
  const mixed = file.slice();
  mixed.set(old.subarray(SEAL_HEADER_BYTES), SEAL_HEADER_BYTES);
  assert.deepEqual(await owl.open(mixed), refused("damaged"));
});

Deno.test("a file that is cheap to guess is refused, though its passphrase and tag are right", async () => {
  const cheap = [{ memoryKiB: 65535 }, { memoryKiB: 8, passes: 1 }, { passes: 2 }];
  for (const cost of cheap) {
    const file = foreignSeal({ ...FOREIGN, ...cost });
    assert.deepEqual(await owl.open(file), refused("bad-parameters"), JSON.stringify(cost));
  }
});

Deno.test("a file that asks for too much memory, time or lanes is refused before anything is derived", async () => {
  const file = await owl.seal(text.encode("hoot"));
  const greedy: [number, number][] = [
    [9, 16 * 1024 * 1024],
    [9, 262_145],
    [9, 0xffffffff],
    [13, 11],
    [13, 0xffffffff],
    [17, 5],
    [17, 0],
  ];
  for (const [at, value] of greedy) {
    const bent = file.slice();
    new DataView(bent.buffer).setUint32(at, value);
    assert.deepEqual(await owl.open(bent), refused("bad-parameters"), `${value} at ${at}`);
  }
});

Deno.test("a file that asks for more than we do, within reason, opens and is saved as dear", async () => {
  const dear = { memoryKiB: 65600, passes: 4 };
  const sealer = passphraseSealer(PASSPHRASE);
  const result = await sealer.open(foreignSeal({ ...FOREIGN, ...dear }));
  assert.equal(result.kind, "opened");
  const view = new DataView((await sealer.seal(new Uint8Array(1))).buffer);
  assert.deepEqual([view.getUint32(9), view.getUint32(13)], [65600, 4]);
});

Deno.test("a refused file lends a sealer neither its salt nor its cost", async () => {
  const sealer = passphraseSealer("another");
  const foreign = await owl.seal(text.encode("hoot"));
  assert.equal((await sealer.open(foreign)).kind, "refused");
  const file = await sealer.seal(text.encode("mine"));
  assert.notDeepEqual(file.subarray(21, 37), foreign.subarray(21, 37));
});

Deno.test("padding is refused unless it is the least and all zeros", async () => {
  const sealer = passphraseSealer(PASSPHRASE);
  const bad = {
    "not zeros": block("hoot", 1),
    "a block too many": Uint8Array.from([...block("hoot"), ...new Uint8Array(4096)]),
    "a length beyond the end": new Uint8Array(4096).fill(0xff),
  };
  for (const [what, padded] of Object.entries(bad)) {
    assert.deepEqual(
      await sealer.open(foreignSeal({ ...FOREIGN, padded })),
      refused("damaged"),
      what,
    );
  }
});

Deno.test("plain and sealed files are never taken for each other", async () => {
  const plain = await plainSealer.seal(text.encode("hoot"));
  // Whoever can write the disk must not swap a sealed profile for a plain one of theirs.
  assert.deepEqual(await owl.open(plain), refused("not-sealed"));
  assert.deepEqual(await plainSealer.open(await owl.seal(new Uint8Array(1))), refused("sealed"));
  assert.deepEqual(await owl.open(new Uint8Array(0)), refused("not-sealed"));
  const newer = await owl.seal(new Uint8Array(1));
  newer[8] = 2;
  assert.deepEqual(await owl.open(newer), refused("newer-version"));
});

Deno.test("open() of any bytes behind a right beginning is refused and never throws", async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (garbage) => {
    const file = Uint8Array.from([...text.encode("stm-seal"), 1, ...garbage]);
    assert.equal((await owl.open(file)).kind, "refused");
  }));
});
