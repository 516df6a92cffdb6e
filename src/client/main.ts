import {
  type ParticipantOptions,
  type ParticipantPorts,
  type RelayPlace,
  type RoleStart,
  runParticipant,
} from "../driver/participant.ts";
import { readInvites } from "../driver/invites.ts";
import type { PreparedRoom } from "../driver/ports.ts";
import { savedClientRoom } from "../driver/profile_rooms.ts";
import { prepareInvited, prepareOpen, prepareReturn, type RoomMaker } from "../driver/rooms.ts";
import { adminRole, type AdminState, initialAdminState } from "../admin/role.ts";
import { initialState } from "../session/state.ts";
import type { InviteLink } from "../wire/link_url.ts";

/** The command line of `stm client`. */
export interface ClientOptions extends ParticipantOptions {
  /** Invites as given; `-` reads one from standard input. */
  readonly invites: readonly string[];
  readonly inviteFile: string | undefined;
  /** `--host` was given: an open room, no invite. */
  readonly open: boolean;
  /** The open room's name, or that of a room that the profile knows. */
  readonly room: string | undefined;
}

/** What an open room is called if nobody says. */
const DEFAULT_ROOM = "main";

/**
 * Runs `stm client`.
 *
 * @returns the exit code, see docs/JSON.md
 */
export function runClient(options: ClientOptions, ports: ParticipantPorts): Promise<number> {
  return runParticipant(options, ports, "client", async (profile) => {
    if (options.open) {
      const relay = { host: options.host, port: options.port, key: null };
      const { room = DEFAULT_ROOM } = options;
      return {
        relay,
        start: startOf(async (maker) => [await prepareOpen(maker, room)]),
        warning: null,
      };
    }
    const invited = options.invites.length > 0 || options.inviteFile !== undefined;
    const back = profile === null || invited ? null : savedClientRoom(profile, options.room);
    if (back !== null) {
      const start = startOf(async (maker) => [await prepareReturn(maker, back.saved)]);
      return { relay: back.relay, start, warning: null };
    }
    const { invites, warning } = await readInvites(options, ports.terminal);
    const start = startOf((maker) =>
      Promise.all(invites.map((invite) => prepareInvited(maker, invite)))
    );
    return { relay: relayOf(invites[0]), start, warning };
  });
}

function relayOf(invite: InviteLink): RelayPlace {
  return { host: invite.host, port: invite.port, key: invite.relayKey };
}

function startOf(
  prepare: (maker: RoomMaker) => Promise<readonly PreparedRoom[]>,
): RoleStart<AdminState> {
  return {
    // A client administers nothing, until it takes a room over.
    role: adminRole,
    begin: async (maker, me, verified) => ({
      rooms: await prepare(maker),
      initial: initialAdminState(initialState(me, verified)),
    }),
  };
}
