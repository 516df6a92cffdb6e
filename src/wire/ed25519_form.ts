/**
 * The form that Ed25519 keys and signatures must have (PROTOCOL §1), checked on the bytes alone.
 * Runtimes differ in what they let pass: this one verifies under small-order keys, under which one
 * signature fits every message. So both the relay and the participants look here first.
 */

/** p = 2^255 − 19 and the group order L, little-endian. */
const P = fromHexLe("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed");
const L = fromHexLe("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed");

/** y coordinates of the eight points of small order, without the sign bit, little-endian. */
const SMALL_ORDER_Y = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0000000000000000000000000000000000000000000000000000000000000001",
  "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffec",
  "05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826",
  "7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7",
].map(fromHexLe);

function fromHexLe(hex: string): Uint8Array {
  return Uint8Array.fromHex(hex).reverse();
}

/** Whether 32 little-endian bytes are a number below L. Public values only: not constant-time. */
function isBelowOrder(bytes: Uint8Array, at: number): boolean {
  for (let i = L.length - 1; i >= 0; i--) {
    const x = bytes[at + i] ?? 0;
    const y = L[i] ?? 0;
    if (x !== y) return x < y;
  }
  return false;
}

/** Whether the y coordinate of a point, 255 bits without the sign bit of x, is below p: p's bytes are ff but for two. */
function isCanonicalY(point: Uint8Array): boolean {
  if (((point[31] ?? 0) & 0x7f) !== P[31]) return true;
  for (let i = 30; i > 0; i--) if (point[i] !== P[i]) return true;
  return (point[0] ?? 0) < (P[0] ?? 0);
}

function hasY(point: Uint8Array, y: Uint8Array | undefined): boolean {
  if (y === undefined || ((point[31] ?? 0) & 0x7f) !== y[31]) return false;
  for (let i = 0; i < 31; i++) if (point[i] !== y[i]) return false;
  return true;
}

function isPointForm(point: Uint8Array): boolean {
  if (!isCanonicalY(point)) return false;
  // x = 0 has no negative: a sign bit on y = 1 or y = −1 is a second encoding of the same point.
  const negative = ((point[31] ?? 0) & 0x80) !== 0;
  return !(negative && (hasY(point, SMALL_ORDER_Y[1]) || hasY(point, SMALL_ORDER_Y[2])));
}

/**
 * Whether bytes can be an Ed25519 public key that we accept: 32 bytes, canonical, not of small order.
 * Whether they are a point on the curve at all is found by the verification that follows.
 */
export function isPublicKeyForm(key: Uint8Array): boolean {
  return key.length === 32 && isPointForm(key) && !SMALL_ORDER_Y.some((y) => hasY(key, y));
}

/** Whether bytes can be a signature that we accept: 64 bytes, R canonical, S below the group order. */
export function isSignatureForm(signature: Uint8Array): boolean {
  return signature.length === 64 && isPointForm(signature) && isBelowOrder(signature, 32);
}
