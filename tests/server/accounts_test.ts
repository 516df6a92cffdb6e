import assert from "node:assert/strict";
import { join } from "node:path";
import { ClientHalf } from "../../src/auth/client_half.ts";
import { Bans } from "../../src/server/bans.ts";
import { runServer } from "../../src/server/main.ts";
import { askRelay } from "../../src/server/shell_control.ts";
import type { LoginOutcome } from "../../src/server/login_desk.ts";
import { LoginLimits } from "../../src/server/login_limits.ts";
import { formatCode, hashCode } from "../../src/server/registration_code.ts";
import type { RelayLimits } from "../../src/server/relay_limits.ts";
import {
  disableUser,
  listUsers,
  makeCode,
  removeUser,
  resetUser,
} from "../../src/server/shell_account_commands.ts";
import { reloadRelay } from "../../src/server/shell_commands.ts";
import { MAX_ACCOUNTS } from "../../src/store/accounts.ts";
import {
  type Access,
  encodeRelayMessage,
  type RelayMessage,
} from "../../src/wire/relay_message.ts";
import { fileURLToPath } from "node:url";
import { readModuleGraph } from "../../tools/module_graph.ts";
import { account } from "../support/account_name.ts";
import { AccountRelay } from "../support/account_relay.ts";
import { TestRoom } from "../support/gate_people.ts";
import { settled } from "../support/memory_link.ts";
import { Story } from "./relay_story.ts";
import { withFolder } from "../support/temporary_folder.ts";

const FOX = account("fox");
const PASSWORD = "correct horse battery";
const MUTE = { out: () => {}, err: () => {} };

async function withRelay(
  work: (relay: AccountRelay) => Promise<void>,
  access: Access = "account",
  limits: Partial<RelayLimits> = {},
): Promise<void> {
  await withFolder(async (folder) => {
    await using relay = new AccountRelay(folder, runServer, access, limits);
    await relay.ready();
    await work(relay);
  });
}

Deno.test("an account that is made before the relay takes commands counts for whoever comes first", async () => {
  await withFolder(async (folder) => {
    const code = formatCode(new Uint8Array(20));
    const users = [{
      name: FOX,
      since: new Date(0).toISOString(),
      code: { hash: hashCode(code), expires: new Date(Date.now() + 3_600_000).toISOString() },
    }];
    const file = JSON.stringify({ version: 1, users, codes: [] });
    // The relay has read the accounts, and says that it listens: it cannot be asked yet.
    const run: typeof runServer = (options, output, ports) =>
      runServer(options, {
        ...output,
        out: (line) => {
          if (line.includes("server link")) {
            Deno.writeTextFileSync(join(options.certs, "users.json"), file, { mode: 0o600 });
          }
          output.out(line);
        },
      }, ports);
    await using relay = new AccountRelay(folder, run);
    await relay.ready();
    const fox = await relay.arrive();
    assert.equal(await fox.register(FOX, code, PASSWORD), "registered");
  });
});

async function said(run: (output: typeof MUTE) => Promise<number>): Promise<string[]> {
  const lines: string[] = [];
  const keep = (line: string) => void lines.push(line);
  await run({ out: keep, err: keep } as typeof MUTE);
  return lines;
}

Deno.test("who was given a code chooses a password once, logs in with it and talks", async () => {
  await withRelay(async (relay) => {
    const code = await relay.add(FOX);
    const options = { certs: relay.certs, ui: "json" } as const;
    assert.match((await said((out) => listUsers(options, out))).join(), /"not registered"/);
    const fox = await relay.arrive();
    assert.equal(fox.all("challenge")[0]?.access, 1);
    assert.equal(await fox.register(FOX, "0000-0000-0000-0000-0000", PASSWORD), "wrong-code");
    assert.equal(await fox.register(account("owl"), code, PASSWORD), "wrong-code");
    // As a person types it.
    const typed = ` ${code.toUpperCase().replaceAll("-", " ")}`;
    assert.equal(await fox.register(FOX, typed, PASSWORD), "registered");
    assert.equal(await fox.register(FOX, code, "another"), "wrong-code");
    assert.equal(await fox.logIn(FOX, "not the one"), "wrong-password");
    assert.equal(await fox.logIn(FOX, PASSWORD), "logged-in");
    const room = new TestRoom();
    fox.enter(room, "owner");
    await fox.until(() => fox.handles.size > 0);
    assert.match((await said((out) => listUsers(options, out))).join(), /"active"/);
    const file = await Deno.readTextFile(join(relay.certs, "users.json"));
    assert.doesNotMatch(file, new RegExp(`${code}|${PASSWORD}`));
    const again = await fox.ask({ kind: "login-start", account: FOX, ke1: new Uint8Array(96) });
    assert.equal(again.kind === "closing" && again.code, "malformed");
  });
});

Deno.test("with --access code a code makes so many accounts, and --access account takes none", async () => {
  for (const access of ["code", "account"] as const) {
    await withRelay(async (relay) => {
      const options = { certs: relay.certs, ui: "json" } as const;
      const [line = ""] = await said((out) => makeCode(options, 1, 3_600_000, out));
      const code = /"code":"([^"]+)"/.exec(line)?.[1] ?? "";
      const fox = await relay.arrive();
      const [first, second] = access === "code"
        ? ["registered", "wrong-code"]
        : ["wrong-code", "wrong-code"];
      assert.equal(await fox.register(FOX, code, PASSWORD), first);
      assert.equal(await fox.register(account("owl"), code, PASSWORD), second);
    }, access);
  }
});

Deno.test("an unknown account and a wrong password get the same messages of the same lengths, and the same limit", async () => {
  await withRelay(async (relay) => {
    await relay.withAccount(FOX, PASSWORD);
    const transcripts = [];
    for (const name of [FOX, account("wolf"), account("owl"), account("nobody-at-all")]) {
      if (name === "owl") await relay.add(name);
      const lengths: number[] = [];
      for (let i = 0; i < 12; i++) {
        const guesser = await relay.arrive();
        const ke1 = new Uint8Array(96);
        // A right KE1 costs nothing that matters here: the relay's answer is what is looked at.
        const { request } = await guesserHalf(relay).startLogin();
        ke1.set(request);
        const answer = await guesser.ask({ kind: "login-start", account: name, ke1 });
        lengths.push(encodeRelayMessage(answer).length);
        guesser.link.close();
      }
      transcripts.push(lengths);
    }
    const [first = []] = transcripts;
    assert.equal(first[0], 321);
    // Ten at once, then it is told to wait. the registration of fox gave its attempt back.
    assert.deepEqual(
      first.map((length) => length === 321),
      Array.from({ length: 12 }, (_, i) => i < 10),
    );
    for (const other of transcripts) assert.deepEqual(other, first);
    // No guess says that it was one: what the operator sees is that they were begun.
    const status = await askRelay(relay.certs, "status");
    assert.equal(status?.loginsBegun, 4 * 12);
    assert.equal(status?.logins, 0);
  });
});

function guesserHalf(relay: AccountRelay): ClientHalf {
  return new ClientHalf(relay.worker, "a guess");
}

Deno.test("disabling, removing and banning an account end its connections at once, and no other's", async () => {
  await withRelay(async (relay) => {
    const options = { certs: relay.certs, ui: "json" } as const;
    await relay.withAccount(account("owl"), PASSWORD);
    const owl = await relay.arrive();
    assert.equal(await owl.logIn(account("owl"), PASSWORD), "logged-in");
    const ends: [() => Promise<unknown>, string][] = [
      [() => disableUser(options, FOX, true, MUTE), "disabled"],
      [() => removeUser(options, FOX, MUTE), "wrong-password"],
      [() => resetUser(options, FOX, 60_000, MUTE), "wrong-password"],
      [async () => {
        await new Bans(relay.certs).add("account:fox", 60_000);
        await reloadRelay(options, MUTE);
      }, "disabled"],
    ];
    for (const [end, then] of ends) {
      await removeUser(options, FOX, MUTE);
      await relay.withAccount(FOX, PASSWORD);
      const fox = await relay.arrive();
      assert.equal(await fox.logIn(FOX, PASSWORD), "logged-in");
      await end();
      await fox.until(() => fox.closing !== undefined);
      assert.equal(fox.closing, "logged-out");
      assert.equal(await (await relay.arrive()).logIn(FOX, PASSWORD), then);
    }
    owl.enter(new TestRoom(), "owner");
    await owl.until(() => owl.handles.size > 0);
  });
});

Deno.test("before its login a connection may do nothing else, and not wait for ever", async () => {
  await withRelay(
    async (relay) => {
      const room = new TestRoom();
      const handle = room.id;
      const early: RelayMessage[] = [
        { kind: "leave", room: room.id },
        { kind: "broadcast", room: room.id, from: handle as never, payload: new Uint8Array(1) },
        {
          kind: "direct",
          room: room.id,
          from: handle as never,
          to: handle as never,
          payload: new Uint8Array(1),
        },
        { kind: "renew", ticket: room.ticket(new TestRoom().signer, 0) },
      ];
      for (const message of early) {
        const stranger = await relay.arrive();
        stranger.send(message);
        await stranger.until(() => stranger.closing !== undefined);
        assert.equal(stranger.closing, "login-required", message.kind);
      }
      const silent = await relay.arrive();
      silent.send({ kind: "ping", token: 5 });
      await silent.until(() => silent.all("pong").length === 1);
    },
  );
  await withRelay(
    async (relay) => {
      const silent = await relay.arrive();
      await silent.until(() => silent.closing !== undefined);
      assert.equal(silent.closing, "login-required");
    },
    "account",
    { loginMs: 3_000 },
  );
});

Deno.test("messages of the login out of order, or with nonsense in them end the connection", async () => {
  await withRelay(async (relay) => {
    const ke1 = (await guesserHalf(relay).startLogin()).request;
    const start: RelayMessage = { kind: "login-start", account: FOX, ke1 };
    const cases: RelayMessage[][] = [
      [{ kind: "login-finish", ke3: new Uint8Array(64), proof: new Uint8Array(32) }],
      [{ kind: "register-finish", record: new Uint8Array(192) }],
      [{ ...start, ke1: new Uint8Array(96).fill(0xff) }],
    ];
    for (const messages of cases) {
      const stranger = await relay.arrive();
      for (const message of messages) stranger.send(message);
      await stranger.until(() => stranger.closing !== undefined);
      assert.equal(stranger.closing, "malformed");
    }
    // A record that is none would fail every later login: it is not kept.
    const code = await relay.add(FOX);
    const { request } = await guesserHalf(relay).startRegistration();
    const fox = await relay.arrive();
    await fox.ask({ kind: "register-start", account: FOX, code, request });
    const last = await fox.ask({ kind: "register-finish", record: new Uint8Array(192).fill(0xff) });
    assert.equal(last.kind === "closing" && last.code, "malformed");
    assert.doesNotMatch(await Deno.readTextFile(join(relay.certs, "users.json")), /"record"/);
  });
});

Deno.test("a second message of the login before the first is answered ends the connection", async () => {
  let asked = 0;
  const take = () => {
    asked++;
    return new Promise<never>(() => {});
  };
  const story = new Story({}, {
    login: { access: "account", take, mayStay: () => true },
  });
  const stranger = await story.arrive();
  const start: RelayMessage = { kind: "login-start", account: FOX, ke1: new Uint8Array(96) };
  stranger.send(start);
  await settled();
  assert.equal(stranger.closing, undefined);
  stranger.send(start);
  await settled();
  assert.equal(stranger.closing, "malformed");
  assert.equal(asked, 1);
});

Deno.test("an account that is banned or reset between its judgement and its admission is not let in", async () => {
  for (const banned of [false, true]) {
    const judged = Promise.withResolvers<LoginOutcome>();
    let mayStay = true;
    const story = new Story({}, {
      login: { access: "account", take: () => judged.promise, mayStay: () => mayStay },
    });
    const fox = await story.arrive();
    fox.send({ kind: "login-start", account: FOX, ke1: new Uint8Array(96) });
    await settled();
    judged.resolve({ kind: "in", account: { name: FOX, record: "" } });
    // A reload ends its turn now: it finds nobody of that account to log out.
    mayStay = !banned;
    assert.equal(story.relay.logOut(() => mayStay), 0);
    await settled();
    assert.equal(fox.closing, banned ? "logged-out" : undefined);
    assert.equal(fox.all("logged-in").length, banned ? 0 : 1);
  }
});

Deno.test("a registration for which the list has no room says so, and only to who has a good code", async () => {
  await withFolder(async (folder) => {
    const code = formatCode(new Uint8Array(20));
    const expires = new Date(Date.now() + 3_600_000).toISOString();
    const since = new Date(0).toISOString();
    const full = {
      version: 1,
      users: Array.from({ length: MAX_ACCOUNTS }, (_, i) => ({ name: `user${i}`, since })),
      codes: [{ hash: hashCode(code), expires, usesLeft: 1 }],
    };
    const certs = join(folder, "certs");
    await Deno.mkdir(certs, { mode: 0o700 });
    await Deno.writeTextFile(join(certs, "users.json"), JSON.stringify(full), { mode: 0o600 });
    await using relay = new AccountRelay(folder, runServer, "code");
    await relay.ready();
    const fox = await relay.arrive();
    assert.equal(await fox.register(FOX, code.replace(/.$/, "x"), PASSWORD), "wrong-code");
    assert.equal(await fox.register(FOX, code, PASSWORD), "accounts-full");
    await said((out) => removeUser({ certs, ui: "json" }, "user7", out));
    assert.equal(await fox.register(FOX, code, PASSWORD), "registered");
  });
});

Deno.test("the connections of one account are counted together", async () => {
  await withRelay(
    async (relay) => {
      await relay.withAccount(FOX, PASSWORD);
      const [first, second] = [await relay.arrive(), await relay.arrive()];
      assert.equal(await first.logIn(FOX, PASSWORD), "logged-in");
      assert.equal(await second.logIn(FOX, PASSWORD), "rate-limited");
      first.link.close();
      await first.until(() => first.ended);
      const third = await relay.arrive();
      assert.equal(await third.logIn(FOX, PASSWORD), "logged-in");
    },
    "account",
    { sourceConnections: 1 },
  );
});

Deno.test("an open relay takes no message of a login, and makes no file of accounts", async () => {
  await withRelay(async (relay) => {
    const person = await relay.arrive();
    assert.equal(person.all("challenge")[0]?.access, 0);
    person.send({ kind: "login-start", account: FOX, ke1: new Uint8Array(96) });
    await person.until(() => person.closing !== undefined);
    assert.equal(person.closing, "malformed");
    const files = [...Deno.readDirSync(relay.certs)].map(({ name }) => name);
    assert.ok(!files.some((name) => /users|opaque/.test(name)), files.join());
  }, "open");
});

Deno.test("a damaged users.json or a lost setup stops the start, says which, and is left as it is", async () => {
  await withFolder(async (folder) => {
    const users = join(folder, "certs", "users.json");
    const setup = join(folder, "certs", "opaque-setup.json");
    const start = async (): Promise<[number | null, string]> => {
      await using relay = new AccountRelay(folder, runServer);
      await relay.ready();
      if (relay.out.length === 0) return [await relay.exit, relay.err.join()];
      await relay.withAccount(FOX, PASSWORD);
      return [null, ""];
    };
    assert.deepEqual(await start(), [null, ""]);
    const right = await Deno.readTextFile(users);
    const wrong = right.replace(/"record": "../, '"record": "');
    await Deno.writeTextFile(users, wrong);
    const [damaged, why] = await start();
    assert.equal(damaged, 1);
    assert.match(why, /users\.json: the field users\.0\.record /);
    assert.equal(await Deno.readTextFile(users), wrong);
    const { setup: _, ...nameless } = JSON.parse(right);
    await Deno.writeTextFile(users, JSON.stringify(nameless));
    await Deno.rename(setup, `${setup}.kept`);
    assert.match((await start())[1], /users\.json: the field setup /);
    await Deno.rename(`${setup}.kept`, setup);
    await Deno.writeTextFile(users, right);
    await Deno.remove(setup);
    const [lost, says] = await start();
    assert.equal(lost, 1);
    assert.match(says, /opaque-setup\.json: is not there, and without it every account/);
  });
});

Deno.test("LoginLimits slows down an address and an account, and not who has proven itself there", () => {
  const limits = new LoginLimits();
  const attempts = (name: string, source: string | null, nowMs = 0) => {
    let made = 0;
    while (limits.attempt(name, source, nowMs) === 0) made++;
    return made;
  };
  assert.equal(limits.attempt("fox", "home", 0), 0);
  limits.succeeded("fox", "home", 0);
  assert.equal(attempts("fox", "a"), 10);
  assert.equal(attempts("fox", "b"), 0);
  assert.equal(limits.attempt("fox", "b", 0), 60_000);
  assert.equal(attempts("owl", "a"), 10);
  assert.equal(limits.attempt("wolf", "a", 0), 10_000);
  // Others' guesses hold nobody up where the account has been before; its own address still does.
  assert.equal(attempts("fox", "home"), 20);
  assert.equal(attempts("fox", "b", 180_000), 3);
  // An address that is exempt can prove nothing: many people may be behind it.
  limits.succeeded("bear", null, 0);
  assert.equal(attempts("bear", null), 10);
});

Deno.test("LoginLimits keeps count of an account, however many names an address that may not try any tries", () => {
  const limits = new LoginLimits();
  for (let i = 0; i < 10; i++) assert.equal(limits.attempt("fox", `net${i % 3}`, 0), 0);
  assert.equal(limits.attempt("fox", "net4", 0), 60_000);
  for (let i = 0; i < 100_000; i++) limits.attempt(`name${i}`, "flooder", 0);
  assert.equal(limits.attempt("fox", "net5", 0), 60_000);
});

Deno.test("a code has twenty letters, and its hash does not depend on how it is typed", () => {
  const code = formatCode(Uint8Array.from({ length: 20 }, (_, i) => i * 13));
  assert.match(code, /^([0-9a-z]{4}-){4}[0-9a-z]{4}$/);
  assert.doesNotMatch(code, /[ilou]/);
  assert.equal(hashCode(` ${code.toUpperCase()} `), hashCode(code.replaceAll("-", "")));
  assert.notEqual(hashCode(code), hashCode(code.slice(1)));
});

Deno.test("no part of an open relay loads OPAQUE, or what keeps accounts", async () => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  // The parts that `stm server` starts, and loads behind its first lines.
  const parts = ["main.ts", "src/server/main.ts", "src/server/shell_operation.ts"];
  const { edges } = await readModuleGraph(root, parts);
  const loaded = new Set(parts);
  // A set is gone through to its end, what was added meanwhile included.
  for (const file of loaded) {
    for (const { from, to, kind } of edges) {
      if (from === file && kind === "static") loaded.add(to);
    }
  }
  assert.ok(loaded.has("src/server/relay.ts"));
  for (const file of loaded) assert.doesNotMatch(file, /src\/auth|opaque|accounts|login_desk/);
});
