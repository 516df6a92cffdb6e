/**
 * The seam between sockets and everything else. A `Link` is one authenticated TLS 1.3 connection;
 * both sides of it, the relay's and the participant's, use the same four calls.
 *
 * Callbacks and not streams: the relay's hot path writes one run of bytes to a thousand links a
 * turn, and a promise or a reader per link is what it cannot afford (ARCHITECTURE, "hot path").
 */

/** Why a link ended. `code` is for programs, `message` for people. */
export interface LinkEnd {
  readonly code:
    | "closed-by-peer"
    | "closed-by-us"
    | "handshake-timeout"
    | "handshake-failed"
    | "stalled"
    | "reset";
  readonly message: string;
}

/** What a link tells its owner. Called in order, never after `onEnd`. */
export interface LinkHandlers {
  /** Some bytes, any number of them (a frame may be split or several may be glued). The array is the callee's to keep. */
  onData(bytes: Uint8Array): void;
  /** The link is gone, exactly once, whoever ended it. */
  onEnd(end: LinkEnd): void;
}

/** One TLS connection. */
export interface Link {
  /** `host:port` of the other side, for limits and opt-in logs. */
  readonly remoteAddress: string;
  /** Sets who hears of this link; called once, before any byte is delivered. */
  start(handlers: LinkHandlers): void;
  /**
   * Writes bytes; one write in flight is the caller's discipline, not checked here.
   *
   * @param bytes taken at once: they may be changed when this returns
   * @param done called once when the runtime has taken the bytes (or the link failed)
   */
  write(bytes: Uint8Array, done?: (error: Error | null) => void): void;
  /** Stops reading from the socket, so that TCP holds the peer back. */
  pause(): void;
  /** Reads on. */
  resume(): void;
  /** Flushes what was written, says goodbye, and destroys the socket after `LINGER_MS` at the latest. */
  close(): void;
  /** Ends it now; frees the descriptor even if the peer stopped reading. */
  destroy(): void;
}
