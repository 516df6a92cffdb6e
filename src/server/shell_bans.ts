/**
 * Whether there is a file of bans at all: most relays have none, and then nothing is loaded to read
 * it with.
 *
 * @module
 */
import { join } from "node:path";
import { type BanList, NO_BANS } from "./guard.ts";

/**
 * The bans of a folder of keys.
 *
 * @throws {StoreError} for a file that is not right: a relay that let in whom it should not is worse
 *   than one that does not start
 */
export async function readBans(certs: string): Promise<BanList> {
  try {
    await Deno.lstat(join(certs, "bans.json"));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return NO_BANS;
    throw error;
  }
  const { banList, Bans } = await import("./bans.ts");
  return banList(await new Bans(certs).list());
}
