import assert from "node:assert/strict";
import { undocumentedNames } from "../../tools/doc_lint.ts";

Deno.test("undocumentedNames() keeps top-level names and drops members and other lints", () => {
  const output = `error[missing-jsdoc]: exported symbol is missing JSDoc documentation
  --> /repo/src/wire/frame.ts:69:3
   |
69 |   constructor(limit: number) {

error[missing-jsdoc]: exported symbol is missing JSDoc documentation
  --> /repo/src/wire/ticket.ts:54:1
   |
54 | export function decodeTicket(bytes: Uint8Array): Ticket {

error[private-type-ref]: public type 'A' references private type 'B'
  --> /repo/src/wire/ids.ts:5:1

error: Found 3 documentation lint errors.`;
  assert.deepEqual(undocumentedNames(output), ["/repo/src/wire/ticket.ts:54"]);
});
