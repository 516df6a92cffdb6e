/** A certificate authority of the enemy's, and certificates in other forms than a relay's. */

import "reflect-metadata";
import { X509CertificateGenerator } from "@peculiar/x509";
import {
  BasicConstraintsExtension,
  type Extension,
  GeneralName,
  SubjectAlternativeNameExtension,
} from "@peculiar/x509";
import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { RESERVED_ADDRESS, toPem } from "../../src/transport/certificate.ts";

/** What a certificate shall say. Left out: what a relay's says. */
export interface CertificateWish {
  /** The key certified. */
  readonly subjectKey: KeyObject;
  /** The key that signs. */
  readonly issuerKey: KeyObject;
  readonly subject?: string;
  readonly issuer?: string;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Addresses named besides the reserved one. */
  readonly alsoFor?: readonly string[];
  readonly isAuthority?: boolean;
}

/** Makes any certificate, by a library and not by our own template. */
export async function issue(wish: CertificateWish): Promise<Uint8Array<ArrayBuffer>> {
  const extensions: Extension[] = [];
  if (wish.isAuthority) extensions.push(new BasicConstraintsExtension(true));
  else {
    const names = [RESERVED_ADDRESS, ...wish.alsoFor ?? []];
    extensions.push(
      new SubjectAlternativeNameExtension(names.map((value) => new GeneralName("ip", value))),
    );
  }
  const certificate = await X509CertificateGenerator.create({
    serialNumber: "01",
    subject: wish.subject ?? "CN=stm relay",
    issuer: wish.issuer ?? "CN=stm relay",
    notBefore: wish.notBefore ?? new Date("1970-01-01T00:00:00Z"),
    notAfter: wish.notAfter ?? new Date("9999-12-31T23:59:59Z"),
    signingAlgorithm: { name: "Ed25519" },
    publicKey: await crypto.subtle.importKey(
      "spki",
      Uint8Array.from(createPublicKey(wish.subjectKey).export({ format: "der", type: "spki" })),
      "Ed25519",
      true,
      ["verify"],
    ),
    signingKey: await crypto.subtle.importKey(
      "pkcs8",
      Uint8Array.from(wish.issuerKey.export({ format: "der", type: "pkcs8" })),
      "Ed25519",
      true,
      ["sign"],
    ),
    extensions,
  });
  return new Uint8Array(certificate.rawData.slice(0));
}

/** An authority and a server certificate that it signed for the reserved address and 127.0.0.1. */
export async function makeEvilAuthority(): Promise<{
  authorityPem: string;
  keyPem: string;
  /** The server's certificate and the authority's. */
  chainPem: string;
}> {
  const authority = generateKeyPairSync("ed25519").privateKey;
  const server = generateKeyPairSync("ed25519").privateKey;
  const authorityPem = toPem(
    "CERTIFICATE",
    await issue({
      subjectKey: authority,
      issuerKey: authority,
      subject: "CN=Evil Corp",
      issuer: "CN=Evil Corp",
      isAuthority: true,
    }),
  );
  const leaf = await issue({
    subjectKey: server,
    issuerKey: authority,
    issuer: "CN=Evil Corp",
    alsoFor: ["127.0.0.1"],
  });
  return {
    authorityPem,
    keyPem: toPem("PRIVATE KEY", server.export({ format: "der", type: "pkcs8" })),
    chainPem: toPem("CERTIFICATE", leaf) + authorityPem,
  };
}
