/**
 * A session that cannot begin. The message is for the person and says what to do; the exit code is
 * one of docs/JSON.md.
 */
export class StartError extends Error {
  override readonly name = "StartError";
  constructor(
    readonly code: string,
    readonly exitCode: number,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
