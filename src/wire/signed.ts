/**
 * Structures that end in a signature over all before it.
 *
 * @module
 */
import { type Bytes, type Codec, decode, encode, Writer } from "./codec.ts";
import { SIGNATURE, type Signature } from "./ids.ts";

/** A structure with its signature and the very bytes that were signed. */
export interface Signed<T> {
  /** The fields; true only if the signature holds. */
  readonly value: T;
  /** The bytes before the signature, exactly as they came. */
  readonly body: Bytes;
  /** Over the body; nothing here has verified it. */
  readonly signature: Signature;
}

/**
 * Codec of `body ‖ signature bytes[64]`. Encoding writes `body` as it is and ignores `value`, so
 * what a verifier checked is what is passed on.
 */
export function signed<T>(body: Codec<T>): Codec<Signed<T>> {
  return {
    encode(w, message) {
      w.raw(message.body);
      SIGNATURE.encode(w, message.signature);
    },
    decode(r) {
      const start = r.offset;
      const value = body.decode(r);
      return { value, body: r.since(start), signature: SIGNATURE.decode(r) };
    },
  };
}

/**
 * Decodes `body ‖ signature` that fills `bytes` exactly.
 *
 * @param body codec of what was signed
 * @throws {WireError} if the bytes are no such structure; the signature is not looked at
 */
export function decodeSigned<T>(body: Codec<T>, bytes: Uint8Array, what?: string): Signed<T> {
  return decode(signed(body), bytes, what);
}

/** Joins a body, encoded before it was signed, and its signature. */
export function encodeSigned(body: Uint8Array, signature: Signature): Bytes {
  const w = new Writer(body.length + 64);
  w.raw(body);
  SIGNATURE.encode(w, signature);
  return w.finish();
}

/** A signed structure of ours, from its fields and the signature over `encode(body, value)`. */
export function signedOf<T>(body: Codec<T>, value: T, signature: Signature): Signed<T> {
  return { value, body: encode(body, value), signature };
}

/** Everything that is signed. §1 */
export const SIGNATURE_KINDS = [
  "key-change",
  "enter",
  "ticket",
  "hello",
  "cert",
  "deny",
  "commit",
  "kem",
  "kem-ack",
  "catch-up",
  "caught-up",
  "transfer",
  "grant",
  "claim",
  "keys",
  "owner",
  "repair",
  "view-request",
  "view",
  "msg",
] as const;

/** What a signature is for; a signature of one kind is worth nothing as another. §1 */
export type SignatureKind = (typeof SIGNATURE_KINDS)[number];

/**
 * The bytes that Ed25519 signs: `"stm/1 " ‖ kind ‖ 0x00 ‖ body`.
 *
 * @see docs/PROTOCOL.md §1
 */
export function signatureInput(kind: SignatureKind, body: Uint8Array): Bytes {
  const prefix = PREFIXES.get(kind) ?? prefixOf(kind);
  const w = new Writer(prefix.length + body.length);
  w.raw(prefix);
  w.raw(body);
  return w.finish();
}

function prefixOf(kind: SignatureKind): Bytes {
  return new TextEncoder().encode(`stm/1 ${kind}\0`);
}

const PREFIXES: ReadonlyMap<SignatureKind, Bytes> = new Map(
  SIGNATURE_KINDS.map((kind) => [kind, prefixOf(kind)]),
);
