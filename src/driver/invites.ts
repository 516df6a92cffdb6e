/** Where an invite comes from: the arguments, a file, standard input, or the person. */
import { sha256 } from "../crypto/primitives.ts";
import type { Notice } from "../session/notice.ts";
import { EXIT } from "../session/exit_code.ts";
import { askSecret } from "../ui/prompt.ts";
import type { Terminal } from "../ui/terminal.ts";
import { type InviteLink, parseLink } from "../wire/link_url.ts";
import { firstLineOfFile, nextLine } from "./secret_input.ts";
import { StartError } from "./start_error.ts";

/**
 * The invites to join with, at least one, all of one relay.
 *
 * @throws {StartError} if there is none, one is a server link, or they are of different relays; {LinkError} for a malformed one
 */
export async function readInvites(
  given: {
    readonly invites: readonly string[];
    readonly inviteFile: string | undefined;
    readonly ui: string;
  },
  terminal: Terminal,
): Promise<{ invites: readonly [InviteLink, ...InviteLink[]]; warning: Notice | null }> {
  const texts: string[] = [];
  for (const text of given.invites) texts.push(text === "-" ? await nextLine(terminal) : text);
  if (given.inviteFile !== undefined) {
    texts.push(await firstLineOfFile(given.inviteFile, "--invite-file"));
  }
  if (texts.length === 0) {
    if (given.ui !== "line" || !terminal.isTerminal) {
      throw new StartError(
        "usage",
        EXIT.usage,
        "give an invite, - to read it from standard input, --invite-file FILE, or --host HOST for an open room",
      );
    }
    texts.push(await askSecret("Invite (stm://…)", terminal));
  }
  const [first, ...others] = texts.map(parseInvite);
  if (first === undefined) throw new RangeError("no invite was parsed");
  if (others.some((other) => other.relayKey.toHex() !== first.relayKey.toHex())) {
    throw new StartError(
      "usage",
      EXIT.usage,
      "these invites are for different relays: start one stm client for each relay",
    );
  }
  const onCommandLine = given.invites.some((text) => text !== "-");
  const warning: Notice | null = onCommandLine
    ? {
      type: "warning",
      code: "invite-on-command-line",
      message:
        "an invite among the arguments shows in process lists and shell history: next time use - or --invite-file",
    }
    : null;
  return { invites: [first, ...others], warning };
}

function parseInvite(text: string): InviteLink {
  const link = parseLink(text.trim(), sha256);
  if (link.kind === "invite") return link;
  throw new StartError(
    "usage",
    EXIT.usage,
    "that is a server link, not an invite: stm admin takes it; ask whoever runs the room for an invite",
  );
}
