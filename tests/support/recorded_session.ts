/** A short room with real keys, and every frame of it after TLS: tests/vectors/session.json. */
import type { Bytes } from "../../src/crypto/primitives.ts";
import { formatLink } from "../../src/wire/link_url.ts";
import {
  BROADCAST_TO_OWNERS,
  challenge,
  type Handle,
  roomKey,
  ticketEpoch,
} from "../../src/wire/ids.ts";
import { VIAS } from "../../src/wire/commit.ts";
import { MAX_FRAME_BYTES } from "../../src/wire/limits.ts";
import { frameRelayMessage, type RelayMessage } from "../../src/wire/relay_message.ts";
import { fingerprintOf } from "../../src/crypto/join.ts";
import { sha256 } from "../../src/crypto/primitives.ts";
import type { SigningKey } from "../../src/crypto/session_keys.ts";
import type { PublishedCommit } from "../../src/crypto/admin_keys.ts";
import { deterministicRandom, deterministicSigningKey } from "./deterministic.ts";
import { type Person, Story } from "./room_story.ts";
import { type Json, messageJson } from "./vector_operations.ts";

/** An RSA key that a test made, so that it can be written down. */
export interface RsaTestKey {
  readonly pkcs8: Bytes;
  readonly spki: Bytes;
}

/** Runs `use` while every ML-KEM decapsulation of this process is noted: ciphertext to shared secret, in hex. */
async function notingDecapsulations<T>(
  use: (shared: ReadonlyMap<string, string>) => Promise<T>,
): Promise<T> {
  const noted = new Map<string, string>();
  const subtle = crypto.subtle as unknown as {
    decapsulateBits(a: unknown, key: CryptoKey, ciphertext: Bytes): Promise<ArrayBuffer>;
  };
  const real = subtle.decapsulateBits.bind(subtle);
  Object.defineProperty(subtle, "decapsulateBits", {
    configurable: true,
    async value(algorithm: unknown, key: CryptoKey, ciphertext: Bytes): Promise<ArrayBuffer> {
      const shared = await real(algorithm, key, ciphertext);
      noted.set(ciphertext.toHex(), new Uint8Array(shared).toHex());
      return shared;
    },
  });
  try {
    return await use(noted);
  } finally {
    Reflect.deleteProperty(subtle, "decapsulateBits");
  }
}

/** Plays the session and writes down what the relay saw and what one member, ada, knows. */
export async function recordSession(pairs: readonly RsaTestKey[]): Promise<Json> {
  return await notingDecapsulations((shared) => play(pairs, shared));
}

async function play(
  pairs: readonly RsaTestKey[],
  shared: ReadonlyMap<string, string>,
): Promise<Json> {
  const random = deterministicRandom("stm/1 session");
  const seeds = new Map<string, string>();
  let people = 0;
  const signingKey = async (): Promise<SigningKey> => {
    const { seed, ...key } = await deterministicSigningKey(random);
    seeds.set(key.publicKey.toHex(), seed.toHex());
    return key;
  };
  const rsaOf = new Map<string, string>();
  const story = await Story.found({
    random,
    signingKey,
    sessions: (n) =>
      Promise.all(Array.from({ length: n }, async () => {
        const pair = pairs[people++ % pairs.length];
        if (pair === undefined) throw new RangeError("there are no RSA keys");
        const rsaPrivate = await crypto.subtle.importKey(
          "pkcs8",
          pair.pkcs8,
          { name: "RSA-OAEP", hash: "SHA-256" },
          false,
          ["decrypt"],
        );
        rsaOf.set(pair.spki.toHex(), pair.pkcs8.toHex());
        return { signing: await signingKey(), rsaPrivate, rsaSpki: pair.spki };
      })),
  });
  const tape = new Tape(story);
  tape.connect(
    "owl",
    story.adminHandle,
    "owner",
    (nonce) => story.admin.enter(nonce, story.relayKey),
  );
  tape.flush();

  const epochs: Json[] = [];
  const noteEpoch = (): void => {
    const ada = story.people.get("ada");
    const current = ada?.keys.current;
    if (ada === undefined || current === null || current === undefined) return;
    epochs.push({
      epoch: current.place.epoch,
      h: current.place.h.toHex(),
      "ada's leaf": current.myLeaf,
      "safety code": current.safetyCode,
      roster: current.roster.map(({ leaf, via, value, certHash }) => ({
        leaf,
        via: VIAS[via],
        name: value.name,
        identity: value.identity.toHex(),
        "session key": value.sessionKey.toHex(),
        "SHA-256(cert)": certHash.toHex(),
      })),
    });
  };

  const invites: string[] = [];
  const join = async (name: string): Promise<Person> => {
    const invite = story.admin.makeInvite();
    invites.push(formatLink({
      kind: "invite",
      host: "relay.example",
      port: 5000,
      relayKey: story.relayKey,
      room: story.room,
      adminFingerprint: fingerprintOf(story.admin.own.identity.publicKey),
      roomSecret: invite.roomSecret,
      inviteSecret: invite.secret,
    }, sha256));
    const person = await story.person(name, { invite });
    tape.connect(
      name,
      person.handle,
      "knocker",
      (nonce) => person.keys.enter(nonce, story.relayKey),
    );
    const request = await story.knocks(person);
    const adds = [{ request, via: "invite" as const }];
    tape.flush(await story.commit({ reason: "join", adds, removes: [] }, [person]));
    noteEpoch();
    return person;
  };
  const ada = await join("ada");
  const kemUpdate = await ada.keys.makeKemUpdate();
  story.post(ada.handle, story.adminHandle, kemUpdate, "KEM_UPDATE");
  await story.adminTakes(ada.handle, kemUpdate);
  const ack = story.admin.kemAck(story.epochOf("ada").myLeaf);
  if (ack === null) throw new Error("no KEM_ACK was given");
  story.post(story.adminHandle, ada.handle, ack, "KEM_ACK");
  await story.takes(ada, ack);
  await join("bob");
  await join("cyd");
  await story.says("bob", "first");
  await story.says("ada", "second, from ada herself");
  await story.says("admin", "third: Grüße 🦊");
  await story.says("admin", { kind: "heartbeat" });
  await story.says("bob", { kind: "leave" });
  tape.flush();
  tape.flush(await story.remove("left", "bob"));
  noteEpoch();
  await story.says("admin", { kind: "close", epoch: 4 });
  await story.says("cyd", { kind: "close", epoch: 4 });
  await story.says("cyd", "before the kick");
  tape.flush();
  tape.flush(await story.remove("kicked", "cyd"));
  noteEpoch();
  await story.says("admin", { kind: "close", epoch: 5 });
  await story.says("admin", "with the new room secret");
  tape.flush();

  const kemShared = [...shared].map(([ciphertext, secret]) => ({
    "ML-KEM ciphertext": ciphertext,
    "ML-KEM shared secret s": secret,
  }));
  return {
    section: "2 to 8",
    about:
      "A room as its relay saw it: founded by owl; ada, bob and cyd join by invite; bob leaves, cyd is kicked. " +
      "`frames` are whole frames after TLS in their order, `from` or `to` names the connection. With ada's " +
      "secrets everything of ada's time can be opened. Encapsulations cannot be repeated, so `ML-KEM shared " +
      "secrets` gives what they carry, by ciphertext: of BUNDLEs and of all wraps. `messages` is what ada " +
      "reads, in order, her own left out. The second wrap of ada is for the key of her KEM_UPDATE.",
    "relay key": story.relayKey.toHex(),
    "room public key": roomKey(story.roomKey.publicKey).toHex(),
    "room id": story.room.toHex(),
    "admin identity": story.admin.own.identity.publicKey.toHex(),
    invites: { ada: invites[0], bob: invites[1], cyd: invites[2] },
    ada: {
      handle: ada.handle.toHex(),
      identity: ada.identity.publicKey.toHex(),
      "identity seed": seeds.get(ada.identity.publicKey.toHex()),
      "session key": ada.session.signing.publicKey.toHex(),
      "session key seed": seeds.get(ada.session.signing.publicKey.toHex()),
      "RSA private key, PKCS #8": rsaOf.get(ada.session.rsaSpki.toHex()),
      "room secret of the invite": story.secret.toHex(),
    },
    "ML-KEM shared secrets": kemShared,
    epochs,
    messages: (story.heard.get("ada") ?? []).flatMap((result) =>
      result.kind === "opened"
        ? [{ epoch: result.epoch, leaf: result.leaf, message: messageJson(result.message) }]
        : []
    ),
    frames: tape.frames,
  };
}

/** The frames at the relay. */
class Tape {
  readonly frames: Json[] = [];
  readonly #handles = new Map<string, string>();
  readonly #admitted = new Set<string>();
  readonly #evicted = new Set<string>();
  #done = 0;

  constructor(private readonly story: Story) {}

  #in(from: string, message: RelayMessage, what: string): void {
    this.frames.push({ from, what, frame: frameRelayMessage(message).toHex() });
  }

  #out(to: string, message: RelayMessage, what: string): void {
    this.frames.push({ to, what, frame: frameRelayMessage(message).toHex() });
  }

  /** CHALLENGE, START, ENTER, ENTERED. */
  connect(
    name: string,
    handle: Handle,
    role: "owner" | "knocker",
    enter: (nonce: ReturnType<typeof challenge>) => { credential: Bytes },
  ): void {
    this.#handles.set(handle.toHex(), name);
    const nonce = challenge(this.story.random(32));
    const { room } = this.story;
    this.#out(name, {
      kind: "challenge",
      minVersion: 1,
      maxVersion: 1,
      nonce,
      maxFrame: MAX_FRAME_BYTES,
      access: 0,
    }, "CHALLENGE");
    this.#in(name, { kind: "start", version: 1 }, "START");
    const { credential } = enter(nonce);
    this.#in(name, { kind: "enter", room, role, credential }, "ENTER");
    const ownerPresent = role === "knocker";
    this.#out(name, { kind: "entered", room, handle, role, ownerPresent }, "ENTERED");
  }

  #name(handle: Handle): string {
    const name = this.#handles.get(handle.toHex());
    if (name === undefined) throw new RangeError("nobody has that handle");
    return name;
  }

  /** Turns what was said since the last time into frames; with a commit, its ADMIT, EVICT and SET_MIN too. */
  flush(published?: PublishedCommit): void {
    const { room } = this.story;
    const owner = this.#name(this.story.adminHandle);
    for (const { from, to, payload, what } of this.story.sent.slice(this.#done)) {
      if (to === null) {
        const message = { kind: "broadcast", room, from, payload } as const;
        this.#in(this.#name(from), message, what);
        for (const name of this.#members()) {
          if (name !== this.#name(from)) this.#out(name, message, what);
        }
        continue;
      }
      const admitted = published?.admit.find(({ handle }) => handle.toHex() === to.toHex());
      if (admitted !== undefined && what === "WELCOME") this.#admit(owner, admitted);
      const toOwners = to.toHex() === this.story.adminHandle.toHex();
      const message = {
        kind: "direct",
        room,
        from,
        to: toOwners ? BROADCAST_TO_OWNERS : to,
        payload,
      } as const;
      this.#in(this.#name(from), message, what);
      this.#out(toOwners ? owner : this.#name(to), message, what);
    }
    this.#done = this.story.sent.length;
    for (const { handle, bar } of published?.evict ?? []) {
      this.#in(owner, { kind: "evict", room, handle, bar }, "EVICT");
      this.#out(this.#name(handle), { kind: "gone", room, handle, reason: "evicted" }, "GONE");
      this.#evicted.add(this.#name(handle));
    }
    if (published !== undefined && published.minTicketEpoch !== null) {
      const min = ticketEpoch(published.minTicketEpoch);
      this.#in(owner, { kind: "set-min", room, ticketEpoch: min }, "SET_MIN");
    }
  }

  /** ADMIT comes before the WELCOME: who learns that it is a member is one at the relay. */
  #admit(owner: string, { handle, ticket }: PublishedCommit["admit"][number]): void {
    const { room } = this.story;
    const name = this.#name(handle);
    this.#in(owner, { kind: "admit", room, handle, ticket }, "ADMIT");
    const entered = { kind: "entered", room, handle, role: "member", ownerPresent: true } as const;
    this.#out(name, entered, "ENTERED");
    this.#admitted.add(name);
  }

  /** Who gets broadcasts: owner, and who was admitted and not evicted. */
  #members(): string[] {
    return [...this.#handles.values()].filter((name, i) =>
      i === 0 || (this.#admitted.has(name) && !this.#evicted.has(name))
    );
  }
}
