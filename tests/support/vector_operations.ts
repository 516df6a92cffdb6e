/**
 * What tests/vectors/*.json asks a reader to do: one function for each `operation`, from `input` to `output`, made
 * of the program's own opening and verifying halves. It throws for what is to be refused.
 */
import { acceptCommit, acceptWelcome } from "../../src/crypto/accept_commit.ts";
import { CommitMemory } from "../../src/crypto/commit_memory.ts";
import {
  checkHello,
  fingerprintOf,
  inviteIdOf,
  InviteRefused,
  openBundle,
} from "../../src/crypto/join.ts";
import { OuterSeal } from "../../src/crypto/outer_seal.ts";
import {
  type Bytes,
  derive,
  gcmOpen,
  hkdf,
  importVerifyKey,
  sha256,
  ShortCtr,
  verify,
  verifyRaw,
} from "../../src/crypto/primitives.ts";
import { type Roster, rosterHash, verifyCert, verifyRoster } from "../../src/crypto/roster.ts";
import { safetyCode } from "../../src/crypto/safety_code.ts";
import { openWrap, tagOf, wrapContext, wrapKey } from "../../src/crypto/wrap.ts";
import { rsaDecrypt } from "../../src/crypto/session_keys.ts";
import { ReceivingChain, SendingChain } from "../../src/crypto/sender_chain.ts";
import {
  CATCH_UP_BODY,
  type Change,
  COMMIT_BODY,
  COMMIT_REASONS,
  KEM_ACK_BODY,
  KEM_UPDATE_BODY,
  REMOVAL_REASONS,
  type RosterLeaf,
  type Via,
  VIAS,
} from "../../src/wire/commit.ts";
import {
  bundleKeyInfo,
  digestInput,
  type Direction,
  DIRECTIONS,
  epochSecretInfo,
  headerKeyInfo,
  inviteMacKeyInfo,
  keyConfirmationInfo,
  messageAad,
  messageSignedBody,
  openSecretInfo,
  openSecretMaterial,
  rosterConfirmationInfo,
  senderChainInfo,
} from "../../src/wire/contexts.ts";
import { BUNDLE, BUNDLE_INNER, DENIED, deniedBody, HELLO } from "../../src/wire/handshake.ts";
import {
  challenge,
  epoch,
  epochHash,
  fingerprint,
  formatFingerprint,
  hash,
  identityKey,
  inviteSecret,
  joinNonce,
  kemCiphertext,
  kemKey,
  leaf,
  relayKey,
  roomId,
  roomKey,
  roomSecret,
  wrapBytes,
} from "../../src/wire/ids.ts";
import { decode } from "../../src/wire/codec.ts";
import { parseLink } from "../../src/wire/link_url.ts";
import { decodePayloadHeader, encodePayloadHeader } from "../../src/wire/payload.ts";
import {
  decodeMessagePlaintext,
  decodeRoomMessage,
  type RoomMessage,
  type UnknownRoomMessage,
} from "../../src/wire/room_message.ts";
import { SEALED_TYPES } from "../../src/wire/sealed_message.ts";
import { keyedRoomId, openRoomId, openRoomIdInput } from "../../src/wire/room_id.ts";
import { decodeSigned } from "../../src/wire/signed.ts";
import { followKeyChanges, KEY_CHANGES } from "../../src/wire/key_change.ts";
import { decodeTicket, enterBody, type Role } from "../../src/wire/ticket.ts";
import { ticketBytes } from "../../src/wire/ids.ts";
import { importKemSeed, kemPublicKey } from "./deterministic.ts";

/** A JSON object of a vector file. */
export type Json = { readonly [name: string]: unknown };

/** A refusal that is not an error of ours: the reader says no. */
export class Refused extends Error {
  constructor(readonly code: string) {
    super(code);
  }
}

/** Reads the fields of an input by their names in PROTOCOL. */
class Fields {
  constructor(readonly json: Json) {}

  hex(name: string): Bytes {
    return Uint8Array.fromHex(this.text(name));
  }

  text(name: string): string {
    const value = this.json[name];
    if (typeof value !== "string") throw new TypeError(`${name} is no text`);
    return value;
  }

  number(name: string): number {
    const value = this.json[name];
    if (typeof value !== "number") throw new TypeError(`${name} is no number`);
    return value;
  }

  list(name: string): Fields[] {
    const value = this.json[name];
    if (!Array.isArray(value)) throw new TypeError(`${name} is no list`);
    return value.map((item: unknown) => new Fields(Object(item)));
  }
}

const viaOf = (number: number): Via => {
  for (const via of ["founder", "invite", "shared-link", "approved", "known"] as const) {
    if (VIAS[via] === number) return via;
  }
  throw new TypeError(`${number} is no via`);
};

const leavesOf = (fields: readonly Fields[]): RosterLeaf[] =>
  fields.map((f) => ({
    leaf: leaf(f.number("leaf")),
    via: viaOf(f.number("via")),
    cert: f.hex("cert"),
  }));

/** Leaves as vectors write them. */
export function leavesJson(leaves: readonly RosterLeaf[]): Json[] {
  return leaves.map(({ leaf, via, cert }) => ({ leaf, via: VIAS[via], cert: cert.toHex() }));
}

/** CHANGE in the words and numbers of PROTOCOL §7. */
function changeJson(change: Change): Json {
  return {
    reason: COMMIT_REASONS[change.reason],
    "admin leaf": change.adminLeaf,
    deputies: change.deputies,
    "room name": change.roomName,
    "new secret": change.newRoomSecret === undefined ? 0 : 1,
    "room secret": (change.newRoomSecret ?? new Uint8Array(32)).toHex(),
    added: leavesJson(change.added),
    removed: change.removed.map(({ leaf, reason, count, hash, earlier }) => ({
      leaf,
      reason: REMOVAL_REASONS[reason],
      count,
      hash: hash.toHex(),
      earlier: earlier.map(({ epoch, count, hash }) => ({ epoch, count, hash: hash.toHex() })),
    })),
  };
}

/** A message's content in the words of PROTOCOL §8. */
export function messageJson(message: RoomMessage | UnknownRoomMessage): Json {
  switch (message.kind) {
    case "text":
      return {
        name: "TEXT",
        id: message.id.toHex(),
        "sent at": message.sentAt,
        text: message.text,
      };
    case "close":
      return {
        name: "CLOSE",
        epoch: message.epoch,
        count: message.count,
        hash: message.hash.toHex(),
      };
    case "heartbeat":
      return {
        name: "HEARTBEAT",
        count: message.count,
        hash: message.hash.toHex(),
        digest: message.digest.toHex(),
      };
    case "leave":
      return { name: "LEAVE" };
    case "unknown":
      return { name: "unknown", type: message.type, critical: message.critical };
  }
}

function refuseUnless(holds: boolean, code: string): void {
  if (!holds) throw new Refused(code);
}

async function importPkcs8(pkcs8: Bytes): Promise<CryptoKey> {
  const rsa = { name: "RSA-OAEP", hash: "SHA-256" };
  return await crypto.subtle.importKey("pkcs8", pkcs8, rsa, false, ["decrypt"]);
}

async function kemPairOf(seed: Bytes) {
  return { publicKey: kemPublicKey(seed), privateKey: await importKemSeed(seed) };
}

/** What a member brings to a commit. */
async function acceptorOf(f: Fields) {
  const cert = f.hex("own cert");
  return {
    room: roomId(f.hex("room id")),
    admin: identityKey(f.hex("admin identity")),
    admins: [identityKey(f.hex("admin identity"))],
    identity: identityKey(f.hex("own identity")),
    certHash: hash(sha256(cert)),
    rsa: await importPkcs8(f.hex("own RSA private key, PKCS #8")),
    kem: [await kemPairOf(f.hex("own ML-KEM private key, seed d ‖ z"))],
  };
}

function rosterJson(roster: Roster): Json[] {
  return roster.map(({ leaf, via, certHash, value }) => ({
    leaf,
    via: VIAS[via],
    name: value.name,
    identity: value.identity.toHex(),
    "session key": value.sessionKey.toHex(),
    "SHA-256(cert)": certHash.toHex(),
  }));
}

type Operation = (f: Fields) => Json | Promise<Json>;

/** Every operation by its name. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  "fingerprint of a key"(f) {
    const print = fingerprintOf(f.hex("Ed25519 key"));
    return { fingerprint: print.toHex(), "as shown": formatFingerprint(print) };
  },

  "room id of a keyed room"(f) {
    return { "room id": keyedRoomId(sha256(f.hex("room public key"))).toHex() };
  },

  "room id and secret of an open room"(f) {
    const relay = relayKey(f.hex("relay key"));
    const room = openRoomId(sha256(openRoomIdInput(relay, f.text("room name"))));
    const secret = derive(openSecretMaterial(relay, room), openSecretInfo(), 32);
    return { "room id": room.toHex(), "room secret": secret.toHex() };
  },

  "invite id and MAC key"(f) {
    const secret = inviteSecret(f.hex("invite secret"));
    return {
      "invite id": inviteIdOf(secret).toHex(),
      "invite MAC key": derive(secret, inviteMacKeyInfo(), 32).toHex(),
    };
  },

  "read a link"(f) {
    const link = parseLink(f.text("link"), sha256);
    const common = { host: link.host, port: link.port, "relay key": link.relayKey.toHex() };
    if (link.kind === "server") return { kind: 0, ...common };
    return {
      kind: 1,
      ...common,
      "room id": link.room.toHex(),
      "admin fingerprint": link.adminFingerprint.toHex(),
      "room secret": link.roomSecret.toHex(),
      "invite secret": link.inviteSecret.toHex(),
    };
  },

  "unmask a header"(f) {
    const room = roomId(f.hex("room id"));
    const key = derive(f.hex("room secret"), headerKeyInfo(room), 32);
    const body = f.hex("body");
    const header = new ShortCtr(key).apply(body.subarray(0, 16), f.hex("masked header"));
    const value = decodePayloadHeader(header);
    if (value === undefined) throw new Refused("passed over");
    const blank = { epoch: 0, leaf: 0, n: 0, ...value };
    return {
      HK: key.toHex(),
      header: header.toHex(),
      kind: value.kind === "message" ? 1 : 2,
      epoch: blank.epoch,
      leaf: blank.leaf,
      n: blank.n,
    };
  },

  "open a sealed body"(f) {
    const room = roomId(f.hex("room id"));
    const names: Direction[] = ["to-admin", "from-admin", "between-members"];
    const direction = names.find((d) => DIRECTIONS[d] === f.number("direction"));
    if (direction === undefined) throw new TypeError("no such direction");
    const seal = new OuterSeal(room, roomSecret(f.hex("room secret")));
    const message = seal.open(f.hex("body"), direction);
    if (message.kind === "unknown") {
      return { type: message.type, critical: message.critical };
    }
    const row = SEALED_TYPES[message.kind];
    return { type: row.type, "type name": message.kind.toUpperCase().replace("-", "_") };
  },

  "verify a HELLO"(f) {
    const hello = decode(HELLO, f.hex("hello"));
    checkHello(hello, roomId(f.hex("room id")), fingerprint(f.hex("admin fingerprint")));
    const { value } = hello;
    return {
      "min version": value.minVersion,
      "max version": value.maxVersion,
      "admin identity": value.admin.toHex(),
      "run id": value.runId.toHex(),
      na: value.na.toHex(),
      "one-use ML-KEM key": value.kemKey.toHex(),
    };
  },

  "verify a CERT"(f) {
    const { value, certHash } = verifyCert(
      { leaf: leaf(0), via: "founder", cert: f.hex("cert") },
      roomId(f.hex("room id")),
      [identityKey(f.hex("admin identity"))],
    );
    return {
      "min version": value.minVersion,
      "max version": value.maxVersion,
      na: value.na.toHex(),
      identity: value.identity.toHex(),
      g: value.generation,
      "session key": value.sessionKey.toHex(),
      "gate key": value.gateKey.toHex(),
      "wrap hash": value.wrapHash.toHex(),
      name: value.name,
      "SHA-256(cert)": certHash.toHex(),
    };
  },

  async "open a BUNDLE"(f) {
    const secret = inviteSecret(f.hex("invite secret"));
    const opened = await openBundle(
      decode(BUNDLE, f.hex("bundle")),
      await kemPairOf(f.hex("one-use ML-KEM private key, seed d ‖ z")),
      { room: roomId(f.hex("room id")), admin: identityKey(f.hex("admin identity")) },
      () => f.number("highest g accepted from this identity, -1 for none"),
      (id) => id.toHex() === inviteIdOf(secret).toHex() ? secret : undefined,
    );
    // Nobody is known here, who could come without one.
    if (opened.invite === "unknown") throw new InviteRefused();
    const { na, ciphertext, box } = decode(BUNDLE, f.hex("bundle"));
    const room = roomId(f.hex("room id"));
    const s = f.hex("ML-KEM shared secret s");
    const key = hkdf(s, sha256(ciphertext), bundleKeyInfo(room, na), 32);
    const inner = decode(BUNDLE_INNER, gcmOpen(key, room, box));
    return {
      na: na.toHex(),
      "key of the box": key.toHex(),
      cert: inner.cert.toHex(),
      "RSA SPKI": inner.rsaSpki.toHex(),
      "ML-KEM key": inner.kemKey.toHex(),
      "invite id": inner.inviteId.toHex(),
      mac: inner.mac.toHex(),
      name: opened.member.value.name,
      g: opened.member.value.generation,
    };
  },

  "verify a DENIED"(f) {
    const { code, signature } = decode(DENIED, f.hex("denied"));
    const body = deniedBody(roomId(f.hex("room id")), joinNonce(f.hex("na")), code);
    const holds = verifyRaw(f.hex("admin identity"), "deny", body, signature);
    refuseUnless(holds, "bad-signature");
    return { code };
  },

  "context and tag of a wrap"(f) {
    const ctx = wrapContext(
      {
        room: roomId(f.hex("room id")),
        epoch: epoch(f.number("epoch")),
        admin: identityKey(f.hex("admin identity")),
      },
      { identity: identityKey(f.hex("identity")), certHash: hash(sha256(f.hex("cert"))) },
      kemKey(f.hex("ML-KEM key")),
    );
    return { ctx: ctx.toHex(), tag: tagOf(ctx).toHex() };
  },

  async "open a wrap"(f) {
    const wrap = wrapBytes(f.hex("wrap"));
    const ctx = hash(f.hex("ctx"));
    const rsa = await importPkcs8(f.hex("RSA private key, PKCS #8"));
    const kem = await kemPairOf(f.hex("ML-KEM private key, seed d ‖ z"));
    const secret = await openWrap(ctx, rsa, kem, wrap);
    const r = await rsaDecrypt(rsa, ctx, wrap.slice(0, 384));
    const s = f.hex("ML-KEM shared secret s");
    const kek = wrapKey(ctx, r, s, wrap.slice(0, 384), kemCiphertext(wrap.subarray(384, 1472)));
    return { r: r.toHex(), KEK: kek.toHex(), S: secret.toHex() };
  },

  async "accept a COMMIT"(f) {
    const acceptor = await acceptorOf(f);
    const here = {
      epoch: f.number("own epoch"),
      next: f.number("own epoch") + 1,
      h: epochHash(f.hex("own h")),
      roster: await verifyRoster(leavesOf(f.list("own roster")), acceptor.room, acceptor.admins),
      nextLeaf: f.number("first leaf number never used"),
      commits: new CommitMemory(),
    };
    const accepted = await acceptCommit(
      acceptor,
      here,
      decodeSigned(COMMIT_BODY, f.hex("commit"), "commit"),
      [wrapBytes(f.hex("wrap"))],
    );
    return {
      h: accepted.h.toHex(),
      S: accepted.secret.toHex(),
      rosterHash: rosterHash(accepted.roster).toHex(),
      roster: rosterJson(accepted.roster),
      change: changeJson(accepted.change),
    };
  },

  async "accept a WELCOME"(f) {
    const accepted = await acceptWelcome(
      await acceptorOf(f),
      {
        commit: f.hex("commit"),
        wrap: wrapBytes(f.hex("wrap")),
        ticket: ticketBytes(new Uint8Array(184)),
        roomKey: roomKey(f.hex("room public key")),
        rosterBox: f.hex("roster box"),
      },
      f.number("highest epoch remembered for this room") + 1,
    );
    const fits = keyedRoomId(sha256(f.hex("room public key"))).toHex() === f.text("room id");
    refuseUnless(fits, "bad-commit");
    return {
      h: accepted.h.toHex(),
      S: accepted.secret.toHex(),
      "room secret": accepted.roomSecret.toHex(),
      "own leaf": accepted.myLeaf,
      "admin leaf": accepted.adminLeaf,
      rosterHash: rosterHash(accepted.roster).toHex(),
      roster: rosterJson(accepted.roster),
    };
  },

  "confirmations of an epoch"(f) {
    const secret = f.hex("S");
    const room = roomId(f.hex("room id"));
    const kc = derive(secret, keyConfirmationInfo(room, epoch(f.number("epoch"))), 32);
    const rosterKc = derive(secret, rosterConfirmationInfo(hash(f.hex("rosterHash"))), 32);
    return { kc: kc.toHex(), rosterKc: rosterKc.toHex() };
  },

  "verify a KEM_UPDATE"(f) {
    const { value, body, signature } = decodeSigned(KEM_UPDATE_BODY, f.hex("kem update"));
    refuseUnless(verifyRaw(f.hex("session key"), "kem", body, signature), "bad-signature");
    return { leaf: value.leaf, h: value.h.toHex(), "ML-KEM key": value.kemKey.toHex() };
  },

  "verify a KEM_ACK"(f) {
    const { value, body, signature } = decodeSigned(KEM_ACK_BODY, f.hex("kem ack"));
    refuseUnless(verifyRaw(f.hex("admin identity"), "kem-ack", body, signature), "bad-signature");
    return {
      leaf: value.leaf,
      h: value.h.toHex(),
      "SHA-256(ML-KEM key)": value.kemKeyHash.toHex(),
    };
  },

  "verify a CATCH_UP"(f) {
    const { value, body, signature } = decodeSigned(CATCH_UP_BODY, f.hex("catch up"));
    refuseUnless(verifyRaw(f.hex("session key"), "catch-up", body, signature), "bad-signature");
    return { leaf: value.leaf, epoch: value.epoch, h: value.h.toHex() };
  },

  "keys of an epoch"(f) {
    const h = epochHash(f.hex("h"));
    const es = hkdf(f.hex("S"), h, epochSecretInfo(), 32);
    return {
      ES: es.toHex(),
      chains: f.list("leaves").map((l) => {
        const first = derive(es, senderChainInfo(h, leaf(l.number("leaf"))), 32);
        const output = { leaf: l.number("leaf"), "CK(leaf, 0)": first.toHex() };
        const chain = new SendingChain(first);
        return {
          ...output,
          messages: [0, 1, 2, 3].map((n) =>
            chain.use(n, ({ key, nonce }) => ({ n, key: key.toHex(), nonce: nonce.toHex() }))
          ),
        };
      }),
    };
  },

  "open a message"(f) {
    const place = {
      room: roomId(f.hex("room id")),
      h: epochHash(f.hex("h")),
      epoch: epoch(f.number("epoch")),
      leaf: leaf(f.number("leaf")),
      n: f.number("n"),
    };
    const aad = messageAad(place);
    const body = f.hex("body");
    const header = encodePayloadHeader({ kind: "message", ...place });
    const frameHash = sha256(header, body);
    const chain = new ReceivingChain(f.hex("CK(leaf, 0)"));
    const result = chain.open(place.n, frameHash, ({ key, nonce }) => {
      const plaintext = gcmOpen(key, aad, body, nonce);
      const { type, content, signature } = decodeMessagePlaintext(plaintext);
      const signed = messageSignedBody(aad, type, content);
      const holds = verify(importVerifyKey(f.hex("session key")), "msg", signed, signature);
      refuseUnless(holds, "bad-signature");
      return { type, content, signature, key: key.toHex(), nonce: nonce.toHex(), plaintext };
    });
    if (result.kind !== "opened") throw new Refused(result.kind);
    const { type, content, signature, key, nonce, plaintext } = result.value;
    return {
      key,
      nonce,
      AAD: aad.toHex(),
      plaintext: plaintext.toHex(),
      type,
      content: content.toHex(),
      signature: signature.toHex(),
      "header in the clear": header.toHex(),
      "SHA-256(header ‖ body)": frameHash.toHex(),
      message: messageJson(decodeRoomMessage(type, content)),
    };
  },

  "rolling hash"(f) {
    let rolling: Bytes = new Uint8Array(32);
    const hashes = [rolling.toHex()];
    for (const m of f.list("messages")) {
      rolling = sha256(rolling, sha256(m.hex("header in the clear"), m.hex("body")));
      hashes.push(rolling.toHex());
    }
    return { "H(0), H(1), …": hashes };
  },

  "read a message's content"(f) {
    return { message: messageJson(decodeRoomMessage(f.number("type"), f.hex("content"))) };
  },

  "digest of a HEARTBEAT"(f) {
    const leaves = f.list("leaves").map((l) => ({
      leaf: leaf(l.number("leaf")),
      count: l.number("count"),
      hash: hash(l.hex("hash")),
    }));
    return { digest: sha256(digestInput(leaves)).toHex() };
  },

  "safety code"(f) {
    return { words: safetyCode(f.hex("ES"), hash(f.hex("rosterHash"))) };
  },

  async "roster hash"(f) {
    const room = roomId(f.hex("room id"));
    const roster = await verifyRoster(
      leavesOf(f.list("roster")),
      room,
      [identityKey(f.hex("admin identity"))],
    );
    return { rosterHash: rosterHash(roster).toHex() };
  },

  "accept KEY_CHANGES"(f) {
    const statements = decode(KEY_CHANGES, f.hex("KEY_CHANGES"), "KEY_CHANGES");
    const pin = relayKey(f.hex("pinned relay key"));
    const now = f.number("now, seconds since 1970");
    const followed = followKeyChanges(pin, statements, verifyRaw, now);
    if (typeof followed === "string") throw new Refused(followed);
    return { "relay keys": followed.map(({ key }) => key.toHex()) };
  },

  "verify a TICKET"(f) {
    const { value, body, signature } = decodeTicket(ticketBytes(f.hex("ticket")));
    const room = f.text("room id");
    refuseUnless(keyedRoomId(sha256(f.hex("room public key"))).toHex() === room, "bad-credential");
    refuseUnless(value.room.toHex() === room, "bad-credential");
    refuseUnless(value.expires > f.number("now, seconds since 1970"), "ticket-expired");
    const latest = f.number("now, seconds since 1970") + 86_400 + 600;
    refuseUnless(value.expires <= latest, "bad-credential");
    refuseUnless(value.ticketEpoch >= f.number("lowest ticket epoch"), "ticket-revoked");
    const holds = verifyRaw(f.hex("room public key"), "ticket", body, signature);
    refuseUnless(holds, "bad-credential");
    return {
      "ticket epoch": value.ticketEpoch,
      expires: value.expires,
      "gate key": value.gateKey.toHex(),
    };
  },

  "verify an ENTER"(f) {
    const roles: Role[] = ["knocker", "member", "owner"];
    const role = roles[f.number("role")];
    if (role === undefined) throw new TypeError("no such role");
    const body = enterBody({
      nonce: challenge(f.hex("nonce")),
      relayKey: relayKey(f.hex("relay key")),
      room: roomId(f.hex("room id")),
      role,
    });
    const holds = verifyRaw(f.hex("key"), "enter", body, f.hex("signature"));
    refuseUnless(holds, "bad-credential");
    return { "signed body": body.toHex() };
  },
};

/** Runs one operation. @throws whatever refuses the input */
export async function runOperation(operation: string, input: Json): Promise<Json> {
  const run = OPERATIONS[operation];
  if (run === undefined) throw new TypeError(`there is no operation "${operation}"`);
  return await run(new Fields(input));
}
