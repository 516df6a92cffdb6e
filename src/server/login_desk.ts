/**
 * What the relay answers to the messages of logins and registrations. The way of a login:
 *
 * 1. LOGIN_START is counted for its address and its account; too many are told to wait.
 * 2. The answer is made, in a worker, with the account's record or, if there is none, with one that
 *    nobody can tell from it.
 * 3. LOGIN_FINISH proves the password, and the proof with it that it was meant for this relay and this
 *    connection. Only then is looked at whether the account may be used now.
 *
 * @see docs/PROTOCOL.md §3.3
 * @module
 */
import { isLoginProof } from "../auth/login_proof.ts";
import type { ServerHalf } from "../auth/server_half.ts";
import type { CodeVerdict } from "../store/accounts.ts";
import type { AccountName } from "../wire/account_name.ts";
import { type Challenge, fromHex, type RelayKey, toHex } from "../wire/ids.ts";
import type {
  LoginFinish,
  LoginRefusedCode,
  LoginStart,
  RegisterFinish,
  RegisterStart,
  RelayMessage,
} from "../wire/relay_message.ts";
import type { AccountBook, LoggedInAccount } from "./account_book.ts";
import type { LoginLimits } from "./login_limits.ts";
import { hashCode } from "./registration_code.ts";

/** Calls of the worker that may wait: at 2 ms each nobody waits for a second. */
const MAX_WAITING = 256;

/** What a participant may say to the desk. */
export type LoginMessage = LoginStart | LoginFinish | RegisterStart | RegisterFinish;

/** One connection at the desk. */
export interface LoginVisit {
  /** `host:port` of the other side. */
  readonly remoteAddress: string;
  /** Of its CHALLENGE. */
  readonly nonce: Challenge;
  /** The key that the relay has shown on it. */
  readonly relayKey: RelayKey;
  /** What it has begun; the desk's own. */
  begun: BegunLogin | null;
}

/** A login or registration of which the first half is done. */
export type BegunLogin =
  | {
    /** A login. */
    readonly kind: "login";
    /** Whose; the record is null if there was none. */
    readonly account: AccountName;
    /** See {@link LoggedInAccount}. */
    readonly record: string | null;
    /** Secret, of OPAQUE. */
    readonly state: string;
  }
  | {
    /** A registration. */
    readonly kind: "registration";
    /** For whom. */
    readonly account: AccountName;
    /** Of the code. */
    readonly hash: string;
  };

/** What is to be done about a message. */
export type LoginOutcome =
  | { readonly kind: "reply"; readonly message: RelayMessage }
  | { readonly kind: "in"; readonly account: LoggedInAccount }
  /** The other side breaks the protocol. */
  | { readonly kind: "broken"; readonly why: string };

/** What the desk works with. */
export interface LoginDeskParts {
  /** The relay's half of OPAQUE. */
  readonly half: ServerHalf;
  /** How many calls of the worker wait. */
  readonly waiting: () => number;
  /** The accounts. */
  readonly book: AccountBook;
  /** Keeps a registration; the code is judged once more, with the file as it is then. */
  readonly register: (name: AccountName, hash: string, record: string) => Promise<CodeVerdict>;
  /** Whether codes for new accounts count. */
  readonly inviting: boolean;
  /** See {@link LoginLimits}. */
  readonly limits: LoginLimits;
  /** The address as the limits name it; null if they do not apply to it. */
  readonly sourceOf: (remoteAddress: string) => string | null;
  /** Whether a ban of the account is in force. */
  readonly isBanned: (name: AccountName) => boolean;
  /** Milliseconds of a clock that does not go back. */
  readonly nowMs: () => number;
  /** The wall's clock. */
  readonly now: () => Date;
  /** Hears of our own failures. */
  readonly failed: (error: unknown) => void;
}

/** See the module. */
export class LoginDesk {
  readonly #parts: LoginDeskParts;

  /** @param parts see {@link LoginDeskParts} */
  constructor(parts: LoginDeskParts) {
    this.#parts = parts;
  }

  /** Answers one message. Does not throw: what fails on our side is `busy` to the other. */
  async take(visit: LoginVisit, message: LoginMessage): Promise<LoginOutcome> {
    const { begun } = visit;
    visit.begun = null;
    try {
      switch (message.kind) {
        case "login-start":
          return this.#notNow(visit, message.account) ?? await this.#startLogin(visit, message);
        case "register-start":
          return this.#notNow(visit, message.account) ??
            await this.#startRegistration(visit, message);
        case "login-finish":
          return begun?.kind === "login"
            ? await this.#finishLogin(visit, begun, message)
            : broken("LOGIN_FINISH without LOGIN_START");
        case "register-finish":
          return begun?.kind === "registration"
            ? await this.#finishRegistration(visit, begun, message)
            : broken("REGISTER_FINISH without REGISTER_START");
      }
    } catch (error) {
      this.#parts.failed(error);
      return refused("busy", "the relay cannot tell now; try again later", BUSY_MS);
    }
  }

  #notNow({ remoteAddress }: LoginVisit, account: AccountName): LoginOutcome | null {
    const { limits, sourceOf, nowMs, waiting } = this.#parts;
    if (waiting() >= MAX_WAITING) {
      return refused("busy", "too many log in at once; try again later", BUSY_MS);
    }
    const waitMs = limits.attempt(account, sourceOf(remoteAddress), nowMs());
    return waitMs === 0 ? null : refused("rate-limited", "too many attempts", waitMs);
  }

  async #startLogin(visit: LoginVisit, { account, ke1 }: LoginStart): Promise<LoginOutcome> {
    const record = this.#parts.book.recordOf(account);
    const bytes = record === null ? null : fromHex(record);
    const answer = await this.#parts.half.startLogin(account, bytes, ke1);
    if (answer === null) return broken("LOGIN_START brings no KE1");
    visit.begun = { kind: "login", account, record, state: answer.state };
    return reply({ kind: "login-answer", ke2: answer.ke2 });
  }

  async #finishLogin(
    { nonce, relayKey, remoteAddress }: LoginVisit,
    { account: name, record, state }: BegunLogin & { kind: "login" },
    { ke3, proof }: LoginFinish,
  ): Promise<LoginOutcome> {
    const { half, book, limits, sourceOf, nowMs, isBanned } = this.#parts;
    const sessionKey = await half.finishLogin(state, ke3);
    const holds = sessionKey !== null && await isLoginProof(proof, sessionKey, nonce, relayKey);
    // The password may have been reset since the login began.
    const verdict = holds && record !== null ? book.judge({ name, record }) : "wrong";
    if (record === null || verdict === "wrong") {
      return refused("wrong-login", "wrong password, or no such account");
    }
    if (verdict === "disabled" || isBanned(name)) {
      return refused("disabled", "this account may not be used now; ask the relay's operator");
    }
    limits.succeeded(name, sourceOf(remoteAddress), nowMs());
    return { kind: "in", account: { name, record } };
  }

  async #startRegistration(
    visit: LoginVisit,
    { account, code, request }: RegisterStart,
  ): Promise<LoginOutcome> {
    const { book, half, inviting, now } = this.#parts;
    const hash = hashCode(code);
    const verdict = book.judgeCode(account, hash, inviting, now());
    if (verdict !== "good") return noRegistration(verdict);
    const response = await half.register(account, request);
    if (response === null) return broken("REGISTER_START brings no RegistrationRequest");
    visit.begun = { kind: "registration", account, hash };
    return reply({ kind: "register-answer", response });
  }

  async #finishRegistration(
    { remoteAddress }: LoginVisit,
    { account, hash }: BegunLogin & { kind: "registration" },
    { record }: RegisterFinish,
  ): Promise<LoginOutcome> {
    const { half, register, limits, sourceOf, nowMs } = this.#parts;
    if (!await half.isRecord(account, record)) {
      return broken("REGISTER_FINISH brings no RegistrationRecord");
    }
    const verdict = await register(account, hash, toHex(record));
    if (verdict !== "good") return noRegistration(verdict);
    limits.succeeded(account, sourceOf(remoteAddress), nowMs());
    return reply({ kind: "registered" });
  }
}

/** How long somebody is asked to wait when we have too much to do. */
const BUSY_MS = 2_000;

const NO_REGISTRATION: Record<Exclude<CodeVerdict, "good">, string> = {
  "name-taken": "there is such an account already; choose another name",
  "wrong-code": "the code is unknown, used up, expired, or for another account",
  "accounts-full": "the relay has as many accounts as it keeps; the operator can remove some",
};

function noRegistration(verdict: Exclude<CodeVerdict, "good">): LoginOutcome {
  return refused(verdict, NO_REGISTRATION[verdict]);
}

function refused(code: LoginRefusedCode, message: string, waitMs = 0): LoginOutcome {
  return reply({ kind: "login-refused", code, waitMs, message });
}

function reply(message: RelayMessage): LoginOutcome {
  return { kind: "reply", message };
}

function broken(why: string): LoginOutcome {
  return { kind: "broken", why };
}
