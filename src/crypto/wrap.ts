/** Wraps: S for one member, under RSA and ML-KEM together (PROTOCOL §7, P8). */
import { wrapContextInput, wrapKeyInfo, wrapTagInput } from "../wire/contexts.ts";
import { SUITE } from "../wire/commit.ts";
import {
  type Epoch,
  type Hash,
  hash,
  type IdentityKey,
  kemCiphertext,
  type KemKey,
  type RoomId,
  type Wrap,
  wrapBytes,
  type WrapTag,
  wrapTag,
} from "../wire/ids.ts";
import {
  type Bytes,
  concat,
  CryptoError,
  gcmOpen,
  gcmSeal,
  hkdf,
  type RandomSource,
  sha256,
} from "./primitives.ts";
import { rsaDecrypt, rsaEncrypt } from "./session_keys.ts";
import { kemDecapsulate, kemEncapsulate, type KemKeyPair } from "./ml_kem.ts";

const CT_R_BYTES = 384;
const CT_M_BYTES = 1088;

/** What a wrap is bound to, apart from the member's own part. */
export interface WrapPlace {
  readonly room: RoomId;
  readonly epoch: Epoch;
  readonly admin: IdentityKey;
}

/** Whose wrap it is. */
export interface WrapMember {
  readonly identity: IdentityKey;
  readonly certHash: Hash;
}

/** `ctx` of PROTOCOL §7, 32 bytes. */
export function wrapContext(place: WrapPlace, member: WrapMember, kemKey: KemKey): Hash {
  return hash(sha256(wrapContextInput({ suite: SUITE, ...place, ...member, kemKey })));
}

/** The tag under which a commit lists a wrap. */
export function tagOf(ctx: Hash): WrapTag {
  return wrapTag(sha256(wrapTagInput(ctx)).subarray(0, 16));
}

/** KEK of PROTOCOL §7 from what RSA and ML-KEM carried. */
export function wrapKey(
  ctx: Hash,
  r: Uint8Array,
  s: Uint8Array,
  ctR: Uint8Array,
  ctM: Uint8Array,
): Bytes {
  const ikm = concat(r, s);
  const key = hkdf(ikm, sha256(ctR, ctM), wrapKeyInfo(ctx), 32);
  ikm.fill(0);
  return key;
}

/** Wraps S for one member. */
export async function makeWrap(
  ctx: Hash,
  rsaKey: CryptoKey,
  kemKey: KemKey,
  secret: Bytes,
  random: RandomSource,
): Promise<Wrap> {
  const r = random(32);
  const [ctR, { ciphertext: ctM, shared: s }] = await Promise.all([
    rsaEncrypt(rsaKey, ctx, r),
    kemEncapsulate(kemKey),
  ]);
  const key = wrapKey(ctx, r, s, ctR, ctM);
  const wrap = wrapBytes(concat(ctR, ctM, gcmSeal(key, ctx, secret)));
  for (const spent of [r, s, key]) spent.fill(0);
  return wrap;
}

/**
 * Opens a wrap whose hash an authentic commit lists.
 *
 * @returns S
 * @throws {CryptoError} `open-failed`
 */
export async function openWrap(
  ctx: Hash,
  rsaKey: CryptoKey,
  kemKey: KemKeyPair,
  wrap: Wrap,
): Promise<Bytes> {
  const ctR = wrap.slice(0, CT_R_BYTES);
  const ctM = kemCiphertext(wrap.subarray(CT_R_BYTES, CT_R_BYTES + CT_M_BYTES));
  const [r, s] = await Promise.all([
    rsaDecrypt(rsaKey, ctx, ctR),
    kemDecapsulate(kemKey.privateKey, ctM),
  ]);
  // r ‖ s has one reading only if r has its length.
  if (r.length !== 32) throw new CryptoError("open-failed", "RSA-OAEP carried no r");
  const key = wrapKey(ctx, r, s, ctR, ctM);
  const secret = gcmOpen(key, ctx, wrap.subarray(CT_R_BYTES + CT_M_BYTES));
  for (const spent of [r, s, key]) spent.fill(0);
  return secret;
}
