import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { runServer, type ServerOutput, type ServerPorts } from "../../src/server/main.ts";
import {
  LIMIT_OPTIONS,
  readLimits,
  SERVER_OPTIONS,
  type ServerOptions,
} from "../../src/server/options.ts";
import { DEFAULT_OPERATION } from "../../src/server/operation.ts";
import { DEFAULT_RELAY_LIMITS } from "../../src/server/relay_limits.ts";
import { sha256 } from "../../src/server/verify.ts";
import { rotateKey } from "../../src/server/shell_commands.ts";
import { dial, peekKeyChanges } from "../../src/transport/dial.ts";
import { relayKey, toHex } from "../../src/wire/ids.ts";
import { parseLink } from "../../src/wire/link_url.ts";
import { OWNERS, Person, TestRoom } from "../support/gate_people.ts";

/** A relay on loopback, and what it printed. */
class Served {
  readonly out: string[] = [];
  readonly err: string[] = [];
  readonly exit: Promise<number>;
  readonly #stop = Promise.withResolvers<string>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #waiting: (() => void)[] = [];

  constructor(options: ServerOptions, ports: Partial<ServerPorts> = {}) {
    const output: ServerOutput = {
      out: (line) => {
        this.out.push(line);
        if (/server link|"type":"ready"/.test(line)) this.#ready.resolve();
        for (const wake of this.#waiting.splice(0)) wake();
      },
      err: (line) => {
        this.err.push(line);
        for (const wake of this.#waiting.splice(0)) wake();
      },
    };
    this.exit = runServer(options, output, {
      version: "0.0.0",
      stop: { stopped: this.#stop.promise, dispose: () => {} },
      addresses: () => ["192.0.2.9"],
      ...ports,
    });
    this.exit.then(() => this.#ready.resolve());
  }

  ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Waits for a line on standard output or error. */
  async says(pattern: RegExp): Promise<void> {
    while (![...this.out, ...this.err].some((line) => pattern.test(line))) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async stop(): Promise<number> {
    this.#stop.resolve("SIGTERM");
    return await this.exit;
  }

  /** The server link that was printed. */
  get link() {
    const text = /stm:\/\/[^\s"]+/.exec(this.out.join("\n"))?.[0] ?? "";
    return parseLink(text, sha256);
  }
}

async function withFolder(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function options(dir: string, more: Partial<ServerOptions> = {}): ServerOptions {
  return {
    listen: [{ host: "127.0.0.1", port: 0 }],
    certs: join(dir, "certs"),
    public: null,
    ui: "line",
    limits: DEFAULT_RELAY_LIMITS,
    operation: DEFAULT_OPERATION,
    ...more,
  };
}

Deno.test("over real TLS an owner, members and a knocker talk, and the relay says goodbye", async () => {
  await withFolder(async (dir) => {
    const served = new Served(options(dir));
    await served.ready();
    const { host, port, relayKey: pin } = served.link;
    const arrive = async () => {
      const person = new Person(await dial({ host, port, pin }), relayKey(pin));
      await person.until(() => person.nonce !== null);
      return person;
    };
    const room = new TestRoom();
    const enter = async (role: "owner" | "member" | "knocker") => {
      const person = await arrive();
      person.enter(room, role);
      await person.until(() => person.all("entered").length === 1);
      return person;
    };
    const owl = await enter("owner");
    const fox = await enter("member");
    const hen = await enter("member");
    const cat = await enter("knocker");
    const texts = Array.from({ length: 300 }, (_, i) => `${i} ${"x".repeat(i * 10)}`);
    for (const text of texts) fox.say(room, text);
    cat.whisper(room, OWNERS, "knock");
    await hen.until(() => hen.texts().length === 300);
    await owl.until(() => owl.texts().length === 301);
    assert.deepEqual(hen.texts(), texts);
    assert.deepEqual(owl.texts().filter((t) => t !== "knock"), texts);
    assert.deepEqual(fox.texts(), []);

    fox.raw(new Uint8Array(4));
    await fox.until(() => fox.closing !== undefined);
    await hen.until(() => hen.all("gone").length === 1);
    owl.say(room, "still here");
    await hen.until(() => hen.texts().length === 301);

    assert.equal(await served.stop(), 0);
    for (const person of [owl, hen, cat]) {
      await person.until(() => person.closing !== undefined);
      assert.equal(person.closing, "shutting-down");
    }
  });
});

Deno.test("the relay prints what people need, the same link and fingerprint at each start", async () => {
  await withFolder(async (dir) => {
    const first = new Served(options(dir));
    await first.ready();
    assert.equal(await first.stop(), 0);
    const second = new Served(options(dir, { ui: "json", public: "Relay.example.org" }));
    await second.ready();
    assert.equal(await second.stop(), 0);
    assert.match(first.out[0] ?? "", /^ {2}relay ready on 127\.0\.0\.1:\d+$/);
    const fingerprint = /^ {2}fingerprint: ((?:[0-9a-f]{4} ?){8})$/.exec(first.out[1] ?? "")?.[1];
    const events = second.out.map((line): unknown => JSON.parse(line));
    const types = events.map((e) => typeof e === "object" && e !== null && "type" in e && e.type);
    assert.deepEqual(types, ["hello", "ready", "stopping", "bye"]);
    const ready = events[1];
    assert.ok(typeof ready === "object" && ready !== null && "fingerprint" in ready);
    assert.equal(ready.fingerprint, fingerprint);
    assert.deepEqual(second.link.relayKey, first.link.relayKey);
    assert.equal(second.link.host, "relay.example.org");
    assert.equal(first.link.host, "127.0.0.1");
    const mode = (await Deno.stat(join(dir, "certs", "relay.key.pem"))).mode ?? 0;
    if (Deno.build.os !== "windows") assert.equal(mode & 0o777, 0o600);
  });
});

Deno.test("bound to all addresses, the link has the machine's own, and a hint", async () => {
  await withFolder(async (dir) => {
    const served = new Served(options(dir, { listen: [{ host: "0.0.0.0", port: 0 }] }));
    await served.ready();
    assert.equal(await served.stop(), 0);
    assert.equal(served.link.host, "192.0.2.9");
    assert.match(served.out.join("\n"), /--public/);
  });
});

Deno.test("readiness turns off as soon as a stop begins, while the page still answers", async () => {
  await withFolder(async (dir) => {
    const drained = Promise.withResolvers<void>();
    const stop = Promise.withResolvers<string>();
    const served = new Served(
      options(dir, {
        ui: "json",
        operation: {
          ...DEFAULT_OPERATION,
          metrics: { host: "127.0.0.1", port: 0 },
          drainMs: 60_000,
        },
      }),
      { stop: { stopped: stop.promise, hurried: drained.promise, dispose: () => {} } },
    );
    await served.ready();
    const ready: unknown = JSON.parse(served.out[1] ?? "");
    assert.ok(typeof ready === "object" && ready !== null && "metrics" in ready);
    const ask = async (path: string) => {
      const response = await fetch(`http://${ready.metrics}${path}`);
      return [response.status, await response.text()] as const;
    };
    const { host, port, relayKey: pin } = served.link;
    const fox = new Person(await dial({ host, port, pin }), relayKey(pin));
    await fox.until(() => fox.nonce !== null);
    assert.deepEqual(await ask("/readyz"), [200, "ready\n"]);
    assert.match((await ask("/metrics"))[1], /^stm_ready 1\n(.*\n)*stm_connections 1$/m);
    stop.resolve("SIGTERM");
    await served.says(/"type":"stopping"/);
    assert.deepEqual(await ask("/readyz"), [503, "not ready\n"]);
    assert.deepEqual(await ask("/healthz"), [200, "ok\n"]);
    assert.match((await ask("/metrics"))[1], /^stm_ready 0$/m);
    assert.equal(fox.closing, undefined);
    drained.resolve();
    await fox.until(() => fox.closing !== undefined);
    assert.equal(await served.exit, 0);
    await assert.rejects(ask("/readyz"));
  });
});

Deno.test("the log tells of the start, of who is turned away and of the stop, and names nobody", async () => {
  await withFolder(async (dir) => {
    const log = { format: "json", level: "debug", addresses: false } as const;
    const served = new Served(options(dir, { operation: { ...DEFAULT_OPERATION, log } }));
    await served.ready();
    const { host, port, relayKey: pin } = served.link;
    const fox = new Person(await dial({ host, port, pin }), relayKey(pin));
    await fox.until(() => fox.nonce !== null);
    fox.raw(new Uint8Array(4));
    await fox.until(() => fox.closing !== undefined);
    const stranger = await Deno.connect({ hostname: host, port });
    await stranger.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
    await stranger.readable.pipeTo(new WritableStream());
    assert.equal(await served.stop(), 0);
    const events = served.err.map((line): unknown => JSON.parse(line));
    const told = events.map((e) =>
      typeof e === "object" && e !== null && "event" in e
        ? [e.event, ...("code" in e ? [e.code] : [])].join(" ")
        : ""
    );
    assert.deepEqual(told, [
      "ready",
      "closed malformed",
      "turned-away handshake-failed",
      "stopping",
      "stopped",
    ]);
    assert.doesNotMatch(served.err.join("\n"), /127\.0\.0\.1/);
  });
});

Deno.test("a taken port, an unusable folder and a wrong --public are named, with an exit code", async () => {
  await withFolder(async (dir) => {
    const first = new Served(options(dir));
    await first.ready();
    const { port } = first.link;
    const taken = new Served(options(dir, { listen: [{ host: "127.0.0.1", port }] }));
    assert.equal(await taken.exit, 1);
    assert.match(taken.err.join(), new RegExp(`127\\.0\\.0\\.1:${port}.*taken.*--port`));
    const page = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const metrics = { host: "127.0.0.1", port: page.addr.port };
    const operation = { ...DEFAULT_OPERATION, metrics };
    const unpaged = new Served(options(dir, { operation }));
    assert.equal(await unpaged.exit, 1);
    assert.match(unpaged.err.join(), /taken.*--metrics/);
    page.close();
    await first.stop();

    const file = join(dir, "file");
    await Deno.writeTextFile(file, "");
    const folder = new Served(options(dir, { certs: file }));
    assert.equal(await folder.exit, 1);
    assert.ok(folder.err.join().includes(file));

    await Deno.writeTextFile(join(dir, "certs", "relay.key.pem"), "damaged");
    const damaged = new Served(options(dir, { ui: "json" }));
    assert.equal(await damaged.exit, 1);
    assert.ok(damaged.err.join().includes("relay.key.pem"));
    assert.match(damaged.out.join(), /"type":"error","code":"damaged".*"exitCode":1/);
    assert.equal(await Deno.readTextFile(join(dir, "certs", "relay.key.pem")), "damaged");

    const wrong = new Served(options(join(dir, "unused"), { public: "a b:5000" }));
    assert.equal(await wrong.exit, 2);
    assert.match(wrong.err.join(), /--public/);
    await assert.rejects(Deno.stat(join(dir, "unused")));
  });
});

Deno.test("each limit is an option with its default, and is read within its bounds", () => {
  const names = SERVER_OPTIONS.map((o) => o.name);
  assert.equal(new Set(names).size, names.length);
  assert.deepEqual(
    LIMIT_OPTIONS.map((o) => o.limit).sort(),
    Object.keys(DEFAULT_RELAY_LIMITS).sort(),
  );
  assert.deepEqual(readLimits((_name, fallback) => fallback), DEFAULT_RELAY_LIMITS);
  const bounds: string[] = [];
  const largest = readLimits((name, fallback, min, max) => {
    bounds.push(name);
    assert.ok(min <= fallback && fallback <= max, name);
    return max;
  });
  assert.deepEqual(bounds, LIMIT_OPTIONS.map((o) => o.name));
  assert.equal(largest.maxMembersPerRoom, 2000);
});

Deno.test("a SIGHUP is heard before anything else is done, and carried out when the relay is there", async () => {
  await withFolder(async (dir) => {
    const given = options(dir);
    let heardFirst = false;
    let hears = false;
    const hangUp = (call: () => void) => {
      heardFirst = !existsSync(given.certs);
      hears = true;
      call();
      return () => {
        hears = false;
      };
    };
    const { log } = DEFAULT_OPERATION;
    const operation = { ...DEFAULT_OPERATION, log: { ...log, format: "text" } as const };
    const served = new Served({ ...given, operation }, { hangUp });
    await served.ready();
    assert.ok(heardFirst);
    await served.says(/ reloaded /);
    assert.equal(await served.stop(), 0);
    assert.ok(!hears);
  });
});

Deno.test("rotate-key --after: the change comes at its time, though the file of options is wrong by then", async () => {
  await withFolder(async (dir) => {
    const given = options(dir);
    let damaged = false;
    const reread = () => damaged ? Promise.reject(new Error("no JSON")) : Promise.resolve(given);
    const served = new Served(given, { reread });
    await served.ready();
    const silent = { out: () => {}, err: () => {} };
    const where = { certs: join(dir, "certs"), ui: "line" } as const;
    assert.equal(await rotateKey(where, silent, { afterMs: 2000, followMs: 60_000 }), 0);
    damaged = true;
    await served.says(/the key has changed as planned/);
    assert.equal(await served.stop(), 0);
  });
});

Deno.test("rotate-key: who is connected is told and stays, who comes follows, and the old key is over", async () => {
  await withFolder(async (dir) => {
    const served = new Served(options(dir));
    await served.ready();
    const { host, port, relayKey: pin } = served.link;
    const arrive = async (key: Uint8Array) => {
      const person = new Person(await dial({ host, port, pin: key }), relayKey(key));
      await person.until(() => person.nonce !== null);
      return person;
    };
    const room = new TestRoom();
    const enter = async (person: Person, role: "owner" | "member") => {
      person.enter(room, role);
      await person.until(() => person.all("entered").length === 1);
    };
    const owl = await arrive(pin);
    await enter(owl, "owner");
    const fox = await arrive(pin); // connected, and in no room yet
    const told: string[] = [];
    const rotate = (times: { afterMs: number; followMs: number }) =>
      rotateKey({ certs: join(dir, "certs"), ui: "json" }, {
        out: (line) => told.push(line),
        err: (line) => told.push(`err: ${line}`),
      }, times);

    assert.equal(await rotate({ afterMs: 0, followMs: 60_000 }), 0);
    await served.says(/the key has changed as planned/);
    const links = served.out.join("\n").match(/stm:\/\/\S+/g) ?? [];
    const next = parseLink(links[1] ?? "", sha256).relayKey;
    assert.notDeepEqual(next, pin);
    for (const person of [owl, fox]) {
      await person.until(() => person.all("key-changes").length === 1);
      const [{ statements } = { statements: [] }] = person.all("key-changes");
      assert.deepEqual(
        statements.map(({ value }) => [toHex(value.old), toHex(value.next)]),
        [[toHex(pin), toHex(next)]],
      );
    }
    // A connection goes on under the key that it was shown; entering names that one.
    await enter(fox, "member");
    fox.say(room, "still here");
    await owl.until(() => owl.texts().includes("still here"));

    await assert.rejects(dial({ host, port, pin }), { code: "wrong-key" });
    const hen = await arrive(next);
    assert.equal(hen.all("key-changes").length, 1, "before CHALLENGE");
    await enter(hen, "member");
    hen.say(room, "and so am I");
    await owl.until(() => owl.texts().includes("and so am I"));
    const claimed = await peekKeyChanges({ host, port });
    assert.deepEqual(claimed.key, next);
    assert.equal(claimed.statements.length, 1);

    // A second one, later: everybody is told at once, and nothing else changes yet.
    assert.equal(await rotate({ afterMs: 3_600_000, followMs: 60_000 }), 0);
    await owl.until(() => owl.all("key-changes").length === 2);
    assert.equal(owl.all("key-changes")[1]?.statements.length, 2);
    (await dial({ host, port, pin: next })).destroy();
    assert.equal(await rotate({ afterMs: 0, followMs: 60_000 }), 1);
    assert.match(told.at(-1) ?? "", /^err: a change is planned already/);
    assert.equal(await served.stop(), 0);

    const again = new Served(options(dir, { ui: "json" }));
    await again.ready();
    assert.deepEqual(again.link.relayKey, next);
    assert.equal(await again.stop(), 0);
  });
});
