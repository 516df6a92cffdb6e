import assert from "node:assert/strict";
import { ristretto255_oprf } from "@noble/curves/ed25519.js";
import { expand, extract } from "@noble/hashes/hkdf.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { ClientHalf } from "../../src/auth/client_half.ts";
import { isLoginProof, loginProof } from "../../src/auth/login_proof.ts";
import { OpaqueWorker } from "../../src/auth/opaque_worker.ts";
import { createSetup, ServerHalf } from "../../src/auth/server_half.ts";
import { argon2id } from "../../src/crypto/argon2id.ts";
import { type AccountName, isAccountName } from "../../src/wire/account_name.ts";
import { challenge, relayKey } from "../../src/wire/ids.ts";
import { account } from "../support/account_name.ts";

const FOX = account("fox");

async function withHalves(
  run: (worker: OpaqueWorker, server: ServerHalf, setup: Uint8Array) => Promise<void>,
): Promise<void> {
  const worker = new OpaqueWorker();
  try {
    const setup = await createSetup(worker);
    await run(worker, new ServerHalf(worker, setup), setup);
  } finally {
    worker.close();
  }
}

async function recordOf(
  worker: OpaqueWorker,
  server: ServerHalf,
  account: AccountName,
  password: string,
) {
  const client = new ClientHalf(worker, password);
  const begun = await client.startRegistration();
  const response = await server.register(account, begun.request);
  assert.ok(response);
  const record = await client.finishRegistration(begun.state, response);
  assert.ok(record);
  return record;
}

Deno.test("both halves of a login have the same session key, whichever form the password was typed in", async () => {
  await withHalves(async (worker, server) => {
    const record = await recordOf(worker, server, FOX, "caf\u00e9 au lait");
    const client = new ClientHalf(worker, "cafe\u0301 au lait");
    const begun = await client.startLogin();
    const answer = await server.startLogin(FOX, record, begun.request);
    assert.ok(answer);
    const finished = await client.finishLogin(begun.state, answer.ke2);
    assert.ok(finished);
    const sessionKey = await server.finishLogin(answer.state, finished.ke3);
    assert.deepEqual(sessionKey, finished.sessionKey);
    assert.equal(await server.finishLogin(answer.state, finished.ke3.map((b) => b ^ 1)), null);
  });
});

Deno.test("a wrong password and an unknown account are the same to the client, byte for byte in length", async () => {
  await withHalves(async (worker, server) => {
    const record = await recordOf(worker, server, FOX, "the right one");
    const lengths = [];
    for (const known of [record, null]) {
      const client = new ClientHalf(worker, "a wrong one");
      const begun = await client.startLogin();
      const answer = await server.startLogin(FOX, known, begun.request);
      assert.ok(answer);
      lengths.push(answer.ke2.length);
      assert.equal(await client.finishLogin(begun.state, answer.ke2), null);
    }
    assert.deepEqual(lengths, [320, 320]);
  });
});

Deno.test("bytes that are no message of OPAQUE are refused, and the worker goes on", async () => {
  await withHalves(async (worker, server) => {
    // The highest field elements are no encodings of points.
    const nonsense = new Uint8Array(320).fill(0xff);
    assert.equal(await server.startLogin(FOX, null, nonsense.slice(0, 96)), null);
    assert.equal(await server.register(FOX, nonsense.slice(0, 32)), null);
    const client = new ClientHalf(worker, "pw");
    assert.equal(await client.finishLogin((await client.startLogin()).state, nonsense), null);
    const { request } = await client.startLogin();
    assert.ok(await server.startLogin(FOX, null, request));
  });
});

Deno.test("a record is what RFC 9807 gives with the parameters of PROTOCOL §3.3", async () => {
  await withHalves(async (worker, server, setup) => {
    const password = "correct horse";
    const record = await recordOf(worker, server, FOX, password);
    // RFC 9807 §5.1 and §3.2.1, by other people's OPRF, Argon2id and HKDF.
    const text = new TextEncoder();
    const seed = expand(sha512, setup.subarray(0, 64), text.encode("foxOprfKey"), 32);
    const { oprf } = ristretto255_oprf;
    const { secretKey } = oprf.deriveKeyPair(seed, text.encode("OPAQUE-DeriveKeyPair"));
    const blinded = oprf.blind(text.encode(password));
    const output = oprf.finalize(
      text.encode(password),
      blinded.blind,
      oprf.blindEvaluate(secretKey, blinded.blinded),
    );
    const cost = { memoryKiB: 65536, passes: 3, parallelism: 1 };
    const stretched = await argon2id(new Uint8Array(output), new Uint8Array(16), cost, 64);
    const randomized = extract(sha512, new Uint8Array([...output, ...stretched]), new Uint8Array());
    const maskingKey = expand(sha512, randomized, text.encode("MaskingKey"), 64);
    assert.deepEqual(record.subarray(32, 96), new Uint8Array(maskingKey));
  });
});

Deno.test("the proof of a login is for one nonce and one relay", async () => {
  const sessionKey = new Uint8Array(64).fill(7);
  const nonce = challenge(new Uint8Array(32).fill(1));
  const relay = relayKey(new Uint8Array(32).fill(2));
  const proof = await loginProof(sessionKey, nonce, relay);
  // HMAC by hand, from the sentence of PROTOCOL §3.3.
  const { createHmac } = await import("node:crypto");
  const by = createHmac("sha256", sessionKey).update("stm/1 login").update(nonce).update(relay);
  assert.deepEqual(proof, new Uint8Array(by.digest()));
  assert.equal(await isLoginProof(proof, sessionKey, nonce, relay), true);
  const other = new Uint8Array(32).fill(3);
  assert.equal(await isLoginProof(proof, sessionKey, challenge(other), relay), false);
  assert.equal(await isLoginProof(proof, sessionKey, nonce, relayKey(other)), false);
  assert.equal(await isLoginProof(proof, new Uint8Array(64), nonce, relay), false);
});

Deno.test("an account's name is plain and short", () => {
  for (const good of ["a", "fox", "0.fox-2_b", "x".repeat(32)]) assert.ok(isAccountName(good));
  for (const bad of ["", "Fox", "fóx", ".fox", "fox ", "a/b", "x".repeat(33), "fox\n"]) {
    assert.equal(isAccountName(bad), false, bad);
  }
});
