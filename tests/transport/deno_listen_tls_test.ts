/**
 * Why the relay does not listen with Deno.listenTls, one test per reason (the descriptor that
 * stays held is tests/system/transport_descriptors_test.ts). One that fails brings good news: read
 * docs/decisions/2026-11-22-tls-by-node-tls.md again.
 */

import assert from "node:assert/strict";
import tls from "node:tls";
import { dial } from "../../src/transport/dial.ts";
import { RecordedLink } from "../support/recorded_link.ts";
import { makeRelayKey } from "../support/relay_key.ts";

function listenTls(extra: Record<string, unknown> = {}) {
  const key = makeRelayKey();
  const options = { hostname: "127.0.0.1", port: 0, key: key.keyPem, cert: key.certPem, ...extra };
  const listener = Deno.listenTls(options);
  assert.ok(listener.addr.transport === "tcp");
  return { listener, port: listener.addr.port, pin: key.pin };
}

Deno.test("a TlsConn of Deno.listenTls cannot set TCP_NODELAY", async () => {
  const { listener, port, pin } = listenTls();
  const dialled = dial({ host: "127.0.0.1", port, pin });
  using conn = await listener.accept();
  await conn.handshake();
  const link = new RecordedLink(await dialled);
  assert.equal("setNoDelay" in conn, false);
  assert.equal("setKeepAlive" in conn, false);
  link.link.destroy();
  await link.ended;
  listener.close();
});

Deno.test("Deno.listenTls accepts TLS 1.2 and has no minimum version to set", async () => {
  const { listener, port } = listenTls({ minVersion: "TLSv1.3", minTlsVersion: "1.3" });
  const accepted = listener.accept();
  const version = await new Promise<string | null>((resolve, reject) => {
    const socket = tls.connect({
      host: "127.0.0.1",
      port,
      maxVersion: "TLSv1.2",
      rejectUnauthorized: false,
    });
    accepted.then(async (conn) => {
      await conn.handshake().catch(() => {});
      conn.close();
    });
    socket.on("secureConnect", () => {
      resolve(socket.getProtocol());
      socket.destroy();
    });
    socket.on("error", reject);
  });
  assert.equal(version, "TLSv1.2");
  await accepted;
  listener.close();
});

Deno.test("a listener of Deno.listenTls has no way to change its certificate", () => {
  const { listener } = listenTls();
  const names = new Set<string>();
  for (
    let object: unknown = listener;
    typeof object === "object" && object !== null && object !== Object.prototype;
    object = Object.getPrototypeOf(object)
  ) {
    for (const name of Object.getOwnPropertyNames(object)) names.add(name);
  }
  listener.close();
  const known = ["constructor", "addr", "accept", "next", "return", "close", "ref", "unref", "rid"];
  assert.deepEqual([...names].filter((name) => !known.includes(name)), []);
});
