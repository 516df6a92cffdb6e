/**
 * What a participant's cryptography costs, each thing beside the sum of its primitives, measured by turns in the
 * same run.
 *
 *     deno task bench:crypto [--epochs] [ROUNDS]
 *
 * `--epochs` measures nothing but new epochs. Prints medians of 7 rounds. Exits with 1 where docs/PERFORMANCE.md promises more than there is.
 *
 * @module
 */
import { cpus } from "node:os";
import { type MessageFigures, TalkingRoom } from "./crypto_messages.ts";
import {
  type Compared,
  type EpochFigures,
  measureEpochs,
  measureHandshake,
} from "./crypto_epochs.ts";
import { measureProgram } from "./crypto_program.ts";
import { measureStart } from "./crypto_start.ts";
import { makeWrapPairs } from "./crypto_primitives.ts";
import { type Cost, printTable } from "./measure.ts";

const EPOCHS_ONLY = Deno.args[0] === "--epochs";
const ROUNDS = Number(Deno.args[EPOCHS_ONLY ? 1 : 0] ?? 7);
/** What is promised, and whether it is kept. */
const promises: [string, boolean][] = [];

const [cpu] = cpus();
console.log(`${cpu?.model}, ${cpus().length} cores, deno ${Deno.version.deno}, ${ROUNDS} rounds\n`);

const perSecond = (us: number): string => Math.round(1e6 / us).toLocaleString("en");
const times = (a: number, b: number): string => `${(a / b).toFixed(2)} ×`;

function messageRows({ members, textBytes, seal, open }: MessageFigures): string[][] {
  const row = (what: string, { keys, session, primitives }: MessageFigures["seal"]): string[] => [
    `${what} ${textBytes} B, ${members} members`,
    `${primitives.toFixed(1)} µs`,
    `${keys.toFixed(1)} µs`,
    times(keys, primitives),
    perSecond(keys),
    `${session.toFixed(1)} µs`,
    times(session, primitives),
    perSecond(session),
  ];
  return [row("send", seal), row("open", open)];
}

function programRow(what: string, { ms, cpuMs }: Cost): string[] {
  const us = (ms: number): string => `${(ms * 1000).toFixed(1)} µs`;
  return [`${what} 200 B`, us(ms), perSecond(ms * 1000), us(cpuMs)];
}

async function texts(): Promise<void> {
  const ten = await TalkingRoom.open(10);
  const small = await ten.measure(200, 2000, ROUNDS);
  const talks = [small];
  for (const [bytes, count] of [[4096, 1000], [65_536, 100]] as const) {
    talks.push(await ten.measure(bytes, count, ROUNDS));
  }
  const thousand = await TalkingRoom.open(1000);
  talks.push(await thousand.measure(200, 2000, ROUNDS));
  printTable(
    ["messages", "primitives", "keys", "", "a second", "with session", "", "a second"],
    talks.flatMap(messageRows),
  );

  // What is measured needs /proc and signals.
  const program = Deno.build.os === "linux" ? await measureProgram(200, ROUNDS) : null;
  if (program !== null) {
    const { send, open } = program;
    printTable(
      ["a client's process", "a text", "a second", "CPU of all threads"],
      [programRow("standard input to relay", send), programRow("relay to standard output", open)],
    );
  }
  const ms = {
    send: program?.send.ms ?? small.seal.session / 1000,
    open: program?.open.ms ?? small.open.session / 1000,
  };
  promises.push(["sends 10,000 texts of 200 B a second", ms.send <= 0.1]);
  promises.push(["opens 10,000 texts of 200 B a second", ms.open <= 0.1]);
}

if (!EPOCHS_ONLY) await texts();

const pairs = await makeWrapPairs();

function compared({ ours, primitives }: Compared): string[] {
  return [
    `${primitives.ms.toFixed(2)} ms`,
    `${ours.ms.toFixed(2)} ms`,
    times(ours.ms, primitives.ms),
    times(ours.cpuMs, primitives.cpuMs),
  ];
}

const epochs: EpochFigures[] = [];
for (const members of [2, 10, 100, 1000]) epochs.push(await measureEpochs(members, ROUNDS, pairs));
const COLUMNS = ["primitives", "ours", "", "CPU"];
printTable(
  ["commit for", ...COLUMNS, "a member", "longest block", "COMMIT"],
  epochs.map((e) => [
    `${e.members} members`,
    ...compared(e.make),
    `${(e.make.ours.ms / e.members * 1000).toFixed(0)} µs`,
    `${e.makeBlock.toFixed(1)} ms`,
    `${e.commitBytes} B`,
  ]),
);
printTable(
  ["accept a commit of", ...COLUMNS, "longest block"],
  epochs.map((e) => [
    `${e.members} members`,
    ...compared(e.accept),
    `${e.acceptBlock.toFixed(1)} ms`,
  ]),
);
printTable(
  ["accept a welcome among", ...COLUMNS, "longest block", "WELCOME"],
  epochs.map((e) => [
    `${e.members} members`,
    ...compared(e.welcome),
    `${e.welcomeBlock.toFixed(1)} ms`,
    `${e.welcomeBytes} B`,
  ]),
);
const few = epochs.find((e) => e.members === 10);
const many = epochs.find((e) => e.members === 1000);
if (few === undefined || many === undefined) throw new Error("no figures");
const perMember = (e: EpochFigures): number => e.make.ours.ms / e.members;
promises.push([
  "a commit for 1,000 costs at most 1.3 × its RSA, ML-KEM and signatures",
  many.make.ours.ms <= 1.3 * many.make.primitives.ms,
], [
  "a member of 1,000 costs at most 1.3 × one of 10",
  perMember(many) <= 1.3 * perMember(few),
]);

async function joinAndStart(): Promise<void> {
  printTable(["join", ...COLUMNS], [[
    "knock to a verified bundle, both sides",
    ...compared(await measureHandshake(ROUNDS, pairs)),
  ]]);

  const start = await measureStart(ROUNDS);
  printTable(
    ["start of a client", "", "empty program", "", "RSA-3072 alone"],
    [
      ["until somebody can type", start.typing, "-"],
      ["until it is in the room", start.joined, `${start.rsa.ms.toFixed(0)} ms`],
    ].map(([what, ms, rsa]) => [
      `${what}`,
      `${Number(ms).toFixed(0)} ms`,
      `${start.empty.toFixed(0)} ms`,
      times(Number(ms), start.empty),
      `${rsa}`,
    ]),
  );
}

if (!EPOCHS_ONLY) await joinAndStart();

for (const [what, kept] of promises) console.log(`${kept ? "yes" : "NO "}  ${what}`);
if (promises.some(([, kept]) => !kept)) Deno.exit(1);
