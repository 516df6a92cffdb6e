/** What can be wrong with a file of ours. Code branches on it; people read the message. */
export type StoreErrorCode =
  /** Its content is not what we write; `field` says where, as far as that is known. */
  | "damaged"
  /** The system does not let us read it, or it is too large to be ours. */
  | "unreadable"
  /** The system does not let us write it; what was there before is still there. */
  | "unwritable"
  /** A newer stm wrote it. */
  | "newer-version"
  /** There is no such profile. */
  | "missing"
  /** There is one already. */
  | "exists"
  /** Another process holds it. */
  | "in-use"
  /** It is sealed and no passphrase was given. */
  | "sealed"
  /** It is not sealed and a passphrase was given. */
  | "not-sealed"
  /** It asks for a weaker or a far costlier key derivation than we accept. */
  | "bad-parameters"
  | "wrong-passphrase-or-damaged"
  /** The environment does not say where our files live. */
  | "no-home"
  /** A name that cannot be a file name everywhere. */
  | "bad-name"
  /** The store was closed. */
  | "closed";

/**
 * A file of ours that cannot be used. The message names the file and never quotes its content, which
 * may be a secret. Whoever throws it has left the file as it was.
 */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;
  /** The file or folder; empty for `no-home` and `bad-name`. */
  readonly path: string;
  /** Path of the bad field inside the JSON, such as `rooms.0.roomId`. */
  readonly field?: string;

  /**
   * @param message a sentence for people that says what to do, without the path
   * @param options `cause` as for every error; `field` as above
   */
  constructor(
    code: StoreErrorCode,
    path: string,
    message: string,
    options: ErrorOptions & { readonly field?: string } = {},
  ) {
    super(path === "" ? message : `${path}: ${message}`, options);
    this.code = code;
    this.path = path;
    if (options.field !== undefined) this.field = options.field;
  }
}
