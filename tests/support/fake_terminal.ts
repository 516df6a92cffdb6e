import { byteInput, type Terminal } from "../../src/ui/terminal.ts";

/** A {@linkcode Terminal} in memory: a test types into it and reads what was written. */
export class FakeTerminal implements Terminal {
  readonly isTerminal: boolean;
  readonly hasEscapes: boolean;
  /** Everything written, decoded. */
  written = "";
  raw = false;
  /** Set to make every write fail, as when the reader has gone. */
  broken = false;
  /** Called before each write; a test that wants a slow reader waits here. */
  beforeWrite: () => Promise<void> = () => Promise.resolve();
  #columns: number;
  #rows: number;
  #chunks: (Uint8Array | null)[] = [];
  #wake: (() => void) | null = null;
  #resized = new Set<() => void>();
  #exiting = new Set<() => void>();
  #decoder = new TextDecoder();
  #input = byteInput(async () => {
    while (this.#chunks.length === 0) await new Promise<void>((resolve) => this.#wake = resolve);
    return this.#chunks.shift() ?? null;
  });

  constructor({ isTerminal = true, hasEscapes = true, columns = 80, rows = 24 } = {}) {
    this.hasEscapes = hasEscapes;
    this.isTerminal = isTerminal;
    this.#columns = columns;
    this.#rows = rows;
  }

  /** Gives input as it would come from the keyboard or a pipe. */
  type(input: string | Uint8Array): void {
    this.#chunks.push(typeof input === "string" ? new TextEncoder().encode(input) : input);
    this.#wake?.();
  }

  /** Ends the input. */
  endInput(): void {
    this.#chunks.push(null);
    this.#wake?.();
  }

  /** How many chunks of input nobody has read yet. */
  get unreadChunks(): number {
    return this.#chunks.length;
  }

  resize(columns: number, rows: number): void {
    this.#columns = columns;
    this.#rows = rows;
    for (const changed of this.#resized) changed();
  }

  /** What happens when the process ends while the face is open. */
  exit(): void {
    for (const ending of this.#exiting) ending();
  }

  /** How many callbacks are still registered. */
  get listeners(): number {
    return this.#resized.size + this.#exiting.size;
  }

  read = () => this.#input.read();
  unread = (bytes: Uint8Array) => this.#input.unread(bytes);
  size = () => ({ columns: this.#columns, rows: this.#rows });

  async write(bytes: Uint8Array): Promise<void> {
    await this.beforeWrite();
    this.writeNow(bytes);
  }

  writeNow(bytes: Uint8Array): void {
    if (this.broken) throw new Deno.errors.BrokenPipe("nobody reads");
    this.written += this.#decoder.decode(bytes, { stream: true });
  }

  setRaw(raw: boolean): void {
    this.raw = raw;
  }

  onResize(changed: () => void): () => void {
    this.#resized.add(changed);
    return () => void this.#resized.delete(changed);
  }

  onExit(ending: () => void): () => void {
    this.#exiting.add(ending);
    return () => void this.#exiting.delete(ending);
  }
}

/** Lets everything that is ready to run do so. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 1000; turn++) await Promise.resolve();
}
