import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import net from "node:net";
import { dial } from "../../src/transport/dial.ts";
import { startRawServer } from "../support/raw_server.ts";
import { RecordedLink } from "../support/recorded_link.ts";
import { TestRelay } from "../support/test_relay.ts";

async function pair(relay: TestRelay): Promise<{ here: RecordedLink; there: RecordedLink }> {
  const here = new RecordedLink(await dial(relay.address));
  const there = new RecordedLink(await relay.links.next());
  return { here, there };
}

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255);
}

Deno.test("a link carries bytes both ways, and close() reaches the other side", async () => {
  await using relay = await TestRelay.start();
  const { here, there } = await pair(relay);
  await here.write(Uint8Array.of(1, 2, 3));
  await there.atLeast(3);
  await there.write(Uint8Array.of(4, 5));
  await here.atLeast(2);
  assert.deepEqual([...there.bytes()], [1, 2, 3]);
  assert.deepEqual([...here.bytes()], [4, 5]);
  assert.equal(here.link.remoteAddress, `127.0.0.1:${relay.listener.port}`);
  assert.match(there.link.remoteAddress, /^127\.0\.0\.1:\d+$/);
  here.link.close();
  assert.equal((await here.ended).code, "closed-by-us");
  assert.equal((await there.ended).code, "closed-by-peer");
  assert.equal(relay.listener.connections(), 0);
});

Deno.test("bytes written one at a time arrive in order", async () => {
  await using relay = await TestRelay.start();
  const { here, there } = await pair(relay);
  const sent = pattern(300);
  for (let i = 0; i < sent.length; i++) here.link.write(sent.subarray(i, i + 1));
  await there.atLeast(sent.length);
  assert.deepEqual(there.bytes(), sent);
  here.link.close();
  await Promise.all([here.ended, there.ended]);
});

Deno.test("what a link was given may be changed at once, also while it is busy and nobody reads", async () => {
  await using relay = await TestRelay.start();
  const { here, there } = await pair(relay);
  const place = Buffer.alloc(2 << 20);
  for (const [from, to] of [[here, there], [there, here]] as const) {
    to.link.pause();
    const written = [];
    for (let i = 1; i <= 4; i++) {
      written.push(from.write(place.fill(i)));
    }
    place.fill(99);
    to.link.resume();
    await to.atLeast(4 * place.length);
    const bytes = to.bytes();
    for (let i = 0; i < 4; i++) {
      const part = bytes.subarray(i * place.length, (i + 1) * place.length);
      assert.ok(part.every((byte) => byte === i + 1));
    }
    await Promise.all(written);
  }
  here.link.close();
  await Promise.all([here.ended, there.ended]);
});

Deno.test("eight megabytes and a close() right behind arrive whole", async () => {
  await using relay = await TestRelay.start();
  for (const swapped of [false, true]) {
    const { here, there } = await pair(relay);
    const [from, to] = swapped ? [there, here] : [here, there];
    const sent = pattern(8 << 20);
    from.link.write(sent);
    from.link.close();
    assert.equal((await to.ended).code, "closed-by-peer");
    assert.equal(to.received, sent.length);
    assert.deepEqual(to.bytes(), sent);
    await from.ended;
  }
});

Deno.test("bytes that arrive before start() are kept for it", async () => {
  await using relay = await TestRelay.start();
  const here = new RecordedLink(await dial(relay.address));
  const link = await relay.links.next();
  await here.write(pattern(100_000));
  here.link.close();
  const there = new RecordedLink(link);
  assert.equal((await there.ended).code, "closed-by-peer");
  assert.deepEqual(there.bytes(), pattern(100_000));
  await here.ended;
});

Deno.test("a paused link holds a flooder back, and resume() loses nothing", async () => {
  await using relay = await TestRelay.start();
  for (const swapped of [false, true]) {
    const { here, there } = await pair(relay);
    const [flooder, victim] = swapped ? [there, here] : [here, there];
    victim.link.pause();
    await assertHoldsBack(flooder, () => resumed(victim));
  }
});

Deno.test("so does one that was started as it was handed over", async () => {
  let there: RecordedLink | null = null;
  await using relay = await TestRelay.start({ onLink: (link) => there = new RecordedLink(link) });
  const here = new RecordedLink(await dial(relay.address));
  await here.write(Uint8Array.of(1));
  while (there === null) await new Promise((resolve) => setTimeout(resolve, 1));
  const victim: RecordedLink = there;
  await victim.atLeast(1);
  victim.link.pause();
  await assertHoldsBack(here, () => resumed(victim), 1);
});

Deno.test("so does one that is not started", async () => {
  await using relay = await TestRelay.start();
  const here = new RecordedLink(await dial(relay.address));
  const link = await relay.links.next();
  await assertHoldsBack(here, () => new RecordedLink(link));
});

function resumed(victim: RecordedLink): RecordedLink {
  assert.ok(victim.received < 1 << 20, `${victim.received} bytes were delivered while paused`);
  victim.link.resume();
  return victim;
}

/**
 * @param release has the victim take what comes
 * @param before bytes that it has had already
 */
async function assertHoldsBack(
  flooder: RecordedLink,
  release: () => RecordedLink,
  before = 0,
): Promise<void> {
  const chunk = pattern(1 << 20);
  const total = 64;
  let taken = 0;
  let stuck = () => {};
  const flood = (async () => {
    for (let i = 0; i < total; i++) {
      await flooder.write(chunk);
      taken++;
      stuck();
    }
  })();
  // It is stuck when a whole second brings no further megabyte; a free flow takes milliseconds.
  await new Promise<void>((resolve) => {
    let timer = setTimeout(resolve, 1_000);
    stuck = () => {
      clearTimeout(timer);
      timer = setTimeout(resolve, 1_000);
    };
  });
  assert.ok(taken < total / 2, `the flooder got rid of ${taken} MiB of ${total}`);
  const victim = release();
  await flood;
  await victim.atLeast(before + total * chunk.length);
  assert.equal(victim.received, before + total * chunk.length);
  assert.deepEqual(victim.bytes().subarray(-chunk.length), chunk);
  flooder.link.close();
  await Promise.all([flooder.ended, victim.ended]);
}

Deno.test("destroy() ends a link at once even if the peer stopped reading", async () => {
  await using relay = await TestRelay.start();
  const { here, there } = await pair(relay);
  here.link.pause();
  let failed = 0;
  for (let i = 0; i < 32; i++) there.link.write(new Uint8Array(1 << 20), (e) => e && failed++);
  there.link.destroy();
  assert.equal((await there.ended).code, "closed-by-us");
  assert.ok(failed > 0, "the writes that were left are reported as failed");
  assert.equal(relay.listener.connections(), 0);
  here.link.destroy();
  await here.ended;
});

Deno.test("close() towards a peer that stopped reading ends as stalled", async () => {
  await using relay = await TestRelay.start();
  const { here, there } = await pair(relay);
  here.link.pause();
  for (let i = 0; i < 32; i++) there.link.write(new Uint8Array(1 << 20));
  there.link.close();
  assert.equal((await there.ended).code, "stalled");
  here.link.destroy();
  await here.ended;
});

Deno.test("every done is called exactly once, also after the end", async () => {
  await using relay = await TestRelay.start();
  const { here, there } = await pair(relay);
  const calls: (string | null)[] = [];
  const done = (error: Error | null) => calls.push(error && error.message);
  here.link.write(Uint8Array.of(1), done);
  await there.atLeast(1);
  here.link.destroy();
  await here.ended;
  const last = new Promise((resolve) => here.link.write(Uint8Array.of(2), resolve));
  assert.ok(await last instanceof Error);
  assert.deepEqual(calls, [null]);
  await there.ended;
});

Deno.test("a connection cut without goodbye ends the link", async () => {
  await using relay = await TestRelay.start();
  const proxy = await startRawServer((near) => {
    const far = net.connect(relay.listener.port, "127.0.0.1");
    far.on("error", () => {});
    near.on("close", () => far.destroy());
    near.pipe(far);
    far.pipe(near);
  });
  const here = new RecordedLink(await dial({ ...relay.address, port: proxy.port }));
  const there = new RecordedLink(await relay.links.next());
  await here.write(Uint8Array.of(1));
  await there.atLeast(1);
  await proxy[Symbol.asyncDispose]();
  const codes = [(await here.ended).code, (await there.ended).code];
  for (const code of codes) assert.ok(code === "reset" || code === "closed-by-peer", code);
});
