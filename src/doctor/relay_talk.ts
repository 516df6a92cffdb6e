/** A relay that is asked one thing at a time, over one connection. */
import { Connection, type ConnectionEnd } from "../driver/connection.ts";
import type { Login } from "../driver/login.ts";
import { generateSigningKey, type SigningKey } from "../crypto/session_keys.ts";
import { sha256, sign } from "../crypto/primitives.ts";
import type { Link } from "../transport/link.ts";
import { encode } from "../wire/codec.ts";
import {
  type Challenge,
  gateKey,
  type RelayKey,
  type RoomId,
  roomKey,
  signature,
  ticketEpoch,
} from "../wire/ids.ts";
import type { RefusedCode, RelayMessage } from "../wire/relay_message.ts";
import { keyedRoomId } from "../wire/room_id.ts";
import { encodeCredential, encodeTicket, enterBody, TICKET_BODY } from "../wire/ticket.ts";

/** An answer that takes longer is none. */
const ANSWER_MS = 10_000;

/** What a relay makes of a ticket. */
export type TicketVerdict = "good" | RefusedCode;

/** The relay went away, kept silent, broke the protocol, or let nobody in. */
export class TalkError extends Error {
  override readonly name = "TalkError";

  /** @param code `silent` if no answer came in time */
  constructor(readonly code: ConnectionEnd | "silent", message: string) {
    super(message);
  }
}

type Answer = Extract<RelayMessage, { kind: "pong" | "entered" | "refused" }>;

/** A connection whose relay has spoken. `await using` ends it. */
export class RelayTalk implements AsyncDisposable {
  readonly #connection: Connection;
  #nonce = Promise.withResolvers<Challenge>();
  #answer = Promise.withResolvers<Answer>();

  private constructor(link: Link, private readonly relay: RelayKey, login: Login | null) {
    // Nobody may be waiting for either when the end comes.
    this.#nonce.promise.catch(() => {});
    this.#answer.promise.catch(() => {});
    this.#connection = new Connection(link, {
      onStart: (nonce) => {
        this.#nonce.resolve(nonce);
        return Promise.resolve();
      },
      onMessage: (message) => {
        if (message.kind === "pong" || message.kind === "entered" || message.kind === "refused") {
          this.#answer.resolve(message);
        }
        return Promise.resolve();
      },
      onEnd: (code, message) => {
        this.#nonce.reject(new TalkError(code, message));
        this.#answer.reject(new TalkError(code, message));
      },
      login: login === null ? undefined : (nonce) => login.begin(relay, nonce),
    }, () => performance.now());
  }

  /**
   * Waits for the relay's first words, answers them, and logs in if the relay wants that.
   *
   * @param login `null` if there is none
   * @throws {TalkError} if it says none that we understand
   */
  static async start(link: Link, relay: RelayKey, login: Login | null): Promise<RelayTalk> {
    const talk = new RelayTalk(link, relay, login);
    try {
      await inTime(talk.#nonce.promise);
      return talk;
    } catch (error) {
      talk.#connection.abandon();
      throw error;
    }
  }

  /** Milliseconds from PING to PONG. @throws {TalkError} */
  async roundTripMs(): Promise<number> {
    const before = performance.now();
    await this.#ask({ kind: "ping", token: 1 });
    return performance.now() - before;
  }

  /**
   * Enters a room of our own making as its only member, and leaves it again.
   *
   * @param expiresS when its ticket says that it expires, seconds since 1970
   * @throws {TalkError}
   */
  async tryTicket(room: OwnRoom, expiresS: number): Promise<TicketVerdict> {
    const nonce = await this.#nonce.promise;
    const answer = await this.#ask({
      kind: "enter",
      room: room.id,
      role: "member",
      credential: room.credential(nonce, this.relay, expiresS),
    });
    if (answer.kind === "refused") return answer.code;
    this.#connection.send({ kind: "leave", room: room.id });
    return "good";
  }

  async #ask(message: RelayMessage): Promise<Answer> {
    this.#connection.send(message);
    const answer = await inTime(this.#answer.promise);
    this.#answer = Promise.withResolvers();
    this.#answer.promise.catch(() => {});
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection.close();
  }
}

/** A room that exists for one question: its key is made here and kept nowhere. */
export class OwnRoom {
  readonly id: RoomId;

  private constructor(private readonly key: SigningKey, private readonly gate: SigningKey) {
    this.id = keyedRoomId(sha256(key.publicKey));
  }

  /** Makes the keys. */
  static async make(): Promise<OwnRoom> {
    return new OwnRoom(await generateSigningKey(), await generateSigningKey());
  }

  /** The credential of ENTER as a member whose ticket expires then. @see docs/PROTOCOL.md §3.1, §3.2 */
  credential(nonce: Challenge, relay: RelayKey, expiresS: number) {
    const body = encode(TICKET_BODY, {
      room: this.id,
      ticketEpoch: ticketEpoch(1),
      expires: expiresS,
      gateKey: gateKey(this.gate.publicKey),
    });
    const proof = enterBody({ nonce, relayKey: relay, room: this.id, role: "member" });
    return encodeCredential({
      role: "member",
      roomKey: roomKey(this.key.publicKey),
      ticket: encodeTicket(body, signature(sign(this.key.privateKey, "ticket", body))),
      signature: signature(sign(this.gate.privateKey, "enter", proof)),
    });
  }
}

async function inTime<T>(answer: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new TalkError("silent", `it kept silent for ${ANSWER_MS / 1000} seconds`)),
      ANSWER_MS,
    );
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
