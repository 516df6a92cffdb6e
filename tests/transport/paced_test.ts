import assert from "node:assert/strict";
import { Paced } from "../../src/transport/paced.ts";

const NEVER_MS = 2 ** 30;

Deno.test("Paced.add() makes a row of calls at once and has the others wait, in their order", async () => {
  const REST_MS = 20;
  let atOnce = 2;
  let row: number[] = [];
  const rows = [row];
  const all = Promise.withResolvers<void>();
  const paced = new Paced<number>(
    (i) => {
      row.push(i);
      queueMicrotask(() => {
        if (row.length > 0) rows.push(row = []);
        if (i === 8) all.resolve();
      });
    },
    () => atOnce,
    REST_MS,
  );
  for (let i = 0; i < 9; i++) paced.add(i);
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
  const made: number[] = [];
  const paced = new Paced<number>((i) => made.push(i), () => atOnce, NEVER_MS);
  paced.add(1);
  paced.add(2);
  assert.deepEqual(made, [1, 2]);
  atOnce = 4;
  paced.add(3);
  paced.add(4);
  assert.deepEqual(made, [1, 2, 3, 4]);
});
