interface Item<T> {
  readonly value: T;
  readonly taken?: () => void;
}

/**
 * The one queue that the loop waits on. Events of people, timers and workers always fit; the inbound
 * stage waits for room, which holds the socket back, so a flood from the network cannot grow it.
 */
export class EventQueue<T> {
  #items: Item<T>[] = [];
  #taker: ((item: T) => void) | null = null;
  #room: (() => void)[] = [];
  /** Who waits until the item that the loop has now is dealt with. */
  #current: (() => void) | undefined;

  /** @param capacity items at which {@linkcode pushWhenRoom} begins to wait */
  constructor(private readonly capacity: number) {}

  /** Adds an item now. */
  push(value: T): void {
    this.#add({ value });
  }

  /** Adds an item once fewer than the capacity wait. */
  async pushWhenRoom(value: T): Promise<void> {
    while (this.#items.length >= this.capacity) {
      await new Promise<void>((resolve) => this.#room.push(resolve));
    }
    this.push(value);
  }

  /** Adds an item and resolves when the loop has dealt with it. */
  pushAndWait(value: T): Promise<void> {
    return new Promise((taken) => this.#add({ value, taken }));
  }

  #add(item: Item<T>): void {
    const taker = this.#taker;
    if (taker === null) {
      this.#items.push(item);
    } else {
      this.#taker = null;
      this.#current = item.taken;
      taker(item.value);
    }
  }

  /** The next item; taking it says that the one before is dealt with. One taker at a time. */
  take(): Promise<T> {
    this.#current?.();
    this.#current = undefined;
    const item = this.#items.shift();
    if (item === undefined) return new Promise((resolve) => this.#taker = resolve);
    this.#current = item.taken;
    this.#room.shift()?.();
    return Promise.resolve(item.value);
  }
}
