/**
 * Views: what members have heard of everybody, asked for and compared. A view is one member's word: it can show
 * that two have heard different things, and where to ask for more; it proves nothing about a third.
 *
 * @see docs/PROTOCOL.md §9
 * @module
 */
import { type View, VIEW_BODY, VIEW_REQUEST_BODY, type ViewRequest } from "../wire/agreement.ts";
import { type Bytes, encode } from "../wire/codec.ts";
import { MAX_AHEAD } from "../wire/limits.ts";
import { type Leaf, leaf as leafOf, sameBytes, signature } from "../wire/ids.ts";
import { type Signed, signedOf } from "../wire/signed.ts";
import type { EpochKeys } from "./epoch_keys.ts";
import { CryptoError, type RandomSource, sign, verify } from "./primitives.ts";
import type { SigningKey } from "./session_keys.ts";

/** What came of comparing a member's view with ours. */
export interface Compared {
  /** Whose view it is. */
  readonly leaf: Leaf;
  /** Of whom it has heard something else than we. */
  readonly differs: readonly Leaf[];
  /** Of whom it says to have more than we know of. */
  readonly ahead: readonly {
    readonly leaf: Leaf;
    /** Messages that we know of: the number of the next. */
    readonly from: number;
    /** Messages that it says to have, as far as they could be opened. */
    readonly count: number;
  }[];
  /** It lacks something that we had when we asked. */
  readonly behind: boolean;
}

/** A question that is open. */
interface Asked {
  readonly nonce: Bytes;
  /** How much of whom we had when we asked. */
  readonly had: ReadonlyMap<Leaf, number>;
}

/** Questions that may be open at a time; older ones are not waited for. */
const MAX_ASKED = 16;
const NONCE_BYTES = 32;

/** The questions of one participant about one room. */
export class Views {
  readonly #asked = new Map<Leaf, Asked>();

  /** Asks a member what it has heard. */
  ask(current: EpochKeys, of: number, own: SigningKey, random: RandomSource): Signed<ViewRequest> {
    const nonce = random(NONCE_BYTES);
    const had = new Map(current.heard().map(({ leaf, count }) => [leaf, count]));
    const leaf = leafOf(of);
    this.#asked.delete(leaf);
    this.#asked.set(leaf, { nonce, had });
    for (const oldest of this.#asked.keys()) {
      if (this.#asked.size <= MAX_ASKED) break;
      this.#asked.delete(oldest);
    }
    const { room, h } = current.place;
    const value: ViewRequest = { room, requester: current.myLeaf, h, nonce };
    const body = encode(VIEW_REQUEST_BODY, value);
    const signed = signature(sign(own.privateKey, "view-request", body));
    return signedOf(VIEW_REQUEST_BODY, value, signed);
  }

  /** Our own view, for whoever asked with that nonce. */
  answer(current: EpochKeys, nonce: Bytes, own: SigningKey): Signed<View> {
    const { room, h } = current.place;
    const value: View = { room, leaf: current.myLeaf, h, nonce, heard: current.heard() };
    const body = encode(VIEW_BODY, value);
    return signedOf(VIEW_BODY, value, signature(sign(own.privateKey, "view", body)));
  }

  /**
   * Compares an answer with what we have heard.
   *
   * @returns `null` if we did not ask that member, or have the answer already
   * @throws {CryptoError} `no-key` if it is of nobody here or of another epoch, `bad-signature`
   */
  take(current: EpochKeys, { value, body, signature }: Signed<View>): Compared | null {
    const { leaf } = value;
    checkSender(current, leaf, value, "view", body, signature);
    const asked = this.#asked.get(leaf);
    if (asked === undefined || !sameBytes(asked.nonce, value.nonce)) return null;
    this.#asked.delete(leaf);
    return compare(current, value, asked);
  }

  /** Nothing is waited for any more. */
  forget(): void {
    this.#asked.clear();
  }
}

/**
 * Checks a member's question.
 *
 * @throws {CryptoError} `no-key` if it is of nobody here or of another epoch, `bad-signature`
 */
export function checkViewRequest(
  current: EpochKeys,
  { value, body, signature }: Signed<ViewRequest>,
): ViewRequest {
  checkSender(current, value.requester, value, "view-request", body, signature);
  return value;
}

function checkSender(
  current: EpochKeys,
  leaf: Leaf,
  place: Pick<View, "room" | "h">,
  kind: "view" | "view-request",
  body: Bytes,
  signature: Signed<View>["signature"],
): void {
  const member = current.roster.find((m) => m.leaf === leaf);
  const here = sameBytes(place.room, current.place.room) && sameBytes(place.h, current.place.h);
  if (member === undefined || leaf === current.myLeaf || !here) {
    throw new CryptoError("no-key", `a ${kind} is of nobody here, or of another epoch`);
  }
  if (!verify(member.verifyKey, kind, body, signature)) {
    throw new CryptoError("bad-signature", `a ${kind} is not its member's`);
  }
}

/** Each leaf at the lower count. Of nobody has anybody more than its author sent, and we know what we sent. */
function compare(current: EpochKeys, view: View, { had }: Asked): Compared {
  const theirs = new Map(view.heard.map((position) => [position.leaf, position]));
  const differs: Leaf[] = [];
  const ahead: { leaf: Leaf; from: number; count: number }[] = [];
  let behind = false;
  for (const { leaf } of current.roster) {
    const count = theirs.get(leaf)?.count ?? 0;
    const hash = theirs.get(leaf)?.hash;
    const ours = current.hashAt(leaf, count);
    if (hash !== undefined && ours !== undefined && !sameBytes(hash, ours)) differs.push(leaf);
    else if (count > current.known(leaf)) {
      if (leaf === current.myLeaf) differs.push(leaf);
      else {
        const from = current.known(leaf);
        ahead.push({ leaf, from, count: Math.min(count, from + MAX_AHEAD) });
      }
    }
    if (count < (had.get(leaf) ?? 0)) behind = true;
  }
  return { leaf: view.leaf, differs, ahead, behind };
}
