/**
 * Whether the time that a relay takes for a login tells which accounts there are.
 *
 *     deno task bench:login [LOGINS]
 *
 * A relay process with fifty accounts is sent 500 logins of each kind, an unknown account and a wrong
 * password, by turns in random order, over one TLS connection on loopback. Prints the median time until its
 * answer of each, and their ratio. Exits with 1 if they differ by more than 5 %, or any two answers differ in length.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ClientHalf } from "../src/auth/client_half.ts";
import { OpaqueWorker } from "../src/auth/opaque_worker.ts";
import { createSetup, ServerHalf } from "../src/auth/server_half.ts";
import { sha256 } from "../src/server/verify.ts";
import { openSetup, SETUP_FILE } from "../src/store/opaque_setup.ts";
import { dial } from "../src/transport/dial.ts";
import { relayKey } from "../src/wire/ids.ts";
import { parseLink } from "../src/wire/link_url.ts";
import { encodeRelayMessage } from "../src/wire/relay_message.ts";
import { account } from "../tests/support/account_name.ts";
import { Visitor } from "../tests/support/account_relay.ts";

const LOGINS = Number(Deno.args[0] ?? 500);
const MOST_APART = 0.05;
/** As many attempts as one account has at once. */
const PER_ACCOUNT = 10;
const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));

/** Makes both files, with a password for each account that nobody will guess. */
async function makeAccounts(certs: string, worker: OpaqueWorker, names: string[]): Promise<void> {
  await Deno.mkdir(certs);
  const { id, setup } = await openSetup(
    join(certs, SETUP_FILE),
    undefined,
    () => createSetup(worker),
  );
  const client = new ClientHalf(worker, crypto.randomUUID());
  const { request, state } = await client.startRegistration();
  const half = new ServerHalf(worker, Uint8Array.fromHex(setup));
  const response = await half.register(account("known0"), request);
  const record = response && await client.finishRegistration(state, response);
  if (!record) throw new Error("no record");
  const since = new Date().toISOString();
  const users = names.map((name) => ({ name, record: record.toHex(), since }));
  const file = JSON.stringify({ version: 1, setup: id, users, codes: [] });
  await Deno.writeTextFile(join(certs, "users.json"), file, { mode: 0o600 });
}

/** The first line that says where the relay is. */
async function linkOf(output: ReadableStream<Uint8Array>): Promise<string> {
  // Not cancelled: the relay still has a goodbye to say.
  const reader = output.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
    const link = /stm:\/\/[^"\s]+/.exec(text)?.[0];
    if (link !== undefined) return link;
  }
  throw new Error(`the relay did not start: ${text}`);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

const folder = await Deno.makeTempDir({ prefix: "stm-bench-login-" });
const worker = new OpaqueWorker();
const count = Math.ceil((LOGINS + PER_ACCOUNT) / PER_ACCOUNT);
const names = (kind: string) => Array.from({ length: count }, (_, i) => `${kind}${i}`);
const certs = join(folder, "certs");
await makeAccounts(certs, worker, names("known"));
const relay = new Deno.Command(Deno.execPath(), {
  args: ["run", "-A", "--quiet", MAIN, "server", "--access", "account", "--host", "127.0.0.1"]
    .concat(["--port", "0", "--certs", certs, "--ui", "json", "--handshake-ms", "600000"]),
  stdout: "piped",
}).spawn();
try {
  const { host, port, relayKey: pin } = parseLink(await linkOf(relay.stdout), sha256);
  const visitor = new Visitor(worker, await dial({ host, port, pin }), relayKey(pin));
  await visitor.until(() => visitor.nonce !== null);
  const requests = [];
  for (let i = 0; i < 2 * (LOGINS + PER_ACCOUNT); i++) {
    requests.push((await new ClientHalf(worker, "a guess").startLogin()).request);
  }
  const times: Record<"known" | "guess", number[]> = { known: [], guess: [] };
  const lengths = new Set<number>();
  for (let i = 0; i < LOGINS + PER_ACCOUNT; i++) {
    const order = Math.random() < 0.5 ? ["known", "guess"] as const : ["guess", "known"] as const;
    for (const kind of order) {
      const ke1 = requests.pop();
      if (ke1 === undefined) throw new RangeError("no request is left");
      const name = account(`${kind}${Math.floor(i / PER_ACCOUNT)}`);
      const before = performance.now();
      const answer = await visitor.ask({ kind: "login-start", account: name, ke1 });
      const ms = performance.now() - before;
      if (answer.kind !== "login-answer") throw new Error(answer.kind);
      lengths.add(encodeRelayMessage(answer).length);
      // The first ten of each warm up.
      if (i >= PER_ACCOUNT) times[kind].push(ms);
    }
  }
  const [wrong, unknown] = [median(times.known), median(times.guess)];
  const ratio = unknown / wrong;
  console.log(`wrong password   median ${wrong.toFixed(3)} ms of ${times.known.length}`);
  console.log(`unknown account  median ${unknown.toFixed(3)} ms of ${times.guess.length}`);
  console.log(`ratio ${ratio.toFixed(3)}, at most 5 % apart; lengths ${[...lengths].join()} bytes`);
  if (Math.abs(ratio - 1) > MOST_APART || lengths.size !== 1) Deno.exitCode = 1;
  visitor.link.close();
} finally {
  relay.kill("SIGTERM");
  await relay.status;
  worker.close();
  await Deno.remove(folder, { recursive: true });
}
