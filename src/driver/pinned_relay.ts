/**
 * The relay of a session: where it is, which key it must prove (P11), and how that key may change
 * (PROTOCOL §2.1): by statements under the pinned key, which come from the relay itself while we are connected,
 * or from whoever answers in its place when we come back.
 */
import { fingerprintOf } from "../crypto/join.ts";
import { verifyRaw } from "../crypto/primitives.ts";
import type { Notice } from "../session/notice.ts";
import { isoTime } from "../session/turn.ts";
import { StoreError } from "../store/store_error.ts";
import { type ClaimedKey, dial, DialError, peekKeyChanges } from "../transport/dial.ts";
import type { Link } from "../transport/link.ts";
import type { SavedPin, SavedSuccessor } from "../store/successors.ts";
import { formatFingerprint, fromHex, type RelayKey, relayKey, sameBytes } from "../wire/ids.ts";
import {
  acceptableKeys,
  afterAnnouncement,
  afterProof,
  followKeyChanges,
  type KeyChangeStatement,
  type PinnedKey,
  type Successor,
} from "../wire/key_change.ts";

/** What a pinned relay needs of its surroundings. */
export interface PinnedRelayPorts {
  /**
   * Keeps what is pinned now in the place of the key that was, durably.
   *
   * @throws {StoreError}
   */
  readonly keep: (before: string, after: SavedPin) => Promise<void>;
  /** Tells the person. */
  readonly notice: (notice: Notice) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** See the module. */
export class PinnedRelay {
  #pinned: PinnedKey;
  /** Every key that it had or was to have in this session, in hex. */
  readonly #names = new Set<string>();
  /** What the person was told, so that it is told once. */
  readonly #told = new Set<string>();

  constructor(
    readonly host: string,
    readonly port: number,
    pinned: PinnedKey,
    private readonly ports: PinnedRelayPorts,
  ) {
    this.#pinned = pinned;
    this.#name(pinned);
  }

  /** The key that it proved, or has to prove; it changes in `dial` alone. */
  get key(): RelayKey {
    return this.#pinned.key;
  }

  /** Whether a link with this key is one of this relay. */
  isNamed(key: RelayKey): boolean {
    return this.#names.has(key.toHex());
  }

  /**
   * Connects, and follows the relay to another key if that was announced under the one we know.
   *
   * @throws {DialError} `wrong-key` if what answers has neither
   */
  async dial(): Promise<Link> {
    const { host, port } = this;
    const pin = this.key;
    const nowS = this.ports.now() / 1000;
    let failure = new DialError("wrong-key", `${host} must have another key by now`);
    if (acceptableKeys(this.#pinned, nowS).includes(pin)) {
      try {
        return await dial({ host, port, pin });
      } catch (error) {
        if (!(error instanceof DialError) || error.code !== "wrong-key") throw error;
        failure = error;
      }
    }
    const claimed = await this.#claim();
    if (claimed === null) throw failure;
    const known = this.#after(claimed.statements);
    const next = acceptableKeys(known, nowS).find((key) => sameBytes(key, claimed.key));
    if (next === undefined) throw failure;
    const link = await dial({ host, port, pin: next });
    await this.#become(afterProof(known, next));
    this.#tell("changed", next);
    return link;
  }

  /** What is answering in the relay's place; null if that is no relay at all. */
  async #claim(): Promise<ClaimedKey | null> {
    try {
      return await peekKeyChanges({ host: this.host, port: this.port });
    } catch (error) {
      if (error instanceof DialError) return null;
      throw error;
    }
  }

  /** Statements that came by the connection to the relay. */
  async hear(statements: readonly KeyChangeStatement[]): Promise<void> {
    const next = this.#after(statements);
    if (next === this.#pinned) return;
    await this.#become(next);
    const last = next.successors.at(-1);
    if (last === undefined) return;
    const isDue = last.from * 1000 <= this.ports.now();
    this.#tell(isDue ? "changed" : "announced", last.key, last.from);
  }

  #after(statements: readonly KeyChangeStatement[]): PinnedKey {
    const heard = followKeyChanges(this.key, statements, verifyRaw, this.ports.now() / 1000);
    return typeof heard === "string" ? this.#pinned : afterAnnouncement(this.#pinned, heard);
  }

  async #become(next: PinnedKey): Promise<void> {
    const before = this.#pinned;
    this.#pinned = next;
    this.#name(next);
    try {
      await this.ports.keep(before.key.toHex(), savedPin(next));
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      // This session knows the new key; a later one hears of it again.
      this.ports.notice({ type: "error", code: error.code, message: error.message });
    }
  }

  #name({ key, successors }: PinnedKey): void {
    for (const each of [key, ...successors.map((s) => s.key)]) this.#names.add(each.toHex());
  }

  #tell(state: "announced" | "changed", key: RelayKey, fromS?: number): void {
    const pin = key.toHex();
    if (this.#told.has(`${state} ${pin}`)) return;
    this.#told.add(`${state} ${pin}`);
    this.ports.notice({
      type: "server-key",
      state,
      pin,
      fingerprint: formatFingerprint(fingerprintOf(key)),
      ...(state === "changed" || fromS === undefined ? {} : { from: isoTime(fromS * 1000) }),
    });
  }
}

function savedPin({ key, successors }: PinnedKey): SavedPin {
  return {
    key: key.toHex(),
    successors: successors.map(({ key, from }) => ({ key: key.toHex(), from })),
  };
}

/** The keys to come that a pin or profile has kept. */
export function successorsOf(
  saved: { readonly successors?: readonly SavedSuccessor[] } | undefined,
): readonly Successor[] {
  return (saved?.successors ?? []).map(({ key, from }) => ({ key: relayKey(fromHex(key)), from }));
}
