import assert from "node:assert/strict";
import { Paced } from "../../src/transport/paced.ts";

const NEVER_MS = 2 ** 30;

Deno.test("Paced.add() makes a row of calls at once and has the others wait, in their order", async () => {
  const REST_MS = 20;
  let atOnce = 2;
  const paced = new Paced(() => atOnce, REST_MS);
  let row: number[] = [];
  const rows = [row];
  const all = Promise.withResolvers<void>();
  for (let i = 0; i < 9; i++) {
    paced.add(() => {
      row.push(i);
      queueMicrotask(() => {
        if (row.length > 0) rows.push(row = []);
        if (i === 8) all.resolve();
      });
    });
  }
  const [first] = rows;
  assert.deepEqual(first?.slice(0, 2), [0, 1]);
  assert.ok((first?.length ?? 0) < 9);
  // Asked again for each row.
  atOnce = 16;
  await all.promise;
  assert.deepEqual(rows.flat(), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  assert.equal(rows.filter(({ length }) => length > 0).length, 2);
});

Deno.test("Paced.add() makes no more of a row, however slowly the calls come, before the rest is over", () => {
  let atOnce = 3;
  const paced = new Paced(() => atOnce, NEVER_MS);
  let made = 0;
  const call = () => {
    made++;
  };
  paced.add(call);
  paced.add(call);
  assert.equal(made, 2);
  atOnce = 4;
  paced.add(call);
  paced.add(call);
  assert.equal(made, 4);
});
