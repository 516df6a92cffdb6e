/** A participant in the test's own process: the real driver and real TLS, its face in memory. */
import { nextGeneration } from "../../src/crypto/join.ts";
import { adminRole, initialAdminState } from "../../src/admin/role.ts";
import { KeyRing } from "../../src/crypto/key_ring.ts";
import { systemRandom } from "../../src/crypto/primitives.ts";
import {
  generateSigningKey,
  type SessionKeys,
  type SigningKey,
} from "../../src/crypto/session_keys.ts";
import { noStore, systemClock } from "../../src/driver/ports.ts";
import { prepareInvited } from "../../src/driver/rooms.ts";
import { runRole } from "../../src/driver/run_role.ts";
import { initialState } from "../../src/session/state.ts";
import { dial } from "../../src/transport/dial.ts";
import type { Face } from "../../src/ui/face.ts";
import { IntentQueue } from "../../src/ui/intent_queue.ts";
import type { InviteLink } from "../../src/wire/link_url.ts";
import { Chronicle, type EventOf } from "./chronicle.ts";

/** A client without a terminal and without a process. */
export class MemoryClient extends Chronicle {
  /** Settles with the exit code. */
  readonly exit: Promise<number>;
  /** Its keys: a test may look at what no other program shows. */
  readonly ring = new KeyRing();
  readonly #intents = new IntentQueue();
  #refs = 0;

  /** Dials at once. */
  constructor(readonly name: string, invite: InviteLink, session: SessionKeys) {
    super(name);
    const face: Face = {
      notice: (notice) => {
        this.add(notice);
        this.look();
      },
      view: () => {},
      intents: () => this.#intents,
      close: () => Promise.resolve(),
    };
    this.exit = this.#run(invite, session, face).finally(() => this.end());
  }

  async #run(invite: InviteLink, session: SessionKeys, face: Face): Promise<number> {
    const identity: SigningKey = await generateSigningKey();
    const room = await prepareInvited({
      ring: this.ring,
      own: { identity, session, name: this.name },
      relay: invite.relayKey,
      random: systemRandom,
      generation: nextGeneration(0, Date.now()),
    }, invite);
    const relay = { host: invite.host, port: invite.port, key: invite.relayKey };
    const exit = await runRole({
      role: adminRole,
      initial: initialAdminState(
        initialState({ name: this.name, identity: identity.publicKey.toHex() }),
      ),
      ring: this.ring,
      relay,
      dial: () => dial({ ...relay, pin: relay.key, timeoutMs: 60_000 }),
      face,
      rooms: [room],
      prepareJoin: () => Promise.reject(new Error("one room is enough here")),
      store: noStore,
      clock: systemClock,
      random: systemRandom,
      retryMs: 0,
      onSignal: () => () => {},
    });
    this.#intents.close();
    return exit;
  }

  say(text: string): void {
    this.#intents.push({ kind: "say", text });
  }

  /** Gives a slash command and waits for its answer. */
  async command(line: string): Promise<EventOf<"ok"> | EventOf<"error">> {
    const ref = `memory-${++this.#refs}`;
    this.#intents.push({ kind: "command", line, ref });
    return await this.until(
      line,
      () =>
        this.events.find((event): event is EventOf<"ok"> | EventOf<"error"> =>
          (event.type === "ok" || event.type === "error") && event.ref === ref
        ),
    );
  }
}
