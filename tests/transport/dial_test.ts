import { Buffer } from "node:buffer";
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import tls from "node:tls";
import { toPem } from "../../src/transport/certificate.ts";
import { dial, DialError, type DialOptions, peekServerKey } from "../../src/transport/dial.ts";
import { issue, makeEvilAuthority } from "../support/evil_ca.ts";
import { startEvilServer } from "../support/evil_server.ts";
import { type Forgery, startForgingRelay } from "../support/forging_relay.ts";
import { startRawServer } from "../support/raw_server.ts";
import { RecordedLink } from "../support/recorded_link.ts";
import { makeRelayKey, type TestRelayKey } from "../support/relay_key.ts";
import { TestRelay } from "../support/test_relay.ts";

/** The code that dialling fails with. */
async function refusalOf(options: DialOptions): Promise<DialError["code"]> {
  try {
    (await dial(options)).destroy();
  } catch (error) {
    assert.ok(error instanceof DialError, String(error));
    return error.code;
  }
  assert.fail("dial() connected");
}

/** Dials a server that shows a certificate and holds its key; it must come out as the wrong key. */
async function assertWrongKey(shown: Partial<TestRelayKey>, pin: Uint8Array): Promise<void> {
  await using server = await startEvilServer({ ...makeRelayKey(), ...shown });
  assert.equal(await refusalOf({ host: "127.0.0.1", port: server.port, pin }), "wrong-key");
  assert.equal(await server.received.next(), 0, "no application byte before the key is known");
}

Deno.test("dial() refuses a relay with another key", async () => {
  await assertWrongKey({}, makeRelayKey().pin);
});

Deno.test("dial() refuses the pinned key in a certificate signed by somebody else", async () => {
  const key = makeRelayKey();
  const evil = generateKeyPairSync("ed25519").privateKey;
  for (const issuer of ["CN=stm relay", "CN=Evil Corp"]) {
    const certificate = await issue({ subjectKey: key.privateKey, issuerKey: evil, issuer });
    const certPem = toPem("CERTIFICATE", certificate);
    await assertWrongKey({ ...key, certPem }, key.pin);
  }
});

Deno.test("dial() refuses the pinned key in a certificate whose signature was changed", async () => {
  const key = makeRelayKey();
  const changed = key.certificate.slice();
  changed[changed.length - 5] = (changed.at(-5) ?? 0) ^ 1;
  await assertWrongKey({ ...key, certPem: toPem("CERTIFICATE", changed) }, key.pin);
});

Deno.test("dial() refuses the pinned key in a certificate of another form", async () => {
  const key = makeRelayKey();
  const { privateKey } = key;
  const own = { subjectKey: privateKey, issuerKey: privateKey };
  for (
    const other of [
      await issue({ ...own, notAfter: new Date("2020-01-01T00:00:00Z") }),
      await issue({ ...own, notAfter: new Date("2048-01-01T00:00:00Z") }),
      await issue({ ...own, alsoFor: ["127.0.0.1"] }),
    ]
  ) {
    await assertWrongKey({ ...key, certPem: toPem("CERTIFICATE", other) }, key.pin);
  }
});

Deno.test("dial() refuses a certificate of an unknown authority", async () => {
  const { keyPem, chainPem } = await makeEvilAuthority();
  await assertWrongKey({ keyPem, certPem: chainPem }, makeRelayKey().pin);
});

/** Dials a forger and gives back what it got. */
async function tryForgery(forgery: Forgery, pin: Uint8Array) {
  const forger = await startForgingRelay(forgery);
  let code: DialError["code"] | "connected";
  try {
    const link = await dial({ host: "127.0.0.1", port: forger.port, pin });
    const recorded = new RecordedLink(link);
    await recorded.write(new Uint8Array(6));
    await recorded.atLeast(1);
    link.destroy();
    await recorded.ended;
    code = "connected";
  } catch (error) {
    assert.ok(error instanceof DialError, String(error));
    code = error.code;
  }
  const { received } = forger;
  await forger.close();
  return { code, received };
}

Deno.test("the forging relay is a working TLS server when it holds the key it shows", async () => {
  const { pin, certificate, privateKey } = makeRelayKey();
  const seen = await tryForgery({ certificate, signingKey: privateKey }, pin);
  assert.deepEqual(seen, { code: "connected", received: 6 });
});

Deno.test("dial() refuses a copied certificate without its private key", async () => {
  const { pin, certificate } = makeRelayKey();
  const signingKey = generateKeyPairSync("ed25519").privateKey;
  const seen = await tryForgery({ certificate, signingKey }, pin);
  assert.deepEqual(seen, { code: "wrong-key", received: 0 });
});

Deno.test("dial() refuses a copied key in an X.509 v1 certificate, which fools node:tls", async () => {
  const { pin, certificate } = makeRelayKey();
  const forgery = {
    certificate: asVersion1(certificate),
    signingKey: generateKeyPairSync("ed25519").privateKey,
  };
  // The control: a client that trusts nothing but the anchor and compares the whole key.
  const forger = await startForgingRelay(forgery);
  const fooled = await new Promise<boolean>((resolve) => {
    const socket = tls.connect({
      host: "127.0.0.1",
      port: forger.port,
      ca: [toPem("CERTIFICATE", certificate)],
      minVersion: "TLSv1.3",
      checkServerIdentity: () => undefined,
    });
    socket.on("secureConnect", () => {
      const shown = socket.getPeerX509Certificate()?.publicKey.export({
        format: "der",
        type: "spki",
      });
      resolve(socket.authorized && Buffer.from(pin).equals(shown?.subarray(-32) ?? Buffer.of()));
      socket.destroy();
    });
    socket.on("error", () => resolve(false));
  });
  await forger.close();
  assert.ok(fooled, "this runtime checks v1 certificates now: say so in the decision page");

  assert.deepEqual(await tryForgery(forgery, pin), { code: "wrong-key", received: 0 });
});

/** The same key and names without version and extensions, as X.509 had them in 1988. */
function asVersion1(certificate: Uint8Array): Uint8Array {
  const fields = certificate.subarray(6 + 5, certificate.length - 64 - 10 - 33);
  const end = certificate.subarray(-64 - 10);
  const signed = Uint8Array.of(0x30, 0x81, fields.length, ...fields);
  return Uint8Array.of(0x30, 0x81, signed.length + end.length, ...signed, ...end);
}

Deno.test("dial() does not carry trust over from an earlier relay at the same address", async () => {
  const first = await TestRelay.start();
  const { port, pin } = first.address;
  const link = new RecordedLink(await dial(first.address));
  const there = new RecordedLink(await first.links.next());
  await there.write(Uint8Array.of(1)); // behind any session ticket
  await link.atLeast(1);
  link.link.close();
  await link.ended;
  assert.equal(await refusalOf({ ...first.address, pin: makeRelayKey().pin }), "wrong-key");
  await first[Symbol.asyncDispose]();

  await using second = await TestRelay.start({ port });
  assert.equal(await refusalOf({ ...second.address, pin }), "wrong-key");
});

Deno.test("peekServerKey() gives the key that is shown, and dial() proves it", async () => {
  await using relay = await TestRelay.start();
  const { host, port } = relay.address;
  const pin = await peekServerKey({ host, port });
  assert.deepEqual(pin, relay.key.pin);
  const link = await dial({ host, port, pin });
  link.destroy();
  const peeked = new RecordedLink(await relay.links.next());
  await peeked.ended;
  assert.equal(peeked.received, 0);
});

Deno.test("peekServerKey() refuses a server that is no relay", async () => {
  const { keyPem, chainPem } = await makeEvilAuthority();
  await using server = await startEvilServer({ keyPem, certPem: chainPem });
  const { port } = server;
  await assert.rejects(peekServerKey({ host: "127.0.0.1", port }), { code: "handshake-failed" });
  assert.equal(await server.received.next(), 0);
});

Deno.test("after a peek at a forger, dial() still finds it out", async () => {
  const { pin, certificate } = makeRelayKey();
  const signingKey = generateKeyPairSync("ed25519").privateKey;
  const forger = await startForgingRelay({ certificate: asVersion1(certificate), signingKey });
  const address = { host: "127.0.0.1", port: forger.port };
  await assert.rejects(peekServerKey(address), { code: "handshake-failed" });
  assert.equal(await refusalOf({ ...address, pin }), "wrong-key");
  assert.equal(forger.received, 0);
  await forger.close();
});

Deno.test("the ClientHello names nothing: no SNI, whatever was dialled", async () => {
  const { pin } = makeRelayKey();
  for (const host of ["127.0.0.1", "localhost"]) {
    for (const connect of [dial, peekServerKey]) {
      let hello = Buffer.of();
      await using server = await startRawServer((socket) => {
        socket.once("data", (bytes) => {
          hello = Buffer.from(bytes);
          socket.destroy();
        });
      });
      const attempt = connect({ host, port: server.port, pin });
      await assert.rejects(attempt, { code: "handshake-failed" });
      assert.deepEqual(extensionsOf(hello).filter((type) => type === SERVER_NAME), []);
      assert.ok(!hello.includes("localhost") && !hello.includes("relay"));
    }
  }
});

const SERVER_NAME = 0;

/** The types of a ClientHello's extensions, RFC 8446 §4.1.2. */
function extensionsOf(record: Buffer): number[] {
  let at = 5 + 4 + 2 + 32;
  at += 1 + record.readUInt8(at);
  at += 2 + record.readUInt16BE(at);
  at += 1 + record.readUInt8(at);
  const end = at + 2 + record.readUInt16BE(at);
  const types = [];
  for (at += 2; at < end; at += 4 + record.readUInt16BE(at + 2)) {
    types.push(record.readUInt16BE(at));
  }
  assert.ok(types.length > 3);
  return types;
}

Deno.test("dial() tells apart nobody there, silence, and something else than a relay", async () => {
  const { pin } = makeRelayKey();
  const host = "127.0.0.1";
  const closed = await startRawServer(() => {});
  await closed[Symbol.asyncDispose]();
  assert.equal(await refusalOf({ host, port: closed.port, pin }), "unreachable");

  await using silent = await startRawServer(() => {});
  assert.equal(await refusalOf({ host, port: silent.port, pin, timeoutMs: 50 }), "timeout");

  await using web = await startRawServer((socket) =>
    socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")
  );
  assert.equal(await refusalOf({ host, port: web.port, pin }), "handshake-failed");

  await using hangsUp = await startRawServer((socket) => socket.destroy());
  assert.equal(await refusalOf({ host, port: hangsUp.port, pin }), "handshake-failed");
});

Deno.test("dial() refuses a relay that speaks TLS 1.2 at most", async () => {
  const key = makeRelayKey();
  const secureContext = tls.createSecureContext({
    key: key.keyPem,
    cert: key.certPem,
    maxVersion: "TLSv1.2",
  });
  await using old = await startRawServer((raw) => {
    new tls.TLSSocket(raw, { isServer: true, secureContext }).on("error", () => raw.destroy());
  });
  const code = await refusalOf({ host: "127.0.0.1", port: old.port, pin: key.pin });
  assert.equal(code, "handshake-failed");
});

Deno.test("dial() gives up when its signal says so, before or during the attempt", async () => {
  const { pin } = makeRelayKey();
  await using silent = await startRawServer((socket) =>
    socket.once("data", () => abort.abort("enough"))
  );
  const abort = new AbortController();
  const options = { host: "127.0.0.1", port: silent.port, pin, signal: abort.signal };
  assert.equal(await dial(options).catch((reason) => reason), "enough");
  assert.equal(await dial(options).catch((reason) => reason), "enough");
});

Deno.test("dial() refuses a pin of the wrong size before it connects", async () => {
  const options = { host: "127.0.0.1", port: 1, pin: new Uint8Array(31) };
  await assert.rejects(dial(options), RangeError);
});

Deno.test("dial() finds a relay by name", async () => {
  await using relay = await TestRelay.start();
  const link = await dial({ ...relay.address, host: "localhost" });
  assert.equal(link.remoteAddress, `localhost:${relay.listener.port}`);
  link.destroy();
});

Deno.test("peekServerKey() asks each relay anew, also where another of this process was asked before", async () => {
  await using first = await TestRelay.start();
  await using second = await TestRelay.start();
  for (const { address, key } of [first, second, first]) {
    const { host, port } = address;
    assert.deepEqual(await peekServerKey({ host, port }), key.pin);
  }
});
