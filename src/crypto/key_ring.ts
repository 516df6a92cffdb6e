import type { RoomId } from "../wire/ids.ts";
import type { AdminKeys } from "./admin_keys.ts";
import type { MemberKeys } from "./member_keys.ts";

/**
 * All secrets of a participant: by room, and nowhere else. States, events, effects and logs know rooms by
 * their id and members by their leaf.
 */
export class KeyRing {
  readonly #rooms = new Map<string, MemberKeys | AdminKeys>();

  /** Takes up a room; the one before of that id is wiped. */
  add(keys: MemberKeys | AdminKeys): void {
    const id = keys.room.toHex();
    this.#rooms.get(id)?.wipe();
    this.#rooms.set(id, keys);
  }

  /** The keys of a room, by its id or the hex of it. */
  get(room: RoomId | string): MemberKeys | AdminKeys | undefined {
    return this.#rooms.get(typeof room === "string" ? room : room.toHex());
  }

  /** Wipes and drops a room. */
  forget(room: string): void {
    this.#rooms.get(room)?.wipe();
    this.#rooms.delete(room);
  }

  /** Wipes everything. */
  wipe(): void {
    for (const room of [...this.#rooms.keys()]) this.forget(room);
  }
}
