/**
 * How a relay gets another key: statements, each signed by the key that goes and naming the one that comes.
 * A participant that has pinned one of the keys that went follows them to the one that is there.
 *
 * Which key a participant accepts is decided here, by both sides' rules; nothing here waits or has a clock.
 *
 * @see docs/PROTOCOL.md §2.1
 * @module
 */
import { type Codec, list16, struct, u64 } from "./codec.ts";
import { KEY_CHANGE_GRACE_S, MAX_KEY_CHANGES } from "./limits.ts";
import { RELAY_KEY, type RelayKey, sameBytes, type Signature } from "./ids.ts";
import { type SignatureKind, type Signed, signed } from "./signed.ts";

/** What a statement says. */
export interface KeyChange {
  /** The key that goes, which signs. */
  readonly old: RelayKey;
  /** The key that comes. */
  readonly next: RelayKey;
  /** When it comes, in seconds since 1970. */
  readonly from: number;
  /** Until when those who hear of it may follow, likewise. */
  readonly until: number;
}

/** A statement with its signature. */
export type KeyChangeStatement = Signed<KeyChange>;

/** What the old key signs, kind `key-change`. */
export const KEY_CHANGE_BODY: Codec<KeyChange> = struct<KeyChange>({
  old: RELAY_KEY,
  next: RELAY_KEY,
  from: u64,
  until: u64,
});

/** One statement, 144 bytes. */
export const KEY_CHANGE_STATEMENT: Codec<KeyChangeStatement> = signed(KEY_CHANGE_BODY);

/** All that a relay has to say, oldest first. */
export const KEY_CHANGES: Codec<readonly KeyChangeStatement[]> = list16(
  KEY_CHANGE_STATEMENT,
  MAX_KEY_CHANGES,
);

/** A key that may stand in for the pinned one. */
export interface Successor {
  /** The key. */
  readonly key: RelayKey;
  /** When it comes, in seconds since 1970. */
  readonly from: number;
}

/** A pinned key and those that it, or they, have named since; oldest first. */
export interface PinnedKey {
  /** The relay key. */
  readonly key: RelayKey;
  /** Those that come after it. */
  readonly successors: readonly Successor[];
}

/** Why statements are not followed. */
export type NotFollowed =
  /** They are no chain, or end before they begin, or come back to a key. */
  | "no-chain"
  /** None is by the pinned key. */
  | "other-relay"
  | "bad-signature"
  | "expired";

/** Strict Ed25519 (§1). */
export type VerifyKeyChange = (
  key: Uint8Array,
  kind: SignatureKind,
  body: Uint8Array,
  signature: Signature,
) => boolean;

/**
 * Follows statements from a pinned key. Either all that concern it hold, or none is believed.
 *
 * @param nowS seconds since 1970
 * @returns the keys after the pinned one, oldest first; none if it is the last that they name
 */
export function followKeyChanges(
  pin: RelayKey,
  statements: readonly KeyChangeStatement[],
  verify: VerifyKeyChange,
  nowS: number,
): readonly Successor[] | NotFollowed {
  if (!isChain(statements.map(({ value }) => value))) return "no-chain";
  const last = statements.at(-1);
  if (last === undefined) return "other-relay";
  if (sameBytes(last.value.next, pin)) return [];
  const first = statements.findIndex(({ value }) => sameBytes(value.old, pin));
  if (first < 0) return "other-relay";
  const concerning = statements.slice(first);
  for (const { value, body, signature } of concerning) {
    if (!verify(value.old, "key-change", body, signature)) return "bad-signature";
    if (value.until < nowS) return "expired";
  }
  return concerning.map(({ value: { next, from } }) => ({ key: next, from }));
}

/** Whether each begins where the one before ends, and no key comes twice. */
function isChain(changes: readonly KeyChange[]): boolean {
  const met = new Set<string>();
  for (const [i, { old, next, from, until }] of changes.entries()) {
    const before = changes[i - 1];
    if (before !== undefined && !sameBytes(before.next, old)) return false;
    if (until < from) return false;
    met.add(old.toHex());
    if (met.has(next.toHex())) return false;
  }
  return true;
}

/**
 * The keys that the relay may show now, oldest first: the one whose time has come, and those that are still to
 * come. A key whose successor's time has come is not accepted any more, whoever holds it.
 *
 * @param nowS seconds since 1970
 */
export function acceptableKeys(pinned: PinnedKey, nowS: number): readonly RelayKey[] {
  const due = pinned.successors.findLastIndex(({ from }) => from + KEY_CHANGE_GRACE_S <= nowS);
  const keys = [pinned.key, ...pinned.successors.map(({ key }) => key)];
  return keys.slice(due + 1);
}

/**
 * What is pinned once a relay has proven one of the acceptable keys.
 *
 * @throws {RangeError} if it is none of them
 */
export function afterProof(pinned: PinnedKey, proven: RelayKey): PinnedKey {
  if (sameBytes(pinned.key, proven)) return pinned;
  const at = pinned.successors.findIndex(({ key }) => sameBytes(key, proven));
  if (at < 0) throw new RangeError("this key was announced by nobody");
  return { key: proven, successors: pinned.successors.slice(at + 1) };
}

/**
 * What is pinned after statements were followed; the same object if they say nothing new.
 *
 * @param heard what {@linkcode followKeyChanges} made of them
 */
export function afterAnnouncement(pinned: PinnedKey, heard: readonly Successor[]): PinnedKey {
  const { key, successors } = pinned;
  // A key has one successor, the first that it named to us: another may be a thief's.
  const goesOn = successors.every(({ key }, i) =>
    heard[i] !== undefined && sameBytes(heard[i].key, key)
  );
  if (!goesOn || heard.length <= successors.length) return pinned;
  return { key, successors: [...successors, ...heard.slice(successors.length)] };
}
