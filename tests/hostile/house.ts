/**
 * The program that the enemies attack: src/ as it is, or a copy of it with a check taken out (see
 * ../support/patched_copy.ts). Everything that runs a participant or the relay is looked up here, so that a
 * copy is a copy throughout; enemies write bytes and may use the wire of either.
 */
import { pathToFileURL } from "node:url";

/** What a hostile test needs of the program. */
export type House =
  & typeof import("../../src/admin/role.ts")
  & typeof import("../../src/crypto/admin_keys.ts")
  & typeof import("../../src/crypto/epoch_keys.ts")
  & typeof import("../../src/crypto/join.ts")
  & typeof import("../../src/crypto/key_ring.ts")
  & typeof import("../../src/crypto/make_commit.ts")
  & typeof import("../../src/crypto/member_keys.ts")
  & typeof import("../../src/crypto/outer_seal.ts")
  & typeof import("../../src/crypto/roster.ts")
  & typeof import("../../src/driver/profile_session_store.ts")
  & typeof import("../../src/driver/rooms.ts")
  & typeof import("../../src/driver/run_role.ts")
  & typeof import("../../src/server/relay.ts")
  & typeof import("../../src/transport/dial.ts");

const FILES = [
  "admin/role",
  "crypto/admin_keys",
  "crypto/epoch_keys",
  "crypto/join",
  "crypto/key_ring",
  "crypto/make_commit",
  "crypto/member_keys",
  "crypto/outer_seal",
  "crypto/roster",
  "driver/profile_session_store",
  "driver/rooms",
  "driver/run_role",
  "server/relay",
  "transport/dial",
];

/**
 * Loads the program.
 *
 * @param folder of a copy, without a slash at its end; the program itself if not said
 */
export async function loadHouse(folder?: string): Promise<House> {
  const base = folder === undefined
    ? new URL("../..", import.meta.url).href
    : `${pathToFileURL(folder).href}/`;
  const modules: unknown[] = await Promise.all(
    FILES.map((file) => import(`${base}src/${file}.ts`)),
  );
  // Looked up by name; the list above is the type's.
  return Object.assign({}, ...modules.map(Object)) as House;
}
