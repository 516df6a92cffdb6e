/**
 * P12: somebody has the relay's `users.json`, a recorded login in plain text, and a list of passwords with
 * the right one in it. What it may not have is `opaque-setup.json`.
 */
import assert from "node:assert/strict";
import { ClientHalf } from "../../src/auth/client_half.ts";
import { OpaqueWorker } from "../../src/auth/opaque_worker.ts";
import { createSetup, ServerHalf } from "../../src/auth/server_half.ts";
import { type AccountName, isAccountName } from "../../src/wire/account_name.ts";

const RIGHT = "tr0ub4dor&3";
const LIST = ["123456", "password", RIGHT, "letmein"];

/** What a thief may have. */
interface Loot {
  readonly account: AccountName;
  readonly record: Uint8Array<ArrayBuffer>;
  readonly recorded: {
    readonly ke1: Uint8Array<ArrayBuffer>;
    readonly ke2: Uint8Array<ArrayBuffer>;
    readonly ke3: Uint8Array<ArrayBuffer>;
  };
}

async function victim(
  worker: OpaqueWorker,
): Promise<{ loot: Loot; setup: Uint8Array<ArrayBuffer> }> {
  const account = "fox";
  assert.ok(isAccountName(account));
  const setup = await createSetup(worker);
  const server = new ServerHalf(worker, setup);
  const client = new ClientHalf(worker, RIGHT);
  const registration = await client.startRegistration();
  const response = await server.register(account, registration.request);
  assert.ok(response);
  const record = await client.finishRegistration(registration.state, response);
  assert.ok(record);
  const login = await client.startLogin();
  const answer = await server.startLogin(account, record, login.request);
  assert.ok(answer);
  const finished = await client.finishLogin(login.state, answer.ke2);
  assert.ok(finished);
  const recorded = { ke1: login.request, ke2: answer.ke2, ke3: finished.ke3 };
  return { loot: { account, record, recorded }, setup };
}

/** Plays the relay to itself for each password of the list: with a setup, this is all it takes. */
async function crackWith(
  worker: OpaqueWorker,
  setup: Uint8Array<ArrayBuffer>,
  { account, record }: Loot,
): Promise<string | null> {
  const server = new ServerHalf(worker, setup);
  for (const password of LIST) {
    const client = new ClientHalf(worker, password);
    const begun = await client.startLogin();
    const answer = await server.startLogin(account, record, begun.request);
    assert.ok(answer);
    if (await client.finishLogin(begun.state, answer.ke2) !== null) return password;
  }
  return null;
}

/** Tries each password against the relay's recorded answer, with a request of its own. */
async function crackRecorded(worker: OpaqueWorker, { recorded }: Loot): Promise<string | null> {
  for (const password of LIST) {
    const client = new ClientHalf(worker, password);
    const { state } = await client.startLogin();
    if (await client.finishLogin(state, recorded.ke2) !== null) return password;
  }
  return null;
}

Deno.test("users.json and a recorded login open to no list of passwords; with opaque-setup.json they do", async () => {
  const worker = new OpaqueWorker();
  try {
    const { loot, setup } = await victim(worker);
    assert.equal(await crackRecorded(worker, loot), null);
    assert.equal(await crackWith(worker, await createSetup(worker), loot), null);
    // The control: the same program, the same list, and the file that was missing.
    assert.equal(await crackWith(worker, setup, loot), RIGHT);
  } finally {
    worker.close();
  }
});
