/** Searches for bytes, in every form in which a program may hold or send them. */
import { Buffer } from "node:buffer";

/** Something planted that is looked for. */
export interface Needle {
  /** For people. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A text as its UTF-8 bytes. */
export function needle(name: string, text: string): Needle {
  return { name, bytes: new TextEncoder().encode(text) };
}

/** One form of a needle. */
interface Form {
  readonly what: string;
  readonly pattern: Buffer;
}

/** As it is, UTF-16 in both orders, hex in both cases (in one byte and in two a character), base64 of both alphabets. */
function formsOf({ name, bytes }: Needle): Form[] {
  const raw = Buffer.from(bytes);
  const forms = new Map<string, Buffer>([["bytes", raw]]);
  const text = new TextDecoder("utf-8").decode(bytes);
  // Keys are no text; their hex is.
  const isText = Buffer.from(text).equals(raw);
  const wide = (s: string): Buffer => Buffer.from(s, "utf16le");
  if (isText) {
    forms.set("UTF-16LE", wide(text));
    forms.set("UTF-16BE", Buffer.from(wide(text)).swap16());
  }
  forms.set("hex", Buffer.from(raw.toString("hex")));
  forms.set("HEX", Buffer.from(raw.toString("hex").toUpperCase()));
  forms.set("hex in UTF-16", wide(raw.toString("hex")));
  for (const alphabet of ["base64", "base64url"] as const) {
    for (const shift of [0, 1, 2]) {
      // What stands before it moves it; only the characters that are wholly its own are looked for.
      const padded = Buffer.concat([Buffer.alloc(shift), raw]).toString(alphabet);
      const core = padded.replace(/=+$/, "").slice(shift === 0 ? 0 : shift + 1, -1);
      forms.set(`${alphabet} +${shift}`, Buffer.from(core));
    }
  }
  const different = new Map(
    [...forms].map(([form, pattern]) => [pattern.toString("latin1"), form]),
  );
  return [...different].map(([pattern, form]) => ({
    what: `${name} as ${form}`,
    pattern: Buffer.from(pattern, "latin1"),
  }));
}

/** What of the needles is in a haystack that comes in pieces. One pass, whatever the number of forms. */
export class Search {
  readonly found = new Set<string>();
  /** By the hash of their first four bytes. */
  readonly #forms = new Map<number, Form[]>();
  readonly #known = new Uint8Array(1 << 16);
  readonly #overlap: number;
  #tail = Buffer.alloc(0);
  /** Bytes looked at. */
  bytes = 0;

  constructor(needles: readonly Needle[]) {
    const forms = needles.flatMap(formsOf);
    for (const form of forms) {
      const key = firstFour(form.pattern, 0);
      this.#known[key] = 1;
      this.#forms.set(key, [...this.#forms.get(key) ?? [], form]);
    }
    this.#overlap = Math.max(...forms.map(({ pattern }) => pattern.length)) - 1;
  }

  /** The next piece; what lies across two pieces is found too. */
  push(piece: Uint8Array): void {
    this.bytes += piece.length;
    const all = Buffer.concat([this.#tail, piece]);
    const known = this.#known;
    for (let i = 0; i + 4 <= all.length; i++) {
      const key = firstFour(all, i);
      if (known[key] === 0) continue;
      for (const { what, pattern } of this.#forms.get(key) ?? []) {
        if (all.subarray(i, i + pattern.length).equals(pattern)) this.found.add(what);
      }
    }
    this.#tail = Buffer.from(all.subarray(Math.max(0, all.length - this.#overlap)));
  }

  /** The next piece does not follow the last. */
  cut(): void {
    this.#tail = Buffer.alloc(0);
  }

  /** Whether a needle was found in any form. */
  has(name: string): boolean {
    return [...this.found].some((what) => what.startsWith(`${name} as `));
  }
}

/** Sixteen bits out of four bytes. */
function firstFour(bytes: Uint8Array, at: number): number {
  const word = (bytes[at] ?? 0) | (bytes[at + 1] ?? 0) << 8 | (bytes[at + 2] ?? 0) << 16 |
    (bytes[at + 3] ?? 0) << 24;
  return Math.imul(word, 0x9e3779b1) >>> 16;
}

const PAGE = 4096;
const PIECE_PAGES = 2048;

/**
 * Searches the memory of a running process of ours: every page that is there and readable.
 *
 * @throws {Deno.errors.PermissionDenied} where the system lets nobody look (yama's ptrace_scope)
 */
export async function searchMemory(pid: number, needles: readonly Needle[]): Promise<Search> {
  const search = new Search(needles);
  using memory = await Deno.open(`/proc/${pid}/mem`);
  using pages = await Deno.open(`/proc/${pid}/pagemap`);
  for (const [from, to] of mappings(await Deno.readTextFile(`/proc/${pid}/smaps`))) {
    for (const [first, end] of await present(pages, from / PAGE, to / PAGE)) {
      search.cut();
      for (let at = first; at < end; at += PIECE_PAGES) {
        const piece = new Uint8Array(Math.min(PIECE_PAGES, end - at) * PAGE);
        await memory.seek(at * PAGE, Deno.SeekMode.Start);
        try {
          search.push(piece.subarray(0, await memory.read(piece) ?? 0));
        } catch {
          // The page went away meanwhile, or is none that can be read ([vvar]).
          search.cut();
        }
      }
    }
  }
  return search;
}

/** Readable mappings with anything in them, as addresses. */
function mappings(smaps: string): [number, number][] {
  const found: [number, number][] = [];
  let current: [number, number] | null = null;
  for (const line of smaps.split("\n")) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (.)/.exec(line);
    if (head !== null) {
      const [, from = "", to = "", readable] = head;
      current = readable === "r" ? [parseInt(from, 16), parseInt(to, 16)] : null;
    } else if (current !== null && /^(Rss|Swap): +[1-9]/.test(line)) {
      found.push(current);
      current = null;
    }
  }
  return found.filter(([, to]) => to <= Number.MAX_SAFE_INTEGER);
}

/** Runs of pages of a mapping that are in memory or in swap: V8 reserves far more than it uses. */
async function present(
  pages: Deno.FsFile,
  from: number,
  to: number,
): Promise<[number, number][]> {
  const runs: [number, number][] = [];
  const block = new Uint8Array(8 * 65_536);
  for (let at = from; at < to;) {
    await pages.seek(at * 8, Deno.SeekMode.Start);
    const wanted = block.subarray(0, Math.min(block.length, (to - at) * 8));
    const read = await pages.read(wanted);
    if (read === null || read < 8) break;
    for (let i = 0; i < Math.floor(read / 8); i++, at++) {
      // The two highest bits of a page's eight bytes: present, swapped (little-endian).
      if (((wanted[i * 8 + 7] ?? 0) & 0xc0) === 0) continue;
      const last = runs.at(-1);
      if (last !== undefined && last[1] === at) last[1] = at + 1;
      else runs.push([at, at + 1]);
    }
  }
  return runs;
}
