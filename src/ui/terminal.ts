/**
 * What a face needs of the machine, so that tests need neither a terminal nor a process.
 * {@linkcode processTerminal} is the real one.
 */

/** Bytes that come in, a chunk at a time. */
export interface ByteInput {
  /**
   * The next chunk; `null` at the end. A read that nobody waits for any more is handed to the next
   * caller, so a prompt that ends loses no key.
   *
   * @throws the operating system's error
   */
  read(): Promise<Uint8Array | null>;
  /** Puts bytes back that were read too far; the next `read` gives them first. */
  unread(bytes: Uint8Array): void;
}

/** Bytes that go out. */
export interface ByteOutput {
  /**
   * Writes all of `bytes`. One call at a time.
   *
   * @throws {Deno.errors.BrokenPipe} (or another error of the system) once nobody reads any more
   */
  write(bytes: Uint8Array): Promise<void>;
}

/** Keyboard and screen, or the two pipes in their place. */
export interface Terminal extends ByteInput, ByteOutput {
  /** True if a person sits there: both directions are a terminal. */
  readonly isTerminal: boolean;
  /** False for TERM=dumb: such a terminal shows escape sequences instead of obeying them. */
  readonly hasEscapes: boolean;
  /** In character cells, as they are now. */
  size(): { readonly columns: number; readonly rows: number };
  /** Raw: every key arrives at once and unechoed, ^C too. */
  setRaw(raw: boolean): void;
  /** Writes at once; for restoring the terminal while the process ends. */
  writeNow(bytes: Uint8Array): void;
  /** Calls back when the window's size has changed, until the returned function is called. */
  onResize(changed: () => void): () => void;
  /** Calls back when the process ends in any way that it can notice, until the returned function is called. */
  onExit(ending: () => void): () => void;
}

/** The variables of the environment that decide how a face looks. */
export interface LookEnv {
  /** https://no-color.org: takes the colours away unless it is empty. */
  readonly NO_COLOR?: string | undefined;
  /** What kind of terminal it is. */
  readonly TERM?: string | undefined;
  /** Set by terminals with all colours. */
  readonly COLORTERM?: string | undefined;
}

/**
 * A {@linkcode ByteInput} over a function that reads.
 *
 * @param readChunk `null` at the end; is never called again before it has settled
 */
export function byteInput(readChunk: () => Promise<Uint8Array | null>): ByteInput {
  let pending: Promise<Uint8Array | null> | null = null;
  const back: Uint8Array[] = [];
  return {
    read() {
      const first = back.pop();
      if (first !== undefined) return Promise.resolve(first);
      const mine = pending ??= readChunk();
      return mine.finally(() => {
        if (pending === mine) pending = null;
      });
    },
    unread(bytes) {
      if (bytes.length > 0) back.push(bytes);
    },
  };
}

/** A {@linkcode ByteOutput} over a `write` that may take only part of what it is given. */
export function byteOutput(writeSome: (bytes: Uint8Array) => Promise<number>): ByteOutput {
  return {
    async write(bytes) {
      for (let at = 0; at < bytes.length;) at += await writeSome(bytes.subarray(at));
    },
  };
}

const CHUNK_BYTES = 64 * 1024;

let ofProcess: Terminal | null = null;

/** The process's own stdin and stdout. One for the process: prompts and the face share what was read. */
export function processTerminal(): Terminal {
  return ofProcess ??= makeProcessTerminal();
}

function makeProcessTerminal(): Terminal {
  const buffer = new Uint8Array(CHUNK_BYTES);
  const input = byteInput(async () => {
    const count = await Deno.stdin.read(buffer);
    return count === null ? null : buffer.slice(0, count);
  });
  return {
    ...input,
    ...byteOutput((bytes) => Deno.stdout.write(bytes)),
    isTerminal: Deno.stdin.isTerminal() && Deno.stdout.isTerminal(),
    hasEscapes: Deno.env.get("TERM") !== "dumb",
    size() {
      try {
        return Deno.consoleSize();
      } catch {
        return { columns: 80, rows: 24 }; // Not a terminal: consoleSize throws.
      }
    },
    setRaw: (raw) => Deno.stdin.setRaw(raw),
    writeNow(bytes) {
      for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
    },
    onResize(changed) {
      try {
        Deno.addSignalListener("SIGWINCH", changed);
      } catch {
        // A system without this signal: the next drawing measures the window anyway.
        return () => {};
      }
      return () => Deno.removeSignalListener("SIGWINCH", changed);
    },
    onExit(ending) {
      // `unload` does not fire when an error that nobody catches ends the process.
      const events = ["unload", "error", "unhandledrejection"];
      for (const event of events) globalThis.addEventListener(event, ending);
      return () => {
        for (const event of events) globalThis.removeEventListener(event, ending);
      };
    },
  };
}
