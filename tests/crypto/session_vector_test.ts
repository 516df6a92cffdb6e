import assert from "node:assert/strict";
import { EpochKeys } from "../../src/crypto/epoch_keys.ts";
import { OuterSeal } from "../../src/crypto/outer_seal.ts";
import { type Bytes, derive, gcmOpen, hkdf, sha256 } from "../../src/crypto/primitives.ts";
import { applyChange, type Roster, verifyRoster } from "../../src/crypto/roster.ts";
import { rsaDecrypt } from "../../src/crypto/session_keys.ts";
import { tagOf, wrapContext, wrapKey } from "../../src/crypto/wrap.ts";
import { CHANGE, type Commit, COMMIT_BODY, ROSTER } from "../../src/wire/commit.ts";
import {
  bundleKeyInfo,
  epochHashInput,
  rosterKeyInfo,
  welcomeKeyInfo,
} from "../../src/wire/contexts.ts";
import {
  type EpochHash,
  epochHash,
  hash,
  identityKey,
  type KemKey,
  type Leaf,
  roomId,
  roomSecret,
  sameBytes,
  type Wrap,
} from "../../src/wire/ids.ts";
import { decode } from "../../src/wire/codec.ts";
import { BUNDLE_INNER } from "../../src/wire/handshake.ts";
import { FrameDecoder } from "../../src/wire/frame.ts";
import { parseLink } from "../../src/wire/link_url.ts";
import { decodePadded } from "../../src/wire/padding.ts";
import { splitPayload } from "../../src/wire/payload.ts";
import { decodeRelayMessage } from "../../src/wire/relay_message.ts";
import { decodeSigned } from "../../src/wire/signed.ts";
import { messageJson } from "../support/vector_operations.ts";
import { VECTORS } from "../../tools/vectors.ts";

/** What this test reads of session.json. */
interface Session {
  readonly "room id": string;
  readonly "admin identity": string;
  readonly invites: { readonly ada: string };
  readonly ada: { readonly [name: string]: string };
  readonly "ML-KEM shared secrets": readonly { readonly [name: string]: string }[];
  readonly epochs: readonly {
    readonly epoch: number;
    readonly h: string;
    readonly "safety code": string;
  }[];
  readonly messages: readonly unknown[];
  readonly frames: readonly {
    readonly from?: string;
    readonly to?: string;
    readonly frame: string;
  }[];
}

const session: Session = JSON.parse(await Deno.readTextFile(new URL("session.json", VECTORS)));
const field = (name: string): Bytes => Uint8Array.fromHex(session.ada[name] ?? "");

/** The frames that a connection sent or was sent. */
function* relayMessages(which: "from" | "to", name: string) {
  for (const entry of session.frames) {
    if (entry[which] !== name) continue;
    const [body] = new FrameDecoder().push(Uint8Array.fromHex(entry.frame));
    assert.ok(body !== undefined);
    yield decodeRelayMessage(body);
  }
}

/** S of a wrap, from ada's RSA key and the shared secret that session.json names. */
async function secretOf(commit: Commit, wrap: Wrap, cert: Bytes, kem: KemKey): Promise<Bytes> {
  const admin = identityKey(Uint8Array.fromHex(session["admin identity"]));
  const ctx = wrapContext(
    { room: commit.room, epoch: commit.epoch, admin },
    { identity: identityKey(field("identity")), certHash: hash(sha256(cert)) },
    kem,
  );
  const tag = tagOf(ctx);
  assert.ok(commit.wraps.some((w) => sameBytes(w.tag, tag)), "none of ada's tags is listed");
  const rsa = await crypto.subtle.importKey(
    "pkcs8",
    field("RSA private key, PKCS #8"),
    { name: "RSA-OAEP", hash: "SHA-256" },
    false,
    ["decrypt"],
  );
  const ctM = wrap.slice(384, 1472);
  const shared = session["ML-KEM shared secrets"].find((s) =>
    s["ML-KEM ciphertext"] === ctM.toHex()
  );
  const s = Uint8Array.fromHex(shared?.["ML-KEM shared secret s"] ?? "");
  const r = await rsaDecrypt(rsa, ctx, wrap.slice(0, 384));
  return gcmOpen(wrapKey(ctx, r, s, wrap.slice(0, 384), ctM), ctx, wrap.subarray(1472));
}

Deno.test("session.json opens from ada's secrets alone, and says what it claims", async () => {
  const link = parseLink(session.invites.ada, sha256);
  assert.ok(link.kind === "invite");
  const room = roomId(Uint8Array.fromHex(session["room id"]));
  const admin = identityKey(Uint8Array.fromHex(session["admin identity"]));
  let seal = new OuterSeal(room, link.roomSecret);
  const kem: KemKey[] = [];
  let cert: Bytes | undefined;
  // What ada sent: her BUNDLE has the first ML-KEM key (in a box), her KEM_UPDATE the second.
  for (const message of relayMessages("from", "ada")) {
    if (message.kind !== "direct") continue;
    const { maskedHeader, body } = splitPayload(message.payload);
    assert.ok(seal.unmask(maskedHeader, body)?.kind === "sealed");
    const sealed = seal.open(body, "to-admin");
    if (sealed.kind === "kem-update") kem.push(sealed.content.value.kemKey);
    if (sealed.kind !== "bundle") continue;
    const { ciphertext, box, na } = sealed.content;
    const noted = session["ML-KEM shared secrets"].find((s) =>
      s["ML-KEM ciphertext"] === ciphertext.toHex()
    );
    const shared = Uint8Array.fromHex(noted?.["ML-KEM shared secret s"] ?? "");
    const key = hkdf(shared, sha256(ciphertext), bundleKeyInfo(room, na), 32);
    const inner = decode(BUNDLE_INNER, gcmOpen(key, room, box));
    cert = inner.cert;
    kem.push(inner.kemKey);
  }
  assert.ok(cert !== undefined && kem.length === 2);

  const epochs: { epoch: number; h: string; "safety code": string }[] = [];
  const opened: unknown[] = [];
  const wraps = new Map<number, Wrap>();
  const keys = new Map<number, EpochKeys>();
  let roster: Roster = [];
  let h: EpochHash | undefined;
  let myLeaf: Leaf | undefined;
  const begin = (commit: Commit, secret: Bytes, next: EpochHash): void => {
    assert.ok(myLeaf !== undefined);
    h = next;
    const epochKeys = new EpochKeys({ room, epoch: commit.epoch, h: next }, roster, myLeaf, secret);
    keys.set(commit.epoch, epochKeys);
    epochs.push({
      epoch: commit.epoch,
      h: next.toHex(),
      "safety code": epochKeys.safetyCode,
    });
  };
  for (const message of relayMessages("to", "ada")) {
    if (message.kind !== "direct" && message.kind !== "broadcast") continue;
    const { maskedHeader, body } = splitPayload(message.payload);
    const header = seal.unmask(maskedHeader, body);
    assert.ok(header !== undefined);
    if (header.kind === "message") {
      const result = keys.get(header.epoch)?.open(header, body);
      assert.ok(result?.kind === "opened");
      opened.push({
        epoch: header.epoch,
        leaf: header.leaf,
        message: messageJson(result.value),
      });
      continue;
    }
    const sealed = seal.open(body, "from-admin");
    if (sealed.kind === "wrap") wraps.set(sealed.content.epoch, sealed.content.wrap);
    if (sealed.kind === "welcome") {
      const { commit: bytes, wrap, rosterBox } = sealed.content;
      const { value: commit, body } = decodeSigned(COMMIT_BODY, bytes, "commit");
      const secret = await secretOf(commit, wrap, cert, kem[0] ?? assert.fail("no ML-KEM key"));
      const box = gcmOpen(
        derive(secret, welcomeKeyInfo(room, commit.epoch), 32),
        sha256(body),
        rosterBox,
      );
      roster = await verifyRoster(decodePadded(ROSTER, box).leaves, room, [admin]);
      const own = cert;
      myLeaf = roster.find((m) => sameBytes(m.cert, own))?.leaf;
      begin(commit, secret, epochHash(sha256(epochHashInput(commit.prev, body))));
    }
    if (sealed.kind === "commit" && !keys.has(sealed.content.value.epoch)) {
      const { value: commit, body } = sealed.content;
      const wrap = wraps.get(commit.epoch);
      assert.ok(wrap !== undefined && h !== undefined && kem[1] !== undefined);
      assert.deepEqual(commit.prev, h);
      const secret = await secretOf(commit, wrap, cert, kem[1]);
      const box = gcmOpen(
        derive(secret, rosterKeyInfo(room, commit.epoch), 32),
        room,
        commit.rosterBox,
      );
      const change = decodePadded(CHANGE, box);
      roster = applyChange(roster, change, (roster.at(-1)?.leaf ?? -1) + 1, room, admin);
      begin(commit, secret, epochHash(sha256(epochHashInput(h, body))));
      if (change.newRoomSecret !== undefined) {
        seal = new OuterSeal(room, roomSecret(change.newRoomSecret));
      }
    }
  }
  const told = session.epochs.map(({ epoch, h, "safety code": code }) => ({
    epoch,
    h,
    "safety code": code,
  }));
  assert.deepEqual(epochs, told);
  assert.ok(opened.length >= 7);
  assert.deepEqual(opened, session.messages);
});

Deno.test("nothing readable is in the frames of session.json", () => {
  const all = session.frames.map(({ frame }) => frame).join(" ");
  const utf8 = new TextEncoder();
  for (
    const text of ["first", "second, from", "Grüße", "before the kick", "the room", "owl", "cyd"]
  ) {
    assert.ok(!all.includes(utf8.encode(text).toHex()), text);
  }
  for (const key of [field("identity"), field("session key")]) {
    assert.ok(!all.includes(key.toHex()));
  }
});
