/**
 * The login to a relay that asks for one (PROTOCOL §3.3): who, with which password, and the messages of one
 * connection. The password is asked for before the relay is dialled, which does not wait for a person.
 */
import { ClientHalf } from "../auth/client_half.ts";
import { loginProof } from "../auth/login_proof.ts";
import { OpaqueWorker } from "../auth/opaque_worker.ts";
import type { AccountName } from "../wire/account_name.ts";
import type { Challenge, RelayKey } from "../wire/ids.ts";
import type { LoginRefusedCode, RelayMessage } from "../wire/relay_message.ts";

/** Ends of a connection that are about the login. The session stops with exit code 5, or tries again later. */
export type LoginEnd = "login-needed" | "login-refused" | "login-later";

/** What comes of a message of the login. */
export type LoginStep =
  | { readonly kind: "send"; readonly message: RelayMessage }
  | { readonly kind: "in" }
  | { readonly kind: "ended"; readonly code: LoginEnd; readonly message: string }
  /** The relay breaks the protocol. */
  | { readonly kind: "broken"; readonly why: string };

/** The login of one connection. */
export interface LoginDialogue {
  /** The first message. */
  start(): Promise<LoginStep>;
  /** What follows one of the relay's. */
  take(message: RelayMessage): Promise<LoginStep>;
  /** Nothing more comes. */
  close(): void;
}

/** How a session logs in; the same for each of its connections. */
export interface Login {
  /** For a new connection. */
  begin(relay: RelayKey, nonce: Challenge): LoginDialogue;
}

/** What the person gave. */
export interface Credentials {
  readonly account: AccountName;
  readonly password: string;
  /** The account is made with it, on the first connection. */
  readonly code: string | null;
  /** Called after each login, and waited for. */
  readonly loggedIn: () => Promise<void>;
}

/** Messages of the relay that belong to the login. */
export const OF_LOGIN: ReadonlySet<RelayMessage["kind"]> = new Set([
  "login-answer",
  "logged-in",
  "register-answer",
  "registered",
  "login-refused",
]);

/** The login of a session. */
export function loginWith(credentials: Credentials): Login {
  let { code } = credentials;
  return {
    begin: (relay, nonce) =>
      new Dialogue(credentials, code, relay, nonce, () => {
        code = null;
      }),
  };
}

/** What the next message has to be, and what is needed for it. */
type Waiting =
  | { readonly for: "register-answer"; readonly state: string }
  | { readonly for: "registered" }
  | { readonly for: "login-answer"; readonly state: string }
  | { readonly for: "logged-in" }
  | { readonly for: "nothing" };

class Dialogue implements LoginDialogue {
  readonly #worker = new OpaqueWorker();
  readonly #half: ClientHalf;
  #waiting: Waiting = { for: "nothing" };

  constructor(
    private readonly credentials: Credentials,
    private readonly code: string | null,
    private readonly relay: RelayKey,
    private readonly nonce: Challenge,
    private readonly registered: () => void,
  ) {
    this.#half = new ClientHalf(this.#worker, credentials.password);
  }

  async start(): Promise<LoginStep> {
    const { account } = this.credentials;
    if (this.code === null) return await this.#startLogin();
    const { request, state } = await this.#half.startRegistration();
    this.#waiting = { for: "register-answer", state };
    return send({ kind: "register-start", account, code: this.code, request });
  }

  async take(message: RelayMessage): Promise<LoginStep> {
    const waiting = this.#waiting;
    this.#waiting = { for: "nothing" };
    if (message.kind === "login-refused") return refused(message, this.credentials.account);
    if (message.kind === "register-answer" && waiting.for === "register-answer") {
      const record = await this.#half.finishRegistration(waiting.state, message.response);
      if (record === null) return { kind: "broken", why: "REGISTER_ANSWER is none" };
      this.#waiting = { for: "registered" };
      return send({ kind: "register-finish", record });
    }
    if (message.kind === "registered" && waiting.for === "registered") {
      this.registered();
      return await this.#startLogin();
    }
    if (message.kind === "login-answer" && waiting.for === "login-answer") {
      return await this.#finishLogin(waiting.state, message.ke2);
    }
    if (message.kind === "logged-in" && waiting.for === "logged-in") {
      await this.credentials.loggedIn();
      return { kind: "in" };
    }
    return { kind: "broken", why: `${message.kind} out of turn` };
  }

  close(): void {
    this.#worker.close();
  }

  async #startLogin(): Promise<LoginStep> {
    const { request: ke1, state } = await this.#half.startLogin();
    this.#waiting = { for: "login-answer", state };
    return send({ kind: "login-start", account: this.credentials.account, ke1 });
  }

  async #finishLogin(state: string, ke2: Uint8Array<ArrayBuffer>): Promise<LoginStep> {
    const finished = await this.#half.finishLogin(state, ke2);
    // That the password is wrong, or the account unknown, is found out here, and the relay is not told.
    if (finished === null) return wrong(this.credentials.account);
    const proof = await loginProof(finished.sessionKey, this.nonce, this.relay);
    this.#waiting = { for: "logged-in" };
    return send({ kind: "login-finish", ke3: finished.ke3, proof });
  }
}

function send(message: RelayMessage): LoginStep {
  return { kind: "send", message };
}

function wrong(account: AccountName): LoginStep {
  return {
    kind: "ended",
    code: "login-refused",
    message:
      `wrong password, or no account ${account} at this relay. A new account, or one that was ` +
      "reset, needs its registration code: --code-file FILE, or nothing where the password is asked for",
  };
}

/** In our own words: the relay's are for its log. */
function refused(
  { code, waitMs }: RelayMessage & { kind: "login-refused" },
  account: AccountName,
): LoginStep {
  if (code === "wrong-login") return wrong(account);
  const later = code === "rate-limited" || code === "busy";
  const seconds = Math.ceil(waitMs / 1000);
  const words: Record<Exclude<LoginRefusedCode, "wrong-login">, string> = {
    "wrong-code":
      `the registration code is unknown, used up, expired, or not for the account ${account}: ask the ` +
      "relay's operator for another (stm server user reset)",
    "name-taken": `there is an account ${account} already: choose another name`,
    "accounts-full":
      "the code is good, but this relay has as many accounts as it can keep: ask its operator to remove " +
      "some (stm server user remove), and try again",
    "disabled": `the account ${account} may not be used now: ask the relay's operator`,
    "rate-limited": `too many logins: the relay takes another in ${seconds} s`,
    "busy": `the relay has too much to do: try again in ${seconds} s`,
  };
  return {
    kind: "ended",
    code: later ? "login-later" : "login-refused",
    message: words[code],
  };
}
