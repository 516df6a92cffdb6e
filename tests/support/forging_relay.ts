/**
 * A TLS 1.3 server that lies: it shows any certificate that it is given and signs the handshake
 * with any key that it is given, whether or not the two belong together.
 *
 * No TLS library does that (all of them compare key and certificate first), so this one speaks
 * just enough of RFC 8446 by itself: X25519, TLS_AES_128_GCM_SHA256, no resumption. A client that
 * accepts it has not checked who it talks to; what such a client then sends can be read here.
 */

import { Buffer } from "node:buffer";
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from "node:crypto";
import type net from "node:net";
import { startRawServer } from "./raw_server.ts";

const CLIENT_HELLO = 1;
const FINISHED = 20;
const RECORD_HANDSHAKE = 22;
const RECORD_APPLICATION = 23;
const X25519_SPKI_PREFIX = Buffer.from("302a300506032b656e032100", "hex");

/** What the forging relay shows and signs with. */
export interface Forgery {
  /** The certificate shown, in DER. */
  readonly certificate: Uint8Array;
  /** The Ed25519 key that makes CertificateVerify. */
  readonly signingKey: KeyObject;
}

/** A listening forger. */
export interface ForgingRelay {
  readonly port: number;
  /** Clients that finished the handshake, thus were fooled. */
  readonly fooled: number;
  /** Application bytes that clients sent. */
  readonly received: number;
  close(): Promise<void>;
}

/** Starts a forger on 127.0.0.1. It answers one byte to each client that is fooled. */
export async function startForgingRelay(forgery: Forgery): Promise<ForgingRelay> {
  const seen = { fooled: 0, received: 0 };
  const server = await startRawServer((socket) => serve(socket, forgery, seen));
  return {
    port: server.port,
    get fooled() {
      return seen.fooled;
    },
    get received() {
      return seen.received;
    },
    close: () => server[Symbol.asyncDispose](),
  };
}

function serve(
  socket: net.Socket,
  forgery: Forgery,
  seen: { fooled: number; received: number },
): void {
  let pending = Buffer.alloc(0);
  let reader: RecordKey | null = null;
  let afterFinished: { read: RecordKey; write: RecordKey } | null = null;
  let finished = false;

  socket.on("data", (bytes: Buffer) => {
    pending = Buffer.concat([pending, bytes]);
    while (pending.length >= 5 && pending.length >= 5 + pending.readUInt16BE(3)) {
      const end = 5 + pending.readUInt16BE(3);
      const record = pending.subarray(0, end);
      pending = pending.subarray(end);
      try {
        onRecord(record);
      } catch {
        socket.destroy(); // an alert, or a client that speaks something else
      }
    }
  });

  function onRecord(record: Buffer): void {
    const body = record.subarray(5);
    if (reader === null) {
      if (record[0] !== RECORD_HANDSHAKE || body[0] !== CLIENT_HELLO) throw new Error("no hello");
      const answer = answerHello(body, forgery);
      reader = answer.read;
      afterFinished = answer.application;
      socket.write(answer.flight);
      return;
    }
    if (record[0] !== RECORD_APPLICATION) return; // change_cipher_spec, for middleboxes
    const { type, content } = reader.open(record);
    if (!finished && type === RECORD_HANDSHAKE && content[0] === FINISHED && afterFinished) {
      finished = true;
      seen.fooled++;
      reader = afterFinished.read;
      socket.write(afterFinished.write.seal(RECORD_APPLICATION, Buffer.from("!")));
    } else if (type === RECORD_APPLICATION) {
      seen.received += content.length;
    }
  }
}

/** RFC 8446 §7.1 and §4.4: from a ClientHello to the server's whole flight and the keys after it. */
function answerHello(hello: Buffer, forgery: Forgery): {
  flight: Buffer;
  read: RecordKey;
  application: { read: RecordKey; write: RecordKey };
} {
  const { sessionId, keyShare } = readHello(hello);
  const ours = generateKeyPairSync("x25519");
  const shared = diffieHellman({
    privateKey: ours.privateKey,
    publicKey: createPublicKey({
      key: Buffer.concat([X25519_SPKI_PREFIX, keyShare]),
      format: "der",
      type: "spki",
    }),
  });
  const ourShare = ours.publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  const serverHello = handshake(
    2,
    Buffer.from("0303", "hex"),
    randomBytes(32),
    vector(1, sessionId),
    Buffer.from("130100", "hex"),
    vector(
      2,
      Buffer.from("002b00020304", "hex"),
      Buffer.from("00330024001d0020", "hex"),
      ourShare,
    ),
  );

  const zeros = Buffer.alloc(32);
  const early = extract(zeros, zeros);
  const secret = extract(derive(early, "derived", sha256()), shared);
  const helloHash = sha256(hello, serverHello);
  const serverSecret = derive(secret, "s hs traffic", helloHash);
  const write = new RecordKey(serverSecret);

  const extensions = handshake(8, vector(2));
  const certificate = handshake(
    11,
    vector(1),
    vector(3, vector(3, Buffer.from(forgery.certificate)), vector(2)),
  );
  const signed = Buffer.concat([
    Buffer.alloc(64, " "),
    Buffer.from("TLS 1.3, server CertificateVerify\0"),
    sha256(hello, serverHello, extensions, certificate),
  ]);
  const verify = handshake(
    15,
    Buffer.from("0807", "hex"),
    vector(2, sign(null, signed, forgery.signingKey)),
  );
  const transcript = [hello, serverHello, extensions, certificate, verify];
  const finished = handshake(
    FINISHED,
    hmac(expand(serverSecret, "finished", Buffer.alloc(0), 32), sha256(...transcript)),
  );
  const flight = Buffer.concat([
    Buffer.from([RECORD_HANDSHAKE, 3, 3, serverHello.length >> 8, serverHello.length & 255]),
    serverHello,
    write.seal(RECORD_HANDSHAKE, Buffer.concat([extensions, certificate, verify, finished])),
  ]);

  const master = extract(derive(secret, "derived", sha256()), zeros);
  const done = sha256(...transcript, finished);
  return {
    flight,
    read: new RecordKey(derive(secret, "c hs traffic", helloHash)),
    application: {
      read: new RecordKey(derive(master, "c ap traffic", done)),
      write: new RecordKey(derive(master, "s ap traffic", done)),
    },
  };
}

/** Reads what the answer needs of a ClientHello: the session id to echo, and the X25519 share. */
function readHello(hello: Buffer): { sessionId: Buffer; keyShare: Buffer } {
  let at = 4 + 2 + 32;
  const sessionId = hello.subarray(at + 1, at + 1 + hello.readUInt8(at));
  at += 1 + sessionId.length;
  at += 2 + hello.readUInt16BE(at); // cipher suites
  at += 1 + hello.readUInt8(at); // compression
  at += 2;
  while (at < hello.length) {
    const type = hello.readUInt16BE(at);
    const body = hello.subarray(at + 4, at + 4 + hello.readUInt16BE(at + 2));
    at += 4 + body.length;
    if (type !== 51) continue;
    for (let i = 2; i < body.length; i += 4 + body.readUInt16BE(i + 2)) {
      if (body.readUInt16BE(i) === 29) return { sessionId, keyShare: body.subarray(i + 4, i + 36) };
    }
  }
  throw new Error("the client offers no X25519 share");
}

/** One direction's record protection, RFC 8446 §5.2. */
class RecordKey {
  readonly #key: Buffer;
  readonly #iv: Buffer;
  #sequence = 0;

  constructor(trafficSecret: Buffer) {
    this.#key = expand(trafficSecret, "key", Buffer.alloc(0), 16);
    this.#iv = expand(trafficSecret, "iv", Buffer.alloc(0), 12);
  }

  seal(type: number, content: Uint8Array): Buffer {
    const length = content.length + 1 + 16;
    const header = Buffer.from([RECORD_APPLICATION, 3, 3, length >> 8, length & 255]);
    const cipher = createCipheriv("aes-128-gcm", this.#key, this.#nonce());
    cipher.setAAD(header);
    return Buffer.concat([
      header,
      cipher.update(Buffer.concat([content, Buffer.from([type])])),
      cipher.final(),
      cipher.getAuthTag(),
    ]);
  }

  open(record: Buffer): { type: number; content: Buffer } {
    const decipher = createDecipheriv("aes-128-gcm", this.#key, this.#nonce());
    decipher.setAAD(record.subarray(0, 5));
    decipher.setAuthTag(record.subarray(-16));
    const inner = Buffer.concat([decipher.update(record.subarray(5, -16)), decipher.final()]);
    let end = inner.length;
    while (end > 0 && inner[end - 1] === 0) end--;
    return { type: inner.readUInt8(end - 1), content: inner.subarray(0, end - 1) };
  }

  #nonce(): Buffer {
    const nonce = Buffer.from(this.#iv);
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ this.#sequence++) >>> 0, 8);
    return nonce;
  }
}

function vector(lengthBytes: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(body.length, 0, lengthBytes);
  return Buffer.concat([length, body]);
}

function handshake(type: number, ...parts: Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from([type]), vector(3, ...parts)]);
}

function sha256(...parts: Uint8Array[]): Buffer {
  return createHash("sha256").update(Buffer.concat(parts)).digest();
}

function hmac(key: Uint8Array, message: Uint8Array): Buffer {
  return createHmac("sha256", key).update(message).digest();
}

function extract(salt: Uint8Array, ikm: Uint8Array): Buffer {
  return hmac(salt, ikm);
}

function expand(secret: Uint8Array, label: string, context: Uint8Array, length: number): Buffer {
  const size = Buffer.alloc(2);
  size.writeUInt16BE(length);
  const info = Buffer.concat([size, vector(1, Buffer.from("tls13 " + label)), vector(1, context)]);
  return hmac(secret, Buffer.concat([info, Buffer.from([1])])).subarray(0, length);
}

function derive(secret: Uint8Array, label: string, hash: Uint8Array): Buffer {
  return expand(secret, label, hash, 32);
}
