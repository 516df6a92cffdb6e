/**
 * The participant's half of OPAQUE: what leaves it never tells the password, nor anything that a
 * password can be tried against without the relay.
 *
 * @see docs/PROTOCOL.md §3.3
 * @module
 */
import { type Bytes, type OpaqueWorker, orNull, toBytes, toText } from "./opaque_worker.ts";

/** What one guess costs who has stolen both files of a relay. §3.3 */
const KEY_STRETCHING = {
  "argon2id-custom": { iterations: 3, memory: 65536, parallelism: 1 },
} as const;

/** Between the two messages of a login or registration. Secret. */
export interface Begun {
  /** Goes to the relay: KE1, or the RegistrationRequest. */
  readonly request: Bytes;
  /** For the second half. */
  readonly state: string;
}

/** One person's half. */
export class ClientHalf {
  readonly #worker: OpaqueWorker;
  readonly #password: string;

  /** @param password as it was typed */
  constructor(worker: OpaqueWorker, password: string) {
    this.#worker = worker;
    this.#password = password.normalize("NFC");
  }

  /** KE1. */
  async startLogin(): Promise<Begun> {
    const begun = await this.#worker.call("client", "startLogin", { password: this.#password });
    return { request: toBytes(begun.startLoginRequest), state: begun.clientLoginState };
  }

  /**
   * KE3, if KE2 shows that the relay knows us by this password. Takes 0.2 to 0.4 s.
   *
   * @returns null for a wrong password, an unknown account, or bytes that are no KE2
   */
  async finishLogin(state: string, ke2: Bytes): Promise<{ ke3: Bytes; sessionKey: Bytes } | null> {
    const finished = await orNull(this.#worker.call("client", "finishLogin", {
      clientLoginState: state,
      loginResponse: toText(ke2),
      password: this.#password,
      keyStretching: KEY_STRETCHING,
    }));
    if (finished === null || finished === undefined) return null;
    return {
      ke3: toBytes(finished.finishLoginRequest),
      sessionKey: toBytes(finished.sessionKey),
    };
  }

  /** RegistrationRequest. */
  async startRegistration(): Promise<Begun> {
    const { registrationRequest, clientRegistrationState } = await this.#worker.call(
      "client",
      "startRegistration",
      { password: this.#password },
    );
    return { request: toBytes(registrationRequest), state: clientRegistrationState };
  }

  /**
   * RegistrationRecord. Takes 0.2 to 0.4 s.
   *
   * @returns null for bytes that are no RegistrationResponse
   */
  async finishRegistration(state: string, response: Bytes): Promise<Bytes | null> {
    const finished = await orNull(this.#worker.call("client", "finishRegistration", {
      clientRegistrationState: state,
      registrationResponse: toText(response),
      password: this.#password,
      keyStretching: KEY_STRETCHING,
    }));
    return finished === null ? null : toBytes(finished.registrationRecord);
  }
}
