/**
 * A hostile relay. It is the real one with a man at every one of its links, who reads whole frames (TLS ends at
 * the relay, so it holds that key) and has a switch for each thing that a relay can do. Switches stay on until they
 * are turned off.
 *
 * It sees what any relay sees. To aim, a test may give it a lens: the room secret, which everybody has who was ever
 * invited and which is public in an open room. `look` says what a payload is; it never opens a message.
 */
import { FrameDecoder } from "../../src/wire/frame.ts";
import type { Link } from "../../src/transport/link.ts";
import {
  type Broadcast,
  decodeRelayMessage,
  type Direct,
  frameRelayMessage,
  type RelayMessage,
} from "../../src/wire/relay_message.ts";
import { splitPayload } from "../../src/wire/payload.ts";
import type { OuterSeal } from "../../src/crypto/outer_seal.ts";
import type { SealedMessage } from "../../src/wire/sealed_message.ts";
import { DIRECTIONS } from "../../src/wire/contexts.ts";
import type { Handle } from "../../src/wire/ids.ts";
import { MemoryLink } from "../support/memory_link.ts";
import type { House } from "./house.ts";

/** What a hostile relay can do, a switch each. */
export const SWITCHES = [
  "drop",
  "delay",
  "replay",
  "reorder",
  "inject",
  "swap-bundle",
  "withhold",
  "rollback",
  "ghost",
  "truncate",
] as const;

/** Name of a switch. */
export type Switch = typeof SWITCHES[number];

/** One frame on its way between a participant and the relay. */
export interface Carried {
  /** Whose link. */
  readonly who: string;
  /** From the participant to the relay, or from the relay to it. */
  readonly direction: "up" | "down";
  readonly message: RelayMessage;
}

/** Says which frames a switch is for. */
export type Aim = (carried: Carried) => boolean;

/** What the lens shows of a payload. */
export type Seen =
  | { readonly kind: "message"; readonly epoch: number; readonly leaf: number; readonly n: number }
  | SealedMessage
  | { readonly kind: "nothing" };

interface Setting {
  readonly aim: Aim;
  /** What becomes of a frame; the frame itself if it is left alone. */
  act(carried: Carried): readonly RelayMessage[];
}

/** The man in the middle of one link. */
interface Tap {
  toRelay(message: RelayMessage): void;
  toParticipant(message: RelayMessage): void;
  /** Raw bytes, for what is no frame. */
  rawToParticipant(bytes: Uint8Array): void;
  end(): void;
}

/** The relay and the man at its links. */
export class HostileRelay {
  /** Everything that passed, before any switch. */
  readonly record: Carried[] = [];
  readonly #taps = new Map<string, Tap>();
  readonly #settings = new Map<Switch, Setting>();
  readonly #kept: { carried: Carried }[] = [];
  readonly #lenses: OuterSeal[] = [];
  readonly #waiting = new Set<(carried: Carried) => void>();

  constructor(private readonly house: House, private relay: InstanceType<House["Relay"]>) {}

  // ---- links

  /** A participant connects; its end of the link. */
  connect(who: string): Link {
    const [theirs, ours] = MemoryLink.pair();
    const [up, relays] = MemoryLink.pair();
    this.relay.accept(relays);
    const tap: Tap = {
      toRelay: (message) => up.write(frameRelayMessage(message)),
      toParticipant: (message) => ours.write(frameRelayMessage(message)),
      rawToParticipant: (bytes) => ours.write(bytes),
      end: () => ours.destroy(),
    };
    this.#taps.set(who, tap);
    this.#pump(who, "up", ours, tap.toRelay, () => up.destroy());
    this.#pump(who, "down", up, tap.toParticipant, () => ours.destroy());
    return theirs;
  }

  #pump(
    who: string,
    direction: Carried["direction"],
    from: Link,
    pass: (message: RelayMessage) => void,
    end: () => void,
  ): void {
    const decoder = new FrameDecoder();
    from.start({
      onData: (bytes) => {
        for (const body of decoder.push(bytes)) {
          const message = decodeRelayMessage(body);
          if (message.kind === "unknown") continue;
          const carried = { who, direction, message };
          this.record.push(carried);
          for (const look of [...this.#waiting]) look(carried);
          for (const out of this.#judge(carried)) pass(out);
        }
      },
      onEnd: end,
    });
  }

  #judge(carried: Carried): readonly RelayMessage[] {
    let frames: readonly Carried[] = [carried];
    for (const setting of this.#settings.values()) {
      frames = frames.flatMap((frame) =>
        setting.aim(frame)
          ? setting.act(frame).map((message) => ({ ...carried, message }))
          : [frame]
      );
    }
    return frames.map(({ message }) => message);
  }

  #tap(who: string): Tap {
    const tap = this.#taps.get(who);
    if (tap === undefined) throw new RangeError(`${who} is not connected`);
    return tap;
  }

  /** The relay dies, with all that it knew, and another takes its place. */
  restart(relay: InstanceType<House["Relay"]>): void {
    this.relay = relay;
    for (const tap of this.#taps.values()) tap.end();
  }

  /** Ends somebody's connection. */
  cut(who: string): void {
    this.#tap(who).end();
  }

  // ---- the switches

  /** Turns a switch off. */
  off(name: Switch): void {
    this.#settings.delete(name);
  }

  #on(name: Switch, setting: Setting): void {
    this.#settings.set(name, setting);
  }

  /** These frames never arrive. */
  drop(aim: Aim): void {
    this.#on("drop", { aim, act: () => [] });
  }

  /** As `drop`, for one person alone, while everybody else gets them. */
  withhold(from: string, aim: Aim): void {
    const one: Aim = (c) => c.direction === "down" && c.who === from && aim(c);
    this.#on("withhold", { aim: one, act: () => [] });
  }

  /** These frames wait for `release`. */
  delay(aim: Aim): void {
    this.#on("delay", {
      aim,
      act: (carried) => {
        this.#kept.push({ carried });
        return [];
      },
    });
  }

  /** Lets go what `delay` held, in its order, and turns it off. */
  release(): void {
    this.off("delay");
    for (const { carried } of this.#kept.splice(0)) this.#pass(carried);
  }

  #pass({ who, direction, message }: Carried): void {
    if (direction === "up") this.#tap(who).toRelay(message);
    else this.#tap(who).toParticipant(message);
  }

  /** These frames arrive twice. */
  replay(aim: Aim): void {
    this.#on("replay", { aim, act: ({ message }) => [message, message] });
  }

  /** Sends frames of the record once more to somebody. */
  rollback(to: string, aim: Aim): number {
    const frames = this.record.filter((c) => c.direction === "down" && aim(c));
    for (const { message } of frames) this.#tap(to).toParticipant(message);
    return frames.length;
  }

  /** Every second of these frames overtakes the one before. */
  reorder(aim: Aim): void {
    let held: RelayMessage | null = null;
    this.#on("reorder", {
      aim,
      act: ({ message }) => {
        if (held === null) {
          held = message;
          return [];
        }
        const first = held;
        held = null;
        return [message, first];
      },
    });
  }

  /** The last byte of these payloads is cut off. */
  truncate(aim: Aim): void {
    this.#on("truncate", {
      aim,
      act: ({ message }) =>
        message.kind === "broadcast" || message.kind === "direct"
          ? [{ ...message, payload: message.payload.slice(0, -1) }]
          : [message],
    });
  }

  /** A payload of the enemy's in the place of these: bundles, wraps, commits, welcomes. */
  swap(
    aim: Aim,
    payload: (message: Broadcast | Direct, who: string) => Uint8Array<ArrayBuffer>,
  ): void {
    this.#on("swap-bundle", {
      aim,
      act: ({ message, who }) =>
        message.kind === "broadcast" || message.kind === "direct"
          ? [{ ...message, payload: payload(message, who) }]
          : [message],
    });
  }

  /** Gives somebody a frame that nobody sent. */
  inject(to: string, message: RelayMessage): void {
    this.#tap(to).toParticipant(message);
  }

  /** Says something to the relay in somebody's name: what its owner's own changed program would send. */
  sendAs(who: string, message: RelayMessage): void {
    this.#tap(who).toRelay(message);
  }

  /** Bytes that are no frame. */
  injectRaw(to: string, bytes: Uint8Array): void {
    this.#tap(to).rawToParticipant(bytes);
  }

  /** A ghost is given all that somebody in the room is given, and hears it from now on. */
  ghost(shadows: string, hear: (message: RelayMessage) => void): void {
    this.#on("ghost", {
      aim: (c) => c.direction === "down" && c.who === shadows,
      act: ({ message }) => {
        hear(message);
        return [message];
      },
    });
  }

  // ---- what it sees

  /** Learns a room secret. */
  lens(seal: OuterSeal): void {
    this.#lenses.push(seal);
  }

  /** What a frame carries, as far as the lenses show. */
  look({ message }: Pick<Carried, "message">): Seen {
    if (message.kind !== "broadcast" && message.kind !== "direct") return { kind: "nothing" };
    const { maskedHeader, body } = splitPayload(message.payload);
    for (const lens of this.#lenses) {
      const header = lens.unmask(maskedHeader, body);
      if (header?.kind === "message") return header;
      if (header === undefined) continue;
      for (const direction of Object.keys(DIRECTIONS) as (keyof typeof DIRECTIONS)[]) {
        try {
          const opened = lens.open(body, direction);
          if (opened.kind !== "unknown") return opened;
        } catch {
          // Another direction, or another secret.
        }
      }
    }
    return { kind: "nothing" };
  }

  /** Aims at what somebody sends (`up`) or is given (`down`), of a kind that the lens shows. */
  aim(direction: Carried["direction"], who: string, ...kinds: Seen["kind"][]): Aim {
    return (c) =>
      c.direction === direction && c.who === who &&
      (c.message.kind === "broadcast" || c.message.kind === "direct") &&
      (kinds.length === 0 || kinds.includes(this.look(c).kind));
  }

  /** The next frame that fits. */
  passed(aim: Aim): Promise<Carried> {
    return new Promise((resolve) => {
      const look = (carried: Carried) => {
        if (!aim(carried)) return;
        this.#waiting.delete(look);
        resolve(carried);
      };
      this.#waiting.add(look);
    });
  }

  /** The handle that somebody has in a room, as the relay told it last. */
  handleOf(who: string): Handle {
    const entered = this.record.findLast((c) =>
      c.direction === "down" && c.who === who && c.message.kind === "entered"
    );
    if (entered?.message.kind !== "entered") throw new RangeError(`${who} is in no room`);
    return entered.message.handle;
  }
}
