/** A relay key and certificate for tests, made fresh and kept in memory. */

import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { relayCertificate, signedPart, toPem } from "../../src/transport/certificate.ts";

/** What `listen` needs, and the parts that tests forge with. */
export interface TestRelayKey {
  readonly pin: Uint8Array<ArrayBuffer>;
  readonly keyPem: string;
  readonly certPem: string;
  readonly certificate: Uint8Array<ArrayBuffer>;
  readonly privateKey: KeyObject;
}

/** Makes a relay key. */
export function makeRelayKey(): TestRelayKey {
  const { privateKey } = generateKeyPairSync("ed25519");
  const pin = rawKey(privateKey);
  const certificate = relayCertificate(pin, sign(null, signedPart(pin), privateKey));
  const keyPem = toPem("PRIVATE KEY", privateKey.export({ format: "der", type: "pkcs8" }));
  return { pin, keyPem, certPem: toPem("CERTIFICATE", certificate), certificate, privateKey };
}

/** The 32 bytes of an Ed25519 key's public half. */
export function rawKey(privateKey: KeyObject): Uint8Array<ArrayBuffer> {
  const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  return Uint8Array.from(spki.subarray(-32));
}
