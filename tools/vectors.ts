/**
 * Makes tests/vectors/*.json.
 *
 *     deno run -A tools/vectors.ts
 *
 * All but session.json is the same at every run: random bytes, OAEP's seeds and ML-KEM's coins come from a
 * fixed text, the RSA keys from tests/vectors/rsa_keys.json. A test makes them again and compares.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import {
  type Bytes,
  concat,
  derive,
  gcmOpen,
  gcmSeal,
  hkdf,
  sha256,
  sign,
} from "../src/crypto/primitives.ts";
import { fingerprintOf, inviteIdOf, makeCert, makeHello } from "../src/crypto/join.ts";
import { OuterSeal } from "../src/crypto/outer_seal.ts";
import type { SigningKey } from "../src/crypto/session_keys.ts";
import { SendingChain } from "../src/crypto/sender_chain.ts";
import { encode } from "../src/wire/codec.ts";
import {
  CATCH_UP_BODY,
  type Change,
  KEM_ACK_BODY,
  KEM_UPDATE_BODY,
  type RosterLeaf,
} from "../src/wire/commit.ts";
import {
  bundleKeyInfo,
  epochSecretInfo,
  inviteMacInput,
  inviteMacKeyInfo,
  messageAad,
  messageSignedBody,
  outerKeyInfo,
  senderChainInfo,
  welcomeKeyInfo,
} from "../src/wire/contexts.ts";
import { BUNDLE, BUNDLE_INNER, deniedBody, HELLO } from "../src/wire/handshake.ts";
import {
  challenge,
  type Epoch,
  epoch,
  type EpochHash,
  epochHash,
  gateKey,
  generation,
  hash,
  identityKey,
  inviteId,
  inviteSecret,
  type JoinNonce,
  joinNonce,
  type KemKey,
  kemKey,
  type Leaf,
  leaf,
  messageId,
  relayKey,
  type RoomId,
  roomId,
  roomSecret,
  runId,
  signature,
  ticketEpoch,
} from "../src/wire/ids.ts";
import { formatLink } from "../src/wire/link_url.ts";
import {
  encodeMessagePlaintext,
  encodeRoomMessage,
  type RoomMessage,
} from "../src/wire/room_message.ts";
import { encodeSealedMessage } from "../src/wire/sealed_message.ts";
import { keyedRoomId } from "../src/wire/room_id.ts";
import { encodeSigned } from "../src/wire/signed.ts";
import { KEY_CHANGE_BODY } from "../src/wire/key_change.ts";
import { encodeTicket, enterBody, type Role, ROLES, TICKET_BODY } from "../src/wire/ticket.ts";
import {
  deterministicRandom,
  deterministicSigningKey,
  kemEncapsulateWith,
  kemPublicKey,
} from "../tests/support/deterministic.ts";
import {
  handmadeCommit,
  type HandmadeMember,
  type HandmadePlan,
  handmadeWrap,
} from "../tests/support/handmade_commit.ts";
import { type Json, leavesJson, runOperation } from "../tests/support/vector_operations.ts";
import { recordSession } from "../tests/support/recorded_session.ts";

/** The folder of the vectors. */
export const VECTORS: URL = new URL("../tests/vectors/", import.meta.url);

/** An input that is the vector's own but for the fields in `replace`, and must be refused. */
export interface Negative {
  readonly name: string;
  readonly replace: Json;
  /** What our program says; another may say it otherwise, but says no. */
  readonly refusal: string;
}

/** One step of PROTOCOL with its input and output. */
export interface Vector {
  readonly name: string;
  readonly section: string;
  readonly operation: string;
  readonly input: Json;
  readonly output: Json;
  readonly negative: readonly Negative[];
}

/** A vector file. */
export interface VectorFile {
  readonly section: string;
  readonly about: string;
  readonly vectors: readonly Vector[];
}

async function vector(
  section: string,
  operation: string,
  name: string,
  input: Json,
  negative: readonly Negative[] = [],
): Promise<Vector> {
  const output = await runOperation(operation, input);
  return { name, section, operation, input, output, negative };
}

/** A copy with one bit flipped. */
function flip(bytes: Uint8Array, at: number): string {
  const index = at < 0 ? bytes.length + at : at;
  return bytes.with(index, (bytes[index] ?? 0) ^ 1).toHex();
}

function refused(name: string, refusal: string, replace: Json): Negative {
  return { name, replace, refusal };
}

// ---- RSA keys, which cannot be made from a seed

interface RsaPair {
  readonly pkcs8: Bytes;
  readonly spki: Bytes;
}

const RSA_KEYS = new URL("rsa_keys.json", VECTORS);

async function rsaPairs(): Promise<RsaPair[]> {
  let text: string;
  try {
    text = await Deno.readTextFile(RSA_KEYS);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const keys = [0, 1, 2].map(() =>
      generateKeyPairSync("rsa", { modulusLength: 3072 }).privateKey
        .export({ format: "der", type: "pkcs8" }).toString("hex")
    );
    const about =
      "RSA-3072 private keys in PKCS #8. Test keys: they protect nothing, here or elsewhere.";
    text = JSON.stringify({ section: "1", about, keys }, null, 1) + "\n";
    await Deno.mkdir(VECTORS, { recursive: true });
    await Deno.writeTextFile(RSA_KEYS, text);
  }
  const { keys }: { keys: string[] } = JSON.parse(text);
  return keys.map((hex) => {
    const pkcs8 = Uint8Array.fromHex(hex);
    const key = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
    const spki = createPublicKey(key).export({ format: "der", type: "spki" });
    return { pkcs8, spki: new Uint8Array(spki) };
  });
}

// ---- the people of the vectors

type SeededKey = SigningKey & { readonly seed: Bytes };

interface VectorPerson {
  readonly name: string;
  readonly leaf: Leaf;
  readonly identity: SeededKey;
  readonly session: SeededKey;
  readonly gate: SeededKey;
  readonly rsa: RsaPair;
  readonly kemSeed: Bytes;
  readonly kem: KemKey;
  readonly na: JoinNonce;
  readonly cert: Bytes;
}

/** A room with an admin, ada and bob; cyd is about to come. */
async function makeWorld() {
  const random = deterministicRandom("stm/1 vectors");
  const key = (): Promise<SeededKey> => deterministicSigningKey(random);
  const pairs = await rsaPairs();
  const relay = await key();
  const room = await key();
  const id = keyedRoomId(sha256(room.publicKey));
  const adminKey = await key();
  const admin = identityKey(adminKey.publicKey);
  async function person(
    name: string,
    number: number,
    rsa: RsaPair | undefined,
  ): Promise<VectorPerson> {
    if (rsa === undefined) throw new RangeError("there are too few RSA keys");
    const identity = number === 0 ? adminKey : await key();
    const session = await key();
    const gate = await key();
    const kemSeed = random(64);
    const kem = kemPublicKey(kemSeed);
    const na = joinNonce(random(32));
    const cert = makeCert({
      room: id,
      admin,
      na,
      identity,
      generation: generation(1_700_000_000_000 + number),
      sessionPublic: session.publicKey,
      gateKey: gateKey(gate.publicKey),
      rsaSpki: rsa.spki,
      kemKey: number === 0 ? kemKey(new Uint8Array(1184)) : kem,
      name,
    });
    return { name, leaf: leaf(number), identity, session, gate, rsa, kemSeed, kem, na, cert };
  }
  const owl = await person("owl", 0, pairs[2]);
  const ada = await person("ada", 1, pairs[0]);
  const bob = await person("Zoë 🦊", 3, pairs[1]);
  const cyd = await person("cyd", 4, pairs[2]);
  const secret = roomSecret(random(32));
  const invite = inviteSecret(random(16));
  return { random, relay, room, id, admin, owl, ada, bob, cyd, secret, invite, pairs, key };
}

type World = Awaited<ReturnType<typeof makeWorld>>;

// ---- §3.1 and §4

async function links(w: World): Promise<VectorFile> {
  const link = {
    host: "relay.example",
    port: 5000,
    relayKey: relayKey(w.relay.publicKey),
  };
  const server = formatLink({ kind: "server", ...link }, sha256);
  const invite = formatLink({
    kind: "invite",
    ...link,
    room: w.id,
    adminFingerprint: fingerprintOf(w.admin),
    roomSecret: w.secret,
    inviteSecret: w.invite,
  }, sha256);
  const changed = (text: string, at: number): string =>
    text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1);
  const damaged = (name: string, text: string): Negative =>
    refused(name, "damaged", { link: text });
  const open = [relayKey(w.relay.publicKey).toHex(), "lobby"] as const;
  return {
    section: "3.1, 4",
    about: "Room ids, fingerprints, links and what is derived from the secrets in them.",
    vectors: [
      await vector("4", "fingerprint of a key", "the admin's fingerprint", {
        "Ed25519 key": w.admin.toHex(),
      }),
      await vector("3.1", "room id of a keyed room", "a keyed room", {
        "room public key": w.room.publicKey.toHex(),
      }),
      await vector("3.1, 4", "room id and secret of an open room", "an open room", {
        "relay key": open[0],
        "room name": open[1],
      }),
      await vector("4", "invite id and MAC key", "an invite", {
        "invite secret": w.invite.toHex(),
      }),
      await vector("4", "read a link", "a server link", { link: server }, [
        damaged("another relay key", changed(server, 30)),
        damaged("another check", changed(server, server.length - 2)),
        damaged("another port", server.replace(":5000", ":5001")),
        damaged("another host", server.replace("relay", "delay")),
        refused("cut", "damaged", { link: server.slice(0, -4) }),
        refused("another scheme", "not-a-link", { link: server.replace("stm:", "stn:") }),
      ]),
      await vector("4", "read a link", "an invite", { link: invite }, [
        damaged("another relay key", changed(invite, 40)),
        damaged("another room id", changed(invite, 80)),
        damaged("another room secret", changed(invite, 130)),
        damaged("another invite secret", changed(invite, invite.length - 12)),
      ]),
      await vector("4", "read a link", "the same server link, without the slash, in upper case", {
        link: server.replace("/#", "#").replace("relay.example", "RELAY.example"),
      }),
    ],
  };
}

// ---- §5

async function payloads(w: World): Promise<VectorFile> {
  const seal = new OuterSeal(w.id, w.secret);
  const body = w.random(48);
  const at = { room: { "room id": w.id.toHex(), "room secret": w.secret.toHex() } };
  const masked = (
    header: Parameters<OuterSeal["payload"]>[0],
  ): string => seal.payload(header, body).subarray(0, 24).toHex();
  const message = masked({ kind: "message", epoch: epoch(7), leaf: leaf(3), n: 70_000 });
  const other = { "room secret": w.random(32).toHex() };
  const salt = w.random(32);
  const sealedBody = (plaintext: Bytes, direction: "to-admin" | "from-admin" | "between-members") =>
    concat(salt, gcmSeal(hkdf(w.secret, salt, outerKeyInfo(direction), 32), w.id, plaintext));
  const knock = encodeSealedMessage("knock", { minVersion: 1, maxVersion: 1 });
  const good = sealedBody(knock, "to-admin");
  return {
    section: "5",
    about: "Masked headers and sealed bodies. A payload is the masked header and then the body.",
    vectors: [
      await vector("5", "unmask a header", "of a message", {
        ...at.room,
        "masked header": message,
        body: body.toHex(),
      }, [
        refused("another room secret", "passed over", other),
        refused("another room", "passed over", { "room id": w.random(16).toHex() }),
        refused("another body", "passed over", { body: flip(body, 15) }),
        refused("an unknown kind", "passed over", {
          "masked header": flip(Uint8Array.fromHex(message), 0),
        }),
        refused("a zero byte that is not zero", "passed over", {
          "masked header": flip(Uint8Array.fromHex(message), 2),
        }),
      ]),
      await vector("5", "unmask a header", "of a sealed body", {
        ...at.room,
        "masked header": masked({ kind: "sealed" }),
        body: body.toHex(),
      }),
      await vector("5", "open a sealed body", "a KNOCK", {
        ...at.room,
        direction: 0,
        body: good.toHex(),
      }, [
        refused("another salt", "open-failed", { body: flip(good, 5) }),
        refused("another ciphertext", "open-failed", { body: flip(good, 40) }),
        refused("another tag", "open-failed", { body: flip(good, -1) }),
        refused("another direction", "open-failed", { direction: 1 }),
        refused("another room", "open-failed", { "room id": w.random(16).toHex() }),
        refused("another room secret", "open-failed", other),
        refused("padding that is not zero", "bad-value", {
          body: sealedBody(knock.with(255, 1), "to-admin").toHex(),
        }),
        refused("padded to 512", "leftover", {
          body: sealedBody(concat(knock, new Uint8Array(256)), "to-admin").toHex(),
        }),
        refused("padded to 255", "truncated", {
          body: sealedBody(knock.slice(0, 255), "to-admin").toHex(),
        }),
        refused("a KNOCK in the admin's direction", "bad-value", {
          direction: 1,
          body: sealedBody(knock, "from-admin").toHex(),
        }),
      ]),
      await vector("5", "open a sealed body", "an unknown type that is passed over", {
        ...at.room,
        direction: 2,
        body: sealedBody(new Uint8Array(256).with(0, 0x7f), "between-members").toHex(),
      }),
      await vector("5", "open a sealed body", "an unknown critical type", {
        ...at.room,
        direction: 1,
        body: sealedBody(new Uint8Array(256).with(0, 0xff), "from-admin").toHex(),
      }),
    ],
  };
}

// ---- §6

/** S + L instead of S: the same signature to a lax verifier. */
function unreduced(signed: Uint8Array): Bytes {
  const l = 2n ** 252n + 27742317777372353535851937790883648493n;
  const s = BigInt(`0x${signed.slice(-32).reverse().toHex()}`) + l;
  return concat(
    signed.slice(0, -32),
    Uint8Array.fromHex(s.toString(16).padStart(64, "0")).reverse(),
  );
}

async function bundles(w: World): Promise<VectorFile> {
  const oneUseSeed = w.random(64);
  const oneUse = kemPublicKey(oneUseSeed);
  const run = runId(w.random(16));
  const { na } = w.ada;
  const hello = (room: RoomId, signer: SigningKey, key: KemKey): Bytes =>
    encode(HELLO, makeHello(room, signer, run, na, key));
  const good = hello(w.id, w.owl.identity, oneUse);
  const otherRoom = roomId(w.random(16).with(0, 1));
  const stranger = await w.key();
  const place = { "room id": w.id.toHex(), "admin identity": w.admin.toHex() };

  const certPlan = {
    room: w.id,
    admin: w.admin,
    na,
    identity: w.ada.identity,
    generation: generation(1_700_000_000_001),
    sessionPublic: w.ada.session.publicKey,
    gateKey: gateKey(w.ada.gate.publicKey),
    rsaSpki: w.ada.rsa.spki,
    kemKey: w.ada.kem,
    name: w.ada.name,
  };
  const cert = w.ada.cert;

  const { ciphertext, shared } = kemEncapsulateWith(oneUse, w.random(32));
  const mac = (secret: Bytes, c: Bytes): Bytes => {
    const key = derive(secret, inviteMacKeyInfo(), 32);
    return hmacOf(key, inviteMacInput(c));
  };
  interface Inner {
    cert?: Bytes;
    rsaSpki?: Bytes;
    kemKey?: KemKey;
    mac?: Bytes;
    inviteId?: Bytes;
  }
  const sealBundle = (inner: Inner, answers = na): Bytes => {
    const c = inner.cert ?? cert;
    const plaintext = encode(BUNDLE_INNER, {
      cert: c,
      rsaSpki: inner.rsaSpki ?? w.ada.rsa.spki,
      kemKey: inner.kemKey ?? w.ada.kem,
      inviteId: inviteId(inner.inviteId ?? inviteIdOf(w.invite)),
      mac: hash(inner.mac ?? mac(w.invite, c)),
    });
    const key = hkdf(shared, sha256(ciphertext), bundleKeyInfo(w.id, answers), 32);
    return encode(BUNDLE, { na: answers, ciphertext, box: gcmSeal(key, w.id, plaintext) });
  };
  const bundle = sealBundle({});
  const bad = (name: string, refusal: string, inner: Inner): Negative =>
    refused(name, refusal, { bundle: sealBundle(inner).toHex() });
  const weakSpki = new Uint8Array(
    generateWeak(1024).export({ format: "der", type: "spki" }),
  );
  const deniedBytes = (signer: SigningKey, code: "denied" | "barred"): Bytes =>
    concat(
      new Uint8Array([code === "denied" ? 1 : 3]),
      sign(signer.privateKey, "deny", deniedBody(w.id, na, "denied")),
    );
  const smallOrder = new Uint8Array(32).with(0, 1);

  return {
    section: "6",
    about: "HELLO, CERT, BUNDLE and DENIED: each is the content of a sealed body of §5.",
    vectors: [
      await vector("6", "verify a HELLO", "the admin's", {
        "room id": w.id.toHex(),
        "admin fingerprint": fingerprintOf(w.admin).toHex(),
        hello: good.toHex(),
      }, [
        ...[["min version", 0], ["room", 3], ["run id", 55], ["na", 70], ["ML-KEM key", 700], [
          "signature's R",
          good.length - 60,
        ], ["signature's S", good.length - 30]].map(([name, at]) =>
          refused(
            `another ${name}`,
            name === "room" ? "bad-structure" : "bad-signature",
            { hello: flip(good, Number(at)) },
          )
        ),
        refused("another admin", "bad-structure", {
          hello: hello(w.id, stranger, oneUse).toHex(),
        }),
        refused("another room", "bad-structure", {
          hello: hello(otherRoom, w.owl.identity, oneUse).toHex(),
        }),
        refused("S not reduced", "bad-signature", { hello: unreduced(good).toHex() }),
        refused("an ML-KEM key with a coefficient of 4095", "bad-key", {
          hello: hello(w.id, w.owl.identity, kemKey(oneUse.with(0, 0xff).with(1, 0xff))).toHex(),
        }),
        refused("a byte more", "leftover", { hello: good.toHex() + "00" }),
        refused("a byte less", "truncated", { hello: good.toHex().slice(0, -2) }),
      ]),
      await vector("6", "verify a CERT", "ada's", { ...place, cert: cert.toHex() }, [
        ...([
          ["max version", 1, "bad-signature"],
          ["room", 4, "bad-structure"],
          ["admin identity", 20, "bad-structure"],
          ["na", 60, "bad-signature"],
          ["identity", 90, "bad-signature"],
          ["g", 121, "bad-signature"],
          ["session key", 130, "bad-signature"],
          ["gate key", 160, "bad-signature"],
          ["wrap hash", 200, "bad-signature"],
          ["name", 221, "bad-signature"],
          ["signature", -1, "bad-signature"],
        ] as const).map(([name, at, code]) =>
          refused(`another ${name}`, code, { cert: flip(cert, at) })
        ),
        refused("signed by somebody else", "bad-signature", {
          cert: resign(cert, stranger, "cert").toHex(),
        }),
        refused("signed as another kind", "bad-signature", {
          cert: resign(cert, w.ada.identity, "hello").toHex(),
        }),
        refused("S not reduced", "bad-signature", { cert: unreduced(cert).toHex() }),
        refused("a small-order session key", "bad-key", {
          cert: makeCert({ ...certPlan, sessionPublic: smallOrder }).toHex(),
        }),
        refused("for another room, well signed", "bad-structure", {
          cert: makeCert({ ...certPlan, room: otherRoom }).toHex(),
        }),
        refused("for another admin, well signed", "bad-structure", {
          cert: makeCert({ ...certPlan, admin: identityKey(stranger.publicKey) }).toHex(),
        }),
        refused("a name with a control character", "bad-value", {
          cert: resign(cert.with(222, 0x07), w.ada.identity, "cert").toHex(),
        }),
      ]),
      await vector("6", "open a BUNDLE", "ada's, by invite", {
        ...place,
        "one-use ML-KEM private key, seed d ‖ z": oneUseSeed.toHex(),
        "ML-KEM shared secret s": shared.toHex(),
        "invite secret": w.invite.toHex(),
        "highest g accepted from this identity, -1 for none": -1,
        bundle: bundle.toHex(),
      }, [
        refused("another na", "open-failed", { bundle: flip(bundle, 0) }),
        refused("another ciphertext", "open-failed", { bundle: flip(bundle, 100) }),
        refused("another box", "open-failed", { bundle: flip(bundle, 1300) }),
        refused("another tag", "open-failed", { bundle: flip(bundle, -1) }),
        refused("sealed for another na than its CERT's", "bad-structure", {
          bundle: sealBundle({}, joinNonce(w.random(32))).toHex(),
        }),
        bad("another RSA key than the CERT's", "bad-structure", { rsaSpki: w.bob.rsa.spki }),
        bad("another ML-KEM key than the CERT's", "bad-structure", { kemKey: w.bob.kem }),
        bad("an RSA key of 1024 bits", "bad-key", {
          rsaSpki: weakSpki,
          cert: makeCert({ ...certPlan, rsaSpki: weakSpki }),
        }),
        bad("an RSA key with e = 65539", "bad-key", {
          rsaSpki: w.ada.rsa.spki.with(421, 3),
          cert: makeCert({ ...certPlan, rsaSpki: w.ada.rsa.spki.with(421, 3) }),
        }),
        bad("an ML-KEM key with a coefficient of 4095", "bad-key", {
          kemKey: kemKey(w.ada.kem.with(0, 0xff).with(1, 0xff)),
          cert: makeCert({
            ...certPlan,
            kemKey: kemKey(w.ada.kem.with(0, 0xff).with(1, 0xff)),
          }),
        }),
        bad("a CERT that somebody else signed", "bad-signature", {
          cert: resign(cert, stranger, "cert"),
        }),
        bad("a MAC over another CERT", "open-failed", { mac: mac(w.invite, w.bob.cert) }),
        bad("a MAC with another secret", "open-failed", { mac: mac(w.random(16), cert) }),
        bad("an unknown invite id", "open-failed", { inviteId: w.random(8) }),
        refused("a g that was accepted before", "bad-structure", {
          "highest g accepted from this identity, -1 for none": 1_700_000_000_001,
        }),
      ]),
      await vector("6", "open a BUNDLE", "ada's, without an invite", {
        ...place,
        "one-use ML-KEM private key, seed d ‖ z": oneUseSeed.toHex(),
        "ML-KEM shared secret s": shared.toHex(),
        "invite secret": w.invite.toHex(),
        "highest g accepted from this identity, -1 for none": 1_700_000_000_000,
        bundle: sealBundle({ inviteId: new Uint8Array(8), mac: new Uint8Array(32) }).toHex(),
      }),
      await vector("6", "verify a DENIED", "the admin's person said no", {
        ...place,
        na: na.toHex(),
        denied: deniedBytes(w.owl.identity, "denied").toHex(),
      }, [
        refused("another code", "bad-signature", {
          denied: deniedBytes(w.owl.identity, "barred").toHex(),
        }),
        refused("another na", "bad-signature", { na: w.random(32).toHex() }),
        refused("another signer", "bad-signature", {
          denied: deniedBytes(stranger, "denied").toHex(),
        }),
        refused("an unknown code", "bad-value", {
          denied: deniedBytes(w.owl.identity, "denied").with(0, 8).toHex(),
        }),
      ]),
    ],
  };
}

/** HMAC, not through src: one line of the vectors' own. */
function hmacOf(key: Bytes, message: Bytes): Bytes {
  const pad = (byte: number): Bytes => {
    const block = new Uint8Array(64).fill(byte);
    key.forEach((b, i) => block[i] = b ^ byte);
    return block;
  };
  return sha256(pad(0x5c), sha256(pad(0x36), message));
}

/** A public RSA key of so many bits that is the same each time: the product of nothing in particular. */
function generateWeak(bits: number) {
  const n = new Uint8Array(bits / 8).fill(0xa5).with(0, 0xc3).with(bits / 8 - 1, 0x01);
  const base64 = { alphabet: "base64url", omitPadding: true } as const;
  return createPublicKey({
    key: { kty: "RSA", n: n.toBase64(base64), e: "AQAB" },
    format: "jwk",
  });
}

function resign(signed: Bytes, signer: SigningKey, kind: "cert" | "hello"): Bytes {
  const body = signed.slice(0, -64);
  return concat(body, sign(signer.privateKey, kind, body));
}

// ---- §7

const rosterLeaf = (p: VectorPerson, via: RosterLeaf["via"]): RosterLeaf => ({
  leaf: p.leaf,
  via,
  cert: p.cert,
});
const handmade = (p: VectorPerson): HandmadeMember => ({
  leaf: p.leaf,
  cert: p.cert,
  rsaSpki: p.rsa.spki,
  kem: p.kem,
});

async function wraps(w: World): Promise<VectorFile> {
  const plan = {
    room: w.id,
    epoch: epoch(12),
    admin: w.admin,
    random: w.random,
    secret: w.random(32),
  };
  const made = handmadeWrap(plan, handmade(w.ada));
  const forBob = handmadeWrap(plan, handmade(w.bob));
  const shortR = handmadeWrap({ ...plan, r: w.random(31) }, handmade(w.ada));
  const context = {
    "room id": w.id.toHex(),
    epoch: 12,
    "admin identity": w.admin.toHex(),
    identity: w.ada.identity.publicKey.toHex(),
    cert: w.ada.cert.toHex(),
    "ML-KEM key": w.ada.kem.toHex(),
  };
  const closed = (name: string, replace: Json): Negative => refused(name, "open-failed", replace);
  const wrap = new Uint8Array(made.wrap);
  return {
    section: "7",
    about:
      "The wrap of S for one member. OAEP and ML-KEM are randomised, so a wrap can only be opened; r, s and " +
      "KEK are given so that each step can be looked at.",
    vectors: [
      await vector("7", "context and tag of a wrap", "ada's", context),
      await vector("7", "open a wrap", "ada's", {
        ctx: made.ctx.toHex(),
        wrap: made.wrap.toHex(),
        "RSA private key, PKCS #8": w.ada.rsa.pkcs8.toHex(),
        "ML-KEM private key, seed d ‖ z": w.ada.kemSeed.toHex(),
        "ML-KEM shared secret s": made.s.toHex(),
      }, [
        closed("another ctx", { ctx: flip(made.ctx, 0) }),
        closed("another ctR", { wrap: flip(wrap, 10) }),
        closed("another ctM", { wrap: flip(wrap, 400) }),
        closed("another sealed S", { wrap: flip(wrap, 1480) }),
        closed("another tag", { wrap: flip(wrap, -1) }),
        closed("bob's wrap", { wrap: forBob.wrap.toHex() }),
        closed("ctR of bob's wrap", { wrap: concat(forBob.ctR, wrap.slice(384)).toHex() }),
        closed("ctM of bob's wrap", {
          wrap: concat(wrap.slice(0, 384), forBob.ctM, wrap.slice(1472)).toHex(),
        }),
        closed("r of 31 bytes", {
          wrap: shortR.wrap.toHex(),
          "ML-KEM shared secret s": shortR.s.toHex(),
        }),
      ]),
    ],
  };
}

interface CommitWorld {
  readonly plan: HandmadePlan;
  readonly before: readonly RosterLeaf[];
  readonly change: Change;
}

function commitPlan(w: World): CommitWorld {
  const before = [rosterLeaf(w.owl, "founder"), rosterLeaf(w.ada, "invite"), {
    ...rosterLeaf(w.bob, "approved"),
    leaf: leaf(2),
  }];
  const change: Change = {
    reason: "join",
    adminLeaf: leaf(0),
    deputies: [],
    roomName: "the den",
    newRoomSecret: undefined,
    added: [rosterLeaf(w.cyd, "invite")],
    removed: [{
      leaf: leaf(2),
      reason: "gone",
      count: 5,
      hash: hash(w.random(32)),
      earlier: [],
    }],
  };
  const plan: HandmadePlan = {
    room: w.id,
    admin: w.admin,
    signer: w.owl.identity,
    runId: runId(w.random(16)),
    epoch: epoch(9),
    prev: epochHash(w.random(32)),
    secret: w.random(32),
    change,
    leaves: [
      rosterLeaf(w.owl, "founder"),
      rosterLeaf(w.ada, "invite"),
      rosterLeaf(w.cyd, "invite"),
    ],
    roomSecret: w.secret,
    members: [handmade(w.ada), handmade(w.cyd)],
    random: w.random,
  };
  return { plan, before, change };
}

async function commits(w: World): Promise<VectorFile> {
  const { plan, before, change } = commitPlan(w);
  const good = handmadeCommit(plan);
  const mine = good.wraps.get(w.ada.leaf);
  const cydWrap = good.wraps.get(w.cyd.leaf);
  if (mine === undefined || cydWrap === undefined) throw new RangeError("a wrap is missing");
  const stranger = await w.key();
  const own = (p: VectorPerson) => ({
    "room id": w.id.toHex(),
    "admin identity": w.admin.toHex(),
    "own identity": p.identity.publicKey.toHex(),
    "own cert": p.cert.toHex(),
    "own ML-KEM key": p.kem.toHex(),
    "own RSA private key, PKCS #8": p.rsa.pkcs8.toHex(),
    "own ML-KEM private key, seed d ‖ z": p.kemSeed.toHex(),
  });
  const input = {
    ...own(w.ada),
    "ML-KEM shared secret s of the wrap": mine.s.toHex(),
    "own epoch": 8,
    "own h": plan.prev.toHex(),
    "own roster": leavesJson(before),
    "first leaf number never used": 3,
    commit: good.commit.toHex(),
    wrap: mine.wrap.toHex(),
  };
  /** A commit that the admin signed although it is wrong. */
  const signedBadly = (name: string, refusal: string, over: Partial<HandmadePlan>): Negative => {
    const made = handmadeCommit({ ...plan, ...over });
    const wrap = made.wraps.get(w.ada.leaf);
    return refused(name, refusal, {
      commit: made.commit.toHex(),
      ...(wrap === undefined
        ? {}
        : { wrap: wrap.wrap.toHex(), "ML-KEM shared secret s of the wrap": wrap.s.toHex() }),
    });
  };
  const changed = (name: string, over: Partial<Change>, leaves = plan.leaves): Negative =>
    signedBadly(name, "bad-commit", { change: { ...change, ...over }, leaves });
  const twin = makeCert({
    room: w.id,
    admin: w.admin,
    na: w.cyd.na,
    identity: w.ada.identity,
    generation: generation(1_800_000_000_000),
    sessionPublic: w.cyd.session.publicKey,
    gateKey: gateKey(w.cyd.gate.publicKey),
    rsaSpki: w.cyd.rsa.spki,
    kemKey: w.cyd.kem,
    name: "twin",
  });
  const namesake = makeCert({
    room: w.id,
    admin: w.admin,
    na: w.cyd.na,
    identity: w.cyd.identity,
    generation: generation(1_800_000_000_000),
    sessionPublic: w.cyd.session.publicKey,
    gateKey: gateKey(w.cyd.gate.publicKey),
    rsaSpki: w.cyd.rsa.spki,
    kemKey: w.cyd.kem,
    name: "Adá",
  });
  const withCyd = (cert: Bytes, number = 4) => {
    const added = [{ leaf: leaf(number), via: "invite" as const, cert }];
    return { added, leaves: [...plan.leaves.slice(0, 2), ...added] };
  };
  const cydAs = (name: string, cert: Bytes, number = 4): Negative => {
    const { added, leaves } = withCyd(cert, number);
    return changed(name, { added }, leaves);
  };
  const flipped = ([
    ["suite", 0, "bad-value"],
    ["room", 3, "bad-commit"],
    ["epoch", 24, "bad-commit"],
    ["prev", 30, "bad-commit"],
    ["run id", 60, "bad-commit"],
    ["kc", 80, "bad-commit"],
    ["rosterKc", 110, "bad-commit"],
    ["tag", 142, "bad-commit"],
    ["wrap hash", 160, "bad-commit"],
    ["roster box", 300, "bad-commit"],
    ["signature", -1, "bad-commit"],
  ] as const).map(([name, at, code]) =>
    refused(`another ${name}`, code, { commit: flip(good.commit, at) })
  );
  const negative = [
    ...flipped,
    signedBadly("signed by somebody else", "bad-commit", { signer: stranger }),
    refused("S of the signature not reduced", "bad-commit", {
      commit: unreduced(good.commit).toHex(),
    }),
    signedBadly("another room, well signed", "bad-commit", {
      room: roomId(w.random(16).with(0, 1)),
    }),
    signedBadly("one epoch too far", "rollback", { epoch: epoch(10) }),
    signedBadly("the epoch that we are in", "rollback", { epoch: epoch(8) }),
    signedBadly("another prev, well signed", "fork", { prev: epochHash(w.random(32)) }),
    signedBadly("none of our tags: we were removed", "removed", { members: [handmade(w.cyd)] }),
    refused("another's wrap", "no-wrap", { wrap: cydWrap.wrap.toHex() }),
    refused("a wrap with a bit flipped", "no-wrap", { wrap: flip(mine.wrap, 1500) }),
    signedBadly("another kc, well signed", "bad-commit", {
      edit: (body) => ({ ...body, kc: hash(w.random(32)) }),
    }),
    signedBadly("another rosterKc, well signed", "bad-commit", {
      edit: (body) => ({ ...body, rosterKc: hash(w.random(32)) }),
    }),
    signedBadly("a roster without a member", "bad-commit", { leaves: plan.leaves.slice(0, 2) }),
    signedBadly("the roster box with a bit flipped, well signed", "bad-commit", {
      edit: (body) => ({
        ...body,
        rosterBox: body.rosterBox.with(9, (body.rosterBox[9] ?? 0) ^ 1),
      }),
    }),
    signedBadly("padding of CHANGE not zero", "bad-commit", {
      editChange: (plaintext) => plaintext.with(plaintext.length - 1, 1),
    }),
    signedBadly("CHANGE padded too far", "bad-commit", {
      editChange: (plaintext) => concat(plaintext, new Uint8Array(plaintext.length)),
    }),
    cydAs("an added CERT with a bit flipped", Uint8Array.fromHex(flip(w.cyd.cert, 60))),
    cydAs("an identity that has a leaf already", twin),
    cydAs("a name that differs in case and marks only", namesake),
    cydAs("a leaf number used before", w.cyd.cert, 2),
    changed("a removed leaf that is not there", {
      removed: [{
        leaf: leaf(7),
        reason: "gone",
        count: 0,
        hash: hash(new Uint8Array(32)),
        earlier: [],
      }],
    }),
    changed("an admin's leaf that is not the admin's", { adminLeaf: leaf(1) }),
  ];
  const welcome = {
    ...own(w.cyd),
    "ML-KEM shared secret s of the wrap": cydWrap.s.toHex(),
    "highest epoch remembered for this room": 0,
    commit: good.commit.toHex(),
    wrap: cydWrap.wrap.toHex(),
    "room public key": w.room.publicKey.toHex(),
    "roster box": good.welcomeBox.toHex(),
  };
  const otherRoster = handmadeCommit({ ...plan, leaves: plan.leaves.slice(0, 2) });
  const kem = { room: w.id, leaf: w.ada.leaf, h: good.h };
  const signedBytes = <T>(
    codec: Parameters<typeof encode<T>>[0],
    value: T,
    signer: SigningKey,
    kind: "kem" | "kem-ack" | "catch-up",
  ): Bytes => {
    const body = encode(codec, value);
    return encodeSigned(body, signature(sign(signer.privateKey, kind, body)));
  };
  const update = signedBytes(KEM_UPDATE_BODY, { ...kem, kemKey: w.bob.kem }, w.ada.session, "kem");
  const ackValue = { ...kem, kemKeyHash: hash(sha256(w.bob.kem)) };
  const ack = signedBytes(KEM_ACK_BODY, ackValue, w.owl.identity, "kem-ack");
  const catchUpValue = { room: w.id, leaf: w.ada.leaf, epoch: plan.epoch, h: good.h };
  const catchUp = signedBytes(CATCH_UP_BODY, catchUpValue, w.ada.session, "catch-up");
  const forged = (name: string, replace: Json): Negative => refused(name, "bad-signature", replace);
  return {
    section: "7",
    about:
      "COMMIT as a member and as a newcomer accepts it, and the signed structures around it. `own roster` is the " +
      "roster before the commit; `via` and `leaf` are numbers.",
    vectors: [
      await vector("7", "roster hash", "before the commit", {
        "room id": w.id.toHex(),
        "admin identity": w.admin.toHex(),
        roster: leavesJson(before),
      }),
      await vector("7", "confirmations of an epoch", "kc and rosterKc", {
        "room id": w.id.toHex(),
        epoch: 9,
        S: plan.secret.toHex(),
        rosterHash: good.rosterHash.toHex(),
      }),
      await vector("7", "accept a COMMIT", "one joins, one is gone", input, negative),
      await vector("7", "accept a WELCOME", "cyd's", welcome, [
        refused("an epoch that is behind us", "rollback", {
          "highest epoch remembered for this room": 9,
        }),
        refused("another room key", "bad-commit", {
          "room public key": stranger.publicKey.toHex(),
        }),
        refused("a roster box with a bit flipped", "bad-commit", {
          "roster box": flip(good.welcomeBox, 40),
        }),
        refused("another roster, sealed by somebody who has S", "bad-commit", {
          "roster box": resealed(w, plan, good.body, otherRoster.welcomeBox, otherRoster.body),
        }),
        refused("signed by somebody else", "bad-commit", {
          commit: handmadeCommit({ ...plan, signer: stranger }).commit.toHex(),
        }),
        refused("ada's wrap", "no-wrap", { wrap: mine.wrap.toHex() }),
      ]),
      await vector("7", "verify a KEM_UPDATE", "ada's", {
        "session key": w.ada.session.publicKey.toHex(),
        "kem update": update.toHex(),
      }, [
        forged("another leaf", { "kem update": flip(update, 19) }),
        forged("another h", { "kem update": flip(update, 30) }),
        forged("another key", { "kem update": flip(update, 500) }),
        forged("by somebody else", { "session key": w.bob.session.publicKey.toHex() }),
      ]),
      await vector("7", "verify a KEM_ACK", "for ada", {
        "admin identity": w.admin.toHex(),
        "kem ack": ack.toHex(),
      }, [
        forged("another leaf", { "kem ack": flip(ack, 19) }),
        forged("another hash", { "kem ack": flip(ack, 60) }),
        forged("by somebody else", {
          "kem ack": signedBytes(KEM_ACK_BODY, ackValue, w.ada.session, "kem-ack").toHex(),
        }),
      ]),
      await vector("7", "verify a CATCH_UP", "ada's", {
        "session key": w.ada.session.publicKey.toHex(),
        "catch up": catchUp.toHex(),
      }, [
        forged("another epoch", { "catch up": flip(catchUp, 27) }),
        forged("by somebody else", { "session key": w.bob.session.publicKey.toHex() }),
      ]),
    ],
  };
}

/** A WELCOME's roster box as an insider can make it: S gives the key, the commit's body is known. */
function resealed(
  w: World,
  plan: HandmadePlan,
  body: Bytes,
  otherBox: Bytes,
  otherBody: Bytes,
): string {
  const key = derive(plan.secret, welcomeKeyInfo(w.id, plan.epoch), 32);
  return gcmSeal(key, sha256(body), gcmOpen(key, sha256(otherBody), otherBox)).toHex();
}

// ---- §8

interface MessagePlan {
  readonly ck0: Bytes;
  readonly h: EpochHash;
  readonly epoch: Epoch;
  readonly leaf: Leaf;
  readonly n: number;
  readonly signer: SigningKey;
}

/** Seals a message by hand: anything can be wrong with it. */
function sealMessage(
  w: World,
  plan: MessagePlan,
  message: RoomMessage | { readonly type: number; readonly content: Bytes },
  edit: (plaintext: Bytes) => Bytes = (plaintext) => plaintext,
  signedAt: Partial<MessagePlan> = {},
): Bytes {
  const place = { room: w.id, h: plan.h, epoch: plan.epoch, leaf: plan.leaf };
  const { type, content } = "kind" in message ? encodeRoomMessage(message) : message;
  const signedAad = messageAad({ ...place, n: plan.n, ...signedAt });
  const signed = signature(
    sign(plan.signer.privateKey, "msg", messageSignedBody(signedAad, type, content)),
  );
  const chain = new SendingChain(plan.ck0.slice());
  for (let n = 0; n < plan.n; n++) chain.use(n, () => {});
  const plaintext = edit(encodeMessagePlaintext({ type, content, signature: signed }));
  return chain.use(
    plan.n,
    ({ key, nonce }) => gcmSeal(key, messageAad({ ...place, n: plan.n }), plaintext, nonce),
  );
}

async function messages(w: World): Promise<VectorFile> {
  const secret = w.random(32);
  const h = epochHash(w.random(32));
  const es = hkdf(secret, h, epochSecretInfo(), 32);
  const chainOf = (l: Leaf): Bytes => derive(es, senderChainInfo(h, l), 32);
  const plan = {
    ck0: chainOf(w.ada.leaf),
    h,
    epoch: epoch(9),
    leaf: w.ada.leaf,
    n: 2,
    signer: w.ada.session,
  };
  const text: RoomMessage = {
    kind: "text",
    id: messageId(w.random(16)),
    sentAt: 1_700_000_000_123,
    text: "Grüße, Zoë 🦊",
  };
  const inputOf = (p: MessagePlan, body: Bytes): Json => ({
    "room id": w.id.toHex(),
    h: p.h.toHex(),
    epoch: p.epoch,
    leaf: p.leaf,
    n: p.n,
    "CK(leaf, 0)": p.ck0.toHex(),
    "session key": p.signer.publicKey.toHex(),
    body: body.toHex(),
  });
  const body = sealMessage(w, plan, text);
  const closed = (name: string, replace: Json): Negative => refused(name, "open-failed", replace);
  const forged = (name: string, bad: Bytes, refusal = "bad-signature"): Negative =>
    refused(name, refusal, { body: bad.toHex() });
  const content = encodeRoomMessage(text).content;
  const others = [
    { kind: "close", epoch: epoch(8), count: 12, hash: hash(w.random(32)) },
    {
      kind: "heartbeat",
      count: 2,
      hash: hash(w.random(32)),
      digest: hash(w.random(32)),
    },
    { kind: "leave" },
    { type: 0x7f, content: new Uint8Array([1, 2, 3]) },
    { kind: "text", id: messageId(w.random(16)), sentAt: 0, text: "long ".repeat(900) },
  ] as const;
  const more = await Promise.all(others.map(async (message, i) => {
    const at = { ...plan, n: i };
    const name = "kind" in message ? message.kind.toUpperCase() : "an unknown type";
    return await vector("8", "open a message", `${name}, n = ${i}`, {
      ...inputOf(at, sealMessage(w, at, message)),
    });
  }));
  const rollingInput = {
    messages: more.slice(0, 3).map(({ input, output }) => ({
      "header in the clear": output["header in the clear"],
      body: input["body"],
    })),
  };
  const ofContent = async (message: RoomMessage, negative: Negative[]): Promise<Vector> => {
    const { type, content } = encodeRoomMessage(message);
    const name = message.kind.toUpperCase();
    return await vector("8", "read a message's content", name, {
      type,
      content: content.toHex(),
    }, negative);
  };
  const heartbeat = encodeRoomMessage(others[1]).content;
  return {
    section: "8",
    about:
      "Keys of an epoch, messages, rolling hashes and digests. `body` is what follows the header of 24 bytes.",
    vectors: [
      await vector("8", "keys of an epoch", "an epoch of three", {
        S: secret.toHex(),
        h: h.toHex(),
        leaves: [{ leaf: 0 }, { leaf: 1 }, { leaf: 4_000_000_000 }],
      }),
      await vector("8", "open a message", "TEXT, n = 2", inputOf(plan, body), [
        closed("another body", { body: flip(body, 3) }),
        closed("another tag", { body: flip(body, -1) }),
        closed("a body cut", { body: body.toHex().slice(0, -2) }),
        closed("another room", { "room id": w.random(16).toHex() }),
        closed("another h", { h: flip(h, 31) }),
        closed("another epoch", { epoch: 10 }),
        closed("another leaf in the header", { leaf: 4 }),
        closed("another n", { n: 1 }),
        closed("another chain", { "CK(leaf, 0)": chainOf(w.bob.leaf).toHex() }),
        refused("somebody else's session key", "bad-signature", {
          "session key": w.bob.session.publicKey.toHex(),
        }),
        forged("signed by an insider", sealMessage(w, { ...plan, signer: w.bob.session }, text)),
        forged("signed for another n", sealMessage(w, plan, text, undefined, { n: 1 })),
        forged(
          "signed for another epoch",
          sealMessage(w, plan, text, undefined, { epoch: epoch(8) }),
        ),
        forged("signed for another leaf", sealMessage(w, plan, text, undefined, { leaf: leaf(2) })),
        forged("another type than signed", sealMessage(w, plan, text, (p) => p.with(0, 0x80))),
        forged("another content than signed", sealMessage(w, plan, text, (p) => p.with(30, 0))),
        forged(
          "padding that is not zero",
          sealMessage(w, plan, text, (p) => p.with(p.length - 1, 1)),
          "bad-value",
        ),
        forged(
          "padded to 512",
          sealMessage(w, plan, text, (p) => concat(p, new Uint8Array(256))),
          "leftover",
        ),
        forged(
          "not padded",
          sealMessage(w, plan, text, (p) => p.slice(0, 1 + 4 + content.length + 64)),
          "truncated",
        ),
        refused("65,536 ahead of the next expected", "too-far", { n: 65_536 }),
      ]),
      ...more,
      await vector("8", "rolling hash", "over three messages", rollingInput),
      await ofContent(text, [
        refused("ill-formed UTF-8", "bad-utf8", {
          content: concat(content, new Uint8Array([0xff])).toHex(),
        }),
        refused("cut before its text", "truncated", { content: content.slice(0, 23).toHex() }),
      ]),
      await ofContent(others[0], []),
      await ofContent(others[1], [
        refused("a byte more", "leftover", { content: heartbeat.toHex() + "00" }),
        refused("a count above 2^53 - 1", "bad-value", {
          content: "0020000000000000" + heartbeat.toHex().slice(16),
        }),
      ]),
      await ofContent(others[2], [refused("a LEAVE with content", "leftover", { content: "00" })]),
      await vector("8", "digest of a HEARTBEAT", "three leaves", {
        leaves: [
          { leaf: 0, count: 3, hash: w.random(32).toHex() },
          { leaf: 1, count: 0, hash: "00".repeat(32) },
          { leaf: 4, count: 70_000, hash: w.random(32).toHex() },
        ],
      }),
    ],
  };
}

async function safety(w: World): Promise<VectorFile> {
  const vectors: Vector[] = [];
  for (let i = 0; i < 4; i++) {
    const input = { ES: w.random(32).toHex(), rosterHash: w.random(32).toHex() };
    vectors.push(await vector("8", "safety code", `code ${i + 1}`, input));
  }
  return { section: "8", about: "Safety codes: twelve words of BIP-39's English list.", vectors };
}

// ---- §3

async function tickets(w: World): Promise<VectorFile> {
  const now = 1_700_000_000;
  const stranger = await w.key();
  const ticket = (over: Partial<{ room: RoomId; expires: number }>, signer = w.room): Bytes => {
    const body = encode(TICKET_BODY, {
      room: w.id,
      ticketEpoch: ticketEpoch(9),
      expires: now + 86_400,
      gateKey: gateKey(w.ada.gate.publicKey),
      ...over,
    });
    return encodeTicket(body, signature(sign(signer.privateKey, "ticket", body)));
  };
  const good = ticket({});
  const bad = (name: string, refusal: string, bytes: Bytes | string): Negative =>
    refused(name, refusal, { ticket: typeof bytes === "string" ? bytes : bytes.toHex() });
  const nonce = challenge(w.random(32));
  const enter = async (role: Role, key: SigningKey): Promise<Vector> => {
    const facts = { nonce, relayKey: relayKey(w.relay.publicKey), room: w.id };
    const signed = sign(key.privateKey, "enter", enterBody({ ...facts, role }));
    const no = (name: string, replace: Json): Negative => refused(name, "bad-credential", replace);
    return await vector("3.2", "verify an ENTER", `as ${role}`, {
      nonce: nonce.toHex(),
      "relay key": w.relay.publicKey.toHex(),
      "room id": w.id.toHex(),
      role: ROLES[role],
      key: key.publicKey.toHex(),
      signature: signed.toHex(),
    }, [
      no("another nonce", { nonce: flip(nonce, 0) }),
      no("another relay", { "relay key": stranger.publicKey.toHex() }),
      no("another room", { "room id": w.random(16).toHex() }),
      no("another role", { role: role === "member" ? 2 : 1 }),
      no("another key", { key: stranger.publicKey.toHex() }),
      no("a small-order key", { key: "01" + "00".repeat(31), signature: "01" + "00".repeat(63) }),
      no("S not reduced", { signature: unreduced(signed).toHex() }),
    ]);
  };
  return {
    section: "3",
    about:
      "What the relay checks of a member's ticket and of an ENTER. `key` is the ticket's gate key for a member, " +
      "the room key for an owner.",
    vectors: [
      await vector("3.1", "verify a TICKET", "ada's", {
        "room id": w.id.toHex(),
        "room public key": w.room.publicKey.toHex(),
        "now, seconds since 1970": now,
        "lowest ticket epoch": 9,
        ticket: good.toHex(),
      }, [
        bad("another room", "bad-credential", flip(good, 0)),
        bad("another ticket epoch", "ticket-revoked", flip(good, 23)),
        bad("another gate key", "bad-credential", flip(good, 40)),
        bad("reserved bytes that are not zero", "bad-value", flip(good, 119)),
        bad("another signature", "bad-credential", flip(good, -1)),
        bad("signed by another key", "bad-credential", ticket({}, stranger)),
        bad(
          "for another room, well signed",
          "bad-credential",
          ticket({ room: roomId(w.random(16)) }),
        ),
        bad("expired", "ticket-expired", ticket({ expires: now })),
        bad("good for too long", "bad-credential", ticket({ expires: now + 87_001 })),
        refused("below the lowest ticket epoch", "ticket-revoked", { "lowest ticket epoch": 10 }),
        refused("another room key", "bad-credential", {
          "room public key": stranger.publicKey.toHex(),
        }),
      ]),
      await enter("member", w.ada.gate),
      await enter("owner", w.room),
    ],
  };
}

// ---- §2.1

async function keyChanges(w: World): Promise<VectorFile> {
  const now = 1_700_000_000;
  const [one, two, three, thief] = [await w.key(), await w.key(), await w.key(), await w.key()];
  const statement = (old: SigningKey, next: SigningKey, until = now + 10, signer = old): Bytes => {
    const change = {
      old: relayKey(old.publicKey),
      next: relayKey(next.publicKey),
      from: now - 10,
      until,
    };
    const body = encode(KEY_CHANGE_BODY, change);
    return encodeSigned(body, signature(sign(signer.privateKey, "key-change", body)));
  };
  const list = (...statements: Bytes[]): string =>
    concat(new Uint8Array([0, statements.length]), ...statements).toHex();
  const [first, second] = [statement(one, two), statement(two, three)];
  const bad = (name: string, refusal: string, ...statements: Bytes[]): Negative =>
    refused(name, refusal, { "KEY_CHANGES": list(...statements) });
  const input = {
    "pinned relay key": one.publicKey.toHex(),
    "now, seconds since 1970": now,
    "KEY_CHANGES": list(first, second),
  };
  return {
    section: "2.1",
    about:
      "KEY_CHANGES without its type, as somebody follows it who has the first relay key pinned. `relay keys` are " +
      "the keys after that one.",
    vectors: [
      await vector("2.1", "accept KEY_CHANGES", "two changes", input, [
        bad("signed by another key", "bad-signature", first, statement(two, thief, now, thief)),
        bad("of another relay", "other-relay", statement(thief, two)),
        bad("expired", "expired", statement(one, two, now - 1), second),
        bad("a cycle", "no-chain", first, statement(two, one)),
        bad("torn", "no-chain", first, statement(three, thief)),
        bad("an end before the beginning", "no-chain", statement(one, two, now - 11)),
        bad("none", "other-relay"),
        bad("one byte changed", "bad-signature", Uint8Array.fromHex(flip(first, 79))),
      ]),
      await vector("2.1", "accept KEY_CHANGES", "seen from the second key", {
        ...input,
        "pinned relay key": two.publicKey.toHex(),
      }),
    ],
  };
}

/** All files that are the same at every run, by their name without `.json`. */
export async function makeVectors(): Promise<Record<string, VectorFile>> {
  const w = await makeWorld();
  return {
    links: await links(w),
    payload: await payloads(w),
    bundle: await bundles(w),
    wrap: await wraps(w),
    commit: await commits(w),
    message: await messages(w),
    safety: await safety(w),
    ticket: await tickets(w),
    key_change: await keyChanges(w),
  };
}

/** A vector file as text. */
export function formatFile(file: unknown): string {
  return JSON.stringify(file, null, 1) + "\n";
}

if (import.meta.main) {
  for (const [name, file] of Object.entries(await makeVectors())) {
    await Deno.writeTextFile(new URL(`${name}.json`, VECTORS), formatFile(file));
  }
  const session = await recordSession(await rsaPairs());
  await Deno.writeTextFile(new URL("session.json", VECTORS), formatFile(session));
  console.log(`wrote ${VECTORS.pathname}`);
}
