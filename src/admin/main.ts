import {
  type ParticipantOptions,
  type ParticipantPorts,
  runParticipant,
} from "../driver/participant.ts";
import { namesake, savedAdminRoom } from "../driver/profile_rooms.ts";
import { prepareAdministered } from "../driver/rooms.ts";
import type { SessionProfile } from "../driver/session_profile.ts";
import { StartError } from "../driver/start_error.ts";
import { initialState } from "../session/state.ts";
import { EXIT } from "../session/exit_code.ts";
import type { RelayKey } from "../wire/ids.ts";
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
  /** The relay's link. */
  readonly link: ServerLink | null;
  /** `--host` was given: an open room. With neither, a room that the profile ran before. */
  readonly open: boolean;
  /** The name of the room. */
  readonly room: string | undefined;
  readonly admin: AdminOptions;
}

/** What a room is called if nobody says. */
const DEFAULT_ROOM = "main";

/**
 * Runs `stm admin`.
 *
 * @returns the exit code, see docs/JSON.md
 */
export function runAdmin(options: AdminMainOptions, ports: ParticipantPorts): Promise<number> {
  return runParticipant<AdminState>(options, ports, "admin", (profile) => {
    const { relay, name, open } = roomToRun(options, profile);
    const told = relay.key === null ? null : namesake(profile, name, relay.key.toHex());
    return Promise.resolve({
      relay,
      warning: told === null ? null : { type: "info", text: told },
      start: {
        role: adminRole,
        async begin(maker, me, verified, server) {
          const room = await prepareAdministered(maker, name, open, server);
          const firstInvite = open ? null : options.admin.firstInvite;
          const initial = addAdminRoom(
            initialAdminState(initialState(me, verified)),
            room.id,
            { ...options.admin, firstInvite },
            room.kept,
          );
          return { rooms: [room], initial };
        },
      },
    });
  });
}

function roomToRun(options: AdminMainOptions, profile: SessionProfile | null): {
  readonly relay: { readonly host: string; readonly port: number; readonly key: RelayKey | null };
  readonly name: string;
  readonly open: boolean;
} {
  const { link, open, room: name = DEFAULT_ROOM } = options;
  if (link !== null) {
    return { relay: { host: link.host, port: link.port, key: link.relayKey }, name, open: false };
  }
  if (open) return { relay: { host: options.host, port: options.port, key: null }, name, open };
  if (profile === null) {
    throw new StartError("usage", EXIT.usage, "give the relay's link, or --host for an open room");
  }
  const { saved, relay } = savedAdminRoom(profile, options.room);
  return { relay, name: saved.name, open: saved.openRoomKey !== undefined };
}
