import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { Duplex } from "node:stream";
import tls from "node:tls";
import { toPem } from "../../src/transport/certificate.ts";
import { dial } from "../../src/transport/dial.ts";
import type { Link } from "../../src/transport/link.ts";
import { listen, ListenError, type NotAdmitted } from "../../src/transport/listen.ts";
import { issue } from "../support/evil_ca.ts";
import { RecordedLink } from "../support/recorded_link.ts";
import { makeRelayKey } from "../support/relay_key.ts";
import { Queue, TestRelay } from "../support/test_relay.ts";

/** Connects without TLS and resolves when the other side ends it. */
function connectRaw(
  port: number,
  first?: Uint8Array,
): { ended: Promise<void>; socket: net.Socket } {
  const socket = net.connect(port, "127.0.0.1");
  const ended = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  socket.on("error", () => {});
  socket.on("data", () => {}); // alerts
  if (first) socket.write(first);
  return { ended, socket };
}

Deno.test("a silent stranger is dropped when the handshake's time is over", async () => {
  await using relay = await TestRelay.start({ handshakeTimeoutMs: 50 });
  const silent = connectRaw(relay.listener.port);
  const refusal = await relay.refusals.next();
  assert.equal(refusal.code, "handshake-timeout");
  assert.match(refusal.remoteAddress, /^127\.0\.0\.1:\d+$/);
  await silent.ended;
  assert.equal(relay.listener.connections(), 0);
});

Deno.test("a stranger that dribbles half a handshake is dropped at the same time", async () => {
  await using relay = await TestRelay.start({ handshakeTimeoutMs: 50 });
  // The header of a ClientHello that never comes.
  const slow = connectRaw(relay.listener.port, Uint8Array.of(22, 3, 1, 2, 0, 1));
  assert.equal((await relay.refusals.next()).code, "handshake-timeout");
  await slow.ended;
});

Deno.test("bytes that are not TLS end the connection, and the relay goes on", async () => {
  await using relay = await TestRelay.start();
  const web = connectRaw(relay.listener.port, new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  assert.equal((await relay.refusals.next()).code, "handshake-failed");
  await web.ended;
  const rude = connectRaw(relay.listener.port);
  rude.socket.once("connect", () => rude.socket.destroy());
  assert.equal((await relay.refusals.next()).code, "handshake-failed");
  (await dial(relay.address)).destroy();
});

Deno.test("a client that speaks TLS 1.2 at most is refused", async () => {
  await using relay = await TestRelay.start();
  const error = await new Promise<Error>((resolve, reject) => {
    const socket = tls.connect({
      host: "127.0.0.1",
      port: relay.listener.port,
      maxVersion: "TLSv1.2",
      rejectUnauthorized: false,
    });
    socket.on("secureConnect", () => reject(new Error("TLS 1.2 was accepted")));
    socket.on("error", resolve);
  });
  assert.ok(error instanceof Error);
  assert.equal((await relay.refusals.next()).code, "handshake-failed");
  assert.equal(relay.links.length, 0);
});

Deno.test("connections over the limit are turned away, and room is made by those that go", async () => {
  await using relay = await TestRelay.start({ maxConnections: 1 });
  const first = new RecordedLink(await dial(relay.address));
  const there = new RecordedLink(await relay.links.next());
  await assert.rejects(dial(relay.address), { code: "handshake-failed" });
  assert.equal((await relay.refusals.next()).code, "too-many-connections");
  assert.equal(relay.listener.connections(), 1);
  first.link.close();
  await Promise.all([first.ended, there.ended]);
  (await dial(relay.address)).destroy();
});

Deno.test("renew() counts from the next connection on and leaves open links", async () => {
  await using relay = await TestRelay.start();
  const old = new RecordedLink(await dial(relay.address));
  const there = new RecordedLink(await relay.links.next());
  const next = makeRelayKey();
  (await relay.listener.renew(next))();
  await assert.rejects(dial(relay.address), { code: "wrong-key" });
  (await dial({ ...relay.address, pin: next.pin })).destroy();
  await old.write(Uint8Array.of(1));
  await there.atLeast(1);

  const { privateKey } = next;
  const expired = await issue({
    subjectKey: privateKey,
    issuerKey: privateKey,
    notAfter: new Date("2020-01-01T00:00:00Z"),
  });
  for (
    const unfit of [
      { keyPem: "rubbish", certPem: "rubbish" },
      { ...next, keyPem: makeRelayKey().keyPem },
      { ...next, certPem: toPem("CERTIFICATE", expired) },
    ]
  ) {
    await assert.rejects(relay.listener.renew(unfit), {
      name: "ListenError",
      code: "bad-certificate",
    });
  }
  (await dial({ ...relay.address, pin: next.pin })).destroy();
});

Deno.test("close() ends open links and half-open handshakes and frees the port", async () => {
  const relay = await TestRelay.start();
  const { port } = relay.listener;
  const link = new RecordedLink(await dial(relay.address));
  const there = new RecordedLink(await relay.links.next());
  const silent = connectRaw(port);
  await new Promise<void>((resolve) => silent.socket.once("connect", () => resolve()));
  await relay.listener.close();
  assert.equal((await there.ended).code, "closed-by-us");
  assert.equal((await link.ended).code, "closed-by-peer");
  await silent.ended;
  await using again = await TestRelay.start({ port });
  assert.equal(again.listener.port, port);
});

Deno.test("listen() says why it cannot, and what to do", async () => {
  await using relay = await TestRelay.start();
  const attempt = (host: string, port: number) =>
    listen({ addresses: [{ host, port }], ...relay.key, onLink: () => {} });
  await assert.rejects(attempt("127.0.0.1", relay.listener.port), {
    name: "ListenError",
    code: "port-in-use",
    message: `cannot listen on 127.0.0.1:${relay.listener.port}: ` +
      "the port is taken. Stop the other program or choose another with --port",
  });
  // TEST-NET-1, RFC 5737: nobody's address.
  await assert.rejects(attempt("192.0.2.1", 0), { code: "no-such-address" });
  const certificate = { keyPem: makeRelayKey().keyPem, certPem: relay.key.certPem };
  await assert.rejects(
    listen({ addresses: [{ host: "127.0.0.1", port: 0 }], ...certificate, onLink: () => {} }),
    { code: "bad-certificate" },
  );
});

Deno.test("a machine with IPv6 listens and dials there; one without says so", async () => {
  const key = makeRelayKey();
  let relay: TestRelay;
  try {
    relay = await TestRelay.start({ host: "::1" }, key);
  } catch (error) {
    assert.ok(error instanceof ListenError, String(error));
    assert.equal(error.code, "no-such-address");
    return;
  }
  const link = await dial({ host: "::1", port: relay.listener.port, pin: key.pin });
  assert.equal(link.remoteAddress, `[::1]:${relay.listener.port}`);
  assert.match((await relay.links.next()).remoteAddress, /^\[::1\]:\d+$/);
  link.destroy();
  await relay[Symbol.asyncDispose]();
});

Deno.test("listen() on 0.0.0.0 and :: takes both families on one port, and names IPv4 as IPv4", async () => {
  const key = makeRelayKey();
  const links = new Queue<Link>();
  const everywhere = ["0.0.0.0", "::"].map((host) => ({ host, port: 0 }));
  const listener = await listen({
    addresses: everywhere,
    ...key,
    onLink: (link) => links.push(link),
  });
  try {
    const { port } = listener;
    const hosts = listener.addresses.map(({ host }) => host);
    // A machine without IPv6 has the first alone.
    assert.deepEqual(hosts, hosts.length === 1 ? ["0.0.0.0"] : ["0.0.0.0", "::"]);
    assert.ok(listener.addresses.every((at) => at.port === port));
    const from = [
      { host: "127.0.0.1", shown: /^127\.0\.0\.1:\d+$/ },
      { host: "::1", shown: /^\[::1\]:\d+$/ },
    ];
    for (const { host, shown } of from.slice(0, hosts.length)) {
      const link = await dial({ host, port, pin: key.pin });
      assert.match((await links.next()).remoteAddress, shown);
      link.destroy();
    }
  } finally {
    await listener.close();
  }
  await assert.rejects(dial({ host: "127.0.0.1", port: listener.port, pin: key.pin }), {
    code: "unreachable",
  });
});

Deno.test("listen() on several addresses shows one certificate, or listens on none of them", async () => {
  await using relay = await TestRelay.start();
  const taken = { host: "127.0.0.1", port: relay.listener.port };
  const links = new Queue<Link>();
  const onLink = (link: Link) => links.push(link);
  const two = ["127.0.0.2", "127.0.0.3"].map((host) => ({ host, port: 0 }));
  const listener = await listen({ addresses: two, ...relay.key, onLink });
  const { port } = listener;
  for (const { host } of two) {
    const link = await dial({ host, port, pin: relay.key.pin });
    await links.next();
    link.destroy();
  }
  assert.deepEqual(listener.addresses, two.map(({ host }) => ({ host, port })));
  await listener.close();

  const [free] = two.map(({ host }) => ({ host, port }));
  assert.ok(free);
  await assert.rejects(listen({ addresses: [free, taken], ...relay.key, onLink }), {
    code: "port-in-use",
  });
  await assert.rejects(dial({ ...free, pin: relay.key.pin }), { code: "unreachable" });
});

/** What a client says first. */
function clientHello(): Promise<Uint8Array> {
  return new Promise((resolve) => {
    const socket = new Duplex({
      read() {},
      write(hello: Uint8Array, _encoding, done) {
        resolve(new Uint8Array(hello));
        done();
      },
    });
    tls.connect({ socket, rejectUnauthorized: false, servername: "" }).on("error", () => {});
  });
}

/** How many TLS sockets are made where twenty are silent and then one speaks. */
async function socketsMade(isTalking: () => boolean): Promise<number> {
  await using relay = await TestRelay.start({ handshakeTimeoutMs: 20_000, isTalking });
  const { TLSSocket } = tls;
  let made = 0;
  tls.TLSSocket = class extends TLSSocket {
    constructor(...args: ConstructorParameters<typeof TLSSocket>) {
      super(...args);
      made++;
    }
  };
  try {
    const silent = Array.from({ length: 20 }, () => connectRaw(relay.listener.port));
    await Promise.all(silent.map(({ socket }) => once(socket, "connect")));
    // Who comes after them is looked at after them.
    const spoke = await dial(relay.address);
    await relay.links.next();
    assert.equal(relay.listener.connections(), 21);
    spoke.destroy();
    for (const { socket } of silent) socket.destroy();
    return made;
  } finally {
    tls.TLSSocket = TLSSocket;
  }
}

Deno.test("a silent stranger gets no TLS socket, nor holds up who speaks", async () => {
  assert.equal(await socketsMade(() => true), 1);
});

Deno.test("while nobody talks, who comes gets its TLS socket at once", async () => {
  assert.equal(await socketsMade(() => false), 21);
});

/** How many of 100 who come in the same moment are looked at in one turn of the loop, at most. */
async function mostInOneTurn(isTalking: () => boolean): Promise<number> {
  const MANY = 100;
  let looked = 0;
  let inTurn = 0;
  let most = 0;
  const all = Promise.withResolvers<void>();
  const admission = {
    admit: (): NotAdmitted => {
      inTurn++;
      return "banned";
    },
    gone: () => {},
  };
  await using relay = await TestRelay.start({ admission, isTalking });
  const turn = (): void => {
    most = Math.max(most, inTurn);
    looked += inTurn;
    inTurn = 0;
    if (looked < MANY) setTimeout(turn, 0);
    else all.resolve();
  };
  setTimeout(turn, 0);
  const strangers = Array.from({ length: MANY }, () => connectRaw(relay.listener.port));
  await all.promise;
  await Promise.all(strangers.map(({ ended }) => ended));
  return most;
}

Deno.test("many who come in the same moment are looked at a few at a time", async () => {
  const most = await mostInOneTurn(() => true);
  assert.ok(most <= 8, `${most} in one turn`);
});

Deno.test("while nobody talks, more of those who come are looked at in one turn", async () => {
  const most = await mostInOneTurn(() => false);
  // How many at the most is in paced_test.ts: the rests end by the clock, and a turn may take several.
  assert.ok(most > 8, `${most} in one turn`);
});

Deno.test("many who say hello in the same moment are answered a few at a time", async () => {
  const MANY = 40;
  await using relay = await TestRelay.start({ handshakeTimeoutMs: 20_000 });
  const hello = await clientHello();
  const strangers = Array.from(
    { length: MANY },
    () => net.connect(relay.listener.port, "127.0.0.1"),
  );
  await Promise.all(strangers.map((socket) => once(socket, "connect")));
  let answered = 0;
  let inTurn = 0;
  let most = 0;
  const all = Promise.withResolvers<void>();
  const turn = (): void => {
    most = Math.max(most, inTurn);
    inTurn = 0;
    if (answered < MANY) setTimeout(turn, 0);
    else all.resolve();
  };
  setTimeout(turn, 0);
  for (const socket of strangers) {
    socket.on("error", () => {});
    socket.once("data", () => {
      answered++;
      inTurn++;
    });
    socket.write(hello);
  }
  await all.promise;
  for (const socket of strangers) socket.destroy();
  assert.ok(most <= 8, `${most} handshakes in one turn`);
});
