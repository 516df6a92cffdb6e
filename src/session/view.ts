import type { AgreementView, MemberNotice } from "./notice.ts";

/**
 * What a face may draw: derived from the session's state after every step, plain data, no keys.
 * A face keeps no truth of its own.
 */
export interface SessionView {
  readonly me: { readonly name: string; readonly identity: string };
  readonly role: "admin" | "client";
  readonly connection: "connecting" | "connected" | "reconnecting" | "closed";
  /** In the order in which they were entered. */
  readonly rooms: readonly RoomView[];
  /** The `name` of the room that typed text goes to; `null` before the first. */
  readonly front: string | null;
}

/** One room of a view. */
export interface RoomView {
  readonly name: string;
  readonly roomId: string;
  readonly phase: "entering" | "waiting" | "joined" | "closed";
  readonly epoch: number;
  readonly safetyCode: string;
  readonly members: readonly MemberNotice[];
  /** People who wait for `/admit` or `/deny` (admin only). */
  readonly requests: readonly { readonly request: string; readonly name: string }[];
  readonly unread: number;
  /** How many texts of one's own wait to be sent. */
  readonly pending: number;
  /** Who sees the same conversation, as it is now; `null` while there is nobody to compare with. */
  readonly agreement: AgreementView | null;
}
