import assert from "node:assert/strict";
import { CommitMemory } from "../../src/crypto/commit_memory.ts";
import { sign, systemRandom } from "../../src/crypto/primitives.ts";
import { generateSigningKey } from "../../src/crypto/session_keys.ts";
import { type Commit, COMMIT_BODY } from "../../src/wire/commit.ts";
import {
  epoch as epochOf,
  epochHash,
  hash,
  identityKey,
  roomId,
  runId,
  signature,
} from "../../src/wire/ids.ts";
import { type Signed, signedOf } from "../../src/wire/signed.ts";

const admin = await generateSigningKey();
const adminKey = identityKey(admin.publicKey);

function commit(epoch: number, boxBytes = 32, by = admin): Signed<Commit> {
  const zero = new Uint8Array(32);
  const box = new Uint8Array(boxBytes);
  box.set(systemRandom(16));
  const value: Commit = {
    suite: 1,
    room: roomId(new Uint8Array(16)),
    epoch: epochOf(epoch),
    prev: epochHash(zero),
    runId: runId(new Uint8Array(16)),
    kc: hash(zero),
    rosterKc: hash(zero),
    wraps: [],
    rosterBox: box,
  };
  const { body } = signedOf(COMMIT_BODY, value, signature(new Uint8Array(64)));
  return signedOf(COMMIT_BODY, value, signature(sign(by.privateKey, "commit", body)));
}

Deno.test("CommitMemory tells a repetition from a second commit, for the last 64 epochs", () => {
  const memory = new CommitMemory();
  const all = Array.from({ length: 70 }, (_, i) => commit(i + 1));
  for (const one of all) memory.add(one);
  const known = all.map((one) => memory.isSame(one));
  assert.deepEqual(known, [...Array(6).fill(undefined), ...Array(64).fill(true)]);
  assert.equal(memory.isSame(commit(70)), false);
});

Deno.test("CommitMemory keeps 1 MiB of commits whole, and of the older ones what tells a fork", () => {
  const memory = new CommitMemory();
  for (let i = 1; i <= 5; i++) memory.add(commit(i, 300_000));
  const proves = [1, 2, 3, 4, 5].map((i) => memory.against(i, commit(i), adminKey) !== null);
  assert.deepEqual(proves, [false, false, true, true, true]);
  assert.equal(memory.isSame(commit(1)), false);
});

Deno.test("CommitMemory gives no evidence of two commits by two admins", async () => {
  const memory = new CommitMemory();
  memory.add(commit(1));
  const other = await generateSigningKey();
  const another = commit(1, 32, other);
  assert.equal(memory.against(1, another, identityKey(other.publicKey)), null);
  assert.deepEqual(memory.against(1, commit(1), adminKey)?.admin, adminKey);
});
