import {
  type ParticipantOptions,
  type ParticipantPorts,
  type RelayPlace,
  type RoleStart,
  runParticipant,
} from "../driver/participant.ts";
import { readInvites } from "../driver/invites.ts";
import { prepareInvited, prepareOpen, type RoomMaker } from "../driver/rooms.ts";
import { initialState, type SessionState } from "../session/state.ts";
import type { InviteLink } from "../wire/link_url.ts";
import { clientRole } from "./role.ts";

/** The command line of `stm client`. */
export interface ClientOptions extends ParticipantOptions {
  /** Invites as given; `-` reads one from standard input. */
  readonly invites: readonly string[];
  readonly inviteFile: string | undefined;
  /** `--host` was given: an open room, no invite. */
  readonly open: boolean;
  /** The open room's name. */
  readonly room: string;
}

/**
 * Runs `stm client`.
 *
 * @returns the exit code, see docs/JSON.md
 */
export function runClient(options: ClientOptions, ports: ParticipantPorts): Promise<number> {
  return runParticipant(options, ports, "client", async () => {
    if (options.open) {
      const relay = { host: options.host, port: options.port, key: null };
      return { relay, start: openStart(options.room), warning: null };
    }
    const { invites, warning } = await readInvites(options, ports.terminal);
    return { relay: relayOf(invites[0]), start: invitedStart(invites), warning };
  });
}

function relayOf(invite: InviteLink): RelayPlace {
  return { host: invite.host, port: invite.port, key: invite.relayKey };
}

function openStart(room: string): RoleStart<SessionState> {
  return {
    role: clientRole,
    begin: async (maker: RoomMaker, me) => ({
      rooms: [await prepareOpen(maker, room)],
      initial: initialState(me),
    }),
  };
}

function invitedStart(invites: readonly InviteLink[]): RoleStart<SessionState> {
  return {
    role: clientRole,
    begin: async (maker: RoomMaker, me) => ({
      rooms: await Promise.all(invites.map((invite) => prepareInvited(maker, invite))),
      initial: initialState(me),
    }),
  };
}
