/**
 * A bare broadcast loop on node:tls: one room, no gate, no limits, no accounting. What this takes,
 * no relay on node:tls can save.
 *
 *     deno run -A bench/relay/bare_tls.ts PORT CERTIFICATE KEY
 *
 * Frames are `u32 length ‖ payload`, to everybody else. One log, a cursor for each member, a write
 * in flight for each, one flush a turn.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import net from "node:net";
import tls from "node:tls";

const [port, certificate, key] = Deno.args;
if (port === undefined || certificate === undefined || key === undefined) {
  console.error("usage: bare_tls.ts PORT CERTIFICATE KEY");
  Deno.exit(2);
}

const CHUNK_BYTES = 262_144;
const WRITE_BYTES = 65_536;

interface Chunk {
  readonly bytes: Uint8Array;
  readonly base: number;
  end: number;
  next: Chunk | null;
}

interface Member {
  readonly socket: tls.TLSSocket;
  busy: boolean;
  at: number;
  chunk: Chunk;
  /** Pairs of start and end of what it sent itself. */
  own: number[];
  part: Buffer | null;
  written: () => void;
}

const members = new Set<Member>();
let head = 0;
let tail: Chunk = { bytes: new Uint8Array(CHUNK_BYTES), base: 0, end: 0, next: null };
let flushing = false;
let slice = tail.bytes;
let sliceStart = -1;
let sliceEnd = -1;

function publish(from: Member, frames: Uint8Array): void {
  if (tail.end + frames.length > tail.bytes.length) {
    const bytes = new Uint8Array(Math.max(CHUNK_BYTES, frames.length));
    tail = tail.next = { bytes, base: head, end: 0, next: null };
  }
  tail.bytes.set(frames, tail.end);
  tail.end += frames.length;
  if (from.own.at(-1) === head) from.own[from.own.length - 1] = head + frames.length;
  else from.own.push(head, head + frames.length);
  head += frames.length;
  if (flushing) return;
  flushing = true;
  queueMicrotask(flush);
}

function flush(): void {
  flushing = false;
  for (const member of members) if (!member.busy) pump(member);
}

function pump(m: Member): void {
  for (;;) {
    while ((m.own[0] ?? Infinity) <= m.at) {
      m.at = Math.max(m.at, m.own[1] ?? 0);
      m.own.splice(0, 2);
    }
    const { chunk } = m;
    let end = chunk.base + chunk.end;
    if (m.at >= end) {
      if (chunk.next === null) return;
      m.chunk = chunk.next;
      continue;
    }
    end = Math.min(end, m.at + WRITE_BYTES, m.own[0] ?? Infinity);
    if (sliceStart !== m.at || sliceEnd !== end) {
      slice = chunk.bytes.subarray(m.at - chunk.base, end - chunk.base);
      [sliceStart, sliceEnd] = [m.at, end];
    }
    m.at = end;
    m.busy = true;
    m.socket.write(slice, m.written);
    return;
  }
}

function take(m: Member, piece: Buffer): void {
  const bytes = m.part === null ? piece : Buffer.concat([m.part, piece]);
  let at = 0;
  while (bytes.length - at >= 4) {
    const length = bytes.readUInt32BE(at) + 4;
    if (bytes.length - at < length) break;
    at += length;
  }
  if (at > 0) publish(m, bytes.subarray(0, at));
  m.part = at < bytes.length ? Buffer.from(bytes.subarray(at)) : null;
}

const secureContext = tls.createSecureContext({
  cert: Deno.readTextFileSync(certificate),
  key: Deno.readTextFileSync(key),
  minVersion: "TLSv1.3",
});

net.createServer({ noDelay: true }, (raw) => {
  const socket = new tls.TLSSocket(raw, { isServer: true, secureContext });
  const member: Member = {
    socket,
    busy: false,
    at: head,
    chunk: tail,
    own: [],
    part: null,
    written: () => {
      member.busy = false;
      if (members.has(member)) pump(member);
    },
  };
  const end = () => {
    members.delete(member);
    raw.destroy();
  };
  for (const event of ["error", "_tlsError", "close", "end"]) socket.on(event, end);
  raw.on("error", end);
  socket.on("secure", () => {
    [member.at, member.chunk] = [head, tail];
    members.add(member);
  });
  socket.on("data", (piece: Buffer) => take(member, piece));
}).listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
