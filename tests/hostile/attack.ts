import type { Patch } from "../support/patched_copy.ts";
import type { House } from "./house.ts";
import { type AdminActor, type MemberActor, World } from "./world.ts";

/** One row of the table of attacks. */
export interface Attack {
  /** What is tried; unique. */
  readonly name: string;
  readonly enemy: "relay" | "insider" | "admin" | "stranger" | "thief";
  /** Which property of the protocol it is against. */
  readonly property: string;
  /** Tries it, and says what came of it. */
  readonly run: (house: House) => Promise<string>;
  /** What comes of it with all checks in place. Anything else is a failure. */
  readonly expected: string;
  /** Takes out the check that stops it. */
  readonly patches: readonly Omit<Patch, "name">[];
  /** What comes of it then. */
  readonly bites: string;
}

/** People in a keyed room, all of whom have heard of each other. */
export interface Scene {
  readonly world: World;
  readonly house: House;
  readonly owl: AdminActor;
  readonly invite: string;
  /** By their names. */
  readonly people: ReadonlyMap<string, MemberActor>;
  of(name: string): MemberActor;
}

/** A row's `run`: sets the scene, begins the notes, plays, and says what was noted. */
export function scene(
  names: readonly string[],
  play: (scene: Scene) => Promise<string | readonly string[]>,
  founding: { uses?: number; keeps?: readonly string[]; comesBack?: boolean } = {},
): Attack["run"] {
  return async (house) => {
    await using world = new World(house);
    // A lost relay is looked for.
    if (founding.comesBack === true) world.retryMs = Infinity;
    const { owl, invite } = await world.founds("owl", founding);
    const people = new Map<string, MemberActor>();
    for (const name of names) {
      const keeps = founding.keeps?.includes(name) ?? false;
      const there = [owl, ...people.values()];
      people.set(name, await world.joins(name, invite, there, { keeps }));
    }
    // The last one's first message, everybody's keys.
    await world.settleAll(owl, ...people.values());
    for (const actor of [owl, ...people.values()]) actor.mark();
    const of = (name: string) => {
      const actor = people.get(name);
      if (actor === undefined) throw new RangeError(`there is no ${name}`);
      return actor;
    };
    const outcome = await play({ world, house, owl, invite, people, of });
    return typeof outcome === "string" ? outcome : outcome.join("; ");
  };
}

/** A predicate that holds once, for the first that fits. */
export function once<T>(fits: (value: T) => boolean): (value: T) => boolean {
  let over = false;
  return (value) => {
    if (over || !fits(value)) return false;
    over = true;
    return true;
  };
}

/** A patch. */
export function patch(file: string, from: string, to: string): Omit<Patch, "name"> {
  return { file, from, to };
}
