import assert from "node:assert/strict";
import { argon2id as nobleArgon2id } from "@noble/hashes/argon2.js";
import { argon2id } from "../../src/crypto/argon2id.ts";

Deno.test("argon2id() gives the tag of RFC 9106, 5.3", async () => {
  const tag = await argon2id(
    new Uint8Array(32).fill(1),
    new Uint8Array(16).fill(2),
    { memoryKiB: 32, passes: 3, parallelism: 4 },
    32,
    { secret: new Uint8Array(8).fill(3), associatedData: new Uint8Array(12).fill(4) },
  );
  assert.equal(tag.toHex(), "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
});

Deno.test("argon2id() agrees with @noble/hashes over costs, lengths and salts", async () => {
  const cases = [
    { memoryKiB: 8, passes: 1, parallelism: 1, length: 4, salt: 8 },
    { memoryKiB: 64, passes: 2, parallelism: 1, length: 32, salt: 16 },
    { memoryKiB: 128, passes: 3, parallelism: 2, length: 64, salt: 32 },
    { memoryKiB: 257, passes: 1, parallelism: 4, length: 77, salt: 16 },
  ];
  for (const { length, salt: saltBytes, ...cost } of cases) {
    const passphrase = crypto.getRandomValues(new Uint8Array(cost.passes * 7));
    const salt = crypto.getRandomValues(new Uint8Array(saltBytes));
    const ours = await argon2id(passphrase, salt, cost, length);
    const theirs = nobleArgon2id(passphrase, salt, {
      m: cost.memoryKiB,
      t: cost.passes,
      p: cost.parallelism,
      dkLen: length,
    });
    assert.equal(ours.toHex(), theirs.toHex(), JSON.stringify(cost));
  }
});

Deno.test("argon2id() leaves the main thread free", async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await argon2id(
    new Uint8Array(8),
    new Uint8Array(16),
    { memoryKiB: 65536, passes: 3, parallelism: 1 },
    32,
  );
  clearInterval(timer);
  assert.ok(turns > 1, "no other turn ran during the derivation");
});
