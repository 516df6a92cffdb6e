/**
 * The process that `tests/store/atomic_test.ts` kills: it writes generation after generation of a
 * large file and prints a byte after each.
 *
 *     deno run -A tests/support/atomic_writer.ts FILE
 */
import { writeFileAtomic } from "../../src/store/atomic.ts";
import { generationBytes } from "./generation_bytes.ts";

const path = Deno.args[0] ?? "";
const dot = new Uint8Array([0x2e]);
for (let generation = 1;; generation++) {
  await writeFileAtomic(path, generationBytes(generation));
  await Deno.stdout.write(dot);
}
