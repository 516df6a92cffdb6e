import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as v from "valibot";
import { makeEvilAuthority } from "../support/evil_ca.ts";
import { startEvilServer } from "../support/evil_server.ts";
import { CONTROL_BYTES, type P11Report } from "../support/p11_client.ts";
import { makeRelayKey } from "../support/relay_key.ts";

const CLIENT = fileURLToPath(new URL("../support/p11_client.ts", import.meta.url));
const CLIENTS = 3;
const REPORT = v.object({ connectTls: v.string(), startTls: v.string(), dial: v.string() });

interface World {
  readonly title: string;
  env?(authority: string): Record<string, string>;
  flags?(authority: string): string[];
  /** Whether Deno's own clients are expected to be fooled there. */
  readonly fools: boolean;
}

const WORLDS: readonly World[] = [
  { title: "a clean environment", fools: false },
  { title: "DENO_CERT", env: (ca) => ({ DENO_CERT: ca }), fools: true },
  { title: "NODE_EXTRA_CA_CERTS", env: (ca) => ({ NODE_EXTRA_CA_CERTS: ca }), fools: true },
  {
    title: "SSL_CERT_FILE with DENO_TLS_CA_STORE=system",
    env: (ca) => ({ SSL_CERT_FILE: ca, DENO_TLS_CA_STORE: "system" }),
    fools: true,
  },
  { title: "deno run --cert", flags: (ca) => ["--cert", ca], fools: true },
  {
    title: "NODE_TLS_REJECT_UNAUTHORIZED=0 on top of DENO_CERT",
    env: (ca) => ({ NODE_TLS_REJECT_UNAUTHORIZED: "0", DENO_CERT: ca }),
    fools: true,
  },
  {
    title: "--unsafely-ignore-certificate-errors",
    flags: () => ["--unsafely-ignore-certificate-errors"],
    fools: true,
  },
];

for (const world of WORLDS) {
  const claim = world.fools ? "fools Deno's clients and not dial()" : "fools nobody";
  Deno.test(`P11: an evil authority in ${world.title} ${claim}`, async () => {
    const evil = await makeEvilAuthority();
    const folder = await Deno.makeTempDir();
    const authority = join(folder, "authority.pem");
    await Deno.writeTextFile(authority, evil.authorityPem);

    const server = await startEvilServer({ keyPem: evil.keyPem, certPem: evil.chainPem });
    const report = await runClient(world, authority, server.port);
    const received = [];
    for (let i = 0; i < CLIENTS; i++) received.push(await server.received.next());
    await server[Symbol.asyncDispose]();
    await Deno.remove(folder, { recursive: true });

    assert.equal(report.dial, "wrong-key");
    assert.equal(report.connectTls === "connected", world.fools, report.connectTls);
    assert.equal(report.startTls === "connected", world.fools, report.startTls);
    const fromControls = world.fools ? CONTROL_BYTES : 0;
    assert.deepEqual(received.sort(), [0, fromControls, fromControls]);
  });
}

async function runClient(world: World, authority: string, port: number): Promise<P11Report> {
  const output = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-config",
      "--no-lock",
      "--no-check",
      "-A",
      ...world.flags?.(authority) ?? [],
      CLIENT,
      String(port),
      makeRelayKey().pin.toHex(),
    ],
    env: world.env?.(authority) ?? {},
    stdout: "piped",
    stderr: "piped",
  }).output();
  const stdout = new TextDecoder().decode(output.stdout);
  assert.ok(output.success, new TextDecoder().decode(output.stderr));
  return v.parse(REPORT, JSON.parse(stdout));
}
