/**
 * A relay that wants a login, on loopback with real TLS, and somebody who speaks to it message by message.
 */
import { join } from "node:path";
import { ClientHalf } from "../../src/auth/client_half.ts";
import { loginProof } from "../../src/auth/login_proof.ts";
import { OpaqueWorker } from "../../src/auth/opaque_worker.ts";
import type { runServer } from "../../src/server/main.ts";
import { DEFAULT_OPERATION } from "../../src/server/operation.ts";
import { DEFAULT_RELAY_LIMITS, type RelayLimits } from "../../src/server/relay_limits.ts";
import { addUser } from "../../src/server/shell_account_commands.ts";
import { sha256 } from "../../src/server/verify.ts";
import { dial } from "../../src/transport/dial.ts";
import type { AccountName } from "../../src/wire/account_name.ts";
import { type RelayKey, relayKey } from "../../src/wire/ids.ts";
import { parseLink } from "../../src/wire/link_url.ts";
import type {
  Access,
  LoginFinish,
  LoginStart,
  RelayMessageKind,
} from "../../src/wire/relay_message.ts";
import { Person } from "./gate_people.ts";

/** Answers to messages of the login. */
const ANSWERS: ReadonlySet<RelayMessageKind> = new Set([
  "login-answer",
  "logged-in",
  "register-answer",
  "registered",
  "login-refused",
  "closing",
]);

/** What was said in a login, as somebody records it who sees it in plain text. */
export interface RecordedLogin {
  readonly start: LoginStart;
  readonly finish: LoginFinish;
}

/** Somebody at the relay's desk. */
export class Visitor extends Person {
  readonly #worker: OpaqueWorker;
  readonly #believed: RelayKey;
  #answers = 0;

  constructor(worker: OpaqueWorker, ...[link, relay]: ConstructorParameters<typeof Person>) {
    super(link, relay);
    this.#worker = worker;
    if (relay === undefined) throw new Error("a visitor knows its relay");
    this.#believed = relay;
  }

  /** Sends one message and waits for its answer. */
  async ask(message: Parameters<Person["send"]>[0]) {
    this.send(message);
    const answers = () => this.got.filter(({ kind }) => ANSWERS.has(kind));
    await this.until(() => answers().length > this.#answers || this.ended);
    const answer = answers()[this.#answers];
    if (answer === undefined) throw new Error(`no answer to ${message.kind}`);
    this.#answers++;
    return answer;
  }

  /** Registers. @returns `registered`, or the code of the refusal */
  async register(name: AccountName, code: string, password: string): Promise<string> {
    const half = new ClientHalf(this.#worker, password);
    const { request, state } = await half.startRegistration();
    const answer = await this.ask({ kind: "register-start", account: name, code, request });
    if (answer.kind === "login-refused" || answer.kind === "closing") return answer.code;
    if (answer.kind !== "register-answer") throw new Error(answer.kind);
    const record = await half.finishRegistration(state, answer.response);
    if (record === null) throw new Error("no record");
    const last = await this.ask({ kind: "register-finish", record });
    return last.kind === "login-refused" || last.kind === "closing" ? last.code : last.kind;
  }

  /**
   * Logs in.
   *
   * @param between called before LOGIN_FINISH is sent, which it may change
   * @returns `logged-in`, `wrong-password`, or the code of the refusal
   */
  async logIn(
    name: AccountName,
    password: string,
    between: (login: RecordedLogin) => Promise<LoginFinish> = ({ finish }) =>
      Promise.resolve(finish),
  ): Promise<string> {
    const half = new ClientHalf(this.#worker, password);
    const { request: ke1, state } = await half.startLogin();
    const start: LoginStart = { kind: "login-start", account: name, ke1 };
    const answer = await this.ask(start);
    if (answer.kind === "login-refused" || answer.kind === "closing") return answer.code;
    if (answer.kind !== "login-answer") throw new Error(answer.kind);
    const finished = await half.finishLogin(state, answer.ke2);
    if (finished === null || this.nonce === null) return "wrong-password";
    const proof = await loginProof(finished.sessionKey, this.nonce, this.#believed);
    const finish = await between({
      start,
      finish: { kind: "login-finish", ke3: finished.ke3, proof },
    });
    const last = await this.ask(finish);
    return last.kind === "login-refused" || last.kind === "closing" ? last.code : last.kind;
  }
}

/** See the module; `await using` stops it. */
export class AccountRelay implements AsyncDisposable {
  readonly out: string[] = [];
  readonly err: string[] = [];
  readonly certs: string;
  readonly worker: OpaqueWorker = new OpaqueWorker();
  readonly exit: Promise<number>;
  readonly #stop = Promise.withResolvers<string>();
  readonly #ready = Promise.withResolvers<void>();

  /**
   * @param folder for its files
   * @param run `runServer`, perhaps of a copy of the program
   */
  constructor(
    folder: string,
    run: typeof runServer,
    access: Access = "account",
    limits: Partial<RelayLimits> = {},
  ) {
    this.certs = join(folder, "certs");
    this.exit = run(
      {
        listen: [{ host: "127.0.0.1", port: 0 }],
        certs: this.certs,
        public: null,
        ui: "line",
        limits: { ...DEFAULT_RELAY_LIMITS, ...limits },
        operation: { ...DEFAULT_OPERATION, access },
      },
      {
        out: (line) => {
          this.out.push(line);
          if (line.includes("server link")) this.#ready.resolve();
        },
        err: (line) => this.err.push(line),
      },
      {
        version: "0.0.0",
        stop: { stopped: this.#stop.promise, dispose: () => {} },
        addresses: () => ["192.0.2.9"],
      },
    );
    this.exit.then(() => this.#ready.resolve());
  }

  /** Resolves once it listens or has ended. */
  ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Somebody connects. */
  async arrive(): Promise<Visitor> {
    const { host, port, relayKey: pin } = this.link;
    const visitor = new Visitor(this.worker, await dial({ host, port, pin }), relayKey(pin));
    await visitor.until(() => visitor.nonce !== null);
    return visitor;
  }

  /** The server link that was printed. */
  get link() {
    const text = /stm:\/\/[^\s"]+/.exec(this.out.join("\n"))?.[0] ?? "";
    return parseLink(text, sha256);
  }

  /** `stm server user add`. @returns the code */
  async add(name: AccountName): Promise<string> {
    const out: string[] = [];
    const exit = await addUser({ certs: this.certs, ui: "json" }, name, 3_600_000, {
      out: (line) => out.push(line),
      err: (line) => out.push(line),
    });
    const code = /"code":"([^"]+)"/.exec(out.join())?.[1];
    if (exit !== 0 || code === undefined) throw new Error(out.join("\n"));
    return code;
  }

  /** An account with a password, made as an operator and a person make it. */
  async withAccount(name: AccountName, password: string): Promise<void> {
    const visitor = await this.arrive();
    const registered = await visitor.register(name, await this.add(name), password);
    if (registered !== "registered") throw new Error(registered);
    visitor.link.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.resolve("SIGTERM");
    await this.exit;
    this.worker.close();
  }
}
