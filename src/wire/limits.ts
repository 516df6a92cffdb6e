/**
 * Every limit that docs/PROTOCOL.md names, under the name it has there. A test compares this file
 * with the tables of the page, both ways.
 *
 * @module
 */

/** Body of a frame of a member or owner, and of every frame from the relay. §2 */
export const MAX_FRAME_BYTES = 1_048_576;
/** Body of a frame of a connection that is a knocker, or in no room. §2 */
export const MAX_GUEST_FRAME_BYTES = 16_384;
/** A side that heard nothing for so long sends PING. §2 */
export const PING_AFTER_MS = 20_000;
/** A side that heard nothing for so long ends the connection. §2 */
export const DEAD_AFTER_MS = 60_000;

/** How long a member with a ticket below the lowest ticket epoch may still RENEW. §3.2 */
export const TICKET_GRACE_MS = 10_000;
/** How far ahead a ticket's `expires` may lie. §3.1 */
export const MAX_TICKET_LIFE_S = 86_400;
/** How far the clocks of relay and admin may differ. §3.1 */
export const TICKET_CLOCK_SKEW_S = 600;
/** Message of REFUSED, CLOSING and LOGIN_REFUSED, in bytes of UTF-8. §3.2 */
export const MAX_REASON_BYTES = 256;

/** Name of an account, in bytes. §3.3 */
export const MAX_ACCOUNT_BYTES = 32;
/** Registration code as it was typed, in bytes of UTF-8. §3.3 */
export const MAX_CODE_BYTES = 64;

/** How long the admin's `na` is good. §6 */
export const NONCE_LIFE_MS = 60_000;
/** Name of a person and of a room, in bytes of UTF-8. §6 */
export const MAX_NAME_BYTES = 64;
/** Leaves of a roster. §7 */
export const MAX_LEAVES = 2000;
/** Epochs before the last of which a commit says what counts of a leaf that it removes. */
export const MAX_EARLIER_EPOCHS = 4;
/** Commits that the admin keeps for those who missed some. §7 */
export const KEPT_COMMITS = 64;
/** How far a successor's first epoch is above the one that it goes on from. §7.1 */
export const CLAIM_AHEAD = 64;

/** Numbers that one REPAIR_REQUEST may name. §9 */
export const MAX_REPAIR_NUMBERS = 256;

/** Text of TEXT, in bytes of UTF-8. §8 */
export const MAX_TEXT_BYTES = 65_536;
/** A message number this far or farther ahead of the next expected one is refused. §8 */
export const MAX_AHEAD = 65_536;
/** Keys kept for the gaps of one chain. §8 */
export const MAX_SKIPPED_KEYS = 256;
/** How long the epoch before, and the room secret before, can still be read. §8 */
export const CHAIN_LIFE_MS = 120_000;
/** The admin's heartbeat, and the least of a member's. §8 */
export const HEARTBEAT_MS = 30_000;
/** Having heard nothing authenticated of the admin for so long, membership may be stale. §8 */
export const STALE_AFTER_MS = 90_000;

/** Longest chain of statements about the relay's key. §2.1 */
export const MAX_KEY_CHANGES = 8;
/** How long after its time the key that goes is still taken: clocks differ, and relays are late. §2.1 */
export const KEY_CHANGE_GRACE_S = 3600;
