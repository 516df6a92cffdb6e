import type { EventFields } from "../../src/ui/json_schema.ts";

/** How long a test waits for anything before it fails. No test passes by waiting. */
export const PATIENCE_MS = 60_000;

/** The events of one type. */
export type EventOf<T extends EventFields["type"], E extends EventFields = EventFields> = Extract<
  E,
  { type: T }
>;

/** All that a participant or relay told so far, and a way to wait for more. */
export class Chronicle<E extends EventFields = EventFields> {
  readonly events: E[] = [];
  readonly #texts = new Map<string, string[]>();
  readonly #heard = new Set<string>();
  readonly #waiting = new Set<() => void>();
  #ended = false;

  /**
   * @param what names it in the messages of failures
   * @param all what they show of it; its events if not said
   */
  constructor(
    readonly what: string,
    private readonly all: () => string = () => this.events.map((e) => JSON.stringify(e)).join("\n"),
  ) {}

  /** Adds an event; `look` for it later. */
  add(event: E): void {
    this.events.push(event);
    if (event.type !== "message") return;
    this.#heard.add(event.text);
    const texts = this.#texts.get(event.from);
    if (texts === undefined) this.#texts.set(event.from, [event.text]);
    else texts.push(event.text);
  }

  /** Nothing follows. */
  end(): void {
    this.#ended = true;
    this.look();
  }

  /** Lets whoever waits look again. */
  look(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** The events of a type. */
  every<T extends E["type"]>(type: T): EventOf<T, E>[] {
    return this.events.filter((event): event is EventOf<T, E> => event.type === type);
  }

  /** The texts of somebody, in the order in which they came. */
  textsOf(name: string): readonly string[] {
    return this.#texts.get(name) ?? [];
  }

  /** Whether a text came, from whomever. */
  hasHeard(text: string): boolean {
    return this.#heard.has(text);
  }

  /**
   * Settles with what `find` gives as soon as it is not `undefined`.
   *
   * @throws {Error} with everything there is, if the end comes or the time is over before that
   */
  async until<T>(wanted: string, find: () => T | undefined, boundMs = PATIENCE_MS): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const fail = (why: string) =>
      reject(new Error(`${this.what} ${why}: ${wanted}\n${this.all()}`));
    const timer = setTimeout(() => fail(`did not do it within ${boundMs} ms`), boundMs);
    const look = () => {
      const found = find();
      if (found !== undefined) resolve(found);
      else if (this.#ended) fail("ended before");
    };
    this.#waiting.add(look);
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(look);
    }
  }

  /** The first event of a type, told already or to come, that fits. */
  event<T extends E["type"]>(
    type: T,
    fits: (event: EventOf<T, E>) => boolean = () => true,
    boundMs = PATIENCE_MS,
  ): Promise<EventOf<T, E>> {
    return this.until(`${type} ${fits}`, () => this.every(type).find(fits), boundMs);
  }
}
