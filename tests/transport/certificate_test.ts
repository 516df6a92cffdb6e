import assert from "node:assert/strict";
import { generateKeyPairSync, sign, verify, X509Certificate } from "node:crypto";
import fc from "fast-check";
import {
  CERTIFICATE_BYTES,
  fromPem,
  relayCertificate,
  relayKeyIn,
  RESERVED_ADDRESS,
  signedPart,
  toPem,
} from "../../src/transport/certificate.ts";
import { issue } from "../support/evil_ca.ts";
import { makeRelayKey, rawKey } from "../support/relay_key.ts";

Deno.test("relayCertificate() writes the same bytes as @peculiar/x509", async () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const key = rawKey(privateKey);
  const ours = relayCertificate(key, sign(null, signedPart(key), privateKey));
  assert.deepEqual(ours, await issue({ subjectKey: privateKey, issuerKey: privateKey }));
  assert.equal(ours.length, CERTIFICATE_BYTES);
});

Deno.test("a relay's certificate says what PROTOCOL.md §2 says", () => {
  const { certPem, pin } = makeRelayKey();
  const certificate = new X509Certificate(certPem);
  assert.equal(certificate.subject, "CN=stm relay");
  assert.equal(certificate.issuer, "CN=stm relay");
  assert.equal(certificate.ca, false);
  assert.equal(certificate.checkIP(RESERVED_ADDRESS), RESERVED_ADDRESS);
  assert.equal(certificate.verify(certificate.publicKey), true);
  assert.deepEqual(relayKeyIn(certificate.raw), pin);
});

Deno.test("relayKeyIn() gives the key back, whatever the key and the signature are", () => {
  const bytes = (n: number) => fc.uint8Array({ minLength: n, maxLength: n });
  fc.assert(fc.property(bytes(32), bytes(64), (key, signature) => {
    assert.deepEqual(relayKeyIn(relayCertificate(key, signature)), Uint8Array.from(key));
  }));
});

Deno.test("relayKeyIn() refuses a change of any byte but the key's and the signature's", () => {
  const { certificate, pin } = makeRelayKey();
  const keyAt = certificate.length - 64 - 43 - 32;
  assert.deepEqual(certificate.slice(keyAt, keyAt + 32), pin);
  for (let i = 0; i < certificate.length; i++) {
    const changed = certificate.slice();
    changed[i] = (changed[i] ?? 0) ^ 1;
    const isFree = (i >= keyAt && i < keyAt + 32) || i >= certificate.length - 64;
    assert.equal(relayKeyIn(changed) !== null, isFree, `byte ${i}`);
  }
  assert.equal(relayKeyIn(certificate.subarray(1)), null);
  assert.equal(relayKeyIn(new Uint8Array([...certificate, 0])), null);
  assert.equal(relayKeyIn(new Uint8Array()), null);
});

Deno.test("signedPart() is what the certificate's signature covers", () => {
  const { certificate, certPem, pin } = makeRelayKey();
  const { publicKey } = new X509Certificate(certPem);
  assert.ok(verify(null, signedPart(pin), publicKey, certificate.subarray(-64)));
});

Deno.test("relayCertificate() refuses keys and signatures of a wrong size", () => {
  assert.throws(() => relayCertificate(new Uint8Array(31)), RangeError);
  assert.throws(() => relayCertificate(new Uint8Array(32), new Uint8Array(63)), RangeError);
});

Deno.test("toPem() breaks lines at 64 characters", () => {
  assert.equal(
    toPem("CERTIFICATE", new Uint8Array(49)),
    `-----BEGIN CERTIFICATE-----\n${"A".repeat(64)}\nAA==\n-----END CERTIFICATE-----\n`,
  );
});

Deno.test("fromPem() reads what toPem() wrote, and nothing else", () => {
  fc.assert(fc.property(fc.uint8Array(), (der) => {
    const pem = toPem("CERTIFICATE", der);
    assert.deepEqual(fromPem("CERTIFICATE", pem), Uint8Array.from(der));
    assert.deepEqual(fromPem("CERTIFICATE", pem.replaceAll("\n", "\r\n")), Uint8Array.from(der));
    assert.equal(fromPem("PRIVATE KEY", pem), null);
    assert.equal(fromPem("CERTIFICATE", pem + pem), null);
    assert.equal(fromPem("CERTIFICATE", pem.slice(1)), null);
  }));
  fc.assert(fc.property(fc.string(), (text) => assert.equal(fromPem("CERTIFICATE", text), null)));
});
