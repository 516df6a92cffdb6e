/** One line of input without its line break, or the fact that one was too long to take. */
export type InputLine =
  | { readonly kind: "line"; readonly bytes: Uint8Array }
  | { readonly kind: "too-long" };

const LF = 0x0a;
const CR = 0x0d;

/**
 * Cuts bytes into lines at LF or CRLF, whatever the chunks are. A line that is too long is told
 * once, as soon as it is, and skipped up to its end; no more than the limit is ever kept.
 */
export class LineCutter {
  #maxLineBytes: number;
  #kept: Uint8Array;
  #length = 0;
  #state: "taking" | "over" | "told" = "taking";

  /** Begins with an empty line; `maxLineBytes` is without the line break. */
  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
    this.#kept = new Uint8Array(Math.min(1024, maxLineBytes + 1));
  }

  /** Takes a chunk and gives the lines that are complete now. */
  push(chunk: Uint8Array): InputLine[] {
    const lines: InputLine[] = [];
    let from = 0;
    for (let lf = chunk.indexOf(LF); lf >= 0; lf = chunk.indexOf(LF, from)) {
      this.#keep(chunk.subarray(from, lf));
      lines.push(...this.#take());
      from = lf + 1;
    }
    this.#keep(chunk.subarray(from));
    if (this.#state === "over") {
      this.#state = "told";
      lines.push({ kind: "too-long" });
    }
    return lines;
  }

  /** The input has ended: gives the last line, if it did not end with a line break. */
  end(): InputLine[] {
    return this.#length === 0 ? [] : this.#take();
  }

  #keep(part: Uint8Array): void {
    if (this.#state !== "taking") return;
    const length = this.#length + part.length;
    // One byte more than the limit: it may be the CR of a CRLF.
    if (length > this.#maxLineBytes + 1) {
      this.#length = 0;
      this.#state = "over";
      return;
    }
    if (length > this.#kept.length) {
      const larger = new Uint8Array(Math.min(this.#maxLineBytes + 1, length * 2));
      larger.set(this.#kept.subarray(0, this.#length));
      this.#kept = larger;
    }
    this.#kept.set(part, this.#length);
    this.#length = length;
  }

  #take(): InputLine[] {
    let length = this.#length;
    if (length > 0 && this.#kept[length - 1] === CR) length--;
    const state = this.#state === "taking" && length > this.#maxLineBytes ? "over" : this.#state;
    this.#length = 0;
    this.#state = "taking";
    if (state === "over") return [{ kind: "too-long" }];
    if (state === "told") return [];
    return [{ kind: "line", bytes: this.#kept.slice(0, length) }];
  }
}
