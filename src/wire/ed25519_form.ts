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

/** a < b for little-endian numbers of equal length. Public values only: not constant-time. */
function below(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = a.length - 1; i >= 0; i--) {
    const x = a[i] ?? 0;
    const y = b[i] ?? 0;
    if (x !== y) return x < y;
  }
  return false;
}

/** The y coordinate: 255 bits, the sign bit of x taken off. */
function yOf(point: Uint8Array): Uint8Array {
  const y = point.slice();
  y[31] = (y[31] ?? 0) & 0x7f;
  return y;
}

function isPointForm(point: Uint8Array): boolean {
  if (point.length !== 32) return false;
  const y = yOf(point);
  if (!below(y, P)) return false;
  // x = 0 has no negative: a sign bit on y = 1 or y = −1 is a second encoding of the same point.
  const negative = ((point[31] ?? 0) & 0x80) !== 0;
  const xIsZero = [1, 2].some((i) => equal(y, SMALL_ORDER_Y[i]));
  return !(negative && xIsZero);
}

function equal(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && a.length === b.length && a.every((x, i) => x === b[i]);
}

/**
 * Whether bytes can be an Ed25519 public key that we accept: 32 bytes, canonical, not of small order.
 * Whether they are a point on the curve at all is found by the verification that follows.
 */
export function isPublicKeyForm(key: Uint8Array): boolean {
  return isPointForm(key) && !SMALL_ORDER_Y.some((y) => equal(yOf(key), y));
}

/** Whether bytes can be a signature that we accept: 64 bytes, R canonical, S below the group order. */
export function isSignatureForm(signature: Uint8Array): boolean {
  return signature.length === 64 && isPointForm(signature.subarray(0, 32)) &&
    below(signature.subarray(32), L);
}
