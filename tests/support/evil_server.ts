/** A plain TLS 1.3 server that shows whatever certificate it is given, and counts what it hears. */

import net from "node:net";
import tls from "node:tls";
import { Queue } from "./test_relay.ts";

/** A listening server; `await using` ends it. */
export interface EvilServer extends AsyncDisposable {
  readonly port: number;
  /** For each connection that has ended, the application bytes that came over it. */
  readonly received: Queue<number>;
}

/** Starts one on 127.0.0.1. The key must fit the certificate; for others see forging_relay.ts. */
export async function startEvilServer(
  credentials: { keyPem: string; certPem: string },
): Promise<EvilServer> {
  const received = new Queue<number>();
  const sockets = new Set<net.Socket>();
  const secureContext = tls.createSecureContext({
    key: credentials.keyPem,
    cert: credentials.certPem,
    minVersion: "TLSv1.3",
  });
  const server = net.createServer((raw) => {
    let bytes = 0;
    const secured = new tls.TLSSocket(raw, { isServer: true, secureContext });
    secured.on("data", (chunk) => bytes += chunk.length);
    secured.on("error", () => raw.destroy());
    secured.on("end", () => raw.destroy());
    raw.on("error", () => raw.destroy());
    raw.on("close", () => {
      sockets.delete(raw);
      received.push(bytes);
    });
    sockets.add(raw);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    received,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
