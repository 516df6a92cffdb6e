/** Issue 6, "done when" 5 in the real program: a thousand people join a room that one admin's process runs. */
import { nextGeneration } from "../../src/crypto/join.ts";
import assert from "node:assert/strict";
import { KeyRing } from "../../src/crypto/key_ring.ts";
import { MemberKeys } from "../../src/crypto/member_keys.ts";
import { sha256, systemRandom } from "../../src/crypto/primitives.ts";
import { generateSigningKey, type SessionKeys } from "../../src/crypto/session_keys.ts";
import { prepareInvited } from "../../src/driver/rooms.ts";
import { dial } from "../../src/transport/dial.ts";
import { FrameDecoder } from "../../src/wire/frame.ts";
import { BROADCAST_TO_OWNERS, type Handle } from "../../src/wire/ids.ts";
import { type InviteLink, parseLink } from "../../src/wire/link_url.ts";
import {
  decodeRelayMessage,
  frameRelayMessage,
  type RelayMessage,
} from "../../src/wire/relay_message.ts";
import { MemoryClient } from "../support/memory_participant.ts";
import { pooledSessionKeys } from "../support/session_pool.ts";
import { Stage } from "../support/stm_process.ts";

const PEOPLE = 1000;
/** Of them as many are whole clients; the others join as whole ones do, and then only listen. */
const WHOLE = 3;
/** Who knocks at a time: a relay lets 256 wait. */
const AT_ONCE = 200;

/** Joins by the program's own keys; once it is welcome it answers PING and nothing else. */
async function joins(name: string, invite: InviteLink, session: SessionKeys): Promise<() => void> {
  const ring = new KeyRing();
  await prepareInvited({
    ring,
    own: { identity: await generateSigningKey(), session, name },
    relay: invite.relayKey,
    random: systemRandom,
    generation: nextGeneration(0, Date.now()),
  }, invite);
  const keys = ring.get(invite.room);
  assert.ok(keys instanceof MemberKeys);
  const { host, port, relayKey: pin } = invite;
  const link = await dial({ host, port, pin, timeoutMs: 60_000 });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const decoder = new FrameDecoder();
  let own: Handle | null = null;
  let welcome = false;
  const send = (message: RelayMessage): void => link.write(frameRelayMessage(message));
  const toAdmin = (payload: Uint8Array<ArrayBuffer>): void => {
    assert.ok(own !== null);
    send({ kind: "direct", room: invite.room, from: own, to: BROADCAST_TO_OWNERS, payload });
  };
  const take = async (message: ReturnType<typeof decodeRelayMessage>): Promise<void> => {
    if (message.kind === "ping") return send({ kind: "pong", token: message.token });
    if (welcome) return;
    if (message.kind === "challenge") {
      send({ kind: "start", version: 1 });
      send({ kind: "enter", room: invite.room, ...keys.enter(message.nonce, invite.relayKey) });
    } else if (message.kind === "entered" && own === null) {
      own = message.handle;
      toAdmin(keys.knock());
    } else if (message.kind === "direct") {
      const opened = keys.open(message.payload);
      if (opened.kind !== "sealed") return;
      if (opened.message.kind === "hello") {
        keys.takeHello(opened.message.content);
        const bundle = await keys.makeBundle(Date.now());
        if (bundle !== null) toAdmin(bundle);
      } else if (opened.message.kind === "welcome") {
        welcome = true;
        resolve();
      } else if (opened.message.kind === "denied") reject(new Error(`${name} was denied`));
    }
  };
  let last: Promise<void> = Promise.resolve();
  link.start({
    onData: (bytes) => {
      for (const body of decoder.push(bytes)) {
        // A view of the chunk: read before the next.
        const message = decodeRelayMessage(body);
        last = last.then(() => take(message)).catch(reject);
      }
    },
    onEnd: (end) => reject(new Error(`${name}: ${end.code}`)),
  });
  await promise;
  return () => link.destroy();
}

Deno.test("1,000 people join a room, its admin answers all the time, and then all are in it", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay(["--max-lag-bytes", String(256 * 1024 * 1024)]);
  const { owl, invite } = await stage.admin(relay, ["--uses", String(PEOPLE)]);
  const link = parseLink(invite, sha256);
  assert.ok(link.kind === "invite");
  const sessions = await pooledSessionKeys(PEOPLE);
  const whole = sessions.slice(0, WHOLE).map((s, i) => new MemoryClient(`whole ${i}`, link, s));
  for (const client of whole) await client.event("joined");
  const began = performance.now();
  const others = sessions.slice(WHOLE).map((session, i) => ({ name: `p${i}`, session }));
  const ends: (() => void)[] = [];
  const answers: number[] = [];
  const work = Array.from({ length: AT_ONCE }, async () => {
    for (let one = others.pop(); one !== undefined; one = others.pop()) {
      ends.push(await joins(one.name, link, one.session));
    }
  });
  let busy = true;
  const all = Promise.all(work).finally(() => busy = false);
  // A failure is told by the wait below.
  all.catch(() => {});
  while (busy) {
    const asked = Date.now();
    const { type, at } = await owl.command("/room");
    assert.equal(type, "ok");
    // By the answer's own time: this process, which plays all the others, may hear of it a second later.
    answers.push(Date.parse(at) - asked);
  }
  await all;
  const took = performance.now() - began;
  answers.sort((a, b) => a - b);
  const [middle = 0, most = 0] = [answers[answers.length >> 1], answers.at(-1)];
  console.log(
    `${PEOPLE} joined in ${Math.round(took)} ms and ${owl.every("epoch").length} epochs; the admin`,
    `answered ${answers.length} commands meanwhile, half of them within ${Math.round(middle)} ms,`,
    `all within ${Math.round(most)} ms`,
  );
  for (const client of whole) {
    await client.until(
      "everybody",
      () => client.every("epoch").at(-1)?.members.length === PEOPLE + 1 || undefined,
    );
  }
  owl.say("welcome all");
  for (const client of whole) await client.event("message", (m) => m.text === "welcome all");
  assert.deepEqual([owl.every("reconnecting"), owl.every("error")], [[], []]);
  for (const end of ends) end();
  for (const client of whole) await client.command("/quit");
  for (const client of whole) assert.equal(await client.exit, 0);
});
