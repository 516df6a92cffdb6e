/**
 * Members of a room who are only there, for `bench/flood.ts`: they read all that is said.
 *
 *     deno run -A bench/flood_audience.ts PORT PIN COUNT
 *
 * The room's key is in `ROOM_PEM`. Prints `in` when all are in, and `gone` for each whose connection
 * has ended.
 *
 * @module
 */
import { fromHex, relayKey } from "../src/wire/ids.ts";
import { Signer, TestRoom } from "../tests/support/gate_people.ts";
import { gateDial } from "./gate_dial.ts";
import { GateMember } from "./gate_member.ts";

const [port = "", pin = "", count = ""] = Deno.args;
const relay = relayKey(fromHex(pin));
const room = new TestRoom(false, new Signer(Deno.env.get("ROOM_PEM")));
for (let i = 0; i < Number(count); i++) {
  const link = await gateDial(Number(port));
  const member = new GateMember(link, relay, { ended: () => console.log("gone") });
  await member.enter(room, "member");
}
console.log("in");
