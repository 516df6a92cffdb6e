/**
 * The relay's half of OPAQUE. It never holds a password; it holds a record of each account and, apart
 * from them, one setup. Without the setup a record allows no guessing.
 *
 * @see docs/PROTOCOL.md §3.3
 * @module
 */
import type { AccountName } from "../wire/account_name.ts";
import { type Bytes, type OpaqueWorker, orNull, toBytes, toText } from "./opaque_worker.ts";

/** Bytes of a setup: OPRF seed, the relay's OPAQUE key, and the key behind answers for nobody. */
export const SETUP_BYTES = 128;
/** Bytes of a RegistrationRecord. */
export const RECORD_BYTES = 192;

/** A new setup, from the worker's random source. */
export async function createSetup(worker: OpaqueWorker): Promise<Bytes> {
  return toBytes(await worker.call("server", "createSetup", undefined));
}

/** One relay's half. */
export class ServerHalf {
  readonly #worker: OpaqueWorker;
  readonly #setup: string;

  /** @param setup see {@link createSetup} */
  constructor(worker: OpaqueWorker, setup: Bytes) {
    this.#worker = worker;
    this.#setup = toText(setup);
  }

  /** RegistrationResponse. @returns null for bytes that are no request */
  async register(account: AccountName, request: Bytes): Promise<Bytes | null> {
    const answer = await orNull(this.#worker.call("server", "createRegistrationResponse", {
      serverSetup: this.#setup,
      userIdentifier: account,
      registrationRequest: toText(request),
    }));
    return answer === null ? null : toBytes(answer.registrationResponse);
  }

  /**
   * KE2.
   *
   * @param record null if there is no such account: the answer looks and takes alike
   * @returns with the state for {@link finishLogin}, which is secret; null for bytes that are no KE1
   */
  async startLogin(
    account: AccountName,
    record: Bytes | null,
    ke1: Bytes,
  ): Promise<{ ke2: Bytes; state: string } | null> {
    const answer = await orNull(this.#worker.call("server", "startLogin", {
      serverSetup: this.#setup,
      userIdentifier: account,
      registrationRecord: record === null ? null : toText(record),
      startLoginRequest: toText(ke1),
    }));
    if (answer === null) return null;
    return { ke2: toBytes(answer.loginResponse), state: answer.serverLoginState };
  }

  /** Whether these bytes are a record at all: one that is not would fail each later login. */
  async isRecord(account: AccountName, record: Bytes): Promise<boolean> {
    const { startLoginRequest } = await this.#worker.call("client", "startLogin", { password: "" });
    return await this.startLogin(account, record, toBytes(startLoginRequest)) !== null;
  }

  /** The session key. @returns null if KE3 does not prove the password */
  async finishLogin(state: string, ke3: Bytes): Promise<Bytes | null> {
    const answer = await orNull(this.#worker.call("server", "finishLogin", {
      serverLoginState: state,
      finishLoginRequest: toText(ke3),
    }));
    return answer === null ? null : toBytes(answer.sessionKey);
  }
}
