/**
 * What a participant can find out about a relay: whether it is reached, is the right one, speaks our protocol,
 * how far away it is, and what time it has.
 */
import { fingerprintOf } from "../crypto/join.ts";
import { type Credentials, loginWith } from "../driver/login.ts";
import { PinnedRelay } from "../driver/pinned_relay.ts";
import { EXIT } from "../session/exit_code.ts";
import { DialError } from "../transport/dial.ts";
import type { Link } from "../transport/link.ts";
import { formatFingerprint, type RelayKey, sameBytes } from "../wire/ids.ts";
import type { Successor } from "../wire/key_change.ts";
import { MAX_TICKET_LIFE_S, TICKET_CLOCK_SKEW_S } from "../wire/limits.ts";
import { formatAddress } from "../wire/link_url.ts";
import { narrowed, nextOffset, offsetOf, UNKNOWN_OFFSET } from "./clock_offset.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";
import { OwnRoom, RelayTalk, TalkError } from "./relay_talk.ts";

/** A relay and who it must be. */
export interface RelayTarget {
  readonly host: string;
  readonly port: number;
  readonly key: RelayKey;
  /** Keys that it is to have after that one, as it announced them before; oldest first. */
  readonly successors?: readonly Successor[];
  /** The file that remembers the key, if that is where it came from. */
  readonly rememberedIn?: string;
  /** The account to log in with, if it was given. */
  readonly account?: Pick<Credentials, "account" | "password">;
}

/** A conversation with more delay than this is no pleasure. */
const SLOW_MS = 1500;
/** Clocks of machines that keep time are closer than this. */
const NOTABLE_S = 60;

/**
 * Checks one relay.
 *
 * @param now this machine's clock, milliseconds since 1970
 */
export async function* relayFindings(
  target: RelayTarget,
  now: () => number,
): AsyncGenerator<Finding> {
  // As a session follows a planned change of the key; what is followed is kept by the next session.
  const { host, port, key, successors = [] } = target;
  const where = formatAddress(host, port);
  const pinned = new PinnedRelay(host, port, { key, successors }, {
    keep: () => Promise.resolve(),
    notice: () => {},
    now,
  });
  const before = performance.now();
  let link: Link;
  try {
    link = await pinned.dial();
  } catch (error) {
    if (!(error instanceof DialError)) throw error;
    yield unreached(error, target.rememberedIn);
    return;
  }
  yield ok("relay", `${where} answers; connected in ${Math.round(performance.now() - before)} ms`);
  const shown = formatFingerprint(fingerprintOf(pinned.key));
  yield ok(
    "pin",
    sameBytes(key, pinned.key)
      ? `it has proven the key with the fingerprint ${shown}`
      : `its key has changed as it announced: it has proven the one with the fingerprint ${shown}`,
  );
  try {
    let loggedIn = false;
    const login = target.account === undefined ? null : loginWith({
      ...target.account,
      code: null,
      loggedIn: () => {
        loggedIn = true;
        return Promise.resolve();
      },
    });
    await using talk = await RelayTalk.start(link, pinned.key, login);
    yield ok("protocol", "it speaks the protocol of this stm");
    if (loggedIn) yield ok("login", `logged in as ${target.account?.account}`);
    else yield ok("login", "the relay wants none");
    yield delayFinding(await talk.roundTripMs());
    yield await clockFinding(talk, now);
  } catch (error) {
    if (!(error instanceof TalkError)) throw error;
    yield ended(error, where);
  }
}

function ended({ code, message }: TalkError, where: string): Finding {
  switch (code) {
    case "login-needed":
      return warn(
        "login",
        `${where} is for people with an account, and none was tried`,
        "give --user NAME",
      );
    case "login-later":
      return warn("login", message, "wait, and try again; each attempt counts");
    case "login-refused":
      return fail(
        "login",
        message,
        "try the password again, or ask the relay's operator",
        EXIT.loginRefused,
      );
    default:
      return fail(
        "protocol",
        `the conversation with ${where} ended: ${message}`,
        "bring stm up to date here (stm version) and there; if both are, tell the relay's operator",
      );
  }
}

/**
 * Why there is no link, and what to do.
 *
 * @param rememberedIn the file that the key came from, if it did
 */
export function unreached(error: DialError, rememberedIn?: string): Finding {
  const { code, message, cause } = error;
  if (code === "wrong-key") {
    const renewed = rememberedIn === undefined
      ? "get a new link from them"
      : `remove its line from ${rememberedIn}`;
    return fail(
      "pin",
      `${message}: somebody may be in between; nothing was sent`,
      `if its operator tells you that the relay was set up anew, ${renewed}; else trust nothing there`,
      EXIT.wrongKey,
    );
  }
  return fail("relay", message, remedyOf(code, cause), EXIT.unreachable);
}

function remedyOf(code: DialError["code"], cause: unknown): string {
  if (code === "handshake-failed") {
    return "look whether address and port are the relay's, and whether something on the way opens TLS " +
      "(a proxy, a virus scanner); a relay that keeps you out for a while hangs up likewise";
  }
  const system = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (system === "ENOTFOUND" || system === "EAI_AGAIN") {
    return "look for a typing mistake in the name, and whether this machine finds any other name";
  }
  if (system === "ECONNREFUSED") {
    return "the machine is there and the relay is not: ask its operator whether it runs, and on which port";
  }
  return "a firewall drops it, or the machine is off: try another network, and have its operator run stm server doctor";
}

function delayFinding(ms: number): Finding {
  const text = `an answer takes ${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  return ms < SLOW_MS ? ok("delay", text) : warn(
    "delay",
    text,
    "something on the way is slow or full: try another network, or look at the relay's machine",
  );
}

async function clockFinding(talk: RelayTalk, now: () => number): Promise<Finding> {
  const room = await OwnRoom.make();
  let bounds = UNKNOWN_OFFSET;
  for (;;) {
    const k = nextOffset(bounds);
    if (k === null) break;
    const verdict = await talk.tryTicket(room, Math.max(0, Math.floor(now() / 1000) + k));
    // Good for longer than a ticket may be, by the relay's clock.
    const later = verdict === "good" || verdict === "bad-credential";
    if (!later && verdict !== "ticket-expired") {
      return unmeasured(`the relay answered "${verdict}"`);
    }
    bounds = narrowed(bounds, k, !later);
  }
  const relayAhead = offsetOf(bounds);
  if (relayAhead === null) return unmeasured("the relay took no ticket at all");
  return skewFinding(-relayAhead);
}

function unmeasured(why: string): Finding {
  return warn("clock", `could not be compared with the relay's: ${why}`, "try again in a minute");
}

/** The verdict on our clock. @param aheadS how far it is ahead of the relay's; negative: behind */
export function skewFinding(aheadS: number): Finding {
  const size = Math.abs(aheadS);
  if (size <= NOTABLE_S) return ok("clock", "within a minute of the relay's");
  const text = `this machine is ${duration(size)} ${aheadS > 0 ? "ahead of" : "behind"} the relay`;
  const remedy =
    "have the clock set by the network (timedatectl set-ntp true; in the settings of macOS and " +
    "Windows); if it is right, tell the relay's operator";
  // What an admin signs is good for MAX_TICKET_LIFE_S by our clock, and the relay judges it by its own.
  const useless = aheadS > TICKET_CLOCK_SKEW_S || aheadS <= -MAX_TICKET_LIFE_S;
  return useless ? fail("clock", `${text}: nobody could enter a room that you run`, remedy) : warn(
    "clock",
    `${text}: times beside messages are off, and invites end early or late`,
    remedy,
  );
}

/** Seconds of each unit, the largest first. */
const UNITS: readonly (readonly [string, number])[] = [
  ["days", 86_400],
  ["hours", 3600],
  ["minutes", 60],
];

function duration(seconds: number): string {
  const [unit, size] = UNITS.find(([, size]) => seconds >= 2 * size) ?? ["seconds", 1];
  return `about ${Math.round(seconds / size)} ${unit}`;
}
