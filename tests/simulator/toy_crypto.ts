/**
 * Patches that make the public-key parts of the program cheap and synchronous: ML-KEM and RSA. Everything else is as
 * it is: signatures, chains, seals, hashes. A toy key still opens only what was made for it, so a wrap that goes to
 * the wrong member, or is made for a key that is gone, does not open here either. How long each takes the simulation
 * says, see turns.ts.
 */
import type { Patch } from "../support/patched_copy.ts";

const TAKES_TIME =
  "await (globalThis as { simulatedWork?: () => Promise<void> }).simulatedWork?.();\n";

const KEM = "src/crypto/ml_kem.ts";
const SESSION = "src/crypto/session_keys.ts";

/** For `copyProgram`. */
export const TOY_CRYPTO: readonly Patch[] = [
  {
    name: "toy key pair",
    file: KEM,
    from:
      `  const pair = await subtle.generateKey(ML_KEM, false, ["encapsulateBits", "decapsulateBits"]);
  const publicKey = new Uint8Array(await subtle.exportKey("raw-public", pair.publicKey));
  return { publicKey: kemKey(publicKey), privateKey: pair.privateKey };`,
    to: `  ${TAKES_TIME}  const publicKey = new Uint8Array(1184);
  crypto.getRandomValues(publicKey.subarray(1152));
  return { publicKey: kemKey(publicKey), privateKey: publicKey as never };`,
  },
  {
    name: "toy encapsulation",
    file: KEM,
    from:
      `  const imported = await subtle.importKey("raw-public", key, ML_KEM, false, ["encapsulateBits"]);
  const { ciphertext, sharedKey } = await subtle.encapsulateBits(ML_KEM, imported);
  return {
    ciphertext: kemCiphertext(new Uint8Array(ciphertext)),
    shared: new Uint8Array(sharedKey),
  };`,
    to: `  ${TAKES_TIME}  const ciphertext = new Uint8Array(1088);
  crypto.getRandomValues(ciphertext.subarray(0, 32));
  return { ciphertext: kemCiphertext(ciphertext), shared: sha256(key, ciphertext) };`,
  },
  {
    name: "toy decapsulation",
    file: KEM,
    from: `  return new Uint8Array(await subtle.decapsulateBits(ML_KEM, key, ciphertext));`,
    to: `  ${TAKES_TIME}  return sha256(key as never, ciphertext);`,
  },
  {
    name: "toy imports",
    file: KEM,
    from: `import { type Bytes, CryptoError } from "./primitives.ts";`,
    to: `import { type Bytes, CryptoError, sha256 } from "./primitives.ts";`,
  },
  {
    name: "toy RSA key",
    file: SESSION,
    from:
      `  return await crypto.subtle.importKey("spki", new Uint8Array(spki), RSA, false, ["encrypt"]);`,
    to: `  return {} as CryptoKey;`,
  },
  {
    name: "toy RSA encryption",
    file: SESSION,
    from: `  return new Uint8Array(await crypto.subtle.encrypt(oaepParams(ctx), key, secret));`,
    to: `  const sealed = new Uint8Array(384);
  sealed.set(secret);
  sealed.set(ctx, 32);
  return sealed;`,
  },
  {
    name: "toy RSA decryption",
    file: SESSION,
    from: `    return new Uint8Array(await crypto.subtle.decrypt(oaepParams(ctx), key, sealed));`,
    to:
      `    ${TAKES_TIME}    if (!ctx.every((byte, i) => byte === sealed[32 + i])) throw new Error("another label");
    return sealed.slice(0, 32);`,
  },
  {
    // How long the machine takes for something is no part of a seed.
    name: "no breath by the wall clock",
    file: "src/driver/breath.ts",
    from: `now - this.#since >= MAX_WORK_MS`,
    to: `now - this.#since === Infinity`,
  },
];
