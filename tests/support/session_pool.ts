/** Session keys for tests with many participants: RSA-3072 takes up to a second each to make. */
import {
  generateSessionKeys,
  generateSigningKey,
  type SessionKeys,
} from "../../src/crypto/session_keys.ts";

const PAIRS = 2;
const pool: Promise<SessionKeys>[] = [];
let given = 0;

/**
 * Session keys for `n` participants. Each has an Ed25519 key of its own; they share a few RSA pairs, made
 * once a process. That is safe for what tests claim: a wrap also needs an ML-KEM key, which nobody shares,
 * and an RSA label that names the member.
 */
export async function pooledSessionKeys(n: number): Promise<SessionKeys[]> {
  return await Promise.all(Array.from({ length: n }, async () => {
    const i = given++ % PAIRS;
    const pair = pool[i] ??= generateSessionKeys();
    return { ...await pair, signing: await generateSigningKey() };
  }));
}
