/**
 * What a relay bears. None of these numbers is the protocol's (those are in `wire/limits.ts`); the
 * flags of `stm server` are made from this table. Together they bound its memory.
 *
 * @module
 */
import { DEAD_AFTER_MS, MAX_FRAME_BYTES, MAX_LEAVES } from "../wire/limits.ts";

/** Limits that an operator may set. */
export interface RelayLimits {
  /** Connections open at once; one more is closed before its handshake. */
  readonly maxConnections: number;
  /** Rooms with somebody in them. */
  readonly maxRooms: number;
  /** Members of one room; its owners are not counted. */
  readonly maxMembersPerRoom: number;
  /** Connections that wait at one room to be admitted. */
  readonly maxKnockersPerRoom: number;
  /** Rooms that one connection may be in. */
  readonly maxRoomsPerConnection: number;
  /** Bytes of a member's frame, at most 1,048,576. */
  readonly maxFrameBytes: number;
  /** Bytes that may wait for a connection, in one room or in all together, before it is dropped as too slow. */
  readonly maxLagBytes: number;
  /**
   * Bytes that may wait for all connections together: a frame of a room counts once, however many have
   * not read it. Past it those are dropped for whom most waits.
   */
  readonly maxHeldBytes: number;
  /** Milliseconds for the TLS handshake, and again for START. */
  readonly handshakeMs: number;
  /** Milliseconds from the TLS handshake to the end of the login, where one is wanted. */
  readonly loginMs: number;
  /** Milliseconds that a connection may stay without being in any room. */
  readonly idleMs: number;
  /**
   * Bytes a second that one connection may send; above it the relay reads it more slowly. A frame for
   * a whole room counts once for every {@link READERS_A_COUNT} who get it, and what goes there at once
   * once more for each {@link MUCH_AT_ONCE_BYTES}, for fewer readers than these less. An owner, which
   * has to send what all need, may send {@link OWNER_TIMES} times as much, in whatever pieces. 0: no
   * limit.
   */
  readonly bytesPerSecond: number;
  /** Frames a second that one connection may send, likewise. 0: no limit. */
  readonly framesPerSecond: number;
  /**
   * Connections open at once from one source: one address (of IPv6, one network of 2^72), or one
   * account. 0: no limit, as for all of the following.
   */
  readonly sourceConnections: number;
  /** Connections a second that one source may begin, each with a handshake; 20 times that at once. */
  readonly sourceArrivals: number;
  /** ENTERs a second of one source; 20 times that at once. */
  readonly sourceJoins: number;
  /** Frames a second that one source may send as a knocker; 20 times that at once. */
  readonly sourceKnocks: number;
  /** Frames a second of one source; above it the relay reads it more slowly. */
  readonly sourceFrames: number;
  /** Bytes a second of one source, counted likewise; those of an owner at {@link OWNER_TIMES} to one. */
  readonly sourceBytes: number;
}

/** See {@link RelayLimits.bytesPerSecond}. */
export const READERS_A_COUNT = 8;

/**
 * Who speaks waits for all that is passed on in one turn of the loop. So what comes in large pieces
 * costs the others more than as many bytes in small ones; docs/decisions/2026-11-28-flood-rates.md.
 */
export const MUCH_AT_ONCE_BYTES = 16_384;

/** See {@link RelayLimits.bytesPerSecond}. */
export const OWNER_TIMES = 8;

/** Sane for a small machine: a few thousand people, a few hundred MiB at worst in ordinary use. */
export const DEFAULT_RELAY_LIMITS: RelayLimits = {
  maxConnections: 10_000,
  maxRooms: 10_000,
  maxMembersPerRoom: MAX_LEAVES,
  maxKnockersPerRoom: 256,
  maxRoomsPerConnection: 64,
  maxFrameBytes: MAX_FRAME_BYTES,
  maxLagBytes: 8 * 1024 * 1024,
  maxHeldBytes: 256 * 1024 * 1024,
  handshakeMs: 10_000,
  loginMs: 60_000,
  idleMs: 2 * DEAD_AFTER_MS,
  bytesPerSecond: 1024 * 1024,
  framesPerSecond: 2000,
  sourceConnections: 256,
  sourceArrivals: 10,
  sourceJoins: 10,
  sourceKnocks: 5,
  sourceFrames: 8000,
  sourceBytes: 4 * 1024 * 1024,
};
