/** A plain TLS 1.3 server that shows whatever certificate it is given, and counts what it hears. */

import tls from "node:tls";
import { startRawServer } from "./raw_server.ts";
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
  const secureContext = tls.createSecureContext({
    key: credentials.keyPem,
    cert: credentials.certPem,
    minVersion: "TLSv1.3",
  });
  const server = await startRawServer((raw) => {
    let bytes = 0;
    const secured = new tls.TLSSocket(raw, { isServer: true, secureContext });
    secured.on("data", (chunk) => bytes += chunk.length);
    secured.on("error", () => raw.destroy());
    secured.on("end", () => raw.destroy());
    raw.on("close", () => received.push(bytes));
  });
  return {
    port: server.port,
    received,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
