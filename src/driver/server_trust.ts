/**
 * Which key a relay must have (PROTOCOL §2, P11): the link's, else `--pin`'s, else the one that somebody said
 * yes to before, else the person is asked. Nothing but the handshake is spoken before that is settled.
 */
import { fingerprintOf } from "../crypto/join.ts";
import { EXIT } from "../session/exit_code.ts";
import type { ServerPins } from "../store/server_pins.ts";
import { DialError, peekServerKey } from "../transport/dial.ts";
import { formatFingerprint, fromHex, type RelayKey, relayKey } from "../wire/ids.ts";
import { formatAddress } from "../wire/link_url.ts";
import { StartError } from "./start_error.ts";

/** The relays that somebody has said yes to, and where that is kept. */
export interface KnownServers {
  readonly path: string;
  readonly pins: ServerPins;
}

/** What is known of a relay that no link names. */
export interface TrustQuestion {
  readonly host: string;
  readonly port: number;
  /** `--pin`: the key in 64 hex digits, or its fingerprint in 32. */
  readonly pin: string | undefined;
  /** `--accept-new`: a relay met for the first time is believed. */
  readonly acceptNew: boolean;
  /** `null` if nothing is to be remembered (`--ephemeral`). */
  readonly known: KnownServers | null;
  /** Asks the person; `null` without a terminal. */
  readonly confirm: ((question: string) => Promise<boolean>) | null;
}

/**
 * The key that the relay must prove.
 *
 * @throws {StartError} exit code 4 if nobody vouches for it, 3 if it cannot be reached, 2 for a malformed pin
 */
export async function trustedKey(question: TrustQuestion): Promise<RelayKey> {
  const { host, port, pin, known } = question;
  if (pin !== undefined) return await pinnedKey(host, port, pin);
  const remembered = await known?.pins.pinFor(host, port);
  if (remembered !== undefined) return relayKey(fromHex(remembered.key));

  const key = relayKey(await peek(host, port));
  const shown = formatFingerprint(fingerprintOf(key));
  const where = formatAddress(host, port);
  const accepted = question.acceptNew ||
    (await question.confirm?.(
      `The relay ${where} is not known yet. Its fingerprint is\n  ${shown}\n` +
        `Compare it with what the relay printed at its start.\nIs it the same?`,
    ) ?? false);
  if (!accepted) {
    throw new StartError(
      "unknown-server",
      EXIT.wrongKey,
      `the relay ${where} is not known (its fingerprint would be ${shown}): compare that with the relay's own ` +
        `and give --pin "${shown}", or --accept-new to believe it`,
    );
  }
  await known?.pins.remember(host, port, key.toHex());
  return key;
}

async function pinnedKey(host: string, port: number, pin: string): Promise<RelayKey> {
  const hex = pin.replaceAll(/[\s:]/g, "").toLowerCase();
  if (/^[0-9a-f]{64}$/.test(hex)) return relayKey(fromHex(hex));
  if (!/^[0-9a-f]{32}$/.test(hex)) {
    throw new StartError(
      "usage",
      EXIT.usage,
      `--pin takes the relay's fingerprint (32 hex digits) or key (64), as the relay prints them, not "${pin}"`,
    );
  }
  const key = relayKey(await peek(host, port));
  if (fingerprintOf(key).toHex() === hex) return key;
  throw new StartError(
    "wrong-key",
    EXIT.wrongKey,
    `the relay ${formatAddress(host, port)} shows the fingerprint ${
      formatFingerprint(fingerprintOf(key))
    }, ` +
      `not the pinned one: somebody may be in between; nothing was sent`,
  );
}

async function peek(host: string, port: number): Promise<Uint8Array> {
  try {
    return await peekServerKey({ host, port });
  } catch (error) {
    throw dialFailure(error, null);
  }
}

/**
 * What a failed dial means to the person.
 *
 * @param known where the key was remembered, if it was
 */
export function dialFailure(error: unknown, known: KnownServers | null): unknown {
  if (!(error instanceof DialError)) return error;
  if (error.code !== "wrong-key") {
    return new StartError(error.code, EXIT.unreachable, error.message, { cause: error });
  }
  const remedy = known === null
    ? "ask for a new link if the relay was set up anew"
    : `if its operator tells you that it has a new key, remove its line from ${known.path}`;
  return new StartError(
    "wrong-key",
    EXIT.wrongKey,
    `${error.message}: somebody may be in between; nothing was sent; ${remedy}`,
    { cause: error },
  );
}
