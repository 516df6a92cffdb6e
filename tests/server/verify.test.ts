import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { verifySignature } from "../../src/server/verify.ts";
import { type Signature, signature } from "../../src/wire/ids.ts";
import { signatureInput, type SignatureKind } from "../../src/wire/signed.ts";

/** An Ed25519 key that also signs with an R of the test's choice. */
class Signer {
  readonly publicKey: Uint8Array;
  readonly #secret: KeyObject;

  constructor() {
    const pair = generateKeyPairSync("ed25519");
    this.publicKey = new Uint8Array(
      pair.publicKey.export({ format: "der", type: "spki" }).subarray(-32),
    );
    this.#secret = pair.privateKey;
  }

  sign(kind: SignatureKind, body: Uint8Array): Signature {
    return signature(new Uint8Array(sign(null, signatureInput(kind, body), this.#secret)));
  }

  /** RFC 8032 §5.1.6 with r = 0, kind `enter`. */
  forge(r: Uint8Array, body: Uint8Array): Signature {
    const seed = this.#secret.export({ format: "der", type: "pkcs8" }).subarray(-32);
    const expanded = new Uint8Array(createHash("sha512").update(seed).digest()).slice(0, 32);
    expanded[0] = (expanded[0] ?? 0) & 0xf8;
    expanded[31] = ((expanded[31] ?? 0) & 0x7f) | 0x40;
    const message = signatureInput("enter", body);
    const hash = createHash("sha512").update(r).update(this.publicKey).update(message).digest();
    const k = numberOf(new Uint8Array(hash)) % L;
    return join(r, bytesOf(k * numberOf(expanded) % L));
  }
}

const BODY = new TextEncoder().encode("a body");
const L = 0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3edn;

// The eight points of small order, and encodings of them with y not below p or with the sign of
// x = 0 set (https://eprint.iacr.org/2020/1244, table 2).
const SMALL_ORDER = [
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000080",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
  "0100000000000000000000000000000000000000000000000000000000000080",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

function bytesOf(value: bigint): Uint8Array {
  return Uint8Array.fromHex(value.toString(16).padStart(64, "0")).reverse();
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytes.slice().reverse().toHex()}`);
}

function join(r: Uint8Array, s: Uint8Array): Signature {
  return signature(new Uint8Array([...r, ...s]));
}

Deno.test("a signature holds for its key, kind and body, and for no other", () => {
  const signer = new Signer();
  const good = signer.sign("enter", BODY);
  assert.equal(verifySignature(signer.publicKey, "enter", BODY, good), true);
  assert.equal(verifySignature(signer.publicKey, "ticket", BODY, good), false);
  assert.equal(verifySignature(signer.publicKey, "enter", BODY.slice(1), good), false);
  assert.equal(verifySignature(new Signer().publicKey, "enter", BODY, good), false);
});

Deno.test("an S that is not below the group order is refused", () => {
  const signer = new Signer();
  const good = signer.sign("enter", BODY);
  const s = numberOf(good.subarray(32));
  const more = join(good.subarray(0, 32), bytesOf(s + L));
  assert.equal(verifySignature(signer.publicKey, "enter", BODY, more), false);
});

Deno.test("a commitment R that is not canonical is refused, though the equation holds", () => {
  const signer = new Signer();
  const key = signer.publicKey;
  // R the identity, r = 0: S = H(R ‖ A ‖ M) a. Once as it should be written, once with y + p.
  const canonical = Uint8Array.fromHex(SMALL_ORDER[0] ?? "");
  assert.equal(verifySignature(key, "enter", BODY, signer.forge(canonical, BODY)), true);
  const other = Uint8Array.fromHex(SMALL_ORDER[10] ?? "");
  assert.equal(verifySignature(key, "enter", BODY, signer.forge(other, BODY)), false);
});

Deno.test("no key of small order has a signature", () => {
  const identity = Uint8Array.fromHex(SMALL_ORDER[0] ?? "");
  // Under a key of small order R = identity, S = 0 fits about every eighth body, or every one.
  for (const hex of SMALL_ORDER) {
    const key = Uint8Array.fromHex(hex);
    for (let i = 0; i < 16; i++) {
      const body = new Uint8Array([i]);
      for (const r of [identity, key]) {
        assert.equal(verifySignature(key, "enter", body, join(r, new Uint8Array(32))), false, hex);
      }
    }
  }
});

Deno.test("bytes that are no point are refused without an exception", () => {
  const good = new Signer().sign("enter", BODY);
  for (let i = 2; i < 40; i++) {
    const key = new Uint8Array(32).fill(i);
    assert.equal(verifySignature(key, "enter", BODY, good), false);
  }
  assert.equal(verifySignature(new Uint8Array(31), "enter", BODY, good), false);
});

Deno.test("a room's key that is kept verifies what it verified at first, and nothing else", () => {
  // More than are kept: the first is forgotten meanwhile, and read anew.
  const rooms = Array.from({ length: 80 }, () => new Signer());
  const signed = rooms.map((room) => room.sign("ticket", BODY));
  for (const round of ["first", "second"]) {
    for (const [i, { publicKey }] of rooms.entries()) {
      const [own, other] = [signed[i], signed[(i + 1) % rooms.length]];
      assert.ok(own && other);
      for (let again = 0; again < 2; again++) {
        assert.equal(verifySignature(publicKey, "ticket", BODY, own), true, round);
        assert.equal(verifySignature(publicKey, "ticket", BODY, other), false, round);
        assert.equal(verifySignature(publicKey, "ticket", BODY.slice(1), own), false, round);
      }
    }
  }
});

Deno.test("a room's key that is on no point of the curve is refused each time", () => {
  const none = Uint8Array.fromHex("02".padEnd(64, "0"));
  const own = new Signer().sign("ticket", BODY);
  for (let again = 0; again < 2; again++) {
    assert.equal(verifySignature(none, "ticket", BODY, own), false);
  }
});
