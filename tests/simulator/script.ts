/** Scripts of the simulator: what happens to a room, as data. A seed makes one; shrinking leaves lines out. */

/** One thing that happens; `who` and `to` count the people there are, `n` is whatever the act needs. */
export interface Act {
  readonly act: ActName;
  readonly who: number;
  readonly to: number;
  readonly n: number;
}

/** What can happen, with how often it does beside the others. */
export const ACTS = {
  /** Somebody says a few things. */
  "say": 30,
  /** Somebody new comes with the invite. */
  "join": 8,
  "leave": 2,
  "kick": 3,
  "rekey": 4,
  /** A connection breaks, and is back as soon as its program tries. */
  "cut": 6,
  /** Somebody is in a tunnel for n seconds. */
  "away": 4,
  /** A program is killed, and started again with its profile. */
  "restart": 4,
  "restart-relay": 2,
  /** Time goes by. */
  "wait": 12,
  "deputy": 2,
  "no-deputy": 1,
  "hand-over": 1,
  /** The admin is in a tunnel for so long that a deputy may take over. */
  "admin-away": 1,
  // The relay is hostile.
  /** The next frames from or to somebody are lost. */
  "lose": 4,
  /** Everything of one does not reach another, for a while. */
  "withhold": 2,
  /** Frames to somebody wait. */
  "hold": 3,
  "release": 3,
  /** Frames arrive twice from here on. */
  "double": 1,
  /** A payload of the past is given to somebody once more. */
  "replay": 6,
  // Somebody inside is.
  /** A right box in another's name, with a signature of one's own. */
  "forge": 3,
  /** Somebody comes again with an old copy of its profile. */
  "old-copy": 2,
  /** A deputy of before claims the room. */
  "stale-claim": 2,
  /** The admin confirms one roster and shows one member another. */
  "lie": 1,
  /** Somebody's last words are kept back until it has been removed. */
  "late-kick": 2,
  /** Somebody's last words are lost, and a new epoch follows at once. */
  "lose-and-rekey": 2,
  /** Somebody's last words do not reach one member, and it is removed. */
  "lose-and-kick": 2,
  /** One member does not get an epoch, and gets the next. */
  "skip-epoch": 2,
} as const;

/** Those in which the relay or somebody inside is hostile. */
const HOSTILE: ReadonlySet<string> = new Set(
  Object.keys(ACTS).slice(Object.keys(ACTS).indexOf("lose")),
);

/** Name of an act. */
export type ActName = keyof typeof ACTS;

/** Numbers in [0, 1), the same for each seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The script of a seed; in every third nobody is hostile. */
export function scriptOf(seed: number): Act[] {
  const random = randomOf(seed);
  const names = (Object.keys(ACTS) as ActName[])
    .filter((name) => seed % 3 !== 0 || !HOSTILE.has(name));
  const total = names.reduce((sum, name) => sum + ACTS[name], 0);
  const pick = (): ActName => {
    let at = random() * total;
    for (const name of names) {
      at -= ACTS[name];
      if (at < 0) return name;
    }
    return "say";
  };
  const length = 10 + Math.floor(random() * 25);
  return Array.from({ length }, () => ({
    act: pick(),
    who: Math.floor(random() * 8),
    to: Math.floor(random() * 8),
    n: Math.floor(random() * 1000),
  }));
}

/**
 * The shortest script that still fails, by leaving lines out.
 *
 * @param fails plays a script; true if an invariant breaks
 */
export async function shrink(
  script: readonly Act[],
  fails: (script: readonly Act[]) => Promise<boolean>,
): Promise<readonly Act[]> {
  let best = script;
  for (let size = Math.ceil(best.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < best.length;) {
      const shorter = [...best.slice(0, at), ...best.slice(at + size)];
      if (await fails(shorter)) best = shorter;
      else at += size;
    }
  }
  return best;
}
