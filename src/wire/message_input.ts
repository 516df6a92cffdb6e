/**
 * @see docs/PROTOCOL.md §1, §8
 * @module
 */
import { type Bytes, writeU32, writeU64 } from "./codec.ts";
import { messageAad, messageSignedBody } from "./contexts.ts";
import { type Epoch, type EpochHash, type Leaf, leaf as leafOf, type RoomId } from "./ids.ts";
import { signatureInput } from "./signed.ts";

/** Room for the content of a usual text; a longer one has a buffer of its own. */
const KEPT_CONTENT_BYTES = 1024;

/**
 * What the messages of an epoch are sealed with and what their signatures cover, in one buffer for all of them:
 * `signatureInput("msg", messageSignedBody(messageAad(place), type, content))`, of which only leaf, number, type
 * and content change. Made of its parts for each message it costs four buffers.
 */
export class MessageInput {
  /** `messageAad` of the place that was chosen last: a view, overwritten by the next choice. */
  readonly aad: Bytes;
  readonly #buffer: Bytes;
  /** Where the type is, behind the AAD. */
  readonly #typeAt: number;
  /** Where the content ends. */
  #filled: number;

  /** Begins with leaf 0, number 0. */
  constructor(place: { readonly room: RoomId; readonly h: EpochHash; readonly epoch: Epoch }) {
    const aad = messageAad({ ...place, leaf: leafOf(0), n: 0 });
    const before = signatureInput("msg", messageSignedBody(aad, 0, new Uint8Array(0)));
    this.#typeAt = before.length - 1;
    this.#filled = this.#typeAt;
    this.#buffer = new Uint8Array(before.length + KEPT_CONTENT_BYTES);
    this.#buffer.set(before);
    this.aad = this.#buffer.subarray(this.#typeAt - aad.length, this.#typeAt);
  }

  /** Chooses the message. @throws {RangeError} if a number does not fit */
  choose(leaf: Leaf, n: number): void {
    const at = this.#typeAt - 12;
    writeU64(this.#buffer, at + 4, n);
    writeU32(this.#buffer, at, leaf);
  }

  /**
   * What the signature of the chosen message covers.
   *
   * @returns a view until {@linkcode wipe}, or the next call
   */
  signed(type: number, content: Uint8Array): Bytes {
    this.wipe();
    const contentAt = this.#typeAt + 1;
    const end = contentAt + content.length;
    if (end > this.#buffer.length) {
      const longer = new Uint8Array(end);
      longer.set(this.#buffer.subarray(0, contentAt));
      longer[this.#typeAt] = type;
      longer.set(content, contentAt);
      return longer;
    }
    this.#buffer[this.#typeAt] = type;
    this.#buffer.set(content, contentAt);
    this.#filled = end;
    return this.#buffer.subarray(0, end);
  }

  /** Forgets the content that was put in last. */
  wipe(): void {
    this.#buffer.fill(0, this.#typeAt, this.#filled);
    this.#filled = this.#typeAt;
  }
}
