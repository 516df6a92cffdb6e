/** What a person (or a program on stdin) wants. Faces give these back; the session's step takes them. */
export type UserIntent =
  /** Text for a room; without `room`, the one in front. */
  | { readonly kind: "say"; readonly text: string; readonly room?: string; readonly ref?: string }
  /** A slash command, the slash included. */
  | {
    readonly kind: "command";
    readonly line: string;
    readonly room?: string;
    readonly ref?: string;
  }
  /** The answer to an `ask`. */
  | { readonly kind: "answer"; readonly ref: string; readonly choice: string }
  /** Input has ended (^D, or the end of stdin): leave after what is queued has been sent. */
  | { readonly kind: "end" }
  /** ^C or SIGTERM: leave now, politely, within a bound. */
  | { readonly kind: "interrupt" }
  /** Input that is not an intent (a malformed NDJSON line): answered with an `error` that has this `ref`. */
  | { readonly kind: "invalid"; readonly message: string; readonly ref?: string };
