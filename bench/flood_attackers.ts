/**
 * A process of people who mean harm, for `bench/flood.ts`. What they do is bounded: so many
 * connections at once, so many begun a second, and only while they are told to.
 *
 *     deno run -A bench/flood_attackers.ts PORT PIN FROM < COMMANDS
 *
 * FROM is the address that they come from; the room's key is in `ROOM_PEM`. A command is a line: the
 * name of an attack, `all`, or `stop`. Each is answered by a line when it is under way, or over.
 *
 * @module
 */
import net from "node:net";
import type { Link } from "../src/transport/link.ts";
import { encodeFrame } from "../src/wire/frame.ts";
import { fromHex, handle, relayKey } from "../src/wire/ids.ts";
import { MAX_FRAME_BYTES } from "../src/wire/limits.ts";
import {
  frameRelayMessage,
  OFFSET_BROADCAST_PAYLOAD,
  PROTOCOL_VERSION,
} from "../src/wire/relay_message.ts";
import { Signer, TestRoom } from "../tests/support/gate_people.ts";
import { gateDial } from "./gate_dial.ts";
import { GateMember } from "./gate_member.ts";
import { linesOf, sleep } from "./relay_process.ts";

/** Connections that each attack by strangers holds at once. */
const CROWD = 1_000;
/** Connections that it begins a second. */
const ARRIVALS = 200;
/** Those that speak nonsense end at once, and so cost a handshake each. */
const NONSENSE_CROWD = 100;
/** Those that all come in the same moment. */
const STAMPEDE = 200;
/** Bytes of one write of a flood. */
const FLOOD_WRITE_BYTES = 65_536;

const [port = "", pin = "", from = ""] = Deno.args;
const relay = relayKey(fromHex(pin));
const room = new TestRoom(false, new Signer(Deno.env.get("ROOM_PEM")));

/** Ends a connection, or whatever else an attack has begun. */
type End = () => void;

/** Something that is done over and over; `closed` is to be called when it has ended. */
type Stranger = (i: number, closed: () => void) => Promise<End> | End;

/** A TCP connection from the attackers' address. */
function connect(closed: () => void): net.Socket {
  const socket = net.connect({ host: "127.0.0.1", port: Number(port), localAddress: from });
  socket.on("error", () => {});
  socket.on("close", closed);
  socket.on("data", () => {}); // alerts
  return socket;
}

/** A TLS connection that is read from. */
async function secured(closed: () => void): Promise<Link> {
  const link = await gateDial(Number(port), from);
  link.start({ onData: () => {}, onEnd: closed });
  return link;
}

/** Begins a ClientHello of 16,000 bytes that never comes. */
const HALF_HELLO = Uint8Array.of(22, 3, 1, 0x3e, 0x80, 1, 0, 0x3e, 0x7c, 3, 3);
const START = frameRelayMessage({ kind: "start", version: PROTOCOL_VERSION });
const A_SECOND = 1000;

/** Sends the bytes one a second, the first after a while, so that not all come at once. */
function dribble(send: (byte: Uint8Array) => void, bytes: Uint8Array): End {
  let at = 0;
  let timer: ReturnType<typeof setInterval> | undefined;
  const first = setTimeout(() => {
    timer = setInterval(() => {
      send(Uint8Array.of(bytes[at] ?? 0));
      at++;
    }, A_SECOND);
  }, Math.random() * A_SECOND);
  return () => {
    clearTimeout(first);
    clearInterval(timer);
  };
}

const silent: Stranger = (i, closed) => {
  const socket = connect(closed);
  if (i % 2 === 1) socket.write(HALF_HELLO);
  return () => socket.destroy();
};

const slow: Stranger = async (i, closed) => {
  if (i % 2 === 1) {
    const socket = connect(() => {
      stop();
      closed();
    });
    const stop = dribble((byte) => socket.write(byte), HALF_HELLO);
    return () => socket.destroy();
  }
  const link = await secured(() => {
    stop();
    closed();
  });
  link.write(START);
  // The length of the largest frame of a guest.
  const stop = dribble((byte) => link.write(byte), Uint8Array.of(0, 0, 0x40, 0));
  return () => link.destroy();
};

const nonsense: Stranger = async (i, closed) => {
  const noise = crypto.getRandomValues(new Uint8Array(2048));
  if (i % 5 === 0) {
    const socket = connect(closed);
    socket.write(noise);
    return () => socket.destroy();
  }
  const link = await secured(closed);
  const said = [
    noise,
    encodeFrame(noise),
    Uint8Array.of(...START, 0xff, 0xff, 0xff, 0xff),
    Uint8Array.of(...START, 0, 0, 0, 0),
  ];
  link.write(said[i % said.length] ?? noise);
  return () => link.destroy();
};

/** Keeps so many strangers there: who is thrown out comes back, but not more than ARRIVALS a second. */
function crowd(size: number, stranger: Stranger): { ready: Promise<void>; end: End } {
  const ends = new Set<End>();
  let here = 0;
  let begun = 0;
  let over = false;
  const perTurn = ARRIVALS / 50;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setInterval(() => {
    for (let k = 0; k < perTurn && here < size; k++) void arrive(begun++);
    if (begun >= size) resolve();
  }, 20);
  async function arrive(i: number): Promise<void> {
    here++;
    let gone = false;
    let end: End | undefined;
    const closed = (): void => {
      if (gone) return;
      gone = true;
      here--;
      if (end !== undefined) ends.delete(end);
    };
    try {
      end = await stranger(i, closed);
    } catch {
      return closed(); // turned away, which is what an attacker has to expect
    }
    if (over) end();
    else if (!gone) ends.add(end);
  }
  return {
    ready: promise,
    end: () => {
      over = true;
      clearInterval(timer);
      for (const end of [...ends]) end();
    },
  };
}

/** Every second so many begin at once, finish the handshake, and go when the next ones come. */
function stampede(size: number): { ready: Promise<void>; end: End } {
  let here: Promise<Link>[] = [];
  const leave = (): void => {
    for (const link of here) link.then((l) => l.destroy(), () => {});
    here = [];
  };
  const timer = setInterval(() => {
    leave();
    here = Array.from({ length: size }, () => secured(() => {}));
    for (const link of here) link.catch(() => {}); // turned away
  }, A_SECOND);
  return {
    ready: Promise.resolve(),
    end: () => {
      clearInterval(timer);
      leave();
    },
  };
}

/** A member that sends as fast as it is read from. `frames` gets its handle. */
function flood(frames: (own: ReturnType<typeof handle>) => Uint8Array) {
  let over = false;
  const running = (async () => {
    const member = new GateMember(await gateDial(Number(port), from), relay);
    const ready = await member.enter(room, "member");
    const bytes = frames(ready);
    void (async () => {
      while (!over) {
        const failed = await new Promise<Error | null>((done) => member.link.write(bytes, done));
        if (failed !== null) return;
        // Else the promises of a fast socket let nothing else run.
        await sleep(0);
      }
      member.link.destroy();
    })();
  })();
  return {
    ready: running,
    end: () => {
      over = true;
    },
  };
}

/** Takes as much of the processor as a flood does, and leaves the relay alone. */
function burn(): { ready: Promise<void>; end: End } {
  let over = false;
  const noise = new Uint8Array(FLOOD_WRITE_BYTES);
  void (async () => {
    while (!over) {
      crypto.getRandomValues(noise);
      await sleep(0);
    }
  })();
  return {
    ready: Promise.resolve(),
    end: () => {
      over = true;
    },
  };
}

function repeated(frame: Uint8Array): Uint8Array {
  const count = Math.max(1, Math.floor(FLOOD_WRITE_BYTES / frame.length));
  const all = new Uint8Array(count * frame.length);
  for (let i = 0; i < count; i++) all.set(frame, i * frame.length);
  return all;
}

const own = { room: room.id };
const nobody = handle(crypto.getRandomValues(new Uint8Array(16)));
const ATTACKS: Record<string, () => { ready: Promise<void>; end: End }> = {
  silent: () => crowd(CROWD, silent),
  slow: () => crowd(CROWD, slow),
  nonsense: () => crowd(NONSENSE_CROWD, nonsense),
  stampede: () => stampede(STAMPEDE),
  control: burn,
  "flood, small": () =>
    flood((from) =>
      repeated(frameRelayMessage({
        kind: "broadcast",
        ...own,
        from,
        payload: new Uint8Array(100),
      }))
    ),
  "flood, large": () =>
    flood((from) =>
      repeated(frameRelayMessage({
        kind: "broadcast",
        ...own,
        from,
        payload: new Uint8Array(60_000),
      }))
    ),
  "flood, largest": () =>
    flood((from) =>
      repeated(frameRelayMessage({
        kind: "broadcast",
        ...own,
        from,
        payload: new Uint8Array(MAX_FRAME_BYTES - OFFSET_BROADCAST_PAYLOAD),
      }))
    ),
  "flood, to nobody": () =>
    flood((from) =>
      repeated(frameRelayMessage({
        kind: "direct",
        ...own,
        from,
        to: nobody,
        payload: new Uint8Array(1),
      }))
    ),
  "flood, pings": () => flood(() => repeated(frameRelayMessage({ kind: "ping", token: 1 }))),
};

/** What `all` is: every kind of stranger that stays, and one member who floods. */
const TOGETHER = ["silent", "slow", "nonsense", "flood, small"];

let running: { ready: Promise<void>; end: End }[] = [];
for await (const line of linesOf(Deno.stdin.readable)) {
  if (line === "stop") {
    for (const { end } of running) end();
    running = [];
  } else {
    const names = line === "all" ? TOGETHER : [line];
    running = names.flatMap((name) => ATTACKS[name]?.() ?? []);
    await Promise.all(running.map(({ ready }) => ready));
  }
  console.log(line);
}
