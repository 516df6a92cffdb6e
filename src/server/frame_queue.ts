const NOTHING = new Uint8Array();

/** Frames that wait for one connection alone, each with the place in a log behind which it belongs. */
export class FrameQueue {
  #frames: Uint8Array[] = [];
  #places: number[] = [];
  /** Those before it are spent: to move all others up for each that leaves would cost their number. */
  #first = 0;
  #bytes = 0;

  /** Bytes of all of them. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The place of the first; undefined if there is none. */
  get place(): number | undefined {
    return this.#places[this.#first];
  }

  /** Adds one behind the others. Not copied. */
  push(frame: Uint8Array, place = 0): void {
    this.#frames.push(frame);
    this.#places.push(place);
    this.#bytes += frame.length;
  }

  /** Takes the first, if there is one and it has at most so many bytes. */
  shift(most: number): Uint8Array | null {
    const frame = this.#frames[this.#first];
    if (frame === undefined || frame.length > most) return null;
    this.#bytes -= frame.length;
    this.#frames[this.#first++] = NOTHING;
    if (this.#first === this.#frames.length) this.clear();
    else if (this.#first > 1024 && this.#first > this.#frames.length / 2) {
      this.#frames.splice(0, this.#first);
      this.#places.splice(0, this.#first);
      this.#first = 0;
    }
    return frame;
  }

  /** Forgets all of them. */
  clear(): void {
    this.#frames = [];
    this.#places = [];
    this.#first = this.#bytes = 0;
  }
}
