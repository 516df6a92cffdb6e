/**
 * Three clients that reach for one pinned relay, run as a process of its own because the enemy is
 * the environment (PROTOCOL.md, P11): Deno's two ways with `caCerts`, as controls, and `dial`.
 *
 * Arguments: port, pin in hex. Prints one line of JSON: for each client `connected` or the refusal.
 */

import { relayCertificate, RESERVED_ADDRESS, toPem } from "../../src/transport/certificate.ts";
import { dial, DialError } from "../../src/transport/dial.ts";

/** What the program prints. */
export interface P11Report {
  readonly connectTls: string;
  readonly startTls: string;
  readonly dial: string;
}

/** What each control client sends when it is fooled. */
export const CONTROL_BYTES = 7;

async function control(connect: () => Promise<Deno.TlsConn>): Promise<string> {
  try {
    using conn = await connect();
    await conn.handshake();
    await conn.write(new Uint8Array(CONTROL_BYTES));
    return "connected";
  } catch (error) {
    return error instanceof Error ? error.name : "refused";
  }
}

async function ours(port: number, pin: Uint8Array): Promise<string> {
  try {
    const link = await dial({ host: "127.0.0.1", port, pin });
    await new Promise((resolve) => link.write(new Uint8Array(1000), resolve));
    link.destroy();
    return "connected";
  } catch (error) {
    return error instanceof DialError ? error.code : String(error);
  }
}

async function main(portText: string, pinHex: string): Promise<P11Report> {
  const port = Number(portText);
  const pin = Uint8Array.fromHex(pinHex);
  const caCerts = [toPem("CERTIFICATE", relayCertificate(pin))];
  const hostname = "127.0.0.1";
  return {
    connectTls: await control(() => Deno.connectTls({ hostname, port, caCerts })),
    startTls: await control(async () => {
      const tcp = await Deno.connect({ hostname, port });
      return await Deno.startTls(tcp, { hostname: RESERVED_ADDRESS, caCerts });
    }),
    dial: await ours(port, pin),
  };
}

if (import.meta.main) {
  console.log(JSON.stringify(await main(Deno.args[0] ?? "", Deno.args[1] ?? "")));
}
