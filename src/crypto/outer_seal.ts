import { type Direction, headerKeyInfo, outerKeyInfo } from "../wire/contexts.ts";
import type { RoomId, RoomSecret } from "../wire/ids.ts";
import {
  decodePayloadHeader,
  encodePayloadHeader,
  joinPayload,
  PAYLOAD_HEADER_BYTES,
  type PayloadHeader,
  SEALED_SALT_BYTES,
  splitPayload,
} from "../wire/payload.ts";
import {
  decodeSealedMessage,
  encodeSealedMessage,
  SEALED_TYPES,
  type SealedContents,
  type SealedKind,
  type SealedMessage,
  type UnknownSealedMessage,
} from "../wire/sealed_message.ts";
import {
  type Bytes,
  derive,
  gcmOpen,
  gcmSeal,
  hkdf,
  type RandomSource,
  ShortCtr,
} from "./primitives.ts";

/**
 * What the room secret does (PROTOCOL §5): it hides headers and the handshake from the relay and from
 * strangers. Everybody who was ever invited has it, so it proves nothing.
 */
export class OuterSeal {
  readonly room: RoomId;
  /** For WELCOME and the profile; read nowhere else. */
  readonly secret: RoomSecret;
  readonly #mask: ShortCtr;

  constructor(room: RoomId, secret: RoomSecret) {
    this.room = room;
    this.secret = secret;
    this.#mask = new ShortCtr(derive(secret, headerKeyInfo(room), 32));
  }

  /** A payload: the masked header, then the body (at least 32 bytes, of which 16 choose the mask). */
  payload(header: PayloadHeader, body: Uint8Array): Bytes {
    const payload = joinPayload(new Uint8Array(PAYLOAD_HEADER_BYTES), body);
    this.mask(payload, header);
    return payload;
  }

  /** Puts the masked header in front of a body that is in its place already. @throws {WireError} without one */
  mask(payload: Bytes, header: PayloadHeader): void {
    const { maskedHeader, body } = splitPayload(payload);
    maskedHeader.set(this.#mask.apply(body.subarray(0, 16), encodePayloadHeader(header)));
  }

  /** The header, or `undefined` if another secret masked it. */
  unmask(maskedHeader: Uint8Array, body: Uint8Array): PayloadHeader | undefined {
    return decodePayloadHeader(this.#mask.apply(body.subarray(0, 16), maskedHeader));
  }

  /** Seals one message of the handshake or of the epochs into a payload. */
  seal<K extends SealedKind>(kind: K, content: SealedContents[K], random: RandomSource): Bytes {
    const salt = random(SEALED_SALT_BYTES);
    const key = hkdf(this.secret, salt, outerKeyInfo(SEALED_TYPES[kind].direction), 32);
    const plaintext = encodeSealedMessage(kind, content);
    const before = PAYLOAD_HEADER_BYTES + SEALED_SALT_BYTES;
    const payload = gcmSeal(key, this.room, plaintext, undefined, before);
    payload.set(salt, PAYLOAD_HEADER_BYTES);
    this.mask(payload, { kind: "sealed" });
    return payload;
  }

  /**
   * Opens the body of a sealed payload. What comes out is nobody's word yet.
   *
   * @throws {CryptoError} `open-failed`
   * @throws {WireError} if what was sealed breaks PROTOCOL §5
   */
  open(body: Uint8Array, direction: Direction): SealedMessage | UnknownSealedMessage {
    const salt = body.subarray(0, SEALED_SALT_BYTES);
    const key = hkdf(this.secret, salt, outerKeyInfo(direction), 32);
    return decodeSealedMessage(
      gcmOpen(key, this.room, body.subarray(SEALED_SALT_BYTES)),
      direction,
    );
  }
}
