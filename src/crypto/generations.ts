/**
 * The greatest g that was accepted of each identity (PROTOCOL §6), of so many identities: whoever has the room secret
 * can ask to come in as somebody new each time.
 */
export class Generations {
  readonly #greatest = new Map<string, number>();

  /** @param most identities that are remembered, those of `keep` aside */
  constructor(private readonly most: number) {}

  /** Of an identity in hex; -1 for one that is not remembered. */
  of(identity: string): number {
    return this.#greatest.get(identity) ?? -1;
  }

  /**
   * Remembers what was accepted last, instead of the identity of which nothing came for longest.
   *
   * @param keep identities in hex that are not to be forgotten
   */
  put(identity: string, g: number, keep: ReadonlySet<string> = new Set()): void {
    this.#greatest.delete(identity);
    this.#greatest.set(identity, g);
    if (this.#greatest.size <= this.most) return;
    for (const oldest of this.#greatest.keys()) {
      if (keep.has(oldest)) continue;
      this.#greatest.delete(oldest);
      return;
    }
  }
}
