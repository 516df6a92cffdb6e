/**
 * P11 with the program itself: the environment brings an evil authority, a man in the middle has its certificate, and
 * the client ends with exit code 4 before it has sent one byte. That the same environment fools other clients is seen
 * in the same run.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as v from "valibot";
import { sha256, systemRandom } from "../../src/crypto/primitives.ts";
import { fingerprint, inviteSecret, relayKey, roomId, roomSecret } from "../../src/wire/ids.ts";
import { formatLink } from "../../src/wire/link_url.ts";
import { makeEvilAuthority } from "../support/evil_ca.ts";
import { type EvilServer, startEvilServer } from "../support/evil_server.ts";
import { CONTROL_BYTES } from "../support/p11_client.ts";
import { makeRelayKey } from "../support/relay_key.ts";
import { Stage } from "../support/stm_process.ts";

const CONTROL = fileURLToPath(new URL("../support/p11_client.ts", import.meta.url));
const REPORT = v.object({ connectTls: v.string(), startTls: v.string(), dial: v.string() });

const WORLDS: readonly { title: string; env(authority: string): Record<string, string> }[] = [
  { title: "DENO_CERT", env: (ca) => ({ DENO_CERT: ca }) },
  { title: "NODE_EXTRA_CA_CERTS", env: (ca) => ({ NODE_EXTRA_CA_CERTS: ca }) },
  {
    title: "SSL_CERT_FILE with DENO_TLS_CA_STORE=system",
    env: (ca) => ({ SSL_CERT_FILE: ca, DENO_TLS_CA_STORE: "system" }),
  },
];

/** Application bytes of the next connections that end. */
async function received(server: EvilServer, connections: number): Promise<number[]> {
  const bytes: number[] = [];
  for (let i = 0; i < connections; i++) bytes.push(await server.received.next());
  return bytes.sort();
}

for (const { title, env } of WORLDS) {
  Deno.test(`P11: stm client under an evil authority in ${title} ends with exit 4 and has sent nothing`, async () => {
    await using stage = await Stage.open();
    const evil = await makeEvilAuthority();
    const authority = join(stage.folder, "authority.pem");
    await Deno.writeTextFile(authority, evil.authorityPem);
    const { pin } = makeRelayKey();
    const server = await startEvilServer({ keyPem: evil.keyPem, certPem: evil.chainPem });
    try {
      const relay = { host: "127.0.0.1", port: server.port, relayKey: relayKey(pin) };
      const invite = formatLink({
        kind: "invite",
        ...relay,
        room: roomId(systemRandom(16)),
        adminFingerprint: fingerprint(systemRandom(16)),
        roomSecret: roomSecret(systemRandom(32)),
        inviteSecret: inviteSecret(systemRandom(16)),
      }, sha256);
      const options = { env: env(authority) };
      const client = await stage.run(["client", invite, "--name", "fox", "--ui", "json"], options);
      assert.equal(await client.exit, 4, client.stdout);
      assert.equal(client.every("error")[0]?.code, "wrong-key");
      assert.equal(client.every("connected").length, 0);
      const link = formatLink({ kind: "server", ...relay }, sha256);
      const args = ["admin", link, "--room", "R", "--name", "owl", "--ui", "json"];
      const admin = await stage.run(args, options);
      assert.equal(await admin.exit, 4, admin.stdout);
      // Each dials, and looks once more whether a statement leads to what answers.
      assert.deepEqual(await received(server, 4), [0, 0, 0, 0]);

      const control = await new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "--no-config", "--no-lock", "--no-check", "-A", CONTROL],
          String(server.port),
          pin.toHex(),
        ],
        env: env(authority),
        stdout: "piped",
        stderr: "piped",
      }).output();
      assert.ok(control.success, new TextDecoder().decode(control.stderr));
      const report = v.parse(REPORT, JSON.parse(new TextDecoder().decode(control.stdout)));
      assert.deepEqual(report, {
        connectTls: "connected",
        startTls: "connected",
        dial: "wrong-key",
      });
      assert.deepEqual(await received(server, 3), [0, CONTROL_BYTES, CONTROL_BYTES]);
    } finally {
      await server[Symbol.asyncDispose]();
    }
  });
}
