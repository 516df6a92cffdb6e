import type { SessionState } from "./state.ts";
import type { SessionView } from "./view.ts";
import { agreementOf, membersOf } from "./turn.ts";

/** People who wait to be admitted, by room id; the admin's role knows them. */
export type Requests = ReadonlyMap<string, readonly { request: string; name: string }[]>;

/** What faces may draw of a state. */
export function viewOf(
  state: SessionState,
  role: SessionView["role"],
  requests: Requests = new Map(),
): SessionView {
  return {
    me: state.me,
    role,
    connection: state.connection,
    front: state.rooms.find((r) => r.id === state.front)?.name ?? null,
    rooms: state.rooms.filter((r) => r.phase !== "closed").map((room) => ({
      name: room.name,
      roomId: room.id,
      phase: room.phase,
      epoch: room.epoch,
      safetyCode: room.safetyCode,
      members: membersOf(room),
      requests: requests.get(room.id) ?? [],
      unread: room.unread,
      // What is said again has been shown as sent.
      pending: room.pending.filter(({ saidTo }) => saidTo === undefined).length,
      agreement: room.agreement.now === null ? null : agreementOf(room, room.agreement.now),
    })),
  };
}
