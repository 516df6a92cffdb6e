/** Argon2id (RFC 9106, version 0x13) by WebCrypto, whose parameters the type library does not know yet. */
import type { Bytes } from "./primitives.ts";

/** What one derivation costs. */
export interface Argon2Cost {
  readonly memoryKiB: number;
  readonly passes: number;
  readonly parallelism: number;
}

/** RFC 9106's optional inputs K and X. */
export interface Argon2Extras {
  readonly secret?: Bytes;
  readonly associatedData?: Bytes;
}

/**
 * Derives bytes from a passphrase, off the main thread (64 MiB and 3 passes: 0.25 s).
 *
 * @param salt 8 bytes or more
 * @param length bytes to derive, 4 or more
 * @throws {DOMException} `OperationError` for a cost that RFC 9106 does not allow or that does not fit
 *   into memory: check a stranger's numbers before
 */
export async function argon2id(
  passphrase: Bytes,
  salt: Bytes,
  cost: Argon2Cost,
  length: number,
  extras: Argon2Extras = {},
): Promise<Bytes> {
  const key = await crypto.subtle.importKey("raw-secret", passphrase, { name: "Argon2id" }, false, [
    "deriveBits",
  ]);
  // Names of the "Modern Algorithms in WebCrypto" draft: the salt is called nonce there.
  const params = {
    name: "Argon2id",
    nonce: salt,
    memory: cost.memoryKiB,
    passes: cost.passes,
    parallelism: cost.parallelism,
    ...(extras.secret === undefined ? {} : { secretValue: extras.secret }),
    ...(extras.associatedData === undefined ? {} : { associatedData: extras.associatedData }),
  };
  return new Uint8Array(await crypto.subtle.deriveBits(params, key, length * 8));
}
