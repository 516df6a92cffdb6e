import assert from "node:assert/strict";
import { Connection, type ConnectionHandlers } from "../../src/driver/connection.ts";
import type { LoginStep } from "../../src/driver/login.ts";
import { MAX_OUTBOX_BYTES } from "../../src/transport/outbox.ts";
import { encodeFrame, FrameDecoder } from "../../src/wire/frame.ts";
import { challenge, handle, roomId } from "../../src/wire/ids.ts";
import { DEAD_AFTER_MS, MAX_FRAME_BYTES, PING_AFTER_MS } from "../../src/wire/limits.ts";
import {
  ACCESS,
  decodeRelayMessage,
  frameRelayMessage,
  type RelayMessage,
  type UnknownRelayMessage,
} from "../../src/wire/relay_message.ts";
import { MemoryLink, settled } from "../support/memory_link.ts";

const NONCE = challenge(new Uint8Array(32).fill(9));
const ROOM = roomId(new Uint8Array(16).fill(1));
const FROM = handle(new Uint8Array(16).fill(2));
const CHALLENGE: Extract<RelayMessage, { kind: "challenge" }> = {
  kind: "challenge",
  minVersion: 1,
  maxVersion: 1,
  nonce: NONCE,
  maxFrame: MAX_FRAME_BYTES,
  access: 0,
};

/** A connection with a relay that the test plays. */
class Stage {
  readonly far: MemoryLink;
  readonly near: MemoryLink;
  readonly connection: Connection;
  readonly told: (RelayMessage | UnknownRelayMessage)[] = [];
  readonly ends: { code: string; message: string; deadSince: number | null }[] = [];
  starts = 0;
  /** What the participant sent, in order. */
  readonly sent: (RelayMessage | UnknownRelayMessage)[] = [];
  now = 0;

  constructor(handlers: Partial<ConnectionHandlers> = {}) {
    [this.near, this.far] = MemoryLink.pair();
    const decoder = new FrameDecoder(MAX_FRAME_BYTES);
    this.far.start({
      onData: (bytes) => {
        for (const body of decoder.push(bytes)) this.sent.push(decodeRelayMessage(body));
      },
      onEnd: () => {},
    });
    this.connection = new Connection(this.near, {
      onStart: (nonce) => {
        assert.deepEqual(nonce, NONCE);
        this.starts++;
        return Promise.resolve();
      },
      onMessage: (message) => Promise.resolve(void this.told.push(message)),
      onEnd: (code, message, deadSince) => this.ends.push({ code, message, deadSince }),
      ...handlers,
    }, () => this.now);
  }

  /** One whose relay has spoken first. */
  static async started(handlers: Partial<ConnectionHandlers> = {}): Promise<Stage> {
    const stage = new Stage(handlers);
    await stage.says(CHALLENGE);
    return stage;
  }

  /** The relay says something. */
  async says(...messages: RelayMessage[]): Promise<void> {
    for (const message of messages) this.far.write(frameRelayMessage(message));
    await settled();
  }

  async raw(bytes: Uint8Array): Promise<void> {
    this.far.write(bytes);
    await settled();
  }

  get kinds(): string[] {
    return this.sent.map((m) => m.kind);
  }
}

function text(n: number, bytes = 40): RelayMessage {
  const payload = new Uint8Array(bytes);
  new DataView(payload.buffer).setUint32(0, n);
  return { kind: "broadcast", room: ROOM, from: FROM, payload };
}

const numberOf = (message: RelayMessage | UnknownRelayMessage): number =>
  message.kind === "broadcast"
    ? new DataView(message.payload.buffer, message.payload.byteOffset).getUint32(0)
    : -1;

Deno.test("nothing is sent before the relay has spoken; then START, before anything else", async () => {
  const stage = new Stage();
  await settled();
  assert.deepEqual(stage.sent, []);
  stage.now = PING_AFTER_MS;
  stage.connection.tick();
  await settled();
  assert.deepEqual(stage.sent, [], "not even a PING");
  await stage.says(CHALLENGE);
  assert.deepEqual(stage.sent, [{ kind: "start", version: 1 }]);
  assert.equal(stage.starts, 1);
  await stage.says(text(1));
  assert.deepEqual(stage.told.map(numberOf), [1]);
});

Deno.test("a relay that does not begin with CHALLENGE is left", async () => {
  const stage = new Stage();
  await stage.says(text(1), CHALLENGE);
  assert.deepEqual(stage.ends.map((e) => e.code), ["malformed"]);
  assert.match(stage.ends[0]?.message ?? "", /CHALLENGE/);
  assert.notEqual(stage.near.ended, null);
  assert.deepEqual([stage.sent, stage.told, stage.starts], [[], [], 0]);
});

for (
  const [min, max, speaks] of [[1, 1, true], [0, 9, true], [2, 9, false], [0, 0, false]] as const
) {
  Deno.test(`a relay of versions ${min} to ${max} is ${speaks ? "answered" : "left with both named"}`, async () => {
    const stage = new Stage();
    await stage.says({ ...CHALLENGE, minVersion: min, maxVersion: max });
    assert.equal(stage.starts, speaks ? 1 : 0);
    if (speaks) return;
    assert.match(stage.ends[0]?.message ?? "", new RegExp(`version ${min} to ${max}, we speak 1`));
    assert.deepEqual(stage.sent, []);
  });
}

Deno.test("a relay whose access is of a later version is left", async () => {
  const stage = new Stage();
  await stage.says({ ...CHALLENGE, access: 3 });
  assert.deepEqual([stage.sent, stage.starts], [[], 0]);
  assert.match(stage.ends[0]?.message ?? "", /access 3/);
});

Deno.test("a second CHALLENGE is not answered with a second START", async () => {
  const stage = await Stage.started();
  await stage.says(CHALLENGE);
  assert.deepEqual([stage.kinds, stage.starts], [["start"], 1]);
});

Deno.test("a frame that is too long, one that is no message, and a critical type end the connection", async () => {
  const tooLong = new Uint8Array(8);
  new DataView(tooLong.buffer).setUint32(0, MAX_FRAME_BYTES + 1);
  const broken = encodeFrame(new Uint8Array([0x13, 1, 2, 3]));
  const critical = encodeFrame(new Uint8Array([0x80]));
  for (const bytes of [tooLong, broken, critical]) {
    const stage = await Stage.started();
    await stage.raw(bytes);
    await stage.says(text(1));
    assert.deepEqual(stage.ends.map((e) => e.code), ["malformed"]);
    assert.match(stage.ends[0]?.message ?? "", /the relay broke the protocol/);
    assert.notEqual(stage.near.ended, null);
    assert.deepEqual(stage.told, []);
  }
});

Deno.test("a type that nobody needs to know is passed over", async () => {
  const stage = await Stage.started();
  await stage.raw(encodeFrame(new Uint8Array([0x7f, 1])));
  await stage.says(text(1));
  assert.deepEqual([stage.ends, stage.told.map(numberOf)], [[], [1]]);
});

Deno.test("PING is answered with its token, PONG says nothing", async () => {
  const stage = await Stage.started();
  await stage.says({ kind: "ping", token: 77 }, { kind: "pong", token: 0 });
  assert.deepEqual(stage.sent.at(-1), { kind: "pong", token: 77 });
});

Deno.test("a quiet relay is asked after 20 s, and dead after 60", async () => {
  const stage = await Stage.started();
  stage.now = PING_AFTER_MS - 1;
  stage.connection.tick();
  await settled();
  assert.deepEqual(stage.kinds, ["start"]);
  stage.now = PING_AFTER_MS;
  stage.connection.tick();
  await settled();
  assert.deepEqual(stage.kinds, ["start", "ping"]);
  // Any byte counts as life.
  await stage.says({ kind: "pong", token: 0 });
  stage.now += DEAD_AFTER_MS - 1;
  stage.connection.tick();
  assert.equal(stage.ends.length, 0);
  stage.now += 1;
  stage.connection.tick();
  assert.deepEqual(stage.ends.map((e) => e.code), ["stalled"]);
  await settled();
  assert.notEqual(stage.near.ended, null);
  assert.equal(stage.ends.length, 1);
});

Deno.test("a relay that never speaks is dead after 60 s too", () => {
  const stage = new Stage();
  stage.now = DEAD_AFTER_MS;
  stage.connection.tick();
  assert.deepEqual(stage.ends.map((e) => e.code), ["stalled"]);
});

Deno.test("CLOSING is told with its code and words, or its code for words", async () => {
  for (const message of ["maintenance at noon", ""]) {
    const stage = await Stage.started();
    await stage.says({ kind: "closing", code: "shutting-down", message });
    const said = message === "" ? "shutting-down" : message;
    assert.deepEqual(stage.ends, [{ code: "shutting-down", message: said, deadSince: null }]);
    stage.far.destroy();
    await settled();
    assert.equal(stage.ends.length, 1, "the end is told once");
  }
});

Deno.test("frames that came before the end are all read before it is told", async () => {
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const stage = await Stage.started({
    onMessage: async (message) => {
      await gate.promise;
      order.push(`text ${numberOf(message)}`);
    },
    onEnd: (code) => order.push(code),
  });
  await stage.says(text(1), text(2), text(3));
  stage.far.close();
  await settled();
  assert.notEqual(stage.near.ended, null);
  assert.deepEqual(order, []);
  gate.resolve();
  await settled();
  assert.deepEqual(order, ["text 1", "text 2", "text 3", "closed-by-peer"]);
});

Deno.test("messages are handed over one at a time, whole, however the bytes are cut", async () => {
  let busy = 0;
  const heard: number[] = [];
  const stage = await Stage.started({
    onMessage: async (message) => {
      assert.equal(++busy, 1);
      await Promise.resolve();
      heard.push(numberOf(message));
      busy--;
    },
  });
  const bytes = [1, 2, 3].flatMap((n) => [...frameRelayMessage(text(n))]);
  for (const byte of bytes) stage.far.write(new Uint8Array([byte]));
  for (let i = 0; i < 10; i++) await settled();
  assert.deepEqual(heard, [1, 2, 3]);
});

Deno.test("a flood is held back at the socket, and read on once the loop has caught up", async () => {
  const gate = Promise.withResolvers<void>();
  const heard: number[] = [];
  const stage = await Stage.started({
    onMessage: async (message) => {
      await gate.promise;
      heard.push(numberOf(message));
    },
  });
  const frames = 64;
  const size = 256 * 1024;
  let taken = 0;
  for (let n = 0; n < frames; n++) {
    stage.far.write(frameRelayMessage(text(n, size)), (error) => {
      if (error === null) taken++;
    });
  }
  for (let i = 0; i < 3; i++) await settled();
  assert.equal(stage.near.paused, true);
  // The 4 MiB of the bound, the last frame above it: not the 16 MiB that were sent.
  assert.equal(taken, 16);
  gate.resolve();
  for (let i = 0; i < 20 && heard.length < frames; i++) await settled();
  assert.deepEqual(heard, Array.from({ length: frames }, (_, n) => n));
  assert.equal(stage.near.paused, false);
});

Deno.test("a relay that does not read is left once 16 MiB wait for it", async () => {
  const stage = await Stage.started();
  stage.far.pause();
  const size = 512 * 1024;
  for (let n = 0; n <= MAX_OUTBOX_BYTES / size; n++) stage.connection.send(text(n, size));
  assert.deepEqual(stage.ends.map((e) => e.code), ["stalled"]);
  assert.match(stage.ends[0]?.message ?? "", /does not read/);
  await settled();
  assert.notEqual(stage.near.ended, null);
  stage.connection.send(text(99));
});

Deno.test("close() sends what was queued first, and is told once", async () => {
  const stage = await Stage.started();
  for (let n = 0; n < 5; n++) stage.connection.send(text(n));
  await stage.connection.close();
  await settled();
  assert.deepEqual(stage.sent.slice(1).map(numberOf), [0, 1, 2, 3, 4]);
  assert.deepEqual(stage.ends.map((e) => e.code), ["closed-by-us"]);
});

Deno.test("close() of a relay that does not read waits until it is abandoned", async () => {
  const stage = await Stage.started();
  stage.far.pause();
  stage.connection.send(text(1));
  let closed = false;
  const closing = stage.connection.close().then(() => closed = true);
  await settled();
  assert.equal(closed, false);
  stage.connection.abandon();
  await closing;
  assert.deepEqual(stage.ends.map((e) => e.code), ["stalled"]);
});

Deno.test("the end says since when the relay was out of reach, also if that was found out by its goodbye", async () => {
  const goodbye: RelayMessage = { kind: "closing", code: "idle", message: "" };
  const ends: [what: string, deadSince: number | null, act: (stage: Stage) => unknown][] = [
    ["at once", null, (stage) => stage.far.close()],
    ["found dead", 1000, (stage) => {
      stage.now = 1000 + DEAD_AFTER_MS;
      stage.connection.tick();
    }],
    ["asleep", 1000, async (stage) => {
      stage.now = 600_000;
      await stage.says(goodbye);
    }],
    ["in a tunnel, and over it", null, async (stage) => {
      stage.now = 1000 + 2 * PING_AFTER_MS;
      await stage.says(text(1));
      stage.now += 10_000;
      await stage.says(goodbye);
    }],
  ];
  for (const [what, deadSince, act] of ends) {
    const stage = await Stage.started();
    stage.now = 1000;
    await stage.says(text(0));
    await act(stage);
    await settled();
    assert.deepEqual(stage.ends.map((end) => end.deadSince), [deadSince], what);
  }
});

Deno.test("close() waits until the relay has read what was sent, however much comes from it", async () => {
  const stage = await Stage.started({ onMessage: () => new Promise(() => {}) });
  for (let n = 0; n < 40; n++) stage.connection.send(text(n, 1000));
  await settled();
  // The runtime and the kernel have it all; what it is asked is behind 16 KiB of it each.
  const probes = stage.sent.filter((m) => m.kind === "ping");
  assert.equal(probes.length, 2);
  await stage.says(text(1), text(2));
  let closed: boolean | null = null;
  const closing = stage.connection.close().then((isRead) => closed = isRead);
  for (const [i, { token }] of probes.entries()) {
    await settled();
    assert.deepEqual([closed, stage.near.ended, stage.connection.proofs], [null, null, i]);
    await stage.says({ kind: "pong", token: 0 }, text(3), { kind: "pong", token });
  }
  await closing;
  assert.equal(closed, true);
  assert.equal(stage.connection.proofs, 2);
  assert.deepEqual(stage.ends.map((e) => e.code), ["closed-by-us"]);
});

Deno.test("close() says that much was lost if the relay ends it, or never reads it", async () => {
  for (const how of ["abandoned", "ended"]) {
    const stage = await Stage.started();
    for (let n = 0; n < 40; n++) stage.connection.send(text(n, 1000));
    await settled();
    const closing = stage.connection.close();
    await settled();
    if (how === "ended") stage.far.destroy();
    else stage.connection.abandon();
    assert.equal(await closing, false, how);
  }
});

Deno.test("a login that the end of its connection breaks off says nothing more", async () => {
  const step = Promise.withResolvers<LoginStep>();
  const stage = new Stage({
    login: () => ({
      start: () => step.promise,
      take: () => step.promise,
      close: () => step.reject(new Error("the worker was closed")),
    }),
  });
  await stage.says({ ...CHALLENGE, access: ACCESS.account });
  await stage.connection.close();
  await settled();
  assert.deepEqual(stage.ends.map(({ code }) => code), ["closed-by-us"]);
  assert.deepEqual(stage.kinds, ["start"]);
});
