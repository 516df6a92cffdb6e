import assert from "node:assert/strict";
import { KeyRing } from "../../src/crypto/key_ring.ts";
import { systemRandom } from "../../src/crypto/primitives.ts";
import { generateSessionKeys, generateSigningKey } from "../../src/crypto/session_keys.ts";
import { prepareInvited } from "../../src/driver/rooms.ts";
import {
  fingerprint,
  generation,
  inviteSecret,
  relayKey,
  roomId,
  roomSecret,
} from "../../src/wire/ids.ts";
import { memoryProfile } from "../support/memory_profile.ts";
import { sampleProfile } from "../support/sample_profile.ts";

Deno.test("until its name comes a room by invite is called as the profile knows it, else a new room", async () => {
  const identity = await generateSigningKey();
  const maker = {
    ring: new KeyRing(),
    own: { identity, session: await generateSessionKeys(), name: "owl" },
    relay: relayKey(new Uint8Array(32).fill(7)),
    random: systemRandom,
    generation: generation(8),
    profile: memoryProfile("owl", identity, sampleProfile().rooms),
  };
  const nameOf = async (room: number): Promise<string> => {
    const { name } = await prepareInvited(maker, {
      kind: "invite",
      host: "203.0.113.7",
      port: 5000,
      relayKey: maker.relay,
      room: roomId(new Uint8Array(16).fill(room)),
      adminFingerprint: fingerprint(new Uint8Array(16)),
      roomSecret: roomSecret(new Uint8Array(32)),
      inviteSecret: inviteSecret(new Uint8Array(16)),
    });
    return name;
  };
  assert.deepEqual([await nameOf(1), await nameOf(3)], ["main", "new room"]);
});
