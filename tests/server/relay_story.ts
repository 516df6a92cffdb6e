/** A relay over memory links with a clock of its own; what the stories in this folder are told on. */
import { Relay, type RelayPorts } from "../../src/server/relay.ts";
import { DEFAULT_RELAY_LIMITS, type RelayLimits } from "../../src/server/relay_limits.ts";
import { Person, TEST_RELAY_KEY, type TestRoom } from "../support/gate_people.ts";
import { MemoryLink, settled } from "../support/memory_link.ts";

/** The stage. */
export class Story {
  readonly relay: Relay;
  /** Milliseconds since the story began. */
  ms = 0;
  readonly #startS = Math.floor(Date.now() / 1000);
  #timers: { at: number; call: () => void }[] = [];
  /** The relay's ends, in the order of the arrivals. */
  readonly relayEnds: MemoryLink[] = [];

  /** @param ports more than the clock, timers and random numbers */
  constructor(limits: Partial<RelayLimits> = {}, ports: Partial<RelayPorts> = {}) {
    this.relay = new Relay(TEST_RELAY_KEY, { ...DEFAULT_RELAY_LIMITS, ...limits }, {
      now: () => ({ ms: this.ms, unixS: this.#startS + this.ms / 1000 }),
      nowMs: () => this.ms,
      random: (count) => crypto.getRandomValues(new Uint8Array(count)),
      later: (ms, call) => {
        const timer = { at: this.ms + ms, call };
        this.#timers.push(timer);
        return () => {
          this.#timers = this.#timers.filter((t) => t !== timer);
        };
      },
      ...ports,
    });
  }

  /** Seconds since 1970, now. */
  get unixS(): number {
    return this.#startS + Math.floor(this.ms / 1000);
  }

  /** Somebody connects. */
  async arrive(): Promise<Person> {
    const person = new Person(this.#connect());
    await settled();
    return person;
  }

  /** The participant's end of a new connection. */
  #connect(): MemoryLink {
    const [ours, theirs] = MemoryLink.pair();
    this.relayEnds.push(ours);
    this.relay.accept(ours);
    return theirs;
  }

  /** A connection that nobody has started to read. */
  connectRaw(): MemoryLink {
    return this.#connect();
  }

  /** Somebody connects and enters. */
  async enter(room: TestRoom, role: "owner" | "member" | "knocker"): Promise<Person> {
    const person = await this.arrive();
    person.enter(room, role, {
      ticket: room.ticket(person.gate, this.unixS + 3600),
    });
    await settled();
    return person;
  }

  /** Time goes by, a second at a time, as the relay's ticker has it. */
  async pass(ms: number): Promise<void> {
    const end = this.ms + ms;
    while (this.ms < end) {
      this.ms = Math.min(end, this.ms + 1000);
      for (const timer of this.#timers.filter((t) => t.at <= this.ms)) {
        this.#timers = this.#timers.filter((t) => t !== timer);
        timer.call();
      }
      this.relay.tick();
      await settled();
    }
  }
}
