/**
 * A process that has an unsealed profile open until it is killed.
 *
 *     deno run -A tests/support/profile_holder.ts FILE
 */
import { plainSealer } from "../../src/store/plain_sealer.ts";
import { openProfile } from "../../src/store/profile_store.ts";

await openProfile({ path: Deno.args[0] ?? "", sealer: plainSealer });
await Deno.stdout.write(new TextEncoder().encode("held"));
await Deno.stdin.read(new Uint8Array(1));
