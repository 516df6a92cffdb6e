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

  /** Whether fewer than the capacity wait, so that {@linkcode pushWhenRoom} would not wait. */
  get hasRoom(): boolean {
    return this.#items.length < this.capacity;
  }

  /** Adds an item, where the queue is full once everything in it has been taken: so a burst goes on by batches. */
  async pushWhenRoom(value: T): Promise<void> {
    while (!this.hasRoom) {
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
    const item = this.#next();
    if (item === undefined) return new Promise((resolve) => this.#taker = resolve);
    return Promise.resolve(item.value);
  }

  /** As {@linkcode take}, if there is one now. */
  takeNow(): T | undefined {
    return this.#next()?.value;
  }

  #next(): Item<T> | undefined {
    this.#current?.();
    const item = this.#items.shift();
    this.#current = item?.taken;
    if (this.#items.length === 0 && this.#room.length > 0) {
      for (const resolve of this.#room.splice(0)) resolve();
    }
    return item;
  }
}
