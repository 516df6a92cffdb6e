import assert from "node:assert/strict";
import fc from "fast-check";
import { Newest } from "../../src/crypto/newest.ts";
import { assertProperty } from "../support/property.ts";

Deno.test("Newest keeps what a Map that forgets its oldest entry keeps, in any order of calls", () => {
  const call = fc.oneof(
    fc.record({ kind: fc.constant("put" as const), key: fc.nat(12), value: fc.nat() }),
    fc.record({ kind: fc.constant("drop" as const) }),
    fc.record({ kind: fc.constant("clear" as const) }),
  );
  assertProperty(fc.property(fc.integer({ min: 1, max: 5 }), fc.array(call), (capacity, calls) => {
    const newest = new Newest<number, number>(capacity);
    const model = new Map<number, number>();
    const dropOldest = (): number | undefined => {
      const [first] = model;
      if (first !== undefined) model.delete(first[0]);
      return first?.[1];
    };
    for (const made of calls) {
      if (made.kind === "put") {
        const isNew = !model.has(made.key);
        const gone = isNew && model.size === capacity ? dropOldest() : model.get(made.key);
        model.set(made.key, made.value);
        assert.equal(newest.put(made.key, made.value), gone);
      } else if (made.kind === "drop") assert.equal(newest.dropOldest(), dropOldest());
      else {
        newest.clear();
        model.clear();
      }
      assert.equal(newest.size, model.size);
      assert.deepEqual(new Map(newest.entries), model);
      for (let key = 0; key <= 12; key++) {
        assert.equal(newest.has(key), model.has(key));
        assert.equal(newest.get(key), model.get(key));
      }
    }
  }));
});
