import {
  type ParticipantOptions,
  type ParticipantPorts,
  runParticipant,
} from "../driver/participant.ts";
import { prepareAdministered } from "../driver/rooms.ts";
import { initialState } from "../session/state.ts";
import type { ServerLink } from "../wire/link_url.ts";
import {
  addAdminRoom,
  type AdminOptions,
  adminRole,
  type AdminState,
  initialAdminState,
} from "./role.ts";

/** The command line of `stm admin`. */
export interface AdminMainOptions extends ParticipantOptions {
  /** The relay's link; without one `--host` names it, and the rooms are open. */
  readonly link: ServerLink | null;
  /** Names of the rooms to run. */
  readonly rooms: readonly string[];
  readonly admin: AdminOptions;
}

/**
 * Runs `stm admin`.
 *
 * @returns the exit code, see docs/JSON.md
 */
export function runAdmin(options: AdminMainOptions, ports: ParticipantPorts): Promise<number> {
  const { link } = options;
  const open = link === null;
  const relay = open
    ? { host: options.host, port: options.port, key: null }
    : { host: link.host, port: link.port, key: link.relayKey };
  return runParticipant<AdminState>(options, ports, "admin", () =>
    Promise.resolve({
      relay,
      warning: null,
      start: {
        role: adminRole,
        async begin(maker, me) {
          const rooms = [];
          let initial = initialAdminState(initialState(me));
          for (const name of options.rooms) {
            const room = await prepareAdministered(maker, name, open);
            rooms.push(room);
            initial = addAdminRoom(initial, room.id, options.admin);
          }
          return { rooms, initial };
        },
      },
    }));
}
