import fc from "fast-check";

const SLOW = Deno.env.get("SLOW") === "1";

/**
 * Asserts a property with few runs by default, and with two hundred times as many under SLOW=1.
 *
 * @param runs how many by default
 */
export function assertProperty<T>(property: fc.IProperty<T>, runs = 50): void {
  fc.assert(property, { numRuns: SLOW ? runs * 200 : runs });
}
