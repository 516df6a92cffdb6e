/** P13 and issue 2, "done when" 4, last sentence: strangers at a relay with people on it. */
import assert from "node:assert/strict";
import { MemberKeys } from "../../src/crypto/member_keys.ts";
import { sha256, sign, systemRandom } from "../../src/crypto/primitives.ts";
import { dial } from "../../src/transport/dial.ts";
import { frameRelayMessage } from "../../src/wire/relay_message.ts";
import { encodeCredential, enterBody } from "../../src/wire/ticket.ts";
import { handle, type RoomId, signature } from "../../src/wire/ids.ts";
import { type InviteLink, parseLink } from "../../src/wire/link_url.ts";
import { OWNERS, Person, utf8 } from "../support/gate_people.ts";
import { MemoryClient } from "../support/memory_participant.ts";
import { pooledSessionKeys } from "../support/session_pool.ts";
import { Stage } from "../support/stm_process.ts";
import { agree, Talk } from "../support/talk.ts";

function inviteLink(url: string): InviteLink {
  const link = parseLink(url, sha256);
  assert.ok(link.kind === "invite");
  return link;
}

/** Somebody who speaks the gate's protocol and nothing more. */
async function stranger({ host, port, relayKey }: InviteLink): Promise<Person> {
  const person = new Person(await dial({ host, port, pin: relayKey }), relayKey);
  await person.until(() => person.nonce !== null);
  return person;
}

function knocks(person: Person, room: RoomId): void {
  const credential = encodeCredential({ role: "knocker" });
  person.send({ kind: "enter", room, role: "knocker", credential });
}

Deno.test("who knocks without a ticket gets nothing of a conversation, and cannot speak into it", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const { owl, invite } = await stage.admin(relay);
  const fox = stage.client(invite, "fox");
  await agree([owl, fox]);
  const link = inviteLink(invite);
  const eve = await stranger(link);
  knocks(eve, link.room);
  await eve.until(() => eve.all("entered").length === 1);
  const [entered] = eve.all("entered");
  assert.ok(entered?.role === "knocker");
  const from = entered.handle;

  const talk = new Talk();
  talk.begin([owl, fox]);
  await talk.goOn([owl, fox], 5);
  // Into the room, to somebody by a guess, and what only an owner may say.
  const payload = utf8("nonsense");
  eve.send({ kind: "broadcast", room: link.room, from, payload });
  eve.send({ kind: "direct", room: link.room, from, to: handle(systemRandom(16)), payload });
  eve.send({ kind: "evict", room: link.room, handle: from, bar: false });
  eve.send({ kind: "direct", room: link.room, from, to: OWNERS, payload });
  await eve.until(() => eve.refused.length === 3);
  assert.deepEqual(eve.refused, ["not-allowed", "not-allowed", "not-allowed"]);
  assert.equal((await owl.command("/rekey")).type, "ok");
  await talk.goOn([owl, fox], 5);
  await talk.end();
  await talk.check([owl, fox]);
  // An answer to this PING has everything before it that was on its way.
  eve.send({ kind: "ping", token: 1 });
  await eve.until(() => eve.all("pong").length === 1);
  const kinds = new Set(eve.got.map(({ kind }) => kind));
  assert.deepEqual([...kinds].sort(), ["challenge", "entered", "pong", "refused"]);
  eve.link.destroy();
});

Deno.test("the ticket of a kicked member is refused as revoked, and nothing of the room comes", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const { owl, invite } = await stage.admin(relay, ["--uses", "2"]);
  const link = inviteLink(invite);
  const [session] = await pooledSessionKeys(1);
  assert.ok(session !== undefined);
  const fox = new MemoryClient("fox", link, session);
  const bat = stage.client(invite, "bat");
  await agree([owl, fox, bat]);
  const keys = fox.ring.get(link.room);
  assert.ok(keys instanceof MemberKeys && keys.ticket !== null && keys.roomKey !== null);
  const { ticket, roomKey, gate } = keys;
  assert.equal((await owl.command("/kick fox")).type, "ok");
  assert.equal(await fox.exit, 6);
  await agree([owl, bat]);

  const back = await stranger(link);
  assert.ok(back.nonce !== null);
  const body = enterBody({
    nonce: back.nonce,
    relayKey: link.relayKey,
    room: link.room,
    role: "member",
  });
  const credential = encodeCredential({
    role: "member",
    roomKey,
    ticket,
    signature: signature(sign(gate.privateKey, "enter", body)),
  });
  back.send({ kind: "enter", room: link.room, role: "member", credential });
  await back.until(() => back.refused.length === 1);
  assert.deepEqual(back.refused, ["ticket-revoked"]);
  owl.say("among ourselves");
  await bat.event("message", (e) => e.text === "among ourselves");
  back.send({ kind: "ping", token: 1 });
  await back.until(() => back.all("pong").length === 1);
  assert.equal(back.all("broadcast").length + back.all("direct").length, 0);
  back.link.destroy();
});

Deno.test("a malformed frame closes its own connection with a reason, and everybody else goes on", async () => {
  await using stage = await Stage.open();
  const relay = await stage.relay();
  const { owl, invite } = await stage.admin(relay);
  const fox = stage.client(invite, "fox");
  await agree([owl, fox]);
  const link = inviteLink(invite);
  const enter = frameRelayMessage({
    kind: "enter",
    room: link.room,
    role: "knocker",
    credential: encodeCredential({ role: "knocker" }),
  });
  const garbage: [string, Uint8Array, string][] = [
    ["a frame of no length", new Uint8Array(4), "malformed"],
    ["a length of 4 GiB", new Uint8Array(4).fill(0xff), "too-large"],
    ["a type that is not the participant's to send", Uint8Array.of(0, 0, 0, 1, 0x10), "malformed"],
    ["an unknown critical type", Uint8Array.of(0, 0, 0, 1, 0xee), "unsupported"],
    ["an ENTER that is cut short", Uint8Array.of(0, 0, 0, 3, 0x12, 1, 2), "malformed"],
    ["an ENTER with a byte too many", withByte(enter), "malformed"],
    ["random bytes", Uint8Array.of(0, 0, 0, 32, 0x02, ...systemRandom(31)), "malformed"],
    ["a request of HTTP", utf8("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "too-large"],
  ];
  for (const [what, bytes, code] of garbage) {
    const eve = await stranger(link);
    eve.raw(bytes);
    await eve.until(() => eve.closing !== undefined);
    assert.equal(eve.closing, code, what);
    eve.link.destroy();
  }
  const talk = new Talk();
  for (const person of [owl, fox]) for (let i = 0; i < 3; i++) talk.say(person);
  assert.equal(await talk.check([owl, fox]), 6);
});

/** A frame with one byte behind what belongs to it. */
function withByte(frame: Uint8Array): Uint8Array {
  const longer = new Uint8Array(frame.length + 1);
  longer.set(frame);
  longer[3] = (longer[3] ?? 0) + 1;
  return longer;
}
