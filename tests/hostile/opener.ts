/**
 * What can somebody read of a recording? Takes the payloads that a relay carried and all that one device ever held,
 * and opens whatever opens: with every S and every room secret that it had, whoever sent it, in any order, without
 * asking whether it was meant for it.
 */
import type { Bytes } from "../../src/wire/codec.ts";
import { messageKeyInfo, senderChainInfo } from "../../src/wire/contexts.ts";
import { epochSecretInfo, messageAad } from "../../src/wire/contexts.ts";
import { CryptoError, derive, gcmOpen, hkdf, ShortCtr } from "../../src/crypto/primitives.ts";
import type { RoomId } from "../../src/wire/ids.ts";
import { decodePayloadHeader, splitPayload } from "../../src/wire/payload.ts";
import { decodeMessagePlaintext, decodeRoomMessage } from "../../src/wire/room_message.ts";
import { headerKeyInfo } from "../../src/wire/contexts.ts";
import type { Carried } from "./hostile_relay.ts";
import type { Leak } from "./leak.ts";

/** The payloads that a relay was given, each once, in their order. */
export function recordedPayloads(record: readonly Carried[]): Bytes[] {
  return record.flatMap(({ direction, message }) =>
    direction === "up" && (message.kind === "broadcast" || message.kind === "direct")
      ? [message.payload]
      : []
  );
}

/** The texts that these keys open, in the order of the recording. */
export function opensTexts(
  room: RoomId,
  { epochs, roomSecrets }: Pick<Leak, "epochs" | "roomSecrets">,
  payloads: readonly Bytes[],
) {
  const texts: string[] = [];
  const secrets = new Map(roomSecrets.map((secret) => [secret.toHex(), secret]));
  const headerKeys = [...secrets.values()].map((secret) => derive(secret, headerKeyInfo(room), 32));
  for (const payload of payloads) {
    const { maskedHeader, body } = splitPayload(payload);
    for (const headerKey of headerKeys) {
      const header = decodePayloadHeader(
        new ShortCtr(headerKey).apply(body.subarray(0, 16), maskedHeader),
      );
      if (header?.kind !== "message") continue;
      for (const { epoch, h, secret } of epochs) {
        if (epoch !== header.epoch) continue;
        const es = hkdf(secret, h, epochSecretInfo(), 32);
        let chain = derive(es, senderChainInfo(h, header.leaf), 32);
        let step = derive(chain, messageKeyInfo(0), 76);
        for (let n = 0; n < header.n; n++) {
          chain = step.slice(44);
          step = derive(chain, messageKeyInfo(n + 1), 76);
        }
        const { leaf, n } = header;
        try {
          const aad = messageAad({ room, h, epoch, leaf, n });
          const plaintext = gcmOpen(step.slice(0, 32), aad, body, step.slice(32, 44));
          const { type, content } = decodeMessagePlaintext(plaintext);
          const message = decodeRoomMessage(type, content);
          if (message.kind === "text") texts.push(message.text);
        } catch (error) {
          if (!(error instanceof CryptoError)) throw error;
        }
      }
    }
  }
  return texts;
}
