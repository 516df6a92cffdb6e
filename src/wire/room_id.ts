/**
 * How room ids and fingerprints come from keys. SHA-256 is the caller's.
 *
 * @see docs/PROTOCOL.md §3.1, §4
 * @module
 */
import { type Bytes, Writer } from "./codec.ts";
import { type RelayKey, type RoomId, roomId } from "./ids.ts";
import { NAME } from "./name.ts";

const OPEN_BIT = 0x80;

/** The id of a keyed room, from the SHA-256 of its public key: highest bit cleared. */
export function keyedRoomId(roomKeyHash: Uint8Array): RoomId {
  const id = roomId(roomKeyHash.subarray(0, 16));
  id[0] = (id[0] ?? 0) & ~OPEN_BIT;
  return id;
}

/**
 * What an open room's id is the SHA-256 of.
 *
 * @param name the room's, in NFKC
 * @throws {RangeError} if `name` is no name
 */
export function openRoomIdInput(relay: RelayKey, name: string): Bytes {
  const w = new Writer(128);
  w.raw(new TextEncoder().encode("stm/1 open room"));
  w.raw(relay);
  NAME.encode(w, name);
  return w.finish();
}

/** The id of an open room, from the SHA-256 of {@link openRoomIdInput}: highest bit set. */
export function openRoomId(hash: Uint8Array): RoomId {
  const id = roomId(hash.subarray(0, 16));
  id[0] = (id[0] ?? 0) | OPEN_BIT;
  return id;
}

/** Whether a room is an open one: whether its first room key is taken on trust. */
export function isOpenRoom(room: RoomId): boolean {
  return ((room[0] ?? 0) & OPEN_BIT) !== 0;
}

/** What a fingerprint is the first 16 bytes of the SHA-256 of. §4 */
export function fingerprintInput(key: Uint8Array): Bytes {
  const w = new Writer(40);
  w.raw(new TextEncoder().encode("stm/1 fp"));
  w.raw(key);
  return w.finish();
}
