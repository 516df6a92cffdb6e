/**
 * Whether memory stays bounded over a long conversation: a real relay, an admin and four clients with
 * `--ui json`, of which one says all, one listens, one stands still half of the time, and one has
 * stopped for good (SIGSTOP).
 *
 *     deno task bench:memory [--messages N]
 *
 * N is a million if not said, and takes some ten minutes. Printed is each process's memory at 10, 50
 * and 100 % of the messages, and its most in the last quarter over its most in the second, which is
 * held to 1.15: exits with 1 when one is over, or when the listener has not opened every message. With
 * fewer than 200,000 the heaps and the runtime's read buffers have not come to rest yet. Linux only.
 *
 * @module
 */
import { printTable } from "./measure.ts";
import { growth, runMemory } from "./memory_run.ts";
import { megabytes } from "./relay_process.ts";

const MOST_GROWTH = 1.15;

const given = Deno.args[0] === "--messages" ? Deno.args[1] : undefined;
const messages = Number(given ?? 1_000_000);
if (!Number.isInteger(messages) || messages < 1000 || Deno.args.length % 2 !== 0) {
  console.error("usage: deno task bench:memory [--messages N], N from 1000");
  Deno.exit(2);
}
const run = await runMemory(messages, (percent) => {
  if (percent % 10 === 0) console.error(`${percent} %`);
});
const table = run.courses.map((course) => {
  const at = (percent: number): string => megabytes(course.bytes[percent - 1] ?? NaN);
  return [course.who, at(10), at(50), at(100), growth(course).toFixed(2)];
});
printTable(["", "at 10 %", "at 50 %", "at 100 %", "last / second quarter"], table);
const over = run.courses.filter((course) => !(growth(course) <= MOST_GROWTH));
const complete = run.heard === messages;
console.log(
  `memory: ${messages} messages in ${(run.ms / 1000).toFixed(0)} s, ${run.heard} opened by the ` +
    `listener, ${run.missing} shown as missing, ${run.tooSlow} times somebody was too slow for the ` +
    `relay, ${run.slowGone} times the slow one was put out`,
);
console.log(
  over.length === 0 && complete
    ? `memory: bounded (at most ${MOST_GROWTH} ×)`
    : `memory: NOT bounded: ${over.map(({ who }) => who).join(", ") || "messages are lacking"}`,
);
if (over.length > 0 || !complete) Deno.exit(1);
