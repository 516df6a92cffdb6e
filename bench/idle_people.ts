/**
 * A process full of people who say nothing, for `bench/idle.ts`.
 *
 *     deno run -A bench/idle_people.ts PORT PIN KIND COUNT
 *
 * KIND is `member` or `plain`. Prints a line when all are there; stays until it is ended.
 *
 * @module
 */
import { fromHex, relayKey } from "../src/wire/ids.ts";
import { TestRoom } from "../tests/support/gate_people.ts";
import { gateDial } from "./gate_dial.ts";
import { GateMember } from "./gate_member.ts";

/** People of one room. */
const ROOM_SIZE = 100;
/** Handshakes under way at once. */
const AT_ONCE = 16;

const [port, pin = "", kind] = Deno.args;
const count = Number(Deno.args[3]);
const relay = relayKey(fromHex(pin));
const rooms = Array.from({ length: Math.ceil(count / ROOM_SIZE) }, () => new TestRoom());
const people: GateMember[] = [];
let next = 0;
let lost = 0;

async function arrive(): Promise<void> {
  for (let i = next++; i < count; i = next++) {
    const person = new GateMember(await gateDial(Number(port)), relay, { ended: () => lost++ });
    people.push(person);
    await person.started;
    const room = rooms[Math.floor(i / ROOM_SIZE)];
    if (kind === "member" && room !== undefined) await person.enter(room, "member");
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, arrive));
console.log(`there ${people.length - lost}`);
// The links keep the process alive; whoever is lost now is said, for the count to be true.
setInterval(() => {
  if (lost > 0) console.log(`lost ${lost}`);
  lost = 0;
}, 1000);
