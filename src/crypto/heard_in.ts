/** So many are not worth a look for those that can be forgotten. */
const FEW = 64;

/**
 * The newest epoch in which each identity was heard. One that was heard in none after the oldest epoch that anybody asks
 * about is forgotten: however many come and go, it is not kept of each.
 */
export class HeardIn {
  readonly #epochs = new Map<string, number>();
  #lookAt = FEW;

  /** How many are remembered. */
  get size(): number {
    return this.#epochs.size;
  }

  /**
   * Something of an identity came.
   *
   * @param oldest the oldest epoch that `after` will be asked about
   */
  hear(identity: string, epoch: number, oldest: number): void {
    this.#epochs.set(identity, Math.max(epoch, this.#epochs.get(identity) ?? 0));
    if (this.#epochs.size < this.#lookAt) return;
    for (const [who, newest] of this.#epochs) if (newest <= oldest) this.#epochs.delete(who);
    this.#lookAt = 2 * this.#epochs.size + FEW;
  }

  /** Whether an identity was heard in an epoch after that one. */
  after(identity: string, epoch: number): boolean {
    return (this.#epochs.get(identity) ?? 0) > epoch;
  }
}
