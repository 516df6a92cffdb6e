import assert from "node:assert/strict";
import { join } from "node:path";
import { Accounts, judgeCode } from "../../src/store/accounts.ts";
import { openSetup } from "../../src/store/opaque_setup.ts";
import { withFolder } from "../support/temporary_folder.ts";
import { account } from "../support/account_name.ts";

const NOON = new Date("2030-05-06T12:00:00.000Z");
const LATER = "2030-05-07T12:00:00.000Z";
const EARLIER = "2030-05-06T11:59:59.999Z";
const HASH = "ab".repeat(32);
const OTHER = "cd".repeat(32);
const RECORD = "01".repeat(192);
const SETUP = "0123456789abcdef";

const FOX = account("fox");
const OWL = account("owl");

async function withAccounts(
  run: (accounts: Accounts, path: string, clock: { now: Date }) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const path = join(folder, "users.json");
    const clock = { now: NOON };
    await run(new Accounts(path, () => clock.now), path, clock);
  });
}

Deno.test("an account is made, registered with its own code once, reset, disabled and removed", async () => {
  await withAccounts(async (accounts) => {
    const code = { hash: HASH, expires: LATER };
    assert.equal(await accounts.add(FOX, code), "added");
    assert.equal(await accounts.add(FOX, code), "exists");
    const register = async (hash: string, record = RECORD) =>
      (await accounts.register(FOX, hash, record, SETUP, false))[0];
    assert.equal(await register(OTHER), "wrong-code");
    assert.equal((await accounts.register(OWL, HASH, RECORD, SETUP, true))[0], "wrong-code");
    assert.equal(await register(HASH), "good");
    assert.equal(await register(HASH, "02".repeat(192)), "wrong-code");
    assert.deepEqual(await accounts.read(), {
      version: 1,
      setup: SETUP,
      users: [{ name: "fox", record: RECORD, since: NOON.toISOString() }],
      codes: [],
    });
    assert.equal(await accounts.setDisabled(FOX, true), true);
    assert.equal((await accounts.read()).users[0]?.disabled, true);
    assert.equal(await accounts.setDisabled(FOX, false), true);
    assert.equal(await accounts.reset(FOX, code), true);
    const [reset] = (await accounts.read()).users;
    assert.deepEqual(reset, { name: "fox", since: NOON.toISOString(), code });
    assert.equal(await accounts.remove(FOX), true);
    assert.equal(await accounts.remove(FOX), false);
    assert.equal(await accounts.reset(FOX, code), false);
    assert.deepEqual((await accounts.read()).users, []);
  });
});

Deno.test("a code for new accounts is good for so many, until its time, and for no account that there is", async () => {
  await withAccounts(async (accounts, _, clock) => {
    await accounts.addCode({ hash: HASH, expires: LATER, usesLeft: 2 });
    const register = async (name: string, inviting = true) =>
      (await accounts.register(account(name), HASH, RECORD, SETUP, inviting))[0];
    assert.equal(await register("a", false), "wrong-code");
    assert.equal(await register("a"), "good");
    assert.equal(await register("a"), "name-taken");
    assert.equal(await register("b"), "good");
    assert.equal(await register("c"), "wrong-code");
    await accounts.addCode({ hash: OTHER, expires: LATER, usesLeft: 9 });
    assert.deepEqual((await accounts.read()).codes.map(({ hash }) => hash), [OTHER]);
    clock.now = new Date(LATER);
    assert.equal(
      (await accounts.register(account("d"), OTHER, RECORD, SETUP, true))[0],
      "wrong-code",
    );
  });
});

Deno.test("judgeCode() takes an account's own code before its time only", () => {
  const users = [{ name: FOX, since: EARLIER, code: { hash: HASH, expires: LATER } }];
  const judged = (now: string) => judgeCode({ users, codes: [] }, FOX, HASH, false, now);
  assert.equal(judged(NOON.toISOString()), "good");
  assert.equal(judged(LATER), "wrong-code");
});

Deno.test("several processes' changes are all kept", async () => {
  await withAccounts(async (accounts, path) => {
    const others = [accounts, new Accounts(path), new Accounts(path)];
    const names = Array.from({ length: 30 }, (_, i) => account(`user${i}`));
    const code = { hash: HASH, expires: LATER };
    await Promise.all(names.map((name, i) => others[i % 3]?.add(name, code)));
    const kept = (await accounts.read()).users.map(({ name }) => name);
    assert.deepEqual(kept.sort(), [...names].sort());
  });
});

Deno.test("a damaged users.json is refused by the path of its field, and left as it is", async () => {
  await withAccounts(async (accounts, path) => {
    const user = { name: "fox", record: RECORD, since: LATER };
    const whole = { version: 1, setup: SETUP, users: [user], codes: [] };
    const cases: [unknown, string | undefined][] = [
      [{ ...whole, users: [{ ...user, record: RECORD.slice(2) }] }, "users.0.record"],
      [{ ...whole, users: [user, { ...user, name: "Fox" }] }, "users.1.name"],
      [{ ...whole, users: [user, user] }, "users"],
      [{ ...whole, users: [{ ...user, code: { hash: "", expires: LATER } }] }, "users.0.code.hash"],
      [{ ...whole, codes: [{ hash: HASH, expires: LATER, usesLeft: -1 }] }, "codes.0.usesLeft"],
      [{ ...whole, setup: "x" }, "setup"],
      [{ ...whole, version: 0 }, "version"],
      ["no object", "version"],
    ];
    for (const [json, field] of cases) {
      const text = JSON.stringify(json);
      await Deno.writeTextFile(path, text);
      for (
        const use of [
          () => accounts.read(),
          () => accounts.add(OWL, { hash: HASH, expires: LATER }),
          () => accounts.register(OWL, HASH, RECORD, SETUP, true),
        ]
      ) {
        await assert.rejects(use, { name: "StoreError", code: "damaged", path, field });
      }
      assert.equal(await Deno.readTextFile(path), text);
    }
    await Deno.writeTextFile(path, JSON.stringify({ version: 2 }));
    await assert.rejects(accounts.read(), { code: "newer-version" });
  });
});

Deno.test({
  name: "users.json and opaque-setup.json are 0600",
  ignore: Deno.build.os === "windows", // it has no permission bits
  fn: async () => {
    await withAccounts(async (accounts, path) => {
      await accounts.add(FOX, { hash: HASH, expires: LATER });
      const setup = join(path, "..", "opaque-setup.json");
      await openSetup(setup, undefined, () => Promise.resolve(new Uint8Array(128)));
      for (const file of [path, setup]) {
        assert.equal(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
      }
    });
  },
});

Deno.test("a setup is made once; one that accounts need and that is lost or another is said", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "opaque-setup.json");
    const make = (byte: number) => () => Promise.resolve(new Uint8Array(128).fill(byte));
    const first = await openSetup(path, undefined, make(1));
    assert.equal(first.setup, "01".repeat(128));
    assert.deepEqual(await openSetup(path, undefined, make(2)), first);
    assert.deepEqual(await openSetup(path, first.id, make(2)), first);
    const says = { name: "StoreError", code: "missing", path, message: /every account/ };
    await assert.rejects(openSetup(path, SETUP, make(2)), says);
    await Deno.remove(path);
    await assert.rejects(openSetup(path, first.id, make(2)), says);
    await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
    await Deno.writeTextFile(path, JSON.stringify({ ...first, setup: "01" }));
    await assert.rejects(openSetup(path, first.id, make(2)), { code: "damaged", field: "setup" });
  });
});
