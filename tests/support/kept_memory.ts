/**
 * Prints whether a block of 16 MiB comes from the heap that glibc keeps; with the argument
 * `listening`, while something listens in this process. A block above glibc's bound, 128 KiB at
 * first, is a mapping of its own.
 */
import { TestRelay } from "./test_relay.ts";

const BLOCK_BYTES = 16n * 1024n * 1024n;

const libc = Deno.dlopen("libc.so.6", {
  malloc: { parameters: ["usize"], result: "usize" },
  free: { parameters: ["usize"], result: "void" },
});

function isInHeap(): boolean {
  const at = BigInt(libc.symbols.malloc(BLOCK_BYTES));
  const heap = /^([0-9a-f]+)-([0-9a-f]+) .*\[heap\]$/m.exec(
    Deno.readTextFileSync("/proc/self/maps"),
  );
  libc.symbols.free(at);
  return BigInt(`0x${heap?.[1]}`) <= at && at < BigInt(`0x${heap?.[2]}`);
}

await using _relay = Deno.args[0] === "listening" ? await TestRelay.start() : null;
console.log(isInHeap());
