/**
 * Which messages have reached anybody but their author: no relay that stores nothing and no member can bring back what
 * only a program had that has ended.
 */
import type { AdminKeys } from "../../src/crypto/admin_keys.ts";
import type { MemberKeys } from "../../src/crypto/member_keys.ts";
import type { SessionKeys } from "../../src/crypto/session_keys.ts";
import type { House } from "../hostile/house.ts";

type Keys = MemberKeys | AdminKeys;

/** What the programs of a house have sealed and opened since it was last {@linkcode forget told to forget}. */
export class Reached {
  #sealed = new Map<SessionKeys, Set<string>>();
  #opened = new Set<string>();

  private constructor() {}

  /** The one of this house. */
  static in(house: House): Reached {
    const known = watched.get(house);
    if (known !== undefined) return known;
    const reached = new Reached();
    watched.set(house, reached);
    reached.#watch(house);
    return reached;
  }

  #watch(house: House): void {
    const note = (keys: Keys, place: string) => this.#noteSealed(keys.own.session, place);
    const opened = (place: string) => this.#opened.add(place);
    const common: Pick<Keys, "sealMessage" | "openMessage"> = Object.getPrototypeOf(
      house.MemberKeys.prototype,
    );
    const { sealMessage, openMessage } = common;
    common.sealMessage = function (this: Keys, ...args) {
      const payload = sealMessage.apply(this, args);
      const seen = this.open(payload);
      // A goodbye is the last of its author: nothing tells that it is missing.
      if (seen.kind === "message" && args[2].kind !== "leave") note(this, placeOf(seen.header));
      return payload;
    };
    common.openMessage = function (this: Keys, ...args) {
      const result = openMessage.apply(this, args);
      if (result.kind === "opened") opened(placeOf(result));
      return result;
    };
  }

  #noteSealed(by: SessionKeys, place: string): void {
    const sealed = this.#sealed.get(by) ?? new Set();
    this.#sealed.set(by, sealed.add(place));
  }

  /** Another simulation begins. */
  forget(): void {
    this.#sealed = new Map();
    this.#opened = new Set();
  }

  /** How many messages of one run of a program nobody has ever opened. */
  nobodyHas(by: SessionKeys): number {
    return [...this.#sealed.get(by) ?? []].filter((place) => !this.#opened.has(place)).length;
  }
}

const watched = new WeakMap<House, Reached>();

function placeOf({ epoch, leaf, n }: { epoch: number; leaf: number; n: number }): string {
  return `${epoch}/${leaf}/${n}`;
}
