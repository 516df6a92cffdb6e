/** Joining (PROTOCOL §6): HELLO and BUNDLE, both halves, and what ties them together. */
import {
  bundleKeyInfo,
  inviteIdInfo,
  inviteMacInput,
  inviteMacKeyInfo,
  wrapKeysInput,
} from "../wire/contexts.ts";
import {
  type Bundle,
  BUNDLE_INNER,
  type BundleInner,
  CERT_BODY,
  type Hello,
  HELLO_BODY,
} from "../wire/handshake.ts";
import {
  type Fingerprint,
  fingerprint,
  type GateKey,
  type Generation,
  generation,
  type Hash,
  hash,
  type IdentityKey,
  identityKey,
  type InviteId,
  inviteId,
  type InviteSecret,
  type JoinNonce,
  type KemKey,
  NO_INVITE,
  type RoomId,
  type RunId,
  sameBytes,
  sessionKey,
  signature,
} from "../wire/ids.ts";
import { fingerprintInput } from "../wire/room_id.ts";
import { decode, encode } from "../wire/codec.ts";
import { encodeSigned, type Signed, signedOf } from "../wire/signed.ts";
import { PROTOCOL_VERSION } from "../wire/relay_message.ts";
import {
  type Bytes,
  CryptoError,
  derive,
  gcmOpen,
  gcmSeal,
  hkdf,
  hmac,
  sameSecret,
  sha256,
  sign,
  verifyRaw,
} from "./primitives.ts";
import { type MemberLeaf, verifyCert } from "./roster.ts";
import { importRsaPublicKey, type SigningKey } from "./session_keys.ts";
import { checkKemKey, kemDecapsulate, kemEncapsulate, type KemKeyPair } from "./ml_kem.ts";
import type { WrapKeys } from "./make_commit.ts";

/** Lowest and highest version of the room layer that we speak. */
const VERSIONS = { minVersion: PROTOCOL_VERSION, maxVersion: PROTOCOL_VERSION };

/** What people compare of a key (PROTOCOL §4). */
export function fingerprintOf(key: Uint8Array): Fingerprint {
  return fingerprint(sha256(fingerprintInput(key)).subarray(0, 16));
}

/** The id under which an admin keeps an invite. */
export function inviteIdOf(secret: InviteSecret): InviteId {
  return inviteId(derive(secret, inviteIdInfo(), 8));
}

function inviteMac(secret: InviteSecret, cert: Bytes): Bytes {
  return hmac(derive(secret, inviteMacKeyInfo(), 32), inviteMacInput(cert));
}

/**
 * A generation for an identity that used `last` at the most (PROTOCOL §6).
 *
 * @param now milliseconds since 1970: an old copy of a profile does not bring old generations back
 */
export function nextGeneration(last: number, now: number): Generation {
  return generation(Math.max(last + 1, now));
}

/** The admin's greeting of one handle. */
export function makeHello(
  room: RoomId,
  admin: SigningKey,
  runId: RunId,
  na: JoinNonce,
  oneUse: KemKey,
): Signed<Hello> {
  const value: Hello = {
    ...VERSIONS,
    room,
    admin: identityKey(admin.publicKey),
    runId,
    na,
    kemKey: oneUse,
  };
  const body = encode(HELLO_BODY, value);
  return signedOf(HELLO_BODY, value, signature(sign(admin.privateKey, "hello", body)));
}

/**
 * Checks an admin's greeting.
 *
 * @param expected the invite's fingerprint of the admin, or `null` in an open room at the first contact
 * @throws {OtherAdmin} if it is signed by somebody else than the admin expected
 * @throws {CryptoError} `bad-signature`, `bad-key`, or `bad-structure` for another room or no common version
 */
export function checkHello(
  hello: Signed<Hello>,
  room: RoomId,
  expected: Fingerprint | null,
): void {
  const { value, body, signature } = hello;
  if (!sameBytes(value.room, room)) {
    throw new CryptoError("bad-structure", "a HELLO is of another room");
  }
  if (!verifyRaw(value.admin, "hello", body, signature)) {
    throw new CryptoError("bad-signature", "a HELLO is not signed by the admin it names");
  }
  const found = fingerprintOf(value.admin);
  if (expected !== null && !sameBytes(found, expected)) throw new OtherAdmin(found, expected);
  if (value.minVersion > VERSIONS.maxVersion || value.maxVersion < VERSIONS.minVersion) {
    throw new CryptoError("bad-structure", "the admin speaks no version that we speak");
  }
  checkKemKey(value.kemKey);
}

/** Somebody greets as the admin of a room whose admin is another (P2). */
export class OtherAdmin extends CryptoError {
  constructor(readonly found: Fingerprint, readonly expected: Fingerprint) {
    super("bad-structure", "a HELLO is not from this room's admin");
  }
}

/** What a CERT is made of, apart from room and admin. */
export interface CertPlan {
  readonly room: RoomId;
  readonly admin: IdentityKey;
  readonly na: JoinNonce;
  readonly identity: SigningKey;
  readonly generation: Generation;
  readonly sessionPublic: Uint8Array;
  readonly gateKey: GateKey;
  readonly rsaSpki: Bytes;
  readonly kemKey: KemKey;
  readonly name: string;
}

/** A signed CERT. */
export function makeCert(plan: CertPlan): Bytes {
  const body = encode(CERT_BODY, {
    ...VERSIONS,
    room: plan.room,
    admin: plan.admin,
    na: plan.na,
    identity: identityKey(plan.identity.publicKey),
    generation: plan.generation,
    sessionKey: sessionKey(plan.sessionPublic),
    gateKey: plan.gateKey,
    wrapHash: wrapHashOf(plan.rsaSpki, plan.kemKey),
    name: plan.name,
  });
  return encodeSigned(body, signature(sign(plan.identity.privateKey, "cert", body)));
}

function wrapHashOf(rsaSpki: Uint8Array, kemKey: KemKey): Hash {
  return hash(sha256(wrapKeysInput(rsaSpki, kemKey)));
}

/** Seals our CERT and keys to the admin's one-use key. */
export async function makeBundle(
  hello: Hello,
  cert: Bytes,
  keys: { readonly rsaSpki: Bytes; readonly kemKey: KemKey },
  invite: InviteSecret | null,
): Promise<Bundle> {
  const { ciphertext, shared } = await kemEncapsulate(hello.kemKey);
  const inner = encode(BUNDLE_INNER, {
    cert,
    ...keys,
    inviteId: invite === null ? NO_INVITE : inviteIdOf(invite),
    mac: invite === null ? new Uint8Array(32) : inviteMac(invite, cert),
  });
  const box = gcmSeal(
    hkdf(shared, sha256(ciphertext), bundleKeyInfo(hello.room, hello.na), 32),
    hello.room,
    inner,
  );
  shared.fill(0);
  return { na: hello.na, ciphertext, box };
}

/** A bundle that has passed every check; who may come in is decided elsewhere. */
export interface OpenedBundle {
  /** `leaf` and `via` are not yet known. */
  readonly member: Omit<MemberLeaf, "leaf" | "via">;
  readonly wrapKeys: WrapKeys;
  /** The invite whose MAC held; `null` without one, "unknown" for one that is not ours, or no more. */
  readonly invite: InviteId | "unknown" | null;
}

/**
 * Opens and checks a joiner's bundle, in the order of PROTOCOL §6.4.
 *
 * @param oneUse the key of the HELLO that the bundle's `na` belongs to
 * @param highestGeneration the highest g accepted from an identity, −1 for none
 * @param secretOf an invite's secret by its id
 * @throws {CryptoError} `open-failed` also for a MAC that does not hold; `bad-key`, `bad-signature`;
 *   `bad-structure` for a CERT of another HELLO or other keys, or a generation that is not new
 * @throws {WireError}
 */
export async function openBundle(
  bundle: Bundle,
  oneUse: KemKeyPair,
  place: { readonly room: RoomId; readonly admin: IdentityKey },
  highestGeneration: (identity: IdentityKey) => number,
  secretOf: (id: InviteId) => InviteSecret | undefined,
): Promise<OpenedBundle> {
  const shared = await kemDecapsulate(oneUse.privateKey, bundle.ciphertext);
  const inner: BundleInner = decode(
    BUNDLE_INNER,
    gcmOpen(
      hkdf(shared, sha256(bundle.ciphertext), bundleKeyInfo(place.room, bundle.na), 32),
      place.room,
      bundle.box,
    ),
    "bundle",
  );
  shared.fill(0);
  const member = verifyCert(
    { leaf: FIRST_LEAF, via: "approved", cert: inner.cert },
    place.room,
    [place.admin],
  );
  if (!sameBytes(member.value.na, bundle.na)) {
    throw new CryptoError("bad-structure", "a CERT answers another HELLO");
  }
  if (!sameBytes(member.value.wrapHash, wrapHashOf(inner.rsaSpki, inner.kemKey))) {
    throw new CryptoError("bad-structure", "a CERT is for other keys");
  }
  const rsa = await importRsaPublicKey(inner.rsaSpki);
  checkKemKey(inner.kemKey);
  if (member.value.generation <= highestGeneration(member.value.identity)) {
    throw new CryptoError("bad-structure", "a CERT is not newer than the last of its identity");
  }
  let invite: OpenedBundle["invite"] = null;
  if (!sameBytes(inner.inviteId, NO_INVITE)) {
    const secret = secretOf(inner.inviteId);
    if (secret !== undefined && !sameSecret(inviteMac(secret, inner.cert), inner.mac)) {
      throw new InviteRefused();
    }
    invite = secret === undefined ? "unknown" : inner.inviteId;
  }
  return { member, wrapKeys: { rsa, kem: inner.kemKey }, invite };
}

/** The bundle is sound, but does not know the secret of the invite that it names. */
export class InviteRefused extends CryptoError {
  constructor() {
    super("open-failed", "the MAC of the invite does not hold");
  }
}

/** Placeholder for verifying a CERT before it has a leaf. */
const FIRST_LEAF = 0 as MemberLeaf["leaf"];
