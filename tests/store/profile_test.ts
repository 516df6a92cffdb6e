import assert from "node:assert/strict";
import { parseJson, toJson } from "../../src/store/json_file.ts";
import { fallingNumber, newProfile, PROFILE_FORMAT } from "../../src/store/profile.ts";
import { StoreError } from "../../src/store/store_error.ts";
import { sampleProfile } from "../support/sample_profile.ts";

const read = (value: unknown) => parseJson("/p", toJson(value), PROFILE_FORMAT);

/** The same document with the value at a dotted path replaced, or removed where it is `undefined`. */
function bend(document: unknown, path: string, value: unknown): unknown {
  const bent: unknown = JSON.parse(JSON.stringify(document));
  const keys = path.split(".");
  const last = keys.pop() ?? "";
  let at: unknown = bent;
  for (const key of keys) at = Reflect.get(Object(at), key);
  if (value === undefined) Reflect.deleteProperty(Object(at), last);
  else Reflect.set(Object(at), last, value);
  return bent;
}

/** Every dotted path of a document that ends in a value. */
function leaves(value: unknown, path = ""): string[] {
  if (typeof value !== "object" || value === null) return [path];
  return Object.entries(value).flatMap(([key, inner]) =>
    leaves(inner, path === "" ? key : `${path}.${key}`)
  );
}

Deno.test("a profile is read as it was written", () => {
  assert.deepEqual(read(sampleProfile()), sampleProfile());
  const fresh = newProfile(crypto.getRandomValues(new Uint8Array(32)));
  assert.deepEqual(read(fresh), fresh);
});

Deno.test("each field of a profile is checked, and the bad one is named", () => {
  const profile = sampleProfile();
  const paths = leaves(profile);
  assert.ok(paths.length > 30);
  for (const path of paths) {
    for (const bad of [null, "", -1, 1.5, {}, undefined]) {
      const optional = path === "name" || path.endsWith(".openRoomKey");
      if (bad === undefined && (optional || /\.\d+$/.test(path))) continue;
      assert.throws(() => read(bend(profile, path, bad)), (error) => {
        assert.ok(error instanceof StoreError);
        assert.equal(error.field, path);
        return error.code === "damaged";
      }, `${path} = ${JSON.stringify(bad)}`);
    }
  }
});

Deno.test("hex of the wrong length or case, and what no number should be, is refused", () => {
  const cases: [string, unknown][] = [
    ["identitySeed", "5e".repeat(31)],
    ["identitySeed", "5E".repeat(32)],
    ["rooms.0.roomId", "01".repeat(32)],
    ["rooms.1.invites.0.id", "18".repeat(16)],
    ["rooms.0.highestEpoch", 2 ** 53],
    ["rooms.0.server.port", 65536],
    ["rooms.1.invites.0.expires", "tomorrow"],
    ["rooms.0.role", "deputy"],
    ["rooms.1.roomId", "01".repeat(16)],
  ];
  for (const [path, value] of cases) {
    const field = path === "rooms.1.roomId" ? "rooms" : path;
    assert.throws(() => read(bend(sampleProfile(), path, value)), { code: "damaged", field });
  }
});

Deno.test("no error about a profile shows a secret of it", () => {
  const profile = sampleProfile();
  for (const path of leaves(profile)) {
    assert.throws(() => read(bend(profile, path, ["needle-9d"])), (error) => {
      return !Deno.inspect(error).includes("needle") && !Deno.inspect(error).includes("5e5e");
    });
  }
});

Deno.test("fields that this version does not know are kept at every level", () => {
  let document: unknown = sampleProfile();
  for (const path of ["later", "rooms.0.later", "rooms.1.invites.0.later", "friends.0.later"]) {
    document = bend(document, path, { of: ["a", "newer", "stm"] });
  }
  assert.deepEqual(read({ ...read(document), generation: 8 }), bend(document, "generation", 8));
});

Deno.test("fallingNumber() finds a generation or an epoch that would go back", () => {
  const before = sampleProfile();
  const lower = (path: string) => fallingNumber(before, read(bend(before, path, 3)));
  assert.equal(lower("generation"), "generation");
  assert.equal(lower("rooms.1.highestEpoch"), "rooms.1.highestEpoch");
  assert.equal(fallingNumber(before, before), undefined);
  assert.equal(fallingNumber(before, { ...before, rooms: [] }), undefined);
  assert.equal(fallingNumber({ ...before, rooms: [] }, before), undefined);
});
