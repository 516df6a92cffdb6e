/**
 * A relay with another key than the pinned one, and a statement that must not lead to it. Each is played on the
 * program as it is and on a copy without the check that stops it. See `patched_copy.ts`.
 */
import type { PinnedRelay } from "../../src/driver/pinned_relay.ts";
import { relayKey } from "../../src/wire/ids.ts";
import type { KeyChangeStatement, Successor } from "../../src/wire/key_change.ts";
import { KEY_CHANGE_GRACE_S } from "../../src/wire/limits.ts";
import { COMES_S, firstWords, Speaker, statementOf } from "./key_changes.ts";
import type { Patch } from "./patched_copy.ts";
import { makeRelayKey, type TestRelayKey } from "./relay_key.ts";

const [one, two, three, thief] = [makeRelayKey(), makeRelayKey(), makeRelayKey(), makeRelayKey()];
const FILE = "src/wire/key_change.ts";

/** The class of the program as it is, or of a copy. */
export type PinnedRelayClass = typeof PinnedRelay;

/** One attack. */
export interface KeyChangeAttack {
  /** What the statement is. */
  readonly name: string;
  readonly expected: "wrong-key";
  /** `null`: more than one check stands against it. */
  readonly patch: Omit<Patch, "name"> | null;
  /** "followed", or why not; it throws if anything was sent or kept nevertheless. */
  readonly run: (program: PinnedRelayClass) => Promise<string>;
}

interface Scene {
  /** What the participant has pinned. */
  readonly pin: TestRelayKey;
  readonly successors?: readonly Successor[];
  /** The key of who answers; the thief's, if not said. */
  readonly shown?: TestRelayKey;
  readonly statements: readonly KeyChangeStatement[];
  readonly nowS?: number;
}

async function play(program: PinnedRelayClass, scene: Scene): Promise<string> {
  const { pin, successors = [], shown = thief, statements, nowS = COMES_S } = scene;
  await using stranger = await Speaker.start(shown, firstWords(statements));
  let kept = 0;
  const relay = new program("127.0.0.1", stranger.port, { key: relayKey(pin.pin), successors }, {
    keep: () => {
      kept++;
      return Promise.resolve();
    },
    notice: () => kept++,
    now: () => nowS * 1000,
  });
  try {
    (await relay.dial()).destroy();
    return "followed";
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error)) throw error;
    for (const { ended } of stranger.heard) await ended;
    const sent = stranger.heard.reduce((sum, { received }) => sum + received, 0);
    if (sent + kept > 0) throw new Error(`${sent} bytes were sent, and ${kept} things kept`);
    return String(error.code);
  }
}

function attack(
  name: string,
  scene: () => Promise<Scene>,
  from: string | null = null,
  to = "",
): KeyChangeAttack {
  return {
    name,
    expected: "wrong-key",
    patch: from === null ? null : { file: FILE, from, to },
    run: async (program) => await play(program, await scene()),
  };
}

/** All of them. */
export const KEY_CHANGE_ATTACKS: readonly KeyChangeAttack[] = [
  attack(
    "that is signed by another key",
    async () => ({ pin: one, statements: [await statementOf(one, thief, {}, thief)] }),
    'if (!verify(value.old, "key-change", body, signature)) return "bad-signature";',
    "void [verify, body, signature];",
  ),
  attack(
    "that is signed by another key, further on in a chain",
    async () => ({
      pin: one,
      statements: [await statementOf(one, two), await statementOf(two, thief, {}, thief)],
    }),
    'if (!verify(value.old, "key-change", body, signature)) return "bad-signature";',
    "void [verify, body, signature];",
  ),
  attack(
    "for another relay",
    async () => ({ pin: one, statements: [await statementOf(two, thief)] }),
    'if (first < 0) return "other-relay";',
  ),
  attack(
    "that has expired",
    async () => ({
      pin: one,
      statements: [await statementOf(one, thief)],
      nowS: COMES_S + 1001,
    }),
    'if (value.until < nowS) return "expired";',
  ),
  attack(
    "in a cycle",
    async () => ({
      pin: one,
      statements: [
        await statementOf(one, thief),
        await statementOf(thief, two),
        await statementOf(two, thief),
      ],
    }),
    "if (met.has(next.toHex())) return false;",
  ),
  attack(
    "in a torn chain",
    async () => ({
      pin: one,
      statements: [await statementOf(one, two), await statementOf(three, thief)],
    }),
    "if (before !== undefined && !sameBytes(before.next, old)) return false;",
  ),
  attack(
    "of a first change, played again after a second one that was heard of",
    async () => ({
      pin: one,
      successors: [
        { key: relayKey(two.pin), from: COMES_S },
        { key: relayKey(three.pin), from: COMES_S + 10 },
      ],
      shown: two, // its key was stolen
      statements: [await statementOf(one, two, { until: COMES_S + 100_000 })],
      nowS: COMES_S + 10 + KEY_CHANGE_GRACE_S,
    }),
    "return keys.slice(due + 1);",
    "void due; return keys;",
  ),
  attack(
    "beside the one that the same key made before",
    async () => ({
      pin: one,
      successors: [{ key: relayKey(two.pin), from: COMES_S }],
      statements: [await statementOf(one, three), await statementOf(three, thief)],
    }),
    "if (!goesOn || ",
    "void goesOn; if (",
  ),
  attack(
    "of a first change, played again to who has followed a second",
    async () => ({ pin: three, statements: [await statementOf(one, thief)] }),
    'if (first < 0) return "other-relay";',
  ),
  attack(
    "about a third key",
    async () => ({ pin: one, statements: [await statementOf(one, two)] }),
  ),
  attack("that is none", () => Promise.resolve({ pin: one, statements: [] })),
];
