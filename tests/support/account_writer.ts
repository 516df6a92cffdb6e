/**
 * The process that `tests/long/accounts_killed_test.ts` kills: it makes, registers, resets and removes accounts for
 * ever, and prints a byte after each change.
 *
 *     deno run -A tests/support/account_writer.ts FILE
 */
import { Accounts } from "../../src/store/accounts.ts";
import { account } from "./account_name.ts";

const accounts = new Accounts(Deno.args[0] ?? "");
const code = { hash: "ab".repeat(32), expires: "2999-01-01T00:00:00.000Z" };
const dot = new Uint8Array([0x2e]);
for (let n = 0;; n++) {
  const name = account(`user${n % 500}`);
  await accounts.remove(name);
  await accounts.add(name, code);
  await Deno.stdout.write(dot);
  await accounts.register(
    name,
    code.hash,
    (n % 256).toString(16).padStart(2, "0").repeat(192),
    "01".repeat(8),
    true,
  );
  await Deno.stdout.write(dot);
}
