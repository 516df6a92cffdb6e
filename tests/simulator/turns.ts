/**
 * Time within an instant of the simulated clock: turns of the event loop. Whatever takes time in the world (a frame on
 * its way, a key being made) takes some turns here, how many says the seed; so everything can happen before or after
 * everything else, and the same seed gives the same order. `settle` waits until nothing is under way.
 */
import { setImmediate } from "node:timers";

/** As many turns in a row with nothing under way are calm. */
const CALM_TURNS = 4;

/** The turns of one simulation; only one runs at a time. */
export class Turns {
  #underWay = 0;
  /** Settles when all work outside the event loop that was begun is done; `null` while there is none. */
  #working: Promise<void> | null = null;
  readonly #waiting: (() => void)[] = [];

  /** @param random numbers in [0, 1) */
  constructor(private readonly random: () => number) {}

  /** Waits for some turns, at most `most`; `settle` waits for that. */
  async some(most: number): Promise<void> {
    const count = Math.floor(this.random() * (most + 1));
    if (count === 0) return;
    this.#underWay++;
    for (let i = 0; i < count; i++) await this.#turn();
    this.#underWay--;
  }

  /**
   * Work outside the event loop, such as the runtime's own cryptography. No turn ends before it is done, however long
   * that takes, and several are done in the order in which they were begun: else a seed would not be the same room on
   * another day.
   */
  async work<T>(work: Promise<T>): Promise<T> {
    this.#underWay++;
    const before = this.#working;
    const done = Promise.all([work.then(() => {}, () => {}), before]).then(() => {
      if (this.#working === done) this.#working = null;
    });
    this.#working = done;
    try {
      await before;
      return await work;
    } finally {
      this.#underWay--;
    }
  }

  /** In one turn, everything that waits for nothing but its turn is done; who waits longest has the next. */
  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === 1) setImmediate(this.#next);
    });
  }

  readonly #next = (): void => {
    if (this.#working !== null) return void this.#working.then(() => setImmediate(this.#next));
    this.#waiting.shift()?.();
    if (this.#waiting.length > 0) setImmediate(this.#next);
  };

  /** Waits until everything that is under way, and what comes of it, has happened. */
  async settle(): Promise<void> {
    for (let calm = 0; calm < CALM_TURNS;) {
      await this.#turn();
      calm = this.#underWay === 0 ? calm + 1 : 0;
    }
  }
}

/** How the copy of the program with toy cryptography says that a key operation takes time. */
interface Simulated {
  simulatedWork?: () => Promise<void>;
}

const METHODS = ["generateKey", "importKey", "exportKey", "encrypt", "decrypt"] as const;
const KEM_METHODS = ["encapsulateBits", "decapsulateBits"] as const;
let now: Turns | null = null;
let isWatched = false;

/** From here on the cryptography of the process takes its time from these turns; `null` for nobody's. */
export function timeCrypto(turns: Turns | null): void {
  now = turns;
  const simulated: Simulated = globalThis as Simulated;
  if (turns === null) delete simulated.simulatedWork;
  else simulated.simulatedWork = () => turns.some(2);
  if (!isWatched) watchSubtle();
  isWatched = true;
}

/** The real one runs on threads: turns alone do not tell when it is done. */
function watchSubtle(): void {
  const subtle = SubtleCrypto.prototype as unknown as Record<
    string,
    (...args: unknown[]) => Promise<unknown>
  >;
  for (const name of [...METHODS, ...KEM_METHODS]) {
    const real = subtle[name];
    if (real === undefined) throw new RangeError(`the runtime has no ${name}`);
    subtle[name] = function (this: unknown, ...args: unknown[]) {
      const work = real.apply(this, args);
      return now === null ? work : now.work(work);
    };
  }
}
