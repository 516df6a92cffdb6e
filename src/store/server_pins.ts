/**
 * The servers whose key somebody said yes to, as SSH's known_hosts: `known_servers.json`, shared by all
 * profiles and by sessions without one. It holds no secret, but whoever can write it chooses whom we trust.
 */
import * as v from "valibot";
import { lockFile } from "./disk.ts";
import { countField, hexField, portField, textField, timeField } from "./fields.ts";
import { type SavedPin, type SavedSuccessor, SUCCESSORS, successorsField } from "./successors.ts";
import { type JsonFormat, readJsonFile, writeJsonFile } from "./json_file.ts";

/** One remembered server. */
export interface ServerPin {
  /** As dialled, lower case, an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
  /** The relay's Ed25519 public key, 64 hex digits. */
  readonly key: string;
  /** When somebody said yes to it, ISO 8601. */
  readonly firstSeen: string;
  /** Keys that the relay is to have after it, oldest first. */
  readonly successors?: readonly SavedSuccessor[];
}

/** What came of {@linkcode ServerPins.remember}. */
export type Remembered =
  | { readonly kind: "remembered" }
  /** This very key was there already. */
  | { readonly kind: "known" }
  /** Another key is there, perhaps since a moment ago and by another process. It stays. */
  | { readonly kind: "changed"; readonly pin: ServerPin };

/** Every method throws `StoreError` where the file is `damaged`, `unreadable`, `unwritable` or of a `newer-version`. */
export interface ServerPins {
  /** The pin as the file has it now. Whether a server's key is unknown, known or changed is the caller's to say. */
  pinFor(host: string, port: number): Promise<ServerPin | undefined>;
  /**
   * Remembers a key, durably. A key that is there is never replaced: a change must be said yes to by
   * name, with {@linkcode forget}.
   *
   * @param key 64 hex digits of either case
   * @throws {RangeError} for anything else, or a port that cannot be dialled
   */
  remember(host: string, port: number, key: string): Promise<Remembered>;
  /**
   * Puts what a relay has proven or announced in the place of what was pinned for it, durably. If something
   * else is there by now, that stays.
   *
   * @param before the key that was pinned, 64 hex digits
   */
  follow(host: string, port: number, before: string, after: SavedPin): Promise<void>;
  /** Forgets a server; false if it was not there. */
  forget(host: string, port: number): Promise<boolean>;
}

const PIN = v.looseObject({
  host: textField,
  port: portField,
  key: hexField(32),
  firstSeen: timeField,
  successors: v.exactOptional(SUCCESSORS),
});

// Fields that we do not know are kept when the file is written: see `profile.ts`.
const PINS = v.looseObject({
  version: countField,
  servers: v.pipe(
    v.array(PIN),
    // Two keys for one server: which of them is right must not depend on their order.
    v.check((pins) =>
      new Set(pins.map(({ host, port }) => `${host} ${port}`)).size === pins.length
    ),
  ),
});

const FORMAT: JsonFormat<v.InferOutput<typeof PINS>> = { version: 1, schema: PINS };

/**
 * The pins in a file, which is made by the first `remember`. Several processes may use it at once: each
 * change rereads it under a lock.
 *
 * @param path see `serverPinsPath` in `paths.ts`
 * @param now the clock of `firstSeen`
 */
export function serverPins(path: string, now: () => Date = () => new Date()): ServerPins {
  const read = async () => await readJsonFile(path, FORMAT) ?? { version: 1, servers: [] };

  const locked = async <T>(change: () => Promise<T>): Promise<T> => {
    const lock = await lockFile(path, true);
    try {
      return await change();
    } finally {
      lock?.release();
    }
  };

  return {
    async pinFor(host, port) {
      return find((await read()).servers, host, port);
    },
    async remember(host, port, key) {
      const pin = v.safeParse(PIN, {
        host: canonical(host),
        port,
        key: key.toLowerCase(),
        firstSeen: now().toISOString(),
      });
      if (!pin.success) throw new RangeError("this is no server and its 32-byte key");
      return await locked(async () => {
        const file = await read();
        const there = find(file.servers, host, port);
        if (there !== undefined) {
          return there.key === pin.output.key
            ? { kind: "known" as const }
            : { kind: "changed" as const, pin: there };
        }
        await writeJsonFile(path, { ...file, servers: [...file.servers, pin.output] });
        return { kind: "remembered" as const };
      });
    },
    async follow(host, port, before, after) {
      await locked(async () => {
        const file = await read();
        const there = find(file.servers, host, port);
        if (there === undefined || there.key !== before) return;
        const { successors: _, ...rest } = there;
        const now = { ...rest, key: after.key, ...successorsField(after) };
        const servers = file.servers.map((pin) => pin === there ? now : pin);
        await writeJsonFile(path, { ...file, servers });
      });
    },
    async forget(host, port) {
      return await locked(async () => {
        const file = await read();
        const there = find(file.servers, host, port);
        if (there === undefined) return false;
        await writeJsonFile(path, {
          ...file,
          servers: file.servers.filter((pin) => pin !== there),
        });
        return true;
      });
    },
  };
}

function find<T extends ServerPin>(pins: readonly T[], host: string, port: number): T | undefined {
  const name = canonical(host);
  return pins.find((pin) => pin.host === name && pin.port === port);
}

function canonical(host: string): string {
  return host.toLowerCase().replace(/^\[(.*)\]$/, "$1");
}
