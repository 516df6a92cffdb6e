/** Large enough that a writer is mostly inside a write when it is killed. */
const WORDS = 64 * 1024;

/** A file's content in which every word says which generation wrote it; its length varies too. */
export function generationBytes(generation: number): Uint8Array {
  return new Uint8Array(new Uint32Array(WORDS + generation % 7).fill(generation).buffer);
}

/** The generation that wrote these bytes, or `undefined` if no single one did. */
export function generationOf(bytes: Uint8Array): number | undefined {
  if (bytes.length < 4 || bytes.length % 4 !== 0) return undefined;
  const generation = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const whole = generationBytes(generation);
  if (whole.length !== bytes.length) return undefined;
  return whole.every((byte, i) => byte === bytes[i]) ? generation : undefined;
}
