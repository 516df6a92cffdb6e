import assert from "node:assert/strict";
import { join } from "node:path";
import { banList, Bans, canonical, MAX_BANS } from "../../src/server/bans.ts";
import { addBan } from "../../src/server/shell_commands.ts";
import { readBans } from "../../src/server/shell_bans.ts";
import { StoreError } from "../../src/store/store_error.ts";
import { withFolder } from "../support/temporary_folder.ts";

const HOUR = 3_600_000;

Deno.test("bans are kept 0600, changed, listed while they are in force, and removed", async () => {
  await withFolder(async (folder) => {
    let now = new Date("2026-01-01T00:00:00Z");
    const bans = new Bans(folder, () => now);
    assert.deepEqual(await bans.list(), []);
    await bans.add("203.0.113.0/24", HOUR, "noise");
    await bans.add("account:fox", Infinity);
    await bans.add("203.0.113.0/24", 2 * HOUR);
    assert.deepEqual(await new Bans(folder, () => now).list(), [
      { who: "account:fox", since: now.toISOString() },
      {
        who: "203.0.113.0/24",
        since: now.toISOString(),
        until: "2026-01-01T02:00:00.000Z",
      },
    ]);
    const mode = (await Deno.stat(join(folder, "bans.json"))).mode ?? 0;
    if (Deno.build.os !== "windows") assert.equal(mode & 0o777, 0o600);
    now = new Date("2026-01-01T02:00:00Z");
    assert.deepEqual((await bans.list()).map(({ who }) => who), ["account:fox"]);
    assert.equal(await bans.remove("203.0.113.0/24"), false);
    assert.equal(await bans.remove("account:fox"), true);
    assert.deepEqual(await bans.list(), []);
  });
});

Deno.test("a range has one form in the file, so that it can be found again", () => {
  assert.equal(canonical("203.0.113.77/24"), "203.0.113.0/24");
  assert.equal(canonical("::ffff:203.0.113.7"), "203.0.113.7");
  assert.equal(canonical("2001:DB8:0::/32"), "2001:db8::/32");
  assert.equal(canonical("account:fox"), "account:fox");
  for (const who of ["fox", "account:", "203.0.113", ""]) assert.equal(canonical(who), null, who);
});

Deno.test("a ban of what no account can be called bans nobody, and is not kept", async () => {
  await withFolder(async (certs) => {
    const lines: string[] = [];
    const output = {
      out: (line: string) => lines.push(line),
      err: (line: string) => lines.push(line),
    };
    for (const who of ["account:FOX", "account: fox", "account:a b"]) {
      assert.equal(await addBan({ certs, ui: "line" }, who, Infinity, undefined, output), 2);
    }
    assert.match(lines.join(), /FOX" bans nobody/);
    assert.deepEqual(await new Bans(certs).list(), []);
  });
});

Deno.test("two that ban at once lose none", async () => {
  await withFolder(async (folder) => {
    const ranges = Array.from({ length: 20 }, (_, i) => `203.0.113.${i}`);
    await Promise.all(ranges.map((who) => new Bans(folder).add(who, Infinity)));
    assert.equal((await new Bans(folder).list()).length, ranges.length);
  });
});

Deno.test("a damaged file names its field, is left as it is, and is never taken for an empty one", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "bans.json");
    const damaged =
      '{"version":1,"bans":[{"who":"203.0.113.77/24","since":"2026-01-01T00:00:00Z"}]}';
    await Deno.writeTextFile(path, damaged);
    const isDamaged = (error: unknown) =>
      error instanceof StoreError && error.code === "damaged" && error.field === "bans.0.who";
    await assert.rejects(new Bans(folder).list(), isDamaged);
    await assert.rejects(new Bans(folder).add("203.0.113.9", Infinity), isDamaged);
    await assert.rejects(readBans(folder), isDamaged);
    assert.equal(await Deno.readTextFile(path), damaged);
  });
});

Deno.test("a time of another zone, which somebody wrote by hand, is named and not taken for a time of UTC", async () => {
  await withFolder(async (folder) => {
    // In force for an hour by its zone, over since hours as a text.
    const until = new Date(Date.now() + HOUR - 10 * HOUR).toISOString().replace("Z", "-10:00");
    const bans = [{ who: "203.0.113.7", since: "2026-01-01T00:00:00Z", until }];
    await Deno.writeTextFile(join(folder, "bans.json"), JSON.stringify({ version: 1, bans }));
    await assert.rejects(new Bans(folder).list(), { code: "damaged", field: "bans.0.until" });
  });
});

Deno.test("there are no more bans than can be looked at for every connection", async () => {
  await withFolder(async (folder) => {
    const since = "2026-01-01T00:00:00Z";
    const bans = Array.from({ length: MAX_BANS }, (_, i) => ({
      who: `10.0.${i >> 8}.${i & 255}`,
      since,
    }));
    await Deno.writeTextFile(join(folder, "bans.json"), JSON.stringify({ version: 1, bans }));
    const store = new Bans(folder);
    assert.equal(await store.add("203.0.113.9", Infinity), null);
    assert.notEqual(await store.add("10.0.0.0", HOUR), null);
    assert.equal((await store.list()).length, MAX_BANS);
  });
});

Deno.test("banList() parts addresses from accounts", () => {
  const since = "2026-01-01T00:00:00Z";
  const until = "2027-01-01T00:00:00.000Z";
  const list = banList([{ who: "203.0.113.7", since, until }, { who: "account:fox", since }]);
  assert.deepEqual(list.ranges.map(({ untilMs }) => untilMs), [Date.parse(until)]);
  assert.deepEqual([...list.accounts], [["fox", Infinity]]);
});
