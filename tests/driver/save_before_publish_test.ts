/** "The admin stores (e+1, h) durably before the first byte leaves": the driver against a relay of this test. */
import { nextGeneration } from "../../src/crypto/join.ts";
import assert from "node:assert/strict";
import {
  addAdminRoom,
  adminRole,
  DEFAULT_ADMIN_OPTIONS,
  initialAdminState,
} from "../../src/admin/role.ts";
import { KeyRing } from "../../src/crypto/key_ring.ts";
import { systemRandom } from "../../src/crypto/primitives.ts";
import { generateSigningKey } from "../../src/crypto/session_keys.ts";
import { type KeptCommit, noStore, type SessionStore } from "../../src/driver/ports.ts";
import { prepareAdministered } from "../../src/driver/rooms.ts";
import { runRole } from "../../src/driver/run_role.ts";
import { initialState } from "../../src/session/state.ts";
import type { Face } from "../../src/ui/face.ts";
import { IntentQueue } from "../../src/ui/intent_queue.ts";
import { FrameDecoder } from "../../src/wire/frame.ts";
import { challenge, handle, relayKey } from "../../src/wire/ids.ts";
import { MAX_FRAME_BYTES } from "../../src/wire/limits.ts";
import {
  decodeRelayMessage,
  frameRelayMessage,
  PROTOCOL_VERSION,
  type RelayMessage,
} from "../../src/wire/relay_message.ts";
import { Chronicle } from "../support/chronicle.ts";
import { MemoryLink } from "../support/memory_link.ts";
import { pooledSessionKeys } from "../support/session_pool.ts";

/** An admin that founds a room, and the kinds of messages that its relay was sent, with the store's doings between them. */
class Founding extends Chronicle {
  readonly order: string[] = [];
  readonly intents = new IntentQueue();
  exit: Promise<number> = Promise.resolve(-1);

  constructor(
    private readonly save: (commit: KeptCommit) => Promise<void>,
    private readonly others: Partial<SessionStore> = {},
  ) {
    super("the admin");
  }

  async start(): Promise<void> {
    const [session] = await pooledSessionKeys(1);
    assert.ok(session);
    const identity = await generateSigningKey();
    const key = relayKey(new Uint8Array(32).fill(7));
    const ring = new KeyRing();
    const server = { host: "127.0.0.1", port: 5000, pin: key.toHex() };
    const room = await prepareAdministered(
      {
        ring,
        own: { identity, session, name: "owl" },
        relay: key,
        random: systemRandom,
        generation: nextGeneration(0, 0),
      },
      "R",
      false,
      server,
    );
    const me = { name: "owl", identity: identity.publicKey.toHex() };
    const [link, relay] = MemoryLink.pair();
    this.#play(relay);
    const face: Face = {
      notice: (notice) => {
        this.add(notice);
        this.look();
      },
      view: () => {},
      intents: () => this.intents,
      close: () => Promise.resolve(),
    };
    const store: SessionStore = {
      ...noStore,
      ...this.others,
      saveCommit: async (commit) => {
        this.order.push("save");
        await this.save(commit);
        this.order.push("saved");
      },
    };
    this.exit = runRole({
      role: adminRole,
      initial: addAdminRoom(initialAdminState(initialState(me)), room.id, DEFAULT_ADMIN_OPTIONS),
      ring,
      relay: { host: server.host, port: server.port, key },
      dial: () => Promise.resolve(link),
      face,
      rooms: [room],
      prepareJoin: () => Promise.reject(new Error("one room is enough here")),
      store,
      clock: { now: () => 1_000_000, every: () => () => {}, after: () => () => {} },
      random: systemRandom,
      retryMs: 0,
      onSignal: () => () => {},
    }).finally(() => this.end());
  }

  #play(relay: MemoryLink): void {
    const decoder = new FrameDecoder(MAX_FRAME_BYTES);
    const answer = (message: RelayMessage) => relay.write(frameRelayMessage(message));
    relay.start({
      onData: (bytes) => {
        for (const body of decoder.push(bytes)) {
          const message = decodeRelayMessage(body);
          this.order.push(message.kind);
          this.look();
          if (message.kind !== "enter") continue;
          answer({
            kind: "entered",
            room: message.room,
            handle: handle(new Uint8Array(16).fill(1)),
            role: "owner",
            ownerPresent: true,
          });
        }
      },
      onEnd: () => {},
    });
    answer({
      kind: "challenge",
      minVersion: PROTOCOL_VERSION,
      maxVersion: PROTOCOL_VERSION,
      nonce: challenge(new Uint8Array(32)),
      maxFrame: MAX_FRAME_BYTES,
      access: 0,
    });
  }
}

Deno.test("no byte of a commit leaves before it is stored, however long that takes", async () => {
  const stored = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<KeptCommit>();
  const founding = new Founding((commit) => {
    begun.resolve(commit);
    return stored.promise;
  });
  await founding.start();
  const commit = await begun.promise;
  assert.equal(commit.epoch, 1);
  // The loop goes on meanwhile: what the person wants is answered.
  founding.intents.push({ kind: "command", line: "/room", ref: "a" });
  await founding.event("ok", ({ ref }) => ref === "a");
  assert.deepEqual(founding.order, ["start", "enter", "save"]);
  stored.resolve();
  await founding.event("joined");
  await founding.until("a broadcast", () => founding.order.includes("broadcast") || undefined);
  assert.deepEqual(founding.order, ["start", "enter", "save", "saved", "broadcast"]);
  founding.intents.push({ kind: "interrupt" });
  assert.equal(await founding.exit, 0);
});

Deno.test("a commit that could not be stored is not published: the session says so and ends with exit 1", async () => {
  const founding = new Founding(() => Promise.reject(new Error("the disk is full")));
  await founding.start();
  assert.equal(await founding.exit, 1);
  assert.match(
    (await founding.event("error")).message,
    /saving the new epoch failed: the disk is full/,
  );
  assert.equal((await founding.event("bye")).exitCode, 1);
  assert.deepEqual(founding.every("joined"), []);
  assert.deepEqual(founding.order, ["start", "enter", "save"]);
});

Deno.test("what fails after the session has ended is said too, and the exit code is 1", async () => {
  const fails = Promise.withResolvers<void>();
  const founding = new Founding(() => Promise.resolve(), { saveVerified: () => fails.promise });
  await founding.start();
  await founding.event("joined");
  founding.intents.push({ kind: "command", line: "/verify ok" });
  founding.intents.push({ kind: "interrupt" });
  await founding.event("bye");
  assert.deepEqual(founding.every("error"), []);
  fails.reject(new Error("the disk is full"));
  assert.equal(await founding.exit, 1);
  assert.match(founding.every("error")[0]?.message ?? "", /the disk is full/);
});
