/** Runs a copy of the program with something taken out until an invariant breaks. */
import { join } from "node:path";
import { type House, loadHouse } from "../hostile/house.ts";
import { copyProgram, type Patch } from "../support/patched_copy.ts";
import type { Violation } from "./invariants.ts";
import type { Mutant } from "./mutants.ts";
import { scriptOf } from "./script.ts";
import { simulate } from "./simulation.ts";
import { TOY_CRYPTO } from "./toy_crypto.ts";

/** How a mutant was found. */
export interface Found extends Violation {
  readonly seed: number;
}

/**
 * The program with toy cryptography, patched.
 *
 * @param folder that holds the copies
 * @param name of this copy
 */
export async function toyHouse(
  folder: string,
  name: string,
  patches: readonly Patch[] = [],
): Promise<House> {
  const copy = join(folder, name);
  await copyProgram(copy, [...TOY_CRYPTO, ...patches]);
  return await loadHouse(copy);
}

/**
 * The first seed of which the mutant breaks an invariant and the program as it is does not.
 *
 * @returns `null` if there is none among these
 */
export async function find(
  mutant: Mutant,
  sound: House,
  mutated: House,
  seeds: Iterable<number>,
): Promise<Found | null> {
  for (const seed of seeds) {
    const plan = { seed, script: scriptOf(seed) };
    const violation = await simulate(mutated, plan);
    if (violation === null || !mutant.breaks.includes(violation.rule)) continue;
    if (await simulate(sound, plan) === null) return { ...violation, seed };
  }
  return null;
}
