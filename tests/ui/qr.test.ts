import assert from "node:assert/strict";
import { encode } from "uqr";
import { qrRows } from "../../src/ui/qr.ts";

const LINK = "stm://203.0.113.7:5000/#" + "A1b2".repeat(38);

Deno.test("the half blocks of a QR code are its modules, dark where nothing is drawn", () => {
  const rows = qrRows(LINK, { columns: 80, rows: 40 }, false);
  assert.ok(!("columns" in rows));
  const { data } = encode(LINK, { ecc: "L", border: 2 });
  const drawn = rows.flatMap((row) => [
    [...row].map((cell) => cell === " " || cell === "▄"),
    [...row].map((cell) => cell === " " || cell === "▀"),
  ]);
  // An odd number of modules leaves half a row of light ones.
  assert.deepEqual(drawn.slice(0, data.length), data);
  assert.ok(drawn.slice(data.length).flat().every((dark) => !dark));
});

Deno.test("a QR code is black on white whatever the terminal's colours are", () => {
  const rows = qrRows("x", { columns: 80, rows: 40 }, true);
  assert.ok(!("columns" in rows));
  for (const row of rows) assert.ok(row.startsWith("\x1b[97;40m") && row.endsWith("\x1b[0m"));
});

Deno.test("a QR code that does not fit says what it needs, and fits then", () => {
  const needed = qrRows(LINK, { columns: 80, rows: 24 }, false);
  assert.ok("columns" in needed);
  assert.ok(!("columns" in qrRows(LINK, needed, false)));
  for (
    const less of [{ ...needed, rows: needed.rows - 1 }, { ...needed, columns: needed.columns - 1 }]
  ) {
    assert.ok("columns" in qrRows(LINK, less, false));
  }
});
